/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The requests of one HTTP/1 connection: each head is judged before a byte of
 * it is sent, bodies are passed to their exact ends. Answers are not read, but
 * for the first bytes of one to an upgrade.
 */
#include <string.h>

#include "gate/flow_int.h"

static const char SWITCHED[] = "HTTP/1.1 101";

enum gate_reason flow_http_fault(enum http1_fault fault)
{
	return fault == HTTP1_TARGET_HOST ? GATE_REASON_HOST_MISS
					  : GATE_REASON_UNKNOWN_PROTOCOL;
}

struct verdict flow_http_verdict(struct flow *f, const struct http1_head *h,
				 const struct verdict_target *t)
{
	struct verdict v = { .action = VERDICT_DENY, .rule = -1, .name = -1 };

	if (h->is_connect) {
		v.reason = GATE_REASON_CONNECT;
		return v;
	}
	if (h->has_h2c) {
		v.reason = GATE_REASON_H2C;
		return v;
	}
	return verdict_http(f->g->policy, t, h->host_is_name ? &h->host : NULL,
			    h->port);
}

/* The server took the upgrade, or it goes on with HTTP/1. */
static void see_answer(struct flow *f, bool at_end)
{
	size_t n = sizeof(SWITCHED) - 1;

	if (f->n_first < n && !at_end &&
	    !memcmp(f->first, SWITCHED, f->n_first))
		return;
	f->see = NULL;
	if (f->n_first >= n && !memcmp(f->first, SWITCHED, n))
		f->judge = NULL;
}

static enum flow_judged skip_body(struct flow *f, struct slice in)
{
	size_t n = 0;

	/* what is known by its length alone is not read */
	if (!in.n && f->body.at == HTTP1_IN_DATA) {
		f->pass = f->body.left;
		f->body.at = HTTP1_AT_END;
		return FLOW_READY;
	}
	if (!in.n)
		return FLOW_NEEDS;
	if (http1_body_skip(&f->body, in, &n) == HTTP1_BAD)
		return flow_deny(f, GATE_REASON_UNKNOWN_PROTOCOL);
	f->ready = n;
	return FLOW_READY;
}

/* The decision names the host of this request, the flow that of the first. */
static enum flow_judged deny(struct flow *f, enum gate_reason why,
			     const struct http1_head *h)
{
	struct hostname first = f->rec.host;

	f->rec.host = (struct hostname){ .len = 0 };
	if (h->host_is_name)
		f->rec.host = h->host;
	(void)flow_deny(f, why);
	f->rec.host = first;
	return FLOW_DENIED;
}

/* What the client sends is of the rule that takes the request. Which answer is
 * whose is not known: they are held to the tighter rule. */
static void spend_by(struct flow *f, int rule)
{
	struct flow_budget down = flow_budget(f->g, rule, false);

	f->up.budget = flow_budget(f->g, rule, true);
	if (flow_budget_left(&down) < flow_budget_left(&f->down.budget))
		f->down.budget = down;
}

static enum flow_judged judge_next(struct flow *f, const struct http1_head *h)
{
	struct flow_names n;
	struct verdict v;

	if (!flow_is_overridden(f))
		flow_names(f->g, &f->rec.dial, f->rec.dial_port, false, &n);
	else if (!flow_override(f, h->host_is_name ? &h->host : NULL, GATE_HTTP,
				&n))
		return deny(f, GATE_REASON_HOST_MISS, h);
	flow_names_shown(f->g, &n, h->host_is_name ? &h->host : NULL);
	v = flow_http_verdict(f, h, &n.target);
	if (v.action == VERDICT_ALLOW) {
		spend_by(f, v.rule);
		f->ready = h->len;
		http1_body_begin(&f->body, h);
		return FLOW_READY;
	}
	return deny(f,
		    v.action == VERDICT_DENY ? v.reason
					     : GATE_REASON_UNKNOWN_PROTOCOL,
		    h);
}

static enum flow_judged judge(struct flow *f)
{
	struct slice in = flow_unjudged(f);
	struct http1_head h;

	if (f->body.at != HTTP1_AT_END)
		return skip_body(f, in);
	if (f->see)
		return FLOW_HELD;
	if (!in.n)
		return FLOW_NEEDS;
	switch (http1_read_head(in, &h)) {
	case HTTP1_MORE:
		return FLOW_NEEDS;
	case HTTP1_BAD:
	case HTTP1_DONE:
		break;
	}
	f->rec.requests++;
	return h.fault ? deny(f, flow_http_fault(h.fault), &h)
		       : judge_next(f, &h);
}

void flow_http_first(struct flow *f, const struct http1_head *h)
{
	f->ready = h->len;
	f->judge = judge;
	http1_body_begin(&f->body, h);
	/*
	 * Only the first answer of a connection can be known by its place: a
	 * body of an earlier one might say "101" in the cell's favour.
	 */
	if (h->has_upgrade)
		f->see = see_answer;
}
