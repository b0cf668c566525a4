#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""docs/breakout.md: what each hostile program is answered behind each wall, of
the tables that the tests expect. To write it anew:
    tests/integ/breakout_table.py >docs/breakout.md"""

import test_gvisor_breakout
import test_qemu_breakout
from test_breakout import ENDS, EXHAUST, REFUSED, REFUSED_UDP, TABLE, ident

HEAD = """# What a hostile program is answered

<!-- written by tests/integ/breakout_table.py -->

The {} attempts of `tests/hostile`, each with what it is answered on the host
wall, in a sandbox of gVisor and in a machine of QEMU, by root, on a host that
has IPv6. `tests/integ/test_breakout.py`, `test_gvisor_breakout.py` and
`test_qemu_breakout.py` run them and expect these words exactly; this page is
compared with what they expect, line by line. Answers are numbers of errors by
name, or what the program found. "A, door B": without a way out A, with one B.
What is masked is absent where the kernel has no such file. Why an answer
differs stands in those tests; {} are the same on all three walls.

In braces: `{{rw}}` and `{{ro}}` are directories that are shown, `{{secret}}` is
one that is not; the rest are names of things of the host.

| attempt | host | gvisor | qemu |
|---|---|---|---|
"""
SMALL = """
## In a small cell

{} attempts one after the other in one cell, of 1 MiB in `/tmp` and 64 KiB in
`/dev/shm`; none leaves a process or a file. `{{mark}}` is the name a daemon
lives under. How many files `many-files` came to is left out.

| attempt | host | gvisor | qemu |
|---|---|---|---|
"""
ENDED = """
## What ends a cell

Each has a cell of its own: the program's answer, if it comes to one; with what
`cellos run` exits; the exit code of `command.v1.completed`, which is not told
where nobody knows it; `terminalState`, which the host wall has none of, and
`outcome` with the reason of `lifecycle.v1.destroyed`. `residueClass` is none.
`burn` is held back by its limit, seen from the host, until it is stopped.
`ignore-term` is killed a second after its SIGTERM. `daemon-storm` is in no
table: it is run on the host wall and in gVisor, whose sandbox it may end.

| attempt | options | host | gvisor | qemu |
|---|---|---|---|---|
"""
# Where the answer is this host's: that of the host of the page.
HERE = {"outside-v6": REFUSED, "outside-v6-udp": REFUSED_UDP}
GVISOR = {"outside-v6": test_gvisor_breakout.REFUSED,
          "outside-v6-udp": test_gvisor_breakout.SENT}
QEMU = {"outside-v6-udp": test_qemu_breakout.SENT}


def words(answer):
    if isinstance(answer, dict) and "root" in answer:
        answer = answer["root"]
    if isinstance(answer, dict):
        return f"{answer['no-door']}, door {answer['door']}"
    return answer


def told(end):
    """In words, how a run ended."""
    return "; ".join(filter(None, [
        end.said.partition("=")[2].strip(), f"exit {end.rc}",
        "not completed" if end.code is None else f"completed {end.code}",
        end.state, f"failed: {end.reason}" if end.reason else "succeeded"]))


def ends():
    """(attempt, options, host, gvisor, qemu)"""
    return [(ident(row), " ".join(row[2]), *map(told, (
        row[3]._replace(state=None), test_gvisor_breakout.ENDS_OTHERWISE.get(
            ident(row), row[3]), row[3]))) for row in ENDS]


def rows(table):
    """(attempt, host, gvisor, qemu)"""
    out = []
    for row in table:
        name = ident(row)
        host = HERE.get(name, "masked" if row[0] == "masked" else row[2])
        out.append((name, *map(words, (
            host, GVISOR.get(name, test_gvisor_breakout.OTHERWISE.get(
                name, host)),
            QEMU.get(name, test_qemu_breakout.OTHERWISE.get(name, host))))))
    return out


def lines(table):
    return "".join(
        "| " + " | ".join(f"`{cell}`" if i == 0 else cell
                          for i, cell in enumerate(row)) + " |\n"
        for row in table)


def page():
    table = rows(TABLE)
    same = sum(len(set(row[1:])) == 1 for row in table)
    return (HEAD.format(len(table), same) + lines(table) +
            SMALL.format(len(EXHAUST)) + lines(rows(EXHAUST)) +
            ENDED + lines(ends()))


if __name__ == "__main__":
    print(page(), end="")
