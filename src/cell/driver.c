/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The drivers' common part. */
#include "cell/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cell/command.h"

int driver_begin(const struct stage *s)
{
	/* for when we end by the command's signal */
	const struct rlimit core = { 1, 1 };
	sigset_t set;
	int fd;

	(void)close(s->init_sock);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	if (setsid() < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    setrlimit(RLIMIT_CORE, &core) < 0 ||
	    sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int driver_drop_stdio(const struct stage *s)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3; i++) {
		if (null < 0 || dup2(null, i) < 0)
			return -errno;
		if (s->stdio[i] > 2)
			(void)close(s->stdio[i]);
	}
	(void)close(null);
	return 0;
}

void driver_tell_line(const struct stage *s, enum cell_told told,
		      const char *line)
{
	char word[1 + CELL_LINE_SIZE];
	int n = snprintf(word + 1, CELL_LINE_SIZE, "%s", line) + 1;

	word[0] = (char)told;
	if (n > CELL_LINE_SIZE)
		n = CELL_LINE_SIZE;
	/* without it pid 1 takes our end for that of the sandbox */
	if (write(s->told[1], word, (size_t)n) != n)
		_exit(125);
}

void driver_tell(const struct stage *s, enum cell_told told)
{
	driver_tell_line(s, told, "");
}

void driver_end(const struct stage *s, enum cell_told told, int status)
{
	/* a signal that stops us, or does nothing, would be another's choice */
	if (command_code(status) < 0)
		_exit(125);
	driver_tell(s, told);
	if (WIFSIGNALED(status)) {
		command_reset_signals();
		(void)kill(getpid(), WTERMSIG(status));
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 125);
}
