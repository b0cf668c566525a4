# SPDX-License-Identifier: MIT OR Apache-2.0
"""Stands where Firecracker would, where there is no KVM: its API, as the public
definition of it says (v1.8), with nothing overlooked, and a guest that follows
the same convention for its sockets. Run in the cell as the VMM, by a script
that sets HOW and then runs this file's text; see test_firecracker.py.

What is wrong with a request is said in the answer's fault_message, as the VMM
does, and is the end. HOW misbehaves on purpose:

  expect    [[path, body text]...]: what has to come, to the byte
  api       late | slow | close | garbage | silent | refuse | parts | cut,
            at the path `at`
  success   the parts of each answer that is no refusal
  guest     silent | late | version | forged | bogus | torn | short | dies |
            panic | stray | mute | unready | norun | deaf | babble
  limits    what it says that its kernel shows, of memory and of processes
  text      what it says besides, when it is ready
  trees     how many directories come before it is ready
  back      bytes: what comes back of them, `after` seconds
"""
import base64
import errno
import hashlib
import hmac
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

HOW = globals().get("HOW", {})
API, FIRST, PORTS = "/run/firecracker.socket", 9100, ("control", "in", "out", "err", "trees")
RECORD = struct.Struct("<IiiiIiQQ32sQQ24s128s")
SETUP = struct.Struct("<IHHIIIIIIQQQqHBBB32s3x")
STEP = struct.Struct("<IIQQBB6x")
HELLO, READY, FAULT, RUNNING, ENDED = 1, 2, 3, 4, 5
GO, TERM, CLOSED = 1, 2, 3
VERSION = 7
# what each attack on the walls gets, in the order of the table
NO_DOOR = (101, 101, 97, 1, 1, 1, 1, 1, 13, 2, 30)
DOOR = (0, 0, 97, 1, 1, 1, 1, 1, 13, 2, 30, 111, 101, 0, 13)

# Of every request: its members, which of them must be there, of what kind.
MAC = "mac"
BODIES = {
    "/machine-config": ({"vcpu_count": (1, 32), "mem_size_mib": (1, 1 << 31),
                         "smt": bool, "track_dirty_pages": bool,
                         "cpu_template": str, "huge_pages": str},
                        {"vcpu_count", "mem_size_mib"}),
    "/boot-source": ({"kernel_image_path": str, "boot_args": str,
                      "initrd_path": str}, {"kernel_image_path"}),
    "/drives/": ({"drive_id": str, "path_on_host": str,
                  "is_root_device": bool, "is_read_only": bool,
                  "partuuid": str, "cache_type": str, "io_engine": str,
                  "rate_limiter": dict, "socket": str},
                 {"drive_id", "is_root_device"}),
    "/network-interfaces/": ({"iface_id": str, "guest_mac": MAC,
                              "host_dev_name": str, "rx_rate_limiter": dict,
                              "tx_rate_limiter": dict},
                             {"iface_id", "host_dev_name"}),
    "/vsock": ({"guest_cid": (3, 0xffffffff), "uds_path": str,
                "vsock_id": str}, {"guest_cid", "uds_path"}),
    "/actions": ({"action_type": str}, {"action_type"}),
}


class Wrong(Exception):
    pass


def no_twice(pairs):
    names = [k for k, _ in pairs]
    if len(names) != len(set(names)):
        raise Wrong(f"a member twice: {names}")
    return dict(pairs)


def check_kind(path, name, kind, value):
    if isinstance(kind, tuple):
        ok = type(value) is int and kind[0] <= value <= kind[1]
    elif kind is MAC:
        ok = type(value) is str and len(value.split(":")) == 6 and all(
            len(x) == 2 and int(x, 16) < 256 for x in value.split(":"))
    else:
        ok = type(value) is kind
    if not ok:
        raise Wrong(f"{path}: {name} is {value!r}")


def own_filter():
    """As the VMM puts on its threads before a guest runs: one that allows."""
    import ctypes
    class Prog(ctypes.Structure):
        _fields_ = [("n", ctypes.c_ushort), ("p", ctypes.c_char_p)]
    allow = struct.pack("HBBI", 0x06, 0, 0, 0x7fff0000)
    if ctypes.CDLL(None).prctl(22, 2, ctypes.byref(Prog(1, allow)), 0, 0):
        raise Wrong("no filter")


def listening():
    """Ports of the guest's for which somebody listens, by the kernel's list."""
    with open("/proc/net/unix") as f:
        rows = [x.split() for x in f]
    return sorted(int(x[7].removeprefix("/run/channel_")) for x in rows
                  if x[7:] and x[3] == "00010000"
                  and x[7].startswith("/run/channel_"))


class Vmm:
    def __init__(self):
        self.seen = []
        self.told = {}
        self.started = False

    # -- requests --

    def check(self, method, target, headers, body):
        if method != "PUT" or not target.startswith("http://localhost/"):
            raise Wrong(f"{method} {target}")
        path = target[len("http://localhost"):]
        want = {"content-type": "application/json",
                "accept": "application/json", "host": "localhost",
                "content-length": str(len(body))}
        if headers != want:
            raise Wrong(f"headers {headers}")
        if self.started and json.loads(body) == {
                "action_type": "SendCtrlAltDel"}:
            self.guest.ctrl_alt_del()
            return
        if self.started:
            raise Wrong(f"{path} is not allowed after starting the VM")
        parent = next((p for p in BODIES if path == p or (
            p.endswith("/") and path.startswith(p))), None)
        if not parent or path in self.told:
            raise Wrong(f"{path}: unknown or told twice")
        members, needed = BODIES[parent]
        value = json.loads(body, object_pairs_hook=no_twice)
        for name, v in value.items():
            if name not in members:
                raise Wrong(f"unknown field `{name}`")
            check_kind(path, name, members[name], v)
        if needed - set(value):
            raise Wrong(f"missing field {needed - set(value)}")
        key = {"/drives/": "drive_id", "/network-interfaces/": "iface_id"}
        if parent in key and path != parent + value[key[parent]]:
            raise Wrong(f"{path}: not its id")
        self.check_order(path, value)
        if HOW.get("expect"):
            if HOW["expect"][len(self.seen)] != [path, body.decode()]:
                raise Wrong(f"{path} {body.decode()} came, not "
                            f"{HOW['expect'][len(self.seen)]}")
        if "paths" in HOW and HOW["paths"][len(self.seen)] != path:
            raise Wrong(f"{path} after {self.seen}")
        self.seen.append(path)
        self.told[path] = value

    def check_order(self, path, value):
        if path == "/boot-source":
            args = value.get("boot_args", "")
            if "boot_args" in HOW and (
                    args[:-44] != HOW["boot_args"] or "initrd_path" in value):
                raise Wrong(f"boot_args {args}")
            if len(args) >= 2048:
                raise Wrong("boot_args too long")
            with open(value["kernel_image_path"], "rb") as f:
                if f.read(4) != b"\x7fELF":
                    raise Wrong("the kernel is no ELF file")
            if "initrd_path" in value:
                with open(value["initrd_path"], "rb") as f:
                    if f.read(6) != b"070701":
                        raise Wrong("the initrd is no cpio archive")
        if path.startswith("/drives/"):
            # one that is not said to be read-only is opened for writing
            with open(value["path_on_host"],
                      "rb" if value.get("is_read_only") else "r+b"):
                pass
        if path.startswith("/network-interfaces/"):
            self.take_tap(value["host_dev_name"])
        if path == "/vsock":
            self.uds = value["uds_path"]
            if len(self.uds) > 100:
                raise Wrong("uds_path too long")
            # for connections of the host's
            self.own = socket.socket(socket.AF_UNIX)
            self.own.bind(self.uds)
            self.own.listen()
        if path == "/actions":
            if HOW.get("jail") and not HOW.get("bare"):
                own_filter()
            if value["action_type"] != "InstanceStart":
                raise Wrong(f"action {value}")
            if not {"/machine-config", "/boot-source",
                    "/drives/rootfs", "/vsock"} <= set(self.told):
                raise Wrong(f"started with only {sorted(self.told)}")
            if HOW.get("expect") and len(self.seen) + 1 != len(HOW["expect"]):
                raise Wrong(f"started after {self.seen}")

    def take_tap(self, name):
        import fcntl
        self.tun = os.open("/dev/net/tun", os.O_RDWR)
        flags = 0x0002 | 0x1000 | 0x4000  # TAP, NO_PI, VNET_HDR
        fcntl.ioctl(self.tun, 0x400454ca,
                    struct.pack("16sH22x", name.encode(), flags))

    def serve_one(self, c):
        data = b""
        while b"\r\n\r\n" not in data:
            more = c.recv(65536)
            if not more:
                return False
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        lines = head.decode("ascii").split("\r\n")
        method, target, version = lines[0].split(" ")
        if version != "HTTP/1.1":
            raise Wrong(version)
        headers = dict(x.split(": ", 1) for x in lines[1:])
        whole = int(headers["content-length"])
        while len(body) < whole and (more := c.recv(65536)):
            body += more
        if self.misbehave(c, target):
            return c.fileno() >= 0
        try:
            if len(body) < whole:
                raise Wrong(f"a body of {whole} bytes ends after {len(body)}")
            self.check(method, target, headers, body)
        except (Wrong, OSError, ValueError, KeyError, IndexError) as e:
            text = json.dumps({"fault_message": f"{e}"}).encode()
            c.sendall(b"HTTP/1.1 400 \r\nServer: Firecracker API\r\n"
                      b"Connection: keep-alive\r\n"
                      b"Content-Type: application/json\r\n"
                      b"Content-Length: %d\r\n\r\n" % len(text) + text)
            return True
        self.send_parts(c, HOW.get("success", [
            b"HTTP/1.1 204 \r\nServer: Firecracker API\r\n"
            b"Connection: keep-alive\r\n\r\n"]))
        if "/actions" in self.told and not self.started:
            self.started = True
            args = self.told["/boot-source"].get("boot_args", "")
            kind = Foreign if "cellos.argv=" in args else Guest
            threading.Thread(target=kind(self).run, daemon=True).start()
        return True

    def send_parts(self, c, parts):
        for i, part in enumerate(parts):
            time.sleep(0.05 if i else 0)
            c.sendall(part)

    def misbehave(self, c, target):
        """Return: has it answered"""
        how = HOW.get("api")
        if not how or not target.endswith(HOW["at"]):
            return False
        if how == "silent":
            time.sleep(3600)
        elif how == "close":
            c.close()
        elif how == "garbage":
            c.sendall(b"SSH-2.0-sorry\r\n\r\n" + b"x" * 100)
        elif how == "endless":
            try:
                while True:
                    c.sendall(b"HTTP/1.1 204 \r\nX: " + b"y" * 65536)
            except OSError:
                pass
        elif how == "dies":
            os._exit(3)
        elif how == "refuse":
            c.sendall(b"HTTP/1.1 400 \r\nContent-Length: 40\r\n\r\n"
                      b'{"fault_message":"no \x1b[31mroom\x07 here"}')
        elif how in ("parts", "cut"):
            self.send_parts(c, [b"HTTP/1.1 400 \r\ncontent-LENGTH:  29\r\n\r\n",
                                b'{"fault_message":', b'"no room"}..'])
            if how == "cut":
                c.close()
        elif how == "slow":
            for b in b"HTTP/1.1 204 \r\n\r\n":
                c.sendall(bytes([b]))
                time.sleep(0.05)
            # a real one keeps the connection
            return self.check_slowly(target)
        return True

    def check_slowly(self, target):
        self.told[target[len("http://localhost"):]] = {}
        self.seen.append(target)
        return True

    def main(self):
        if HOW.get("jail"):
            del sys.argv[1:3]  # --id
        if sys.argv[1:] not in (["--api-sock", API, "--level", "Error"],
                                ["--api-sock", API, "--level", "Error",
                                 "--no-seccomp"]):
            sys.exit(f"arguments {sys.argv[1:]}")
        if HOW.get("argv") and sys.argv[1:] != HOW["argv"]:
            sys.exit(f"arguments {sys.argv[1:]}, not {HOW['argv']}")
        if os.environ.keys() - {"LC_CTYPE"}:
            sys.exit(f"environment {dict(os.environ)}")
        if os.getuid() == 0 or open("/proc/self/status").read().count(
                "CapEff:\t0000000000000000") != 1:
            sys.exit("privileged")
        if "peek" in HOW:
            # what the document shows is the driver's to carry
            for what in (lambda: os.listdir("/mounts"),
                         lambda: os.listdir("/mounts/0"),
                         lambda: socket.socket(socket.AF_UNIX).connect(
                             HOW["peek"])):
                try:
                    what()
                    sys.exit("reached")
                except PermissionError:
                    pass
        try:
            os.close(os.open("/dev/kvm", os.O_RDWR))
        except OSError as e:
            if e.errno != errno.ENODEV:    # its own, of a host without it
                raise
        if HOW.get("start") == "dies":
            sys.exit("cannot start")
        if HOW.get("start") == "hangs":
            time.sleep(3600)
        time.sleep(HOW.get("start", 0))
        # where the guest's connections go is there before anybody can start it
        if "listeners" in HOW and listening() != HOW["listeners"]:
            sys.exit(f"listening: {listening()}, not {HOW['listeners']}")
        s = socket.socket(socket.AF_UNIX)
        s.bind(API)
        s.listen()
        while True:
            c, _ = s.accept()
            self.serve(c)

    def serve(self, c):
        with c:
            try:
                while self.serve_one(c):
                    pass
            except Wrong as e:
                sys.exit(f"request: {e}")
            except BrokenPipeError:
                pass


class Guest:
    """Pid 1 of the guest, as far as a driver sees it; the command runs here."""

    def __init__(self, vmm):
        self.vmm = vmm
        self.how = HOW.get("guest")

    def connect(self, n):
        s = socket.socket(socket.AF_UNIX)
        s.connect(f"{self.vmm.uds}_{FIRST + n}")
        return s

    def record(self, word, status=0, code=0, sent=(0, 0), tag=bytes(32),
               probe=b"", text=b"", step=0, sys_=0, limits=(0, 0)):
        return RECORD.pack(word, step, sys_, status, 0, code, *sent, tag,
                           *limits, bytes(probe), text)

    def run(self):
        try:
            self.live()
        except OSError as e:
            print("guest:", e, flush=True)

    def read(self, n, port="control"):
        data = b""
        while len(data) < n:
            more = self.ports[port].recv(n - len(data))
            if not more:
                raise OSError("the driver has gone")
            data += more
        return data

    def live(self):
        if self.how == "silent":
            return
        if self.how == "dies":
            os._exit(0)
        if self.how == "panic":
            os.write(1, b"[    0.5] Kernel panic - not syncing: VFS: Unable "
                     b"to mount root fs on unknown-block(0,0)\n")
            os._exit(0)
        if self.how == "late":
            time.sleep(1)
        self.ports = {}
        for n, name in enumerate(PORTS, 1):
            self.ports[name] = self.connect(n)
        if self.how == "stray":
            # nobody takes another, or it finds an end at once
            for n in range(1, 6):
                try:
                    second = self.connect(n)
                    second.settimeout(10)
                    assert second.recv(1) == b""
                except (ConnectionRefusedError, ConnectionResetError):
                    pass
        self.control = self.ports["control"]
        if self.how == "mute":
            self.read(1)
        if self.how == "short":
            self.control.sendall(b"\1\0\0")
            self.control.close()
            return
        self.control.sendall(self.record(
            HELLO, code=3 if self.how == "version" else VERSION))
        self.take_setup()
        for _ in range(HOW.get("trees", 0)):
            while not self.take_entry():
                pass
        probe = DOOR if self.has_door else NO_DOOR
        if self.how == "bogus":
            # a word out of turn
            self.control.sendall(self.record(ENDED))
            return
        if self.how == "unready":
            self.read(1)
        self.control.sendall(self.record(
            READY, probe=probe, limits=HOW.get("limits", self.limits),
            text=HOW.get("text", b"")))
        word, = struct.unpack("<I", self.read(16)[:4])
        assert word == GO
        if self.how == "norun":
            self.read(1)
        self.command()

    def take_setup(self):
        head = self.read(SETUP.size)
        h = SETUP.unpack(head)
        size, version, _, n_steps, _, n_argv, n_env = h[:7]
        # of memory, a kernel keeps whole pages
        self.limits = h[9] // 4096 * 4096, h[10]
        self.has_door, self.key = h[14], h[17]
        rest = self.read(size - SETUP.size)
        assert version == VERSION
        texts = rest[n_steps * STEP.size:].split(b"\0")
        assert texts.pop() == b""
        self.id = texts.pop()
        env, texts = texts[len(texts) - n_env:], texts[:-n_env or None]
        self.argv = texts[len(texts) - n_argv:]
        self.env = dict(e.split(b"=", 1) for e in env)

    def take_entry(self):
        """Of an archive; is it the end of it?"""
        head = self.read(110, "trees")
        mode, size, name = (int(head[i:i + 8], 16) for i in (14, 54, 94))
        text = self.read(name + -(110 + name) % 4, "trees")
        self.read(size + -size % 4, "trees")
        return mode == 0 and text[:name] == b"TRAILER!!!\0"

    def declare(self):
        """As an agent in the guest would, on a connection of its own."""
        try:
            s = socket.socket(socket.AF_UNIX)
            s.connect(f"{self.vmm.uds}_9001")
        except OSError:
            if not HOW.get("absent"):
                os._exit(9)
            return
        if HOW.get("absent"):
            os._exit(9)
        self.agent = s  # stays
        try:
            s.sendall(HOW["telemetry"])
        except OSError:
            pass

    def command(self):
        if "telemetry" in HOW:
            threading.Thread(target=self.declare, daemon=True).start()
        p = subprocess.Popen(self.argv, env=self.env, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             start_new_session=True)
        self.control.sendall(self.record(RUNNING))
        self.p = p
        self.end = -1
        self.wake, self.woken = socket.socketpair()
        threading.Thread(target=self.orders, daemon=True).start()
        if self.how == "forged":
            self.control.sendall(self.record(ENDED))
        if self.how == "torn":
            self.control.sendall(self.record(ENDED)[:100])
            self.control.close()
            os._exit(0)
        sent = [0, 0]

        def pump(i, stream, port):
            while data := stream.read1(65536):
                port.sendall(data)
                sent[i] += len(data)

        threading.Thread(target=self.feed, daemon=True).start()
        pumps = [threading.Thread(target=pump, args=a) for a in (
            (0, p.stdout, self.ports["out"]), (1, p.stderr, self.ports["err"]))]
        for t in pumps:
            t.start()
        code = p.wait()
        for t in pumps:
            t.join()
        if self.how == "babble":
            self.babble()
        status = -code if code < 0 else code << 8
        code = 128 - code if code < 0 else code
        sealed = self.record(ENDED, status, code, sent)
        tag = hmac.new(self.key, sealed[:40] + self.id,
                       hashlib.sha256).digest()
        if self.how == "flipped":
            tag = bytes([tag[0] ^ 1]) + tag[1:]
        self.control.sendall(self.record(ENDED, status, code, sent, tag))
        time.sleep(HOW.get("after", 0))
        self.ports["trees"].sendall(HOW.get("back", b""))

    def babble(self):
        """More than anybody keeps, and then the end."""
        with os.fdopen(1, "wb", closefd=False) as console:
            for i in range(1 << 13):
                console.write(b"%-127d\n" % i)
        time.sleep(1)
        os.write(1, b"[ 2.5] Kernel panic - not syncing: Attempted to kill "
                 b"init! exitcode=0x0b\n"
                 b"[ 2.6] \x1b[31mRebooting\x07 \xff" + b"x" * 500 + b"\n\n")
        os._exit(0)

    def feed(self):
        """Its end is told on another stream, by its length."""
        fed = 0
        try:
            while fed != self.end:
                r, _, _ = select.select([self.ports["in"], self.woken], [],
                                        [])
                if self.woken in r:
                    self.woken.recv(1)
                    continue
                data = self.ports["in"].recv(65536)
                self.p.stdin.write(data)
                fed += len(data)
            self.p.stdin.close()
        except OSError:
            pass

    def orders(self):
        while True:
            word, value, length = struct.unpack("<IIQ", self.read(16))
            if word == TERM and self.how != "deaf":
                os.killpg(self.p.pid, signal.SIGTERM)
            if word == CLOSED and value == 0:
                self.end = length
                self.wake.send(b"x")


class Foreign(Guest):
    """A guest whose init is another's: told on the kernel's command line."""

    def live(self):
        self.vmm.guest = self
        args = dict(x.partition("=")[::2] for x in self.vmm.told[
            "/boot-source"]["boot_args"].split(" "))
        self.id = args["cellos.cell_id"].encode()
        self.key = base64.b64decode(args["cellos.exit_hmac_key"],
                                    validate=True)
        self.port = int(args["cellos.vsock_port"])
        argv = json.loads(base64.b64decode(args["cellos.argv"],
                                           validate=True))
        assert len(self.key) == 32
        os.write(1, b"console of the guest\n")
        self.p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, env={})
        code = self.p.wait()
        code = 128 - code if code < 0 else code
        if self.how == "dies":
            os._exit(0)
        if self.how == "silent":
            return
        if self.how == "chatty":
            # more than anybody reads
            threading.Thread(target=lambda: os.write(1, b"x" * (1 << 20)),
                             daemon=True).start()
            time.sleep(0.5)
        if self.how == "forks" and os.fork() == 0:
            time.sleep(3600)  # holds what the VMM held
        if self.how in ("before", "flood"):
            # nonsense first, of every kind, and some that stay
            self.held = [self.say(code, tag=bytes(32)),
                         self.say(code, cut=35, wait=False),
                         self.say(code, cut=0, wait=False),
                         self.say(code, ident=b"another")]
            if self.how == "flood":
                self.held += [self.say(code, cut=4, wait=False)
                              for _ in range(50)]
        ack = self.say(HOW.get("code", code), odd=self.how)
        if self.how in ("flipped", "changed", "keyless", "oversized"):
            os.write(1, b"refused: %r\n" % ack)
        elif ack == b"\0":
            os.write(1, b"acknowledged\n")
        os._exit(0)

    def say(self, code, tag=None, ident=None, cut=36, wait=True, odd=None):
        """Return: what was answered, or the connection."""
        frame = struct.pack("<i", code)
        key = bytes(32) if odd == "keyless" else self.key
        tag = tag or hmac.new(key, frame + (ident or self.id),
                              hashlib.sha256).digest()
        if odd == "flipped":
            tag = tag[:31] + bytes([tag[31] ^ 1])
        if odd == "changed":
            frame = struct.pack("<i", code ^ 1)
        if odd == "oversized":
            tag, cut = tag + b"\0", 37
        s = socket.socket(socket.AF_UNIX)
        s.connect(f"{self.vmm.uds}_{self.port}")
        s.sendall((frame + tag)[:cut])
        if not wait:
            return s
        try:
            return s.recv(1)
        except ConnectionResetError:
            return b""

    def ctrl_alt_del(self):
        self.p.terminate()


if __name__ == "__main__":
    Vmm().main()
