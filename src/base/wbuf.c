/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Growing buffer with a maximum and a sticky failure. */
#include "base/wbuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void wbuf_drop(struct wbuf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	free(b->p);
	*b = (struct wbuf){ .max = b->max };
}

void wbuf_reset(struct wbuf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->len);
	b->len = 0;
	b->failed = false;
}

/* Room for @n more and a NUL. Old memory is wiped: it may hold a secret. */
static bool reserve(struct wbuf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 256;
	char *p;

	if (b->failed || n > b->max - b->len) {
		b->failed = true;
		return false;
	}
	if (b->cap - b->len > n)
		return true;
	while (cap - b->len <= n)
		cap *= 2;
	p = malloc(cap);
	if (!p) {
		b->failed = true;
		return false;
	}
	if (b->p) {
		memcpy(p, b->p, b->len);
		explicit_bzero(b->p, b->cap);
		free(b->p);
	}
	b->p = p;
	b->cap = cap;
	return true;
}

char *wbuf_extend(struct wbuf *b, size_t n)
{
	if (!reserve(b, n))
		return NULL;
	b->len += n;
	return b->p + b->len - n;
}

void wbuf_put(struct wbuf *b, const void *p, size_t n)
{
	char *to = n ? wbuf_extend(b, n) : NULL;

	if (to)
		memcpy(to, p, n);
}

void wbuf_byte(struct wbuf *b, char c)
{
	char *to = wbuf_extend(b, 1);

	if (to)
		*to = c;
}

void wbuf_str(struct wbuf *b, const char *s)
{
	wbuf_put(b, s, strlen(s));
}

void wbuf_slice(struct wbuf *b, struct slice s)
{
	wbuf_put(b, s.p, s.n);
}

void wbuf_fmt(struct wbuf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !reserve(b, (size_t)n)) {
		b->failed = true;
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(b->p + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

const char *wbuf_cstr(struct wbuf *b)
{
	if (b->failed || !reserve(b, 0))
		return "";
	b->p[b->len] = '\0';
	return b->p;
}
