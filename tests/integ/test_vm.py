# SPDX-License-Identifier: MIT OR Apache-2.0
"""The machine of `./dev test --vm` is the one it is meant to be."""

import ctypes
import fcntl
import mmap
import os
import struct

import subprocess

if os.environ.get("CELLOS_TEST_VM") == "1":
    CGROUP2_SUPER_MAGIC = 0x63677270

    def test_kernel():
        assert os.uname().release.startswith("6.1.0-"), os.uname()

    def test_only_v2():
        r = subprocess.run(["stat", "-f", "-c", "%t", "/sys/fs/cgroup"],
                           check=True, stdout=subprocess.PIPE)
        assert int(r.stdout, 16) == CGROUP2_SUPER_MAGIC
        kinds = [line.split(" - ")[1].split()[0]
                 for line in open("/proc/self/mountinfo")]
        assert "cgroup" not in kinds and kinds.count("cgroup2") == 1

    def test_doctor(cells):
        r = cells.verb("doctor")
        found = {x.split()[1]: " ".join(x.split()[2:])
                 for x in r.out.splitlines() if x.startswith("ok ")}
        assert found["landlock"] == "ABI 2", r
        for name in ("memory", "cpu", "pids"):
            assert found[f"cgroup-{name}"] == "v2 /sys/fs/cgroup/cellos", r

    def test_landlock_abi():
        libc = ctypes.CDLL(None)
        assert libc.syscall(444, None, 0, 1) == 2

    # -- /dev/kvm is one that runs code --
    KVM_GET_API_VERSION, KVM_CREATE_VM = 0xAE00, 0xAE01
    KVM_GET_VCPU_MMAP_SIZE, KVM_CREATE_VCPU, KVM_RUN = 0xAE04, 0xAE41, 0xAE80
    KVM_SET_USER_MEMORY_REGION, KVM_SET_REGS = 0x4020AE46, 0x4090AE82
    KVM_GET_SREGS, KVM_SET_SREGS = 0x8138AE83, 0x4138AE84
    KVM_EXIT_HLT, KVM_EXIT_IO = 5, 2

    def test_kvm_runs_code():
        """mov al, 'K'; out 0x80, al; hlt, in real mode."""
        kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
        assert fcntl.ioctl(kvm, KVM_GET_API_VERSION, 0) == 12
        vm = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
        memory = mmap.mmap(-1, 4096)
        code = b"\xb0K\xe6\x80\xf4"
        memory[:len(code)] = code
        at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        fcntl.ioctl(vm, KVM_SET_USER_MEMORY_REGION,
                    struct.pack("IIQQQ", 0, 0, 0x1000, 4096, at))
        cpu = fcntl.ioctl(vm, KVM_CREATE_VCPU, 0)
        run = mmap.mmap(cpu, fcntl.ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0))
        sregs = bytearray(0x138)
        fcntl.ioctl(cpu, KVM_GET_SREGS, sregs)
        struct.pack_into("QI", sregs, 0, 0, 0xffff)  # cs: base 0, as limit
        struct.pack_into("H", sregs, 12, 0)          # its selector
        fcntl.ioctl(cpu, KVM_SET_SREGS, bytes(sregs))
        regs = bytearray(0x90)
        struct.pack_into("QQ", regs, 0x80, 0x1000, 2)  # rip, rflags
        fcntl.ioctl(cpu, KVM_SET_REGS, bytes(regs))
        fcntl.ioctl(cpu, KVM_RUN, 0)
        assert struct.unpack_from("I", run, 8)[0] == KVM_EXIT_IO
        # direction, size, port, count, and where the data is
        _, size, port, _, where = struct.unpack_from("BBHIQ", run, 32)
        assert (size, port, run[where:where + 1]) == (1, 0x80, b"K")
        fcntl.ioctl(cpu, KVM_RUN, 0)
        assert struct.unpack_from("I", run, 8)[0] == KVM_EXIT_HLT
