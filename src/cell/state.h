/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One file a run in the run directory: which resources outside the cell it
 * may have made, each listed before it is made. The file is locked (fcntl,
 * so children do not inherit the lock) while its runner lives; an unlocked
 * one belongs to a dead runner and is what gc works from.
 */
#ifndef CELLOS_CELL_STATE_H
#define CELLOS_CELL_STATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "evidence/report.h"

struct state_dirs {
	char run[256];	 /* /run/cellos or $XDG_RUNTIME_DIR/cellos */
	char state[256]; /* /var/lib/cellos or ${XDG_STATE_HOME:-...}/cellos */
};

/** state_dirs_find() - compute (not create) both, from uid and environment.
 *  CELLOS_RUN_DIR and CELLOS_STATE_DIR win. */
int state_dirs_find(struct state_dirs *d, struct err *e) MUST_USE;

/** state_dir_open() - the state directory, or one below it: made if needed,
 *  refused if another user owns it or may write it. A descriptor, or -1 */
int state_dir_open(const char *path, struct err *e) MUST_USE;
/** state_dir_check() - the same rule for one that is only read; 0 also if there
 *  is none */
int state_dir_check(const char *path, struct err *e) MUST_USE;

struct state_run; /* open, locked */

/** state_run_open() - create <run>/<uuid>, lock it, write its header */
int state_run_open(const struct state_dirs *d, const char *run_uuid,
		   const char *cell_id, const char *run_id,
		   struct state_run **ret, struct err *e) MUST_USE;
/** state_run_note() - "pid <pid> <start time>", "cgroup <path>", ... */
int state_run_note(struct state_run *s, struct err *e, const char *fmt, ...)
	PRINTF(3, 4) MUST_USE;
/** state_run_close() - unlink and unlock; NULL is fine */
void state_run_close(struct state_run **s);

/** state_run_leave() - unlock but keep the list: gc has something to do */
void state_run_leave(struct state_run **s);

/* A run as ps sees it. */
struct state_info {
	char run_uuid[37], cell_id[160], run_id[160];
	pid_t runner;		       /* 0: dead, gc is due */
	pid_t init;		       /* 0: not yet */
	unsigned long long started_ms; /* wall clock, Unix milliseconds */
};
/** state_list() - call @fn per run, oldest first; stops when it returns != 0 */
int state_list(const struct state_dirs *d,
	       int (*fn)(void *arg, const struct state_info *info), void *arg,
	       struct err *e) MUST_USE;

/**
 * gc_run() - clear what dead runners left
 * @fn: called for each dead run with what was found and what is left; unless
 *      it returns 0 (told) the run stays listed for the next gc
 *
 * Return: number of dead runs looked at, or -1
 */
int gc_run(const struct state_dirs *d,
	   int (*fn)(void *arg, const struct state_info *info,
		     const struct report_residue *r),
	   void *arg, struct err *e) MUST_USE;

#endif
