# SPDX-License-Identifier: MIT OR Apache-2.0
"""cellos-supervisor from outside: command line, admission, events, texts."""
import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from conftest import processes
from supervisor_harness import (EXE, VECTOR_1, VECTOR_1_CANON, VECTOR_1_RAW,
                                Done, Supervisor, document)
from test_docs import env_rows

FULL = None     # CELLOS_DEPLOYMENT_PROFILE unset: a full cell
BOTH = pytest.mark.parametrize("profile", ["portable", FULL],
                               ids=["portable", "full"])


@pytest.fixture
def sup(tmp_path):
    return Supervisor(tmp_path)


# -- command line ---------------------------------------------------------

@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(sup, flag):
    d = sup.exec(flag, "ignored")
    assert (d.code, d.out) == (0, "cellos-supervisor 0.5.1\n")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_variable(sup, flag):
    d = sup.exec(flag, profile="no-such-profile")
    assert d.code == 0
    for name in ("CELLOS_RUN_DIR", "CELLOS_STATE_DIR", "RUST_LOG",
                 "CELLOS_SUBPROCESS_SECCOMP", "CELLOS_LIMIT_PIDS"):
        assert f"\n  {name}\n" in d.out


SUMMARY = """{
  "authorityKeysConfigured": false,
  "deploymentProfile": "portable",
  "eventSink": {
    "jsonlMirrorEnabled": true,
    "primary": "noop",
    "subject": "cellos.events.v1"
  },
  "export": {
    "defaultSink": "noop",
    "namedTargets": []
  },
  "hostBackend": "proprietary",
  "mode": "validate",
  "policyPackConfigured": false,
  "runId": "validate",
  "secretBroker": "memory",
  "specId": "demo-1",
  "specPath": "-",
  "specSha256": "%s"
}
""" % VECTOR_1_RAW


def test_validate_prints_exactly(sup):
    d = sup.exec("--validate", "-", stdin=VECTOR_1)
    assert (d.code, d.out, d.events) == (0, SUMMARY, [])


def test_validate_reads_every_switch(sup):
    spec = document(spec={"export": {"targets": [
        {"kind": "s3", "name": "bk", "bucket": "b"},
        {"kind": "s3", "name": "b2", "bucket": "b"}]}})
    d = sup.validate(spec, noop=False, journal=False,
                     CELLOS_AUTHORITY_KEYS_PATH="/nowhere",
                     CELLOS_POLICY_PACK_PATH="x", CELLOS_RUN_ID="r\"1",
                     CELLOS_CELL_BACKEND="gvisor", CELLOS_BROKER="file",
                     CELLOS_EXPORT_DIR="",
                     CELLOS_EVENTS_SUBJECT_TEMPLATE="a.{tenantId}.{spec_id}"
                                                    ".{run_id}")
    got = json.loads(d.out)
    assert d.code == 0
    assert '    "namedTargets": [\n      {\n        "kind": "s3",\n' \
           '        "name": "bk"\n      },\n      {\n' in d.out
    assert got["authorityKeysConfigured"] and got["policyPackConfigured"]
    assert got["eventSink"] == {
        "jsonlMirrorEnabled": False, "primary": "jetstream-or-noop-fallback",
        "subject": 'a._no_tenant_.t-1.r"1'}
    assert got["export"]["defaultSink"] == "local"
    assert (got["hostBackend"], got["secretBroker"], got["runId"]) == \
        ("gvisor", "file", 'r"1')


def test_validate_subject_of_tenant(sup):
    d = sup.validate(document(), CELLOS_TENANT_ID=" acme ",
                     CELL_OS_EVENTS_SUBJECT="x")
    assert json.loads(d.out)["eventSink"]["subject"] == \
        "cellos.events.acme.t-1.validate"


def test_validate_does_not_run(sup):
    mark = sup.tmp / "mark"
    d = sup.validate(document(["/usr/bin/touch", str(mark)]))
    assert d.code == 0 and '"mode": "validate"' in d.out
    assert not mark.exists()


def test_only_the_first_argument_selects(sup):
    d = sup.exec(sup.spec(document(["/bin/echo", "ran"])), "--validate")
    assert (d.code, d.out) == (0, "ran\n")


def test_path_defaults_to_the_example(sup):
    p = sup.tmp / "contracts" / "examples"
    p.mkdir(parents=True)
    (p / "execution-cell-minimal.valid.json").write_bytes(
        document(["/bin/echo", "default"]))
    assert sup.exec().out == "default\n"


def test_document_from_stdin(sup):
    d = sup.exec("-", stdin=document(["/bin/cat"]))
    assert (d.code, d.out) == (0, "")


@BOTH
def test_symlink_refused(sup, profile):
    sup.spec(document())
    (sup.tmp / "link.json").symlink_to("spec.json")
    d = sup.exec("link.json", profile=profile)
    assert d.code == 1 and d.events == []
    assert d.reason == "read cell spec link.json"
    assert "Caused by:\n    Too many levels of symbolic links (os error 40)" \
        in d.err


def test_syntax_error_has_the_outer_text(sup):
    d = sup.run(b"{")
    assert (d.code, d.reason) == (1, "parse ExecutionCellDocument")
    assert "\n\nCaused by:\n    " in d.err


@BOTH
def test_failed_check_names_its_class(sup, profile):
    bad = document().replace(b"ExecutionCell", b"PolicyPack")
    for d in (sup.run(bad, profile=profile),
              sup.validate(bad, profile=profile)):
        assert (d.code, d.out, d.events) == (1, "", [])
        assert d.reason.startswith(
            "invalid cell specification: unsupported kind: PolicyPack")


def test_secret_client_is_refused(sup):
    d = sup.exec("secret", "get", "K")
    assert d.code == 1 and "secret get <KEY> is not supported" in d.err
    d = sup.exec("secret", "put")
    assert d.code == 1 and "secret get <KEY>" in d.err


# -- profiles -------------------------------------------------------------

FORCE = "CELLOS_TEST_FORCE_MISSING_ISOLATION_PRIMITIVES"


@pytest.mark.parametrize("profile, forced, code, text", [
    (None, "unshare", 1, 'isolation primitives: ["unshare"]'),
    ("", "cgroupv2 , UNSHARE,unshare", 1,
     'isolation primitives: ["cgroup-v2", "unshare"]'),
    (" Hardened ", "*", 1,
     'isolation primitives: ["unshare", "seccomp", "cgroup-v2"]'),
    (None, "unshaer", 1, FORCE),
    (None, None, 0, "Hardened"),
    ("portable", "all", 0, "Portable"),
    ("portable", "unshaer", 0, "Portable"),
    (" PORTABLE", None, 0, "Portable"),
    ("harden", None, 1, 'unknown profile "harden"'),
    ("hardened", None, 1, "CELLOS_AUTHORITY_KEYS_PATH"),
])
def test_profile_matrix(sup, profile, forced, code, text):
    d = sup.validate(document(), profile=profile, **{FORCE: forced})
    assert d.code == code
    assert text in (d.reason if code else d.err)
    if code and profile != "hardened" and "unshaer" != forced \
            and profile != "harden":
        assert "host is missing isolation primitives" in d.reason


def test_profile_hardened_presets(sup):
    full = document(spec={"telemetry": {
        "channel": "vsock-cbor", "events": ["process.spawned"],
        "agentVersion": "1.0.0"}})
    keys = {"profile": "hardened", "CELLOS_AUTHORITY_KEYS_PATH": ""}
    d = sup.validate(full, **keys)
    assert d.code == 0 and '"deploymentProfile": "hardened"' in d.out
    assert "CELLOS_REQUIRE_TELEMETRY_DECLARED" in \
        sup.validate(document(), **keys).reason
    # strict is preset: an unknown member is an error
    d = sup.validate(full.replace(b'"spec":', b'"sepc":1,"spec":'), **keys)
    assert d.code == 1 and "/sepc" in d.reason
    d = sup.run(full, **keys)
    assert d.code == 1
    assert d.reason.startswith("CELLOS_AUTHORITY_KEYS_PATH is not supported")


# -- gates ----------------------------------------------------------------

def test_gate_derivation_before_telemetry(sup):
    refs = document(authority={"secretRefs": ["K"]})
    d = sup.validate(refs, CELLOS_REQUIRE_AUTHORITY_DERIVATION="0",
                     CELLOS_REQUIRE_TELEMETRY_DECLARED="")
    assert d.code == 1
    assert "CELLOS_REQUIRE_AUTHORITY_DERIVATION" in d.reason
    assert "authorityDerivation" in d.reason
    assert "spec.telemetry" not in d.reason
    d = sup.validate(document(), CELLOS_REQUIRE_AUTHORITY_DERIVATION="1",
                     CELLOS_REQUIRE_TELEMETRY_DECLARED="0")
    assert d.code == 1 and "spec.telemetry" in d.reason
    assert "CELLOS_REQUIRE_TELEMETRY_DECLARED" in d.reason


def test_gate_namespace(sup):
    placed = document(spec={"placement": {"kubernetesNamespace": "ns-a"}})
    d = sup.validate(placed, CELLOS_K8S_NAMESPACE=" ns-b ")
    assert d.code == 1 and "ns-a" in d.reason and "ns-b" in d.reason
    assert sup.validate(placed, CELLOS_K8S_NAMESPACE="ns-a").code == 0
    assert sup.validate(document(), CELLOS_K8S_NAMESPACE="ns-b").code == 0
    assert sup.validate(placed, CELLOS_K8S_NAMESPACE=" ").code == 0


def test_unknown_member_warns_or_refuses(sup):
    typo = document(timeotMs=5)
    d = sup.run(typo)
    assert d.code == 0
    assert "/spec/run/timeotMs" in d.err and "timeoutMs" in d.err
    d = sup.run(typo, CELLOS_STRICT_CONFIG="yes")
    assert d.code == 1 and d.events == []
    assert "/spec/run/timeotMs" in d.reason and "timeoutMs" in d.reason


def test_what_has_no_effect_says_so(sup):
    names = {r[0] for r in env_rows() if r[3] == "IGNORED"}
    assert names >= {
        "CELLOS_HOST_TELEMETRY_SIGN_HMAC_KEY",
        "CELLOS_HOST_TELEMETRY_SIGN_ED25519_SK",
        "CELLOS_DNS_AUTHORITY_TICK_INTERVAL_SECS",
        "CELLOS_DNS_UPSTREAM_DOT_SERVER", "CELLOS_DNS_UPSTREAM_DOT_PORT",
        "CELLOS_DNS_UPSTREAM_DOT_SNI", "CELLOS_DNS_UPSTREAM_DOH_URL",
        "CELLOS_DNS_UPSTREAM_DOQ_SERVER", "CELLOS_DNS_UPSTREAM_DOQ_PORT",
        "CELLOS_FIRECRACKER_PER_FLOW_BACKEND", "CELLOS_PER_FLOW_BACKEND",
        "CELLOS_FIRECRACKER_PER_FLOW_NFLOG_GROUP", "CELLOS_EBPF_OBJECT_PATH"}
    d = sup.run(document(), **{n: "http://x" for n in names})
    assert d.code == 0, d.err
    told = re.findall(r" WARN \S+: (\S+) has no effect in this build: .",
                      d.err)
    assert sorted(told) == sorted(names)


def test_text_of_a_document_is_no_line_of_the_log_or_of_an_error(sup):
    evil = "\x1b[31m\u009b\nError: é"
    shown = "/spec/run/\\u{1b}[31m\\u{9b}\\nError: é"
    d = sup.run(document(**{evil: 1}))
    assert d.code == 0
    line, = [s for s in d.err.splitlines() if "unknown member" in s]
    # the quotes of the log have their own form for control bytes
    assert line.endswith('unknown member "%s" is ignored' % shown.replace(
        "\\u{1b}", "\\x1b").replace("\\n", "\\x0a"))
    d = sup.run(document(**{evil: 1}), CELLOS_STRICT_CONFIG="1")
    assert d.code == 1
    assert d.err.splitlines()[-1] == (
        "Error: invalid cell specification: %s is not a known member" % shown)


def test_grace_bound_outside_portable(sup):
    long = document(limits={"gracefulShutdownSeconds": 121})
    d = sup.run(long, profile=FULL)
    assert d.code == 1 and d.events == []
    assert "/spec/run/limits/gracefulShutdownSeconds" in d.reason
    assert sup.run(long).code == 0


# -- refusals by name -----------------------------------------------------

CAP = {"egressRules": [], "secretRefs": []}
RESOLVERS = "/spec/authority/dnsAuthority/resolvers"
PLAIN = {"resolverId": "r1", "endpoint": "192.0.2.53:53",
         "protocol": "do53-udp"}


def resolvers(*list_):
    """Behind one that is fine: what is refused is told by its number."""
    return {"authority": {"dnsAuthority": {
        "hostnameAllowlist": ["api.example.com"],
        "resolvers": [PLAIN] + [{**PLAIN, "resolverId": f"r{i}", **r}
                                for i, r in enumerate(list_, 2)]}}}


MEMBERS = {
    "/spec/authority/cdnAuthority": {"authority": {"cdnAuthority": {}}},
    f"{RESOLVERS}/1/protocol": resolvers({"protocol": "dot"}),
    f"{RESOLVERS}/2/protocol": resolvers(
        {"protocol": "do53-tcp"},
        {"protocol": "doh", "endpoint": "https://192.0.2.1:443/dns-query",
         "dnssec": {"validate": False}}),
    f"{RESOLVERS}/3/protocol": resolvers({}, {}, {"protocol": "doq"}),
    f"{RESOLVERS}/1/dnssec": resolvers({"dnssec": {"validate": True}}),
    # the schema's default is to validate
    f"{RESOLVERS}/2/dnssec": resolvers({"dnssec": {"validate": False}},
                                       {"dnssec": {}}),
    "/spec/authority/authorityDerivation": {"authority": {
        "authorityDerivation": {
            "roleRoot": "r", "parentRunId": "p", "derivationSteps": [],
            "leafCapability": CAP, "grantorSignature": {
                "algorithm": "ed25519", "bytes": "AA"}}}},
    "/spec/authority/secretRefs": {"authority": {"secretRefs": ["K"]}},
    "/spec/identity": {
        "authority": {"secretRefs": ["K"]},
        "identity": {"kind": "federatedOidc", "provider": "p",
                     "audience": "a", "secretRef": "K"}},
    "/spec/export": {"export": {"artifacts": [
        {"name": "a", "path": "/a"}]}},
}


@BOTH
@pytest.mark.parametrize("pointer", sorted(MEMBERS))
def test_member_refused(sup, pointer, profile):
    spec = document(spec=MEMBERS[pointer])
    d = sup.run(spec, profile=profile)
    assert (d.code, d.events) == (1, [])
    assert d.reason.startswith(f"{pointer} is not supported by this build: ")
    assert sup.validate(spec, profile=profile).code == 0


@BOTH
@pytest.mark.parametrize("members", [
    {"authority": {"egressRules": [{"host": "192.0.2.1", "port": 443}]}},
    {"authority": {"dnsAuthority": {}}},
    resolvers({"protocol": "do53-tcp", "dnssec": {"validate": False}}),
    {"authority": {"dnsAuthority": {"hostnameAllowlist": ["a.example.com"],
                                    "resolvers": [PLAIN],
                                    "refreshPolicy": {"minTtlSeconds": 5}}}}],
    ids=["egressRules", "empty", "resolvers", "refreshPolicy"])
def test_member_no_longer_refused(sup, members, profile):
    d = sup.run(document(spec=members), profile=profile)
    assert d.code == 0, d.err
    assert d.data("network_scope")["egressRuleCount"] == len(
        members["authority"].get("egressRules", []))


@pytest.mark.parametrize("members", [
    {"authority": {"egressRules": []}}, {"authority": {"secretRefs": []}},
    {"export": {}}, {"export": {"artifacts": [], "targets": []}},
    {"identity": None}], ids=str)
def test_empty_member_asks_for_nothing(sup, members):
    assert sup.run(document(spec=members)).code == 0


@pytest.mark.parametrize("delivery", ["runtimeBroker", "runtimeLeasedBroker",
                                      None])
def test_delivery_refused(sup, delivery):
    spec = json.loads(document(authority={"secretRefs": ["K"]}))
    del spec["spec"]["run"]["secretDelivery"]
    if delivery:
        spec["spec"]["run"]["secretDelivery"] = delivery
    d = sup.run(json.dumps(spec), CELLOS_BROKER="env", CELLOS_SECRET_K="v")
    assert (d.code, d.events) == (1, [])
    assert d.reason.startswith("/spec/run/secretDelivery is not supported")
    if delivery != "runtimeBroker":
        assert "runtime leased broker prepare" in d.reason
        assert "runtimeLeasedBroker is not supported" in d.reason


REFUSED = [
    "CELLOS_POLICY_PACK_PATH", "CELLOS_AUTHZ_POLICY_PATH",
    "CELLOS_AUTHORITY_KEYS_PATH", "CELLOS_TRUST_VERIFY_KEYS_PATH",
    "CELLOS_TRUST_KEYSET_PATH", "CELLOS_TRUST_KEYSET_CHAIN_PATH",
    "CELLOS_REQUIRE_TRUST_VERIFY_KEYS", "CELL_OS_REQUIRE_JETSTREAM",
    "CELLOS_DNS_AUTHORITY_REFRESH", "CELLOS_DNSSEC_TRUST_ANCHORS_PATH"]


@pytest.mark.parametrize("name", REFUSED)
@BOTH
def test_variable_refused(sup, name, profile):
    d = sup.run(document(), profile=profile, noop=False, **{name: "1"})
    assert (d.code, d.events) == (1, [])
    assert d.reason.startswith(f"{name} is not supported by this build: ")
    if name != "CELL_OS_REQUIRE_JETSTREAM":
        assert sup.validate(document(), **{name: "1"}).code == 0


def test_every_refused_variable_is_in_the_list(sup):
    text = sup.exec("--help").out
    told = re.findall(r"^  ([A-Z_]+)\n      .*\(refused\)$", text, re.M)
    assert sorted(told) == sorted(REFUSED)


@pytest.mark.parametrize("word", ["dot", "tls", "DoH", "https", " doq ",
                                  "quic", "junk"])
@pytest.mark.parametrize("name", ["CELLOS_DNS_UPSTREAM_PROTOCOL",
                                  "CELLOS_DNS_UPSTREAM_TRANSPORT"])
def test_upstream_transport_refused(sup, name, word):
    spec = document(spec=resolvers())
    d = sup.run(spec, **{name: word})
    assert (d.code, d.events) == (1, [])
    assert d.reason.startswith(f'{name}: "{word.strip()}" is not supported '
                               "by this build: ")
    assert sup.run(spec, **{name: " Do53TCP "}).code == 0


def test_jetstream_ignored_beside_noop(sup):
    assert sup.run(document(), CELL_OS_REQUIRE_JETSTREAM="1").code == 0


@pytest.mark.parametrize("backend, code", [
    ("firecracker", 1), ("stub", 0), ("host", 0), ("", 0), ("other", 0)])
def test_backend_word(sup, backend, code):
    d = sup.run(document(), CELLOS_CELL_BACKEND=backend)
    assert d.code == code
    assert "requires Linux" not in d.err
    if code:
        assert d.reason == (
            "firecracker backend init: CELLOS_FIRECRACKER_BINARY must be set "
            "to an absolute path to the firecracker VMM binary when "
            "CELLOS_CELL_BACKEND=firecracker")
        assert d.events == []


def test_backend_nobody_knows(sup):
    """Not replaced by another wall, but where portable says so."""
    d = sup.run(document(), profile=FULL, CELLOS_CELL_BACKEND="other")
    assert (d.code, d.events) == (1, [])
    assert d.reason == "CELLOS_CELL_BACKEND=other: there is no such wall; " \
        "use one of host gvisor qemu firecracker"


def test_export_base_url_scheme(sup):
    d = sup.run(document(), CELLOS_EXPORT_HTTP_BASE_URL="ftp://h/")
    assert d.code == 1 and "CELLOS_EXPORT_HTTP_BASE_URL" in d.reason
    assert sup.run(document(),
                   CELLOS_EXPORT_HTTP_BASE_URL="https://h/").code == 0


@pytest.mark.parametrize("name", ["PATH", "LD_PRELOAD"])
def test_secret_may_not_steer_the_loader(sup, name):
    spec = document(authority={"secretRefs": ["OK", name]})
    env = {"CELLOS_BROKER": "env", "CELLOS_SECRET_OK": "1",
           f"CELLOS_SECRET_{name}": "/x"}
    d = sup.run(spec, profile=FULL, **env)
    assert (d.code, d.events) == (1, [])
    assert f"/spec/authority/secretRefs/1: a secret must not be called " \
           f"{name}" in d.reason


# -- strict config --------------------------------------------------------

def strict(sup, **env):
    d = sup.run(document(), noop=env.pop("noop", True),
                CELLOS_STRICT_CONFIG="1", **env)
    assert (d.code, d.events) == (1, [])
    m = re.fullmatch(r"CELLOS_STRICT_CONFIG is set: refusing to start with "
                     r"(\d+) ignored/misconfigured env var\(s\): \[(.*)\]",
                     d.reason)
    assert m, d.reason
    return int(m[1]), m[2]


def test_strict_unknown_words(sup):
    n, text = strict(sup, CELLOS_CELL_BACKEND="Stub", CELLOS_BROKER="vault")
    assert n == 2
    assert text.startswith(
        'CELLOS_CELL_BACKEND="Stub" (value didn\'t match enum {firecracker, '
        'gvisor, stub}; ')
    assert '; CELLOS_BROKER="vault" (' in text


def test_strict_nats(sup):
    n, text = strict(sup, noop=False,
                     NATS_URL="nats://u:pw@h1:1,nats://v:px@h2:2")
    assert n == 1
    assert text.startswith('NATS_URL="nats://h1:1,nats://h2:2" (')
    assert "pw" not in text and "px" not in text
    assert sup.run(document(), noop=False).code == 0


def test_not_strict_only_warns(sup):
    d = sup.run(document(), CELLOS_CELL_BACKEND="Stub", CELLOS_STRICT_CONFIG="")
    assert d.code == 0
    assert " WARN cellos.supervisor.config: " in d.err
    assert "var=CELLOS_CELL_BACKEND" in d.err


@pytest.mark.parametrize("value, text", [
    ("0", "CELLOS_LIMIT_PIDS must be an integer from 1 to 4194304 "
          '(got "0")'),
    ("9x", 'CELLOS_LIMIT_PIDS must be an integer from 1 to 4194304 '
           '(got "9x")')])
def test_limit_out_of_range(sup, value, text):
    d = sup.run(document(), CELLOS_LIMIT_PIDS=value)
    assert (d.code, d.reason, d.events) == (1, text, [])


# -- the worked example and its variants ----------------------------------

WORKED = [
    ("observability.v1.network_scope",
     '{"cellId":"demo-1","egressRuleCount":0,"hasOpaqueNetworkAuthority":'
     'false,"runId":"run-local-001","specId":"demo-1"}'),
    ("observability.v1.dns_target_set",
     '{"cellId":"demo-1","currentDigest":"' + VECTOR_1_CANON + '","fqdn":'
     '"declared-egress.trust.cellos.internal","issuerKid":'
     '"cellos-local-resolve-v0","keysetId":"cellos:builtin-v0",'
     '"previousDigest":"empty","reason":"refresh","runId":"run-local-001",'
     '"specId":"demo-1","updatedAt":"TIME"}'),
    ("lifecycle.v1.started",
     '{"cellId":"demo-1","runId":"run-local-001","specHash":"' +
     VECTOR_1_RAW + '","specId":"demo-1","ttlSeconds":60}'),
    ("observability.v1.container_security",
     '{"capAmb":"CAPS","capBnd":"CAPS","capEff":"CAPS","capInh":"CAPS",'
     '"capPrm":"CAPS","cellId":"demo-1","privileged":false,"runId":'
     '"run-local-001"}'),
    ("observability.v1.process_spawned",
     '{"argc":1,"cellId":"demo-1","program":"/bin/true","runId":'
     '"run-local-001","specId":"demo-1"}'),
    ("command.v1.completed",
     '{"argv":["/bin/true"],"cellId":"demo-1","durationMs":MS,"exitCode":0,'
     '"runId":"run-local-001","specId":"demo-1"}'),
    ("compliance.v1.summary",
     '{"cellId":"demo-1","commandExitCode":0,"egressRuleCount":0,'
     '"exportTargetCount":0,"lifetimeTtlSeconds":60,"resourceLimitsPresent":'
     'false,"runId":"run-local-001","secretDeliveryMode":"env","specId":'
     '"demo-1"}'),
    ("authority.v1.homeostasis",
     '{"accessedMountPaths":0,"authorityEfficiency":1.0,"cellId":"demo-1",'
     '"declaredEgressRules":0,"declaredMountPaths":0,"declaredSecretCount":0,'
     '"exercisedEgressConnections":null,"exercisedEgressReason":'
     '"telemetry_pending_L2-04","recommendedRemovals":[],"runId":'
     '"run-local-001","specHash":"' + VECTOR_1_CANON + '","specId":"demo-1"}'),
    ("lifecycle.v1.destroyed",
     '{"cellId":"demo-1","outcome":"succeeded","runId":"run-local-001",'
     '"specId":"demo-1","ttlSeconds":60}'),
]


def masked(line):
    time_a = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.(\d{3}){1,3})?\+00:00"
    uuid4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-" \
            r"[0-9a-f]{12}"
    line = re.sub(f'"{time_a}"', '"TIME"', line)
    line = re.sub(f'"id":"{uuid4}"', '"id":"UUID"', line)
    line = re.sub(r'("cap\w+":)"[0-9a-f]{16}"', r'\1"CAPS"', line)
    return re.sub(r'"durationMs":\d+', '"durationMs":MS', line)


def test_worked_example_byte_for_byte(sup):
    d = sup.run(VECTOR_1)
    want = ['{"specversion":"1.0","id":"UUID","source":"cellos-supervisor",'
            f'"type":"dev.cellos.events.cell.{t}","datacontenttype":'
            f'"application/json","data":{data},"time":"TIME","traceparent":'
            'null}' for t, data in WORKED]
    got = [masked(l.decode()) for l in d.raw if b".evidence.v1." not in l]
    assert d.code == 0
    assert got == want


NINE = ["network_scope", "dns_target_set", "started", "container_security",
        "process_spawned", "completed", "summary", "homeostasis", "destroyed"]
ELEVEN = NINE[:4] + ["network_policy", "process_spawned",
                     "network_enforcement"] + NINE[5:]


def sequence(profile):
    return NINE if profile else ELEVEN


@BOTH
def test_nonzero_exit(sup, profile):
    d = sup.run(document(["/bin/sh", "-c", "exit 3"]), profile=profile)
    assert d.types() == sequence(profile)
    assert d.data("completed")["exitCode"] == 3
    assert "spawnError" not in d.data("completed")
    assert d.data("summary")["commandExitCode"] == 3
    assert d.data("destroyed")["outcome"] == "failed"
    assert d.data("destroyed")["reason"] == \
        "command exited with status 3" == d.reason
    assert d.code == 1
    assert "exitCode" not in d.data("destroyed")
    assert "terminalState" not in d.data("destroyed")


@BOTH
def test_missing_program(sup, profile):
    d = sup.run(document(["/no/such"]), profile=profile)
    os_text = "No such file or directory (os error 2)"
    want = os_text if profile else f"spec.run spawn failed: {os_text}"
    assert d.types() == sequence(profile)
    assert d.data("completed")["exitCode"] == -1
    assert d.data("completed")["durationMs"] == 0
    assert d.data("completed")["spawnError"] == want
    assert d.data("destroyed")["reason"] == f"command spawn: {want}" == \
        d.reason
    # where it failed is for people
    assert "\n\nCaused by:\n    exec: /no/such" in d.err


@BOTH
def test_killed_by_signal(sup, profile):
    d = sup.run(document(["/bin/sh", "-c", "kill -9 $$"]), profile=profile)
    assert d.data("completed")["exitCode"] == -1
    assert "spawnError" not in d.data("completed")
    assert d.reason == "command exited with status -1"
    assert d.data("destroyed")["reason"] == d.reason


@BOTH
def test_without_command(sup, profile):
    d = sup.run(document(run=False), profile=profile)
    want = [t for t in sequence(profile) if t not in (
        "process_spawned", "completed", "network_enforcement")]
    assert (d.code, d.types()) == (0, want)
    assert "commandExitCode" not in d.data("summary")
    assert d.data("summary")["secretDeliveryMode"] == "env"
    assert d.data("destroyed")["outcome"] == "succeeded"


@BOTH
def test_missing_secret(sup, profile):
    d = sup.run(document(authority={"secretRefs": ["MISSING-k"]}, run=False),
                profile=profile, CELLOS_BROKER="env")
    assert d.types() == ["network_scope", "dns_target_set", "summary",
                         "homeostasis", "destroyed"]
    assert d.reason == (
        "secret MISSING-k unresolvable via env broker: secret broker: env "
        "var CELLOS_SECRET_MISSING_K not set (required for secret key "
        '"MISSING-k")')
    assert d.data("destroyed")["reason"] == d.reason
    assert d.code == 1


def test_empty_secret(sup):
    d = sup.run(document(authority={"secretRefs": ["K"]}),
                CELLOS_BROKER="env", CELLOS_SECRET_K="")
    assert (d.code, d.reason) == (1, "secret K unresolvable via env broker")


def test_omitted_delivery_without_secrets(sup):
    d = sup.run('{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":'
                '{"id":"c","authority":{},"lifetime":{"ttlSeconds":60},'
                '"run":{"argv":["/bin/true"]}}}')
    assert (d.code, d.types()) == (0, NINE)
    assert d.data("summary")["secretDeliveryMode"] == "runtimeLeasedBroker"


def test_unshare_net_sequence(sup):
    d = sup.run(document(), CELLOS_SUBPROCESS_UNSHARE="net")
    assert (d.code, d.types()) == (0, ELEVEN)
    assert d.data("network_policy") == {
        "cellId": "t-1", "declaredEgress": [], "declaredEgressCount": 0,
        "isolationMode": "clone_newnet", "runId": "run-local-001",
        "specId": "t-1"}
    assert d.data("network_enforcement") == {
        "cellId": "t-1", "commandExitCode": 0, "declaredEgressRuleCount": 0,
        "isolationMode": "clone_newnet", "nftRulesApplied": False,
        "runId": "run-local-001", "specId": "t-1",
        "supplementaryEgressFilterActive": False}


def test_full_cell_sequence(sup):
    d = sup.run(document(), profile=FULL, CELLOS_RUN_ID="r-9")
    assert (d.code, d.types()) == (0, ELEVEN)
    assert d.data("destroyed") == {
        "cellId": "t-1", "evidenceBundleRef":
        "urn:cellos:evidence-bundle:r-9", "outcome": "succeeded",
        "residueClass": "none", "runId": "r-9", "specId": "t-1",
        "ttlSeconds": 60}
    assert d.data("enforcement")["phase"] == "prepared"


def test_trust_plane_off(sup):
    assert sup.run(document(), CELLOS_TRUST_PLANE_EVENTS=" No ").types() == \
        [t for t in NINE if t != "dns_target_set"]
    d = sup.run(document(), CELLOS_TRUST_PLANE_EVENTS=" ",
                CELLOS_TRUST_KEYSET_ID="", CELLOS_TRUST_RESOLVER_KID="rk")
    assert d.data("dns_target_set")["keysetId"] == ""
    assert d.data("dns_target_set")["issuerKid"] == "rk"


@BOTH
def test_our_events_stand_where_they_should(sup, profile):
    d = sup.run(document(), profile=profile)
    ours = [e["type"].split(".")[-1] for e in d.events]
    assert ours[0] == "link" and ours[-1] == "link"
    assert ours.index("process_spawned") < ours.index("enforcement") < \
        ours.index("completed")
    assert ours.index("homeostasis") < ours.index("residue") < \
        ours.index("destroyed")
    # a link closes each durability boundary
    for t in ("enforcement", "destroyed"):
        assert ours[ours.index(t) + 1] == "link"
    for e in d.events:
        if ".evidence.v1." in e["type"]:
            for m in ("cellId", "specId", "runId", "runUuid"):
                assert m in e["data"], e
    assert [e["data"]["final"] for e in d.events
            if e["type"].endswith(".link")][-1] is True


def test_links_cover_every_line(sup):
    d = sup.run(document())
    listed = [h for l in d.all("link") for h in l["digests"]]
    lines = ["sha256:" + hashlib.sha256(l).hexdigest() for l in d.raw
             if b"evidence.v1.link" not in l]
    assert listed == lines


# -- the command's surroundings -------------------------------------------

@BOTH
def test_environment_is_exact(sup, profile):
    d = sup.run(document(["/usr/bin/env"]), profile=profile, HOST_ONLY="x",
                LANG="C")
    assert d.out == "PATH=/usr/bin:/bin:/usr/local/bin\n"


@BOTH
def test_secrets_in_environment(sup, profile):
    d = sup.run(document(["/usr/bin/env"],
                         authority={"secretRefs": ["tok.b-c", "A", "A"]}),
                profile=profile, CELLOS_BROKER="env",
                **{"CELLOS_SECRET_TOK.B_C": "v=1 ", "CELLOS_SECRET_A": "é"})
    assert d.code == 0, d.err
    assert d.out == "A=é\nPATH=/usr/bin:/bin:/usr/local/bin\ntok.b-c=v=1 \n"
    assert "v=1" not in "".join(map(str, d.events)) + d.err


def test_secrets_leave_the_runner(sup):
    """Neither the broker's variable nor the signing key stays in environ."""
    key = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
    p = sup.popen(document(["/bin/sh", "-c", "echo up; sleep 30"],
                           authority={"secretRefs": ["K"]}),
                  CELLOS_BROKER="env", CELLOS_SECRET_K="hush-hush",
                  CELLOS_EVENT_SIGNING="ed25519",
                  CELLOS_EVENT_SIGNING_KID="k1",
                  CELLOS_EVENT_SIGNING_KEY_BASE64=key)
    assert p.stdout.readline() == b"up\n"
    # "up" races with the wiping that follows exec: poll with a deadline
    end = time.monotonic() + 20
    while True:
        with open(f"/proc/{p.pid}/environ", "rb") as f:
            seen = f.read()
        if b"hush-hush" not in seen or time.monotonic() > end:
            break
        time.sleep(0.01)
    p.terminate()
    d = sup.finish(p)
    assert b"hush-hush" not in seen
    assert key.encode() not in seen
    assert b"CELLOS_STATE_DIR" in seen
    assert "hush-hush" not in d.err and key not in d.err


@BOTH
@pytest.mark.parametrize("members, env, text", [
    ({"timeoutMs": 120}, {},
     "command timed out after 120 ms (spec.run.timeoutMs)"),
    ({}, {"CELLOS_RUN_TIMEOUT_MS": " 100 "},
     "command timed out after 100 ms (CELLOS_RUN_TIMEOUT_MS)"),
    ({"timeoutMs": 150}, {"CELLOS_RUN_TIMEOUT_MS": "150"},
     "command timed out after 150 ms (spec.run.timeoutMs)"),
    ({}, {}, "cell killed by TTL watchdog after 1000 ms (ttl_seconds=1)"),
    ({"timeoutMs": 1000}, {},
     "command timed out after 1000 ms (spec.run.timeoutMs)"),
])
def test_deadline_texts(sup, profile, members, env, text):
    d = sup.run(document(["/bin/sleep", "30"], ttl=1, **members),
                profile=profile, **env)
    assert d.code == 1
    assert d.data("completed")["exitCode"] == -1
    assert d.data("completed")["spawnError"] == text
    assert d.data("destroyed")["reason"] == f"command spawn: {text}" == \
        d.reason


@BOTH
@pytest.mark.parametrize("env, text", [
    ({"CELLOS_RUN_TIMEOUT_MS": "0"}, "CELLOS_RUN_TIMEOUT_MS must be > 0"),
    ({"CELLOS_RUN_TIMEOUT_MS": "1s"}, 'invalid CELLOS_RUN_TIMEOUT_MS: "1s"'),
    ({"CELLOS_SUBPROCESS_SECCOMP": "not-a-profile"},
     "seccomp: CELLOS_SUBPROCESS_SECCOMP must be one of: 1, default, "
     'baseline, bpf, 0, off, none (got "not-a-profile")'),
    ({"CELLOS_SUBPROCESS_SECCOMP": "bpf"},
     "seccomp: CELLOS_SUBPROCESS_SECCOMP=bpf requires "
     "CELLOS_SECCOMP_BPF_PATH"),
    ({"CELLOS_SUBPROCESS_SECCOMP": "1", "CELLOS_SECCOMP_BPF_PATH": "/x"},
     "seccomp: CELLOS_SUBPROCESS_SECCOMP=baseline cannot be combined with "
     "CELLOS_SECCOMP_BPF_PATH (/x)"),
    ({"CELLOS_SECCOMP_BPF_PATH": "/dev/null"},
     "seccomp: CELLOS_SECCOMP_BPF_PATH /dev/null: not a regular file"),
    ({"CELLOS_SECCOMP_BPF_PATH": "/dev/null/x"},
     "seccomp: CELLOS_SECCOMP_BPF_PATH /dev/null/x: Not a directory (os "
     "error 20)"),
])
def test_bad_run_setting_is_a_spawn_error(sup, profile, env, text):
    mark = sup.tmp / "mark"
    d = sup.run(document(["/usr/bin/touch", str(mark)]), profile=profile,
                **env)
    assert not mark.exists()
    assert d.types() == sequence(profile)
    assert d.data("completed")["exitCode"] == -1
    assert d.data("completed")["spawnError"] == text
    assert d.reason == f"command spawn: {text}"
    assert d.data("enforcement")["phase"] == "refused"


@pytest.mark.parametrize("size, text", [
    (0, "seccomp: seccomp BPF program is empty"),
    (12, "seccomp: seccomp BPF length 12 is not a multiple of 8 "
         "(sock_filter size)"),
    (32776, "seccomp: seccomp BPF program too large (max 32768 bytes)")])
def test_bpf_file_shape(sup, size, text):
    (sup.tmp / "f.bpf").write_bytes(b"\0" * size)
    d = sup.run(document(), CELLOS_SECCOMP_BPF_PATH=str(sup.tmp / "f.bpf"))
    assert d.data("completed")["spawnError"] == text


def test_bad_memory_limit_refuses(sup):
    for profile in ("portable", FULL):
        d = sup.run(document(), profile=profile,
                    CELLOS_CGROUP_MEMORY_MAX="lots")
        assert (d.code, d.events) == (1, [])
        assert d.reason.startswith("CELLOS_CGROUP_MEMORY_MAX must be bytes")


def test_bad_cpu_limit(sup):
    assert sup.run(document(), CELLOS_CGROUP_CPU_MAX="1 2 3").code == 0
    d = sup.run(document(), profile=FULL, CELLOS_CGROUP_CPU_MAX="1 2 3")
    assert (d.code, d.events) == (1, [])
    assert d.reason.endswith(
        "expected `max`, `<quota_micros>`, `max <period_micros>`, or "
        "`<quota_micros> <period_micros>` (each integer >= 1)")


@pytest.mark.parametrize("argv0, prefixes, ok", [
    ("/usr/bin/true", "/usr/bin", True),
    ("/usr/bin/true", " /opt , \\usr\\bin/ ", True),
    ("/usr/bin/true", "/usr/bin/true", True),
    ("/usr/bin/true", "/usr/bi", False),
    ("/usr/bin/../bin/true", "/usr/bin", False),
    ("true", "/usr/bin", False),
    ("/usr/bin/true", " , ", True),
    ("/usr/bin/true", "/", True),
])
def test_argv0_prefixes(sup, argv0, prefixes, ok):
    d = sup.run(document([argv0]), CELLOS_RUN_ARGV0_ALLOW_PREFIXES=prefixes)
    assert d.code == (0 if ok else 1), d.err
    if ok:
        return
    assert d.types() == NINE[:4] + NINE[6:]
    assert "commandExitCode" not in d.data("summary")
    assert "CELLOS_RUN_ARGV0_ALLOW_PREFIXES" in d.reason
    assert f'"{argv0}"' in d.reason
    assert d.data("destroyed")["reason"] == d.reason


def test_secret_without_command(sup):
    d = sup.run(document(authority={"secretRefs": ["MY_TOKEN"]}, run=False),
                CELLOS_BROKER="env", CELLOS_SECRET_MY_TOKEN="tok-abc123")
    assert d.code == 0
    assert d.data("homeostasis")["declaredSecretCount"] == 1


# -- what the switches of portable do -------------------------------------

PY_UNSHARE = ("import ctypes,os,sys; l=ctypes.CDLL(None,use_errno=True); "
              "r=l.unshare(0); print(r, ctypes.get_errno())")


def test_seccomp_baseline(sup):
    argv = ["/usr/bin/python3", "-c", PY_UNSHARE]
    assert sup.run(document(argv)).out == "0 0\n"
    for word in ("baseline", " 1 ", "Default"):
        assert sup.run(document(argv),
                       CELLOS_SUBPROCESS_SECCOMP=word).out == "-1 1\n"
    for word in ("", "0", "off", "NONE"):
        assert sup.run(document(argv),
                       CELLOS_SUBPROCESS_SECCOMP=word).out == "0 0\n"


def test_seccomp_file(sup):
    """uname answers EPERM, everything else passes."""
    import struct
    prog = [(0x20, 0, 0, 0), (0x15, 0, 1, os.uname().machine == "x86_64" and
                              63 or 160),
            (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]
    path = sup.tmp / "f.bpf"
    path.write_bytes(b"".join(struct.pack("=HBBI", *i) for i in prog))
    for profile in ("portable", FULL):
        d = sup.run(document(["/bin/uname"]), profile=profile,
                    CELLOS_SECCOMP_BPF_PATH=str(path))
        assert d.code == 1
        assert d.data("completed")["exitCode"] == 1
        assert "spawnError" not in d.data("completed")


def test_unshare_keeps_a_script_of_two_commands_running(sup):
    d = sup.run(document(["/bin/sh", "-c", "/bin/true; /bin/echo two"]),
                CELLOS_SUBPROCESS_UNSHARE="1")
    assert (d.code, d.out) == (0, "two\n")


def test_unshare_gives_namespaces_of_its_own(sup):
    """Neither the host's nor those of another that runs at the same time: the
    number of one that has ended may come again."""
    show = "for n in ipc uts net; do readlink /proc/self/ns/$n; done"
    host = [os.readlink(f"/proc/self/ns/{n}") for n in ("ipc", "uts", "net")]
    go = sup.tmp / "go"
    os.mkfifo(go, 0o666)
    p = sup.popen(document(["/bin/sh", "-c", f"{show}; read _ <{go}"]),
                  CELLOS_SUBPROCESS_UNSHARE="ipc,uts,net")
    one = {p.stdout.readline().decode().strip() for _ in host}
    two = sup.run(document(["/bin/sh", "-c", show]),
                  CELLOS_SUBPROCESS_UNSHARE="ipc,uts,net")
    go.write_text("\n")
    assert sup.finish(p).code == 0
    plain = sup.run(document(["/bin/sh", "-c", show]))
    assert plain.out.split() == host
    assert len({*one, *two.out.split(), *host}) == 9


def test_unshare_mnt_makes_the_workspace_private(sup):
    work = sup.tmp / "work"
    work.mkdir()
    work.chmod(0o777)
    (work / "host-file.txt").write_text("host")
    spec = document(["/bin/sh", "-c", "ls -A; echo x > sentinel.txt; "
                                      f"ls -A {work}"],
                    workingDirectory=str(work))
    for _ in range(2):
        d = sup.run(spec, CELLOS_SUBPROCESS_UNSHARE="mnt")
        assert (d.code, d.out) == (0, "sentinel.txt\n"), d.err
    assert [p.name for p in work.iterdir()] == ["host-file.txt"]


PY_CONNECT = ("import socket,sys; s=socket.socket(); s.settimeout(5); "
              "print(s.connect_ex((sys.argv[1], int(sys.argv[2]))))")


@pytest.mark.parametrize("profile, switch", [("portable", "net"),
                                             (FULL, None)])
def test_no_way_to_the_host_network(sup, profile, switch):
    import socket
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        argv = ["/usr/bin/python3", "-c", PY_CONNECT]
        run = lambda *a, **e: sup.run(document(argv + list(a)), **e).out
        assert run("127.0.0.1", port, profile="portable") == "0\n"
        e = {"profile": profile, "CELLOS_SUBPROCESS_UNSHARE": switch}
        assert run("127.0.0.1", port, **e) == "111\n"      # ECONNREFUSED
        assert run("192.0.2.1", "80", **e) == "101\n"      # ENETUNREACH


@BOTH
def test_deadline_reaches_grandchildren(sup, profile):
    mark = f"31{os.getpid()}"
    d = sup.run(document(["/bin/sh", "-c", f"setsid sleep {mark} & "
                          f"echo up; exec sleep {mark}"], timeoutMs=300),
                profile=profile)
    assert d.out == "up\n"
    assert d.reason.startswith("command spawn: command timed out")
    left = subprocess.run(["pgrep", "-f", f"sleep {mark}"], check=False,
                          capture_output=True, text=True)
    assert left.stdout == ""


@BOTH
def test_end_reaches_grandchildren(sup, profile):
    mark = f"32{os.getpid()}"
    d = sup.run(document(["/bin/sh", "-c", f"setsid sleep {mark} "
                          ">/dev/null 2>&1 </dev/null & echo up"]),
                profile=profile)
    assert (d.code, d.out) == (0, "up\n")
    left = subprocess.run(["pgrep", "-f", f"sleep {mark}"], check=False,
                          capture_output=True, text=True)
    assert left.stdout == ""


# -- sinks ----------------------------------------------------------------

@BOTH
@pytest.mark.parametrize("path", ["", "no/such/dir/e.jsonl", "/dev/full"])
def test_unwritable_journal_runs_nothing(sup, profile, path):
    mark = sup.tmp / "mark"
    d = sup.run(document(["/usr/bin/touch", str(mark)]), profile=profile,
                CELL_OS_JSONL_EVENTS=path)
    assert d.code == 1 and not mark.exists()
    assert d.reason.startswith("jsonl sink emit: event sink: ")


def test_without_journal(sup):
    d = sup.run(document(["/bin/echo", "x"]), journal=False)
    assert (d.code, d.out) == (0, "x\n")


def test_journal_is_appended(sup):
    sup.run(document())
    n = len(sup.journal.read_bytes().splitlines())
    p = sup.popen(document())
    d = sup.finish(p)
    assert len(d.raw) == 2 * n


def test_redaction(sup):
    d = sup.run(document(["/bin/sh", "-c", ": --token=super-secret"]),
                CELLOS_REDACT_EVENT_FIELDS="argv")
    assert d.data("completed")["argv"] == ["[redacted]"]
    assert not any(b"super-secret" in l for l in d.raw)
    d = sup.run(document(["/bin/false"]),
                CELLOS_REDACT_EVENT_FIELDS="Defaults")
    assert d.data("destroyed")["reason"] == "[redacted]"
    assert d.reason == "command exited with status 1"


KEY = base64.urlsafe_b64encode(b"k" * 40).decode()


def test_signing_hmac(sup):
    d = sup.run(document(), CELLOS_EVENT_SIGNING=" HMAC ",
                CELLOS_EVENT_SIGNING_KID=" k1 ",
                CELLOS_EVENT_SIGNING_KEY_BASE64=KEY)
    assert (d.code, d.types()) == (0, NINE)
    for e in d.events:
        assert e["type"] == "dev.cellos.events.signed_envelope.v1"
        assert e["source"] == "/cellos-supervisor/event-signing"
        w, inner = e["data"], e["data"]["event"]
        assert (w["algorithm"], w["signerKid"]) == ("hmac-sha256", "k1")
        assert (e["id"], e["time"]) == (inner["id"], inner["time"])
        order = ("specversion", "id", "source", "type", "datacontenttype",
                 "data", "time", "traceparent")
        text = json.dumps({k: inner[k] for k in order}, ensure_ascii=False,
                          separators=(",", ":")).encode()
        tag = hmac.new(b"k" * 40, text, hashlib.sha256).digest()
        assert w["signature"] == \
            base64.urlsafe_b64encode(tag).decode().rstrip("=")


def test_signing_ed25519_wraps_every_line(sup):
    d = sup.run(document(), CELLOS_EVENT_SIGNING="ed25519",
                CELLOS_EVENT_SIGNING_KID="k1",
                CELLOS_EVENT_SIGNING_KEY_BASE64=base64.urlsafe_b64encode(
                    bytes(32)).decode())
    assert (d.code, d.types()) == (0, NINE)
    assert {e["data"]["algorithm"] for e in d.events} == {"ed25519"}
    assert {len(e["data"]["signature"]) for e in d.events} == {86}


@BOTH
@pytest.mark.parametrize("env, name", [
    ({"CELLOS_EVENT_SIGNING": "rsa"}, "CELLOS_EVENT_SIGNING"),
    ({"CELLOS_EVENT_SIGNING_KID": None}, "CELLOS_EVENT_SIGNING_KID"),
    ({"CELLOS_EVENT_SIGNING_KID": " "}, "CELLOS_EVENT_SIGNING_KID"),
    ({"CELLOS_EVENT_SIGNING_KEY_BASE64": None},
     "CELLOS_EVENT_SIGNING_KEY_BASE64"),
    ({"CELLOS_EVENT_SIGNING_KEY_BASE64": "SECRETPART+/x"},
     "CELLOS_EVENT_SIGNING_KEY_BASE64"),
    ({"CELLOS_EVENT_SIGNING_KEY_BASE64": "U0VDUkVUUEFSVA"},
     "CELLOS_EVENT_SIGNING_KEY_BASE64"),
    ({"CELLOS_EVENT_SIGNING": "hmac",
      "CELLOS_EVENT_SIGNING_KEY_BASE64": " "},
     "CELLOS_EVENT_SIGNING_KEY_BASE64"),
])
def test_signature_that_cannot_be_had_refuses(sup, profile, env, name):
    e = {"CELLOS_EVENT_SIGNING": "ed25519", "CELLOS_EVENT_SIGNING_KID": "k",
         "CELLOS_EVENT_SIGNING_KEY_BASE64": "A" * 43, **env}
    d = sup.run(document(), profile=profile, **e)
    assert (d.code, d.events) == (1, [])
    assert d.reason.startswith(name + " ")
    assert "SECRETPART" not in d.err and "U0VDUkVU" not in d.err


# -- ends that are not the command's --------------------------------------

def start_and_wait(sup, **env):
    p = sup.popen(document(["/bin/sh", "-c", "echo up; sleep 60"]), **env)
    assert p.stdout.readline() == b"up\n"
    return p


def test_end_without_a_pid_namespace(sup, mark):
    """Where none can be had nothing but pid 1 can kill what is left: it does,
    before it is killed itself."""
    spec = sup.spec(document(
        ["/bin/bash", "-c", f"trap '' TERM; (exec -a {mark} sleep 600) & "
         f"exec -a {mark} sleep 600"], timeoutMs=300,
        limits={"gracefulShutdownSeconds": 0}))
    script = ("echo 0 >/proc/sys/user/max_pid_namespaces && "
              f"exec {EXE} {spec}")
    p = subprocess.run(["unshare", "-Ur", "sh", "-c", script],
                       env=sup.env(profile="portable"), cwd=sup.tmp,
                       capture_output=True, timeout=60, check=False)
    d = Done(p.returncode, p.stdout.decode(), p.stderr.decode(), sup.journal)
    assert d.code == 1
    assert d.data("completed")["exitCode"] == -1
    assert processes(mark) == []


def test_signal_before_exec_is_confirmed(sup, strace):
    """Pid 1 is late to let go of the command's channel, which the runner takes
    for the command's start: what has run has an end in the journal."""
    env = {**sup.env(profile=None), **strace.env}
    argv = [*strace.prefix(["dup2:delay_enter=300000"]), "-e", "trace=dup2",
            str(EXE), sup.spec(document(
                ["/bin/sh", "-c", "echo up; sleep 60"]))]
    with subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          cwd=sup.tmp) as p:
        assert p.stdout.readline() == b"up\n"
        children = pathlib.Path(
            f"/proc/{p.pid}/task/{p.pid}/children").read_text().split()
        runner = [c for c in children if os.readlink(f"/proc/{c}/exe") ==
                  os.path.realpath(EXE)][0]
        os.kill(int(runner), signal.SIGTERM)
        d = sup.finish(p)
    assert "(DELAYED)" in pathlib.Path(strace.log).read_text()
    assert d.types() == sequence(None)
    assert d.data("completed")["exitCode"] == -1
    assert d.reason == "runner received SIGTERM"


@BOTH
@pytest.mark.parametrize("sig", ["TERM", "INT", "HUP"])
def test_signal_to_the_runner(sup, profile, sig):
    p = start_and_wait(sup, profile=profile)
    os.kill(p.pid, getattr(signal, f"SIG{sig}"))
    d = sup.finish(p)
    assert d.code == 1
    assert d.types() == sequence(profile)
    assert d.data("completed")["exitCode"] == -1
    assert d.data("destroyed")["reason"] == f"runner received SIG{sig}" == \
        d.reason


@BOTH
def test_dead_signer_ends_the_cell(sup, profile):
    p = start_and_wait(sup, profile=profile, CELLOS_EVENT_SIGNING="hmac",
                       CELLOS_EVENT_SIGNING_KID="k",
                       CELLOS_EVENT_SIGNING_KEY_BASE64=KEY)
    with open(f"/proc/{p.pid}/task/{p.pid}/children",
              encoding="ascii") as f:
        children = f.read().split()
    # the signer is made first, before anything it must not hold
    os.kill(int(children[0]), signal.SIGKILL)
    d = sup.finish(p)
    assert d.code == 1
    assert "destroyed" not in d.types()     # nobody could sign it
    for c in children:
        assert not os.path.exists(f"/proc/{c}")


def test_violation_is_recorded_while_the_cell_runs(sup):
    code = ("import ctypes, time; l = ctypes.CDLL(None, use_errno=True); "
            "l.mount(0, 0, 0, 0, 0); print(ctypes.get_errno(), flush=True); "
            "time.sleep(60)")
    p = sup.popen(document(["/usr/bin/python3", "-c", code]), profile=FULL)
    assert p.stdout.readline() == b"1\n"        # EPERM
    end = time.monotonic() + 20
    while b'"phase":"violation"' not in sup.journal.read_bytes():
        assert p.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    p.terminate()
    d = sup.finish(p)
    got = [e for e in d.all("enforcement") if e["phase"] == "violation"]
    assert len(got) == 1
    assert "mount" in json.dumps(got[0])
    assert d.reason == "runner received SIGTERM"


def test_colour_only_on_a_terminal(sup):
    d = sup.run(document())
    assert "\033" not in d.err and " INFO cellos.supervisor.profile: " in d.err
    assert sup.run(document(), RUST_LOG="").err == ""
    assert sup.run(document(), RUST_LOG="off,hyper=trace").err == ""
    assert " INFO " not in sup.run(document(), RUST_LOG="warn").err
    for extra, colour in (({}, True), ({"NO_COLOR": "1"}, False)):
        p = subprocess.run(["script", "-qec", f"{EXE} --version",
                            "/dev/null"], env=sup.env(**extra), check=False,
                           capture_output=True, stdin=subprocess.DEVNULL)
        assert b"Portable" in p.stdout
        assert (b"\033[32m" in p.stdout) == colour
