/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Receiving a directory, also from those who would rather fill another. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "cell/tree_int.h"
#include "wire/cpio.h"

enum { BLOCK = 65536, BESIDE = 40 };

struct receiver {
	const struct tree_io *in;
	int dir;
	dev_t dev;
	bool is_file; /* @dir is none, but the file itself */
	const struct tree_rules *rules;
	struct tree_names sent;
	struct wbuf *names;
	struct wbuf later; /* modes of directories, for when they are filled */
	uint64_t got;
	char path[PATH_MAX];
	char block[BLOCK];
};

static int take(struct receiver *s, void *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t k = read(s->in->fd, (char *)p + at, n - at);

		if (k == 0)
			return -EPIPE;
		if (k < 0) {
			int r = tree_io_ready(s->in, POLLIN);

			if (r)
				return r;
			continue;
		}
		at += (size_t)k;
	}
	return 0;
}

/* -- places -- */

/* By parts, through no link, and on this file system only: the directory that
 * @path is in; *ret_name: its name there */
static int open_parent(int dir, dev_t dev, const char *path,
		       const char **ret_name)
{
	int at = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *slash;

	while (at >= 0 && (slash = strchr(path, '/'))) {
		char part[NAME_MAX + 1];
		size_t n = (size_t)(slash - path);
		struct stat st;
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
		if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_dev != dev)) {
			(void)close(fd);
			return -EXDEV;
		}
		at = fd;
		path = slash + 1;
	}
	*ret_name = path;
	return at < 0 ? -errno : at;
}

/* What is somebody else's makes it stay; only that is no error. */
static int remove_one(int dir, dev_t dev, const char *path)
{
	OWNED(fd_drop) int at = -1;
	const char *name;

	at = open_parent(dir, dev, path, &name);
	if (at < 0)
		return at == -ENOENT || at == -ENOTDIR || at == -EXDEV ||
				       at == -ELOOP
			       ? 0
			       : at;
	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EISDIR || errno == EPERM) {
		if (unlinkat(at, name, AT_REMOVEDIR) == 0 ||
		    errno == ENOTEMPTY || errno == EEXIST || errno == EBUSY ||
		    errno == ENOENT || errno == ENOTDIR)
			return 0;
	}
	return -errno;
}

static bool is_below(const char *name, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(name, dir, n) && (name[n] == '\0' || name[n] == '/');
}

/* A place that was a directory is to be something else, or the other way round:
 * of what is there only what was sent makes room. */
static int make_room(const struct receiver *s, const char *path)
{
	int r = 0;

	for (size_t i = s->sent.n; i > 0 && !r; i--)
		if (is_below(s->sent.v[i - 1].name, path))
			r = remove_one(s->dir, s->dev, s->sent.v[i - 1].name);
	return r;
}

static int put_in_place(const struct receiver *s, int at, const char *from,
			const char *name)
{
	int r = last_errno(renameat(at, from, at, name));

	if (r == -EISDIR || r == -ENOTEMPTY || r == -EEXIST) {
		r = make_room(s, s->path);
		if (!r)
			r = last_errno(renameat(at, from, at, name));
	}
	if (r)
		(void)unlinkat(at, from, 0);
	return r;
}

/* Nobody else's: of this file, of this run */
static void beside(char buf[BESIDE])
{
	uint64_t v[2];

	randombytes_buf(v, sizeof(v));
	(void)snprintf(buf, BESIDE, ".%016" PRIx64 "%016" PRIx64, v[0], v[1]);
}

static int give_away(const struct receiver *s, int at, const char *name)
{
	if (s->rules->uid == (uid_t)-1)
		return 0;
	return last_errno(fchownat(at, name, s->rules->uid, s->rules->gid,
				   AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
}

/* -- entries -- */

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

static int copy(struct receiver *s, int from, off_t at, off_t end)
{
	if (lseek(from, at, SEEK_SET) < 0 || lseek(s->dir, at, SEEK_SET) < 0)
		return -errno;
	while (at < end) {
		const off_t left = end - at;
		ssize_t n = read(from, s->block,
				 left < BLOCK ? (size_t)left : BLOCK);
		int r = n <= 0 ? -EIO
			       : fd_write_all(s->dir, s->block, (size_t)n);

		if (r)
			return r;
		at += n;
	}
	return 0;
}

/* Where there is no room the file stays as it was. Some file systems cannot
 * be asked for it: there it is what lies beyond the old end that needs some. */
static int write_over(struct receiver *s, int from, off_t size)
{
	struct stat st;
	off_t both;
	int r = fstat(s->dir, &st) < 0 ? -errno : 0;

	if (r)
		return r;
	both = st.st_size < size ? st.st_size : size;
	if (size)
		r = last_errno(fallocate(s->dir, FALLOC_FL_KEEP_SIZE, 0, size));
	if (!r || r == -EOPNOTSUPP)
		r = copy(s, from, both, size);
	if (r) {
		if (ftruncate(s->dir, st.st_size) < 0) {
			/* more than there was, and all of that */
		}
		return r;
	}
	r = copy(s, from, 0, both);
	return r ? r : last_errno(ftruncate(s->dir, size));
}

/* Nothing can be renamed over what is mounted: written over when all is here */
static int take_over(struct receiver *s, const struct cpio_entry *e)
{
	OWNED(fd_drop) int fd = memfd_create("file", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : take_content(s, fd, e->size);

	return r ? r : write_over(s, fd, e->size);
}

static int fill(struct receiver *s, int fd, const struct cpio_entry *e)
{
	const struct timespec times[2] = { { .tv_sec = e->mtime },
					   { .tv_sec = e->mtime } };
	struct stat st;
	int r = take_content(s, fd, e->size);

	/* no bit that gives away somebody's rights */
	if (!r && fchmod(fd, e->mode & 0777) < 0)
		r = -errno;
	if (!r)
		r = give_away(s, fd, "");
	if (!r && (futimens(fd, times) < 0 || fstat(fd, &st) < 0))
		r = -errno;
	return r ? r : tree_name_put(s->names, s->path, st.st_ino);
}

/* Without a name till it is whole: whatever ends us, nothing is left. Where
 * there are no such files it has one beside, @tmp. */
static int open_new(int at, char tmp[BESIDE])
{
	int fd = openat(at, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	tmp[0] = '\0';
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd < 0 ? -errno : fd;
	beside(tmp);
	fd = openat(at, tmp,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

static int give_name(int fd, int at, const char *name)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return last_errno(linkat(AT_FDCWD, path, at, name, AT_SYMLINK_FOLLOW));
}

static bool is_same(int fd, int at, const char *name)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 &&
	       fstatat(at, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static int take_file(struct receiver *s, int at, const char *name,
		     const struct cpio_entry *e)
{
	char tmp[BESIDE];
	OWNED(fd_drop) int fd = open_new(at, tmp);
	int r = fd < 0 ? fd : fill(s, fd, e);

	if (!r && !tmp[0]) {
		r = give_name(fd, at, name);
		if (r != -EEXIST)
			return r;
		beside(tmp);
		r = give_name(fd, at, tmp);
	}
	/* others may have to do with that directory as well */
	if (!r && !is_same(fd, at, tmp))
		r = -ESTALE;
	if (r && fd >= 0 && tmp[0])
		(void)unlinkat(at, tmp, 0);
	return r ? r : put_in_place(s, at, tmp, name);
}

static int take_link(struct receiver *s, int at, const char *name,
		     const struct cpio_entry *e)
{
	char target[PATH_MAX], tmp[BESIDE];
	const char *made = name;
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
	r = tree_name_put(s->names, s->path, 0);
	/* one that leads out stays behind */
	if (r || (s->rules->sent && !cpio_link_is_beneath(s->path, target)))
		return r;
	r = last_errno(symlinkat(target, at, name));
	if (r == -EEXIST) {
		beside(tmp);
		made = tmp;
		r = last_errno(symlinkat(target, at, tmp));
	}
	if (r)
		return r;
	r = give_away(s, at, made);
	if (r)
		(void)unlinkat(at, made, 0);
	return r || made == name ? r : put_in_place(s, at, tmp, name);
}

/* Its last mode only when all that lies in it is there */
static int later_mode(struct receiver *s, uint32_t mode)
{
	wbuf_put(&s->later, &mode, sizeof(mode));
	wbuf_put(&s->later, s->path, strlen(s->path) + 1);
	return s->later.failed ? -E2BIG : 0;
}

static int take_dir(struct receiver *s, int at, const char *name,
		    const struct cpio_entry *e)
{
	OWNED(fd_drop) int fd = -1;
	const uint32_t want = e->mode & 0777;
	bool is_new;
	struct stat st;
	int r = 0;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISDIR(st.st_mode))
		r = make_room(s, s->path);
	if (r)
		return r;
	is_new = mkdirat(at, name, 0700) == 0;
	if (!is_new && errno != EEXIST)
		return -errno;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (is_new)
		r = give_away(s, at, name);
	if (!r && st.st_dev == s->dev && (st.st_mode & 0777) != want) {
		/* somebody else's stays as it is */
		if (fchmod(fd, (st.st_mode & 07777) | want) < 0 &&
		    errno != EPERM)
			return -errno;
		r = later_mode(s, (st.st_mode & 07000) | want);
	}
	return r ? r : tree_name_put(s->names, s->path, st.st_ino);
}

static int take_kept(struct receiver *s, const struct cpio_entry *e)
{
	OWNED(fd_drop) int at = -1;
	const char *name;
	struct stat st;

	if (e->size || !tree_names_find(&s->sent, s->path))
		return -EPROTO;
	if (!s->is_file) {
		at = open_parent(s->dir, s->dev, s->path, &name);
		if (at < 0)
			return at;
		if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
	}
	return tree_name_put(s->names, s->path, 0);
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
	if (e->check == TREE_KEPT)
		return take_kept(s, e);
	if (s->is_file)
		return S_ISREG(e->mode) && !strcmp(s->path, TREE_FILE)
			       ? take_over(s, e)
			       : -EPROTO;
	at = open_parent(s->dir, s->dev, s->path, &name);
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
	if (!e.mode && !strcmp(s->path, CPIO_LAST))
		return e.size ? -EPROTO : 1;
	return take_entry(s, &e);
}

static int set_modes(const struct receiver *s)
{
	for (size_t at = 0; at < s->later.len;) {
		OWNED(fd_drop) int dir = -1;
		OWNED(fd_drop) int fd = -1;
		const char *path = s->later.p + at + sizeof(uint32_t), *name;
		uint32_t mode;

		memcpy(&mode, s->later.p + at, sizeof(mode));
		at += sizeof(mode) + strlen(path) + 1;
		dir = open_parent(s->dir, s->dev, path, &name);
		fd = dir < 0 ? -1
			     : openat(dir, name,
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
					      O_CLOEXEC);
		/* with one above it that was closed it is out of reach */
		if (fd >= 0 && fchmod(fd, mode) < 0 && errno != EPERM)
			return -errno;
	}
	return 0;
}

int tree_receive(const struct tree_io *in, int dir,
		 const struct tree_rules *rules, struct wbuf *names)
{
	struct receiver *s = malloc(sizeof(*s));
	struct stat st;
	int r = s ? 0 : -ENOMEM;

	if (!r && fstat(dir, &st) < 0)
		r = -errno;
	if (!r) {
		s->in = in;
		s->dir = dir;
		s->dev = st.st_dev;
		s->is_file = S_ISREG(st.st_mode);
		s->rules = rules;
		s->names = names;
		s->later = WBUF_INIT(TREE_NAMES_MAX);
		s->got = 0;
		r = tree_names_sort(rules->sent, &s->sent);
	}
	if (!r) {
		while (!r)
			r = take_next(s);
		r = r < 0 ? r : set_modes(s);
		tree_names_drop(&s->sent);
		wbuf_drop(&s->later);
	}
	free(s);
	return r;
}

int tree_forget(int dir, const struct wbuf *sent, const struct wbuf *back)
{
	struct tree_names a = { 0 }, b = { 0 };
	struct stat st;
	int r = fstat(dir, &st) < 0 ? -errno : tree_names_sort(sent, &a);

	if (!r)
		r = tree_names_sort(back, &b);
	/* what lies in a directory before the directory */
	for (size_t i = a.n; i > 0 && !r && S_ISDIR(st.st_mode); i--)
		if (!tree_names_find(&b, a.v[i - 1].name))
			r = remove_one(dir, st.st_dev, a.v[i - 1].name);
	tree_names_drop(&a);
	tree_names_drop(&b);
	return r;
}
