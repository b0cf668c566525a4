# SPDX-License-Identifier: MIT OR Apache-2.0
"""The world answers: each server, from each host, without a cell."""

import os
import shutil

import pytest

from world import VARIANTS, name
from world_files import DNS4, DNS6, OWN4, OWN6, WEB4


@pytest.fixture(params=VARIANTS)
def host(world, request):
    return world.need("unbound").host(request.param)


def test_hosts_reach_what_their_name_says(world, host):
    for addr, reached in ((DNS4, host.v4), (DNS6, host.v6)):
        r = host.run("/usr/bin/python3", "-c", "import socket, sys; "
                     "socket.create_connection((sys.argv[1], 53), 10)", addr)
        assert (r.returncode == 0) == reached, r.stdout
        assert reached or "Network is unreachable" in r.stdout


def test_nginx_serves_every_vhost(world, host):
    world.need("nginx")
    ca = world.dir / "ca" / "ca.pem"
    for vhost, says in (("allowed", "allowed"), ("neighbour", "neighbour"),
                        ("c.wild", "wild")):
        for flags in (["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3"]):
            r = host.run("curl", "-sS", "--cacert", ca, *flags, "-w",
                         "%{http_version}", f"https://{name(vhost)}/")
            assert r.stdout == f"this is {says}.test.example\n2", r.stdout
        r = host.run("curl", "-sS", f"http://{name(vhost)}/")
        assert r.stdout == f"this is {says}.test.example\n"
    before = len(world.seen("http"))
    r = host.run("curl", "-sS", "--cacert", ca, "-d", "a body",
                 f"https://{name('allowed')}/echo")
    assert r.stdout == "a body"
    assert len(world.seen("http")) == before + 1


def test_unbound_answers_and_writes_what_it_was_asked(world, host):
    before = len(world.queries())
    code = ("import socket; print(sorted({a[4][0] for a in "
            f"socket.getaddrinfo('{name('www')}', 80)}}))")
    r = host.run("/usr/bin/python3", "-c", code)
    assert ("2001:db8::10" in r.stdout, "198.51.100.10" in r.stdout) == (
        True, True), r.stdout
    assert {q for q in world.queries(before)} >= {
        (name("www"), "A"), (name("www"), "AAAA")}


def test_git_over_https_and_ssh(world, host, tmp_path):
    world.need("nginx", "sshd")
    r = host.run("git", "clone", "-q", f"https://{name('git')}/repo.git",
                 tmp_path / "a", env={
                     "GIT_SSL_CAINFO": str(world.dir / "ca" / "ca.pem")})
    assert r.returncode == 0, r.stdout
    d = world.dir / "ssh"
    shutil.copy(d / "id", tmp_path / "id")
    (tmp_path / "id").chmod(0o600)
    r = host.run("git", "clone", "-q",
                 f"ssh://git@{name('ssh')}{world.dir}/site/git/repo.git",
                 tmp_path / "b", env={
                     "GIT_SSH_COMMAND": f"ssh -F /dev/null -i {tmp_path}/id -o "
                     f"UserKnownHostsFile={d}/known_hosts"})
    assert r.returncode == 0, r.stdout + world.log("sshd")
    for clone in "ab":
        assert (tmp_path / clone / "README").read_text() == "hello from git\n"


def test_postgres(world, host):
    world.need("postgres")
    r = host.run("psql", "-h", name("db"), "-U", "postgres", "-Atc",
                 "select 6 * 7")
    assert r.stdout == "42\n", r.stdout + world.log("postgres")


def test_the_agents_servers(world, host):
    world.need("udp", "banner", "sink", "raw")
    before = len(world.seen("sink"))
    own = OWN4 if host.v4 else OWN6
    r = host.run("/usr/bin/python3", "-c", """if True:
        import socket, sys
        own = sys.argv[1]
        family = socket.AF_INET6 if ":" in own else socket.AF_INET
        u = socket.socket(family, socket.SOCK_DGRAM)
        u.settimeout(10)
        u.sendto(b"ping", (own, 7))
        print(u.recv(100))
        print(socket.create_connection((own, 25)).recv(100))
        s = socket.create_connection((own, 9000))
        s.sendall(b"x" * 100000)
        s.shutdown(socket.SHUT_WR)
        print(s.recv(100))
        """, own)
    assert r.stdout.split("\n") == [
        "b'ping'", "b'220 banner of the world\\r\\n'", "b'taken\\n'", ""]
    assert [(e["bytes"], e["end"]) for e in world.seen("sink", before)] == [
        (100000, "fin")]


def test_capture_sees_what_leaves(world, host):
    before = host.capture()
    assert host.packets(before) == []
    r = host.run("/usr/bin/python3", "-c",
                 f"import socket; socket.getaddrinfo('{name('own')}', 80)")
    assert r.returncode == 0, r.stdout
    assert {(p["proto"], p["port"]) for p in host.packets(before)} == {
        (17, 53)}


def test_a_user_is_a_user(world):
    r = world.host("dual").run("sh", "-c", "id -u; grep CapEff "
                               "/proc/self/status; cat /etc/resolv.conf")
    uid, caps, *resolv = r.stdout.split("\n")
    assert int(uid) == os.geteuid()
    assert (int(caps.split()[1], 16) != 0) == (os.geteuid() == 0)
    assert resolv == [f"nameserver {DNS4}", f"nameserver {DNS6}", ""]


def test_nginx_tells_names_apart_by_name_only(world):
    """The same address and certificate: what the door must tell apart."""
    world.need("nginx")
    r = world.host("v4").run(
        "curl", "-sS", "--cacert", world.dir / "ca" / "ca.pem", "--resolve",
        f"{name('neighbour')}:443:{WEB4}", f"https://{name('neighbour')}/")
    assert r.stdout == "this is neighbour.test.example\n"
