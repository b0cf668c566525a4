#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""How the cell's resolver asks and serves (TAP)."""
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile

import dns.flags

from dns_harness import (API, HEAD, WAIT, addresses, case, data_of, framed,
                         main, make, name_of, one_port, parse, read_framed,
                         reply, silent)


def free_port():
    tcp, udp = one_port()
    with tcp, udp:
        return tcp.getsockname()[1]


# -- transports and resolvers --

@case
def a_cut_answer_is_asked_for_by_tcp(t):
    many = [f"{API}. 60 IN A 192.0.2.{i}" for i in range(1, 60)]

    def answer(_, query, send, tcp):
        if tcp:
            send(reply(query, *many).to_wire(max_size=65535))
        else:
            send(reply(query, many[0], flags=dns.flags.TC).to_wire())
    u = t.upstream(answer)
    g = t.gate(API, upstreams=[u])
    # 59 addresses are more than 512 bytes: cut for the client, too
    r = g.ask(API)
    assert r.flags & dns.flags.TC and not r.answer
    g.record(targets=59, cached=0)
    assert [p[0] for p in u.packets] == ["udp", "tcp"]
    assert u.packets[0][1][2:] == u.packets[1][1][2:]
    r = g.ask(API, use_edns=0, payload=4096)
    assert len(r.answer[0]) == 59 and not r.flags & dns.flags.TC
    g.record(cached=1, targets=59)
    s = g.stream()
    s.sendall(framed(make(API).to_wire()))
    assert len(parse(read_framed(s)).answer[0]) == 59


@case
def a_cut_answer_by_tcp_is_none(t):
    u = t.upstream(lambda _, q, send, tcp: send(
        reply(q, flags=dns.flags.TC).to_wire()))
    v = t.upstream(addresses("192.0.2.2"))
    g = t.gate(API, upstreams=[u, v])
    assert data_of(g.ask(API)) == ["192.0.2.2"]
    assert [p[0] for p in u.packets] == ["udp", "tcp"]
    g.record(resolver=1)


@case
def a_resolver_by_tcp(t):
    def answer(_, query, send, tcp):
        wire = reply(query, *[f"{API}. 60 IN TXT {'x' * 200}{i}"
                              for i in range(250)]).to_wire(max_size=65535)
        assert tcp and len(wire) > 50000
        send(wire)
    u = t.upstream(answer)
    g = t.gate(API, upstreams=[f"resolver=127.0.0.1@{u.port}@tcp"])
    s = g.stream()
    s.sendall(framed(make(API, "TXT").to_wire()))
    assert len(parse(read_framed(s)).answer[0]) == 250
    assert [p[0] for p in u.packets] == ["tcp"]
    g.record(asked=1, rcode=0, targets=0)


@case
def a_stream_that_breaks_is_the_next_resolvers_turn(t):
    good = t.upstream(addresses("192.0.2.9"))
    how = [
        lambda _, q, send, tcp: None,                 # closes
        lambda _, q, send, tcp: send(b""),            # length 0
        lambda _, q, send, tcp: send(b"\0" * 11),
        lambda _, q, send, tcp: send(reply(q, f"{API}. 9 IN A 192.0.2.66")
                                     .to_wire()[:-3]),
    ]
    for answer in how:
        u = t.upstream(answer)
        if answer is not how[0]:
            u.held = []  # what was sent is enough to see it
        g = t.gate(API, "ms=60000",
                   upstreams=[f"resolver=127.0.0.1@{u.port}@tcp", good])
        assert data_of(g.ask(API)) == ["192.0.2.9"]
        g.record(resolver=1, reason="allowed_by_allowlist")
        assert len(u.packets) == 1


@case
def resolvers_take_turns(t):
    refused = f"resolver=127.0.0.1@{free_port()}"
    servfail = t.upstream(lambda _, q, send, tcp: send(
        reply(q, rcode=2).to_wire()))
    refuses = t.upstream(lambda _, q, send, tcp: send(
        reply(q, rcode=5).to_wire()))
    mute = t.upstream(silent)
    good = t.upstream(addresses("192.0.2.9"))
    g = t.gate(API, "*.example.net", "ms=200",
               upstreams=[servfail, refuses, refused, mute, good])
    assert data_of(g.ask(API)) == ["192.0.2.9"]
    g.record(resolver=4, reason="allowed_by_allowlist")
    assert [len(u.packets) for u in (servfail, refuses, mute, good)] == \
        [1, 1, 2, 1]
    # what was silent is not waited for again
    g.ask("b.example.net")
    g.record(resolver=4)
    assert [len(u.packets) for u in (servfail, refuses, mute, good)] == \
        [1, 1, 2, 2]
    # a port that is closed is not waited for
    for transport in "", "@tcp":
        g = t.gate(API, "ms=60000", upstreams=[refused + transport, good])
        assert data_of(g.ask(API)) == ["192.0.2.9"]
        g.record(resolver=1)
    # none has an answer
    g = t.gate(API, upstreams=[servfail, refuses, refused])
    assert g.ask(API).rcode() == 2
    g.record(reason="upstream_failure", rcode=2, resolver=2, asked=1)
    assert g.order("stats")["stats"] == [1, 0, 0, 0, 1, 0]
    g = t.gate(API)
    assert g.ask(API).rcode() == 2
    g.record(reason="upstream_failure", rcode=2, asked=0)


@case
def one_question_is_asked_once(t):
    sends = []
    u = t.upstream(lambda _, q, send, tcp: sends.append((q, send)))
    g = t.gate(API, upstreams=[u])
    c = g.client()
    s = g.stream()
    for i in range(64):
        q = make(API if i % 2 else "aPi.example.com", id=i)
        if i == 63:
            s.sendall(framed(q.to_wire()))
        else:
            c.send(q.to_wire())
    u.heard.get(timeout=WAIT)
    # as many as may wait do; one more has its answer at once
    assert g.order("stats")["idle"] == 0
    r = None
    while r is None or r.rcode() != 2:
        r = g.ask(API)
    g.record(reason="upstream_failure", asked=0, rcode=2)
    q, send = sends[0]
    send(reply(q, f"{API}. 60 IN A 192.0.2.1").to_wire())
    got = {parse(c.recv(65535)).id for _ in range(63)}
    assert got == set(range(63))
    assert parse(read_framed(s)).id == 63
    for _ in range(64):
        g.record(reason="allowed_by_allowlist", asked=1, targets=1)
    assert len(u.packets) == 1
    # what is open may still ask
    assert g.order("stats")["idle"] == 0
    s.shutdown(socket.SHUT_WR)
    assert s.recv(1) == b""
    assert g.order("stats")["idle"] == 1


@case
def questions_under_way_have_a_bound(t):
    sends = []
    u = t.upstream(lambda _, q, send, tcp: sends.append((q, send)))
    g = t.gate("*.example.net", "ms=60000", upstreams=[u])
    c = g.client()
    for i in range(0, 256, 16):
        for n in range(i, i + 16):
            c.send(make(f"n{n}.example.net", id=n).to_wire())
        for n in range(16):
            u.heard.get(timeout=WAIT)
    assert g.ask("more.example.net").rcode() == 2
    g.record(reason="upstream_failure", asked=0)
    # what is denied does not wait
    assert g.ask("evil.example.org").rcode() == 5
    g.record(rcode=5)
    for q, send in sends:
        send(reply(q, f"{name_of(q)} 60 IN A 192.0.2.1").to_wire())
        parse(c.recv(65535))
    u.answer = addresses("192.0.2.1")
    for _ in range(256):
        g.record(reason="allowed_by_allowlist")
    assert g.ask("more.example.net").rcode() == 0


# -- how the cell is served --

@case
def places_are_given_back(t):
    u = t.upstream(addresses("192.0.2.1"))
    g = t.gate("*.example.net", "labels=2000", upstreams=[u])
    for i in range(1100):
        assert g.ask(f"n{i}.example.net").rcode() == 0, i
    assert len(u.packets) == 1100


@case
def an_answer_comes_from_where_it_was_asked(t):
    sends = []
    u = t.upstream(lambda _, q, send, tcp: sends.append((q, send)))
    g = t.gate(API, upstreams=[u])
    # connected sockets take it from there only
    c = g.client("127.0.0.5")
    c.send(make("evil.example.org", id=1).to_wire())
    assert parse(c.recv(65535)).id == 1
    six = g.client("::1", socket.AF_INET6)
    six.send(make("evil.example.org", id=2).to_wire())
    assert parse(six.recv(65535)).id == 2
    # those that wait for an upstream, too
    c.send(make(API, id=3).to_wire())
    u.heard.get(timeout=WAIT)
    six.send(make(API, "AAAA", id=4).to_wire())
    u.heard.get(timeout=WAIT)
    for q, send in sends:
        send(reply(q).to_wire())
    assert parse(c.recv(65535)).id == 3
    assert parse(six.recv(65535)).id == 4


@case
def tcp_answers_as_they_come(t):
    sends = {}

    def answer(_, query, send, _tcp):
        sends[name_of(query)] = (query, send)
    u = t.upstream(answer)
    g = t.gate("*.example.net", upstreams=[u])
    s = g.stream()
    names = [f"n{i}.example.net." for i in range(16)]
    s.sendall(b"".join(framed(make(n, id=i).to_wire())
                       for i, n in enumerate(names)))
    for _ in names:
        u.heard.get(timeout=WAIT)
    for i in reversed(range(16)):
        q, send = sends[names[i]]
        big = [f"{names[i]} 60 IN A 192.0.{i + 2}.{k}" for k in range(1, 60)]
        send(reply(q, *big).to_wire(max_size=65535))
        r = parse(read_framed(s))
        assert r.id == i and len(r.answer[0]) == 59
        assert r.answer[0][0].address.startswith(f"192.0.{i + 2}.")
    # allowed from the cache, denied, allowed: all at once
    s.sendall(framed(make(names[0], id=100).to_wire()) +
              framed(make("evil.example.org", id=101).to_wire()) +
              framed(make(names[1], "A", id=102).to_wire()))
    assert [(m.id, m.rcode()) for m in
            (parse(read_framed(s)) for _ in range(3))] == \
        [(100, 0), (101, 5), (102, 0)]
    got = [g.record()["reason"] for _ in range(19)]
    assert got.count("allowed_by_allowlist") == 18, got


@case
def tcp_in_pieces(t):
    g = t.gate(API)
    s = g.stream()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire = b"".join(framed(make(f"n{i}.example.org", id=i).to_wire())
                    for i in range(3))
    for b in wire:
        s.send(bytes([b]))
    assert [parse(read_framed(s)).id for _ in range(3)] == [0, 1, 2]


@case
def tcp_pipelines_have_a_bound(t):
    sends = []
    u = t.upstream(lambda _, q, send, tcp: sends.append((q, send)))
    g = t.gate("*.example.net", upstreams=[u])
    s = g.stream()
    # more than wait at one time, then the end of what the client says
    s.sendall(b"".join(framed(make(f"n{i}.example.net", id=i).to_wire())
                       for i in range(40)))
    s.shutdown(socket.SHUT_WR)
    got = []
    for i in range(40):
        u.heard.get(timeout=WAIT)
        if i == 15:
            # the seventeenth would have come before this answer
            assert g.ask("evil.example.org").rcode() == 5
            assert len(u.packets) == 16
        if i >= 15:
            q, send = sends[i - 15]
            send(reply(q, f"{name_of(q)} 60 IN A 192.0.2.1").to_wire())
            got.append(parse(read_framed(s)).id)
    for q, send in sends[25:]:
        send(reply(q, f"{name_of(q)} 60 IN A 192.0.2.1").to_wire())
        got.append(parse(read_framed(s)).id)
    assert sorted(got) == list(range(40)), got
    assert s.recv(1) == b"", "closed when all is answered"


@case
def a_stream_that_is_not_dns_ends(t):
    sends = []
    u = t.upstream(lambda _, q, send, tcp: sends.append((q, send)))
    g = t.gate(API, upstreams=[u])
    for junk in (b"\0\0", b"\0\4abcd", b"\xff\xff" + b"x" * 10,
                 framed(HEAD + b"\0"), b"GET / HTTP/1.1\r\n\r\n"):
        s = g.stream()
        s.sendall(junk)
        try:
            assert s.recv(100) == b"", junk
        except ConnectionResetError:
            pass  # bytes behind it are not read
        g.record(reason="malformed_query", rcode=255, name="")
    # what was asked before it has its answer first
    s = g.stream()
    s.sendall(framed(make(API, id=9).to_wire()) + b"\0\0")
    u.heard.get(timeout=WAIT)
    g.record(reason="malformed_query", rcode=255)
    sends[0][1](reply(sends[0][0]).to_wire())
    assert parse(read_framed(s)).id == 9
    assert s.recv(1) == b""
    # a cut message is the end, and no event
    for cut in b"\0", framed(make(API).to_wire())[:-1]:
        s = g.stream()
        s.sendall(cut)
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1) == b""
    g.record(reason="allowed_by_allowlist")
    assert g.order("stats")["stats"][0] == 7


@case
def who_goes_away_is_told_of(t):
    sends = []
    u = t.upstream(lambda _, q, send, tcp: sends.append((q, send)))
    g = t.gate(API, "b.example.com", upstreams=[u])
    s = g.stream()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.sendall(framed(make(API, id=1).to_wire()))
    u.heard.get(timeout=WAIT)
    s.close()
    # its place is another's now
    s = g.stream()
    s.sendall(framed(make("evil.example.org", id=2).to_wire()))
    assert parse(read_framed(s)).id == 2
    sends[0][1](reply(sends[0][0], f"{API}. 60 IN A 192.0.2.1").to_wire())
    g.record(rcode=5)
    g.record(reason="allowed_by_allowlist", targets=1, name=API)
    s.sendall(framed(make(API, id=3).to_wire()))
    assert parse(read_framed(s)).id == 3


@case
def connections_have_a_bound(t):
    u = t.upstream(silent)
    g = t.gate("*.example.net", "ms=60000", upstreams=[u])
    conns = [g.stream() for _ in range(64)]
    q = framed(make("evil.example.org").to_wire())
    for s in conns:
        s.sendall(q)
        read_framed(s)
        g.record(rcode=5)
    # one more is told of by itself: it has no query
    for n in 1, 2:
        extra = g.stream()
        assert extra.recv(1) == b""
        g.record(reason="table_full", is_flow=1, id=n, tcp=1, to=g.tcp,
                 denied=n, **{"from": extra.getsockname()[1]})
    # also of one that is not read at that time: sixteen of its queries wait
    conns[7].sendall(b"".join(framed(make(f"n{i}.example.net").to_wire())
                              for i in range(17)))
    for _ in range(16):
        u.heard.get(timeout=WAIT)
    conns[7].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
    conns[7].close()
    # its end is heard before what comes after it
    assert g.ask("evil.example.org").rcode() == 5
    s = g.stream()
    s.sendall(q)
    read_framed(s)


@case
def a_burst_is_answered_to_its_end(t):
    u = t.upstream(lambda _, q, send, tcp: send(reply(
        q, *[f"a.b. 60 IN TXT {'x' * 200}{i}" for i in range(74)]
    ).to_wire(max_size=65535)))
    g = t.gate("a.b", upstreams=[f"resolver=127.0.0.1@{u.port}@tcp"])
    q = framed(make("a.b", "TXT").to_wire())
    s = g.stream(receive=4096)
    s.sendall(q)
    size = len(read_framed(s))
    g.record(cached=0)
    # read at once, answered by more than the sockets take; nothing follows
    n = 4096 // len(q)
    s.sendall(q * n)
    g.record(cached=1)
    taken = g.order("stats")["stats"][0]
    assert taken < n, "it did not wait for who reads"
    for i in range(n):
        assert len(read_framed(s)) == size, i


@case
def who_takes_no_answer_is_not_read(t):
    u = t.upstream(lambda _, q, send, tcp: send(reply(
        q, *[f"{API}. 60 IN TXT {'x' * 200}{i}" for i in range(60)]
    ).to_wire(max_size=65535)))
    g = t.gate(API, upstreams=[f"resolver=127.0.0.1@{u.port}@tcp"])
    s = g.stream()
    s.setblocking(False)
    q = framed(make(API, "TXT").to_wire())
    sent = 0
    # until both directions are full; nothing grows without end
    while select.select([], [s], [], 1)[1]:
        sent += s.send((q * 100)[sent % len(q):])
    s.settimeout(WAIT)
    whole = sent // len(q)
    for _ in range(whole):
        assert len(read_framed(s)) > 12000
    assert whole > 16


@case
def a_stream_without_progress_ends(t):
    g = t.gate(API)
    mute, slow, busy = g.stream(), g.stream(), g.stream()
    q = framed(make("evil.example.org").to_wire())
    left = {mute, slow}
    trickle = list(q[:-1])
    while left:
        # bytes that make no query are no progress
        if slow in left and trickle:
            slow.send(bytes([trickle.pop(0)]))
        busy.sendall(q)
        read_framed(busy)
        for s in select.select(list(left), [], [], 1)[0]:
            try:
                assert s.recv(1) == b""
            except ConnectionResetError:
                pass  # a byte was under way
            left.remove(s)
        assert trickle or slow not in left
    busy.sendall(q)
    read_framed(busy)


@case
def after_the_stop_nothing_is_asked(t):
    sends = []
    u = t.upstream(lambda _, q, send, tcp: sends.append((q, send)))
    g = t.gate(API, "b.example.com", upstreams=[u])
    c = g.client()
    c.send(make(API, id=1).to_wire())
    u.heard.get(timeout=WAIT)
    assert g.order("stop")["stopping"]
    assert g.ask("b.example.com").rcode() == 2
    g.record(reason="upstream_failure", rcode=2, asked=0)
    assert g.order("stats")["idle"] == 0
    # what is under way may end well
    sends[0][1](reply(sends[0][0], f"{API}. 60 IN A 192.0.2.1").to_wire())
    assert parse(c.recv(65535)).rcode() == 0
    g.record(reason="allowed_by_allowlist")
    assert g.order("stats")["idle"] == 1
    assert g.ask(API).rcode() == 2
    assert len(u.packets) == 1


@case
def the_end_answers_what_waits(t):
    u = t.upstream(silent)
    g = t.gate(API, "b.example.com", "ms=60000", upstreams=[u])
    c, s = g.client(), g.stream()
    c.send(make(API, id=1).to_wire())
    s.sendall(framed(make("b.example.com", id=2).to_wire()))
    u.heard.get(timeout=WAIT)
    u.heard.get(timeout=WAIT)
    g.sockets.clear()
    rest = g.close()
    t.open.remove(g)
    assert sorted((r["name"], r["reason"], r["rcode"]) for r in rest) == \
        [(API, "upstream_failure", 2), ("b.example.com", "upstream_failure",
                                        2)]
    assert parse(c.recv(65535)).rcode() == 2
    assert parse(read_framed(s)).rcode() == 2
    c.close()
    s.close()


# -- a resolver that is one --

CONFIG = """
server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  directory: "{dir}"
  pidfile: ""
  logfile: ""
  num-threads: 1
  do-ip6: no
  do-not-query-localhost: no
  local-zone: "example.com." static
  local-data: "example.com. 600 IN SOA ns.example.com. x.example.com. 1 2 3 4 77"
  local-data: "api.example.com. 60 IN A 192.0.2.1"
  local-data: "api.example.com. 60 IN A 192.0.2.2"
  local-data: "api.example.com. 60 IN AAAA 2001:db8::1"
  local-data: "api.example.com. 60 IN MX 10 mail.example.com."
  local-data: "www.example.com. 60 IN CNAME api.example.com."
  local-data: "rebind.example.com. 60 IN A 127.0.0.1"
  local-data: "_sip._tcp.example.com. 60 IN SRV 1 2 5060 api.example.com."
  {many}
remote-control:
  control-enable: no
"""


@case
def unbound_behind_it(t):
    with tempfile.TemporaryDirectory() as d:
        port = free_port()
        conf = os.path.join(d, "unbound.conf")
        many = "\n  ".join(f'local-data: "many.example.com. 60 IN A '
                           f'198.51.{i // 200}.{i % 200}"'
                           for i in range(150))
        with open(conf, "w", encoding="ascii") as f:
            f.write(CONFIG.format(port=port, dir=d, many=many))
        env = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin")
        # pylint: disable-next=consider-using-with
        unbound = subprocess.Popen(["unbound", "-d", "-c", conf], env=env,
                                   stderr=subprocess.PIPE, text=True)
        try:
            for line in unbound.stderr:
                if "start of service" in line:
                    break
            else:
                raise AssertionError("unbound does not start")
            ask_unbound(t, port)
        finally:
            unbound.send_signal(signal.SIGTERM)
            unbound.wait(WAIT)
            unbound.stderr.close()


def ask_unbound(t, port):
    g = t.gate("*.example.com", upstreams=[f"resolver=127.0.0.1@{port}"])
    for name, kind, rcode, data in (
            (API, "A", 0, ["192.0.2.1", "192.0.2.2"]),
            (API, "AAAA", 0, ["2001:db8::1"]),
            (API, "MX", 0, ["10 mail.example.com."]),
            (API, "TXT", 0, []),
            ("none.example.com", "A", 3, []),
            ("rebind.example.com", "A", 0, []),
            ("_sip._tcp.example.com", "SRV", 0,
             ["1 2 5060 api.example.com."])):
        r = g.ask(name, kind)
        assert (r.rcode(), data_of(r)) == (rcode, data), (name, kind, r)
        g.record(reason="allowed_by_allowlist", rcode=rcode)
    assert "api.example.com." in data_of(g.ask("www.example.com"))
    g.record(reason="allowed_by_allowlist")
    # cut by UDP; by TCP as many as are pinned of an answer
    r = g.ask("many.example.com", use_edns=0, payload=65535)
    assert len(r.answer[0]) == 64
    g.record(reason="allowed_by_allowlist", targets=64)


if __name__ == "__main__":
    sys.exit(main())
