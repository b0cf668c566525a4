/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Within a run: its door, from what is declared to what was let through. */
#include "cli/lifecycle_int.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "evidence/event_net.h"
#include "gate/evidence.h"
#include "sys/pidfd.h"

/* -- what the document declares -- */

static const char *fresh_id(struct life *l, char id[UUID_TEXT_SIZE])
{
	struct err e;
	int r = uuid_v4(id);

	if (r < 0) {
		(void)err_set(&e, ERR_PLAIN, -r, "random bytes");
		life_fail(l, LIFECYCLE_REFUSED, &e);
		id[0] = '\0';
	}
	return id;
}

/* By the runner's own resolver: a fact for readers, no verdict uses it. */
static size_t resolve(const char *host, struct ip_addr *ret)
{
	const struct addrinfo want = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	size_t n = 0;
	uint16_t port;

	if (getaddrinfo(host, NULL, &want, &list))
		return 0;
	for (struct addrinfo *i = list; i && n < EVENT_TARGETS_MAX;
	     i = i->ai_next)
		if (!ip_of_sockaddr(i->ai_addr, &ret[n], &port))
			n++;
	freeaddrinfo(list);
	return n;
}

static void announce_rule(struct life *l, size_t i)
{
	const struct spec_egress_rule *r =
		&l->req.spec->authority.egress_rules.p[i];
	struct ip_addr targets[EVENT_TARGETS_MAX];
	char id[UUID_TEXT_SIZE], now[CLOCK_TEXT_SIZE];
	size_t n;

	event_l7_declared(&l->body, &l->run, i, fresh_id(l, id));
	life_emit(l, EVENT_L7_EGRESS_DECISION);
	if (!l->c->resolve_egress)
		return;
	n = resolve(r->host.p, targets);
	clock_text(now, clock_wall(), CLOCK_FORM_A);
	event_dns_resolution(&l->body, &l->run, i, targets, n, now);
	life_emit(l, EVENT_DNS_RESOLUTION);
}

void life_announce_rules(struct life *l)
{
	for (size_t i = 0; i < l->req.spec->authority.egress_rules.n; i++)
		announce_rule(l, i);
}

void life_announce_names(struct life *l)
{
	const struct spec_authority *a = &l->req.spec->authority;
	char id[UUID_TEXT_SIZE];

	if (!l->c->l7_observability || !a->dns)
		return;
	for (size_t i = 0; i < a->dns->hostname_allowlist.n; i++) {
		event_l7_listed(&l->body, &l->run, i, fresh_id(l, id));
		life_emit(l, EVENT_L7_EGRESS_DECISION);
	}
	for (size_t i = 0; i < a->egress_rules.n; i++)
		if (event_l7_direct_dns(&l->body, &l->run, i, fresh_id(l, id)))
			life_emit(l, EVENT_L7_EGRESS_DECISION);
}

/* -- what its gate tells -- */

/* Return: -1: lost, which ends the cell */
static int emit(void *arg, enum event_type t, const char *source,
		const char *time, struct wbuf *data)
{
	struct life *l = arg;

	life_emit_from(l, t, source, time, data);
	return l->failed ? -1 : 0;
}

static int on_record(void *arg, const struct gate_record *r)
{
	struct life *l = arg;
	const struct gate_evidence g = { .run = &l->run,
					 .policy = &l->c->door->policy,
					 .emit = emit,
					 .arg = l };

	if (r->type == GATE_STATS) {
		l->totals = r->stats;
		l->has_totals = true;
	}
	if (l->c->tap.gate)
		l->c->tap.gate(l->c->tap.arg, &l->c->door->policy, r);
	/* the end of a run that has failed already is told as well */
	return gate_evidence_write(&g, r) && !l->failed ? -1 : 0;
}

int life_gate_start(struct life *l, struct err *e)
{
	struct gate_process_config c = { .record = on_record, .arg = l };

	if (!l->c->door || !l->req.spec->run || !life_has_net(l))
		return 0;
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

void life_gate_unstarted(struct life *l, const char *why)
{
	char id[UUID_TEXT_SIZE];

	event_l7_unstarted(&l->body, &l->run, fresh_id(l, id), why);
	life_emit(l, EVENT_L7_EGRESS_DECISION);
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
	const struct gate_evidence g = { .run = &l->run,
					 .policy = l->c->door
							   ? &l->c->door->policy
							   : NULL,
					 .emit = emit,
					 .arg = l };

	if (!l->c->flow_rows || !l->has_totals)
		return;
	(void)!gate_evidence_rows(&g, &l->totals);
}
