/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The texts of a point in time, to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/clock.h"

static void forms(void **state)
{
	/* 2026-01-02T03:04:05Z, a leap day, the epoch, year 2100 */
	static const struct {
		time_t sec;
		long nsec;
		enum clock_form form;
		const char *text;
	} rows[] = {
		{ 1767323045, 0, CLOCK_FORM_A, "2026-01-02T03:04:05+00:00" },
		{ 1767323045, 120000000, CLOCK_FORM_A,
		  "2026-01-02T03:04:05.120+00:00" },
		{ 1767323045, 1000000, CLOCK_FORM_A,
		  "2026-01-02T03:04:05.001+00:00" },
		{ 1767323045, 123456000, CLOCK_FORM_A,
		  "2026-01-02T03:04:05.123456+00:00" },
		{ 1767323045, 123450000, CLOCK_FORM_A,
		  "2026-01-02T03:04:05.123450+00:00" },
		{ 1767323045, 1000, CLOCK_FORM_A,
		  "2026-01-02T03:04:05.000001+00:00" },
		{ 1767323045, 123456789, CLOCK_FORM_A,
		  "2026-01-02T03:04:05.123456789+00:00" },
		{ 1767323045, 1, CLOCK_FORM_A,
		  "2026-01-02T03:04:05.000000001+00:00" },
		{ 1767323045, 999999999, CLOCK_FORM_B,
		  "2026-01-02T03:04:05.999Z" },
		{ 1767323045, 0, CLOCK_FORM_B, "2026-01-02T03:04:05.000Z" },
		{ 1767323045, 999999999, CLOCK_FORM_C, "2026-01-02T03:04:05Z" },
		{ 1767323045, 999999999, CLOCK_FORM_D,
		  "2026-01-02T03:04:05+00:00" },
		{ 1767323045, 123456789, CLOCK_FORM_LOG,
		  "2026-01-02T03:04:05.123456Z" },
		{ 1709164800, 0, CLOCK_FORM_C, "2024-02-29T00:00:00Z" },
		{ 0, 0, CLOCK_FORM_C, "1970-01-01T00:00:00Z" },
		{ 4102444800, 0, CLOCK_FORM_C, "2100-01-01T00:00:00Z" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char buf[CLOCK_TEXT_SIZE];

		clock_text(buf, (struct timespec){ rows[i].sec, rows[i].nsec },
			   rows[i].form);
		assert_string_equal(buf, rows[i].text);
	}
}

static void monotonic(void **state)
{
	uint64_t before = clock_mono_ns();

	(void)state;
	assert_true(before > 0);
	assert_true(clock_mono_ns() >= before);
	assert_true(clock_wall().tv_sec > 1700000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(monotonic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
