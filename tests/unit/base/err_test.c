/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Prefixes, wrapping, cutting and printing of errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"

static void prefixes(void **state)
{
	static const char *const want[ERR_CLASS_NUM] = {
		[ERR_PLAIN] = "x 7",
		[ERR_SPEC] = "invalid cell specification: x 7",
		[ERR_HOST] = "host backend: x 7",
		[ERR_SINK] = "event sink: x 7",
		[ERR_BROKER] = "secret broker: x 7",
		[ERR_EXPORT] = "export sink: x 7",
		[ERR_LIFECYCLE] = "lifecycle: x 7",
	};

	(void)state;
	for (int i = 0; i < ERR_CLASS_NUM; i++) {
		struct err e;

		memset(&e, 0xee, sizeof(e));
		assert_int_equal(err_set(&e, (enum err_class)i, 0, "x %d", 7),
				 -1);
		assert_string_equal(e.text, want[i]);
		assert_string_equal(e.cause, "");
		assert_int_equal(e.cls, i);
		assert_int_equal(e.sys, 0);
	}
	assert_int_equal(err_set(NULL, ERR_PLAIN, 0, "x"), -1);
	assert_int_equal(err_wrap(NULL, "x"), -1);
}

static void os_text(void **state)
{
	struct err e;

	(void)state;
	(void)err_set(&e, ERR_HOST, ENOENT, "open %s", "/x");
	assert_string_equal(e.text,
			    "host backend: open /x: No such file or directory "
			    "(os error 2)");
	assert_int_equal(e.sys, ENOENT);
}

static void wrap(void **state)
{
	struct err e;

	(void)state;
	(void)err_set(&e, ERR_SPEC, 0, "inner");
	assert_int_equal(err_wrap(&e, "middle %d", 1), -1);
	assert_string_equal(e.text, "middle 1");
	assert_string_equal(e.cause, "invalid cell specification: inner");
	(void)err_wrap(&e, "outer");
	assert_string_equal(e.text, "outer");
	assert_string_equal(e.cause,
			    "middle 1: invalid cell specification: inner");
	assert_int_equal(e.cls, ERR_SPEC);
}

static void prefix(void **state)
{
	char words[sizeof(((struct err *)0)->text)];
	struct err e;

	(void)state;
	assert_int_equal(err_prefix(NULL, "x"), -1);
	(void)err_set(&e, ERR_SINK, ENOENT, "inner");
	(void)err_wrap(&e, "outer");
	assert_int_equal(err_prefix(&e, "more: "), -1);
	assert_string_equal(e.text, "more: outer");
	assert_string_equal(e.cause, "event sink: inner: No such file or "
				     "directory (os error 2)");
	assert_int_equal(e.sys, ENOENT);
	assert_int_equal(e.cls, ERR_PLAIN);
	/* the first byte of a letter alone has no room */
	(void)err_set(&e, ERR_PLAIN, 0, "\xc3\xa9");
	memset(words, 'a', sizeof(words));
	words[sizeof(words) - 2] = '\0';
	(void)err_prefix(&e, words);
	assert_string_equal(e.text, words);
}

/* Every length around the end of the buffer, with 2, 3 and 4 byte letters */
static void cut_at_a_character(void **state)
{
	static const char *const letters[] = { "\xc3\xa9", "\xe2\x82\xac",
					       "\xf0\x9f\x98\x80" };

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(letters); k++) {
		size_t n = strlen(letters[k]);

		for (size_t pad = 0; pad < 8; pad++) {
			char text[1024] = "";
			struct err e;
			size_t len;

			memset(text, 'a', pad);
			for (size_t i = pad; i + n < sizeof(text); i += n)
				memcpy(text + i, letters[k], n + 1);
			(void)err_set(&e, ERR_PLAIN, 0, "%s", text);
			len = strlen(e.text);
			assert_int_equal((len - pad) % n, 0);
			assert_true(len + n >= sizeof(e.text));
			assert_memory_equal(e.text, text, len);
		}
	}
}

static void print(void **state)
{
	char *out = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&out, &n);
	struct err e;

	(void)state;
	assert_non_null(f);
	(void)err_set(&e, ERR_PLAIN, 0, "one");
	err_print(f, &e);
	(void)err_wrap(&e, "two");
	err_print(f, &e);
	(void)err_set(&e, ERR_PLAIN, 0, "\033[31m\nError: 1");
	(void)err_wrap(&e, "\xc3\xa9\n");
	err_print(f, &e);
	(void)fclose(f);
	assert_string_equal(out, "Error: one\n"
				 "Error: two\n\nCaused by:\n    one\n"
				 "Error: \xc3\xa9\\n\n\nCaused by:\n"
				 "    \\u{1b}[31m\\nError: 1\n");
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes),
		cmocka_unit_test(os_text),
		cmocka_unit_test(wrap),
		cmocka_unit_test(prefix),
		cmocka_unit_test(cut_at_a_character),
		cmocka_unit_test(print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
