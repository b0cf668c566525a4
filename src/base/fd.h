/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Owned descriptors, and whole files read and written with care. */
#ifndef CELLOS_BASE_FD_H
#define CELLOS_BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/wbuf.h"

/** fd_drop() - close if open, set to -1; usable with OWNED(); keeps errno */
void fd_drop(int *fd);

/** fd_take() - give the descriptor away */
static inline int fd_take(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

/**
 * fd_close_range() - close_range(2), Linux 5.9, for C libraries without it
 * @first: the lowest descriptor to close
 * @last:  the highest one, ~0u for all that are open
 *
 * Return: 0 or -errno
 */
int fd_close_range(unsigned first, unsigned last) MUST_USE;
/**
 * fd_ioctl() - ioctl(2) as the kernel declares it
 * @request: of C libraries, some call it unsigned long and some int
 *
 * Return: what the request returns, or -errno
 */
int fd_ioctl(int fd, unsigned long request, void *arg) MUST_USE;
/**
 * fd_read_all() - read to the end of the file
 * @b: appended to; its max bounds the read
 *
 * Return: 0, -EFBIG if @b's max was reached, or -errno
 */
int fd_read_all(int fd, struct wbuf *b) MUST_USE;
/** fd_write_all() - write everything, through EINTR and short writes
 *  Return: 0 or -errno */
int fd_write_all(int fd, const void *p, size_t n) MUST_USE;
/**
 * file_read() - open a regular file and read it
 * @dirfd:  as openat(2)
 * @flags:  added to O_RDONLY | O_CLOEXEC | O_NONBLOCK, e.g. O_NOFOLLOW. The
 *          open cannot hang on a FIFO: what is not a regular file is -EINVAL,
 *          a directory -EISDIR.
 *
 * Return: 0 or -errno
 */
int file_read(int dirfd, const char *path, int flags, struct wbuf *b) MUST_USE;
/**
 * file_read_stream() - the same of what is not a regular file, too
 * @flags: added to O_RDONLY | O_CLOEXEC
 *
 * Waits for the writer of a FIFO, and for its end. Return: 0 or -errno
 */
int file_read_stream(const char *path, int flags, struct wbuf *b) MUST_USE;
/** file_write() - open an existing file (cgroup, proc) and write once
 *  Return: 0 or -errno */
int file_write(int dirfd, const char *path, const void *p, size_t n) MUST_USE;
/**
 * file_replace() - write a file so that readers see the old or the new content
 * @dirfd: directory of @name; the temporary lies beside it, then renamed over
 * @mode:  permission bits of the new file, not masked by the umask
 *
 * Return: 0 or -errno; nothing is left behind on failure
 */
int file_replace(int dirfd, const char *name, mode_t mode, const void *p,
		 size_t n) MUST_USE;
/**
 * dir_make() - mkdir -p, every missing component with @mode
 *
 * Return: an O_PATH-free directory descriptor the caller owns, or -errno
 */
int dir_make(const char *path, mode_t mode) MUST_USE;

#endif
