/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two clocks read at once, by a process that others interrupt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cell/vm_start.h"

/* A tick a nanosecond, and both clocks from 0; a reading takes 100. */
static uint64_t now;
static const uint64_t *pause_at; /* before the reading of this number, ... */
static uint64_t n_pauses, reading;

static uint64_t read_clock(void)
{
	now += 100;
	for (uint64_t i = 0; i < n_pauses; i++)
		if (pause_at[i] == reading)
			now += 5000000;
	reading++;
	return now;
}

static struct vm_moment moment(const uint64_t *at, uint64_t n)
{
	now = reading = 0;
	pause_at = at;
	n_pauses = n;
	return vm_moment(read_clock, read_clock);
}

static void test_nobody_interrupts(void **state)
{
	struct vm_moment m = moment(NULL, 0);

	(void)state;
	assert_int_equal(reading, 3);
	assert_int_equal(m.ns, 200);
	assert_int_equal(m.ticks, 200);
}

/* On either side of the clock, and a few times in a row */
static void test_an_interrupted_pair_is_not_taken(void **state)
{
	static const uint64_t rows[][3] = { { 1, 1, 1 },
					    { 2, 2, 2 },
					    { 1, 5, 7 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vm_moment m = moment(rows[i], 3);

		assert_int_equal(m.ns, m.ticks);
		assert_in_range(reading, 6, 12);
	}
}

/* Each is: then the best of a bounded number */
static void test_it_ends(void **state)
{
	static uint64_t all[96];
	struct vm_moment m;

	(void)state;
	for (uint64_t i = 0; i < ARRAY_SIZE(all); i++)
		all[i] = i;
	m = moment(all, ARRAY_SIZE(all));
	assert_int_equal(reading, 96);
	assert_int_equal(m.ns, m.ticks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_interrupts),
		cmocka_unit_test(test_an_interrupted_pair_is_not_taken),
		cmocka_unit_test(test_it_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
