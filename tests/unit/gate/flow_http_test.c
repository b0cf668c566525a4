/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every request of a connection is judged, and nothing but requests is. */
#include "flow_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WEB = 80, BIG = 1 << 20 };

static const char get[] = "GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n";
static const char get_evil[] =
	"GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n";
static int listener;

static int setup(void **state)
{
	if (world_setup(state))
		return -1;
	world_name_rule(GATE_HTTP, "api.example.com", WEB);
	world_name_rule(GATE_HTTP, "www.example.com", WEB);
	world_name_rule(GATE_HTTP, "far.example.com", WEB);
	world_pin("api.example.com", "192.0.2.10");
	world_pin("www.example.com", "192.0.2.10");
	world_pin("far.example.com", "192.0.2.11");
	world_listen(WEB, false);
	listener = world_server("192.0.2.10", WEB);
	return 0;
}

static int connect_gate(void)
{
	return world_client("192.0.2.10", WEB);
}

/* A connection whose first request has arrived. */
static void begin(int *c, int *s)
{
	*c = connect_gate();
	world_say(*c, get);
	*s = world_accept(listener);
	world_expect(*s, get);
}

/* The server hears no more than it did; whoever asked is told nothing. */
static void expect_cut(int c, int s, enum gate_reason why)
{
	char b;

	world_expect_end(c);
	assert_true(world_read(s, &b, 1) <= 0);
	world_told(3);
	assert_int_equal(world.told[1].type, GATE_DECISION);
	assert_int_equal(world.told[1].flow.reason, why);
	assert_int_equal(world.told[2].type, GATE_FLOW);
	assert_int_equal(world.told[2].flow.reason, why);
}

static void expect_403(int c, const char *what, const char *word)
{
	char body[512], all[1024];

	(void)snprintf(body, sizeof(body), "cellos: %s is not allowed (%s)\n",
		       what, word);
	(void)snprintf(all, sizeof(all),
		       "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n"
		       "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
		       strlen(body), body);
	world_expect(c, all);
	world_expect_end(c);
}

static void test_allowed_request(void **state)
{
	const struct gate_flow *d;
	int c, s;

	(void)state;
	begin(&c, &s);
	world_told(1);
	d = world_last(GATE_DECISION);
	assert_int_equal(d->reason, GATE_REASON_HOST_MATCH);
	assert_string_equal(d->host.text, "api.example.com");
	assert_int_equal(d->protocol, GATE_HTTP);
	world_say(s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	world_expect(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	(void)close(c);
	world_expect_end(s);
	(void)close(s);
	world_told(2);
	assert_int_equal(world_last(GATE_FLOW)->requests, 1);
	assert_int_equal(world_last(GATE_FLOW)->up, sizeof(get) - 1);
}

static void test_split_at_every_byte(void **state)
{
	(void)state;
	for (size_t at = 1; at < sizeof(get) - 1; at++) {
		int c = connect_gate(), s;

		world_send(c, get, at);
		world_turn();
		world_say(c, get + at);
		s = world_accept(listener);
		world_expect(s, get);
		(void)close(c);
		world_expect_end(s);
		(void)close(s);
		world_told(2 * at);
	}
}

static void test_denied_request(void **state)
{
	int c = connect_gate();

	(void)state;
	world_say(c, get_evil);
	expect_403(c, "evil.example.com:80", "l7_http_host_allowlist_miss");
	world_expect_nobody(listener);
	world_told(2);
	assert_int_equal(world.told[0].type, GATE_DECISION);
	assert_int_equal(world.told[0].flow.reason, GATE_REASON_HOST_MISS);
	assert_int_equal(world.told[1].flow.reason, GATE_REASON_HOST_MISS);
}

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *head, *what, *word;
	} cases[] = {
		{ "CONNECT api.example.com:443 HTTP/1.1\r\n"
		  "Host: api.example.com:443\r\n\r\n",
		  "api.example.com:80", "http_connect_refused" },
		{ "GET / HTTP/1.1\r\nHost: api.example.com\r\n"
		  "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
		  "api.example.com:80", "l7_h2_unparseable_headers" },
		{ "GET / HTTP/1.1\r\n\r\n", "192.0.2.10:80",
		  "l7_http_host_missing" },
		{ "GET / HTTP/1.1\r\nHost: 192.0.2.10\r\n\r\n", "192.0.2.10:80",
		  "l7_http_host_missing" },
		{ "GET / HTTP/1.1\r\nHost: api.example.com:81\r\n\r\n",
		  "api.example.com:80", "host_other_port" },
		{ "GET / HTTP/1.1\r\nHost: far.example.com\r\n\r\n",
		  "far.example.com:80", "host_not_at_address" },
		{ "GET http://evil.example.com/ HTTP/1.1\r\n"
		  "Host: api.example.com\r\n\r\n",
		  "192.0.2.10:80", "l7_http_host_allowlist_miss" },
		{ "GET / HTTP/1.1\r\nHost: api.example.com\r\n"
		  "Host: evil.example.com\r\n\r\n",
		  "192.0.2.10:80", "l7_unknown_protocol" },
		{ "GET /\r\n", "192.0.2.10:80", "l7_unknown_protocol" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int c = connect_gate();

		world_say(c, cases[i].head);
		expect_403(c, cases[i].what, cases[i].word);
		world_told(2 * (i + 1));
		world_expect_nobody(listener);
		(void)close(c);
	}
}

static void test_head_at_its_limit(void **state)
{
	(void)state;
	for (size_t over = 0; over < 2; over++) {
		char head[8200];
		int c = connect_gate(), n;

		n = snprintf(head, sizeof(head),
			     "GET / HTTP/1.1\r\nHost: api.example.com\r\nX: ");
		memset(head + n, 'x', 8192 + over - (size_t)n - 4);
		memcpy(head + 8192 + over - 4, "\r\n\r\n", 5);
		world_say(c, head);
		if (over)
			expect_403(c, "192.0.2.10:80", "l7_unknown_protocol");
		else
			(void)world_accept(listener);
	}
}

static void test_h2c_preface_gets_goaway(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	static const char goaway[17] = { 0, 0, 8, 7, 0, 0, 0, 0, 0,
					 0, 0, 0, 1, 0, 0, 0, 1 };
	char got[17];

	(void)state;
	for (size_t step = 1; step < 25; step += 23) {
		int c = connect_gate();

		for (size_t i = 0; i < 24; i += step)
			world_send(c, preface + i, step);
		assert_int_equal(world_read(c, got, 17), 17);
		assert_memory_equal(got, goaway, 17);
		world_expect_end(c);
		(void)close(c);
	}
	world_told(4);
	assert_int_equal(world_last(GATE_DECISION)->reason, GATE_REASON_H2C);
	world_expect_nobody(listener);
}

static void test_second_request_for_another_host(void **state)
{
	int c, s;

	(void)state;
	begin(&c, &s);
	world_say(s, "HTTP/1.1 204 No Content\r\n\r\n");
	world_expect(c, "HTTP/1.1 204 No Content\r\n\r\n");
	world_say(c, get_evil);
	expect_cut(c, s, GATE_REASON_HOST_MISS);
	assert_string_equal(world.told[1].flow.host.text, "evil.example.com");
	assert_string_equal(world.told[2].flow.host.text, "api.example.com");
	assert_int_equal(world.told[2].flow.requests, 2);
	assert_int_equal(world.told[2].flow.up, sizeof(get) - 1);
}

static void test_pipelined_request_for_another_host(void **state)
{
	int c = connect_gate(), s;
	char both[256];

	(void)state;
	(void)snprintf(both, sizeof(both), "%s%s", get, get_evil);
	world_say(c, both);
	s = world_accept(listener);
	world_expect(s, get);
	/* the answer that is due still arrives */
	world_say(s, "HTTP/1.1 204 No Content\r\n\r\n");
	world_expect(c, "HTTP/1.1 204 No Content\r\n\r\n");
	expect_cut(c, s, GATE_REASON_HOST_MISS);
}

static void test_second_host_must_be_at_the_dialled_address(void **state)
{
	static const char www[] =
		"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n";
	int c, s;

	(void)state;
	begin(&c, &s);
	world_say(c, www);
	world_expect(s, www);
	world_say(c, "GET / HTTP/1.1\r\nHost: far.example.com\r\n\r\n");
	expect_cut(c, s, GATE_REASON_HOST_NOT_PINNED);
}

/* More names of one address than are told of it: the old ones still lead
 * there. */
static void test_many_names_at_one_address(void **state)
{
	char name[64];
	int c, s;

	(void)state;
	world_name_rule(GATE_HTTP, "*.cdn.example.com", WEB);
	for (int i = 0; i < 2 * PIN_NAMES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%d.cdn.example.com", i);
		world_pin(name, "192.0.2.10");
	}
	begin(&c, &s);
	world_say(c, get);
	world_expect(s, get);
}

/* A connection that another rule has opened does not stretch a budget. */
static void test_a_request_is_of_its_own_rule(void **state)
{
	static const char www[] =
		"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n";
	int c, s;
	char b;

	(void)state;
	world.policy.rules[0].max_up = sizeof(get) - 1;
	c = connect_gate();
	world_say(c, www);
	s = world_accept(listener);
	world_expect(s, www);
	world_say(c, get);
	world_expect(s, get);
	world_say(c, www);
	world_expect(s, www);
	world_say(c, get);
	world_expect_end(c);
	assert_true(world_read(s, &b, 1) <= 0);
	world_told(2);
	assert_int_equal(world_last(GATE_FLOW)->reason, GATE_REASON_BUDGET_UP);
	assert_int_equal(world_last(GATE_FLOW)->up,
			 2 * (sizeof(www) - 1) + sizeof(get) - 1);
}

static void test_rubbish_behind_a_request(void **state)
{
	int c, s;

	(void)state;
	begin(&c, &s);
	world_say(c, "\r\nGET / HTTP/1.1\r\n");
	expect_cut(c, s, GATE_REASON_UNKNOWN_PROTOCOL);
}

/* What looks like a request in a body is none; what follows it is judged. */
static void with_body(const char *head, const char *body)
{
	char all[1024];
	size_t n;

	n = (size_t)snprintf(all, sizeof(all), "%s%s%s%s", head, body, get,
			     get_evil);
	for (size_t cut = 1; cut < n; cut += 7) {
		int c = connect_gate(), s;
		char got[1024], b;
		size_t want = n - (sizeof(get_evil) - 1);

		world.n_told = 0;
		world_send(c, all, cut);
		world_send(c, all + cut, n - cut);
		s = world_accept(listener);
		assert_int_equal(world_read(s, got, want), want);
		assert_memory_equal(got, all, want);
		world_expect_end(c);
		assert_true(world_read(s, &b, 1) <= 0);
		world_told(3);
		assert_int_equal(world_last(GATE_FLOW)->requests, 3);
		assert_int_equal(world_last(GATE_FLOW)->up, want);
		(void)close(c);
		(void)close(s);
	}
}

static void test_sized_body(void **state)
{
	(void)state;
	with_body("POST / HTTP/1.1\r\nHost: api.example.com\r\n"
		  "Content-Length: 45\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\nxyz");
}

static void test_chunked_body(void **state)
{
	(void)state;
	with_body("POST / HTTP/1.1\r\nHost: api.example.com\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n",
		  "2a;x=y\r\nGET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n"
		  "\r\n3\r\nxyz\r\n0\r\nT: x\r\n\r\n");
}

static void test_long_body_is_passed_to_its_end(void **state)
{
	char *body = malloc(BIG), *got = malloc(BIG), head[128];
	size_t sent = 0, n = 0;
	int c = connect_gate(), s;

	(void)state;
	assert_non_null(body);
	assert_non_null(got);
	for (size_t i = 0; i < BIG; i++)
		body[i] = (char)(i * 2654435761u >> 11);
	(void)snprintf(head, sizeof(head),
		       "PUT / HTTP/1.1\r\nHost: api.example.com\r\n"
		       "Content-Length: %d\r\n\r\n",
		       BIG);
	world_say(c, head);
	s = world_accept(listener);
	world_expect(s, head);
	while (n < BIG) {
		ssize_t w = sent < BIG ? send(c, body + sent, BIG - sent,
					      MSG_NOSIGNAL)
				       : -1;
		ssize_t r = recv(s, got + n, BIG - n, 0);

		sent += w > 0 ? (size_t)w : 0;
		n += r > 0 ? (size_t)r : 0;
		world_turn();
	}
	assert_memory_equal(got, body, BIG);
	world_say(c, get);
	world_expect(s, get);
	world_say(c, get_evil);
	expect_cut(c, s, GATE_REASON_HOST_MISS);
	free(body);
	free(got);
}

static const char upgrade[] = "GET /ws HTTP/1.1\r\nHost: api.example.com\r\n"
			      "Connection: Upgrade\r\n"
			      "Upgrade: websocket\r\n\r\n";

static void test_websocket_is_blind_after_101(void **state)
{
	static const char switched[] =
		"HTTP/1.1 101 Switching Protocols\r\n\r\n";
	int c = connect_gate(), s;

	(void)state;
	world_say(c, upgrade);
	s = world_accept(listener);
	world_expect(s, upgrade);
	world_say(c, "\x81\x02hi"); /* waits for the answer */
	for (size_t i = 0; i < sizeof(switched) - 1; i++)
		world_send(s, switched + i, 1);
	world_expect(c, switched);
	world_expect(s, "\x81\x02hi");
	world_say(s, "\x81\x02ho");
	world_expect(c, "\x81\x02ho");
	assert_int_equal(world.n_told, 1);
}

static void test_upgrade_that_is_ignored_opens_nothing(void **state)
{
	int c = connect_gate(), s;

	(void)state;
	world_say(c, upgrade);
	s = world_accept(listener);
	world_expect(s, upgrade);
	world_say(c, get_evil);
	world_say(s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	world_expect(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	expect_cut(c, s, GATE_REASON_HOST_MISS);
}

static void test_later_upgrade_opens_nothing(void **state)
{
	int c, s;

	(void)state;
	begin(&c, &s);
	world_say(c, upgrade);
	world_expect(s, upgrade);
	world_say(s, "HTTP/1.1 101 x\r\n\r\n");
	world_expect(c, "HTTP/1.1 101 x\r\n\r\n");
	world_say(c, get_evil);
	expect_cut(c, s, GATE_REASON_HOST_MISS);
}

static void test_unreachable_is_a_502(void **state)
{
	int c = connect_gate();

	(void)state;
	(void)close(listener);
	world_say(c, get);
	world_expect(c, "HTTP/1.1 502 Bad Gateway\r\n"
			"Content-Type: text/plain\r\nContent-Length: 63\r\n"
			"Connection: close\r\n\r\n"
			"cellos: api.example.com:80 cannot be reached "
			"(upstream_failed)\n");
	world_expect_end(c);
	world_told(2);
	assert_int_equal(world_last(GATE_DECISION)->reason,
			 GATE_REASON_UNKNOWN_PROTOCOL);
	assert_int_equal(world_last(GATE_FLOW)->reason,
			 GATE_REASON_UPSTREAM_FAILED);
}

static void test_half_close_waits_for_the_answer(void **state)
{
	int c, s;

	(void)state;
	begin(&c, &s);
	(void)shutdown(c, SHUT_WR);
	world_expect_end(s);
	world_say(s, "HTTP/1.0 200 OK\r\n\r\nbody");
	(void)close(s);
	world_expect(c, "HTTP/1.0 200 OK\r\n\r\nbody");
	world_expect_end(c);
	world_told(2);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, world_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_allowed_request),
		TEST(test_split_at_every_byte),
		TEST(test_denied_request),
		TEST(test_what_is_refused),
		TEST(test_head_at_its_limit),
		TEST(test_h2c_preface_gets_goaway),
		TEST(test_second_request_for_another_host),
		TEST(test_pipelined_request_for_another_host),
		TEST(test_second_host_must_be_at_the_dialled_address),
		TEST(test_many_names_at_one_address),
		TEST(test_a_request_is_of_its_own_rule),
		TEST(test_rubbish_behind_a_request),
		TEST(test_sized_body),
		TEST(test_chunked_body),
		TEST(test_long_body_is_passed_to_its_end),
		TEST(test_websocket_is_blind_after_101),
		TEST(test_upgrade_that_is_ignored_opens_nothing),
		TEST(test_later_upgrade_opens_nothing),
		TEST(test_unreachable_is_a_502),
		TEST(test_half_close_waits_for_the_answer),
	};

	return WORLD_RUN(tests);
}
