/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Any bytes as the name of an entry: no way out, and within its limits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "unpack/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_part(const char *s, size_t n)
{
	if (n == 0 || n > NAME_MAX || (n == 1 && s[0] == '.') ||
	    (n == 2 && !memcmp(s, "..", 2)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct entry_name n;
	size_t depth = 1, len;
	const char *why;

	if (name_parse((struct slice){ (const char *)data, size }, &n, &why))
		return 0;
	for (const char *p = n.dir; *p; p += len + (p[len] == '/'), depth++) {
		len = strcspn(p, "/");
		check_part(p, len);
		if (len >= 4 && !memcmp(p, ".wh.", 4))
			abort();
		if (p[len] == '/' && !p[len + 1])
			abort();
	}
	if (depth > NAME_DEPTH_MAX || strlen(n.dir) >= NAME_PATH_MAX ||
	    strchr(n.name, '/'))
		abort();
	if (n.kind == NAME_ROOT ? n.dir[0] || n.name[0] : !n.name[0])
		abort();
	if (n.kind == NAME_PLAIN || n.kind == NAME_WHITEOUT)
		check_part(n.name, strlen(n.name));
	if (n.kind == NAME_PLAIN && !strncmp(n.name, ".wh.", 4))
		abort();
	return 0;
}
