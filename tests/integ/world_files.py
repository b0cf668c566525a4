# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the servers of the world serve: certificates, a zone, repositories."""

import base64
import hashlib
import io
import json
import os
import subprocess
import tarfile
import zipfile

ZONE = "test.example"
# The addresses of the world. Documentation ranges: ordinary ones to a cell.
WEB4, WEB6 = "198.51.100.10", "2001:db8::10"  # every vhost
OWN4, OWN6 = "198.51.100.20", "2001:db8::20"  # servers of the agent, sshd, ...
DNS4, DNS6 = "198.51.100.53", "2001:db8::53"
LIAR4, LIAR6 = "198.51.100.54", "2001:db8::54"
ADDRS4 = [WEB4, OWN4, DNS4, LIAR4]
ADDRS6 = [WEB6, OWN6, DNS6, LIAR6]

VHOSTS = ["allowed", "neighbour", "git", "pip", "npm", "apt", "big", "v4only",
          "v6only", "short", "a.wild", "b.wild", "deep.a.wild", "wild"]
GREETING = "this is {}\n"
BIG_BYTES = 64 << 20

# Names at the second address; ports are the servers'.
OWN_NAMES = ["own", "ssh", "db", "echo", "banner", "other-own", "api", "evil",
             "cdn", "foo.cdn", "deep.foo.cdn", "blocked"]

ECH = base64.b64encode(bytes.fromhex(
    "0045fe0d0041590020002092a01233db2218518ccbbbbc24df20686af417b37388de460e"
    "94011974777090040001000100126f757465722e746573742e6578616d706c650000")
).decode()


def zone():
    """The zone file. Addresses that no answer may bring stand at the end."""
    lines = ["$ORIGIN test.example.", "$TTL 60",
             "@ SOA ns hostmaster 1 3600 600 86400 60", "@ NS ns",
             f"ns A {DNS4}", f"ns AAAA {DNS6}"]

    def both(name, v4, v6, ttl=60):
        lines.append(f"{name} {ttl} A {v4}")
        lines.append(f"{name} {ttl} AAAA {v6}")

    for name in VHOSTS:
        if name == "v4only":
            lines.append(f"{name} A {WEB4}")
        elif name == "v6only":
            lines.append(f"{name} AAAA {WEB6}")
        else:
            both(name, WEB4, WEB6, 1 if name == "short" else 60)
    for name in OWN_NAMES:
        both(name, OWN4, OWN6)
    both("*.wild", WEB4, WEB6)
    both("*.many", WEB4, WEB6)
    lines += [
        "www CNAME edge", "edge CNAME allowed",
        "strays CNAME allowed.elsewhere.example.", "loop CNAME loop2",
        "loop2 CNAME loop",
        'text TXT "some text"', "mail MX 10 allowed", "allowed MX 10 mail",
        'allowed TXT "v=1"', "_sip._tcp SRV 0 5 5060 allowed",
        f"allowed HTTPS 1 . alpn=h2,h3 ipv4hint={WEB4} ipv6hint={WEB6} "
        f"ech={ECH}",
        f"allowed SVCB 1 . alpn=h3 ech={ECH}",
        # Rebinding, one spelling each.
        "loopback A 127.0.0.1", "loopback AAAA ::1",
        "metadata A 169.254.169.254", "metadata AAAA fd00:ec2::254",
        "private A 10.1.2.3", "private AAAA fd12:3456::1",
        "cgnat A 100.64.0.2", "multicast A 224.0.0.251",
        "multicast AAAA ff02::fb", "unspecified A 0.0.0.0",
        "unspecified AAAA ::", "mapped AAAA ::ffff:127.0.0.1",
        "nat64 AAAA 64:ff9b::7f00:1", "sixtofour AAAA 2002:7f00:1::1",
        "teredo AAAA 2001:0:53aa:64c::1", "linklocal AAAA fe80::1",
        *(f"large A 198.51.100.{i}" for i in range(100, 140)),
        f"mixed A 127.0.0.1\nmixed A {WEB4}\nmixed A 169.254.169.254",
    ]
    return "\n".join(lines) + "\n"


def tool(*argv, cwd=None, env=None):
    p = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                            "HOME": str(cwd or "/"), "LC_ALL": "C.UTF-8",
                            **(env or {})})
    if p.returncode:
        raise RuntimeError(f"{argv}: {p.stdout.decode(errors='replace')}")
    return p.stdout.decode()


def certificates(d):
    """ca.pem, and one certificate for every vhost: only the door can tell
    them apart."""
    names = [f"DNS:{n}.{ZONE}" for n in VHOSTS + OWN_NAMES] + [
        f"DNS:*.wild.{ZONE}", f"DNS:www.{ZONE}", f"DNS:edge.{ZONE}"]
    tool("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out",
         "ca.pem", "-days", "2", "-subj", "/CN=CA of the world", "-addext",
         "keyUsage=critical,keyCertSign,cRLSign", cwd=d)
    tool("openssl", "req", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-keyout", "web.key", "-out",
         "web.csr", "-subj", "/CN=web of the world", cwd=d)
    (d / "ext").write_text("subjectAltName=" + ",".join(names) + "\n"
                           "basicConstraints=CA:FALSE\n"
                           "authorityKeyIdentifier=keyid\n")
    tool("openssl", "x509", "-req", "-in", "web.csr", "-CA", "ca.pem",
         "-CAkey", "ca.key", "-CAcreateserial", "-out", "web.pem", "-days",
         "2", "-extfile", "ext", cwd=d)


def git_repository(root, work):
    """A bare repository that needs no server but one of files."""
    env = {"GIT_AUTHOR_NAME": "w", "GIT_AUTHOR_EMAIL": "w@" + ZONE,
           "GIT_COMMITTER_NAME": "w", "GIT_COMMITTER_EMAIL": "w@" + ZONE}
    work.mkdir()
    tool("git", "init", "-q", "-b", "main", cwd=work)
    (work / "README").write_text("hello from git\n")
    tool("git", "add", "README", cwd=work)
    tool("git", "commit", "-q", "-m", "one", cwd=work, env=env)
    bare = root / "repo.git"
    tool("git", "clone", "-q", "--bare", str(work), str(bare), cwd=root)
    tool("git", "update-server-info", cwd=bare)


def pip_index(root):
    """simple/ with one wheel made by hand."""
    name = "worldpkg-1.0-py3-none-any.whl"
    buf = io.BytesIO()
    info = "worldpkg-1.0.dist-info/"
    with zipfile.ZipFile(buf, "w") as z:
        z.writestr("worldpkg.py", "HELLO = 'hello from pip'\n")
        z.writestr(info + "METADATA",
                   "Metadata-Version: 2.1\nName: worldpkg\nVersion: 1.0\n")
        z.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: hand\n"
                   "Root-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(info + "RECORD", "worldpkg.py,,\n" + "".join(
            f"{info}{f},,\n" for f in ("METADATA", "WHEEL", "RECORD")))
    d = root / "simple" / "worldpkg"
    d.mkdir(parents=True)
    (d / name).write_bytes(buf.getvalue())
    (d / "index.html").write_text(
        f'<!DOCTYPE html><html><body><a href="{name}">{name}</a>'
        "</body></html>\n")


def npm_registry(root):
    """One package; a registry that only reads needs only files."""
    buf = io.BytesIO()
    with tarfile.open(fileobj=buf, mode="w:gz") as t:
        for path, body in (
                ("package/package.json",
                 '{"name":"worldpkg","version":"1.0.0","main":"i.js"}\n'),
                ("package/i.js", "module.exports = 'hello from npm'\n")):
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(body), 0o644
            t.addfile(member, io.BytesIO(body.encode()))
    body = buf.getvalue()
    (root / "worldpkg-1.0.0.tgz").write_bytes(body)
    sha = base64.b64encode(hashlib.sha512(body).digest()).decode()
    (root / "worldpkg").write_text(json.dumps({
        "name": "worldpkg", "dist-tags": {"latest": "1.0.0"},
        "versions": {"1.0.0": {
            "name": "worldpkg", "version": "1.0.0", "main": "i.js",
            "dist": {"tarball": f"https://npm.{ZONE}/worldpkg-1.0.0.tgz",
                     "integrity": "sha512-" + sha}}}}))


def apt_repository(root):
    """A flat repository with one empty package."""
    control = ("Package: worldpkg\nVersion: 1.0\nArchitecture: all\n"
               "Maintainer: w <w@test.example>\nDescription: of the world\n")
    build = root / "build"
    (build / "DEBIAN").mkdir(parents=True)
    (build / "DEBIAN" / "control").write_text(control)
    build.chmod(0o755)
    (build / "DEBIAN").chmod(0o755)
    tool("dpkg-deb", "--root-owner-group", "-b", str(build),
         str(root / "worldpkg.deb"), cwd=root)
    deb = (root / "worldpkg.deb").read_bytes()
    packages = (control + f"Filename: ./worldpkg.deb\nSize: {len(deb)}\n"
                f"SHA256: {hashlib.sha256(deb).hexdigest()}\n\n").encode()
    (root / "Packages").write_bytes(packages)
    (root / "Release").write_text(
        "Origin: world\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n"
        f" {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n")


def site(d):
    """Everything nginx serves, one directory a vhost."""
    for name in VHOSTS:
        root = d / name
        root.mkdir(parents=True)
        (root / "index.html").write_text(GREETING.format(f"{name}.{ZONE}"))
    git_repository(d / "git", d / "git-work")
    pip_index(d / "pip")
    npm_registry(d / "npm")
    apt_repository(d / "apt")
    with open(d / "big" / "file", "wb") as f:
        f.truncate(BIG_BYTES)


def nginx_conf(d, modules=""):
    """Every vhost on one address, TLS 1.2 and 1.3, h2 inside TLS. A POST to
    /echo comes back from the recording server of the agent. Port 8443 takes
    one group only, so that it asks most clients for a second hello."""
    servers = "".join(f"""
    server {{
        server_name {n}.{ZONE}{' *.wild.' + ZONE if n == 'wild' else ''}\
{' www.%s edge.%s' % (ZONE, ZONE) if n == 'allowed' else ''};
        {listen()}
        root {d}/site/{n};
        location /echo {{ proxy_pass http://{OWN4}:8080; }}
        {'default_type application/json;' if n == 'npm' else ''}
    }}""" for n in VHOSTS)
    return f"""{modules}
daemon off;
worker_processes 1;
pid {d}/nginx.pid;
error_log stderr;
events {{ worker_connections 8192; }}
http {{
    types {{ text/html html; }}
    default_type application/octet-stream;
    access_log {d}/access.log combined;
    client_body_temp_path {d}/t1; proxy_temp_path {d}/t2;
    fastcgi_temp_path {d}/t3; uwsgi_temp_path {d}/t4; scgi_temp_path {d}/t5;
    ssl_certificate {d}/web.pem;
    ssl_certificate_key {d}/web.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    keepalive_requests 1000000;
    server {{
        server_name allowed.{ZONE};
        listen {WEB4}:8443 ssl;
        listen [{WEB6}]:8443 ssl;
        ssl_ecdh_curve secp384r1;
        root {d}/site/allowed;
    }}
    server {{ {listen(' default_server')} return 404 "no such vhost\\n"; }}
{servers}
}}
"""


def listen(more=""):
    return "".join(f"listen {a}:80{more}; listen {a}:443 ssl http2{more}; "
                   for a in (WEB4, f"[{WEB6}]"))


def unbound_conf(d):
    return f"""server:
    interface: {DNS4}
    interface: {DNS6}
    access-control: 0.0.0.0/0 allow
    access-control: ::/0 allow
    username: ""
    chroot: ""
    directory: "{d}"
    pidfile: ""
    use-syslog: no
    logfile: ""
    log-queries: yes
    num-threads: 1
    do-daemonize: no
    module-config: "iterator"
    private-address: 255.255.255.255/32
    local-zone: "elsewhere.example." static
    local-data: "allowed.elsewhere.example. A {WEB4}"
auth-zone:
    name: "{ZONE}"
    zonefile: "{d}/zone"
    for-downstream: yes
    for-upstream: yes
remote-control:
    control-enable: no
"""


def passwd(d, users):
    """Users of the world: what a server that must not be root runs as."""
    (d / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n" + "".join(
        f"{name}:x:{uid}:{uid}::{d}:/bin/sh\n" for name, uid in users.items())
        + "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n")
    (d / "group").write_text("root:x:0:\n" + "".join(
        f"{name}:x:{uid}:\n" for name, uid in users.items())
        + "nogroup:x:65534:\n")


def ssh_keys(d):
    """A host key of the server, a key of the client, and what each knows."""
    tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "host_key",
         cwd=d)
    client = d / "ssh"
    client.mkdir()
    tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "id", cwd=client)
    (d / "authorized").write_text((client / "id.pub").read_text())
    key = " ".join((d / "host_key.pub").read_text().split()[:2])
    (client / "known_hosts").write_text(
        "".join(f"{n}.{ZONE} {key}\n" for n in OWN_NAMES))
    # who is nobody in a cell must read it too; ssh wants a copy that is 0600
    os.chmod(client / "id", 0o644)


def sshd_conf(d):
    return f"""Port 22
ListenAddress {OWN4}
ListenAddress {OWN6}
HostKey {d}/host_key
AuthorizedKeysFile {d}/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
UseDNS no
PidFile none
MaxStartups 100
"""
