# SPDX-License-Identifier: MIT OR Apache-2.0
"""Clients of the world: programs as people use them, no proxy variable set.

Each is a command that fetches one known thing from a name. The table says
what it needs, which names, what it prints when it works, and how it fails
when the name is not to be had.
"""

import dataclasses
import shutil
import typing

from conftest import TEST_BUILD

PYTHON = "/usr/bin/python3"

PYTHON_FETCH = """
import ssl, sys, urllib.request
ctx = ssl.create_default_context(cafile=sys.argv[2])
print(urllib.request.urlopen(f"https://{sys.argv[1]}/", context=ctx,
                             timeout=30).read().decode(), end="")
"""

# curl as its GnuTLS build has it: Debian gives it as a library only.
GNUTLS_CURL = """
import ctypes, sys
lib = ctypes.CDLL("libcurl-gnutls.so.4")
lib.curl_easy_init.restype = ctypes.c_void_p
lib.curl_easy_strerror.restype = ctypes.c_char_p
handle = ctypes.c_void_p(lib.curl_easy_init())
def option(number, value):
    assert lib.curl_easy_setopt(handle, number, value) == 0
option(10002, ctypes.c_char_p(f"https://{sys.argv[1]}/".encode()))
option(10065, ctypes.c_char_p(sys.argv[2].encode()))  # CAINFO
sys.stdout.flush()
rc = lib.curl_easy_perform(handle)
print(lib.curl_easy_strerror(rc).decode() if rc else "", end="")
sys.exit(rc)
"""

NODE_FETCH = """
const [host, ca] = process.argv.slice(1);
require("https").get({host, ca: require("fs").readFileSync(ca)}, (r) => {
  r.on("data", (d) => process.stdout.write(d));
}).on("error", (e) => { console.log(e.code); process.exit(7); });
"""

JAVA_FETCH = """
import java.io.FileInputStream;
import java.net.URL;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Fetch {
    public static void main(String[] argv) throws Exception {
        KeyStore keys = KeyStore.getInstance(KeyStore.getDefaultType());
        keys.load(null, null);
        keys.setCertificateEntry("ca", CertificateFactory.getInstance("X.509")
            .generateCertificate(new FileInputStream(argv[1])));
        TrustManagerFactory trust = TrustManagerFactory.getInstance(
            TrustManagerFactory.getDefaultAlgorithm());
        trust.init(keys);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        HttpsURLConnection c = (HttpsURLConnection)
            new URL("https://" + argv[0] + "/").openConnection();
        c.setSSLSocketFactory(context.getSocketFactory());
        System.out.write(c.getInputStream().readAllBytes());
        System.out.flush();
    }
}
"""

UDP_ECHO = """
import socket, sys
where = socket.getaddrinfo(sys.argv[1], 7, type=socket.SOCK_DGRAM)
for family, kind, proto, _, addr in where:
    s = socket.socket(family, kind)
    s.settimeout(3)
    try:
        s.connect(addr)
        s.send(b"over udp")
        print(s.recv(100).decode())
        break
    except OSError as e:
        print(e)
"""


class Kit:
    """Files the clients need, in one directory to be shown in a cell."""

    def __init__(self, world, d):
        world.need("certificates")
        self.world, self.dir = world, d
        self.ca = world.dir / "ca" / "ca.pem"
        self.ssh = world.dir / "ssh"
        (d / "Fetch.java").write_text(JAVA_FETCH)
        for program in ("own_resolver", "constructor"):
            shutil.copy(TEST_BUILD / "tests" / "clients" / program, d)
        d.chmod(0o755)


@dataclasses.dataclass
class Client:
    argv: typing.Callable  # of (kit, host name) -> words
    says: str              # when it works
    rc: int                # when there is no such name
    error: str
    need: tuple = ("nginx",)
    host: str = "allowed"
    other: str = "neighbour"  # at the same address
    port: str = "443"
    env: typing.Callable = lambda kit: {}


def shell(text):
    """A script of the host name ($1), the CA ($2), and HOME."""
    return lambda kit, host: ["sh", "-ec", text, "sh", host, str(kit.ca)]


def python(code):
    return lambda kit, host: [PYTHON, "-c", code, host, str(kit.ca)]


HERE = "this is allowed.test.example\n"
APT = """
cd /tmp && mkdir -p a/lists/partial a/cache/archives/partial a/etc a/state
: >a/state/status
echo "deb [trusted=yes] https://$1/ ./" >a/sources
apt="apt-get -o Dir=/tmp/a -o Dir::Etc=/tmp/a/etc \
    -o Dir::Etc::SourceList=/tmp/a/sources -o Dir::State=/tmp/a \
    -o Dir::State::Status=/tmp/a/state/status -o Dir::Cache=/tmp/a/cache \
    -o APT::Sandbox::User= -o Acquire::https::CAInfo=$2 -o Acquire::Retries=0 \
    -o Dir::Bin::Methods=/usr/lib/apt/methods -o Dir::Log=/tmp/a \
    -o Debug::NoLocking=1 -o APT::Update::Error-Mode=any"
$apt update && $apt download worldpkg && echo worldpkg*.deb
"""
NPM = """
cd /tmp && npm --registry="https://$1/" --cafile="$2" --fetch-retries=0 \
    --no-audit --no-fund --no-update-notifier --prefix=/tmp/n \
    install worldpkg && node -p 'require("/tmp/n/node_modules/worldpkg")'
"""

CLIENTS = {
    "curl-openssl": Client(
        lambda kit, host: ["curl", "-sS", "--cacert", kit.ca,
                           f"https://{host}/"], HERE, 6, "not resolve host"),
    "curl-tls12": Client(
        lambda kit, host: ["curl", "-sS", "--tls-max", "1.2", "--cacert",
                           kit.ca, f"https://{host}/"], HERE, 6,
        "not resolve host"),
    "curl-http": Client(
        lambda kit, host: ["curl", "-sS", f"http://{host}/"], HERE, 6,
        "not resolve host", port="80"),
    "curl-gnutls": Client(python(GNUTLS_CURL), HERE, 6, "resolve host name"),
    "wget": Client(
        lambda kit, host: ["wget", "-qO-", "--no-hsts", "-t", "1",
                           f"--ca-certificate={kit.ca}", f"https://{host}/"],
        HERE, 4, ""),
    "gnutls-cli": Client(
        shell('printf "GET / HTTP/1.0\\r\\nHost: $1\\r\\n\\r\\n" | '
              'gnutls-cli --x509cafile "$2" "$1" 443'),
        "this is allowed.test.example", 1, "Cannot resolve"),
    "git-https": Client(
        shell('cd /tmp && git clone -q "https://$1/repo.git" r && '
              "cat r/README"), "hello from git\n", 128, "not resolve host",
        host="git", env=lambda kit: {"GIT_SSL_CAINFO": str(kit.ca)}),
    "git-ssh": Client(
        lambda kit, host: ["sh", "-ec", f"""
            cp {kit.ssh}/id /tmp/id && chmod 600 /tmp/id && cd /tmp
            git clone -q ssh://git@{host}{kit.world.dir}/site/git/repo.git s
            cat s/README"""], "hello from git\n", 128,
        "resolve hostname", ("nginx", "sshd"), "ssh", "other-own", "22/tcp",
        lambda kit: {"GIT_SSH_COMMAND": "ssh -F /dev/null -i /tmp/id -o "
                     f"UserKnownHostsFile={kit.ssh}/known_hosts"}),
    "pip": Client(
        shell(PYTHON + ' -m pip -q install --retries 0 --no-cache-dir '
              '--disable-pip-version-check --index-url "https://$1/simple" '
              '--cert "$2" --target /tmp/p --no-deps worldpkg && '
              f"PYTHONPATH=/tmp/p {PYTHON} -c "
              '"import worldpkg; print(worldpkg.HELLO)"'),
        "hello from pip\n", 1, "No matching distribution", host="pip"),
    "npm": Client(shell(NPM), "hello from npm\n", 1, "EAI_AGAIN", host="npm"),
    "apt": Client(shell(APT), "worldpkg_1.0_all.deb\n", 100,
                  "failure resolving", host="apt"),
    "python": Client(python(PYTHON_FETCH), HERE, 1, "name resolution"),
    "node": Client(
        lambda kit, host: ["node", "-e", NODE_FETCH, host, kit.ca], HERE, 7,
        "EAI_AGAIN"),
    "own-resolver": Client(
        lambda kit, host: [kit.dir / "own_resolver", host, "80"], HERE, 3,
        "rcode 5\n", port="80"),
    "java": Client(
        lambda kit, host: ["java", "-Xshare:auto", kit.dir / "Fetch.java",
                           host, kit.ca], HERE, 1, "UnknownHostException"),
    "psql": Client(
        lambda kit, host: ["psql", "-h", host, "-U", "postgres", "-Atc",
                           "select 6 * 7"], "42\n", 2, "not translate host",
        ("postgres",), "db", "other-own", "5432/tcp"),
    "udp": Client(python(UDP_ECHO), "over udp\n", 1, "name resolution",
                  ("udp",), "echo", "other-own", "7/udp"),
}
