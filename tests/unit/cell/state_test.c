/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Run files: locked while the runner lives, then worked off by gc. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cell/state.h"
#include "sys/pidfd.h"

#define UUID "01234567-89ab-4cde-8f01-23456789abcd"

static char base[] = "/tmp/cellos-state-XXXXXX";

static int setup(void **state)
{
	static struct state_dirs d;

	(void)snprintf(base, sizeof(base), "/tmp/cellos-state-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	(void)snprintf(d.run, sizeof(d.run), "%s/run", base);
	(void)snprintf(d.state, sizeof(d.state), "%s/state", base);
	*state = &d;
	return 0;
}

static int teardown(void **state)
{
	const struct state_dirs *d = *state;
	char path[400];

	(void)snprintf(path, sizeof(path), "%s/" UUID, d->run);
	(void)unlink(path);
	(void)rmdir(d->run);
	return rmdir(base);
}

static struct state_info last;
static struct report_residue last_residue;

static int keep_info(void *arg, const struct state_info *i)
{
	(*(int *)arg)++;
	last = *i;
	return 0;
}

static int told; /* what the teller answers */

static int keep_residue(void *arg, const struct state_info *i,
			const struct report_residue *r)
{
	(void)keep_info(arg, i);
	last_residue = *r;
	return told;
}

/* A runner: opens its file, notes a resource, says so, waits to be killed. */
static pid_t runner(const struct state_dirs *d, const char *note)
{
	struct state_run *s = NULL;
	struct err e;
	int p[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		if (state_run_open(d, UUID, "cell-1", "run-1", &s, &e) ||
		    state_run_note(s, &e, "%s", note))
			_exit(1);
		(void)!write(p[1], "x", 1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(p[0], &c, 1), 1);
	(void)close(p[0]);
	(void)close(p[1]);
	return pid;
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Of a control group that is gone: its parent can be seen. Where none can, as
 * in a cell, a path that is not ours to remove. */
static const char *gone_group(void)
{
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0)
		return "cgroup /sys/fs/cgroup/nobody/cellos_x";
	if (access("/sys/fs/cgroup/pids/tasks", F_OK) == 0)
		return "cgroup /sys/fs/cgroup/pids/nobody/cellos_x";
	return "cgroup /nonexistent/of-another";
}

static void a_living_run_is_listed_and_left_alone(void **state)
{
	const struct state_dirs *d = *state;
	struct err e;
	int n = 0, cleared = 0;
	pid_t pid = runner(d, gone_group());

	assert_int_equal(state_list(d, keep_info, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(last.runner, pid);
	assert_string_equal(last.run_uuid, UUID);
	assert_string_equal(last.cell_id, "cell-1");
	assert_string_equal(last.run_id, "run-1");
	assert_int_equal(gc_run(d, keep_residue, &cleared, &e), 0);
	assert_int_equal(cleared, 0);
	end(pid);
	/* the same file, its runner dead */
	n = 0;
	assert_int_equal(state_list(d, keep_info, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(last.runner, 0);
	/* a report that could not be written: nothing is forgotten */
	told = -1;
	assert_int_equal(gc_run(d, keep_residue, &cleared, &e), 1);
	told = 0;
	assert_int_equal(gc_run(d, keep_residue, &cleared, &e), 1);
	assert_int_equal(cleared, 2);
	assert_string_equal(report_residue_class(&last_residue), "none");
	n = 0;
	assert_int_equal(state_list(d, keep_info, &n, &e), 0);
	assert_int_equal(n, 0);
}

static void gc_kills_only_the_noted_process(void **state)
{
	const struct state_dirs *d = *state;
	struct err e;
	char note[80];
	int cleared = 0, status;
	pid_t victim = fork();
	pid_t pid;

	if (victim == 0)
		for (;;)
			(void)pause();
	/* another start time: a reused pid must not be hit */
	(void)snprintf(note, sizeof(note), "pid %ld %llu", (long)victim,
		       pidfd_start_time(victim) + 1);
	pid = runner(d, note);
	end(pid);
	assert_int_equal(gc_run(d, keep_residue, &cleared, &e), 1);
	assert_int_equal(kill(victim, 0), 0);

	(void)snprintf(note, sizeof(note), "pid %ld %llu", (long)victim,
		       pidfd_start_time(victim));
	pid = runner(d, note);
	end(pid);
	assert_int_equal(gc_run(d, keep_residue, &cleared, &e), 1);
	assert_int_equal(waitpid(victim, &status, 0), victim);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void a_run_closes_its_file(void **state)
{
	const struct state_dirs *d = *state;
	struct state_run *s = NULL;
	struct err e;
	int n = 0;

	assert_int_equal(state_run_open(d, UUID, "c", "r", &s, &e), 0);
	state_run_close(&s);
	assert_null(s);
	assert_int_equal(state_list(d, keep_info, &n, &e), 0);
	assert_int_equal(n, 0);
}

static void a_directory_others_may_write_is_refused(void **state)
{
	const struct state_dirs *d = *state;
	struct state_run *s = NULL;
	struct err e;

	assert_int_equal(mkdir(d->run, 0700), 0);
	assert_int_equal(chmod(d->run, 0777), 0);
	assert_int_equal(state_run_open(d, UUID, "c", "r", &s, &e), -1);
	assert_non_null(strstr(e.text, "be writable by nobody else"));
	assert_non_null(strstr(e.text, "or name another in CELLOS_RUN_DIR"));
	assert_non_null(strstr(e.text, d->run));
}

static void directories_follow_the_environment(void **state)
{
	struct state_dirs d;
	struct err e;

	(void)state;
	assert_int_equal(setenv("CELLOS_RUN_DIR", "/x/run", 1), 0);
	assert_int_equal(setenv("CELLOS_STATE_DIR", "/x/state", 1), 0);
	assert_int_equal(state_dirs_find(&d, &e), 0);
	assert_string_equal(d.run, "/x/run");
	assert_string_equal(d.state, "/x/state");
	assert_int_equal(setenv("CELLOS_RUN_DIR", "relative", 1), 0);
	assert_int_equal(state_dirs_find(&d, &e), -1);
	assert_string_equal(e.text, "CELLOS_RUN_DIR: not a usable directory: "
				    "\"relative\"");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_living_run_is_listed_and_left_alone),
		T(gc_kills_only_the_noted_process),
		T(a_run_closes_its_file),
		T(a_directory_others_may_write_is_refused),
		cmocka_unit_test(directories_follow_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
