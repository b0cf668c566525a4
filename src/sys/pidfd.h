/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Processes by descriptor, so that a reused pid is never hit. */
#ifndef CELLOS_SYS_PIDFD_H
#define CELLOS_SYS_PIDFD_H

#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

/**
 * pidfd_clone() - clone3(2) without a shared address space (fork semantics)
 * @flags:     CLONE_NEW*; CLONE_PIDFD is added
 * @cgroup_fd: a v2 cgroup to start in (CLONE_INTO_CGROUP, Linux 5.7), or -1
 * @ret_pidfd: set in the parent
 *
 * Return: 0 in the child, the pid in the parent, or -errno
 */
pid_t pidfd_clone(uint64_t flags, int cgroup_fd, int *ret_pidfd) MUST_USE;
/** pidfd_open_pid() - descriptor or -errno */
int pidfd_open_pid(pid_t pid) MUST_USE;
/** pidfd_signal() - 0 or -errno */
int pidfd_signal(int pidfd, int sig) MUST_USE;
/** pidfd_start_time() - field 22 of /proc/<pid>/stat, in clock ticks since
 *  boot; 0 if the process is gone */
unsigned long long pidfd_start_time(pid_t pid);

#endif
