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
	size_t n;

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
	n = strftime(buf, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(buf + n, CLOCK_TEXT_SIZE - n, "%s%s", frac, zone);
}
