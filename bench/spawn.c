/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Times commands without timing the one who asks: `spawn AT_ONCE COMMAND...`
 * starts that many copies, waits for all, and prints the microseconds from
 * before the first start to after the last end. Exits 1 if a copy failed.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { AT_ONCE_MAX = 1024 };

static long long now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	long n = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
	posix_spawn_file_actions_t fa;
	int status, failed = 0;
	long long begin;
	pid_t pid;

	if (n < 1 || n > AT_ONCE_MAX) {
		(void)fprintf(stderr, "usage: spawn AT_ONCE COMMAND...\n");
		return 2;
	}
	if (posix_spawn_file_actions_init(&fa) ||
	    posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY,
					     0) ||
	    posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0))
		return 2;
	begin = now_us();
	for (long i = 0; i < n; i++)
		if (posix_spawnp(&pid, argv[2], &fa, NULL, argv + 2, environ))
			return 2;
	while (wait(&status) > 0)
		failed |= status;
	(void)printf("%lld\n", now_us() - begin);
	return failed ? 1 : 0;
}
