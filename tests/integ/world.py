# SPDX-License-Identifier: MIT OR Apache-2.0
"""The world around a cell: network namespaces of the tests' own.

`net` holds servers. A host, one of three, is where `cellos` runs; a veth pair
joins it to `net`, with IPv4, with IPv6, or with both ("v4", "v6", "dual").
Nothing has a name that another test could meet, and everything ends with the
process that made it: `net` has a pid namespace whose process 1 is
world_agent.py, which ends when its stdin does; a host is held by a `cat`.

As root the namespaces are made plainly, and cellos runs as real root. As a
user they belong to a user namespace in which that user is 0, so that
addresses can be set; cellos then runs in a second one, made inside, where the
user is itself again and has no capability: cellos sees what a user sees, and
makes its own user namespace below. Servers run in such a second namespace in
both cases, under a uid of the world's own /etc/passwd: none of them runs as
root, and ports below 1024 are free to all in `net`.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

import world_files as files
from world_files import DNS4, DNS6, OWN4, OWN6, ZONE

IS_ROOT = os.geteuid() == 0
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
VARIANTS = ("v4", "v6", "dual")
USERS = {"web": 2001, "git": 2002, "postgres": 2003, "dns": 2004}
# The link of a host, by its place in VARIANTS: .1 is net's end, .2 the host's.
LINK4, LINK6 = "203.0.113.{}", "2001:db8:{}::{}"
MARKER = 9  # UDP port: a packet to it says that those before it have come


def be(name):
    """In a user namespace in which the caller has the uid of this user."""
    return ["unshare", "-U", f"--map-user={USERS[name]}",
            f"--map-group={USERS[name]}", "--"]


def ready(p):
    """Waits for the line a holder prints, so that nobody enters too early."""
    line = p.stdout.readline()
    if line.strip() != b"ready":
        raise RuntimeError(f"{p.args}: {line!r}, exit {p.wait()}")
    return p


class Host:
    """A network namespace to run clients and cells in."""

    def __init__(self, world, name):
        self.name = name
        self.world = world
        self.v4, self.v6 = name != "v6", name != "v4"
        self.resolv = world.dir / f"resolv-{name}"
        self.resolv.write_text(
            f"nameserver {DNS4}\n" * self.v4 + f"nameserver {DNS6}\n" * self.v6)
        self.holder = ready(subprocess.Popen(
            [*world.base, "unshare", "-n", "-m", "sh", "-c",
             'mount --bind "$0" /etc/resolv.conf && echo ready && exec cat',
             str(self.resolv)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        # As its owner: addresses, captures.
        self.inside = [*world.base_of(self.holder.pid, "-n", "-m")]
        # As the caller of the tests: clients and cells.
        self.enter = [*self.inside] if IS_ROOT else [
            *self.inside, "unshare", "-U", f"--map-user={os.geteuid()}",
            f"--map-group={os.getegid()}", "--"]
        self.device = f"to-{name}"
        self.link(VARIANTS.index(name) + 1)

    def link(self, n):
        far4, near4 = LINK4.format(4 * n + 1), LINK4.format(4 * n + 2)
        far6, near6 = LINK6.format(n, 1), LINK6.format(n, 2)
        off = int(not self.v6)
        self.owner("sh", "-ec", f"""
            ip link set lo up
            ip link add eth0 type veth peer name {self.device} \
                netns {self.world.agent_pid}
            echo {off} >/proc/sys/net/ipv6/conf/eth0/disable_ipv6
            ip link set eth0 up""")
        self.world.run("sh", "-ec", f"""
            echo {off} >/proc/sys/net/ipv6/conf/{self.device}/disable_ipv6
            ip link set {self.device} up""")
        if self.v4:
            self.own4 = near4
            self.world.run("ip", "addr", "add", far4 + "/30", "dev",
                           self.device)
            self.owner("sh", "-ec", f"ip addr add {near4}/30 dev eth0\n"
                       f"ip route add default via {far4}")
        if self.v6:
            self.own6 = near6
            self.world.run("ip", "addr", "add", far6 + "/64", "dev",
                           self.device, "nodad")
            self.owner("sh", "-ec",
                       f"ip addr add {near6}/64 dev eth0 nodad\n"
                       f"ip route add default via {far6}")

    def owner(self, *argv):
        subprocess.run([*self.inside, *argv], check=True,
                       env={"PATH": PATH}, stdin=subprocess.DEVNULL)

    def run(self, *argv, env=None, timeout=60, **kw):
        """A command beside the cell, as who runs cells."""
        return subprocess.run(
            [*self.enter, *map(str, argv)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=timeout,
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", **(env or {})}, **kw)

    # -- what left it --

    def capture(self):
        """Starts to look at every packet that comes out of this host."""
        if self.device not in self.world.captured:
            self.world.captured.add(self.device)
            self.world.ask("capture", device=self.device)
        return self.packets_seen()

    def packets_seen(self):
        """How many there have been, the marker's own not among them."""
        return len(self.packets())

    def packets(self, since=0):
        """Of those, from a number on. A marker follows them, and is waited
        for: what was sent before it has been seen."""
        before = len(self.all_packets())
        to = (OWN4 if self.v4 else OWN6)
        self.owner(sys.executable if sys.executable.startswith("/usr/bin")
                   else "/usr/bin/python3", "-c",
                   "import socket, sys; f = socket.AF_INET6 if ':' in "
                   "sys.argv[1] else socket.AF_INET; socket.socket(f, "
                   f"socket.SOCK_DGRAM).sendto(b'', (sys.argv[1], {MARKER}))",
                   to)
        end = time.monotonic() + 10
        while True:
            found = self.all_packets()
            if any(p["port"] == MARKER and p["proto"] == 17
                   for p in found[before:]):
                break
            if time.monotonic() > end:
                raise RuntimeError("the marker did not come")
            time.sleep(0.005)
        return [p for p in found if not (
            p["port"] == MARKER and p["proto"] == 17)][since:]

    def all_packets(self):
        return self.world.seen("packets " + self.device)


class World:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cellos-world-",
                                                 dir="/var/tmp"))
        self.dir.chmod(0o755)
        self.pids, self.hosts, self.captured = {}, {}, set()
        self.owner, self.agent = None, None
        try:
            self.make()
        except BaseException:
            self.close()
            raise

    def make(self):
        files.passwd(self.dir, USERS)
        if not IS_ROOT:
            self.owner = ready(subprocess.Popen(
                ["unshare", "-U", "-r", "sh", "-c", "echo ready; exec cat"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        self.base = self.base_of(self.owner.pid) if self.owner else []
        agent = pathlib.Path(__file__).with_name("world_agent.py")
        self.agent = ready(subprocess.Popen(
            [*self.base, "unshare", "-n", "-m", "-p", "--fork",
             "--mount-proc", "sh", "-ec",
             'mount --bind "$0/passwd" /etc/passwd\n'
             'mount --bind "$0/group" /etc/group\n'
             'exec /usr/bin/python3 "$1"', str(self.dir), str(agent)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={"PATH": PATH}))
        self.agent_pid = int(pathlib.Path(
            f"/proc/{self.agent.pid}/task/{self.agent.pid}/children"
        ).read_text())
        self.run("sh", "-ec", "\n".join([
            "ip link set lo up",
            *(f"ip addr add {a}/32 dev lo" for a in files.ADDRS4),
            *(f"ip addr add {a}/128 dev lo nodad" for a in files.ADDRS6),
            "echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start"]))

    def base_of(self, pid, *namespaces):
        """Into namespaces of a process, for who owns them."""
        if IS_ROOT:
            return ["nsenter", "-t", str(pid), *namespaces, "--"]
        return ["nsenter", "-t", str(pid), "-U", "--preserve-credentials",
                *namespaces, "--"]

    def close(self):
        for p in [self.agent, *(h.holder for h in self.hosts.values()),
                  self.owner]:
            if p:
                p.stdin.close()
                p.wait(30)
                p.stdout.close()
        shutil.rmtree(self.dir)

    # -- the agent --

    def ask(self, what, **order):
        order["do"] = what
        self.agent.stdin.write(json.dumps(order).encode() + b"\n")
        self.agent.stdin.flush()
        line = self.agent.stdout.readline()
        if not line:
            raise RuntimeError(f"the world has ended: {self.agent.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{order}: {answer['error']}")
        return answer["ok"]

    def seen(self, name, since=0):
        """What a server of the agent saw."""
        return self.ask("seen", name=name, since=since)

    def run(self, *argv):
        """In `net`, as the owner."""
        rc, out = self.ask("run", argv=list(map(str, argv)),
                           env={"PATH": PATH})
        if rc:
            raise RuntimeError(f"{argv}: exit {rc}: {out}")
        return out

    def log(self, name):
        path = self.dir / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def accepts(self, addr, port, pid=None):
        return self.ask("accepts", addr=addr, port=port, pid=pid, seconds=30)

    def spawn(self, name, argv, *accepts):
        pid = self.ask("spawn", argv=argv, log=str(self.dir / f"{name}.log"),
                       env={"PATH": PATH, "HOME": str(self.dir),
                            "LC_ALL": "C.UTF-8"})
        for addr, port in accepts:
            if not self.accepts(addr, port, pid):
                raise RuntimeError(f"{name}: {self.log(name)}")
        return pid

    # -- hosts and servers, each made when it is asked for --

    def host(self, variant="dual"):
        if variant not in self.hosts:
            self.hosts[variant] = Host(self, variant)
        return self.hosts[variant]

    def need(self, *names):
        for name in names:
            if name not in self.pids:
                self.pids[name] = getattr(self, "start_" + name)()
        return self

    def start_certificates(self):
        files.certificates(self.dir)
        (self.dir / "ca").mkdir()
        shutil.copy(self.dir / "ca.pem", self.dir / "ca" / "ca.pem")

    def start_nginx(self):
        self.need("certificates", "http")
        files.site(self.dir / "site")
        conf = self.dir / "nginx.conf"
        conf.write_text(files.nginx_conf(self.dir))
        return self.spawn("nginx", [*be("web"), "nginx", "-c", str(conf)],
                          *((a, p) for a in (files.WEB4, files.WEB6)
                            for p in (80, 443)))

    def start_unbound(self):
        (self.dir / "zone").write_text(files.zone())
        conf = self.dir / "unbound.conf"
        conf.write_text(files.unbound_conf(self.dir))
        return self.spawn("unbound",
                          [*be("dns"), "unbound", "-d", "-c", str(conf)],
                          (DNS4, 53), (DNS6, 53))

    def start_sshd(self):
        self.need("nginx")  # its repository
        files.ssh_keys(self.dir)
        conf = self.dir / "sshd.conf"
        conf.write_text(files.sshd_conf(self.dir))
        return self.spawn("sshd", [*be("git"), "/usr/sbin/sshd", "-D", "-e",
                                   "-f", str(conf)], (OWN4, 22), (OWN6, 22))

    def start_postgres(self):
        bins = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        data = self.dir / "db"
        self.run(*be("postgres"), bins / "initdb", "-D", data, "-A", "trust",
                 "-U", "postgres", "--no-sync")
        with open(data / "pg_hba.conf", "a", encoding="ascii") as f:
            f.write("host all all all trust\n")
        return self.spawn("postgres", [
            *be("postgres"), str(bins / "postgres"), "-D", str(data), "-k",
            str(self.dir), "-c", f"listen_addresses={OWN4},{OWN6}", "-c",
            "fsync=off", "-c",
            # it ends by SIGKILL, which would leave it in /dev/shm
            "dynamic_shared_memory_type=mmap"], (OWN4, 5432), (OWN6, 5432))

    def listen(self, name, kind, port, addrs=(OWN4, OWN6)):
        self.ask("listen", name=name, kind=kind, port=port, addrs=list(addrs))

    def start_http(self):
        self.listen("http", "http", 8080)

    def start_udp(self):
        self.listen("udp", "udp", 7)

    def start_banner(self):
        self.listen("banner", "banner", 25)

    def start_sink(self):
        self.listen("sink", "raw", 9000)

    def start_hanging(self):
        self.listen("hanging", "hanging", 9001)

    def start_raw(self):
        """Where TLS and HTTP would be, of the second address: what comes
        there is remembered as it came."""
        self.listen("raw443", "tls", 443)
        self.listen("raw80", "http", 80)

    def start_retry(self):
        self.listen("retry", "retry", 8444)

    def start_liar(self):
        self.listen("liar", "liar", 53, (files.LIAR4, files.LIAR6))

    # -- what the name server was asked --

    def queries(self, since=0):
        """(name, type) of every query unbound has read, in order; it writes
        its line before it answers."""
        out = []
        for line in self.log("unbound").splitlines():
            words = line.split()
            # [time] unbound[pid:thread] info: address name type class
            if len(words) == 7 and words[2] == "info:" and \
                    words[-1] in ("IN", "CH"):
                out.append((words[4].rstrip(".").lower(), words[5]))
        return out[since:]


@pytest.fixture(scope="session")
def world():
    w = World()
    yield w
    w.close()


def name(host):
    return f"{host}.{ZONE}"
