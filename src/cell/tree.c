/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sending a directory, and the names of what was sent. */
#include "cell/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "cell/tree_int.h"
#include "wire/cpio.h"

enum { BLOCK = 65536, HEAD_MAX = CPIO_HEADER + PATH_MAX + CPIO_ALIGN };

/* -- names -- */

int tree_name_put(struct wbuf *names, const char *name, uint64_t ino)
{
	const struct tree_name n = { .ino = ino };

	if (!names)
		return 0;
	wbuf_put(names, &n, sizeof(n));
	wbuf_put(names, name, strlen(name) + 1);
	return names->failed ? -E2BIG : 0;
}

static int by_text(const void *a, const void *b)
{
	const struct tree_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int tree_names_sort(const struct wbuf *b, struct tree_names *ret)
{
	size_t n = 0, at = 0;

	*ret = (struct tree_names){ 0 };
	for (; b && at + sizeof(struct tree_name) < b->len; n++)
		at += sizeof(struct tree_name) +
		      strlen(b->p + at + sizeof(struct tree_name)) + 1;
	ret->v = calloc(n + 1, sizeof(*ret->v));
	if (!ret->v)
		return -ENOMEM;
	for (at = 0; ret->n < n; ret->n++) {
		struct tree_name h;

		memcpy(&h, b->p + at, sizeof(h));
		at += sizeof(h);
		ret->v[ret->n] =
			(struct tree_entry){ .name = b->p + at, .ino = h.ino };
		at += strlen(b->p + at) + 1;
	}
	qsort(ret->v, n, sizeof(*ret->v), by_text);
	return 0;
}

void tree_names_drop(struct tree_names *n)
{
	free(n->v);
	n->v = NULL;
	n->n = 0;
}

const struct tree_entry *tree_names_find(const struct tree_names *n,
					 const char *name)
{
	const struct tree_entry key = { .name = name };

	return n->n ? bsearch(&key, n->v, n->n, sizeof(*n->v), by_text) : NULL;
}

/* -- the stream -- */

int tree_io_ready(const struct tree_io *io, short events)
{
	if (errno == EINTR)
		return 0;
	if (errno != EAGAIN || !io->wait)
		return -errno;
	return io->wait(io->arg, events);
}

static int put(const struct tree_io *io, const void *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t k = write(io->fd, (const char *)p + at, n - at);

		if (k < 0) {
			int r = tree_io_ready(io, POLLOUT);

			if (r)
				return r;
			continue;
		}
		at += (size_t)k;
	}
	return 0;
}

/* -- sending -- */

struct sender {
	const struct tree_io *out;
	dev_t dev;
	bool is_exact; /* what is left out would be taken for gone */
	struct timespec since;
	struct tree_names was;
	struct wbuf *names;
	char path[PATH_MAX];
	char block[BLOCK];
};

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* Renamed with the directory it is in, a file has no later time: it has to be
 * the one of this name, too. */
static bool is_as_it_was(const struct sender *s, const struct stat *st)
{
	const struct tree_entry *was =
		s->is_exact ? tree_names_find(&s->was, s->path) : NULL;

	return was && was->ino == st->st_ino &&
	       !is_later(&st->st_ctim, &s->since);
}

static int send_head(struct sender *s, const struct cpio_entry *e)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(HEAD_MAX);
	int r;

	cpio_head(&b, e, s->path);
	if (b.failed)
		return -ENAMETOOLONG;
	r = e->mode ? tree_name_put(s->names, s->path, 0) : 0;
	return r ? r : put(s->out, b.p, b.len);
}

static int send_zeros(struct sender *s, uint64_t n)
{
	int r = 0;

	memset(s->block, 0, sizeof(s->block));
	for (; n && !r; n -= n < BLOCK ? n : BLOCK)
		r = put(s->out, s->block, n < BLOCK ? n : BLOCK);
	return r;
}

/* As many bytes as were promised: what is cut meanwhile ends in zeros. */
static int send_content(struct sender *s, int fd, uint32_t size)
{
	uint32_t left = size;

	while (left) {
		ssize_t n = read(fd, s->block, left < BLOCK ? left : BLOCK);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && s->is_exact)
			return -errno;
		if (n <= 0)
			break;
		r = put(s->out, s->block, (size_t)n);
		if (r)
			return r;
		left -= (uint32_t)n;
	}
	return send_zeros(s, (uint64_t)left + cpio_pad(size));
}

static struct cpio_entry entry_of(const struct stat *st)
{
	return (struct cpio_entry){ .mode = st->st_mode,
				    .mtime = (uint32_t)st->st_mtim.tv_sec };
}

static int send_file(struct sender *s, int fd, const struct stat *st)
{
	struct cpio_entry e = entry_of(st);
	int r;

	if (st->st_size > UINT32_MAX)
		return -EFBIG;
	if (is_as_it_was(s, st))
		e.check = TREE_KEPT;
	else
		e.size = (uint32_t)st->st_size;
	r = send_head(s, &e);
	return r || e.check ? r : send_content(s, fd, e.size);
}

static int send_link(struct sender *s, int dir, const char *name,
		     const struct stat *st)
{
	struct cpio_entry e = entry_of(st);
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir, name, target, sizeof(target));
	int r;

	if (n <= 0 || n == (ssize_t)sizeof(target))
		return s->is_exact ? -EIO : 0;
	e.size = (uint32_t)n;
	r = send_head(s, &e);
	if (!r)
		r = put(s->out, target, (size_t)n);
	return r ? r : send_zeros(s, cpio_pad(e.size));
}

static int send_dir(struct sender *s, int fd, size_t len, int depth);

static int left_out(const struct sender *s)
{
	return s->is_exact && errno != ENOENT ? -errno : 0;
}

static int send_one(struct sender *s, int dir, const char *name, size_t len,
		    int depth)
{
	OWNED(fd_drop) int fd = -1;
	struct stat st;
	struct cpio_entry e;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return left_out(s);
	if (st.st_dev != s->dev)
		return 0;
	if (S_ISLNK(st.st_mode))
		return send_link(s, dir, name, &st);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	fd = openat(dir, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return left_out(s);
	if (S_ISREG(st.st_mode))
		return send_file(s, fd, &st);
	if (!S_ISDIR(st.st_mode))
		return 0;
	e = entry_of(&st);
	r = send_head(s, &e);
	return r ? r : send_dir(s, fd_take(&fd), len, depth + 1);
}

static int send_entry(struct sender *s, int dir, const char *name, size_t len,
		      int depth)
{
	size_t n = strlen(name);
	int r;

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	if (len + n + 2 > sizeof(s->path))
		return -ENAMETOOLONG;
	if (len)
		s->path[len] = '/';
	memcpy(s->path + len + (len != 0), name, n + 1);
	r = send_one(s, dir, name, len + (len != 0) + n, depth);
	s->path[len] = '\0';
	return r;
}

/* Takes @fd; @len: of the path of this directory */
static int send_dir(struct sender *s, int fd, size_t len, int depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *de;
	int r = depth > TREE_DEPTH_MAX ? -ELOOP : 0;

	if (!d) {
		(void)close(fd);
		return -ENOMEM;
	}
	for (errno = 0; !r && (de = readdir(d)); errno = 0)
		r = send_entry(s, dirfd(d), de->d_name, len, depth);
	if (!r && errno)
		r = left_out(s);
	(void)closedir(d);
	return r;
}

static int send_all(struct sender *s, int fd, const struct stat *st)
{
	const struct cpio_entry last = { 0 };
	int r;

	if (S_ISDIR(st->st_mode)) {
		int dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		r = dir < 0 ? -errno : send_dir(s, dir, 0, 0);
	} else {
		memcpy(s->path, TREE_FILE, sizeof(TREE_FILE));
		r = send_file(s, fd, st);
	}
	memcpy(s->path, CPIO_LAST, sizeof(CPIO_LAST));
	return r ? r : send_head(s, &last);
}

int tree_send(const struct tree_io *out, int fd, const struct tree_since *since,
	      struct wbuf *names)
{
	struct sender *s = malloc(sizeof(*s));
	struct stat st;
	int r = s ? 0 : -ENOMEM;

	if (!r && fstat(fd, &st) < 0)
		r = -errno;
	if (!r) {
		s->out = out;
		s->dev = st.st_dev;
		s->is_exact = since != NULL;
		s->names = names;
		s->path[0] = '\0';
		r = tree_names_sort(since ? since->names : NULL, &s->was);
	}
	if (!r) {
		if (since)
			s->since = since->time;
		r = send_all(s, fd, &st);
		tree_names_drop(&s->was);
	}
	free(s);
	return r;
}
