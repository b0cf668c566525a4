/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sending and receiving a directory. */
#include "cell/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "wire/cpio.h"

enum { BLOCK = 65536, HEAD_MAX = CPIO_HEADER + PATH_MAX + CPIO_ALIGN };

/* -- sending -- */

struct sender {
	int out;
	dev_t dev;
	const struct timespec *since;
	struct wbuf *names;
	char path[PATH_MAX];
	char block[BLOCK];
};

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

static int send_head(struct sender *s, const struct cpio_entry *e)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(HEAD_MAX);

	cpio_head(&b, e, s->path);
	if (b.failed)
		return -ENAMETOOLONG;
	if (s->names && strcmp(s->path, CPIO_LAST) != 0) {
		wbuf_put(s->names, s->path, strlen(s->path) + 1);
		if (s->names->failed)
			return -E2BIG;
	}
	return fd_write_all(s->out, b.p, b.len);
}

static int send_zeros(struct sender *s, uint64_t n)
{
	int r = 0;

	memset(s->block, 0, sizeof(s->block));
	for (; n && !r; n -= n < BLOCK ? n : BLOCK)
		r = fd_write_all(s->out, s->block, n < BLOCK ? n : BLOCK);
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
		if (n <= 0)
			break;
		r = fd_write_all(s->out, s->block, (size_t)n);
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
	if (s->since && !is_later(&st->st_ctim, s->since))
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
		return 0;
	e.size = (uint32_t)n;
	r = send_head(s, &e);
	if (!r)
		r = fd_write_all(s->out, target, (size_t)n);
	return r ? r : send_zeros(s, cpio_pad(e.size));
}

static int send_dir(struct sender *s, int fd, size_t len, int depth);

static int send_one(struct sender *s, int dir, const char *name, size_t len,
		    int depth)
{
	OWNED(fd_drop) int fd = -1;
	struct stat st;
	struct cpio_entry e;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_dev != s->dev)
		return 0;
	if (S_ISLNK(st.st_mode))
		return send_link(s, dir, name, &st);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	fd = openat(dir, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	if (S_ISREG(st.st_mode))
		return send_file(s, fd, &st);
	if (!S_ISDIR(st.st_mode))
		return 0;
	e = entry_of(&st);
	r = send_head(s, &e);
	return r ? r : send_dir(s, fd_take(&fd), len, depth + 1);
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
	while (!r && (de = readdir(d))) {
		size_t n = strlen(de->d_name);

		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		if (len + n + 2 > sizeof(s->path)) {
			r = -ENAMETOOLONG;
			break;
		}
		if (len)
			s->path[len] = '/';
		memcpy(s->path + len + (len != 0), de->d_name, n + 1);
		n += len + (len != 0);
		r = send_one(s, dirfd(d), de->d_name, n, depth);
		s->path[len] = '\0';
	}
	(void)closedir(d);
	return r;
}

int tree_send(int out, int fd, const struct timespec *since, struct wbuf *names)
{
	struct sender *s = malloc(sizeof(*s));
	const struct cpio_entry last = { 0 };
	struct stat st;
	int r = s ? 0 : -ENOMEM;

	if (r || fstat(fd, &st) < 0) {
		r = r ? r : -errno;
		free(s);
		return r;
	}
	s->out = out;
	s->dev = st.st_dev;
	s->since = since;
	s->names = names;
	s->path[0] = '\0';
	if (S_ISDIR(st.st_mode)) {
		int dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		r = dir < 0 ? -errno : send_dir(s, dir, 0, 0);
	} else {
		memcpy(s->path, TREE_FILE, sizeof(TREE_FILE));
		r = send_file(s, fd, &st);
	}
	memcpy(s->path, CPIO_LAST, sizeof(CPIO_LAST));
	if (!r)
		r = send_head(s, &last);
	free(s);
	return r;
}

/* -- receiving -- */

struct receiver {
	int in, dir;
	const struct tree_rules *rules;
	struct wbuf *names;
	uint64_t got;
	unsigned left; /* links that lead out */
	bool is_file;  /* @dir is none, but the file itself */
	char path[PATH_MAX];
	char block[BLOCK];
};

static int take(struct receiver *s, void *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t k = read(s->in, (char *)p + at, n - at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k ? -errno : -EPIPE;
		at += (size_t)k;
	}
	return 0;
}

/* The directory of @path, by parts and through no link; *ret_name: the rest */
static int open_parent(int dir, const char *path, const char **ret_name)
{
	int at = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *slash;

	while (at >= 0 && (slash = strchr(path, '/'))) {
		char part[NAME_MAX + 1];
		size_t n = (size_t)(slash - path);
		int fd;

		if (n > NAME_MAX) {
			(void)close(at);
			return -ENAMETOOLONG;
		}
		memcpy(part, path, n);
		part[n] = '\0';
		fd = openat(at, part,
			    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		(void)close(at);
		at = fd;
		path = slash + 1;
	}
	*ret_name = path;
	return at < 0 ? -errno : at;
}

/* Takes @fd */
static int remove_below(int fd, int depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *de;
	int r = 0;

	if (!d) {
		(void)close(fd);
		return -ENOMEM;
	}
	while (!r && (de = readdir(d))) {
		int sub;

		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, "..") ||
		    unlinkat(dirfd(d), de->d_name, 0) == 0)
			continue;
		sub = openat(dirfd(d), de->d_name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = sub < 0			 ? -errno
		    : depth > 2 * TREE_DEPTH_MAX ? -ELOOP
						 : remove_below(sub, depth + 1);
		if (!r)
			r = last_errno(
				unlinkat(dirfd(d), de->d_name, AT_REMOVEDIR));
	}
	(void)closedir(d);
	return r;
}

static int remove_at(int at, const char *name)
{
	int fd, r;

	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = remove_below(fd, 0);
	return r ? r : last_errno(unlinkat(at, name, AT_REMOVEDIR));
}

static int give_away(const struct receiver *s, int at, const char *name)
{
	if (s->rules->uid == (uid_t)-1)
		return 0;
	return last_errno(fchownat(at, name, s->rules->uid, s->rules->gid,
				   AT_SYMLINK_NOFOLLOW));
}

/* In the place of whatever is there */
static int put_in_place(int at, const char *from, const char *name)
{
	int r = last_errno(renameat(at, from, at, name));

	if (r == -EISDIR || r == -ENOTEMPTY || r == -EEXIST) {
		r = remove_at(at, name);
		if (!r)
			r = last_errno(renameat(at, from, at, name));
	}
	return r;
}

static int take_content(struct receiver *s, int fd, uint32_t size)
{
	uint32_t left = size;
	int r = 0;

	while (left && !r) {
		uint32_t n = left < BLOCK ? left : BLOCK;

		r = take(s, s->block, n);
		if (!r)
			r = fd_write_all(fd, s->block, n);
		left -= n;
	}
	return r ? r : take(s, s->block, cpio_pad(size));
}

/* In place: nothing can be renamed over what is mounted. */
static int take_over(struct receiver *s, const struct cpio_entry *e)
{
	if (ftruncate(s->dir, 0) < 0 || lseek(s->dir, 0, SEEK_SET) < 0)
		return -errno;
	return take_content(s, s->dir, e->size);
}

static int take_file(struct receiver *s, int at, const char *name,
		     const struct cpio_entry *e)
{
	static const char beside[] = ".cellos-back";
	const struct timespec times[2] = { { .tv_sec = e->mtime },
					   { .tv_sec = e->mtime } };
	OWNED(fd_drop) int fd = -1;
	int r = remove_at(at, beside);

	if (!r) {
		fd = openat(at, beside,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
				    O_CLOEXEC,
			    0600);
		r = fd < 0 ? -errno : take_content(s, fd, e->size);
	}
	/* no bit that gives away somebody's rights */
	if (!r && fchmod(fd, e->mode & 0777) < 0)
		r = -errno;
	if (!r)
		r = give_away(s, at, beside);
	if (!r && futimens(fd, times) < 0)
		r = -errno;
	return r ? r : put_in_place(at, beside, name);
}

static int take_link(struct receiver *s, int at, const char *name,
		     const struct cpio_entry *e)
{
	static const char beside[] = ".cellos-back";
	char target[PATH_MAX];
	int r;

	if (!e->size || e->size >= sizeof(target))
		return -EPROTO;
	r = take(s, target, e->size);
	if (!r)
		r = take(s, s->block, cpio_pad(e->size));
	if (r)
		return r;
	target[e->size] = '\0';
	if (strlen(target) != e->size)
		return -EPROTO;
	if (s->rules->is_foreign && !cpio_link_is_beneath(s->path, target)) {
		s->left++;
		return 0;
	}
	r = remove_at(at, beside);
	if (!r)
		r = last_errno(symlinkat(target, at, beside));
	if (!r)
		r = give_away(s, at, beside);
	return r ? r : put_in_place(at, beside, name);
}

static int take_dir(const struct receiver *s, int at, const char *name,
		    const struct cpio_entry *e)
{
	struct stat st;
	int r;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISDIR(st.st_mode)) {
		r = remove_at(at, name);
		if (r)
			return r;
	}
	if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	/* never out of its owner's reach: its entries come next */
	if (fchmodat(at, name, (e->mode & 0777) | 0700, 0) < 0)
		return -errno;
	return give_away(s, at, name);
}

static int take_entry(struct receiver *s, const struct cpio_entry *e)
{
	OWNED(fd_drop) int at = -1;
	const char *name;

	if (!cpio_name_is_beneath(s->path))
		return -EPROTO;
	s->got += e->size;
	if (s->got > s->rules->max)
		return -EFBIG;
	if (s->names) {
		wbuf_put(s->names, s->path, strlen(s->path) + 1);
		if (s->names->failed)
			return -E2BIG;
	}
	if (e->check == TREE_KEPT)
		return e->size ? -EPROTO : 0;
	if (s->is_file)
		return S_ISREG(e->mode) && !strcmp(s->path, TREE_FILE)
			       ? take_over(s, e)
			       : -EPROTO;
	at = open_parent(s->dir, s->path, &name);
	if (at < 0)
		return at;
	if (S_ISREG(e->mode))
		return take_file(s, at, name, e);
	if (S_ISLNK(e->mode))
		return take_link(s, at, name, e);
	return S_ISDIR(e->mode) && !e->size ? take_dir(s, at, name, e)
					    : -EPROTO;
}

/* Return: 1: that was the last one */
static int take_next(struct receiver *s)
{
	char head[CPIO_HEADER];
	struct cpio_entry e;
	int r = take(s, head, sizeof(head));

	if (!r && !cpio_get(head, &e))
		r = -EPROTO;
	if (!r)
		r = take(s, s->path, e.name);
	if (!r)
		r = take(s, s->block, cpio_pad(CPIO_HEADER + e.name));
	if (r)
		return r;
	if (strnlen(s->path, e.name) != e.name - 1)
		return -EPROTO;
	if (!strcmp(s->path, CPIO_LAST))
		return e.size ? -EPROTO : 1;
	return take_entry(s, &e);
}

int tree_receive(int in, int dir, const struct tree_rules *rules,
		 struct wbuf *names, unsigned *ret_left)
{
	struct receiver *s = malloc(sizeof(*s));
	struct stat st;
	int r = s ? 0 : -ENOMEM;

	if (r || fstat(dir, &st) < 0) {
		r = r ? r : -errno;
		free(s);
		return r;
	}
	s->is_file = S_ISREG(st.st_mode);
	s->in = in;
	s->dir = dir;
	s->rules = rules;
	s->names = names;
	s->got = 0;
	s->left = 0;
	while (!r)
		r = take_next(s);
	if (ret_left)
		*ret_left = s->left;
	free(s);
	return r < 0 ? r : 0;
}

/* -- what is gone -- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **list(const struct wbuf *b, size_t *ret_n)
{
	const char **v;
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->p[i] == '\0';
	v = calloc(n + 1, sizeof(*v));
	*ret_n = n;
	for (size_t i = 0, k = 0; v && k < n; i += strlen(b->p + i) + 1)
		v[k++] = b->p + i;
	if (v)
		qsort(v, n, sizeof(*v), by_text);
	return v;
}

int tree_forget(int dir, const struct wbuf *sent, const struct wbuf *back)
{
	size_t n, m, k = 0;
	const char **a = list(sent, &n), **b = list(back, &m);
	int r = a && b ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && !r; i++) {
		OWNED(fd_drop) int at = -1;
		const char *name;

		while (k < m && strcmp(b[k], a[i]) < 0)
			k++;
		if (k < m && !strcmp(b[k], a[i]))
			continue;
		/* with the directory it was in it may be gone already */
		at = open_parent(dir, a[i], &name);
		if (at >= 0)
			r = remove_at(at, name);
	}
	free(a);
	free(b);
	return r;
}
