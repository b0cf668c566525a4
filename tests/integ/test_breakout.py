# SPDX-License-Identifier: MIT OR Apache-2.0
"""Hostile programs in a full cell: each gets exactly the answer its wall gives.

The table says program, argument, answer. An answer that is a dict differs
between cells started by root and by a user, or between cells with and without a
way out; the reason stands beside it.
"""

import ctypes
import os
import pathlib
import re
import socket
import stat
import typing

import pytest

from conftest import (IS_ROOT, SANITIZED, SLACK, Cells, assert_lost,
                      descendants, processes, started, throttled, wait_until)

EPERM, ENOSYS, ENOENT, EROFS = "EPERM", "ENOSYS", "ENOENT", "EROFS"
EACCES, NOFAM = "EACCES", "EAFNOSUPPORT"

# Known to the kernel, forbidden to the cell.
FORBIDDEN = """
io-uring-setup io-uring-enter io-uring-register userfaultfd bpf
perf-event-open keyctl add-key request-key unshare-user unshare-mnt
unshare-pid unshare-net unshare-ipc unshare-uts unshare-cgroup unshare-time
setns-bad-fd setns-own mount mount-remount mount-proc remount-usr-rw umount2
umount-usr pivot-root chroot open-tree move-mount fsopen fsconfig fsmount
fspick mount-setattr name-to-handle-at open-by-handle-at kexec-load
kexec-file-load init-module finit-module delete-module reboot swapon swapoff
iopl ioperm settimeofday clock-settime adjtimex quotactl quotactl-fd acct
syslog vhangup sethostname setdomainname fanotify-init lookup-dcookie
kcmp-pid1 ptrace-pid1 ptrace-seize-pid1 tiocsti tiocsti-high-bits tioclinux
ptrace-traceexit ptrace-traceexit-old ptrace-traceexit-more
ptrace-seize-traceexit tiocsetd tiocsetd-high-bits prlimit-pid1
clone-newuser clone-newns clone-newpid clone-newnet clone-newipc clone-newuts
clone-newcgroup clone-newuser-high-bits seccomp-allow-all
packet-raw packet-dgram raw-icmp raw-ip raw-icmp6 lo-down so-mark
transparent transparent6 route-del route-add link-add
suid-chmod sgid-chmod suid-fchmod suid-fchmodat suid-open suid-openat
suid-creat sgid-mkdir suid-mknod mknod-block mknod-char
vm-read-pid1 vm-write-pid1 pidfd-getfd-pid1 capset securebits
ambient set-mm uid-map
""".split()

# IPv6 is behind a door only where the host has it.
def outside_has_v6():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        return s.connect_ex(("2001:db8::1", 53)) == 0


NOWHERE = "ENETUNREACH"
REFUSED = {"no-door": NOWHERE, "door": "ECONNREFUSED"}
REFUSED_UDP = {"no-door": NOWHERE, "door": EPERM}
REFUSED6 = REFUSED if outside_has_v6() else NOWHERE
REFUSED6_UDP = REFUSED_UDP if outside_has_v6() else NOWHERE

TABLE = [(name, "", EPERM) for name in FORBIDDEN] + [
    # Numbers and doors a cell does not have: libc falls back.
    ("clone3", "", ENOSYS),
    ("x32-getpid", "", ENOSYS),
    ("x32-ptrace", "", ENOSYS),
    ("int80-getpid", "", ENOSYS),
    ("int80-unshare", "", ENOSYS),
    ("unknown-number", "", ENOSYS),
    ("fchmodat2-suid", "", ENOSYS),
    ("suid-openat2", "", ENOSYS),

    # Families that do not live in network namespaces, or that nobody needs.
    # nothing the kernel would load a module for
    *((x, "", "EPROTONOSUPPORT") for x in ("dccp", "sctp", "raw-sctp",
                                           "raw-l2tp", "smc")),
    ("vsock", "", NOFAM), ("vsock-dgram", "", NOFAM), ("vsock-pair", "", NOFAM),
    ("alg", "", NOFAM), ("xdp", "", NOFAM), ("key-socket", "", NOFAM),
    ("bluetooth", "", NOFAM), ("tipc", "", NOFAM), ("rds", "", NOFAM),
    ("netlink-audit", "", "EPROTONOSUPPORT"),
    ("netlink-netfilter", "", "EPROTONOSUPPORT"),
    ("netlink-uevent", "", "EPROTONOSUPPORT"),
    ("netlink-diag", "", "EPROTONOSUPPORT"),
    ("netlink-generic", "", "EPROTONOSUPPORT"),
    ("netlink-xfrm", "", "EPROTONOSUPPORT"),

    # Nothing is outside: no route, no interface but lo, nobody listening. With
    # a door everything is local, and its filter refuses: a datagram's send at
    # once, a connection as if its port was closed.
    ("outside-v4", "", REFUSED), ("outside-v4-udp", "", REFUSED_UDP),
    ("outside-v6", "", REFUSED6), ("outside-v6-udp", "", REFUSED6_UDP),
    ("outside-fast-open", "", REFUSED), ("metadata", "", REFUSED),
    ("gate-port", "", "ECONNREFUSED"), ("gate-port6", "", "ECONNREFUSED"),
    ("host-loopback", "{port}", "ECONNREFUSED"),
    ("host-abstract", "{abstract}", "ECONNREFUSED"),
    ("unix-path", "{secret_dir}/socket", ENOENT),
    ("unix-path", "/var/run/docker.sock", ENOENT),
    ("unix-path", "/run/docker.sock", ENOENT),
    ("interfaces", "", "lo"), ("routes", "", "0"),
    ("bind-low-port", "", EACCES),

    # Pid 1 is not the workload's.
    ("kill-pid1", "", "survived"),
    ("kill-all", "", "ESRCH"),      # nobody else to kill
    ("pids", "", "1"),
    ("signal-pid1", "", EPERM),
    ("read", "/proc/1/environ", EACCES), ("read", "/proc/1/mem", EACCES),
    ("read", "/proc/1/maps", EACCES), ("read", "/proc/1/auxv", EACCES),
    ("proc-link", "/proc/1/root", EACCES), ("proc-link", "/proc/1/cwd", EACCES),
    ("proc-link", "/proc/1/exe", EACCES),
    ("proc-dir", "/proc/1/fd", EACCES),
    ("proc-dir", "/proc/1/map_files", EACCES),

    # Privileges: none, and no way back to any.
    ("caps", "", "0"),
    ("nnp", "", "1"), ("nnp-off", "", "EINVAL"),
    ("seccomp-off", "", "EINVAL"),
    ("dumpable-root", "", "EINVAL"),
    ("status", "Seccomp", "2"),
    ("status", "SigIgn", "0" * 16), ("status", "SigBlk", "0" * 16),
    ("landlock-layers", "", "15"),  # of 16: one is the cell's
    ("suid-exec", "/usr/bin/su", "unprivileged"),
    # 4242 is mapped in no cell, so it is not an id at all.
    ("setuid-other", "", "EINVAL"),
    ("setgroups", "", EPERM),
    ("chown-root", "", {
        "root": EPERM,          # 0 is our init's, and mapped
        "user": "EINVAL"}),     # 0 is mapped nowhere
    ("oom-score", "", EACCES),
    ("nice", "", EACCES),
    # At 1 no core is written and no core_pattern program of the host started.
    ("core-limit", "", "1/1"), ("lower-core", "", "1/1"),
    ("raise-core", "", "1/1"),
    ("many-ptys", "", "256:ENOSPC"),
    ("controlling-tty", "", "ENXIO"),
    ("session", "", "own"),

    # What is not there.
    ("exists", "/etc/shadow", ENOENT), ("exists", "/home", ENOENT),
    ("exists", "/root", ENOENT), ("exists", "/var/lib", ENOENT),
    ("exists", "/opt", ENOENT), ("exists", "/var/log", ENOENT),
    ("exists", "/boot", ENOENT),
    ("exists", "/mnt", ENOENT), ("exists", "/srv", ENOENT),
    ("exists", "/sys", ENOENT), ("exists", "/etc/ssh", ENOENT),
    ("exists", "/etc/ssl/private", ENOENT),
    ("exists", "/dev/vda", ENOENT), ("exists", "/dev/kvm", ENOENT),
    ("exists", "/dev/kmsg", ENOENT), ("exists", "/dev/mem", ENOENT),
    ("exists", "/dev/vsock", ENOENT), ("exists", "/dev/userfaultfd", ENOENT),
    ("exists", "/dev/fuse", ENOENT), ("exists", "/dev/loop0", ENOENT),
    ("exists", "/dev/net", ENOENT),
    ("read", "{secret}", ENOENT),
    ("list", "/dev", "fd,full,null,ptmx,pts,random,shm,stderr,stdin,stdout,"
                     "tty,urandom,zero"),

    # What is there and says nothing (or is not in this kernel).
] + [("masked", path, "masked" if os.path.exists(path) else ENOENT)
     for path in ("/proc/kcore", "/proc/keys", "/proc/sysrq-trigger",
                  "/proc/timer_list", "/proc/kmsg", "/proc/kallsyms",
                  "/proc/modules", "/proc/iomem", "/proc/slabinfo",
                  "/proc/config.gz", "/proc/bus", "/proc/fs")] + [

    # Read-only means read-only, also for those who own the file.
    ("mount-flags", "/", "ro,nosuid,nodev"),
    ("mount-flags", "/usr", "ro,nosuid,nodev"),
    ("mount-flags", "/tmp", "rw,nosuid,nodev"),
    ("mount-flags", "/dev/shm", "rw,nosuid,nodev,noexec"),
    ("mount-flags", "/proc/sys", "ro,nosuid,nodev,noexec"),
    ("mount-flags", "{ro}", "ro,nosuid,nodev"),
    ("mount-flags", "{rw}", "rw,nosuid,nodev"),
    ("mkdir", "/new", EROFS), ("mkdir", "/usr/new", EROFS),
    ("mkdir", "/etc/new", EROFS), ("create", "/usr/bin/new", EROFS),
    ("unlink", "/usr/bin/env", EROFS), ("chmod", "/usr/bin/env", EROFS),
    ("rename", "/usr/bin/env", EROFS),
    ("create", "{ro}/new", EROFS), ("write", "{ro}/open", EROFS),
    ("truncate", "{ro}/open", EROFS), ("unlink", "{ro}/open", EROFS),
    ("chmod", "{ro}/open", EROFS), ("reopen-write", "{ro}/open", EROFS),
    # Modes come before the mount: the files belong to the host's root.
    ("write", "/proc/sys/kernel/core_pattern", EACCES),
    ("write", "/proc/sys/kernel/hostname", EACCES),
    ("write", "/proc/sys/net/ipv4/ip_forward", EACCES),

    # No climbing out of what is writable.
    ("symlink-out", "{rw}:{secret}", ENOENT),
    ("symlink-out", "{rw}:/etc/shadow", ENOENT),
    ("dotdot-out", "{rw}:{secret}", ENOENT),
    ("hard-link", "{ro}/open", "EXDEV"), ("hard-link", "/usr/bin/env", "EXDEV"),
    ("hard-link-fd", "{ro}/open", "EXDEV"),
    ("read", "{ro}/private", {
        "root": EACCES,     # the host's root owns it, the workload is not root
        "user": EACCES}),   # mode 0000, and no capability to pass it

    # What could have been inherited.
    ("fds", "", "0,1,2"),
    ("host-shm", "{shm}", ENOENT), ("host-mq", "{mq}", ENOENT),
    ("cat", "/proc/sys/kernel/hostname", "cell"),
    ("hostname", "", "cell"),

    # The walls must not be in the way of ordinary work.
    ("netlink-route", "", "ok"), ("inet-stream", "", "ok"),
    ("bind-high-port", "", "ok"), ("clone-plain", "", "ok"),
    ("clone-ptrace", "", "ok"), ("ptrace-child", "", "ok"),
    ("ptrace-cont", "", "exit-42"),
    ("mknod-fifo", "", "ok"), ("create", "{rw}/made", "ok"),
    ("create", "/tmp/made", "ok"), ("create", "/dev/shm/made", "ok"),
    ("read", "{ro}/open", "ok"),
]


class Host:
    """A host with things worth stealing."""

    def __init__(self, tmp, hostile):
        self.hostile = hostile
        self.rw, self.ro = tmp / "rw", tmp / "ro"
        self.secret_dir = tmp / "secret"
        for d in (self.rw, self.ro, self.secret_dir):
            d.mkdir()
        (self.ro / "open").write_text("open\n")
        (self.ro / "open").chmod(0o666)
        (self.ro / "private").write_text("private\n")
        (self.ro / "private").chmod(0o600 if IS_ROOT else 0)
        (self.secret_dir / "file").write_text("secret\n")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.abstract = f"cellos-test-{os.getpid()}-{id(self)}"
        self.names = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        self.names[0].bind("\0" + self.abstract)
        self.names[1].bind(str(self.secret_dir / "socket"))
        for s in self.names:
            s.listen()
        libc = ctypes.CDLL(None, use_errno=True)
        self.shm_key = 0x43000000 | (os.getpid() & 0xffffff)
        self.shm = libc.shmget(self.shm_key, 4096, 0o1666)
        assert self.shm >= 0, os.strerror(ctypes.get_errno())
        self.mq = f"/cellos-test-{os.getpid()}"
        libc.mq_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint,
                                 ctypes.c_void_p]
        self.mqd = libc.mq_open(self.mq.encode(), os.O_CREAT | os.O_RDWR,
                                0o666, None)
        assert self.mqd >= 0, os.strerror(ctypes.get_errno())
        self.libc = libc

    def close(self):
        self.listener.close()
        for s in self.names:
            s.close()
        self.libc.shmctl(self.shm, 0, None)
        self.libc.mq_unlink(self.mq.encode())
        os.close(self.mqd)

    def argument(self, text):
        return text.format(
            port=self.listener.getsockname()[1], abstract=self.abstract,
            secret=self.secret_dir / "file", secret_dir=self.secret_dir,
            rw=self.rw, ro=self.ro, shm=hex(self.shm_key), mq=self.mq)

    def attack(self, cells, name, arg="", **kw):
        """One hostile program in a cell of its own: its answer."""
        args = [self.argument(arg)] if arg else []
        r = cells.run(self.hostile / "hostile", name, *args, rw=[self.rw],
                      ro=[self.ro, self.hostile], **kw)
        assert r.rc == 0, (name, r)
        assert r.out.startswith(name + "=") and r.out.count("\n") == 1, r
        return r.out[len(name) + 1:-1]


@pytest.fixture(params=[False, True], ids=["no-door", "door"])
def cells(tmp_path, request):
    """All of this file twice: also in cells that have a way out."""
    c = Cells(tmp_path, request.param)
    yield c
    c.close()


@pytest.fixture
def host(tmp_path, hostile):
    h = Host(tmp_path, hostile)
    yield h
    h.close()


def expected(answer, door=False):
    if isinstance(answer, dict) and "door" in answer:
        return answer["door" if door else "no-door"]
    if isinstance(answer, dict):
        return answer["root" if IS_ROOT else "user"]
    return answer


def ident(row):
    return row[0] + (":" + row[1] if row[1] else "")


@pytest.mark.parametrize("row", TABLE, ids=ident)
def test_answer(cells, host, row):
    name, arg, answer = row
    assert host.attack(cells, name, arg) == expected(answer, cells.has_door)


def test_every_program_is_in_a_table(hostile):
    """A program nobody runs proves nothing."""
    names = set(os.popen(f"{hostile}/hostile --list").read().split())
    rows = [*TABLE, *EXHAUST, *ENDS]
    assert names - {"daemon-storm"} == {row[0] for row in rows}
    assert len(names) >= 45


def test_unprotected_answers_differ(host):
    """Without a cell the same programs succeed: the table can fail."""
    def bare(name, arg=""):
        out = os.popen(f"{host.hostile}/hostile {name} "
                       f"'{host.argument(arg)}'").read()
        return out[len(name) + 1:-1]

    assert bare("host-loopback", "{port}") == "ok"
    assert bare("host-abstract", "{abstract}") == "ok"
    assert bare("host-shm", "{shm}") == "ok"
    assert bare("host-mq", "{mq}") == "ok"
    assert bare("read", "{secret}") == "ok"
    assert bare("symlink-out", "{rw}:{secret}") == "ok"
    assert bare("dotdot-out", "{rw}:{secret}") == "ok"
    assert bare("suid-chmod") == "ok"
    assert bare("clone3") == "EFAULT"
    assert bare("io-uring-setup") == "EFAULT"
    assert bare("tiocsetd") == "ok"
    assert bare("ptrace-traceexit") == "ESRCH"
    assert bare("ptrace-traceexit-old") == "ESRCH"
    assert bare("ptrace-seize-traceexit") == "ESRCH"
    assert bare("lower-core") == "0/0"
    assert bare("create", "{ro}/new") == "ok"


def test_environment_is_exact(cells, host):
    env = {"SSH_AUTH_SOCK": "/tmp/agent", "DOCKER_HOST": "unix:///x",
           "AWS_SECRET_ACCESS_KEY": "k", "LD_PRELOAD": "", "GIVEN": "from us"}
    assert host.attack(cells, "environment", env=env) == \
        "HOME=/tmp,PATH=/usr/bin:/bin:/usr/local/bin"
    assert host.attack(cells, "environment", env=env, flags=[
        "--env", "GIVEN", "--env", "B=a=b"]) == \
        "B=a=b,GIVEN=from us,HOME=/tmp,PATH=/usr/bin:/bin:/usr/local/bin"


def test_environment_of_a_document_is_exact(cells, host):
    doc = cells.document([str(host.hostile / "hostile"), "environment"],
                         mounts=[(host.hostile, "ro")])
    r = cells.supervise(doc, env={"SSH_AUTH_SOCK": "/tmp/agent"})
    assert r.rc == 0, r
    assert r.out == "environment=PATH=/usr/bin:/bin:/usr/local/bin\n"


def test_open_files_of_the_caller_stay_outside(cells, host):
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(8)]
    for fd in fds:
        os.set_inheritable(fd, True)
    try:
        assert host.attack(cells, "fds", close_fds=False) == "0,1,2"
    finally:
        for fd in fds:
            os.close(fd)


def test_tmp_ends_at_its_limit(cells, host):
    env = {"CELLOS_LIMIT_TMP_BYTES": "1048576"}
    assert host.attack(cells, "fs-size", "/tmp", env=env) == "1048576"
    assert host.attack(cells, "fill", "/tmp", env=env) == "ENOSPC"


def test_shm_ends_at_its_limit(cells, host):
    env = {"CELLOS_LIMIT_SHM_BYTES": "65536"}
    assert host.attack(cells, "fs-size", "/dev/shm", env=env) == "65536"
    assert host.attack(cells, "fill", "/dev/shm", env=env) == "ENOSPC"


def test_files_end_at_their_limit(cells, host, tmp_path):
    """Empty files cost the host memory too: one inode a KiB, no more."""
    work = tmp_path / "work"
    work.mkdir()
    doc = cells.document([str(host.hostile / "hostile"), "many-files",
                          str(work)], mounts=[(host.hostile, "ro")],
                         workingDirectory=str(work))
    env = {"CELLOS_LIMIT_TMP_BYTES": "1048576"}
    r = cells.run_document(doc, env=env)
    assert r.rc == 0, r
    number, why = r.out.strip().split("=")[1].split(":")
    assert why == "ENOSPC" and 900 <= int(number) <= 1100, r
    assert list(work.iterdir()) == []
    number, why = host.attack(cells, "many-files", "/tmp", env=env).split(":")
    assert why == "ENOSPC" and 900 <= int(number) <= 1100


# What takes more than one call, on walls that take long to start: all in one
# cell, one after the other. How many files there are is left out.
SMALL = {"CELLOS_LIMIT_TMP_BYTES": "1048576", "CELLOS_LIMIT_SHM_BYTES": "65536",
         "SSH_AUTH_SOCK": "/tmp/agent", "GIVEN": "from us"}
EXHAUST = [
    ("environment", "", "GIVEN=from us,HOME=/tmp,PATH=/usr/bin:/bin:"
                        "/usr/local/bin,PWD=/tmp"),
    ("fs-size", "/tmp", "1048576"), ("fill", "/tmp", "ENOSPC"),
    ("many-files", "/tmp", "ENOSPC"),
    ("fs-size", "/dev/shm", "65536"), ("fill", "/dev/shm", "ENOSPC"),
    ("many-files", "/dev/shm", "ENOSPC"),
    ("daemon-setsid", "{mark}", "ok"), ("daemon-double", "{mark}", "ok"),
]


def exhaust(cells, hostile, mark):
    """Return: the run, and its answers."""
    script = ""
    for name, arg, _ in EXHAUST:
        script += f"$1 {name} {arg.format(mark='$2')}\n"
        if name in ("fill", "many-files"):
            script += f"find {arg} -maxdepth 1 -type f -delete\n"
    r = cells.run("sh", "-c", script, "sh", hostile / "hostile", mark,
                  ro=[hostile], env=SMALL, timeout=120,
                  flags=["--env", "GIVEN"])
    return r, re.sub(r"(many-files=)\d+:", r"\1", r.out).splitlines()


def exhausted(otherwise=()):
    """Its answers, but for those of a wall."""
    said = dict(otherwise)
    return [f"{row[0]}={said.get(ident(row), row[2])}" for row in EXHAUST]


class End(typing.NamedTuple):
    """How a run is told to have ended."""
    rc: int             # of the runner
    said: str           # by the program, of itself
    err: str            # by the runner, a line
    code: int | None    # of the completed command, if it is told as completed
    state: str          # of what was destroyed; the host wall has none
    reason: str | None  # why it is told as failed, if it is


def lost(reason, rc=125):
    why = f"in-VM exit bridge: {reason}"
    return End(rc, "", f"Error: {why}", None, "forced", why)


# What ends a cell, or would never end: each has one to itself.
# (program, argument, options, end)
TIMED_OUT = "command spawn: command timed out after 2000 ms " \
    "(spec.run.timeoutMs)"
ENDS = [
    ("memory-hog", "256", ["--memory", "64M"], End(
        137, "", "cellos: the cell reached its memory limit", -1, "clean",
        "command exited with status -1")),
    ("fork-bomb", "1500", [], End(
        0, "fork-bomb=EAGAIN\n", "", 0, "clean", None)),
    # until it was held back, and then stopped
    ("burn", "3600000", ["--cpus", "0.2"], End(
        143, "", "", -1, "forced", "runner received SIGTERM")),
    ("ignore-term", "{mark}", ["--timeout", "2s"], End(
        124, "", f"Error: {TIMED_OUT}", -1, "forced", TIMED_OUT)),
]


def assert_ends(cells, hostile, mark, row, end):
    name, arg, flags, _ = row
    p = cells.start("sh", "-c", 'echo up; exec "$@"', "sh",
                    hostile / "hostile", name, arg.format(mark=mark),
                    ro=[hostile], flags=flags,
                    env={"CELLOS_LIMIT_GRACE_SECONDS": "1"})
    started(p)
    if name == "burn":
        at = throttled(p.pid)
        held = wait_until(lambda: throttled(p.pid) >= at + 3, 20)
        p.terminate()
        assert held
    r = cells.ended(p, 60)
    done = r.of_type("command.v1.completed")
    gone = r.one("lifecycle.v1.destroyed")
    err = end.err if end.err in r.err.splitlines() else ""
    assert End(r.rc, r.out, err, done[0]["data"]["exitCode"] if done else None,
               gone.get("terminalState"), gone.get("reason")) == end, r
    assert (gone["outcome"], gone["residueClass"]) == (
        "failed" if end.reason else "succeeded", "none")
    if not done:
        assert_lost(cells, r, end.reason.rpartition(" ")[2], rc=end.rc)
    elif name == "ignore-term":     # it lived on until the grace was over
        assert done[0]["data"]["durationMs"] >= 3000
    assert cells.verify(r.events_path).rc == 0
    assert processes(mark) == []


@pytest.mark.parametrize("row", ENDS, ids=lambda row: row[0])
def test_what_ends_a_cell(cells, hostile, before, mark, row):
    """As behind the other walls."""
    assert_ends(cells, hostile, mark, row, row[3]._replace(state=None))
    assert before.left() == []


def test_what_a_small_cell_has_ends(cells, hostile, before, mark):
    """As behind the other walls."""
    r, said = exhaust(cells, hostile, mark)
    assert (r.rc, said) == (0, exhausted()), r
    assert processes(mark) == [] and before.left() == []


def test_hostname_outside_is_untouched(cells, host):
    name = socket.gethostname()
    assert host.attack(cells, "hostname") != name
    assert socket.gethostname() == name


def test_no_setuid_file_is_left(cells, host):
    """Whatever the workload tried in a writable mount, no bit is on it."""
    script = ("cp /usr/bin/env e; chmod u+s e; chmod g+s .; mkdir -m 2755 d; "
              "install -m 6755 e f; :")
    r = cells.run("sh", "-c", script, rw=[host.rw])
    assert r.rc == 0, r
    assert (host.rw / "e").exists()
    for p in [host.rw, *host.rw.iterdir()]:
        assert p.stat().st_mode & (stat.S_ISUID | stat.S_ISGID) == 0, p


def test_files_written_belong_to_the_caller(cells, host):
    r = cells.run("touch", host.rw / "mine", rw=[host.rw])
    assert r.rc == 0, r
    st = (host.rw / "mine").stat()
    assert (st.st_uid, st.st_gid) == (host.rw.stat().st_uid,
                                      host.rw.stat().st_gid)


@pytest.mark.parametrize("program", ["daemon-setsid", "daemon-double",
                                     "daemon-storm"])
def test_daemon_dies_with_the_cell(cells, host, before, mark, program):
    assert host.attack(cells, program, mark) == "ok"
    assert processes(mark) == []
    assert before.left() == []


def test_violation_is_an_event(cells, host):
    r = cells.run(host.hostile / "hostile", "keyctl", ro=[host.hostile])
    assert r.out == "keyctl=EPERM\n", r
    v = r.enforcement("violation")
    assert v["syscall"]["name"] == "keyctl"
    assert v["syscall"]["number"] == 250
    assert v["syscall"]["answer"] == "EPERM"


def test_violation_is_told_once_a_number(cells, host):
    script = f"{host.hostile}/hostile keyctl; {host.hostile}/hostile keyctl"
    r = cells.run("sh", "-c", script, ro=[host.hostile])
    assert r.out == "keyctl=EPERM\n" * 2, r
    assert len([e for e in r.of_type("evidence.v1.enforcement")
                if e["data"]["phase"] == "violation"]) == 1


# Each wall taken away, one at a time, by a build made for this: the named
# programs must notice. (wall, program, argument, the answer without the wall)
# "refused" where the kernel does not let the next wall stand without this one:
# then no workload runs at all. None: who starts the cell has no such wall.
with open("/proc/sys/kernel/cap_last_cap") as f:
    EVERY_CAPABILITY = format((2 << int(f.read())) - 1, "x")
NO_IDMAP = {"root": "ok", "user": None}   # a user is nobody's root anyway
WITHOUT = [
    ("namespaces", "host-loopback", "{port}", "refused"),
    ("namespaces", "interfaces", "", "refused"),
    ("seccomp", "clone3", "", "EFAULT"),
    ("seccomp", "vsock", "", "ok"),
    ("seccomp", "io-uring-setup", "", "EFAULT"),
    ("seccomp", "suid-chmod", "", "ok"),
    ("seccomp", "int80-getpid", "", "ok"),
    ("seccomp", "netlink-netfilter", "", "ok"),
    ("seccomp", "unshare-user", "", "ok"),
    ("seccomp", "status", "Seccomp", "0"),
    ("landlock", "landlock-layers", "", "16"),
    ("caps", "caps", "", EVERY_CAPABILITY),
    ("no-new-privs", "nnp", "", "refused"),
    ("pivot", "exists", "/var/lib", "ok"),
    ("readonly", "mount-flags", "/usr", "rw,nosuid,nodev"),
    ("readonly", "mount-flags", "{ro}", "rw,nosuid,nodev"),
    ("mask", "masked", "/proc/kallsyms", "visible"),
    ("pids", "fork-bomb", "100", "unlimited"),
    ("idmap", "read", "{ro}/private", NO_IDMAP),
]
# The same of cells that have a door. Without its filter the cell's own test is
# what notices; with that left out too, the programs do. A closed port of TCP
# answers alike: there is nobody behind it.
WITHOUT_DOOR = [
    ("nft", "outside-v4-udp", "", "refused"),
    ("nft", "caps", "", "refused"),
    ("nft,self-test", "outside-v4-udp", "", "ok"),
    ("nft,self-test", "gate-port", "", "ok"),
]
TABLE_ANSWER = {(n, a): e for n, a, e in TABLE}
TABLE_ANSWER[("fork-bomb", "100")] = "EAGAIN"


def answer_without(cells, host, wall, name, arg):
    """What the program says when a build is told to drop this wall."""
    flags = ["--pids", "32"] if name == "fork-bomb" else []
    env = {"CELLOS_TEST_DROP_WALL": wall}
    if wall == "pivot":     # nothing of ours is where it should be
        assert name == "exists"
        r = cells.run("test", "-e", arg, env=env)
        return {0: "ok", 1: "ENOENT"}[r.rc]
    args = [host.argument(arg)] if arg else []
    r = cells.run(host.hostile / "hostile", name, *args, flags=flags, env=env,
                  ro=[host.ro, host.hostile])
    if r.rc == 125:
        assert r.enforcement("refused")["stage"] in r.err, r
        return "refused"
    assert r.rc == 0 and r.out.startswith(name + "="), r
    return r.out[len(name) + 1:-1]


DROPS = pytest.mark.parametrize("row", [
    row for row in WITHOUT if expected(row[3]) is not None],
    ids=lambda row: f"{row[0]}-{row[1]}")
DROPS_DOOR = pytest.mark.parametrize(
    "row", WITHOUT_DOOR, ids=lambda row: f"{row[0]}-{row[1]}")


@DROPS
def test_suite_notices_a_missing_wall(hooked, host, row):
    wall, name, arg, without = row
    answer = answer_without(hooked, host, wall, name, arg)
    assert answer == expected(without)
    assert answer != expected(TABLE_ANSWER[(name, arg)])


@DROPS
def test_what_is_shipped_drops_no_wall(cells, host, row):
    wall, name, arg, _ = row
    assert answer_without(cells, host, wall, name, arg) == \
        expected(TABLE_ANSWER[(name, arg)])


@DROPS_DOOR
def test_suite_notices_a_missing_wall_of_the_door(hooked, host, row):
    wall, name, arg, without = row
    hooked.has_door = True
    answer = answer_without(hooked, host, wall, name, arg)
    assert answer == without
    assert answer != expected(TABLE_ANSWER[(name, arg)], True)
    # no door, no wall of it
    hooked.has_door = False
    assert answer_without(hooked, host, wall, name, arg) == \
        expected(TABLE_ANSWER[(name, arg)])


@DROPS_DOOR
def test_what_is_shipped_drops_no_wall_of_the_door(cells, host, row):
    wall, name, arg, _ = row
    assert answer_without(cells, host, wall, name, arg) == \
        expected(TABLE_ANSWER[(name, arg)], cells.has_door)


def test_the_self_test_notices_a_missing_filter(hooked):
    hooked.has_door = True
    r = hooked.run("true", env={"CELLOS_TEST_DROP_WALL": "nft"})
    assert r.rc == 125, r
    refused = r.enforcement("refused")
    assert (refused["stage"], refused["detail"]) == (
        "self-test", "closed-port-udp: ECONNREFUSED instead of EPERM")


# The gate itself: a hostile cell that takes it over is still nowhere.

def gate_status(cells, env=None):
    """What /proc says of the gate of a cell that runs."""
    cells.has_door = True
    p = cells.start("sh", "-c", "echo up; exec sleep 600", env=env)
    try:
        assert p.stdout.readline() == "up\n", p.communicate()
        gate, = [pid for pid in descendants(p.pid) if pathlib.Path(
            f"/proc/{pid}/comm").read_text() == "cellos-gate\n"]
        status = dict(line.split(":\t", 1) for line in pathlib.Path(
            f"/proc/{gate}/status").read_text().splitlines())
        limits = pathlib.Path(f"/proc/{gate}/limits").read_text()
        own = {ns: os.readlink(f"/proc/{gate}/ns/{ns}") !=
               os.readlink(f"/proc/self/ns/{ns}") for ns in
               ("mnt", "ipc", "uts")} if IS_ROOT else {}
        root = os.listdir(f"/proc/{gate}/root") if IS_ROOT else []
        return status, limits, own, root
    finally:
        p.terminate()
        p.communicate(timeout=20 * SLACK)


def test_the_gate_is_confined(cells):
    status, limits, own, root = gate_status(cells)
    for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[caps], 16) == 0, status
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == ("0" if SANITIZED else "2")
    assert status["Groups"].split() == [] or not IS_ROOT
    if IS_ROOT:
        assert "0" not in status["Uid"].split() + status["Gid"].split()
    assert all(own.values()) and root == []
    assert re.search(r"Max processes +0 +0 ", limits)
    assert re.search(r"Max file size +0 +0 ", limits)


def test_suite_notices_a_gate_that_is_not_confined(hooked):
    status, _, _, _ = gate_status(
        hooked, {"CELLOS_TEST_DROP_WALL": "gate"})
    assert status["NoNewPrivs"] == status["Seccomp"] == "0"


def test_what_is_shipped_confines_its_gate(cells):
    status, _, _, _ = gate_status(cells, {"CELLOS_TEST_DROP_WALL": "gate"})
    assert status["NoNewPrivs"] == "1"
