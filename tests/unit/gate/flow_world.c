/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "flow_world.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "gate/record.h"

enum { HANG_S = 30 /* a test that waits for what does not come */ };

struct world world;
static int outside_ns = -1, cell_ns = -1;
static uint64_t hang_ns;

/* -- what the gate calls -- */

/* Sockets inside are asked for by it: no test here does. */
void record_tell(struct gate *g, const struct gate_record *r)
{
	(void)g;
	(void)r;
	abort();
}

void record_query(struct gate *g, const struct gate_query *q)
{
	(void)g;
	(void)q;
	fail();
}

void record_flow(struct gate *g, enum gate_record_type type,
		 const struct gate_flow *f)
{
	struct gate_record r = { .type = type, .wall_ms = 1, .flow = *f };

	(void)g;
	/* what the supervisor would refuse is no record */
	assert_true(gate_record_check(&r, sizeof(r), &world.policy));
	if (type == GATE_DECISION && (f->reason == GATE_REASON_ADDRESS_RULE ||
				      f->reason == GATE_REASON_NAME_RULE)) {
		world.opened = *f;
		world.n_opened++;
		return;
	}
	assert_true(world.n_told < TOLD_MAX);
	world.told[world.n_told++] = (struct told){ type, *f };
}

void dns_proxy_tcp(struct gate *g, int fd)
{
	(void)g;
	world.dns_fd = fd;
}

/* -- namespaces -- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		perror(path);
	fd_drop(&fd);
}

static bool enter(int ns)
{
	return setns(ns, CLONE_NEWNET) == 0;
}

static int make_netns(void)
{
	if (unshare(CLONE_NEWNET) < 0 ||
	    system("ip link set lo up && ip addr add 192.0.2.1/24 dev lo && "
		   "ip addr add 2001:db8::5/128 dev lo nodad") != 0)
		return -1;
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static bool make_world(void)
{
	unsigned uid = getuid(), gid = getgid();
	char map[32];

	if (uid != 0) {
		if (unshare(CLONE_NEWUSER) < 0)
			return false;
		write_file("/proc/self/setgroups", "deny");
		(void)snprintf(map, sizeof(map), "0 %u 1", uid);
		write_file("/proc/self/uid_map", map);
		(void)snprintf(map, sizeof(map), "0 %u 1", gid);
		write_file("/proc/self/gid_map", map);
	}
	cell_ns = make_netns();
	outside_ns = make_netns();
	return cell_ns >= 0 && outside_ns >= 0;
}

int world_run(const char *name, const struct CMUnitTest *tests, size_t n)
{
	struct rlimit files;

	if (!make_world()) {
		(void)printf("1..0 # SKIP no network namespaces here\n");
		return 0;
	}
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	return _cmocka_run_group_tests(name, tests, n, NULL, NULL);
}

/* -- the gate -- */

int world_setup(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	hang_ns = clock_mono_ns() + (uint64_t)HANG_S * 1000000000;
	world.dns_fd = -1;
	world.policy.idle_ms = 60000;
	world.policy.has_v6 = true;
	world.g.policy = &world.policy;
	world.g.loop = loop_new(40000);
	world.g.pins = pins_new(300);
	world.g.flows = flows_new(&world.g);
	return world.g.loop && world.g.pins && world.g.flows ? 0 : -1;
}

int world_teardown(void **state)
{
	(void)state;
	flows_free(&world.g);
	pins_free(&world.g.pins);
	loop_free(&world.g.loop);
	fd_drop(&world.dns_fd);
	return fd_close_range((unsigned)outside_ns + 1, ~0u);
}

void world_new_flows(void)
{
	flows_free(&world.g);
	world.g.flows = flows_new(&world.g);
	assert_non_null(world.g.flows);
}

static struct gate_rule *rule(enum gate_protocol p, uint16_t port)
{
	struct gate_rule *r = &world.policy.rules[world.policy.n_rules];

	r->index = world.policy.n_rules++;
	r->protocol = (uint8_t)p;
	r->port = port;
	return r;
}

struct gate_rule *world_name_rule(enum gate_protocol p, const char *pattern,
				  uint16_t port)
{
	struct gate_rule *r = rule(p, port);

	(void)snprintf(r->pattern, sizeof(r->pattern), "%s", pattern);
	return r;
}

struct gate_rule *world_net_rule(enum gate_protocol p, const char *net,
				 uint16_t port)
{
	struct gate_rule *r = rule(p, port);

	r->is_net = true;
	assert_int_equal(ip_net_parse(slice_of(net), &r->net), 0);
	return r;
}

struct hostname world_name(const char *text)
{
	struct hostname h = { .len = 0 };

	assert_int_equal(hostname_parse(slice_of(text), &h), 0);
	return h;
}

struct ip_addr world_addr(const char *text)
{
	struct ip_addr a = { .family = 0 };

	assert_int_equal(ip_parse(slice_of(text), &a), 0);
	return a;
}

void world_pin(const char *name, const char *addr)
{
	struct hostname h = world_name(name);
	struct ip_addr a = world_addr(addr);

	pins_add(world.g.pins, &h, &a, 300, clock_mono_ns());
}

/* -- turns -- */

static void nothing(struct loop_timer *t)
{
	(void)t;
}

void world_turn(void)
{
	static struct loop_timer tick = { .fn = nothing };

	assert_true(clock_mono_ns() < hang_ns);
	tick.pos = 0;
	assert_int_equal(
		loop_timer_set(world.g.loop, &tick, clock_mono_ns() + 1000000),
		0);
	assert_int_equal(loop_turn(world.g.loop), 0);
	loop_timer_clear(world.g.loop, &tick);
}

void world_ms(unsigned ms)
{
	uint64_t end = clock_mono_ns() + (uint64_t)ms * 1000000;

	while (clock_mono_ns() < end)
		world_turn();
}

/* -- sockets -- */

static int open_in(int ns, int family, int type)
{
	int fd;

	assert_true(enter(ns));
	fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(enter(outside_ns));
	assert_true(fd >= 0);
	return fd;
}

static int bound(int ns, const char *addr, uint16_t port, int type)
{
	struct ip_addr a = world_addr(addr);
	struct sockaddr_storage sa;
	socklen_t n = ip_sockaddr(&a, port, &sa);
	int fd = open_in(ns, sa.ss_family, type), on = 1;

	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, n), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 4096), 0);
	return fd;
}

void world_listen(uint16_t port, bool is_explicit)
{
	int fd = bound(cell_ns, "0.0.0.0", port, SOCK_STREAM);

	assert_int_equal(flows_tcp(&world.g, fd, is_explicit), 0);
}

void world_listen_udp(uint16_t port, uint8_t family)
{
	int fd = bound(cell_ns, family == 6 ? "::" : "0.0.0.0", port,
		       SOCK_DGRAM);

	assert_int_equal(flows_udp(&world.g, fd, family, port), 0);
}

int world_udp(bool outside, const char *addr, uint16_t port)
{
	return bound(outside ? outside_ns : cell_ns, addr, port, SOCK_DGRAM);
}

int world_server(const char *addr, uint16_t port)
{
	return bound(outside_ns, addr, port, SOCK_STREAM);
}

int world_client(const char *addr, uint16_t port)
{
	struct ip_addr a = world_addr(addr);
	struct sockaddr_storage sa;
	socklen_t n = ip_sockaddr(&a, port, &sa);
	int fd = open_in(cell_ns, sa.ss_family, SOCK_STREAM);

	/* loopback: the handshake is over when it returns */
	assert_true(connect(fd, (struct sockaddr *)&sa, n) == 0 ||
		    errno == EINPROGRESS);
	return fd;
}

int world_accept(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0) {
		assert_int_equal(errno, EAGAIN);
		world_turn();
	}
	return fd;
}

void world_send(int fd, const void *p, size_t n)
{
	const char *s = p;

	while (n) {
		ssize_t w = send(fd, s, n, MSG_NOSIGNAL);

		if (w > 0) {
			s += w;
			n -= (size_t)w;
		} else {
			assert_int_equal(errno, EAGAIN);
		}
		world_turn();
	}
}

void world_say(int fd, const char *s)
{
	world_send(fd, s, strlen(s));
}

ssize_t world_read(int fd, void *p, size_t n)
{
	char *at = p;
	size_t got = 0;

	while (got < n) {
		ssize_t r = recv(fd, at + got, n - got, 0);

		if (r == 0)
			break;
		if (r > 0) {
			got += (size_t)r;
			continue;
		}
		if (errno != EAGAIN)
			return got ? (ssize_t)got : -errno;
		world_turn();
	}
	return (ssize_t)got;
}

void world_expect(int fd, const char *s)
{
	char buf[4096] = "";
	size_t n = strlen(s);

	assert_true(n < sizeof(buf));
	assert_int_equal(world_read(fd, buf, n), n);
	assert_string_equal(buf, s);
}

void world_expect_end(int fd)
{
	char c;

	assert_int_equal(world_read(fd, &c, 1), 0);
}

void world_expect_reset(int fd)
{
	char c;

	assert_int_equal(world_read(fd, &c, 1), -ECONNRESET);
}

void world_expect_nobody(int listener)
{
	world_turn();
	assert_int_equal(accept(listener, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
}

/* -- records -- */

void world_told(size_t n)
{
	while (world.n_told < n)
		world_turn();
	world_turn();
	assert_int_equal(world.n_told, n);
}

size_t world_count(enum gate_record_type t)
{
	size_t n = 0;

	for (size_t i = 0; i < world.n_told; i++)
		n += world.told[i].type == t;
	return n;
}

const struct gate_flow *world_last(enum gate_record_type t)
{
	for (size_t i = world.n_told; i--;)
		if (world.told[i].type == t)
			return &world.told[i].flow;
	fail();
	return NULL;
}
