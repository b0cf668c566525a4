# SPDX-License-Identifier: MIT OR Apache-2.0
"""Every step of making a cell fails in turn, and the runner dies at many points.

Whatever fails, the command has either not run at all, or run behind every
wall; afterwards nothing is left that `cellos gc` does not clear.
"""

import errno
import os
import random
import re
import signal
import time

import pytest

from conftest import (EGRESS, IS_ROOT, SANITIZED, SLACK, SLOW, WALLS, Before,
                      descendants, payload, processes, wait_until)

STAGES = """create state cgroup source clone id-map loopback door hostname root
tmpfs dir symlink file bind device overlay proc mask read-only devpts pivot-root
cgroup-namespace user capabilities no-new-privs rlimit landlock seccomp
self-test chdir exec""".split()

# Calls that build a wall: made to fail one by one until no call is left. Of
# cheap calls that everything uses, the first ones.
CALLS = {
    "clone3": 8, "clone": 8, "unshare": 8, "mount": 400, "umount2": 40,
    "move_mount": 100, "open_tree": 100, "mount_setattr": 100,
    "pivot_root": 4, "sethostname": 4, "setresuid": 8, "setresgid": 8,
    "setgroups": 8, "capset": 8, "prctl": 80, "seccomp": 8,
    "landlock_create_ruleset": 8, "landlock_add_rule": 80,
    "landlock_restrict_self": 4, "mkdirat": 60, "mkdir": 60, "symlinkat": 40,
    "symlink": 40, "socket": 12, "socketpair": 8, "ioctl": 12,
    "openat": 160, "openat2": 60, "write": 60, "chdir": 8, "fchdir": 8,
    "setrlimit": 8, "prlimit64": 8, "setsid": 4, "statx": 20, "dup2": 12,
    "dup3": 12, "pidfd_open": 4, "flock": 8, "fcntl": 40, "fdatasync": 8,
}
if SANITIZED:
    # the sanitizers' own run-time ends the process when this one fails
    del CALLS["prlimit64"]


# The same of what a door is made with, in all of its processes: the runner,
# pid 1, and the gate.
DOOR_CALLS = {
    "sendto": 40, "sendmsg": 60, "recvmsg": 60,
    "setsockopt": 60, "bind": 12, "listen": 8, "getsockname": 8, "socket": 20,
    "socketpair": 10, "memfd_create": 4, "execveat": 2, "vfork": 4,
    "pidfd_open": 6, "unshare": 4, "mount": 60, "pivot_root": 4, "chdir": 12,
    "setresuid": 8, "prlimit64": 20, "capset": 8, "prctl": 120, "seccomp": 8,
    "epoll_create1": 4, "epoll_ctl": 20, "timerfd_create": 4,
    "timerfd_settime": 8, "fcntl": 60,
}
if SANITIZED:
    del DOOR_CALLS["prlimit64"]


def points(limit):
    """Ordinals to try, fewer where that is slow."""
    if not SLOW:
        return range(1, limit + 1)
    return [k for k in range(1, limit + 1) if k <= 6 or k % 9 == 0]


def judge_unrun(r, what):
    """Refused; or let go, and ended by us before it did anything."""
    phases = [e["data"]["phase"] for e in r.of_type("v1.enforcement")]
    if "ended" in phases:
        assert phases[0] == "prepared", (what, phases)
        assert r.enforcement("ended")["stage"] in ("wait", "gate"), (what, r)
        return
    refused = r.enforcement("refused")
    assert refused["stage"] in STAGES, (what, refused)
    assert refused["stage"] in r.err, (what, refused, r)


def judge(cells, before, r, target, what):
    """Fail closed: the one rule of this file."""
    ran = target.exists()
    types = [e["type"] for e in r.events]
    if r.rc == 0:
        assert ran, (what, r)
        report = r.enforcement()
        assert all(i["enforced"] for i in report["items"] if i["asked"]), \
            (what, report)
        assert all(p["passed"] for p in report["probes"]), (what, report)
    else:
        # Past exec our own books may fail, but then the cell stood whole.
        if ran:
            assert r.enforcement()["phase"] == "prepared", (what, r)
        assert r.rc == 125, (what, r)
        assert r.err.strip(), what
        # Where the journal itself is what failed, stderr must do.
        if any(t.endswith("lifecycle.v1.started") for t in types) and \
                not ran and "jsonl sink emit" not in r.err:
            judge_unrun(r, what)
    cells.gc()
    assert before.left() == [], what
    if ran:
        target.unlink()


@pytest.mark.parametrize("call", sorted(CALLS))
def test_call_fails(cells, strace, before, tmp_path, call):
    rw = tmp_path / "rw"
    rw.mkdir()
    target = rw / "ran"
    error = "EMFILE" if call in ("openat", "openat2", "fcntl") else "EPERM"
    for k in points(CALLS[call]):
        events = cells.events_path()
        argv = strace.prefix([f"{call}:error={error}:when={k}"]) + cells.argv(
            ["touch", target], rw=[rw], events=events)
        r = cells.call(argv, events, strace.env)
        if not strace.hit:
            assert r.rc == 0, (call, k, r)
            return
        judge(cells, before, r, target, (call, k))


@pytest.mark.parametrize("call", sorted(DOOR_CALLS))
def test_call_of_a_door_fails(cells, strace, before, tmp_path, call):
    rw = tmp_path / "rw"
    rw.mkdir()
    target = rw / "ran"
    cells.has_door = True
    error = "EMFILE" if call == "fcntl" else "EPERM"
    for k in points(DOOR_CALLS[call]):
        events = cells.events_path()
        argv = strace.prefix([f"{call}:error={error}:when={k}"]) + cells.argv(
            ["touch", target], rw=[rw], events=events)
        r = cells.call(argv, events, strace.env)
        if not strace.hit:
            assert r.rc == 0, (call, k, r)
            return
        judge(cells, before, r, target, (call, k))
        assert wait_until(lambda: not gates(cells), 1), (call, k)


def test_limits_cannot_be_written(cells, strace, before, tmp_path):
    """The same with limits asked for: their files are opened and written."""
    rw = tmp_path / "rw"
    rw.mkdir()
    for call in ("openat", "write", "mkdir", "mkdirat"):
        for k in points(80):
            events = cells.events_path()
            argv = strace.prefix([f"{call}:error=EACCES:when={k}"])
            argv += cells.argv(["touch", rw / "ran"], rw=[rw], events=events,
                               flags=["--memory", "64M", "--pids", "20"])
            r = cells.call(argv, events, strace.env)
            if not strace.hit:
                (rw / "ran").unlink()
                break
            judge(cells, before, r, rw / "ran", (call, k))


def is_ours(cells, pid):
    """Root sees which file a gate is; a user only whose it is, for nobody may
    look into a gate."""
    if IS_ROOT:
        return os.path.dirname(os.readlink(f"/proc/{pid}/exe")) == \
            os.path.dirname(cells.cellos)
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return f"\nUid:\t{os.geteuid()}\t" in f.read()


def gates(cells):
    """Gates of ours that live."""
    found = []
    for pid, _, _ in processes("cellos-gate"):
        try:
            if is_ours(cells, pid):
                found.append(pid)
        except OSError:
            pass    # it has just ended
    return found


def plan_steps(cells, *argv):
    r = cells.verb("plan", *argv)
    assert r.rc == 0, r
    steps = re.findall(r"^ *(\d+)  ([a-z-]+)", r.out, re.M)
    assert [int(n) for n, _ in steps] == list(range(1, len(steps) + 1))
    return [word for _, word in steps]


@pytest.mark.parametrize("door", [False, True], ids=["no-door", "door"])
@pytest.mark.parametrize("wall", WALLS)
def test_step_fails(hooked, tmp_path, wall, door):
    """Each step of the plan, by its number: refused there, with its name."""
    rw = tmp_path / "rw"
    rw.mkdir()
    before = Before(hooked)
    hooked.has_door = door
    way_out = ["--allow", "{host}:{port}".format(**EGRESS)] if door else []
    behind = WALLS[wall]
    steps = plan_steps(hooked, "--rw", rw, *way_out, *behind, "--", "touch",
                       rw / "ran")
    assert len(steps) > 40 and steps[-1] == "exec"
    assert steps.count("door") == (1 if door else 0)
    # exec itself: see the commands that do not exist or may not be executed
    for n, word in enumerate(steps[:-1], 1):
        r = hooked.run("touch", rw / "ran", rw=[rw], flags=behind,
                       env={"CELLOS_TEST_FAIL_STEP": f"{n}:{errno.ENOLCK}"})
        assert r.rc in (125, 126, 127), (n, word, r)
        assert not (rw / "ran").exists(), (n, word)
        assert word in r.err, (n, word, r)
        assert f"os error {errno.ENOLCK}" in r.err, (n, word, r)
        if any(t["type"].endswith("started") for t in r.events):
            refused = r.enforcement("refused")
            assert refused["stage"] == word, (n, refused)
            assert refused["errno"] == errno.ENOLCK, (n, refused)
            assert hooked.verify(r.events_path).rc == 0, (n, word)
        assert before.left() == [], (n, word)
        assert wait_until(lambda: not gates(hooked), 1), (n, word)


def test_what_is_shipped_fails_no_step(cells, tmp_path):
    rw = tmp_path / "rw"
    rw.mkdir()
    r = cells.run("touch", rw / "ran", rw=[rw],
                  env={"CELLOS_TEST_FAIL_STEP": "3"})
    assert r.rc == 0 and (rw / "ran").exists(), r


# The runner killed.

def sleeper(tmp_path):
    """A cell with a daemon; its mark stands in every command line of it."""
    mark = f"1000.{random.randrange(10 ** 9, 10 ** 10)}"
    rw = tmp_path / f"rw-{mark}"
    rw.mkdir()
    script = f"setsid sleep {mark} & touch {rw}/up; sleep {mark}"
    return mark, rw, ["sh", "-c", script]


def after_kill(cells, before, events, mark, what):
    assert wait_until(lambda: not processes(mark), 1), \
        (what, processes(mark))
    assert wait_until(lambda: not gates(cells), 1), (what, gates(cells))
    files = [f for f in os.listdir(cells.run_dir)] \
        if cells.run_dir.exists() else []
    r = cells.gc()
    assert r.rc == 0, (what, r)
    assert before.left() == [], (what, r)
    if files:
        text = (cells.state_dir / "gc.jsonl").read_text()
        assert any(f.split(".")[0] in text for f in files), (what, files)
    if os.path.exists(events):
        v = cells.verify(events)
        assert v.rc == 3, (what, v)


def start_up_calls(cells, strace, tmp_path):
    """The system calls of the runner until its cell works: (name, nth)."""
    mark, rw, cmd = sleeper(tmp_path)
    p = cells.start(*cmd, rw=[rw], env=strace.env,
                    prefix=strace.prefix([], follow=False))
    assert wait_until((rw / "up").exists, 10)
    with open(strace.log, errors="replace") as f:
        names = re.findall(r"^([a-z0-9_]+)\(", f.read(), re.M)
    finish(p, mark)
    cells.gc()
    seen = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append((name, seen[name]))
    # Its first call made the process; nothing can fail before.
    return [c for c in out if c[0] != "execve"]


def kill(pid):
    """It may have ended by itself."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def finish(p, mark):
    """Kills what is left, so that nobody holds our pipes; then reaps."""
    for pid, _, _ in processes(mark):
        kill(pid)
    p.communicate(timeout=20 * SLACK)


def kill_at_calls(cells, strace, tmp_path, points):
    before = Before(cells)
    calls = start_up_calls(cells, strace, tmp_path)
    assert len(calls) > points
    for i in range(points):
        name, nth = calls[i * (len(calls) - 1) // (points - 1)]
        what = f"{name} number {nth}"
        mark, rw, cmd = sleeper(tmp_path)
        p = cells.start(*cmd, rw=[rw], env=strace.env, prefix=strace.prefix(
            [f"{name}:signal=KILL:when={nth}"], follow=False))
        # Its end, or a command that ran: a call that comes no more (waiting
        # for events need not happen as often as before) proves nothing.
        assert wait_until(lambda: p.poll() is not None or
                          (rw / "up").exists(), 20), what
        if p.poll() is None:
            for pid in descendants(p.pid)[1:2]:
                kill(pid)
            p.wait(timeout=20 * SLACK)
        try:
            after_kill(cells, before, p.events_path, mark, what)
        finally:
            finish(p, mark)


def test_runner_killed_at_fifty_calls(cells, strace, tmp_path):
    kill_at_calls(cells, strace, tmp_path, 50)


def test_runner_killed_at_calls_with_a_door(cells, strace, tmp_path):
    """Its gate ends with it, wherever that is; what lists the run lists the
    gate."""
    cells.has_door = True
    kill_at_calls(cells, strace, tmp_path, 25)


def test_runner_killed_with_a_door(cells, tmp_path):
    """At rest: the journal ends there, the gate is gone at once, and gc tells
    of the run."""
    cells.has_door = True
    mark, rw, cmd = sleeper(tmp_path)
    before = Before(cells)
    p = cells.start(*cmd, rw=[rw])
    try:
        assert wait_until((rw / "up").exists, 10)
        gate, = gates(cells)
        assert gate in descendants(p.pid)
        listed, = [f for f in cells.run_dir.iterdir()
                   if f"pid {gate} " in f.read_text()]
        p.kill()
        p.wait()
        after_kill(cells, before, p.events_path, mark, "at rest")
        found, = [e["data"] for e in map(payload, (
            cells.state_dir / "gc.jsonl").read_text().splitlines())
            if e["type"].endswith("evidence.v1.residue")]
        assert found["runUuid"] == listed.name.split(".")[0]
    finally:
        finish(p, mark)


def sandboxes():
    """Processes of runsc, whosever."""
    return {pid for pid, _, _ in processes("runsc")}


@pytest.mark.parametrize("wall", WALLS)
def test_runner_killed_at_fifty_moments(cells, tmp_path, wall):
    before = Before(cells)
    others = sandboxes()
    span = 0
    for i in range(51):     # the first is at rest, and says how long all takes
        mark, rw, cmd = sleeper(tmp_path)
        begin = time.monotonic()
        p = cells.start(*cmd, rw=[rw], flags=WALLS[wall])
        if i == 0:
            assert wait_until((rw / "up").exists, 10)
            span = time.monotonic() - begin
        else:
            time.sleep((i - 1) * span / 50)
        p.kill()
        p.wait()
        try:
            after_kill(cells, before, p.events_path, mark, f"moment {i}")
            assert wait_until(lambda: sandboxes() <= others, 5), i
        finally:
            finish(p, mark)


def test_gc_names_what_it_cleared(cells, tmp_path):
    mark, rw, cmd = sleeper(tmp_path)
    before = Before(cells)
    p = cells.start(*cmd, rw=[rw])
    assert wait_until((rw / "up").exists, 10)
    p.kill()
    p.wait()
    assert wait_until(lambda: not processes(mark), 1)
    p.communicate()
    dead = {f.split(".")[0] for f in os.listdir(cells.run_dir)}
    r = cells.gc()
    assert r.rc == 0, r
    lines = (cells.state_dir / "gc.jsonl").read_text().splitlines()
    found = [e["data"] for e in map(payload, lines)
             if e["type"].endswith("evidence.v1.residue")]
    assert len(found) == 1 and found[0]["runUuid"] in dead, found
    assert before.left() == []
    # A second one finds nothing and says nothing.
    assert cells.gc().rc == 0
    assert (cells.state_dir / "gc.jsonl").read_text().splitlines() == lines
