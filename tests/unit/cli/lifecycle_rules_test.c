/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Unit test of the deadline rule and the argv[0] gate: exact texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/lifecycle.h"

struct row {
	uint64_t ttl;
	long long timeout_ms; /* -1 = absent */
	const char *env;
	uint64_t want_ms;
	const char *want_text;
};

static void deadlines(void **state)
{
	static const struct row rows[] = {
		{ 60, 5000, "3000", 3000,
		  "command timed out after 3000 ms (CELLOS_RUN_TIMEOUT_MS)" },
		{ 1, -1, NULL, 1000,
		  "cell killed by TTL watchdog after 1000 ms (ttl_seconds=1)" },
		{ 1, -1, "  ", 1000,
		  "cell killed by TTL watchdog after 1000 ms (ttl_seconds=1)" },
		/* ties: document, then variable, then lifetime */
		{ 1, 1000, "1000", 1000,
		  "command timed out after 1000 ms (spec.run.timeoutMs)" },
		{ 1, -1, " 1000\t", 1000,
		  "command timed out after 1000 ms (CELLOS_RUN_TIMEOUT_MS)" },
		{ 1, -1, "1001", 1000,
		  "cell killed by TTL watchdog after 1000 ms (ttl_seconds=1)" },
		{ 60, 2999, "3000", 2999,
		  "command timed out after 2999 ms (spec.run.timeoutMs)" },
		{ 60, 0, NULL, 0,
		  "command timed out after 0 ms (spec.run.timeoutMs)" },
		{ 0, -1, "5", 0,
		  "cell killed by TTL watchdog after 0 ms (ttl_seconds=0)" },
		{ UINT64_MAX, -1, NULL, UINT64_MAX,
		  "cell killed by TTL watchdog after 18446744073709551615 ms "
		  "(ttl_seconds=18446744073709551615)" },
		{ UINT64_MAX / 1000 + 1, -1, NULL, UINT64_MAX,
		  "cell killed by TTL watchdog after 18446744073709551615 ms "
		  "(ttl_seconds=18446744073709552)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct spec_run run = { 0 };
		struct spec s = { .run = &run, .ttl_seconds = rows[i].ttl };
		struct lifecycle_deadline d;
		struct err e;

		if (rows[i].timeout_ms >= 0)
			run.timeout_ms = (struct spec_opt_u64){
				true, (uint64_t)rows[i].timeout_ms
			};
		assert_int_equal(lifecycle_deadline(&s, rows[i].env, &d, &e),
				 0);
		assert_string_equal(d.text, rows[i].want_text);
		assert_true(d.ms == rows[i].want_ms);
	}
}

static void bad_env(void **state)
{
	static const char *const rows[][2] = {
		{ "0", "CELLOS_RUN_TIMEOUT_MS must be > 0" },
		{ "00", "CELLOS_RUN_TIMEOUT_MS must be > 0" },
		{ "-1", "invalid CELLOS_RUN_TIMEOUT_MS: \"-1\"" },
		{ "+1", "invalid CELLOS_RUN_TIMEOUT_MS: \"+1\"" },
		{ "1.5", "invalid CELLOS_RUN_TIMEOUT_MS: \"1.5\"" },
		{ "18446744073709551616",
		  "invalid CELLOS_RUN_TIMEOUT_MS: \"18446744073709551616\"" },
		{ " a\"b ", "invalid CELLOS_RUN_TIMEOUT_MS: \" a\\\"b \"" },
	};
	struct spec s = { .ttl_seconds = 9 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct lifecycle_deadline d;
		struct err e;

		assert_int_equal(lifecycle_deadline(&s, rows[i][0], &d, &e),
				 -1);
		assert_string_equal(e.text, rows[i][1]);
	}
}

static void argv0(void **state)
{
	static const struct {
		const char *prefixes, *argv0;
		int want;
		const char *text;
	} rows[] = {
		{ NULL, "x", 0, NULL },
		{ "", "x", 0, NULL },
		{ " , ,", "x", 0, NULL },
		{ "/usr/bin", "/usr/bin/x", 0, NULL },
		{ "/usr/bin/", "/usr/bin/x", 0, NULL },
		{ "/a,/usr/bin///", "/usr/bin/x/y", 0, NULL },
		{ "\\usr\\bin\\", "\\usr\\bin\\x", 0, NULL },
		{ "/usr/bin/x", "/usr/bin/x", 0, NULL },
		{ "/", "/x", 0, NULL },
		{ "/usr/bin", "/usr/binx", -1,
		  "CELLOS_RUN_ARGV0_ALLOW_PREFIXES: spec.run.argv[0] "
		  "\"/usr/binx\" is not under an allowed prefix" },
		{ "/usr/bin", "x", -1,
		  "CELLOS_RUN_ARGV0_ALLOW_PREFIXES: spec.run.argv[0] \"x\" is "
		  "not an absolute path" },
		/* the text is under it, the file is not */
		{ "/usr/bin", "/usr/bin/../../x", -1,
		  "CELLOS_RUN_ARGV0_ALLOW_PREFIXES: spec.run.argv[0] "
		  "\"/usr/bin/../../x\" is not under an allowed prefix" },
		{ "/usr/bin", "/usr/bin/x/..", -1,
		  "CELLOS_RUN_ARGV0_ALLOW_PREFIXES: spec.run.argv[0] "
		  "\"/usr/bin/x/..\" is not under an allowed prefix" },
		{ "/usr/bin", "/usr/bin/a..b", 0, NULL },
		{ "usr", "usr/x", -1,
		  "CELLOS_RUN_ARGV0_ALLOW_PREFIXES: spec.run.argv[0] "
		  "\"usr/x\" is not an absolute path" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = { 0 };
		int r = lifecycle_argv0_check(rows[i].prefixes,
					      slice_of(rows[i].argv0), &e);

		assert_int_equal(r, rows[i].want);
		if (rows[i].text)
			assert_string_equal(e.text, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deadlines),
		cmocka_unit_test(bad_env),
		cmocka_unit_test(argv0),
	};

	return cmocka_run_group_tests_name("cli/lifecycle_rules", tests, NULL,
					   NULL);
}
