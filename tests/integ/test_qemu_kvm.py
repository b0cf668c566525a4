# SPDX-License-Identifier: MIT OR Apache-2.0
"""QEMU's wall by KVM, in the machine of `./dev test --vm`, whose KVM runs a
stock kernel. What is tried are the bodies of the emulated one's."""

import pathlib

import pytest

from conftest import EMULATED, IS_ROOT, Before, Machines

if IS_ROOT and EMULATED:
    from test_qemu import (  # noqa: F401
        test_a_compile_job, test_directories, test_how_it_ended,
        test_kvm_is_tried_once_a_boot, test_limit_of_processes,
        test_memory_limit, test_the_clock_is_that_of_this_host,
        test_what_cannot_be_run)

    @pytest.fixture
    def vm(tmp_path, image):
        c = Machines(tmp_path, image)
        yield c
        c.close()

    @pytest.fixture
    def before(vm):
        return Before(vm)

    def test_by_kvm(vm, before):
        """No line that says otherwise; the VMM stands as it does else."""
        r = vm.run("cat", "/proc/version")
        assert r.rc == 0 and r.out.startswith("Linux version 6.1."), r
        assert (r.err, r.item("accel")["got"]) == ("", "kvm"), r
        for who in ("vmm", "driver"):
            assert r.item(f"{who}.seccomp")["got"] == "2"
        text = (vm.state_dir / "kvm").read_text()
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()
        assert text.startswith(boot.strip()) and text.endswith(" usable\n")
        assert before.left() == []
