# SPDX-License-Identifier: MIT OR Apache-2.0
"""The wall of a machine: the same document, the same evidence, and between the
command and this host's kernel another one, Debian's, in a QEMU microvm."""

import datetime
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

import vm_image
from conftest import (BUILD, IS_ALL, IS_ROOT, NOT_ADMITTED, QEMU, SANITIZED,
                      SLACK, Before, Cells, Machines, Result,
                      assert_files_lost, assert_lost, assert_not_admitted,
                      assert_same_events, descendants, kill_at_moments, parent,
                      started, wait_until)

VMM = "/usr/bin/qemu-system-x86_64"
EMULATED = "qemu: software emulation, without KVM: many times slower than " \
    "this host"
TRIED = "; no machine has booted by KVM here, `cellos doctor --backend qemu` " \
    "tries again"
LOUD = "cellos: {}{}\n".format(
    EMULATED, TRIED if os.path.exists("/dev/kvm") else "")
UNKNOWN = "another-boot 00 usable\n"  # a kept answer that is none


def loud(r):
    """What a run says first, by the accelerator its enforcement names."""
    accel = r.item("accel")["got"]
    assert accel in ("kvm", "tcg: software emulation"), accel
    return "" if accel == "kvm" else LOUD


if not IS_ROOT:
    def test_needs_root(cells):
        r = cells.run("true", flags=QEMU)
        assert (r.rc, r.out) == (125, ""), r
        assert "qemu: needs root, for the ids of the machine and of the " \
            "command; run as root, or use --backend host" in r.err, r
        refused, = [e["data"] for e in r.of_type("evidence.v1.enforcement")]
        assert (refused["phase"], refused["backend"]) == ("refused", "qemu")


def of_the_guest(test):
    """What it tries is the guest's, which is the same in a sanitized run."""
    return None if SANITIZED else test


def slow(test):
    """Many seconds, of building."""
    return test if IS_ALL and not SANITIZED else None


# Of this wall, and of the one that borrows what is tried here; each may see
# its own program elsewhere.
VMMS = (os.path.basename(os.path.realpath(VMM)), "firecracker")


def vmm_of(p):
    """The VMM of a runner, once there is one."""
    def look():
        for pid in descendants(p.pid):
            try:
                exe = os.readlink(f"/proc/{pid}/exe")
            except OSError:
                continue
            if os.path.basename(exe) in VMMS:
                return pid
        return None
    pid = wait_until(look, 20)
    assert pid, p.communicate(timeout=1)
    return pid


if IS_ROOT:
    @pytest.fixture
    def vm(tmp_path, image):
        c = Machines(tmp_path, image)
        yield c
        c.close()

    @pytest.fixture
    def before(vm):
        return Before(vm)

    @pytest.fixture
    def full(vm):
        """Nothing of a door, its TAP and a directory is left either."""
        vm.fill()

    FULL = pytest.mark.usefixtures("full")

    # -- a command --

    def test_runs_on_a_kernel_of_its_own(vm, before, image):
        r = vm.run("cat", "/proc/version")
        assert r.rc == 0 and r.out.startswith("Linux version 6.1."), r
        assert r.out != pathlib.Path("/proc/version").read_text()
        assert vm.verify(r.events_path).rc == 0
        # what stands around it was read back, inside and outside
        told = r.enforcement()
        assert told["backend"] == "qemu"
        items = {i["name"]: i for i in told["items"]}
        assert items["vmm"]["got"] == os.path.realpath(VMM)
        for who in ("vmm", "driver"):
            assert items[f"{who}.seccomp"]["got"] == "2"
            assert items[f"{who}.no-new-privs"]["got"] == "1"
        assert all(items[f"namespace.{n}"]["enforced"] for n in (
            "pid", "ipc", "net", "uts", "mnt", "user", "cgroup"))
        probes = {p["name"]: p["got"] for p in told["probes"]}
        # of which only the guest has told
        assert probes["guest.af-packet"] == "EPERM"
        assert probes["guest.connect-outside-v4"] == "ENETUNREACH"
        # what was booted is what was built
        lines = (image / "images/default/manifest").read_text().splitlines()
        built = {x.split()[1]: x.split()[0] for x in lines}
        assert set(built) == {"kernel", "initrd", "rootfs", "init"}
        for role in ("kernel", "initrd", "rootfs"):
            assert items[f"image.{role}"]["got"] == built[role]
        first = r.one("lifecycle.v1.started")
        assert "sha256:" + first["kernelDigestSha256"] == built["kernel"]
        assert "sha256:" + first["rootfsDigestSha256"] == built["rootfs"]
        assert before.left() == []

    def test_kvm_is_tried_once_a_boot(vm, before):
        """What is kept is of this boot and kernel; anything else is no
        answer, and a trial leaves nothing."""
        kept = vm.state_dir / "kvm"
        kept.write_text(UNKNOWN)
        r = vm.run("true")
        assert r.rc == 0, r
        accel = r.item("accel")["got"]
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()
        digest = r.one("lifecycle.v1.started")["kernelDigestSha256"]
        if not os.path.exists("/dev/kvm"):
            assert accel == "tcg: software emulation"
            assert kept.read_text().startswith("another-boot")
        else:
            word = "usable" if accel == "kvm" else "unusable"
            assert kept.read_text() == f"{boot.strip()} {digest} {word}\n"
        assert (r.err == "") == (accel == "kvm"), r
        assert before.left() == []

    @NOT_ADMITTED
    def test_is_not_booted_before_it_is_admitted(vm, before, strace, env, last,
                                                 reason):
        """Also not for a trial."""
        kept = vm.state_dir / "kvm"
        kept.write_text(UNKNOWN)
        wall = {"CELLOS_CELL_BACKEND": "qemu"}
        assert_not_admitted(vm, strace, wall, env, last, reason)
        assert kept.read_text() == UNKNOWN
        assert before.left() == []

    def test_no_trial_before_it_is_admitted(vm, before):
        """What a document shows, its door, what a machine cannot carry, a
        journal that cannot be."""
        kept = vm.state_dir / "kvm"
        kept.write_text(UNKNOWN)
        by_name = {"CELLOS_CELL_BACKEND": "qemu"}
        shown = vm.document(["true"], "shown", mounts=[(vm.state_dir, "ro")])
        path = pathlib.Path(vm.document(["true"], ident="door"))
        door = json.loads(path.read_text())
        door["spec"]["authority"]["egressRules"] = [
            {"host": "127.0.0.1", "port": 443}]
        path.write_text(json.dumps(door))
        for run, text in (
                (lambda: vm.run("true", ro=[vm.state_dir]), str(vm.state_dir)),
                (lambda: vm.supervise(shown, env=by_name), str(vm.state_dir)),
                (lambda: vm.supervise(path, env=by_name), "loopback"),
                (lambda: vm.run("true", flags=["-t"]), "has no terminal"),
                (lambda: vm.supervise(vm.document(["true"]), env={
                    **by_name, "CELL_OS_JSONL_EVENTS": "/nowhere/j"}),
                 "/nowhere/j")):
            r = run()
            assert r.rc in (1, 125) and text in r.err, r
            assert kept.read_text() == UNKNOWN, r
        assert before.left() == []

    def test_what_a_trial_leaves(vm, before, strace):
        """Is listed until gc has cleared it, as what a run leaves is."""
        if not os.path.exists("/dev/kvm"):
            pytest.skip("there is no /dev/kvm to try")
        (vm.state_dir / "kvm").write_text(UNKNOWN)
        r = subprocess.run(
            [*strace.prefix(["rmdir:error=EBUSY"], follow=False),
             *vm.argv(["true"])], env=vm.environ(strace.env), text=True,
            capture_output=True, timeout=60 * SLACK)
        assert r.returncode == 125 and strace.hit, r.stderr
        assert "could not be removed" in r.stderr
        found = json.loads(vm.gc().out)
        assert {g["cellId"] == "kvm" for g in found} == {True, False}, found
        assert before.left() == []

    @of_the_guest
    @pytest.mark.parametrize("script, rc, code", [
        ("exit 42", 42, 42), ("exit 137", 137, 137), ("kill -9 $$", 137, -1)])
    def test_how_it_ended(vm, before, script, rc, code):
        r = vm.run("sh", "-c", script)
        assert r.rc == rc, r
        assert r.one("command.v1.completed")["exitCode"] == code
        gone = r.one("lifecycle.v1.destroyed")
        assert gone["terminalState"] == "clean"
        assert gone["outcome"] == "failed"
        assert gone["residueClass"] == "none"
        assert before.left() == []

    def test_true(vm, before):
        r = vm.run("/bin/true")
        assert (r.rc, r.out, r.err) == (0, "", loud(r)), r
        assert r.one("lifecycle.v1.destroyed")["outcome"] == "succeeded"
        assert before.left() == []

    def test_no_descriptor_but_its_own(vm):
        """Not that of the guest's console, whose lines are a kernel's word."""
        r = vm.run("/usr/bin/python3", "-c", """if True:
            import os
            for fd in range(256):
                try:
                    os.fstat(fd)
                    print(fd)
                except OSError:
                    pass
            """)
        assert (r.rc, r.out) == (0, "0\n1\n2\n"), r

    @pytest.mark.parametrize("word, rc, text", [
        ("no-such-program", 127, "No such file or directory"),
        ("/etc/passwd", 126, "Permission denied")])
    def test_what_cannot_be_run(vm, before, word, rc, text):
        r = vm.run(word)
        assert r.rc == rc, r
        assert f"spec.run spawn failed: {text} (os error" in r.err
        assert f"\n    exec: {word}: {text} (os error" in r.err, r
        assert r.one("command.v1.completed")["exitCode"] == -1
        assert before.left() == []

    @of_the_guest
    def test_is_who_it_is_on_the_host_wall(vm):
        """User, groups, capabilities, environment, directory, session."""
        script = ("id -u; id -g; id -G; pwd; env | sort; umask; ulimit -c; "
                  "grep -E '^(Cap|NoNew|Seccomp:|Sig(Blk|Ign))' "
                  "/proc/self/status; cat /proc/sys/kernel/hostname; "
                  "ls /dev /; date +%Y-%m-%d")
        root = vm.state_dir.parent / "none"
        assert not root.exists()
        flags = ["--env", "A=b c"]
        r = vm.run("sh", "-c", script, flags=flags)
        h = vm.call(Cells.argv(vm, ["sh", "-c", script], flags=flags))
        assert r.rc == h.rc == 0, (r, h)
        # what lies at the top of a root is the root's
        ours, theirs = (x.out.split("\n/:\n") for x in (r, h))
        assert ours[0].splitlines() == theirs[0].splitlines()
        assert {"bin", "dev", "etc", "proc", "run", "tmp", "usr"} <= set(
            ours[1].split())

    def test_the_clock_is_that_of_this_host(vm):
        """When it boots and when the command runs are seconds apart."""
        r = vm.run("date", "+%s.%N")
        ready, = [e["time"] for e in r.events if e["type"].endswith(
            "evidence.v1.enforcement") and e["data"]["phase"] == "prepared"]
        ready = datetime.datetime.fromisoformat(ready).timestamp()
        assert r.rc == 0 and ready - 0.5 < float(r.out) < time.time() + 0.5, r

    def test_standard_input_and_output(vm):
        """More than any buffer on the way, both ways, and an end."""
        data = os.urandom(1 << 20)
        events = vm.events_path()
        p = subprocess.run(
            vm.argv(["sh", "-c", "cat; echo e >&2; exit 5"], flags=["-i"],
                    events=events),
            input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=vm.environ(), timeout=60 * SLACK)
        assert p.returncode == 5 and p.stdout == data, p.stderr
        r = Result(p.returncode, "", p.stderr.decode(), events)
        assert r.err == loud(r) + "e\n"

    @of_the_guest
    def test_nobody_reads(vm):
        """As a pipe that is closed: the command gets SIGPIPE."""
        p = vm.start("sh", "-c", "trap '' PIPE; echo up; while echo y; do :; "
                     "done 2>/dev/null; exit 9")
        started(p)
        p.stdout.close()
        p.stdout = None
        assert p.wait(timeout=60 * SLACK) == 9
        p.stderr.close()

    # -- files --

    def test_directories(vm, before, tmp_path):
        rw, ro = tmp_path / "rw", tmp_path / "ro"
        (rw / "sub").mkdir(parents=True)
        ro.mkdir()
        for path in (rw / "old", rw / "gone", rw / "kept", rw / "sub/x",
                     ro / "given"):
            path.write_text(path.name + "\n")
        (rw / "was-a-dir").mkdir()
        os.utime(rw / "kept", ns=(10**18, 10**18 + 123456789))
        kept = (rw / "kept").stat()
        r = vm.run("sh", "-c", f"""
            cat old {ro}/given; rm gone; rm -r sub was-a-dir
            echo new >new; mkdir -p d/e; echo y >d/e/y; chmod 750 new
            echo file >was-a-dir; mv old moved; ln -s new inside
            ln -s /etc/shadow outside; ln -s ../../x up; mkfifo pipe
            cp /bin/sh d/suid && chmod 4755 d/suid || echo no
            echo no >{ro}/f; echo no >/usr/f; exit 0
            """, rw=[rw], ro=[ro])
        assert (r.rc, r.out) == (0, "old\ngiven\nno\n"), r
        assert sorted(p.name for p in rw.iterdir()) == [
            "d", "inside", "kept", "moved", "new", "was-a-dir"]
        assert (rw / "new").read_text() == "new\n"
        assert (rw / "new").stat().st_mode & 0o7777 == 0o750
        assert (rw / "d/e/y").read_text() == "y\n"
        assert (rw / "was-a-dir").read_text() == "file\n"
        assert os.readlink(rw / "inside") == "new"
        # what was not touched is the same file
        now = (rw / "kept").stat()
        assert (now.st_ino, now.st_mtime_ns) == (kept.st_ino,
                                                 kept.st_mtime_ns)
        for p in (rw / "new", rw / "d", rw / "d/e/y"):
            assert (p.stat().st_uid, p.stat().st_gid) == (
                rw.stat().st_uid, rw.stat().st_gid)
        assert not (rw / "d/suid").stat().st_mode & 0o7000
        assert os.listdir(ro) == ["given"]
        assert before.left() == []

    @of_the_guest
    @pytest.mark.parametrize("make", [": >", "echo x >", "mkdir "])
    def test_a_file_named_as_the_end_of_an_archive(vm, tmp_path, make):
        """There and back it is one like any other: nothing beside it goes."""
        rw = tmp_path / "rw"
        names = [f"f{i}" for i in range(9)]
        rw.mkdir()
        for name in names:
            (rw / name).write_text(f"{name}\n")
        subprocess.run(["sh", "-c", f"{make}'TRAILER!!!'"], cwd=rw, check=True)
        for name in names:
            (rw / f"{name}.after").write_text(f"{name}\n")
        r = vm.run("sh", "-c", "ls | wc -l; echo more >f4; mkdir -p d; "
                   f"cd d; {make}'TRAILER!!!'", rw=[rw])
        assert (r.rc, r.out) == (0, "19\n"), r
        assert sorted(os.listdir(rw)) == sorted(
            ["TRAILER!!!", "d", *names, *(f"{n}.after" for n in names)])
        assert os.listdir(rw / "d") == ["TRAILER!!!"]
        assert (rw / "f4").read_text() == "more\n"
        assert (rw / "f3").read_text() == "f3\n"

    def test_directories_are_renamed(vm, tmp_path):
        """No file in them changes, and each is where it was put; what could
        not be carried stays."""
        rw = tmp_path / "rw"
        for d in "abd":
            (rw / d).mkdir(parents=True)
            (rw / d / "f").write_text(f"in {d}\n")
        (rw / "t").mkdir()
        (rw / "t").chmod(0o1777)
        (rw / "keeps" / "mnt").mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "small", rw / "keeps/mnt"],
                       check=True)
        try:
            (rw / "keeps/mnt/f").write_text("of another file system\n")
            r = vm.run("sh", "-c", "mv a t1; mv b a; mv t1 b; mv d e; "
                       "rm -rf keeps; ln -s . x; ln -s x/../.. out", rw=[rw])
            assert r.rc == 0, r
            assert (rw / "keeps/mnt/f").read_text() == \
                "of another file system\n"
        finally:
            subprocess.run(["umount", rw / "keeps/mnt"], check=True)
        assert {p: (rw / p / "f").read_text() for p in "abe"} == {
            "a": "in b\n", "b": "in a\n", "e": "in d\n"}
        assert sorted(p.name for p in rw.iterdir()) == [
            "a", "b", "e", "keeps", "t", "x"]
        assert (rw / "t").stat().st_mode & 0o7777 == 0o1777

    def test_files_of_somebody_else(vm, tmp_path):
        rw, ro = tmp_path / "rw", tmp_path / "ro"
        for path in (rw, ro):
            path.write_text(f"{path.name}\n")
            os.chown(path, 4321, 4322)
        doc = vm.document(
            ["sh", "-c", f"cat {ro}; echo no >>{ro}; echo two >>{rw}"],
            mounts=[(rw, "rw"), (ro, "ro")])
        r = vm.run_document(doc, flags=vm.wall)
        assert (r.rc, r.out) == (0, "ro\n"), r
        assert (rw.read_text(), ro.read_text()) == ("rw\ntwo\n", "ro\n")
        for path in (rw, ro):
            assert (path.stat().st_uid, path.stat().st_gid) == (4321, 4322)

    @of_the_guest
    def test_working_directory_is_a_copy(vm, tmp_path):
        d = tmp_path / "work"
        d.mkdir()
        (d / "f").write_text("host\n")
        doc = vm.document(
            ["sh", "-c", "pwd; cat f; echo cell >f; cat f; echo >g"],
            workingDirectory=str(d))
        r = vm.run_document(doc, flags=vm.wall)
        assert (r.rc, r.out) == (0, f"{d}\nhost\ncell\n"), r
        assert os.listdir(d) == ["f"] and (d / "f").read_text() == "host\n"

    @of_the_guest
    def test_an_image_with_nothing_in_it(vm, before):
        images = vm.state_dir / "images"
        images.unlink()
        small = vm.tmp / "small"
        (small / "etc").mkdir(parents=True)
        (small / "tmp").write_text("a file where a directory has to be")
        vm_image.build(BUILD.parent / "build" / "cellos", vm.state_dir, small)
        r = vm.run("true")
        assert r.rc == 127 and "exec: true: No such file" in r.err, r
        assert before.left() == []

    def test_more_than_there_is_room_for(vm, before, tmp_path):
        """The run is refused, or its end is told as lost; nothing half."""
        rw = tmp_path / "rw"
        rw.mkdir()
        (rw / "big").write_bytes(bytes(3 << 20))
        env = {"CELLOS_LIMIT_TMP_BYTES": str(2 << 20)}
        r = vm.run("true", rw=[rw], env=env)
        assert r.rc == 125 and f"bind: guest: {rw}: File too large" in \
            r.err, r
        # also of what does not fit into any buffer on the way
        (rw / "big").write_bytes(bytes(64 << 20))
        r = vm.run("true", rw=[rw], env=env)
        assert r.rc == 125 and "File too large" in r.err, r
        assert os.listdir(rw) == ["big"]
        assert before.left() == []

    @pytest.mark.parametrize("declared, script", [
        ("d", "cd {}; echo new >new; rm gone; "
         "head -c 3000000 /dev/zero >old"),
        ("d/old", "head -c 3000000 /dev/zero >{}")])
    def test_a_full_disk_where_files_come_back(vm, before, tmp_path, declared,
                                               script):
        """The command ended well, and that is not told; of what was there
        nothing is lost, and nothing is left that nobody has asked for."""
        disk = tmp_path / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "small",
                        disk], check=True)
        try:
            (disk / "d").mkdir()
            for name in ("old", "gone", "kept"):
                (disk / "d" / name).write_text(f"{name}\n")
            was = {p.name: p.stat().st_ino for p in (disk / "d").iterdir()}
            at = disk / declared
            doc = vm.document(["sh", "-c", script.format(at)],
                              mounts=[(at, "rw")])
            r = vm.run_document(doc, flags=vm.wall)
            assert_files_lost(r)
            now = {p.name: p.stat().st_ino for p in (disk / "d").iterdir()}
            assert {n: now.get(n) for n in was} == was
            assert set(now) - set(was) <= {"new"}
            for name in was:
                assert (disk / "d" / name).read_text() == f"{name}\n"
        finally:
            subprocess.run(["umount", disk], check=True)
        assert vm.verify(r.events_path).rc == 0
        assert before.left() == []

    @of_the_guest
    def test_a_full_disk(vm, before):
        r = vm.run("sh", "-c", "cd /tmp; head -c 4000000 /dev/zero >big; "
                   "echo $?; rm big; echo small >small; cat small",
                   env={"CELLOS_LIMIT_TMP_BYTES": str(1 << 20)})
        assert (r.rc, r.out) == (0, "1\nsmall\n"), r
        assert "No space left on device" in r.err
        assert before.left() == []

    @of_the_guest
    def test_a_compile_job(vm, before, tmp_path):
        rw = tmp_path / "rw"
        rw.mkdir()
        (rw / "a.c").write_text('#include <stdio.h>\n'
                                'int main(void) { puts("made"); return 0; }\n')
        r = vm.run("sh", "-c", "gcc -o a a.c && ./a", rw=[rw])
        assert (r.rc, r.out) == (0, "made\n"), r
        assert subprocess.check_output([rw / "a"]) == b"made\n"
        assert before.left() == []

    # -- the end --

    @FULL
    def test_deadline(vm, before):
        script = ('trap "echo term; exit 0" TERM; echo up; '
                  'while :; do sleep 0.1; done')
        r = vm.run("sh", "-c", script, flags=["--timeout", "8s"])
        assert r.out == "up\nterm\n", r
        assert_timed_out(r, 8000)
        assert before.left() == []

    @FULL
    def test_ttl_of_one_that_does_not_listen(vm, before):
        doc = vm.document(["sh", "-c", 'trap "" TERM; setsid sleep 1000 & '
                           "while :; do sleep 1; done"], ttl=2,
                          limits={"gracefulShutdownSeconds": 1})
        r = vm.supervise(doc, env=vm.by_name)
        text = "cell killed by TTL watchdog after 2000 ms (ttl_seconds=2)"
        assert r.rc == 1 and text in r.err, r
        assert r.one("lifecycle.v1.destroyed")["terminalState"] == "forced"
        assert before.left() == []

    def test_memory_limit(vm, before):
        """Of the command: its own kernel keeps it, and it is told as on the
        host's wall."""
        r = vm.run("/usr/bin/python3", "-c",
                   "x = bytearray(200 << 20); print(len(x))",
                   flags=["--memory", "64M"])
        assert (r.rc, r.out) == (137, ""), r
        assert "cellos: the cell reached its memory limit\n" in r.err
        assert r.one("command.v1.completed")["exitCode"] == -1
        assert r.one("lifecycle.v1.destroyed")["terminalState"] == "clean"
        told = r.item("guest.memory.max")
        assert (told["asked"], told["got"], told["enforced"]) == (
            str(64 << 20), str(64 << 20), True)
        # around it all is one more: the guest's kernel, and the VMM
        assert r.item("memory.max")["got"] == str((64 + 96 + 192) << 20)
        assert before.left() == []

    @of_the_guest
    def test_limit_of_processes(vm):
        code = """if True:
            import os
            n = 0
            try:
                while n < 50:
                    if os.fork() == 0:
                        os.pause() if hasattr(os, "pause") else \\
                            __import__("signal").pause()
                    n += 1
            except OSError as e:
                print(n, e.errno)
            """
        r = vm.run("/usr/bin/python3", "-c", code, flags=["--pids", "20"])
        assert (r.rc, r.out) == (0, "19 11\n"), r
        told = r.item("guest.pids.max")
        assert (told["asked"], told["got"], told["enforced"]) == (
            "20", "20", True)

    @FULL
    def test_the_vmm_is_killed(vm, before):
        p = vm.start("sh", "-c", "echo up; exec sleep 1000")
        started(p)
        os.kill(vmm_of(p), signal.SIGKILL)
        assert_lost(vm, vm.ended(p), "vmm_crashed")
        assert before.left() == []

    @FULL
    def test_the_vmm_stands_still(vm, before):
        """SIGSTOP: no word comes, and the deadline is kept all the same."""
        p = vm.start("sh", "-c", "echo up; exec sleep 1000",
                     flags=["--timeout", "8s"],
                     env={"CELLOS_LIMIT_GRACE_SECONDS": "1"})
        started(p)
        os.kill(vmm_of(p), signal.SIGSTOP)
        r = vm.ended(p, 30)
        assert_timed_out(r, 8000)
        assert before.left() == []

    def assert_timed_out(r, ms):
        assert r.rc == 124, r
        done = r.one("command.v1.completed")
        assert (done["exitCode"], done["spawnError"]) == (
            -1, f"command timed out after {ms} ms (spec.run.timeoutMs)")
        gone = r.one("lifecycle.v1.destroyed")
        assert (gone["terminalState"], gone["outcome"],
                gone["residueClass"]) == ("forced", "failed", "none")

    @FULL
    @pytest.mark.parametrize("which", ["runner", "pid 1", "driver"])
    def test_a_process_of_ours_is_killed(vm, before, which):
        p = vm.start("sh", "-c", "echo up; exec sleep 1000")
        started(p)
        vmm = vmm_of(p)
        driver = parent(vmm)
        victim = {"runner": p.pid, "driver": driver,
                  "pid 1": parent(driver)}[which]
        assert parent(parent(driver)) == p.pid
        os.kill(victim, signal.SIGKILL)
        r = vm.ended(p)
        assert wait_until(lambda: not os.path.exists(f"/proc/{vmm}"), 20)
        if which == "runner":
            assert r.rc == -9 and vm.gc().rc == 0, r
        else:
            assert_lost(vm, r, "vmm_crashed")
        assert before.left() == []

    @FULL
    def test_a_signal_to_the_runner(vm, before):
        p = vm.start("sh", "-c", 'trap "echo term; exit 0" TERM; echo up; '
                     "while :; do sleep 0.1; done")
        started(p)
        p.send_signal(signal.SIGTERM)
        out, err = p.communicate(timeout=20 * SLACK)
        assert p.returncode == 128 + signal.SIGTERM, (out, err)
        assert out == "term\n"
        assert before.left() == []

    # -- a VMM that goes on, and its machine does not --

    STAND_IN = "/usr/local/games"
    HIDE = f'mount -t tmpfs vmm {STAND_IN} && cp "$0" {STAND_IN}/' \
        'qemu-system-x86_64 && exec "$@"'

    def with_vmm(vm, text, *cmd):
        """A run whose VMM is this program; nobody else here sees it."""
        path = vm.tmp / "vmm"
        path.write_text(text)
        path.chmod(0o755)
        return vm.start(*cmd, env={"PATH": STAND_IN + ":/usr/bin:/bin"},
                        prefix=["unshare", "-m", "--propagation", "private",
                                "sh", "-c", HIDE, str(path)])

    def say(vmm, text):
        """To the second monitor of a real one, in the cell's network; until
        each word is answered."""
        subprocess.run(
            ["nsenter", "-t", str(vmm), "-n", "/usr/bin/python3", "-c",
             """if True:
             import socket, sys
             s = socket.socket(socket.AF_UNIX)
             s.connect("\\0second")
             s.sendall(sys.argv[1].encode())
             left = sys.argv[1].count("\\n")
             for line in s.makefile():
                 left -= '"return"' in line
                 if not left:
                     break
             """, text], check=True, timeout=20 * SLACK)

    CAPABLE = ("qmp_capabilities", {})
    WAIT = {"arguments": {"reboot": "reset", "shutdown": "pause"}}

    @pytest.mark.parametrize("words, reason", [
        ([CAPABLE, ("stop", {})], "vmm_paused"),
        # one that goes on where another would end
        ([CAPABLE, ("set-action", WAIT), ("system_reset", {})],
         "vmm_stopped")])
    def test_its_machine_stands_still(vm, before, words, reason):
        """The run ends at once, long before its deadline."""
        p = with_vmm(vm, f'#!/bin/sh\nexec {VMM} "$@" -chardev socket,id=second'
                     ",path=second,abstract=on,server=on,wait=off "
                     "-mon chardev=second,mode=control\n",
                     "sh", "-c", "echo up; exec sleep 1000")
        started(p)
        say(vmm_of(p), "".join(json.dumps({"execute": w, **more}) + "\n"
                               for w, more in words))
        out, err = p.communicate(timeout=20 * SLACK)
        assert p.returncode == 125, (out, err)
        assert f"Error: in-VM exit bridge: {reason}\n" in err
        r = Result(p.returncode, out, err, p.events_path)
        gone = r.one("lifecycle.v1.destroyed")
        assert (gone["terminalState"], gone["reason"]) == (
            "forced", f"in-VM exit bridge: {reason}")
        assert r.of_type("command.v1.completed") == []
        assert vm.verify(p.events_path).rc == 0
        assert before.left() == []

    # What it says by its monitor, having been asked what is in brackets
    GREETING = r'{"QMP": {"version": {}, "capabilities": []}}\n'
    RUNNING = GREETING + r'{"return": {}}\n{"return": {"status": "running"}}\n'
    STANDS = r'{"event": "STOP"}\n{"return": {"status": "%s"}}\n'
    NO_QMP = "the VMM's monitor speaks no QMP"

    @pytest.mark.parametrize("says, reason", [
        (STANDS % "internal-error", "vmm_internal_error"),
        (STANDS % "io-error", "vmm_io_error"), (None, "vmm_monitor_lost")],
        ids=["internal-error", "io-error", "closed"])
    def test_its_monitor_says_that_it_stands_still(vm, before, says, reason):
        """With a machine that runs all the while: a stand-in speaks for it,
        until it is told by a signal to say this."""
        p = with_vmm(vm, f"""#!/usr/bin/python3
import os, signal, sys
argv = ["{VMM}", *sys.argv[1:]]
at, = [i for i, a in enumerate(argv) if a.startswith("socket,id=qmp,")]
fd = int(argv[at].split("fd=")[1])
argv[at] = "null,id=qmp"
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
if os.fork() == 0:
    os.close(fd)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    os.execv(argv[0], argv)
os.set_blocking(fd, True)
os.write(fd, b'{RUNNING}')
signal.sigwait([signal.SIGUSR1])
says = {None if says is None else f"b'{says}'"}
if says is None:
    os.close(fd)
else:
    os.write(fd, says)
while True:
    signal.pause()
""", "sh", "-c", "echo up; exec sleep 1000")
        started(p)
        os.kill(parent(vmm_of(p)), signal.SIGUSR1)
        assert_lost(vm, vm.ended(p), reason)
        assert before.left() == []

    @of_the_guest
    @pytest.mark.parametrize("says, cause", [
        ("hello\\n", NO_QMP),
        ("[]\\n", NO_QMP),
        ('{"event": "STOP"}\\n', NO_QMP),
        ("[" * 4000 + "\\n", NO_QMP),
        ("x" * 100000, NO_QMP + ": a line without end"),
        (GREETING + r'{"error": {}}\n', NO_QMP),
        (GREETING + r'{"return": {}}\n{"return": {"status": 1}}\n', NO_QMP),
        (GREETING + r'{"return": {}}\n' * 3, NO_QMP),
        (GREETING + r'{"return": {}}\n{"return": {"status": "paused"}}\n',
         "the VMM paused its machine"),
        (GREETING + r'{"return": {}}\n{"return": {"status": "io-error"}}\n',
         "the VMM stopped its machine (error of a device)"),
        (GREETING + r'{"return": {}}\n{"return": {"status": "\x1b[2J"}}\n',
         NO_QMP),
        (GREETING + r'{"return": {}}\n{"event": "STOP"}\n'
         r'{"return": {"status": "internal-error"}}\n',
         "the VMM cannot go on with its machine (internal error)"),
        (GREETING + r'{"event": "GUEST_PANICKED"}\n',
         "the guest's kernel gave up"),
        (None, "the VMM closed its monitor"),
        *([("", "the VMM's monitor said nothing in 30 s")]
          if IS_ALL and not SANITIZED else [])])
    def test_a_monitor_that_lies(vm, before, says, cause):
        """A stand-in, which says this and lives on."""
        p = with_vmm(vm, f"""#!/usr/bin/python3
import os, signal, sys
fd, = [int(a.split("fd=")[1]) for a in sys.argv
       if a.startswith("socket,id=qmp,")]
says = {None if says is None else "SAYS"}
if says is None:
    os.close(fd)
else:
    os.set_blocking(fd, True)
    try:
        os.write(fd, says)
    except BrokenPipeError:
        pass
while True:
    signal.pause()
""".replace("SAYS", f"b'{says}'"), "true")
        out, err = p.communicate(timeout=60 * SLACK)
        assert (p.returncode, out) == (125, ""), (out, err)
        assert f"vmm: boot_failed: {cause}: No child processes (os error 10)" \
            in err, err
        gone = Result(p.returncode, out, err, p.events_path).one(
            "lifecycle.v1.destroyed")
        assert gone["terminalState"] == "forced"
        assert vm.verify(p.events_path).rc == 0
        assert before.left() == []

    # -- a guest that ends before its command --

    @pytest.fixture
    def odd(tmp_path, hooked_image):
        (tmp_path / "odd").mkdir()
        c = Machines(tmp_path / "odd", hooked_image)
        yield c
        c.close()

    @pytest.mark.parametrize("who, reason", [
        ("init", "init_crashed"), ("kernel", "kernel_panic"),
        ("forged", "vmm_crashed")])
    def test_the_guest_ends(odd, who, reason):
        """Its pid 1, its kernel; or it says so without the key."""
        before = Before(odd)
        r = odd.run("sleep", "1000",
                    flags=["--env", f"CELLOS_TEST_GUEST={who}"])
        assert_lost(odd, r, reason)
        assert before.left() == []

    @pytest.mark.parametrize("who, shown, kept", [
        ("memory", "max", str(64 << 20)), ("pids", "21", "20")])
    def test_a_limit_of_the_guest_that_is_lost(odd, who, shown, kept):
        """It was set, and is read once more: what its kernel shows is told
        here, and no command runs without it."""
        before = Before(odd)
        r = odd.run("true", flags=[
            "--memory", "67112959", "--pids", "20", "--env",
            f"CELLOS_TEST_GUEST={who}"])
        detail = f'guest.{who}.max reads "{shown}", not "{kept}"'
        assert r.rc == 125 and f"\n    cgroup: {detail}: " in r.err, r
        assert r.one("command.v1.completed")["exitCode"] == -1
        told = r.enforcement("refused")
        assert (told["stage"], told["detail"]) == ("cgroup", detail)
        items = {i["name"]: (i["asked"], i["got"], i["enforced"])
                 for i in told["items"]}
        rows = {"memory": ("67112959", str(64 << 20), True),
                "pids": ("20", "20", True)}
        rows[who] = (rows[who][0], shown, False)
        assert {w: items[f"guest.{w}.max"] for w in rows} == rows
        assert odd.verify(r.events_path).rc == 0
        assert before.left() == []

    @FULL
    def test_the_runner_is_killed_at_any_moment(vm, before):
        """Some before there is a VMM, some while it boots, some after."""
        kill_at_moments(vm, before,
                        (5, 15, 30, 60, 120, 500, 1500, 3000, 5000))

    @pytest.mark.parametrize("op", ["vmm", "pivot-root", "bind"])
    def test_a_step_that_fails(hooked, image, tmp_path, op):
        """Told by its name; those of the guest are told by the guest."""
        (tmp_path / "vm").mkdir()
        c = Machines(tmp_path / "vm", image)
        c.cellos = hooked.cellos
        try:
            before = Before(c)
            steps = c.verb("plan", *QEMU, "--", "true").out.splitlines()
            at = [x.split()[1] for x in steps].index(op) + 1
            r = c.run("true", env={"CELLOS_TEST_FAIL_STEP": f"{at}:5"})
            assert r.rc == 125 and f"\n    {op}: " in r.err, r
            assert "Input/output error (os error 5)" in r.err
            assert before.left() == []
        finally:
            c.close()

    # -- who it is outside, and what it cannot reach --

    def test_no_process_of_it_is_root_here_and_none_knows_a_secret(vm):
        mark = "a-secret-that-nobody-may-find"
        p = vm.start("sh", "-c", "echo up; exec sleep 1000",
                     flags=["--env", f"S={mark}"])
        started(p)
        vmm = vmm_of(p)
        driver = parent(vmm)
        uids, lines = {}, []
        for name, pid in (("vmm", vmm), ("driver", driver)):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            uids[name] = {int(u) for x in status.splitlines()
                          if x.startswith("Uid:") for u in x.split()[1:]}
            assert "\nCapEff:\t0000000000000000\n" in status
            assert "\nNoNewPrivs:\t1\n" in status
            # what they were started with, and with what environment
            lines += [pathlib.Path(f"/proc/{pid}/{x}").read_bytes()
                      for x in ("cmdline", "environ")]
        p.terminate()
        p.communicate(timeout=20 * SLACK)
        assert all(len(v) == 1 and min(v) >= 0x70000000
                   for v in uids.values()), uids
        assert uids["vmm"] != uids["driver"]
        assert not any(mark.encode() in x for x in lines)
        for d in (vm.run_dir, vm.state_dir / "runs"):
            for path in d.rglob("*") if d.exists() else ():
                if path.is_file():
                    assert mark.encode() not in path.read_bytes()

    @of_the_guest
    def test_the_way_our_pid_1_speaks_is_closed(vm):
        """A command that writes its own end, or looks at the machine."""
        code = """if True:
            import errno, os
            for path in ("/dev/vport0p1", "/dev/vport1p1", "/dev/vda",
                         "/dev/console", "/dev/ttyS0", "/dev/mem", "/dev/kmsg",
                         "/files", "/cgroup", "/image", "/modules", "/init",
                         "/sys"):
                try:
                    os.open(path, os.O_RDWR if path.startswith("/dev")
                            else os.O_RDONLY)
                    print("opened", path)
                except OSError as e:
                    print(errno.errorcode[e.errno], end=" ")
            print()
            for path in ("environ", "mem", "maps", "fd/3", "root"):
                try:
                    os.open("/proc/1/" + path, os.O_RDONLY)
                    print("opened", path)
                except OSError as e:
                    print(errno.errorcode[e.errno], end=" ")
            print()
            try:
                os.kill(1, 9)
            except OSError as e:
                print("kill", errno.errorcode[e.errno])
            print(open("/proc/cmdline").read().count("cellos"))
            raise SystemExit(7)
            """
        r = vm.run("/usr/bin/python3", "-c", code)
        assert r.rc == 7, r
        first, second, kill, line = r.out.splitlines()
        assert set(first.split()) == {"ENOENT"}, r
        assert set(second.split()) <= {"EACCES", "EPERM"}, r
        assert (kill, line) == ("kill EPERM", "0"), r

    @of_the_guest
    @pytest.mark.parametrize("script", ["exit 0", "exit 9"])
    def test_events_are_those_of_the_host_wall(vm, script):
        doc = vm.document(["sh", "-c", script], limits={})
        r = vm.supervise(doc, env=vm.by_name)
        h = vm.supervise(doc)
        assert r.rc == h.rc
        assert_same_events(r, h)

    # -- images --

    def boot(vm, name, **more):
        doc = json.loads(pathlib.Path(vm.document(["true"])).read_text())
        doc["spec"]["environment"] = {"imageReference": name, **more}
        path = vm.tmp / "image.json"
        path.write_text(json.dumps(doc))
        return vm.run_document(str(path), flags=QEMU)

    @pytest.mark.parametrize("name, text", [
        ("none", "/images/none/manifest; make it with `cellos image build`: "
         "No such"),
        ("../x", "\"../x\" is neither a name (letters, digits, . _ -) nor an "
         "absolute path"),
        ("/nowhere", "image: /nowhere/manifest; make it with `cellos image "
         "build`: ")])
    def test_an_image_that_is_not_there(vm, name, text):
        r = boot(vm, name)
        assert r.rc == 125 and text in r.err, r

    def test_the_digest_a_document_names(vm, image):
        want, = [x.split()[0] for x in (image / "images/default/manifest")
                 .read_text().splitlines() if x.split()[1] == "rootfs"]
        assert boot(vm, "default", imageDigest=want).rc == 0
        other = "sha256:" + "0" * 64
        r = boot(vm, "default", imageDigest=other)
        assert r.rc == 125 and "rootfs digest mismatch at " in r.err, r
        assert "(L2-06-1)" in r.err

    @slow
    def test_an_image_of_the_host_itself(vm, before, tmp_path):
        """Without a root that is named, what this host has: here one of a few
        packages, in a mount namespace, for a whole one takes minutes. It is
        what a document boots that names none."""
        host = tmp_path / "host"
        names = vm_image.closure([*vm_image.PACKAGES, "erofs-utils", "dpkg",
                                  "lz4"])
        vm_image.put_packages(host, names)
        own = host / "usr/local/bin/of-this-host"
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text("#!/bin/sh\ncat /usr/local/share/mark; id -u\n")
        own.chmod(0o755)
        mark = host / "usr/local/share/mark"
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text("known to this host only\n")
        (vm.state_dir / "images").unlink()
        r = vm.call(["unshare", "--mount", "sh", "-ec",
                     'mount --bind "$1/usr" /usr; shift; exec "$@"', "sh",
                     host, vm.cellos, "image", "build", "--kernel",
                     vm_image.KERNEL])
        assert r.rc == 0, r
        assert os.listdir(vm.state_dir / "images") == ["default"]
        lines = (vm.state_dir / "images/default/manifest").read_text()
        built = {x.split()[1]: x.split()[0] for x in lines.splitlines()}
        # not of this host as it is now
        assert not os.path.exists("/usr/local/bin/of-this-host")
        doc = vm.document(["of-this-host"])
        assert "environment" not in json.loads(
            pathlib.Path(doc).read_text())["spec"]
        r = vm.run_document(doc, flags=QEMU)
        assert (r.rc, r.out) == (0, "known to this host only\n1000\n"), r
        assert r.item("image.rootfs")["got"] == built["rootfs"]
        # as in a cell of the host's wall: its programs cannot be written
        r = vm.run("sh", "-c", "touch /usr/local/bin/x; ls /usr/local/bin")
        assert r.rc == 0 and r.out == "of-this-host\n", r
        assert "/usr/local/bin/x': Read-only file system" in r.err, r
        assert before.left() == []

    def test_a_kernel_that_is_none(vm, before, image, tmp_path):
        """Signed as it is: it does not boot, and that is told."""
        pkg = tmp_path / "pkg"
        subprocess.run(["dpkg-deb", "-x", vm_image.KERNEL, pkg], check=True)
        kernel, = (pkg / "boot").glob("vmlinuz-*")
        kernel.write_bytes(b"\x7fELF" + os.urandom(1 << 20))
        (vm.state_dir / "images").unlink()
        small = tmp_path / "small"
        small.mkdir()
        vm_image.build(BUILD.parent / "build" / "cellos", vm.state_dir, small,
                       pkg, "broken")
        r = boot(vm, "broken")
        assert r.rc == 125 and "vmm: boot_failed: the VMM ended, status" in \
            r.err, r
        assert r.one("lifecycle.v1.destroyed")["terminalState"] == "forced"
        assert before.left() == []

    def test_a_build_that_is_killed_loses_no_image(vm, strace, tmp_path):
        """At each rename: there is always one, the old or the new, whole; and
        the next build leaves nothing beside it."""
        (vm.state_dir / "images").unlink()
        small = tmp_path / "small"
        small.mkdir()
        at = vm_image.build(vm.cellos, vm.state_dir, small)
        names = sorted(os.listdir(at))
        for n in range(1, 9):
            r = vm.call(
                [*strace.prefix(["rename,renameat,renameat2:signal=KILL:"
                                 f"when={n}"], follow=False),
                 vm.cellos, "image", "build", "--kernel", str(vm_image.KERNEL),
                 "--root", str(small)], env=strace.env)
            assert sorted(os.listdir(at)) == names, r
            if r.rc == 0:
                break
        assert n > 1 and r.rc == 0, r
        assert os.listdir(vm.state_dir / "images") == ["default"]

    def test_build_says_what_is_wrong(vm, tmp_path):
        r = vm.verb("image", "build", "--kernel", tmp_path)
        assert r.rc == 1 and f"kernel: no boot/vmlinuz-* in {tmp_path}" in \
            r.err, r
        r = vm.verb("image", "build", "--kernel", "/nowhere.deb")
        assert r.rc == 1 and "--kernel /nowhere.deb: No such file" in r.err
        r = vm.verb("image", "build", "../x")
        assert r.rc == 2 and '"../x" is no name of an image' in r.err, r
        r = vm.verb("image", "make")
        assert r.rc == 2 and "make: say what to do: build" in r.err, r
        assert sorted(p.name for p in (vm.state_dir / "images").iterdir()) == [
            "default"]

    # -- what cannot be had --

    @pytest.mark.parametrize("flags, env, text", [
        (["-t"], {}, "qemu: -t: a machine's command has no terminal"),
        (["--root", "/usr"], {}, "qemu: --root /usr: a machine boots an image"),
        ([], {"CELLOS_SUBPROCESS_SECCOMP": "baseline"},
         "CELLOS_SECCOMP_BPF_PATH filter calls to this host's kernel"),
        ([], {"PATH": "/nowhere"}, "qemu: qemu-system-x86_64; install it")])
    def test_is_refused_by_name(vm, before, flags, env, text):
        r = vm.run("true", flags=flags, env=env)
        assert (r.rc, r.out) == (125, ""), r
        assert text in r.err, r
        assert r.enforcement("refused")["backend"] == "qemu"
        assert before.left() == []

    def test_plan_of_directories(vm, tmp_path):
        rw, ro = tmp_path / "rw", tmp_path / "ro"
        for path in (rw, ro):
            path.mkdir()
        r = vm.verb("plan", *QEMU, "--rw", rw, "--ro", ro, "--", "true",
                    env={"CELLOS_LIMIT_TMP_BYTES": "2000000"})
        assert r.rc == 0, r
        assert f" {rw} <- /files/0 rw  # declared, writable: a copy of at " \
            "most 2000000 bytes, which comes back at the end\n" in r.out
        assert f" {ro} <- /files/1 ro  # declared, read-only: a copy of at " \
            "most 2000000 bytes\n" in r.out
        assert f" /mounts/0 <- {rw} rw idmapped  # the driver's, which " \
            "carries it\n" in r.out

    def machine(vm, *flags):
        """What a plan says of it, and of the limits around it."""
        r = vm.verb("plan", *QEMU, *flags, "--", "true")
        assert r.rc == 0, r
        rows = {x.split()[1]: " ".join(x.split()[2:])
                for x in r.out.splitlines()}
        steps = [x.split()[1] for x in r.out.splitlines()]
        assert steps.index("vmm") < steps.index("image") < \
            steps.index("landlock") < steps.index("exec")
        return rows["vmm"], rows["cgroup"]

    def test_plan_and_doctor(vm):
        """A plan starts nothing: it says what is known."""
        kept = vm.state_dir / "kvm"
        kept.write_text(UNKNOWN)
        has_kvm = os.path.exists("/dev/kvm")
        end = "; booted, waits; the rest is done in the guest"
        vmm, group = machine(vm, "--memory", "100M", "--cpus", "1.5",
                             "--pids", "7")
        note = ", unless KVM boots a machine: not tried yet, run `cellos " \
            "doctor --backend qemu`" if has_kvm else ""
        assert vmm == f"qemu <- {os.path.realpath(VMM)} memory=196MiB cpus=2 " \
            f"# tcg: software emulation{note}{end}"
        assert group == f"memory={(196 + 192) << 20} pids=135 # around the " \
            "machine: limits, read back"
        assert kept.read_text() == UNKNOWN
        r = vm.verb("doctor", *QEMU)
        assert r.rc == 0, r
        assert f"qemu-system-x86_64     {VMM}" in r.out
        assert "tun                    the network of a machine that may " \
            "reach something: /dev/net/tun\n" in r.out
        works = has_kvm and kept.read_text().endswith(" usable\n")
        rows = [" ".join(x.split()) for x in r.out.splitlines()]
        if has_kvm:
            assert "ok kvm machines at the speed of this host, if it boots " \
                "one: /dev/kvm" in rows, r
        accel = "kvm" if works else "tcg: software emulation"
        assert rows[rows.index('ok a real cell ran "true" behind every wall')
                    + 1:-2] == (
            ["ok accelerator kvm"] if works else
            [f"(slow) accelerator {accel}",
             f"-> {EMULATED}{TRIED if has_kvm else ''}"]), r
        assert r.out.endswith("\nA full cell works here, behind qemu.\n")
        note = ", as no machine has booted by KVM here: `cellos doctor " \
            "--backend qemu` tries again" if has_kvm and not works else ""
        vmm, _ = machine(vm)
        assert vmm == f"qemu <- {os.path.realpath(VMM)} memory=608MiB cpus=1 " \
            f"# {accel}{note}{end}"
        r = vm.verb("doctor", "--json", env={"CELLOS_CELL_BACKEND": "qemu"})
        told = json.loads(r.out)
        assert (r.rc, told["wall"], told["cell"]["accel"]) == (
            0, "qemu", accel), r
