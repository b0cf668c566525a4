# SPDX-License-Identifier: MIT OR Apache-2.0
"""The hostile programs of test_breakout.py behind the gVisor wall. What another
kernel answers otherwise stands here, with the reason."""

import os
import stat

import pytest

from conftest import (GVISOR, IS_ROOT, SANITIZED, Before, Cells, assert_lost,
                      processes)
from test_breakout import (ENDS, EXHAUST, TABLE, assert_ends, exhaust,
                           exhausted, expected, host, ident, lost,
                           outside_has_v6)  # noqa: F401

# No way out, as the sandbox's own stack says it.
NOWHERE = "EHOSTUNREACH"
REFUSED = {"no-door": NOWHERE, "door": "ECONNREFUSED"}
# A datagram leaves the stack; what refuses it is behind the leg.
SENT = {"no-door": NOWHERE, "door": "ok"}
ABSENT = "ENOENT"

OTHERWISE = {
    # Its kernel has no such call, or knows it as an argument only.
    "lo-down": "ENOTTY", "vm-read-pid1": "ENOSYS", "vm-write-pid1": "ENOSYS",
    "securebits": "EINVAL", "ambient": "EINVAL", "landlock-layers": "ENOSYS",
    "route-del": "EACCES", "route-add": "EACCES", "link-add": "EACCES",
    "setuid-other": "EPERM", "controlling-tty": "EIO",

    # Taken, and without effect on anything but that kernel: nobody else uses
    # its ports, marks, priorities and terminals. What is sent with a false
    # source is dropped behind the leg (unit test door_leg).
    "so-mark": "ok", "transparent": "ok", "transparent6": "ok",
    "bind-low-port": "ok", "oom-score": "ok", "nice": "ok",
    "many-ptys": "unlimited",
    # Nodes in its own /tmp; none of them leads to a device of this host, and
    # none can be made in a directory of this host, see below.
    "mknod-block": "ok", "mknod-char": "ok",
    # Not another ABI: the number is looked up in the one it has.
    "int80-getpid": "ok",

    # Behind the leg is a network.
    "outside-v4": REFUSED, "outside-v4-udp": SENT,
    "outside-v6": REFUSED if outside_has_v6() else NOWHERE,
    "outside-v6-udp": SENT if outside_has_v6() else NOWHERE,
    "outside-fast-open": "EPIPE", "metadata": REFUSED,
    "interfaces": {"no-door": "lo", "door": "eth0,lo"},
    "routes": {"no-door": "0", "door": "2"},

    # Of our own pid 1: its environment is the command's, and none of its
    # files opens (test_gvisor.py).
    "read:/proc/1/environ": "ok", "read:/proc/1/maps": "ok",
    "read:/proc/1/auxv": "ok", "proc-dir:/proc/1/fd": "ok",
    "proc-dir:/proc/1/map_files": ABSENT,
    # Lines that are not in its /proc.
    "status:SigIgn": "absent", "status:SigBlk": "absent",

    # Of its own making, and of no device.
    "exists:/sys": "ok", "exists:/dev/fuse": "ok", "exists:/dev/net": "ok",
    "list:/dev": "fd,full,fuse,net,null,ptmx,pts,random,shm,stderr,stdin,"
                 "stdout,tty,urandom,zero",
    "write:/proc/sys/kernel/core_pattern": ABSENT,
    **{f"masked:/proc/{name}": ABSENT for name in (
        "keys", "timer_list", "kmsg", "kallsyms", "iomem", "slabinfo",
        "config.gz", "bus", "fs")},

    # Its mount table does not say so; what is read-only is not written to.
    **{f"mount-flags:{path}": "rw" for path in (
        "/", "/usr", "/tmp", "/dev/shm", "{ro}", "{rw}")},
    "mount-flags:/proc/sys": "ENOSYS",
    # It asks who may before it asks where.
    "create:/usr/bin/new": "EACCES", "unlink:/usr/bin/env": "EACCES",
    "chmod:/usr/bin/env": "EPERM", "create:{ro}/new": "EACCES",
    "unlink:{ro}/open": "EACCES", "chmod:{ro}/open": "EPERM",

    # Empty files are the sentry's memory, and count as such.
    "many-files:/tmp": "unlimited", "many-files:/dev/shm": "unlimited",
}
# A limit is around the sandbox, which ends when it comes to it: how the
# command ended nobody knows.
ENDS_OTHERWISE = {"memory-hog:256": lost("oom", 137),
                  "fork-bomb:1500": lost("vmm_crashed")}


class Sandboxes(Cells):
    def argv(self, cmd, rw=(), ro=(), flags=(), events=None):
        return super().argv(cmd, rw, ro, [*GVISOR, *flags], events)


def test_what_is_otherwise_is_in_the_table():
    assert set(OTHERWISE) <= {ident(row) for row in [*TABLE, *EXHAUST]}
    assert set(ENDS_OTHERWISE) <= {ident(row) for row in ENDS}


# Inside nothing of ours is sanitized.
if IS_ROOT and not SANITIZED:
    @pytest.fixture(params=[False, True], ids=["no-door", "door"])
    def box(tmp_path, request):
        c = Sandboxes(tmp_path, request.param)
        yield c
        c.close()

    @pytest.mark.parametrize("row", TABLE, ids=ident)
    def test_answer(box, host, row):
        name, arg, answer = row
        answer = OTHERWISE.get(ident(row), answer)
        said = host.attack(box, name, arg)
        if name == "interfaces":    # in no order
            said = ",".join(sorted(said.split(",")))
        assert said == expected(answer, box.has_door)

    def test_what_a_small_cell_has_ends(box, hostile, mark):
        before = Before(box)
        r, said = exhaust(box, hostile, mark)
        assert (r.rc, said) == (0, exhausted(OTHERWISE)), r
        assert processes(mark) == [] and before.left() == []

    @pytest.mark.parametrize("row", ENDS, ids=lambda row: row[0])
    def test_what_ends_a_cell(box, hostile, mark, row):
        before = Before(box)
        assert_ends(box, hostile, mark, row,
                    ENDS_OTHERWISE.get(ident(row), row[3]))
        assert before.left() == []

    def test_a_storm_of_processes_ends_with_the_sandbox(box, hostile, mark):
        """Which ends when the storm comes to the limit around it, where on
        the host wall a fork would fail."""
        before = Before(box)
        r = box.run(hostile / "hostile", "daemon-storm", mark, ro=[hostile])
        if (r.rc, r.out) != (0, "daemon-storm=ok\n"):
            assert_lost(box, r, "vmm_crashed")
        assert processes(mark) == [] and before.left() == []

    def test_no_device_is_made_in_a_directory_of_this_host(box, host):
        r = box.run("/usr/bin/python3", "-c", f"""if True:
            import errno, os, stat
            for kind in (stat.S_IFCHR, stat.S_IFBLK):
                try:
                    os.mknod("{host.rw}/node", kind | 0o666, os.makedev(1, 3))
                    print("made")
                except OSError as e:
                    print(errno.errorcode[e.errno])
            """, rw=[host.rw])
        assert (r.rc, r.out) == (0, "EPERM\nEPERM\n"), r
        assert os.listdir(host.rw) == []

    def test_its_processes_can_make_no_file_that_runs_as_its_owner(
            box, host):
        """Whatever the sandbox asks of them: a filter of ours is on both,
        under the one they give themselves."""
        p = box.start("sh", "-c", "echo up; sleep 1000", rw=[host.rw])
        assert p.stdout.readline() == "up\n"
        found = {}
        for pid in os.listdir("/proc"):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    word = f.read().split(b"\0")[0]
                with open(f"/proc/{pid}/status", encoding="ascii") as f:
                    status = dict(line.split(":", 1) for line in f)
                ours = str(p.pid) in ancestors(pid)
            except (OSError, ValueError):
                continue
            if word.startswith(b"runsc-") and ours:
                found[word] = int(status["Seccomp_filters"])
        p.terminate()
        p.communicate()
        assert found == {b"runsc-sandbox": 2, b"runsc-gofer": 2}

    def ancestors(pid):
        out = []
        while pid not in ("0", "1"):
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                text = f.read()
            pid = text[text.rindex(")") + 2:].split()[1]
            out.append(pid)
        return out

    def test_no_setuid_file_is_left(box, host):
        for name in ("suid-chmod", "suid-fchmod", "suid-creat", "sgid-mkdir"):
            assert host.attack(box, name) == "EPERM"
        for path in host.rw.rglob("*"):
            assert not path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID)
