/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Reading a message from its front: each call takes what it returns off the
 * cursor, or takes nothing and says so. Lengths are compared by what is left,
 * never by adding to a pointer.
 */
#ifndef CELLOS_BASE_CURSOR_H
#define CELLOS_BASE_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/** cursor_take() - the next @n bytes; false if there are not as many */
static inline bool cursor_take(struct slice *c, size_t n, struct slice *ret)
{
	if (c->n < n)
		return false;
	*ret = (struct slice){ c->p, n };
	c->p += n;
	c->n -= n;
	return true;
}

/** cursor_uint() - @n bytes, 4 at most, big-endian; false as above */
static inline bool cursor_uint(struct slice *c, size_t n, uint32_t *ret)
{
	struct slice s;

	if (!cursor_take(c, n, &s))
		return false;
	*ret = 0;
	for (size_t i = 0; i < n; i++)
		*ret = *ret << 8 | (uint8_t)s.p[i];
	return true;
}

/** cursor_vector() - a length of @n bytes and as many bytes as it says */
static inline bool cursor_vector(struct slice *c, size_t n, struct slice *ret)
{
	struct slice was = *c;
	uint32_t len;

	if (cursor_uint(c, n, &len) && cursor_take(c, len, ret))
		return true;
	*c = was;
	return false;
}

#endif
