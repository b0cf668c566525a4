/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Writing and reading cpio "newc". Pure. */
#include "wire/cpio.h"

#include <limits.h>
#include <string.h>

#include "base/ascii.h"

enum {
	FIELDS = 13,
	MAGIC = 6,
	DIGITS = 8,
	/* their order: ino mode uid gid nlink mtime filesize, four numbers of
	 * devices, namesize, check */
	AT_INO = 0,
	AT_MODE = 1,
	AT_LINKS = 4,
	AT_MTIME = 5,
	AT_SIZE = 6,
	AT_NAME = 11,
	AT_CHECK = 12
};

static const char magic[] = "070701";

static void pad(struct wbuf *out)
{
	while (!out->failed && out->len % CPIO_ALIGN)
		wbuf_byte(out, '\0');
}

void cpio_head(struct wbuf *out, const struct cpio_entry *e, const char *name)
{
	uint32_t field[FIELDS] = { 0 };

	/* it only has to be another for each */
	field[AT_INO] = (uint32_t)out->len + 1;
	field[AT_MODE] = e->mode;
	field[AT_LINKS] = 1;
	field[AT_MTIME] = e->mtime;
	field[AT_SIZE] = e->size;
	field[AT_NAME] = (uint32_t)strlen(name) + 1;
	field[AT_CHECK] = e->check;
	wbuf_str(out, magic);
	for (size_t i = 0; i < FIELDS; i++)
		wbuf_fmt(out, "%08X", field[i]);
	wbuf_put(out, name, strlen(name) + 1);
	pad(out);
}

void cpio_put(struct wbuf *out, const char *name, uint32_t mode, const void *p,
	      size_t n)
{
	const struct cpio_entry e = { .mode = mode, .size = (uint32_t)n };

	if (n > UINT32_MAX) {
		out->failed = true;
		return;
	}
	cpio_head(out, &e, name);
	wbuf_put(out, p, n);
	pad(out);
}

void cpio_end(struct wbuf *out)
{
	cpio_put(out, CPIO_LAST, 0, "", 0);
}

static bool get_field(const char *p, uint32_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < DIGITS; i++) {
		int v = ascii_hex(p[i]);

		if (v < 0)
			return false;
		*ret = *ret << 4 | (uint32_t)v;
	}
	return true;
}

bool cpio_get(const char p[CPIO_HEADER], struct cpio_entry *ret)
{
	uint32_t field[FIELDS];

	if (memcmp(p, magic, MAGIC) != 0)
		return false;
	for (size_t i = 0; i < FIELDS; i++)
		if (!get_field(p + MAGIC + i * DIGITS, &field[i]))
			return false;
	*ret = (struct cpio_entry){ .mode = field[AT_MODE],
				    .mtime = field[AT_MTIME],
				    .size = field[AT_SIZE],
				    .name = field[AT_NAME],
				    .check = field[AT_CHECK] };
	return ret->name > 1 && ret->name <= PATH_MAX;
}

/* The next part of a path; n = 0 at its end */
static struct slice next_part(const char **p)
{
	struct slice s;

	s.p = *p;
	s.n = strcspn(*p, "/");
	*p += s.n + ((*p)[s.n] == '/');
	return s;
}

bool cpio_name_is_beneath(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= PATH_MAX || name[len - 1] == '/')
		return false;
	for (const char *p = name; *p;) {
		struct slice s = next_part(&p);

		if (!s.n || slice_is(s, ".") || slice_is(s, ".."))
			return false;
	}
	return true;
}

/* Upwards only at its front: a part before could be a link itself. */
bool cpio_link_is_beneath(const char *name, const char *target)
{
	size_t depth = 0;
	bool is_down = false;

	if (!target[0] || target[0] == '/')
		return false;
	for (const char *p = name; *p; p++)
		depth += *p == '/';
	for (const char *p = target; *p;) {
		struct slice s = next_part(&p);

		if (slice_is(s, "..")) {
			if (is_down || !depth)
				return false;
			depth--;
		} else if (s.n && !slice_is(s, ".")) {
			is_down = true;
		}
	}
	return true;
}
