/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The buffer: its maximum, its sticky failure, its C string. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/wbuf.h"

static void content(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 20);

	(void)state;
	assert_string_equal(wbuf_cstr(&b), "");
	wbuf_put(&b, "ab", 2);
	wbuf_byte(&b, 'c');
	wbuf_str(&b, "de");
	wbuf_slice(&b, SLICE_LIT("f"));
	wbuf_fmt(&b, "%d-%s", 7, "g");
	wbuf_put(&b, NULL, 0);
	assert_string_equal(wbuf_cstr(&b), "abcdef7-g");
	assert_int_equal(b.len, 9);
	for (int i = 0; i < 10000; i++)
		wbuf_str(&b, "0123456789");
	assert_false(b.failed);
	assert_int_equal(b.len, 100009);
	assert_memory_equal(b.p + 100009 - 10, "0123456789", 10);
}

static void maximum(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4);

	(void)state;
	wbuf_str(&b, "abcd");
	assert_false(b.failed);
	assert_string_equal(wbuf_cstr(&b), "abcd");
	wbuf_byte(&b, 'e');
	assert_true(b.failed);
	assert_int_equal(b.len, 4);
	assert_string_equal(wbuf_cstr(&b), "");
}

static void failure_stays(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4);

	(void)state;
	wbuf_str(&b, "abcde");
	assert_true(b.failed);
	/* would fit, but then the text would have a hole */
	wbuf_byte(&b, 'x');
	wbuf_fmt(&b, "%d", 1);
	assert_int_equal(b.len, 0);
	wbuf_reset(&b);
	assert_false(b.failed);
	wbuf_fmt(&b, "%s", "abcd");
	assert_string_equal(wbuf_cstr(&b), "abcd");
	wbuf_fmt(&b, "%s", "e");
	assert_true(b.failed);
}

static void reset_wipes(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(64);

	(void)state;
	wbuf_str(&b, "secret");
	wbuf_reset(&b);
	assert_int_equal(b.len, 0);
	assert_memory_equal(b.p, "\0\0\0\0\0\0", 6);
	wbuf_drop(&b);
	assert_null(b.p);
	assert_int_equal(b.max, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content),
		cmocka_unit_test(maximum),
		cmocka_unit_test(failure_stays),
		cmocka_unit_test(reset_wipes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
