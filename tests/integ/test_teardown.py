# SPDX-License-Identifier: MIT OR Apache-2.0
"""The end of a cell: by itself, by a deadline, by a signal; nothing stays."""

import os
import signal
import socket
import subprocess

import pytest

import conftest
from conftest import SLACK, processes, wait_until

SPEC = "command timed out after 400 ms (spec.run.timeoutMs)"
ENV = "command timed out after 400 ms (CELLOS_RUN_TIMEOUT_MS)"
TTL = "cell killed by TTL watchdog after 1000 ms (ttl_seconds=1)"


@pytest.mark.parametrize("text,ttl,run,env", [
    (SPEC, 60, {"timeoutMs": 400}, {}),
    (ENV, 60, {}, {"CELLOS_RUN_TIMEOUT_MS": "400"}),
    (TTL, 1, {}, {}),
    # Ties: the document beats the variable, both beat the TTL.
    (SPEC, 60, {"timeoutMs": 400}, {"CELLOS_RUN_TIMEOUT_MS": "400"}),
    (ENV, 60, {"timeoutMs": 5000}, {"CELLOS_RUN_TIMEOUT_MS": "400"}),
], ids=["spec", "env", "ttl", "tie", "env-smaller"])
def test_timeout_text(cells, before, text, ttl, run, env):
    doc = cells.document(["sleep", "1000"], ttl=ttl, **run)
    r = cells.supervise(doc, env=env)
    assert r.rc == 1, r
    assert f"Error: command spawn: {text}" in r.err, r
    done = r.one("command.v1.completed")
    assert done["exitCode"] == -1 and done["spawnError"] == text
    gone = r.one("lifecycle.v1.destroyed")
    assert gone["reason"] == f"command spawn: {text}"
    assert gone["outcome"] == "failed"
    assert before.left() == []


def test_timeout_of_a_command(cells, before, hostile, mark):
    r = cells.run(hostile / "hostile", "ignore-term", mark, ro=[hostile],
                  flags=["--timeout", "400ms"],
                  env={"CELLOS_LIMIT_GRACE_SECONDS": "1"})
    assert r.rc == 124, r
    assert SPEC in r.err, r
    assert processes(mark) == []
    assert cells.verify(r.events_path).rc == 0
    assert before.left() == []


def test_sigterm_comes_first(cells, before):
    script = 'trap "echo term; exit 0" TERM; sleep 1000 & wait'
    r = cells.run("sh", "-c", script, flags=["--timeout", "400ms"])
    assert (r.rc, r.out) == (124, "term\n"), r
    assert before.left() == []


def test_grace_of_zero_kills_at_once(cells, before):
    """With no grace nobody hears a SIGTERM."""
    script = 'trap "echo term" TERM; sleep 1000 & wait; wait'
    doc = cells.document(["sh", "-c", script], timeoutMs=400,
                         limits={"gracefulShutdownSeconds": 0})
    r = cells.supervise(doc)
    assert (r.rc, r.out) == (1, ""), r
    assert before.left() == []


def test_grace_is_given_to_daemons_too(cells, tmp_path):
    """While the command itself lives on, a daemon hears the SIGTERM."""
    rw = tmp_path / "rw"
    rw.mkdir()
    script = (f'setsid sh -c "trap \\"touch {rw}/heard; exit\\" TERM; '
              f'sleep 1000 & touch {rw}/up; wait" & trap : TERM; '
              f'wait; while [ ! -e {rw}/heard ]; do sleep 0.05; done')
    doc = cells.document(["sh", "-c", script], timeoutMs=2000 * SLACK,
                         mounts=[(rw, "rw")])
    r = cells.supervise(doc)
    assert r.rc == 1, r
    assert (rw / "up").exists() and (rw / "heard").exists(), r


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT,
                                 signal.SIGHUP], ids=lambda s: s.name)
def test_signal_to_the_runner(cells, before, tmp_path, hostile, mark, sig):
    rw = tmp_path / "rw"
    rw.mkdir()
    script = (f"{hostile}/hostile daemon-double {mark}; touch {rw}/up; "
              "sleep 1000")
    p = cells.start("sh", "-c", script, rw=[rw], ro=[hostile],
                    env={"CELLOS_LIMIT_GRACE_SECONDS": "1"})
    assert wait_until((rw / "up").exists, 10)
    # who started the daemon does not wait until it has its name
    assert wait_until(lambda: [name for _, name, _ in processes(mark)].count(
        mark[:15]) == 1, 10)
    p.send_signal(sig)
    out, err = p.communicate(timeout=20 * SLACK)
    assert p.returncode == 128 + sig, (out, err)
    assert processes(mark) == []
    assert cells.verify(p.events_path).rc == 0
    assert before.left() == []


def plant(cells, what):
    """Something that a run could have left, and how to take it away."""
    cells.run_dir.mkdir(parents=True, exist_ok=True)
    if what == "socket":
        s = socket.socket(socket.AF_UNIX)
        s.bind(str(cells.own / "s"))
        return s.close
    if what == "file":
        (cells.run_dir / "lock").touch()
        return (cells.run_dir / "lock").unlink
    # an orphan, by its name or by its namespace
    name, net = {"process": ("cellos-gate", ""),
                 "namespace": ("sh", "unshare -Urn ")}[what]
    p = subprocess.run(
        ["sh", "-c", f"{net}/bin/bash -c 'exec -a {name} sleep 1000' "
         ">/dev/null & echo $!"], stdout=subprocess.PIPE, check=True)
    return lambda: os.kill(int(p.stdout), signal.SIGKILL)


@pytest.mark.parametrize("what", ["socket", "file", "process", "namespace"])
def test_what_is_left_is_noticed(cells, before, monkeypatch, what):
    """The other tests can fail."""
    monkeypatch.setattr(conftest, "STRAY_SECONDS", 0.5)
    assert before.left() == []
    undo = plant(cells, what)
    try:
        assert wait_until(before.left, 5)
        found, = before.left()
        assert found.split()[0] == {"namespace": "process"}.get(what, what)
    finally:
        undo()
    assert wait_until(lambda: before.left() == [], 10)


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_exit_code_is_the_commands(cells, before, code):
    r = cells.run("sh", "-c", f"exit {code}")
    assert r.rc == code, r
    assert r.one("command.v1.completed")["exitCode"] == code
    assert r.one("lifecycle.v1.destroyed")["residueClass"] == "none"
    assert before.left() == []


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGSEGV])
def test_death_by_signal(cells, before, sig):
    r = cells.run("sh", "-c", f"kill -{int(sig)} $$")
    assert r.rc == 128 + sig, r
    assert r.one("command.v1.completed")["exitCode"] == -1
    assert before.left() == []


def test_command_not_found(cells, before):
    r = cells.run("no-such-command")
    assert r.rc == 127, r
    assert r.one("command.v1.completed")["spawnError"] == \
        "spec.run spawn failed: No such file or directory (os error 2)"
    assert before.left() == []


def test_command_not_executable(cells, before):
    r = cells.run("/etc/passwd")
    assert r.rc == 126, r
    assert r.one("command.v1.completed")["spawnError"] == \
        "spec.run spawn failed: Permission denied (os error 13)"
    assert before.left() == []


def test_storm_ends_at_the_deadline(cells, before, hostile, mark):
    """Processes that fork faster than one can list them."""
    storm = f"{hostile}/hostile daemon-storm {mark} &"
    script = f"{storm} {storm} exec sleep 1000"
    r = cells.run("sh", "-c", script, ro=[hostile],
                  flags=["--timeout", "500ms", "--pids", "300"],
                  env={"CELLOS_LIMIT_GRACE_SECONDS": "0"})
    assert r.rc == 124, r
    assert processes(mark) == []
    assert before.left() == []


def test_residue_report_says_what_was_read(cells):
    r = cells.run("true")
    assert r.rc == 0, r
    report = r.one("evidence.v1.residue")
    kinds = {c["kind"]: c for c in report["checked"]}
    assert {"pids", "cgroup", "mounts", "namespaces"} <= set(kinds)
    assert all(c["left"] == 0 for c in kinds.values()), report
    assert report["left"] == []
    order = [e["type"].rsplit("cell.", 1)[1] for e in r.events]
    assert order.index("evidence.v1.residue") < \
        order.index("lifecycle.v1.destroyed")


def test_ten_cells_at_once_do_not_meet(cells, before, tmp_path):
    """Each has its own /tmp, its own pids, its own end."""
    procs = []
    for i in range(10):
        script = f"echo {i} >/tmp/n; sleep 0.3; cat /tmp/n; echo $$"
        procs.append(cells.start("sh", "-c", script))
    for i, p in enumerate(procs):
        out, err = p.communicate(timeout=60 * SLACK)
        assert p.returncode == 0, err
        assert out.split()[0] == str(i)
        assert int(out.split()[1]) < 10
    assert before.left() == []


def test_same_document_again(cells, before):
    doc = cells.document(["true"], ident="again")
    uuids = set()
    for _ in range(3):
        r = cells.supervise(doc)
        assert r.rc == 0, r
        uuids.add(r.enforcement()["runUuid"])
    assert len(uuids) == 3
    assert before.left() == []
