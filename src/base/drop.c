/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/drop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

struct drop {
	bool (*keep)(void *arg, int dirfd, const char *name);
	void *arg;
	dev_t dev;
};

static int drop_in(const struct drop *d, int dirfd, const char *name);

static int empty_dir(const struct drop *d, int dirfd, const char *name)
{
	int fd = openat(dirfd, name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	int r = 0;

	if (!dir) {
		r = -errno;
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	while (!r && (de = readdir(dir)))
		if (strcmp(de->d_name, ".") != 0 &&
		    strcmp(de->d_name, "..") != 0)
			r = drop_in(d, fd, de->d_name);
	(void)closedir(dir);
	return r;
}

static int drop_in(const struct drop *d, int dirfd, const char *name)
{
	bool stays = d->keep && d->keep(d->arg, dirfd, name);
	struct stat st;
	int r;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (st.st_dev != d->dev)
		return 0;
	if (!S_ISDIR(st.st_mode))
		return stays ? 0 : last_errno(unlinkat(dirfd, name, 0));
	r = empty_dir(d, dirfd, name);
	if (r || stays || unlinkat(dirfd, name, AT_REMOVEDIR) == 0)
		return r;
	return errno == ENOTEMPTY || errno == EEXIST || errno == EBUSY ? 0
								       : -errno;
}

int drop_tree(int dirfd, const char *name,
	      bool (*keep)(void *arg, int dirfd, const char *name), void *arg)
{
	struct drop d = { .keep = keep, .arg = arg };
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	d.dev = st.st_dev;
	return drop_in(&d, dirfd, name);
}

int drop_content(int dirfd,
		 bool (*keep)(void *arg, int dirfd, const char *name),
		 void *arg)
{
	struct drop d = { .keep = keep, .arg = arg };
	struct stat st;

	if (fstat(dirfd, &st) < 0)
		return -errno;
	d.dev = st.st_dev;
	return empty_dir(&d, dirfd, ".");
}
