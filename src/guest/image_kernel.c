/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The kernel of an image, and what it starts with. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cell/vm.h"
#include "guest/image_build.h"
#include "wire/cpio.h"

enum { DEPTH_MAX = 8 };

/* In the order they are loaded: what one needs stands before it. */
static const struct {
	const char *dir, *name;
} modules[] = {
	{ VM_GUEST_MODULES, "virtio_ring" },
	{ VM_GUEST_MODULES, "virtio" },
	{ VM_GUEST_MODULES, "virtio_mmio" },
	{ VM_GUEST_MODULES, "virtio_blk" },
	{ VM_GUEST_MODULES, "failover" },
	{ VM_GUEST_MODULES, "net_failover" },
	{ VM_GUEST_MODULES, "virtio_net" },
	{ VM_GUEST_MODULES, "libcrc32c" },
	{ VM_GUEST_MODULES, "erofs" },
	{ VM_GUEST_SERIAL, "virtio_console" },
	{ VM_GUEST_SOCKETS, "vsock" },
	{ VM_GUEST_SOCKETS, "vmw_vsock_virtio_transport_common" },
	{ VM_GUEST_SOCKETS, "vmw_vsock_virtio_transport" },
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
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(IMAGE_FILE_MAX);
	OWNED(fd_drop) int fd = -1;
	char file[64], name[80];
	int r = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)snprintf(file, sizeof(file), "%s.ko", modules[i].name);
	fd = r < 0 ? -errno : find_file(r, file, 0);
	if (fd == -ENOENT && is_builtin(tree, modules[i].name))
		return 0;
	r = fd < 0 ? fd : fd_read_all(fd, &b);
	if (r)
		return err_set(e, ERR_PLAIN, -r,
			       "kernel: module %s, which a guest needs; use a "
			       "kernel whose modules are not compressed "
			       "(linux-image-cloud-amd64 of Debian 12)",
			       modules[i].name);
	(void)snprintf(name, sizeof(name), "%s/%02zu-%s", &modules[i].dir[1], i,
		       file);
	cpio_put(out, name, S_IFREG | 0444, b.p, b.len);
	return 0;
}

/* -- the kernel itself -- */

/* What a bzImage is packed with (Documentation/arch/x86/boot.rst, payload) */
static const struct packer {
	unsigned char magic[4];
	const char *program;
	bool has_size; /* four bytes behind it that are not the packer's */
} packers[] = {
	{ { 0x02, 0x21, 0x4c, 0x18 }, "lz4", true },
	{ { 0x28, 0xb5, 0x2f, 0xfd }, "zstd", true },
	{ { 0xfd, '7', 'z', 'X' }, "xz", true },
	{ { 0x1f, 0x8b, 0x08, 0x00 }, "gzip", false },
};

static uint32_t le32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 |
	       (uint32_t)u[3] << 24;
}

/* The part of @b that is the kernel, packed; NULL: it is no bzImage of a known
 * kind */
static const struct packer *find_payload(const struct wbuf *b,
					 struct slice *ret)
{
	enum { SECTORS = 0x1f1, MAGIC = 0x202, AT = 0x248, SIZE = 0x24c };
	uint64_t at, n;

	if (b->len < SIZE + 4 || memcmp(b->p + MAGIC, "HdrS", 4) != 0)
		return NULL;
	at = ((uint64_t)(unsigned char)b->p[SECTORS] + 1) * 512 +
	     le32(b->p + AT);
	n = le32(b->p + SIZE);
	if (at > b->len || n > b->len - at || n < 8)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		const struct packer *p = &packers[i];

		if (memcmp(b->p + at, p->magic, sizeof(p->magic)) != 0)
			continue;
		*ret = (struct slice){ b->p + at, n - (p->has_size ? 4 : 0) };
		return p;
	}
	return NULL;
}

/* Not packed: a VMM that emulates spends seconds unpacking it, and Firecracker
 * takes nothing else. */
static int put_kernel(const struct wbuf *b, const char *name, int out,
		      struct err *e)
{
	const char *file = manifest_role_file(MANIFEST_KERNEL);
	OWNED(fd_drop) int from = -1;
	OWNED(fd_drop) int to = -1;
	const struct packer *p;
	struct slice payload;
	int r;

	if (b->len > 4 && !memcmp(b->p, "\177ELF", 4)) {
		r = image_put(out, file, b->p, b->len);
		return r ? err_set(e, ERR_PLAIN, -r, "%s", file) : 0;
	}
	p = find_payload(b, &payload);
	if (!p)
		return err_set(e, ERR_PLAIN, 0,
			       "kernel: %s is neither an ELF file nor a "
			       "bzImage packed with gzip, lz4, xz or zstd",
			       name);
	from = memfd_create("kernel", MFD_CLOEXEC);
	to = openat(out, file,
		    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = from < 0 || to < 0 ? -errno
			       : fd_write_all(from, payload.p, payload.n);
	if (!r && lseek(from, 0, SEEK_SET) < 0)
		r = -errno;
	if (r)
		return err_set(e, ERR_PLAIN, -r, "%s", file);
	if (image_run((const char *const[]){ p->program, "-dc", NULL }, from,
		      to, e))
		return -1;
	if (fchmod(to, 0444) < 0 || fsync(to) < 0)
		return err_set(e, ERR_PLAIN, errno, "%s", file);
	return 0;
}

static int put_initrd(int tree, int init, int out, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf a = WBUF_INIT(IMAGE_FILE_MAX);
	OWNED(wbuf_drop) struct wbuf own = WBUF_INIT(IMAGE_FILE_MAX);
	int r = fd_read_all(init, &own);

	if (r)
		return err_set(e, ERR_PLAIN, -r, "cellos-init");
	cpio_put(&a, "dev", S_IFDIR | 0755, "", 0);
	cpio_put(&a, &VM_GUEST_MODULES[1], S_IFDIR | 0755, "", 0);
	cpio_put(&a, &VM_GUEST_SERIAL[1], S_IFDIR | 0755, "", 0);
	cpio_put(&a, &VM_GUEST_SOCKETS[1], S_IFDIR | 0755, "", 0);
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
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(IMAGE_FILE_MAX);
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
	if (r)
		return err_set(e, ERR_PLAIN, -r, "kernel: %s/%s", name, path);
	if (put_kernel(&b, path, out, e))
		return -1;
	(void)snprintf(path, sizeof(path), "lib/modules/%s", version);
	tree = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree < 0)
		return err_set(e, ERR_PLAIN, errno, "kernel: %s/%s", name,
			       path);
	return put_initrd(tree, init, out, e);
}
