/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared by cgroup.c, cgroup_find.c and the test of the latter. */
#ifndef CELLOS_SYS_CGROUP_INT_H
#define CELLOS_SYS_CGROUP_INT_H

#include "sys/cgroup.h"

/* "memory", "cpu", "pids" */
extern const char *const cgroup_names[CGROUP_CONTROLLER_NUM];

/** cgroup_read_line() - first line of a file; its length, 0 on any failure */
size_t cgroup_read_line(const char *dir, const char *file, char *buf,
			size_t size);

/* What /proc says of the trees; "" where it says nothing. */
struct cgroup_finder {
	char v2_mount[CGROUP_PATH_MAX], v2_own[CGROUP_PATH_MAX];
	char v1_mount[CGROUP_CONTROLLER_NUM][CGROUP_PATH_MAX];
	char v1_root[CGROUP_CONTROLLER_NUM][CGROUP_PATH_MAX];
	char v1_own[CGROUP_CONTROLLER_NUM][CGROUP_PATH_MAX];
};

/**
 * cgroup_find_mount() - a line of /proc/self/mountinfo, proc_pid_mountinfo(5):
 * id parent major:minor root mount options ... - fstype source superoptions
 * Of several mounts of a tree the first counts.
 * @line: is cut up
 */
void cgroup_find_mount(struct cgroup_finder *f, char *line);
/**
 * cgroup_find_own() - a line of /proc/self/cgroup, cgroups(7):
 * id:controllers:path, and 0::path for v2
 * @line: is cut up
 */
void cgroup_find_own(struct cgroup_finder *f, char *line);
/**
 * cgroup_find_join() - where our group is in the file system
 * @dst:  CGROUP_PATH_MAX; "" if the mount does not show the group
 * @at:   mount point
 * @root: what of the tree is mounted there
 * @own:  path in the tree
 */
void cgroup_find_join(char *dst, const char *at, const char *root,
		      const char *own);

#endif
