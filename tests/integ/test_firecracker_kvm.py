# SPDX-License-Identifier: MIT OR Apache-2.0
"""The wall of a Firecracker microvm with a kernel in it: Firecracker itself and
its jailer, of the directory CELLOS_TEST_FIRECRACKER, where KVM runs a stock
kernel. Not registered without it. What is tried are the bodies of QEMU's."""

import os
import pathlib

import pytest

from conftest import IS_ROOT, Before, Machines, assert_same_events
from test_firecracker import Fire

HOME = os.environ.get("CELLOS_TEST_FIRECRACKER", "")

if IS_ROOT and HOME:
    from test_qemu import (  # noqa: F401
        test_a_compile_job, test_a_full_disk, test_directories,
        test_files_of_somebody_else, test_how_it_ended, test_limit_of_processes,
        test_memory_limit, test_more_than_there_is_room_for, test_nobody_reads,
        test_the_clock_is_that_of_this_host,
        test_the_way_our_pid_1_speaks_is_closed, test_what_cannot_be_run,
        test_working_directory_is_a_copy)

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

    @pytest.fixture(params=["bare", "jailed"])
    def vm(request, tmp_path, image):
        c = Real(tmp_path, image)
        if request.param == "jailed":
            c.jailer = f"{HOME}/jailer"
        yield c
        c.close()

    @pytest.fixture
    def before(vm):
        return Before(vm)

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
        ours = vm.run_document(doc, flags=["--backend", "firecracker"])
        theirs = vm.run_document(doc)
        assert ours.rc == theirs.rc, (ours, theirs)
        assert_same_events(ours, theirs)

    @pytest.mark.parametrize("who, reason", [
        ("init", "init_crashed"), ("kernel", "kernel_panic"),
        ("forged", "vmm_crashed")])
    def test_the_guest_ends(tmp_path, hooked_image, who, reason):
        c = Real(tmp_path, hooked_image)
        try:
            before = Before(c)
            r = c.run("sleep", "1000",
                      flags=["--env", f"CELLOS_TEST_GUEST={who}"])
            assert r.rc == 125, r
            assert f"Error: in-VM exit bridge: {reason}\n" in r.err, r
            assert before.left() == []
        finally:
            c.close()
