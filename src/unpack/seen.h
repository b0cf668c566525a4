/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a layer itself has put in place: a whiteout is of the layers below only,
 * wherever in the archive it stands. A set of names in directories, as digests
 * of 128 bits by a key of this process, so that nobody can make two alike.
 */
#ifndef CELLOS_UNPACK_SEEN_H
#define CELLOS_UNPACK_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct seen_digest {
	uint64_t v[2]; /* both 0: a free place */
};

struct seen {
	struct seen_digest *table; /* owned */
	size_t n, size;		   /* a power of two, or 0 */
	uint8_t key[16];
};

/** seen_init() - empty, with a fresh key */
void seen_init(struct seen *s);
/** seen_drop() - free; usable with OWNED() */
void seen_drop(struct seen *s);
/** seen_forget() - empty it for the next layer */
void seen_forget(struct seen *s);
/** seen_add() - @name in the directory with this inode; 0 or -ENOMEM */
int seen_add(struct seen *s, uint64_t dir, const char *name) MUST_USE;
bool seen_has(const struct seen *s, uint64_t dir, const char *name);

#endif
