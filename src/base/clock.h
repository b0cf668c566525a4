/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Wall clock, monotonic clock, and the four time texts of the events. */
#ifndef CELLOS_BASE_CLOCK_H
#define CELLOS_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

enum { CLOCK_TEXT_SIZE = 40 };

enum clock_form {
	CLOCK_FORM_A,  /* 2026-01-02T03:04:05.123456789+00:00, 0/3/6/9 digits */
	CLOCK_FORM_B,  /* 2026-01-02T03:04:05.123Z */
	CLOCK_FORM_C,  /* 2026-01-02T03:04:05Z */
	CLOCK_FORM_D,  /* 2026-01-02T03:04:05+00:00 */
	CLOCK_FORM_LOG /* 2026-01-02T03:04:05.123456Z */
};

/** clock_wall() - CLOCK_REALTIME */
struct timespec clock_wall(void);
/** clock_wall_ms() - the same in milliseconds since 1970 */
uint64_t clock_wall_ms(void);
/** clock_mono_ns() - CLOCK_MONOTONIC in nanoseconds */
uint64_t clock_mono_ns(void);
/**
 * clock_text() - RFC 3339 in UTC
 * @buf: at least CLOCK_TEXT_SIZE bytes
 */
void clock_text(char *buf, struct timespec t, enum clock_form form);

#endif
