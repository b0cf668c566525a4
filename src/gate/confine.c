/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "gate/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "sys/caps.h"
#include "sys/mount.h"
#include "sys/seccomp.h"

enum { GATE_FILES = 65536 };

static int write_map(const char *path, unsigned id)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%u %u 1", id, id);

	return file_write(AT_FDCWD, path, text, (size_t)n);
}

/* Without privilege the mounts need a user namespace; the id stays. */
static int own_namespaces(bool is_root)
{
	const int own = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (is_root)
		return last_errno(unshare(own));
	r = last_errno(unshare(own | CLONE_NEWUSER));
	if (!r)
		r = file_write(AT_FDCWD, "/proc/self/setgroups", "deny", 4);
	if (!r)
		r = write_map("/proc/self/uid_map", uid);
	return r ? r : write_map("/proc/self/gid_map", gid);
}

static int empty_root(void)
{
	static const char at[] = "/tmp";
	int r = mount_private();

	if (!r)
		r = mount_fs("tmpfs", at, MOUNT_NOEXEC,
			     "mode=555,size=4k,nr_inodes=2");
	if (!r)
		r = last_errno(chdir(at));
	if (!r)
		r = mount_pivot();
	return r ? r : mount_path_attr("/", MOUNT_RO | MOUNT_NOEXEC);
}

static int become(uid_t uid, gid_t gid)
{
	if (!uid)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

int gate_limits(void)
{
	struct rlimit files = { GATE_FILES, GATE_FILES }, now;
	const struct rlimit none = { 0, 0 };

	if (getrlimit(RLIMIT_NOFILE, &now) < 0)
		return -errno;
	/* as many as we are given: the flows are bounded by what can be had */
	if (setrlimit(RLIMIT_NOFILE, &files) < 0) {
		now.rlim_cur = now.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &now) < 0)
			return -errno;
	}
	if (setrlimit(RLIMIT_NPROC, &none) < 0 ||
	    setrlimit(RLIMIT_FSIZE, &none) < 0)
		return -errno;
	return 0;
}

static int no_caps(void)
{
	int r = caps_set(0);

	return r ? r : caps_are_none() ? 0 : -EPROTO;
}

static int last_calls(void)
{
	/* a change of user undoes the last two */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	return SANITIZED ? 0 : seccomp_enter_gate();
}

int gate_confine(uid_t uid, gid_t gid, const char **ret_what)
{
	int r;

	*ret_what = "namespaces";
	r = own_namespaces(uid != 0);
	if (!r)
		*ret_what = "root", r = empty_root();
	if (!r)
		*ret_what = "bounding set", r = caps_drop_bounding();
	if (!r)
		*ret_what = "user", r = become(uid, gid);
	if (!r)
		*ret_what = "capabilities", r = no_caps();
	if (!r)
		*ret_what = "seccomp", r = last_calls();
	return r;
}
