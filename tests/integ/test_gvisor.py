# SPDX-License-Identifier: MIT OR Apache-2.0
"""The gVisor wall: the same document, the same evidence, and between the
command and this host's kernel another one, of Debian's runsc."""

import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import time

import pytest

from conftest import (BUILD, GVISOR, IS_ROOT, NOT_ADMITTED, NO_GROUPS, SLACK,
                      Before, Cells, assert_lost, assert_not_admitted,
                      assert_same_events, descendants, group_of,
                      kill_at_moments, processes, throttled, wait_until)

KERNEL = "Linux version 4.4.0 "  # what runsc says it is


class Sandboxes(Cells):
    """Every cell behind this wall."""

    def argv(self, cmd, rw=(), ro=(), flags=(), events=None):
        return super().argv(cmd, rw, ro, [*GVISOR, *flags], events)


if not IS_ROOT:
    def test_needs_root(cells):
        r = cells.run("true", flags=GVISOR)
        assert (r.rc, r.out) == (125, ""), r
        assert "gvisor: needs root, for the ids of the sandbox and of the " \
               "command; run as root, or use --backend host" in r.err
        refused, = [e["data"] for e in r.of_type("evidence.v1.enforcement")]
        assert (refused["phase"], refused["backend"]) == ("refused", "gvisor")


def running(p):
    """The command's runner has a sandbox: its runner's processes by name."""
    def look():
        found = {}
        for pid in descendants(p.pid):
            try:
                line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            found.setdefault(line.split(b"\0")[0].decode(), []).append(pid)
        return found if "runsc-sandbox" in found else None
    found = wait_until(look, 20)
    assert found, p.communicate(timeout=1)
    return found


def parent(pid):
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return int(text[text.rindex(")") + 2:].split()[1])


def forced(r, spawn_error, reason):
    """We ended it before its command did, and say so as on the host wall."""
    done = r.one("command.v1.completed")
    gone = r.one("lifecycle.v1.destroyed")
    assert (done["exitCode"], done.get("spawnError")) == (-1, spawn_error)
    assert (gone["outcome"], gone["terminalState"], gone["reason"],
            gone["residueClass"]) == ("failed", "forced", reason, "none")
    for event in ("v1.network_enforcement", "compliance.v1.summary"):
        assert r.one(event)["commandExitCode"] == -1


def ended(box, p, rc, timeout=20):
    """What a command that was started left."""
    r = box.ended(p, timeout)
    assert r.rc == rc, r
    return r


if IS_ROOT:
    @pytest.fixture
    def box(tmp_path):
        c = Sandboxes(tmp_path)
        yield c
        c.close()

    @pytest.fixture
    def before(box):
        return Before(box)

    @pytest.fixture
    def full(box):
        """Nothing of a door and of a directory is left either."""
        box.fill()

    FULL = pytest.mark.usefixtures("full")

    # -- a command --

    def test_runs_on_a_kernel_of_its_own(box, before):
        r = box.run("cat", "/proc/version")
        assert r.rc == 0 and r.out.startswith(KERNEL), r
        assert not pathlib.Path("/proc/version").read_text().startswith(KERNEL)
        assert box.verify(r.events_path).rc == 0
        assert before.left() == []

    @pytest.mark.parametrize("script, rc, code", [
        ("exit 0", 0, 0), ("exit 42", 42, 42), ("exit 137", 137, 137),
        ("kill -9 $$", 137, -1), ("kill -SEGV $$", 139, -1),
        ("kill -TERM $$", 143, -1)])
    def test_how_it_ended(box, before, script, rc, code):
        r = box.run("sh", "-c", script)
        assert r.rc == rc, r
        assert r.one("command.v1.completed")["exitCode"] == code
        gone = r.one("lifecycle.v1.destroyed")
        assert gone["terminalState"] == "clean"
        assert gone["outcome"] == ("failed" if rc else "succeeded")
        assert gone["residueClass"] == "none"
        assert before.left() == []

    @pytest.mark.parametrize("word, rc, errno, text", [
        ("no-such-program", 127, "ENOENT", "No such file or directory"),
        ("/etc/passwd", 126, "EACCES", "Permission denied")])
    def test_what_cannot_be_run(box, before, word, rc, errno, text):
        host = Cells.argv(box, [word])
        r, h = box.run(word), box.call(host)
        assert r.rc == h.rc == rc, r
        assert f"spec.run spawn failed: {text} (os error" in r.err
        assert f"\n    exec: {word}: {text} (os error" in r.err, r
        assert r.one("command.v1.completed")["exitCode"] == -1
        assert r.one("lifecycle.v1.destroyed")["terminalState"] == "forced"
        assert before.left() == []

    @NOT_ADMITTED
    def test_is_not_booted_before_it_is_admitted(box, before, strace, env,
                                                 last, reason):
        wall = {"CELLOS_CELL_BACKEND": "gvisor"}
        assert_not_admitted(box, strace, wall, env, last, reason)
        assert before.left() == []

    def test_is_seen_to_be_booted(box, strace):
        """What the test above looks for."""
        r = box.supervise(box.document(["/bin/true"]), env={
            "CELLOS_CELL_BACKEND": "gvisor", **strace.env},
            prefix=strace.watch())
        assert r.rc == 0 and strace.made_a_cell, r

    def test_a_journal_comes_before_a_sandbox(box, strace):
        r = box.supervise(box.document(["/bin/true"]), env={
            "CELLOS_CELL_BACKEND": "gvisor", **strace.env,
            "CELL_OS_JSONL_EVENTS": "/nowhere/events"},
            prefix=strace.watch())
        assert r.rc == 1 and "/nowhere/events" in r.err, r
        assert not strace.made_a_cell

    def test_is_who_it_is_on_the_host_wall(box):
        """User, groups, capabilities, environment, directory, session."""
        script = ("id -u; id -g; id -G; pwd; env | sort; umask; "
                  "grep -E '^(Cap|Sig(Blk|Ign)|Pid|PPid)' /proc/self/status")
        r = box.run("sh", "-c", script, flags=["--env", "A=b c"])
        h = box.call(Cells.argv(box, ["sh", "-c", script],
                                flags=["--env", "A=b c"]))
        assert r.rc == h.rc == 0, (r, h)
        # those lines of status that gVisor has
        ours = r.out.splitlines()
        theirs = [x for x in h.out.splitlines()
                  if x.split(":")[0] in {y.split(":")[0] for y in ours}]
        assert len(ours) > 10
        assert ours == theirs

    def test_standard_input_and_output(box):
        with open("/etc/hostname", "rb") as f:
            r = box.call(box.argv(["sh", "-c", "cat; echo e >&2"],
                                  flags=["-i"]), stdin=f)
        assert r.rc == 0, r
        assert r.out == pathlib.Path("/etc/hostname").read_text()
        assert r.err == "e\n"
        r = box.call(box.argv(["cat"]))
        assert (r.rc, r.out) == (0, ""), r

    def test_output_is_appended_to_a_file(box, tmp_path):
        """The sandbox's kernel keeps an offset of its own in a file."""
        path = tmp_path / "out"
        path.write_text("first\n")
        with open(path, "ab") as f:
            for word in ("second", "third"):
                subprocess.run(box.argv(["echo", word]), stdout=f, check=True,
                               env=box.environ())
        assert path.read_text() == "first\nsecond\nthird\n"

    # -- files --

    def test_writable_directory(box, before, tmp_path):
        rw, ro = tmp_path / "rw", tmp_path / "ro"
        rw.mkdir()
        ro.mkdir()
        (rw / "old").write_text("old")
        (ro / "given").write_text("given")
        r = box.run("sh", "-c", f"""
            cat old {ro}/given; echo
            echo new >new; mkdir d; ln -s /etc/shadow link; echo x >d/x
            chmod 4755 d/x || mkdir -m 2755 e || echo no; mv old moved
            echo no >{ro}/f; echo no >/etc/f; echo no >/usr/f; exit 0
            """, rw=[rw], ro=[ro])
        assert (r.rc, r.out) == (0, "oldgiven\nno\n"), r
        assert sorted(os.listdir(rw)) == ["d", "link", "moved", "new"]
        assert (rw / "new").read_text() == "new\n"
        # the directory's owner owns what was made, on the disk
        for p in (rw / "new", rw / "d", rw / "d/x"):
            assert (p.stat().st_uid, p.stat().st_gid) == (
                rw.stat().st_uid, rw.stat().st_gid)
        assert os.listdir(ro) == ["given"]
        assert before.left() == []

    def test_writable_directory_of_somebody(box, tmp_path):
        rw = tmp_path / "rw"
        rw.mkdir()
        os.chown(rw, 4321, 4322)
        r = box.run("sh", "-c", "echo x >f", rw=[rw])
        assert r.rc == 0, r
        assert ((rw / "f").stat().st_uid, (rw / "f").stat().st_gid) == (
            4321, 4322)

    def test_nobody_is_nobody(box, tmp_path):
        """Who stands for the runtime's own root on the disk owns nothing."""
        rw = tmp_path / "rw"
        rw.mkdir()
        for uid in (65534, 65533):
            (rw / str(uid)).write_text("kept")
            (rw / str(uid)).chmod(0o600)
            os.chown(rw / str(uid), uid, uid)
        r = box.run("sh", "-c", "cat 65534; cat 65533; python3 -c '"
                    "import os; print([os.stat(p).st_uid for p in "
                    "sorted(os.listdir(\".\"))])'", rw=[rw])
        assert (r.rc, r.out) == (0, "[65534, 65534]\n"), r
        assert r.err.count("Permission denied") == 2

    def test_what_others_may_not_read(box, tmp_path):
        ro = tmp_path / "ro"
        ro.mkdir()
        (ro / "secret").write_text("secret")
        (ro / "secret").chmod(0o600)
        r = box.run("cat", ro / "secret", ro=[ro])
        assert (r.rc, r.out) == (1, "") and "Permission denied" in r.err, r

    def test_working_directory_has_a_layer(box, tmp_path):
        d = tmp_path / "work"
        d.mkdir()
        (d / "f").write_text("host\n")
        doc = box.document(["sh", "-c", "cat f; echo cell >f; cat f; echo >g"],
                           workingDirectory=str(d))
        r = box.run_document(doc, flags=GVISOR)
        assert (r.rc, r.out) == (0, "host\ncell\n"), r
        assert os.listdir(d) == ["f"] and (d / "f").read_text() == "host\n"

    def test_the_way_our_pid_1_speaks_is_closed(box):
        """A command that writes its own end."""
        code = """if True:
            import ctypes, os
            libc = ctypes.CDLL(None, use_errno=True)
            for path in ("/.cellos", "/.cellos/channel",
                         "/.cellos/channel/report", "/.cellos/channel/go"):
                for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
                    try:
                        os.open(path, flags)
                        print("opened", path)
                    except OSError as e:
                        print(e.errno)
            try:
                os.kill(1, 9)
            except OSError as e:
                print("kill", e.errno)
            # 0 to 2 are the command's own
            for fd in range(3, 64):
                for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
                    try:
                        os.open(f"/proc/1/fd/{fd}", flags)
                        print("opened fd", fd, flags)
                    except OSError:
                        pass
            try:
                open("/proc/1/mem", "rb")
            except OSError as e:
                print("mem", e.errno)
            PTRACE_ATTACH = 16
            libc.ptrace(PTRACE_ATTACH, 1, None, None)
            print("ptrace", ctypes.get_errno())
            raise SystemExit(7)
            """
        r = box.run("/usr/bin/python3", "-c", code)
        assert r.rc == 7, r
        said = r.out.split("\n")[:-1]
        assert "opened" not in r.out, r
        # EACCES, for a directory that is written to EISDIR
        assert set(said[:12]) <= {"13", "21"}, r
        assert said[12:] == ["kill 1", "mem 13", "ptrace 1"], r

    # -- the end --

    @FULL
    def test_deadline(box, before):
        script = 'trap "echo term; exit 0" TERM; while :; do sleep 0.1; done'
        r = box.run("sh", "-c", script, flags=["--timeout", "2s"])
        assert (r.rc, r.out) == (124, "term\n"), r
        assert r.one("lifecycle.v1.destroyed")["terminalState"] == "forced"
        done = r.one("command.v1.completed")
        assert (done["exitCode"], done["spawnError"]) == (
            -1, "command timed out after 2000 ms (spec.run.timeoutMs)")
        assert before.left() == []

    @FULL
    def test_deadline_of_one_that_does_not_listen(box, before):
        script = 'trap "" TERM; setsid sleep 1000 & while :; do sleep 1; done'
        r = box.run("sh", "-c", script, flags=["--timeout", "1s"],
                    env={"CELLOS_LIMIT_GRACE_SECONDS": "1"})
        assert r.rc == 124, r
        assert before.left() == []

    @FULL
    def test_ttl_of_the_supervisor(box, before):
        doc = box.document(["sleep", "1000"], ttl=1)
        r = box.supervise(doc, env={"CELLOS_CELL_BACKEND": "gvisor"})
        text = "cell killed by TTL watchdog after 1000 ms (ttl_seconds=1)"
        assert r.rc == 1 and text in r.err, r
        assert r.one("lifecycle.v1.destroyed")["terminalState"] == "forced"
        assert before.left() == []

    def test_memory_limit(box, before):
        r = box.run("/usr/bin/python3", "-c",
                    "x = bytearray(600 << 20); print(len(x))",
                    flags=["--memory", "200M"])
        assert (r.rc, r.out) == (137, ""), r
        assert_lost(box, r, "oom", rc=137)
        assert r.item("memory.max") == {
            "name": "memory.max", "asked": str(200 << 20),
            "got": str(200 << 20), "enforced": True}
        assert box.verify(r.events_path).rc == 0
        assert before.left() == []

    # Files of a limit in its own tree, or in the one tree of v2
    GROUP_FILES = {"memory": ("memory.limit_in_bytes", "memory.max"),
                   "pids": ("pids.max", "pids.max"),
                   "cpu": ("cpu.cfs_quota_us", "cpu.max")}

    def limit_of(pid, controller):
        """As the kernel shows it for the group that a process is in."""
        group, is_v1 = group_of(pid, controller)
        name = GROUP_FILES[controller][0 if is_v1 else 1]
        return (group / name).read_text().split()[0]

    @pytest.mark.parametrize("flags, want", [
        ([], {"pids": "1024"}),
        (["--memory", "300M", "--cpus", "0.5"],
         {"memory": str(300 << 20), "cpu": "50000", "pids": "1024"})],
        ids=["default", "asked"])
    def test_limits_are_around_all_of_it(box, before, flags, want):
        p = box.start("sh", "-c", "echo up; exec sleep 1000", flags=flags)
        assert p.stdout.readline() == "up\n"
        parts = running(p)
        for who in ("runsc-sandbox", "runsc-gofer"):
            pid, = parts[who]
            assert {c: limit_of(pid, c) for c in want} == want, who
        p.terminate()
        r = ended(box, p, 143)
        items = {i["name"]: i for i in r.enforcement()["items"]}
        told = {"memory": "memory.max", "cpu": "cpu.max", "pids": "pids.max"}
        for c in ("memory", "cpu", "pids"):
            assert (told[c] in items) == (c in want)
        assert all(items[told[c]]["enforced"] and
                   items[told[c]]["got"].split()[0] == want[c] for c in want)
        assert before.left() == []

    def test_processor_time_is_bounded(box, before):
        """The kernel holds a command back that would take all."""
        p = box.start("sh", "-c", "echo up; while :; do :; done",
                      flags=["--cpus", "0.2"])
        assert p.stdout.readline() == "up\n"
        held = wait_until(lambda: throttled(p.pid) >= 3, 20)
        p.terminate()
        assert held
        ended(box, p, 143)
        assert before.left() == []

    @pytest.mark.parametrize("prefix, got", [
        ((), "1024"),
        (NO_GROUPS, "RLIMIT_NPROC 1024: no pids control group")],
        ids=["pids.max", "RLIMIT_NPROC"])
    def test_processes_are_bounded(box, before, prefix, got):
        """The default limit, around the sandbox: at it that ends."""
        events = box.events_path()
        r = box.call([*prefix, *box.argv(["/usr/bin/python3", "-c", """if True:
            import os, time
            for i in range(1100):
                if os.fork() == 0:
                    time.sleep(1000)
                print(i, flush=True)
            """], events=events)], events, timeout=300)
        assert r.rc == 125, r
        assert 100 < int(r.out.split()[-1]) < 1024
        assert r.item("pids.max") == {"name": "pids.max", "asked": "1024",
                                      "got": got, "enforced": True}
        assert_lost(box, r, "vmm_crashed")
        assert before.left() == []

    @FULL
    @pytest.mark.parametrize("who", ["runsc-sandbox", "runsc-gofer"])
    def test_a_part_of_the_sandbox_is_killed(box, before, who):
        p = box.start("sh", "-c", "echo up; exec sleep 1000")
        assert p.stdout.readline() == "up\n"
        parts = running(p)
        for pid in parts[who]:
            os.kill(pid, signal.SIGKILL)
        r = ended(box, p, 125)
        assert_lost(box, r, "vmm_crashed")
        assert box.verify(r.events_path).rc == 0
        assert before.left() == []

    @pytest.mark.parametrize("status, rc", [
        (42 << 8, 42), (9, 137), (10, 138),
        # nothing dies of these, or it has not ended
        (signal.SIGSTOP, 125), (signal.SIGTSTP, 125), (signal.SIGCHLD, 125),
        (65, 125), (0x137f, 125), (-1, 125)])
    def test_its_kernel_says_how_the_command_ended(box, before, status, rc):
        """A hostile one writes into the channel what it likes."""
        p = box.start("sh", "-c", "echo up; exec sleep 1000",
                      flags=["--timeout", "10s"])
        assert p.stdout.readline() == "up\n"
        sandbox, = running(p)["runsc-sandbox"]
        with open(f"/proc/{parent(sandbox)}/root/channel/report", "ab") as f:
            f.write(struct.pack("Iii", 4, 0, status))
        r = ended(box, p, rc)
        if rc == 125:
            assert_lost(box, r, "vmm_crashed")
        else:
            assert r.one("command.v1.completed")["exitCode"] == (
                42 if rc == 42 else -1)
        assert box.verify(r.events_path).rc == 0
        assert before.left() == []

    @FULL
    def test_its_kernel_stands_still(box, before):
        """SIGSTOP: no word comes, and the deadline is kept all the same."""
        p = box.start("sh", "-c", "echo up; exec sleep 1000",
                      flags=["--timeout", "3s"],
                      env={"CELLOS_LIMIT_GRACE_SECONDS": "1"})
        assert p.stdout.readline() == "up\n"
        for pid in running(p)["runsc-sandbox"]:
            os.kill(pid, signal.SIGSTOP)
        r = ended(box, p, 124, 30)
        text = "command timed out after 3000 ms (spec.run.timeoutMs)"
        forced(r, text, f"command spawn: {text}")
        assert box.verify(r.events_path).rc == 0
        assert before.left() == []

    def test_kill(box, before):
        """`cellos kill`: told as a signal to the runner, after the grace of a
        command that does not listen."""
        p = box.start("sh", "-c", 'trap "" TERM; echo up; '
                      "while :; do sleep 0.1; done",
                      env={"CELLOS_LIMIT_GRACE_SECONDS": "1"})
        assert p.stdout.readline() == "up\n"
        parts = running(p)
        cell, = json.loads(box.verb("ps", "--json").out)
        assert box.verb("kill", cell["runUuid"]).rc == 0
        r = ended(box, p, 143)
        forced(r, None, "runner received SIGTERM")
        assert box.verify(r.events_path).rc == 0
        assert not [x for v in parts.values() for x in v
                    if os.path.exists(f"/proc/{x}")]
        assert json.loads(box.verb("ps", "--json").out) == []
        assert before.left() == []

    @FULL
    def test_the_runner_is_killed(box, before):
        p = box.start("sleep", "1000")
        parts = running(p)
        p.kill()
        p.communicate()
        pids = [x for v in parts.values() for x in v]
        assert wait_until(lambda: not any(
            os.path.exists(f"/proc/{x}") for x in pids), 20)
        assert box.gc().rc == 0
        assert before.left() == []

    @FULL
    def test_the_runner_is_killed_at_any_moment(box, before):
        kill_at_moments(box, before, (5, 15, 30, 60, 120, 200, 350, 600))

    @FULL
    @pytest.mark.parametrize("which", ["pid 1", "driver"])
    def test_a_process_of_ours_is_killed(box, before, which):
        """Pid 1 of the cell, or its child that drives the sandbox."""
        p = box.start("sh", "-c", "echo up; exec sleep 1000")
        assert p.stdout.readline() == "up\n"
        sandbox, = running(p)["runsc-sandbox"]
        driver = parent(sandbox)
        victim = driver if which == "driver" else parent(driver)
        assert parent(parent(driver)) == p.pid
        os.kill(victim, signal.SIGKILL)
        r = ended(box, p, 125)
        assert_lost(box, r, "vmm_crashed")
        why = {"driver": "the sandbox ended, and not by its command",
               "pid 1": "pid 1 of the cell was killed from outside"}[which]
        assert f"    spec.run wait failed: host backend: {why}\n" in r.err
        assert wait_until(lambda: not os.path.exists(f"/proc/{sandbox}"), 20)
        assert before.left() == []

    def test_pid_1_of_the_sandbox_is_killed(box, before):
        """Ours, in there: by the runtime, which the command cannot ask."""
        p = box.start("sh", "-c", "echo up; exec sleep 1000")
        assert p.stdout.readline() == "up\n"
        sandbox, = running(p)["runsc-sandbox"]
        subprocess.run(["nsenter", "-t", str(parent(sandbox)), "-U", "-m", "-n",
                        "-p", "-r", "/runsc", "--root=/state", "kill", "cell",
                        "KILL"], check=True)
        r = ended(box, p, 125)
        assert_lost(box, r, "vmm_crashed")
        assert box.verify(r.events_path).rc == 0
        assert before.left() == []

    def test_a_compile_job(box, before, tmp_path):
        rw = tmp_path / "rw"
        rw.mkdir()
        (rw / "a.c").write_text('#include <stdio.h>\n'
                                'int main(void) { puts("made"); return 0; }\n')
        r = box.run("sh", "-c", "gcc -O2 -o a a.c && ./a", rw=[rw])
        assert (r.rc, r.out) == (0, "made\n"), r
        assert subprocess.check_output([rw / "a"]) == b"made\n"
        assert before.left() == []

    def test_a_full_disk(box, before, tmp_path):
        """Of a writable directory: the command is told, nothing else is."""
        rw = tmp_path / "rw"
        rw.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "small", rw],
                       check=True)
        try:
            r = box.run("sh", "-c", "head -c 4000000 /dev/zero >big; echo $?; "
                        "rm big; echo small >small; cat small", rw=[rw])
        finally:
            subprocess.run(["umount", rw], check=True)
        assert (r.rc, r.out) == (0, "1\nsmall\n"), r
        assert "No space left on device" in r.err
        assert before.left() == []

    def test_private_memory_is_bounded(box):
        r = box.run("sh", "-c", "head -c 30000000 /dev/zero >/run/big; "
                    "wc -c </run/big")
        assert r.rc == 0 and "No space left on device" in r.err, r
        assert int(r.out) <= 16 << 20

    @FULL
    @pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_to_the_runner(box, before, sig):
        script = 'trap "echo term; exit 0" TERM; while :; do sleep 0.1; done'
        p = box.start("sh", "-c", f"echo up; {script}")
        assert p.stdout.readline() == "up\n"
        p.send_signal(sig)
        r = ended(box, p, 128 + sig)
        assert r.out == "term\n", r
        forced(r, None, f"runner received {sig.name}")
        assert before.left() == []

    # -- what is told --

    def test_enforcement_is_read_back(box):
        r = box.run("true")
        told = r.enforcement()
        assert told["backend"] == "gvisor"
        items = {i["name"]: i for i in told["items"]}
        assert items["runsc"]["got"] == os.path.realpath("/usr/bin/runsc")
        for who in ("sentry", "gofer"):
            assert items[f"{who}.seccomp"]["got"] == "2"
            assert items[f"{who}.no-new-privs"]["got"] == "1"
        assert all(items[f"namespace.{n}"]["enforced"] for n in (
            "pid", "ipc", "net", "uts", "mnt", "user", "cgroup"))
        # nothing is claimed of what this wall does not have
        assert not {"landlock", "seccomp", "CapEff"} & set(items)
        assert told["probes"] == []

    def test_no_process_of_it_is_root_here(box):
        p = box.start("sh", "-c", "echo up; exec sleep 1000")
        assert p.stdout.readline() == "up\n"
        uids = {who: {int(uid) for x in pids
                      for line in pathlib.Path(f"/proc/{x}/status")
                      .read_text().splitlines() if line.startswith("Uid:")
                      for uid in line.split()[1:]}
                for who, pids in running(p).items()
                if who.startswith("runsc-")}
        p.terminate()
        p.communicate(timeout=20 * SLACK)
        assert set(uids) == {"runsc-sandbox", "runsc-gofer"}
        # of the ids that nobody has; each its own
        assert all(len(v) == 1 and min(v) >= 0x70000000
                   for v in uids.values()), uids
        assert uids["runsc-sandbox"] != uids["runsc-gofer"]

    @pytest.mark.parametrize("script", ["exit 0", "exit 9", "kill -9 $$"])
    def test_events_are_those_of_the_host_wall(box, script):
        doc = box.document(["sh", "-c", script], limits={})
        r = box.supervise(doc, env={"CELLOS_CELL_BACKEND": "gvisor"})
        h = box.supervise(doc)
        assert r.rc == h.rc
        assert_same_events(r, h)

    # -- what cannot be had --

    @pytest.mark.parametrize("flags, env, text", [
        (["--pids", "10"], {}, "gvisor: a limit of processes cannot be"),
        ([], {"CELLOS_SUBPROCESS_SECCOMP": "baseline"},
         "CELLOS_SECCOMP_BPF_PATH filter calls to this host's kernel"),
        ([], {"CELLOS_GVISOR_RUNSC_BIN": "/nowhere/runsc"},
         "gvisor: /nowhere/runsc; install it (apt-get install runsc), or "
         "name it in CELLOS_GVISOR_RUNSC_BIN"),
        ([], {"CELLOS_GVISOR_RUNSC_BIN": "/bin/false"},
         "sandbox: runsc --platform=ptrace failed"),
    ], ids=["pids", "seccomp", "no runsc", "another program"])
    def test_is_refused_by_name(box, before, flags, env, text):
        r = box.run("true", flags=flags, env=env)
        assert (r.rc, r.out) == (125, ""), r
        assert text in r.err, r
        refused = r.enforcement("refused")
        assert refused["backend"] == "gvisor"
        assert not (box.state_dir / "platform").exists()
        assert before.left() == []

    def test_no_mount_stands_in_another(box, before, tmp_path):
        """runsc looks such a place up by name, in a tree that others may
        change meanwhile: they could have a link there, to its /proc."""
        top, sub = tmp_path / "top", tmp_path / "top" / "sub"
        sub.mkdir(parents=True)
        r = box.run("true", rw=[top], ro=[sub])
        assert r.rc == 125 and (
            f"gvisor: {sub} lies below {top}; behind this wall no mount "
            "stands in another: name the upper one only") in r.err, r
        assert before.left() == []

    def test_another_word(cells):
        r = cells.run("true", flags=["--backend", "gVisor"])
        assert r.rc == 125 and "--backend gVisor: there is no such wall; " \
            "use one of host gvisor qemu firecracker" in r.err, r

    def test_the_variable_and_the_option(cells):
        env = {"CELLOS_CELL_BACKEND": "gvisor"}
        assert cells.run("cat", "/proc/version",
                         env=env).out.startswith(KERNEL)
        r = cells.run("cat", "/proc/version", flags=["--backend", "host"],
                      env=env)
        assert r.rc == 0 and not r.out.startswith(KERNEL), r

    def test_portable_does_not_weaken_it(box):
        doc = box.document(["cat", "/proc/version"])
        r = box.supervise(doc, env={"CELLOS_CELL_BACKEND": "gvisor",
                                    "CELLOS_DEPLOYMENT_PROFILE": "portable"})
        assert r.rc == 0 and r.out.startswith(KERNEL), r
        assert r.enforcement()["backend"] == "gvisor"

    def test_portable_admits_no_more(box):
        """A full cell has the rules of one, whatever the profile."""
        doc = json.loads(pathlib.Path(box.document(["true"])).read_text())
        doc["spec"]["authority"]["secretRefs"] = ["LD_AUDIT"]
        path = box.tmp / "steers.json"
        path.write_text(json.dumps(doc))
        r = box.supervise(str(path), env={
            "CELLOS_CELL_BACKEND": "gvisor", "CELLOS_BROKER": "env",
            "CELLOS_SECRET_LD_AUDIT": "x",
            "CELLOS_DEPLOYMENT_PROFILE": "portable"})
        assert r.rc == 1 and "a secret must not be called LD_AUDIT" in r.err

    def test_programs_below_tmp_and_by_a_relative_path(box, tmp_path):
        """/tmp is covered by the cell's root while it is assembled."""
        (tmp_path / "runsc").symlink_to("/usr/bin/runsc")
        for name, cwd in ((tmp_path / "runsc", "/"), ("./runsc", tmp_path)):
            r = box.run("true", env={"CELLOS_GVISOR_RUNSC_BIN": str(name)},
                        cwd=cwd)
            assert r.rc == 0, (name, r)
        with tempfile.TemporaryDirectory(dir="/tmp") as d:
            for program in ("cellos", "cellos-gate", "cellos-init"):
                shutil.copy(BUILD / program, d)
            box.cellos = f"{d}/cellos"
            assert box.run("true").rc == 0

    def test_doctor_and_plan(cells):
        r = cells.verb("doctor", "--backend", "gvisor")
        assert r.rc == 0, r
        assert "runsc                  /usr/bin/runsc" in r.out
        assert r.out.endswith("\nA full cell works here, behind gvisor.\n")
        r = cells.verb("doctor", "--backend", "gvisor", "--json", env={
            "PATH": "/nowhere"})
        need, = [n for n in json.loads(r.out)["needs"]
                 if n["name"] == "runsc"]
        assert r.rc == 1 and not need["present"] and need["required"]
        assert need["remedy"].startswith("apt-get install runsc")
        assert json.loads(r.out)["cell"]["accel"] == ""
        # by the variable that `run` goes by
        r = cells.verb("doctor", env={"CELLOS_CELL_BACKEND": "gvisor"})
        assert r.rc == 0 and r.out.endswith(
            "\nA full cell works here, behind gvisor.\n"), r
        r = cells.verb("plan", *GVISOR, "--", "true")
        assert r.rc == 0 and "runtime-root     /runsc <- /usr/bin/runsc" in \
            r.out, r

    # -- the platform --

    OTHER_RUNSC = """
    #define _GNU_SOURCE
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/mman.h>
    #include <unistd.h>
    __asm__(".section .rodata\\nrunsc: .incbin \\"/usr/bin/runsc\\"\\n"
            "runsc_end: .byte 0\\n.text");
    extern const char runsc[], runsc_end[];
    int main(int argc, char **argv, char **envp)
    {
            static char has[] = "--platform=ptrace";
            int fd = memfd_create("runsc", MFD_CLOEXEC);

            for (int i = 1; i < argc; i++) {
                    if (!strcmp(argv[i], "--platform=systrap")) {
                            if (HANGS) {
                                    fork();
                                    setsid();
                                    for (;;)
                                            pause();
                            }
                            argv[i] = has;
                    } else if (!strcmp(argv[i], has) && !HANGS) {
                            return 128;
                    }
            }
            for (const char *p = runsc; p < runsc_end;)
                    p += write(fd, p, runsc_end - p);
            fexecve(fd, argv, envp);
            return 127;
    }
    """

    @pytest.fixture(scope="module")
    def other_runsc(tmp_path_factory):
        """Debian's, in programs that have another platform: only systrap; or
        one that hangs, too."""
        d = tmp_path_factory.mktemp("runsc")
        (d / "runsc.c").write_text(OTHER_RUNSC)
        for name, hangs in (("systrap", 0), ("hangs", 1)):
            subprocess.run(["gcc", "-static", f"-DHANGS={hangs}", "-o",
                            d / name, d / "runsc.c"], check=True)
        return d

    def platform_of(box, r, env):
        """As it is told by the run, and by the plan of the next."""
        assert r.rc == 0 and r.out.startswith(KERNEL), r
        word = r.item("platform")["got"]
        plan = box.verb("plan", *GVISOR, "--", "true", env=env)
        assert f"by {word}; booted, waits; read back\n" in plan.out, plan
        return word

    def test_the_platform_is_what_a_trial_says(box, before, other_runsc):
        """A runsc with systrap only, one where that hangs, and Debian's; each
        tried once, and then it is known."""
        untried = "by systrap if a trial of it ends well, else by ptrace; "
        kept = box.state_dir / "platform"
        for name, word, least in (("systrap", "systrap", 0),
                                  ("hangs", "ptrace", 5),
                                  ("/usr/bin/runsc", "ptrace", 0)):
            env = {"CELLOS_GVISOR_RUNSC_BIN": str(other_runsc / name)}
            plan = box.verb("plan", *GVISOR, "--", "true", env=env)
            assert untried in plan.out, plan
            start = time.monotonic()
            r = box.run("cat", "/proc/version", env=env)
            assert time.monotonic() - start >= least
            assert platform_of(box, r, env) == word
            inode = kept.stat().st_ino
            r = box.run("cat", "/proc/version", env=env)
            assert platform_of(box, r, env) == word
            assert kept.stat().st_ino == inode  # not asked again
        assert before.left() == []

    def test_what_a_trial_left_is_dead(box, before, other_runsc):
        p = box.start("sh", "-c", "echo up; exec sleep 1000", env={
            "CELLOS_GVISOR_RUNSC_BIN": str(other_runsc / "hangs")})
        assert p.stdout.readline() == "up\n"
        names = set(running(p))
        p.terminate()
        ended(box, p, 143)
        # as the one in the trial was called
        assert "/runsc" not in names, names
        assert before.left() == []

    def test_doctor_asks_for_the_platform_again(box, other_runsc):
        runsc = box.tmp / "runsc"
        env = {"CELLOS_GVISOR_RUNSC_BIN": str(runsc)}
        runsc.symlink_to(other_runsc / "systrap")
        r = box.run("cat", "/proc/version", env=env)
        kept = box.state_dir / "platform"
        text = kept.read_text()
        assert text.endswith(" systrap\n") and platform_of(
            box, r, env) == "systrap"
        # of another boot
        kept.write_text("0" + text[1:] if text[0] != "0" else "1" + text[1:])
        plan = box.verb("plan", *GVISOR, "--", "true", env=env)
        assert "if a trial of it ends well" in plan.out, plan
        # a lie, which only doctor finds
        kept.write_text(text.replace("systrap", "ptrace"))
        r = box.run("true", env=env)
        assert r.rc == 125 and \
            "sandbox: runsc --platform=ptrace failed" in r.err, r
        r = box.verb("doctor", "--backend", "gvisor", env=env)
        assert r.rc == 0 and \
            "ok        platform               systrap\n" in r.out, r
        assert kept.read_text() == text

    def test_bytes_of_the_environment(box):
        """Which no bundle could carry: it is JSON."""
        r = box.run("/usr/bin/python3", "-c",
                    "import os; print(os.environb[b'BAD'])",
                    flags=["--env", "BAD"],
                    env={"BAD": os.fsdecode(b"\xff\n\x01")})
        assert (r.rc, r.out) == (0, "b'\\xff\\n\\x01'\n"), r

    def test_no_secret_is_left_in_the_open(box):
        """Values of the environment are in no file: not of this host, not
        of the sandbox's state."""
        mark = "a-secret-that-nobody-may-find"
        p = box.start("sh", "-c", "echo up; sleep 1000",
                      flags=["--env", f"S={mark}"])
        assert p.stdout.readline() == "up\n"
        sandbox, = running(p)["runsc-sandbox"]
        shown = [line for _, _, line in processes("runsc") if mark in line]
        root = pathlib.Path(f"/proc/{parent(sandbox)}/root")
        seen = [path for d in ("state", "bundle", "channel")
                for path in (root / d).rglob("*") if path.is_file()]
        found = [path for path in seen if mark.encode() in path.read_bytes()]
        p.terminate()
        p.communicate(timeout=20 * SLACK)
        assert shown == []
        assert found == [] and len(seen) >= 4, seen
        assert not [path for path in seen if path.name == "env"]
        for d in (box.run_dir, box.state_dir):
            for path in d.rglob("*"):
                if path.is_file():
                    assert mark.encode() not in path.read_bytes()
