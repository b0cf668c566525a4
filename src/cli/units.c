/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Words of the command line to numbers: durations, sizes, CPU shares. */
#include "cli/units.h"

#include <stddef.h>
#include <string.h>

#include "base/ascii.h"

struct unit {
	const char *word;
	uint64_t factor;
};

/* Returns what follows the digits, NULL if there are none or too many. */
static const char *take_number(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!ascii_is_digit(*s))
		return NULL;
	for (; ascii_is_digit(*s); s++) {
		uint64_t d = (uint64_t)(*s - '0');

		if (v > (UINT64_MAX - d) / 10)
			return NULL;
		v = v * 10 + d;
	}
	*ret = v;
	return s;
}

static bool scaled(const char *s, const struct unit *units, size_t n,
		   uint64_t *ret)
{
	uint64_t v;
	const char *rest = take_number(s, &v);

	if (!rest || !v)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(rest, units[i].word) != 0)
			continue;
		if (v > UINT64_MAX / units[i].factor)
			return false;
		*ret = v * units[i].factor;
		return true;
	}
	return false;
}

bool units_count(const char *s, uint64_t *ret)
{
	static const struct unit none[] = { { "", 1 } };

	return scaled(s, none, ARRAY_SIZE(none), ret);
}

bool units_duration_ms(const char *s, uint64_t *ret_ms)
{
	static const struct unit words[] = {
		{ "", 1000 },	{ "ms", 1 },	  { "s", 1000 },
		{ "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
	};

	return scaled(s, words, ARRAY_SIZE(words), ret_ms);
}

bool units_bytes(const char *s, uint64_t *ret)
{
	static const uint64_t k = 1024;
	const struct unit words[] = {
		{ "", 1 },
		{ "K", k },
		{ "k", k },
		{ "KiB", k },
		{ "M", k * k },
		{ "m", k * k },
		{ "MiB", k * k },
		{ "G", k * k * k },
		{ "g", k * k * k },
		{ "GiB", k * k * k },
		{ "T", k * k * k * k },
		{ "t", k * k * k * k },
		{ "TiB", k * k * k * k },
	};

	return scaled(s, words, ARRAY_SIZE(words), ret);
}

bool units_cpus(const char *s, uint64_t *ret_quota_us)
{
	uint64_t whole, part = 0, unit = UNITS_CPU_PERIOD_US;
	const char *rest = take_number(s, &whole);

	if (!rest || whole > 4096)
		return false;
	if (*rest == '.') {
		rest++;
		if (!ascii_is_digit(*rest))
			return false;
		/* finer than a microsecond of quota there is nothing */
		for (; ascii_is_digit(*rest) && unit > 1; rest++) {
			unit /= 10;
			part += (uint64_t)(*rest - '0') * unit;
		}
	}
	if (*rest)
		return false;
	whole = whole * UNITS_CPU_PERIOD_US + part;
	if (whole < 1000 || whole > 4096ULL * UNITS_CPU_PERIOD_US)
		return false;
	*ret_quota_us = whole;
	return true;
}
