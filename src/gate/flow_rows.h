/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What each rule of a document met in the whole run, in the rows that the
 * original reads from the counters of its packet filter. Ours has other rules,
 * so the rows are made from the document and from what the gate told.
 */
#ifndef CELLOS_GATE_FLOW_ROWS_H
#define CELLOS_GATE_FLOW_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "evidence/event_net.h"
#include "gate/message.h"

struct flow_counts {
	struct {
		uint64_t packets; /* connections and datagram flows */
		uint64_t bytes;	  /* that the cell sent; not of aggregates */
	} rules[GATE_RULES_MAX];  /* by index in the policy */
	uint64_t resolvers[GATE_RESOLVERS_MAX]; /* queries, the same */
	uint64_t refused;			/* packets, without these: */
	uint64_t refused_doq, refused_http3;	/* UDP to 853, to 443 */
};

/** flow_passed() - was it let through, however it ended? */
bool flow_passed(const struct gate_flow *f);
/** flow_counts_add() - @r: a record of the gate, checked */
void flow_counts_add(struct flow_counts *c, const struct gate_record *r);

/**
 * flow_rows() - the rows, in the order of the original's rules
 * @row: gets each without decision_id and observed_at; what it returns ends the
 *       list unless it is 0
 *
 * What denies always has its row, also with no packet; a rule that allows only
 * with one, but for the resolvers of DoH and DoQ that a block leaves a way to.
 *
 * Return: 0, or what @row returned
 */
int flow_rows(const struct spec *s, const struct gate_policy *p,
	      const struct flow_counts *c,
	      int (*row)(void *arg, struct event_flow *f), void *arg) MUST_USE;

#endif
