# SPDX-License-Identifier: MIT OR Apache-2.0
"""Programs that want out, or want to leave no trace: each is the command of a
cell."""

import pytest

from door_harness import WorldCells, connections, dns_queries, name
from world_files import OWN4

API, EVIL = name("api"), name("evil")
# A of evil.test.example
QUERY = bytes.fromhex("00010100000100000000000004") + b"evil" + \
    b"\4test\7example\0" + bytes.fromhex("00010001")


@pytest.fixture
def door(world, tmp_path):
    c = WorldCells(tmp_path, world.need("nginx", "udp", "http"), "dual")
    yield c
    c.close()


def told(r, **want):
    """How many flows or packets of this kind the journal counts."""
    return sum(f.get("count", 1) for f in connections(r)
               if all(f.get(k) == v for k, v in want.items()))


def test_what_is_done_last_is_told(door):
    """Connections, datagrams and queries of a program that ends at once: the
    gate has not yet seen them when it is told to stop."""
    code = """if True:
        import os, socket, sys
        ip, query = sys.argv[1], bytes.fromhex(sys.argv[2])
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for i in range(50):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex((ip, 443))
            s.detach()
        for i in range(50):
            u.sendto(b"x", (ip, 7))
            u.sendto(query, ("100.64.0.1", 53))
        os._exit(0)
        """
    for _ in range(3):
        r = door.python([f"{OWN4}:7/udp", f"{API}:443"], code, OWN4,
                        QUERY.hex(), env={
                            "CELLOS_LIMIT_EVENTS_PER_SECOND": "10000"})
        assert r.rc == 0, r
        assert told(r, reason="address_not_named") == 50
        assert [(f["bytesUp"], f["verdict"]) for f in connections(r)
                if f.get("protocol") == "udp"] == [(50, "allow")]
        assert [q[2] for q in dns_queries(r)] == [EVIL] * 50
        door.verified(r)


def test_every_refused_packet_is_counted(door):
    """A flood of them hides none: what could not be told one by one, or by
    its destination, is in the count. (What the last one that is heard of says
    of those before it: so there is one after the flood, when the gate has
    answered as many queries as it has turns to read its log in.)"""
    code = """if True:
        import socket, sys
        def refused(i):
            s = socket.socket()
            s.connect_ex((sys.argv[1], 81 + i % 2))
            s.close()
        for i in range(19999):
            refused(i)
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for i in range(100):
            u.sendto(bytes.fromhex(sys.argv[2]), ("100.64.0.1", 53))
            u.recv(512)
        refused(0)
        """
    r = door.python([f"{API}:443"], code, OWN4, QUERY.hex(), timeout=120)
    assert r.rc == 0, r
    totals = {t["name"]: t["value"] for t in r.enforcement("totals")["totals"]}
    assert totals["refused"] == 20000
    packets = [f for f in connections(r) if f["kind"] in ("refused", "packets")]
    assert sum(f.get("count", 1) for f in packets) == 20000
    door.verified(r)
