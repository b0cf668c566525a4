# SPDX-License-Identifier: MIT OR Apache-2.0
"""Running cells from tests: one directory of state a test, nothing shared."""

import base64
import copy
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

import vm_image
from world import world  # noqa: F401, a fixture

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CELLOS_BUILD", SOURCE / "build")).resolve()
# Where the break-out programs are: dynamic ones, to be run in a cell.
TEST_BUILD = pathlib.Path(os.environ.get("CELLOS_TEST_BUILD",
                                         SOURCE / "build-test"))
SANITIZED = os.environ.get("CELLOS_TEST_SANITIZED") == "1"
# `./dev test --vm`: in a machine, each step of which is emulated.
EMULATED = os.environ.get("CELLOS_TEST_VM") == "1"
# Where tests that try many times try fewer.
SLOW = SANITIZED or EMULATED
# `./dev test --all`: machines of every kind, which take seconds each to boot.
IS_ALL = os.environ.get("CELLOS_TEST_ALL") == "1"
IS_ROOT = os.geteuid() == 0
# Options of `run` for each wall that can be had here; gVisor is its own kernel
# on every host.
GVISOR = ("--backend", "gvisor")
QEMU = ("--backend", "qemu")
WALLS = {"host": (), "gvisor": GVISOR} if IS_ROOT and not EMULATED else {
    "host": ()}
# Deadlines of waiting, not of speed: see the tests that use them.
SLACK = 3 if SANITIZED else 1
EVIDENCE = "dev.cellos.events.cell.evidence.v1."


def pytest_report_header(config):
    who = "root" if IS_ROOT else f"uid {os.geteuid()}"
    return f"cellos: {BUILD} as {who}{', sanitized' if SANITIZED else ''}"


class Result:
    """What a run of the program left: exit status, output, events."""

    def __init__(self, rc, out, err, events_path):
        self.rc, self.out, self.err = rc, out, err
        self.events_path = events_path

    def __repr__(self):
        return (f"exit {self.rc}\n--- stdout\n{self.out}"
                f"\n--- stderr\n{self.err}")

    @property
    def lines(self):
        if not os.path.exists(self.events_path):
            return []
        with open(self.events_path, "rb") as f:
            return [line for line in f.read().split(b"\n") if line]

    @property
    def events(self):
        return [payload(line) for line in self.lines]

    def of_type(self, end):
        return [e for e in self.events if e["type"].endswith(end)]

    def one(self, end):
        found = self.of_type(end)
        assert len(found) == 1, (end, [e["type"] for e in self.events], self)
        return found[0]["data"]

    def enforcement(self, phase="prepared"):
        found = [e["data"] for e in self.of_type("evidence.v1.enforcement")
                 if e["data"]["phase"] == phase]
        assert len(found) == 1, (phase, found, self)
        return found[0]

    def item(self, name, phase="prepared"):
        found = [i for i in self.enforcement(phase)["items"]
                 if i["name"] == name]
        assert len(found) == 1, (name, self.enforcement(phase)["items"])
        return found[0]


def payload(line):
    """The event of a line, be it bare or in a signed envelope."""
    doc = json.loads(line)
    return doc["data"]["event"] if "signed_envelope" in doc["type"] else doc


# Before a command of root's: for it there are no control groups.
NO_GROUPS = ("unshare", "-m", "--propagation", "private", "sh", "-c",
             'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', "sh")


# For cells with a door: of RFC 5737, so nobody answers there.
EGRESS = {"host": "198.51.100.1", "port": 8080}


class Cells:
    """Runs the program with directories of its own; @door: with a way out of
    every cell that names none itself."""

    def __init__(self, tmp, door=False):
        self.tmp = tmp
        self.has_door = door
        # Not below /tmp: a command's first directory may be /tmp, and the
        # program keeps its keys where no command can be meant to look.
        self.own = pathlib.Path(tempfile.mkdtemp(prefix="cellos-test-",
                                                 dir="/var/tmp"))
        self.run_dir = self.own / "run"
        self.state_dir = self.own / "state"
        self.home = tmp / "home"
        self.home.mkdir()
        self.count = 0
        self.rw = []        # shown in every cell, beside what it names itself
        self.cellos = str(BUILD / "cellos")
        self.supervisor = str(BUILD / "cellos-supervisor")

    def close(self):
        shutil.rmtree(self.own)

    def environ(self, extra=None):
        env = {
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.home),
            "CELLOS_RUN_DIR": str(self.run_dir),
            "CELLOS_STATE_DIR": str(self.state_dir),
            "LC_ALL": "C.UTF-8",
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
                     "CELLOS_CGROUP_PARENT"):
            if name in os.environ:
                env[name] = os.environ[name]
        env.update(extra or {})
        return env

    def events_path(self):
        self.count += 1
        return str(self.tmp / f"events-{self.count}.jsonl")

    def argv(self, cmd, rw=(), ro=(), flags=(), events=None):
        argv = [self.cellos, "run"]
        if events:
            argv += ["--events", events]
        for d in [*self.rw, *rw]:
            argv += ["--rw", str(d)]
        for d in ro:
            argv += ["--ro", str(d)]
        if self.has_door:
            argv += ["--allow", "{host}:{port}".format(**EGRESS)]
        return argv + [str(f) for f in flags] + ["--"] + [str(c) for c in cmd]

    def run(self, *cmd, rw=(), ro=(), flags=(), env=None, timeout=60, **kw):
        events = self.events_path()
        return self.call(self.argv(cmd, rw, ro, flags, events), events,
                         env, timeout, **kw)

    def start(self, *cmd, rw=(), ro=(), flags=(), env=None, prefix=(), **kw):
        """As run(), but does not wait. The events' path is in .events_path."""
        events = self.events_path()
        kw.setdefault("stdin", subprocess.DEVNULL)
        p = subprocess.Popen(
            list(prefix) + self.argv(cmd, rw, ro, flags, events),
            env=self.environ(env),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)
        p.events_path = events
        return p

    def call(self, argv, events="", env=None, timeout=60, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        p = subprocess.run(
            argv, env=self.environ(env), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=timeout * SLACK, **kw)
        return Result(p.returncode, p.stdout.decode(errors="replace"),
                      p.stderr.decode(errors="replace"), events)

    def fill(self):
        """From here on every cell has all that has to go with it: a door, and
        behind most walls a link of its own; a directory it may write."""
        self.has_door = True
        self.rw = [self.tmp / "filled"]
        self.rw[0].mkdir()

    def ended(self, p, timeout=20):
        """The result of what was started."""
        out, err = p.communicate(timeout=timeout * SLACK)
        return Result(p.returncode, out, err, p.events_path)

    def uuids(self):
        """Of every run, by what they wrote."""
        found = set()
        for d in (self.run_dir, self.state_dir, self.tmp):
            for path in d.rglob("*") if d.exists() else ():
                found.update(UUID.findall(os.fsencode(path.name)))
                if path.suffix == ".jsonl" and path.is_file():
                    found.update(UUID.findall(path.read_bytes()))
        return {u.decode() for u in found}

    def verb(self, *argv, env=None):
        return self.call([self.cellos, *map(str, argv)], env=env)

    def verify(self, path, *flags):
        return self.verb("verify", *flags, path)

    def gc(self):
        return self.verb("gc", "--json")

    def document(self, argv, ident="cell-1", ttl=60, mounts=(), **run):
        """Writes a document and says where. Keywords are members of run."""
        body = {
            "apiVersion": "cellos.io/v1", "kind": "ExecutionCell",
            "spec": {
                "id": ident,
                "authority": {"secretRefs": []},
                "lifetime": {"ttlSeconds": ttl},
                "run": {"argv": list(argv), "secretDelivery": "env", **run},
            },
        }
        mounts = [*((d, "rw") for d in self.rw), *mounts]
        if mounts:
            body["spec"]["authority"]["filesystem"] = {
                "mounts": [{"path": str(p), "mode": m} for p, m in mounts]}
        if self.has_door:
            body["spec"]["authority"]["egressRules"] = [EGRESS]
        path = self.tmp / f"doc-{self.count}-{ident}.json"
        path.write_text(json.dumps(body))
        return str(path)

    def supervise(self, doc, env=None, timeout=60, prefix=(), **kw):
        """Runs a document as a user of the original would, and signed."""
        events = self.events_path()
        seed = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
        full = {"CELL_OS_USE_NOOP_SINK": "1", "CELL_OS_JSONL_EVENTS": events,
                "CELLOS_EVENT_SIGNING": "ed25519",
                "CELLOS_EVENT_SIGNING_KID": "test",
                "CELLOS_EVENT_SIGNING_KEY_BASE64": seed}
        full.update(env or {})
        return self.call([*prefix, self.supervisor, doc], events, full,
                         timeout, **kw)

    def run_document(self, doc, flags=(), env=None, timeout=60):
        events = self.events_path()
        return self.call([self.cellos, "run", "--events", events, *flags, doc],
                         events, env, timeout)


# What no two runs share: names made by chance, times, a port of the kernel's
# choice, and the hashes over all of these.
CHANCE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
                    r"|\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|\+00:00)")
TOOK = {"durationMs", "upstreamLatencyMs"}
# What the wall is, by type of event and member; all else is the same.
OF_THE_WALL = {
    "evidence.v1.enforcement": {"backend", "items", "probes"},
    "evidence.v1.residue": {"lookedAt"},
    "lifecycle.v1.started": {"kernelDigestSha256", "rootfsDigestSha256"},
    "lifecycle.v1.destroyed": {"terminalState"},
}
# Of the gate: what comes when is the network's doing, so the order in between
# other events is none.
OF_THE_GATE = ("evidence.v1.connection", "observability.v1.dns_query",
               "observability.v1.l7_egress_decision",
               "observability.v1.network_flow_decision",
               "dns.v1.query_permitted", "dns.v1.query_refused")


def plain(value, wall, link=False):
    """A part of an event, without what may differ from run to run."""
    if isinstance(value, list):
        return [plain(v, wall, link) for v in value]
    if isinstance(value, str):
        return "<hash>" if link and value.startswith("sha256:") else \
            CHANCE.sub("<chance>", value)
    if not isinstance(value, dict):
        return value
    out = {k: "<ms>" if k in TOOK else plain(v, wall, link)
           for k, v in value.items() if k not in wall}
    if "source" in out and isinstance(out["source"], dict):
        out["source"]["port"] = "<port>"
    return out


def without_signature(events):
    """What a server of TLS sent varies by the bytes of its signature: those
    of its connections are left out, there and in the total."""
    sent = 0
    for e in copy.deepcopy(events):
        data = e["data"]
        if data.get("protocol") == "tls" and data.get("kind") == "flow":
            sent += data["bytesDown"]
            data["bytesDown"] = min(data["bytesDown"], 1)
        for total in data.get("totals", ()):
            if total["name"] == "bytesDown":
                total["value"] -= sent
        yield e


def told(r):
    """Every event of a run in its order, as lines."""
    out, gate = [], []
    for e in without_signature(r.events):
        wall = OF_THE_WALL.get(".".join(e["type"].split(".")[-3:]), set())
        line = json.dumps(plain(e, wall, e["type"].endswith(".link")),
                          sort_keys=True)
        if e["type"].endswith(OF_THE_GATE):
            gate.append(line)
            continue
        out += sorted(gate) + [line]
        gate = []
    return out + sorted(gate)


def assert_same_events(ours, theirs):
    """Of two walls: byte for byte, but for what a wall is."""
    assert told(ours) == told(theirs)


@pytest.fixture
def cells(tmp_path):
    c = Cells(tmp_path)
    yield c
    c.close()


class Machines(Cells):
    """Every cell behind the wall of a machine; @shared: a state directory with
    images, whose key signed them."""

    wall = QEMU

    def __init__(self, tmp, shared, door=False):
        super().__init__(tmp, door)
        self.state_dir.mkdir(mode=0o700)
        for name in ("signing.key", "signing.pub.json", "kvm"):
            if (shared / name).exists():
                shutil.copy2(shared / name, self.state_dir)
        shutil.copytree(shared / "digests", self.state_dir / "digests")
        (self.state_dir / "images").symlink_to(shared / "images")

    @property
    def by_name(self):
        """Variables that choose the wall, where there are no options."""
        return {"CELLOS_CELL_BACKEND": "qemu"}

    def argv(self, cmd, rw=(), ro=(), flags=(), events=None):
        return super().argv(cmd, rw, ro, [*self.wall, *flags], events)


def assert_files_lost(r):
    """Of what its command wrote not all came back: nobody says that it ended
    well, or ran out of time."""
    assert (r.rc, r.out) == (125, ""), r
    assert "Error: in-VM exit bridge: files_lost\n\nCaused by:\n" \
        "    spec.run wait failed: host backend: not all that the command " \
        "wrote came back\n" in r.err, r
    assert r.of_type("command.v1.completed") == []
    assert "commandExitCode" not in r.one("v1.network_enforcement")
    told = r.enforcement("ended")
    assert (told["stage"], told["detail"]) == (
        "wait", "host backend: not all that the command wrote came back")
    gone = r.one("lifecycle.v1.destroyed")
    assert (gone["terminalState"], gone["outcome"], gone["reason"],
            gone["residueClass"]) == (
        "forced", "failed", "in-VM exit bridge: files_lost", "none")


def image_state(build):
    """A state directory with an image of a build's own init; the sanitized one
    is a dynamic program, which no kernel can start with."""
    own = pathlib.Path(tempfile.mkdtemp(prefix="cellos-image-",
                                        dir="/var/tmp"))
    root = own / "root"
    vm_image.make_root(root)
    at = vm_image.build(build / "cellos", own / "state", root)
    # what has changed in these seconds is not yet taken for known
    changed = max(p.stat().st_ctime for p in at.iterdir())
    assert wait_until(lambda: time.time() > changed + 3, 20)
    # now they are, and what KVM is good for is known as well
    subprocess.run(
        [build / "cellos", "run" if os.path.exists("/dev/kvm") else "plan",
         *QEMU, "--", "true"], check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={
            "PATH": "/usr/bin:/bin", "HOME": "/nonexistent",
            "CELLOS_RUN_DIR": str(own / "run"),
            "CELLOS_STATE_DIR": str(own / "state")})
    return own


@pytest.fixture(scope="session")
def hooked_image():
    """With an init that ends when it is told to."""
    own = image_state(HOOKS)
    yield own / "state"
    shutil.rmtree(own)


@pytest.fixture(scope="session")
def image():
    own = image_state(SOURCE / "build")
    yield own / "state"
    shutil.rmtree(own)


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    """A directory to show in cells, holding the break-out programs only."""
    d = tmp_path_factory.mktemp("hostile")
    shutil.copy(TEST_BUILD / "tests/hostile/hostile", d / "hostile")
    d.chmod(0o755)
    return d


# What a run may leave behind, and where one looks for it.

def processes(mark):
    """Live processes with this name or this text in their command line."""
    found = []
    for d in pathlib.Path("/proc").iterdir():
        if not d.name.isdigit() or int(d.name) == os.getpid():
            continue
        try:
            stat = (d / "stat").read_text()
            name = stat[stat.index("(") + 1:stat.rindex(")")]
            state = stat[stat.rindex(")") + 2]
            line = (d / "cmdline").read_bytes().replace(b"\0", b" ").decode(
                errors="replace")
        except (OSError, ValueError):
            continue
        if state not in "ZX" and (name == mark[:15] or mark in line):
            found.append((int(d.name), name, line))
    return found


def descendants(pid):
    """pid and all below it, by the parents the kernel names."""
    children = {}
    for d in pathlib.Path("/proc").iterdir():
        if not d.name.isdigit():
            continue
        try:
            stat = (d / "stat").read_text()
        except OSError:
            continue
        fields = stat[stat.rindex(")") + 2:].split()
        children.setdefault(int(fields[1]), []).append(int(d.name))
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        todo += children.get(p, [])
    return out


UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def parent(pid):
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return int(text[text.rindex(")") + 2:].split()[1])


def started(p):
    """Of a command that says "up" first."""
    line = p.stdout.readline()
    assert line == "up\n", (line, p.communicate(timeout=20))


def assert_lost(c, r, reason, stderr=None, rc=125):
    """How its command ended nobody knows, and nothing says that it did."""
    assert r.rc == rc, r
    assert (stderr or f"Error: in-VM exit bridge: {reason}\n") in r.err, r
    ends = [e["type"].split("events.cell.")[1] for e in r.events]
    at = ends.index("observability.v1.network_enforcement")
    assert [x for x in ends[at:] if not x.startswith("evidence.")] == [
        "observability.v1.network_enforcement", "compliance.v1.summary",
        "authority.v1.homeostasis", "lifecycle.v1.destroyed"], ends
    assert ends.count("lifecycle.v1.destroyed") == 1
    assert "command.v1.completed" not in ends
    assert "commandExitCode" not in r.one("v1.network_enforcement")
    assert "commandExitCode" not in r.one("compliance.v1.summary")
    gone = r.one("lifecycle.v1.destroyed")
    assert [gone[k] for k in ("terminalState", "outcome", "residueClass",
                              "reason")] == [
        "forced", "failed", "none", f"in-VM exit bridge: {reason}"], gone
    assert c.verify(r.events_path).rc == 0


def kill_at_moments(c, before, moments, **kw):
    """A runner killed after so many milliseconds leaves what gc removes."""
    for ms in moments:
        p = c.start("sleep", "1000", **kw)
        with pytest.raises(subprocess.TimeoutExpired):
            p.wait(timeout=ms / 1000)
        p.kill()
        p.communicate()
    assert c.gc().rc == 0
    assert before.left() == []


def group_of(pid, controller):
    """Where a process is in the tree of a controller; is it one of v1."""
    groups = [line.split(":", 2) for line in pathlib.Path(
        f"/proc/{pid}/cgroup").read_text().splitlines()]
    top = pathlib.Path("/sys/fs/cgroup")
    for _, names, path in groups:
        if controller in names.split(","):
            return top / controller / path[1:], True
    path, = [path for _, names, path in groups if not names]
    return top / path[1:], False


def throttled(pid):
    """How often the kernel held back what a runner has in a group of its
    own."""
    for one in descendants(pid):
        try:
            group, _ = group_of(one, "cpu")
            if group.name.startswith("cellos_"):
                rows = dict(x.split() for x in
                            (group / "cpu.stat").read_text().splitlines())
                return int(rows["nr_throttled"])
        except OSError:
            continue
    return 0


def cgroups(uuids):
    """Every cgroup of these runs, in any hierarchy."""
    found = set()
    for top, dirs, _ in os.walk("/sys/fs/cgroup"):
        found.update(os.path.join(top, d) for d in dirs
                     if d.startswith("cellos_") and d[-36:] in uuids)
    return found


def mounts():
    return pathlib.Path("/proc/self/mountinfo").read_text()


def files_below(path):
    return sorted(str(p.relative_to(path)) for p in pathlib.Path(path).rglob("*")
                  if not p.is_dir()) if path.exists() else []


# How processes of ours are called, by themselves or by their first word.
NAMES = ("cellos", "runsc", "qemu-system", "firecracker", "jailer")
STRAY_SECONDS = 5   # what is killed is dead a moment later


class Process:
    """What the kernel says of one that lives."""

    def __init__(self, pid):
        d = pathlib.Path(f"/proc/{pid}")
        text = (d / "stat").read_text()
        fields = text[text.rindex(")") + 2:].split()
        self.pid, self.parent, self.start = pid, int(fields[1]), fields[19]
        self.is_alive = fields[0] not in "ZX"
        self.names = {text[text.index("(") + 1:text.rindex(")")], *(
            os.path.basename(os.fsdecode(word)) for word in
            (d / "cmdline").read_bytes().split(b"\0")[:1])}
        try:
            self.net = os.readlink(d / "ns/net")
        except OSError:
            self.net = None     # of another user

    def __repr__(self):
        return f"process {self.pid} {sorted(self.names)} in {self.net}"


def process_table():
    found = {}
    for name in os.listdir("/proc"):
        try:
            if name.isdigit():
                found[int(name)] = Process(int(name))
        except (OSError, ValueError):
            continue
    return found


def sockets(path):
    """Of names below this directory."""
    lines = pathlib.Path("/proc/net/unix").read_text(errors="replace")
    return sorted(line.split()[-1] for line in lines.splitlines()
                  if str(path) in line)


class Before:
    """The host as it was; left() says what the runs of a test added to it.

    Other cells may run beside us: what bears our runs' names counts, and what
    is nobody else's. A process whose runner is dead is a child of one above
    us, and one of another test's is not.
    """

    def __init__(self, cells):
        self.cells = cells
        self.mounts = mounts()
        self.links = {name for _, name in socket.if_nameindex()}
        self.processes = process_table()
        self.nets = {p.net for p in self.processes.values()} | {None}
        self.above, pid = set(), os.getpid()
        while pid in self.processes:
            self.above.add(pid)
            pid = self.processes[pid].parent

    def is_new(self, p):
        old = self.processes.get(p.pid)
        return p.is_alive and (not old or old.start != p.start) and (
            p.net not in self.nets or
            any(name.startswith(NAMES) for name in p.names))

    def strays(self):
        now = process_table()
        out = []
        for p in filter(self.is_new, now.values()):
            top = p
            while top.parent in now and self.is_new(now[top.parent]):
                top = now[top.parent]
            if top.parent in self.above:
                out.append(repr(p))
        return out

    def left(self):
        out = [f"cgroup {c}" for c in sorted(cgroups(self.cells.uuids()))]
        if mounts() != self.mounts:
            out.append("mounts")
        out += [f"file {f}" for f in files_below(self.cells.run_dir)]
        out += [f"socket {s}" for s in sockets(self.cells.own)]
        out += [f"link {name}" for _, name in socket.if_nameindex()
                if name not in self.links]
        if not wait_until(lambda: not self.strays(), STRAY_SECONDS):
            out += self.strays()
        return out


@pytest.fixture
def before(cells):
    return Before(cells)


def wait_until(what, seconds):
    """Waits for a condition with a bound; returns its last value."""
    end = time.monotonic() + seconds * SLACK
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.005)


@pytest.fixture
def mark():
    """A name for processes that nothing else on this host has."""
    return "h" + base64.b32encode(os.urandom(5)).decode().lower()


# A second build, which can be told to leave a wall out or to fail at a step.
HOOKS = pathlib.Path(os.environ.get("CELLOS_HOOKS_BUILD",
                                    SOURCE / "build-hooks"))


@pytest.fixture
def hooked(tmp_path):
    if not (HOOKS / "cellos").exists():
        pytest.skip(f"no build with test hooks in {HOOKS}")
    (tmp_path / "hooked").mkdir()
    c = Cells(tmp_path / "hooked")
    c.cellos = str(HOOKS / "cellos")
    c.supervisor = str(HOOKS / "cellos-supervisor")
    yield c
    c.close()


class Strace:
    """Runs the program with one system call made to go wrong."""

    # The leak checker traces, and what is traced cannot be traced again.
    env = {"ASAN_OPTIONS": ":".join(filter(None, [
        os.environ.get("ASAN_OPTIONS"), "detect_leaks=0"]))}

    def __init__(self, tmp):
        self.log = str(tmp / "strace.log")

    def prefix(self, inject, follow=True):
        return ["strace", *(["-f"] if follow else []), "-qq", "-o", self.log,
                *sum((["-e", f"inject={i}"] for i in inject), [])]

    @property
    def hit(self):
        with open(self.log, errors="replace") as f:
            return any("(INJECTED)" in line for line in f)


    def watch(self):
        """Only the runner, to tell whether it made a cell."""
        return ["strace", "-qq", "-o", self.log, "-e", "trace=clone3"]

    @property
    def made_a_cell(self):
        with open(self.log, errors="replace") as f:
            return "CLONE_NEWPID" in f.read()


# What is wrong with a run whose document is admitted: what is set, the event
# after which it is told, and why it failed.
NOT_ADMITTED = pytest.mark.parametrize("env, last, reason", [
    ({"CELLOS_BROKER": "env"}, "dns_target_set",
     "secret MY_TOKEN unresolvable via env broker"),
    ({"CELLOS_RUN_ARGV0_ALLOW_PREFIXES": "/nowhere"}, "network_policy",
     "is not under an allowed prefix"),
    ({"CELLOS_RUN_TIMEOUT_MS": "0"}, "completed",
     "command spawn: CELLOS_RUN_TIMEOUT_MS must be > 0"),
    ({"CELLOS_SUBPROCESS_SECCOMP": "much"}, "completed",
     "command spawn: seccomp: CELLOS_SUBPROCESS_SECCOMP must be one of")],
    ids=["secret", "argv0", "timeout", "seccomp"])


def refused_document(c, env):
    """Which is refused if that is set."""
    doc = json.loads(pathlib.Path(c.document(["/bin/true"])).read_text())
    if "CELLOS_BROKER" in env:
        doc["spec"]["authority"]["secretRefs"] = ["MY_TOKEN"]
    path = c.tmp / "refused.json"
    path.write_text(json.dumps(doc))
    return path


def assert_not_admitted(c, strace, wall, env, last, reason):
    """The events of the host wall, and no process of a cell."""
    path = refused_document(c, env)
    ran = []
    for one in ({}, wall):
        r = c.supervise(path, env={**one, **env, **strace.env},
                        prefix=strace.watch())
        assert r.rc == 1 and reason in r.err, r
        assert not strace.made_a_cell
        types = [e["type"].split(".")[-1] for e in r.events
                 if ".evidence." not in e["type"]]
        assert types[types.index("summary") - 1] == last, types
        gone = r.one("lifecycle.v1.destroyed")
        assert reason in gone["reason"]
        assert gone["residueClass"] == "none"
        assert r.one("evidence.v1.residue")["left"] == []
        ran.append(r)
    assert_same_events(ran[1], ran[0])


@pytest.fixture
def strace(tmp_path):
    return Strace(tmp_path)
