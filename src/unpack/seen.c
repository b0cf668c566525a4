/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "unpack/seen.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct seen_digest) == crypto_shorthash_siphashx24_BYTES,
	       "128 bits");
_Static_assert(crypto_shorthash_siphashx24_KEYBYTES == 16, "the key");

enum { FIRST_SIZE = 1024 };

void seen_init(struct seen *s)
{
	*s = (struct seen){ 0 };
	randombytes_buf(s->key, sizeof(s->key));
}

void seen_drop(struct seen *s)
{
	free(s->table);
	*s = (struct seen){ 0 };
}

void seen_forget(struct seen *s)
{
	if (s->size)
		memset(s->table, 0, s->size * sizeof(s->table[0]));
	s->n = 0;
}

static struct seen_digest digest_of(const struct seen *s, uint64_t dir,
				    const char *name)
{
	unsigned char in[sizeof(dir) + NAME_MAX + 1];
	size_t n = strnlen(name, NAME_MAX);
	struct seen_digest d;

	memcpy(in, &dir, sizeof(dir));
	memcpy(in + sizeof(dir), name, n);
	(void)crypto_shorthash_siphashx24((unsigned char *)&d, in,
					  sizeof(dir) + n, s->key);
	if (!d.v[0] && !d.v[1])
		d.v[1] = 1;
	return d;
}

/* Its place, or the free one where it would be; there always is a free one. */
static struct seen_digest *find(const struct seen *s, struct seen_digest d)
{
	for (size_t i = (size_t)d.v[0] & (s->size - 1);;
	     i = (i + 1) & (s->size - 1)) {
		struct seen_digest *t = &s->table[i];

		if ((!t->v[0] && !t->v[1]) ||
		    (t->v[0] == d.v[0] && t->v[1] == d.v[1]))
			return t;
	}
}

static int grow(struct seen *s)
{
	struct seen bigger = { .size = s->size ? s->size * 2 : FIRST_SIZE };

	bigger.table = calloc(bigger.size, sizeof(bigger.table[0]));
	if (!bigger.table)
		return -ENOMEM;
	for (size_t i = 0; i < s->size; i++)
		if (s->table[i].v[0] || s->table[i].v[1])
			*find(&bigger, s->table[i]) = s->table[i];
	free(s->table);
	s->table = bigger.table;
	s->size = bigger.size;
	return 0;
}

int seen_add(struct seen *s, uint64_t dir, const char *name)
{
	struct seen_digest d = digest_of(s, dir, name), *t;
	int r = s->n >= s->size / 2 ? grow(s) : 0;

	if (r)
		return r;
	t = find(s, d);
	s->n += !t->v[0] && !t->v[1];
	*t = d;
	return 0;
}

bool seen_has(const struct seen *s, uint64_t dir, const char *name)
{
	struct seen_digest d = digest_of(s, dir, name);
	const struct seen_digest *t = s->size ? find(s, d) : NULL;

	return t && (t->v[0] || t->v[1]);
}
