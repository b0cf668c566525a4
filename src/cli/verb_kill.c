/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `cellos kill`: a signal to the runner of one cell, never to a reused pid. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "cell/state.h"
#include "cli/verb.h"
#include "sys/pidfd.h"

struct target {
	const char *prefix;
	int sig;
	size_t hits;
	struct state_info found;
};

static int take(void *ctx, const struct verb_opt *opt, const char *value,
		struct err *e)
{
	struct target *t = ctx;

	if (!opt) {
		if (t->prefix)
			return verb_no_options(ctx, opt, value, e);
		if (!*value)
			return err_set(e, ERR_PLAIN, 0,
				       "\"\" is empty: it needs the start of a "
				       "run UUID; \"cellos ps\" lists them");
		t->prefix = value;
		return 0;
	}
	if (strcmp(value, "TERM") == 0)
		t->sig = SIGTERM;
	else if (strcmp(value, "KILL") == 0)
		t->sig = SIGKILL;
	else
		return err_set(e, ERR_PLAIN, 0,
			       "--signal \"%s\": want TERM or KILL", value);
	return 0;
}

static int match(void *arg, const struct state_info *i)
{
	struct target *t = arg;

	if (!i->runner ||
	    strncmp(i->run_uuid, t->prefix, strlen(t->prefix)) != 0)
		return 0;
	t->hits++;
	t->found = *i;
	return 0;
}

static int find(const struct state_dirs *d, struct target *t, struct err *e)
{
	t->hits = 0;
	if (state_list(d, match, t, e) < 0)
		return -1;
	if (t->hits == 1)
		return 0;
	return err_set(e, ERR_PLAIN, 0,
		       t->hits ? "%zu running cells start with \"%s\"; give "
				 "more of the UUID"
			       : "%zu running cells start with \"%s\"; "
				 "\"cellos ps\" lists them",
		       t->hits, t->prefix);
}

/*
 * The lock on the run's file says who the runner is. Read again after the
 * descriptor is open: if the same pid still holds it, the descriptor is that
 * process, since a lock does not outlive its holder.
 */
static int deliver(struct target *t, struct err *e)
{
	OWNED(fd_drop) int pidfd = -1;
	struct state_dirs dirs;
	pid_t pid;
	int r;

	if (state_dirs_find(&dirs, e) || find(&dirs, t, e))
		return -1;
	pid = t->found.runner;
	pidfd = pidfd_open_pid(pid);
	if (pidfd < 0)
		return err_set(e, ERR_PLAIN, -pidfd, "runner %d", (int)pid);
	if (find(&dirs, t, e))
		return -1;
	if (t->found.runner != pid)
		return err_set(e, ERR_PLAIN, 0,
			       "run %s changed hands meanwhile; try again",
			       t->found.run_uuid);
	r = pidfd_signal(pidfd, t->sig);
	if (r)
		return err_set(e, ERR_PLAIN, -r, "signal runner %d of run %s",
			       (int)pid, t->found.run_uuid);
	return 0;
}

int verb_kill(int argc, char **argv)
{
	struct target t = { .sig = SIGTERM };
	struct err e = { 0 };
	enum verb_parsed p = verb_parse("kill", argc, argv, take, &t, NULL);

	if (p != VERB_GO)
		return p == VERB_HELP ? EXIT_FINE : EXIT_USAGE;
	if (!t.prefix)
		return verb_usage("kill", "no run; \"cellos ps\" lists them");
	if (deliver(&t, &e))
		return verb_fail(&e, EXIT_FAILED);
	puts(t.found.run_uuid);
	return EXIT_FINE;
}
