/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A wall: how a cell is made, watched and taken down. One vtable a wall; the
 * run loop knows nothing else of it.
 *
 * Life of a cell, moved only by these calls:
 *   create()  -> STAGED   resources exist, our init waits, nothing runs
 *   prepare() -> READY    the command's own process is locked down, has read
 *                         back and probed its walls, and waits for one byte
 *   start()   -> RUNNING  exec succeeded (or the exact failure is known)
 *   wait()    -> ENDED    the command has ended, the rest is dying
 *   destroy() -> GONE     every process is dead, resources are released and
 *                         looked for again
 * destroy() may be called in any state and always must be.
 */
#ifndef CELLOS_BACKEND_BACKEND_H
#define CELLOS_BACKEND_BACKEND_H

#include "base/err.h"
#include "cell/cell.h"
#include "cell/message.h"
#include "cell/plan.h"
#include "evidence/report.h"

struct backend_cell; /* each wall's own */

/* What a primitive is for, whether it is there, and what to do if not. */
struct backend_need {
	char name[32]; /* "user-namespaces", "landlock", ... */
	bool present;
	bool required;	  /* a full cell does not start without it */
	char detail[200]; /* what was found, with errno text */
	char remedy[300]; /* "" if present */
};
enum { BACKEND_NEEDS_MAX = 32 };

/* The longest that what was told by a gate or an agent is not yet written */
enum { BACKEND_LATE_MS = 200 };

struct backend_watch {
	/* A watched system call was refused; once per number and run. */
	void (*violation)(void *arg, const struct report_enforcement *r);
	/* A guest's agent declared something, or nothing for too long. */
	void (*telemetry)(void *arg, const struct cell_telemetry *t);
	/* What gate or agent told is BACKEND_LATE_MS old: to be written. */
	void (*flush)(void *arg);
	void *arg;
	int signer_pidfd;    /* readable: the signer died; -1 */
	uint64_t timeout_ms; /* of the command, from start(); the cell is ended
			      * then. What a machine sends back after its
			      * command has a time of its own. */
	uint64_t grace_ms;   /* between SIGTERM to all and SIGKILL */
};

struct backend {
	enum cell_wall wall;
	/** needs() - probe this host; for doctor
	 *  @req: only the programs and the group it names. Return: how many */
	size_t (*needs)(const struct cell_request *req,
			struct backend_need needs[BACKEND_NEEDS_MAX]);
	/** plan() - the ordered steps for this request on this host */
	int (*plan)(const struct cell_request *req, struct plan *ret,
		    struct err *e);
	/** create() - @req and @plan are borrowed until destroy() */
	int (*create)(const struct cell_request *req, const struct plan *plan,
		      struct backend_cell **ret, struct err *e);
	/** prepare() - @r is filled also on failure (phase, stage, errno).
	 *  @e->text on failure has the form of docs/compatibility.md "Spawn
	 *  errors"; stage and path stand in @r and in @e->cause. */
	int (*prepare)(struct backend_cell *c, struct report_enforcement *r,
		       struct err *e);
	/** start() - @e as prepare(): e.g. argv[0] does not exist; of class
	 *  ERR_HOST if exec was not even tried */
	int (*start)(struct backend_cell *c, struct err *e);
	/** wait() - serves stdio, signals (SIGTERM, SIGINT, SIGHUP to the
	 *  runner), deadline, violations, until the command has ended and
	 *  all it wrote is passed on.
	 *  Return: 0, or -1 with @e for CELL_LOST. */
	int (*wait)(struct backend_cell *c, const struct backend_watch *w,
		    struct cell_exit *ret, struct err *e);
	/** destroy() - kill what lives, release, re-read; fills @r, frees */
	int (*destroy)(struct backend_cell *c, struct report_residue *r,
		       struct err *e);
};

/** backend_of() - that of a wall */
const struct backend *backend_of(enum cell_wall w);
/** backend_name() - as users name it */
static inline const char *backend_name(const struct backend *b)
{
	return cell_wall_word(b->wall);
}
/** backend_by_name() - by a word of CELL_WALLS; NULL: it is none */
const struct backend *backend_by_name(const char *name);

#endif
