#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the cell's resolver lets out, lets in and keeps (TAP)."""
import random
import socket
import string
import struct
import sys
import time

import dns.edns
import dns.flags
import dns.message

from dns_harness import (API, A_IN, HEAD, WAIT, addresses, case, data_of, main,
                         make, name_of, parse, reply, wire_name)

# -- vectors of the original, with our verdict --

WIRE_API = wire_name(b"api", b"example", b"com")
LONG = b"a" * 63

# what is sent, the code of the answer (None: none), reason, other members
VECTORS = [
    # the parser
    ("six bytes", HEAD[:6], None, "malformed_query", {}),
    ("a header cut", HEAD[:11], None, "malformed_query", {}),
    ("nothing", b"", None, "malformed_query", {}),
    ("a response", b"\x12\x34\x81\x80" + HEAD[4:] + WIRE_API + A_IN, None,
     "malformed_query", {}),
    ("label past the end", HEAD + b"\5abc", 1, "malformed_query", {}),
    ("root without type", HEAD + b"\0", 1, "malformed_query", {}),
    ("no question", HEAD[:4] + b"\0\0" + HEAD[6:], 1, "malformed_query", {}),
    ("two questions", HEAD[:4] + b"\0\2" + HEAD[6:] + WIRE_API + A_IN +
     wire_name(b"attacker", b"test") + A_IN, 1, "malformed_query", {}),
    ("65535 questions", HEAD[:4] + b"\xff\xff" + HEAD[6:] + WIRE_API + A_IN,
     1, "malformed_query", {}),
    ("compression", HEAD + b"\xc0\x0c" + A_IN, 1, "malformed_query", {}),
    ("a label of 64", HEAD + b"\x40" + b"a" * 64 + b"\0" + A_IN, 1,
     "malformed_query", {}),
    ("a name of 6 x 50", HEAD + wire_name(*[b"a" * 50] * 6) + A_IN, 1,
     "malformed_query", {}),
    ("class CHAOS", HEAD + wire_name(b"version", b"bind") +
     bytes.fromhex("0010 0003"), 5, "malformed_query", {}),
    ("NUL in a label", HEAD + b"\3a\0b\0" + A_IN, 1, "malformed_query", {}),
    ("dots in a label", HEAD + b"\x0fapi.example.com\0" + A_IN, 1,
     "malformed_query", {}),
    ("UPDATE", b"\x12\x34\x28\0" + HEAD[4:] + WIRE_API + A_IN, 4,
     "malformed_query", {}),
    ("an answer inside", HEAD[:6] + b"\0\1" + HEAD[8:] + WIRE_API + A_IN, 1,
     "malformed_query", {}),
    ("trailing bytes", HEAD + WIRE_API + A_IN + b"x", 1, "malformed_query",
     {}),
    ("whole until where reading ends", HEAD[:10] + b"\0\1" + WIRE_API + A_IN +
     bytes.fromhex("00 0029 1000 00000000 04a4 000c 04a0") + b"\0" * 1184 +
     b"x", 1, "malformed_query", {}),
    ("root", HEAD + b"\0" + A_IN, 5, "denied_not_in_allowlist", {"name": ""}),
    ("253 bytes", HEAD + wire_name(LONG, LONG, LONG, b"a" * 61) + A_IN, 5,
     "denied_not_in_allowlist", {}),
    ("254 bytes", HEAD + wire_name(LONG, LONG, LONG, b"a" * 62) + A_IN, 1,
     "malformed_query", {}),
    # the list
    ("A", ("api.example.com", "A"), 0, "allowed_by_allowlist",
     {"targets": 2, "asked": 1, "name": API, "type": 1}),
    ("AAAA, any case", ("API.Example.COM", "AAAA"), 0, "allowed_by_allowlist",
     {"targets": 0, "name": API, "type": 28}),
    ("below a wildcard", ("img.cdn.example.com", "A"), 0,
     "allowed_by_allowlist", {"targets": 2}),
    ("the wildcard's apex", ("cdn.example.com", "A"), 5,
     "denied_not_in_allowlist", {"targets": 0, "asked": 0}),
    ("a neighbour", ("evil-cdn.example.com", "A"), 5,
     "denied_not_in_allowlist", {}),
    ("another", ("evil.example.org", "A"), 5, "denied_not_in_allowlist", {}),
    ("a browser's question", ("use-application-dns.net", "A"), 3,
     "denied_not_in_allowlist", {}),
    ("the same, odd type", ("Use-Application-DNS.net", "TYPE9999"), 3,
     "denied_not_in_allowlist", {}),
    # types
    ("TXT", ("api.example.com", "TXT"), 5, "denied_query_type",
     {"type": 16, "name": API}),
    ("ANY", ("api.example.com", "ANY"), 5, "denied_query_type",
     {"type": 255}),
    ("NULL", ("api.example.com", "NULL"), 5, "denied_query_type",
     {"type": 10}),
    ("AXFR", ("api.example.com", "AXFR"), 5, "denied_query_type",
     {"type": 252}),
    ("type 0", HEAD + WIRE_API + b"\0\0\0\1", 5, "denied_query_type",
     {"type": 0}),
    ("10000", ("api.example.com", "TYPE10000"), 5, "denied_query_type",
     {"type": 10000}),
    ("type before name", ("evil.example.org", "SVCB"), 5, "denied_query_type",
     {"type": 64}),
]


@case
def vectors_of_the_original(t):
    u = t.upstream(addresses("192.0.2.1", "192.0.2.2"))
    g = t.gate(API, "*.cdn.example.com", upstreams=[u], types=[1, 28])
    c = g.client()
    mark = make("mark.example", "A")
    for what, sent, rcode, reason, more in VECTORS:
        wire = sent if isinstance(sent, bytes) else make(*sent).to_wire()
        c.send(wire)
        if rcode is None:
            # nothing comes but what is sent for the next
            c.send(mark.to_wire())
            assert c.recv(65535)[:2] == mark.to_wire()[:2], what
        else:
            back = c.recv(65535)
            assert back[:2] == wire[:2], what
            assert back[3] & 15 == rcode, f"{what}: {back.hex()}"
            assert back[2] & 0x80, what
        more = dict(more, reason=reason, over_budget=0, cached=0,
                    rcode=255 if rcode is None else rcode)
        try:
            g.record(**more)
        except AssertionError as e:
            raise AssertionError(f"{what}: {e}") from e
        if rcode is None:
            g.record(name="mark.example")
    assert [p[0] for p in u.packets] == ["udp"] * 3, u.packets
    stats = g.order("stats")
    malformed = sum(v[3] == "malformed_query" for v in VECTORS)
    silences = sum(v[2] is None for v in VECTORS)
    total = len(VECTORS) + silences
    assert stats["stats"] == [total, 3, total - 3 - malformed, malformed, 0,
                              0], stats


@case
def replies_of_our_own_follow_the_rfcs(t):
    g = t.gate(API)
    c = g.client()
    # all flags set but QR and the opcode: AA, TC, AD of the query do not
    # come back; RD and CD do, RA is ours
    c.send(b"\x12\x34\x07\xff" + HEAD[4:] + wire_name(b"evil") + A_IN)
    back = c.recv(65535)
    assert back[:4].hex() == "12348195", back[:4].hex()
    assert back[4:] == HEAD[4:] + wire_name(b"evil") + A_IN
    # the question's spelling comes back, OPT for OPT
    r = g.ask("eViL.Example.ORG", use_edns=0, payload=4096)
    assert r.question[0].name.to_text() == "eViL.Example.ORG."
    assert r.edns == 0 and r.payload == 1232
    assert g.ask("evil.example.org").edns == -1


# -- what goes out --

@case
def the_query_is_rebuilt(t):
    u = t.upstream(addresses("192.0.2.1"))
    g = t.gate(API, "*.example.net", upstreams=[u])
    ids, options = set(), [
        dns.edns.ECSOption("203.0.113.7", 24),
        dns.edns.GenericOption(10, b"cookie!!"),
        dns.edns.GenericOption(12, b"\0" * 40),
    ]
    for i in range(30):
        name = f"HoSt{i}.eXample.NET" if i else "API.eXaMpLe.cOm"
        r = g.ask(name, use_edns=0, options=options, want_dnssec=True,
                  payload=4000, flags=dns.flags.RD | dns.flags.CD |
                  dns.flags.AD, id=7)
        assert r.rcode() == 0 and data_of(r) == ["192.0.2.1"]
        # a name of the client's spelling
        assert r.answer[0].name.to_text() == name + "."
        g.record(name=name.lower())
        _, wire, port = u.packets[-1]
        ids.add((wire[:2], port))
        q = name.lower().encode().split(b".")
        want = HEAD[2:10] + b"\0\1" + wire_name(*q) + A_IN + \
            bytes.fromhex("00 0029 04d0 00000000 0000")
        assert wire[2:] == want, wire.hex()
    assert len(u.packets) == 30
    assert len({i for i, _ in ids}) > 25, "ids are drawn"
    assert len({p for _, p in ids}) > 20, "ports are drawn"


@case
def ten_thousand_forbidden_names_send_nothing(t):
    u = t.upstream(addresses("192.0.2.1"))
    g = t.gate(API, upstreams=[u])
    c = g.client()
    rng = random.Random(5)
    for i in range(0, 10000, 50):
        for n in range(i, i + 50):
            label = "".join(rng.choices(string.ascii_lowercase, k=40))
            c.send(make(f"{label}.evil.example.org",
                        rng.choice(["A", "AAAA", "TXT", "PTR"]),
                        id=n).to_wire())
        got = [c.recv(65535) for _ in range(50)]
        assert sorted(g[:2] for g in got) == \
            [struct.pack(">H", n) for n in range(i, i + 50)]
        assert all(g[3] & 15 == 5 for g in got)
        for _ in range(50):
            g.record(reason="denied_not_in_allowlist", rcode=5, asked=0)
    # what was sent before this would be there before it
    assert data_of(g.ask(API)) == ["192.0.2.1"]
    assert len(u.packets) == 1
    assert g.order("stats")["stats"] == [10001, 1, 10000, 0, 0, 0]


@case
def reverse_zones_of_special_addresses_stay(t):
    u = t.upstream(lambda _, q, send, tcp: send(reply(
        q, f"{name_of(q)} 60 IN PTR host.example.").to_wire()))
    g = t.gate("*.in-addr.arpa", "*.ip6.arpa", upstreams=[u])
    private = ["1.0.0.10", "10", "1.16.172", "9.9.31.172", "1.168.192",
               "254.169.254.169", "1.0.0.127", "1.64.100", "9.9.127.100",
               "0", "1.1.1.224", "255.255.255.255", "x.1.0.0.10",
               "_dns-sd._udp.1.0.0.10"]
    public = ["1.15.172", "1.32.172", "8.8.8.8", "1.63.100", "1.128.100",
              "1.2.0.192", "0-127.8.8.8", "172"]
    private6 = ["d.f", "c.f", "1.d.f", "8.e.f", "b.e.f", "c.e.f", "0.f.f",
                "1" + ".0" * 31]
    public6 = ["8.b.d.0.1.0.0.2", "0.6.8.4.1.0.0.2", "7.e.f"]
    for names, zone, rcode in ((private, "in-addr.arpa", 5),
                               (public, "in-addr.arpa", 0),
                               (private6, "ip6.arpa", 5),
                               (public6, "ip6.arpa", 0)):
        for n in names:
            r = g.ask(f"{n}.{zone}", "PTR")
            assert r.rcode() == rcode, f"{n}.{zone}"
            g.record(rcode=rcode, asked=rcode == 0, targets=0)
    assert len(u.packets) == len(public) + len(public6)


@case
def names_below_a_wildcard_have_a_budget(t):
    u = t.upstream(addresses("192.0.2.1"))
    g = t.gate("*.cdn.example.com", API, "labels=3", upstreams=[u])
    for i in range(6):
        r = g.ask(f"n{i}.cdn.example.com")
        good = i < 3
        assert r.rcode() == (0 if good else 5)
        g.record(over_budget=not good, asked=good,
                 reason="allowed_by_allowlist" if good else
                 "denied_not_in_allowlist")
    g.ask("n1.cdn.example.com", "AAAA")
    g.record(over_budget=0, asked=1)
    g.ask(API)
    g.record(over_budget=0, asked=1)
    assert len(u.packets) == 5


# -- hostile answers --

def with_id(wire, i):
    return struct.pack(">H", i) + wire[2:]


@case
def what_does_not_fit_has_not_come(t):
    strangers = []

    def answer(_, query, send, _tcp):
        good = reply(query, f"{name_of(query)} 60 IN A 192.0.2.1").to_wire()
        evil = reply(query, f"{name_of(query)} 60 IN A 192.0.2.66").to_wire()
        other = dns.message.make_query("evil.example.org", "A", id=query.id)
        kind = dns.message.make_query(API, "AAAA", id=query.id)
        send(b"")
        send(evil[:3])
        send(evil[:20])
        send(evil[:2] + b"\1\0" + evil[4:])  # QR is not set
        send(with_id(evil, query.id ^ 1))
        send(reply(other, "evil.example.org. 60 IN A 192.0.2.66").to_wire())
        send(reply(kind, f"{API}. 60 IN AAAA 2001:db8::66").to_wire())
        send(evil[:-1])
        send(b"\xff" * 30000)
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        strangers.append(s)
        s.sendto(evil, ("127.0.0.1", u.packets[-1][2]))
        send(good)

    u = t.upstream(answer)
    g = t.gate(API, upstreams=[u])
    assert data_of(g.ask(API)) == ["192.0.2.1"]
    g.record(reason="allowed_by_allowlist", targets=1)
    assert g.pins(API) == ["192.0.2.1"]
    for s in strangers:
        s.close()

    # more than is read is not taken for what was read
    def long_answer(_, query, send, _tcp):
        send(reply(query, *[f"{API}. 60 IN TXT {'x' * 200}{i}"
                            for i in range(120)]).to_wire(max_size=65535))
        send(reply(query, f"{API}. 60 IN TXT short").to_wire())
    u.answer = long_answer
    assert data_of(g.ask(API, "TXT")) == ['"short"']


@case
def nothing_that_fits_is_servfail(t):
    u = t.upstream(lambda _, q, send, tcp: send(
        with_id(reply(q, f"{API}. 60 IN A 192.0.2.66").to_wire(), q.id ^ 1)))
    g = t.gate(API, "ms=120", upstreams=[u])
    r = g.ask(API)
    assert r.rcode() == 2 and not r.answer
    got = g.record(reason="upstream_failure", rcode=2, asked=1, resolver=0,
                   targets=0)
    assert 120 <= got["ms"] < 120 + 1000 * WAIT, got
    # asked twice of one socket, in half the time each
    assert len(u.packets) == 2
    assert u.packets[0] == u.packets[1]
    assert g.pins(API) == []


@case
def an_answer_that_comes_late_is_nobodys(t):
    sends = []
    u = t.upstream(lambda _, q, send, tcp: sends.append((q, send)))
    g = t.gate(API, "ms=100", upstreams=[u])
    assert g.ask(API).rcode() == 2
    g.record(reason="upstream_failure")
    failed = time.monotonic()
    q, send = sends[0]
    send(reply(q, f"{API}. 60 IN A 192.0.2.66").to_wire())
    u.answer = addresses("192.0.2.1")
    # that it failed is forgotten
    c = g.client()
    while True:
        asked = time.monotonic()
        c.send(make(API).to_wire())
        r = parse(c.recv(65535))
        if not g.record()["cached"]:
            break
        assert r.rcode() == 2
        assert asked < failed + 5, "kept for longer than it should"
    assert data_of(r) == ["192.0.2.1"]
    assert g.pins(API) == ["192.0.2.1"]


@case
def aliases_are_followed_and_pinned(t):
    u = t.upstream(lambda _, q, send, tcp: send(reply(
        q, f"{API}. 60 IN CNAME a.cdn.example.com.",
        "a.cdn.example.com. 60 IN CNAME x.other.net.",
        "x.other.net. 60 IN A 192.0.2.1",
        "www.google.com. 60 IN A 192.0.2.2",
        authority=["www.google.com. 60 IN A 192.0.2.3"]).to_wire()))
    g = t.gate(API, "*.cdn.example.com", upstreams=[u])
    r = g.ask(API)
    assert data_of(r) == ["192.0.2.1", "a.cdn.example.com.", "x.other.net."]
    assert not r.authority and not r.additional
    g.record(targets=1, dropped=0)
    assert g.pins(API) == ["192.0.2.1"]
    # a name the cell may ask for is pinned on the way; others are not
    assert g.pins("a.cdn.example.com") == ["192.0.2.1"]
    assert g.pins("x.other.net") == []
    assert g.pins("www.google.com") == []


@case
def aliases_in_a_ring_are_no_answer(t):
    u = t.upstream(lambda _, q, send, tcp: send(reply(
        q, f"{API}. 60 IN CNAME b.example.com.",
        f"b.example.com. 60 IN CNAME {API}.").to_wire()))
    g = t.gate(API, "ms=100", upstreams=[u])
    assert g.ask(API).rcode() == 2
    g.record(reason="upstream_failure")


@case
def private_addresses_do_not_reach_the_cell(t):
    bad = ["127.0.0.1", "169.254.169.254", "10.0.0.1", "100.64.0.1",
           "224.0.0.1", "0.0.0.0", "192.168.1.1", "::1", "fe80::1",
           "fd00::1", "::ffff:192.0.2.1", "64:ff9b::1", "2002::1",
           "fd00:ec2::254"]
    u = t.upstream(addresses(*bad, "192.0.2.1", "2001:db8::1"))
    g = t.gate(API, upstreams=[u])
    assert data_of(g.ask(API)) == ["192.0.2.1"]
    g.record(targets=1, dropped=7, rcode=0)
    assert data_of(g.ask(API, "AAAA")) == ["2001:db8::1"]
    g.record(targets=1, dropped=7)
    assert g.pins(API) == ["192.0.2.1", "2001:db8::1"]
    assert data_of(g.ask(API)) == ["192.0.2.1"]
    g.record(cached=1, targets=1, dropped=7)
    # all of them: an answer without any
    u.answer = addresses("10.0.0.1")
    g = t.gate(API, upstreams=[u])
    r = g.ask(API)
    assert r.rcode() == 0 and not r.answer
    g.record(reason="allowed_by_allowlist", targets=0, dropped=1)
    assert g.pins(API) == []
    # a net the document names
    g = t.gate(API, "net=10.0.0.0/8", upstreams=[u])
    assert data_of(g.ask(API)) == ["10.0.0.1"]
    assert g.pins(API) == ["10.0.0.1"]


@case
def keys_of_ech_are_taken_out(t):
    def answer(_, query, send, _tcp):
        send(reply(query, f'{API}. 60 IN HTTPS 1 . alpn="h2,h3" '
                   'ech="AEX+DQBBpQAgACDBFz+fOPqVAbkbqMnGTn1oZGXkPuhMcAhKbY'
                   'ipmFmlZQAEAAEAAQASY2xvdWRmbGFyZS1lY2guY29tAAA=" '
                   'ipv4hint=192.0.2.1').to_wire())
    u = t.upstream(answer)
    g = t.gate(API, upstreams=[u])
    text = g.ask(API, "HTTPS").answer[0][0].to_text()
    assert 'alpn="h2"' in text and "ech" not in text, text
    g.record(type=65, targets=0, rcode=0)


# -- the cache --

@case
def answers_are_kept(t):
    u = t.upstream(addresses("192.0.2.1", ttl=300))
    g = t.gate(API, upstreams=[u])
    first = g.ask(API)
    assert first.answer[0].ttl == 300
    g.record(cached=0, asked=1)
    for i in range(3):
        r = g.ask("Api.Example.com", id=i)
        assert data_of(r) == ["192.0.2.1"] and 290 < r.answer[0].ttl <= 300
        g.record(cached=1, asked=0, targets=1, ms=0, resolver=0,
                 reason="allowed_by_allowlist")
    assert len(u.packets) == 1
    assert g.order("stats")["stats"] == [4, 4, 0, 0, 0, 3]
    # they grow old
    end = time.monotonic() + WAIT
    while g.ask(API).answer[0].ttl == 300:
        assert time.monotonic() < end
    assert len(u.packets) == 1


@case
def what_is_kept_ends(t):
    u = t.upstream(addresses("192.0.2.1", ttl=1))
    g = t.gate(API, "ttl_min=1", upstreams=[u])
    assert g.ask(API).answer[0].ttl == 1
    kept = time.monotonic()
    g.record(cached=0)
    while True:
        asked = time.monotonic()
        assert g.ask(API).answer[0].ttl == 1
        if not g.record()["cached"]:
            break
        assert asked < kept + 1, "kept for longer than it lives"
    assert len(u.packets) == 2
    # a shorter life is moved to the least there is; the pin has the same
    g = t.gate(API, upstreams=[u])
    assert g.ask(API).answer[0].ttl == 30


@case
def that_there_is_nothing_is_kept_too(t):
    soa = "example.com. 600 IN SOA ns.example.com. x.example.com. 1 2 3 4 120"
    for rcode in 3, 0:
        u = t.upstream(lambda _, q, send, tcp, rcode=rcode: send(
            reply(q, rcode=rcode, authority=[soa]).to_wire()))
        g = t.gate(API, upstreams=[u])
        for cached in 0, 1, 1:
            r = g.ask(API)
            assert r.rcode() == rcode and not r.answer
            g.record(cached=cached, rcode=rcode, targets=0,
                     reason="allowed_by_allowlist")
        assert len(u.packets) == 1


@case
def a_failure_is_kept(t):
    u = t.upstream(lambda _, q, send, tcp: send(reply(q, rcode=2).to_wire()))
    g = t.gate("*.example.com", "labels=1", upstreams=[u])
    for cached in 0, 1, 1:
        r = g.ask("n.example.com", use_edns=0)
        assert r.rcode() == 2 and not r.answer and r.edns == 0
        g.record(reason="upstream_failure", rcode=2, cached=cached,
                 asked=not cached, resolver=0, targets=0)
    assert len(u.packets) == 1
    # of this question
    assert g.ask("n.example.com", "AAAA").rcode() == 2
    g.record(cached=0, asked=1)
    assert len(u.packets) == 2
    assert g.order("stats")["stats"] == [4, 0, 0, 0, 4, 2]


if __name__ == "__main__":
    sys.exit(main())
