#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Start-up, memory, signing and names, beside peers, in one run.

Contenders take turns within every round, so that a host that slows down slows
all of them; what is printed are medians and their ratios. Times are taken by
bench/spawn.c, not here. Usage: run.py BUILD [ROUNDS]
"""

import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import door

BWRAP = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session",
         "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib",
         "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin",
         "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
         "--chdir", "/tmp", "--clearenv", "--hostname", "cell", "true"]


MARK = "=up="


def runc_bundle(tmp, *words):
    """A bundle with one static program, every namespace, no capability."""
    bundle = tmp / "bundle"
    for d in ("bin", "proc", "dev", "tmp"):
        (bundle / "rootfs" / d).mkdir(parents=True)
    shutil.copy("/usr/bin/busybox" if os.path.exists("/usr/bin/busybox")
                else "/bin/busybox", bundle / "rootfs/bin/busybox")
    for name in ("true", "echo", "sh", "sleep"):
        os.symlink("busybox", bundle / "rootfs/bin" / name)
    nosuid = ["nosuid", "nodev"]
    (bundle / "config.json").write_text(json.dumps({
        "ociVersion": "1.0.2",
        "process": {"terminal": False, "user": {"uid": 0, "gid": 0},
                    "args": list(words or ["/bin/true"]), "env": ["PATH=/bin"], "cwd": "/",
                    "capabilities": {}, "noNewPrivileges": True},
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "cell",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "mode=755", "size=65536k"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
             "options": nosuid}],
        "linux": {"namespaces": [{"type": t} for t in (
            "pid", "network", "ipc", "uts", "mount")]},
    }))
    return bundle


@contextlib.contextmanager
def opened(files):
    for fd, path in files:
        here = os.open(path, os.O_RDONLY)
        os.dup2(here, fd)
        os.close(here)
    try:
        yield [fd for fd, _ in files]
    finally:
        for fd, _ in files:
            os.close(fd)


class Bench:
    def __init__(self, build, tmp):
        self.build, self.tmp = build, tmp
        self.spawn = str(build / "bench/spawn")
        self.cellos = next(str(p) for p in (
            build / "cellos", build / "src/cli/cellos") if p.exists())
        os.environ["CELLOS_STATE_DIR"] = str(tmp / "state")
        # in memory, as /run is where there is an init that mounts it
        self.run_dir = tempfile.TemporaryDirectory(prefix="cellos-bench-",
                                                   dir="/dev/shm")
        os.environ["CELLOS_RUN_DIR"] = self.run_dir.name
        self.turn = 0

    def cell(self, *cmd, flags=()):
        """A full cell, signed, with its journal in a file of its own."""
        self.turn += 1
        return [self.cellos, "run", "--events",
                str(self.tmp / f"e{self.turn}.jsonl"), *flags, "--", *cmd]

    def time_us(self, argv, at_once=1, files=()):
        """@files: (descriptor, path) that the command finds open."""
        with opened(files) as fds:
            p = subprocess.run([self.spawn, str(at_once), *argv],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               pass_fds=fds)
        if p.returncode != 0:
            raise RuntimeError(f"{argv[0]}: {p.stderr.decode().strip()}")
        return int(p.stdout)

    def first_us(self, argv, files=()):
        """Until it says MARK; a machine's console has more to tell.
        @files: as above"""
        with opened(files) as fds:
            begin = time.monotonic_ns()
            p = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, pass_fds=fds)
        said = b""
        while MARK.encode() not in said:
            more = os.read(p.stdout.fileno(), 4096)
            if not more:
                break
            said += more
        took = (time.monotonic_ns() - begin) // 1000
        p.stdout.read()
        p.wait()
        if MARK.encode() not in said:
            raise RuntimeError(f"{argv[0]}: wrote {said!r}")
        return took

    def output(self, *argv, **kw):
        return subprocess.run([self.cellos, *argv], stdout=subprocess.PIPE,
                              check=True, **kw).stdout

    def same_root(self):
        """bubblewrap with the root of a cell, as `plan` prints it: the same
        links, files, host directories and private ones. It does not hide
        what we hide of /proc."""
        spec = self.output("run", "--print-spec", "--", "true")
        argv, files = [], []
        for line in self.output("plan", "-", input=spec).decode().split("\n"):
            words = line.split("#")[0].split()[1:]
            if len(words) < 2 or words[1].startswith(("/dev/", "/proc/")) \
                    and words[1] != "/dev/shm":
                continue
            step, path = words[:2]
            if step == "bind":
                argv += ["--ro-bind-try", path, path]
            elif step == "symlink":
                argv += ["--symlink", words[3], path]
            elif step == "file":
                text = self.tmp / f"file{len(files)}"
                text.write_bytes(self.output("run", "--", "cat", path))
                files.append((200 + len(files), text))
                argv += ["--file", str(files[-1][0]), path]
            elif step == "tmpfs" and path != "/dev":
                argv += ["--tmpfs", path]
            elif step == "dir" and path == "/dev":
                argv += ["--dev", path]
            elif step == "proc":
                argv += ["--proc", path]
        return [*BWRAP[:4], *argv, *BWRAP[-6:]], files

    def contenders(self, *cmd):
        """Each with this command, and with the files it finds open."""
        top = self.tmp / cmd[0]
        top.mkdir()
        bundle = runc_bundle(top, f"/bin/{cmd[0]}", *cmd[1:]) \
            if shutil.which("runc") and shutil.which("busybox") and \
            os.geteuid() == 0 else None
        root = self.same_root() if shutil.which("bwrap") else None
        files = {"  with our root": root[1]} if root else {}
        all_ = {"bare fork+exec": lambda: [f"/bin/{cmd[0]}", *cmd[1:]],
                "bubblewrap": (lambda: [*BWRAP[:-1], *cmd]) if root else None,
                "  with our root": (lambda: [*root[0][:-1], *cmd])
                if root else None,
                "runc": (lambda: ["runc", "run", "-b", str(bundle),
                                  f"bench-{os.getpid()}-{self.turn}"])
                if bundle else None,
                "cellos run": lambda: self.cell(*cmd)}
        for name, make in all_.items():
            if not make:
                print(f"  {name}: not here")
                continue
            given = files.get(name, ())
            try:
                self.time_us(make(), files=given)  # also warms the caches
                yield name, (make, given)
            except RuntimeError as e:
                print(f"  {name}: does not run here: {e}")


def show(rows, *bases, goals=()):
    """@goals: by row, to each of @bases that is here."""
    width = max(map(len, rows))
    bases = [b for b in bases if b in rows] or [next(iter(rows))]
    print(f"  {'':{width}}  {'median':>9}  {'p90':>9}  {'p99':>9}" +
          "".join(f"  {'to ' + b.strip():>16}" for b in bases))
    low = [statistics.median(rows[b]) for b in bases]
    for name, v in rows.items():
        v = sorted(v)
        mid = statistics.median(v)
        print(f"  {name:{width}}  {mid / 1000:6.2f} ms"
              f"  {v[int(len(v) * .9)] / 1000:6.2f} ms"
              f"  {v[min(int(len(v) * .99), len(v) - 1)] / 1000:6.2f} ms"
              + "".join(f"  {mid / x:15.2f}x" for x in low)
              + met([mid / x for x in low], goals, name))


def met(ratios, goals, name):
    if name not in goals:
        return ""
    return f"  goal {goals[name]}: " + ", ".join(
        "met" if x <= goals[name] else "not met" for x in ratios)


def start_up(bench, rounds):
    print(f"\nOne program `true`, {rounds} rounds, taking turns")
    for word, take in ((("true",), bench.time_us),
                       (("echo", MARK), bench.first_us)):
        makers = dict(bench.contenders(*word))
        rows = {name: [] for name in makers}
        for _ in range(rounds):
            for name, (make, files) in makers.items():
                rows[name].append(take(make(), files=files))
        if word[0] == "echo":
            print("  until what `echo` says is there")
        show(rows, "bubblewrap", "  with our root",
             goals={"cellos run": 1.2})


def walls(bench, rounds):
    """The gVisor wall beside the tool it is made of, without network, both
    with the same root and program."""
    print(f"\nOne program `true` behind a kernel in user space, {rounds} "
          "rounds, taking turns")
    if not shutil.which("runsc") or not shutil.which("busybox") or \
            os.geteuid() != 0:
        print("  runsc, busybox or root: not here")
        return
    turns = iter(range(10**6))

    def plain(*words):
        """A plain `runsc run` of the same."""
        top = bench.tmp / f"runsc{next(turns)}"
        top.mkdir()
        return ["runsc", "--root", str(top / "state"), "--network=none",
                "--platform=ptrace", "--ignore-cgroups", "run", "-bundle",
                str(runc_bundle(top, *words)), f"bench-{top.name}"]
    plain()
    flags = ("--backend", "gvisor", "--root",
             str(bench.tmp / "runsc0/bundle/rootfs"))
    for word, take in (("true", bench.time_us), ("echo", bench.first_us)):
        rows = {"runsc run": [], "cellos run --backend gvisor": []}
        for _ in range(rounds):
            for name, v in rows.items():
                v.append(take(plain(f"/bin/{word}", MARK)
                              if name == "runsc run" else
                              bench.cell(f"/bin/{word}", MARK, flags=flags)))
        if word == "echo":
            print("  until what `echo` says is there")
        show(rows, "runsc run", goals={"cellos run --backend gvisor": 1.15})
    memory("runsc run", plain("/bin/sh", "-c", ASLEEP))
    memory("gvisor wall", bench.cell("/bin/sh", "-c", ASLEEP, flags=flags))


CLOCK_SECONDS = 60

# What a machine does at the least: our modules, the root, the program, the end.
PLAIN_INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for m in /modules/*; do /bin/busybox insmod $m; done
/bin/busybox mount -t erofs -o ro /dev/vda /root
/bin/busybox chroot /root /bin/WORD =up=
/bin/busybox poweroff -f
"""


def newc(name, mode, data=b""):
    """One entry of a cpio archive."""
    name = name.encode() + b"\0"
    head = b"070701" + b"".join(b"%08X" % v for v in (
        1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)) + name
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


def modules_of(initrd):
    """The entries below modules/, as they are."""
    data, at, out = initrd.read_bytes(), 0, b""
    while at < len(data):
        size, length = (int(data[at + i:at + i + 8], 16) for i in (54, 94))
        name = data[at + 110:at + 110 + length - 1].decode()
        end = at + (110 + length + 3) // 4 * 4 + (size + 3) // 4 * 4
        if name.startswith("modules"):
            out += data[at:end]
        at = end
    return out


def accel_of(bench, flags):
    """What the signed report of a run says: "kvm", or "tcg" and more."""
    argv = bench.cell("/bin/true", flags=flags)
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for line in pathlib.Path(argv[argv.index("--events") + 1]).read_bytes() \
            .splitlines():
        event = json.loads(line)
        event = event["data"].get("event", event)
        for item in event["data"].get("items", ()):
            if item.get("name") == "accel":
                return item["got"].split(":")[0]
    raise RuntimeError("no report says how the machine is run")


def clock_of(bench, flags):
    """How fast the emulated counter runs, as our VMM is told."""
    p = subprocess.Popen(bench.cell("/bin/sleep", "1000", flags=flags),
                         stdin=subprocess.DEVNULL)
    until = time.monotonic() + CLOCK_SECONDS
    try:
        while p.poll() is None and time.monotonic() < until:
            for q in below(p.pid):
                try:
                    line = pathlib.Path(f"/proc/{q}/cmdline").read_bytes()
                except OSError:  # it has ended meanwhile
                    continue
                if b"tsc_early_khz=" in line:
                    return line.split(b"tsc_early_khz=")[1].split(
                        b"\0")[0].decode()
            time.sleep(.01)
    finally:
        p.terminate()
        p.wait()
    raise RuntimeError("no VMM of ours is told a tsc_early_khz=")


def machines(bench, rounds):
    """The wall of a machine beside plain QEMU: the same kernel, modules, root
    and program."""
    print(f"\nOne program `true` in a machine, {rounds} rounds, taking turns")
    kernel = pathlib.Path("build-guest/kernel.deb")
    if os.geteuid() != 0 or not kernel.exists() or \
            not shutil.which("qemu-system-x86_64"):
        print("  qemu, root, or build-guest/kernel.deb of a test: not here")
        return
    root = bench.tmp / "machine"
    (root / "bin").mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    for name in ("true", "echo", "sh", "sleep"):
        os.symlink("busybox", root / "bin" / name)
    subprocess.run([bench.cellos, "image", "build", "--kernel", str(kernel),
                    "--root", str(root)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    at = pathlib.Path(os.environ["CELLOS_STATE_DIR"]) / "images/default"
    flags = ("--backend", "qemu")
    accel = accel_of(bench, flags)
    print(f"  accelerator of both: {accel}")
    # one that is emulated has no other way to know
    clock = f" tsc_early_khz={clock_of(bench, flags)}" if accel == "tcg" \
        else ""

    def plain(word):
        """The same in plain QEMU; what it writes comes by the console."""
        initrd = bench.tmp / f"initrd-{word.split()[0]}"
        initrd.write_bytes(
            newc("dev", 0o40755) + newc("root", 0o40755) +
            newc("bin", 0o40755) +
            newc("bin/busybox", 0o100755,
                 (root / "bin/busybox").read_bytes()) +
            newc("init", 0o100755, PLAIN_INIT.replace("WORD", word).encode())
            + modules_of(at / "initrd") + newc("TRAILER!!!", 0))
        return ["qemu-system-x86_64", "-M", "microvm,acpi=on,pit=off,pic=off,"
                "auto-kernel-cmdline=off", "-accel", accel, "-cpu",
                "host" if accel == "kvm" else "max",
                "-m", "608M", "-nodefaults", "-no-user-config", "-no-reboot",
                "-display", "none", "-serial", "stdio", "-kernel",
                str(at / "kernel"), "-initrd", str(initrd), "-append",
                "console=ttyS0 loglevel=0 panic=-1 rdinit=/init "
                f"cryptomgr.notests{clock}", "-drive",
                "if=none,id=root,format=raw,readonly=on,"
                f"file={at / 'root'}", "-device",
                "virtio-blk-device,drive=root", "-device",
                "virtio-serial-device"]
    for word, take in (("true", bench.time_us), ("echo", bench.first_us)):
        rows = {"qemu": [], "cellos run --backend qemu": []}
        for _ in range(rounds):
            for name, v in rows.items():
                v.append(take(plain(word) if name == "qemu" else
                              bench.cell(f"/bin/{word}", MARK, flags=flags)))
        if word == "echo":
            print("  until what `echo` says is there")
        show(rows, "qemu", goals={"cellos run --backend qemu": 1.15})
    memory("qemu", plain(f"sh -c '{ASLEEP}'"))
    memory("wall of a machine", bench.cell("/bin/sh", "-c", ASLEEP,
                                           flags=flags))


def firecracker(bench, rounds):
    """By itself: a plain one is told what to boot by somebody's requests, whose
    time is not its own."""
    print(f"\nOne program `true` in a machine of Firecracker, {rounds} rounds")
    flags = ("--backend", "firecracker")
    if not shutil.which(os.environ.get("CELLOS_FIRECRACKER_BINARY",
                                       "firecracker")):
        print("  firecracker: not here")
        return
    for word, take in (("true", bench.time_us), ("echo", bench.first_us)):
        try:
            v = [take(bench.cell(f"/bin/{word}", MARK, flags=flags))
                 for _ in range(rounds)]
        except RuntimeError as e:
            print(f"  firecracker: needs a KVM that runs code: {e}")
            return
        if word == "echo":
            print("  until what `echo` says is there")
        show({"cellos run --backend firecracker": v})


def at_once(bench, rounds):
    for n in (8, 64):
        print(f"\n{n} at once, until the last has ended, {rounds} rounds")
        rows = {"bubblewrap": [], "cellos run": []}
        if not shutil.which("bwrap"):
            del rows["bubblewrap"]
        for _ in range(rounds):
            for name in rows:
                argv = BWRAP if name == "bubblewrap" else [
                    bench.cellos, "run", "--", "true"]
                rows[name].append(bench.time_us(argv, n))
        show(rows, next(iter(rows)))
        mid = statistics.median(rows["cellos run"])
        print(f"  cellos run: {mid / 1000 / n:.2f} ms a cell, "
              f"{n * 1e6 / mid:.0f} cells a second")


def below(pid):
    children = {}
    for d in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            stat = (d / "stat").read_text()
            parent = int(stat[stat.rindex(")") + 2:].split()[1])
        except (OSError, ValueError):
            continue
        children.setdefault(parent, []).append(int(d.name))
    out, todo = [], [pid]
    while todo:
        out.append(todo.pop())
        todo += children.get(out[-1], [])
    return out


def memory_of(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text() \
            .splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


ASLEEP = "echo up; exec sleep 3"


def memory(what, argv):
    print(f"\nMemory while the command sleeps (PSS), {what}")
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                         text=True)
    try:
        if p.stdout.readline() != "up\n":
            print("  does not run here")
            return
        sizes, names = {}, {}
        for q in below(p.pid):
            word = pathlib.Path(f"/proc/{q}/cmdline").read_bytes()
            names[q] = word.split(b"\0")[0].decode()
            # the command itself; one in a sandbox is a part of runsc's
            if names[q] in ("sh", "sleep"):
                continue
            try:
                sizes[q] = memory_of(q)
            except PermissionError:
                print(f"  pid {q} ({names[q]}): not ours to read")
        # threads of a sandbox's, and a VMM, are not ours
        runsc = [q for q in sizes if names[q] == "" or
                 names[q].startswith(("runsc", "qemu", "/usr/bin/qemu"))]
        ours = sum(v for q, v in sizes.items() if q not in runsc)
        if ours:
            print(f"  supervisor: {sizes.get(p.pid, 0) / 1024:.2f} MiB")
            print(f"  all {len(sizes) - len(runsc)} processes of ours: "
                  f"{ours / 1024:.2f} MiB")
        if runsc:
            total = sum(sizes[q] for q in runsc)
            print(f"  {len(runsc)} of {names[runsc[0]]}, the command in it: "
                  f"{total / 1024:.1f} MiB")
    finally:
        p.stdout.read()
        p.wait()


def rate(bench, title, name):
    program = bench.build / "bench" / name
    print(f"\n{title}")
    if not program.exists():
        print(f"  bench/{name} is not built")
        return
    for _ in range(3):
        p = subprocess.run([str(program)], stdout=subprocess.PIPE)
        print("  " + p.stdout.decode().strip().replace("\n", "\n  "))


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    uname = os.uname()
    print(f"{os.cpu_count()} CPUs, Linux {uname.release}, "
          f"{'root' if os.geteuid() == 0 else 'unprivileged'}")
    with tempfile.TemporaryDirectory(prefix="cellos-bench-",
                                     dir="/var/tmp") as tmp:
        bench = Bench(build, pathlib.Path(tmp))
        start_up(bench, rounds)
        walls(bench, max(rounds // 5, 1))
        machines(bench, max(rounds // 10, 3))
        firecracker(bench, max(rounds // 10, 3))
        at_once(bench, max(rounds // 10, 5))
        memory("host wall", bench.cell("sh", "-c", ASLEEP))
        rate(bench, "Signed events", "sign")
        rate(bench, "Answers of the cell's resolver from its cache", "dns")
        bench.run_dir.cleanup()
    door.run(build, max(rounds // 20, 3))


main()
