/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Attacks on files: reading what is not the cell's, writing what is read-only,
 * leaving set-uid files or devices behind, climbing out of a mount.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "hostile.h"

enum { CHUNK = 65536, FILL_MAX = 4096 /* chunks: 256 MiB */ };

static const char *close_ok(int fd)
{
	const char *w = word_of(fd);

	if (fd >= 0)
		(void)close(fd);
	return w;
}

static const char *open_read(const char *arg)
{
	char c;
	int fd = open(arg, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return word_of(-1);
	return word_of(read(fd, &c, 1));
}

static const char *open_write(const char *arg)
{
	return close_ok(open(arg, O_WRONLY | O_CLOEXEC));
}

static const char *create_file(const char *arg)
{
	return close_ok(open(arg, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

static const char *make_dir(const char *arg)
{
	return word_of(mkdir(arg, 0755));
}

static const char *remove_file(const char *arg)
{
	return word_of(unlink(arg));
}

static const char *change_mode(const char *arg)
{
	return word_of(chmod(arg, 0777));
}

static const char *truncate_file(const char *arg)
{
	return word_of(truncate(arg, 0));
}

static const char *rename_file(const char *arg)
{
	char to[PATH_MAX];

	(void)snprintf(to, sizeof(to), "%s.moved", arg);
	return word_of(rename(arg, to));
}

static const char *exists(const char *arg)
{
	struct stat st;

	return word_of(lstat(arg, &st));
}

/* Sorted names of a directory, joined by commas. */
static const char *list_dir(const char *arg)
{
	struct dirent **names;
	char all[2048] = "";
	int n = scandir(arg, &names, NULL, alphasort);

	if (n < 0)
		return word_of(-1);
	for (int i = 0; i < n; i++) {
		size_t len = strlen(all);

		if (names[i]->d_name[0] != '.')
			(void)snprintf(all + len, sizeof(all) - len, "%s%s",
				       len ? "," : "", names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return word_fmt("%s", all);
}

/* What a mount allows, as the kernel says it. */
static const char *mount_flags(const char *arg)
{
	struct statvfs v;

	if (statvfs(arg, &v) < 0)
		return word_of(-1);
	return word_fmt("%s%s%s%s", v.f_flag & ST_RDONLY ? "ro" : "rw",
			v.f_flag & ST_NOSUID ? ",nosuid" : "",
			v.f_flag & ST_NODEV ? ",nodev" : "",
			v.f_flag & ST_NOEXEC ? ",noexec" : "");
}

/* A masked path is the null device, an empty file or an empty directory. */
static const char *masked(const char *arg)
{
	struct stat st;
	char c;
	int fd;

	if (stat(arg, &st) < 0)
		return word_of(-1);
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
		return "masked";
	if (S_ISDIR(st.st_mode))
		return *list_dir(arg) ? "visible" : "masked";
	fd = open(arg, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return word_of(-1);
	return read(fd, &c, 1) == 0 ? "masked" : "visible";
}

static const char *own_file(char path[64])
{
	int fd;

	(void)snprintf(path, 64, "/tmp/hostile.XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return word_fmt("no-file");
	(void)close(fd);
	return NULL;
}

static const char *suid_chmod(const char *arg)
{
	char path[64];
	const char *bad = own_file(path);

	(void)arg;
	return bad ? bad : word_of(chmod(path, 04755));
}

static const char *sgid_chmod(const char *arg)
{
	char path[64];
	const char *bad = own_file(path);

	(void)arg;
	return bad ? bad : word_of(chmod(path, 02755));
}

static const char *suid_fchmod(const char *arg)
{
	char path[64];
	const char *bad = own_file(path);

	(void)arg;
	return bad ? bad
		   : word_of(fchmod(open(path, O_RDONLY | O_CLOEXEC), 04755));
}

static const char *suid_fchmodat(const char *arg)
{
	char path[64];
	const char *bad = own_file(path);

	(void)arg;
	return bad ? bad : word_of(fchmodat(AT_FDCWD, path, 04755, 0));
}

static const char *suid_open(const char *arg)
{
	(void)arg;
	return close_ok((int)syscall(SYS_open, "/tmp/hostile-open",
				     O_WRONLY | O_CREAT, 04755));
}

static const char *suid_openat(const char *arg)
{
	(void)arg;
	return close_ok(open("/tmp/hostile-openat", O_WRONLY | O_CREAT, 04755));
}

static const char *suid_creat(const char *arg)
{
	(void)arg;
	return close_ok((int)syscall(SYS_creat, "/tmp/hostile-creat", 04755));
}

/* A filter cannot see the mode that openat2 takes by pointer. */
static const char *suid_openat2(const char *arg)
{
	uint64_t how[3] = { O_WRONLY | O_CREAT, 04755, 0 };

	(void)arg;
	return close_ok((int)syscall(SYS_openat2, AT_FDCWD,
				     "/tmp/hostile-openat2", how, sizeof(how)));
}

static const char *sgid_mkdir(const char *arg)
{
	(void)arg;
	return word_of(mkdir("/tmp/hostile-dir", 02755));
}

static const char *suid_mknod(const char *arg)
{
	(void)arg;
	return word_of(mknod("/tmp/hostile-nod", S_IFREG | 04755, 0));
}

static const char *device_block(const char *arg)
{
	(void)arg;
	return word_of(mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0)));
}

static const char *device_char(const char *arg)
{
	(void)arg;
	return word_of(mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)));
}

static const char *device_fifo(const char *arg)
{
	(void)arg;
	return word_of(mkfifo("/tmp/fifo", 0600));
}

static const char *chown_root(const char *arg)
{
	char path[64];
	const char *bad = own_file(path);

	(void)arg;
	return bad ? bad : word_of(chown(path, 0, 0));
}

/* ARG is a writable mount and, after a colon, a path outside of it. */
static const char *symlink_out(const char *arg)
{
	char link[PATH_MAX], *to = strchr(arg, ':');

	if (!to)
		return "bad-argument";
	(void)snprintf(link, sizeof(link), "%.*s/way-out", (int)(to - arg),
		       arg);
	(void)unlink(link); /* of another try */
	if (symlink(to + 1, link) < 0)
		return word_fmt("no-link");
	return open_read(link);
}

static const char *dotdot_out(const char *arg)
{
	char path[PATH_MAX], *to = strchr(arg, ':');

	if (!to)
		return "bad-argument";
	(void)snprintf(path, sizeof(path),
		       "%.*s/../../../../../../../../../..%s", (int)(to - arg),
		       arg, to + 1);
	return open_read(path);
}

/* Hard links cross no mount, whatever the file. */
static const char *hard_link(const char *arg)
{
	return word_of(link(arg, "/tmp/hostile-link"));
}

static const char *hard_link_fd(const char *arg)
{
	char path[64];
	int fd = open(arg, O_RDONLY | O_CLOEXEC);

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return word_of(linkat(AT_FDCWD, path, AT_FDCWD, "/tmp/hostile-link",
			      AT_SYMLINK_FOLLOW));
}

/* Reopening through /proc must not turn a read-only mount writable. */
static const char *reopen_write(const char *arg)
{
	char path[64];
	int fd = open(arg, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return word_fmt("no-file");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return close_ok(open(path, O_RDWR | O_CLOEXEC));
}

static const char *fill(const char *arg)
{
	static char chunk[CHUNK];
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/fill", arg);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return word_fmt("no-file");
	for (int i = 0; i < FILL_MAX; i++)
		if (write(fd, chunk, sizeof(chunk)) < 0)
			return word_of(-1);
	return "unlimited";
}

static const char *fs_size(const char *arg)
{
	struct statvfs v;

	if (statvfs(arg, &v) < 0)
		return word_of(-1);
	return word_fmt("%llu", (unsigned long long)v.f_blocks * v.f_frsize);
}

const struct probe fs_probes[] = {
	{ "read", open_read },
	{ "write", open_write },
	{ "create", create_file },
	{ "mkdir", make_dir },
	{ "unlink", remove_file },
	{ "chmod", change_mode },
	{ "truncate", truncate_file },
	{ "rename", rename_file },
	{ "exists", exists },
	{ "list", list_dir },
	{ "mount-flags", mount_flags },
	{ "masked", masked },
	{ "suid-chmod", suid_chmod },
	{ "sgid-chmod", sgid_chmod },
	{ "suid-fchmod", suid_fchmod },
	{ "suid-fchmodat", suid_fchmodat },
	{ "suid-open", suid_open },
	{ "suid-openat", suid_openat },
	{ "suid-creat", suid_creat },
	{ "suid-openat2", suid_openat2 },
	{ "sgid-mkdir", sgid_mkdir },
	{ "suid-mknod", suid_mknod },
	{ "mknod-block", device_block },
	{ "mknod-char", device_char },
	{ "mknod-fifo", device_fifo },
	{ "chown-root", chown_root },
	{ "symlink-out", symlink_out },
	{ "dotdot-out", dotdot_out },
	{ "hard-link", hard_link },
	{ "hard-link-fd", hard_link_fd },
	{ "reopen-write", reopen_write },
	{ "fill", fill },
	{ "fs-size", fs_size },
};
const size_t fs_probes_num = sizeof(fs_probes) / sizeof(fs_probes[0]);
