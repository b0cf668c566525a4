/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* clone3, pidfd_open, pidfd_send_signal. */
#include "sys/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

pid_t pidfd_clone(uint64_t flags, int cgroup_fd, int *ret_pidfd)
{
	int pidfd = -1;
	struct clone_args a = {
		.flags = flags | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	long r;

	if (cgroup_fd >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (unsigned)cgroup_fd;
	}
	r = syscall(SYS_clone3, &a, sizeof(a));
	if (r < 0)
		return -errno;
	if (r > 0)
		*ret_pidfd = pidfd;
	return (pid_t)r;
}

int pidfd_open_pid(pid_t pid)
{
	long r = syscall(SYS_pidfd_open, pid, 0);

	return r < 0 ? -errno : (int)r;
}

int pidfd_signal(int pidfd, int sig)
{
	long r = syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);

	return r < 0 ? -errno : 0;
}

unsigned long long pidfd_start_time(pid_t pid)
{
	OWNED(fd_drop) int fd = -1;
	unsigned long long t = 0;
	char path[40], text[1024], *p;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	/* field 2 may hold anything, ')' too: the last one ends it */
	p = strrchr(text, ')');
	for (int field = 2; p && field < 21; field++)
		p = strchr(p + 1, ' ');
	if (p)
		(void)sscanf(p, " %*s %llu", &t);
	return t;
}
