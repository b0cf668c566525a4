/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Paths that may not exist yet. */
#include "base/path.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Components of @tail behind @buf, none of them there. */
static int append(char buf[PATH_MAX], const char *tail)
{
	size_t at = strlen(buf), n;

	if (at == 1)
		at = 0; /* the root */
	for (;; tail += n) {
		tail += strspn(tail, "/");
		n = strcspn(tail, "/");
		if (n == 0)
			break;
		if (n == 1 && tail[0] == '.')
			continue;
		if (n == 2 && tail[0] == '.' && tail[1] == '.')
			return -EINVAL;
		if (at + n + 2 > PATH_MAX)
			return -ENAMETOOLONG;
		buf[at++] = '/';
		memcpy(buf + at, tail, n);
		at += n;
	}
	buf[at ? at : 1] = '\0';
	return 0;
}

int path_real(const char *path, char buf[PATH_MAX])
{
	char dir[PATH_MAX];
	size_t n = strlen(path);

	if (n >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(dir, path, n + 1);
	while (!realpath(n ? dir : path[0] == '/' ? "/" : ".", buf)) {
		if (errno != ENOENT || n == 0)
			return -errno;
		/* its last component and the slashes around it */
		while (n && dir[n - 1] == '/')
			n--;
		while (n && dir[n - 1] != '/')
			n--;
		dir[n] = '\0';
	}
	/* musl's keeps a second slash at the start */
	while (buf[0] == '/' && buf[1] == '/')
		memmove(buf, buf + 1, strlen(buf));
	return append(buf, path + n);
}
