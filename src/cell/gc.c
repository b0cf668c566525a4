/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Clearing what a dead runner left, from the list it made beforehand. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/names.h"
#include "cell/state_file.h"
#include "sys/pidfd.h"

struct gc {
	int (*fn)(void *arg, const struct state_info *info,
		  const struct report_residue *r);
	void *arg;
	int cleared;
};

/* Pid 1 ends by itself when its runner dies; this is for the case that it
 * could not. A reused pid has another start time. */
static bool end_init(const struct state_file *f, struct report_residue *r)
{
	OWNED(fd_drop) int pidfd = -1;
	struct pollfd p;

	pidfd = pidfd_open_pid(f->info.init);
	if (pidfd < 0 || pidfd_start_time(f->info.init) != f->init_start)
		return true;
	p = (struct pollfd){ .fd = pidfd, .events = POLLIN };
	/* dead, and only not yet waited for */
	if (poll(&p, 1, 0) == 1)
		return true;
	if (pidfd_signal(pidfd, SIGKILL) == 0)
		report_residue_left(r, "killed: cell init, pid %ld",
				    (long)f->info.init);
	/* bounded: a process in an uninterruptible call is reported instead */
	return poll(&p, 1, 2000) == 1;
}

static int gc_one(void *arg, int dirfd, const char *file)
{
	NO_INIT struct report_residue r;
	struct gc *g = arg;
	struct state_file f;
	unsigned left = 0;
	bool dead = true;

	report_residue_begin(&r);
	if (state_file_read(dirfd, file, &f))
		return 0;
	if (state_lock(f.fd)) { /* alive */
		fd_drop(&f.fd);
		return 0;
	}
	if (f.info.init)
		dead = end_init(&f, &r);
	report_residue_checked(&r, "pids", f.info.init != 0, dead ? 0 : 1);
	for (size_t i = 0; i < f.n_cgroups; i++) {
		const char *name = strrchr(f.cgroups[i], '/');
		bool was, ours = name && !strncmp(name, "/cellos_", 8);
		int e;

		if (!ours)
			continue; /* not a leaf of ours */
		was = access(f.cgroups[i], F_OK) == 0;
		e = cgroup_dir_remove(f.cgroups[i]);

		if (e) {
			left++;
			report_residue_left(&r, "cgroup %s: %s", f.cgroups[i],
					    errno_word(-e));
		} else if (was) {
			report_residue_left(&r, "removed: cgroup %s",
					    f.cgroups[i]);
		}
	}
	report_residue_checked(&r, "cgroup", (unsigned)f.n_cgroups, left);
	f.info.runner = 0;
	g->cleared++;
	/* what could not be cleared or told stays listed for the next gc */
	if (g->fn(g->arg, &f.info, &r) == 0 && dead && !left)
		(void)unlinkat(dirfd, file, 0);
	fd_drop(&f.fd);
	return 0;
}

int gc_run(const struct state_dirs *d,
	   int (*fn)(void *arg, const struct state_info *info,
		     const struct report_residue *r),
	   void *arg, struct err *e)
{
	struct gc g = { .fn = fn, .arg = arg };

	if (state_each(d->run, gc_one, &g, e))
		return -1;
	return g.cleared;
}
