/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared by cgroup.c and cgroup_find.c. */
#ifndef CELLOS_SYS_CGROUP_INT_H
#define CELLOS_SYS_CGROUP_INT_H

#include "sys/cgroup.h"

/* "memory", "cpu", "pids" */
extern const char *const cgroup_names[CGROUP_CONTROLLER_NUM];

/** cgroup_read_line() - first line of a file; its length, 0 on any failure */
size_t cgroup_read_line(const char *dir, const char *file, char *buf,
			size_t size);

#endif
