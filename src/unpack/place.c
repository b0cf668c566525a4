/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "unpack/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/drop.h"
#include "base/fd.h"
#include "sys/mount.h"

int place_init(struct place *p, int root)
{
	*p = (struct place){ .root = root };
	seen_init(&p->seen);
	return last_errno(fstat(root, &p->root_st));
}

void place_next_layer(struct place *p)
{
	seen_forget(&p->seen);
}

static int fail(struct err *e, int r, const char *what)
{
	return err_set(e, ERR_PLAIN, -r, "%s", what);
}

static bool is_root(const struct place *p, const struct stat *st)
{
	return st->st_dev == p->root_st.st_dev &&
	       st->st_ino == p->root_st.st_ino;
}

/* -- where -- */

/* Noted as this layer's own */
static int note(struct place *p, int dir, const char *name)
{
	struct stat st;

	if (fstat(dir, &st) < 0)
		return -errno;
	return seen_add(&p->seen, st.st_ino, name);
}

/* A directory of the tree, links followed in it */
static int open_dir(const struct place *p, const char *path)
{
	OWNED(fd_drop) int fd = mount_resolve(p->root, *path ? path : ".");
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? fd_take(&fd) : -ENOTDIR;
}

/* Links of layers can lead to where no path of the archive would: what is
 * counted is the way up. */
static int check_depth(const struct place *p, int dir)
{
	OWNED(fd_drop) int at = -1;
	struct stat st;

	for (int depth = 1;; depth++) {
		int fd = at < 0 ? dir : at, up;

		if (fstat(fd, &st) < 0)
			return -errno;
		if (is_root(p, &st))
			return 0;
		if (depth >= NAME_DEPTH_MAX)
			return -EMLINK;
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (up < 0)
			return -errno;
		fd_drop(&at);
		at = up;
	}
}

static int new_dir(struct place *p, int at, const char *name, mode_t mode)
{
	int r = check_depth(p, at);

	if (!r && mkdirat(at, name, 0700) < 0)
		r = -errno;
	if (!r && fchmodat(at, name, mode, 0) < 0)
		r = -errno;
	return r ? r : note(p, at, name);
}

/* One that no entry speaks of: the spec says nothing, and everybody makes it
 * root's, 0755. @len: of @dir, that far. */
static int implied(struct place *p, const char *dir, size_t len)
{
	char path[NAME_PATH_MAX];
	OWNED(fd_drop) int at = -1;
	char *slash;

	memcpy(path, dir, len);
	path[len] = '\0';
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	at = open_dir(p, slash ? path : "");
	return at < 0 ? at : new_dir(p, at, slash ? slash + 1 : path, 0755);
}

/* The directory an entry lies in; with @make what of it is missing is made. */
static int parent(struct place *p, const struct entry_name *n, bool make)
{
	size_t len = 0, all = strlen(n->dir);
	int fd = open_dir(p, n->dir);
	char path[NAME_PATH_MAX];

	if (fd != -ENOENT || !make)
		return fd;
	while (len < all) {
		int r;

		len += strcspn(n->dir + len, "/");
		memcpy(path, n->dir, len);
		path[len] = '\0';
		fd = open_dir(p, path);
		r = fd == -ENOENT ? implied(p, n->dir, len) : 0;
		if (r)
			return r;
		if (fd >= 0 && len < all)
			(void)close(fd);
		if (fd < 0 && fd != -ENOENT)
			return fd;
		len += len < all;
	}
	return fd >= 0 ? fd : open_dir(p, n->dir);
}

static int parent_or_fail(struct place *p, const struct entry_name *n,
			  struct err *e)
{
	int fd = parent(p, n, true);

	if (fd == -EMLINK)
		return fail(e, 0,
			    "more than 128 directories in each other, by way "
			    "of symbolic links");
	if (fd == -EEXIST)
		return fail(e, 0,
			    "lies behind a symbolic link that leads to nothing "
			    "in the image");
	return fd < 0 ? fail(e, fd, "its directory") : fd;
}

/* What is there makes room, but for a directory where one is wanted.
 * Return: 1 if that is there, 0 if nothing is, or -errno */
static int make_room(struct place *p, int at, const char *name, bool for_dir)
{
	struct stat st;
	int r;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (for_dir && S_ISDIR(st.st_mode))
			r = 1;
		else
			r = drop_tree(at, name, NULL, NULL);
	} else {
		r = errno == ENOENT ? 0 : -errno;
	}
	if (r >= 0) {
		int bad = note(p, at, name);

		r = bad ? bad : r;
	}
	return r;
}

/* -- entries -- */

int place_attr(int fd, const struct place_attr *a, struct err *e)
{
	if (fchown(fd, a->uid, a->gid) < 0)
		return fail(e, -errno, "its owner");
	/* nothing of an image runs as its owner or group */
	if (fchmod(fd, a->mode & 01777) < 0)
		return fail(e, -errno, "its mode");
	return 0;
}

int place_dir(struct place *p, const struct entry_name *n,
	      const struct place_attr *a, struct err *e)
{
	OWNED(fd_drop) int at = -1;
	OWNED(fd_drop) int fd = -1;
	int r;

	if (n->kind == NAME_ROOT)
		return place_attr(p->root, a, e);
	at = parent_or_fail(p, n, e);
	if (at < 0)
		return -1;
	r = make_room(p, at, n->name, true);
	if (r == 0)
		r = new_dir(p, at, n->name, 0700);
	if (r == -EMLINK)
		return fail(e, 0,
			    "more than 128 directories in each other, by way "
			    "of symbolic links");
	if (r < 0)
		return fail(e, r, "cannot be made");
	fd = openat(at, n->name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? fail(e, -errno, "cannot be opened")
		      : place_attr(fd, a, e);
}

/* The directory of a new entry that is none, with room for it */
static int room_for(struct place *p, const struct entry_name *n, struct err *e)
{
	int at, r;

	if (n->kind == NAME_ROOT)
		return fail(e, 0, "the root of an image is a directory");
	at = parent_or_fail(p, n, e);
	r = at < 0 ? 0 : make_room(p, at, n->name, false);
	if (r < 0) {
		(void)close(at);
		return fail(e, r, "what was there cannot be removed");
	}
	return at;
}

int place_file(struct place *p, const struct entry_name *n, int *ret,
	       struct err *e)
{
	OWNED(fd_drop) int at = room_for(p, n, e);

	if (at < 0)
		return -1;
	*ret = openat(at, n->name,
		      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		      0600);
	return *ret < 0 ? fail(e, -errno, "cannot be made") : 0;
}

int place_symlink(struct place *p, const struct entry_name *n,
		  const char *target, const struct place_attr *a, struct err *e)
{
	OWNED(fd_drop) int at = room_for(p, n, e);

	if (at < 0)
		return -1;
	if (symlinkat(target, at, n->name) < 0)
		return fail(e, -errno, "cannot be made");
	if (fchownat(at, n->name, a->uid, a->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(e, -errno, "its owner");
	return 0;
}

int place_link(struct place *p, const struct entry_name *n,
	       const struct entry_name *target, struct err *e)
{
	OWNED(fd_drop) int from = parent(p, target, false);
	OWNED(fd_drop) int at = -1;
	struct stat st, there;

	if (target->kind == NAME_ROOT || from < 0 ||
	    fstatat(from, target->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    S_ISDIR(st.st_mode))
		return fail(e, 0,
			    "a hard link to what is no file of the image");
	at = parent_or_fail(p, n, e);
	if (at < 0)
		return -1;
	if (fstatat(at, n->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    there.st_dev == st.st_dev && there.st_ino == st.st_ino) {
		int r = note(p, at, n->name);

		return r ? fail(e, r, "cannot be noted") : 0;
	}
	fd_drop(&at);
	at = room_for(p, n, e);
	if (at < 0)
		return -1;
	if (linkat(from, target->name, at, n->name, 0) < 0)
		return fail(e, -errno, "cannot be linked");
	return 0;
}

int place_nothing(struct place *p, const struct entry_name *n, struct err *e)
{
	OWNED(fd_drop) int at = room_for(p, n, e);

	return at < 0 ? -1 : 0;
}

/* -- whiteouts -- */

static bool is_of_this_layer(void *arg, int dir, const char *name)
{
	const struct place *p = arg;
	struct stat st;

	return fstat(dir, &st) == 0 && seen_has(&p->seen, st.st_ino, name);
}

int place_hide(struct place *p, const struct entry_name *n, struct err *e)
{
	OWNED(fd_drop) int at = parent(p, n, false);
	int r;

	/* below what is not there, or no directory, nothing is to be hidden */
	if (at == -ENOENT || at == -ENOTDIR || at == -ELOOP)
		return 0;
	if (at < 0)
		return fail(e, at, "its directory");
	r = n->kind == NAME_OPAQUE
		    ? drop_content(at, is_of_this_layer, p)
		    : drop_tree(at, n->name, is_of_this_layer, p);
	return r && r != -ENOTDIR ? fail(e, r, "what it hides") : 0;
}
