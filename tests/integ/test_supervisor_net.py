# SPDX-License-Identifier: MIT OR Apache-2.0
"""cellos-supervisor and the network: what it says of declared egress, of the
filter and of each way out, as the original's own suite looks for it."""
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from conftest import SLACK
from door_clients import HERE
from door_harness import PYTHON, name
from supervisor_harness import EXE, Done, Supervisor, document
from test_door_vectors import tls
from world_files import DNS4, OWN4

FULL = None
NET = {"CELLOS_SUBPROCESS_UNSHARE": "net"}
# With a network namespace: under portable it must be asked for.
NETS = pytest.mark.parametrize("net", [
    {"profile": FULL}, {"profile": "portable", **NET}],
    ids=["full", "portable"])
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-"
                   r"[0-9a-f]{12}")
IDS = {"keysetId": "cellos:builtin-v0"}
RESOLVER = {**IDS, "issuerKid": "cellos-local-resolve-v0"}
L7 = {**IDS, "issuerKid": "cellos-local-l7-v0"}
TIME_A = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")
TIME_B = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def sup(tmp_path):
    return Supervisor(tmp_path)


def spec(argv=("/bin/true",), egress=None, dns=None, **more):
    authority = {"secretRefs": []}
    if egress is not None:
        authority["egressRules"] = egress
    if dns is not None:
        authority["dnsAuthority"] = dns
    return document(argv, authority=authority, **more)


def rule(host, port=443, protocol=None):
    return {"host": host, "port": port,
            **({"protocol": protocol} if protocol else {})}


def digest(sup):
    """Of the document in its canonical form, as another event has it."""
    return sup.data("homeostasis")["specHash"]


def without(data, *names, uuid=None, time=None):
    """The rest; what was taken out is of its form."""
    data = dict(data)
    if uuid:
        assert UUID4.fullmatch(data.pop(uuid))
    for name, form in (time or {}).items():
        assert form.fullmatch(data.pop(name))
    for name in names:
        del data[name]
    return data


# -- what is declared -----------------------------------------------------

TLS_RULE = [rule("example.com", 443, "tls")]
OF_RULE = {"cellId": "t-1", "specId": "t-1", "runId": "run-local-001"}


@pytest.mark.parametrize("env", [{}, {"CELLOS_TRUST_PLANE_EVENTS": "1"},
                                 {"CELLOS_TRUST_PLANE_EVENTS": " "}])
@NETS
def test_trust_plane_events(sup, net, env):
    d = sup.run(spec(egress=TLS_RULE), **net, **env)
    assert d.code == 0, d.err
    assert d.data("network_scope") == {
        **OF_RULE, "egressRuleCount": 1, "hasOpaqueNetworkAuthority": False}
    assert without(d.data("dns_target_set"), time={"updatedAt": TIME_A}) == {
        **OF_RULE, **RESOLVER, "currentDigest": digest(d),
        "fqdn": "declared-egress.trust.cellos.internal",
        "previousDigest": "empty", "reason": "refresh"}
    assert without(d.data("l7_egress_decision"), uuid="decisionId") == {
        **OF_RULE, **L7, "action": "allow", "policyDigest": digest(d),
        "reasonCode": "egress_declared_allowlist",
        "ruleRef": "authority.egressRules[0]", "sniHost": "example.com"}
    assert d.all("dns_resolution") == []
    order = [t for t in d.types() if t in (
        "network_scope", "dns_target_set", "l7_egress_decision", "started",
        "network_policy", "network_enforcement", "completed")]
    assert order == ["network_scope", "dns_target_set", "l7_egress_decision",
                     "started", "network_policy", "network_enforcement",
                     "completed"]


@pytest.mark.parametrize("word", ["0", "false", "NO", " off "])
def test_trust_plane_off(sup, word):
    d = sup.run(spec(egress=TLS_RULE), CELLOS_TRUST_PLANE_EVENTS=word,
                CELLOS_RESOLVE_EGRESS_DNS="1")
    assert d.code == 0
    for t in ("dns_target_set", "l7_egress_decision", "dns_resolution"):
        assert d.all(t) == []


def test_trust_plane_ids(sup):
    """Used as they are, even empty."""
    d = sup.run(spec(egress=TLS_RULE), CELLOS_TRUST_KEYSET_ID="k",
                CELLOS_TRUST_RESOLVER_KID="", CELLOS_TRUST_L7_KID="l 7")
    assert d.data("dns_target_set")["keysetId"] == "k"
    assert d.data("dns_target_set")["issuerKid"] == ""
    assert d.data("l7_egress_decision")["issuerKid"] == "l 7"
    assert d.data("l7_egress_decision")["keysetId"] == "k"


def test_resolved_by_the_host(sup):
    rules = [rule("192.0.2.10"), rule("2001:db8::1", 80),
             rule("nobody.invalid")]
    d = sup.run(spec(egress=rules), CELLOS_RESOLVE_EGRESS_DNS="yes")
    assert d.code == 0, d.err
    got = [without(e, time={"resolvedAt": TIME_A})
           for e in d.all("dns_resolution")]
    common = {**OF_RULE, **RESOLVER, "policyDigest": digest(d)}
    assert got == [
        {**common, "fqdn": "192.0.2.10",
         "receiptId": "rcp-run-local-001-192.0.2.10", "ttlSeconds": 300,
         "targets": [{"address": "192.0.2.10", "family": "inet",
                      "port": 443}]},
        {**common, "fqdn": "2001:db8::1",
         "receiptId": "rcp-run-local-001-2001:db8::1", "ttlSeconds": 300,
         "targets": [{"address": "2001:db8::1", "family": "inet6",
                      "port": 80}]},
        {**common, "fqdn": "nobody.invalid",
         "receiptId": "rcp-run-local-001-nobody.invalid", "ttlSeconds": 0,
         "targets": []}]
    assert [t for t in d.types() if t in (
        "dns_resolution", "l7_egress_decision")] == [
            "l7_egress_decision", "dns_resolution"] * 3


# In a network of its own, whose one name server says what it is asked, and
# never answers; the runner follows.
SILENT = """
import os, select, socket, struct, sys
control, told = int(sys.argv[1]), int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 53))
if os.fork():
    os.closerange(3, 256)
    os.execv(sys.argv[3], sys.argv[3:])
os.closerange(0, 3)
while select.select([s, control], [], [])[0] == [s]:
    os.write(told, s.recv(512)[12:].split(b"\\0")[0] + b"\\n")
"""


@pytest.fixture
def silent(sup):
    """popen(document): a supervisor, and what its name server was asked."""
    (sup.tmp / "silent.py").write_text(SILENT)
    (sup.tmp / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (sup.tmp / "hosts").write_text("192.0.2.7 known.example\n"
                                   "2001:db8::7 known.example\n")
    control, hold = os.pipe()
    asked, told = os.pipe()

    def popen(text, **env):
        script = ("ip link set lo up && mount --bind resolv.conf "
                  "/etc/resolv.conf && mount --bind hosts /etc/hosts && "
                  "exec %s silent.py %d %d %s %s" % (
                      PYTHON, control, told, EXE, sup.spec(text)))
        user = ["-U", "-r"] if os.getuid() else []
        return subprocess.Popen(
            ["unshare", *user, "-n", "-m", "sh", "-c", script],
            env=sup.env(CELLOS_RESOLVE_EGRESS_DNS="1", **env),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=sup.tmp, pass_fds=(control, told))

    yield popen, os.fdopen(asked, "rb")
    for fd in (control, hold, told):
        os.close(fd)


def test_a_resolver_that_does_not_answer_has_three_seconds(sup, silent):
    popen, asked = silent
    rules = [rule("192.0.2.0/24"), rule("192.0.2.10"),
             rule("known.example"), rule("slow.example")]
    p = popen(spec(egress=rules))
    start = asked.readline() and time.monotonic()
    d = sup.finish(p)
    took = time.monotonic() - start
    assert d.code == 0, d.err
    assert [(e["fqdn"], sorted(t["address"] for t in e["targets"]))
            for e in d.all("dns_resolution")] == [
                ("192.0.2.0/24", []), ("192.0.2.10", ["192.0.2.10"]),
                ("known.example", ["192.0.2.7", "2001:db8::7"]),
                ("slow.example", [])]
    assert 2.5 < took < 3 + 3 * SLACK


@pytest.mark.parametrize("sig", ["TERM", "INT", "HUP"])
def test_a_lookup_ends_with_the_run(sup, silent, sig):
    popen, asked = silent
    p = popen(spec(egress=[rule("slow.example"), rule("other.example")]))
    assert asked.readline() == b"\x04slow\x07example\n"
    p.send_signal(getattr(signal, "SIG" + sig))
    start = time.monotonic()
    d = sup.finish(p)
    assert time.monotonic() - start < 2 * SLACK
    assert (d.code, d.reason) == (1, "runner received SIG" + sig)
    assert [e["fqdn"] for e in d.all("dns_resolution")] == ["slow.example"]
    assert d.all("process_spawned") == []
    assert d.data("destroyed")["reason"] == d.reason


# -- the observed gate ----------------------------------------------------

THREE = ["a.example.com", "b.example.com", "c.example.com"]


def resolver(endpoint, protocol="do53-udp", n=1):
    return {"resolverId": f"r{n}", "endpoint": endpoint, "protocol": protocol}


@NETS
def test_l7_gate_allowlist(sup, net):
    d = sup.run(spec(dns={"hostnameAllowlist": THREE,
                          "resolvers": [resolver("10.10.0.53:53")]}),
                CELLOS_L7_GATE_OBSERVABILITY="1",
                CELLOS_TRUST_PLANE_EVENTS="0", **net)
    assert d.code == 0, d.err
    got = [without(e, uuid="decisionId") for e in d.all("l7_egress_decision")]
    assert got == [{
        **OF_RULE, **L7, "action": "allow", "policyDigest": digest(d),
        "reasonCode": "hostname_allowlist_evaluated", "sniHost": host,
        "ruleRef": f"authority.dnsAuthority.hostnameAllowlist[{i}]"}
        for i, host in enumerate(THREE)]


@pytest.mark.parametrize("endpoint, denied", [
    ("10.10.0.53:53", True), ("8.8.8.8:53", False)])
def test_l7_gate_direct_dns(sup, endpoint, denied):
    dns = {"blockDirectWorkloadDns": True, "resolvers": [resolver(endpoint)]}
    d = sup.run(spec(egress=[rule("8.8.8.8", 53)], dns=dns),
                CELLOS_L7_GATE_OBSERVABILITY="1",
                CELLOS_TRUST_PLANE_EVENTS="0")
    assert d.code == 0, d.err
    got = [without(e, uuid="decisionId") for e in d.all("l7_egress_decision")]
    assert got == ([{
        **OF_RULE, **L7, "action": "deny", "policyDigest": digest(d),
        "reasonCode": "workload_direct_dns_blocked", "sniHost": "8.8.8.8",
        "ruleRef": "authority.egressRules[0]"}] if denied else [])


@pytest.mark.parametrize("dns", [
    {"hostnameAllowlist": THREE},
    {"blockDirectWorkloadDns": True,
     "resolvers": [resolver("10.10.0.53:53")]}])
def test_l7_gate_default_off(sup, dns):
    d = sup.run(spec(egress=[rule("8.8.8.8", 53)], dns=dns))
    assert [e["reasonCode"] for e in d.all("l7_egress_decision")] == \
        ["egress_declared_allowlist"]


# -- policy and enforcement -----------------------------------------------

TWO = [rule("192.0.2.10"), rule("192.0.2.11", 80, "tcp")]


@pytest.mark.parametrize("egress", [None, [], TWO],
                         ids=["absent", "empty", "two"])
@NETS
def test_network_policy(sup, net, egress):
    d = sup.run(spec(egress=egress), **net)
    assert d.code == 0, d.err
    n = len(egress or [])
    assert d.data("network_policy") == {
        **OF_RULE, "isolationMode": "clone_newnet", "declaredEgressCount": n,
        "declaredEgress": [{**r, "protocol": r.get("protocol")}
                           for r in egress or []]}
    # rules are loaded only where there is a way out
    assert d.data("network_enforcement") == {
        **OF_RULE, "isolationMode": "clone_newnet", "commandExitCode": 0,
        "declaredEgressRuleCount": n, "nftRulesApplied": n > 0,
        "supplementaryEgressFilterActive": n > 0}


def test_without_a_network_namespace(sup):
    """portable and not asked for: nothing is said of a filter, for none is
    there, but that nothing is enforced."""
    d = sup.run(spec(egress=TWO))
    assert d.code == 0
    assert d.all("network_policy") == d.all("network_enforcement") == []
    assert "egress is not enforced: the command is in the host's network" \
        in d.err
    items = {i["name"]: i for i in d.data("enforcement")["items"]}
    assert items["egress"] == {"name": "egress", "asked": "2 rules",
                               "got": "the host's network", "enforced": False}


CONNECT = """if True:
    import socket, sys
    s = socket.socket()
    s.settimeout(10)
    sys.exit(s.connect_ex((sys.argv[1], int(sys.argv[2]))))
    """


@pytest.mark.parametrize("egress", [None, [rule("192.0.2.99", 8443)]],
                         ids=["no door", "door"])
@NETS
def test_network_blocked(sup, net, egress):
    """Neither the host's loopback nor anything outside: ENETUNREACH where
    there is no way at all, ECONNREFUSED from the door."""
    said = 111 if egress else 101
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        for host, p, errno in (("127.0.0.1", port, 111),
                               ("192.0.2.1", 443, said)):
            d = sup.run(spec([PYTHON, "-c", CONNECT, host, str(p)], egress),
                        **net)
            assert d.code == 1
            assert d.data("completed")["exitCode"] == errno, d.err
            got = d.data("network_enforcement")
            assert got["commandExitCode"] == errno
            assert got["declaredEgressRuleCount"] == (1 if egress else 0)


def test_spawn_error_is_in_the_enforcement(sup):
    d = sup.run(spec(["/nonexistent/program"], egress=TWO), profile=FULL)
    assert d.code == 1
    got = d.data("network_enforcement")
    assert got["spawnError"] == ("spec.run spawn failed: No such file or "
                                 "directory (os error 2)")
    assert got["commandExitCode"] == -1
    assert got["nftRulesApplied"] is True


# -- rows after the command -----------------------------------------------

ROWS = {"CELLOS_PER_FLOW_ENFORCEMENT_EVENTS": "1"}


def rows(d):
    """They are all of one moment."""
    got = d.all("network_flow_decision")
    assert len({e["observedAt"] for e in got}) <= 1
    return [without(e, uuid="decisionId", time={"observedAt": TIME_B})
            for e in got]


def deny(d, reason, ref, packets=0, **more):
    return {"cellId": "t-1", "runId": "run-local-001", "direction": "egress",
            "decision": "deny", "reasonCode": reason, "nftRuleRef": ref,
            "packetCount": packets, "byteCount": 0, "schemaVersion": "1.0.0",
            "policyDigest": digest(d), **RESOLVER, **more}


def default_drop(d, packets=0):
    return deny(d, "nft_default_drop", "default-drop", packets)


@pytest.mark.parametrize("value", [None, "true", " 1", "0", ""])
def test_per_flow_silent(sup, value):
    """On only if it is exactly 1."""
    d = sup.run(spec(egress=[rule("10.0.0.1")]), profile=FULL,
                CELLOS_PER_FLOW_ENFORCEMENT_EVENTS=value)
    assert d.code == 0
    assert d.all("network_flow_decision") == []
    assert d.data("network_enforcement")["nftRulesApplied"] is True


@NETS
def test_per_flow_emit(sup, net):
    d = sup.run(spec(egress=[rule("10.0.0.1")]), **ROWS, **net)
    assert d.code == 0, d.err
    assert rows(d) == [default_drop(d)]
    assert d.types().index("network_enforcement") < \
        d.types().index("network_flow_decision") < d.types().index("completed")


def test_per_flow_needs_a_filter(sup):
    assert sup.run(spec(), profile=FULL, **ROWS).all(
        "network_flow_decision") == []
    assert sup.run(spec(egress=[rule("10.0.0.1")]), **ROWS).all(
        "network_flow_decision") == []


@NETS
def test_per_flow_counts_what_was_refused(sup, net):
    """Two refused connections: one row, their number."""
    code = ("import socket\n" + "assert socket.socket().connect_ex("
            "('192.0.2.1', 81)) == 111\n" * 2)
    d = sup.run(spec([PYTHON, "-c", code], egress=[rule("10.0.0.1")]),
                **ROWS, **net)
    assert d.code == 0, d.err
    assert rows(d) == [default_drop(d, 2)]


@NETS
def test_per_flow_dns_block(sup, net):
    d = sup.run(spec(egress=[rule("10.0.0.1")],
                     dns={"blockDirectWorkloadDns": True}), **ROWS, **net)
    assert d.code == 0, d.err
    assert rows(d) == [
        deny(d, "nft_workload_dns_block", "dnsAuthority.workloadDnsBlock",
             dstPort=53, protocol=p) for p in ("udp", "tcp")] + [
        default_drop(d)]


DOH = {"resolverId": "r1", "endpoint": "https://1.1.1.1:443/dns-query",
       "protocol": "doh"}
# The filter answers a datagram at once: the call that sends it fails.
SEND = """if True:
    import socket, sys
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("192.0.2.1", int(sys.argv[1])))
    try:
        s.send(b"x")
        sys.exit(9)
    except PermissionError:
        pass
    """
BLOCKS = {"blockUdpDoq": ("nft_doq_blocked", 853),
          "blockUdpHttp3": ("nft_http3_blocked", 443)}


@pytest.mark.parametrize("flag", sorted(BLOCKS))
@NETS
def test_doq_and_http3_block(sup, net, flag):
    """The row of the original has a resolver over HTTP: refused so far. What
    it shows of the block itself holds without."""
    d = sup.run(spec(dns={flag: True, "resolvers": [DOH]}), **ROWS, **net)
    assert (d.code, d.events) == (1, [])
    assert d.reason.startswith("/spec/authority/dnsAuthority/resolvers/0/"
                               "protocol is not supported by this build: ")
    reason, port = BLOCKS[flag]
    d = sup.run(spec([PYTHON, "-c", SEND, str(port)], egress=[rule("10.0.0.1")],
                     dns={flag: True}), **ROWS, **net)
    assert d.code == 0, d.err
    assert rows(d) == [
        deny(d, reason, f"dnsAuthority.{flag}", 1, dstPort=port,
             protocol="udp"), default_drop(d)]


# -- in real time ---------------------------------------------------------

@pytest.mark.parametrize("switch", ["CELLOS_FIRECRACKER_PER_FLOW_EBPF",
                                  "CELLOS_PER_FLOW_REALTIME"])
@NETS
def test_per_flow_realtime(sup, net, switch):
    d = sup.run(spec([PYTHON, "-c", SEND, "7"], egress=[rule("10.0.0.1")]),
                **{switch: "1"}, **net)
    assert d.code == 0, d.err
    e, = d.all("network_flow_decision")
    assert without(e, uuid="decisionId", time={"observedAt": TIME_A}) == {
        "cellId": "t-1", "runId": "run-local-001", "direction": "egress",
        "decision": "deny", "reasonCode": "nft_log_drop", "protocol": "udp",
        "dstAddr": "192.0.2.1", "dstPort": 7, "schemaVersion": "1.0.0"}
    home = d.data("homeostasis")
    assert home["exercisedEgressConnections"] == 0
    assert "exercisedEgressReason" not in home
    assert home["authorityEfficiency"] == 0.0
    assert d.all("homeostasis_violation") == []


@pytest.mark.parametrize("value", ["true", "01", " 1"])
def test_per_flow_realtime_is_exact(sup, value):
    d = sup.run(spec([PYTHON, "-c", SEND, "7"], egress=[rule("10.0.0.1")]),
                profile=FULL, CELLOS_PER_FLOW_REALTIME=value)
    assert d.code == 0 and d.all("network_flow_decision") == []
    home = d.data("homeostasis")
    assert home["exercisedEgressConnections"] is None
    assert home["exercisedEgressReason"] == "telemetry_pending_L2-04"
    assert home["authorityEfficiency"] == 1.0


@NETS
def test_realtime_without_a_way_out(sup, net):
    """No egress: nothing can be exercised, and that is known. So the ping of
    the original's row leaves no event."""
    d = sup.run(spec([PYTHON, "-c", CONNECT, "192.0.2.1", "7"]),
                CELLOS_PER_FLOW_REALTIME="1", **net)
    assert d.data("completed")["exitCode"] == 101
    assert d.all("network_flow_decision") == []
    home = d.data("homeostasis")
    assert home["exercisedEgressConnections"] == 0
    assert "exercisedEgressReason" not in home


def test_realtime_without_a_network_namespace(sup):
    """Nobody counts on the host's own network."""
    d = sup.run(spec(egress=TWO), CELLOS_PER_FLOW_REALTIME="1")
    assert d.code == 0
    assert d.data("homeostasis")["exercisedEgressConnections"] is None


# -- what was let through: a server of the world -------------------------

TWICE = """if True:
    import socket, sys
    for i in range(2):
        s = socket.create_connection((sys.argv[1], 8080), 10)
        s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        assert s.recv(4096)
    """
REQUEST = len("GET / HTTP/1.0\r\n\r\n")
OUT = [rule("203.0.113.77", 81), rule(OWN4, 8080, "tcp")]


def run_twice(sup, world, net, **env):
    return run_on(world.need("http").host("dual"), sup,
                  spec([PYTHON, "-c", TWICE, OWN4], egress=OUT), **net, **env)


@NETS
def test_per_flow_allowed(sup, world, net):
    """A rule that nothing used has no row."""
    d = run_twice(sup, world, net, **ROWS)
    assert d.code == 0, d.err
    assert rows(d) == [{
        "cellId": "t-1", "runId": "run-local-001", "direction": "egress",
        "decision": "allow", "reasonCode": "nft_egress_rule_match",
        "nftRuleRef": "authority.egressRules[1]", "dstAddr": OWN4,
        "dstPort": 8080, "protocol": "tcp", "packetCount": 2,
        "byteCount": 2 * REQUEST, "schemaVersion": "1.0.0",
        "policyDigest": digest(d), **RESOLVER}, default_drop(d)]


@NETS
def test_per_flow_realtime_allowed(sup, world, net):
    d = run_twice(sup, world, net, CELLOS_PER_FLOW_REALTIME="1")
    assert d.code == 0, d.err
    got = [without(e, uuid="decisionId", time={"observedAt": TIME_A})
           for e in d.all("network_flow_decision")]
    assert got == [{
        "cellId": "t-1", "runId": "run-local-001", "direction": "egress",
        "decision": "allow", "reasonCode": "nft_log_accept",
        "protocol": "tcp", "dstAddr": OWN4, "dstPort": 8080,
        "schemaVersion": "1.0.0"}] * 2
    home = d.data("homeostasis")
    assert (home["declaredEgressRules"], home["exercisedEgressConnections"],
            home["authorityEfficiency"]) == (2, 2, 1.0)
    assert d.all("homeostasis_violation") == []     # equality is none


@NETS
def test_homeostasis_violation(sup, world, net):
    """More connections than rules, in the original's count of them."""
    d = run_on(world.need("http").host("dual"), sup,
               spec([PYTHON, "-c", TWICE, OWN4], egress=OUT[1:]),
               CELLOS_FIRECRACKER_PER_FLOW_EBPF="1", **net)
    assert d.code == 0, d.err
    assert d.data("homeostasis_violation") == {
        "cellId": "t-1", "declaredEgressRuleCount": 1,
        "exercisedEgressConnections": 2, "overage": 1,
        "severity": "critical", "specHash": digest(d)}
    assert d.types()[-4:] == ["summary", "homeostasis",
                              "homeostasis_violation", "destroyed"]


# -- the proxies, end to end: in a network namespace of the test's own ----

STUB = """if True:
    import socket, sys
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", int(sys.argv[1])))
    print("up", flush=True)
    while True:
        q, a = s.recvfrom(512)
        end = q.index(b"\\0", 12) + 5
        s.sendto(q[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + q[12:end] +
                 b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4" +
                 socket.inet_aton("198.51.100.10"), a)
    """


@pytest.fixture
def upstream(world):
    """A name server at 127.0.0.1:53053 of a host of the world."""
    host = world.host("dual")
    host.owner("ip", "link", "set", "lo", "up")
    p = subprocess.Popen([*host.enter, PYTHON, "-c", STUB, "53053"],
                         stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "up\n"
    yield host
    p.kill()
    p.communicate()


def run_on(host, sup, text, profile=FULL, **env):
    sup.spec(text)
    if sup.journal.exists():
        sup.journal.unlink()
    p = subprocess.run([*host.enter, str(EXE), str(sup.tmp / "spec.json")],
                       env=sup.env(profile=profile, **env),
                       stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=60 * SLACK, cwd=sup.tmp, check=False)
    return Done(p.returncode, p.stdout.decode(), p.stderr.decode(),
                sup.journal)


ASK = """if True:
    import socket, struct
    for t in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        for host in ("api.example.com", "evil.example.com"):
            s = socket.socket(socket.AF_INET, t)
            s.settimeout(10)
            s.connect(("127.0.0.1", 53053))
            q = struct.pack("!6H", 7, 256, 1, 0, 0, 0) + b"".join(
                bytes([len(x)]) + x.encode() for x in host.split(".")) + \
                b"\\0\\0\\1\\0\\1"
            if t == socket.SOCK_STREAM:
                s.send(struct.pack("!H", len(q)) + q)
                a = s.recv(4096)[2:]
            else:
                s.send(q)
                a = s.recv(4096)
            print(host, a[3] & 15)
    """
API = {"hostnameAllowlist": ["api.example.com"],
       "resolvers": [resolver("127.0.0.1:53053")]}


@NETS
def test_dns_proxy_end_to_end(sup, upstream, net):
    d = run_on(upstream, sup, spec([PYTHON, "-c", ASK], dns=API),
               CELLOS_DNS_PROXY="1", **net)
    assert (d.code, d.out) == (0, "api.example.com 0\nevil.example.com 5\n"
                               * 2), d.err
    got = [without(e, uuid="queryId", time={"observedAt": TIME_B})
           for e in d.all("dns_query")]
    common = {"cellId": "t-1", "runId": "run-local-001", **RESOLVER,
              "schemaVersion": "1.0.0", "policyDigest": digest(d),
              "queryType": "A"}
    asked, refused, cached, again = got
    assert asked.pop("upstreamLatencyMs") < 10000 * SLACK
    allowed = {**common, "queryName": "api.example.com", "decision": "allow",
               "reasonCode": "allowed_by_allowlist", "responseRcode": 0,
               "responseTargetCount": 1}
    assert asked == {**allowed, "upstreamResolverId": "r1"}
    assert refused == again == {
        **common, "queryName": "evil.example.com", "decision": "deny",
        "reasonCode": "denied_not_in_allowlist", "responseRcode": 5,
        "responseTargetCount": 0}
    assert cached == allowed
    queries = [t for t in d.types() if "query" in t]
    assert queries == ["query_permitted", "dns_query", "dns_query",
                       "query_refused"] * 2
    assert d.data("network_enforcement")["declaredEgressRuleCount"] == 0
    assert d.data("network_enforcement")[
        "supplementaryEgressFilterActive"] is False


def test_dns_proxy_is_off_by_default(sup, upstream):
    code = ASK.replace("for t in (socket.SOCK_DGRAM, socket.SOCK_STREAM)",
                       "for t in (socket.SOCK_STREAM,)")
    d = run_on(upstream, sup, spec([PYTHON, "-c", code], dns=API))
    assert d.code == 1 and "ConnectionRefusedError" in d.err
    assert d.all("dns_query") == []


@NETS
def test_dns_proxy_skipped(sup, upstream, net):
    """A resolver that is no address: under portable it is not asked, as in
    the original; elsewhere the document is refused."""
    d = run_on(upstream, sup, spec(
        dns={**API, "resolvers": [resolver("not-an-ip:53")]}),
        CELLOS_DNS_PROXY="1", **net)
    assert d.all("dns_query") == []
    if net["profile"] == "portable":
        assert d.code == 0, d.err
    else:
        assert (d.code, d.events) == (1, [])
        assert "/dnsAuthority/resolvers/0/endpoint" in d.reason


HELLO_EVIL = "evil.example.com"
PROXY = """if True:
    import socket, ssl
    def dial():
        return socket.create_connection(("127.0.0.1", PORT), 10)
    c = ssl.create_default_context()
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    def tls(host):
        try:
            c.wrap_socket(dial(), server_hostname=host)
        except (ssl.SSLError, OSError) as e:
            pass
    def http(host):
        s = dial()
        s.send(b"GET / HTTP/1.1\\r\\nHost: " + host.encode() +
               b"\\r\\nConnection: close\\r\\n\\r\\n")
        print(s.recv(4096).split(b"\\r\\n")[0].decode())
    tls("evil.example.com")
    http("evil.example.com")
    """


@pytest.mark.parametrize("bind", [None, "127.0.0.1:9443", "[::1]:8443"])
@NETS
def test_sni_proxy_end_to_end(sup, upstream, net, bind):
    code = PROXY.replace("PORT", (bind or ":8443").rsplit(":", 1)[1])
    if bind == "[::1]:8443":
        code = code.replace("127.0.0.1", "::1")
    d = run_on(upstream, sup, spec([PYTHON, "-c", code], dns=API),
               CELLOS_SNI_PROXY="1", CELLOS_SNI_PROXY_BIND=bind, **net)
    assert d.code == 0, d.err
    assert "403" in d.out
    got = [without(e, uuid="decisionId") for e in d.all("l7_egress_decision")]
    assert got == [{
        "cellId": "t-1", "runId": "run-local-001",
        "specId": "sni-proxy/t-1/run-local-001", **L7, "action": "deny",
        "policyDigest": digest(d), "reasonCode": reason,
        "sniHost": HELLO_EVIL}
        for reason in ("l7_sni_allowlist_miss",
                       "l7_http_host_allowlist_miss")]


def test_sni_proxy_allows(sup, world):
    """An allowed name that is shown there is dialled where it resolves."""
    world.need("nginx", "unbound")
    host = world.host("dual")
    allowed = name("allowed")
    d = run_on(host, sup, spec(
        ["/bin/sh", "-c", f"getent hosts {allowed} >&2; "
         f"curl -sSk --connect-to ::127.0.0.1:8443 "
         f"https://{allowed}:443/ https://{name('evil')}:443/"],
        egress=[rule(allowed, 443, "tls")],
        dns={"hostnameAllowlist": [allowed], "resolvers": [resolver(f"{DNS4}:53")]}),
        CELLOS_SNI_PROXY="1")
    assert d.out == HERE, d.err
    got = [(e["action"], e["reasonCode"], e["sniHost"])
           for e in d.all("l7_egress_decision") if "/" in e["specId"]]
    assert got == [("allow", "l7_sni_allowlist_match", allowed),
                   ("deny", "l7_sni_allowlist_miss", name("evil"))], d.err


# What a command runs itself is what the overrides name: both in the cell.
INSIDE = """if True:
    import socket, threading
    up = [threading.Event(), threading.Event()]
    def dns():
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.bind(("127.0.0.1", 53054))
        up[0].set()
        while True:
            d, a = u.recvfrom(2000)
            q = d[12:d.index(b"\\0", 12) + 5]
            u.sendto(d[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + q +
                     b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\xcb\\0\\x71\\5", a)
    def web():
        s = socket.create_server(("127.0.0.1", 9443))
        up[1].set()
        while True:
            c, _ = s.accept()
            got = c.recv(4096)
            c.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n" if
                   got[:1] == b"G" else b"seen")
            c.close()
    for f in dns, web:
        threading.Thread(target=f, daemon=True).start()
    for e in up:
        e.wait()
    def query(name):
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.settimeout(10)
        u.connect(("127.0.0.1", 53053))
        u.send(b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + b"".join(
            bytes([len(p)]) + p.encode() for p in name.split(".")) +
            b"\\0\\0\\1\\0\\1")
        return u.recv(2000)
    def say(b):
        c = socket.create_connection(("127.0.0.1", 8443), 10)
        c.send(b)
        return c.recv(4096)
    host = lambda n: b"GET / HTTP/1.1\\r\\nHost: " + n + b"\\r\\n\\r\\n"
    r = query("api.example.com")
    print(r[3] & 15, r[-4:].hex(), query("evil.example.com")[3] & 15)
    """


def told(d, *members):
    return [tuple(e[m] for m in members) for e in d.all("dns_query")]


@NETS
def test_overrides_lead_into_the_cell(sup, net):
    """The gate is outside of it: pid 1 makes the sockets."""
    code = INSIDE + """
    hello = bytes.fromhex("HELLO")
    print(say(hello), say(host(b"api.example.com"))[:15],
          say(host(b"evil.example.com"))[:12])
    """.replace("HELLO", tls("api.example.com").hex())
    d = sup.run(spec([PYTHON, "-c", code], dns={
        **API, "resolvers": [resolver("127.0.0.1:53053")]}),
        CELLOS_DNS_PROXY="1", CELLOS_SNI_PROXY="1",
        CELLOS_DNS_PROXY_UPSTREAM_OVERRIDE="127.0.0.1:53054",
        CELLOS_SNI_PROXY_UPSTREAM_OVERRIDE="127.0.0.1:9443", **net)
    assert d.out == ("0 cb007105 5\n"
                     "b'seen' b'HTTP/1.1 200 OK' b'HTTP/1.1 403'\n"), d.err
    assert told(d, "decision", "reasonCode", "responseRcode") == [
        ("allow", "allowed_by_allowlist", 0),
        ("deny", "denied_not_in_allowlist", 5)]
    got = [(e["action"], e["reasonCode"]) for e in d.all("l7_egress_decision")]
    assert got == [("allow", "l7_sni_allowlist_match"),
                   ("allow", "l7_http_host_allowlist_match"),
                   ("deny", "l7_http_host_allowlist_miss")]


def test_overrides_for_more_than_was_made_beforehand(sup):
    """Connections beyond the first sockets: more are asked of pid 1."""
    code = INSIDE + """
    print({say(host(b"api.example.com"))[:15] for i in range(200)})
    """
    d = sup.run(spec([PYTHON, "-c", code], dns={
        **API, "resolvers": [resolver("127.0.0.1:53053")]}), profile=FULL,
        CELLOS_DNS_PROXY="1", CELLOS_SNI_PROXY="1",
        CELLOS_DNS_PROXY_UPSTREAM_OVERRIDE="127.0.0.1:53054",
        CELLOS_SNI_PROXY_UPSTREAM_OVERRIDE="127.0.0.1:9443")
    assert d.out.splitlines()[1] == "{b'HTTP/1.1 200 OK'}", d.err


@pytest.mark.parametrize("switch", ["CELLOS_DNS_PROXY_UPSTREAM_OVERRIDE",
                                    "CELLOS_SNI_PROXY_UPSTREAM_OVERRIDE"])
def test_override_must_be_an_endpoint(sup, switch):
    d = sup.run(spec(dns=API), profile=FULL, CELLOS_DNS_PROXY="1",
                CELLOS_SNI_PROXY="1", **{switch: "localhost:53"})
    assert (d.code, d.events) == (1, [])
    assert d.reason.startswith(f'{switch}: "localhost:53" is not an address')


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.0.0.1:0", "nowhere:1",
                                  "::1:8443", "127.0.0.1:70000", ""])
def test_sni_bind_must_be_an_endpoint(sup, bind):
    d = sup.run(spec(dns=API), profile=FULL, CELLOS_SNI_PROXY="1",
                CELLOS_SNI_PROXY_BIND=bind)
    assert (d.code, d.events) == (1, [])
    assert d.reason.startswith("CELLOS_SNI_PROXY_BIND: ")


# -- the resolver ticker --------------------------------------------------

def test_resolver_refresh_off(sup):
    d = sup.run(spec(dns={**API, "refreshPolicy": {"minTtlSeconds": 5}}),
                profile=FULL)
    assert d.code == 0
    assert "continuous resolver-refresh ticker spawned" not in d.err
    assert not [t for t in d.types() if t.startswith("dns_authority")]


def test_resolver_refresh_on_is_refused(sup):
    d = sup.run(spec(dns={**API, "refreshPolicy": {"minTtlSeconds": 5}}),
                profile=FULL, CELLOS_DNS_AUTHORITY_REFRESH="1",
                CELLOS_DNS_AUTHORITY_CONTINUOUS="1")
    assert (d.code, d.events) == (1, [])
    assert d.reason.startswith("CELLOS_DNS_AUTHORITY_REFRESH is not "
                               "supported by this build: ")
