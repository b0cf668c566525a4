/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Control groups: one leaf a cell, on the v2 tree or, where the host still has
 * them, in each v1 controller that is needed. A limit is written, then read
 * back; what the kernel shows is what counts.
 */
#ifndef CELLOS_SYS_CGROUP_H
#define CELLOS_SYS_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

enum cgroup_controller {
	CGROUP_MEMORY,
	CGROUP_CPU,
	CGROUP_PIDS,
	CGROUP_CONTROLLER_NUM
};

enum { CGROUP_PATH_MAX = 512 };

/* Where leaves can be made; found once. */
struct cgroup_host {
	/* v2: a directory whose children may have the controller; "" = none.
	 * v1: the same directory in that controller's own tree. */
	char parent[CGROUP_CONTROLLER_NUM][CGROUP_PATH_MAX];
	bool is_v2[CGROUP_CONTROLLER_NUM];
};

/**
 * cgroup_host_find() - read mountinfo and /proc/self/cgroup
 * @want: an operator's parent directory (v2, or one v1 controller's), or NULL:
 *        then leaves lie beneath this process's own group (v2 as root: in
 *        /cellos at the top, so that controllers can be enabled)
 *
 * Only directories this process may write are reported. A controller that
 * @want does not give is taken from where it is without @want, in v1 only.
 *
 * Return: 0 or -errno (only for a bad @want: -ENOENT, -ENOTDIR, -EACCES;
 * -ENOTSUP for one that gives no controller)
 */
int cgroup_host_find(const char *want, struct cgroup_host *ret) MUST_USE;

struct cgroup_limits {
	uint64_t memory_max;		/* bytes; 0 = none */
	uint64_t cpu_quota, cpu_period; /* us; 0 = none, UINT64_MAX = max */
	uint64_t pids_max;		/* 0 = none */
};

struct cgroup_leaf {
	char path[CGROUP_CONTROLLER_NUM][CGROUP_PATH_MAX]; /* "" = not made */
	bool is_v2[CGROUP_CONTROLLER_NUM];
	int v2_fd; /* directory to start in (CLONE_INTO_CGROUP), or -1 */
	int tasks_fd[CGROUP_CONTROLLER_NUM]; /* v1: open for cgroup_enter() */
};

#define CGROUP_LEAF_INIT \
	((struct cgroup_leaf){ .v2_fd = -1, .tasks_fd = { -1, -1, -1 } })

/** cgroup_leaf_plan() - paths a leaf @name will have for these limits, without
 *  making anything: they are listed in the state file first */
int cgroup_leaf_plan(const struct cgroup_host *h, const char *name,
		     const struct cgroup_limits *l,
		     struct cgroup_leaf *ret) MUST_USE;
/**
 * cgroup_leaf_make() - create, write the limits, read them back
 * @ret_what: on failure, the file or directory concerned (static storage of
 *            the leaf; borrowed)
 *
 * Return: 0; -EPROTO if the kernel shows another value; or -errno
 */
int cgroup_leaf_make(struct cgroup_leaf *l, const struct cgroup_limits *lim,
		     char ret_what[CGROUP_PATH_MAX + 64]) MUST_USE;
/**
 * cgroup_enter() - move the calling thread into every v1 part of a leaf
 *
 * By the mover itself and by `tasks`: moving another process takes a lock that
 * waits for an RCU grace period, 5 to 20 ms. Rights are those of the one who
 * opened the files.
 */
int cgroup_enter(const int tasks_fd[CGROUP_CONTROLLER_NUM]) MUST_USE;
/** cgroup_leaf_holds() - is this process in every part of the leaf */
bool cgroup_leaf_holds(const struct cgroup_leaf *l, pid_t pid);
/** cgroup_leaf_read() - a limit as the kernel shows it, e.g. memory.max
 *  @buf: receives the text without the newline; "" if there is none */
void cgroup_leaf_read(const struct cgroup_leaf *l, enum cgroup_controller c,
		      char *buf, size_t size);
/** cgroup_leaf_oom() - did the memory limit kill something */
bool cgroup_leaf_oom(const struct cgroup_leaf *l);
/** cgroup_leaf_remove() - kill what is left (v2), remove every part
 *  Return: how many directories are still there */
int cgroup_leaf_remove(struct cgroup_leaf *l);
/** cgroup_dir_remove() - the same for one directory by path (gc)
 *  Return: 0, also if it is gone; -ENOENT: it cannot be seen from here, and may
 *  be there */
int cgroup_dir_remove(const char *path) MUST_USE;

#endif
