/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The set of a layer's own names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "unpack/seen.h"

static void test_many(void **state)
{
	enum { N = 100000 };
	OWNED(seen_drop) struct seen s;
	char name[16];

	(void)state;
	seen_init(&s);
	assert_false(seen_has(&s, 1, "a"));
	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(seen_add(&s, (uint64_t)i % 7, name), 0);
		assert_int_equal(seen_add(&s, (uint64_t)i % 7, name), 0);
	}
	assert_int_equal(s.n, N);
	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		assert_true(seen_has(&s, (uint64_t)i % 7, name));
		/* of another directory, or no such name */
		assert_false(seen_has(&s, (uint64_t)i % 7 + 7, name));
		(void)snprintf(name, sizeof(name), "%dx", i);
		assert_false(seen_has(&s, (uint64_t)i % 7, name));
	}
	seen_forget(&s);
	assert_int_equal(s.n, 0);
	assert_false(seen_has(&s, 0, "0"));
	assert_int_equal(seen_add(&s, 0, "0"), 0);
	assert_true(seen_has(&s, 0, "0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
