/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the gate told, as events: one record gives the events of the original
 * in its order, and ours. On the supervisor's side; nothing is kept between
 * records.
 */
#ifndef CELLOS_GATE_EVIDENCE_H
#define CELLOS_GATE_EVIDENCE_H

#include <stdint.h>

#include "base/attr.h"
#include "evidence/event.h"
#include "gate/flow_rows.h"
#include "gate/message.h"

struct gate_evidence {
	const struct event_run *run; /* borrowed, all of them */
	const struct gate_policy *policy;
	const char *backend; /* in the totals: "host" */
	/* One event; @source and @time as for journal_emit_from(). Not 0: the
	 * events that would follow are not made. */
	int (*emit)(void *arg, enum event_type t, const char *source,
		    const char *time, const struct wbuf *data);
	void *arg;
};

/* All return 0, what emit() returned, or -errno without random bytes. */

/** gate_evidence_rule() - egress rule @i of the document lets something out
 *  (l7_egress_decision; the dns_resolution that may follow is the caller's) */
int gate_evidence_rule(const struct gate_evidence *ev, size_t i) MUST_USE;
/** gate_evidence_names() - CELLOS_L7_GATE_OBSERVABILITY: the names on the list,
 *  then the rules that blockDirectWorkloadDns denies */
int gate_evidence_names(const struct gate_evidence *ev) MUST_USE;
/**
 * gate_evidence_record() - @r: a record of the gate, checked
 * GATE_READY and GATE_FAULT are no events.
 */
int gate_evidence_record(const struct gate_evidence *ev,
			 const struct gate_record *r) MUST_USE;
/** gate_evidence_rows() - CELLOS_PER_FLOW_ENFORCEMENT_EVENTS, after the run:
 *  what each rule met; all rows have the time @wall_ms */
int gate_evidence_rows(const struct gate_evidence *ev,
		       const struct flow_counts *c, uint64_t wall_ms) MUST_USE;
/** gate_evidence_unstarted() - the gate did not start: as if each proxy that
 *  was asked for had told so; @text: why */
int gate_evidence_unstarted(const struct gate_evidence *ev, bool dns, bool sni,
			    const char *text, uint64_t wall_ms) MUST_USE;

#endif
