# SPDX-License-Identifier: MIT OR Apache-2.0
"""The wall of a Firecracker microvm: what its driver tells the VMM, checked by
one that overlooks nothing, and what it makes of one that lies or dies. With a
kernel in it only where KVM works: test_firecracker_kvm.py."""

import base64
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

from conftest import (IS_ALL, IS_ROOT, NOT_ADMITTED, SANITIZED, SLACK, Before,
                      Machines, Result, assert_files_lost, cgroups,
                      descendants, kill_at_moments, parent, refused_document,
                      started, wait_until)

SERVER = pathlib.Path(__file__).with_name("firecracker_server.py")
JAILER = SERVER.with_name("firecracker_jailer.py")
WALL = ("--backend", "firecracker")
BOOT_ARGS = (
    "console=ttyS0 quiet panic=-1 reboot=k pci=off rdinit=/init "
    "cryptomgr.notests i8042.noaux i8042.nomux i8042.nopnp i8042.dumbkbd "
    "CELLOS_CHANNEL=vsock")


def calls(mem=608, cpus=1, door=False):
    """Each request, to the byte, in order."""
    return [
        ["/machine-config", f'{{"vcpu_count":{cpus},"mem_size_mib":{mem},'
         '"track_dirty_pages":false}'],
        ["/boot-source", '{"kernel_image_path":"/image.kernel","boot_args":"'
         f'{BOOT_ARGS}","initrd_path":"/image.initrd"}}'],
        ["/drives/rootfs", '{"drive_id":"rootfs","path_on_host":"/image.root",'
         '"is_root_device":true,"is_read_only":true}'],
        *([["/network-interfaces/eth0", '{"iface_id":"eth0","guest_mac":'
            '"02:63:65:6c:6c:06","host_dev_name":"cell0"}']] if door else []),
        ["/vsock", '{"guest_cid":3,"uds_path":"/run/channel"}'],
        ["/actions", '{"action_type":"InstanceStart"}'],
    ]


DOOR = ("--allow", "10.9.9.9:443")


def archive(*entries, end=True):
    """As a guest sends a directory: (name, content) of files."""
    out = b""
    for name, data in [*entries, *([("TRAILER!!!", b"")] if end else [])]:
        mode = 0 if name == "TRAILER!!!" else 0o100644
        fields = (1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % f for f in fields)
        for part in (head + name.encode() + b"\0", data):
            out += part + bytes(-len(part) % 4)
    return out


class Fire(Machines):
    wall = WALL

    @property
    def by_name(self):
        at = self.state_dir / "images/default"
        return {"CELLOS_CELL_BACKEND": "firecracker",
                "CELLOS_FIRECRACKER_ALLOW_NO_JAILER": "1",
                "CELLOS_FIRECRACKER_KERNEL_IMAGE": str(at / "kernel"),
                "CELLOS_FIRECRACKER_ROOTFS_IMAGE": str(at / "root"),
                "CELLOS_FIRECRACKER_MANIFEST": str(at / "manifest")}

    def vmm(self, **how):
        """A VMM that behaves so; an environment that names it."""
        path = self.tmp / "vmm"
        path.write_text(f"#!/usr/bin/python3 -IS\nHOW = {how!r}\n"
                        + SERVER.read_text())
        path.chmod(0o755)
        return {"CELLOS_FIRECRACKER_BINARY": str(path)}

    def jailed(self, jail=None, **how):
        """The same in a jail."""
        path = self.tmp / "a-jailer"
        path.write_text(f"#!/usr/bin/python3 -IS\nHOW = {jail or {}!r}\n"
                        + JAILER.read_text())
        path.chmod(0o755)
        return {**self.vmm(jail=True, **how),
                "CELLOS_FIRECRACKER_JAILER_BINARY": str(path)}


@pytest.fixture(scope="session")
def kvm():
    """The stand-in needs none; that there is one to open is looked at before."""
    made = not os.path.exists("/dev/kvm")
    if made:
        os.mknod("/dev/kvm", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    yield
    if made:
        os.unlink("/dev/kvm")


if IS_ROOT:
    @pytest.fixture
    def vm(tmp_path, image, kvm):
        c = Fire(tmp_path, image)
        yield c
        c.close()

    @pytest.fixture
    def before(vm):
        return Before(vm)

    # -- what it is told --

    def test_every_call_and_body_in_order(vm, before):
        r = vm.run("/bin/true", env=vm.vmm(
            expect=calls(), listeners=[9101, 9102, 9103, 9104, 9105]))
        assert (r.rc, r.out, r.err) == (0, "", ""), r
        told = r.enforcement()
        assert told["backend"] == "firecracker"
        items = {i["name"]: i for i in told["items"]}
        assert items["accel"]["got"] == "kvm"
        for who in ("vmm", "driver"):
            assert items[f"{who}.seccomp"]["got"] == "2"
            assert items[f"{who}.no-new-privs"]["got"] == "1"
        assert vm.verify(r.events_path).rc == 0
        assert before.left() == []

    @pytest.mark.parametrize("flags, mem, cpus", [
        (["--memory", "100M"], 196, 1), (["--memory", "1"], 97, 1),
        (["--cpus", "1.5"], 608, 2), (["--cpus", "64"], 608, 32)])
    def test_limits_make_the_size(vm, flags, mem, cpus):
        r = vm.run("true", flags=flags,
                   env=vm.vmm(expect=calls(mem=mem, cpus=cpus)))
        # a hair of memory is enough for one that runs in the VMM
        assert r.rc == 0, r

    def test_with_a_door(vm, before):
        """Its own tap, by its own node."""
        r = vm.run("true", flags=["--allow", "127.9.9.9:443"],
                   env=vm.vmm(expect=calls(door=True)))
        assert r.rc == 125 and "loopback" in r.err, r
        r = vm.run("true", flags=["--allow", "10.99.9.9:443"],
                   env=vm.vmm(expect=calls(door=True)))
        assert r.rc == 0, r
        assert r.one("v1.network_enforcement")["nftRulesApplied"] is True
        assert before.left() == []

    def test_without_its_own_filters(vm):
        argv = ["--api-sock", "/run/firecracker.socket", "--level", "Error"]
        assert vm.run("true", env=vm.vmm(argv=argv)).rc == 0
        env = vm.vmm(argv=[*argv, "--no-seccomp"])
        r = vm.run("true", env={**env, "CELLOS_FIRECRACKER_NO_SECCOMP": "1"})
        assert r.rc == 0, r
        # ours stay
        assert r.item("vmm.seccomp")["got"] == "2"

    # -- a command --

    @pytest.mark.parametrize("script, rc, code", [
        ("exit 42", 42, 42), ("exit 137", 137, 137), ("kill -9 $$", 137, -1)])
    def test_how_it_ended(vm, before, script, rc, code):
        r = vm.run("sh", "-c", script, env=vm.vmm())
        assert r.rc == rc, r
        assert r.one("command.v1.completed")["exitCode"] == code
        gone = r.one("lifecycle.v1.destroyed")
        assert gone["terminalState"] == "clean"
        assert gone["outcome"] == "failed"
        assert before.left() == []

    def test_standard_input_and_output(vm):
        data = os.urandom(1 << 20)
        env = vm.environ(vm.vmm())
        r = subprocess.run(
            vm.argv(["sh", "-c", "cat; echo e >&2; exit 5"], flags=["-i"]),
            input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=env, timeout=60 * SLACK)
        assert r.returncode == 5, r.stderr
        assert r.stdout == data and r.stderr == b"e\n"

    def test_a_secret_is_only_the_commands(vm):
        r = vm.run("sh", "-c", "echo $A", flags=["--env", "A=b c"],
                   env=vm.vmm())
        assert (r.rc, r.out) == (0, "b c\n"), r

    # -- with a jailer --

    def ids(pid):
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        lines = dict(x.split(":\t", 1) for x in text.splitlines())
        return lines

    @pytest.mark.parametrize("env, uid, gid", [
        ({}, "10002", "10002"),
        ({"CELLOS_FIRECRACKER_JAILER_UID": "30123",
          "CELLOS_FIRECRACKER_JAILER_GID": "30124"}, "30123", "30124"),
        ({"CELLOS_FIRECRACKER_JAILER_UID": "nobody",
          "CELLOS_FIRECRACKER_JAILER_GID": "-1"}, "10002", "10002")])
    def test_a_jail(vm, before, env, uid, gid):
        p = vm.start("sh", "-c", "echo up; exec sleep 1000",
                     flags=["--allow", "10.99.9.9:443", "--timeout", "9s"],
                     env={**vm.jailed(expect=calls(door=True)), **env})
        started(p)
        vmm = vmm_of(p)
        told = ids(vmm)
        assert told["Uid"].split() == [uid] * 4
        assert told["Gid"].split() == [gid] * 4
        assert told["Groups"].strip() == ""
        assert told["NoNewPrivs"] == "1"
        assert {told[f"Cap{x}"] for x in ("Eff", "Prm", "Inh", "Amb")} == {
            "0" * 16}
        # its control groups are the run's
        leaves = cgroups(vm.uuids())
        told = pathlib.Path(f"/proc/{vmm}/cgroup").read_text()
        assert {os.path.basename(c) for c in leaves} == {
            x for x in (os.path.basename(y) for y in told.splitlines())
            if x.startswith("cellos_")} != set()
        for c in leaves:
            inside = pathlib.Path(c, "cgroup.procs").read_text().split()
            assert str(vmm) in inside, c
        root = set(os.listdir(f"/proc/{vmm}/root"))
        assert {"firecracker", "image.kernel", "image.initrd", "image.root",
                "run", "dev", "firecracker.pid"} <= root
        assert not {"etc", "home", "mounts", "jail"} & root
        # who holds the cell together is nobody, and can do two things
        driver = parent(vmm)
        for pid, caps in ((driver, 0), (parent(driver), 1 << 5 | 1 << 12)):
            told = ids(pid)
            assert int(told["Uid"].split()[0]) >= 0x70000000
            assert int(told["CapEff"], 16) == caps
            assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", "2")
        p.send_signal(signal.SIGTERM)
        out, err = p.communicate(timeout=20 * SLACK)
        assert p.returncode == 128 + signal.SIGTERM, (out, err)
        assert before.left() == []

    def test_a_jail_is_told_of(vm, before):
        r = vm.run("sh", "-c", "echo hi; exit 3", env=vm.jailed())
        assert (r.rc, r.out) == (3, "hi\n"), r
        assert r.item("namespace.user")["enforced"] is False
        assert r.item("namespace.net")["enforced"] is True
        assert vm.verify(r.events_path).rc == 0
        assert before.left() == []

    @pytest.mark.parametrize("jail, how, text", [
        ({"dies": True}, {}, "boot_failed: the VMM ended, status 1; its "
         "console: Failed to make the jail"),
        ({}, {"start": "dies"}, "its console: cannot start"),
        ({}, {"bare": True}, "self-test: vmm.seccomp"),
        ({}, {"guest": "dies"}, "boot_failed: the VMM ended, status 0"),
        ({}, {"api": "refuse", "at": "/vsock"}, "returned HTTP 400")])
    def test_a_jail_that_fails(vm, before, jail, how, text):
        lost(vm.run("true", env=vm.jailed(jail, **how)), text)
        assert before.left() == []

    def test_a_jailer_that_is_not_there(vm):
        r = vm.run("true", env={
            **vm.vmm(), "CELLOS_FIRECRACKER_JAILER_BINARY": "/nowhere/j"})
        assert r.rc == 125 and "firecracker: jailer /nowhere/j; install it, " \
            "or name it in CELLOS_FIRECRACKER_JAILER_BINARY" in r.err, r
        r = vm.run("true", env={
            **vm.jailed(), "CELLOS_FIRECRACKER_NO_SECCOMP": "1"})
        assert r.rc == 125 and "leaves the VMM without any filter" in r.err, r

    def test_a_jail_of_a_foreign_guest(vm, before, foreign):
        env = manifest(vm, {**foreign, **vm.jailed(),
                            "CELLOS_FIRECRACKER_ALLOW_NO_JAILER": ""})
        r = of(vm, ["sh", "-c", "exit 4"], env)
        assert r.one("command.v1.completed")["exitCode"] == 4, r
        assert before.left() == []

    def test_the_runner_is_killed_with_a_jail(vm, before):
        kill_at_moments(vm, before, (5, 15, 30, 60, 120, 200, 350, 600),
                        flags=DOOR, env=vm.jailed())

    # -- a VMM that misbehaves --

    PATHS = [path for path, _ in calls()]
    if not IS_ALL or SANITIZED:
        PATHS = PATHS[1:2]

    def slow(test):
        """Seconds, of waiting for a limit."""
        return test if IS_ALL and not SANITIZED else None

    def types(r):
        """What it went through, in order."""
        return [e["type"].removeprefix("dev.cellos.events.cell.")
                for e in r.events if "evidence.v1" not in e["type"]]

    NOT_STARTED = [
        "observability.v1.network_scope", "observability.v1.dns_target_set",
        "lifecycle.v1.started", "observability.v1.container_security",
        "observability.v1.network_policy", "observability.v1.process_spawned",
        "observability.v1.network_enforcement", "command.v1.completed",
        "compliance.v1.summary", "authority.v1.homeostasis",
        "lifecycle.v1.destroyed"]

    def lost(r, text):
        """It did not start, says why, and nothing ran."""
        assert r.rc == 125 and text in r.err, r
        assert r.of_type("command.v1.completed") == [] or r.one(
            "command.v1.completed")["exitCode"] == -1
        assert r.one("lifecycle.v1.destroyed")["outcome"] == "failed"

    @pytest.mark.parametrize("at", PATHS)
    @pytest.mark.parametrize("how, text", [
        ("refuse", "firecracker PUT {} returned HTTP 400: "
         '{{"fault_message":"no ?[31mroom? here"}}'),
        ("parts", "firecracker PUT {} returned HTTP 400: "
         '{{"fault_message":"no room"}}..'),
        ("close", "firecracker API request to {}: no answer"),
        ("garbage", "firecracker PUT {} returned HTTP 0: xxxx"),
        ("endless", "firecracker API request to {}: no answer"),
        ("dies", "boot_failed: the VMM ended, status 3")])
    def test_a_request_fails(vm, before, at, how, text):
        r = vm.run("true", env=vm.vmm(api=how, at=at))
        lost(r, text.format(at))
        assert vm.verify(r.events_path).rc == 0
        assert before.left() == []

    def test_a_refusal_that_is_cut_off_is_told(vm):
        r = vm.run("true", env=vm.vmm(api="cut", at="/vsock"))
        lost(r, "firecracker PUT /vsock returned HTTP 400: "
             '{"fault_message":"no room"}..')

    @pytest.mark.parametrize("parts", [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"{", b"}"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"],
        [b"HTTP/1.1 299 \r\n", b"\r\n"],
        [b"HTTP/1.1 201 \r\nContent-Length:3000\r\n\r\n" + b"x" * 3000]])
    def test_each_kind_of_success_is_one(vm, parts):
        """Its body is nobody's."""
        r = vm.run("true", env=vm.vmm(success=parts))
        assert (r.rc, r.err) == (0, ""), r

    @pytest.mark.parametrize("parts, text", [
        ([b"HTTP/1.1 204 \r\n\r\nHTTP"], "returned HTTP 204: HTTP"),
        ([b"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nxy"],
         "returned HTTP 200: xy"),
        ([b"HTTP/1.1 300 \r\n\r\n"], "returned HTTP 300"),
        ([b"HTTP/1.1 200 \r\nContent-Length: 5000\r\n\r\n"
          + b"x" * 5000], "returned HTTP 200: xxxx"),
        *([([b"HTTP/1.1 200 \r\nContent-Length: 1x\r\n\r\n"],
            "returned HTTP 200"),
           ([b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n"],
            "returned HTTP 200")] if IS_ALL else [])])
    def test_what_is_no_success(vm, parts, text):
        """More than it says it is, or what nobody can tell the end of."""
        lost(vm.run("true", env=vm.vmm(success=parts)), text)

    def test_a_slow_answer_is_one(vm):
        env = vm.vmm(api="slow", at="/machine-config", expect=None)
        text = pathlib.Path(env["CELLOS_FIRECRACKER_BINARY"])
        text.write_text(text.read_text().replace("'expect': None", ""))
        assert vm.run("true", env=env).rc == 0

    @slow
    def test_no_answer_at_all(vm, before):
        r = vm.run("true", env=vm.vmm(api="silent", at="/boot-source"))
        lost(r, "firecracker API request to /boot-source timed out after 5s")
        assert before.left() == []

    @pytest.mark.parametrize("how, text", [
        ("dies", "boot_failed: the VMM ended, status 1; its console: cannot "
         "start"),
        *([("hangs", "timed out waiting for Firecracker socket at "
            "/run/firecracker.socket (10s)")] if IS_ALL else [])])
    def test_it_never_listens(vm, before, how, text):
        lost(vm.run("true", env=vm.vmm(start=how)), text)
        assert before.left() == []

    def test_it_listens_late(vm):
        assert vm.run("true", env=vm.vmm(start=2)).rc == 0

    def test_it_is_not_there(vm, before):
        r = vm.run("true", env={
            "CELLOS_FIRECRACKER_BINARY": "/nowhere/firecracker"})
        assert r.rc == 125 and "/nowhere/firecracker; install it, or name " \
            "it in CELLOS_FIRECRACKER_BINARY" in r.err, r
        assert before.left() == []

    def test_without_kvm(vm, strace):
        p = subprocess.run(
            [*strace.prefix(["open,openat:error=ENOENT"], follow=False),
             "-P", "/dev/kvm", *vm.argv(["true"])],
            env=vm.environ({**vm.vmm(), **strace.env}), text=True,
            capture_output=True, timeout=60 * SLACK)
        assert p.returncode == 125 and strace.hit, p
        assert "firecracker: /dev/kvm, which it cannot do without; load " \
            "kvm_intel or kvm_amd, or pass the device in, and run as root " \
            "or in the kvm group, or use --backend qemu" in p.stderr, p

    # -- a guest that misbehaves --

    @pytest.mark.parametrize("how, text", [
        ("dies", "boot_failed: the VMM ended, status 0"),
        ("panic", "kernel_cannot_mount_root: the VMM ended, status 0; its "
         "console: [    0.5] Kernel panic"),
        ("version", "the image has an init of another version"),
        ("bogus", "pid 1 of the guest"),
        ("short", "boot_failed: the guest is cut off")])
    def test_before_the_command(vm, before, how, text):
        r = vm.run("true", env=vm.vmm(guest=how))
        lost(r, text)
        assert before.left() == []

    MEMORY = (64 << 20) + 4095  # whose last page is not whole
    MAX = (1 << 64) - 1

    @pytest.mark.parametrize("limits, name, shown, kept", [
        ((64 << 20, MAX), "pids", "max", "20"),
        ((64 << 20, 21), "pids", "21", "20"),
        ((64 << 20, 0), "pids", "0", "20"),
        ((MEMORY, 20), "memory", str(MEMORY), str(64 << 20)),
        ((MAX, 20), "memory", "max", str(64 << 20)),
        ((0, 20), "memory", "0", str(64 << 20))])
    def test_a_limit_that_its_kernel_does_not_show(vm, before, limits, name,
                                                   shown, kept):
        r = vm.run("true", flags=["--memory", str(MEMORY), "--pids", "20"],
                   env=vm.vmm(limits=limits))
        lost(r, f'\n    cgroup: guest.{name}.max reads "{shown}", not '
             f'"{kept}": Protocol error (os error 71)\n')
        done = r.one("command.v1.completed")
        assert (done["exitCode"], done["spawnError"]) == (
            -1, "spec.run spawn failed: Protocol error (os error 71)")
        told = r.enforcement("refused")
        assert (told["backend"], told["stage"], told["detail"]) == (
            "firecracker", "cgroup",
            f'guest.{name}.max reads "{shown}", not "{kept}"')
        asked = {"memory": str(MEMORY), "pids": "20"}[name]
        item, = [i for i in told["items"] if i["name"] == f"guest.{name}.max"]
        assert (item["asked"], item["got"], item["enforced"]) == (
            asked, shown, False)
        assert types(r) == NOT_STARTED
        assert vm.verify(r.events_path).rc == 0
        assert before.left() == []

    def test_a_limit_that_its_kernel_shows(vm, before):
        r = vm.run("true", flags=["--memory", str(MEMORY), "--pids", "20"],
                   env=vm.vmm(limits=(64 << 20, 20)))
        assert (r.rc, r.err) == (0, ""), r
        items = {i["name"]: i for i in r.enforcement()["items"]}
        assert [(i["asked"], i["got"], i["enforced"]) for i in (
            items["guest.memory.max"], items["guest.pids.max"])] == [
            (str(MEMORY), str(64 << 20), True), ("20", "20", True)]
        assert before.left() == []

    @pytest.mark.parametrize("how, text", [
        ({"limits": (5, 0)}, 'guest.memory.max reads "5", not "0"'),
        ({"text": b"x"}, "pid 1 of the guest: Protocol error")])
    def test_ready_says_no_more_than_was_asked(vm, before, how, text):
        lost(vm.run("true", env=vm.vmm(**how)), text)
        assert before.left() == []

    def test_ready_before_it_has_the_files(vm, before, tmp_path):
        """More than there is room for on the way."""
        rw = tmp_path / "rw"
        rw.mkdir()
        (rw / "big").write_bytes(bytes(4 << 20))
        r = vm.run("true", rw=[rw], flags=["--timeout", "5s"], env=vm.vmm())
        lost(r, "pid 1 of the guest: Protocol error")
        assert os.listdir(rw) == ["big"]
        assert before.left() == []

    def test_it_never_connects(vm, before):
        """The lifetime counts from the start."""
        doc = vm.document(["true"], ttl=3)
        r = vm.run_document(doc, flags=WALL, env=vm.vmm(guest="silent"))
        lost(r, "boot_failed: no word of pid 1 of the guest in 3 s; does KVM "
             "work here?")
        assert before.left() == []

    @pytest.mark.parametrize("how, text", [
        ("mute", "clone: the cell was not ready in 2 s"),
        ("unready", "clone: the cell was not ready in 2 s"),
        ("norun", "vmm: no word of the command in 2 s")])
    def test_it_says_nothing_more(vm, before, how, text):
        """Nor does a machine that hangs live longer than it may."""
        doc = vm.document(["true"], ttl=2)
        began = time.monotonic()
        r = vm.run_document(doc, flags=WALL, env=vm.vmm(guest=how))
        assert 2 <= time.monotonic() - began < 4 * SLACK
        lost(r, text)
        done = r.one("command.v1.completed")
        assert (done["exitCode"], done["spawnError"]) == (
            -1, "spec.run spawn failed: Connection timed out (os error 110)")
        assert r.enforcement("refused")["backend"] == "firecracker"
        assert types(r) == NOT_STARTED
        gone = r.one("lifecycle.v1.destroyed")
        assert (gone["terminalState"], gone["outcome"]) == (
            "forced", "failed")
        assert vm.verify(r.events_path).rc == 0
        assert before.left() == []

    def test_it_does_not_hear_a_stop(vm, before):
        """The grace is ours to count."""
        doc = vm.document(["sleep", "1000"], ttl=1,
                          limits={"gracefulShutdownSeconds": 1})
        began = time.monotonic()
        r = vm.run_document(doc, flags=WALL, env=vm.vmm(guest="deaf"))
        assert 2 <= time.monotonic() - began < 4 * SLACK
        assert r.rc == 124, r
        done = r.one("command.v1.completed")
        assert (done["exitCode"], done["spawnError"]) == (
            -1, "cell killed by TTL watchdog after 1000 ms (ttl_seconds=1)")
        assert r.one("lifecycle.v1.destroyed")["terminalState"] == "forced"
        assert before.left() == []

    @pytest.mark.parametrize("how", ["late", "stray"])
    def test_is_taken_once_and_in_its_time(vm, how):
        r = vm.run("echo", "hi", env=vm.vmm(guest=how))
        assert (r.rc, r.out) == (0, "hi\n"), r

    @pytest.mark.parametrize("how", ["forged", "torn", "flipped"])
    def test_an_end_nobody_with_the_key_has_told(vm, before, how):
        cmd = ["true"] if how == "flipped" else ["sleep", "1000"]
        r = vm.run(*cmd, env=vm.vmm(guest=how))
        assert r.rc == 125, r
        assert "Error: in-VM exit bridge: vmm_crashed\n" in r.err, r
        gone = r.one("lifecycle.v1.destroyed")
        assert (gone["terminalState"], gone["reason"]) == (
            "forced", "in-VM exit bridge: vmm_crashed")
        assert r.of_type("command.v1.completed") == []
        assert "commandExitCode" not in r.one("v1.network_enforcement")
        assert before.left() == []

    # -- files that come back --

    def files_lost(vm, r):
        assert_files_lost(r)
        assert vm.verify(r.events_path).rc == 0

    def test_files_have_a_time_of_their_own(vm, before, tmp_path):
        """The command ended in time; what it wrote comes when that is up."""
        rw = tmp_path / "rw"
        rw.mkdir()
        r = vm.run("true", rw=[rw], flags=["--timeout", "4s"],
                   env=vm.vmm(trees=1, after=6,
                              back=archive(("new", b"new\n"))))
        assert (r.rc, r.out, r.err) == (0, "", ""), r
        done = r.one("command.v1.completed")
        assert done["exitCode"] == 0 and done["durationMs"] < 4000
        assert r.one("lifecycle.v1.destroyed")["terminalState"] == "clean"
        assert (rw / "new").read_text() == "new\n"
        assert before.left() == []

    @pytest.mark.parametrize("wall", ["vmm", "jailed"])
    def test_files_come_back(vm, before, tmp_path, wall):
        """A new one, and one in the place of another; nothing beside them."""
        rw = tmp_path / "rw"
        rw.mkdir()
        (rw / "old").write_text("old\n")
        back = archive(("new", b"new\n"), ("old", b"other\n"))
        r = vm.run("true", rw=[rw], env=getattr(vm, wall)(trees=1, back=back))
        assert (r.rc, r.out, r.err) == (0, "", ""), r
        assert {p.name: p.read_text() for p in rw.iterdir()} == {
            "new": "new\n", "old": "other\n"}
        assert before.left() == []

    @slow
    def test_files_that_never_come(vm, before, tmp_path):
        rw = tmp_path / "rw"
        rw.mkdir()
        (rw / "old").write_text("old\n")
        began = time.monotonic()
        r = vm.run("true", rw=[rw], flags=["--timeout", "4s"],
                   env={**vm.vmm(trees=1),
                        "CELLOS_LIMIT_TMP_BYTES": str(4 << 20)})
        files_lost(vm, r)
        assert time.monotonic() - began > 11
        assert (rw / "old").read_text() == "old\n"
        assert before.left() == []

    @pytest.mark.parametrize("who", ["runner", "driver", "vmm"])
    def test_the_end_while_files_come_back(vm, before, tmp_path, who):
        """What came whole is there, and of the rest nothing."""
        rw = tmp_path / "rw"
        rw.mkdir()
        (rw / "old").write_text("old\n")
        back = archive(("first", b"first\n"), ("old", bytes(4000)), end=False)
        p = vm.start("true", rw=[rw], env={
            **vm.vmm(trees=1, back=back[:-1000]),
            "CELLOS_LIMIT_GRACE_SECONDS": "1"})
        assert wait_until((rw / "first").exists, 20), p.communicate(timeout=1)
        if who == "runner":
            p.terminate()
        else:
            vmm = vmm_of(p)
            os.kill(vmm if who == "vmm" else parent(vmm), signal.SIGKILL)
        out, err = p.communicate(timeout=20 * SLACK)
        files_lost(vm, Result(p.returncode, out, err, p.events_path))
        assert sorted(os.listdir(rw)) == ["first", "old"]
        assert (rw / "first").read_text() == "first\n"
        assert (rw / "old").read_text() == "old\n"
        assert before.left() == []

    # -- it ends, or does not --

    def vmm_of(p):
        def look():
            for pid in descendants(p.pid):
                try:
                    args = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                except OSError:
                    continue
                if b"--api-sock" in args:
                    return pid
            return None
        pid = wait_until(look, 20)
        assert pid, p.communicate(timeout=1)
        return pid

    def test_the_vmm_is_killed(vm, before):
        p = vm.start("sh", "-c", "echo up; exec sleep 1000", env=vm.vmm())
        started(p)
        os.kill(vmm_of(p), signal.SIGKILL)
        out, err = p.communicate(timeout=20 * SLACK)
        assert p.returncode == 125, (out, err)
        assert "Error: in-VM exit bridge: vmm_crashed\n" in err
        assert vm.verify(p.events_path).rc == 0
        assert before.left() == []

    def memory(pid, what):
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        return int(re.search(rf"{what}:\s+(\d+) kB", text)[1])

    def test_a_guest_that_babbles(vm, before):
        """The end of its console is told; what is kept of it is bounded."""
        p = vm.start("sh", "-c", "echo up; read x", flags=["-i"],
                     stdin=subprocess.PIPE, env=vm.vmm(guest="babble"))
        started(p)
        driver = parent(vmm_of(p))
        first = most = memory(driver, "VmRSS")
        p.stdin.close()
        p.stdin = None
        while p.poll() is None:
            try:
                most = memory(driver, "VmHWM")
            except (OSError, TypeError):
                break
            time.sleep(0.01)
        out, err = p.communicate(timeout=20 * SLACK)
        assert p.returncode == 125, (out, err)
        assert first <= most < first + 512, "of 1024 KiB"
        assert err.startswith(
            "Error: in-VM exit bridge: init_crashed\n\nCaused by:\n    "
            "spec.run wait failed: host backend: the sandbox ended, and not "
            "by its command; its console: [ 2.6] [31mRebooting " + "x" * 98
            + "\n"), err
        assert before.left() == []

    def test_the_vmm_stands_still(vm, before):
        p = vm.start("sh", "-c", "echo up; exec sleep 1000",
                     flags=["--timeout", "3s"],
                     env={**vm.vmm(), "CELLOS_LIMIT_GRACE_SECONDS": "1"})
        started(p)
        os.kill(vmm_of(p), signal.SIGSTOP)
        out, err = p.communicate(timeout=30 * SLACK)
        assert p.returncode == 124, (out, err)
        assert before.left() == []

    def test_a_signal_to_the_runner(vm, before):
        p = vm.start("sh", "-c", 'trap "echo term; exit 0" TERM; echo up; '
                     "while :; do sleep 0.1; done", env=vm.vmm())
        started(p)
        p.send_signal(signal.SIGTERM)
        out, err = p.communicate(timeout=20 * SLACK)
        assert p.returncode == 128 + signal.SIGTERM, (out, err)
        assert out == "term\n"
        assert before.left() == []

    def test_the_runner_is_killed_at_any_moment(vm, before):
        kill_at_moments(
            vm, before, (3, 6, 10, 15, 20, 30, 50, 80, 120, 200, 300, 500),
            flags=DOOR, env=vm.vmm())

    def test_plan_and_doctor(vm):
        env = vm.vmm()
        r = vm.verb("plan", *WALL, "--", "true", env=env)
        steps = [x.split()[1] for x in r.out.splitlines()]
        assert r.rc == 0 and steps.count("vmm") == 1, r
        r = vm.verb("doctor", *WALL, env=env)
        lines = [" ".join(x.split()) for x in r.out.splitlines()]
        path = str(vm.tmp / "vmm")
        assert f"ok {path[:31]} {path}" in lines, r
        assert "ok kvm machines: /dev/kvm" in lines
        assert "ok accelerator kvm" in lines
        assert "A full cell works here, behind firecracker." in lines
        r = vm.verb("doctor", *WALL, env={
            "CELLOS_FIRECRACKER_BINARY": "/nowhere/firecracker"})
        lines = [" ".join(x.split()) for x in r.out.splitlines()]
        assert r.rc == 1
        assert "MISSING /nowhere/firecracker No such file or directory (os " \
            "error 2)" in lines, r

    NO_JAILER = "MISSING jailer required by CELLOS_CELL_BACKEND or " \
        "CELLOS_FIRECRACKER_REQUIRE_JAILER, and none is named"

    def test_doctor_goes_by_the_variable(vm, foreign):
        """The wall of `run`, and what it asks for."""
        env = {**foreign, "CELLOS_DEPLOYMENT_PROFILE": ""}
        del env["CELLOS_FIRECRACKER_ALLOW_NO_JAILER"]

        def rows(*flags, **more):
            r = vm.verb("doctor", *flags, env={**env, **more})
            return r.rc, [" ".join(x.split()) for x in r.out.splitlines()]
        rc, lines = rows()
        assert rc == 1 and NO_JAILER in lines, lines
        assert "- a real cell not tried: something it needs is missing" in \
            lines
        assert lines[-1] == "A full cell does not work here, behind " \
            "firecracker."
        # by --backend it is not asked for
        assert NO_JAILER not in rows(*WALL)[1]
        rc, lines = rows(*WALL, CELLOS_FIRECRACKER_REQUIRE_JAILER="1")
        assert rc == 1 and NO_JAILER in lines, lines
        rc, lines = rows(CELLOS_FIRECRACKER_JAILER_BINARY="/nowhere/jailer")
        assert rc == 1 and NO_JAILER not in lines
        assert "MISSING /nowhere/jailer No such file or directory (os error " \
            "2)" in lines, lines
        # what else a run would refuse is told by one
        rc, lines = rows(CELLOS_FIRECRACKER_ALLOW_NO_JAILER="1",
                         CELLOS_FIRECRACKER_KERNEL_IMAGE="")
        assert rc == 1, lines
        assert "FAILED a real cell firecracker backend init: " \
            "CELLOS_FIRECRACKER_KERNEL_IMAGE must be set to an absolute path " \
            "to the Firecracker kernel image when " \
            "CELLOS_CELL_BACKEND=firecracker" in lines, lines

    @NOT_ADMITTED
    def test_is_not_booted_before_it_is_admitted(vm, before, strace, env, last,
                                                 reason):
        doc = refused_document(vm, env)
        events = vm.events_path()
        r = vm.call([*strace.watch(), vm.cellos, "run", "--events", events,
                     *WALL, doc], events, {**vm.vmm(), **env, **strace.env})
        assert r.rc == 125 and reason in r.err, r
        assert not strace.made_a_cell
        types = [e["type"].split(".")[-1] for e in r.events
                 if ".evidence." not in e["type"]]
        assert types[types.index("summary") - 1] == last, types
        assert vm.verify(events).rc == 0
        assert before.left() == []

    # -- a guest after the original's contract --

    @pytest.fixture
    def foreign(vm):
        """Kernel, root and manifest of somebody else's, as files."""
        (vm.tmp / "vmlinux").write_bytes(b"\x7fELF" + bytes(2000))
        (vm.tmp / "rootfs.ext4").write_bytes(b"r\n")
        env = vm.vmm()
        return manifest(vm, {
            **env, "CELLOS_CELL_BACKEND": "firecracker",
            "CELLOS_DEPLOYMENT_PROFILE": "portable",
            "CELLOS_FIRECRACKER_ALLOW_NO_JAILER": "1",
            "CELLOS_FIRECRACKER_KERNEL_IMAGE": str(vm.tmp / "vmlinux"),
            "CELLOS_FIRECRACKER_ROOTFS_IMAGE": str(vm.tmp / "rootfs.ext4")})

    def digest(path):
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()

    def manifest(vm, env):
        lines = [(env[f"CELLOS_FIRECRACKER_{k}"], role) for k, role in (
            ("KERNEL_IMAGE", "kernel"), ("ROOTFS_IMAGE", "rootfs"),
            ("BINARY", "firecracker"))]
        path = vm.tmp / "fc.manifest"
        path.write_text("# v1\n" + "".join(
            f"sha256:{digest(p)}  {role}  {p}\n" for p, role in lines))
        return {**env, "CELLOS_FIRECRACKER_MANIFEST": str(path)}

    def of(vm, argv, env, how=None, **kw):
        """A run of a document; @how the VMM and its guest behave."""
        if how is not None:
            env = manifest(vm, {**env, **vm.vmm(**how)})
        return vm.supervise(vm.document(argv, **kw), env=env)

    def test_a_foreign_guest(vm, before, foreign):
        argv = ["sh", "-c", "echo of the command; exit 42"]
        ident = "cell-1"
        text = json.dumps(argv, separators=(",", ":")).encode()
        line = ("console=ttyS0 reboot=k panic=1 pci=off ipv6.disable=1 "
                f"root=/dev/vda rw cellos.cell_id={ident} "
                "cellos.vsock_port=9000 cellos.argv="
                + base64.b64encode(text).decode()
                + " cellos.exit_hmac_key=")
        r = of(vm, argv, foreign, dict(
            boot_args=line, listeners=[9000], paths=[
            "/machine-config", "/boot-source", "/drives/rootfs", "/vsock",
            "/actions"]))
        assert r.rc == 1, r
        assert r.out == ("console of the guest\nof the command\n"
                         "acknowledged\n"), r
        assert r.one("command.v1.completed")["exitCode"] == 42
        first = r.one("lifecycle.v1.started")
        for role, name in (("KERNEL_IMAGE", "kernel"), ("BINARY",
                           "firecracker"), ("ROOTFS_IMAGE", "rootfs")):
            path = vm.tmp / "vmm" if name == "firecracker" else \
                foreign[f"CELLOS_FIRECRACKER_{role}"]
            assert first[f"{name}DigestSha256"] == digest(path)
        gone = r.one("lifecycle.v1.destroyed")
        assert gone["terminalState"] == "clean"
        items = {i["name"]: i for i in r.enforcement()["items"]}
        assert items["guest.exit-key"]["enforced"] is False
        assert before.left() == []

    def bridge(r, reason):
        """How its command ended nobody knows, and nobody says."""
        gone = r.one("lifecycle.v1.destroyed")
        assert (gone["terminalState"], gone["reason"]) == (
            "forced", f"in-VM exit bridge: {reason}"), r
        assert r.of_type("command.v1.completed") == []
        assert "commandExitCode" not in r.one("v1.network_enforcement")

    @pytest.mark.parametrize("how", ["before", "flood"])
    def test_a_forged_exit_does_not_stop_the_genuine_one(vm, foreign, how):
        r = of(vm, ["sh", "-c", "exit 7"], foreign, dict(guest=how))
        assert r.one("command.v1.completed")["exitCode"] == 7, r
        assert r.out.endswith("acknowledged\n"), r

    @pytest.mark.parametrize("how", ["flipped", "changed", "keyless",
                                     "oversized"])
    def test_a_forged_exit_is_none(vm, before, foreign, how):
        """A bit of its tag, its code, its key, its length is another."""
        r = of(vm, ["true"], foreign, dict(guest=how))
        assert r.rc == 1 and r.out.endswith("refused: b''\n"), r
        bridge(r, "vmm_crashed")
        assert before.left() == []

    @pytest.mark.parametrize("code, told", [
        (0, 0), (137, 137), (255, 255), (256, 255), (-1, 255)])
    def test_a_code(vm, foreign, code, told):
        r = of(vm, ["true"], foreign, dict(code=code))
        assert r.one("command.v1.completed")["exitCode"] == told, r

    @pytest.mark.parametrize("wait, env, reason", [
        (1, {"CELLOS_FIRECRACKER_ALLOW_NO_VSOCK": "1",
             "CELLOS_FIRECRACKER_NO_VSOCK_TIMEOUT_SECS": "1"},
         "vsock exit-code wait timed out after 1s for cell cell-1 "
         "(CELLOS_FIRECRACKER_ALLOW_NO_VSOCK=1)")])
    def test_no_exit_in_the_time_given(vm, before, foreign, wait, env, reason):
        r = of(vm, ["true"], {**foreign, **env}, dict(guest="silent"))
        bridge(r, reason)
        assert before.left() == []

    def test_no_exit_before_the_end_of_its_life(vm, before, foreign):
        r = of(vm, ["true"], foreign, dict(guest="silent"), ttl=2)
        assert "cell killed by TTL watchdog after 2000 ms (ttl_seconds=2)" \
            in r.err, r
        gone = r.one("lifecycle.v1.destroyed")
        assert gone["terminalState"] == "forced"
        assert before.left() == []

    def test_its_keys_end_it(vm, before, foreign):
        """A stop is Ctrl-Alt-Del, and its own init ends the command."""
        env = manifest(vm, {**foreign, **vm.vmm()})
        doc = vm.document(["sh", "-c", "echo up; exec sleep 1000"])
        events = vm.events_path()
        p = subprocess.Popen([vm.supervisor, doc], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=vm.environ({
                                 **env, "CELL_OS_USE_NOOP_SINK": "1",
                                 "CELL_OS_JSONL_EVENTS": events}))
        lines = [p.stdout.readline() for _ in range(2)]
        assert lines == ["console of the guest\n", "up\n"], p.communicate()
        p.send_signal(signal.SIGTERM)
        out, err = p.communicate(timeout=20 * SLACK)
        assert out.endswith("acknowledged\n"), (out, err)
        assert before.left() == []

    @pytest.mark.parametrize("role, name", [
        ("kernel", "KERNEL_IMAGE"), ("rootfs", "ROOTFS_IMAGE"),
        ("firecracker", "BINARY")])
    def test_an_artifact_is_another(vm, before, foreign, role, name):
        env = foreign
        path = pathlib.Path(env[f"CELLOS_FIRECRACKER_{name}"])
        want = digest(path)
        path.write_bytes(path.read_bytes() + b"#")
        r = of(vm, ["true"], env)
        assert r.rc == 1, r
        assert (f"artifact digest mismatch for role `{role}` at {path}: "
                f"expected sha256:{want}, got sha256:{digest(path)}") in r.err
        event, = [e for e in r.events if e["type"].endswith(
            "lifecycle.v1.manifest-failed")]
        assert event["data"] == {
            "role": role, "expectedSha256": want,
            "actualSha256": digest(path),
            "manifestPath": env["CELLOS_FIRECRACKER_MANIFEST"]}
        assert event["source"] == "cellos-host-firecracker"
        assert before.left() == []

    HARDENED = "set CELLOS_DEPLOYMENT_PROFILE=portable"
    TWO = {"CELLOS_FIRECRACKER_ALLOW_NO_MANIFEST": "1",
           "CELLOS_FIRECRACKER_ALLOW_NO_MANIFEST_REALLY": "1"}
    NO_MANIFEST = {"CELLOS_FIRECRACKER_MANIFEST": ""}

    @pytest.mark.parametrize("env, text", [
        ({"CELLOS_FIRECRACKER_BINARY": ""},
         "CELLOS_FIRECRACKER_BINARY must be set to an absolute path to the "
         "firecracker VMM binary when CELLOS_CELL_BACKEND=firecracker"),
        ({"CELLOS_FIRECRACKER_KERNEL_IMAGE": " vmlinux "},
         "CELLOS_FIRECRACKER_KERNEL_IMAGE must be an absolute path to the "
         "Firecracker kernel image when CELLOS_CELL_BACKEND=firecracker"),
        ({"CELLOS_FIRECRACKER_ROOTFS_IMAGE": ""},
         "CELLOS_FIRECRACKER_ROOTFS_IMAGE must be set to an absolute path to "
         "the Firecracker rootfs image when"),
        ({"CELLOS_FIRECRACKER_SOCKET_DIR": "tmp"},
         "CELLOS_FIRECRACKER_SOCKET_DIR must be an absolute path to the "
         "Firecracker socket directory"),
        ({"CELLOS_FIRECRACKER_CHROOT_BASE": "x"}, "chroot base directory"),
        ({"CELLOS_FIRECRACKER_SCRATCH_DIR": "x"}, "scratch image directory"),
        ({"CELLOS_FIRECRACKER_SCRATCH_DIR": "/var/tmp"}, "firecracker: "
         "CELLOS_FIRECRACKER_SCRATCH_DIR names a disk, which this guest would "
         "look for and not find; unset it, or use an image of "
         "`cellos image build`"),
        ({"CELLOS_FIRECRACKER_JAILER_UID": "0"}, "jailer_uid must be "
         "non-zero: CELLOS_FIRECRACKER_JAILER_UID is 0 [FC-41]"),
        ({"CELLOS_FIRECRACKER_JAILER_GID": "0"}, "jailer_gid"),
        ({"CELLOS_FIRECRACKER_ALLOW_NO_JAILER": "0"},
         "jailer is required for production use (set "
         "CELLOS_FIRECRACKER_JAILER_BINARY or "
         "CELLOS_FIRECRACKER_ALLOW_NO_JAILER=1 to opt out)"),
        (NO_MANIFEST, "firecracker init: CELLOS_FIRECRACKER_MANIFEST is not "
         "set"),
        ({**NO_MANIFEST, "CELLOS_FIRECRACKER_ALLOW_NO_MANIFEST": "1"},
         "CELLOS_FIRECRACKER_ALLOW_NO_MANIFEST and "
         "CELLOS_FIRECRACKER_ALLOW_NO_MANIFEST_REALLY are a two-flag"),
        ({"CELLOS_FIRECRACKER_MANIFEST": "/nonexist"}, "image: "
         "CELLOS_FIRECRACKER_MANIFEST /nonexist; make it with"),
        ({"CELLOS_FIRECRACKER_MANIFEST": "/dev/null"}, "image: "
         "CELLOS_FIRECRACKER_MANIFEST /dev/null is not a regular file; make"),
        ({"CELLOS_FIRECRACKER_KERNEL_IMAGE": "/nonexist"}, "image: "
         "CELLOS_FIRECRACKER_KERNEL_IMAGE /nonexist, which has to be a file"),
        ({"CELLOS_FIRECRACKER_ROOTFS_IMAGE": "/nonexist"}, "image: "
         "CELLOS_FIRECRACKER_ROOTFS_IMAGE /nonexist, which has to be a file"),
        (TWO, "mutually exclusive"),
        ({"CELLOS_DEPLOYMENT_PROFILE": ""}, HARDENED)])
    def test_a_bad_setting(vm, before, foreign, env, text):
        r = of(vm, ["true"], {**foreign, **env})
        assert r.rc == 1 and text in r.err, r
        assert r.of_type("lifecycle.v1.started") == []
        assert before.left() == []

    @pytest.mark.parametrize("name, value, why", [
        ("POOL_SIZE", "3", "a machine made in advance could not be told the "
         "document"),
        ("SOCKET_DIR", "/nowhere", "sockets of the VMM lie in the memory of "
         "its cell"),
        ("CHROOT_BASE", "/nowhere", "a jail lies in the memory of its cell"),
        ("SCRATCH_DIR", "/nowhere", "what a guest of ours writes lies in its "
         "memory; refused with another's")])
    def test_what_has_no_effect_says_so(vm, before, name, value, why):
        doc = vm.document(["sh", "-c", "exit 3"])
        r = vm.supervise(doc, env={
            **vm.jailed(expect=calls()), **vm.by_name,
            f"CELLOS_FIRECRACKER_{name}": value})
        assert r.one("command.v1.completed")["exitCode"] == 3, r
        assert r.err.count(f"CELLOS_FIRECRACKER_{name} has no effect in this "
                           f"build: {why}\n") == 1, r
        assert not os.path.exists("/nowhere")
        assert before.left() == []

    @pytest.mark.parametrize("value, refused", [
        ("", True), ("1", True), ("off", True), ("False", True),
        *[(v, False) for v in ("0", "false", "FALSE", "no", "NO")]])
    def test_a_jailer_is_required(vm, foreign, value, refused):
        env = {**foreign, "CELLOS_FIRECRACKER_ALLOW_NO_JAILER": "",
               "CELLOS_FIRECRACKER_REQUIRE_JAILER": value}
        r = of(vm, ["true"], env)
        assert (r.rc, "jailer is required for production use" in r.err) == (
            int(refused), refused), r
        # and the other word counts first
        r = of(vm, ["true"], {**env, "CELLOS_FIRECRACKER_ALLOW_NO_JAILER": "1"})
        assert r.rc == 0, r

    def test_unverified(vm, foreign):
        r = of(vm, ["true"], {**foreign, **NO_MANIFEST, **TWO,
                              "CELLOS_FIRECRACKER_SCRATCH_DIR": " "})
        assert r.rc == 0 and "MANIFEST VERIFICATION DISABLED" in r.err, r
        first = r.one("lifecycle.v1.started")
        assert not [k for k in first if k.endswith("DigestSha256")]

    @pytest.mark.parametrize("text, said", [
        ("sha256:00 kernel /k", "manifest line 1: sha256 digest must be 64 "
         "hex chars"),
        ("md5:00 kernel /k", "must start with `sha256:`"),
        ("sha256:" + "0" * 64 + " kernel /k more", "manifest line 1: "
         "unexpected trailing field after path"),
        ("sha256:" + "0" * 64 + " kernel /k", "is missing a `rootfs` role")])
    def test_a_bad_manifest(vm, foreign, text, said):
        path = pathlib.Path(foreign["CELLOS_FIRECRACKER_MANIFEST"])
        path.write_text(text)
        r = of(vm, ["true"], foreign)
        assert r.rc == 1 and said in r.err, r
        assert r.one("lifecycle.v1.manifest-failed") == {
            "role": "manifest", "expectedSha256": None,
            "actualSha256": digest(path), "manifestPath": str(path)}

    @pytest.mark.parametrize("role, name", [
        ("manifest", "MANIFEST"), ("kernel", "KERNEL_IMAGE"),
        ("rootfs", "ROOTFS_IMAGE")])
    def test_what_its_manifest_names_is_gone(vm, before, foreign, role, name):
        path = pathlib.Path(foreign[f"CELLOS_FIRECRACKER_{name}"])
        want = None if role == "manifest" else digest(path)
        path.unlink()
        r = of(vm, ["true"], foreign)
        assert r.rc == 1, r
        assert r.one("lifecycle.v1.manifest-failed") == {
            "role": role, "expectedSha256": want, "actualSha256": None,
            "manifestPath": foreign["CELLOS_FIRECRACKER_MANIFEST"]}
        assert before.left() == []

    @pytest.mark.parametrize("gone", [False, True])
    def test_without_a_manifest_none_fails(vm, before, foreign, gone):
        """A kernel that is not there, a root that is not the document's"""
        env = {**foreign, **NO_MANIFEST, **TWO}
        path = vm.document(["true"])
        if gone:
            os.unlink(env["CELLOS_FIRECRACKER_KERNEL_IMAGE"])
        else:
            doc = json.loads(pathlib.Path(path).read_text())
            doc["spec"]["environment"] = {"imageReference": "x",
                                          "imageDigest": "sha256:" + "0" * 64}
            pathlib.Path(path).write_text(json.dumps(doc))
        r = vm.supervise(path, env=env)
        said = "/vmlinux, which has to be a file" if gone else \
            "rootfs digest mismatch at "
        assert r.rc == 1 and said in r.err, r
        assert r.of_type("lifecycle.v1.manifest-failed") == []
        assert r.enforcement("refused")["stage"] == "create"
        assert before.left() == []

    @pytest.mark.parametrize("member, value, said", [
        ("egressRules", [{"host": "10.9.9.9", "port": 443}], "egress_rules"),
        ("dnsAuthority", {"hostnameAllowlist": ["example.com"]},
         "dnsAuthority.hostnameAllowlist")])
    def test_network_is_off(vm, foreign, member, value, said):
        doc = json.loads(pathlib.Path(vm.document(["true"])).read_text())
        doc["spec"]["authority"][member] = value
        path = vm.tmp / "doc.json"
        path.write_text(json.dumps(doc))
        off = {"CELLOS_FIRECRACKER_ENABLE_NETWORK": "off"}
        r = vm.supervise(path, env={**foreign, **off})
        assert r.rc == 1 and f"spec declares {said} but network " \
            "enforcement is disabled (set " \
            "CELLOS_FIRECRACKER_ENABLE_NETWORK=1)" in r.err, r
        r = vm.supervise(path, env=foreign)
        assert r.rc == 0, r
        told = r.item("guest.network")
        assert (told["got"], told["enforced"]) == (
            "an interface: no address is told to its init", False)
        r = of(vm, ["true"], {**foreign, **off})
        assert r.rc == 0, r
        assert "guest.network" not in [
            i["name"] for i in r.enforcement()["items"]]

    @pytest.mark.parametrize("kw, text", [
        (dict(mounts=[("/usr", "ro")]), "the document names a mount, which "
         "the init of this guest is not told"),
        (dict(workingDirectory="/usr"), "names a workingDirectory"),
        (dict(ident="c" * 60), None)])
    def test_what_its_init_is_not_told(vm, foreign, kw, text):
        argv = ["true", "x" * 1300] if text is None else ["true"]
        r = of(vm, argv, foreign, **kw)
        assert r.rc == 1, r
        assert (text or "/spec/run/argv and /spec/id do not fit into the "
                "kernel's command line of 2048 bytes") in r.err, r

    # -- found by a reviewer --

    @pytest.mark.parametrize("jail", [False, True])
    def test_the_vmm_does_not_see_what_is_shown(vm, jail):
        """A socket of this host's that anybody may connect to, for one."""
        shown = vm.tmp / "shown"
        shown.mkdir()
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(shown / "sock"))
            s.listen()
            (shown / "sock").chmod(0o777)
            env = vm.jailed(trees=1) if jail else vm.vmm(
                trees=1, peek="/mounts/0/sock")
            r = vm.run("true", ro=[shown], env=env)
            assert r.rc == 0, r
            s.setblocking(False)
            with pytest.raises(BlockingIOError):
                s.accept()

    def test_a_process_that_stays(vm, before, foreign):
        """The VMM has ended, and with it the run, whoever else holds its
        console."""
        r = of(vm, ["sh", "-c", "exit 6"], foreign, dict(guest="forks"))
        assert r.one("command.v1.completed")["exitCode"] == 6, r
        assert before.left() == []

    def test_nobody_reads_the_console(vm, before, foreign):
        env = manifest(vm, {**foreign, **vm.vmm(guest="chatty")})
        events = vm.events_path()
        p = subprocess.Popen(
            [vm.supervisor, vm.document(["sh", "-c", "exit 3"])],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=vm.environ({**env, "CELL_OS_USE_NOOP_SINK": "1",
                            "CELL_OS_JSONL_EVENTS": events}))
        try:
            assert p.wait(timeout=30 * SLACK) == 1
        finally:
            p.kill()
            p.stdout.close()
        done, = [json.loads(x)["data"] for x in open(events)
                 if "command.v1.completed" in x]
        assert done["exitCode"] == 3
        assert before.left() == []

    def test_what_was_not_verified_is_said_not_to_be(vm, foreign):
        r = of(vm, ["true"], {**foreign, **NO_MANIFEST, **TWO})
        told = r.enforcement()
        items = {i["name"]: (i["got"], i["enforced"]) for i in told["items"]}
        assert items["image.kernel"] == ("not verified", False)
        assert items["image.rootfs"] == ("not verified", False)
        assert "image.initrd" not in items
        # nothing was tried in it, so nothing is said of it
        assert told["probes"] == []

    def test_a_jailer_of_somebody_else(vm, before):
        """It runs as root: root's alone it has to be."""
        env = vm.jailed()
        os.chown(env["CELLOS_FIRECRACKER_JAILER_BINARY"], 1000, 1000)
        r = vm.run("true", env=env)
        assert r.rc == 125 and "source: " in r.err, r
        assert "Operation not permitted" in r.err, r
        assert before.left() == []
