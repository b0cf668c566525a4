/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Making, limiting, reading and removing a cell's control groups. */
#include "sys/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "sys/cgroup_int.h"

const char *const cgroup_names[CGROUP_CONTROLLER_NUM] = {
	[CGROUP_MEMORY] = "memory",
	[CGROUP_CPU] = "cpu",
	[CGROUP_PIDS] = "pids",
};

/* Cut at the first newline; returns the length, 0 on any failure. */
size_t cgroup_read_line(const char *dir, const char *file, char *buf,
			size_t size)
{
	OWNED(fd_drop) int fd = -1;
	char path[CGROUP_PATH_MAX + 64];
	ssize_t n;

	buf[0] = '\0';
	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, buf, size - 1);
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return strlen(buf);
}

static bool needed(enum cgroup_controller c, const struct cgroup_limits *l)
{
	switch (c) {
	case CGROUP_MEMORY:
		return l->memory_max != 0;
	case CGROUP_CPU:
		return l->cpu_quota != 0;
	case CGROUP_PIDS:
		return l->pids_max != 0;
	case CGROUP_CONTROLLER_NUM:
		break;
	}
	return false;
}

int cgroup_leaf_plan(const struct cgroup_host *h, const char *name,
		     const struct cgroup_limits *l, struct cgroup_leaf *ret)
{
	struct cgroup_leaf leaf = CGROUP_LEAF_INIT;

	for (int c = 0; c < CGROUP_CONTROLLER_NUM; c++) {
		int n;

		if (!needed((enum cgroup_controller)c, l))
			continue;
		if (!h->parent[c][0])
			return -ENOTSUP;
		n = snprintf(leaf.path[c], sizeof(leaf.path[c]), "%s/%s",
			     h->parent[c], name);
		if (n < 0 || (size_t)n >= sizeof(leaf.path[c]))
			return -ENAMETOOLONG;
		leaf.is_v2[c] = h->is_v2[c];
	}
	*ret = leaf;
	return 0;
}

/* Write a limit file and want the same text back. */
static int set_limit(const char *dir, const char *file, const char *want,
		     char *what)
{
	char path[CGROUP_PATH_MAX + 64], got[128];
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	r = file_write(AT_FDCWD, path, want, strlen(want));
	if (!r) {
		(void)cgroup_read_line(dir, file, got, sizeof(got));
		r = strcmp(got, want) ? -EPROTO : 0;
	}
	if (r)
		(void)snprintf(what, CGROUP_PATH_MAX + 64, "%s", path);
	return r;
}

/* The kernel rounds a byte limit down to pages: so do we, to compare. */
static int set_memory(const char *dir, bool v2, uint64_t max, char *what)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	char want[32];
	int r;

	(void)snprintf(want, sizeof(want), "%" PRIu64, max / page * page);
	r = set_limit(dir, v2 ? "memory.max" : "memory.limit_in_bytes", want,
		      what);
	if (r)
		return r;
	if (v2) {
		/* swap would make the limit a wish; no such file: no swap */
		r = set_limit(dir, "memory.swap.max", "0", what);
		return r == -ENOENT ? 0 : r;
	}
	r = set_limit(dir, "memory.memsw.limit_in_bytes", want, what);
	return r == -ENOENT ? 0 : r;
}

static int set_cpu(const char *dir, bool v2, uint64_t quota, uint64_t period,
		   char *what)
{
	char want[64];
	int r;

	if (v2) {
		if (quota == UINT64_MAX)
			(void)snprintf(want, sizeof(want), "max %" PRIu64,
				       period);
		else
			(void)snprintf(want, sizeof(want),
				       "%" PRIu64 " %" PRIu64, quota, period);
		return set_limit(dir, "cpu.max", want, what);
	}
	(void)snprintf(want, sizeof(want), "%" PRIu64, period);
	r = set_limit(dir, "cpu.cfs_period_us", want, what);
	if (r)
		return r;
	if (quota == UINT64_MAX)
		(void)snprintf(want, sizeof(want), "-1");
	else
		(void)snprintf(want, sizeof(want), "%" PRIu64, quota);
	return set_limit(dir, "cpu.cfs_quota_us", want, what);
}

static int set_pids(const char *dir, uint64_t max, char *what)
{
	char want[32];

	(void)snprintf(want, sizeof(want), "%" PRIu64, max);
	return set_limit(dir, "pids.max", want, what);
}

int cgroup_leaf_make(struct cgroup_leaf *l, const struct cgroup_limits *lim,
		     char ret_what[CGROUP_PATH_MAX + 64])
{
	int r = 0;

	for (int c = 0; c < CGROUP_CONTROLLER_NUM && !r; c++) {
		const char *dir = l->path[c];

		if (!dir[0])
			continue;
		/* on v2 the controllers share one directory */
		if (mkdir(dir, 0755) < 0 &&
		    !(errno == EEXIST && l->is_v2[c] && l->v2_fd >= 0)) {
			r = -errno;
			(void)snprintf(ret_what, CGROUP_PATH_MAX + 64, "%s",
				       dir);
			break;
		}
		if (l->is_v2[c] && l->v2_fd < 0) {
			l->v2_fd =
				open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (l->v2_fd < 0)
				return -errno;
		}
		if (!l->is_v2[c]) {
			(void)snprintf(ret_what, CGROUP_PATH_MAX + 64,
				       "%s/tasks", dir);
			l->tasks_fd[c] = open(ret_what, O_WRONLY | O_CLOEXEC);
			if (l->tasks_fd[c] < 0)
				return -errno;
		}
		switch ((enum cgroup_controller)c) {
		case CGROUP_MEMORY:
			r = set_memory(dir, l->is_v2[c], lim->memory_max,
				       ret_what);
			break;
		case CGROUP_CPU:
			r = set_cpu(dir, l->is_v2[c], lim->cpu_quota,
				    lim->cpu_period, ret_what);
			break;
		case CGROUP_PIDS:
			r = set_pids(dir, lim->pids_max, ret_what);
			break;
		case CGROUP_CONTROLLER_NUM:
			break;
		}
	}
	return r;
}

/* "cpu,cpuacct:/path": is @word in the list */
static bool line_lists(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (;;) {
		if (!strncmp(list, word, n) &&
		    (list[n] == ',' || list[n] == ':'))
			return true;
		list += strcspn(list, ",:");
		if (*list++ != ',')
			return false;
	}
}

int cgroup_enter(const int tasks_fd[CGROUP_CONTROLLER_NUM])
{
	for (int c = 0; c < CGROUP_CONTROLLER_NUM; c++)
		if (tasks_fd[c] >= 0 && write(tasks_fd[c], "0", 1) < 0)
			return -errno;
	return 0;
}

/* The leaf's name is unique: the end of the path is proof enough. */
bool cgroup_leaf_holds(const struct cgroup_leaf *l, pid_t pid)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(65536);
	char path[40];

	(void)snprintf(path, sizeof(path), "/proc/%ld/cgroup", (long)pid);
	if (file_read(AT_FDCWD, path, 0, &b))
		return false;
	for (int c = 0; c < CGROUP_CONTROLLER_NUM; c++) {
		const char *leaf = strrchr(l->path[c], '/'), *p;
		bool held = false;

		if (!leaf)
			continue;
		for (p = wbuf_cstr(&b); p && *p;
		     p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
			size_t n = strcspn(p, "\n"), k = strlen(leaf);
			const char *list = strchr(p, ':');

			if (n < k || strncmp(p + n - k, leaf, k) || !list)
				continue;
			held |= l->is_v2[c]
					? list[1] == ':'
					: line_lists(list + 1, cgroup_names[c]);
		}
		if (!held)
			return false;
	}
	return true;
}

void cgroup_leaf_read(const struct cgroup_leaf *l, enum cgroup_controller c,
		      char *buf, size_t size)
{
	const char *dir = l->path[c];
	char quota[48], period[48];

	buf[0] = '\0';
	if (!dir[0])
		return;
	switch (c) {
	case CGROUP_MEMORY:
		(void)cgroup_read_line(dir,
				       l->is_v2[c] ? "memory.max"
						   : "memory.limit_in_bytes",
				       buf, size);
		break;
	case CGROUP_CPU:
		if (l->is_v2[c]) {
			(void)cgroup_read_line(dir, "cpu.max", buf, size);
			break;
		}
		(void)cgroup_read_line(dir, "cpu.cfs_quota_us", quota,
				       sizeof(quota));
		(void)cgroup_read_line(dir, "cpu.cfs_period_us", period,
				       sizeof(period));
		(void)snprintf(buf, size, "%s %s",
			       strcmp(quota, "-1") ? quota : "max", period);
		break;
	case CGROUP_PIDS:
		(void)cgroup_read_line(dir, "pids.max", buf, size);
		break;
	case CGROUP_CONTROLLER_NUM:
		break;
	}
}

bool cgroup_leaf_oom(const struct cgroup_leaf *l)
{
	const char *dir = l->path[CGROUP_MEMORY];
	char path[CGROUP_PATH_MAX + 32], *p;
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(8192);

	if (!dir[0])
		return false;
	(void)snprintf(path, sizeof(path), "%s/%s", dir,
		       l->is_v2[CGROUP_MEMORY] ? "memory.events"
					       : "memory.oom_control");
	if (file_read(AT_FDCWD, path, 0, &b))
		return false;
	(void)wbuf_cstr(&b);
	p = strstr(b.p, "oom_kill ");
	return p && strtoul(p + 9, NULL, 10) > 0;
}

/* Nothing of that name, in a place where it could be seen: another mount over
 * the control groups' hides them, and they live on. */
static bool is_gone(const char *path)
{
	char up[CGROUP_PATH_MAX];
	struct statfs fs = { 0 }; /* of no type, where it cannot be asked */
	char *end;

	if (errno != ENOENT || strlen(path) >= sizeof(up))
		return false;
	(void)strcpy(up, path);
	do {
		end = strrchr(up, '/');
		if (!end || end == up)
			return false;
		*end = '\0';
	} while (statfs(up, &fs) < 0 && errno == ENOENT);
	errno = ENOENT;
	return fs.f_type == CGROUP_SUPER_MAGIC ||
	       fs.f_type == CGROUP2_SUPER_MAGIC;
}

int cgroup_dir_remove(const char *path)
{
	/* A dead process may stay counted for a moment: EBUSY is retried, up
	 * to a quarter of a second, with growing pauses */
	struct timespec pause = { 0, 200000 };
	char kill_file[CGROUP_PATH_MAX + 32];

	if (rmdir(path) == 0 || is_gone(path))
		return 0;
	if (errno == ENOENT)
		return -ENOENT;
	(void)snprintf(kill_file, sizeof(kill_file), "%s/cgroup.kill", path);
	if (file_write(AT_FDCWD, kill_file, "1", 1)) {
		/* v1, or before Linux 5.14: the pid namespace did the killing
		 */
	}
	for (int i = 0; i < 10; i++) {
		if (rmdir(path) == 0 || is_gone(path))
			return 0;
		if (errno != EBUSY)
			return -errno;
		(void)nanosleep(&pause, NULL);
		pause.tv_nsec *= 2;
		if (pause.tv_nsec > 50000000)
			pause.tv_nsec = 50000000;
	}
	return -EBUSY;
}

int cgroup_leaf_remove(struct cgroup_leaf *l)
{
	int left = 0;

	fd_drop(&l->v2_fd);
	for (int c = 0; c < CGROUP_CONTROLLER_NUM; c++) {
		fd_drop(&l->tasks_fd[c]);
		if (!l->path[c][0])
			continue;
		if (cgroup_dir_remove(l->path[c]))
			left++;
		else
			l->path[c][0] = '\0';
	}
	return left;
}
