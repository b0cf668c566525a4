/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "gate/record.h"
#include "sys/datagram.h"

static struct gate_policy policy;

struct fixture {
	struct gate gate;
	int far; /* the supervisor's end */
};

static struct gate *current;

static void readable(struct loop_source *s, uint32_t events)
{
	(void)s;
	assert_int_equal(events, EPOLLOUT);
	recorder_writable(current);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	assert_non_null(f);
	assert_int_equal(datagram_pair(pair), 0);
	policy.events_per_second = 3;
	f->far = pair[0];
	f->gate.policy = &policy;
	f->gate.loop = loop_new(8);
	f->gate.recorder = recorder_new(&f->gate, pair[1], readable);
	assert_non_null(f->gate.recorder);
	recorder_open(&f->gate);
	current = &f->gate;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	loop_free(&f->gate.loop);
	free(f->gate.recorder);
	(void)close(f->far);
	free(f);
	return 0;
}

static bool next(const struct fixture *f, struct gate_record *r)
{
	int fd;
	int n = datagram_recv(f->far, r, sizeof(*r), &fd, NULL, MSG_DONTWAIT);

	assert_true(n == 1 || n == -EAGAIN);
	return n == 1;
}

static struct gate_query query(const char *name, enum gate_query_reason why)
{
	struct gate_query q = { .reason = (uint8_t)why, .type = DNS_A };

	assert_int_equal(
		hostname_parse((struct slice){ name, strlen(name) }, &q.name),
		0);
	return q;
}

static void ask(struct fixture *f, const char *name, unsigned times)
{
	struct gate_query q = query(name, GATE_QUERY_NOT_IN_ALLOWLIST);

	while (times--)
		record_query(&f->gate, &q);
}

static void test_told_up_to_the_rate_then_counted(void **state)
{
	struct fixture *f = *state;
	struct gate_record r;

	ask(f, "a.example", 2);
	ask(f, "b.example", 6);
	ask(f, "a.example", 4);
	for (int i = 0; i < 3; i++) {
		assert_true(next(f, &r));
		assert_int_equal(r.type, GATE_QUERY);
	}
	assert_string_equal(r.query.name.text, "b.example");
	assert_false(next(f, &r));
	recorder_end(&f->gate);
	assert_true(next(f, &r));
	assert_int_equal(r.type, GATE_AGGREGATE);
	assert_int_equal(r.of, GATE_QUERY);
	assert_string_equal(r.query.name.text, "b.example");
	assert_int_equal(r.count, 5);
	assert_true(next(f, &r));
	assert_string_equal(r.query.name.text, "a.example");
	assert_int_equal(r.count, 4);
	assert_true(next(f, &r));
	assert_int_equal(r.type, GATE_STATS);
	assert_int_equal(r.stats.aggregated, 9);
	assert_false(next(f, &r));
}

static void test_aggregates_come_after_a_second(void **state)
{
	struct fixture *f = *state;
	struct gate_record r;

	ask(f, "a.example", 5);
	for (int i = 0; i < 3; i++)
		assert_true(next(f, &r));
	assert_false(next(f, &r));
	/* the timer is all there is to wait for */
	assert_int_equal(loop_turn(f->gate.loop), 0);
	assert_true(next(f, &r));
	assert_int_equal(r.type, GATE_AGGREGATE);
	assert_int_equal(r.count, 2);
	/* a new second, a new allowance */
	ask(f, "a.example", 1);
	assert_true(next(f, &r));
	assert_int_equal(r.type, GATE_QUERY);
}

static void test_bytes_of_a_kind_are_added(void **state)
{
	struct fixture *f = *state;
	struct gate_flow flow = { .reason = GATE_REASON_ADDRESS_RULE,
				  .up = 10,
				  .down = 100,
				  .dst_port = 22 };
	struct gate_record r;

	for (int i = 0; i < 8; i++) {
		flow.id = (uint64_t)i;
		flow.src_port = (uint16_t)(1000 + i);
		record_flow(&f->gate, GATE_FLOW, &flow);
	}
	recorder_end(&f->gate);
	for (int i = 0; i < 3; i++) {
		assert_true(next(f, &r));
		assert_int_equal(r.flow.id, i);
	}
	assert_true(next(f, &r));
	assert_int_equal(r.type, GATE_AGGREGATE);
	assert_int_equal(r.count, 5);
	assert_int_equal(r.flow.up, 50);
	assert_int_equal(r.flow.down, 500);
	assert_int_equal(r.flow.src_port, 0);
}

static void ask_for_many(struct fixture *f) NORETURN;
static void ask_for_many(struct fixture *f)
{
	char name[64];

	for (int i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof(name), "n%d.example", i);
		ask(f, name, 1);
	}
	recorder_end(&f->gate);
	_exit(0);
}

/* Whatever a cell asks for: every query is counted, in a bounded table. The
 * gate is a process of its own: at the brim it waits for its reader. */
static void test_many_kinds_lose_their_names_not_their_count(void **state)
{
	struct fixture *f = *state;
	uint64_t told = 0, counted = 0, nameless = 0;
	struct gate_record r = { .type = 0 };
	int fd, status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		ask_for_many(f);
	while (r.type != GATE_STATS) {
		assert_int_equal(
			datagram_recv(f->far, &r, sizeof(r), &fd, NULL, 0), 1);
		told += r.type == GATE_QUERY;
		if (r.type != GATE_AGGREGATE)
			continue;
		counted += r.count;
		if (!r.query.name.len)
			nameless += r.count;
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(told + counted, 5000);
	assert_int_equal(r.stats.aggregated, counted);
	assert_true(nameless > 0);
}

static void hide_among_many(struct fixture *f) NORETURN;
static void hide_among_many(struct fixture *f)
{
	struct gate_flow out = { .reason = GATE_REASON_SNI_MATCH,
				 .is_dialled = true,
				 .rule = 4,
				 .up = 1000,
				 .dst_port = 443 };
	struct gate_flow q = { .reason = GATE_REASON_NO_RULE, .rule = -1 };
	struct gate_query asked = query("out.example", GATE_QUERY_ALLOWED);

	asked.asked_upstream = true;
	asked.resolver = 1;
	assert_int_equal(hostname_parse(SLICE_LIT("drop.example"), &out.sni),
			 0);
	for (int i = 0; i < 2000; i++) {
		q.dst_port = (uint16_t)(i + 1);
		record_flow(&f->gate, GATE_FLOW, &q);
	}
	for (int i = 0; i < 5; i++) {
		record_flow(&f->gate, GATE_FLOW, &out);
		record_query(&f->gate, &asked);
	}
	recorder_end(&f->gate);
	_exit(0);
}

/* A cell can make as much noise as it likes: where its bytes went is told. */
static void test_what_went_out_keeps_its_name(void **state)
{
	struct fixture *f = *state;
	struct gate_record r = { .type = 0 };
	uint64_t flows = 0, bytes = 0, queries = 0;
	int fd, status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		hide_among_many(f);
	while (r.type != GATE_STATS) {
		assert_int_equal(
			datagram_recv(f->far, &r, sizeof(r), &fd, NULL, 0), 1);
		if (r.type != GATE_AGGREGATE)
			continue;
		if (r.of == GATE_FLOW && r.flow.is_dialled &&
		    r.flow.rule == 4 &&
		    !strcmp(r.flow.sni.text, "drop.example")) {
			flows += r.count;
			bytes += r.flow.up;
		}
		if (r.of == GATE_QUERY && r.query.asked_upstream &&
		    r.query.resolver == 1 &&
		    !strcmp(r.query.name.text, "out.example"))
			queries += r.count;
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(flows, 5);
	assert_int_equal(bytes, 5000);
	assert_int_equal(queries, 5);
}

static void test_before_the_command_nothing_is_told(void **state)
{
	struct fixture *f = *state;
	struct gate g = { .policy = &policy, .loop = f->gate.loop };
	struct gate_record r;
	int pair[2];

	assert_int_equal(datagram_pair(pair), 0);
	g.recorder = recorder_new(&g, pair[1], readable);
	assert_non_null(g.recorder);
	record_query(&g, &(struct gate_query){ .type = DNS_A });
	(void)close(f->far);
	f->far = pair[0];
	assert_false(next(f, &r));
	recorder_open(&g);
	record_query(&g, &(struct gate_query){ .type = DNS_AAAA });
	assert_true(next(f, &r));
	assert_int_equal(r.query.type, DNS_AAAA);
	free(g.recorder);
	(void)close(pair[1]);
}

/* A flood of what is refused leaves a quarter to what is let through. */
static void test_what_passes_has_its_own_share(void **state)
{
	struct fixture *f = *state;
	struct gate_flow no = { .reason = GATE_REASON_NO_RULE, .rule = -1 };
	struct gate_flow yes = { .reason = GATE_REASON_ADDRESS_RULE };
	unsigned refused = 0, passed = 0;
	struct gate_record r;

	policy.events_per_second = 8;
	for (int i = 0; i < 20; i++) {
		record_flow(&f->gate, GATE_FLOW, &no);
		ask(f, "a.example", 1);
	}
	for (int i = 0; i < 5; i++)
		record_flow(&f->gate, GATE_DECISION, &yes);
	while (next(f, &r)) {
		refused += r.type == GATE_FLOW || r.type == GATE_QUERY;
		passed += r.type == GATE_DECISION;
	}
	assert_int_equal(refused, 6);
	assert_int_equal(passed, 2);
}

/* A supervisor that does not read: what is new waits, nothing is lost. */
static void test_full_queue_pauses_intake(void **state)
{
	struct fixture *f = *state;
	struct gate_record r;
	unsigned sent = 0, got = 0;

	policy.events_per_second = 100000;
	while (!f->gate.stats.stalled) {
		ask(f, "a.example", 1);
		sent++;
		assert_true(sent < 100000);
	}
	while (got < sent) {
		while (next(f, &r))
			got++;
		if (got < sent)
			assert_int_equal(loop_turn(f->gate.loop), 0);
	}
	assert_int_equal(got, sent);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_told_up_to_the_rate_then_counted),
		TEST(test_aggregates_come_after_a_second),
		TEST(test_what_went_out_keeps_its_name),
		TEST(test_bytes_of_a_kind_are_added),
		TEST(test_many_kinds_lose_their_names_not_their_count),
		TEST(test_before_the_command_nothing_is_told),
		TEST(test_what_passes_has_its_own_share),
		TEST(test_full_queue_pauses_intake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
