/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Records of the gate as events. */
#include "gate/evidence.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/uuid.h"
#include "evidence/report.h"

enum { NO_RCODE = 255, L4_SIZE = 8 };

static int tell(const struct gate_evidence *ev, enum event_type t,
		const char *source, const char *time, struct wbuf *b)
{
	int r = ev->emit(ev->arg, t, source, time, b);

	wbuf_reset(b);
	return r;
}

/* Unknown if it is none: bytes of a gate that lies must not spoil a line. */
static struct slice name_of(const struct hostname *h)
{
	struct hostname same;

	if (hostname_parse_service(hostname_slice(h), &same))
		return (struct slice){ NULL, 0 };
	return hostname_slice(h);
}

/* -- what the document says -- */

int gate_evidence_rule(const struct gate_evidence *ev, size_t i)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(LIMIT_EVENT_LINE);
	char id[UUID_TEXT_SIZE];
	int r = uuid_v4(id);

	if (r)
		return r;
	event_l7_declared(&b, ev->run, i, id);
	return tell(ev, EVENT_L7_EGRESS_DECISION, NULL, NULL, &b);
}

int gate_evidence_names(const struct gate_evidence *ev)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(LIMIT_EVENT_LINE);
	const struct spec_authority *a = &ev->run->spec->authority;
	size_t i, n = a->dns ? a->dns->hostname_allowlist.n : 0;
	char id[UUID_TEXT_SIZE];
	int r = 0;

	for (i = 0; !r && i < n; i++) {
		r = uuid_v4(id);
		if (r)
			break;
		event_l7_listed(&b, ev->run, i, id);
		r = tell(ev, EVENT_L7_EGRESS_DECISION, NULL, NULL, &b);
	}
	for (i = 0; !r && i < a->egress_rules.n; i++) {
		r = uuid_v4(id);
		if (!r && event_l7_direct_dns(&b, ev->run, i, id))
			r = tell(ev, EVENT_L7_EGRESS_DECISION, NULL, NULL, &b);
	}
	return r;
}

int gate_evidence_unstarted(const struct gate_evidence *ev, bool dns, bool sni,
			    const char *text, uint64_t wall_ms)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(LIMIT_EVENT_LINE);
	char id[UUID_TEXT_SIZE], time[CLOCK_TEXT_SIZE];
	const struct event_query q = {
		.query_id = id,
		.observed_at = event_ms_text(time, wall_ms, CLOCK_FORM_B),
		.name = SLICE_LIT("(spawn-error)"),
		.reason = gate_query_reason_word(GATE_QUERY_UPSTREAM),
		.resolver = ev->policy->n_resolvers
				    ? ev->policy->resolvers[0].id
				    : NULL,
	};
	int r = 0;

	if (dns) {
		r = uuid_v4(id);
		if (r)
			return r;
		event_dns_query(&b, ev->run, &q);
		r = tell(ev, EVENT_DNS_QUERY, NULL, time, &b);
	}
	if (r || !sni)
		return r;
	r = uuid_v4(id);
	if (r)
		return r;
	event_l7_unstarted(&b, ev->run, id, text);
	return tell(ev, EVENT_L7_EGRESS_DECISION, NULL, NULL, &b);
}

/* -- queries -- */

static const char *resolver_of(const struct gate_evidence *ev,
			       const struct gate_query *q)
{
	return q->resolver < ev->policy->n_resolvers
		       ? ev->policy->resolvers[q->resolver].id
		       : "";
}

/* What the original's types have no member for. */
static int query_more(const struct gate_evidence *ev,
		      const struct gate_record *r, struct wbuf *b)
{
	const struct gate_query *q = &r->query;
	char time[CLOCK_TEXT_SIZE];
	const struct event_connection c = {
		.kind = EVENT_KIND_QUERIES,
		.count = r->type == GATE_AGGREGATE ? r->count : 1,
		.allow = q->reason == GATE_QUERY_ALLOWED,
		.reason = gate_query_reason_word(q->reason),
		.question = name_of(&q->name),
		.query_type = dns_type_word(q->type),
		.dropped = q->dropped,
		.is_over_budget = q->over_budget,
	};

	event_connection(b, ev->run, &c);
	return tell(ev, EVENT_CONNECTION, NULL,
		    event_ms_text(time, r->wall_ms, CLOCK_FORM_A), b);
}

static bool is_refused(const struct gate_query *q)
{
	return q->reason == GATE_QUERY_TYPE ||
	       q->reason == GATE_QUERY_NOT_IN_ALLOWLIST;
}

static int query(const struct gate_evidence *ev, const struct gate_record *r,
		 struct wbuf *b)
{
	const struct gate_query *q = &r->query;
	char id[UUID_TEXT_SIZE], time[CLOCK_TEXT_SIZE];
	bool is_read = q->reason != GATE_QUERY_MALFORMED;
	struct event_query e = {
		.allow = q->reason == GATE_QUERY_ALLOWED,
		.query_id = id,
		.observed_at = event_ms_text(time, r->wall_ms, CLOCK_FORM_B),
		.name = name_of(&q->name),
		.type = is_read ? dns_type_word(q->type) : NULL,
		.reason = gate_query_reason_word(q->reason),
		.was_answered = is_read && q->rcode != NO_RCODE,
		.rcode = q->rcode,
		.targets = q->reason == GATE_QUERY_ALLOWED ? q->targets : 0,
		.resolver = resolver_of(ev, q),
		.has_latency = q->asked_upstream,
		.latency_ms = q->latency_ms,
	};
	int x = uuid_v4(id);

	if (!x && is_read && !is_refused(q)) {
		event_query_permitted(b, ev->run, &e);
		x = tell(ev, EVENT_QUERY_PERMITTED, EVENT_SOURCE_DNS, time, b);
	}
	if (x)
		return x;
	if (!q->asked_upstream)
		e.resolver = NULL;
	event_dns_query(b, ev->run, &e);
	x = tell(ev, EVENT_DNS_QUERY, EVENT_SOURCE_DNS, time, b);
	if (!x && is_refused(q)) {
		event_query_refused(b, ev->run, &e);
		x = tell(ev, EVENT_QUERY_REFUSED, EVENT_SOURCE_DNS, time, b);
	}
	if (!x && (q->dropped || q->over_budget))
		x = query_more(ev, r, b);
	return x;
}

/* -- flows -- */

/* The nearest word the original has for a reason of ours. */
static const char *const l7_words[GATE_REASON_NUM] = {
	[GATE_REASON_SNI_NOT_PINNED] = "l7_sni_allowlist_miss",
	[GATE_REASON_ECH] = "l7_sni_allowlist_miss",
	[GATE_REASON_HOST_NOT_PINNED] = "l7_http_host_allowlist_miss",
	[GATE_REASON_HOST_PORT] = "l7_http_host_allowlist_miss",
	[GATE_REASON_CONNECT] = "l7_http_host_allowlist_miss",
	[GATE_REASON_HELLO_TIMEOUT] = "l7_peek_timeout",
};

static const char *l7_word(enum gate_reason r)
{
	const char *word = gate_reason_word(r);

	if (!strncmp(word, "l7_", 3))
		return word;
	return l7_words[r] ? l7_words[r] : "l7_unknown_protocol";
}

/* NULL: the original has no word for it */
static const char *l4_word(uint8_t l4)
{
	switch (l4) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmp6";
	default:
		return NULL;
	}
}

static const char *l4_text(uint8_t l4, char buf[L4_SIZE])
{
	const char *word = l4_word(l4);

	(void)snprintf(buf, L4_SIZE, "%u", l4);
	return word ? word : buf;
}

static unsigned unverified(const struct gate_flow *f)
{
	unsigned set = 0;

	if (f->has_ech)
		set |= 1u << EVENT_UNVERIFIED_ECH_INNER_NAME;
	if (f->protocol == GATE_TLS)
		set |= 1u << EVENT_UNVERIFIED_INNER_AUTHORITY;
	if (f->protocol == GATE_TCP || f->protocol == GATE_UDP)
		set |= 1u << EVENT_UNVERIFIED_PAYLOAD;
	if (f->reason == GATE_REASON_ADDRESS_RULE)
		set |= 1u << EVENT_UNVERIFIED_SHOWN_NAME;
	return set;
}

static const char *protocol_word(uint8_t protocol)
{
	static const char *const words[] = {
		[GATE_TCP] = "tcp",
		[GATE_UDP] = "udp",
		[GATE_TLS] = "tls",
		[GATE_HTTP] = "http",
	};

	return protocol < ARRAY_SIZE(words) ? words[protocol] : NULL;
}

/* The cell's address is told as one, whatever wall it is behind. */
static struct ip_addr source_of(const struct gate_flow *f)
{
	static const char *const legs[][2] = { { DOOR_LEG_PEER4, DOOR_ADDR4 },
					       { DOOR_LEG_PEER6, DOOR_ADDR6 } };

	for (size_t i = 0; i < ARRAY_SIZE(legs); i++) {
		struct ip_addr peer = door_addr(legs[i][0]);

		if (ip_equal(&f->src, &peer))
			return door_addr(legs[i][1]);
	}
	return f->src;
}

static int connection(const struct gate_evidence *ev,
		      const struct gate_record *r,
		      enum event_connection_kind kind, struct wbuf *b)
{
	const struct gate_flow *f = &r->flow;
	char ref[64], l4[L4_SIZE], time[CLOCK_TEXT_SIZE],
		opened[CLOCK_TEXT_SIZE];
	bool is_packet =
		kind == EVENT_KIND_REFUSED || kind == EVENT_KIND_PACKETS;
	struct event_connection c = {
		.kind = kind,
		.count = r->count,
		.allow = !is_packet && flow_passed(f),
		.reason = gate_reason_word(f->reason),
		.protocol = is_packet ? NULL : protocol_word(f->protocol),
		.l4 = f->l4 ? l4_text(f->l4, l4) : NULL,
		.destination = { f->dst, f->dst_port },
		.question = name_of(&f->question),
		.sni = name_of(&f->sni),
		.host = name_of(&f->host),
		.has_ech = f->has_ech,
	};

	if (f->rule >= 0 && (uint32_t)f->rule < ev->policy->n_rules)
		c.rule_ref = policy_rule_ref(&ev->policy->rules[f->rule], ref);
	/* the rest is of one and not of all of them */
	if (r->type != GATE_AGGREGATE)
		c.source = (struct event_endpoint){ source_of(f), f->src_port };
	if (!is_packet) {
		c.up = f->up;
		c.down = f->down;
	}
	if (kind == EVENT_KIND_OPENED || kind == EVENT_KIND_FLOW) {
		if (f->is_dialled)
			c.dialled = (struct event_endpoint){ f->dial,
							     f->dial_port };
		c.opened_at = event_ms_text(opened, f->opened_ms, CLOCK_FORM_B);
	}
	if (kind == EVENT_KIND_FLOW) {
		c.has_early_data = f->has_early_data;
		c.requests = f->requests;
		c.duration_ms = f->duration_ms;
		c.unverified = unverified(f);
	}
	event_connection(b, ev->run, &c);
	return tell(ev, EVENT_CONNECTION, NULL,
		    event_ms_text(time, r->wall_ms, CLOCK_FORM_A), b);
}

static int decision(const struct gate_evidence *ev, const struct gate_record *r,
		    struct wbuf *b)
{
	const struct gate_flow *f = &r->flow;
	char id[UUID_TEXT_SIZE], time[CLOCK_TEXT_SIZE];
	const struct event_l7 d = {
		.is_live = true,
		.allow = gate_reason_allows(f->reason),
		.decision_id = id,
		.reason = l7_word(f->reason),
		.host = name_of(f->sni.len ? &f->sni : &f->host),
	};
	int x;

	/* let through by its address: no name was judged */
	if (f->reason == GATE_REASON_ADDRESS_RULE ||
	    f->reason == GATE_REASON_NAME_RULE)
		return connection(ev, r, EVENT_KIND_OPENED, b);
	x = uuid_v4(id);
	if (x)
		return x;
	event_l7_egress_decision(b, ev->run, &d);
	return tell(ev, EVENT_L7_EGRESS_DECISION, EVENT_SOURCE_SNI,
		    event_ms_text(time, r->wall_ms, CLOCK_FORM_B), b);
}

static int realtime(const struct gate_evidence *ev, const struct gate_record *r,
		    struct wbuf *b)
{
	const struct gate_flow *f = &r->flow;
	char id[UUID_TEXT_SIZE], time[CLOCK_TEXT_SIZE];
	bool allow = r->type == GATE_FLOW && flow_passed(f);
	const struct event_flow e = {
		.allow = allow,
		.decision_id = id,
		.observed_at = event_ms_text(time, r->wall_ms, CLOCK_FORM_A),
		.reason = allow ? "nft_log_accept" : "nft_log_drop",
		.dst = f->dst,
		.dst_port = f->dst_port,
		.protocol = l4_word(f->l4),
	};
	int x = uuid_v4(id);

	if (x)
		return x;
	event_network_flow_decision(b, ev->run, &e);
	return tell(ev, EVENT_NETWORK_FLOW_DECISION, NULL, time, b);
}

static int flow(const struct gate_evidence *ev, const struct gate_record *r,
		struct wbuf *b)
{
	int x = connection(
		ev, r,
		r->type == GATE_FLOW ? EVENT_KIND_FLOW : EVENT_KIND_REFUSED, b);

	return x || !ev->policy->flows_realtime ? x : realtime(ev, r, b);
}

static int aggregate(const struct gate_evidence *ev,
		     const struct gate_record *r, struct wbuf *b)
{
	if (r->of == GATE_QUERY)
		return query_more(ev, r, b);
	return connection(
		ev, r,
		r->of == GATE_FLOW ? EVENT_KIND_FLOWS : EVENT_KIND_PACKETS, b);
}

/* -- totals -- */

/* X(member of struct gate_stats, name in the event) */
#define TOTALS(X)                                \
	X(queries, "queries")                    \
	X(queries_allowed, "queriesAllowed")     \
	X(queries_denied, "queriesDenied")       \
	X(queries_malformed, "queriesMalformed") \
	X(upstream_failures, "upstreamFailures") \
	X(from_cache, "fromCache")               \
	X(flows, "flows")                        \
	X(flows_allowed, "flowsAllowed")         \
	X(flows_denied, "flowsDenied")           \
	X(peek_timeouts, "peekTimeouts")         \
	X(dial_failures, "dialFailures")         \
	X(refused, "refused")                    \
	X(refused_lost, "refusedLost")           \
	X(up, "bytesUp")                         \
	X(down, "bytesDown")                     \
	X(aggregated, "aggregated")              \
	X(stalled, "stalled")                    \
	X(distinct, "distinctConnections")

#define X(member, name) +1
_Static_assert(sizeof(struct gate_stats) == (0 TOTALS(X)) * sizeof(uint64_t),
	       "a total that is not told");
#undef X

static int totals(const struct gate_evidence *ev, const struct gate_record *r,
		  struct wbuf *b)
{
	struct report_enforcement report;
	char time[CLOCK_TEXT_SIZE];

	report_begin(&report, REPORT_TOTALS, ev->backend);
#define X(member, name) report_total_add(&report, name, r->stats.member);
	TOTALS(X)
#undef X
	event_enforcement(b, ev->run, &report);
	return tell(ev, EVENT_ENFORCEMENT, NULL,
		    event_ms_text(time, r->wall_ms, CLOCK_FORM_A), b);
}

int gate_evidence_record(const struct gate_evidence *ev,
			 const struct gate_record *r)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(LIMIT_EVENT_LINE);

	switch (r->type) {
	case GATE_QUERY:
		return query(ev, r, &b);
	case GATE_DECISION:
		return decision(ev, r, &b);
	case GATE_FLOW:
	case GATE_REFUSED:
		return flow(ev, r, &b);
	case GATE_AGGREGATE:
		return aggregate(ev, r, &b);
	case GATE_STATS:
		return totals(ev, r, &b);
	default:
		return 0;
	}
}

/* -- after the run -- */

struct row_sink {
	const struct gate_evidence *ev;
	const char *time;
	struct wbuf *b;
};

static int put_row(void *arg, struct event_flow *f)
{
	const struct row_sink *s = arg;
	char id[UUID_TEXT_SIZE];
	int r = uuid_v4(id);

	if (r)
		return r;
	f->decision_id = id;
	f->observed_at = s->time;
	event_network_flow_decision(s->b, s->ev->run, f);
	return tell(s->ev, EVENT_NETWORK_FLOW_DECISION, NULL, s->time, s->b);
}

int gate_evidence_rows(const struct gate_evidence *ev,
		       const struct flow_counts *c, uint64_t wall_ms)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(LIMIT_EVENT_LINE);
	char time[CLOCK_TEXT_SIZE];
	struct row_sink s = {
		.ev = ev,
		.time = event_ms_text(time, wall_ms, CLOCK_FORM_B),
		.b = &b,
	};

	return flow_rows(ev->run->spec, ev->policy, c, put_row, &s);
}
