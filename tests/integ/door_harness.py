# SPDX-License-Identifier: MIT OR Apache-2.0
"""Running cells on a host of the world: rules, clients, what they left."""

import base64
import json
import pathlib
import shutil

from conftest import Cells, assert_same_events, wait_until
from world import name
from world_files import OWN4, OWN6, WEB4, WEB6

PYTHON = "/usr/bin/python3"


class WorldCells(Cells):
    """As Cells, on a host of the world. Its CA is at {ca} in every cell."""

    def __init__(self, tmp, world, variant):
        super().__init__(tmp)
        self.world = world.need("certificates", "unbound")
        self.host = world.host(variant)

    def call(self, argv, *args, **kw):
        return super().call([*self.host.enter, *argv], *args, **kw)

    def start(self, *cmd, prefix=(), **kw):
        return super().start(*cmd, prefix=[*self.host.enter, *prefix], **kw)

    @property
    def ca(self):
        return self.world.dir / "ca" / "ca.pem"

    def allow(self, rules, *cmd, ro=(), env=None, flags=(), **kw):
        """cellos run --allow ... -- CMD. Variables of @env reach the
        command, but for those of cellos."""
        env = env or {}
        more = [x for r in rules for x in ("--allow", r)]
        more += [x for k in env if not k.startswith("CELLOS_")
                 for x in ("--env", k)]
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
             e["data"]["sniHost"]) for e in r.of_type("l7_egress_decision")
            if e["source"] == "cellos-sni-proxy"]


def dns_queries(r):
    """(decision, reasonCode, name, type) of every query."""
    return [(e["data"]["decision"], e["data"]["reasonCode"],
             e["data"]["queryName"], e["data"]["queryType"])
            for e in r.of_type("observability.v1.dns_query")]


def connections(r):
    """Our own records, one a flow: without those of its begin."""
    return [e["data"] for e in r.of_type("evidence.v1.connection")
            if e["data"]["kind"] != "opened"]


# -- saying bytes from inside a cell: door_speaker.py --

SPEAKER = pathlib.Path(__file__).with_name("door_speaker.py")
# TLS alerts: the gate's, and the one the world's server sends.
DENIED = bytes.fromhex("15030100020231")
LET_THROUGH = bytes.fromhex("15030300020228")


def say(to, *chunks, **more):
    """A case of the speaker."""
    return {"to": list(to), "chunks": [base64.b64encode(c).decode()
                                       for c in chunks], **more}


def speak(c, rules, cases, **kw):
    """Says them all in one cell. Return: the run, and what came back."""
    d = c.tmp / f"speak-{c.count}"
    d.mkdir()
    shutil.copy(SPEAKER, d)
    (d / "cases.json").write_text(json.dumps(cases))
    d.chmod(0o755)
    env = {"CELLOS_LIMIT_EVENTS_PER_SECOND": "100000", **kw.pop("env", {})}
    r = c.run(PYTHON, d / SPEAKER.name, d / "cases.json",
              ro=[d], env=env, flags=[x for rule_ in rules
                                      for x in ("--allow", rule_)], **kw)
    heard = [json.loads(line) for line in r.out.splitlines()]
    assert len(heard) == len(cases), r
    ports = []
    for h in heard:
        # a port may come back when thousands were used
        h["nth"] = ports.count(h["from"])
        ports.append(h["from"])
        if isinstance(h["got"], str):
            h["got"] = base64.b64decode(h["got"])
    return r, heard


def record_of(r, heard):
    """The connection record of what a case said, by its own port."""
    found = [f for f in connections(r)
             if f.get("source", {}).get("port") == heard["from"]]
    nth = heard.get("nth", 0)
    assert len(found) > nth, (heard, found)
    return found[nth]


def arrived(world, server, since, n):
    """What n more connections brought to a server of the agent, whole."""
    def whole():
        e = world.seen(server, since)
        return len(e) >= n and all(x.get("end") != "open" for x in e) and e
    return wait_until(whole, 10) or world.seen(server, since)


__all__ = ["DENIED", "LET_THROUGH", "PYTHON", "SPEAKER", "WorldCells",
           "arrived", "connections", "decisions", "dns_queries", "name",
           "record_of", "say", "speak", "tells_the_same"]


# -- walls with a network stack of their own --

# Every switch by which the door tells more.
TELL_ALL = {"CELLOS_RESOLVE_EGRESS_DNS": "1",
            "CELLOS_L7_GATE_OBSERVABILITY": "1",
            "CELLOS_PER_FLOW_ENFORCEMENT_EVENTS": "1",
            "CELLOS_PER_FLOW_REALTIME": "1",
            "CELLOS_LIMIT_EVENTS_PER_SECOND": "100000"}

# What is allowed, then what is denied: by name, by the name shown at an address
# that is open, by address and port.
REACH = """if True:
    import socket, ssl, sys, urllib.request
    ca, name, neighbour, echo, *addresses = sys.argv[1:]
    trust = ssl.create_default_context(cafile=ca)
    for url in (f"http://{name}/", f"https://{name}/"):
        print(urllib.request.urlopen(url, context=trust).read().decode(),
              end="")
    family, kind, proto, _, to = socket.getaddrinfo(
        echo, 7, socket.AF_INET6 if ":" in addresses[-1] else socket.AF_INET,
        socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, proto) as s:
        s.settimeout(10)
        s.connect(to)
        s.send(b"over udp")
        print(s.recv(100).decode())
    try:
        print(socket.getaddrinfo(neighbour, 443))
    except socket.gaierror:
        print("no such name")
    for web, own in zip(addresses[::2], addresses[1::2]):
        with socket.create_connection((web, 443)) as s:
            try:
                trust.wrap_socket(s, server_hostname=neighbour)
            except ssl.SSLError as e:
                print(e.reason)
        try:
            socket.create_connection((own, 81))
        except OSError as e:
            print(e.strerror)
        with socket.socket(socket.AF_INET6 if ":" in own else
                           socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(10)
            s.connect((own, 443))
            try:
                s.send(b"x")
                print(s.recv(1))
            except OSError:     # at once, or by an answer
                print("no answer")
    """


def tells_the_same(c, wall):
    """Every event of a run on the host wall and of one behind another."""
    c.world.need("nginx", "udp")
    addresses = [*([WEB4, OWN4] if c.host.v4 else []),
                 *([WEB6, OWN6] if c.host.v6 else [])]
    path = c.document(
        [PYTHON, "-c", REACH, str(c.ca), *map(name, (
            "allowed", "neighbour", "echo")), *addresses],
        mounts=[(c.world.dir / "ca", "ro")])
    with open(path, encoding="utf-8") as f:
        body = json.load(f)
    body["spec"]["authority"].update(
        egressRules=[{"host": name("allowed"), "port": 443},
                     {"host": name("allowed"), "port": 80},
                     {"host": name("echo"), "port": 7, "protocol": "udp"}],
        dnsAuthority={"hostnameAllowlist": [name("allowed"), name("echo")]})
    with open(path, "w", encoding="utf-8") as f:
        json.dump(body, f)
    ours, theirs = (c.verified(c.run_document(
        path, ["--backend", w], TELL_ALL)) for w in (wall, "host"))
    assert ours.rc == theirs.rc == 0, (ours, theirs)
    families = c.host.v4 + c.host.v6
    assert ours.out == theirs.out == (
        "this is allowed.test.example\n" * 2 + "over udp\nno such name\n" + (
            "TLSV1_ALERT_ACCESS_DENIED\nConnection refused\nno answer\n"
            * families)), (ours, theirs)
    assert_same_events(ours, theirs)


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
    for to in (("{OWN6}", 81), ("fd00:ec2::254", 80),
               ("fd63:656c:6c6f::2", 61000), ("::1", 22)):
        tcp(socket.AF_INET6, to)
    for family, to in ((socket.AF_INET, "{OWN4}"),
                       (socket.AF_INET6, "{OWN6}")):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.settimeout(1)
        for port in (443, 4433):
            s.connect((to, port))
            try:
                s.send(b"x")
                s.recv(1)
            except OSError as e:
                print("udp", to, port, type(e).__name__ if e.errno is None
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


def refuses_what_no_rule_names(cells, flags=()):
    """At once: a closed port never looks connected, and it is told."""
    before = len(cells.world.seen("sink"))
    r = cells.python([f"{name('allowed')}:443"], CLOSED, flags=flags)
    assert r.rc == 0, r
    assert r.out.splitlines() == [
        f"{OWN4} 81 ECONNREFUSED",
        "169.254.169.254 80 ECONNREFUSED",
        "100.64.0.2 61000 ECONNREFUSED", "127.0.0.1 22 ECONNREFUSED",
        "100.64.0.1 853 ECONNREFUSED", f"{OWN6} 81 ECONNREFUSED",
        "fd00:ec2::254 80 ECONNREFUSED",
        "fd63:656c:6c6f::2 61000 ECONNREFUSED", "::1 22 ECONNREFUSED",
        *(f"udp {a} {port} ECONNREFUSED" for a in (OWN4, OWN6)
          for port in (443, 4433)), "raw EPERM", "packet EPERM"], r
    refused = {(f["destination"]["address"], f["destination"]["port"])
               for f in connections(r) if f["verdict"] == "deny"}
    assert {("169.254.169.254", 80), ("fd00:ec2::254", 80),
            ("100.64.0.1", 853)} | {
        (a, port) for a in (OWN4, OWN6) for port in (81, 443, 4433)
    } <= refused, connections(r)
    assert len(cells.world.seen("sink")) == before
    cells.verified(r)


def refuses_the_neighbour_by_address(cells, flags=()):
    """After the allowed name has led there, so that each address is open."""
    cells.world.need("nginx")
    r = cells.allow(
        [f"{name('allowed')}:443"], "sh", "-c", """
        allowed=$1 ca=$2 other=$3; shift 3
        curl -sS -o /dev/null --cacert "$ca" "https://$allowed/"; echo $?
        for a; do
            curl -sS --cacert "$ca" --resolve "$other:443:$a" "https://$other/"
            echo $?
        done""", "sh", name("allowed"), cells.ca, name("neighbour"), WEB4,
        f"[{WEB6}]", flags=flags)
    assert (r.rc, r.out) == (0, "0\n35\n35\n"), r
    assert r.err.count("alert access denied") == 2, r
    assert [d for d in decisions(r) if d[0] == "deny"] == [
        ("deny", "l7_sni_allowlist_miss", name("neighbour"))] * 2
    assert [f["destination"]["address"] for f in connections(r)
            if f["verdict"] == "deny"] == [WEB4, WEB6]
    cells.verified(r)
