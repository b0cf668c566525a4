/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The tables hold what the kernel's headers number, with the known texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>

#include "base/attr.h"
#include "base/names.h"

static void errnos(void **state)
{
	static const struct {
		int sys;
		const char *word, *text;
	} want[] = {
		{ EPERM, "EPERM", "Operation not permitted" },
		{ ENOENT, "ENOENT", "No such file or directory" },
		{ E2BIG, "E2BIG", "Argument list too long" },
		{ ENOMEM, "ENOMEM", "Cannot allocate memory" },
		{ EMFILE, "EMFILE", "Too many open files" },
		{ ENAMETOOLONG, "ENAMETOOLONG", "File name too long" },
		{ ELOOP, "ELOOP", "Too many levels of symbolic links" },
		{ EOPNOTSUPP, "EOPNOTSUPP", "Operation not supported" },
		{ EAGAIN, "EAGAIN", "Resource temporarily unavailable" },
		{ EHWPOISON, "EHWPOISON", "Memory page has hardware error" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		assert_string_equal(errno_word(want[i].sys), want[i].word);
		assert_string_equal(errno_text(want[i].sys), want[i].text);
	}
}

static void no_errnos(void **state)
{
	static const int none[] = { -1, EHWPOISON + 1, 41, 58, 1 << 30 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		assert_string_equal(errno_word(none[i]), "E?");
		assert_null(errno_text(none[i]));
	}
	assert_string_equal(errno_word(0), "0");
	assert_null(errno_text(0));
}

static void signals(void **state)
{
	(void)state;
	assert_string_equal(signal_word(SIGHUP), "HUP");
	assert_string_equal(signal_word(SIGTERM), "TERM");
	assert_string_equal(signal_word(SIGSYS), "SYS");
	assert_string_equal(signal_word(SIGSYS + 1), "?");
	assert_string_equal(signal_word(0), "?");
	assert_string_equal(signal_word(-15), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errnos),
		cmocka_unit_test(no_errnos),
		cmocka_unit_test(signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
