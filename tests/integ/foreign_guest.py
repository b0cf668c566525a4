# SPDX-License-Identifier: MIT OR Apache-2.0
"""A guest after the original's contract, of the parts of an image of ours: its
kernel, with an initrd inside it, as such a guest is told of none; and an init
that knows of us only what the contract says."""

import pathlib
import shutil
import struct
import subprocess
import tempfile

# Loads what our guest loads, and has the root, which nobody may write.
INIT = """#!/busybox sh
b=/busybox
$b mkdir -p /dev /proc /image
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
for m in /modules/* /modules.vsock/*; do $b insmod $m; done
$b mount -t erofs -o ro /dev/vda /image
for d in usr etc; do $b ln -s /image/$d /$d; done
for d in bin lib lib64; do $b ln -s usr/$d /$d; done
exec /usr/bin/python3 /contract
"""

CONTRACT = """
import base64, ctypes, hmac, json, os, signal, socket, struct, subprocess
RB_DISABLE_CAD, RB_POWER_OFF = 0, 0x4321fedc
libc = ctypes.CDLL(None)
libc.reboot(RB_DISABLE_CAD)     # Ctrl-Alt-Del is SIGINT
words = dict(w.partition("=")[::2] for w in open("/proc/cmdline").read().split())
key = base64.b64decode(words["cellos.exit_hmac_key"])
argv = json.loads(base64.b64decode(words["cellos.argv"]))
command = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
signal.signal(signal.SIGINT, lambda *_: command.terminate())
code = command.wait()
frame = struct.pack("<i", code if code >= 0 else 128 - code)
frame += hmac.digest(key, frame + words["cellos.cell_id"].encode(), "sha256")
s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
s.settimeout(10)
s.connect((2, int(words["cellos.vsock_port"])))
s.sendall(frame)
print("acknowledged" if s.recv(1) == b"\\0" else "refused", flush=True)
libc.reboot(RB_POWER_OFF)
"""

# struct boot_params, whose address a kernel of 64 bits is started with in rsi
RAMDISK_IMAGE, RAMDISK_SIZE = 0x218, 0x21c
PT_LOAD, PT_NOTE = 1, 4
HEADER = "<IIQQQQQQ"
MIB2 = 2 << 20


def initrd(ours):
    """What a kernel unpacks: ours, and over it what is another's."""
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        for name, text in (("init", INIT), ("contract", CONTRACT)):
            (tmp / name).write_text(text)
            (tmp / name).chmod(0o755)
        shutil.copy("/bin/busybox", tmp / "busybox")
        more = subprocess.run(
            ["busybox", "cpio", "-o", "-H", "newc"], cwd=tmp, check=True,
            input=b"init\ncontract\nbusybox\n", stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL).stdout
    data = ours.read_bytes()
    return data + bytes(-len(data) % 512) + more


def kernel(image):
    """An ELF file that starts with a word to its kernel of where that is. The
    header of its notes gives way: without them it is started in one way."""
    elf = bytearray((image / "kernel").read_bytes())
    data = initrd(image / "initrd")
    entry, = struct.unpack_from("<Q", elf, 0x18)
    start, = struct.unpack_from("<Q", elf, 0x20)
    size, number = struct.unpack_from("<HH", elf, 0x36)
    notes, end = None, 0
    for at in range(start, start + size * number, size):
        kind, _, _, _, paddr, _, mem, _ = struct.unpack_from(HEADER, elf, at)
        if kind == PT_NOTE:
            notes = at
        if kind == PT_LOAD:
            end = max(end, paddr + mem)
    here = -(-end // MIB2) * MIB2
    there = here + 4096
    code = b"".join((
        b"\xc7\x86", struct.pack("<II", RAMDISK_IMAGE, there),
        b"\xc7\x86", struct.pack("<II", RAMDISK_SIZE, len(data)),
        b"\xb8", struct.pack("<I", entry), b"\xff\xe0"))    # jmp rax
    elf += bytes(-len(elf) % 4096)
    whole = code + bytes(4096 - len(code)) + data
    struct.pack_into(HEADER, elf, notes, PT_LOAD, 5, len(elf), here, here,
                     len(whole), len(whole), 4096)
    struct.pack_into("<Q", elf, 0x18, here)
    return bytes(elf) + whole
