# SPDX-License-Identifier: MIT OR Apache-2.0
"""Ways around the door, at its start, beside it and below it. The number is
that of the requirement: rNN."""

import shutil
import subprocess

import pytest

from conftest import SLACK, SLOW, TEST_BUILD
from door_clients import HERE
from door_harness import (PYTHON, WorldCells,
                          connections, decisions, name, say, speak)
from test_door_vectors import UNKNOWN
from world_files import OWN4

API, ALLOWED = name("api"), name("allowed")


@pytest.fixture
def door(world, tmp_path):
    c = WorldCells(tmp_path, world.need("raw", "sink"), "dual")
    yield c
    c.close()


@pytest.fixture
def client_dir(door):
    d = door.own / "clients"
    d.mkdir(parents=True)
    door.own.chmod(0o755)
    shutil.copy(TEST_BUILD / "tests" / "clients" / "constructor", d)
    return d


# -- r17: the first moment --

STARTS = 100 if SLOW else 1000
LOOP = """
i=0
while [ $i -lt "$1" ]; do
    "$2" run --events "$3" --ro "$4" --allow "$5" -- "$4/constructor" || exit 9
    i=$((i + 1))
done
"""


def test_r17_a_program_that_connects_before_main(door, client_dir):
    """Its first act is to connect where it may not. A thousand starts: not
    once does it get there."""
    seen = {s: len(door.world.seen(s)) for s in ("sink", "raw443")}
    before = door.host.capture()
    p = subprocess.run(
        [*door.host.enter, "sh", "-c", LOOP, "sh", str(STARTS), door.cellos,
         door.events_path(), str(client_dir), f"{API}:443"],
        env=door.environ(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=600)
    assert p.returncode == 0, p.stderr
    # one port nobody named, one that is named for an address that was never
    # given: the second is taken, and cut
    assert set(p.stdout.splitlines()) == {"ECONNREFUSED ECONNRESET"}, \
        set(p.stdout.splitlines())
    assert len(p.stdout.splitlines()) == STARTS
    assert {s: len(door.world.seen(s)) for s in seen} == seen
    assert door.host.packets(before) == []
    assert door.verify(door.tmp / f"events-{door.count}.jsonl").rc == 0


def test_r17_the_first_query_is_answered(door):
    """And the other way round: what is allowed works from the first moment."""
    door.world.need("nginx")
    for _ in range(20):
        r = door.allow([f"{ALLOWED}:80"], "curl", "-sS", f"http://{ALLOWED}/")
        assert (r.rc, r.out) == (0, HERE), r


# -- r18: nothing is shared between cells --

def test_r18_cells_do_not_share_what_was_let_through(door):
    """One has a connection open where the other may not go, and has resolved
    the name; both use the same addresses inside."""
    code = f"""if True:
        import socket, sys
        s = socket.create_connection(("{OWN4}", 9000), 10)
        s.sendall(b"a")
        print("open", flush=True)
        sys.stdin.readline()
        s.shutdown(socket.SHUT_WR)
        print(s.recv(100))
        """
    p = door.start(PYTHON, "-c", code, flags=["-i", "--allow",
                                              f"{OWN4}:9000/tcp"],
                   stdin=subprocess.PIPE)
    try:
        assert p.stdout.readline() == "open\n"
        r, (h,) = speak(door, [f"{API}:443"], [say((OWN4, 9000), b"b")])
        assert h["end"] == "ECONNREFUSED", r
    finally:
        out, err = p.communicate("\n", timeout=30 * SLACK)
    assert (p.returncode, out) == (0, "b'taken\\n'\n"), err


# -- r19: sockets that know no network namespace --

HOSTILE = {"vsock": "EAFNOSUPPORT", "alg": "EAFNOSUPPORT",
           "packet-raw": "EPERM", "packet-dgram": "EPERM", "raw-ip": "EPERM",
           "io-uring-setup": "EPERM", "netlink-netfilter": "EPROTONOSUPPORT",
           "netlink-diag": "EPROTONOSUPPORT", "so-mark": "EPERM",
           "unshare-net": "EPERM", "lo-down": "EPERM"}


def test_r19_families_that_ignore_namespaces(door, hostile):
    r = door.allow([f"{API}:443"], "sh", "-c", "\n".join(
        f"{hostile}/hostile {probe}" for probe in HOSTILE), ro=[hostile])
    assert dict(line.split("=") for line in r.out.splitlines()) == HOSTILE, r


def test_r19_nothing_of_the_gate_is_in_the_cell(door):
    """No descriptor, no process, no address of it can be had or touched."""
    r = door.allow([f"{API}:443"], "sh", "-c", """
        ls /proc/self/fd | tr '\\n' ' '
        ls /proc | grep -c '^[0-9]*$' >/tmp/n
        cat /proc/*/comm 2>/dev/null | grep -c gate
        ls -d /run/* /var/run/docker.sock 2>/dev/null | wc -l""",
                   env={"SSH_AUTH_SOCK": "/nowhere"})
    assert r.out.split()[-2:] == ["0", "0"], r
    # 3 is ls's own
    assert set(r.out.split()[:-2]) <= {"0", "1", "2", "3"}, r


def test_r19_the_gates_port_is_refused(door):
    """Every port of the cell's own addresses: none answers but its own
    servers'."""
    code = """if True:
        import socket
        def tried(family, a):
            n = 0
            for port in range(1, 65536):
                s = socket.socket(family)
                s.settimeout(5)
                if s.connect_ex((a, port)) == 0:
                    s.settimeout(1)
                    try:
                        if s.recv(1):
                            n += 1
                    except OSError:
                        pass
                s.close()
            return n
        print(tried(socket.AF_INET, "127.0.0.1"))
        """
    before = door.host.capture()
    r = door.python([f"{API}:443"], code, timeout=120)
    assert (r.rc, r.out) == (0, "0\n"), r
    assert door.host.packets(before) == []


# -- r20: the host --

LISTEN = """
import socket, sys
out = []
for a in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6 if ":" in a else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((a, 6666))
    s.listen(10)
    out.append(s)
print("ready", flush=True)
sys.stdin.read()
for s in out:
    s.setblocking(False)
    try:
        s.accept()
        print("reached")
    except BlockingIOError:
        print("untouched")
"""


@pytest.fixture
def host_server(door):
    """Servers of the host itself: loopback, and its own addresses."""
    p = subprocess.Popen(
        [*door.host.enter, PYTHON, "-c", LISTEN, "127.0.0.1", "::1",
         door.host.own4, door.host.own6], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "ready\n"
    yield p
    if p.returncode is None:
        p.communicate()


def test_r20_the_hosts_own_servers(door, host_server):
    """Neither its loopback, nor its addresses, be they in a net that is
    allowed."""
    r, heard = speak(door, ["203.0.113.0/24:6666", "[2001:db8::/32]:6666"],
                     [say((a, 6666), b"x") for a in (
                         "127.0.0.1", "::1", door.host.own4, door.host.own6)])
    assert [h["end"] for h in heard[:2]] == ["ECONNREFUSED"] * 2, heard
    assert {h["end"] for h in heard[2:]} <= {"ECONNRESET", "ECONNREFUSED"}
    out, _ = host_server.communicate()
    assert out.split() == ["untouched"] * 4
    assert {f["reason"] for f in connections(r)
            if f["destination"]["port"] == 6666 and
            f["destination"]["address"] in (door.host.own4, door.host.own6)
            } == {"address_class"}
    door.verified(r)


def test_r20_the_hosts_own_address_if_it_is_spelled_out(door, host_server):
    r, heard = speak(door, [f"{door.host.own4}:6666/tcp"], [
        say((door.host.own4, 6666), b"x", seconds=0.2)])
    out, _ = host_server.communicate()
    assert out.split() == ["untouched", "untouched", "reached", "untouched"], r


def test_r20_what_the_cell_binds_is_its_own(door):
    """Reachable inside, by its loopback; not from the host."""
    code = """if True:
        import socket, sys
        s = socket.create_server(("0.0.0.0", 6667))
        t = socket.create_server(("::", 6668), family=socket.AF_INET6)
        c = socket.create_connection(("127.0.0.1", 6667), 5)
        s.accept()[0].send(b"inside")
        print(c.recv(100), flush=True)
        sys.stdin.readline()
        s.setblocking(False)
        try:
            s.accept()
            print("reached")
        except BlockingIOError:
            print("untouched")
        """
    p = door.start(PYTHON, "-c", code, flags=["-i", "--allow",
                                              f"{API}:443"],
                   stdin=subprocess.PIPE)
    try:
        assert p.stdout.readline() == "b'inside'\n"
        probe = """if True:
            import socket, sys
            for a in sys.argv[1:]:
                s = socket.socket(socket.AF_INET6 if ":" in a else
                                  socket.AF_INET)
                print([s.connect_ex((a, p)) for p in (6667, 6668)])
            print([l for f in ("tcp", "tcp6") for l in open(
                f"/proc/net/{f}") if l.split()[3] == "0A"])
            """
        h = door.host.run(PYTHON, "-c", probe, "127.0.0.1", "::1",
                          door.host.own4, door.host.own6)
        # and nothing of ours listens on the host
        assert h.stdout.split("\n")[:5] == ["[111, 111]"] * 4 + ["[]"], \
            h.stdout
    finally:
        out, err = p.communicate("\n", timeout=30 * SLACK)
    assert out == "untouched\n", err


# -- r22: protocols in which the server speaks first --

def test_r22_the_server_speaks_first(door):
    """Without the client's first byte there is nothing to wait for: the
    banner comes long before a peek could have run out."""
    door.world.need("banner")
    code = """if True:
        import socket, sys
        s = socket.create_connection((sys.argv[1], 25), 5)
        s.settimeout(float(sys.argv[2]))
        print(s.recv(100).decode(), end="")
        s.sendall(b"EHLO\\r\\n")
        print(s.recv(100).decode(), end="")
        """
    r = door.python([f"{name('banner')}:25/tcp"], code, name("banner"),
                    0.4 * SLACK)
    assert (r.rc, r.out.split()) == (
        0, ["220", "banner", "of", "the", "world", "EHLO"]), r
    flow, = [f for f in connections(r) if f["verdict"] == "allow"]
    assert (flow["reason"], flow["protocol"], flow["bytesUp"]) == (
        "name_rule", "tcp", 6)
    door.verified(r)


def test_r22_ssh_is_no_tls(door):
    """A rule says which protocol: an SSH client at a `tls` rule is refused."""
    door.world.need("sshd")
    r = door.allow([f"{name('ssh')}:22/tls"], "sh", "-c",
                   "ssh -F /dev/null -o BatchMode=yes "
                   f"-o StrictHostKeyChecking=no x@{name('ssh')}")
    assert r.rc == 255 and "Permission denied" not in r.err, r
    assert ("deny", UNKNOWN, "(unknown)") in decisions(r)
    assert door.world.log("sshd").count("invalid user x") == 0
    door.verified(r)


def test_a_datagram_flow(door):
    """Answers come from the address and port that were asked, both ways, and
    one flow is one record."""
    door.world.need("udp")
    code = """if True:
        import socket, sys
        for family, kind, proto, _, addr in socket.getaddrinfo(
                sys.argv[1], 7, type=socket.SOCK_DGRAM):
            s = socket.socket(family, kind)
            s.settimeout(10)
            for i in range(5):
                s.sendto(b"%d" % i, addr)
                got, peer = s.recvfrom(100)
                assert got == b"%d" % i and peer[:2] == addr[:2], (got, peer)
            print("five")
        """
    r = door.python([f"{name('echo')}:7/udp"], code, name("echo"))
    assert (r.rc, r.out) == (0, "five\nfive\n"), r
    flows = [f for f in connections(r) if f["verdict"] == "allow"]
    assert [(f["l4"], f["bytesUp"], f["bytesDown"]) for f in flows] == [
        ("udp", 5, 5)] * 2
    door.verified(r)
