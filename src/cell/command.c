/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The last of what a process does before it is the command; how that ended. */
#include "cell/command.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* As after boot: no signal blocked, none ignored. Not by sigaction(3), which
 * keeps some numbers for its library. */
void command_reset_signals(void)
{
	static const uint64_t dfl[4]; /* the kernel's struct sigaction */
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)!syscall(SYS_rt_sigaction, sig, dfl, NULL, 8);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A script without "#!" is the shell's; @argv has a free place before it. */
static int exec_file(const char *path, char **argv)
{
	(void)execve(path, argv, environ);
	if (errno == ENOEXEC) {
		argv[-1] = (char *)(uintptr_t) "/bin/sh";
		argv[0] = (char *)(uintptr_t)path;
		(void)execve(argv[-1], argv - 1, environ);
		errno = ENOEXEC;
	}
	return -errno;
}

/* The next directory may have it: a server of this one may be away. */
static bool is_not_there(int sys)
{
	return sys == ENOENT || sys == ENOTDIR || sys == ESTALE ||
	       sys == ENODEV || sys == ETIMEDOUT;
}

/*
 * The search of execvp(3) in the command's own PATH, as the GNU C library does
 * it: others take another default, and run no script without "#!".
 */
int command_exec(const char *name, char **argv)
{
	const char *dirs = getenv("PATH");
	char path[PATH_MAX];
	int r = -ENOENT;
	size_t n;

	if (strchr(name, '/'))
		return exec_file(name, argv);
	for (dirs = dirs ? dirs : "/bin:/usr/bin";; dirs += n + 1) {
		int one;

		n = strcspn(dirs, ":");
		if (snprintf(path, sizeof(path), "%.*s%s%s", (int)n, dirs,
			     n ? "/" : "", name) < (int)sizeof(path)) {
			one = exec_file(path, argv);
			if (one == -EACCES)
				r = one;
			else if (!is_not_there(-one))
				return one;
		}
		if (!dirs[n])
			return r;
	}
}

/* Signals nothing dies of, unless it is told to */
static bool is_fatal(int sig)
{
	static const int others[] = { SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP,
				      SIGTTIN, SIGTTOU, SIGURG,	 SIGWINCH };

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (sig == others[i])
			return false;
	return sig > 0 && sig <= 64;
}

int command_code(int32_t status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return WIFSIGNALED(status) && is_fatal(WTERMSIG(status))
		       ? 128 + WTERMSIG(status)
		       : -1;
}
