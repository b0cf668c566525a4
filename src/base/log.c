/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One line per fact on stderr. */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

enum { LOG_WAIT_MS = 100 };

static enum log_level max_level = LOG_INFO;
static bool use_colour;

void log_init(enum log_level max, bool colour)
{
	max_level = max;
	use_colour = colour;
}

void log_line(enum log_level lvl, const char *target, const char *fmt, ...)
{
	static const struct {
		const char *word, *colour;
	} look[] = {
		[LOG_ERROR] = { "ERROR", "\033[31m" },
		[LOG_WARN] = { " WARN", "\033[33m" },
		[LOG_INFO] = { " INFO", "\033[32m" },
		[LOG_DEBUG] = { "DEBUG", "\033[34m" },
	};
	struct pollfd p = { STDERR_FILENO, POLLOUT, 0 };
	char line[2048], text[2048], when[CLOCK_TEXT_SIZE];
	size_t n, left, len;
	int saved = errno;
	const char *s;
	va_list ap;

	if (lvl > max_level)
		return;
	clock_text(when, clock_wall(), CLOCK_FORM_LOG);
	n = (size_t)snprintf(line, sizeof(line), "%s %s%s%s %s: ", when,
			     use_colour ? look[lvl].colour : "", look[lvl].word,
			     use_colour ? "\033[0m" : "", target);
	va_start(ap, fmt);
	left = (size_t)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (left >= sizeof(text))
		left = sizeof(text) - 1;
	for (s = text; left && n + UTF8_SHOWN < sizeof(line); s += len) {
		len = utf8_show(s, left, line + n);
		left -= len;
		n += strlen(line + n);
	}
	line[n++] = '\n';
	/* a terminal or pipe nobody reads must not stop a cell's deadline:
	 * then the line is lost */
	if (poll(&p, 1, LOG_WAIT_MS) != 1)
		n = 0;
	/* one write, so that lines of several processes do not mix */
	if (n && write(STDERR_FILENO, line, n) < 0) {
		/* nobody is left to tell */
	}
	errno = saved;
}

const char *log_quote(char *buf, size_t size, const char *s)
{
	size_t n = 0;

	if (size < 8)
		return "";
	buf[n++] = '"';
	for (; *s && n + 6 < size; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			buf[n++] = '\\';
			buf[n++] = (char)c;
		} else if (c < 0x20 || c == 0x7f) {
			n += (size_t)snprintf(buf + n, size - n, "\\x%02x", c);
		} else {
			buf[n++] = (char)c;
		}
	}
	buf[n++] = '"';
	buf[n] = '\0';
	return buf;
}
