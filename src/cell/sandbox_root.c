/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Pid 1's part of a sandbox: a root in which its processes find the root of
 * the cell, themselves, and nothing of the host; and a way for its packets.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cell/door.h"
#include "cell/guest.h"
#include "cell/oci.h"
#include "cell/stage.h"
#include "sys/mount.h"
#include "sys/netns.h"

static int touch(const char *path)
{
	OWNED(fd_drop)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : 0;
}

static int make_dirs(void)
{
	static const char *const dirs[] = { "proc",   "dev",	 "sysctl",
					    "bundle", "channel", "state",
					    "tmp" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdir(dirs[i], 0700) < 0)
			return -errno;
	/* the sandbox's kernel is another user, and puts its own root there */
	if (chmod("tmp", 01777) < 0 || chmod("proc", 0555) < 0 ||
	    chmod("dev", 0755) < 0)
		return -errno;
	return 0;
}

/*
 * Linux 6.18 shows net/core/rmem_default in every network namespace; runsc
 * takes that for the host's, and refuses its own stack. It is shown what it
 * needs of the settings, and no net.
 */
static int make_proc(void)
{
	static const char *const shown[] = { "vm", "kernel", "fs", "user" };
	char dst[32], src[32];
	int r = mount_fs("proc", "proc", MOUNT_NOEXEC, NULL);

	if (!r)
		r = mount_bind("proc/sys", "sysctl", true);
	if (!r)
		r = mount_fs("tmpfs", "proc/sys", MOUNT_NOEXEC,
			     "mode=755,size=4096");
	for (size_t i = 0; i < ARRAY_SIZE(shown) && !r; i++) {
		(void)snprintf(src, sizeof(src), "sysctl/%s", shown[i]);
		(void)snprintf(dst, sizeof(dst), "proc/sys/%s", shown[i]);
		if (mkdir(dst, 0755) < 0)
			return -errno;
		r = mount_bind(src, dst, true);
		if (!r)
			r = mount_path_attr(dst, MOUNT_RO | MOUNT_NOEXEC);
	}
	return r;
}

static int make_dev(void)
{
	static const char *const nodes[] = { "/dev/null", "/dev/zero",
					     "/dev/random", "/dev/urandom" };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(nodes) && !r; i++)
		r = stage_device(nodes[i]);
	if (!r &&
	    (mkdir("dev/pts", 0755) < 0 || symlink("pts/ptmx", "dev/ptmx") < 0))
		r = -errno;
	return r;
}

/* Opened before any root covered a path */
static int show_runtime(const struct stage *s, const struct plan_step *p)
{
	int r;

	if (!stage_has_source(s, p))
		return -EBADF;
	r = touch(p->dst + 1);
	if (!r)
		r = mount_tree_attr(s->source[p->n], MOUNT_RO);
	return r ? r : mount_tree_move(s->source[p->n], p->dst + 1);
}

int sandbox_root(const struct stage *s, const struct plan_step *p)
{
	int r;

	if (chdir("..") < 0)
		return -errno;
	r = make_dirs();
	if (!r)
		r = make_proc();
	if (!r)
		r = make_dev();
	if (!r)
		r = show_runtime(s, p);
	if (!r)
		r = touch("channel/" GUEST_REPORT);
	if (!r)
		r = touch("channel/" GUEST_ENV);
	return r ? r : touch("channel/" GUEST_GO);
}

int sandbox_leg(int *ret_net)
{
	static const char own[] = "/proc/self/ns/net";
	OWNED(fd_drop) int here = open(own, O_RDONLY | O_CLOEXEC);
	OWNED(fd_drop) int there = -1;
	OWNED(fd_drop) int fd = -1;
	char text[512];
	struct nl_buf b = { .p = text, .max = sizeof(text) };
	int r;

	if (here < 0 || unshare(CLONE_NEWNET) < 0)
		return -errno;
	there = open(own, O_RDONLY | O_CLOEXEC);
	if (there < 0)
		return -errno;
	r = netns_lo_up();
	if (r)
		return r;
	if (setns(here, CLONE_NEWNET) < 0)
		return -errno;
	fd = nl_socket(NETLINK_ROUTE);
	if (fd < 0)
		return fd;
	netns_put_veth(&b, DOOR_LEG, DOOR_FAR_LINK, there);
	nl_ask_ack(&b);
	r = nl_request(fd, &b);
	if (!r)
		*ret_net = fd_take(&there);
	return r;
}
