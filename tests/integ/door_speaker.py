# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs inside a cell: says given bytes to given places, one place after the
other, and tells as JSON lines what came back.

Argument: a file of a JSON list of {"to": [address, port], "udp": bool,
"chunks": [base64], "fin": bool, "ask": [names to resolve first],
"seconds": bound}.
"""

import base64
import errno
import json
import socket
import sys
import time


def listen_to(s, seconds):
    """Everything until the other side ends, with how it ended."""
    got = b""
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return got, "open"
        s.settimeout(left)
        try:
            data = s.recv(65536)
        except socket.timeout:
            return got, "open"
        except OSError as e:
            return got, errno.errorcode[e.errno]
        if not data:
            return got, "fin"
        got += data
        if got.endswith(bytes.fromhex("15030300020228")):
            return got, "server"  # the alert of the world's own


def tcp(case, s):
    reset = False
    for i, chunk in enumerate(case["chunks"]):
        if i:
            time.sleep(0.002)  # a segment of its own
        try:
            s.sendall(base64.b64decode(chunk))
        except OSError as e:  # refused before the end of what was said
            if e.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise
            reset = e.errno == errno.ECONNRESET
            break
    if case.get("fin"):
        try:
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # reset already
    got, end = listen_to(s, case.get("seconds", 10))
    # the kernel tells a reset once: whoever hears it in send() then reads an end
    return got, "ECONNRESET" if reset and end == "fin" else end


def udp(case, s):
    """All datagrams, then as many answers as there are until the last."""
    for chunk in case["chunks"]:
        s.send(base64.b64decode(chunk))
    out = []
    s.settimeout(case.get("seconds", 5))
    last = base64.b64decode(case["chunks"][-1])[:2]
    while True:
        try:
            data = s.recv(65536)
        except socket.timeout:
            return out, "open"
        except OSError as e:
            return out, errno.errorcode[e.errno]
        out.append(base64.b64encode(data).decode())
        if data[:2] == last:
            return out, "answered"


def one(case):
    for name in case.get("ask", ()):
        socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)
    addr, port = case["to"]
    s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET,
                      socket.SOCK_DGRAM if case.get("udp")
                      else socket.SOCK_STREAM)
    s.settimeout(10)
    s.bind(("::" if ":" in addr else "0.0.0.0", 0))
    begin = time.monotonic()
    out = {"from": s.getsockname()[1], "got": ""}
    try:
        s.connect((addr, port))
        if case.get("udp"):
            out["got"], out["end"] = udp(case, s)
        else:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            got, out["end"] = tcp(case, s)
            out["got"] = base64.b64encode(got).decode()
    except OSError as e:
        out["end"] = errno.errorcode.get(e.errno, repr(e))
    out["ms"] = round((time.monotonic() - begin) * 1000)
    s.close()
    return out


def main():
    with open(sys.argv[1], encoding="ascii") as f:
        cases = json.load(f)
    for case in cases:
        print(json.dumps(one(case)), flush=True)


main()
