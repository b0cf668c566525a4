#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The door beside others that stand in the same place, in one run.

One client and one server, in network namespaces joined by a veth: straight,
through a cell's gate, through haproxy, through nginx, the last two with one
rule of one server name and one thread, as the gate has. The client dials the
proxy, or, in a cell, the server's address. DNS: from memory, beside unbound
and dnsmasq. Contenders take turns within every round; what is printed are
medians. Called by run.py; or: door.py BUILD [ROUNDS]
"""

import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "integ"))

from world import World, name  # noqa: E402
from world_files import DNS4, OWN4  # noqa: E402

SERVER = name("own")
PORT = 4430          # answers; PORT + 1 streams
PROXY = {"haproxy": 5430, "nginx": 5440}
DNS_PORT = {"unbound": 5353, "dnsmasq": 5354}
RESOLVER = "100.64.0.1"  # of every cell
CONNECTIONS, AT_ONCE, ONE_BY_ONE = 30000, 64, 1000
MIB, STREAMS = 1024, 4
QUERIES, WINDOW = 50000, 32
FLOWS = 5000

HAPROXY = """
global
    nbthread 1
    maxconn 6000
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option splice-auto
{}
"""
HAPROXY_ONE = """
frontend f{port}
    bind 127.0.0.1:{port} backlog 4096
    tcp-request inspect-delay 5s
    tcp-request content accept if {{ req.ssl_hello_type 1 }}
    use_backend b{port} if {{ req.ssl_sni -i {server} }}
backend b{port}
    server s {addr}:{to}
"""
NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 16000;
pid {tmp}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 15000; }}
stream {{
    tcp_nodelay on;
    map $ssl_preread_server_name $to {{ {server} {addr}:{to}; default ""; }}
    map $ssl_preread_server_name $to2 {{ {server} {addr}:{to2}; default ""; }}
    server {{ listen 127.0.0.1:{port} backlog=4096; ssl_preread on;
              proxy_pass $to; }}
    server {{ listen 127.0.0.1:{port2} backlog=4096; ssl_preread on;
              proxy_pass $to2; }}
}}
"""
UNBOUND = """server:
    interface: 127.0.0.1@{port}
    username: ""
    chroot: ""
    pidfile: ""
    use-syslog: no
    logfile: "{tmp}/unbound.log"
    do-daemonize: no
    num-threads: 1
    module-config: "iterator"
    cache-min-ttl: 3600
forward-zone:
    name: "."
    forward-addr: {dns}
remote-control:
    control-enable: no
"""


class Door:
    def __init__(self, world, build, tmp, run_dir):
        self.world, self.host = world.need("unbound"), world.host("v4")
        self.build, self.tmp = build, tmp
        self.load = str(build / "bench" / "load")
        self.cellos = next(str(p) for p in (
            build / "cellos", build / "src/cli/cellos") if p.exists())
        self.children = []
        self.shown = tmp / "shown"  # what a cell sees of us
        self.shown.mkdir()
        shutil.copy(self.load, self.shown)
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(tmp),
                    "CELLOS_STATE_DIR": str(tmp / "state"),
                    "CELLOS_RUN_DIR": str(run_dir)}
        if "CELLOS_CGROUP_PARENT" in os.environ:
            self.env["CELLOS_CGROUP_PARENT"] = os.environ[
                "CELLOS_CGROUP_PARENT"]
        self.turn = 0
        # who closes first keeps the port for a minute: within three rounds
        # a proxy would find none free, and be slow for that
        keep_no_ports = "echo 0 >/proc/sys/net/ipv4/tcp_max_tw_buckets"
        self.host.owner("sh", "-c", keep_no_ports)
        world.run("sh", "-c", keep_no_ports)
        world.spawn("load", [self.load, "serve", OWN4, str(PORT)],
                    (OWN4, PORT), (OWN4, PORT + 1))

    # -- programs on the host --

    def start(self, argv, port=0):
        p = subprocess.Popen([*self.host.enter, *argv], env=self.env,
                             stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL)
        self.children.append(p)
        end = time.monotonic() + 10
        while port and time.monotonic() < end:
            r = self.host.run("/usr/bin/python3", "-c", "import socket; "
                              f"socket.create_connection(('127.0.0.1', {port}"
                              "))")
            if r.returncode == 0:
                return
            if p.poll() is not None:
                break
        if port:
            raise RuntimeError(f"{argv[0]} does not start")

    def close(self):
        for p in self.children:
            p.terminate()
            p.wait()

    def write(self, name_, text):
        path = self.tmp / name_
        path.write_text(text)
        return str(path)

    def start_peers(self):
        """Those that are here; the others are named."""
        missing = []
        if shutil.which("haproxy"):
            conf = HAPROXY.format("".join(HAPROXY_ONE.format(
                port=PROXY["haproxy"] + i, server=SERVER, addr=OWN4,
                to=PORT + i) for i in (0, 1)))
            self.start(["haproxy", "-db", "-f",
                        self.write("haproxy.cfg", conf)], PROXY["haproxy"])
        else:
            missing.append("haproxy")
        if os.path.exists("/usr/lib/nginx/modules/ngx_stream_module.so"):
            p = PROXY["nginx"]
            conf = NGINX.format(tmp=self.tmp, server=SERVER, addr=OWN4,
                                to=PORT, to2=PORT + 1, port=p, port2=p + 1)
            self.start(["nginx", "-c", self.write("nginx.conf", conf)], p)
        else:
            missing.append("nginx")
        self.start(["unbound", "-d", "-c", self.write(
            "unbound.conf", UNBOUND.format(port=DNS_PORT["unbound"],
                                           dns=DNS4, tmp=self.tmp))], DNS_PORT["unbound"])
        if shutil.which("dnsmasq"):
            self.start(["dnsmasq", "-k", "-C", "/dev/null", "-R", "-h",
                        "--user=", "--group=", "-p",
                        str(DNS_PORT["dnsmasq"]), "-S", DNS4, "-c", "10000",
                        "--min-cache-ttl=3600", "--listen-address=127.0.0.1",
                        "--bind-interfaces"], DNS_PORT["dnsmasq"])
        else:
            missing.append("dnsmasq")
        return missing

    # -- the client, where each contender has it --

    def cell(self, *cmd, rules=True, flags=()):
        self.turn += 1
        more = ["--allow", f"{SERVER}:{PORT}/tls", "--allow",
                f"{SERVER}:{PORT + 1}/tls"] if rules else []
        return [self.cellos, "run", "--events",
                str(self.tmp / f"e{self.turn}.jsonl"), "--ro",
                str(self.shown), *more, *flags, "--", *cmd]

    def inside(self, *args):
        """The client in a cell that has asked for the name first."""
        return self.cell("sh", "-c", f"getent ahostsv4 {SERVER} >/dev/null && "
                         'exec "$0" "$@"', str(self.shown / "load"), *args)

    def run(self, argv):
        p = subprocess.run([*self.host.enter, *argv], env=self.env,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
        if p.returncode:
            raise RuntimeError(f"{argv}: {p.stderr.decode().strip()}")
        return [int(x) for x in p.stdout.split()]

    def measure(self, contender, mode, *args):
        where = {"straight": (OWN4, PORT), "cellos": (OWN4, PORT),
                 **{n: ("127.0.0.1", p) for n, p in PROXY.items()}}
        addr, port = where[contender]
        words = [mode, addr, str(port), SERVER, *map(str, args)]
        return self.run(self.inside(*words) if contender == "cellos"
                        else [self.load, *words])

    def dns(self, contender):
        words = ["dns", RESOLVER if contender == "cellos" else "127.0.0.1",
                 str(DNS_PORT.get(contender, 53)), SERVER, str(QUERIES),
                 str(WINDOW)]
        return self.run(self.inside(*words) if contender == "cellos"
                        else [self.load, *words])[0]

    # -- the gate as a process --

    def gate_below(self, pid):
        children = {}
        for d in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                stat = (d / "stat").read_text()
                word = (d / "cmdline").read_bytes().split(b"\0")[0]
            except OSError:
                continue
            parent = int(stat[stat.rindex(")") + 2:].split()[1])
            children.setdefault(parent, []).append((int(d.name), word))
        todo = [pid]
        while todo:
            for child, word in children.get(todo.pop(), []):
                if word.endswith(b"cellos-gate"):
                    return child
                todo.append(child)
        return 0

    def pss(self, *cmd, says):
        """Of the gate, when the command has said this line."""
        p = subprocess.Popen([*self.host.enter, *self.cell(
            *cmd, flags=["-i"])], env=self.env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        try:
            line = p.stdout.readline()
            if line != says + "\n":
                raise RuntimeError(f"{cmd}: {line!r}")
            gate = self.gate_below(p.pid)
            rollup = pathlib.Path(f"/proc/{gate}/smaps_rollup").read_text()
            return next(int(line.split()[1]) for line in rollup.splitlines()
                        if line.startswith("Pss:"))
        finally:
            p.communicate()


def show(title, rows, unit, better):
    """Medians, and each to the first row."""
    print(f"\n{title}")
    first = statistics.median(next(iter(rows.values())))
    width = max(map(len, rows))
    for who, values in rows.items():
        mid = statistics.median(values)
        print(f"  {who:{width}}  {mid:12,.1f} {unit}  "
              f"{mid / first:6.2f}x  ({min(values):,.1f} to "
              f"{max(values):,.1f}; {better})")


def connections(door, who, rounds):
    new = {w: [] for w in who}
    alone = {w: [] for w in who}
    stream = {w: [] for w in who}
    for _ in range(rounds):
        for w in who:
            ns, _, _ = door.measure(w, "rate", CONNECTIONS, AT_ONCE)
            new[w].append(CONNECTIONS * 1e9 / ns)
            alone[w].append(door.measure(w, "rate", ONE_BY_ONE, 1)[1] / 1e3)
            ns, = door.measure(w, "bulk", MIB, STREAMS)
            stream[w].append(MIB * 1e9 / ns)
    show(f"New connections a second, by server name, {AT_ONCE} at once", new,
         "/s", "more is better")
    show("One connection, from connect to the server's first byte, median of "
         f"{ONE_BY_ONE}", alone, "us", "less is better")
    show(f"Throughput, {STREAMS} streams, {MIB} MiB", stream, "MiB/s",
         "more is better")


def names(door, who, rounds):
    rows = {w: [] for w in who}
    for _ in range(rounds):
        for w in who:
            rows[w].append(QUERIES * 1e9 / door.dns(w))
    show(f"DNS answers a second from memory, {WINDOW} under way", rows, "/s",
         "more is better")


def starts(door, rounds):
    spawn = [str(door.build / "bench" / "spawn"), "1"]
    rows = {"without a door": [], "with gate, names and rules": []}
    for _ in range(rounds):
        for who, rules in zip(rows, (False, True)):
            rows[who].append(door.run(
                [*spawn, *door.cell("true", rules=rules)])[0] / 1e3)
    show("Start and end of a cell, program `true`", rows, "ms",
         "less is better")


def flows_max():
    """A gate takes as many as its descriptors allow, three each."""
    files = 65536
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    except ValueError:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return min(FLOWS, files // 4)


def memory(door):
    print("\nMemory of the gate (PSS)")
    flows = flows_max()
    hold = f'getent ahostsv4 {SERVER} >/dev/null && exec "$0" "$@"'
    try:
        idle = door.pss("sh", "-c", "echo here; read _", says="here")
        full = door.pss("sh", "-c", hold, str(door.shown / "load"), "hold",
                        OWN4, str(PORT), SERVER, str(flows), says="held")
    except PermissionError:
        print("  not ours to read")
        return
    print(f"  idle: {idle / 1024:.2f} MiB")
    print(f"  with {flows} open connections: {full / 1024:.2f} MiB, "
          f"{(full - idle) * 1024 / flows:.0f} bytes each")


def run(build, rounds):
    print(f"\n-- the door, {rounds} rounds, taking turns --")
    with tempfile.TemporaryDirectory(prefix="cellos-door-",
                                     dir="/var/tmp") as tmp, \
            tempfile.TemporaryDirectory(prefix="cellos-door-",
                                        dir="/dev/shm") as run_dir:
        os.chmod(tmp, 0o755)
        world = World()
        try:
            door = Door(world, build, pathlib.Path(tmp),
                        pathlib.Path(run_dir))
            try:
                missing = door.start_peers()
                for m in missing:
                    print(f"  {m}: not here")
                connections(door, [w for w in (
                    "straight", "cellos", "haproxy", "nginx")
                    if w not in missing], rounds)
                names(door, [w for w in ("unbound", "cellos", "dnsmasq")
                             if w not in missing], rounds)
                starts(door, rounds * 5)
                memory(door)
            finally:
                door.close()
        finally:
            world.close()


if __name__ == "__main__":
    run(pathlib.Path(sys.argv[1]).resolve(),
        int(sys.argv[2]) if len(sys.argv) > 2 else 5)
