# SPDX-License-Identifier: MIT OR Apache-2.0
"""The door from behind the wall of a machine, reached by its own kernel's
network stack: what is told is the same."""

import pytest

from conftest import IS_ALL, IS_ROOT, SANITIZED, Machines
from door_clients import PYTHON
from door_harness import (WorldCells, refuses_the_neighbour_by_address,
                          refuses_what_no_rule_names, tells_the_same)
from test_door_clients import (does_not_reach_the_neighbour,
                               kit, reaches_the_allowed_name)  # noqa: F401
from world import VARIANTS

# Sanitized it is the runner that is tried, and not the clients.
ALL = ["curl-openssl"] if SANITIZED else [
    "curl-openssl", "git-https", "python", "own-resolver", "udp"]
HOSTS = VARIANTS if IS_ALL and not SANITIZED else ["dual"]
ALLOWED = [(v, c) for v in HOSTS for c in ALL]
NEIGHBOURS = [(v, c) for v, c in ALLOWED if v == "dual" or c == ALL[0]]


class WorldMachines(WorldCells, Machines):
    def __init__(self, tmp, world, variant, shared):
        Machines.__init__(self, tmp, shared)
        self.world = world.need("certificates", "unbound")
        self.host = world.host(variant)


if IS_ROOT:
    @pytest.fixture
    def on(world, tmp_path, image):
        """Machines on a host that has IPv4, IPv6, or both."""
        made = []

        def make(variant):
            made.append(WorldMachines(tmp_path, world, variant, image))
            return made[-1]
        yield make
        for c in made:
            c.close()

    @pytest.fixture
    def dual(on):
        return on("dual")

    @pytest.mark.parametrize("variant, which", ALLOWED)
    def test_reaches_the_allowed_name(on, kit, variant, which):
        reaches_the_allowed_name(on(variant), kit, which)

    @pytest.mark.parametrize("variant, which", NEIGHBOURS)
    def test_does_not_reach_the_neighbour_by_name(on, kit, variant, which):
        does_not_reach_the_neighbour(on(variant), kit, which)

    def test_does_not_reach_the_neighbour_by_address(dual):
        refuses_the_neighbour_by_address(dual)

    @pytest.mark.parametrize("variant", ["dual"] if SANITIZED else VARIANTS)
    def test_what_is_told_is_the_same(on, variant):
        tells_the_same(on(variant), "qemu")

    def test_what_no_rule_names_is_refused(dual):
        refuses_what_no_rule_names(dual)

    def test_without_a_rule_there_is_no_network(dual):
        r = dual.run(PYTHON, "-c", """if True:
            import errno, socket
            print([n for _, n in socket.if_nameindex()])
            for to in (("198.51.100.1", 80), ("100.64.0.1", 53)):
                try:
                    socket.create_connection(to, 5)
                    print("open")
                except OSError as e:
                    print(errno.errorcode[e.errno])
            """)
        assert (r.rc, r.out) == (
            0, "['lo']\nENETUNREACH\nENETUNREACH\n"), r
        dual.verified(r)
