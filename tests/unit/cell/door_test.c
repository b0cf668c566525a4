/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The door from its inside: who gets through, and what the others see. */
#include "door_env.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "cell/door_rules.h"
#include "sys/nflog.h"

#define FAR4 "203.0.113.7"
#define FAR6 "2001:db8::7"

static int setup(void **state)
{
	(void)state;
	door = (struct door){ .has_v6 = true,
			      .tcp = { 80, 443, 853 },
			      .n_tcp = 3,
			      .udp = { 123, 443, 853 },
			      .n_udp = 3,
			      .nflog_group = DOOR_NFLOG_GROUP };
	enter_net();
	return 0;
}

static int setup_door(void **state)
{
	(void)setup(state);
	make_door();
	return 0;
}

static void tcp_to_named_ports_arrives(void **state)
{
	static const uint16_t ports[] = { 53, 80, 443 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		assert_arrives(dial(SOCK_STREAM, FAR4, ports[i]),
			       gate_fd(DOOR_TCP, 4, 0), FAR4, ports[i]);
		assert_arrives(dial(SOCK_STREAM, FAR6, ports[i]),
			       gate_fd(DOOR_TCP, 6, 0), FAR6, ports[i]);
	}
	assert_int_equal(counted(DOOR_REFUSE), 0);
}

static void tcp_to_other_ports_is_refused(void **state)
{
	static const uint16_t ports[] = { 1, 81, 853, 65535 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		assert_int_equal(dial(SOCK_STREAM, FAR4, ports[i]),
				 -ECONNREFUSED);
		assert_told("refuse", IPPROTO_TCP, DOOR_ADDR4, FAR4, ports[i]);
		assert_int_equal(dial(SOCK_STREAM, FAR6, ports[i]),
				 -ECONNREFUSED);
		assert_told("refuse", IPPROTO_TCP, DOOR_ADDR6, FAR6, ports[i]);
	}
	assert_int_equal(counted(DOOR_REFUSE), 2 * ARRAY_SIZE(ports));
	assert_true(is_quiet(gate_fd(DOOR_TCP, 4, 0)));
	assert_true(is_quiet(gate_fd(DOOR_TCP, 6, 0)));
}

/* A sender without an address of its own to hear an ICMP error at gets one at
 * once, too: EPERM from the filter; whoever waits for an answer, the refusal.
 */
static void assert_udp_refused(const char *to, uint16_t port)
{
	int fd = dial(SOCK_DGRAM, to, port);
	char c;

	assert_true(fd >= 0);
	assert_int_equal(send(fd, "q", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(recv(fd, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNREFUSED);
	(void)close(fd);
}

static void udp_to_other_ports_is_refused(void **state)
{
	static const uint16_t ports[] = { 1, 443, 853, 4433 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		assert_udp_refused(FAR4, ports[i]);
		assert_told("refuse", IPPROTO_UDP, DOOR_ADDR4, FAR4, ports[i]);
		assert_udp_refused(FAR6, ports[i]);
		assert_told("refuse", IPPROTO_UDP, DOOR_ADDR6, FAR6, ports[i]);
	}
	assert_int_equal(counted(DOOR_REFUSE), 2 * ARRAY_SIZE(ports));
}

/* The gate's part: receive, look at where it was to go, answer from there */
static void answer_udp(int fd, const char *to)
{
	struct sockaddr_storage from = { 0 };
	_Alignas(struct cmsghdr) char control[256];
	char c = 0;
	struct iovec v = { &c, 1 };
	struct msghdr m = { .msg_name = &from,
			    .msg_namelen = sizeof(from),
			    .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *h;
	struct ip_addr want = ip(to);
	struct in_pktinfo p4;
	struct in6_pktinfo p6;

	await(fd, POLLIN);
	assert_int_equal(recvmsg(fd, &m, 0), 1);
	assert_int_equal(c, 'q');
	h = CMSG_FIRSTHDR(&m);
	assert_non_null(h);
	if (want.family == 4) {
		assert_int_equal(h->cmsg_type, IP_PKTINFO);
		memcpy(&p4, CMSG_DATA(h), sizeof(p4));
		assert_memory_equal(&p4.ipi_addr, want.b, 4);
		p4 = (struct in_pktinfo){ .ipi_spec_dst = p4.ipi_addr };
		memcpy(CMSG_DATA(h), &p4, sizeof(p4));
	} else {
		assert_int_equal(h->cmsg_type, IPV6_PKTINFO);
		memcpy(&p6, CMSG_DATA(h), sizeof(p6));
		assert_memory_equal(&p6.ipi6_addr, want.b, 16);
		p6.ipi6_ifindex = 0;
		memcpy(CMSG_DATA(h), &p6, sizeof(p6));
	}
	c = 'a';
	assert_int_equal(sendmsg(fd, &m, 0), 1);
}

static void assert_udp_answered(const char *to, uint16_t port)
{
	int fd = dial(SOCK_DGRAM, to, port);
	char c = 0;

	assert_true(fd >= 0);
	assert_int_equal(send(fd, "q", 1, 0), 1);
	answer_udp(gate_fd(DOOR_UDP, ip(to).family, port), to);
	/* connected: it takes nothing from another address or port */
	await(fd, POLLIN);
	assert_int_equal(recv(fd, &c, 1, 0), 1);
	assert_int_equal(c, 'a');
	(void)close(fd);
}

static void udp_to_named_ports_is_answered(void **state)
{
	(void)state;
	assert_udp_answered(DOOR_RESOLVER4, 53);
	assert_udp_answered(FAR4, 53);
	assert_udp_answered(FAR4, 123);
	assert_udp_answered(FAR6, 53);
	assert_udp_answered(FAR6, 123);
	assert_int_equal(counted(DOOR_REFUSE), 0);
}

static void the_gate_is_no_loopback_service(void **state)
{
	static const char *const to[] = {
		"127.0.0.1", "127.9.9.9", DOOR_ADDR4,	  FAR4,	    "::1",
		DOOR_ADDR6,  FAR6,	  DOOR_RESOLVER4, "0.0.0.0"
	};
	static const char *const own[] = { "127.0.0.1", "127.9.9.9", DOOR_ADDR4,
					   "::1", DOOR_ADDR6 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(to); i++)
		assert_int_equal(dial(SOCK_STREAM, to[i], made.gate_port),
				 -ECONNREFUSED);
	assert_true(is_quiet(gate_fd(DOOR_TCP, 4, 0)));
	assert_true(is_quiet(gate_fd(DOOR_TCP, 6, 0)));
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		uint8_t family = ip(own[i]).family;

		assert_udp_refused(own[i], 53);
		assert_udp_refused(own[i], 123);
		assert_true(is_quiet(gate_fd(DOOR_UDP, family, 53)));
		assert_true(is_quiet(gate_fd(DOOR_UDP, family, 123)));
	}
	assert_int_equal(counted(DOOR_REFUSE),
			 ARRAY_SIZE(to) + 2 * ARRAY_SIZE(own));
}

static int bound(int type, const char *at, uint16_t port, bool reuse)
{
	struct sockaddr_storage sa;
	socklen_t n = sa_of(at, port, &sa);
	int fd = socket(sa.ss_family, type | SOCK_CLOEXEC, 0), one = 1, r;

	assert_true(fd >= 0);
	if (reuse) {
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one,
					    sizeof(one)),
				 0);
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one,
					    sizeof(one)),
				 0);
	}
	r = bind(fd, (const void *)&sa, n) < 0 ? -errno : fd;
	if (r < 0)
		(void)close(fd);
	return r;
}

static void nobody_binds_beside_the_gate(void **state)
{
	static const char *const at[] = { "127.0.0.1", "0.0.0.0" };
	static const char *const udp[] = { "127.0.0.1", FAR4, "0.0.0.0", "::1",
					   "::" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		assert_int_equal(
			bound(SOCK_STREAM, at[i], made.gate_port, true),
			-EADDRINUSE);
	assert_int_equal(bound(SOCK_STREAM, "::1", made.gate_port, true),
			 -EADDRINUSE);
	for (size_t i = 0; i < ARRAY_SIZE(udp); i++)
		assert_int_equal(bound(SOCK_DGRAM, udp[i], 53, true),
				 -EADDRINUSE);
}

/* What the gate answers is known by its mark, to whatever port it goes. */
static void a_client_may_have_the_number_of_the_gate(void **state)
{
	static const struct {
		const char *from, *to;
	} pairs[] = { { DOOR_ADDR4, FAR4 }, { DOOR_ADDR6, FAR6 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct sockaddr_storage sa;
		socklen_t n = sa_of(pairs[i].to, 443, &sa);
		int fd = bound(SOCK_STREAM, pairs[i].from, made.gate_port,
			       false);

		assert_true(fd >= 0);
		assert_int_equal(connect(fd, (const void *)&sa, n), 0);
		assert_arrives(fd, gate_fd(DOOR_TCP, i ? 6 : 4, 0), pairs[i].to,
			       443);
	}
}

static void own_services_work(void **state)
{
	static const struct {
		const char *at;
		uint16_t port;
	} own[] = { { "127.0.0.1", 8080 },
		    { "127.0.0.1", 443 },
		    { DOOR_ADDR4, 443 },
		    { "::1", 443 },
		    { DOOR_ADDR6, 8080 } };
	int fd, client;
	char c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		fd = bound(SOCK_STREAM, own[i].at, own[i].port, false);
		assert_true(fd >= 0);
		assert_int_equal(listen(fd, 1), 0);
		assert_arrives(dial(SOCK_STREAM, own[i].at, own[i].port), fd,
			       own[i].at, own[i].port);
		(void)close(fd);
		/* and where none is, the kernel itself answers */
		assert_int_equal(dial(SOCK_STREAM, own[i].at, own[i].port),
				 -ECONNREFUSED);
	}
	fd = bound(SOCK_DGRAM, "127.0.0.1", 9999, false);
	client = dial(SOCK_DGRAM, "127.0.0.1", 9999);
	assert_int_equal(send(client, "q", 1, 0), 1);
	await(fd, POLLIN);
	assert_int_equal(recv(fd, &c, 1, 0), 1);
	(void)close(fd);
	(void)close(client);
	assert_int_equal(counted(DOOR_REFUSE), 0);
}

/* Raw sockets, which no workload has: what they send is refused all the same.
 */
static void assert_raw_refused(int protocol, const char *to)
{
	struct sockaddr_storage sa;
	socklen_t n = sa_of(to, 0, &sa);
	int fd = socket(sa.ss_family, SOCK_RAW | SOCK_CLOEXEC, protocol);
	char text[64] = { 8 }; /* echo; of ICMPv6 it is 128 */

	if (protocol == IPPROTO_ICMPV6)
		text[0] = (char)128;
	assert_true(fd >= 0);
	assert_int_equal(
		sendto(fd, text, sizeof(text), 0, (const void *)&sa, n), -1);
	assert_int_equal(errno, EPERM);
	(void)close(fd);
}

static void other_protocols_are_refused(void **state)
{
	static const int protocols[] = { IPPROTO_ICMP,	 IPPROTO_IGMP,
					 IPPROTO_SCTP,	 IPPROTO_UDPLITE,
					 IPPROTO_GRE,	 IPPROTO_ESP,
					 IPPROTO_IPIP,	 IPPROTO_AH,
					 IPPROTO_ICMPV6, 253 };
	struct packet p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		assert_raw_refused(protocols[i], FAR4);
		p = refused("refuse");
		assert_int_equal(p.protocol, protocols[i]);
	}
	assert_raw_refused(IPPROTO_ICMPV6, FAR6);
	assert_told("refuse", IPPROTO_ICMPV6, DOOR_ADDR6, FAR6, 0);
	assert_raw_refused(IPPROTO_SCTP, FAR6);
	p = refused("refuse");
	assert_int_equal(p.protocol, IPPROTO_SCTP);
	assert_int_equal(counted(DOOR_REFUSE), ARRAY_SIZE(protocols) + 2);
}

static void a_ping_socket_is_refused(void **state)
{
	OWNED(fd_drop) int fd = -1;
	struct icmphdr echo = { .type = ICMP_ECHO };

	(void)state;
	assert_int_equal(file_write(AT_FDCWD,
				    "/proc/sys/net/ipv4/ping_group_range",
				    "0 0", 3),
			 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
	assert_true(fd >= 0);
	{
		struct sockaddr_storage sa;
		socklen_t n = sa_of(FAR4, 0, &sa);

		assert_int_equal(sendto(fd, &echo, sizeof(echo), 0,
					(const void *)&sa, n),
				 -1);
	}
	assert_int_equal(errno, EPERM);
	assert_told("refuse", IPPROTO_ICMP, DOOR_ADDR4, FAR4, 0);
}

/* A SYN to a named port, as no socket sends it by itself. */
static void assert_syn_refused(const char *to)
{
	static const uint8_t syn[20] = { 0x30,	     0x39,	  443 >> 8,
					 443 & 0xff, [12] = 0x50, 2 };
	struct sockaddr_storage sa;
	socklen_t n = sa_of(to, 0, &sa);
	bool is_v6 = sa.ss_family == AF_INET6;
	int one = 1;
	int fd = socket(sa.ss_family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);

	assert_true(fd >= 0);
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)), 0);
	assert_int_equal(sendto(fd, syn, sizeof(syn), 0, (const void *)&sa, n),
			 -1);
	assert_int_equal(errno, EPERM);
	assert_told("refuse", IPPROTO_TCP, is_v6 ? DOOR_ADDR6 : DOOR_ADDR4, to,
		    443);
	(void)close(fd);
}

static void multicast_is_refused(void **state)
{
	static const char *const to[] = { "224.0.0.251", "239.1.1.1",
					  "255.255.255.255", "240.0.0.1" };
	int one = 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(to); i++)
		assert_syn_refused(to[i]);
	assert_syn_refused("ff0e::7");
	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		struct sockaddr_storage sa;
		socklen_t n = sa_of(to[i], 123, &sa);
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one,
					    sizeof(one)),
				 0);
		assert_int_equal(sendto(fd, "q", 1, 0, (const void *)&sa, n),
				 -1);
		assert_int_equal(errno, EPERM);
		assert_told("refuse", IPPROTO_UDP, DOOR_ADDR4, to[i], 123);
		(void)close(fd);
	}
	assert_true(is_quiet(gate_fd(DOOR_UDP, 4, 123)));
}

static void source_routes_and_options_are_refused(void **state)
{
	/* LSRR (RFC 791) by way of 192.0.2.1, and a no-operation */
	static const uint8_t route[] = { 131, 7, 4, 192, 0, 2, 1, 1 };
	static const uint8_t padding6[8] = { 0, 0, 1, 4 };
	struct sockaddr_storage sa;
	socklen_t n = sa_of(FAR4, 123, &sa);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(
		setsockopt(fd, IPPROTO_IP, IP_OPTIONS, route, sizeof(route)),
		0);
	assert_int_equal(sendto(fd, "q", 1, 0, (const void *)&sa, n), -1);
	assert_int_equal(errno, EPERM);
	assert_told("refuse", IPPROTO_UDP, DOOR_ADDR4, "192.0.2.1", 123);
	(void)close(fd);

	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	n = sa_of(FAR6, 123, &sa);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_DSTOPTS, padding6,
				    sizeof(padding6)),
			 0);
	assert_int_equal(sendto(fd, "q", 1, 0, (const void *)&sa, n), -1);
	assert_int_equal(errno, EPERM);
	assert_told("refuse", IPPROTO_UDP, DOOR_ADDR6, FAR6, 123);
	(void)close(fd);
	assert_true(is_quiet(gate_fd(DOOR_UDP, 4, 123)));
	assert_true(is_quiet(gate_fd(DOOR_UDP, 6, 123)));
}

/* A connection whose every packet has this option is refused by a reset. */
static void assert_option_refused(const char *from, const char *to, int level,
				  int name, const void *v, socklen_t size)
{
	struct sockaddr_storage sa;
	socklen_t n = sa_of(to, 443, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(setsockopt(fd, level, name, v, size), 0);
	assert_int_equal(connect(fd, (const void *)&sa, n), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_told("refuse", IPPROTO_TCP, from, to, 443);
	(void)close(fd);
}

static void nor_do_they_pass_with_tcp(void **state)
{
	static const uint8_t nops[] = { 1, 1, 1, 1 };
	static const uint8_t padding6[8] = { 0, 0, 1, 4 };

	(void)state;
	assert_option_refused(DOOR_ADDR4, FAR4, IPPROTO_IP, IP_OPTIONS, nops,
			      sizeof(nops));
	assert_option_refused(DOOR_ADDR6, FAR6, IPPROTO_IPV6, IPV6_DSTOPTS,
			      padding6, sizeof(padding6));
	assert_true(is_quiet(gate_fd(DOOR_TCP, 4, 0)));
	assert_true(is_quiet(gate_fd(DOOR_TCP, 6, 0)));
}

static void a_false_source_is_refused(void **state)
{
	struct sockaddr_storage sa;
	socklen_t n = sa_of(FAR4, 443, &sa);
	int fd = bound(SOCK_STREAM, "198.51.100.9", 0, false);
	int ms = PATIENCE_MS;

	(void)state;
	assert_true(fd >= 0);
	/* the reset goes to the false address, and arrives: at once, and
	 * nothing is told of it */
	assert_int_equal(
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms)),
		0);
	assert_int_equal(connect(fd, (const void *)&sa, n), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_told("refuse", IPPROTO_TCP, "198.51.100.9", FAR4, 443);
	assert_int_equal(counted(DOOR_REFUSE), 1);
	assert_true(is_quiet(gate_fd(DOOR_NFLOG, 0, 0)));
	assert_true(is_quiet(gate_fd(DOOR_TCP, 4, 0)));
	(void)close(fd);
}

static void without_v6_only_its_loopback_is_left(void **state)
{
	int fd;

	(void)state;
	door.has_v6 = false;
	make_door();
	assert_int_equal(dial(SOCK_STREAM, FAR6, 443), -ENETUNREACH);
	assert_arrives(dial(SOCK_STREAM, FAR4, 443), gate_fd(DOOR_TCP, 4, 0),
		       FAR4, 443);
	fd = bound(SOCK_STREAM, "::1", 443, false);
	assert_true(fd >= 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_arrives(dial(SOCK_STREAM, "::1", 443), fd, "::1", 443);
	(void)close(fd);
	for (size_t i = 0; i < made.n; i++)
		assert_int_not_equal(made.sockets[i].family, 6);
}

static void explicit_listeners_are_reached(void **state)
{
	(void)state;
	door.n_listen = 4;
	door.listen[0].addr = ip("127.0.0.1");
	door.listen[0].port = 61000; /* which the gate would take */
	door.listen[1].addr = ip(FAR4);
	door.listen[1].port = 443;
	door.listen[2].addr = ip("::1");
	door.listen[2].port = 5353;
	door.listen[2].is_udp = true;
	door.listen[3].addr = ip("127.0.0.1");
	door.listen[3].port = 53;
	door.listen[3].is_udp = true;
	make_door();
	assert_int_equal(made.gate_port, 61001);
	assert_arrives(dial(SOCK_STREAM, "127.0.0.1", 61000),
		       gate_fd(DOOR_LISTEN, 4, 0), "127.0.0.1", 61000);
	/* before what would be diverted */
	assert_arrives(dial(SOCK_STREAM, FAR4, 443), gate_fd(DOOR_LISTEN, 4, 1),
		       FAR4, 443);
	assert_arrives(dial(SOCK_STREAM, "203.0.113.8", 443),
		       gate_fd(DOOR_TCP, 4, 0), "203.0.113.8", 443);
	{
		int fd = dial(SOCK_DGRAM, "::1", 5353);

		assert_int_equal(send(fd, "q", 1, 0), 1);
		answer_udp(gate_fd(DOOR_LISTEN, 6, 2), "::1");
		await(fd, POLLIN);
		(void)close(fd);
	}
	/* the wildcard socket has it */
	assert_udp_answered("127.0.0.1", 53);
	assert_int_equal(dial(SOCK_STREAM, "127.0.0.1", made.gate_port),
			 -ECONNREFUSED);
	assert_udp_refused("127.0.0.1", 123);
}

static void a_listener_of_all_addresses_is_only_the_cells(void **state)
{
	(void)state;
	door.n_listen = 1;
	door.listen[0].addr = ip("0.0.0.0");
	door.listen[0].port = 1080;
	make_door();
	assert_arrives(dial(SOCK_STREAM, "127.0.0.1", 1080),
		       gate_fd(DOOR_LISTEN, 4, 0), "127.0.0.1", 1080);
	assert_int_equal(dial(SOCK_STREAM, FAR4, 1080), -ECONNREFUSED);
}

/* More than the socket's buffer holds: a number is missing for each that is
 * not told. */
static void floods_are_counted_all_and_told_in_part(void **state)
{
	enum { N = 2000 };
	struct nflog_record rec = { 0 };
	unsigned told = 0;
	char buf[4096];
	ssize_t n;

	(void)state;
	for (int i = 0; i < N; i++)
		assert_int_equal(dial(SOCK_STREAM, FAR4, 81), -ECONNREFUSED);
	assert_int_equal(counted(DOOR_REFUSE), N);
	do {
		n = recv(gate_fd(DOOR_NFLOG, 0, 0), buf, sizeof(buf), 0);
		if (n > 0) {
			struct slice c = { buf, (size_t)n };

			assert_true(nflog_next(&c, &rec));
			assert_int_equal(rec.number, told++);
		}
	} while (n > 0 || errno == ENOBUFS);
	assert_in_range(told, 50, N - 1);
	assert_int_equal(dial(SOCK_STREAM, FAR4, 81), -ECONNREFUSED);
	n = recv(gate_fd(DOOR_NFLOG, 0, 0), buf, sizeof(buf), 0);
	assert_true(n > 0);
	assert_true(nflog_next(&(struct slice){ buf, (size_t)n }, &rec));
	assert_int_equal(rec.number, N);
}

static void many_ports_fit(void **state)
{
	struct rlimit files = { 1024, 0 }, after;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
	files.rlim_max = after.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	for (uint16_t i = 0; i < DOOR_PORTS_MAX; i++) {
		/* the ports a gate would take first are among them */
		door.tcp[i] = (uint16_t)(61000 + i);
		door.udp[i] = (uint16_t)(20000 + i);
	}
	door.n_tcp = DOOR_PORTS_MAX;
	door.n_udp = DOOR_PORTS_MAX;
	make_door();
	assert_int_equal(made.n, 2 + 2 * (DOOR_PORTS_MAX + 1) + 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
	assert_int_equal(after.rlim_cur, 1024);
	/* to look at it */
	files.rlim_cur = files.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	assert_int_equal(made.gate_port, 61000 + DOOR_PORTS_MAX);
	assert_arrives(dial(SOCK_STREAM, FAR4, 61511), gate_fd(DOOR_TCP, 4, 0),
		       FAR4, 61511);
	assert_udp_answered(FAR6, 20511);
	assert_int_equal(dial(SOCK_STREAM, FAR4, 443), -ECONNREFUSED);
}

static void what_fails_leaves_no_socket(void **state)
{
	struct door_made again = { 0 };
	const char *what = NULL;
	int next;

	(void)state;
	next = dup(0);
	(void)close(next);
	assert_int_equal(door_make(&door, &again, &what), -EEXIST);
	assert_string_equal(what, "addresses and routes");
	assert_int_equal(again.n, 0);
	door.n_tcp = DOOR_PORTS_MAX + 1;
	assert_int_equal(door_make(&door, &again, &what), -EINVAL);
	enter_net();
	door.n_tcp = 0;
	door.n_listen = 2;
	door.listen[0].addr = ip("127.0.0.1");
	door.listen[0].port = 1080;
	door.listen[1] = door.listen[0];
	assert_int_equal(door_make(&door, &again, &what), -EADDRINUSE);
	assert_string_equal(what, "sockets of the gate");
	assert_int_equal(again.n, 0);
	assert_int_equal(dup(0), next);
	(void)close(next);
}

int main(void)
{
#define WITH_DOOR(t) \
	cmocka_unit_test_setup_teardown(t, setup_door, door_teardown)
#define WITHOUT(t) cmocka_unit_test_setup_teardown(t, setup, door_teardown)
	const struct CMUnitTest tests[] = {
		WITH_DOOR(tcp_to_named_ports_arrives),
		WITH_DOOR(tcp_to_other_ports_is_refused),
		WITH_DOOR(udp_to_named_ports_is_answered),
		WITH_DOOR(udp_to_other_ports_is_refused),
		WITH_DOOR(the_gate_is_no_loopback_service),
		WITH_DOOR(nobody_binds_beside_the_gate),
		WITH_DOOR(a_client_may_have_the_number_of_the_gate),
		WITH_DOOR(own_services_work),
		WITH_DOOR(other_protocols_are_refused),
		WITH_DOOR(a_ping_socket_is_refused),
		WITH_DOOR(multicast_is_refused),
		WITH_DOOR(source_routes_and_options_are_refused),
		WITH_DOOR(nor_do_they_pass_with_tcp),
		WITH_DOOR(a_false_source_is_refused),
		WITH_DOOR(floods_are_counted_all_and_told_in_part),
		WITH_DOOR(what_fails_leaves_no_socket),
		WITHOUT(without_v6_only_its_loopback_is_left),
		WITHOUT(explicit_listeners_are_reached),
		WITHOUT(a_listener_of_all_addresses_is_only_the_cells),
		WITHOUT(many_ports_fit),
	};

	enter_user();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
