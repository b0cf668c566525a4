/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bringing a guest up to where there is a command to run. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "guest/vm_guest.h"
#include "sys/cgroup.h"
#include "sys/mount.h"

/* What is made in the root that the command's own is made beside. */
#define BASE "/base"

static int make_dirs(const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (mkdir(names[i], 0755) < 0 && errno != EEXIST)
			return -errno;
	return 0;
}

static int no_dots(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int load(const char *dir, const char *name)
{
	char path[300];
	OWNED(fd_drop) int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

/* In the order of their names, which the builder of the image has given. */
static int load_modules(const char *dir)
{
	struct dirent **list;
	int n = scandir(dir, &list, no_dots, alphasort), r = 0;

	for (int i = 0; i < n && !r; i++)
		r = load(dir, list[i]->d_name);
	return r;
}

int vm_boot_devices(const char **ret_what)
{
	static const char *const dirs[] = { "/dev", BASE };
	int r = make_dirs(dirs, ARRAY_SIZE(dirs));

	*ret_what = "/dev";
	if (!r)
		r = mount_fs("devtmpfs", "/dev", MOUNT_DEV | MOUNT_NOEXEC,
			     NULL);
	if (r)
		return r;
	*ret_what = VM_GUEST_MODULES;
	r = load_modules(VM_GUEST_MODULES);
	if (!r)
		r = load_modules(vm_boot_has_sockets() ? VM_GUEST_SOCKETS
						       : VM_GUEST_SERIAL);
	return r;
}

/* The root of an initramfs cannot be left by pivot_root(2), another can. */
int vm_boot_root(const struct vm_setup *h, const char **ret_what)
{
	char size[64];
	static const char *const dirs[] = {
		BASE VM_GUEST_IMAGE, BASE "/dev",    BASE "/tmp",
		BASE "/proc",	     BASE "/cgroup", BASE VM_FILES
	};
	int r;

	*ret_what = BASE;
	r = mount_fs("tmpfs", BASE, 0, "mode=755,size=1m");
	if (!r)
		r = make_dirs(dirs, ARRAY_SIZE(dirs));
	if (r)
		return r;
	(void)snprintf(size, sizeof(size), "mode=755,size=%" PRIu64,
		       h->files_max);
	*ret_what = VM_FILES;
	r = mount_fs("tmpfs", BASE VM_FILES, 0, size);
	if (r)
		return r;
	*ret_what = "/dev/vda";
	r = mount_dev("/dev/vda", "erofs", BASE VM_GUEST_IMAGE, MOUNT_RO);
	if (r)
		return r;
	*ret_what = BASE;
	r = mount_move("/dev", BASE "/dev");
	if (!r)
		r = mount_fs("proc", BASE "/proc", MOUNT_NOEXEC, NULL);
	if (!r)
		r = last_errno(chdir(BASE));
	if (!r)
		r = mount_move(".", "/");
	if (!r)
		r = last_errno(chroot("."));
	return r ? r : last_errno(chdir("/"));
}

/* As on a host that is larger than the command's limit: what is too much is
 * told when it is used, by the limit. */
static int promise_memory(void)
{
	return file_write(AT_FDCWD, "/proc/sys/vm/overcommit_memory", "1", 1);
}

int vm_boot_group(const struct vm_setup *h, const char **ret_what)
{
	const struct cgroup_limits limits = { .memory_max = h->memory_max,
					      .pids_max = h->pids_max };
	static char what[CGROUP_PATH_MAX + 64] = "cgroup2";
	struct cgroup_host v2;
	struct cgroup_leaf leaf;
	int r;

	*ret_what = what;
	for (int i = 0; i < CGROUP_CONTROLLER_NUM; i++) {
		(void)snprintf(v2.parent[i], sizeof(v2.parent[i]), "/cgroup");
		v2.is_v2[i] = true;
	}
	r = promise_memory();
	if (!r)
		r = mount_fs("cgroup2", "/cgroup", MOUNT_NOEXEC, NULL);
	if (!r)
		r = file_write(AT_FDCWD, "/cgroup/cgroup.subtree_control",
			       "+memory +pids", 13);
	if (!r)
		r = cgroup_leaf_plan(&v2, "cell", &limits, &leaf);
	if (!r)
		r = cgroup_leaf_make(&leaf, &limits, what);
	/* of one that is too large nothing is left */
	if (!r && h->memory_max)
		r = file_write(leaf.v2_fd, "memory.oom.group", "1", 1);
	return r ? r : leaf.v2_fd;
}

static int read_limit(int group, const char *file, uint64_t *ret)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(64);
	int r = file_read(group, file, 0, &b);
	const char *s = r ? "" : wbuf_cstr(&b);
	char *end;

	if (r)
		return r;
	if (!strcmp(s, "max\n")) {
		*ret = UINT64_MAX;
		return 0;
	}
	errno = 0;
	*ret = strtoull(s, &end, 10);
	return *s < '0' || *s > '9' || errno || strcmp(end, "\n") ? -EPROTO : 0;
}

int vm_group_limits(int group, const struct vm_setup *h,
		    struct cell_guest_limits *ret, const char **ret_what)
{
	int r = 0;

	*ret = (struct cell_guest_limits){ 0 };
	*ret_what = "memory.max";
	if (h->memory_max)
		r = read_limit(group, *ret_what, &ret->memory_max);
	if (r)
		return r;
	*ret_what = "pids.max";
	return h->pids_max ? read_limit(group, *ret_what, &ret->pids_max) : 0;
}

bool vm_group_oom(int group)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);
	const char *at;

	if (file_read(group, "memory.events", 0, &b))
		return false;
	at = strstr(wbuf_cstr(&b), "oom_kill ");
	return at && at[9] != '0';
}
