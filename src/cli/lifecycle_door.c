/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Within a run: its door, from what is declared to what was let through. */
#include "cli/lifecycle_int.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "cli/env.h"
#include "cli/resolve.h"
#include "evidence/event_net.h"
#include "gate/evidence.h"
#include "sys/pidfd.h"

/* Return: -1: lost, which ends the cell */
static int emit(void *arg, enum event_type t, const char *source,
		const char *time, const struct wbuf *data)
{
	struct life *l = arg;
	bool had_failed = l->failed;

	life_emit_from(l, t, source, time, data);
	return l->failed && !had_failed ? -1 : 0;
}

static struct gate_evidence evidence(struct life *l)
{
	return (struct gate_evidence){
		.run = &l->run,
		.policy = l->c->door ? &l->c->door->policy : NULL,
		.backend = backend_name(l->c->backend),
		.emit = emit,
		.arg = l,
	};
}

/* What emit() could not write is told already; else there were no bytes. */
static int judge(struct life *l, int r)
{
	struct err e;

	if (r < 0 && !l->failed) {
		(void)err_set(&e, ERR_PLAIN, -r, "random bytes");
		life_fail(l, LIFECYCLE_REFUSED, &e);
	}
	return r;
}

/* -- what the document declares -- */

/* By the runner's own resolver: a fact for readers, no verdict uses it. */
static void resolve(struct life *l, size_t i)
{
	struct ip_addr targets[EVENT_TARGETS_MAX];
	char now[CLOCK_TEXT_SIZE];
	size_t n = resolve_host(l->req.spec->authority.egress_rules.p[i].host,
				targets, EVENT_TARGETS_MAX);

	clock_text(now, clock_wall(), CLOCK_FORM_A);
	event_dns_resolution(&l->body, &l->run, i, targets, n, now);
	life_emit(l, EVENT_DNS_RESOLUTION);
}

void life_announce_rules(struct life *l)
{
	const struct gate_evidence ev = evidence(l);

	for (size_t i = 0; i < l->req.spec->authority.egress_rules.n; i++) {
		if (judge(l, gate_evidence_rule(&ev, i)))
			return;
		if (l->c->resolve_egress && !stop_pending())
			resolve(l, i);
	}
}

void life_announce_names(struct life *l)
{
	const struct gate_evidence ev = evidence(l);

	if (l->c->l7_observability)
		(void)judge(l, gate_evidence_names(&ev));
}

/* -- what its gate tells -- */

static int on_record(void *arg, const struct gate_record *r)
{
	struct life *l = arg;
	const struct gate_evidence ev = evidence(l);
	struct gate_record own = *r;

	if (own.type == GATE_STATS) {
		/* the gate hears of some a second; the filter counts them all
		 */
		if (l->res->exit.has_refused &&
		    l->res->exit.refused > own.stats.refused + own.count)
			own.stats.refused = l->res->exit.refused - own.count;
		l->totals = own.stats;
		l->has_totals = true;
	}
	flow_counts_add(&l->flows, &own);
	if (l->c->tap.gate)
		l->c->tap.gate(l->c->tap.arg, &l->c->door->policy, &own);
	return judge(l, gate_evidence_record(&ev, &own)) ? -1 : 0;
}

int life_gate_start(struct life *l, struct err *e)
{
	struct gate_process_config c = { .record = on_record, .arg = l };

	if (!l->c->door || !l->req.spec->run)
		return 0;
	if (!l->req.door) {
		log_line(LOG_WARN, LIFE_TARGET,
			 "egress is not enforced: the command is in the host's "
			 "network; add net to CELLOS_SUBPROCESS_UNSHARE");
		return 0;
	}
	c.policy = &l->c->door->policy;
	memcpy(c.listen, l->c->door->listen, sizeof(c.listen));
	if (l->plan.init_uid)
		c.uid = c.gid = l->plan.gate_uid;
	if (gate_process_start(&c, &l->gate, e) < 0)
		return -1;
	l->req.gate = gate_process_seam(l->gate);
	if (!l->state)
		return 0;
	return state_run_note(l->state, e, "pid %ld %llu",
			      (long)gate_process_pid(l->gate),
			      pidfd_start_time(gate_process_pid(l->gate)));
}

int life_gate_open(struct life *l, struct err *e)
{
	int r = l->req.gate ? l->req.gate->open(l->req.gate->arg) : 0;

	if (!r)
		return 0;
	(void)err_set(e, ERR_PLAIN, -r, "spec.run spawn failed");
	(void)snprintf(e->cause, sizeof(e->cause), "%s: gate",
		       plan_op_word(PLAN_DOOR));
	return -1;
}

void life_gate_unstarted(struct life *l, const char *why)
{
	const struct gate_evidence ev = evidence(l);

	(void)judge(l,
		    gate_evidence_unstarted(&ev, env_truthy("CELLOS_DNS_PROXY"),
					    true, why, clock_wall_ms()));
}

/* Its last records come before what is said of the command. */
void life_gate_finish(struct life *l)
{
	struct err e;

	if (!l->gate)
		return;
	if (l->res->started && gate_process_finish(l->gate, &e) < 0 &&
	    !l->failed && !l->spawn_error[0]) {
		life_verdict(l, REPORT_ENDED, "gate", &e);
		(void)err_prefix(&e, "spec.run wait failed: ");
		(void)snprintf(l->spawn_error, sizeof(l->spawn_error), "%s",
			       e.text);
		l->spawn_fault = LIFECYCLE_BROKEN;
	}
	gate_process_free(&l->gate);
	l->req.gate = NULL;
}

/* -- afterwards -- */

void life_flow_rows(struct life *l)
{
	const struct gate_evidence ev = evidence(l);

	if (l->c->flow_rows && l->door_held)
		(void)judge(
			l, gate_evidence_rows(&ev, &l->flows, clock_wall_ms()));
}
