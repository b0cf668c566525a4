/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Declared mounts: the shape at parsing, the meaning at checking. */
#include "spec/mounts.h"

#include "base/limits.h"
#include "spec/text.h"
#include "spec/unknown.h"

static const struct place at_spec = { .name = { "spec", 4 } };
static const struct place at_authority = { .up = &at_spec,
					   .name = { "authority", 9 } };
static const struct place at_filesystem = { .up = &at_authority,
					    .name = { "filesystem", 10 } };
static const struct place at_mounts = { .up = &at_filesystem,
					.name = { "mounts", 6 } };

static const char *near_one(struct slice name, const char *a, const char *b)
{
	unsigned da = unknown_distance(name, a), db = unknown_distance(name, b);

	if (da == UNKNOWN_FAR && db == UNKNOWN_FAR)
		return NULL;
	return da <= db ? a : b;
}

/* One of mounts[]: exactly path and mode, both strings */
static int scan_mount(struct spec *s, const struct json *v, size_t index,
		      struct spec_mount *ret_m)
{
	struct place item = { .up = &at_mounts, .index = index };
	const struct json *path = json_get(v, "path");
	const struct json *mode = json_get(v, "mode");

	if (!path || !mode || path->type != JSON_STRING ||
	    mode->type != JSON_STRING)
		return unknown_add(s, &item, NULL);
	for (const struct json *k = v->v.kids.first; k; k = k->next) {
		struct place at = { .up = &item, .name = k->name };

		if (k->is_dup || slice_is(k->name, "path") ||
		    slice_is(k->name, "mode"))
			continue;
		if (unknown_add(s, &at, near_one(k->name, "path", "mode")))
			return -1;
	}
	ret_m->path = path->v.s;
	ret_m->mode = slice_is(mode->v.s, "rw") ? SPEC_MOUNT_RW : SPEC_MOUNT_RO;
	return 0;
}

static int scan_mounts(struct spec *s, const struct json *v)
{
	size_t before = s->n_unknown, i = 0;
	struct spec_mount *m;

	if (v->type != JSON_ARRAY)
		return unknown_add(s, &at_mounts, NULL);
	m = arena_alloc(&s->arena,
			v->v.kids.count ? v->v.kids.count * sizeof(*m) : 1);
	if (!m)
		return -1;
	for (const struct json *k = v->v.kids.first; k; k = k->next, i++)
		if (scan_mount(s, k, i, &m[i]))
			return -1;
	if (s->n_unknown == before) {
		s->authority.mounts = m;
		s->authority.n_mounts = i;
	}
	return 0;
}

int mounts_derive(struct spec *s)
{
	const struct json *fs = s->authority.filesystem;
	const struct json *mounts;
	size_t before = s->n_unknown;

	if (!fs)
		return 0;
	if (fs->type != JSON_OBJECT)
		return unknown_add(s, &at_filesystem, NULL);
	for (const struct json *k = fs->v.kids.first; k; k = k->next) {
		struct place at = { .up = &at_filesystem, .name = k->name };

		if (k->is_dup || slice_is(k->name, "mounts"))
			continue;
		if (unknown_add(s, &at, near_one(k->name, "mounts", "mounts")))
			return -1;
	}
	mounts = json_get(fs, "mounts");
	if (mounts && scan_mounts(s, mounts))
		return -1;
	if (s->n_unknown != before) {
		s->authority.mounts = NULL;
		s->authority.n_mounts = 0;
	}
	return 0;
}

/* Absolute, no empty, "." or ".." component, no slash at the end, no NUL */
static bool is_normal(struct slice p)
{
	size_t from = 1;

	if (p.n < 2 || p.p[0] != '/' || memchr(p.p, '\0', p.n))
		return false;
	for (size_t i = 1; i <= p.n; i++) {
		size_t n = i - from;

		if (i < p.n && p.p[i] != '/')
			continue;
		if (n == 0 || (n == 1 && p.p[from] == '.') ||
		    (n == 2 && p.p[from] == '.' && p.p[from + 1] == '.'))
			return false;
		from = i + 1;
	}
	return true;
}

static bool is_under(struct slice p, const char *dir)
{
	size_t n = strlen(dir);

	return p.n >= n && memcmp(p.p, dir, n) == 0 &&
	       (p.n == n || p.p[n] == '/');
}

static const char *path_fault(const struct spec_authority *a, size_t i)
{
	static const char *const ours[] = { "/proc", "/sys", "/dev" };
	struct slice path = a->mounts[i].path;

	if (slice_is(path, "/"))
		return "must not be the root directory";
	if (!is_normal(path))
		return "must be absolute, without empty, \".\" or \"..\" parts";
	for (size_t k = 0; k < ARRAY_SIZE(ours); k++)
		if (is_under(path, ours[k]))
			return "must not lie under /proc, /sys or /dev";
	for (size_t k = 0; k < i; k++)
		if (slice_eq(path, a->mounts[k].path))
			return "is declared twice";
	return NULL;
}

int mounts_check(const struct spec *s, struct err *e)
{
	const struct spec_authority *a = &s->authority;
	const struct json *list, *v;
	char q[TEXT_QUOTED];

	if (a->n_mounts > LIMIT_MOUNTS)
		return err_set(e, ERR_SPEC, 0,
			       "authority.filesystem.mounts has %zu entries; "
			       "at most %d are allowed "
			       "(at /spec/authority/filesystem/mounts)",
			       a->n_mounts, LIMIT_MOUNTS);
	list = a->n_mounts ? json_get(a->filesystem, "mounts") : NULL;
	v = list ? list->v.kids.first : NULL;
	for (size_t i = 0; i < a->n_mounts && v; i++, v = v->next) {
		const char *fault = path_fault(a, i);
		const struct json *mode = json_get(v, "mode");

		if (fault)
			return err_set(e, ERR_SPEC, 0,
				       "authority.filesystem.mounts[].path %s "
				       "%s (at /spec/authority/filesystem/"
				       "mounts/%zu/path)",
				       text_quote(q, a->mounts[i].path), fault,
				       i);
		if (!slice_is(mode->v.s, "ro") && !slice_is(mode->v.s, "rw"))
			return err_set(e, ERR_SPEC, 0,
				       "authority.filesystem.mounts[].mode %s "
				       "must be \"ro\" or \"rw\" (at /spec/"
				       "authority/filesystem/mounts/%zu/mode)",
				       text_quote(q, mode->v.s), i);
	}
	return 0;
}
