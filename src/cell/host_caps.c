/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The facts of the host that the plan is made from. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cell/plan.h"
#include "sys/landlock.h"
#include "sys/mount.h"
#include "sys/pidfd.h"

/* Ids given to cells started by root: pid 1, the command, the gate. systemd's
 * container range ends below, nothing is allocated from here on. Chosen by the
 * run's UUID. */
#define SPARE_BASE  0x70000000u
#define SPARE_COUNT 0x02000000u
enum { SPARE_IDS = 4 };

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

static bool has_caps(void)
{
	struct __user_cap_header_struct h = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct d[2] = { { 0 }, { 0 } };
	const uint32_t need = 1u << CAP_SYS_ADMIN | 1u << CAP_SETUID |
			      1u << CAP_SETGID | 1u << CAP_DAC_OVERRIDE;

	return syscall(SYS_capget, &h, d) == 0 &&
	       (d[0].effective & need) == need;
}

/* The last line of our own uid_map: as far as ids go here. */
static void spare_ids(const char *run_uuid, struct host_caps *h)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(65536);
	unsigned long seed = strtoul(run_uuid, NULL, 16);
	unsigned in, out, count, end = 0;
	char *p;

	if (file_read(AT_FDCWD, "/proc/self/uid_map", 0, &b))
		return;
	for (p = (char *)(uintptr_t)wbuf_cstr(&b); p && *p;
	     p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
		if (sscanf(p, "%u %u %u", &in, &out, &count) != 3)
			return;
		end = in + count;
	}
	if (end >= SPARE_BASE + SPARE_COUNT)
		h->spare_uid = SPARE_BASE +
			       (uint32_t)(seed % (SPARE_COUNT / SPARE_IDS)) *
				       SPARE_IDS;
	else if (end > 4096 + 1024)
		/* a container's range: from its top, where nobody lives */
		h->spare_uid = end - 4096 + (uint32_t)(seed % 1000) * SPARE_IDS;
	h->is_root = h->spare_uid != 0;
}

static bool fs_known(const char *name)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(65536);
	char word[64];

	if (file_read(AT_FDCWD, "/proc/filesystems", 0, &b))
		return false;
	(void)snprintf(word, sizeof(word), "\t%s\n", name);
	return strstr(wbuf_cstr(&b), word) != NULL;
}

static bool fs_opens(const char *name)
{
	int fd = (int)syscall(SYS_fsopen, name, FSOPEN_CLOEXEC);

	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

/* As a module it may not be loaded yet: this loads it. Who is not root is heard
 * in namespaces of their own only, as the cell will be. */
static bool fs_loads(const char *name)
{
	OWNED(fd_drop) int pidfd = -1;
	siginfo_t end = { 0 };
	pid_t pid;

	if (fs_opens(name))
		return true;
	if (errno != EPERM)
		return false;
	pid = pidfd_clone(CLONE_NEWUSER | CLONE_NEWNS, -1, &pidfd);
	if (pid == 0)
		_exit(!fs_opens(name));
	if (pid < 0)
		return false;
	while (waitid(P_PIDFD, (id_t)pidfd, &end, WEXITED) < 0)
		if (errno != EINTR)
			return false;
	return end.si_code == CLD_EXITED && end.si_status == 0;
}

static bool kernel_at_least(unsigned major, unsigned minor)
{
	struct utsname u;
	unsigned a = 0, b = 0;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &a, &b) != 2)
		return false;
	return a > major || (a == major && b >= minor);
}

static bool can_idmap(int fd)
{
	struct statfs s;

	if (fstatfs(fd, &s) < 0)
		return false;
	switch ((uint32_t)s.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
		return kernel_at_least(5, 15);
	case TMPFS_MAGIC:
		return kernel_at_least(6, 3);
	default:
		return false;
	}
}

static void look(struct host_path *p, const char *path, bool is_root)
{
	OWNED(fd_drop) int fd = mount_source_open(path);
	struct stat st;

	*p = (struct host_path){ .path = path };
	if (fd < 0 || fstat(fd, &st) < 0) {
		p->sys = fd < 0 ? -fd : errno;
		return;
	}
	p->is_dir = S_ISDIR(st.st_mode);
	if (!p->is_dir && !S_ISREG(st.st_mode))
		p->sys = ENOTSUP; /* no device, no socket, no FIFO */
	p->uid = st.st_uid;
	p->gid = st.st_gid;
	p->idmap = is_root && can_idmap(fd);
}

static int add_entry(struct host_caps *h, int dirfd, const char *name)
{
	struct host_entry *t = &h->top[h->n_top];
	struct stat st;
	ssize_t n;

	if (h->n_top == ARRAY_SIZE(h->top))
		return -ENOSPC;
	if (strlen(name) >= sizeof(t->name)) {
		(void)snprintf(t->name, sizeof(t->name), "%s", name);
		return -ENAMETOOLONG; /* what of it fits is to be told */
	}
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	*t = (struct host_entry){ .is_dir = S_ISDIR(st.st_mode) };
	(void)snprintf(t->name, sizeof(t->name), "%s", name);
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(dirfd, name, t->link, sizeof(t->link) - 1);
		if (n <= 0 || (size_t)n >= sizeof(t->link) - 1)
			return 0;
	} else if (!t->is_dir && !S_ISREG(st.st_mode)) {
		return 0;
	}
	h->n_top++;
	return 0;
}

static int host_top(struct host_caps *h)
{
	static const char *const names[] = { "usr",   "bin",   "sbin",	"lib",
					     "lib32", "lib64", "libx32" };
	OWNED(fd_drop) int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (add_entry(h, fd, names[i]))
			return -ENOSPC;
	return 0;
}

static int image_top(const char *image, struct host_caps *h)
{
	static const char *const ours[] = {
		".", "..", "proc", "sys", "dev", "tmp", "run", "lost+found"
	};
	DIR *d = opendir(image);
	struct dirent *de;
	int r = d ? 0 : -errno;

	while (!r && (de = readdir(d))) {
		bool skip = false;

		for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
			skip |= !strcmp(de->d_name, ours[i]);
		if (!skip)
			r = add_entry(h, dirfd(d), de->d_name);
	}
	if (d)
		(void)closedir(d);
	return r;
}

int host_caps_image(const char *image, struct host_caps *ret)
{
	*ret = (struct host_caps){ 0 };
	return image_top(image, ret);
}

/* Shown only if no declared mount covers it; the plan decides. */
static bool names_a_dir(const struct cell_request *req)
{
	const struct spec_run *run = req->spec->run;

	return run && run->working_directory.p && !req->portable &&
	       strcmp(run->working_directory.p, "/");
}

static int top_failed(const char *root, const struct host_caps *h, int sys,
		      struct err *e)
{
	const size_t most = ARRAY_SIZE(h->top), name = sizeof(h->top->name);

	if (sys == ENOSPC)
		return err_set(e, ERR_HOST, 0,
			       "source: root directory %s has more than %zu "
			       "entries at its top: name one with fewer",
			       root, most);
	if (sys == ENAMETOOLONG)
		return err_set(e, ERR_HOST, 0,
			       "source: root directory %s has an entry at its "
			       "top whose name is longer than %zu bytes: %s...",
			       root, name - 1, h->top[h->n_top].name);
	return err_set(e, ERR_HOST, sys, "source: root directory %s", root);
}

int host_caps_probe(const struct cell_request *req, struct host_caps *ret,
		    struct err *e)
{
	const struct spec_authority *a = &req->spec->authority;
	int r;

	*ret = (struct host_caps){ .uid = geteuid(), .gid = getegid() };
	if (ret->uid == 0 && has_caps())
		spare_ids(req->run_uuid, ret);
	ret->landlock_abi = landlock_abi();
	if (req->portable)
		return 0;
	for (size_t i = 0; i < a->n_mounts; i++)
		look(&ret->paths[i], a->mounts[i].path.p, ret->is_root);
	ret->n_paths = a->n_mounts;
	if (names_a_dir(req)) {
		look(&ret->paths[ret->n_paths++],
		     req->spec->run->working_directory.p, ret->is_root);
		ret->overlay = fs_known("overlay") || fs_loads("overlay");
	}
	r = req->image_root ? image_top(req->image_root, ret) : host_top(ret);
	return r ? top_failed(req->image_root ? req->image_root : "/", ret, -r,
			      e)
		 : 0;
}
