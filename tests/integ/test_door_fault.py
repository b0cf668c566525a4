# SPDX-License-Identifier: MIT OR Apache-2.0
"""The door when something breaks: its gate, its upstreams, its journal; and
what a workload can make it write."""

import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from conftest import (IS_ROOT, SLACK, descendants, payload, processes,
                      wait_until)
from door_clients import HERE
from door_harness import PYTHON, WorldCells, connections, name
from test_door_escape import gate_of
from world_files import OWN4

API, ALLOWED = name("api"), name("allowed")


@pytest.fixture
def door(world, tmp_path):
    c = WorldCells(tmp_path, world.need("raw"), "dual")
    yield c
    c.close()


def events_of(path):
    with open(path, "rb") as f:
        return [payload(line) for line in f.read().splitlines() if line]


# -- the gate --

@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM,
                                signal.SIGSEGV])
def test_a_cell_does_not_outlive_its_gate(door, mark, by):
    """Within 100 ms the command is dead; the journal says why, and is whole."""
    p = door.start("bash", "-c", f"echo begun; exec -a {mark} sleep 600",
                   flags=["--allow", f"{API}:443"])
    assert p.stdout.readline() == "begun\n"
    assert wait_until(lambda: processes(mark), 10)
    os.kill(gate_of(p), by)
    assert wait_until(lambda: not processes(mark), 0.1)
    out, err = p.communicate(timeout=30 * SLACK)
    assert p.returncode != 0, err
    events = events_of(p.events_path)
    reports = [e["data"] for e in events
               if e["type"].endswith("evidence.v1.enforcement") and
               e["data"]["phase"] not in ("prepared", "violation")]
    assert [d for d in reports if "gate" in json.dumps(d)], reports
    destroyed, = [e["data"] for e in events
                  if e["type"].endswith("lifecycle.v1.destroyed")]
    assert destroyed["outcome"] == "failed"
    assert door.verify(p.events_path).rc == 0


def test_without_a_gate_nothing_starts(door):
    """There is no such program beside ours: no command, no cell."""
    d = door.own / "no-gate"
    d.mkdir(parents=True)
    door.own.chmod(0o755)
    door.cellos = shutil.copy(door.cellos, d)
    r = door.allow([f"{API}:443"], "echo", "ran")
    assert r.rc == 125 and "ran" not in r.out, r
    assert "gate" in r.err


WEB = """if True:
    import socket, threading
    s = socket.create_server(("127.0.0.1", 9443))
    def web():
        while True:
            c, _ = s.accept()
            c.recv(4096)
            c.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
            c.close()
    threading.Thread(target=web, daemon=True).start()
    def say():
        c = socket.create_connection(("127.0.0.1", 8443), 20)
        c.send(b"GET / HTTP/1.1\\r\\nHost: API\\r\\n\\r\\n")
        return c.recv(4096)[9:12].decode()
    print("ready", flush=True)
    input()
    print({say() for i in range(100)})
    """

if IS_ROOT:  # who else may trace pid 1 of a cell?
    def test_sockets_inside_that_could_not_be_made(door):
        """The host is out of files for a while: pid 1 says so, and the gate
        asks again."""
        p = door.start(
            PYTHON, "-c", WEB.replace("API", API), stdin=subprocess.PIPE,
            flags=["-i", "--allow", f"{API}:80/http"],
            env={"CELLOS_SNI_PROXY": "1",
                 "CELLOS_SNI_PROXY_UPSTREAM_OVERRIDE": "127.0.0.1:9443"})
        assert p.stdout.readline() == "ready\n"
        init, = [q for q in descendants(p.pid) if pathlib.Path(
            f"/proc/{q}/comm").read_text() == "cellos-init\n"]
        with subprocess.Popen(
                ["strace", "-p", str(init), "-e", "trace=socket", "-e",
                 "inject=socket:error=ENFILE:when=1..40"],
                stderr=subprocess.PIPE, text=True) as tracer:
            assert "attached" in tracer.stderr.readline()
            p.stdin.write("\n")
            p.stdin.flush()
            out, err = p.communicate(timeout=60 * SLACK)
            log = tracer.communicate(timeout=30 * SLACK)[1]
        assert log.count("(INJECTED)") == 40
        assert (p.returncode, out) == (0, "{'200'}\n"), err
        assert door.verify(p.events_path).rc == 0


def test_the_gate_is_gone_with_the_cell(door):
    p = door.start("sleep", "600", flags=["--allow", f"{API}:443"])
    gate = gate_of(p)
    with open(f"/proc/{gate}/stat", encoding="ascii") as f:
        born = f.read().rsplit(")", 1)[1].split()[19]
    os.kill(p.pid, signal.SIGKILL)

    def gone():
        try:
            with open(f"/proc/{gate}/stat", encoding="ascii") as f:
                rest = f.read().rsplit(")", 1)[1].split()
        except OSError:
            return True
        return rest[0] in "ZX" or rest[19] != born
    assert wait_until(gone, 1)
    p.communicate(timeout=30 * SLACK)
    assert door.gc().rc == 0


def test_what_was_told_is_soon_in_the_file(door):
    """Of a run that has a long way to go, and then is killed."""
    door.world.need("nginx")
    p = door.start("bash", "-c", f"curl -sS http://{ALLOWED}/ >/dev/null; "
                   "echo done; exec sleep 600",
                   flags=["--allow", f"{ALLOWED}:80/http"])
    assert p.stdout.readline() == "done\n"

    def told():
        return [e["data"] for e in events_of(p.events_path)
                if e["type"].endswith("evidence.v1.connection")]
    assert wait_until(told, 10)
    os.kill(p.pid, signal.SIGKILL)
    p.communicate(timeout=30 * SLACK)
    flow, = told()
    assert (flow["host"], flow["verdict"]) == (ALLOWED, "allow"), flow
    assert door.gc().rc == 0


def test_what_passes_is_told_before_it_does(door):
    """Also where no name is judged, and the gate dies before its end."""
    door.world.need("hanging")
    code = f"""if True:
        import socket, sys
        s = socket.create_connection(("{OWN4}", 9001), 10)
        s.send(b"it is out")
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.connect(("{OWN4}", 9001))
        u.send(b"this too")
        print("sent", flush=True)
        sys.stdin.read()
        """
    p = door.start(PYTHON, "-c", code, stdin=subprocess.PIPE,
                   flags=["-i", "--allow", f"{OWN4}:9001",
                          "--allow", f"{OWN4}:9001/udp"])
    assert p.stdout.readline() == "sent\n"

    def told():
        return [(e["data"]["kind"], e["data"]["protocol"],
                 e["data"]["dialled"], e["data"]["verdict"])
                for e in events_of(p.events_path)
                if e["type"].endswith("evidence.v1.connection")]
    assert wait_until(lambda: len(told()) == 2, 10), told()
    os.kill(gate_of(p), signal.SIGKILL)
    p.communicate(timeout=30 * SLACK)
    to = {"address": OWN4, "port": 9001}
    assert told() == [("opened", "tcp", to, "allow"),
                      ("opened", "udp", to, "allow")]
    assert door.verify(p.events_path).rc == 0


def test_a_reader_that_sleeps_does_not_stop_the_clock(door, tmp_path, mark):
    """What a cell is denied fills a pipe that nobody reads: the cell ends, and
    so does the run."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        code = f"""if True:
            import socket
            mark = "{mark}"
            while True:
                try:
                    socket.create_connection(("198.51.100.9", 81), 1)
                except OSError:
                    pass
            """
        r = subprocess.run(
            [*door.host.enter, *door.argv(
                [PYTHON, "-c", code], events=str(fifo),
                flags=["--timeout", "5s", "--allow", f"{API}:443"])],
            env=door.environ(), stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, timeout=60 * SLACK)
    finally:
        os.close(reader)
    assert r.returncode == 125, r
    assert f"sink stalled: {fifo} did not take it in 3 s" in r.stderr
    assert not processes(mark)


# -- upstreams that do not answer --

def test_an_upstream_that_hangs_holds_up_nobody_else(door):
    """A server that accepts and says nothing, and an address where nobody is:
    meanwhile another name works, and the run ends with its command."""
    door.world.need("hanging", "nginx")
    code = f"""if True:
        import socket, subprocess, sys
        hung = [socket.create_connection((a, p), 30) for a, p in (
            ("{OWN4}", 9001), ("198.51.100.77", 9001))]
        for s in hung:
            s.send(b"anybody?")
        print(subprocess.run(["curl", "-sS", "http://{ALLOWED}/"],
                             stdout=-1, timeout=10).stdout.decode(), end="")
        """
    r = door.python([f"{OWN4}:9001/tcp", "198.51.100.77:9001/tcp",
                     f"{ALLOWED}:80"], code)
    assert (r.rc, r.out) == (0, HERE), r
    # both were cut when the cell ended, and that is told
    told = {f["destination"]["address"]: f for f in connections(r)
            if f["destination"]["port"] == 9001}
    assert set(told) == {OWN4, "198.51.100.77"}
    assert told[OWN4]["bytesUp"] == 8
    door.verified(r)


def test_a_server_that_refuses(door):
    """An allowed name whose port nobody serves: the client is told at once,
    and the record says what became of it."""
    r = door.allow([f"{API}:8999/tls", f"{API}:8998/http"], "sh", "-c",
                   f"curl -sS https://{API}:8999/; "
                   f"curl -sSi http://{API}:8998/")
    assert "502" in r.out and "200" not in r.out, r
    assert {f["reason"] for f in connections(r)} == {"upstream_failed"}
    door.verified(r)


def test_a_resolver_that_does_not_answer(door):
    """The query ends in SERVFAIL, other names are not held up by it."""
    door.world.need("liar").ask("lies", rules={
        name("silent"): {"how": "silent"}, name("quick"): {"a": [OWN4]}})
    r = door.door([PYTHON, "-c", f"""if True:
        import socket, struct, threading
        def ask(host):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.settimeout(20)
            s.connect(("100.64.0.1", 53))
            s.send(struct.pack("!6H", 1, 256, 1, 0, 0, 0) + b"".join(
                bytes([len(x)]) + x.encode() for x in host.split(".")) +
                b"\\0\\0\\1\\0\\1")
            print(host, s.recv(4096)[3] & 15, flush=True)
        t = threading.Thread(target=ask, args=["{name("silent")}"])
        t.start()
        ask("{name("quick")}")
        t.join()
        """], dns={"hostnameAllowlist": [name("silent"), name("quick")],
                   "resolvers": [{"resolverId": "liar", "protocol": "do53-udp",
                                  "endpoint": "198.51.100.54:53"}]})
    assert r.out == f"{name('quick')} 0\n{name('silent')} 2\n", r
    door.verified(r)


# -- what is written --

FLOOD = """if True:
    import resource, socket, sys
    n = 0
    for i in range(int(sys.argv[1])):
        s = socket.socket()
        n += s.connect_ex((sys.argv[2], int(sys.argv[3]))) != 0
        s.close()
    print(n)
    """


# refused queries, each an event, until the cell is ended
QUERIES = """if True:
    import socket
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("100.64.0.1", 53))
    while True:
        s.send(b"\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4evil\\0\\0\\1\\0\\1")
        s.recv(512)
    """


def test_a_flood_of_refused_connections(door):
    """Twenty thousand of them leave a journal within its budget, that tells
    their exact number."""
    budget = 1 << 20
    r = door.python([f"{API}:443"], FLOOD, 20000, OWN4, 81, timeout=120,
                    env={"CELLOS_LIMIT_JOURNAL_BYTES": str(budget)})
    assert (r.rc, r.out) == (0, "20000\n"), r
    assert os.path.getsize(r.events_path) <= budget
    door.verified(r)


def test_a_flood_of_judged_connections(door):
    """The same of connections that the gate itself refuses: all counted."""
    r = door.python([f"{API}:443"], """if True:
        import socket, sys
        n = 0
        for i in range(3000):
            s = socket.socket()
            try:
                s.connect((sys.argv[1], 443))
                n += s.recv(1) == b""
            except ConnectionResetError:
                n += 1
            s.close()
        print(n)
        """, OWN4, timeout=120,
                    env={"CELLOS_LIMIT_JOURNAL_BYTES": str(1 << 20)})
    assert (r.rc, r.out) == (0, "3000\n"), r
    told = [f for f in connections(r) if f["reason"] == "address_not_named"]
    assert sum(f.get("count", 1) for f in told) == 3000
    assert os.path.getsize(r.events_path) <= 1 << 20
    door.verified(r)


def test_a_journal_at_its_budget_ends_the_cell(door):
    """Not the evidence: the cell is over, its last line says it is whole."""
    budget = 65536
    r = door.python([f"{API}:443"], QUERIES, timeout=120, env={
        "CELLOS_LIMIT_JOURNAL_BYTES": str(budget),
        "CELLOS_LIMIT_EVENTS_PER_SECOND": "100000"})
    assert r.rc != 0, r
    assert r.one("lifecycle.v1.destroyed")["outcome"] == "failed"
    # the last words have a reserve of their own
    assert os.path.getsize(r.events_path) <= 2 * budget
    door.verified(r)


def test_a_full_disk(door):
    """Events can no longer be written: the cell ends, loudly, and what is
    written is intact."""
    disk = door.world.dir / f"disk-{door.own.name}"
    disk.mkdir()
    disk.chmod(0o777)
    door.host.owner("mount", "-t", "tmpfs", "-o", "size=96k,mode=777", "none",
                    str(disk))
    try:
        argv = door.argv([PYTHON, "-c", QUERIES], flags=["--allow", f"{API}:443"],
            events=str(disk / "events.jsonl"))
        r = door.call(argv, "", {"CELLOS_LIMIT_EVENTS_PER_SECOND": "100000"},
                      120)
        assert r.rc != 0 and "No space left" in r.err, r
        # inside, for the disk is in the host's mount namespace only
        v = door.verify(disk / "events.jsonl")
        assert v.rc in (0, 3), v
    finally:
        door.host.owner("umount", str(disk))
