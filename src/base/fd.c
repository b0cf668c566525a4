/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Owned descriptors, and whole files read and written with care. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void fd_drop(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}

int fd_close_range(unsigned first, unsigned last)
{
	return syscall(SYS_close_range, first, last, 0u) < 0 ? -errno : 0;
}

int fd_ioctl(int fd, unsigned long request, void *arg)
{
	int r = (int)syscall(SYS_ioctl, fd, request, arg);

	return r < 0 ? -errno : r;
}

int fd_read_all(int fd, struct wbuf *b)
{
	NO_INIT char chunk[4096];
	ssize_t n;

	for (;;) {
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		wbuf_put(b, chunk, (size_t)n);
		explicit_bzero(chunk, (size_t)n);
		if (b->failed)
			break;
	}
	return b->failed ? -EFBIG : 0;
}

int fd_write_all(int fd, const void *p, size_t n)
{
	const char *s = p;
	ssize_t w;

	while (n) {
		w = write(fd, s, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		s += w;
		n -= (size_t)w;
	}
	return 0;
}

int file_read(int dirfd, const char *path, int flags, struct wbuf *b)
{
	OWNED(fd_drop) int fd = -1;
	struct stat st;

	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return fd_read_all(fd, b);
}

int file_read_stream(const char *path, int flags, struct wbuf *b)
{
	OWNED(fd_drop)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | flags);

	return fd < 0 ? -errno : fd_read_all(fd, b);
}

int file_write(int dirfd, const char *path, const void *p, size_t n)
{
	OWNED(fd_drop) int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
	ssize_t w;

	if (fd < 0)
		return -errno;
	w = write(fd, p, n);
	if (w < 0)
		return -errno;
	return (size_t)w == n ? 0 : -EIO;
}

int file_replace(int dirfd, const char *name, mode_t mode, const void *p,
		 size_t n)
{
	OWNED(fd_drop) int fd = -1;
	char tmp[NAME_MAX + 1];
	int r;

	if ((size_t)snprintf(tmp, sizeof(tmp), ".%s.%ld", name,
			     (long)getpid()) >= sizeof(tmp))
		return -ENAMETOOLONG;
	fd = openat(dirfd, tmp,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, p, n);
	if (!r && fchmod(fd, mode) < 0)
		r = -errno;
	if (!r && fsync(fd) < 0)
		r = -errno;
	if (!r && renameat(dirfd, tmp, dirfd, name) < 0)
		r = -errno;
	if (r)
		(void)unlinkat(dirfd, tmp, 0);
	return r;
}

int dir_make(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t i, n = strlen(path);
	int fd;

	if (n == 0 || n >= sizeof(part))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 || errno != ENOENT)
		return fd >= 0 ? fd : -errno;
	for (i = 1; i <= n; i++) {
		if (i < n && path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return -errno;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
