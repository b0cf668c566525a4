#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""run.py RESULTS PACKAGES [PYTEST-ARGUMENT...]: tests in a machine of its own.

The machine is emulated, so that it is the same on every host: a processor with
nested virtualization of AMD's kind, Debian 12 with its own kernel 6.1, a pure
v2 tree of control groups. It gets a copy of this tree at the same path. What
it says goes to our stdout, its console and JUnit files to RESULTS.

Its clock counts instructions, one a nanosecond, and real time only when it has
nothing to do. So it is as fast as a host by its own clock, and no deadline, of
a test or of the program, is ours to stretch. QEMU does that for one processor:
a second one never starts.
"""

import io
import os
import pathlib
import select
import shlex
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

import root

SOURCE = root.SOURCE
AT = SOURCE / "build-guest/machine"
CLOCK = "shift=0,sleep=on"
BUILDS = ("build", "build-hooks", "build-test")
# A machine that says nothing for so long hangs, and so does one of such age.
SILENCE = int(os.environ.get("CELLOS_VM_SILENCE", 1800))
DEADLINE = int(os.environ.get("CELLOS_VM_DEADLINE", 6 * 3600))
QEMU = ["nice", "-n", "10", "qemu-system-x86_64", "-nodefaults",
        "-display", "none", "-no-reboot", "-machine", "q35",
        "-cpu", "max,la57=off", "-m", "4096", "-rtc", "clock=vm",
        "-accel", "tcg", "-icount", CLOCK, "-smp", "1"]
KERNEL = "console=ttyS0 panic=1 mitigations=off"
# The machine's files: see `inside`.
FOUND = ("vm-facts.xml", "vm-kernel.xml", "vm-root.xml", "vm-user.xml")


def pack(out, arguments):
    """The tree as tests need it, and what to run in it."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=SOURCE,
        check=True, stdout=subprocess.PIPE).stdout.decode()

    def wanted(info):
        return None if info.name.endswith((".o", ".a")) else info

    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in listed.split("\0"):
            if name and os.path.lexists(SOURCE / name):
                tar.add(SOURCE / name, recursive=False)
        for name in (*BUILDS, root.vm_image.KERNEL):
            tar.add(SOURCE / name, filter=wanted)
        # somebody's own Firecracker, for the tests of that wall
        fire = os.environ.get("CELLOS_TEST_FIRECRACKER")
        own = SOURCE / "build-guest/firecracker"
        script = ""
        for name in ("firecracker", "jailer") if fire else ():
            tar.add(f"{fire}/{name}", str(own / name))
            script = f"export CELLOS_TEST_FIRECRACKER={shlex.quote(str(own))}\n"
        script += f'exec {shlex.quote(str(root.HERE / "inside"))} "$1" ' + \
            shlex.join(arguments) + "\n"
        info = tarfile.TarInfo("run-tests")
        info.size = len(script.encode())
        tar.addfile(info, io.BytesIO(script.encode()))


def unpack(path, results):
    """Only what we know: the machine ran all kinds of things."""
    try:
        with tarfile.open(path) as tar:
            for name in FOUND:
                f = tar.extractfile(f"./{name}")
                (results / name).write_bytes(f.read())
    except (KeyError, tarfile.ReadError) as e:
        print("the machine left no results:", str(e).splitlines()[0],
              flush=True)
        return False
    return True


def watch(p):
    """Passes on what the machine says; False if it had to be ended."""
    begin = heard = time.monotonic()
    line = b""
    while True:
        now = time.monotonic()
        if now > heard + SILENCE or now > begin + DEADLINE:
            print(f"the machine hangs, after {now - begin:.0f} s", flush=True)
            p.kill()
            p.wait()
            return False
        if not select.select([p.stdout], [], [], 5)[0]:
            continue
        data = os.read(p.stdout.fileno(), 65536)
        if not data:
            return p.wait() == 0
        heard = now
        *lines, line = (line + data).split(b"\n")
        for one in lines:
            text = one.decode(errors="replace").rstrip()
            print(f"[{now - begin:6.0f} s] {text}", flush=True)


def boot(results, tree, out):
    argv = [*QEMU, "-kernel", AT / "kernel", "-initrd", AT / "initrd",
            "-append", KERNEL,
            "-drive", f"file={AT}/root.ext4,format=raw,if=virtio,snapshot=on,"
            "cache=unsafe",
            "-drive", f"file={tree},format=raw,if=virtio,readonly=on",
            "-nic", "user,model=virtio-net-pci,restrict=on",
            "-device", "virtio-serial-pci",
            "-chardev", "file,id=words,path=/dev/stdout",
            "-device", "virtserialport,chardev=words,name=words",
            "-chardev", f"file,id=results,path={out}",
            "-device", "virtserialport,chardev=results,name=results",
            "-serial", f"file:{results}/vm-console.log"]
    with subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as p:
        try:
            return watch(p)
        finally:
            p.kill()


def main():
    # so that the machine ends, too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results, packages = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    root.make(packages.split(), AT)
    # on disk, and not where a small tmpfs may be
    with tempfile.TemporaryDirectory(dir=AT) as tmp:
        tree, out = f"{tmp}/tree.tar", f"{tmp}/results.tar"
        pack(tree, sys.argv[3:] or ["tests/integ"])
        ended = boot(results, tree, out)
        return 0 if ended and unpack(out, results) else 1


if __name__ == "__main__":
    sys.exit(main())
