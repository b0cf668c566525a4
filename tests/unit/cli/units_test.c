/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Unit test of cli/units: exact values, and every near miss refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/units.h"

struct row {
	const char *in;
	bool ok;
	uint64_t want;
};

static void run_rows(const struct row *rows, size_t n,
		     bool (*fn)(const char *, uint64_t *))
{
	for (size_t i = 0; i < n; i++) {
		uint64_t got = 77;
		bool ok = fn(rows[i].in, &got);

		if (ok != rows[i].ok || got != (ok ? rows[i].want : 77))
			fail_msg("\"%s\": %d, %llu", rows[i].in, ok,
				 (unsigned long long)got);
	}
}

static void durations(void **state)
{
	static const struct row rows[] = {
		{ "1", true, 1000 },
		{ "90s", true, 90000 },
		{ "10m", true, 600000 },
		{ "2h", true, 7200000 },
		{ "1d", true, 86400000 },
		{ "250ms", true, 250 },
		{ "18446744073709551ms", true, 18446744073709551ULL },
		{ "18446744073709551615ms", true, UINT64_MAX },
		{ "18446744073709551616ms", false, 0 },
		{ "18446744073709552s", false, 0 },
		{ "0", false, 0 },
		{ "0s", false, 0 },
		{ "", false, 0 },
		{ "s", false, 0 },
		{ "-1", false, 0 },
		{ "+1", false, 0 },
		{ " 1", false, 0 },
		{ "1 s", false, 0 },
		{ "1.5s", false, 0 },
		{ "1S", false, 0 },
		{ "1sec", false, 0 },
		{ "0x10", false, 0 },
	};

	(void)state;
	run_rows(rows, sizeof(rows) / sizeof(rows[0]), units_duration_ms);
}

static void sizes(void **state)
{
	static const struct row rows[] = {
		{ "4096", true, 4096 },
		{ "1K", true, 1024 },
		{ "512M", true, 536870912 },
		{ "512m", true, 536870912 },
		{ "2GiB", true, 2147483648ULL },
		{ "1T", true, 1099511627776ULL },
		{ "16777215T", true, 18446742974197923840ULL },
		{ "16777216T", false, 0 },
		{ "0M", false, 0 },
		{ "M", false, 0 },
		{ "1MB", false, 0 },
		{ "1.5G", false, 0 },
		{ "1P", false, 0 },
	};

	(void)state;
	run_rows(rows, sizeof(rows) / sizeof(rows[0]), units_bytes);
}

static void cpus(void **state)
{
	static const struct row rows[] = {
		{ "1", true, 100000 },	  { "1.5", true, 150000 },
		{ "0.25", true, 25000 },  { "0.01", true, 1000 },
		{ "0.00999", false, 0 },  { "1.00001", true, 100001 },
		{ "1.000001", false, 0 }, { "4096", true, 409600000 },
		{ "4096.1", false, 0 },	  { "4097", false, 0 },
		{ "0", false, 0 },	  { "1.", false, 0 },
		{ ".5", false, 0 },	  { "1,5", false, 0 },
		{ "-1", false, 0 },	  { "1e3", false, 0 },
		{ "", false, 0 },
	};

	(void)state;
	run_rows(rows, sizeof(rows) / sizeof(rows[0]), units_cpus);
}

static void counts(void **state)
{
	static const struct row rows[] = {
		{ "1", true, 1 },
		{ "007", true, 7 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "18446744073709551616", false, 0 },
		{ "0", false, 0 },
		{ "5k", false, 0 },
		{ "", false, 0 },
	};

	(void)state;
	run_rows(rows, sizeof(rows) / sizeof(rows[0]), units_count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations),
		cmocka_unit_test(sizes),
		cmocka_unit_test(cpus),
		cmocka_unit_test(counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
