/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Unit test of UTF-8: the borders of Unicode 3.9, table 3-7. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

/* On the heap without a NUL, so that a sanitizer sees a read past the end. */
static size_t len_of(const char *s, size_t n)
{
	char *p = malloc(n);
	size_t ret;

	assert_non_null(p);
	memcpy(p, s, n);
	ret = utf8_len(p, n);
	free(p);
	return ret;
}

static void test_well_formed(void **state)
{
	static const char *const first_and_last[] = {
		"\x01",
		"\x7f",
		"\xc2\x80",
		"\xdf\xbf",
		"\xe0\xa0\x80",
		"\xe0\xbf\xbf",
		"\xe1\x80\x80",
		"\xec\xbf\xbf",
		"\xed\x80\x80",
		"\xed\x9f\xbf",
		"\xee\x80\x80",
		"\xef\xbf\xbf",
		"\xf0\x90\x80\x80",
		"\xf0\xbf\xbf\xbf",
		"\xf1\x80\x80\x80",
		"\xf3\xbf\xbf\xbf",
		"\xf4\x80\x80\x80",
		"\xf4\x8f\xbf\xbf",
	};
	char more[8];

	(void)state;
	assert_int_equal(len_of("\0", 1), 1);
	for (size_t i = 0; i < sizeof(first_and_last) / sizeof(char *); i++) {
		const char *s = first_and_last[i];
		size_t n = strlen(s);

		assert_int_equal(len_of(s, n), n);
		/* what follows does not count */
		memset(more, 0x80, sizeof(more));
		memcpy(more, s, n);
		assert_int_equal(len_of(more, sizeof(more)), n);
		for (size_t k = 1; k < n; k++) {
			assert_int_equal(len_of(s, k), 0);
			/* the rest is there, but not ours */
			assert_int_equal(utf8_len(s, k), 0);
		}
	}
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {
		"\x80\x80\x80\x80", "\xbf\x80\x80\x80", "\xc0\x80\x80\x80",
		"\xc1\xbf\x80\x80", "\xc2\x7f\x80\x80", "\xdf\xc0\x80\x80",
		"\xe0\x9f\xbf\x80", "\xe1\x7f\x80\x80", "\xe1\x80\x7f\x80",
		"\xe1\x80\xc0\x80", "\xed\xa0\x80\x80", "\xed\xbf\xbf\x80",
		"\xf0\x8f\xbf\xbf", "\xf1\x80\x7f\x80", "\xf1\x80\x80\xc0",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff\x80\x80\x80",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(len_of(bad[i], 4), 0);
}

static void test_shown(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "a b \"\\'/~", "a b \"\\'/~" },
		{ "\n\r\t", "\\n\\r\\t" },
		{ "\x01\x1b[31m\x7f", "\\u{1}\\u{1b}[31m\\u{7f}" },
		/* CSI as one character; what turns text around; a line's end */
		{ "\xc2\x9b", "\\u{9b}" },
		{ "\xe2\x80\xae", "\\u{202e}" },
		{ "\xe2\x80\xa8", "\\u{2028}" },
		{ "\xee\x80\x80", "\\u{e000}" },
		{ "\xf3\xa0\x80\x81", "\\u{e0001}" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		  "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\x9b\xff\xc3", "\\u{9b}\\u{ff}\\u{c3}" },
	};
	char one[UTF8_SHOWN];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *out = NULL;
		size_t n = 0;
		FILE *f = open_memstream(&out, &n);

		assert_non_null(f);
		utf8_print(f, cases[i].in);
		(void)fclose(f);
		assert_string_equal(out, cases[i].out);
		free(out);
	}
	assert_int_equal(utf8_show("\0a", 2, one), 1);
	assert_string_equal(one, "\\0");
	assert_int_equal(utf8_show("\xf4\x8f\xbf\xbf", 4, one), 4);
	assert_string_equal(one, "\\u{10ffff}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_well_formed),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
