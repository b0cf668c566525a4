/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Filling, wrapping and printing of errors. */
#include "base/err.h"

#include <stdarg.h>
#include <string.h>

#include "base/names.h"
#include "base/utf8.h"

static const char *const prefix[] = {
	[ERR_PLAIN] = "",
	[ERR_SPEC] = "invalid cell specification: ",
	[ERR_HOST] = "host backend: ",
	[ERR_SINK] = "event sink: ",
	[ERR_BROKER] = "secret broker: ",
	[ERR_EXPORT] = "export sink: ",
	[ERR_LIFECYCLE] = "lifecycle: ",
};
_Static_assert(ARRAY_SIZE(prefix) == ERR_CLASS_NUM, "a prefix per class");

const char *err_class_prefix(enum err_class cls)
{
	return (unsigned)cls < ERR_CLASS_NUM ? prefix[cls] : "";
}

/* A cut inside a UTF-8 sequence would make the event that carries it invalid */
static void cut_at_char(char *s, size_t size)
{
	size_t n = strlen(s);
	size_t k;

	if (n + 1 < size)
		return;
	for (k = 1; k <= 4 && k <= n; k++) {
		unsigned char c = (unsigned char)s[n - k];

		if ((c & 0xc0) == 0x80)
			continue;
		if ((c >= 0xf0 && k < 4) || (c >= 0xe0 && c < 0xf0 && k < 3) ||
		    (c >= 0xc0 && c < 0xe0 && k < 2))
			s[n - k] = '\0';
		return;
	}
}

void err_os_text(int sys, char *buf, size_t size)
{
	const char *text = errno_text(sys);

	if (text)
		(void)snprintf(buf, size, "%s (os error %d)", text, sys);
	else
		(void)snprintf(buf, size, "Unknown error %d (os error %d)", sys,
			       sys);
}

int err_set(struct err *e, enum err_class cls, int sys, const char *fmt, ...)
{
	struct err ret = { .cls = cls, .sys = sys };
	size_t n;
	va_list ap;

	if (!e)
		return -1;
	n = (size_t)snprintf(ret.text, sizeof(ret.text), "%s",
			     err_class_prefix(cls));
	va_start(ap, fmt);
	(void)vsnprintf(ret.text + n, sizeof(ret.text) - n, fmt, ap);
	va_end(ap);
	n = strlen(ret.text);
	if (sys && n + 3 < sizeof(ret.text)) {
		memcpy(ret.text + n, ": ", 3);
		err_os_text(sys, ret.text + n + 2, sizeof(ret.text) - n - 2);
	}
	cut_at_char(ret.text, sizeof(ret.text));
	*e = ret;
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char old[sizeof(e->text) + sizeof(e->cause) + 2];
	va_list ap;

	if (!e)
		return -1;
	(void)snprintf(old, sizeof(old), "%s%s%s", e->text,
		       e->cause[0] ? ": " : "", e->cause);
	(void)snprintf(e->cause, sizeof(e->cause), "%s", old);
	cut_at_char(e->cause, sizeof(e->cause));
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	cut_at_char(e->text, sizeof(e->text));
	return -1;
}

int err_prefix(struct err *e, const char *words)
{
	char old[sizeof(e->text)];

	if (!e)
		return -1;
	(void)snprintf(old, sizeof(old), "%s", e->text);
	e->cls = ERR_PLAIN;
	(void)snprintf(e->text, sizeof(e->text), "%s%s", words, old);
	cut_at_char(e->text, sizeof(e->text));
	return -1;
}

void err_print(FILE *f, const struct err *e)
{
	(void)fputs("Error: ", f);
	utf8_print(f, e->text);
	if (e->cause[0]) {
		(void)fputs("\n\nCaused by:\n    ", f);
		utf8_print(f, e->cause);
	}
	(void)fputc('\n', f);
}
