/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The kernel of an image, and what it starts with. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "guest/image_build.h"
#include "wire/cpio.h"

enum { FILE_MAX = 256 << 20, DEPTH_MAX = 8 };

/* In the order they are loaded: what one needs stands before it. */
static const char *const modules[] = {
	"virtio_ring", "virtio",       "virtio_mmio", "virtio_blk",
	"failover",    "net_failover", "virtio_net",  "virtio_console",
	"libcrc32c",   "erofs",
};

int image_put(int dir, const char *name, const void *p, size_t n)
{
	OWNED(fd_drop)
	int fd = openat(dir, name,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0600);
	int r = fd < 0 ? -errno : fd_write_all(fd, p, n);

	if (!r && (fchmod(fd, 0444) < 0 || fsync(fd) < 0))
		r = -errno;
	return r;
}

/* The last one by version, as strverscmp(3) has it */
static int find_version(int dir, char *buf, size_t size)
{
	static const char prefix[] = "vmlinuz-";
	int fd = openat(dir, "boot", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	buf[0] = '\0';
	if (!d)
		return -errno;
	while ((de = readdir(d))) {
		const char *v = de->d_name + sizeof(prefix) - 1;

		if (!strncmp(de->d_name, prefix, sizeof(prefix) - 1) &&
		    strlen(v) < size && strverscmp(v, buf) > 0)
			(void)snprintf(buf, size, "%s", v);
	}
	(void)closedir(d);
	return buf[0] ? 0 : -ENOENT;
}

/* A file of this name somewhere beneath @fd, which is taken */
static int find_file(int fd, const char *name, int depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *de;
	int found = -ENOENT;

	if (!d)
		return -errno;
	while (found == -ENOENT && (de = readdir(d))) {
		int sub;

		if (de->d_name[0] == '.')
			continue;
		if (!strcmp(de->d_name, name)) {
			found = openat(dirfd(d), name,
				       O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
			break;
		}
		if (de->d_type != DT_DIR || depth == DEPTH_MAX)
			continue;
		sub = openat(dirfd(d), de->d_name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			found = find_file(sub, name, depth + 1);
	}
	(void)closedir(d);
	return found;
}

/* Part of the kernel itself: there is nothing to load */
static bool is_builtin(int tree, const char *name)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 20);
	char want[64];

	(void)snprintf(want, sizeof(want), "/%s.ko\n", name);
	return !file_read(tree, "modules.builtin", 0, &b) &&
	       strstr(wbuf_cstr(&b), want);
}

static int put_module(int tree, size_t i, struct wbuf *out, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(FILE_MAX);
	OWNED(fd_drop) int fd = -1;
	char file[64], name[80];
	int r = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)snprintf(file, sizeof(file), "%s.ko", modules[i]);
	fd = r < 0 ? -errno : find_file(r, file, 0);
	if (fd == -ENOENT && is_builtin(tree, modules[i]))
		return 0;
	r = fd < 0 ? fd : fd_read_all(fd, &b);
	if (r)
		return err_set(e, ERR_PLAIN, -r,
			       "kernel: module %s, which a guest needs; use a "
			       "kernel whose modules are not compressed "
			       "(linux-image-cloud-amd64 of Debian 12)",
			       modules[i]);
	(void)snprintf(name, sizeof(name), "modules/%02zu-%s", i, file);
	cpio_put(out, name, S_IFREG | 0444, b.p, b.len);
	return 0;
}

static int put_initrd(int tree, int init, int out, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf a = WBUF_INIT(FILE_MAX);
	OWNED(wbuf_drop) struct wbuf own = WBUF_INIT(FILE_MAX);
	int r = fd_read_all(init, &own);

	if (r)
		return err_set(e, ERR_PLAIN, -r, "cellos-init");
	cpio_put(&a, "dev", S_IFDIR | 0755, "", 0);
	cpio_put(&a, "modules", S_IFDIR | 0755, "", 0);
	cpio_put(&a, "init", S_IFREG | 0555, own.p, own.len);
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		if (put_module(tree, i, &a, e))
			return -1;
	cpio_end(&a);
	r = a.failed ? -EFBIG
		     : image_put(out, manifest_role_file(MANIFEST_INITRD), a.p,
				 a.len);
	if (!r)
		r = image_put(out, manifest_role_file(MANIFEST_INIT), own.p,
			      own.len);
	return r ? err_set(e, ERR_PLAIN, -r, "initrd") : 0;
}

int image_kernel(int dir, const char *name, int init, int out, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(FILE_MAX);
	OWNED(fd_drop) int tree = -1;
	char version[128], path[200];
	int r = find_version(dir, version, sizeof(version));

	if (r)
		return err_set(e, ERR_PLAIN, -r,
			       "kernel: no boot/vmlinuz-* in %s; get a package "
			       "(apt-get download linux-image-cloud-amd64's "
			       "newest) and name it with --kernel",
			       name);
	(void)snprintf(path, sizeof(path), "boot/vmlinuz-%s", version);
	r = file_read(dir, path, 0, &b);
	if (!r)
		r = image_put(out, manifest_role_file(MANIFEST_KERNEL), b.p,
			      b.len);
	if (r)
		return err_set(e, ERR_PLAIN, -r, "kernel: %s/%s", name, path);
	(void)snprintf(path, sizeof(path), "lib/modules/%s", version);
	tree = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree < 0)
		return err_set(e, ERR_PLAIN, errno, "kernel: %s/%s", name,
			       path);
	return put_initrd(tree, init, out, e);
}
