/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bump allocator over a list of blocks. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16 * 1024 };

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	alignas(max_align_t) char mem[];
};

void *arena_alloc(struct arena *a, size_t n)
{
	const size_t al = alignof(max_align_t);
	struct arena_block *b = a->head;
	size_t size;
	void *p;

	if (n > a->max - a->used)
		return NULL;
	n = (n + al - 1) / al * al;
	if (!b || b->size - b->used < n) {
		size = n > BLOCK ? n : BLOCK;
		b = calloc(1, sizeof(*b) + size);
		if (!b)
			return NULL;
		b->size = size;
		b->next = a->head;
		a->head = b;
	}
	p = b->mem + b->used;
	b->used += n;
	a->used = a->max - a->used < n ? a->max : a->used + n;
	return p;
}

char *arena_dup(struct arena *a, const void *p, size_t n)
{
	char *s = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;

	if (s && n)
		memcpy(s, p, n);
	return s;
}

void arena_drop(struct arena *a)
{
	struct arena_block *b = a->head, *next;

	for (; b; b = next) {
		next = b->next;
		explicit_bzero(b->mem, b->used);
		free(b);
	}
	*a = (struct arena){ .max = a->max };
}
