# SPDX-License-Identifier: MIT OR Apache-2.0
"""Real clients in full cells, of both walls, no proxy variable set, against real
servers: each reaches the name it was allowed and not its neighbour at the same
address, from hosts with IPv4, with IPv6, with both."""

import pytest

from conftest import SANITIZED, WALLS as ALL_WALLS
from door_clients import CLIENTS, HERE, PYTHON, Kit
from door_harness import WorldCells, connections, decisions, dns_queries
from world import VARIANTS, name
from world_files import OWN4, OWN6, WEB4, WEB6


# What a sandbox of runsc's sends is the gate's as any other's: a sanitized gate
# hears it once.
WALLS = {"host": ()} if SANITIZED else ALL_WALLS


@pytest.fixture(scope="module")
def kit(world, tmp_path_factory):
    return Kit(world, tmp_path_factory.mktemp("kit"))


@pytest.fixture(params=VARIANTS)
def door(world, tmp_path, request):
    c = WorldCells(tmp_path, world, request.param)
    yield c
    c.close()


@pytest.fixture
def dual(world, tmp_path):
    c = WorldCells(tmp_path, world, "dual")
    yield c
    c.close()


def client(door, kit, which, host, wall=()):
    c = CLIENTS[which]
    door.world.need(*c.need)
    ro = [kit.dir]
    if "sshd" in c.need:
        ro += [kit.ssh, door.world.dir / "site" / "git"]
    if which == "java":
        ro.append("/etc/java-17-openjdk")
    return c, door.allow([f"{name(c.host)}:{c.port}"],
                         *c.argv(kit, name(host)), ro=ro, env=c.env(kit),
                         flags=wall)


def reaches_the_allowed_name(door, kit, which, wall=()):
    c, r = client(door, kit, which, CLIENTS[which].host, wall)
    assert r.rc == 0 and c.says in r.out, r
    port, _, proto = c.port.partition("/")
    allowed = [f for f in connections(r) if f["verdict"] == "allow"]
    assert allowed, r.events
    assert all(f["destination"]["port"] == int(port) for f in allowed)
    assert ("deny", "no_rule") not in {
        (f["verdict"], f["reason"]) for f in connections(r)}
    door.verified(r)


def does_not_reach_the_neighbour(door, kit, which, wall=()):
    asked = len(door.world.queries())
    c, r = client(door, kit, which, CLIENTS[which].other, wall)
    assert r.rc == c.rc and c.error in r.out + r.err, r
    assert c.says not in r.out
    # told, and never asked for outside
    neighbour = name(c.other)
    told = [q for q in dns_queries(r) if q[2] == neighbour]
    assert told and {q[:2] for q in told} == {
        ("deny", "denied_not_in_allowlist")}
    assert neighbour not in {q[0] for q in door.world.queries(asked)}
    assert not [f for f in connections(r) if f["verdict"] == "allow"]
    door.verified(r)


@pytest.mark.parametrize("wall", WALLS)
@pytest.mark.parametrize("which", CLIENTS)
def test_reaches_the_allowed_name(door, kit, which, wall):
    reaches_the_allowed_name(door, kit, which, WALLS[wall])


@pytest.mark.parametrize("wall", WALLS)
@pytest.mark.parametrize("which", CLIENTS)
def test_does_not_reach_the_neighbour_by_name(door, kit, which, wall):
    does_not_reach_the_neighbour(door, kit, which, WALLS[wall])


# -- the same address, told apart by the name that is shown --

def address(door):
    return WEB4 if door.host.v4 else WEB6


def at(door, host, port=443):
    a = address(door)
    return ["--resolve", f"{name(host)}:{port}:" + (f"[{a}]" if ":" in a
                                                    else a)]


NEIGHBOURS = {
    # after the allowed name has led there, so that the address is open
    "curl-openssl": (
        'curl -sS -o /dev/null --cacert "$2" "https://$1/"\n'
        'curl -sS --cacert "$2" --resolve "$3:443:$4" "https://$3/"',
        35, "alert access denied"),
    "curl-tls12": (
        'curl -sS -o /dev/null --cacert "$2" "https://$1/"\n'
        'curl -sS --tls-max 1.2 --cacert "$2" --resolve "$3:443:$4" '
        '"https://$3/"', 35, "alert access denied"),
    "gnutls-cli": (
        'curl -sS -o /dev/null --cacert "$2" "https://$1/"\n'
        'gnutls-cli --x509cafile "$2" --sni-hostname "$3" '
        '--verify-hostname "$3" "$1" 443 </dev/null',
        1, "Access was denied"),
    "openssl": (
        'curl -sS -o /dev/null --cacert "$2" "https://$1/"\n'
        'openssl s_client -connect "$5" -servername "$3" </dev/null 2>&1',
        1, "alert access denied"),
    "http": (
        'curl -sS -o /dev/null --cacert "$2" "https://$1/"\n'
        'curl -sSi -H "Host: $3" "http://$1/"; exit 9',
        9, "HTTP/1.1 403 Forbidden"),
}


@pytest.mark.parametrize("which", NEIGHBOURS)
def test_does_not_reach_the_neighbour_by_address(door, which):
    script, rc, error = NEIGHBOURS[which]
    a = address(door)
    bracketed = f"[{a}]" if ":" in a else a
    log = door.world.need("nginx").dir / "access.log"
    before = log.read_text().count("\n")
    r = door.allow([f"{name('allowed')}:443", f"{name('allowed')}:80"],
                   "sh", "-c", script, "sh", name("allowed"), door.ca,
                   name("neighbour"), bracketed, bracketed + ":443")
    assert r.rc == rc and error in r.out + r.err, r
    assert "this is neighbour" not in r.out
    # the server saw the first request and nothing else
    assert log.read_text().count("\n") == before + 1
    code = "l7_http_host_allowlist_miss" if which == "http" else \
        "l7_sni_allowlist_miss"
    assert ("deny", code, name("neighbour")) in decisions(r), decisions(r)
    door.verified(r)


# -- what the clients do beside fetching --

def test_a_body_goes_up_and_comes_back(door):
    door.world.need("nginx")
    before = len(door.world.seen("http"))
    r = door.allow([f"{name('allowed')}:443"], "curl", "-sS", "--cacert",
                   door.ca, "-d", "a body that goes up",
                   f"https://{name('allowed')}/echo")
    assert (r.rc, r.out) == (0, "a body that goes up"), r
    assert len(door.world.seen("http")) == before + 1
    flow, = [f for f in connections(r) if f["verdict"] == "allow"]
    assert flow["bytesUp"] > 19 and flow["bytesDown"] > 19
    door.verified(r)


def test_a_large_file_comes_whole(door):
    door.world.need("nginx")
    r = door.allow([f"{name('big')}:443", f"{name('big')}:80"], "sh", "-ec",
                   'for s in http https; do curl -sS --cacert "$1" '
                   '"$s://$2/file" | sha256sum; done', "sh", door.ca,
                   name("big"))
    # 64 MiB of zeros
    digest = ("3b6a07d0d404fab4e23b6d34bc6696a6a312dd92821332385e5af7c01c421351"
              "  -\n")
    assert (r.rc, r.out) == (0, digest * 2), r
    assert all(f["bytesDown"] > 64 << 20 for f in connections(r))
    door.verified(r)


def test_many_requests_on_one_connection(dual):
    dual.world.need("nginx")
    url = f"http://{name('allowed')}/"
    r = dual.allow([f"{name('allowed')}:80"], "curl", "-sS", *[url] * 50)
    assert (r.rc, r.out) == (0, HERE * 50), r
    flow, = connections(r)
    assert flow["requests"] == 50
    dual.verified(r)


def test_h2_inside_tls(dual):
    dual.world.need("nginx")
    r = dual.allow([f"{name('allowed')}:443"], "curl", "-sS", "--http2",
                   "--cacert", dual.ca, "-w", "%{http_version}\n",
                   f"https://{name('allowed')}/", f"https://{name('allowed')}/")
    assert (r.rc, r.out) == (0, (HERE + "2\n") * 2), r
    flow, = connections(r)
    assert "inner_authority" in flow["unverified"]
    dual.verified(r)


@pytest.mark.parametrize("variant,host,works", [
    ("v4", "v4only", True), ("v4", "v6only", False),
    ("v6", "v4only", False), ("v6", "v6only", True),
    ("dual", "v4only", True), ("dual", "v6only", True)])
def test_names_of_one_family(world, tmp_path, variant, host, works):
    c = WorldCells(tmp_path, world.need("nginx"), variant)
    r = c.allow([f"{name(host)}:443"], "curl", "-sS", "--cacert", c.ca,
                f"https://{name(host)}/")
    assert (r.rc == 0) == works, r
    if not works:
        assert r.rc in (6, 7, 35), r
        assert [f for f in connections(r) if f["verdict"] == "allow" and
                f["bytesDown"] > 0] == []
    c.verified(r)
    c.close()


@pytest.mark.parametrize("cidr", [False, True])
def test_a_rule_of_an_address(door, cidr):
    """An address rule needs no name, and looks at none."""
    door.world.need("sink")
    own = OWN4 if door.host.v4 else OWN6
    host = own
    if cidr:
        host = "198.51.100.0/24" if door.host.v4 else "2001:db8::/64"
    r = door.door([PYTHON, "-c", f"""if True:
        import socket
        s = socket.create_connection(("{own}", 9000))
        s.sendall(b"to an address")
        s.shutdown(socket.SHUT_WR)
        print(s.recv(100).decode(), end="")
        try:
            socket.create_connection(("{own}", 22))
        except OSError as e:
            print(e.errno)
        """], egress=[{"host": host, "port": 9000, "protocol": "tcp"}])
    assert (r.rc, r.out) == (0, "taken\n111\n"), r
    reasons = {(f["verdict"], f["reason"]) for f in connections(r)}
    assert ("allow", "address_rule") in reasons
    door.verified(r)


def test_without_a_resolver_named_the_hosts_are_asked(door):
    door.world.need("nginx")
    asked = len(door.world.queries())
    r = door.door(["/usr/bin/curl", "-sS", "--cacert", str(door.ca),
                   f"https://{name('allowed')}/"],
                  egress=[{"host": name("allowed"), "port": 443}])
    assert (r.rc, r.out) == (0, HERE), r
    assert {q[0] for q in door.world.queries(asked)} == {name("allowed")}
    door.verified(r)


def test_the_documents_resolver_is_asked(door):
    """Which is another one than the host's."""
    door.world.need("nginx", "liar")
    door.world.ask("lies", rules={name("told"): {"a": [WEB4, WEB6]}})
    before = len(door.world.seen("liar"))
    liar = "198.51.100.54:53" if door.host.v4 else "[2001:db8::54]:53"
    r = door.door(["/usr/bin/getent", "ahosts", name("told")], dns={
        "hostnameAllowlist": [name("told")],
        "resolvers": [{"resolverId": "liar", "endpoint": liar,
                       "protocol": "do53-udp"}]})
    assert r.rc == 0 and address(door) in r.out, r
    assert {q["name"] for q in door.world.seen("liar", before)} == {
        name("told")}
    door.verified(r)


def test_no_variable_of_the_host_reaches_a_client(dual):
    """Proxy variables of who runs the cell are not the cell's."""
    dual.world.need("nginx")
    r = dual.allow([f"{name('allowed')}:443"], "sh", "-c",
                   'env | grep -i proxy; curl -sS --cacert "$1" "$2"', "sh",
                   dual.ca, f"https://{name('allowed')}/")
    assert (r.rc, r.out) == (0, HERE), r
