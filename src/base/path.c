/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Paths that may not exist yet. */
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"

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

int path_program(const char *name, char path[PATH_MAX])
{
	static const char *const at[] = { "", "../libexec/" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;
	int fd = -1;

	(void)snprintf(path, PATH_MAX, "%s", name);
	if (n <= 0)
		return -errno;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(at) && fd < 0; i++) {
		if (snprintf(path, PATH_MAX, "%s/%s%s", self, at[i], name) >=
		    PATH_MAX)
			return -ENAMETOOLONG;
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

int path_search(const char *name, char buf[PATH_MAX])
{
	const char *dirs = getenv("PATH");
	size_t n;

	if (strchr(name, '/')) {
		if (snprintf(buf, PATH_MAX, "%s", name) >= PATH_MAX)
			return -ENAMETOOLONG;
		return access(buf, X_OK) < 0 ? -errno : 0;
	}
	for (dirs = dirs ? dirs : "/usr/bin:/bin"; *dirs;
	     dirs += n + (dirs[n] == ':')) {
		n = strcspn(dirs, ":");
		/* not here: what stands there is not the caller's */
		if (*dirs == '/' &&
		    snprintf(buf, PATH_MAX, "%.*s/%s", (int)n, dirs, name) <
			    PATH_MAX &&
		    access(buf, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}
