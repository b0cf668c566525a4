# SPDX-License-Identifier: MIT OR Apache-2.0
"""The door from behind the gVisor wall, reached by a network stack of the
sandbox's own: what is told is the same. The clients: test_door_clients.py."""

import pytest

from conftest import GVISOR, IS_ROOT
from door_clients import CLIENTS, PYTHON
from door_harness import (refuses_the_neighbour_by_address,
                          refuses_what_no_rule_names, told)
from test_door_clients import client, dual, kit  # noqa: F401, fixtures

if IS_ROOT:
    def test_does_not_reach_the_neighbour_by_address(dual):
        refuses_the_neighbour_by_address(dual, GVISOR)

    @pytest.mark.parametrize("which", ["curl-http", "curl-openssl", "udp"])
    def test_what_is_told_is_the_same(dual, kit, which):
        c, ours = client(dual, kit, which, CLIENTS[which].host, GVISOR)
        _, theirs = client(dual, kit, which, c.host)
        assert ours.rc == theirs.rc == 0, (ours, theirs)
        assert told(ours) == told(theirs)

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
