# SPDX-License-Identifier: MIT OR Apache-2.0
"""The door from behind the gVisor wall, reached by a network stack of the
sandbox's own: what is told is the same. The clients: test_door_clients.py."""

import pytest

from conftest import GVISOR, IS_ROOT
from door_clients import CLIENTS, PYTHON
from door_harness import connections, decisions, dns_queries
from test_door_clients import client, dual, kit  # noqa: F401, fixtures
from world import name
from world_files import OWN4, WEB4

if IS_ROOT:
    def test_does_not_reach_the_neighbour_by_address(dual):
        dual.world.need("nginx")
        r = dual.allow(
            [f"{name('allowed')}:443"], "sh", "-c",
            'curl -sS -o /dev/null --cacert "$2" "https://$1/"\n'
            'curl -sS --cacert "$2" --resolve "$3:443:$4" "https://$3/"',
            "sh", name("allowed"), dual.ca, name("neighbour"), WEB4,
            flags=GVISOR)
        assert r.rc == 35 and "alert access denied" in r.err, r
        assert ("deny", "l7_sni_allowlist_miss", name("neighbour")) in \
            decisions(r)
        dual.verified(r)

    # -- the same as on the host's wall --

    def told(r):
        """What the door says of a run, without what no two runs share."""
        drop = ("source", "openedAt", "durationMs", "runUuid", "cellId",
                "specId")
        # of TLS, signatures have no fixed length
        size = ("bytesUp", "bytesDown")
        rows = [tuple(sorted((k, str(v)) for k, v in f.items()
                             if k not in drop and not (
                                 f["protocol"] == "tls" and k in size)))
                for f in connections(r)]
        return sorted(rows), sorted(decisions(r)), sorted(dns_queries(r))

    @pytest.mark.parametrize("which", ["curl-http", "curl-openssl", "udp"])
    def test_what_is_told_is_the_same(dual, kit, which):
        c, ours = client(dual, kit, which, CLIENTS[which].host, GVISOR)
        _, theirs = client(dual, kit, which, c.host)
        assert ours.rc == theirs.rc == 0, (ours, theirs)
        assert told(ours) == told(theirs)

    CLOSED = f"""if True:
        import errno, socket
        def tcp(family, to):
            s = socket.socket(family, socket.SOCK_STREAM)
            s.settimeout(5)
            try:
                s.connect(to)
                print(to[0], to[1], "open")
            except OSError as e:
                print(to[0], to[1], type(e).__name__ if e.errno is None
                      else errno.errorcode[e.errno])
        for to in (("{OWN4}", 81), ("169.254.169.254", 80),
                   ("100.64.0.2", 61000), ("127.0.0.1", 22),
                   ("100.64.0.1", 853)):
            tcp(socket.AF_INET, to)
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(1)
        for port in (443, 4433):
            s.connect(("{OWN4}", port))
            try:
                s.send(b"x")
                s.recv(1)
            except OSError as e:
                print("udp", port, type(e).__name__ if e.errno is None
                      else errno.errorcode[e.errno])
        try:
            socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
            print("raw")
        except OSError as e:
            print("raw", errno.errorcode[e.errno])
        try:
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)
            print("packet")
        except OSError as e:
            print("packet", errno.errorcode[e.errno])
        """

    def test_what_no_rule_names_is_refused(dual):
        """At once: a closed port never looks connected, and it is told."""
        before = len(dual.world.seen("sink"))
        r = dual.python([f"{name('allowed')}:443"], CLOSED, flags=GVISOR)
        assert r.rc == 0, r
        assert r.out.splitlines() == [
            f"{OWN4} 81 ECONNREFUSED",
            "169.254.169.254 80 ECONNREFUSED",
            "100.64.0.2 61000 ECONNREFUSED", "127.0.0.1 22 ECONNREFUSED",
            "100.64.0.1 853 ECONNREFUSED", "udp 443 ECONNREFUSED",
            "udp 4433 ECONNREFUSED", "raw EPERM", "packet EPERM"], r
        refused = {(f["destination"]["port"]) for f in connections(r)
                   if f["verdict"] == "deny"}
        assert {81, 80, 853, 443, 4433} <= refused, connections(r)
        assert len(dual.world.seen("sink")) == before
        dual.verified(r)

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
