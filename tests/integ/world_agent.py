# SPDX-License-Identifier: MIT OR Apache-2.0
"""Process 1 of the world: starts servers, is some of them, remembers what came.

Orders are JSON lines on stdin, one answer line each on stdout. When stdin ends
this process ends, and with it, for it is pid 1 of a pid namespace, every
server: nothing outlives the tests, however they end.

Runs from a file of the tests by /usr/bin/python3; standard library only.
"""

import base64
import ctypes
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time

lock = threading.Lock()
# What the servers of this process saw, by name of the server, in order.
seen = {}
children = {}
liar_rules = {}


def note(server, **what):
    with lock:
        seen.setdefault(server, []).append(what)


def text(data, limit=65536):
    return base64.b64encode(data[:limit]).decode()


def thread(target, *args):
    threading.Thread(target=target, args=args, daemon=True).start()


def listener(addr, port, kind=socket.SOCK_STREAM):
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    s = socket.socket(family, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind((addr, port))
    if kind == socket.SOCK_STREAM:
        s.listen(1024)
    return s


def each(s, handler, *args):
    while True:
        c, peer = s.accept()
        thread(handler, c, peer, *args)


# -- the servers that are this process; each is handler(connection, peer) --

def raw(c, peer, name):
    """Takes everything until the client has finished, then says "taken"."""
    got = bytearray()
    entry = {"peer": peer[0], "data": "", "bytes": 0, "end": "open"}
    with lock:
        seen.setdefault(name, []).append(entry)
    try:
        while True:
            data = c.recv(65536)
            if not data:
                entry["end"] = "fin"
                break
            got += data[:max(0, 65536 - len(got))]
            with lock:
                entry["data"] = text(bytes(got))
                entry["bytes"] += len(data)
        c.sendall(b"taken\n")
    except OSError:
        entry["end"] = "reset"
    c.close()


HANDSHAKE_FAILURE = bytes.fromhex("15030300020228")


def tls(c, peer, name):
    """As raw(), but answers the first bytes with an alert of its own: a
    client that hears it has been let through."""
    entry = {"peer": peer[0], "data": "", "end": "open"}
    with lock:
        seen.setdefault(name, []).append(entry)
    got = bytearray()
    try:
        while data := c.recv(65536):
            if not got:
                c.sendall(HANDSHAKE_FAILURE)
            got += data[:max(0, (1 << 18) - len(got))]
            with lock:
                entry["data"] = text(bytes(got), 1 << 18)
        end = "fin"
    except OSError:
        end = "reset"
    with lock:
        entry["end"] = end
    c.close()


def http(c, peer, name):
    """One request after the other; each is remembered whole, and answered
    with its own body, or its own Host."""
    f = c.makefile("rb")
    try:
        while True:
            head = bytearray()
            while not head.endswith(b"\r\n\r\n"):
                line = f.readline(65537)
                if not line:
                    return
                head += line
            size = 0
            host = b""
            for line in bytes(head).split(b"\r\n")[1:]:
                key, _, value = line.partition(b":")
                if key.lower() == b"content-length":
                    size = int(value)
                elif key.lower() == b"host":
                    host = value.strip()
            body = f.read(size)
            note(name, peer=peer[0], head=text(bytes(head)), body=text(body))
            out = body or b"host " + host + b"\n"
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" %
                      len(out) + out)
    except (OSError, ValueError):
        pass
    finally:
        c.close()


def retry_request():
    """RFC 8446 4.1.4, for the group x25519."""
    random = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891"
                           "c2a211167abb8c5e079e09e2c8a8339c")
    extensions = bytes.fromhex("002b00020304" "00330002001d")
    body = (b"\3\3" + random + b"\0" + b"\x13\x01" + b"\0" +
            struct.pack("!H", len(extensions)) + extensions)
    message = b"\2" + struct.pack("!I", len(body))[1:] + body
    return b"\x16\3\3" + struct.pack("!H", len(message)) + message


def retry(c, peer, name):
    """Asks for the hello once more, then is as tls()."""
    try:
        first = c.recv(65536)
        c.sendall(retry_request())
    except OSError:
        first = b""
    note(name + " first", data=text(first))
    tls(c, peer, name)


def banner(c, peer, name):
    """Speaks first, as SSH and SMTP do; then echoes lines."""
    note(name, peer=peer[0])
    try:
        c.sendall(b"220 banner of the world\r\n")
        while data := c.recv(4096):
            c.sendall(data)
    except OSError:
        pass
    c.close()


def hanging(c, peer, name):
    """Accepts and says nothing, for ever."""
    note(name, peer=peer[0])
    threading.Event().wait()


def udp_echo(s, name):
    while True:
        data, peer = s.recvfrom(65536)
        note(name, peer=peer[0], data=text(data))
        s.sendto(data, peer)


# -- a name server that lies as it is told --

def question(packet):
    at, labels = 12, []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]])
        at += 1 + packet[at]
    kind, = struct.unpack("!H", packet[at + 1:at + 3])
    return b".".join(labels).decode("latin-1").lower(), kind, at + 5


def liar(s, name, elsewhere):
    """Answers A and AAAA as rules say: {name: {"a": [...], "how": word}}."""
    late = []
    while True:
        packet, peer = s.recvfrom(65536)
        qname, kind, end = question(packet)
        note(name, name=qname, type=kind, packet=text(packet))
        rule = liar_rules.get(qname, {})
        how = rule.get("how", "")
        addrs = [socket.inet_pton(
            socket.AF_INET6 if ":" in a else socket.AF_INET, a)
            for a in rule.get("a", ())]
        addrs = [a for a in addrs if len(a) == {1: 4, 28: 16}.get(kind, 0)]
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, rule.get("ttl", 60),
                                      len(a)) + a for a in addrs)
        head = packet[:2] + struct.pack("!HHHHH", 0x8180, 1, len(addrs), 0, 0)
        answer = head + packet[12:end] + records
        if how == "silent":
            continue
        if how == "wrong-id":
            s.sendto(bytes([packet[0] ^ 0x55]) + answer[1:], peer)
        elif how == "wrong-source":
            elsewhere.sendto(answer, peer)
        elif how == "wrong-question":
            other = b"\x05other" + packet[12:end]
            s.sendto(head + other + records, peer)
        elif how == "late":
            late.append(answer)
        elif how == "stale-first":
            for old in late:
                s.sendto(old, peer)
            s.sendto(answer, peer)
        elif how == "cut":
            s.sendto(packet[:2] + struct.pack("!HHHHH", 0x8380, 1, 0, 0, 0) +
                     packet[12:end], peer)
        elif how == "short":
            s.sendto(answer[:3], peer)
        else:
            s.sendto(answer, peer)


# -- every packet that comes to a device --

def capture(s, device):
    while True:
        frame, origin = s.recvfrom(2048)
        if origin[2] == socket.PACKET_OUTGOING:
            continue
        ether = frame[12:14]
        if ether == b"\x08\x00" and len(frame) >= 34:
            at = 14 + (frame[14] & 15) * 4
            proto = frame[23]
            src = socket.inet_ntop(socket.AF_INET, frame[26:30])
            dst = socket.inet_ntop(socket.AF_INET, frame[30:34])
        elif ether == b"\x86\xdd" and len(frame) >= 54:
            at, proto = 54, frame[20]
            src = socket.inet_ntop(socket.AF_INET6, frame[22:38])
            dst = socket.inet_ntop(socket.AF_INET6, frame[38:54])
        else:
            continue
        if proto == socket.IPPROTO_ICMPV6 and 133 <= frame[at] <= 137 or \
                proto == 0:
            continue  # neighbours of the link, which IPv6 cannot be without
        port = 0
        if proto in (6, 17):
            port, = struct.unpack("!H", frame[at + 2:at + 4])
        note("packets " + device, proto=proto, src=src, dst=dst, port=port,
             syn=proto == 6 and frame[at + 13] & 0x12 == 2,
             data=text(frame[at:], 256))


# -- orders --

TCP = {"raw": raw, "tls": tls, "retry": retry,
       "http": http, "banner": banner, "hanging": hanging}


def do_listen(o):
    for addr in o["addrs"]:
        if o["kind"] in TCP:
            thread(each, listener(addr, o["port"]), TCP[o["kind"]], o["name"])
        elif o["kind"] == "udp":
            thread(udp_echo, listener(addr, o["port"], socket.SOCK_DGRAM),
                   o["name"])
        else:
            thread(liar, listener(addr, o["port"], socket.SOCK_DGRAM),
                   o["name"], listener(addr, 0, socket.SOCK_DGRAM))


def do_spawn(o):
    with open(o["log"], "ab") as log:
        p = subprocess.Popen(o["argv"], stdin=subprocess.DEVNULL, stdout=log,
                             stderr=log, env=o["env"])
    children[p.pid] = p
    return p.pid


def do_run(o):
    p = subprocess.run(o["argv"], stdin=subprocess.DEVNULL, env=o["env"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return [p.returncode, p.stdout.decode(errors="replace")]


def do_accepts(o):
    """Does somebody accept there, now or within the deadline? A server that
    has ended will not."""
    end = time.monotonic() + o["seconds"]
    family = socket.AF_INET6 if ":" in o["addr"] else socket.AF_INET
    while time.monotonic() < end:
        if o.get("pid") and children[o["pid"]].poll() is not None:
            return False
        with socket.socket(family) as s:
            if s.connect_ex((o["addr"], o["port"])) == 0:
                return True
        select.select([], [], [], 0.01)
    return False


def do_stop(o):
    p = children.pop(o["pid"])
    p.terminate()
    try:
        return p.wait(10)
    except subprocess.TimeoutExpired:
        p.kill()
        return p.wait()


def do_seen(o):
    with lock:
        return seen.get(o["name"], [])[o["since"]:]


def do_capture(o):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind((o["device"], 0))
    thread(capture, s, o["device"])


def do_lies(o):
    liar_rules.clear()
    liar_rules.update(o["rules"])


def main():
    # lo of a new namespace is down; the rest is the maker's
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG: unshare's
    print("ready", flush=True)
    for line in sys.stdin:
        o = json.loads(line)
        try:
            answer = {"ok": globals()["do_" + o["do"]](o)}
        except Exception as e:  # told to whoever asked
            answer = {"error": repr(e)}
        print(json.dumps(answer), flush=True)
    os._exit(0)


main()
