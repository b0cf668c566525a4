/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Operator log on stderr, one line per fact:
 *   2026-01-02T03:04:05.123456Z  INFO cellos.supervisor.profile: text k=v
 * Logs are for people; machines read the events. Values from outside go through
 * log_quote(), so that a reader sees where they end.
 */
#ifndef CELLOS_BASE_LOG_H
#define CELLOS_BASE_LOG_H

#include <stdbool.h>

#include "base/attr.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/**
 * log_init() - set threshold and colour once per process
 * @max:    records above it are dropped
 * @colour: ANSI on the level word
 */
void log_init(enum log_level max, bool colour);
/** log_line() - the text by utf8_show(); errno is kept */
void log_line(enum log_level lvl, const char *target, const char *fmt, ...)
	PRINTF(3, 4);
/**
 * log_quote() - "text" with control bytes escaped, cut to the buffer
 *
 * Return: @buf
 */
const char *log_quote(char *buf, size_t size, const char *s);

#endif
