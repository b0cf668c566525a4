/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Text of a manifest to values, and back. Pure. */
#include "image/manifest.h"

#include <string.h>

#include "base/ascii.h"

static const struct {
	const char *word, *file;
} roles[MANIFEST_ROLE_NUM] = {
#define X(name, word, file) [MANIFEST_##name] = { word, file },
	MANIFEST_ROLES(X)
#undef X
};

const char *manifest_role_word(enum manifest_role r)
{
	return roles[r].word;
}

const char *manifest_role_file(enum manifest_role r)
{
	return roles[r].file;
}

static struct slice next_field(struct slice *line)
{
	struct slice s;

	while (line->n && ascii_is_space(*line->p))
		line->p++, line->n--;
	s = (struct slice){ line->p, 0 };
	while (line->n && !ascii_is_space(*line->p))
		line->p++, line->n--, s.n++;
	return s;
}

static int get_digest(struct slice s, unsigned n, char ret[MANIFEST_HEX],
		      struct err *e)
{
	static const char prefix[] = "sha256:";
	const size_t skip = sizeof(prefix) - 1;

	if (s.n < skip || memcmp(s.p, prefix, skip) != 0)
		return err_set(e, ERR_PLAIN, 0,
			       "manifest line %u: digest field must start "
			       "with `sha256:`",
			       n);
	s.p += skip;
	s.n -= skip;
	for (size_t i = 0; i < s.n && i < MANIFEST_HEX - 1; i++) {
		ret[i] = ascii_lower(s.p[i]);
		if (ascii_hex(s.p[i]) < 0)
			s.n = 0; /* the same as too few */
	}
	if (s.n != MANIFEST_HEX - 1)
		return err_set(e, ERR_PLAIN, 0,
			       "manifest line %u: sha256 digest must be 64 hex "
			       "chars",
			       n);
	ret[s.n] = '\0';
	return 0;
}

static int get_line(struct slice line, unsigned n, struct manifest *m,
		    struct err *e)
{
	char digest[MANIFEST_HEX];
	struct slice f[3];

	for (size_t i = 0; i < 3; i++)
		f[i] = next_field(&line);
	if (!f[0].n || f[0].p[0] == '#')
		return 0;
	if (!f[2].n)
		return err_set(e, ERR_PLAIN, 0,
			       "manifest line %u: expected `sha256:<hex>  "
			       "<role>  <path>`, got: %.*s",
			       n, (int)(f[0].n > 200 ? 200 : f[0].n), f[0].p);
	if (next_field(&line).n)
		return err_set(e, ERR_PLAIN, 0,
			       "manifest line %u: unexpected trailing field "
			       "after path",
			       n);
	if (get_digest(f[0], n, digest, e))
		return -1;
	for (size_t i = 0; i < MANIFEST_ROLE_NUM; i++)
		if (slice_eq(f[1], slice_of(roles[i].word)) &&
		    !m->digest[i][0]) {
			memcpy(m->digest[i], digest, sizeof(digest));
			m->path[i] = f[2];
		}
	return 0;
}

int manifest_parse(struct slice text, const char *path, struct manifest *ret,
		   struct err *e)
{
	static const enum manifest_role needed[] = { MANIFEST_KERNEL,
						     MANIFEST_ROOTFS };

	*ret = (struct manifest){ 0 };
	for (unsigned n = 1; text.n; n++) {
		const char *end = memchr(text.p, '\n', text.n);
		size_t len = end ? (size_t)(end - text.p) : text.n;

		if (get_line((struct slice){ text.p, len }, n, ret, e))
			return -1;
		len += end != NULL;
		text.p += len;
		text.n -= len;
	}
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!ret->digest[needed[i]][0])
			return err_set(e, ERR_PLAIN, 0,
				       "manifest at %s is missing a `%s` role "
				       "entry",
				       path, roles[needed[i]].word);
	return 0;
}

void manifest_write(const struct manifest *m, const char *dir, struct wbuf *out)
{
	for (size_t i = 0; i < MANIFEST_ROLE_NUM; i++)
		if (m->digest[i][0])
			wbuf_fmt(out, "sha256:%s  %s  %s/%s\n", m->digest[i],
				 roles[i].word, dir, roles[i].file);
}
