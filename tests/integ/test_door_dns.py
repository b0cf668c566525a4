# SPDX-License-Identifier: MIT OR Apache-2.0
"""The resolver of a cell: what may be asked, what goes out in its place, which
answers are believed, what is told."""

import base64
import json
import shutil
import struct

import pytest

from door_harness import (PYTHON, SPEAKER, WorldCells, connections,
                          dns_queries, name, say, speak)
from world_files import DNS4, LIAR4, OWN4, OWN6, WEB4, WEB6

API, EVIL, FOO = name("api"), name("evil"), name("foo.cdn")
WILD = "*." + name("cdn")
RESOLVER = "100.64.0.1"  # of every cell
A, NS, PTR, TXT, AAAA, SVCB, HTTPS = 1, 2, 12, 16, 28, 64, 65
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
ALLOWED, UNLISTED, TYPE, MALFORMED = (
    "allowed_by_allowlist", "denied_not_in_allowlist", "denied_query_type",
    "malformed_query")


@pytest.fixture
def door(world, tmp_path):
    c = WorldCells(tmp_path, world, "dual")
    yield c
    c.close()


def wire(host):
    labels = [x for x in host.split(".") if x]
    return b"".join(bytes([len(x)]) + x.encode("latin-1")
                    for x in labels) + b"\0"


def query(host, kind=A, ident=0x1234, flags=0x0100, cls=1, counts=(1, 0, 0, 0),
          tail=b""):
    q = host if isinstance(host, bytes) else wire(host)
    return struct.pack("!6H", ident, flags, *counts) + q + struct.pack(
        "!HH", kind, cls) + tail


LAST = query("last.elsewhere.test", ident=0xfffe)  # refused, so answered

# EDNS with an option of the client's: its subnet
ECS = b"\0" + struct.pack("!HHIHHHHBBI", 41, 4096, 0, 12, 8, 8, 1, 32, 0,
                          0xc0000201)
OPT = b"\0" + struct.pack("!HHIH", 41, 4096, 0, 0)


def case(packet, rcode, reason, host=None, kind="A"):
    return packet, rcode, (
        "allow" if reason == ALLOWED else "deny", reason,
        host or "(unknown)", kind)


# what: (packet, answered with, what is told)
QUERIES = {
    "A": case(query(API), NOERROR, ALLOWED, API),
    "AAAA": case(query(API, AAAA), NOERROR, ALLOWED, API, "AAAA"),
    "upper case": case(query(API.upper()), NOERROR, ALLOWED, API),
    "wildcard": case(query(FOO), NOERROR, ALLOWED, FOO),
    "wildcard's apex": case(query(name("cdn")), REFUSED, UNLISTED,
                            name("cdn")),
    "another name": case(query(EVIL), REFUSED, UNLISTED, EVIL),
    "another zone": case(query("evil.example.org"), REFUSED, UNLISTED,
                         "evil.example.org"),
    "TXT": case(query(API, TXT), REFUSED, TYPE, API, "TXT"),
    "ANY": case(query(API, 255), REFUSED, TYPE, API),
    "NULL": case(query(API, 10), REFUSED, TYPE, API),
    "SVCB": case(query(API, SVCB), REFUSED, TYPE, API, "SVCB"),
    "NS": case(query(API, NS), REFUSED, TYPE, API, "NS"),
    "root": case(query(b"\0"), REFUSED, UNLISTED),
    "CHAOS": case(query("version.bind", TXT, cls=3), REFUSED, MALFORMED),
    "DoH canary": case(query("use-application-dns.net"), NXDOMAIN, UNLISTED,
                       "use-application-dns.net"),
    "reverse of a private address": case(
        query("1.0.0.10.in-addr.arpa", PTR), REFUSED, TYPE,
        "1.0.0.10.in-addr.arpa", "PTR"),
    "two questions": case(query(API, counts=(2, 0, 0, 0), tail=wire(EVIL) +
                                struct.pack("!HH", 1, 1)), FORMERR,
                          MALFORMED),
    "no question": case(struct.pack("!6H", 0x1234, 0x100, 0, 0, 0, 0),
                        FORMERR, MALFORMED),
    "65535 questions": case(query(API, counts=(65535, 0, 0, 0)), FORMERR,
                            MALFORMED),
    "compressed": case(query(b"\xc0\x0c"), FORMERR, MALFORMED),
    "label of 64": case(query(b"\x40" + b"a" * 64 + b"\0"), FORMERR,
                        MALFORMED),
    "name of 306": case(query(".".join(["a" * 50] * 6)), FORMERR, MALFORMED),
    "label past the end": case(query(b"\x05abc"), FORMERR, MALFORMED),
    "dots in a label": case(
        query(bytes([len(API)]) + API.encode() + b"\0"), FORMERR, MALFORMED),
    "space in a label": case(query(b"\x03a b" + wire(API)), FORMERR,
                             MALFORMED),
    "NUL in a label": case(query(b"\x03a\0b" + wire(API)), FORMERR, MALFORMED),
    "an answer beside it": case(query(API, counts=(1, 1, 0, 0), tail=wire(
        API) + struct.pack("!HHIH", 1, 1, 1, 4) + bytes(4)), FORMERR,
        MALFORMED),
    "bytes behind it": case(query(API, tail=b"secret"), FORMERR, MALFORMED),
    "UPDATE": case(query(API, flags=0x2800), NOTIMP, MALFORMED),
    "a response": case(query(API, flags=0x8180), None, MALFORMED),
    "6 bytes": case(query(API)[:6], None, MALFORMED),
    "EDNS": case(query(API, counts=(1, 0, 0, 1), tail=OPT), NOERROR, ALLOWED,
                 API),
    "EDNS, refused": case(query(EVIL, counts=(1, 0, 0, 1), tail=OPT), REFUSED,
                          UNLISTED, EVIL),
}


def told(r):
    return [q for q in dns_queries(r) if q[2] != "last.elsewhere.test"]


@pytest.mark.parametrize("to", [RESOLVER, OWN4, OWN6])
def test_queries(door, to):
    """To the cell's resolver, or to any other: the gate answers them all."""
    before = len(door.world.queries())
    r, heard = speak(door, [f"{API}:443", f"{WILD}:443"], [
        say((to, 53), packet, LAST, udp=True)
        for packet, _, _ in QUERIES.values()])
    for (what, (packet, rcode, _)), h in zip(QUERIES.items(), heard):
        got = [base64.b64decode(g) for g in h["got"]]
        assert h["end"] == "answered", (what, h)
        # an answer of an upstream may come after the last one's
        first = [g for g in got if g[:2] == packet[:2]]
        if rcode is None:
            assert first == [], (what, got)
        elif first:
            ident, flags, _, n, _, more = struct.unpack("!6H", first[0][:12])
            assert flags & 0x8000 and flags & 15 == rcode, (what, first)
            assert not flags & 0x0400, (what, "AA")
            assert more == (1 if "EDNS" in what else 0), (what, first)
            assert rcode == NOERROR or n == 0
            assert b"secret" not in first[0]
        else:
            assert rcode == NOERROR, (what, got)
    assert sorted(told(r)) == sorted(q for _, _, q in QUERIES.values())
    # outside heard of what was allowed, once: the second time was from memory
    asked = door.world.queries(before)
    assert sorted(set(asked)) == sorted([(API, "A"), (API, "AAAA"),
                                         (FOO, "A")])
    assert len(asked) == 3
    door.verified(r)


def test_the_order_of_what_is_told(door):
    """The short form goes before a query that is sent on, and follows one
    that is refused."""
    r, _ = speak(door, [f"{API}:443"], [
        say((RESOLVER, 53), query(API), udp=True),
        say((RESOLVER, 53), query(EVIL), udp=True),
        say((RESOLVER, 53), query(b"\xc0\x0c"), udp=True)])
    events = [e for e in r.events if ".dns.v1." in e["type"] or
              e["type"].endswith("dns_query")]
    assert [e["type"].split("cell.")[1] for e in events] == [
        "dns.v1.query_permitted", "observability.v1.dns_query",
        "observability.v1.dns_query", "dns.v1.query_refused",
        "observability.v1.dns_query"], r
    assert all(e["source"] == "cellos-dns-proxy" for e in events)
    allow, deny, bad = (events[i]["data"] for i in (1, 2, 4))
    assert (allow["responseRcode"], allow["responseTargetCount"]) == (0, 1)
    assert allow["upstreamLatencyMs"] >= 0 and "upstreamResolverId" in allow
    assert (deny["responseRcode"], deny["responseTargetCount"]) == (5, 0)
    assert events[3]["data"]["reason"] == UNLISTED
    assert "responseTargetCount" not in bad
    door.verified(r)


def framed(packet):
    return struct.pack("!H", len(packet)) + packet


def messages(raw):
    out = []
    while raw:
        n, = struct.unpack("!H", raw[:2])
        out.append(raw[2:2 + n])
        raw = raw[2 + n:]
    return out


def test_over_tcp(door):
    """Many queries on one connection; what is no message ends it."""
    large = name("large")
    r, (many, short, zero, udp) = speak(door, [f"{API}:443", f"{large}:443"], [
        say((RESOLVER, 53), framed(query(large, ident=1)) +
            framed(query(API, ident=2)) + framed(query(EVIL, ident=3)),
            fin=True),
        say((RESOLVER, 53), framed(b"abcd")),
        say((RESOLVER, 53), framed(b"")),
        say((RESOLVER, 53), query(large, ident=4), udp=True)])
    got = {struct.unpack("!H", m[:2])[0]: m for m in messages(many["got"])}
    assert {i: m[3] & 15 for i, m in got.items()} == {
        1: NOERROR, 2: NOERROR, 3: REFUSED}
    assert struct.unpack("!H", got[1][6:8]) == (40,)
    assert len(got[1]) > 512
    for h in (short, zero):
        assert (h["got"], h["end"] in ("fin", "ECONNRESET")) == (b"", True)
    # the same over UDP without EDNS does not fit: cut, and said so
    cut = base64.b64decode(udp["got"][0])
    assert len(cut) <= 512 and cut[2] & 2
    kinds = [q[1] for q in dns_queries(r)]
    assert sorted(kinds) == sorted([ALLOWED] * 3 + [UNLISTED] +
                                   [MALFORMED] * 2)
    door.verified(r)


# -- a name server that lies --

def lying(door, rules, packets, **kw):
    """A document whose only resolver is the liar."""
    door.world.need("liar").ask("lies", rules=rules)
    before = len(door.world.seen("liar"))
    d = door.own / f"lie-{door.count}"
    d.mkdir()
    door.own.chmod(0o755)
    shutil.copy(SPEAKER, d)
    (d / "cases.json").write_text(json.dumps(
        [say((RESOLVER, 53), p, udp=True, seconds=20) for p in packets]))
    d.chmod(0o755)
    r = door.door([PYTHON, str(d / SPEAKER.name), str(d / "cases.json")],
                  mounts=[(d, "ro")], dns={
                      "hostnameAllowlist": list(rules), "resolvers": [
                          {"resolverId": "liar", "endpoint": f"{LIAR4}:53",
                           "protocol": "do53-udp"}], **kw},
                  env={"CELLOS_LIMIT_UPSTREAM_MS": "300"})
    heard = [json.loads(line) for line in r.out.splitlines()]
    assert len(heard) == len(packets), r
    return r, [[base64.b64decode(g) for g in h["got"]] for h in heard], \
        door.world.seen("liar", before)


@pytest.mark.parametrize("how", ["silent", "wrong-id", "wrong-source",
                                 "wrong-question", "short", "cut"])
def test_what_is_no_answer_is_not_believed(door, how):
    r, (got,), seen = lying(
        door, {name("lie"): {"a": [WEB4], "how": how}}, [query(name("lie"))])
    assert [g[3] & 15 for g in got] == [SERVFAIL], (r, got)
    assert struct.unpack("!H", got[0][6:8]) == (0,)
    assert dns_queries(r) == [("deny", "upstream_failure", name("lie"), "A")]
    data, = [e["data"] for e in r.of_type("observability.v1.dns_query")]
    assert data["responseRcode"] == SERVFAIL
    assert data["upstreamResolverId"] == "liar"
    assert r.of_type("query_refused") == []
    assert {s["name"] for s in seen} == {name("lie")}
    door.verified(r)


def test_an_old_answer_is_not_taken_for_another(door):
    late, now = name("late"), name("now")
    r, (first, second), _ = lying(
        door, {late: {"a": [OWN4], "how": "late"},
               now: {"a": [WEB4], "how": "stale-first"}},
        [query(late), query(now)])
    assert first[0][3] & 15 == SERVFAIL, r
    assert second[0][3] & 15 == NOERROR
    assert second[0].endswith(bytes([198, 51, 100, 10]))


def test_nothing_the_cell_wrote_goes_out_but_the_name(door):
    """Another id, the one spelling, our own EDNS, no option."""
    odd = name("odd")
    r, (got,), seen = lying(
        door, {odd: {"a": [WEB4]}},
        [query("oDD.Test.exAMPLE", ident=0xbeef, flags=0x0130,
               counts=(1, 0, 0, 1), tail=ECS)])
    assert got[0][:2] == b"\xbe\xef" and got[0][3] & 15 == NOERROR, r
    # the client's own spelling comes back
    assert b"\x03oDD\x04Test\x07exAMPLE" in got[0]
    sent = base64.b64decode(seen[0]["packet"])
    _, flags, *counts = struct.unpack("!6H", sent[:12])
    assert (flags, counts) == (0x0100, [1, 0, 0, 1])
    end = 12 + len(wire(odd)) + 4
    assert sent[12:end] == wire(odd) + struct.pack("!HH", A, 1)
    assert sent[end:] == b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
    door.verified(r)


# -- answers that lead where nothing may lead --

REBINDING = {
    "loopback": (A, AAAA), "metadata": (A, AAAA), "private": (A, AAAA),
    "cgnat": (A,), "multicast": (A, AAAA), "unspecified": (A, AAAA),
    "mapped": (AAAA,), "nat64": (AAAA,), "sixtofour": (AAAA,),
    "teredo": (AAAA,), "linklocal": (AAAA,), "mixed": (A,)}


def test_rebinding(door):
    """Each is asked for and comes without its address."""
    asked = [(name(n), kind) for n, kinds in REBINDING.items()
             for kind in kinds]
    r, heard = speak(door, [f"{name(n)}:443" for n in REBINDING], [
        say((RESOLVER, 53), query(n, kind), udp=True) for n, kind in asked])
    for (n, kind), h in zip(asked, heard):
        got = base64.b64decode(h["got"][0])
        count, = struct.unpack("!H", got[6:8])
        assert count == (1 if n == name("mixed") else 0), (n, kind, got)
        assert got[3] & 15 in (NOERROR, SERVFAIL, NXDOMAIN), (n, got)
    assert base64.b64decode(heard[-1]["got"][0]).endswith(
        bytes([198, 51, 100, 10]))
    assert {q[1] for q in dns_queries(r)} == {ALLOWED}
    door.verified(r)


@pytest.mark.parametrize("how", ["rule", "allowlist"])
def test_a_private_address_that_is_listed_is_answered(door, how):
    egress = [{"host": name("private"), "port": 443}]
    dns = {"hostnameAllowlist": [name("private")]}
    if how == "rule":
        egress.append({"host": "10.1.0.0/16", "port": 9, "protocol": "tcp"})
    else:
        dns["rebindingPolicy"] = {"responseIpAllowlist": [
            name("private") + ":10.1.2.3"]}
    r = door.door(["/usr/bin/getent", "ahostsv4", name("private")],
                  egress=egress, dns=dns)
    assert (r.rc, r.out.split()[0]) == (0, "10.1.2.3"), r


def test_keys_of_ech_and_h3_are_taken_out(door):
    before = len(door.world.queries())
    r, (https,) = speak(door, [f"{name('allowed')}:443"], [
        say((RESOLVER, 53), query(name("allowed"), HTTPS,
                                  counts=(1, 0, 0, 1), tail=OPT), udp=True)])
    got = base64.b64decode(https["got"][0])
    assert got[3] & 15 == NOERROR and struct.unpack("!H", got[6:8]) == (1,)
    assert b"\x02h2" in got and b"\x02h3" not in got, got
    assert b"\xfe\x0d" not in got and b"outer" not in got
    assert bytes([198, 51, 100, 10]) in got  # its hints stay
    assert door.world.queries(before) == [(name("allowed"), "HTTPS")]
    door.verified(r)


def test_aliases_are_followed(door):
    """The name that was asked for is what is pinned; where it leads to by
    way of others, the cell may go."""
    door.world.need("nginx")
    r = door.allow([f"{name('www')}:443"], "curl", "-sS", "--cacert", door.ca,
                   f"https://{name('www')}/")
    assert (r.rc, r.out) == (0, "this is allowed.test.example\n"), r
    flow, = connections(r)
    assert (flow["question"], flow["sni"]) == (name("www"), name("www"))
    assert flow["dialled"]["address"] in (WEB4, WEB6)
    door.verified(r)


def test_types_a_document_names(door):
    r = door.door([PYTHON, "-c", f"""if True:
        import socket, struct
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(10)
        s.connect(("{RESOLVER}", 53))
        for kind in (16, 1):
            s.send(struct.pack("!6H", kind, 256, 1, 0, 0, 0) +
                   {wire(name("allowed"))!r} + struct.pack("!HH", kind, 1))
            a = s.recv(4096)
            print(kind, a[3] & 15, a[7])
        """], dns={"hostnameAllowlist": [name("allowed")],
                   "allowedQueryTypes": ["TXT"],
                   "resolvers": [{"resolverId": "r", "endpoint": DNS4 + ":53",
                                  "protocol": "do53-tcp"}]})
    assert (r.rc, r.out) == (0, "16 0 1\n1 5 0\n"), r
    assert dns_queries(r) == [
        ("allow", ALLOWED, name("allowed"), "TXT"),
        ("deny", TYPE, name("allowed"), "A")]
    door.verified(r)
