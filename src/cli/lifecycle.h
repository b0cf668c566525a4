/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One run from the first event to the last, over any wall: the order of
 * events, the one slot for what went wrong, and the promise that a cell which
 * was made is destroyed and that nothing runs unrecorded.
 *
 * Both faces use it: `cellos-supervisor` and `cellos run`. The caller has
 * admitted the document and has started the signer, before it opened files.
 * What is left to be checked is the run's own: its secrets, its argv[0], its
 * deadline. Where that fails the events are those of a run, and no cell is
 * made.
 *
 * SIGTERM, SIGINT and SIGHUP are blocked from the start to the end of
 * lifecycle_run(): backend->wait() reads them; outside of it they wait.
 */
#ifndef CELLOS_CLI_LIFECYCLE_H
#define CELLOS_CLI_LIFECYCLE_H

#include <stdbool.h>

#include "backend/backend.h"
#include "base/uuid.h"
#include "cell/state.h"
#include "cli/door_setup.h"
#include "evidence/journal.h"
#include "evidence/signer.h"

/* What the caller shows of a run; each may be NULL. */
struct lifecycle_tap {
	/* the cell is made next: nothing of the request changes any more */
	void (*settled)(void *arg, const struct cell_request *req);
	/* prepared, refused, violation, ended: as the event that was written */
	void (*enforcement)(void *arg, const struct report_enforcement *r);
	void (*residue)(void *arg, const struct report_residue *r);
	void (*gate)(void *arg, const struct gate_policy *p,
		     const struct gate_record *r);
	void *arg;
};

struct lifecycle_config {
	const struct backend *backend;
	/* All but run_uuid is the caller's: spec, portable, switches, limits,
	 * image_root, pids, stdin. envp is the base environment; secrets of
	 * the document are added to a copy. */
	struct cell_request request;
	const char *run_uuid; /* NULL: a fresh one is made */
	const char *raw_hash; /* 64 hex */
	const char *run_id;
	const char *journal_path; /* NULL: events are signed and dropped */
	const char *redact;	  /* CELLOS_REDACT_EVENT_FIELDS, or NULL */
	struct signer *signer;	  /* never NULL; stays the caller's */
	const struct state_dirs *dirs;
	bool trust_plane_events;
	bool resolve_egress, l7_observability, flow_rows, flows_realtime;
	const struct door_setup *door; /* NULL: nothing is let out */
	const char *keyset_id, *resolver_kid, *l7_kid; /* NULL: the defaults */
	const char *argv0_prefixes;		       /* comma list, or NULL */
	const char *env_timeout;   /* CELLOS_RUN_TIMEOUT_MS as given, or NULL */
	const char *seccomp_error; /* "seccomp: ...": spawn error, or NULL */
	struct lifecycle_tap tap;
};

enum lifecycle_fault {
	LIFECYCLE_OK,	    /* every phase went well, the command gave 0 */
	LIFECYCLE_COMMAND,  /* the command failed or was killed by a signal */
	LIFECYCLE_DEADLINE, /* ended at its limit */
	LIFECYCLE_STOPPED,  /* the runner was told to stop */
	LIFECYCLE_SPAWN,    /* the command itself could not be executed:
			     * spawn_errno says why (ENOENT, EACCES, ...) */
	LIFECYCLE_REFUSED,  /* our failure before the command started */
	LIFECYCLE_BROKEN    /* our failure after it started */
};

struct lifecycle_result {
	enum lifecycle_fault fault;
	bool started;	       /* the command has run */
	bool lost_events;      /* the failure is that of the journal */
	struct cell_exit exit; /* valid if @started */
	int spawn_errno;       /* LIFECYCLE_SPAWN, LIFECYCLE_REFUSED; else 0 */
	char run_uuid[UUID_TEXT_SIZE];
	const char *residue_class; /* static; NULL: nothing was begun */
	struct life *memory;	   /* lifecycle_drop(); no secret is in it */
};

/**
 * lifecycle_run() - the whole run
 * @ret: to be dropped, unless the process ends: giving its memory back piece by
 *       piece, while the caller waits for the end, takes 0.1 ms
 * @e: the phase error, as in lifecycle.v1.destroyed and after "Error: "
 *
 * Return: 0 if and only if ret->fault is LIFECYCLE_OK, else -1
 */
int lifecycle_run(const struct lifecycle_config *c,
		  struct lifecycle_result *ret, struct err *e) MUST_USE;

/** lifecycle_drop() - free the memory of a run */
void lifecycle_drop(struct lifecycle_result *r);

/* Who ends a command, and when: docs/compatibility.md "Deadlines". Pure. */
struct lifecycle_deadline {
	uint64_t ms;
	char text[96]; /* spawnError when it is reached */
};

/**
 * lifecycle_deadline() - the smallest of the three limits
 * @env: CELLOS_RUN_TIMEOUT_MS as given, or NULL
 * @e:   on failure the whole spawnError
 */
int lifecycle_deadline(const struct spec *s, const char *env,
		       struct lifecycle_deadline *ret, struct err *e) MUST_USE;

/** lifecycle_argv0_check() - CELLOS_RUN_ARGV0_ALLOW_PREFIXES; pure */
int lifecycle_argv0_check(const char *prefixes, struct slice argv0,
			  struct err *e) MUST_USE;

#endif
