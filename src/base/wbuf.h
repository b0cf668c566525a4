/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A growing byte buffer with a hard maximum. Writes never fail one by one:
 * the first that does not fit sets @failed and all later ones are no-ops, so
 * a caller checks once, before it uses the bytes.
 */
#ifndef CELLOS_BASE_WBUF_H
#define CELLOS_BASE_WBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/slice.h"

struct wbuf {
	char *p; /* owned; not NUL-terminated unless wbuf_cstr() */
	size_t len, cap;
	size_t max;  /* never grows past this many bytes */
	bool failed; /* something did not fit or malloc failed */
};

#define WBUF_INIT(limit) ((struct wbuf){ .max = (limit) })

/** wbuf_drop() - wipe and free; usable with OWNED() */
void wbuf_drop(struct wbuf *b);
/** wbuf_reset() - forget the content (wiped), keep the memory */
void wbuf_reset(struct wbuf *b);
/**
 * wbuf_extend() - @n bytes more, which the caller fills at once
 *
 * Return: where they are, borrowed until the next write; NULL if they do not
 * fit, and @b has failed
 */
char *wbuf_extend(struct wbuf *b, size_t n) MUST_USE;
void wbuf_put(struct wbuf *b, const void *p, size_t n);
void wbuf_byte(struct wbuf *b, char c);
void wbuf_str(struct wbuf *b, const char *s);
void wbuf_slice(struct wbuf *b, struct slice s);
void wbuf_fmt(struct wbuf *b, const char *fmt, ...) PRINTF(2, 3);
/**
 * wbuf_cstr() - the content as a C string
 *
 * Return: borrowed until the next write; "" if the buffer failed or is empty
 */
const char *wbuf_cstr(struct wbuf *b);

static inline struct slice wbuf_as_slice(const struct wbuf *b)
{
	return (struct slice){ b->p, b->len };
}

#endif
