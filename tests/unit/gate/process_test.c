/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The supervisor's side of a gate that is not ours any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gate/process.h"
#include "hostile/hostile.h"

static struct gate_policy policy;
static unsigned n_records, n_dials;

static int on_record(void *arg, const struct gate_record *r)
{
	(void)arg;
	assert_true(r->type == GATE_STATS || policy.drain_ms == HOSTILE_SLOW);
	n_records++;
	return 0;
}

static int on_dial(void *wall, uint8_t family, bool is_udp, unsigned n)
{
	(void)wall;
	assert_int_equal(family, 4);
	assert_false(is_udp);
	assert_int_equal(n, DOOR_INSIDE);
	n_dials++;
	return 0;
}

static struct gate_process *begin(enum hostile what)
{
	struct gate_process_config c = { .policy = &policy,
					 .record = on_record };
	struct gate_process *p;
	struct err e = { 0 };

	policy.drain_ms = what;
	n_records = n_dials = 0;
	if (gate_process_start(&c, &p, &e))
		fail_msg("%s", e.text);
	return p;
}

/* Serves it until it is ready, or lost. Return: what serve() said last */
static int until(struct gate_process *p, bool (*done)(struct cell_gate *g))
{
	struct cell_gate *g = gate_process_seam(p);
	int r = 0;

	while (!r && !done(g)) {
		struct pollfd f = { g->fd, POLLIN, 0 };

		assert_int_equal(poll(&f, 1, 10000), 1);
		r = g->serve(g->arg);
	}
	return r;
}

static bool is_ready(struct cell_gate *g)
{
	return g->is_ready(g->arg);
}

static bool never(struct cell_gate *g)
{
	(void)g;
	return false;
}

static void lost(enum hostile what, const char *why)
{
	struct gate_process *p = begin(what);

	gate_process_seam(p)->dial = on_dial;
	assert_int_equal(until(p, never), -1);
	assert_string_equal(gate_process_why(p), why);
	gate_process_free(&p);
}

static void test_an_honest_one_tells_its_totals(void **state)
{
	struct gate_process *p = begin(HOSTILE_NOT);
	struct err e;

	(void)state;
	assert_int_equal(until(p, is_ready), 0);
	assert_int_equal(gate_process_finish(p, &e), 0);
	assert_int_equal(n_records, 1);
	assert_string_equal(gate_process_why(p), "");
	gate_process_free(&p);
}

static void test_what_breaks_the_form_is_lost(void **state)
{
	static const char why[] = "the gate broke the form of its channel";

	(void)state;
	lost(HOSTILE_FORGES, why);
	lost(HOSTILE_SHORT, why);
	lost(HOSTILE_ASKS, why);
	/* the first time it may */
	assert_int_equal(n_dials, 1);
}

static void test_its_death_is_told(void **state)
{
	(void)state;
	lost(HOSTILE_DIES, "the gate died");
}

static unsigned open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static bool has_told(struct cell_gate *g)
{
	(void)g;
	return n_records == 1;
}

static void test_descriptors_are_not_kept(void **state)
{
	struct gate_process *p = begin(HOSTILE_DESCRIPTORS);
	unsigned before = open_files();

	(void)state;
	assert_int_equal(until(p, has_told), 0);
	assert_int_equal(open_files(), before);
	gate_process_free(&p);
}

/* A limit and no more, then it is killed; free() has nothing to wait for. */
static void test_one_that_stays_is_ended(void **state)
{
	struct gate_process *p = begin(HOSTILE_STAYS);
	pid_t pid = gate_process_pid(p);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(until(p, is_ready), 0);
	assert_int_equal(gate_process_finish(p, &e), -1);
	assert_non_null(strstr(e.text, "the gate did not end in time"));
	gate_process_free(&p);
	assert_null(p);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static int finish_slow(uint32_t records, uint32_t each_ms, struct err *e)
{
	struct gate_process *p;
	int r;

	policy.pin_grace = records;
	policy.idle_ms = each_ms;
	p = begin(HOSTILE_SLOW);
	assert_int_equal(until(p, is_ready), 0);
	r = gate_process_finish(p, e);
	gate_process_free(&p);
	return r;
}

static void test_records_that_come_are_waited_for(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(finish_slow(5, 400, &e), 0);
	assert_int_equal(n_records, 6);
}

/* The bound is gate_process_finish()'s: ten seconds and the first. */
static void test_records_without_end_are_not(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(finish_slow(UINT32_MAX, 100, &e), -1);
	assert_non_null(strstr(e.text, "the gate did not end in time"));
	assert_true(n_records > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_honest_one_tells_its_totals),
		cmocka_unit_test(test_what_breaks_the_form_is_lost),
		cmocka_unit_test(test_its_death_is_told),
		cmocka_unit_test(test_descriptors_are_not_kept),
		cmocka_unit_test(test_one_that_stays_is_ended),
		cmocka_unit_test(test_records_that_come_are_waited_for),
		cmocka_unit_test(test_records_without_end_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
