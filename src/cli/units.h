/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Words of the command line to numbers: durations, sizes, CPU shares. */
#ifndef CELLOS_CLI_UNITS_H
#define CELLOS_CLI_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

/* One CPU of quota in this period, the kernel's own default. */
enum { UNITS_CPU_PERIOD_US = 100000 };

/*
 * All of them: the whole word must be used up, nothing may overflow, no sign,
 * no white space. False leaves the output untouched.
 */
/** units_count() - a decimal number of at least 1 */
bool units_count(const char *s, uint64_t *ret) MUST_USE;
/** units_duration_ms() - "90", "90s", "10m", "2h", "1d", "250ms"; at least 1 */
bool units_duration_ms(const char *s, uint64_t *ret_ms) MUST_USE;
/** units_bytes() - "4096", "512K", "512M", "2G", "1T", also "KiB"...; of 1024;
 *  at least 1 */
bool units_bytes(const char *s, uint64_t *ret) MUST_USE;
/** units_cpus() - "2", "1.5", "0.25" to microseconds of quota in
 *  UNITS_CPU_PERIOD_US; 0.01 (the kernel's smallest quota) to 4096 */
bool units_cpus(const char *s, uint64_t *ret_quota_us) MUST_USE;

#endif
