/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* User namespace maps. */
#include "sys/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

static int map_write(int procfd, const char *name, const struct userns_map *m,
		     size_t n)
{
	char text[256];
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"%u %u %u\n", m[i].inside, m[i].outside,
					m[i].count);
	/* one write(2): a map may be written once */
	return file_write(procfd, name, text, len);
}

static int map_check(int procfd, const char *name, const struct userns_map *m,
		     size_t n)
{
	OWNED(fd_drop) int fd = openat(procfd, name, O_RDONLY | O_CLOEXEC);
	unsigned in, out, count;
	char text[512], *p = text;
	ssize_t len;
	int used;

	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text) - 1);
	if (len < 0)
		return -errno;
	text[len] = '\0';
	for (size_t i = 0; i < n; i++) {
		if (sscanf(p, "%u %u %u%n", &in, &out, &count, &used) != 3 ||
		    in != m[i].inside || out != m[i].outside ||
		    count != m[i].count)
			return -EPROTO;
		p += used;
	}
	return p[strspn(p, " \n")] == '\0' ? 0 : -EPROTO;
}

int userns_write_maps(pid_t pid, const struct userns_map *uid, size_t n_uid,
		      const struct userns_map *gid, size_t n_gid,
		      int deny_setgroups)
{
	OWNED(fd_drop) int procfd = -1;
	char path[32];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%ld", (long)pid);
	procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (procfd < 0)
		return -errno;
	if (deny_setgroups) {
		r = file_write(procfd, "setgroups", "deny", 4);
		if (r)
			return r;
	}
	r = map_write(procfd, "uid_map", uid, n_uid);
	if (!r)
		r = map_write(procfd, "gid_map", gid, n_gid);
	if (!r)
		r = map_check(procfd, "uid_map", uid, n_uid);
	if (!r)
		r = map_check(procfd, "gid_map", gid, n_gid);
	return r;
}

int userns_for_idmap(const struct userns_map *uid, size_t n_uid,
		     const struct userns_map *gid, size_t n_gid)
{
	char path[40];
	pid_t parent = getpid(), pid;
	int r, fd = -1;

	pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL,
			     NULL, NULL);
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		/* not even a killed supervisor leaves it behind */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
		    getppid() != parent || fd_close_range(0, ~0u) < 0)
			_exit(0);
		for (;;)
			(void)pause();
	}
	r = userns_write_maps(pid, uid, n_uid, gid, n_gid, 0);
	if (!r) {
		(void)snprintf(path, sizeof(path), "/proc/%ld/ns/user",
			       (long)pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : 0;
	}
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r ? r : fd;
}
