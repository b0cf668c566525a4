/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "unpack/name.h"

#include <string.h>

#define WHITEOUT ".wh."
#define OPAQUE	 ".wh..wh..opq"
#define AUFS	 ".wh..wh."

static bool starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* The next component, its slashes taken off; n = 0 at the end */
static struct slice next_part(struct slice *path)
{
	struct slice s;

	while (path->n && *path->p == '/')
		path->p++, path->n--;
	s = (struct slice){ path->p, 0 };
	while (path->n && *path->p != '/')
		path->p++, path->n--, s.n++;
	return s;
}

/* What was the last component belongs to the directory if one follows. */
static int descend(struct entry_name *n, size_t *len, const char **why)
{
	size_t part = strlen(n->name);

	if (starts(n->name, WHITEOUT)) {
		*why = "a whiteout (.wh.) is no directory";
		return -1;
	}
	if (*len)
		n->dir[(*len)++] = '/';
	memcpy(n->dir + *len, n->name, part + 1);
	*len += part;
	return 0;
}

static int classify(struct entry_name *n, const char **why)
{
	const char *rest = n->name + sizeof(WHITEOUT) - 1;

	n->kind = NAME_PLAIN;
	if (!starts(n->name, WHITEOUT))
		return 0;
	if (!strcmp(n->name, OPAQUE)) {
		n->kind = NAME_OPAQUE;
		return 0;
	}
	if (starts(n->name, AUFS)) {
		n->kind = NAME_IGNORED;
		return 0;
	}
	if (!*rest || !strcmp(rest, ".") || !strcmp(rest, "..")) {
		*why = "a whiteout of nothing, of \".\" or of \"..\"";
		return -1;
	}
	n->kind = NAME_WHITEOUT;
	memmove(n->name, rest, strlen(rest) + 1);
	return 0;
}

int name_parse(struct slice path, struct entry_name *ret, const char **why)
{
	size_t len = 0, depth = 0;
	struct slice part;

	ret->kind = NAME_ROOT;
	ret->dir[0] = ret->name[0] = '\0';
	if (path.n >= NAME_PATH_MAX ||
	    (path.n && memchr(path.p, '\0', path.n))) {
		*why = "a path of 2048 bytes or more, or with a NUL";
		return -1;
	}
	while ((part = next_part(&path)).n) {
		if (slice_is(part, "."))
			continue;
		if (slice_is(part, "..")) {
			*why = "\"..\" in a path";
			return -1;
		}
		if (part.n > NAME_MAX || ++depth > NAME_DEPTH_MAX) {
			*why = "a name of more than 255 bytes, or more than "
			       "128 directories in each other";
			return -1;
		}
		if (ret->name[0] && descend(ret, &len, why))
			return -1;
		memcpy(ret->name, part.p, part.n);
		ret->name[part.n] = '\0';
	}
	return ret->name[0] ? classify(ret, why) : 0;
}
