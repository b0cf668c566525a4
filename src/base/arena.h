/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One-shot memory: everything a document or an event needs while it is looked
 * at, dropped at once. Bounded: @max is what the arena may take in all.
 */
#ifndef CELLOS_BASE_ARENA_H
#define CELLOS_BASE_ARENA_H

#include <stddef.h>

#include "base/attr.h"
#include "base/slice.h"

struct arena_block;
struct arena {
	struct arena_block *head;
	size_t used, max;
};

#define ARENA_INIT(limit) ((struct arena){ .max = (limit) })

/**
 * arena_alloc() - zeroed memory, aligned for any object
 *
 * Return: borrowed until arena_drop(); NULL past @max or without memory
 */
void *arena_alloc(struct arena *a, size_t n) MUST_USE;
/** arena_dup() - a NUL-terminated copy of @n bytes; NULL as arena_alloc() */
char *arena_dup(struct arena *a, const void *p, size_t n) MUST_USE;
/** arena_drop() - wipe and free everything; usable with OWNED() */
void arena_drop(struct arena *a);

#endif
