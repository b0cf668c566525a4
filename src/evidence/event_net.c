/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Data of the events of the door. */
#include "evidence/event_net.h"

#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/limits.h"
#include "evidence/body.h"

#define SCHEMA_VERSION "1.0.0"
#define UNKNOWN	       "(unknown)"

enum {
	REF_SIZE = 80,	 /* a path to an array's member */
	ERROR_MAX = 200, /* of a text that stands in ruleRef */
	TARGET_TTL = 300 /* the original's word for "resolved just now" */
};

/* 9999-12-31T23:59:59.999Z */
#define MS_MAX 253402300799999u

const char *event_ms_text(char *buf, uint64_t wall_ms, enum clock_form form)
{
	uint64_t ms = wall_ms < MS_MAX ? wall_ms : MS_MAX;
	struct timespec t = { .tv_sec = (time_t)(ms / 1000),
			      .tv_nsec = (long)(ms % 1000) * 1000000 };

	clock_text(buf, t, form);
	return buf;
}

static void begin(struct json_out *j, struct wbuf *b)
{
	json_out_init(j, b, true);
	json_out_object(j);
}

/* The empty text is a value too, but not of a name. */
static void kname(struct json_out *j, const char *member, struct slice name)
{
	json_out_key(j, member);
	json_out_slice(j, name.n ? name : SLICE_LIT(UNKNOWN));
}

static void kdecision(struct json_out *j, const char *member, bool allow)
{
	json_out_kstr(j, member, allow ? "allow" : "deny");
}

static struct slice correlation_id(const struct event_run *r)
{
	const struct spec_correlation *c = r->spec->correlation;

	return c ? c->correlation_id : (struct slice){ NULL, 0 };
}

/* -- l7_egress_decision -- */

static void put_live_correlation(struct json_out *j, const struct event_run *r)
{
	struct slice id = correlation_id(r);

	if (!id.p)
		return;
	json_out_key(j, "correlation");
	json_out_object(j);
	body_kslice_opt(j, "correlationId", id);
	json_out_knull(j, "externalJobId");
	json_out_knull(j, "externalRunId");
	json_out_knull(j, "labels");
	json_out_knull(j, "platform");
	json_out_end(j, '}');
}

static void put_live_spec_id(struct json_out *j, const struct event_run *r)
{
	OWNED(wbuf_drop) struct wbuf id = WBUF_INIT(LIMIT_EVENT_LINE);

	wbuf_fmt(&id, "sni-proxy/%s/%s", r->cell_id, r->run_id);
	if (id.failed)
		j->b->failed = true;
	body_ktext(j, "specId", wbuf_cstr(&id));
}

void event_l7_egress_decision(struct wbuf *b, const struct event_run *r,
			      const struct event_l7 *d)
{
	struct json_out j;

	begin(&j, b);
	kdecision(&j, "action", d->allow);
	body_ktext(&j, "cellId", r->cell_id);
	if (d->is_live)
		put_live_correlation(&j, r);
	else
		body_correlation(&j, r);
	json_out_kstr(&j, "decisionId", d->decision_id);
	body_ktext(&j, "issuerKid", r->l7_kid);
	body_ktext(&j, "keysetId", r->keyset_id);
	json_out_kstr(&j, "policyDigest", r->spec_hash);
	json_out_kstr(&j, "reasonCode", d->reason);
	body_ktext(&j, "ruleRef", d->rule_ref);
	body_ktext(&j, "runId", r->run_id);
	kname(&j, "sniHost", d->host);
	if (d->is_live)
		put_live_spec_id(&j, r);
	else
		body_spec_id(&j, r);
	json_out_end(&j, '}');
}

static void l7_of(struct wbuf *b, const struct event_run *r, bool allow,
		  const char *decision_id, const char *reason,
		  struct slice host, const char *array, size_t i)
{
	char ref[REF_SIZE];
	const struct event_l7 d = {
		.allow = allow,
		.decision_id = decision_id,
		.reason = reason,
		.rule_ref = ref,
		.host = host,
	};

	(void)snprintf(ref, sizeof(ref), "authority.%s[%zu]", array, i);
	event_l7_egress_decision(b, r, &d);
}

void event_l7_declared(struct wbuf *b, const struct event_run *r, size_t i,
		       const char *decision_id)
{
	l7_of(b, r, true, decision_id, "egress_declared_allowlist",
	      r->spec->authority.egress_rules.p[i].host, "egressRules", i);
}

void event_l7_listed(struct wbuf *b, const struct event_run *r, size_t i,
		     const char *decision_id)
{
	l7_of(b, r, true, decision_id, "hostname_allowlist_evaluated",
	      r->spec->authority.dns->hostname_allowlist.p[i],
	      "dnsAuthority.hostnameAllowlist", i);
}

/* Is @endpoint, as the document spells it, this host and port 53? */
static bool is_endpoint(struct slice endpoint, struct slice host)
{
	struct slice e = endpoint;

	if (e.n < 3 || memcmp(e.p + e.n - 3, ":53", 3) != 0)
		return false;
	e.n -= 3;
	if (e.n > 2 && e.p[0] == '[' && e.p[e.n - 1] == ']')
		e = (struct slice){ e.p + 1, e.n - 2 };
	return slice_eq(e, host);
}

static bool is_direct_dns(const struct spec *s, size_t i)
{
	const struct spec_dns_authority *dns = s->authority.dns;
	const struct spec_egress_rule *rule = &s->authority.egress_rules.p[i];
	size_t k;

	if (!dns || !dns->block_direct_workload_dns || rule->port != 53)
		return false;
	for (k = 0; k < dns->n_resolvers; k++)
		if ((dns->resolvers[k].protocol == SPEC_DO53_UDP ||
		     dns->resolvers[k].protocol == SPEC_DO53_TCP) &&
		    is_endpoint(dns->resolvers[k].endpoint, rule->host))
			return false;
	return true;
}

bool event_l7_direct_dns(struct wbuf *b, const struct event_run *r, size_t i,
			 const char *decision_id)
{
	if (!is_direct_dns(r->spec, i))
		return false;
	l7_of(b, r, false, decision_id, "workload_direct_dns_blocked",
	      r->spec->authority.egress_rules.p[i].host, "egressRules", i);
	return true;
}

void event_l7_unstarted(struct wbuf *b, const struct event_run *r,
			const char *decision_id, const char *text)
{
	char ref[ERROR_MAX + sizeof("\xe2\x80\xa6")];
	struct event_l7 d = {
		.decision_id = decision_id,
		.reason = "l7_unknown_protocol",
		.rule_ref = text,
		.host = SLICE_LIT("(spawn-error)"),
	};
	size_t n = ERROR_MAX;

	if (strlen(text) > ERROR_MAX) {
		/* not through the middle of a character */
		while (n && (text[n] & 0xc0) == 0x80)
			n--;
		(void)snprintf(ref, sizeof(ref), "%.*s\xe2\x80\xa6", (int)n,
			       text);
		d.rule_ref = ref;
	}
	event_l7_egress_decision(b, r, &d);
}

/* -- dns -- */

static void put_targets(struct json_out *j, uint16_t port,
			const struct ip_addr *targets, size_t n)
{
	char text[IP_TEXT_SIZE];
	size_t i;

	json_out_key(j, "targets");
	json_out_array(j);
	for (i = 0; i < n && i < EVENT_TARGETS_MAX; i++) {
		json_out_object(j);
		json_out_kstr(j, "address", ip_text(text, &targets[i]));
		json_out_kstr(j, "family",
			      targets[i].family == 6 ? "inet6" : "inet");
		json_out_ku64(j, "port", port);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

void event_dns_resolution(struct wbuf *b, const struct event_run *r, size_t i,
			  const struct ip_addr *targets, size_t n,
			  const char *resolved_at)
{
	OWNED(wbuf_drop) struct wbuf receipt = WBUF_INIT(LIMIT_EVENT_LINE);
	const struct spec_egress_rule *rule =
		&r->spec->authority.egress_rules.p[i];
	struct json_out j;

	wbuf_fmt(&receipt, "rcp-%s-", r->run_id);
	wbuf_slice(&receipt, rule->host);
	if (receipt.failed)
		b->failed = true;
	begin(&j, b);
	body_ktext(&j, "cellId", r->cell_id);
	body_correlation(&j, r);
	json_out_key(&j, "fqdn");
	json_out_slice(&j, rule->host);
	body_ktext(&j, "issuerKid", r->resolver_kid);
	body_ktext(&j, "keysetId", r->keyset_id);
	json_out_kstr(&j, "policyDigest", r->spec_hash);
	body_ktext(&j, "receiptId", wbuf_cstr(&receipt));
	json_out_kstr(&j, "resolvedAt", resolved_at);
	body_ktext(&j, "runId", r->run_id);
	body_spec_id(&j, r);
	put_targets(&j, rule->port, targets, n);
	json_out_ku64(&j, "ttlSeconds", n ? TARGET_TTL : 0);
	json_out_end(&j, '}');
}

void event_dns_query(struct wbuf *b, const struct event_run *r,
		     const struct event_query *q)
{
	struct json_out j;

	begin(&j, b);
	body_ktext(&j, "cellId", r->cell_id);
	body_kslice_opt(&j, "correlationId", correlation_id(r));
	kdecision(&j, "decision", q->allow);
	body_ktext(&j, "issuerKid", r->resolver_kid);
	body_ktext(&j, "keysetId", r->keyset_id);
	json_out_kstr(&j, "observedAt", q->observed_at);
	json_out_kstr(&j, "policyDigest", r->spec_hash);
	json_out_kstr(&j, "queryId", q->query_id);
	kname(&j, "queryName", q->name);
	json_out_kstr(&j, "queryType", q->type ? q->type : "A");
	json_out_kstr(&j, "reasonCode", q->reason);
	if (q->was_answered) {
		json_out_ku64(&j, "responseRcode", q->rcode);
		json_out_ku64(&j, "responseTargetCount", q->targets);
	}
	body_ktext(&j, "runId", r->run_id);
	json_out_kstr(&j, "schemaVersion", SCHEMA_VERSION);
	if (q->has_latency)
		json_out_ku64(&j, "upstreamLatencyMs", q->latency_ms);
	body_ktext(&j, "upstreamResolverId", q->resolver);
	json_out_end(&j, '}');
}

static void put_query(struct json_out *j, const struct event_run *r,
		      const struct event_query *q)
{
	body_ktext(j, "cellId", r->cell_id);
	json_out_key(j, "queryName");
	json_out_slice(j, q->name);
	json_out_kstr(j, "queryType", q->type ? q->type : "A");
}

void event_query_permitted(struct wbuf *b, const struct event_run *r,
			   const struct event_query *q)
{
	struct json_out j;

	begin(&j, b);
	put_query(&j, r, q);
	body_ktext(&j, "resolver", q->resolver ? q->resolver : "");
	json_out_kstr(&j, "schemaVersion", SCHEMA_VERSION);
	json_out_end(&j, '}');
}

void event_query_refused(struct wbuf *b, const struct event_run *r,
			 const struct event_query *q)
{
	struct json_out j;

	begin(&j, b);
	put_query(&j, r, q);
	json_out_kstr(&j, "reason", q->reason);
	json_out_kstr(&j, "schemaVersion", SCHEMA_VERSION);
	json_out_end(&j, '}');
}

/* -- network_flow_decision -- */

void event_network_flow_decision(struct wbuf *b, const struct event_run *r,
				 const struct event_flow *f)
{
	char dst[IP_TEXT_SIZE];
	struct json_out j;

	begin(&j, b);
	if (f->is_row)
		json_out_ku64(&j, "byteCount", f->bytes);
	body_ktext(&j, "cellId", r->cell_id);
	if (f->is_row)
		body_kslice_opt(&j, "correlationId", correlation_id(r));
	kdecision(&j, "decision", f->allow);
	json_out_kstr(&j, "decisionId", f->decision_id);
	json_out_kstr(&j, "direction", "egress");
	if (f->dst.family)
		json_out_kstr(&j, "dstAddr", ip_text(dst, &f->dst));
	if (f->dst_port)
		json_out_ku64(&j, "dstPort", f->dst_port);
	if (f->is_row) {
		body_ktext(&j, "issuerKid", r->resolver_kid);
		body_ktext(&j, "keysetId", r->keyset_id);
	}
	json_out_kstr_opt(&j, "nftRuleRef", f->rule_ref);
	json_out_kstr(&j, "observedAt", f->observed_at);
	if (f->is_row) {
		json_out_ku64(&j, "packetCount", f->packets);
		json_out_kstr(&j, "policyDigest", r->spec_hash);
	}
	json_out_kstr_opt(&j, "protocol", f->protocol);
	json_out_kstr(&j, "reasonCode", f->reason);
	body_ktext(&j, "runId", r->run_id);
	json_out_kstr(&j, "schemaVersion", SCHEMA_VERSION);
	json_out_end(&j, '}');
}

/* -- connection -- */

static const char *const kinds[] = {
#define X(id, word) [EVENT_KIND_##id] = word,
	EVENT_CONNECTION_KINDS(X)
#undef X
};

static const char *const unverified[] = {
#define X(id, word) [EVENT_UNVERIFIED_##id] = word,
	EVENT_UNVERIFIED(X)
#undef X
};

static void kendpoint(struct json_out *j, const char *name,
		      const struct event_endpoint *e)
{
	char text[IP_TEXT_SIZE];

	if (!e->addr.family)
		return;
	json_out_key(j, name);
	json_out_object(j);
	json_out_kstr(j, "address", ip_text(text, &e->addr));
	if (e->port)
		json_out_ku64(j, "port", e->port);
	json_out_end(j, '}');
}

static void put_unverified(struct json_out *j, unsigned set)
{
	size_t i;

	json_out_key(j, "unverified");
	json_out_array(j);
	for (i = 0; i < EVENT_UNVERIFIED_NUM; i++)
		if (set & 1u << i)
			json_out_str(j, unverified[i]);
	json_out_end(j, ']');
}

static void put_how(struct json_out *j, const struct event_connection *c)
{
	if (c->dropped)
		json_out_ku64(j, "dropped", c->dropped);
	if (c->kind == EVENT_KIND_FLOW)
		json_out_ku64(j, "durationMs", c->duration_ms);
	if (c->has_early_data)
		json_out_kbool(j, "earlyData", true);
	if (c->has_ech)
		json_out_kbool(j, "ech", true);
	body_kslice_opt(j, "host", c->host);
	json_out_kstr(j, "kind", kinds[c->kind]);
	json_out_kstr_opt(j, "l4", c->l4);
	json_out_kstr_opt(j, "openedAt", c->opened_at);
	if (c->is_over_budget)
		json_out_kbool(j, "overBudget", true);
	json_out_kstr_opt(j, "protocol", c->protocol);
	json_out_kstr_opt(j, "queryType", c->query_type);
	body_kslice_opt(j, "question", c->question);
	json_out_kstr(j, "reason", c->reason);
	if (c->requests)
		json_out_ku64(j, "requests", c->requests);
	json_out_kstr_opt(j, "ruleRef", c->rule_ref);
}

void event_connection(struct wbuf *b, const struct event_run *r,
		      const struct event_connection *c)
{
	bool is_flow = c->kind == EVENT_KIND_FLOW;
	struct json_out j;

	begin(&j, b);
	if (is_flow || c->kind == EVENT_KIND_FLOWS) {
		json_out_ku64(&j, "bytesDown", c->down);
		json_out_ku64(&j, "bytesUp", c->up);
	}
	body_ktext(&j, "cellId", r->cell_id);
	if (!is_flow && c->kind != EVENT_KIND_REFUSED &&
	    c->kind != EVENT_KIND_OPENED)
		json_out_ku64(&j, "count", c->count);
	kendpoint(&j, "destination", &c->destination);
	kendpoint(&j, "dialled", &c->dialled);
	put_how(&j, c);
	body_ktext(&j, "runId", r->run_id);
	body_ktext(&j, "runUuid", r->run_uuid);
	body_kslice_opt(&j, "sni", c->sni);
	kendpoint(&j, "source", &c->source);
	body_spec_id(&j, r);
	if (is_flow && c->allow)
		put_unverified(&j, c->unverified);
	kdecision(&j, "verdict", c->allow);
	json_out_end(&j, '}');
}
