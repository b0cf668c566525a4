# SPDX-License-Identifier: MIT OR Apache-2.0
"""A cell and resolvers, good and hostile, around the cell's own resolver."""
import json
import os
import queue
import select
import socket
import struct
import subprocess
import sys
import threading
import traceback

import dns.flags
import dns.message
import dns.rrset

DRIVER = sys.argv[1]
WAIT = 30  # until something that must happen is given up, seconds
API = "api.example.com"
HEAD = bytes.fromhex("1234 0100 0001 0000 0000 0000")
A_IN = bytes.fromhex("0001 0001")
TYPES = [1, 2, 5, 12, 15, 16, 28, 33, 64, 65]


def one_port():
    """A listening and a datagram socket of a port that was free for both."""
    while True:
        tcp = socket.create_server(("127.0.0.1", 0), backlog=64)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
            return tcp, udp
        except OSError:
            tcp.close()
            udp.close()


class Upstream:
    """A resolver: every packet is listed, @answer says what is sent back.

    answer(upstream, query, send, tcp): send(bytes) goes to who asked.
    """

    def __init__(self, answer):
        self.answer = answer
        self.packets = []  # (transport, wire, port it came from)
        self.held = None   # a list: connections stay open in it
        self.heard = queue.Queue()
        self.tcp, self.udp = one_port()
        self.port = self.tcp.getsockname()[1]
        self.end, self.ended = os.pipe()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            ready, _, _ = select.select([self.udp, self.tcp, self.end], [], [])
            if self.end in ready:
                return
            if self.udp in ready:
                wire, who = self.udp.recvfrom(65535)
                self.hear("udp", wire, who,
                          lambda b, who=who: self.udp.sendto(b, who))
            if self.tcp in ready:
                c, who = self.tcp.accept()
                c.settimeout(WAIT)
                if self.held is not None:
                    self.held.append(c.dup())
                with c:
                    wire = read_framed(c)
                    self.hear("tcp", wire, who,
                              lambda b, c=c: c.sendall(framed(b)))

    def hear(self, transport, wire, who, send):
        self.packets.append((transport, wire, who[1]))
        query = dns.message.from_wire(wire)
        try:
            self.answer(self, query, send, transport == "tcp")
        except OSError:
            pass  # who asked has gone
        self.heard.put(query)

    def close(self):
        os.write(self.ended, b"x")
        self.thread.join()
        for s in self.udp, self.tcp, *(self.held or ()):
            s.close()
        os.close(self.end)
        os.close(self.ended)


def wire_name(*labels):
    return b"".join(bytes([len(x)]) + x for x in labels) + b"\0"


def framed(b):
    return struct.pack(">H", len(b)) + b


def read_exactly(c, n):
    data = b""
    while len(data) < n:
        piece = c.recv(n - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def read_framed(c):
    return read_exactly(c, struct.unpack(">H", read_exactly(c, 2))[0])


class Gate:
    """The driver, and everything a cell would say to it."""

    def __init__(self, *args, upstreams=(), types=TYPES):
        args = list(args) + [f"type={t}" for t in types]
        for u in upstreams:
            args.append(u if isinstance(u, str)
                        else f"resolver=127.0.0.1@{u.port}")
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen([DRIVER, *args],
                                        stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        ports = json.loads(self.process.stdout.readline())
        self.udp, self.udp6 = ports["udp"], ports["udp6"]
        self.tcp = ports["tcp"]
        self.records, self.answers = queue.Queue(), queue.Queue()
        self.thread = threading.Thread(target=self.read)
        self.thread.start()
        self.sockets = []

    def read(self):
        for line in self.process.stdout:
            line = json.loads(line)
            (self.records if "reason" in line else self.answers).put(line)

    def record(self, **want):
        got = self.records.get(timeout=WAIT)
        for k, v in want.items():
            assert got.get(k) == v, f"{k}: {got.get(k)!r}, not {v!r}: {got}"
        return got

    def order(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.answers.get(timeout=WAIT)

    def pins(self, name):
        return sorted(self.order("pins " + name)["pins"])

    def client(self, to="127.0.0.1", family=socket.AF_INET):
        s = socket.socket(family, socket.SOCK_DGRAM)
        self.sockets.append(s)
        s.settimeout(WAIT)
        s.connect((to, self.udp6 if family == socket.AF_INET6 else self.udp))
        return s

    def stream(self, receive=0):
        """@receive: bytes the client's side of it takes unread."""
        s = socket.socket()
        self.sockets.append(s)
        s.settimeout(WAIT)
        if receive:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        s.connect(("127.0.0.1", self.tcp))
        return s

    def ask(self, name, qtype="A", **kw):
        """One query by UDP from a socket of its own, and its answer."""
        q = make(name, qtype, **kw)
        c = self.client()
        c.send(q if isinstance(q, bytes) else q.to_wire())
        answer = parse(c.recv(65535), q)
        # a test of many questions may have few descriptors
        self.sockets.remove(c)
        c.close()
        return answer

    def close(self):
        """Return: what was told at the end."""
        for s in self.sockets:
            s.close()
        self.process.stdin.close()
        code = self.process.wait(WAIT)
        self.thread.join()
        self.process.stdout.close()
        rest = list(self.records.queue)
        assert code == 0, f"exit {code}"
        return rest


def make(name, qtype="A", **kw):
    kw.setdefault("use_edns", False)
    return dns.message.make_query(name, qtype, **kw)


def parse(wire, query=None):
    m = dns.message.from_wire(wire)
    if query is not None:
        assert m.id == query.id, "id"
        assert m.flags & dns.flags.QR
        assert [str(q) for q in m.question] == \
            [str(q) for q in query.question], "question"
    return m


def reply(query, *records, rcode=0, flags=0, authority=()):
    """@records: "name ttl IN TYPE data"."""
    m = dns.message.make_response(query, recursion_available=True)
    m.set_rcode(rcode)
    m.flags |= flags
    for section, lines in ((m.answer, records), (m.authority, authority)):
        for line in lines:
            n, ttl, cls, kind, data = line.split(None, 4)
            section.append(dns.rrset.from_text(n, int(ttl), cls, kind, data))
    return m


def name_of(query):
    return query.question[0].name.to_text()


def addresses(*texts, ttl=300):
    """An upstream that answers every name with these."""
    def answer(_, query, send, _tcp):
        kind = query.question[0].rdtype
        lines = [f"{name_of(query)} {ttl} IN "
                 f"{'AAAA' if ':' in a else 'A'} {a}" for a in texts
                 if (kind == 28) == (":" in a) and kind in (1, 28)]
        send(reply(query, *lines).to_wire(max_size=65535))
    return answer


def silent(*_):
    """An upstream that says nothing."""


def data_of(message):
    return sorted(r.to_text() for rr in message.answer for r in rr)


TESTS = []


def case(f):
    TESTS.append(f)
    return f


class Case:
    """Closes what a test opened, also when it fails."""

    def __init__(self):
        self.open = []

    def upstream(self, answer):
        u = Upstream(answer)
        self.open.append(u)
        return u

    def gate(self, *args, **kw):
        g = Gate(*args, **kw)
        self.open.append(g)
        return g

    def close(self):
        errors = []
        for o in reversed(self.open):
            try:
                o.close()
            except (AssertionError, subprocess.TimeoutExpired) as e:
                errors.append(e)
                if isinstance(o, Gate):
                    o.process.kill()
        if errors:
            raise errors[0]


def main():
    only = sys.argv[2:]
    tests = [f for f in TESTS if not only or f.__name__ in only]
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for i, f in enumerate(tests, 1):
        t = Case()
        try:
            try:
                f(t)
            finally:
                t.close()
            print(f"ok {i} - {f.__name__}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {i} - {f.__name__}")
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            sys.stdout.flush()
    return 1 if failed else 0
