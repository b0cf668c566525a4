/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a client shows first decides; how it is cut does not. */
#include "flow_world.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { WEB = 80, TLS = 443, HELLO_SIZE = 70000, STALLED = 1000 };

static const char alert[] = "\x15\x03\x01\x00\x02\x02\x31";

struct hello {
	uint8_t b[2 * HELLO_SIZE];
	size_t n;
};

static void put(struct hello *h, size_t bytes, size_t v)
{
	while (bytes--)
		h->b[h->n++] = (uint8_t)(v >> 8 * bytes);
}

/* One record; @pad: bytes of an extension nobody knows, 0: none */
static void make(struct hello *h, const char *name, size_t pad)
{
	size_t n = strlen(name),
	       ext = (name[0] ? n + 9 : 0) + (pad ? pad + 4 : 0);
	size_t body = 2 + 32 + 1 + 4 + 2 + 2 + ext;

	h->n = 0;
	put(h, 1, 22), put(h, 2, 0x0301), put(h, 2, body + 4);
	put(h, 1, 1), put(h, 3, body), put(h, 2, 0x0303);
	memset(h->b + h->n, 7, 32), h->n += 32;
	put(h, 1, 0), put(h, 4, 0x00021301), put(h, 2, 0x0100);
	put(h, 2, ext);
	if (name[0]) {
		put(h, 2, 0), put(h, 2, n + 5), put(h, 2, n + 3);
		put(h, 1, 0), put(h, 2, n);
		memcpy(h->b + h->n, name, n), h->n += n;
	}
	if (pad) {
		put(h, 2, 0x1234), put(h, 2, pad);
		memset(h->b + h->n, 'p', pad), h->n += pad;
	}
}

/* The same message in records of @size bytes. */
static void cut(const struct hello *h, size_t size, struct hello *ret)
{
	ret->n = 0;
	for (size_t at = 5; at < h->n; at += size) {
		size_t n = h->n - at < size ? h->n - at : size;

		put(ret, 1, 22), put(ret, 2, 0x0301), put(ret, 2, n);
		memcpy(ret->b + ret->n, h->b + at, n), ret->n += n;
	}
}

static struct hello hello, other;
static int listener;

static int setup(void **state)
{
	if (world_setup(state))
		return -1;
	world_name_rule(GATE_TLS, "api.example.com", TLS);
	world_name_rule(GATE_TLS, "*.cdn.example.com", TLS);
	world_pin("api.example.com", "192.0.2.10");
	world_pin("other.example.com", "192.0.2.10");
	world_listen(TLS, false);
	listener = world_server("192.0.2.10", TLS);
	make(&hello, "api.example.com", 0);
	return 0;
}

static int connect_gate(void)
{
	return world_client("192.0.2.10", TLS);
}

static void expect_bytes(int fd, const void *p, size_t n)
{
	static uint8_t got[2 * HELLO_SIZE];

	assert_int_equal(world_read(fd, got, n), n);
	assert_memory_equal(got, p, n);
}

static void expect_alert(int fd)
{
	expect_bytes(fd, alert, sizeof(alert) - 1);
	world_expect_end(fd);
}

/* The flow was allowed as it should, and is closed by both. */
static void expect_allowed(int c, size_t n_told)
{
	int s = world_accept(listener);

	expect_bytes(s, hello.b, hello.n);
	(void)close(c);
	world_expect_end(s);
	(void)close(s);
	world_told(n_told);
	assert_int_equal(world_last(GATE_DECISION)->reason,
			 GATE_REASON_SNI_MATCH);
	assert_int_equal(world_last(GATE_FLOW)->reason, GATE_REASON_SNI_MATCH);
	assert_int_equal(world_last(GATE_FLOW)->up, hello.n);
}

static void expect_denied(size_t n_told, enum gate_reason why)
{
	world_told(n_told);
	world_expect_nobody(listener);
	assert_int_equal(world.told[n_told - 2].type, GATE_DECISION);
	assert_int_equal(world.told[n_told - 2].flow.reason, why);
	assert_int_equal(world.told[n_told - 1].type, GATE_FLOW);
	assert_int_equal(world.told[n_told - 1].flow.reason, why);
}

static void test_allowed_name_is_relayed(void **state)
{
	const struct gate_flow *d;
	int c = connect_gate(), s;

	(void)state;
	world_send(c, hello.b, hello.n);
	s = world_accept(listener);
	expect_bytes(s, hello.b, hello.n);
	world_told(1);
	d = world_last(GATE_DECISION);
	assert_string_equal(d->sni.text, "api.example.com");
	assert_string_equal(d->question.text, "api.example.com");
	assert_true(d->is_dialled);
	assert_int_equal(d->protocol, GATE_TLS);
	assert_int_equal(d->rule, 0);
	/* the server's answer, then all of it is blind */
	world_send(s, "\x16\x03\x03\x00\x04\x02\x00\x00\x00", 9);
	world_send(s, hello.b, 60);
	expect_bytes(c, "\x16\x03\x03\x00\x04\x02\x00\x00\x00", 9);
	expect_bytes(c, hello.b, 60);
	world_say(c, "anything");
	world_expect(s, "anything");
	(void)close(s);
	(void)close(c);
	world_told(2);
}

static void test_split_at_every_byte(void **state)
{
	(void)state;
	for (size_t at = 1; at < hello.n; at++) {
		int c = connect_gate();

		world_send(c, hello.b, at);
		world_turn();
		world_send(c, hello.b + at, hello.n - at);
		expect_allowed(c, 2 * at);
	}
}

static void test_a_byte_a_write(void **state)
{
	int c = connect_gate();

	(void)state;
	for (size_t at = 0; at < hello.n; at++)
		world_send(c, hello.b + at, 1);
	expect_allowed(c, 2);
}

static void test_records_of_every_size(void **state)
{
	struct hello whole = hello;

	(void)state;
	for (size_t size = 1; size < whole.n - 5; size++) {
		int c = connect_gate();

		cut(&whole, size, &hello);
		world_send(c, hello.b, hello.n);
		expect_allowed(c, 2 * size);
	}
}

static void test_long_hellos(void **state)
{
	static const size_t pads[] = { 300, 1700, 8000, 16000, 40000, 60000 };

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		int c = connect_gate();

		make(&other, "api.example.com", pads[i]);
		cut(&other, 16384, &hello);
		world_send(c, hello.b, hello.n);
		expect_allowed(c, 2 * (i + 1));
	}
}

static void test_too_long_has_its_reason(void **state)
{
	int c = connect_gate();

	(void)state;
	make(&other, "api.example.com", 65500);
	cut(&other, 16384, &hello);
	world_send(c, hello.b, hello.n);
	expect_alert(c);
	expect_denied(2, GATE_REASON_HELLO_TOO_LONG);
}

static void test_denied_names_get_an_alert(void **state)
{
	static const struct {
		const char *name;
		enum gate_reason why;
	} cases[] = {
		{ "evil.example.com", GATE_REASON_SNI_MISS },
		{ "x.cdn.example.com", GATE_REASON_SNI_NOT_PINNED },
		{ "", GATE_REASON_SNI_MISSING },
		{ "192.0.2.1", GATE_REASON_UNKNOWN_PROTOCOL },
	};

	(void)state;
	for (size_t i = 0, told = 0; i < 4; i++) {
		int c = connect_gate();

		make(&hello, cases[i].name, 0);
		world_send(c, hello.b, hello.n);
		expect_alert(c);
		told += 2;
		expect_denied(told, cases[i].why);
		assert_int_equal(world.told[told - 1].flow.is_dialled, 0);
		(void)close(c);
	}
}

/* A client that goes on sending still reads the alert. */
static void test_the_alert_survives_unread_bytes(void **state)
{
	static char rest[100000];
	int c = connect_gate();

	(void)state;
	make(&hello, "evil.example.com", 0);
	world_send(c, hello.b, hello.n);
	world_send(c, rest, sizeof(rest));
	expect_alert(c);
}

static void test_other_protocols_are_reset(void **state)
{
	static const char *const says[] = {
		"SSH-2.0-x\r\n",      "\x15\x03\x01\x00",    "\x01",
		"get / HTTP/1.1\r\n", " GET / HTTP/1.1\r\n", "ABCDEFGHIJKLMNOPQ"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
		int c = connect_gate();

		world_say(c, says[i]);
		world_expect_reset(c);
		expect_denied(2 * (i + 1), GATE_REASON_UNKNOWN_PROTOCOL);
		(void)close(c);
	}
}

/* The right name in the wrong protocol is no way in. */
static void test_only_the_protocol_of_the_rule(void **state)
{
	int c = connect_gate();

	(void)state;
	world_say(c, "GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
	world_expect(c, "HTTP/1.1 403 Forbidden\r\n");
	expect_denied(2, GATE_REASON_UNKNOWN_PROTOCOL);
	world_name_rule(GATE_HTTP, "api.example.com", WEB);
	world_listen(WEB, false);
	c = world_client("192.0.2.10", WEB);
	world_send(c, hello.b, hello.n);
	expect_alert(c);
	expect_denied(4, GATE_REASON_UNKNOWN_PROTOCOL);
}

static void test_silence_ends(void **state)
{
	int c = connect_gate();

	(void)state;
	world_expect_end(c);
	expect_denied(2, GATE_REASON_PEEK_TIMEOUT);
	assert_int_equal(world.g.stats.peek_timeouts, 1);
	assert_in_range(world_last(GATE_FLOW)->duration_ms, 9999, 30000);
}

static void test_a_hello_that_stops(void **state)
{
	int c = connect_gate();

	(void)state;
	world_send(c, hello.b, 20);
	expect_alert(c);
	expect_denied(2, GATE_REASON_HELLO_TIMEOUT);
}

static void test_stalled_ones_cost_little_and_delay_nobody(void **state)
{
	size_t before, each;
	int c;

	(void)state;
	world_turn();
	before = mallinfo2().uordblks;
	for (size_t i = 0; i < STALLED; i++) {
		c = connect_gate();
		world_send(c, hello.b, hello.n - 1);
	}
	each = (mallinfo2().uordblks - before) / STALLED;
	assert_int_equal(flows_count(&world.g), STALLED);
	assert_in_range(each, 0, 4096); /* 0: a sanitizer's malloc */
	c = connect_gate();
	world_send(c, hello.b, hello.n);
	expect_allowed(c, 2);
}

/* What all of them have shown so far is bounded, and given back. */
static void test_long_ones_share_16_mib(void **state)
{
	enum { FEW = 16, MANY = 300 };
	int c[MANY];
	size_t before, denied = 0;

	(void)state;
	make(&other, "api.example.com", 60000);
	cut(&other, 16384, &hello);
	world_turn();
	before = mallinfo2().uordblks;
	for (size_t i = 0; i < MANY; i++) {
		c[i] = connect_gate();
		world_send(c[i], hello.b, hello.n - 1);
	}
	world_ms(50);
	/* one buffer more than the sum, and the flows themselves */
	assert_in_range(mallinfo2().uordblks - before, 0, 18 << 20);
	for (size_t i = 0; i < world.n_told; i++)
		denied += world.told[i].type == GATE_FLOW &&
			  world.told[i].flow.reason == GATE_REASON_TABLE_FULL;
	assert_in_range(denied, MANY - 256, MANY - 250);
	assert_int_equal(world.n_told, 2 * denied);
	/* who has begun goes on */
	world_send(c[0], hello.b + hello.n - 1, 1);
	expect_allowed(c[0], 2 * denied + 2);
	for (size_t i = 1; i < MANY; i++)
		(void)close(c[i]);
	world_told(2 * MANY);
	for (size_t i = 0; i < FEW; i++) {
		c[i] = connect_gate();
		world_send(c[i], hello.b, hello.n);
		expect_allowed(c[i], 2 * (MANY + i + 1));
	}
}

static void test_unreachable_is_told_as_before(void **state)
{
	int c = connect_gate();

	(void)state;
	(void)close(listener);
	world_send(c, hello.b, hello.n);
	world_expect_reset(c);
	world_told(2);
	assert_int_equal(world_last(GATE_DECISION)->reason,
			 GATE_REASON_UNKNOWN_PROTOCOL);
	assert_int_equal(world_last(GATE_FLOW)->reason,
			 GATE_REASON_UPSTREAM_FAILED);
}

/* -- HelloRetryRequest -- */

static const uint8_t retry[] = {
	0x16, 0x03, 0x03, 0x00, 0x2a, 0x02, 0x00, 0x00, 0x26, 0x03, 0x03, 0xcf,
	0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e,
	0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07,
	0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c, 0x00, 0x13, 0x01, 0x00,
};
static const char change_cipher[] = "\x14\x03\x03\x00\x01\x01";

static int retried(int *c)
{
	int s;

	*c = connect_gate();
	world_send(*c, hello.b, hello.n);
	s = world_accept(listener);
	expect_bytes(s, hello.b, hello.n);
	/* byte by byte: it is known by its content */
	for (size_t i = 0; i < sizeof(retry); i++)
		world_send(s, retry + i, 1);
	expect_bytes(*c, retry, sizeof(retry));
	world_send(*c, change_cipher, 6);
	expect_bytes(s, change_cipher, 6);
	return s;
}

static void test_second_hello_with_the_same_name(void **state)
{
	int c, s = retried(&c);

	(void)state;
	for (size_t i = 0; i < hello.n; i++)
		world_send(c, hello.b + i, 1);
	expect_bytes(s, hello.b, hello.n);
	world_say(c, "blind");
	world_expect(s, "blind");
	assert_int_equal(world.n_told, 1);
}

/* Of the server, before or in the way of what asks for it */
static void test_second_hello_behind_other_words(void **state)
{
	static const char *const words[] = {
		"\x15\x03\x03\x00\x02\x01\x70",		/* a warning */
		"\x16\x03\x03\x00\x04\x02\x00\x00\x56", /* cut in two */
		"\x16\x03\x03\x00\x04\x00\x00\x00\x00", /* HelloRequest */
	};
	static const size_t lens[] = { 7, 9, 9 };
	char b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		int c, s;

		make(&hello, "api.example.com", 0);
		c = connect_gate();
		world_send(c, hello.b, hello.n);
		s = world_accept(listener);
		expect_bytes(s, hello.b, hello.n);
		world_send(s, words[i], lens[i]);
		world_send(s, retry, sizeof(retry));
		expect_bytes(c, words[i], lens[i]);
		expect_bytes(c, retry, sizeof(retry));
		make(&hello, "other.example.com", 0);
		world_send(c, hello.b, hello.n);
		expect_alert(c);
		assert_true(world_read(s, &b, 1) <= 0);
		world_told(3 * (i + 1));
		assert_int_equal(world_last(GATE_FLOW)->reason,
				 GATE_REASON_SNI_MISS);
		(void)close(c);
		(void)close(s);
	}
}

static void test_second_hello_with_another_name(void **state)
{
	int c, s = retried(&c);
	char b;

	(void)state;
	make(&hello, "other.example.com", 0);
	world_send(c, hello.b, hello.n);
	expect_alert(c);
	assert_true(world_read(s, &b, 1) <= 0);
	world_told(3);
	assert_int_equal(world.told[1].type, GATE_DECISION);
	assert_int_equal(world.told[1].flow.reason, GATE_REASON_SNI_MISS);
	assert_int_equal(world.told[2].type, GATE_FLOW);
	assert_int_equal(world.told[2].flow.reason, GATE_REASON_SNI_MISS);
}

/* Early data may not hide it: nothing passes before the server has spoken. */
static void test_second_hello_sent_early(void **state)
{
	int c = connect_gate(), s;
	char b;

	(void)state;
	world_send(c, hello.b, hello.n);
	s = world_accept(listener);
	expect_bytes(s, hello.b, hello.n);
	make(&hello, "other.example.com", 0);
	world_send(c, "\x17\x03\x03\x00\x02zz", 7);
	world_send(c, hello.b, hello.n);
	world_send(s, retry, sizeof(retry));
	expect_bytes(c, retry, sizeof(retry));
	expect_bytes(s, "\x17\x03\x03\x00\x02zz", 7);
	assert_true(world_read(s, &b, 1) <= 0);
	world_told(3);
	assert_int_equal(world_last(GATE_FLOW)->reason, GATE_REASON_SNI_MISS);
}

static void test_the_servers_word_without_pipes(void **state)
{
	struct rlimit was, few;
	int next = dup(0), c, s;

	(void)state;
	(void)close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = was;
	few.rlim_cur = (rlim_t)next + 4; /* both ends of both connections */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	s = retried(&c);
	world_send(c, hello.b, hello.n);
	expect_bytes(s, hello.b, hello.n);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	(void)close(s);
	(void)close(c);
	world_told(2);
	assert_int_equal(world_last(GATE_FLOW)->down, sizeof(retry));
}

/* -- other ways in -- */

static void test_explicit_proxy_goes_where_the_name_leads(void **state)
{
	int c, s;

	(void)state;
	world_listen(8443, true);
	c = world_client("192.0.2.1", 8443);
	world_send(c, hello.b, hello.n);
	s = world_accept(listener);
	expect_bytes(s, hello.b, hello.n);
	world_told(1);
	assert_int_equal(world_last(GATE_DECISION)->dial_port, TLS);
	make(&hello, "x.cdn.example.com", 0);
	c = world_client("192.0.2.1", 8443);
	world_send(c, hello.b, hello.n);
	expect_alert(c);
	world_told(3);
	assert_int_equal(world_last(GATE_FLOW)->reason,
			 GATE_REASON_SNI_NOT_PINNED);
	make(&hello, "evil.example.com", 0);
	c = world_client("192.0.2.1", 8443);
	world_send(c, hello.b, hello.n);
	expect_alert(c);
	world_told(5);
	assert_int_equal(world_last(GATE_FLOW)->reason, GATE_REASON_SNI_MISS);
}

static void test_an_address_rule_notes_the_name(void **state)
{
	int l = world_server("192.0.2.30", TLS), c, s;

	(void)state;
	world_net_rule(GATE_TLS, "192.0.2.30", TLS);
	make(&hello, "whoever.example.net", 0);
	c = world_client("192.0.2.30", TLS);
	s = world_accept(l);
	world_send(c, hello.b, hello.n);
	expect_bytes(s, hello.b, hello.n);
	(void)close(c);
	(void)close(s);
	world_told(1);
	assert_string_equal(world_last(GATE_FLOW)->sni.text,
			    "whoever.example.net");
	assert_int_equal(world_last(GATE_FLOW)->reason,
			 GATE_REASON_ADDRESS_RULE);
}

static void test_ech_as_the_policy_says(void **state)
{
	int c = connect_gate();

	(void)state;
	make(&hello, "api.example.com", 4);
	hello.b[hello.n - 8] = 0xfe;
	hello.b[hello.n - 7] = 0x0d;
	world_send(c, hello.b, hello.n);
	expect_allowed(c, 2);
	assert_true(world_last(GATE_FLOW)->has_ech);
	world.policy.ech_deny = true;
	c = connect_gate();
	world_send(c, hello.b, hello.n);
	expect_alert(c);
	expect_denied(4, GATE_REASON_ECH);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, world_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_allowed_name_is_relayed),
		TEST(test_split_at_every_byte),
		TEST(test_a_byte_a_write),
		TEST(test_records_of_every_size),
		TEST(test_long_hellos),
		TEST(test_too_long_has_its_reason),
		TEST(test_denied_names_get_an_alert),
		TEST(test_the_alert_survives_unread_bytes),
		TEST(test_other_protocols_are_reset),
		TEST(test_only_the_protocol_of_the_rule),
		TEST(test_silence_ends),
		TEST(test_a_hello_that_stops),
		TEST(test_stalled_ones_cost_little_and_delay_nobody),
		TEST(test_long_ones_share_16_mib),
		TEST(test_unreachable_is_told_as_before),
		TEST(test_second_hello_with_the_same_name),
		TEST(test_second_hello_behind_other_words),
		TEST(test_second_hello_with_another_name),
		TEST(test_second_hello_sent_early),
		TEST(test_the_servers_word_without_pipes),
		TEST(test_explicit_proxy_goes_where_the_name_leads),
		TEST(test_an_address_rule_notes_the_name),
		TEST(test_ech_as_the_policy_says),
	};

	return WORLD_RUN(tests);
}
