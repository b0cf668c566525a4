# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the agent of a guest declares: it is the guest's word, written down as
that, at a bounded rate; and its silence."""

import json
import pathlib
import struct

import pytest

from conftest import (IS_ALL, IS_ROOT, SANITIZED, SLACK, Before,
                      Machines)
from test_firecracker import WALL, Fire, kvm  # noqa: F401

DECLARED = "cell.observability.guest."
TELEMETRY = {"channel": "vsock-cbor", "events": ["process.spawn"],
             "agentVersion": "1.0.0"}


def asking(c, argv, **telemetry):
    doc = json.loads(pathlib.Path(c.document(argv)).read_text())
    doc["spec"]["telemetry"] = {**TELEMETRY, **telemetry}
    path = c.tmp / f"telemetry-{c.count}.json"
    path.write_text(json.dumps(doc))
    return path


def declared(r):
    out = []
    run = r.one("lifecycle.v1.started")
    for e in r.events:
        if DECLARED in e["type"]:
            data = e["data"]
            assert e["source"] == "/cellos-supervisor/host-telemetry"
            assert data["provenance"] == "declared"
            assert data["host"] == {
                "cellId": "cell-1", "hostReceivedAt": e["time"],
                "runId": run["runId"],
                "specSignatureHash": r.one("homeostasis")["specHash"]}
            out.append((e["type"].rsplit(".", 1)[1],
                        data["guest"]["guestComm"], data["guest"]))
    return out


def silenced(r):
    return [e["data"] for e in r.of_type("v1.guest.agent_silenced")]


def totals(r):
    items = r.enforcement("ended")["items"]
    return {i["name"]: int(i["got"]) for i in items}


def slow(test):
    """A machine that boots, or seconds of silence."""
    return test if IS_ALL and not SANITIZED else None


if IS_ROOT:
    @pytest.fixture
    def vm(tmp_path, image):
        c = Machines(tmp_path, image)
        yield c
        c.close()

    def test_processes_of_a_guest(vm):
        before = Before(vm)
        script = "sleep 0.2 & /bin/true; wait; exec date"
        r = vm.run_document(asking(vm, ["sh", "-c", script],
                                   events=["process"]), flags=vm.wall)
        assert r.rc == 0, r
        seen = declared(r)
        assert {g["probeSource"] for _, _, g in seen} == {
            "process.spawned", "process.exited"}
        started = [comm for t, comm, _ in seen if t == "process_spawned"]
        # the command itself, what it started, what it became
        assert started[0] == "sh" and started[-1] == "date", seen
        assert sorted(started[1:-1]) == ["sleep", "true"], seen
        ended = [comm for t, comm, _ in seen if t == "process_exited"]
        assert {"sleep", "true", "date"} <= set(ended), seen
        times = [g["guestMonotonicNs"] for _, _, g in seen]
        assert times == sorted(times)
        assert silenced(r) == []
        assert totals(r) == {"telemetry.events": len(seen),
                             "telemetry.dropped": 0}
        assert vm.verify(r.events_path).rc == 0
        assert before.left() == []

    def test_the_end_of_the_command_is_declared(vm):
        """A stop is for the command: its agent tells of what comes after."""
        script = ("trap '/bin/true; date; exit 0' TERM; "
                  "while :; do sleep 0.1; done")
        path = asking(vm, ["sh", "-c", script])
        doc = json.loads(path.read_text())
        doc["spec"]["run"]["timeoutMs"] = 1500
        path.write_text(json.dumps(doc))
        r = vm.run_document(path, flags=vm.wall)
        assert r.rc == 124, r
        seen = [comm for _, comm, _ in declared(r)]
        assert seen[0] == "sh" and seen[-2:] == ["true", "date"], seen
        assert silenced(r) == []
        assert totals(r) == {"telemetry.events": len(seen),
                             "telemetry.dropped": 0}

    @slow
    def test_only_what_is_asked_for(vm):
        """Of what it declares, what the document names; at its rate."""
        script = "for i in $(seq 300); do /bin/true; done"
        r = vm.run_document(
            asking(vm, ["sh", "-c", script],
                   rateLimits={"eventsPerSecond": 5}), flags=vm.wall)
        assert r.rc == 0, r
        seen = declared(r)
        assert {t for t, _, _ in seen} == {"process_spawned"}
        got = totals(r)
        assert got["telemetry.events"] == len(seen) < 300
        assert got["telemetry.events"] + got["telemetry.dropped"] >= 300

    def the_command_cannot_reach_the_agent(vm):
        code = """if True:
            import os, signal, socket
            pids = [int(p) for p in os.listdir("/proc") if p.isdigit()]
            agent, = [p for p in pids if open(f"/proc/{p}/comm").read()
                      .startswith("cellos-telemet")]
            for what in (lambda: os.kill(agent, signal.SIGKILL),
                         lambda: os.readlink(f"/proc/{agent}/fd/3"),
                         lambda: os.open("/dev/vport1p6", os.O_RDWR),
                         lambda: socket.socket(socket.AF_VSOCK)):
                try:
                    what()
                    print("reached")
                except OSError as e:
                    print(e.errno)
            """
        r = vm.run_document(asking(vm, ["/usr/bin/python3", "-c", code]),
                            flags=vm.wall)
        assert (r.rc, r.out.split()) == (0, ["1", "13", "2", "97"]), r
        assert silenced(r) == []

    @slow
    def test_the_command_cannot_reach_the_agent(vm):
        """It is another user, and its way out is nobody's."""
        the_command_cannot_reach_the_agent(vm)

    @slow
    def test_an_agent_that_ends(tmp_path, hooked_image):
        (tmp_path / "odd").mkdir()
        c = Machines(tmp_path / "odd", hooked_image)
        try:
            path = asking(c, ["sleep", "12"])
            doc = json.loads(path.read_text())
            doc["spec"]["authority"]["secretRefs"] = ["CELLOS_TEST_GUEST"]
            path.write_text(json.dumps(doc))
            r = c.run_document(path, flags=c.wall, env={
                "CELLOS_BROKER": "env",
                "CELLOS_SECRET_CELLOS_TEST_GUEST": "agent"},
                timeout=60 * SLACK)
            assert r.rc == 0, r
            said, = silenced(r)
            assert 10000 <= said["elapsedMs"] < 12000
            assert (said["epistemicStatus"], said["ruleClass"]) == (
                "DECLARED", "GUEST_AGENT_DECLARATION")
            assert declared(r) == []
        finally:
            c.close()

    @slow
    def test_an_agent_that_cannot_follow(tmp_path, hooked_image):
        """What its kernel told it in vain nobody can count."""
        (tmp_path / "odd").mkdir()
        c = Machines(tmp_path / "odd", hooked_image)
        try:
            path = asking(c, ["sh", "-c",
                              "for i in $(seq 50); do /bin/true & done; wait"])
            doc = json.loads(path.read_text())
            doc["spec"]["authority"]["secretRefs"] = ["CELLOS_TEST_GUEST"]
            path.write_text(json.dumps(doc))
            r = c.run_document(path, flags=c.wall, env={
                "CELLOS_BROKER": "env",
                "CELLOS_SECRET_CELLOS_TEST_GUEST": "slow"})
            assert r.rc == 0 and 0 < len(declared(r)) < 51, r
            assert r.item("telemetry.dropped", "ended")["got"] == "0 or more"
        finally:
            c.close()

    # -- one that is not ours, or lies --

    @pytest.fixture
    def fire(tmp_path, image, kvm):
        c = Fire(tmp_path, image)
        yield c
        c.close()

    def cbor(v):
        if isinstance(v, dict):
            return bytes([0xa0 + len(v)]) + b"".join(
                cbor(k) + cbor(x) for k, x in v.items())
        if isinstance(v, str):
            b = v.encode()
            return (bytes([0x60 + len(b)]) if len(b) < 24
                    else b"\x78" + bytes([len(b)])) + b
        if v < 24:
            return bytes([v])
        return b"\x1b" + struct.pack(">Q", v)

    def frame(**kw):
        body = cbor({"content_version": 1, "probe_source": "process.spawned",
                     "guest_pid": 300, "guest_comm": "sh",
                     "guest_monotonic_ns": 5000000000, **kw})
        return struct.pack("<I", len(body)) + body

    GOOD = frame()

    @pytest.mark.parametrize("data, want", [
        (GOOD, 1), (GOOD * 3, 3),
        # attribution of its own never survives
        (frame(cellId="other", run_id="other"), 1),
        (GOOD + frame(probe_source="agent.alive") + GOOD, 2),
        # what is not asked for, or is nonsense, and all that follows it
        (frame(probe_source="fs.inotify_fired") + GOOD, 1),
        (GOOD + frame(content_version=2) + GOOD, 1),
        (GOOD + frame(probe_source="process.spawn") + GOOD, 1),
        (GOOD + frame(guest_comm="x" * 17) + GOOD, 1),
        (GOOD + frame(guest_pid=1 << 32) + GOOD, 1),
        (GOOD + b"\0\0\0\0" + GOOD, 1),
        (GOOD + struct.pack("<I", 4097) + GOOD, 1),
        (GOOD[:-1], 0)])
    def test_frames(fire, data, want):
        env = fire.vmm(telemetry=data)
        r = fire.run_document(asking(fire, ["sleep", "0.3"]), flags=WALL,
                              env=env)
        assert r.rc == 0, r
        seen = declared(r)
        assert [(t, c, g["guestPid"]) for t, c, g in seen] == [
            ("process_spawned", "sh", 300)] * want, r
        text = pathlib.Path(r.events_path).read_text()
        assert '"other"' not in text

    @slow
    def test_it_is_silent_once(fire):
        env = fire.vmm(telemetry=GOOD)
        r = fire.run_document(asking(fire, ["sleep", "12"]), flags=WALL,
                              env=env, timeout=60 * SLACK)
        assert r.rc == 0, r
        said, = silenced(r)
        assert said["keepaliveWindowMs"] == 10000 <= said["elapsedMs"] < 12000
        assert len(declared(r)) == 1
        assert fire.verify(r.events_path).rc == 0

    WHOLE = frame(probe_source="agent.complete")

    def test_a_flood(fire):
        """The journal is not filled; what was left out is counted."""
        env = fire.vmm(telemetry=GOOD * 20000 + WHOLE)
        r = fire.run_document(asking(fire, ["sleep", "1"]), flags=WALL,
                              env=env)
        assert r.rc == 0, r
        got = totals(r)
        assert len(declared(r)) == got["telemetry.events"] <= 300
        assert got["telemetry.events"] + got["telemetry.dropped"] == 20000

    @pytest.mark.parametrize("limit, want", [
        ("eventsPerSecond", (0, 0)), ("eventsPerSecond", (2, 2)),
        ("bytesPerSecond", (0, 0)), ("bytesPerSecond", (len(GOOD) - 1, 0)),
        ("bytesPerSecond", (2 * len(GOOD), 2)), ("bytesPerSecond", (None, 5))])
    def test_a_rate(fire, limit, want):
        """Of frames that count or bytes; 0 is none."""
        value, told = want
        r = fire.run_document(
            asking(fire, ["sleep", "0.3"], rateLimits={limit: value}),
            flags=WALL, env=fire.vmm(telemetry=GOOD * 5 + WHOLE))
        assert r.rc == 0 and len(declared(r)) == told, r
        assert totals(r) == {"telemetry.events": told,
                             "telemetry.dropped": 5 - told}

    def test_who_does_not_say_it_is_all_may_have_more(fire):
        r = fire.run_document(asking(fire, ["sleep", "0.3"]), flags=WALL,
                              env=fire.vmm(telemetry=GOOD))
        assert r.rc == 0 and len(declared(r)) == 1, r
        assert r.item("telemetry.dropped", "ended")["got"] == "0 or more"

    def test_who_is_listened_to(fire):
        """From before the VMM can be told anything."""
        env = fire.vmm(telemetry=GOOD, listeners=[9001, *range(9101, 9106)])
        r = fire.run_document(asking(fire, ["sleep", "0.3"]), flags=WALL,
                              env=env)
        assert r.rc == 0 and len(declared(r)) == 1, r

    def test_none_is_asked_for(fire):
        """Then nobody listens."""
        r = fire.run("sleep", "0.3", env=fire.vmm(telemetry=GOOD, absent=True))
        assert r.rc == 0 and declared(r) == [], r
