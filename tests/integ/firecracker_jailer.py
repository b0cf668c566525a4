# SPDX-License-Identifier: MIT OR Apache-2.0
"""Stands where Firecracker's jailer would: takes its options and no others, in
the order its documentation has them, and does what it does, step by step. What
it starts is a script (firecracker_server.py), so the jail has an interpreter
besides. HOW: `dies` before it starts anything."""
import ctypes
import os
import re
import shutil
import sys

HOW = globals().get("HOW", {})
libc = ctypes.CDLL(None, use_errno=True)
MS_BIND, MS_REC, MS_SLAVE = 4096, 16384, 1 << 19


def sure(r, what):
    if r != 0:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(src, dst, flags):
    sure(libc.mount(src.encode(), dst.encode(), None, flags, None),
         f"mount {src} {dst}")


if os.environ.keys() - {"LC_CTYPE"}:
    sys.exit(f"environment {dict(os.environ)}")
if HOW.get("dies"):
    print("Failed to make the jail")
    sys.exit(1)
words = sys.argv[1:]
names = ["--id", "--exec-file", "--uid", "--gid", "--chroot-base-dir"]
if words[0:10:2] != names or words[10] != "--":
    sys.exit(f"arguments {words}")
ident, program, uid, gid, base = words[1:10:2]
if not re.fullmatch("[A-Za-z0-9-]{1,64}", ident):
    sys.exit(f"id {ident}")
if "firecracker" not in os.path.basename(program):
    sys.exit(f"exec-file {program}")
uid, gid = int(uid), int(gid)
os.closerange(3, 1 << 16)
root = f"{base}/{os.path.basename(program)}/{ident}/root"
os.makedirs(root, exist_ok=True)
inside = f"{root}/{os.path.basename(program)}"
shutil.copyfile(program, inside)
os.chown(inside, uid, gid)
os.chmod(inside, 0o755)
sure(libc.unshare(0x20000), "unshare")
mount("none", "/", MS_SLAVE | MS_REC)
mount(root, root, MS_BIND | MS_REC)
# for the interpreter
os.mkdir(f"{root}/usr")
mount("/usr", f"{root}/usr", MS_BIND)
for name in ("lib", "lib64", "bin"):
    os.symlink(f"usr/{name}", f"{root}/{name}")
os.mkdir(f"{root}/proc")
mount("/proc", f"{root}/proc", MS_BIND)
os.chdir(root)
os.chroot(".")
for name in ("/", "/dev", "/dev/net", "/run"):
    os.makedirs(name, exist_ok=True)
    os.chmod(name, 0o700)
    os.chown(name, uid, gid)
for name, major, minor in (("net/tun", 10, 200), ("kvm", 10, 232),
                           ("urandom", 1, 9), ("null", 1, 3)):
    os.mknod(f"/dev/{name}", 0o020600, os.makedev(major, minor))
    os.chown(f"/dev/{name}", uid, gid)
with open("/firecracker.pid", "x") as f:
    f.write(str(os.getpid()))
os.setgid(gid)
os.setgroups([])
os.setuid(uid)
os.execve("/" + os.path.basename(program),
          ["/firecracker", "--id", ident, *words[11:]], {})
