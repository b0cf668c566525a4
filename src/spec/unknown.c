/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Pointers into the document, edit distance, and the list of the unknown. */
#include "spec/unknown.h"

#include <string.h>

#include "base/ascii.h"
#include "base/limits.h"
#include "wire/json_out.h"

enum { NAME_MAX_LEN = 40 }; /* the longest known name has 23 bytes */

/* Depth is bounded by the tables and by the place itself. */
static void put_place(struct wbuf *b, const struct place *at)
{
	if (!at)
		return;
	put_place(b, at->up);
	wbuf_byte(b, '/');
	if (!at->name.p) {
		wbuf_fmt(b, "%zu", at->index);
		return;
	}
	for (size_t i = 0; i < at->name.n; i++) {
		char c = at->name.p[i];

		if (c == '~')
			wbuf_str(b, "~0");
		else if (c == '/')
			wbuf_str(b, "~1");
		else
			wbuf_byte(b, c);
	}
}

const char *place_text(const struct place *at, char buf[TEXT_QUOTED])
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(2 * LIMIT_SPEC_FILE);

	if (!at)
		return text_bare(buf, SLICE_LIT("the top"));
	put_place(&b, at);
	return text_bare(buf, wbuf_as_slice(&b));
}

unsigned unknown_distance(struct slice name, const char *known)
{
	unsigned row[NAME_MAX_LEN + 1];
	size_t n = strlen(known);
	unsigned allowed = 1 + (unsigned)(n / 4);

	if (name.n > NAME_MAX_LEN || n > NAME_MAX_LEN)
		return UNKNOWN_FAR;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; i <= name.n; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			unsigned d = diagonal + (ascii_lower(name.p[i - 1]) !=
						 ascii_lower(known[j - 1]));

			diagonal = row[j];
			if (row[j] + 1 < d)
				d = row[j] + 1;
			if (row[j - 1] + 1 < d)
				d = row[j - 1] + 1;
			row[j] = d;
		}
	}
	/* a name with nothing in common is no misspelling */
	return row[n] > allowed || row[n] >= n ? UNKNOWN_FAR : row[n];
}

/* A C string, so that a NUL inside a name cannot hide its rest */
static char *pointer_dup(struct arena *a, const struct place *at)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(2 * LIMIT_SPEC_FILE);
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(16 * LIMIT_SPEC_FILE);

	put_place(&b, at);
	if (b.failed || !memchr(b.p, '\0', b.len))
		return b.failed ? NULL : arena_dup(a, b.p, b.len);
	json_text_string(&text, wbuf_as_slice(&b));
	return text.failed ? NULL : arena_dup(a, text.p + 1, text.len - 2);
}

int unknown_add(struct spec *s, const struct place *at, const char *nearest)
{
	char *pointer = pointer_dup(&s->arena, at);
	struct spec_unknown *u = s->unknown;

	if (!pointer)
		return -1;
	/* full at every power of two: double it */
	if ((s->n_unknown & (s->n_unknown - 1)) == 0) {
		size_t cap = s->n_unknown ? 2 * s->n_unknown : 1;

		u = arena_alloc(&s->arena, cap * sizeof(*u));
		if (!u)
			return -1;
		if (s->n_unknown)
			memcpy(u, s->unknown, s->n_unknown * sizeof(*u));
		s->unknown = u;
	}
	u[s->n_unknown++] = (struct spec_unknown){ pointer, nearest };
	return 0;
}
