/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The arena: zeroed, aligned, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdalign.h>

#include "base/arena.h"

static void aligned_and_zeroed(void **state)
{
	OWNED(arena_drop) struct arena a = ARENA_INIT(1 << 20);

	(void)state;
	for (size_t n = 0; n < 3000; n = n * 3 / 2 + 1) {
		unsigned char *p = arena_alloc(&a, n);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, n);
	}
}

static void bounded(void **state)
{
	OWNED(arena_drop) struct arena a = ARENA_INIT(1024);

	(void)state;
	assert_null(arena_alloc(&a, 1025));
	assert_non_null(arena_alloc(&a, 1000));
	assert_null(arena_alloc(&a, 25));
	assert_non_null(arena_alloc(&a, 1));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_dup(&a, "", SIZE_MAX));
	arena_drop(&a);
	assert_non_null(arena_alloc(&a, 1024));
}

static void larger_than_a_block(void **state)
{
	OWNED(arena_drop) struct arena a = ARENA_INIT(1 << 20);
	char *big, *small;

	(void)state;
	small = arena_dup(&a, "small", 5);
	big = arena_alloc(&a, 100000);
	assert_non_null(big);
	memset(big, 'x', 100000);
	assert_string_equal(small, "small");
}

static void duplicate(void **state)
{
	OWNED(arena_drop) struct arena a = ARENA_INIT(1024);

	(void)state;
	assert_memory_equal(arena_dup(&a, "a\0b", 3), "a\0b", 4);
	assert_string_equal(arena_dup(&a, NULL, 0), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aligned_and_zeroed),
		cmocka_unit_test(bounded),
		cmocka_unit_test(larger_than_a_block),
		cmocka_unit_test(duplicate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
