/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The second way in: a network stack of its own behind the device `cell0`. */
#include "door_env.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "cell/door_rules.h"
#include "sys/netns.h"

#define FAR4   "203.0.113.7"
#define FAR6   "2001:db8::7"
#define FALSE4 "198.51.100.9"
#define FALSE6 "2001:db8:9::9"

static int peer_net = -1, door_net = -1;

static int this_net(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void request(struct nl_buf *b)
{
	OWNED(fd_drop) int fd = nl_socket(NETLINK_ROUTE);

	assert_true(fd >= 0);
	nl_ask_ack(b);
	assert_int_equal(nl_request(fd, b), 0);
}

/* As a guest would: its address, and the door's as the gateway */
static void configure_peer(bool has_v6)
{
	char text[1024];
	struct nl_buf b = { .p = text, .max = sizeof(text) };
	uint32_t dev = if_nametoindex("eth0");
	struct ip_addr a4 = ip(DOOR_LEG_PEER4), a6 = ip(DOOR_LEG_PEER6);
	struct ip_addr via4 = ip(DOOR_ADDR4), via6 = ip(DOOR_ADDR6);

	assert_int_not_equal(dev, 0);
	netns_put_up(&b, dev);
	netns_put_addr(&b, dev, &a4);
	netns_put_gateway(&b, dev, &via4);
	if (has_v6) {
		netns_put_addr(&b, dev, &a6);
		netns_put_gateway(&b, dev, &via6);
	}
	request(&b);
}

static void enter(int net)
{
	assert_int_equal(setns(net, CLONE_NEWNET), 0);
}

/* Left in the peer's namespace: what is dialled is dialled from there. */
static void make_leg(bool has_v6)
{
	char text[512];
	struct nl_buf b = { .p = text, .max = sizeof(text) };

	door = (struct door){ .has_v6 = has_v6,
			      .has_leg = true,
			      .tcp = { 443 },
			      .n_tcp = 1,
			      .udp = { 123 },
			      .n_udp = 1,
			      .nflog_group = DOOR_NFLOG_GROUP };
	enter_net();
	peer_net = this_net();
	enter_net();
	door_net = this_net();
	netns_put_veth(&b, DOOR_LEG, "eth0", peer_net);
	request(&b);
	make_door();
	enter(peer_net);
	configure_peer(has_v6);
}

static int setup(void **state)
{
	(void)state;
	make_leg(true);
	return 0;
}

static int teardown(void **state)
{
	fd_drop(&peer_net);
	fd_drop(&door_net);
	return door_teardown(state);
}

static uint64_t counted_there(const char *chain)
{
	uint64_t n;

	enter(door_net);
	n = counted(chain);
	enter(peer_net);
	return n;
}

static void named_ports_are_reached(void **state)
{
	(void)state;
	assert_arrives(dial(SOCK_STREAM, FAR4, 443), gate_fd(DOOR_TCP, 4, 0),
		       FAR4, 443);
	assert_arrives(dial(SOCK_STREAM, FAR6, 443), gate_fd(DOOR_TCP, 6, 0),
		       FAR6, 443);
	assert_arrives(dial(SOCK_STREAM, DOOR_RESOLVER4, 53),
		       gate_fd(DOOR_TCP, 4, 0), DOOR_RESOLVER4, 53);
	assert_int_equal(counted_there(DOOR_REFUSE), 0);
	assert_int_equal(counted_there(DOOR_DISCARD), 0);
}

static void udp_is_answered_from_where_it_was_sent(const char *to,
						   uint16_t port)
{
	struct ip_addr a = ip(to);
	int gate = gate_fd(DOOR_UDP, a.family, port);
	int fd = dial(SOCK_DGRAM, to, port);
	_Alignas(struct cmsghdr) char control[256];
	struct sockaddr_storage from;
	char c = 0;
	struct iovec v = { &c, 1 };
	struct msghdr m = { .msg_name = &from,
			    .msg_namelen = sizeof(from),
			    .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct in_pktinfo p4 = { 0 };
	struct in6_pktinfo p6 = { 0 };

	assert_int_equal(send(fd, "q", 1, 0), 1);
	await(gate, POLLIN);
	assert_int_equal(recvmsg(gate, &m, 0), 1);
	/* the device is left to the routes */
	if (a.family == 4) {
		memcpy(&p4.ipi_spec_dst, a.b, 4);
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &p4, sizeof(p4));
	} else {
		memcpy(&p6.ipi6_addr, a.b, 16);
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &p6, sizeof(p6));
	}
	c = 'a';
	assert_int_equal(sendmsg(gate, &m, 0), 1);
	await(fd, POLLIN);
	assert_int_equal(recv(fd, &c, 1, 0), 1);
	assert_int_equal(c, 'a');
	(void)close(fd);
}

static void udp_is_answered(void **state)
{
	(void)state;
	udp_is_answered_from_where_it_was_sent(DOOR_RESOLVER4, 53);
	udp_is_answered_from_where_it_was_sent(FAR4, 123);
	udp_is_answered_from_where_it_was_sent(FAR6, 123);
}

static void assert_udp_refused(const char *to, uint16_t port)
{
	int fd = dial(SOCK_DGRAM, to, port);
	char c;

	assert_int_equal(send(fd, "q", 1, 0), 1);
	await(fd, POLLIN);
	assert_int_equal(recv(fd, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNREFUSED);
	(void)close(fd);
}

static void the_rest_is_refused(void **state)
{
	static const char *const own[] = { DOOR_ADDR4, DOOR_ADDR6 };
	static const uint16_t ports[] = { 53, 80, 443, 0 };

	(void)state;
	assert_int_equal(dial(SOCK_STREAM, FAR4, 81), -ECONNREFUSED);
	assert_told("refuse", IPPROTO_TCP, DOOR_LEG_PEER4, FAR4, 81);
	assert_int_equal(dial(SOCK_STREAM, FAR6, 81), -ECONNREFUSED);
	assert_told("refuse", IPPROTO_TCP, DOOR_LEG_PEER6, FAR6, 81);
	assert_udp_refused(FAR4, 443);
	assert_told("refuse", IPPROTO_UDP, DOOR_LEG_PEER4, FAR4, 443);
	assert_udp_refused(FAR6, 443);
	assert_told("refuse", IPPROTO_UDP, DOOR_LEG_PEER6, FAR6, 443);
	/* the door's own end is no service */
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(ports); k++)
			assert_int_equal(
				dial(SOCK_STREAM, own[i],
				     ports[k] ? ports[k] : made.gate_port),
				-ECONNREFUSED);
		assert_udp_refused(own[i], 123);
	}
	assert_true(is_quiet(gate_fd(DOOR_TCP, 4, 0)));
	assert_true(is_quiet(gate_fd(DOOR_UDP, 4, 123)));
	assert_true(is_quiet(gate_fd(DOOR_UDP, 6, 123)));
	assert_int_equal(counted_there(DOOR_REFUSE), 4 + 2 * 5);
	assert_int_equal(counted_there(DOOR_DISCARD), 0);
}

/* Not from the start: it could be chosen as the source of anything. */
static void add_address(const char *text)
{
	char room[256];
	struct nl_buf b = { .p = room, .max = sizeof(room) };
	struct ip_addr a = ip(text);

	netns_put_addr(&b, if_nametoindex("eth0"), &a);
	request(&b);
}

static int from(int type, const char *src)
{
	struct sockaddr_storage sa;
	socklen_t n = sa_of(src, 0, &sa);
	int fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const void *)&sa, n), 0);
	return fd;
}

static void false_sources_are_dropped(void **state)
{
	static const struct {
		const char *src, *dst;
	} pairs[] = { { FALSE4, FAR4 }, { FALSE6, FAR6 } };
	uint64_t total;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		uint8_t family = ip(pairs[i].dst).family;
		struct sockaddr_storage sa;
		socklen_t n = sa_of(pairs[i].dst, 443, &sa);
		int fd;

		/* by then the gateway's link address is known: a false source
		 * is not even answered by ARP */
		assert_arrives(dial(SOCK_STREAM, pairs[i].dst, 443),
			       gate_fd(DOOR_TCP, family, 0), pairs[i].dst, 443);
		add_address(pairs[i].src);
		fd = from(SOCK_STREAM, pairs[i].src);
		assert_int_equal(connect(fd, (const void *)&sa, n), -1);
		assert_int_equal(errno, EINPROGRESS);
		assert_told("discard", IPPROTO_TCP, pairs[i].src, pairs[i].dst,
			    443);
		(void)close(fd);
		fd = from(SOCK_DGRAM, pairs[i].src);
		n = sa_of(pairs[i].dst, 123, &sa);
		assert_int_equal(sendto(fd, "q", 1, 0, (const void *)&sa, n),
				 1);
		assert_told("discard", IPPROTO_UDP, pairs[i].src, pairs[i].dst,
			    123);
		(void)close(fd);
	}
	assert_true(is_quiet(gate_fd(DOOR_TCP, 4, 0)));
	assert_true(is_quiet(gate_fd(DOOR_TCP, 6, 0)));
	assert_true(is_quiet(gate_fd(DOOR_UDP, 4, 123)));
	assert_true(is_quiet(gate_fd(DOOR_UDP, 6, 123)));
	enter(door_net);
	assert_int_equal(door_refused_total(&total), 0);
	assert_true(total >= 4);
	assert_int_equal(total, counted(DOOR_REFUSE) + counted(DOOR_DISCARD));
}

static void fragments_are_dropped(void **state)
{
	static const char *const to[] = { FAR4, FAR6 };
	char big[2000] = { 0 };
	struct packet p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		int fd = dial(SOCK_DGRAM, to[i], 123);
		bool v6 = ip(to[i]).family == 6;

		assert_int_equal(send(fd, big, sizeof(big), 0), sizeof(big));
		for (int piece = 0; piece < 2; piece++) {
			p = refused("discard");
			assert_int_equal(p.protocol,
					 v6 ? IPPROTO_FRAGMENT : IPPROTO_UDP);
			assert_false(p.has_ports);
		}
		assert_true(is_quiet(gate_fd(DOOR_UDP, ip(to[i]).family, 123)));
		(void)close(fd);
	}
}

static void options_and_multicast_do_not_pass(void **state)
{
	static const uint8_t nops[4] = { 1, 1, 1, 1 };
	static const uint8_t padding[8] = { 0, 0, 1, 4 };
	int fd = dial(SOCK_DGRAM, FAR4, 123);

	(void)state;
	assert_int_equal(
		setsockopt(fd, IPPROTO_IP, IP_OPTIONS, nops, sizeof(nops)), 0);
	assert_int_equal(send(fd, "q", 1, 0), 1);
	assert_told("discard", IPPROTO_UDP, DOOR_LEG_PEER4, FAR4, 123);
	(void)close(fd);
	fd = dial(SOCK_DGRAM, FAR6, 123);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_DSTOPTS, padding,
				    sizeof(padding)),
			 0);
	assert_int_equal(send(fd, "q", 1, 0), 1);
	assert_told("discard", IPPROTO_UDP, DOOR_LEG_PEER6, FAR6, 123);
	(void)close(fd);
	/* of all hosts the door is a member, and in IPv6 of all nodes */
	fd = dial(SOCK_DGRAM, "224.0.0.1", 123);
	assert_int_equal(send(fd, "q", 1, 0), 1);
	assert_told("refuse", IPPROTO_UDP, DOOR_LEG_PEER4, "224.0.0.1", 123);
	(void)close(fd);
	assert_true(is_quiet(gate_fd(DOOR_UDP, 4, 123)));
	assert_true(is_quiet(gate_fd(DOOR_UDP, 6, 123)));
}

static void send_icmp(int family, uint8_t type, const char *to)
{
	struct sockaddr_storage sa;
	socklen_t n = sa_of(to, 0, &sa);
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC,
			family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	char text[48] = { (char)type };

	assert_true(fd >= 0);
	assert_int_equal(
		sendto(fd, text, sizeof(text), 0, (const void *)&sa, n),
		sizeof(text));
	(void)close(fd);
}

static void what_stacks_say_unasked_is_not_told(void **state)
{
	static const uint8_t types6[] = { 1,   130, 131, 132, 133,
					  134, 135, 136, 137, 143 };

	(void)state;
	send_icmp(AF_INET, 3, FAR4);
	for (size_t i = 0; i < sizeof(types6); i++)
		send_icmp(AF_INET6, types6[i], FAR6);
	send_icmp(AF_INET, 8, FAR4);
	assert_told("refuse", IPPROTO_ICMP, DOOR_LEG_PEER4, FAR4, 0);
	send_icmp(AF_INET6, 128, FAR6);
	assert_told("refuse", IPPROTO_ICMPV6, DOOR_LEG_PEER6, FAR6, 0);
	assert_int_equal(counted_there(DOOR_REFUSE), 2);
	assert_int_equal(counted_there(DOOR_DISCARD), 0);
}

static void inside_the_loopback_way_stays(void **state)
{
	(void)state;
	enter(door_net);
	assert_arrives(dial(SOCK_STREAM, FAR4, 443), gate_fd(DOOR_TCP, 4, 0),
		       FAR4, 443);
	assert_int_equal(dial(SOCK_STREAM, FAR4, 81), -ECONNREFUSED);
	assert_told("refuse", IPPROTO_TCP, DOOR_ADDR4, FAR4, 81);
}

static void without_v6_the_leg_has_none(void **state)
{
	struct sockaddr_storage sa;
	socklen_t n = sa_of("ff02::1", 123, &sa);
	int fd;

	(void)state;
	make_leg(false);
	assert_arrives(dial(SOCK_STREAM, FAR4, 443), gate_fd(DOOR_TCP, 4, 0),
		       FAR4, 443);
	add_address(DOOR_LEG_PEER6);
	fd = from(SOCK_DGRAM, DOOR_LEG_PEER6);
	((struct sockaddr_in6 *)&sa)->sin6_scope_id = if_nametoindex("eth0");
	assert_int_equal(sendto(fd, "q", 1, 0, (const void *)&sa, n), 1);
	assert_told("discard", IPPROTO_UDP, DOOR_LEG_PEER6, "ff02::1", 123);
	(void)close(fd);
}

static void without_the_device_there_is_no_door(void **state)
{
	struct door_made again;
	const char *what = NULL;

	(void)state;
	door.has_leg = true;
	enter_net();
	assert_int_equal(door_make(&door, &again, &what), -ENODEV);
	assert_string_equal(what, "addresses and routes");
}

int main(void)
{
#define WITH_LEG(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_LEG(named_ports_are_reached),
		WITH_LEG(udp_is_answered),
		WITH_LEG(the_rest_is_refused),
		WITH_LEG(false_sources_are_dropped),
		WITH_LEG(fragments_are_dropped),
		WITH_LEG(options_and_multicast_do_not_pass),
		WITH_LEG(what_stacks_say_unasked_is_not_told),
		WITH_LEG(inside_the_loopback_way_stays),
		cmocka_unit_test_teardown(without_v6_the_leg_has_none,
					  teardown),
		cmocka_unit_test(without_the_device_there_is_no_door),
	};

	enter_user();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
