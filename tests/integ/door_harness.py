# SPDX-License-Identifier: MIT OR Apache-2.0
"""Running cells on a host of the world: rules, clients, what they left."""

import json

from conftest import Cells
from world import IS_ROOT, name

PYTHON = "/usr/bin/python3"


class WorldCells(Cells):
    """As Cells, on a host of the world. Its CA is at {ca} in every cell."""

    def __init__(self, tmp, world, variant):
        super().__init__(tmp)
        self.world, self.host = world, world.need("unbound").host(variant)

    def call(self, argv, *args, **kw):
        return super().call([*self.host.enter, *argv], *args, **kw)

    def start(self, *cmd, prefix=(), **kw):
        return super().start(*cmd, prefix=[*self.host.enter, *prefix], **kw)

    @property
    def ca(self):
        return self.world.dir / "ca" / "ca.pem"

    def allow(self, rules, *cmd, ro=(), env=None, flags=(), **kw):
        """cellos run --allow ... -- CMD. Variables of @env reach the
        command."""
        env = env or {}
        more = [x for r in rules for x in ("--allow", r)]
        more += [x for k in env for x in ("--env", k)]
        return self.run(*cmd, ro=[self.world.dir / "ca", *ro], env=env,
                        flags=[*more, *flags], **kw)

    def python(self, rules, code, *argv, **kw):
        """The same, of a program's text."""
        return self.allow(rules, PYTHON, "-c", code, *argv, **kw)

    def door(self, argv, egress=None, dns=None, flags=(), env=None,
             mounts=(), supervisor=False, timeout=60, ttl=60, **run):
        """A document with an authority, run signed."""
        path = self.document(argv, ttl=ttl, mounts=[
            (self.world.dir / "ca", "ro"), *mounts], **run)
        with open(path, encoding="utf-8") as f:
            body = json.load(f)
        authority = body["spec"]["authority"]
        if egress is not None:
            authority["egressRules"] = egress
        if dns is not None:
            authority["dnsAuthority"] = dns
        with open(path, "w", encoding="utf-8") as f:
            json.dump(body, f)
        if supervisor:
            return self.supervise(path, env, timeout)
        return self.run_document(path, flags, env, timeout)

    def verified(self, r, ended=0):
        """The journal of a run holds what was written, all of it."""
        v = self.verify(r.events_path)
        assert v.rc == ended, (v, r)
        return r


def decisions(r):
    """(action, reasonCode, sniHost) of every judged connection."""
    return [(e["data"]["action"], e["data"]["reasonCode"],
             e["data"]["sniHost"]) for e in r.of_type("l7_egress_decision")]


def dns_queries(r):
    """(decision, reasonCode, name, type) of every query."""
    return [(e["data"]["decision"], e["data"]["reasonCode"],
             e["data"]["queryName"], e["data"]["queryType"])
            for e in r.of_type("observability.v1.dns_query")]


def connections(r):
    """Our own records, one a flow."""
    return [e["data"] for e in r.of_type("evidence.v1.connection")]


def rule(host, port, protocol=None):
    out = {"host": host if "." in host or ":" in host else name(host),
           "port": port}
    if protocol:
        out["protocol"] = protocol
    return out


__all__ = ["IS_ROOT", "PYTHON", "WorldCells", "connections", "decisions",
           "dns_queries", "name", "rule"]
