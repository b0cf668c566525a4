/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the files of a run share; nobody else includes it. */
#ifndef CELLOS_CLI_LIFECYCLE_INT_H
#define CELLOS_CLI_LIFECYCLE_INT_H

#include <stdbool.h>

#include "cli/lifecycle.h"
#include "cli/secrets.h"
#include "evidence/report.h"
#include "gate/flow_rows.h"
#include "gate/process.h"

#define LIFE_TARGET "cellos.supervisor.host"

/* A run in flight. @failed says whether @phase holds the phase error. */
struct life {
	const struct lifecycle_config *c;
	struct lifecycle_result *res;
	struct cell_request req;
	struct event_run run;
	char spec_hash[8 + 64];
	struct secrets secrets;
	struct lifecycle_deadline deadline;
	/* what is wrong with the run itself, each told at its place among the
	 * events; text "": nothing */
	struct err secret_err, argv0_err, setting_err;
	struct state_run *state;
	struct journal *journal;
	struct plan plan;
	struct backend_cell *cell;
	struct report_enforcement report;
	struct report_residue residue;
	struct wbuf body;
	struct gate_process *gate; /* while it lives */
	struct gate_stats totals;
	struct flow_counts flows;
	uint64_t telemetry_events, telemetry_dropped;
	bool has_telemetry; /* all of it: the agent has said so */
	bool has_totals;    /* the gate has told its last */
	bool door_held;	    /* its rules were loaded and read back */
	bool gate_failed;   /* it is why the cell was not created */

	bool failed;
	struct err phase;
	bool executed; /* the command phase was reached */
	struct err create_err;
	int exit_code;
	char spawn_error[768]; /* "" = none */
	char spawn_cause[768]; /* stage and path, for stderr; "" = none */
	enum lifecycle_fault spawn_fault;
};

/** life_fail() - the first failure decides; later ones only reach the log */
void life_fail(struct life *l, enum lifecycle_fault fault, const struct err *e);
/** life_emit() - write what @body holds; an event that is lost ends the run */
void life_emit(struct life *l, enum event_type t);
/** life_emit_from() - the same in another's name and of another time */
void life_emit_from(struct life *l, enum event_type t, const char *source,
		    const char *time, const struct wbuf *body);
/** life_enforcement() - the event, and the tap */
void life_enforcement(struct life *l, const struct report_enforcement *r);
/**
 * life_verdict() - our word that the command was not started, or was ended
 * @stage: the step that says so
 * @e: why
 */
void life_verdict(struct life *l, enum report_phase phase, const char *stage,
		  const struct err *e);
/** life_boundary_begin() - a link, written; the disk may still be at work */
void life_boundary_begin(struct life *l);
/** life_boundary_end() - wait for the disk; nothing if the run has failed */
void life_boundary_end(struct life *l);
/** life_flush() - every event so far into the file */
void life_flush(struct life *l);
/** life_check_stop() - fail if a signal that ends the run is pending */
void life_check_stop(struct life *l);
/** life_has_net() - has the cell a network namespace of its own */
bool life_has_net(const struct life *l);

/* lifecycle_door.c */
/** life_announce_rules() - the trust plane's word on each egress rule */
void life_announce_rules(struct life *l);
/** life_announce_names() - CELLOS_L7_GATE_OBSERVABILITY */
void life_announce_names(struct life *l);
/** life_gate_start() - before the cell is created, if there is a door */
int life_gate_start(struct life *l, struct err *e) MUST_USE;
/** life_gate_open() - what happens from now on is the command's doing
 *  @e: as backend.start() */
int life_gate_open(struct life *l, struct err *e) MUST_USE;
/** life_gate_unstarted() - the event that says so, in the original's form */
void life_gate_unstarted(struct life *l, const char *why);
/** life_gate_finish() - drain it, take what it has to tell, end it */
void life_gate_finish(struct life *l);
/** life_flow_rows() - CELLOS_PER_FLOW_ENFORCEMENT_EVENTS */
void life_flow_rows(struct life *l);

/** life_command() - spawn, wait, and the events; nothing after a failure */
void life_command(struct life *l);

/** life_is_lost_sandbox() - it ran, and its kernel ended before it: nothing is
 *  known of its command's end */
bool life_is_lost_sandbox(const struct life *l);

#endif
