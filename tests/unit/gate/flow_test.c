/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Connections that are judged by where they go, and the relay. */
#include "flow_world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

enum { SSH = 22, BIG = 16 << 20, MANY = 2000 };

static void pair_up(int *client, int *server)
{
	int l;

	world_net_rule(GATE_TCP, "192.0.2.10", SSH);
	world_listen(SSH, false);
	l = world_server("192.0.2.10", SSH);
	*client = world_client("192.0.2.10", SSH);
	*server = world_accept(l);
}

static void test_denied_address_is_reset_and_told_once(void **state)
{
	int l = world_server("192.0.2.11", SSH), c;
	const struct gate_flow *f;

	(void)state;
	world_net_rule(GATE_TCP, "192.0.2.10", SSH);
	world_listen(SSH, false);
	c = world_client("192.0.2.11", SSH);
	world_expect_reset(c);
	world_expect_nobody(l);
	world_told(1);
	f = world_last(GATE_FLOW);
	assert_int_equal(f->reason, GATE_REASON_NO_RULE);
	assert_int_equal(f->id, 1);
	assert_int_equal(f->rule, -1);
	assert_false(f->is_dialled);
	assert_int_equal(f->dst_port, SSH);
	assert_int_equal(world.n_opened, 0);
	assert_int_equal(world.g.stats.flows_denied, 1);
	assert_int_equal(flows_count(&world.g), 0);
}

static void test_server_speaks_first(void **state)
{
	const struct gate_flow *f;
	int c, s;

	(void)state;
	pair_up(&c, &s);
	/* before any byte */
	assert_int_equal(world.n_opened, 1);
	assert_int_equal(world.opened.reason, GATE_REASON_ADDRESS_RULE);
	assert_true(world.opened.is_dialled);
	assert_int_equal(world.opened.dial_port, SSH);
	world_say(s, "SSH-2.0-test\r\n");
	world_expect(c, "SSH-2.0-test\r\n");
	world_say(c, "hi");
	world_expect(s, "hi");
	assert_int_equal(world.n_told, 0);
	assert_int_equal(flows_count(&world.g), 1);
	(void)close(c);
	world_expect_end(s);
	(void)close(s);
	world_told(1);
	f = world_last(GATE_FLOW);
	assert_int_equal(f->reason, GATE_REASON_ADDRESS_RULE);
	assert_int_equal(f->up, 2);
	assert_int_equal(f->down, 14);
	assert_true(f->is_dialled);
	assert_int_equal(f->dial_port, SSH);
	assert_int_equal(world.g.stats.up, 2);
	assert_int_equal(world.g.stats.down, 14);
	assert_int_equal(world.g.stats.flows_allowed, 1);
	assert_int_equal(world.g.stats.distinct, 1);
}

static void test_name_rule_dials_the_other_addresses_too(void **state)
{
	struct ip_addr other = world_addr("192.0.2.21");
	const struct gate_flow *f;
	int l, c, s;

	(void)state;
	world_name_rule(GATE_TCP, "git.example.com", SSH);
	world_pin("git.example.com", "192.0.2.21");
	world_pin("git.example.com", "192.0.2.20");
	world_listen(SSH, false);
	l = world_server("192.0.2.21", SSH);
	c = world_client("192.0.2.20", SSH);
	s = world_accept(l);
	world_say(s, "yes");
	world_expect(c, "yes");
	(void)close(s);
	(void)close(c);
	world_told(1);
	f = world_last(GATE_FLOW);
	assert_int_equal(f->reason, GATE_REASON_NAME_RULE);
	assert_string_equal(f->question.text, "git.example.com");
	assert_true(ip_equal(&f->dial, &other));
	assert_false(ip_equal(&f->dst, &other));
}

/* Of the outside this one is an address, the others of its net are not. */
static void test_an_own_address_is_reached_only_if_spelled_out(void **state)
{
	int l = world_server("192.0.2.1", SSH), c, s;

	(void)state;
	world_net_rule(GATE_TCP, "192.0.2.0/24", SSH);
	world_listen(SSH, false);
	c = world_client("192.0.2.1", SSH);
	world_expect_reset(c);
	(void)close(c);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->reason,
			 GATE_REASON_ADDRESS_CLASS);
	assert_false(world_last(GATE_FLOW)->is_dialled);
	assert_int_equal(world.g.stats.dial_failures, 0);
	assert_int_equal(world.g.stats.flows_denied, 1);
	/* the kernel had answered: nothing was said */
	world_expect_reset(world_accept(l));
	world_net_rule(GATE_TCP, "192.0.2.1", SSH);
	c = world_client("192.0.2.1", SSH);
	s = world_accept(l);
	world_say(c, "hi");
	world_expect(s, "hi");
}

static void test_a_name_leads_past_own_addresses(void **state)
{
	int c, s, l;

	(void)state;
	world_name_rule(GATE_TCP, "own.example.com", SSH);
	world_pin("own.example.com", "2001:db8::5");
	world_pin("own.example.com", "192.0.2.1");
	world_listen(SSH, false);
	(void)world_server("2001:db8::5", SSH);
	c = world_client("192.0.2.1", SSH);
	world_expect_reset(c);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->reason,
			 GATE_REASON_ADDRESS_CLASS);
	world_pin("own.example.com", "192.0.2.21");
	l = world_server("192.0.2.21", SSH);
	c = world_client("192.0.2.1", SSH);
	s = world_accept(l);
	world_say(c, "hi");
	world_expect(s, "hi");
}

static void test_nobody_there_is_a_reset(void **state)
{
	int c;

	(void)state;
	world_net_rule(GATE_TCP, "192.0.2.10", SSH);
	world_listen(SSH, false);
	c = world_client("192.0.2.10", SSH);
	world_expect_reset(c);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->reason,
			 GATE_REASON_UPSTREAM_FAILED);
	assert_false(world_last(GATE_FLOW)->is_dialled);
	assert_int_equal(world.g.stats.dial_failures, 1);
}

static void test_half_close_is_kept_both_ways(void **state)
{
	int c, s;

	(void)state;
	pair_up(&c, &s);
	world_say(c, "question");
	assert_int_equal(shutdown(c, SHUT_WR), 0);
	world_expect(s, "question");
	world_expect_end(s);
	world_say(s, "answer");
	world_expect(c, "answer");
	assert_int_equal(world.n_told, 0);
	assert_int_equal(shutdown(s, SHUT_WR), 0);
	world_expect_end(c);
	world_told(1);
}

static void test_server_half_close_first(void **state)
{
	int c, s;

	(void)state;
	pair_up(&c, &s);
	assert_int_equal(shutdown(s, SHUT_WR), 0);
	world_expect_end(c);
	world_say(c, "late");
	world_expect(s, "late");
	(void)close(c);
	world_expect_end(s);
	world_told(1);
}

static void test_reset_goes_through(void **state)
{
	struct linger now = { .l_onoff = 1 };
	int c, s;

	(void)state;
	pair_up(&c, &s);
	assert_int_equal(
		setsockopt(s, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	(void)close(s);
	world_expect_reset(c);
	world_told(1);
}

/* In pieces; nobody reads until the gate has to wait. */
static void send_in_pieces(size_t piece)
{
	char *out = malloc(BIG), *in = malloc(BIG);
	size_t sent = 0, got = 0;
	int c, s;

	assert_non_null(out);
	assert_non_null(in);
	for (size_t i = 0; i < BIG; i++)
		out[i] = (char)(i * 2654435761u >> 13);
	pair_up(&c, &s);
	while (got < BIG) {
		size_t left = BIG - sent;
		ssize_t n =
			left ? send(c, out + sent, left < piece ? left : piece,
				    MSG_NOSIGNAL)
			     : -1;

		if (n > 0) {
			sent += (size_t)n;
			world_turn();
			continue;
		}
		if (sent == BIG)
			(void)shutdown(c, SHUT_WR);
		n = recv(s, in + got, 10000, 0);
		if (n > 0)
			got += (size_t)n;
		world_turn();
	}
	assert_memory_equal(in, out, BIG);
	world_expect_end(s);
	(void)close(s);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->up, BIG);
	free(out);
	free(in);
}

static void test_bulk_arrives_in_order(void **state)
{
	(void)state;
	send_in_pieces(BIG);
}

static void test_little_by_little_arrives_in_order(void **state)
{
	(void)state;
	send_in_pieces(3001);
}

static int listener;

static void open_with_budget(uint64_t up, uint64_t down, int *c, int *s)
{
	struct gate_rule *r = world_net_rule(GATE_TCP, "192.0.2.10", SSH);
	int l = world_server("192.0.2.10", SSH);

	r->max_up = up;
	r->max_down = down;
	world_new_flows();
	world_listen(SSH, false);
	*c = world_client("192.0.2.10", SSH);
	*s = world_accept(l);
	listener = l;
}

/* It is the rule's, whatever it takes to use it up. */
static void test_budget_is_shared_by_the_flows_of_a_rule(void **state)
{
	char buf[64];
	int c, s, c2, s2;

	(void)state;
	open_with_budget(10, 0, &c, &s);
	c2 = world_client("192.0.2.10", SSH);
	s2 = world_accept(listener);
	world_say(c, "012345");
	world_expect(s, "012345");
	world_say(c2, "6789a");
	assert_int_equal(world_read(s2, buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "6789", 4);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->reason, GATE_REASON_BUDGET_UP);
	assert_int_equal(world_last(GATE_FLOW)->up, 4);
	world_say(c, "b");
	assert_int_equal(world_read(s, buf, 1), -ECONNRESET);
	world_told(2);
}

static void test_budget_up(void **state)
{
	char buf[64];
	int c, s;

	(void)state;
	open_with_budget(10, 0, &c, &s);
	world_say(c, "0123456789");
	world_expect(s, "0123456789");
	world_say(s, "all of it is fine");
	world_expect(c, "all of it is fine");
	assert_int_equal(world.n_told, 0);
	world_say(c, "a");
	assert_int_equal(world_read(s, buf, 1), -ECONNRESET);
	world_expect_end(c);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->reason, GATE_REASON_BUDGET_UP);
	assert_int_equal(world_last(GATE_FLOW)->up, 10);
}

/* A rule has one budget, and not one more for each connection. */
static void test_budget_up_of_two_connections(void **state)
{
	struct gate_rule *r = world_net_rule(GATE_TCP, "192.0.2.10", SSH);
	int l = world_server("192.0.2.10", SSH), c[2], s[2];
	char buf[64];

	(void)state;
	r->max_up = 10;
	world_listen(SSH, false);
	for (int i = 0; i < 2; i++) {
		c[i] = world_client("192.0.2.10", SSH);
		s[i] = world_accept(l);
		world_say(c[i], "012345");
		assert_int_equal(world_read(s[i], buf, 6), i ? 4 : 6);
	}
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->reason, GATE_REASON_BUDGET_UP);
	assert_int_equal(world_last(GATE_FLOW)->up, 4);
	world_say(c[0], "6");
	assert_int_equal(world_read(s[0], buf, 1), -ECONNRESET);
	world_told(2);
	assert_int_equal(world_last(GATE_FLOW)->up, 6);
}

static void test_budget_up_in_one_write(void **state)
{
	char buf[64];
	int c, s;

	(void)state;
	open_with_budget(10, 0, &c, &s);
	world_say(c, "0123456789a");
	assert_int_equal(world_read(s, buf, sizeof(buf)), 10);
	assert_memory_equal(buf, "0123456789", 10);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->up, 10);
}

static void test_budget_down(void **state)
{
	char buf[64];
	int c, s;

	(void)state;
	open_with_budget(0, 7, &c, &s);
	world_say(s, "0123456789");
	assert_int_equal(world_read(c, buf, sizeof(buf)), 7);
	assert_memory_equal(buf, "0123456", 7);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->reason,
			 GATE_REASON_BUDGET_DOWN);
	assert_int_equal(world_last(GATE_FLOW)->down, 7);
}

static void test_budget_that_is_just_enough(void **state)
{
	int c, s;

	(void)state;
	open_with_budget(3, 3, &c, &s);
	world_say(c, "abc");
	world_say(s, "def");
	world_expect(c, "def");
	world_expect(s, "abc");
	(void)shutdown(c, SHUT_WR);
	world_expect_end(s);
	(void)close(s);
	world_expect_end(c);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->reason,
			 GATE_REASON_ADDRESS_RULE);
}

static void test_idle_ends_it(void **state)
{
	int c, s;

	(void)state;
	world.policy.idle_ms = 50;
	pair_up(&c, &s);
	for (int i = 0; i < 4; i++) {
		world_ms(25);
		world_say(c, "x");
		world_expect(s, "x");
	}
	assert_int_equal(world.n_told, 0);
	world_expect_end(c);
	world_expect_end(s);
	world_told(1);
}

static void test_port_53_is_the_resolvers(void **state)
{
	(void)state;
	world_listen(53, false);
	(void)world_client("192.0.2.10", 53);
	while (world.dns_fd < 0)
		world_turn();
	assert_int_equal(world.n_told, 0);
	assert_int_equal(flows_count(&world.g), 0);
}

static void test_a_live_flow_holds_its_pin(void **state)
{
	struct hostname h = world_name("git.example.com");
	struct ip_addr a = world_addr("192.0.2.20");
	uint64_t far = UINT64_MAX;
	int l, c, s;

	(void)state;
	world_name_rule(GATE_TCP, "git.example.com", SSH);
	world_pin("git.example.com", "192.0.2.20");
	world_listen(SSH, false);
	l = world_server("192.0.2.20", SSH);
	c = world_client("192.0.2.20", SSH);
	s = world_accept(l);
	world_say(s, "x");
	world_expect(c, "x");
	assert_true(pins_has(world.g.pins, &h, &a, far));
	(void)close(c);
	(void)close(s);
	world_told(1);
	assert_false(pins_has(world.g.pins, &h, &a, far));
}

static void test_stop_lets_them_end_free_cuts_them(void **state)
{
	int c, s;

	(void)state;
	pair_up(&c, &s);
	flows_stop(&world.g);
	world_say(c, "still");
	world_expect(s, "still");
	assert_int_equal(flows_count(&world.g), 1);
	flows_free(&world.g);
	assert_int_equal(world.n_told, 1);
	assert_int_equal(world_last(GATE_FLOW)->reason, GATE_REASON_STOPPED);
	assert_int_equal(world_last(GATE_FLOW)->up, 5);
	world.g.flows = NULL;
}

/* A table for two */
static void test_a_full_table_refuses(void **state)
{
	struct rlimit was, few;
	int c[3], l;

	(void)state;
	flows_free(&world.g);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = was;
	few.rlim_cur = 256 + 2 * 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	world.g.flows = flows_new(&world.g);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	world_net_rule(GATE_TCP, "192.0.2.10", SSH);
	world_listen(SSH, false);
	l = world_server("192.0.2.10", SSH);
	for (int i = 0; i < 3; i++) {
		c[i] = world_client("192.0.2.10", SSH);
		if (i < 2)
			(void)world_accept(l);
	}
	world_expect_reset(c[2]);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->reason, GATE_REASON_TABLE_FULL);
	assert_int_equal(flows_count(&world.g), 2);
}

static void test_out_of_descriptors_waits(void **state)
{
	struct rlimit was, none;
	unsigned turns = 0;
	uint64_t end;
	int c, l, next;

	(void)state;
	world_net_rule(GATE_TCP, "192.0.2.10", SSH);
	world_listen(SSH, false);
	l = world_server("192.0.2.10", SSH);
	c = world_client("192.0.2.10", SSH);
	next = dup(0);
	(void)close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	world_turn();
	/* the listener is silent: a turn lasts until its timer, 1 ms */
	for (end = clock_mono_ns() + 50000000; clock_mono_ns() < end; turns++)
		world_turn();
	assert_in_range(turns, 1, 60);
	assert_int_equal(world.n_told, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	(void)world_accept(l);
	(void)c;
}

/* No descriptor is left for a pipe: it goes on without, to the byte. */
static void test_without_pipes(void **state)
{
	struct gate_rule *r = world_net_rule(GATE_TCP, "192.0.2.10", SSH);
	int l = world_server("192.0.2.10", SSH), next, c, s;
	struct rlimit was, few;
	char buf[8] = "";

	(void)state;
	r->max_up = 8;
	world_new_flows();
	world_listen(SSH, false);
	next = dup(0);
	(void)close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = was;
	few.rlim_cur = (rlim_t)next + 4; /* both ends of both connections */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	c = world_client("192.0.2.10", SSH);
	s = world_accept(l);
	world_say(c, "abc");
	world_say(s, "down");
	world_expect(s, "abc");
	world_expect(c, "down");
	world_say(c, "defghi");
	assert_int_equal(world_read(s, buf, sizeof(buf)), 5);
	assert_string_equal(buf, "defgh");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	world_told(1);
	assert_int_equal(world_last(GATE_FLOW)->up, 8);
	assert_int_equal(world_last(GATE_FLOW)->reason, GATE_REASON_BUDGET_UP);
}

static void test_many_at_once(void **state)
{
	int *c = calloc(MANY, sizeof(*c)), *s = calloc(MANY, sizeof(*s)), l;

	(void)state;
	assert_non_null(c);
	assert_non_null(s);
	world_net_rule(GATE_TCP, "192.0.2.0/24", SSH);
	world_listen(SSH, false);
	l = world_server("192.0.2.10", SSH);
	for (size_t i = 0; i < MANY; i++) {
		c[i] = world_client("192.0.2.10", SSH);
		world_turn();
	}
	for (size_t i = 0; i < MANY; i++)
		s[i] = world_accept(l);
	assert_int_equal(flows_count(&world.g), MANY);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(send(s[i], "x", 1, MSG_NOSIGNAL), 1);
		assert_int_equal(send(c[i], "y", 1, MSG_NOSIGNAL), 1);
	}
	for (size_t i = 0; i < MANY; i++) {
		world_expect(c[i], "x");
		world_expect(s[i], "y");
		(void)close(c[i]);
		(void)close(s[i]);
	}
	world_told(MANY);
	assert_int_equal(world.g.stats.distinct, MANY);
	assert_int_equal(world.g.stats.up, MANY);
	free(c);
	free(s);
}

#define TEST(fn) \
	cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_denied_address_is_reset_and_told_once),
		TEST(test_server_speaks_first),
		TEST(test_name_rule_dials_the_other_addresses_too),
		TEST(test_an_own_address_is_reached_only_if_spelled_out),
		TEST(test_a_name_leads_past_own_addresses),
		TEST(test_nobody_there_is_a_reset),
		TEST(test_half_close_is_kept_both_ways),
		TEST(test_server_half_close_first),
		TEST(test_reset_goes_through),
		TEST(test_bulk_arrives_in_order),
		TEST(test_little_by_little_arrives_in_order),
		TEST(test_budget_up),
		TEST(test_budget_up_in_one_write),
		TEST(test_budget_up_of_two_connections),
		TEST(test_budget_down),
		TEST(test_budget_is_shared_by_the_flows_of_a_rule),
		TEST(test_budget_that_is_just_enough),
		TEST(test_idle_ends_it),
		TEST(test_port_53_is_the_resolvers),
		TEST(test_a_live_flow_holds_its_pin),
		TEST(test_stop_lets_them_end_free_cuts_them),
		TEST(test_a_full_table_refuses),
		TEST(test_out_of_descriptors_waits),
		TEST(test_without_pipes),
		TEST(test_many_at_once),
	};

	return WORLD_RUN(tests);
}
