/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Mounts: the new calls, and mount(2) where it is one call instead of four. */
#include "sys/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From linux/fs.h via sys/mount.h, which clashes with linux/mount.h. */
int mount(const char *source, const char *target, const char *type,
	  unsigned long flags, const void *data);
int umount2(const char *target, int flags);

enum {
	K_MS_RDONLY = 1,
	K_MS_NOSUID = 2,
	K_MS_NODEV = 4,
	K_MS_NOEXEC = 8,
	K_MS_BIND = 4096,
	K_MS_MOVE = 8192,
	K_MS_REC = 16384,
	K_MS_PRIVATE = 1 << 18,
	K_MNT_DETACH = 2
};

static int sys_result(long r)
{
	return r < 0 ? -errno : (int)r;
}

int mount_private(void)
{
	return sys_result(
		mount(NULL, "/", NULL, K_MS_PRIVATE | K_MS_REC, NULL));
}

int mount_tree_open(int dirfd, const char *path, bool recursive)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;

	if (recursive)
		flags |= AT_RECURSIVE;
	if (path[0] == '\0')
		flags |= AT_EMPTY_PATH;
	return sys_result(syscall(SYS_open_tree, dirfd, path, flags));
}

static int set_attr(int at, const char *path, struct mount_attr *a,
		    bool recursive)
{
	unsigned flags = path[0] ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH;

	if (recursive)
		flags |= AT_RECURSIVE;
	return sys_result(
		syscall(SYS_mount_setattr, at, path, flags, a, sizeof(*a)));
}

static int set_flags(int at, const char *path, unsigned flags)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_NOSUID };

	if (flags & MOUNT_RO)
		a.attr_set |= MOUNT_ATTR_RDONLY;
	if (flags & MOUNT_NOEXEC)
		a.attr_set |= MOUNT_ATTR_NOEXEC;
	if (!(flags & MOUNT_DEV))
		a.attr_set |= MOUNT_ATTR_NODEV;
	return set_attr(at, path, &a, (flags & MOUNT_RECURSIVE) != 0);
}

int mount_tree_attr(int tree, unsigned flags)
{
	return set_flags(tree, "", flags);
}

int mount_path_attr(const char *path, unsigned flags)
{
	return set_flags(AT_FDCWD, path, flags);
}

int mount_bind(const char *src, const char *dst, bool recursive)
{
	return sys_result(mount(src, dst, NULL,
				K_MS_BIND | (recursive ? K_MS_REC : 0), NULL));
}

int mount_tree_idmap(int tree, int userns, bool recursive)
{
	struct mount_attr a = {
		.attr_set = MOUNT_ATTR_IDMAP,
		.userns_fd = (unsigned)userns,
	};

	return set_attr(tree, "", &a, recursive);
}

/* One component: what it is, not where it points. */
static int open_plain(int at, const char *name)
{
	int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (S_ISLNK(st.st_mode))
		r = -ELOOP;
	if (r)
		(void)close(fd);
	return r ? r : fd;
}

int mount_source_open(const char *path)
{
	char part[NAME_MAX + 1];
	int at = open_plain(AT_FDCWD, path[0] == '/' ? "/" : ".");
	int fd;

	while (at >= 0 && *path) {
		size_t n = strcspn(path, "/");

		if (n == 0) {
			path++;
			continue;
		}
		if (n > NAME_MAX) {
			fd = -ENAMETOOLONG;
		} else {
			memcpy(part, path, n);
			part[n] = '\0';
			fd = open_plain(at, part);
		}
		(void)close(at);
		at = fd;
		path += n;
	}
	return at;
}

int mount_source_tree(const char *path, bool want_dir, struct stat *ret_st)
{
	struct stat st;
	int fd = mount_source_open(path);
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (want_dir != S_ISDIR(st.st_mode))
		r = want_dir ? -ENOTDIR : -EISDIR;
	else
		r = mount_tree_open(fd, "", true);
	(void)close(fd);
	if (r >= 0 && ret_st)
		*ret_st = st;
	return r;
}

int mount_resolve(int at, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return sys_result(syscall(SYS_openat2, at, path, &how, sizeof(how)));
}

int mount_tree_attach(int tree, int at, const char *path)
{
	int target = mount_resolve(at, path);
	long r;
	int saved;

	if (target < 0)
		return target;
	r = syscall(SYS_move_mount, tree, "", target, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	saved = errno;
	(void)close(target);
	return r < 0 ? -saved : 0;
}

int mount_tree_move(int tree, const char *path)
{
	return sys_result(syscall(SYS_move_mount, tree, "", AT_FDCWD, path,
				  MOVE_MOUNT_F_EMPTY_PATH));
}

int mount_move(const char *src, const char *dst)
{
	return sys_result(mount(src, dst, NULL, K_MS_MOVE, NULL));
}

static int mount_new(const char *source, const char *type, const char *path,
		     unsigned flags, const char *data)
{
	unsigned long f = K_MS_NOSUID;

	if (flags & MOUNT_RO)
		f |= K_MS_RDONLY;
	if (flags & MOUNT_NOEXEC)
		f |= K_MS_NOEXEC;
	if (!(flags & MOUNT_DEV))
		f |= K_MS_NODEV;
	return sys_result(mount(source, path, type, f, data));
}

int mount_fs(const char *type, const char *path, unsigned flags,
	     const char *data)
{
	return mount_new(type, type, path, flags, data);
}

/* "name=value,..." to one call each */
static int set_options(int fs, const char *data)
{
	char text[128], *save = NULL, *word;

	if (strlen(data) >= sizeof(text))
		return -EINVAL;
	memcpy(text, data, strlen(data) + 1);
	for (word = strtok_r(text, ",", &save); word;
	     word = strtok_r(NULL, ",", &save)) {
		char *value = strchr(word, '=');

		if (!value)
			return -EINVAL;
		*value++ = '\0';
		if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, word, value,
			    0) < 0)
			return -errno;
	}
	return 0;
}

int mount_tmpfs_new(const char *data)
{
	int fs = sys_result(syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC));
	int r;

	if (fs < 0)
		return fs;
	r = set_options(fs, data);
	if (!r)
		r = sys_result(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE,
				       NULL, NULL, 0));
	if (!r)
		r = sys_result(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
				       MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
	(void)close(fs);
	return r;
}

int mount_dev(const char *dev, const char *type, const char *path,
	      unsigned flags)
{
	return mount_new(dev, type, path, flags, NULL);
}

int mount_pivot(void)
{
	/* pivot_root(2): with "." twice the old root ends stacked on the new
	 * one and the detach below takes it away */
	long r = syscall(SYS_pivot_root, ".", ".");

	if (r < 0)
		return -errno;
	if (umount2(".", K_MNT_DETACH) < 0)
		return -errno;
	if (chdir("/") < 0)
		return -errno;
	return 0;
}
