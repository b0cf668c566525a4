/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Clocks and their texts. */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

struct timespec clock_wall(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return t;
}

uint64_t clock_wall_ms(void)
{
	struct timespec t = clock_wall();

	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t clock_mono_ns(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void clock_text(char *buf, struct timespec t, enum clock_form form)
{
	char frac[32] = "";
	const char *zone = "Z";
	struct tm tm;

	(void)gmtime_r(&t.tv_sec, &tm);
	switch (form) {
	case CLOCK_FORM_A:
		zone = "+00:00";
		if (t.tv_nsec % 1000)
			(void)snprintf(frac, sizeof(frac), ".%09ld", t.tv_nsec);
		else if (t.tv_nsec % 1000000)
			(void)snprintf(frac, sizeof(frac), ".%06ld",
				       t.tv_nsec / 1000);
		else if (t.tv_nsec)
			(void)snprintf(frac, sizeof(frac), ".%03ld",
				       t.tv_nsec / 1000000);
		break;
	case CLOCK_FORM_B:
		(void)snprintf(frac, sizeof(frac), ".%03ld",
			       t.tv_nsec / 1000000);
		break;
	case CLOCK_FORM_C:
		break;
	case CLOCK_FORM_D:
		zone = "+00:00";
		break;
	case CLOCK_FORM_LOG:
		(void)snprintf(frac, sizeof(frac), ".%06ld", t.tv_nsec / 1000);
		break;
	}
	/* strftime(3) would read the local time zone for a UTC text */
	(void)snprintf(buf, CLOCK_TEXT_SIZE,
		       "%04d-%02d-%02dT%02d:%02d:%02d%s%s",
		       (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday,
		       tm.tm_hour, tm.tm_min, tm.tm_sec, frac, zone);
}
