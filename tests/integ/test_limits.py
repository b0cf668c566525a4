# SPDX-License-Identifier: MIT OR Apache-2.0
"""Limits: what was asked for is what the kernel says and what it does."""

import json
import os
import pathlib

import pytest

from conftest import IS_ROOT, NO_GROUPS

MIB = 1024 * 1024


def hog(hostile, *args):
    return [str(hostile / "hostile"), *args]


def test_memory_is_read_back_and_enforced(cells, hostile, before):
    r = cells.run(*hog(hostile, "memory-hog", "256"), ro=[hostile],
                  flags=["--memory", "64M"])
    assert r.rc == 137, r
    assert "unlimited" not in r.out
    item = r.item("memory.max")
    assert item["enforced"] is True
    assert item["asked"] == item["got"] == str(64 * MIB)
    assert before.left() == []


def test_memory_within_the_limit_is_given(cells, hostile):
    r = cells.run(*hog(hostile, "memory-hog", "32"), ro=[hostile],
                  flags=["--memory", "128M"])
    assert (r.rc, r.out) == (0, "memory-hog=unlimited\n"), r


def test_too_little_memory_to_start(cells, before):
    """Pid 1 of the cell is killed by a limit that nobody sees the end of."""
    r = cells.run("true", flags=["--memory", "4K"])
    why = ("the cell reached its memory limit of 4096 bytes before its "
           "command could start: give it more, by --memory, "
           "spec.run.limits.memoryMaxBytes or CELLOS_CGROUP_MEMORY_MAX")
    assert (r.rc, r.out) == (125, ""), r
    assert f": {why}: Cannot allocate memory (os error 12)\n" in r.err, r
    told = r.enforcement("refused")
    assert (told["detail"], told["errno"]) == (why, 12), told
    assert before.left() == []


def test_memory_of_a_document(cells, hostile):
    doc = cells.document(hog(hostile, "memory-hog", "256"),
                         mounts=[(hostile, "ro")],
                         limits={"memoryMaxBytes": 64 * MIB})
    r = cells.supervise(doc)
    assert r.rc == 1, r
    assert r.item("memory.max")["got"] == str(64 * MIB)
    assert r.one("command.v1.completed")["exitCode"] == -1


@pytest.mark.parametrize("spec,env,want", [
    (96 * MIB, str(64 * MIB), 64 * MIB), (64 * MIB, str(96 * MIB), 64 * MIB)])
def test_the_smaller_memory_limit_wins(cells, hostile, spec, env, want):
    doc = cells.document(["true"], limits={"memoryMaxBytes": spec})
    r = cells.supervise(doc, env={"CELLOS_CGROUP_MEMORY_MAX": env})
    assert r.rc == 0, r
    assert r.item("memory.max")["got"] == str(want)


def test_cpu_is_read_back_and_enforced(cells, hostile):
    """400 ms of work at half a CPU cannot be done in less than 600 ms."""
    r = cells.run(*hog(hostile, "burn", "400"), ro=[hostile],
                  flags=["--cpus", "0.5"])
    assert r.rc == 0, r
    item = r.item("cpu.max")
    assert item["enforced"] is True
    assert item["asked"] == item["got"] == "50000 100000"
    assert int(r.out.split("=")[1]) >= 600, r


def test_cpu_of_a_document_beats_the_variable(cells):
    doc = cells.document(["true"], limits={
        "cpuMax": {"quotaMicros": 40000, "periodMicros": 50000}})
    r = cells.supervise(doc, env={"CELLOS_CGROUP_CPU_MAX": "10000 100000"})
    assert r.rc == 0, r
    assert r.item("cpu.max")["got"] == "40000 50000"
    r = cells.supervise(cells.document(["true"]),
                        env={"CELLOS_CGROUP_CPU_MAX": "10000 100000"})
    assert r.item("cpu.max")["got"] == "10000 100000"


def test_pids_are_read_back_and_enforced(cells, hostile, before):
    r = cells.run(*hog(hostile, "fork-bomb", "200"), ro=[hostile],
                  flags=["--pids", "32"])
    assert (r.rc, r.out) == (0, "fork-bomb=EAGAIN\n"), r
    item = r.item("pids.max")
    assert item["enforced"] is True
    assert item["asked"] == item["got"] == "32"
    assert before.left() == []


def test_a_pids_limit_without_asking(cells, hostile):
    r = cells.run(*hog(hostile, "fork-bomb", "1500"), ro=[hostile])
    assert r.out == "fork-bomb=EAGAIN\n", r
    assert r.item("pids.max")["got"] == "1024"


if IS_ROOT:  # who else may mount
    def test_a_pids_limit_without_control_groups(cells, hostile):
        events = cells.events_path()
        r = cells.call([*NO_GROUPS, *cells.argv(
            hog(hostile, "fork-bomb", "1500"), ro=[hostile], events=events)],
            events)
        assert (r.rc, r.out) == (0, "fork-bomb=EAGAIN\n"), r
        assert r.item("pids.max") == {
            "name": "pids.max", "asked": "1024", "enforced": True,
            "got": "RLIMIT_NPROC 1024: no pids control group"}


@pytest.mark.parametrize("flags", [["--memory", "64M"], ["--cpus", "0.5"],
                                   ["--pids", "32"]], ids=lambda f: f[0])
def test_a_limit_that_cannot_be_applied_refuses(cells, tmp_path, before, flags):
    """No such cgroup to work in: what was asked for is not to be had."""
    rw = tmp_path / "rw"
    rw.mkdir()
    r = cells.run("touch", rw / "ran", rw=[rw], flags=flags,
                  env={"CELLOS_CGROUP_PARENT": str(tmp_path / "no-cgroup")})
    assert r.rc == 125, r
    assert not (rw / "ran").exists()
    assert "cgroup" in r.err, r
    assert r.enforcement("refused")["stage"] == "cgroup"
    assert before.left() == []


def test_a_cell_sees_only_its_own_cgroup(cells):
    """The root of every hierarchy it is limited by is its own leaf."""
    r = cells.run("cat", "/proc/self/cgroup",
                  flags=["--memory", "64M", "--cpus", "0.5"])
    assert r.rc == 0, r
    seen = {line.split(":", 2)[1]: line.split(":", 2)[2]
            for line in r.out.splitlines()}
    v2_only = set(seen) == {""}
    for controller in [""] if v2_only else ["memory", "cpu", "pids"]:
        assert seen[controller] == "/", r


@pytest.mark.parametrize("flag,value", [
    ("--memory", "0"), ("--memory", "x"), ("--memory", "-1"),
    ("--cpus", "0"), ("--cpus", "nan"), ("--pids", "0"), ("--pids", "many"),
    ("--timeout", "soon"), ("--timeout", "-1s")])
def test_a_bad_value_runs_nothing(cells, tmp_path, flag, value):
    rw = tmp_path / "rw"
    rw.mkdir()
    r = cells.run("touch", rw / "ran", rw=[rw], flags=[flag, value])
    assert r.rc == 125, r
    assert flag in r.err and value in r.err, r
    assert not (rw / "ran").exists()


NEEDS = ("cgroup-memory", "cgroup-cpu", "cgroup-pids")


def needs(cells, env=None):
    r = cells.verb("doctor", "--json", env=env)
    return {n["name"]: n for n in json.loads(r.out)["needs"]
            if n["name"] in NEEDS}


def test_the_group_that_is_named_is_told_of(cells):
    """And what it does not give, and where that is then."""
    def memory(env=None):
        need = needs(cells, env)["cgroup-memory"]
        assert need["present"], need
        return need["detail"].split(" ", 1)

    tree, at = memory()
    own = pathlib.Path(at) / f"cellos-test-{os.getpid()}"
    own.mkdir()
    try:
        assert memory({"CELLOS_CGROUP_PARENT": str(own)}) == [tree, str(own)]
        r = cells.run("true", env={"CELLOS_CGROUP_PARENT": str(own)})
        assert r.rc == 0, r
        elsewhere = {i["name"]: (i["asked"], i["got"], i["enforced"])
                     for i in r.enforcement()["items"]
                     if i["name"].startswith("cgroup.")}
        pids = needs(cells)["cgroup-pids"]["detail"].split(" ", 1)[1]
        assert elsewhere == ({} if tree == "v2" else {
            "cgroup.pids": (str(own)[:95], pids[:95], True)})
    finally:
        own.rmdir()


NO_GROUP = ("name a cgroup you may write that gives its children memory, cpu "
            "or pids (v2: with no process of its own), or unset it")


@pytest.mark.parametrize("where", ["run", "full", "portable", "doctor"])
@pytest.mark.parametrize("name,why", [
    ("", "supported"), ("none", "No such file or directory"),
    ("file", "Not a directory")])
def test_a_parent_that_is_no_group_is_refused(cells, tmp_path, before, where,
                                              name, why):
    """Limits somewhere else are not what was asked for."""
    (tmp_path / "file").touch()
    parent = str(tmp_path / name) if name else str(tmp_path)
    env = {"CELLOS_CGROUP_PARENT": parent}
    if where == "doctor":
        r = cells.verb("doctor", env=env)
        assert r.rc == 1
        for line in NEEDS:
            need = needs(cells, env)[line]
            assert not need["present"]
            assert need["remedy"] == NO_GROUP
            assert need["detail"].startswith(
                f"CELLOS_CGROUP_PARENT {parent[:100]}: "), need
    elif where == "run":
        r = cells.run("true", env=env)
        assert r.rc == 125, r
    else:
        doc = cells.document(["true"])
        r = cells.supervise(doc, env=env | (
            {"CELLOS_DEPLOYMENT_PROFILE": "portable"}
            if where == "portable" else {}))
        assert r.rc == 1, r
    if where != "doctor":
        assert r.enforcement("refused")["stage"] == "cgroup"
    assert why in r.out + r.err, r
    assert f"CELLOS_CGROUP_PARENT {parent[:100]}: {NO_GROUP}" in r.out + r.err, r
    assert before.left() == []
