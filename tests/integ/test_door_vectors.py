# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a client inside a cell may say, byte by byte: hellos, requests and DNS
queries, each with its verdict, what the client hears, what the server gets."""

import base64
import struct

import pytest

from door_harness import (DENIED, LET_THROUGH, WorldCells, arrived,
                          decisions, name, record_of, say, speak)
from world_files import OWN4

API, EVIL, WILD = name("api"), name("evil"), "*." + name("cdn")
FOO = name("foo.cdn")
MATCH, MISS, MISSING = ("l7_sni_allowlist_match", "l7_sni_allowlist_miss",
                        "l7_sni_missing")
UNKNOWN = "l7_unknown_protocol"
HOST_MATCH, HOST_MISS, HOST_MISSING = (
    "l7_http_host_allowlist_match", "l7_http_host_allowlist_miss",
    "l7_http_host_missing")


@pytest.fixture
def door(world, tmp_path):
    c = WorldCells(tmp_path, world.need("raw"), "dual")
    yield c
    c.close()


# -- TLS --

def u16(b):
    return struct.pack("!H", len(b)) + b


def names(*entries):
    """A server_name extension of (type, bytes) entries."""
    body = u16(b"".join(bytes([t]) + u16(n) for t, n in entries))
    return b"\0\0" + u16(body)


def hello(extensions, ciphers=b"\x13\x01", session=b"", tail=b""):
    """The handshake message."""
    body = (b"\x03\x03" + bytes(32) + bytes([len(session)]) + session +
            u16(ciphers) + b"\x01\0")
    if extensions is not None:
        body += u16(extensions)
    body += tail
    return b"\x01" + struct.pack("!I", len(body))[1:] + body


def record(body, kind=22, version=b"\x03\x01"):
    return bytes([kind]) + version + u16(body)


def tls(host, *more, **kw):
    host = host if isinstance(host, bytes) else host.encode()
    return record(hello(names((0, host)) + b"".join(more), **kw))


def patched(raw, at, value):
    return raw[:at] + value + raw[at + len(value):]


def records(message, size):
    return b"".join(record(message[i:i + size])
                    for i in range(0, len(message), size))


def ext(number, body):
    return struct.pack("!H", number) + u16(body)


BASE = tls(API)
MESSAGE = BASE[5:]
# a key share as large as post-quantum ones are, and larger
PADDED = {n: hello(names((0, API.encode())) + ext(21, bytes(n)))
          for n in (200, 1500, 8000, 16000, 60000)}
# (what, chunks, verdict, name that is told, does the client end after it)
HELLOS = [
    ("name", [BASE], MATCH, API),
    ("another name", [tls(EVIL)], MISS, EVIL),
    ("below the name", [tls("x." + API)], MISS, "x." + API),
    ("wildcard, resolved", [tls(FOO)], MATCH, FOO),
    ("wildcard, two labels", [tls(name("deep.foo.cdn"))], MATCH,
     name("deep.foo.cdn")),
    ("wildcard's apex", [tls(name("cdn"))], MISS, name("cdn")),
    ("beside the wildcard", [tls(name("evil-cdn"))], MISS, name("evil-cdn")),
    ("allowed, but never resolved", [tls(name("new.cdn"))],
     "sni_not_at_address", name("new.cdn")),
    ("no extension", [record(hello(b""))], MISSING, None),
    ("no extension field", [record(hello(None))], MISSING, None),
    ("other extensions only", [record(hello(ext(43, b"\x02\x03\x04")))],
     MISSING, None),
    ("application data", [patched(BASE, 0, b"\x17")], UNKNOWN, None),
    ("record too long", [b"\x16\x03\x03\xff\xff\x01"], UNKNOWN, None),
    ("cut", [BASE[:21], None], UNKNOWN, None),
    ("two names", [record(hello(names((0, API.encode()),
                                      (0, EVIL.encode()))))], UNKNOWN, None),
    ("an address", [tls("192.0.2.1")], UNKNOWN, None),
    ("empty name", [tls("")], UNKNOWN, None),
    ("trailing dot", [tls(API + ".")], MATCH, API),
    ("upper case", [tls(API.upper())], MATCH, API),
    ("version 3.4", [patched(BASE, 9, b"\x03\x04")], MATCH, API),
    ("not a hello", [patched(BASE, 5, b"\x02")], UNKNOWN, None),
    ("odd cipher suites", [tls(API, ciphers=b"\x13\x01\x13")], UNKNOWN, None),
    ("two server_names", [tls(API, names((0, EVIL.encode())))], UNKNOWN,
     None),
    ("empty entry, then a name", [record(hello(names((0, b""), (
        0, API.encode()))))], UNKNOWN, None),
    ("a dot", [tls(".")], UNKNOWN, None),
    ("two dots", [tls(API + "..")], UNKNOWN, None),
    ("NUL in the name", [tls(b"evil.com\0." + FOO.encode())], UNKNOWN, None),
    ("not ASCII", [tls(b"\xff\xfe." + name("cdn").encode())], UNKNOWN, None),
    ("ECH or GREASE", [tls(API, ext(0xfe0d, bytes(64)))], MATCH, API),
    ("two segments", [BASE[:30], BASE[30:]], MATCH, API),
    ("one byte first", [BASE[:1], BASE[1:]], MATCH, API),
    ("two segments, another name", [tls(EVIL)[:30], tls(EVIL)[30:]], MISS,
     EVIL),
    ("two records", [records(MESSAGE, 40)], MATCH, API),
    ("records of one byte", [records(MESSAGE, 1)], MATCH, API),
    ("records of one byte, another name",
     [records(tls(EVIL)[5:], 1)], MISS, EVIL),
    ("an alert between records",
     [record(MESSAGE[:40]) + record(b"\1\0", 21) + record(MESSAGE[40:])],
     UNKNOWN, None),
    ("an alert first", [record(b"\2\x28", 21)], UNKNOWN, None),
    ("an SSH banner", [b"SSH-2.0-OpenSSH_9.2\r\n"], UNKNOWN, None),
    ("four zeros", [bytes(4)], UNKNOWN, None),
    ("SSLv2", [b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10" + bytes(37)], UNKNOWN,
     None),
    ("HTTP", [f"GET / HTTP/1.1\r\nHost: {API}\r\n\r\n".encode()], UNKNOWN,
     None),
    ("bytes behind it", [record(MESSAGE + b"\0")], UNKNOWN, None),
    ("0.3 KiB", [record(PADDED[200])], MATCH, API),
    ("1.7 KiB, in two segments", [record(PADDED[1500])[:1400],
                                  record(PADDED[1500])[1400:]], MATCH, API),
    ("8 KiB", [record(PADDED[8000])], MATCH, API),
    ("a full record", [records(PADDED[16000], 16384)], MATCH, API),
    ("60 KiB in four records", [records(PADDED[60000], 16384)], MATCH, API),
    ("more than 64 KiB", [records(hello(names((0, API.encode())) +
                                        ext(21, bytes(65000)) +
                                        ext(22, bytes(495))), 16384)],
     "hello_too_long", None),
]


def check_decisions(r, wanted):
    """One decision for each, in the order they were said. Words that are not
    the original's stand in the connection record only."""
    found = decisions(r)
    assert len(found) == len(wanted), found
    for (action, code, shown), (want, want_shown) in zip(found, wanted):
        assert code == want if want.startswith("l7_") else \
            code.startswith("l7_"), (code, want)
        assert action == ("allow" if want in (MATCH, HOST_MATCH) else "deny")
        assert shown == (want_shown or "(unknown)"), (shown, want)


def test_hellos(door):
    cases = [say((OWN4, 443), *[c for c in chunks if c is not None],
                 fin=None in chunks,
                 ask=[API, FOO, name("deep.foo.cdn")] if i == 0 else [])
             for i, (_, chunks, _, _) in enumerate(HELLOS)]
    before = len(door.world.seen("raw443"))
    r, heard = speak(door, [f"{API}:443", f"{WILD}:443"], cases)
    assert r.rc == 0, r
    passed = []
    for (what, chunks, code, shown), h in zip(HELLOS, heard):
        f = record_of(r, h)
        assert f["reason"] == code, (what, f, h)
        assert f.get("sni") == shown, (what, f)
        if code == MATCH:
            assert (h["got"], h["end"]) == (LET_THROUGH, "server"), (what, h)
            passed.append(b"".join(c for c in chunks if c is not None))
            assert (f["verdict"], f["ruleRef"][-3:]) == (
                "allow", "[1]" if FOO in shown else "[0]"), (what, f)
        else:
            assert f["verdict"] == "deny" and "dialled" not in f, (what, f)
            if chunks[0][0] == 22:
                assert h["got"] in (DENIED, b""), (what, h)
            assert h["end"] in ("fin", "ECONNRESET"), (what, h)
        assert f.get("ech", False) == (what == "ECH or GREASE"), (what, f)
    check_decisions(r, [(code, shown) for _, _, code, shown in HELLOS])
    # what was let through came as it was sent; nothing else came
    got = arrived(door.world, "raw443", before, len(passed))
    assert [base64.b64decode(e["data"]) for e in got] == passed
    door.verified(r)


def test_a_hello_cut_anywhere_is_the_same(door):
    """Split in two at every offset: the verdict is that of the whole."""
    good = [say((OWN4, 443), BASE[:i], BASE[i:],
                ask=[API] if i == 1 else []) for i in range(1, len(BASE))]
    bad = tls(EVIL)
    evil = [say((OWN4, 443), bad[:i], bad[i:]) for i in range(1, len(bad))]
    before = len(door.world.seen("raw443"))
    r, heard = speak(door, [f"{API}:443"], good + evil)
    assert {h["got"] for h in heard[:len(good)]} == {LET_THROUGH}, r
    assert {h["got"] for h in heard[len(good):]} == {DENIED}
    reasons = [record_of(r, h)["reason"] for h in heard]
    assert reasons == [MATCH] * len(good) + [MISS] * len(evil)
    got = arrived(door.world, "raw443", before, len(good))
    assert {base64.b64decode(e["data"]) for e in got} == {BASE}
    assert len(got) == len(good)
    door.verified(r)


def test_a_byte_a_write(door):
    """The slowest client that is still in time."""
    r, heard = speak(door, [f"{API}:443"], [
        say((OWN4, 443), *[BASE[i:i + 1] for i in range(len(BASE))],
            ask=[API])])
    assert (heard[0]["got"], decisions(r)) == (
        LET_THROUGH, [("allow", MATCH, API)]), r


def test_deadlines(door):
    """Silence, and a hello that does not end, each with a code of its own.
    (The bound is 10 s.)"""
    r, heard = speak(door, [f"{API}:443"], [
        say((OWN4, 443), ask=[API], seconds=40),
        say((OWN4, 443), BASE[:30], seconds=40)])
    assert [record_of(r, h)["reason"] for h in heard] == [
        "l7_peek_timeout", "hello_timeout"], r
    assert (heard[0]["got"], heard[0]["end"]) == (b"", "fin")
    assert heard[0]["ms"] >= 10000 and heard[1]["ms"] >= 10000
    door.verified(r)


# -- HTTP --

def req(text, **kw):
    return text.format(api=API, evil=EVIL, **kw).encode("latin-1")


OK = "GET / HTTP/1.1\r\nHost: {api}\r\n\r\n"
PAD = "GET / HTTP/1.1\r\nHost: {api}\r\nX: "
# (what, chunks, verdict, the name that is told)
REQUESTS = [
    ("GET", [req(OK)], HOST_MATCH, API),
    ("POST", [req("POST / HTTP/1.1\r\nHost: {api}\r\nContent-Length: 2\r\n\r\n"
                  "hi")], HOST_MATCH, API),
    ("PATCH", [req("PATCH /x HTTP/1.1\r\nhost: {api}\r\nContent-Length: 0\r\n"
                   "\r\n")], HOST_MATCH, API),
    ("HOST", [req("GET / HTTP/1.1\r\nHOST: {api}\r\n\r\n")], HOST_MATCH, API),
    ("with its port", [req("GET / HTTP/1.1\r\nHost: {api}:80\r\n\r\n")],
     HOST_MATCH, API),
    ("with another port", [req("GET / HTTP/1.1\r\nHost: {api}:8443\r\n\r\n")],
     "host_other_port", API),
    ("trailing dot", [req("GET / HTTP/1.1\r\nHost: {api}.\r\n\r\n")],
     HOST_MATCH, API),
    ("upper case", [req(OK).replace(API.encode(), API.upper().encode())],
     HOST_MATCH, API),
    ("another host", [req("GET / HTTP/1.1\r\nHost: {evil}\r\n\r\n")],
     HOST_MISS, EVIL),
    ("no Host", [b"GET / HTTP/1.1\r\nX: y\r\n\r\n"], HOST_MISSING, None),
    ("empty Host", [b"GET / HTTP/1.1\r\nHost:\r\n\r\n"], HOST_MISSING, None),
    ("an address", [b"GET / HTTP/1.1\r\nHost: [::1]:443\r\n\r\n"],
     HOST_MISSING, None),
    ("HTTP/0.9", [b"GET /\r\n\r\n"], UNKNOWN, None),
    ("8192 bytes", [req(PAD) + b"a" * (8192 - len(req(PAD)) - 4) +
                    b"\r\n\r\n"], HOST_MATCH, API),
    ("8193 bytes", [req(PAD) + b"a" * (8193 - len(req(PAD)) - 4) +
                    b"\r\n\r\n"], UNKNOWN, None),
    ("CR in the request line",
     [req("GET /\r HTTP/1.1\r\nHost: {api}\r\n\r\n")], UNKNOWN, None),
    ("NUL in the request line",
     [req("GET /\0 HTTP/1.1\r\nHost: {api}\r\n\r\n")], UNKNOWN, None),
    ("no end", [req("GET / HTTP/1.1\r\nHost: {api}\r\n")], UNKNOWN, None),
    ("two segments", [req(OK)[:25], req(OK)[25:]], HOST_MATCH, API),
    ("LF lines", [req("GET / HTTP/1.1\nHost: {api}\n\n")], UNKNOWN, None),
    ("TAB after the method",
     [req("GET\t/ HTTP/1.1\r\nHost: {api}\r\n\r\n")], UNKNOWN, None),
    ("get", [req("get / HTTP/1.1\r\nHost: {api}\r\n\r\n")], UNKNOWN, None),
    ("TRACE", [req("TRACE / HTTP/1.1\r\nHost: {api}\r\n\r\n")], UNKNOWN,
     None),
    ("version FOO", [req("GET / FOO\r\nHost: {api}\r\n\r\n")], UNKNOWN, None),
    ("HTTP/1.0", [req("GET / HTTP/1.0\r\nHost: {api}\r\n\r\n")], HOST_MATCH,
     API),
    ("absolute form, another host",
     [req("GET http://{evil}/ HTTP/1.1\r\nHost: {api}\r\n\r\n")], HOST_MISS,
     None),
    ("absolute form, the host",
     [req("GET http://{api}/ HTTP/1.1\r\nHost: {api}\r\n\r\n")], HOST_MATCH,
     API),
    ("CONNECT", [req("CONNECT {evil}:443 HTTP/1.1\r\nHost: {evil}:443\r\n"
                     "\r\n")], "http_connect_refused", EVIL),
    ("CONNECT to the host", [req("CONNECT {api}:443 HTTP/1.1\r\nHost: "
                                 "{api}:443\r\n\r\n")],
     "http_connect_refused", API),
    ("two Hosts", [req("GET / HTTP/1.1\r\nHost: {api}\r\nHost: {evil}\r\n"
                       "\r\n")], UNKNOWN, None),
    ("two Hosts, reversed", [req("GET / HTTP/1.1\r\nHost: {evil}\r\nHost: "
                                 "{api}\r\n\r\n")], UNKNOWN, None),
    ("space before the colon", [req("GET / HTTP/1.1\r\nHost : {evil}\r\n"
                                    "Host: {api}\r\n\r\n")], UNKNOWN, None),
    ("LF in a field", [req("GET / HTTP/1.1\r\nX: a\nHost: {evil}\r\n"
                           "Host: {api}\r\n\r\n")], UNKNOWN, None),
    ("NUL in a field", [req("GET / HTTP/1.1\r\nX: \0\r\nHost: {api}\r\n"
                            "\r\n")], UNKNOWN, None),
    ("folded Host", [req("GET / HTTP/1.1\r\nHost:\r\n {evil}\r\n\r\n")],
     UNKNOWN, None),
    ("userinfo", [req("GET / HTTP/1.1\r\nHost: {api}:80@evil.com\r\n\r\n")],
     UNKNOWN, None),
    ("a path in Host", [req("GET / HTTP/1.1\r\nHost: evil.com/x." +
                            name("cdn") + "\r\n\r\n")], UNKNOWN, None),
    ("length and coding", [req("POST / HTTP/1.1\r\nHost: {api}\r\nContent-"
                               "Length: 4\r\nTransfer-Encoding: chunked\r\n"
                               "\r\n0\r\n\r\n")], UNKNOWN, None),
    ("upgrade to h2c", [req("GET / HTTP/1.1\r\nHost: {api}\r\nConnection: "
                            "Upgrade\r\nUpgrade: h2c\r\n\r\n")],
     "l7_h2_unparseable_headers", API),
    ("h2c preface", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
     "l7_h2_unparseable_headers", None),
    ("a hello", [BASE], UNKNOWN, None),
]
GOAWAY = bytes.fromhex("0000080700000000000000000100000001")


def test_requests(door):
    cases = [say((OWN4, 80), *chunks, fin=True,
                 ask=[API, FOO] if i == 0 else [])
             for i, (_, chunks, _, _) in enumerate(REQUESTS)]
    before = len(door.world.seen("raw80"))
    r, heard = speak(door, [f"{API}:80", f"{WILD}:80"], cases)
    assert r.rc == 0, r
    passed = []
    for (what, chunks, code, shown), h in zip(REQUESTS, heard):
        f = record_of(r, h)
        assert f["reason"] == code, (what, f, h)
        assert f.get("host") == shown, (what, f)
        if code == HOST_MATCH:
            assert h["got"].startswith(b"HTTP/1.1 200 OK\r\n"), (what, h)
            passed.append(b"".join(chunks))
        else:
            assert f["verdict"] == "deny" and "dialled" not in f, (what, f)
            assert b"200 OK" not in h["got"], (what, h)
            if "h2c preface" == what:
                assert h["got"] == GOAWAY, h
            elif chunks[0][:1] == b"\x16":
                assert h["got"] in (DENIED, b""), h
            elif h["end"] == "fin":  # who could still read was told
                assert h["got"].startswith(b"HTTP/1.1 403 Forbidden\r\n"), (
                    what, h)
                assert code.encode() in h["got"], (what, h)
    check_decisions(r, [(code, shown) for _, _, code, shown in REQUESTS])
    got = door.world.seen("raw80", before)
    assert [base64.b64decode(e["head"]) + base64.b64decode(e["body"])
            for e in got] == passed
    door.verified(r)


NEXT = [
    # a second request on a connection whose first was allowed
    ("pipelined, allowed", [req(OK) * 2], 2, None),
    ("pipelined", [req(OK) + req("GET / HTTP/1.1\r\nHost: {evil}\r\n\r\n")],
     1, HOST_MISS),
    ("later", [req(OK), req("GET / HTTP/1.1\r\nHost: {evil}\r\n\r\n")], 1,
     HOST_MISS),
    ("behind a chunked body",
     [req("POST / HTTP/1.1\r\nHost: {api}\r\nTransfer-Encoding: chunked\r\n"
          "\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: {evil}\r\n"
          "\r\n")], None, HOST_MISS),
    ("CONNECT", [req(OK) + req("CONNECT {api}:443 HTTP/1.1\r\nHost: {api}:443"
                               "\r\n\r\n")], 1, "http_connect_refused"),
    ("no request", [req(OK) + b"\0\0\0\0\r\n\r\n"], 1, UNKNOWN),
]


def test_every_request_of_a_connection_is_judged(door):
    before = len(door.world.seen("raw80"))
    r, heard = speak(door, [f"{API}:80"], [
        say((OWN4, 80), *chunks, fin=True, ask=[API] if i == 0 else [])
        for i, (_, chunks, _, _) in enumerate(NEXT)])
    for (what, _, n, code), h in zip(NEXT, heard):
        f = record_of(r, h)
        if n is not None:
            assert h["got"].count(b"HTTP/1.1 200 OK") <= n, (what, h)
        assert f["reason"] == (code or HOST_MATCH), (what, f)
    for e in door.world.seen("raw80", before):
        assert EVIL.encode() not in base64.b64decode(e["head"])
        assert b"CONNECT" not in base64.b64decode(e["head"])
    door.verified(r)
