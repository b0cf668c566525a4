/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "unpack/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "sys/caps.h"
#include "sys/mount.h"
#include "sys/seccomp.h"

enum {
	MEMORY_MAX = 1 << 30, /* documents, and zstd's largest window */
	FILES_MAX = 1024      /* one a level where a tree is removed */
};

static int show(int tree, const char *at, unsigned flags)
{
	int r = tree < 0 ? tree : mount_tree_attr(tree, flags);

	if (!r && mkdir(at, 0700) < 0)
		r = -errno;
	return r ? r : mount_tree_move(tree, at);
}

static int own_root(const char *layout, const char *into)
{
	static const char at[] = "/tmp";
	/* without what is mounted in them; before /tmp is covered */
	OWNED(fd_drop) int from = mount_tree_open(AT_FDCWD, layout, false);
	OWNED(fd_drop) int to = mount_tree_open(AT_FDCWD, into, false);
	int r = mount_private();

	if (!r)
		r = mount_fs("tmpfs", at, MOUNT_NOEXEC,
			     "mode=755,size=4k,nr_inodes=4");
	if (!r)
		r = last_errno(chdir(at));
	if (!r)
		r = show(from, &UNPACK_LAYOUT[1], MOUNT_RO | MOUNT_NOEXEC);
	if (!r)
		r = show(to, &UNPACK_ROOT[1], MOUNT_NOEXEC);
	if (!r)
		r = mount_pivot();
	return r ? r : mount_path_attr("/", MOUNT_RO | MOUNT_NOEXEC);
}

static int limits(uint64_t max)
{
	const struct rlimit none = { 0, 0 }, files = { FILES_MAX, FILES_MAX };
	const struct rlimit size = { max, max };
	const struct rlimit memory = { MEMORY_MAX, MEMORY_MAX };

	if (setrlimit(RLIMIT_CORE, &none) < 0 ||
	    setrlimit(RLIMIT_NPROC, &none) < 0 ||
	    setrlimit(RLIMIT_NOFILE, &files) < 0 ||
	    setrlimit(RLIMIT_FSIZE, &size) < 0 ||
	    /* a sanitizer maps terabytes */
	    (!SANITIZED && setrlimit(RLIMIT_AS, &memory) < 0))
		return -errno;
	return 0;
}

static int caps(void)
{
	const uint64_t kept =
		1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER;
	int r = caps_drop_bounding();

	return r ? r : caps_set(kept);
}

static int last_calls(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return SANITIZED ? 0 : seccomp_enter_unpack();
}

int unpack_confine(const char *layout, const char *into, uint64_t max,
		   const char **ret_what)
{
	int r;

	*ret_what = "descriptors";
	r = fd_close_range(3, ~0u);
	if (!r)
		*ret_what = "parent",
		r = last_errno(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
	if (!r)
		*ret_what = "namespaces",
		r = last_errno(unshare(CLONE_NEWNS | CLONE_NEWNET |
				       CLONE_NEWIPC | CLONE_NEWUTS));
	if (!r)
		*ret_what = "root", r = own_root(layout, into);
	if (!r)
		*ret_what = "limits", r = limits(max);
	if (!r)
		*ret_what = "capabilities", r = caps();
	if (!r)
		*ret_what = "seccomp", r = last_calls();
	return r;
}
