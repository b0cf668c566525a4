/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The format of a run file, shared by state.c (ps) and gc.c. */
#ifndef CELLOS_CELL_STATE_FILE_H
#define CELLOS_CELL_STATE_FILE_H

#include "cell/state.h"
#include "sys/cgroup.h"

enum { STATE_CGROUPS = 8, CGROUP_NOTE_MAX = CGROUP_PATH_MAX + 32 };

struct state_file {
	int fd; /* open for reading and writing; caller drops */
	struct state_info info;
	unsigned long long runner_start, init_start;
	char cgroups[STATE_CGROUPS][CGROUP_PATH_MAX];
	size_t n_cgroups;
};

/** state_lock() - 0, or -EAGAIN/-EACCES while the runner lives */
int state_lock(int fd) MUST_USE;
int state_file_read(int dirfd, const char *name,
		    struct state_file *ret) MUST_USE;
/** state_each() - every run file; stops when @fn returns non-zero */
int state_each(const char *dir,
	       int (*fn)(void *arg, int dirfd, const char *name), void *arg,
	       struct err *e) MUST_USE;

#endif
