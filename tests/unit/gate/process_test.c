/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The end of a gate that is slow to tell (slow_gate.c, in its place). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gate/process.h"

static struct gate_policy policy;
static unsigned told;

static int note(void *arg, const struct gate_record *r)
{
	(void)arg;
	(void)r;
	told++;
	return 0;
}

static int finish(uint32_t records, uint32_t each_ms, struct err *e)
{
	struct gate_process *p;
	int r;

	told = 0;
	policy = (struct gate_policy){ .n_names = records, .idle_ms = each_ms };
	assert_int_equal(gate_process_start(
				 &(struct gate_process_config){
					 .policy = &policy, .record = note },
				 &p, e),
			 0);
	r = gate_process_finish(p, e);
	gate_process_free(&p);
	return r;
}

static void test_records_that_come_are_waited_for(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(finish(5, 400, &e), 0);
	assert_int_equal(told, 6);
}

static void test_silence_is_not(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(finish(1, 60000, &e), -1);
	assert_string_equal(e.text,
			    "host backend: the gate did not end in time");
	assert_int_equal(told, 0);
}

static void test_nor_are_records_without_end(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(finish(UINT32_MAX, 100, &e), -1);
	assert_string_equal(e.text,
			    "host backend: the gate did not end in time");
	assert_true(told > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_that_come_are_waited_for),
		cmocka_unit_test(test_silence_is_not),
		cmocka_unit_test(test_nor_are_records_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
