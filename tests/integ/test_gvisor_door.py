# SPDX-License-Identifier: MIT OR Apache-2.0
"""The door from behind the gVisor wall, reached by a network stack of the
sandbox's own: what is told is the same. The clients: test_door_clients.py."""

from conftest import GVISOR, IS_ROOT
from door_clients import PYTHON
from door_harness import (refuses_the_neighbour_by_address,
                          refuses_what_no_rule_names, tells_the_same)
from test_door_clients import door, dual  # noqa: F401, fixtures

if IS_ROOT:
    def test_does_not_reach_the_neighbour_by_address(dual):
        refuses_the_neighbour_by_address(dual, GVISOR)

    def test_what_is_told_is_the_same(door):
        tells_the_same(door, "gvisor")

    def test_what_no_rule_names_is_refused(dual):
        refuses_what_no_rule_names(dual, GVISOR)

    def test_without_a_rule_there_is_no_network(dual):
        r = dual.run(PYTHON, "-c", """if True:
            import socket
            print([n for _, n in socket.if_nameindex()])
            for to in (("198.51.100.1", 80), ("100.64.0.1", 53)):
                try:
                    socket.create_connection(to, 5)
                    print("open")
                except OSError as e:
                    print(e.errno)
            """, flags=GVISOR)
        # EHOSTUNREACH: its stack has no route
        assert (r.rc, r.out) == (0, "['lo']\n113\n113\n"), r
        dual.verified(r)
