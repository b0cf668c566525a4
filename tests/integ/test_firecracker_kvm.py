# SPDX-License-Identifier: MIT OR Apache-2.0
"""The wall of a Firecracker microvm with a kernel in it: Firecracker itself and
its jailer, of the directory CELLOS_TEST_FIRECRACKER, where KVM runs a stock
kernel. Not registered without it. What is tried are the bodies of QEMU's, and
what only this VMM has: sockets to this host, a guest of somebody else's."""

import json
import os
import pathlib
import signal
import subprocess

import pytest

import foreign_guest
from conftest import (IS_ROOT, QEMU, SLACK, Before, assert_same_events)
from door_harness import (WorldCells, refuses_the_neighbour_by_address,
                          refuses_what_no_rule_names, tells_the_same)
from test_breakout import Host, expected, ident
from test_door_clients import (does_not_reach_the_neighbour,
                               kit, reaches_the_allowed_name)  # noqa: F401
from test_firecracker import Fire
from test_qemu_breakout import BATCH, OTHERWISE, TABLE

HOME = os.environ.get("CELLOS_TEST_FIRECRACKER", "")

if IS_ROOT and HOME:
    from test_qemu import (  # noqa: F401
        full, test_a_compile_job, test_a_full_disk,
        test_a_process_of_ours_is_killed, test_a_signal_to_the_runner,
        test_deadline, test_directories, test_files_of_somebody_else,
        test_how_it_ended, test_limit_of_processes, test_memory_limit,
        test_more_than_there_is_room_for, test_no_descriptor_but_its_own,
        test_nobody_reads, test_standard_input_and_output,
        test_the_clock_is_that_of_this_host, test_the_guest_ends,
        test_the_runner_is_killed_at_any_moment, test_the_vmm_is_killed,
        test_the_vmm_stands_still, test_the_way_our_pid_1_speaks_is_closed,
        test_ttl_of_one_that_does_not_listen, test_what_cannot_be_run,
        test_working_directory_is_a_copy)
    from test_qemu import \
        test_no_process_of_it_is_root_here_and_none_knows_a_secret as \
        none_is_root_and_none_knows_a_secret
    from test_telemetry import (  # noqa: F401
        test_processes_of_a_guest, test_the_end_of_the_command_is_declared,
        the_command_cannot_reach_the_agent)
    from test_firecracker import manifest, of

    class Real(Fire):
        jailer = None

        def environ(self, extra=None):
            env = {"CELLOS_FIRECRACKER_BINARY": f"{HOME}/firecracker"}
            if self.jailer:
                env["CELLOS_FIRECRACKER_JAILER_BINARY"] = self.jailer
            # of a build whose own filters are not those of its release
            if os.environ.get("CELLOS_TEST_FIRECRACKER_BARE"):
                env["CELLOS_FIRECRACKER_NO_SECCOMP"] = "1"
            return super().environ({**env, **(extra or {})})

        def run_document(self, doc, flags=(), env=None, timeout=60):
            assert QEMU[1] not in flags, "borrowed, and not of this wall"
            return super().run_document(doc, flags, env, timeout)

    class WorldReal(WorldCells, Real):
        def __init__(self, tmp, world, variant, shared):
            Real.__init__(self, tmp, shared)
            self.world = world.need("certificates", "unbound")
            self.host = world.host(variant)

    WAYS = ("bare", "jailed")

    def put_in(c, way):
        if way == "jailed":
            c.jailer = f"{HOME}/jailer"
        return c

    @pytest.fixture(params=WAYS)
    def vm(request, tmp_path, image):
        c = put_in(Real(tmp_path, image), request.param)
        yield c
        c.close()

    @pytest.fixture
    def before(vm):
        return Before(vm)

    @pytest.fixture
    def odd(tmp_path, hooked_image):
        c = Real(tmp_path, hooked_image)
        yield c
        c.close()

    def test_runs_on_a_kernel_of_its_own(vm, before):
        r = vm.run("cat", "/proc/version")
        assert r.rc == 0 and r.out.startswith("Linux version 6.1."), r
        assert r.item("accel")["got"] == "kvm"
        probes = {p["name"]: p["got"] for p in r.enforcement()["probes"]}
        assert probes["guest.af-packet"] == "EPERM"
        assert probes["guest.af-vsock"] == "EAFNOSUPPORT"
        assert vm.verify(r.events_path).rc == 0
        assert before.left() == []

    @pytest.mark.parametrize("script", ["true", "exit 3"])
    def test_events_are_those_of_the_host_wall(vm, script):
        doc = vm.document(["sh", "-c", script])
        ours = vm.run_document(doc, flags=vm.wall)
        theirs = vm.run_document(doc)
        assert ours.rc == theirs.rc, (ours, theirs)
        assert ours.enforcement()["backend"] == "firecracker"
        assert_same_events(ours, theirs)

    def test_nobody_of_it_is_root_here(tmp_path, image):
        """Without a jailer; with one the users are test_firecracker.py's."""
        c = Real(tmp_path, image)
        try:
            none_is_root_and_none_knows_a_secret(c)
        finally:
            c.close()

    def test_the_command_cannot_reach_the_agent(vm):
        the_command_cannot_reach_the_agent(vm)

    # -- the door --

    @pytest.fixture
    def on(world, tmp_path, image):
        made = []

        def make(variant, way="bare"):
            made.append(put_in(WorldReal(tmp_path, world, variant, image),
                               way))
            return made[-1]
        yield make
        for c in made:
            c.close()

    @pytest.mark.parametrize("variant, way", [
        ("dual", "bare"), ("v4", "bare"), ("v6", "bare"), ("dual", "jailed")])
    def test_what_is_told_of_the_door_is_the_same(on, variant, way):
        tells_the_same(on(variant, way), "firecracker")

    @pytest.mark.parametrize("way", WAYS)
    def test_what_no_rule_names_is_refused(on, way):
        refuses_what_no_rule_names(on("dual", way))

    def test_a_client_at_the_door(on, kit):  # noqa: F811
        dual = on("dual")
        before = Before(dual)
        reaches_the_allowed_name(dual, kit, "curl-openssl")
        does_not_reach_the_neighbour(dual, kit, "curl-openssl")
        refuses_the_neighbour_by_address(dual)
        assert before.left() == []

    # -- hostile programs --

    @pytest.mark.parametrize("vm", ["bare"], indirect=True)
    def test_hostile_programs(vm, before, hostile):
        """In one machine, which has a door: a door is the more to attack. One
        that kills all it may, and so the others, is left out."""
        vm.has_door = True
        at = vm.tmp / "host"
        at.mkdir()
        host = Host(at, hostile)
        rows = [row for row in TABLE if row[0] != "kill-all"]
        (at / "list").mkdir()
        (at / "list/list").write_text(json.dumps(
            [[name, host.argument(arg)] if arg else [name]
             for name, arg, _ in rows]))
        try:
            r = vm.run("/usr/bin/python3", "-c", BATCH, hostile / "hostile",
                       at / "list/list", 0, rw=[host.rw],
                       ro=[host.ro, hostile, at / "list"], timeout=240)
        finally:
            host.close()
        assert r.rc == 0, r
        said = dict(line.split(" ", 1) for line in r.out.splitlines())
        want = {}
        for n, row in enumerate(rows):
            answer = expected(OTHERWISE.get(ident(row), row[2]), True)
            want[ident(row)] = said.pop(str(n), None), f"{row[0]}={answer}"
        assert {k: v for k, v in want.items() if v[0] != v[1] and (
            k != "interfaces" or v[0] != "interfaces=lo,eth0")} == {}
        assert said == {} and before.left() == []

    # -- a guest of somebody else's, which is root in its machine --

    @pytest.fixture(scope="session")
    def foreign_kernel(image, tmp_path_factory):
        path = tmp_path_factory.mktemp("foreign") / "vmlinux"
        path.write_bytes(foreign_guest.kernel(image / "images/default"))
        return path

    @pytest.fixture
    def foreign(vm, foreign_kernel):
        env = manifest(vm, {
            **vm.by_name, "CELLOS_DEPLOYMENT_PROFILE": "portable",
            "CELLOS_FIRECRACKER_BINARY": f"{HOME}/firecracker",
            "CELLOS_FIRECRACKER_KERNEL_IMAGE": str(foreign_kernel)})
        if vm.jailer:
            del env["CELLOS_FIRECRACKER_ALLOW_NO_JAILER"]
        return env

    ROOM = {"limits": {"memoryMaxBytes": 256 << 20}}

    def test_a_foreign_guest(vm, before, foreign):
        r = of(vm, ["sh", "-c", "echo of the command; exit 42"], foreign,
               **ROOM)
        assert r.rc == 1, r
        assert [line for line in r.out.splitlines() if line[:1] != "["] == [
            "of the command", "acknowledged"], r
        assert r.one("command.v1.completed")["exitCode"] == 42
        gone = r.one("lifecycle.v1.destroyed")
        assert gone["terminalState"] == "clean"
        assert r.item("guest.exit-key")["enforced"] is False
        assert before.left() == []

    def test_its_keys_end_a_foreign_guest(vm, before, foreign):
        """A stop is Ctrl-Alt-Del, which its init ends the command for."""
        doc = vm.document(["sh", "-c", "echo up; exec sleep 1000"], **ROOM)
        events = vm.events_path()
        p = subprocess.Popen([vm.supervisor, doc], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=vm.environ({
                                 **foreign, "CELL_OS_USE_NOOP_SINK": "1",
                                 "CELL_OS_JSONL_EVENTS": events}))
        for line in p.stdout:
            if line == "up\n":
                break
        p.send_signal(signal.SIGTERM)
        out, err = p.communicate(timeout=20 * SLACK)
        assert [line for line in out.splitlines() if line[:1] != "["] == [
            "acknowledged"], (line, out, err)
        assert p.returncode == 1 and "runner received SIGTERM\n" in err, err
        assert before.left() == []

    # Sockets of this host beside the one for its exit; that one, with an exit
    # of its own making; its disk, which its kernel was told nobody writes.
    ATTACKS = """
import errno,fcntl,os,socket
def t(n,f):
 try:w=f()
 except OSError as e:w=errno.errorcode[e.errno]
 print("got",n,w)
def v(p,c=2):
 s=socket.socket(40,1);s.settimeout(20);s.connect((c,p));return s
for p in 22,9001,9101,9105:t(p,lambda:v(p))
t("other",lambda:v(9000,4))
def g():
 s=v(9000);s.sendall(bytes(36));return s.recv(9)
t("forged",g)
def d():
 f=os.open("/dev/vda",0);fcntl.ioctl(f,0x125d,bytes(4))
 f=os.open("/dev/vda",1);os.write(f,b"x"*4096);os.fsync(f)
t("disk",d)
raise SystemExit(7)"""

    def test_a_hostile_foreign_guest(vm, before, foreign):
        listed = pathlib.Path(foreign["CELLOS_FIRECRACKER_MANIFEST"])
        was = listed.read_text()
        r = of(vm, ["python3", "-c", ATTACKS], foreign, **ROOM)
        got = dict(line.split(" ", 2)[1:] for line in r.out.splitlines()
                   if line.startswith("got "))
        assert got == {
            "22": "ECONNRESET", "9001": "ECONNRESET", "9101": "ECONNRESET",
            "9105": "ECONNRESET", "other": "ETIMEDOUT", "forged": "b''",
            "disk": "EPERM"}, r
        assert r.one("command.v1.completed")["exitCode"] == 7, r
        manifest(vm, foreign)
        assert listed.read_text() == was
        assert before.left() == []
