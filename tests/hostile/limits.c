/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Attacks on the host's patience: too many processes, too much memory, and
 * processes that mean to outlive the cell.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"

enum {
	BOMB_MAX = 4000, /* no host is hurt if the wall is missing */
	HOG_STEP = 1 << 20,
	HOG_MAX = 1024, /* steps: 1 GiB */
	PTYS_MAX = 1000,
	FILES_MAX = 20000
};

/* ARG: how many to try. Children sleep; the cell's end collects them. */
static const char *fork_bomb(const char *arg)
{
	int max = *arg ? atoi(arg) : BOMB_MAX;

	for (int n = 0; n < max && n < BOMB_MAX; n++) {
		pid_t pid = fork();

		if (pid < 0)
			return word_of(-1);
		if (pid == 0) {
			(void)sleep(60);
			_exit(0);
		}
	}
	return "unlimited";
}

/* ARG: MiB to touch. */
static const char *memory_hog(const char *arg)
{
	int max = *arg ? atoi(arg) : HOG_MAX;

	for (int n = 0; n < max && n < HOG_MAX; n++) {
		char *p = malloc(HOG_STEP);

		if (!p)
			return word_of(-1);
		for (size_t i = 0; i < HOG_STEP; i += 4096)
			((volatile char *)p)[i] = 1;
	}
	return "unlimited";
}

/* Burns ARG milliseconds of processor time; says what it took on the wall. */
static const char *burn(const char *arg)
{
	struct timespec t0, t1;
	clock_t end = (clock_t)(atol(arg) * (CLOCKS_PER_SEC / 1000));

	(void)clock_gettime(CLOCK_MONOTONIC, &t0);
	while (clock() < end)
		;
	(void)clock_gettime(CLOCK_MONOTONIC, &t1);
	return word_fmt("%ld", (t1.tv_sec - t0.tv_sec) * 1000 +
				       (t1.tv_nsec - t0.tv_nsec) / 1000000);
}

/* How many terminals there are to be had, and why no more. */
static const char *many_ptys(const char *arg)
{
	struct rlimit r = { PTYS_MAX + 16, PTYS_MAX + 16 };
	int n = 0;

	(void)arg;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		return word_of(-1);
	while (n < PTYS_MAX && open("/dev/ptmx", O_RDWR | O_NOCTTY) >= 0)
		n++;
	if (n == PTYS_MAX)
		return "unlimited";
	return word_fmt("%d:%s", n, strerrorname_np(errno));
}

/* Empty files in directory ARG: how many, and why no more. */
static const char *many_files(const char *arg)
{
	char path[4096];

	for (int n = 0; n < FILES_MAX; n++) {
		int fd;

		(void)snprintf(path, sizeof(path), "%s/%d", arg, n);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			return word_fmt("%d:%s", n, strerrorname_np(errno));
		(void)close(fd);
	}
	return "unlimited";
}

/* A line discipline is a module of the host that we would load. */
static const char *line_discipline(const char *arg)
{
	int tty = 0, fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

	(void)arg;
	if (fd < 0)
		return "no-pty";
	return word_of(ioctl(fd, TIOCSETD, &tty));
}

static void live_on(const char *mark)
{
	/* The mark is how the test finds us among the host's processes. */
	(void)prctl(PR_SET_NAME, mark, 0, 0, 0);
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_IGN);
	for (int fd = 0; fd < 3; fd++)
		(void)close(fd);
	for (;;)
		(void)sleep(1000);
}

/* ARG: at most 15 characters, the name to live under. */
static const char *daemon_setsid(const char *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)setsid();
		live_on(arg);
	}
	return word_of(pid);
}

static const char *daemon_double(const char *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)setsid();
		if (fork() == 0)
			live_on(arg);
		_exit(0);
	}
	(void)waitpid(pid, NULL, 0);
	return word_of(pid);
}

/* Many sessions that each keep making another one. */
static const char *daemon_storm(const char *arg)
{
	for (int n = 0; n < 64; n++) {
		pid_t pid;

		/* the dead count for the limit until pid 1 has reaped them */
		while ((pid = fork()) < 0 && errno == EAGAIN)
			(void)usleep(1000);
		if (pid < 0)
			return word_of(-1);
		if (pid != 0)
			continue;
		for (int gen = 0; gen < 64; gen++) {
			(void)setsid();
			if (fork() != 0)
				_exit(0);
			(void)usleep(1000);
		}
		live_on(arg);
	}
	return "ok";
}

/* Stays, deaf to SIGTERM, until something stronger comes. */
static const char *ignore_term(const char *arg)
{
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)prctl(PR_SET_NAME, arg, 0, 0, 0);
	while (pause() < 0)
		;
	return "ok";
}

const struct probe limits_probes[] = {
	{ "fork-bomb", fork_bomb },
	{ "memory-hog", memory_hog },
	{ "burn", burn },
	{ "many-ptys", many_ptys },
	{ "many-files", many_files },
	{ "tiocsetd", line_discipline },
	{ "daemon-setsid", daemon_setsid },
	{ "daemon-double", daemon_double },
	{ "daemon-storm", daemon_storm },
	{ "ignore-term", ignore_term },
};
const size_t limits_probes_num =
	sizeof(limits_probes) / sizeof(limits_probes[0]);
