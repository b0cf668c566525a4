# SPDX-License-Identifier: MIT OR Apache-2.0
"""The hostile programs of test_breakout.py behind the wall of a machine. A
machine takes seconds to boot, so one of them runs them all, each in a process
of its own; one that does not end, or ends all, has another machine to itself.
What another kernel answers otherwise stands here, with the reason."""

import json

import pytest

from conftest import IS_ALL, IS_ROOT, SANITIZED, Before, Machines
from test_breakout import (ENDS, TABLE, Host, assert_ends, exhaust, exhausted,
                           expected, ident, outside_has_v6)

REFUSED = {"no-door": "ENETUNREACH", "door": "ECONNREFUSED"}
# A datagram leaves the machine; what refuses it is behind the leg.
SENT = {"no-door": "ENETUNREACH", "door": "ok"}

OTHERWISE = {
    # There are threads of its kernel, which are told from processes by nobody
    # and heed no signal.
    "kill-all": "ok",
    # Every user is there, and none of them may be become.
    "setuid-other": "EPERM",
    # What its kernel has, and the one of this host has not, or has.
    **{f"masked:/proc/{x}": "masked" for x in (
        "kcore", "sysrq-trigger", "modules")},
    "masked:/proc/config.gz": "ENOENT",
    # What the command could not read is not carried there.
    "read:{ro}/private": "ENOENT",

    # Behind the leg is a network.
    "outside-v4-udp": SENT,
    "outside-v6-udp": SENT if outside_has_v6() else "ENETUNREACH",
    "interfaces": {"no-door": "lo", "door": "eth0,lo"},
    "routes": {"no-door": "0", "door": "2"},
}

BATCH = r"""
import json, subprocess, sys
for i, words in enumerate(json.load(open(sys.argv[2]))):
    if i < int(sys.argv[3]):
        continue
    argv = [sys.argv[1], *words]
    try:
        r = subprocess.run(argv, stdin=subprocess.DEVNULL, timeout=30,
                           stdout=subprocess.PIPE, start_new_session=True)
        said = r.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired:
        said = "no end\n"
    print(i, said.split("\n")[0], flush=True)
"""


def test_what_is_otherwise_is_in_the_table():
    assert set(OTHERWISE) <= {ident(row) for row in TABLE}


if IS_ROOT:
    class Suite:
        """Answers of every program from one machine."""

        def __init__(self, tmp, image, hostile, door):
            (tmp / "host").mkdir()
            self.cells = Machines(tmp, image, door)
            self.host = Host(tmp / "host", hostile)
            batch = tmp / "batch"
            batch.mkdir()
            (batch / "list").write_text(json.dumps(
                [[name, self.host.argument(arg)] if arg else [name]
                 for name, arg, _ in TABLE]))
            self.said = {}
            start = 0
            # one that kills all it may is the last of its machine
            while start < len(TABLE):
                r = self.cells.run(
                    "/usr/bin/python3", "-c", BATCH, hostile / "hostile",
                    batch / "list", start, rw=[self.host.rw],
                    ro=[self.host.ro, hostile, batch], timeout=240)
                assert r.rc in (0, 137), r
                for line in r.out.splitlines():
                    n, _, text = line.partition(" ")
                    start = int(n) + 1
                    if text != "no end":
                        self.said[int(n)] = text
                if r.rc:
                    assert TABLE[start][0] == "kill-all", r
                    start += 1
            assert len(self.said) > len(TABLE) * 0.9

        def close(self):
            self.host.close()
            self.cells.close()

    # a door is the more there is to attack
    @pytest.fixture(
        scope="module", ids=lambda door: "door" if door else "no-door",
        params=[False, True] if IS_ALL and not SANITIZED else [True])
    def suite(tmp_path_factory, image, hostile, request):
        s = Suite(tmp_path_factory.mktemp("suite"), image, hostile,
                  request.param)
        yield s
        s.close()

    @pytest.mark.parametrize("n", range(len(TABLE)),
                             ids=[ident(row) for row in TABLE])
    def test_answer(suite, n):
        name, arg, answer = TABLE[n]
        answer = expected(OTHERWISE.get(ident(TABLE[n]), answer),
                          suite.cells.has_door)

        said = suite.said.get(n)
        if said is None:
            said = f"{name}=" + suite.host.attack(suite.cells, name, arg)
        if name == "interfaces":    # in no order
            said = f"{name}=" + ",".join(sorted(
                said.partition("=")[2].split(",")))
        assert said == f"{name}={answer}"

# The limits are the guest's, which is the same in a sanitized run.
if IS_ROOT and IS_ALL and not SANITIZED:
    @pytest.fixture
    def vm(tmp_path, image):
        c = Machines(tmp_path, image, True)
        yield c
        c.close()

    def test_what_a_small_cell_has_ends(vm, hostile, mark):
        before = Before(vm)
        r, said = exhaust(vm, hostile, mark)
        assert (r.rc, said) == (0, exhausted()), r
        assert before.left() == []

    @pytest.mark.parametrize("row", ENDS, ids=lambda row: row[0])
    def test_what_ends_a_cell(vm, hostile, mark, row):
        before = Before(vm)
        assert_ends(vm, hostile, mark, row, row[3])
        assert before.left() == []
