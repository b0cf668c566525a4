/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "door_env.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "cell/door_rules.h"
#include "sys/netns.h"
#include "sys/nflog.h"

struct door door;
struct door_made made;

static void write_proc(const char *path, const char *text)
{
	assert_int_equal(file_write(AT_FDCWD, path, text, strlen(text)), 0);
}

void enter_user(void)
{
	char uid[64], gid[64];

	(void)snprintf(uid, sizeof(uid), "0 %u 1", geteuid());
	(void)snprintf(gid, sizeof(gid), "0 %u 1", getegid());
	assert_int_equal(unshare(CLONE_NEWUSER), 0);
	write_proc("/proc/self/setgroups", "deny");
	write_proc("/proc/self/uid_map", uid);
	write_proc("/proc/self/gid_map", gid);
}

void enter_net(void)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(netns_lo_up(), 0);
}

void make_door(void)
{
	const char *what = "";
	int r = door_make(&door, &made, &what);

	if (r)
		print_error("door_make: %s: %s\n", what, strerror(-r));
	assert_int_equal(r, 0);
}

int door_teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < made.n; i++)
		fd_drop(&made.sockets[i].fd);
	made.n = 0;
	return 0;
}

int gate_fd(enum door_socket_kind kind, uint8_t family, uint16_t port)
{
	for (size_t i = 0; i < made.n; i++)
		if (made.sockets[i].kind == kind &&
		    made.sockets[i].family == family &&
		    made.sockets[i].port == port)
			return made.sockets[i].fd;
	fail_msg("no socket of kind %d, family %d, port %d", kind, family,
		 port);
	return -1;
}

struct ip_addr ip(const char *text)
{
	bool v6 = strchr(text, ':');
	struct ip_addr a = { .family = v6 ? 6 : 4 };

	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, text, a.b), 1);
	return a;
}

socklen_t sa_of(const char *text, uint16_t port, struct sockaddr_storage *ret)
{
	struct ip_addr a = ip(text);
	struct sockaddr_in *s4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *s6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (a.family == 4) {
		s4->sin_family = AF_INET;
		s4->sin_port = htons(port);
		memcpy(&s4->sin_addr, a.b, 4);
		return sizeof(*s4);
	}
	s6->sin6_family = AF_INET6;
	s6->sin6_port = htons(port);
	memcpy(&s6->sin6_addr, a.b, 16);
	return sizeof(*s6);
}

int dial(int type, const char *to, uint16_t port)
{
	struct sockaddr_storage sa;
	socklen_t n = sa_of(to, port, &sa);
	int fd = socket(sa.ss_family, type | SOCK_CLOEXEC, 0), r;

	assert_true(fd >= 0);
	r = connect(fd, (const void *)&sa, n) < 0 ? -errno : fd;
	if (r < 0)
		(void)close(fd);
	return r;
}

void await(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
}

bool is_quiet(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

struct packet refused(const char *prefix)
{
	char buf[NFLOG_DATAGRAM_MAX];
	int fd = gate_fd(DOOR_NFLOG, 0, 0);
	struct nflog_record rec;
	struct packet p;
	struct slice c;
	ssize_t n;

	await(fd, POLLIN);
	n = recv(fd, buf, sizeof(buf), 0);
	assert_true(n > 0);
	c = (struct slice){ buf, (size_t)n };
	assert_true(nflog_next(&c, &rec));
	assert_true(rec.payload.n <= DOOR_NFLOG_COPY);
	assert_true(slice_is(rec.prefix, prefix));
	assert_int_equal(packet_parse(rec.payload, &p), 0);
	assert_false(nflog_next(&c, &rec));
	return p;
}

void assert_told(const char *prefix, uint8_t protocol, const char *src,
		 const char *dst, uint16_t dst_port)
{
	struct packet p = refused(prefix);
	struct ip_addr want_src = ip(src), want_dst = ip(dst);

	assert_memory_equal(&p.src, &want_src, sizeof(p.src));
	assert_memory_equal(&p.dst, &want_dst, sizeof(p.dst));
	assert_int_equal(p.protocol, protocol);
	assert_int_equal(p.has_ports, dst_port != 0);
	assert_int_equal(p.dst_port, dst_port);
}

uint64_t counted(const char *chain)
{
	OWNED(fd_drop) int fd = nl_socket(NETLINK_NETFILTER);
	uint64_t n = 0;

	assert_true(fd >= 0);
	assert_int_equal(nft_counted(fd, DOOR_TABLE, chain, &n), 0);
	return n;
}

void assert_sockaddr(const struct sockaddr_storage *sa, const char *text,
		     uint16_t port)
{
	struct sockaddr_storage want;

	/* flow label and scope are zero here */
	assert_memory_equal(sa, &want, sa_of(text, port, &want));
}

void assert_arrives(int client, int listener, const char *to, uint16_t port)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t n = sizeof(sa);
	char c = 0;
	int fd;

	assert_true(client >= 0);
	await(listener, POLLIN);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (void *)&sa, &n), 0);
	assert_sockaddr(&sa, to, port);
	assert_int_equal(write(client, "q", 1), 1);
	await(fd, POLLIN);
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(c, 'q');
	assert_int_equal(write(fd, "a", 1), 1);
	await(client, POLLIN);
	assert_int_equal(read(client, &c, 1), 1);
	assert_int_equal(c, 'a');
	(void)close(fd);
	(void)close(client);
}
