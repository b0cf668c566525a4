/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Datagram flows: answered from where they were sent to. */
#include "flow_world.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { NTP = 123, FLOWS = 1024 };

static void send_to(int fd, const char *addr, uint16_t port, const void *p,
		    size_t n)
{
	struct ip_addr a = world_addr(addr);
	struct sockaddr_storage sa;
	socklen_t len = ip_sockaddr(&a, port, &sa);

	assert_int_equal(sendto(fd, p, n, 0, (struct sockaddr *)&sa, len), n);
}

/* One datagram, and who it says it is from. */
static size_t take(int fd, void *buf, size_t size, struct ip_addr *from,
		   uint16_t *port)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	ssize_t r;

	while ((r = recvfrom(fd, buf, size, 0, (struct sockaddr *)&sa, &n)) <
	       0) {
		assert_int_equal(errno, EAGAIN);
		world_turn();
	}
	assert_int_equal(ip_of_sockaddr(&sa, from, port), 0);
	return (size_t)r;
}

static void expect_from(int fd, const char *text, const char *addr,
			uint16_t want_port)
{
	struct ip_addr from, want = world_addr(addr);
	char buf[256] = "";
	uint16_t port;

	assert_int_equal(take(fd, buf, sizeof(buf), &from, &port),
			 strlen(text));
	assert_string_equal(buf, text);
	assert_true(ip_equal(&from, &want));
	assert_int_equal(port, want_port);
}

static void test_answers_come_from_the_destination(void **state)
{
	struct sockaddr_storage back;
	socklen_t n = sizeof(back);
	const struct gate_flow *f;
	char buf[16];
	int c, s;

	(void)state;
	world.policy.idle_ms = 200;
	world_net_rule(GATE_UDP, "192.0.2.0/24", NTP);
	world_listen_udp(NTP, 4);
	s = world_udp(true, "192.0.2.40", NTP);
	c = world_udp(false, "192.0.2.1", 5000);
	send_to(c, "192.0.2.40", NTP, "ask", 3);
	while (recvfrom(s, buf, sizeof(buf), 0, (struct sockaddr *)&back, &n) !=
	       3)
		world_turn();
	assert_int_equal(sendto(s, "tell", 4, 0, (struct sockaddr *)&back, n),
			 4);
	expect_from(c, "tell", "192.0.2.40", NTP);
	/* an empty datagram is one too */
	assert_int_equal(sendto(s, "", 0, 0, (struct sockaddr *)&back, n), 0);
	expect_from(c, "", "192.0.2.40", NTP);
	assert_int_equal(flows_count(&world.g), 1);
	assert_int_equal(world.n_opened, 1);
	assert_int_equal(world.opened.up, 0);
	assert_int_equal(world.opened.dial_port, NTP);
	world_told(1);
	f = world_last(GATE_FLOW);
	assert_int_equal(f->reason, GATE_REASON_ADDRESS_RULE);
	assert_int_equal(f->l4, IPPROTO_UDP);
	assert_int_equal(f->up, 3);
	assert_int_equal(f->down, 4);
	assert_int_equal(f->src_port, 5000);
	assert_int_equal(flows_count(&world.g), 0);
}

static void test_only_the_peer_may_answer(void **state)
{
	struct sockaddr_storage back;
	socklen_t n = sizeof(back);
	char buf[16];
	int c, s, other;

	(void)state;
	world_net_rule(GATE_UDP, "192.0.2.40", NTP);
	world_listen_udp(NTP, 4);
	s = world_udp(true, "192.0.2.40", NTP);
	other = world_udp(true, "192.0.2.41", NTP);
	c = world_udp(false, "192.0.2.1", 5000);
	send_to(c, "192.0.2.40", NTP, "ask", 3);
	while (recvfrom(s, buf, sizeof(buf), 0, (struct sockaddr *)&back, &n) !=
	       3)
		world_turn();
	(void)sendto(other, "lie", 3, 0, (struct sockaddr *)&back, n);
	(void)sendto(s, "truth", 5, 0, (struct sockaddr *)&back, n);
	expect_from(c, "truth", "192.0.2.40", NTP);
}

static void test_denied_is_told_once(void **state)
{
	int c, s;

	(void)state;
	world_net_rule(GATE_UDP, "192.0.2.40", NTP);
	world_listen_udp(NTP, 4);
	s = world_udp(true, "192.0.2.41", NTP);
	c = world_udp(false, "192.0.2.1", 5000);
	for (int i = 0; i < 5; i++) {
		send_to(c, "192.0.2.41", NTP, "x", 1);
		world_turn();
	}
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->reason, GATE_REASON_NO_RULE);
	assert_int_equal(recv(s, &(char){ 0 }, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(flows_count(&world.g), 0);
}

static void test_budgets(void **state)
{
	struct gate_rule *r = world_net_rule(GATE_UDP, "192.0.2.40", NTP);
	char buf[16];
	int c, s;

	(void)state;
	r->max_up = 6;
	world_new_flows();
	world_listen_udp(NTP, 4);
	s = world_udp(true, "192.0.2.40", NTP);
	c = world_udp(false, "192.0.2.1", 5000);
	for (int i = 0; i < 3; i++)
		send_to(c, "192.0.2.40", NTP, "abc", 3);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->reason, GATE_REASON_BUDGET_UP);
	assert_int_equal(world_last(GATE_FLOW)->up, 6);
	assert_int_equal(recv(s, buf, sizeof(buf), 0), 3);
	assert_int_equal(recv(s, buf, sizeof(buf), 0), 3);
	assert_int_equal(recv(s, buf, sizeof(buf), 0), -1);
}

/* The command is over: who would be answered? */
static void test_stop_waits_for_no_answer(void **state)
{
	int c;

	(void)state;
	world_net_rule(GATE_UDP, "192.0.2.40", NTP);
	world_listen_udp(NTP, 4);
	c = world_udp(false, "192.0.2.1", 5000);
	send_to(c, "192.0.2.40", NTP, "x", 1);
	while (!flows_count(&world.g))
		world_turn();
	flows_stop(&world.g);
	assert_int_equal(flows_count(&world.g), 0);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->reason,
			 GATE_REASON_ADDRESS_RULE);
	assert_int_equal(world_last(GATE_FLOW)->up, 1);
}

static void test_name_rule_holds_its_pin(void **state)
{
	struct hostname h = world_name("time.example.com");
	struct ip_addr a = world_addr("192.0.2.40");
	int c;

	(void)state;
	world_name_rule(GATE_UDP, "time.example.com", NTP);
	world_listen_udp(NTP, 4);
	c = world_udp(false, "192.0.2.1", 5000);
	send_to(c, "192.0.2.40", NTP, "x", 1);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->reason,
			 GATE_REASON_ADDRESS_NOT_NAMED);
	(void)close(c);
	world_pin("time.example.com", "192.0.2.40");
	c = world_udp(false, "192.0.2.1", 5001);
	send_to(c, "192.0.2.40", NTP, "x", 1);
	while (!flows_count(&world.g))
		world_turn();
	assert_true(pins_has(world.g.pins, &h, &a, UINT64_MAX));
	flows_free(&world.g);
	assert_int_equal(world.n_told, 2);
	assert_int_equal(world_last(GATE_FLOW)->reason, GATE_REASON_NAME_RULE);
	assert_string_equal(world_last(GATE_FLOW)->question.text,
			    "time.example.com");
	assert_false(pins_has(world.g.pins, &h, &a, UINT64_MAX));
}

/* Denials make room; flows that live do not. */
static void test_the_table_is_bounded(void **state)
{
	int c[FLOWS + 1], d;

	(void)state;
	world_net_rule(GATE_UDP, "192.0.2.40", NTP);
	world_listen_udp(NTP, 4);
	d = world_udp(false, "192.0.2.1", 4000);
	send_to(d, "192.0.2.41", NTP, "x", 1);
	world_told(1);
	for (uint16_t i = 0; i <= FLOWS; i++) {
		c[i] = world_udp(false, "192.0.2.1", (uint16_t)(5000 + i));
		send_to(c[i], "192.0.2.40", NTP, "x", 1);
		world_turn();
	}
	world_told(2);
	assert_int_equal(world_last(GATE_FLOW)->reason, GATE_REASON_TABLE_FULL);
	assert_int_equal(flows_count(&world.g), FLOWS);
	flows_free(&world.g);
	assert_int_equal(world.n_told, 2 + FLOWS);
}

static void test_large_datagrams_are_whole(void **state)
{
	static char big[60000], got[65536];
	struct ip_addr from;
	uint16_t port;
	int c, s;

	(void)state;
	memset(big, 'b', sizeof(big));
	world_net_rule(GATE_UDP, "192.0.2.40", NTP);
	world_listen_udp(NTP, 4);
	s = world_udp(true, "192.0.2.40", NTP);
	c = world_udp(false, "192.0.2.1", 5000);
	send_to(c, "192.0.2.40", NTP, big, sizeof(big));
	assert_int_equal(take(s, got, sizeof(got), &from, &port), sizeof(big));
	assert_memory_equal(got, big, sizeof(big));
}

static void test_an_own_address_is_reached_only_if_spelled_out(void **state)
{
	char buf[16];
	int c, s;

	(void)state;
	world_net_rule(GATE_UDP, "192.0.2.0/24", NTP);
	world_listen_udp(NTP, 4);
	s = world_udp(true, "192.0.2.1", NTP);
	c = world_udp(false, "192.0.2.1", 5000);
	send_to(c, "192.0.2.1", NTP, "ask", 3);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->reason,
			 GATE_REASON_ADDRESS_CLASS);
	assert_false(world_last(GATE_FLOW)->is_dialled);
	assert_int_equal(recv(s, buf, sizeof(buf), 0), -1);
	assert_int_equal(errno, EAGAIN);
	world_net_rule(GATE_UDP, "192.0.2.1", NTP);
	(void)close(c);
	c = world_udp(false, "192.0.2.1", 5001);
	send_to(c, "192.0.2.1", NTP, "more", 4);
	while (recv(s, buf, sizeof(buf), 0) != 4)
		world_turn();
}

static void test_v6(void **state)
{
	struct sockaddr_storage back;
	socklen_t n = sizeof(back);
	char buf[16];
	int c, s;

	(void)state;
	world_net_rule(GATE_UDP, "2001:db8::5", NTP);
	world_listen_udp(NTP, 6);
	s = world_udp(true, "2001:db8::5", NTP);
	c = world_udp(false, "2001:db8::5", 5000);
	send_to(c, "2001:db8::5", NTP, "ask", 3);
	while (recvfrom(s, buf, sizeof(buf), 0, (struct sockaddr *)&back, &n) !=
	       3)
		world_turn();
	(void)sendto(s, "tell", 4, 0, (struct sockaddr *)&back, n);
	expect_from(c, "tell", "2001:db8::5", NTP);
}

#define TEST(fn) \
	cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_answers_come_from_the_destination),
		TEST(test_only_the_peer_may_answer),
		TEST(test_denied_is_told_once),
		TEST(test_budgets),
		TEST(test_stop_waits_for_no_answer),
		TEST(test_name_rule_holds_its_pin),
		TEST(test_the_table_is_bounded),
		TEST(test_large_datagrams_are_whole),
		TEST(test_an_own_address_is_reached_only_if_spelled_out),
		TEST(test_v6),
	};

	return WORLD_RUN(tests);
}
