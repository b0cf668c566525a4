#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""docs/breakout.md: what each hostile program is answered behind each wall, of
the tables that the tests expect. To write it anew:
    tests/integ/breakout_table.py >docs/breakout.md"""

import test_gvisor_breakout
import test_qemu_breakout
from test_breakout import REFUSED, REFUSED_UDP, TABLE, ident

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


def rows():
    """(attempt, host, gvisor, qemu)"""
    out = []
    for row in TABLE:
        name = ident(row)
        host = HERE.get(name, "masked" if row[0] == "masked" else row[2])
        out.append((name, *map(words, (
            host, GVISOR.get(name, test_gvisor_breakout.OTHERWISE.get(
                name, host)),
            QEMU.get(name, test_qemu_breakout.OTHERWISE.get(name, host))))))
    return out


def page():
    table = rows()
    same = sum(len(set(row[1:])) == 1 for row in table)
    return HEAD.format(len(table), same) + "".join(
        "| " + " | ".join(f"`{cell}`" if i == 0 else cell
                          for i, cell in enumerate(row)) + " |\n"
        for row in table)


if __name__ == "__main__":
    print(page(), end="")
