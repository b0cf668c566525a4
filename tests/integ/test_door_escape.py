# SPDX-License-Identifier: MIT OR Apache-2.0
"""The ways out that others left open, each tried on this door. The number is
that of the requirement: rNN."""

import base64
import os
import subprocess

import pytest

from conftest import SLACK, descendants, wait_until
from door_clients import HERE
from door_harness import (DENIED, LET_THROUGH, PYTHON, WorldCells, arrived,
                          connections, decisions, dns_queries, name,
                          record_of, say, speak)
from test_door_dns import REFUSED, RESOLVER, query
from test_door_vectors import BASE, MATCH, MISS, ext, hello, record, tls
from world_files import OWN4, OWN6, WEB4

API, EVIL, ALLOWED = name("api"), name("evil"), name("allowed")


@pytest.fixture
def door(world, tmp_path):
    c = WorldCells(tmp_path, world.need("raw"), "dual")
    yield c
    c.close()


def reason(r, heard):
    return record_of(r, heard)["reason"]


# -- names and TLS --

SPELLINGS = ["{}\0", "{}%00", "{}\r\n", "{} ", " {}", "{}/", "/{}", "a@{}",
             "{}@evil.com", ".{}", "{}..", "evil\0.{}", "evil%00.{}",
             "evil .{}", "evil/.{}", "2130706433", "0x7f.1", "[::1]",
             "127.0.0.1", "a" * 64 + ".{}", ".".join(["a" * 60] * 4) + ".{}",
             "\xe4.{}", "xn--.{}", "-.{}", "{}:443"]


def test_r01_spellings(door):
    """No odd spelling is taken for a name that is allowed: not of an exact
    rule, not below a wildcard. One that is allowed goes by the same bytes."""
    texts = [s.format(name("foo.cdn")).encode("latin-1") for s in SPELLINGS]
    good = [name("foo.cdn").upper().encode(), name("foo.cdn").encode() + b"."]
    before = len(door.world.seen("raw443")) + len(door.world.seen("raw80"))
    rules = ["*." + name("cdn") + ":443", "*." + name("cdn") + ":80"]
    r, heard = speak(door, rules, [
        say((OWN4, 443), tls(t), ask=[name("foo.cdn")]) for t in texts] + [
        say((OWN4, 80), b"GET / HTTP/1.1\r\nHost: " + t + b"\r\n\r\n",
            fin=True) for t in texts  # a port and outer space may stand there
        if b":443" not in t and t.strip() == t] + [
        say((OWN4, 443), tls(t)) for t in good])
    for h in heard[:-len(good)]:
        assert record_of(r, h)["verdict"] == "deny", record_of(r, h)
        assert LET_THROUGH not in h["got"] and b" 200 " not in h["got"]
    for h in heard[-len(good):]:
        f = record_of(r, h)
        assert (f["verdict"], f["sni"], h["got"]) == (
            "allow", name("foo.cdn"), LET_THROUGH)
    arrived(door.world, "raw443", before, len(good))
    assert len(door.world.seen("raw443")) + len(door.world.seen("raw80")) == \
        before + len(good)
    door.verified(r)


@pytest.mark.parametrize("spelling", ["evil/.{}", "{}..", "a b.{}", "-.{}",
                                      "*.*.{}", "*{}", "2130706433"])
def test_r01_spellings_in_a_rule(door, spelling):
    """Nor can a rule be written so."""
    r = door.allow([spelling.format(ALLOWED) + ":443"], "true")
    assert (r.rc, r.out) == (125, ""), r
    assert r.err.strip()


def gate_of(p):
    """The gate below a runner."""
    def found():
        for pid in descendants(p.pid):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if f.read().split(b"\0")[0].endswith(b"cellos-gate"):
                        return pid
            except OSError:
                pass
        return 0
    pid = wait_until(found, 10)
    assert pid, "no gate"
    return pid


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


STALL = """if True:
    import base64, resource, socket, sys
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    hello = base64.b64decode(sys.argv[1])
    def dial():
        return socket.create_connection((sys.argv[2], 443), 10)
    socket.getaddrinfo(sys.argv[3], 443)
    print("begin", flush=True)
    sys.stdin.readline()
    held = []
    for i in range(1000):
        s = dial()
        s.send(hello[:30])
        held.append(s)
    print("stalled", flush=True)
    sys.stdin.readline()
    good = dial()
    good.send(hello)
    print(good.recv(100).hex(), flush=True)
    """


def test_r02_a_thousand_stalled_hellos(door):
    """They cost less than 32 KiB each, and a good one is not delayed (it is
    answered before the stalled ones have run out of their 5 s)."""
    p = door.start(PYTHON, "-c", STALL, base64.b64encode(BASE).decode(), OWN4,
                   API, flags=["-i", "--allow", f"{API}:443"],
                   stdin=subprocess.PIPE)
    try:
        assert p.stdout.readline() == "begin\n"
        gate = gate_of(p)
        before = resident(gate)
        p.stdin.write("\n")
        p.stdin.flush()
        assert p.stdout.readline() == "stalled\n"
        assert resident(gate) - before < 1000 * 32 * 1024
        p.stdin.write("\n")
        p.stdin.flush()
        assert p.stdout.readline() == LET_THROUGH.hex() + "\n"
    finally:
        out, err = p.communicate(timeout=30 * SLACK)
    assert p.returncode == 0, err
    assert door.verify(p.events_path).rc == 0


def test_r03_a_second_hello(door):
    """A server may ask for one; it must show the first one's name."""
    door.world.need("nginx", "retry")
    r = door.allow([f"{ALLOWED}:8443/tls"], "curl", "-sS", "--tlsv1.3",
                   "--curves", "X25519:P-384", "--cacert", door.ca,
                   f"https://{ALLOWED}:8443/")
    assert (r.rc, r.out) == (0, HERE), r
    before = len(door.world.seen("retry"))
    script = """if True:
        import base64, socket, sys
        first, *second = [base64.b64decode(a) for a in sys.argv[2:]]
        for other in second:
            socket.getaddrinfo(sys.argv[1], 8444)
            s = socket.create_connection(("%s", 8444), 10)
            s.sendall(first)
            got = s.recv(5)
            got = s.recv(got[3] * 256 + got[4], socket.MSG_WAITALL)
            assert got[0] == 2, got
            s.sendall(other)
            s.settimeout(10)
            try:
                print(s.recv(1000).hex())
            except OSError as e:
                print(e.errno)
            s.close()
        """ % OWN4
    hellos = [base64.b64encode(b).decode() for b in (BASE, BASE, tls(EVIL))]
    r = door.allow([f"{API}:8444/tls"], PYTHON, "-c", script, API, *hellos)
    said = r.out.split()
    assert said[0] == LET_THROUGH.hex(), r
    assert said[1] != LET_THROUGH.hex(), r
    got = arrived(door.world, "retry", before, 2)
    assert [base64.b64decode(e["data"]) for e in got] == [BASE, b""]
    assert decisions(r)[-1] == ("deny", MISS, EVIL), decisions(r)
    door.verified(r)


def test_r04_missing_sni_and_addresses_nobody_gave(door):
    before = len(door.world.seen("raw443"))
    r, heard = speak(door, [f"{API}:443", f"{ALLOWED}:443"], [
        # no name was asked for yet: the address means nothing
        say((OWN4, 443), BASE), say((OWN6, 443), BASE),
        say((OWN4, 443), record(hello(b"")), ask=[API]),
        say(("192.0.2.7", 443), BASE),
        say(("2001:db8:ffff::7", 443), BASE)])
    assert [reason(r, h) for h in heard] == [
        "address_not_named", "address_not_named", "l7_sni_missing",
        "address_not_named", "address_not_named"], r
    for i in (0, 1, 3, 4):
        assert (heard[i]["got"], heard[i]["end"]) == (b"", "ECONNRESET")
    assert len(door.world.seen("raw443")) == before
    door.verified(r)


def test_r05_names_that_are_not_one(door):
    """Both are allowed, at different addresses: the name shown must be one
    that leads where the connection goes. One record says all of it."""
    r, heard = speak(door, [f"{API}:443", f"{ALLOWED}:443", f"{API}:80",
                            f"{ALLOWED}:80"], [
        say((WEB4, 443), BASE, ask=[API, ALLOWED]),
        say((OWN4, 443), tls(ALLOWED)),
        say((OWN4, 80), f"GET / HTTP/1.1\r\nHost: {ALLOWED}\r\n\r\n".encode(),
            fin=True),
        say((OWN4, 443), BASE)])
    assert [reason(r, h) for h in heard] == [
        "sni_not_at_address", "sni_not_at_address", "host_not_at_address",
        MATCH], r
    f = record_of(r, heard[1])
    assert (f["destination"], f["sni"]) == (
        {"address": OWN4, "port": 443}, ALLOWED)
    f = record_of(r, heard[3])
    assert (f["question"], f["destination"], f["dialled"], f["sni"]) == (
        API, {"address": OWN4, "port": 443}, {"address": OWN4, "port": 443},
        API)
    assert f["unverified"] == ["inner_authority"]
    door.verified(r)


@pytest.mark.parametrize("policy,code,verdict", [
    ("deny", "ech_refused", "deny"), (None, MATCH, "allow")])
def test_r06_ech(door, policy, code, verdict):
    """A hard-coded key needs no DNS: the hello is judged by its outer name,
    and told; or refused, if that is asked for."""
    hello = tls(API, ext(0xfe0d, b"\0\0\1\0\1\7" + bytes(200)))
    before = len(door.world.seen("raw443"))
    r, (h,) = speak(door, [f"{API}:443"], [say((OWN4, 443), hello, ask=[API])],
                    env={"CELLOS_ECH": policy} if policy else {})
    f = record_of(r, h)
    assert (f["reason"], f["verdict"], f["ech"]) == (code, verdict, True)
    assert h["got"] == (DENIED if policy else LET_THROUGH)
    if policy:
        assert len(door.world.seen("raw443")) == before
    else:
        assert "ech_inner_name" in f["unverified"]
    door.verified(r)


def test_r08_http_through_the_allowed_host(door):
    """An upgrade that is no HTTP any more, and requests behind it."""
    ws = (f"GET / HTTP/1.1\r\nHost: {API}\r\nConnection: Upgrade\r\nUpgrade: "
          "websocket\r\n\r\n").encode()
    evil = f"GET / HTTP/1.1\r\nHost: {EVIL}\r\n\r\n".encode()
    before = len(door.world.seen("raw80"))
    r, (h,) = speak(door, [f"{API}:80"], [
        say((OWN4, 80), ws + evil, fin=True, ask=[API])])
    # the server did not switch: what follows is a request, and is judged
    assert h["got"].count(b" 200 ") <= 1
    assert decisions(r)[-1][:2] == ("deny", "l7_http_host_allowlist_miss"), r
    assert [EVIL.encode() in base64.b64decode(e["head"])
            for e in door.world.seen("raw80", before)] == [False]
    door.verified(r)


# -- DNS and addresses --

def many_queries(count, zone):
    """A cell that asks for so many names, and counts the answers' codes."""
    return f"""if True:
        import collections, os, socket, struct
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(10)
        s.connect(("{RESOLVER}", 53))
        codes = collections.Counter()
        zone = {b"".join(bytes([len(x)]) + x.encode()
                         for x in zone.split(".")) + bytes(1)!r}
        for i in range({count}):
            label = os.urandom(15).hex().encode()
            s.send(struct.pack("!6H", i & 65535, 256, 1, 0, 0, 0) +
                   bytes([len(label)]) + label + zone +
                   struct.pack("!HH", 1, 1))
            codes[s.recv(4096)[3] & 15] += 1
        print(sorted(codes.items()))
        """


def test_r10_ten_thousand_names(door):
    """Of a zone that is not allowed: not one packet leaves. Every one of them
    is told, most by number."""
    before = door.host.capture()
    r = door.allow([f"{API}:443"], PYTHON, "-c",
                   many_queries(10000, name("many")), timeout=120)
    assert (r.rc, r.out) == (0, "[(5, 10000)]\n"), r
    assert door.host.packets(before) == []
    alone = [q for q in dns_queries(r)]
    assert {q[1] for q in alone} == {"denied_not_in_allowlist"}
    counted = sum(f["count"] for f in connections(r)
                  if f["kind"] == "queries")
    assert len(alone) + counted == 10000
    door.verified(r)


def test_r10_a_budget_below_a_wildcard(door):
    """So many distinct names, and then no more."""
    before = len(door.world.queries())
    r = door.allow(["*." + name("many") + ":443"], PYTHON, "-c",
                   many_queries(200, name("many")),
                   env={"CELLOS_LIMIT_WILDCARD_NAMES": "50"})
    assert (r.rc, r.out) == (0, "[(0, 50), (5, 150)]\n"), r
    assert len(set(door.world.queries(before))) == 50
    door.verified(r)


def test_r10_types_and_classes_nobody_allowed(door):
    before = door.host.capture()
    kinds = [(k, 1) for k in (2, 6, 10, 12, 15, 16, 33, 35, 64, 99, 251, 252,
                              255, 65535)] + [(16, 3), (1, 255), (1, 4)]
    r, heard = speak(door, [f"{API}:443"], [
        say((RESOLVER, 53), query(host, k, cls=c), udp=True)
        for k, c in kinds for host in (API, EVIL)])
    assert {base64.b64decode(h["got"][0])[3] & 15 for h in heard} == {REFUSED}
    assert door.host.packets(before) == []
    door.verified(r)


@pytest.mark.parametrize("host", ["127.0.0.1:80", "[::1]:80", "0.0.0.0:80",
                                  "127.0.0.0/8:80",
                                  "[::ffff:127.0.0.1]:80"])
def test_r11_loopback_cannot_be_a_rule(door, host):
    r = door.allow([host], "true")
    assert (r.rc, r.out) == (125, ""), r
    assert r.err.strip()


def test_r11_special_addresses_are_not_dialled(door):
    """A net that happens to hold them does not open them, and neither the
    host's own addresses: those must be spelled out."""
    before = door.host.capture()
    targets = ["169.254.169.254", "169.254.1.1", "224.0.0.251",
               "fe80::1", "fd00:ec2::254", "ff02::fb"]
    own = [door.host.own4, door.host.own6]
    r, heard = speak(door, [
        "0.0.0.0/0:9000", "[::/0]:9000"], [
        say((a, 9000), b"x") for a in targets + own] + [
        say((a, 9000), b"x", udp=True) for a in ("224.0.0.251", "ff02::fb")])
    for h in heard:
        assert h["got"] in (b"", []) and h["end"] in (
            "ECONNRESET", "ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH",
            "EINVAL", "EACCES", "EPERM"), h
    assert door.host.packets(before) == []
    assert all(f["verdict"] == "deny" for f in connections(r))
    door.verified(r)


ASK = """if True:
    import socket, sys, time
    def ask(s):
        s.sendall(f"GET / HTTP/1.1\\r\\nHost: {sys.argv[1]}\\r\\n\\r\\n"
                  .encode())
        print(s.recv(4096).split(b"\\r\\n")[0].decode())
    where = socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)
    def dial():
        return socket.create_connection(where[0][4][:2], 10)
    """
LIVE = ASK + """
    kept = dial()
    ask(kept)
    time.sleep(2.5)  # longer than the name's time
    ask(kept)
    """
LATE = ASK + """
    time.sleep(2.5)
    try:
        ask(dial())
    except ConnectionResetError as e:
        print("reset")
    """
SHORT = {"CELLOS_LIMIT_PIN_TTL_MIN_SECONDS": "0"}


def test_r12_a_connection_outlives_its_name(door):
    door.world.need("nginx")
    r = door.python([f"{name('short')}:80"], LIVE, name("short"),
                    env={**SHORT, "CELLOS_LIMIT_PIN_GRACE_SECONDS": "0"})
    assert r.out == "HTTP/1.1 200 OK\n" * 2, r
    door.verified(r)


@pytest.mark.parametrize("grace,says", [
    ("0", "reset\n"), ("60", "HTTP/1.1 200 OK\n")])
def test_r12_a_new_connection_needs_the_grace(door, grace, says):
    door.world.need("nginx")
    r = door.python([f"{name('short')}:80"], LATE, name("short"),
                    env={**SHORT, "CELLOS_LIMIT_PIN_GRACE_SECONDS": grace})
    assert r.out == says, r
    door.verified(r)


def test_r14_dns_by_other_doors(door):
    """Ports of encrypted DNS are closed, whatever a rule says."""
    for rule in (f"{API}:853", f"{OWN4}:853/tcp", f"{OWN4}:853/udp"):
        r = door.allow([rule], "true")
        assert r.rc == 125 and "853" in r.err, r
    before = door.host.capture()
    r, heard = speak(door, [f"{API}:443"], [
        say((OWN4, 853), BASE, ask=[API]), say((OWN6, 853), BASE),
        say((OWN4, 853), b"x", udp=True), say((OWN6, 853), b"x", udp=True)])
    # a refused datagram is told to who sends it
    assert [h["end"] for h in heard] == ["ECONNREFUSED"] * 2 + ["EPERM"] * 2, r
    assert {p["port"] for p in door.host.packets(before)} <= {53}
    door.verified(r)


def test_r15_quic_is_refused_at_once(door):
    """So that a client falls back: an answer, not silence."""
    r, heard = speak(door, [f"{API}:443", f"{OWN4}:443/tcp"], [
        say((a, 443), b"\xc0" + bytes(1199), udp=True, seconds=0.1 * SLACK)
        for a in (OWN4, OWN6)])
    assert [h["end"] for h in heard] == ["EPERM"] * 2, r
    told = [f for f in connections(r) if f.get("l4") == "udp"]
    assert {f["verdict"] for f in told} == {"deny"} and told
    door.verified(r)


def test_r15_a_denied_port_never_looks_connected(door):
    code = """if True:
        import errno, socket, sys
        for a in sys.argv[2:]:
            s = socket.socket(socket.AF_INET6 if ":" in a else
                              socket.AF_INET)
            s.settimeout(float(sys.argv[1]))
            print(errno.errorcode[s.connect_ex((a, 81))])
        """
    r = door.allow([f"{API}:443"], PYTHON, "-c", code, 0.1 * SLACK, OWN4,
                   OWN6, "8.8.8.8", "2001:4860:4860::8888")
    assert (r.rc, r.out) == (0, "ECONNREFUSED\n" * 4), r
    told = {(f["destination"]["address"], f["verdict"]) for f in connections(r)
            if f["destination"]["port"] == 81}
    assert told == {(a, "deny") for a in (
        OWN4, OWN6, "8.8.8.8", "2001:4860:4860::8888")}
    door.verified(r)


def test_r16_other_packets(door):
    """Multicast, broadcast, datagrams in fragments, echoes: nothing of them
    comes out."""
    before = door.host.capture()
    code = f"""if True:
        import errno, socket
        def word(f):
            try:
                f()
                return "sent"
            except OSError as e:
                return errno.errorcode[e.errno]
        u4 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u4.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        u6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        for a in ("224.0.0.251", "255.255.255.255", "100.64.0.255"):
            word(lambda: u4.sendto(b"x", (a, 5353)))
        word(lambda: u6.sendto(b"x", ("ff02::fb", 5353)))
        word(lambda: u6.sendto(b"x", ("ff02::1", 7)))
        word(lambda: u4.sendto(bytes(60000), ("{OWN4}", 9)))
        word(lambda: u6.sendto(bytes(60000), ("{OWN6}", 9)))
        word(lambda: u6.sendmsg([b"x"], [(41, 54, bytes(8))], 0,
                                ("{OWN6}", 7)))  # IPV6_HOPOPTS
        for family, proto in ((socket.AF_INET, 1), (socket.AF_INET6, 58)):
            word(lambda: socket.socket(family, socket.SOCK_DGRAM, proto).
                 sendto(bytes([8 if proto == 1 else 128, 0] + [0] * 6),
                        ("{OWN4}" if proto == 1 else "{OWN6}", 0)))
            print(word(lambda: socket.socket(family, socket.SOCK_RAW, 255)))
            word(lambda: socket.socket(family, socket.SOCK_STREAM, 132).
                 connect(("{OWN4}" if proto == 1 else "{OWN6}", 80)))
        """
    r = door.python([f"{API}:443", f"{API}:7/udp"], code)
    assert (r.rc, r.out) == (0, "EPERM\nEPERM\n"), r
    assert door.host.packets(before) == []
    door.verified(r)
