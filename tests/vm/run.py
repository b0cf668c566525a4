#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""run.py RESULTS PACKAGES [PYTEST-ARGUMENT...]: tests in machines of their own.

A machine is emulated, so that it is the same on every host: a processor with
nested virtualization of AMD's kind, Debian 12 with its own kernel 6.1, a pure
v2 tree of control groups. It gets a copy of this tree at the same path. What
it says goes to our stdout, its console and JUnit files to RESULTS.

Its clock counts instructions, one a nanosecond, and real time only when it has
nothing to do. So it is as fast as a host by its own clock, and no deadline, of
a test or of the program, is ours to stretch. QEMU does that for one processor:
a second one never starts. So two machines run side by side, one with the tests
as root and one with those as an unprivileged user.
"""

import contextlib
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
# Who runs tests, each in a machine, and the files it leaves: see `inside`.
PARTS = {"root": ("vm-facts.xml", "vm-kernel.xml", "vm-root.xml"),
         "cellos-test": ("vm-user.xml",)}


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
        script += f'exec {shlex.quote(str(root.HERE / "inside"))} "$@" ' + \
            shlex.join(arguments) + "\n"
        info = tarfile.TarInfo("run-tests")
        info.size = len(script.encode())
        tar.addfile(info, io.BytesIO(script.encode()))


class Machine:
    """One that runs its part of the tests, as the user `who`."""

    def __init__(self, who, results, tree, tmp):
        self.who, self.out = who, f"{tmp}/{who}.tar"
        argv = [*QEMU, "-kernel", AT / "kernel", "-initrd", AT / "initrd",
                "-append", f"{KERNEL} tests={who}",
                "-drive", f"file={AT}/root.ext4,format=raw,if=virtio,"
                "snapshot=on,cache=unsafe",
                "-drive", f"file={tree},format=raw,if=virtio,readonly=on",
                "-nic", "user,model=virtio-net-pci,restrict=on",
                "-device", "virtio-serial-pci",
                "-chardev", "file,id=words,path=/dev/stdout",
                "-device", "virtserialport,chardev=words,name=words",
                "-chardev", f"file,id=results,path={self.out}",
                "-device", "virtserialport,chardev=results,name=results",
                "-serial", f"file:{results}/vm-console-{who}.log"]
        self.process = subprocess.Popen(
            [str(a) for a in argv], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE)
        self.begin = self.heard = time.monotonic()
        self.line = b""

    def say(self, text):
        """One write: the other one speaks in between."""
        age = time.monotonic() - self.begin
        sys.stdout.write(f"[{age:6.0f} s {self.who}] {text}\n")
        sys.stdout.flush()

    def pass_on(self):
        """What it says; False if that was all."""
        data = os.read(self.process.stdout.fileno(), 65536)
        self.heard = time.monotonic()
        *lines, self.line = (self.line + data).split(b"\n")
        for one in lines:
            self.say(one.decode(errors="replace").rstrip())
        return bool(data)

    def end_if_it_hangs(self):
        now = time.monotonic()
        if now > self.heard + SILENCE or now > self.begin + DEADLINE:
            self.say("the machine hangs")
            self.process.kill()

    def unpack(self, results):
        """Only what we know: the machine ran all kinds of things."""
        try:
            with tarfile.open(self.out) as tar:
                for name in PARTS[self.who]:
                    f = tar.extractfile(f"./{name}")
                    (results / name).write_bytes(f.read())
        except (KeyError, tarfile.ReadError) as e:
            self.say(f"the machine left no results: {str(e).splitlines()[0]}")
            return False
        return True


def watch(machines):
    """Until all have ended; False if one had to be ended."""
    running = {m.process.stdout: m for m in machines}
    while running:
        for stdout in select.select(list(running), [], [], 5)[0]:
            if not running[stdout].pass_on():
                del running[stdout]
        for machine in running.values():
            machine.end_if_it_hangs()
    return all([m.process.wait() == 0 for m in machines])


def main():
    # so that the machines end, too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results, packages = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    root.make(packages.split(), AT)
    # on disk, and not where a small tmpfs may be
    with tempfile.TemporaryDirectory(dir=AT) as tmp, \
            contextlib.ExitStack() as stack:
        tree = f"{tmp}/tree.tar"
        pack(tree, sys.argv[3:] or ["tests/integ"])
        machines = []
        for who in PARTS:
            machines.append(Machine(who, results, tree, tmp))
            stack.enter_context(machines[-1].process)
            stack.callback(machines[-1].process.kill)
        ended = watch(machines)
        left = [m.unpack(results) for m in machines]
        return 0 if ended and all(left) else 1


if __name__ == "__main__":
    sys.exit(main())
