/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What each rule met: counting, and the rows. */
#include "gate/flow_rows.h"

#include <stdio.h>

#include "wire/ip.h"

enum { PORT_DNS = 53, PORT_HTTP3 = 443, PORT_DOQ = 853 };

/* -- counting -- */

bool flow_passed(const struct gate_flow *f)
{
	enum gate_reason r = f->reason;

	if (r == GATE_REASON_BUDGET_UP || r == GATE_REASON_BUDGET_DOWN ||
	    r == GATE_REASON_STOPPED)
		return f->is_dialled;
	return gate_reason_allows(r);
}

static void count_refused(struct flow_counts *c, const struct gate_flow *f,
			  uint64_t n)
{
	if (f->l4 == IPPROTO_UDP && f->dst_port == PORT_DOQ)
		c->refused_doq += n;
	else if (f->l4 == IPPROTO_UDP && f->dst_port == PORT_HTTP3)
		c->refused_http3 += n;
	else
		c->refused += n;
}

static void count_flow(struct flow_counts *c, const struct gate_flow *f,
		       uint64_t n)
{
	if (f->reason == GATE_REASON_PORT_CLOSED)
		count_refused(c, f, n);
	/* one that was dialled went out, whatever it tried after that */
	if ((!f->is_dialled && !flow_passed(f)) || f->rule < 0 ||
	    f->rule >= GATE_RULES_MAX)
		return;
	c->rules[f->rule].packets += n;
	c->rules[f->rule].bytes += f->up;
}

void flow_counts_add(struct flow_counts *c, const struct gate_record *r)
{
	bool one = r->type != GATE_AGGREGATE;
	uint32_t of = one ? r->type : r->of;
	uint64_t n = one ? 1 : r->count;

	if (of == GATE_FLOW)
		count_flow(c, &r->flow, n);
	else if (of == GATE_REFUSED)
		count_refused(c, &r->flow, n);
	else if (of == GATE_QUERY && r->query.asked_upstream &&
		 r->query.resolver < GATE_RESOLVERS_MAX)
		c->resolvers[r->query.resolver] += n;
}

/* -- rows -- */

struct rows {
	const struct spec *spec;
	const struct gate_policy *policy;
	const struct flow_counts *counts;
	int (*row)(void *arg, struct event_flow *f);
	void *arg;
};

/* The original takes any way to a resolver's port for one to a resolver. */
static const char *accept_reason(bool is_udp, uint16_t port)
{
	if (port == PORT_DNS ||
	    (is_udp && (port == PORT_DOQ || port == PORT_HTTP3)))
		return "nft_resolver_allowlist_match";
	return "nft_egress_rule_match";
}

static int deny_row(const struct rows *w, const char *reason, const char *ref,
		    const char *protocol, uint16_t port, uint64_t packets)
{
	struct event_flow f = {
		.reason = reason,
		.rule_ref = ref,
		.dst_port = port,
		.protocol = protocol,
		.is_row = true,
		.packets = packets,
	};

	return w->row(w->arg, &f);
}

struct endpoint {
	struct slice host;
	uint16_t port;
};

static struct slice without_scheme(struct slice s)
{
	static const char *const schemes[] = { "https://", "quic://", "h3://" };
	const char *slash;
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(schemes); i++) {
		n = strlen(schemes[i]);
		if (s.n < n || memcmp(s.p, schemes[i], n) != 0)
			continue;
		s.p += n;
		s.n -= n;
		slash = memchr(s.p, '/', s.n);
		if (slash)
			s.n = (size_t)(slash - s.p);
		break;
	}
	return s;
}

/* "host:port", "[v6]:port", either in an URL; false without a port */
static bool endpoint_of(struct slice text, struct endpoint *ret)
{
	struct slice s = without_scheme(text);
	unsigned port = 0;
	size_t i = s.n;

	while (i && s.p[i - 1] >= '0' && s.p[i - 1] <= '9')
		i--;
	if (i < 2 || i == s.n || s.p[i - 1] != ':' || s.n - i > 5)
		return false;
	ret->host = (struct slice){ s.p, i - 1 };
	for (; i < s.n; i++)
		port = 10 * port + (unsigned)(s.p[i] - '0');
	if (port == 0 || port > UINT16_MAX)
		return false;
	ret->port = (uint16_t)port;
	if (ret->host.n > 2 && ret->host.p[0] == '[' &&
	    ret->host.p[ret->host.n - 1] == ']')
		ret->host = (struct slice){ ret->host.p + 1, ret->host.n - 2 };
	return true;
}

/* Queries to a resolver of the document; those the gate does not use have
 * none. */
static uint64_t asked(const struct rows *w, const struct spec_resolver *r)
{
	uint32_t i;

	for (i = 0; i < w->policy->n_resolvers; i++)
		if (slice_is(r->resolver_id, w->policy->resolvers[i].id))
			return w->counts->resolvers[i];
	return 0;
}

static int resolver_row(const struct rows *w, const struct endpoint *e,
			bool is_udp, uint64_t packets)
{
	struct event_flow f = {
		.allow = true,
		.reason = accept_reason(is_udp, e->port),
		.dst_port = e->port,
		.protocol = is_udp ? "udp" : "tcp",
		.is_row = true,
		.packets = packets,
	};

	/* a resolver named otherwise has no address to tell */
	if (ip_parse(e->host, &f.dst))
		f.dst.family = 0;
	return w->row(w->arg, &f);
}

/* blockDirectWorkloadDns: the resolvers of plain DNS, and nobody else on 53 */
static int dns_rows(const struct rows *w)
{
	static const char reason[] = "nft_workload_dns_block";
	static const char ref[] = "dnsAuthority.workloadDnsBlock";
	const struct spec_dns_authority *dns = w->spec->authority.dns;
	struct endpoint e;
	size_t i;
	int r = 0;

	for (i = 0; !r && i < dns->n_resolvers; i++) {
		const struct spec_resolver *v = &dns->resolvers[i];
		bool is_udp = v->protocol == SPEC_DO53_UDP;

		if ((is_udp || v->protocol == SPEC_DO53_TCP) && asked(w, v) &&
		    endpoint_of(v->endpoint, &e))
			r = resolver_row(w, &e, is_udp, asked(w, v));
	}
	if (!r)
		r = deny_row(w, reason, ref, "udp", PORT_DNS, 0);
	return r ? r : deny_row(w, reason, ref, "tcp", PORT_DNS, 0);
}

/* Is there an earlier resolver over UDP or HTTP of the same address? */
static bool is_repeated(const struct spec_dns_authority *dns, size_t i,
			const struct endpoint *e)
{
	struct endpoint before;
	size_t k;

	for (k = 0; k < i; k++)
		if (dns->resolvers[k].protocol != SPEC_DO53_TCP &&
		    dns->resolvers[k].protocol != SPEC_DOT &&
		    endpoint_of(dns->resolvers[k].endpoint, &before) &&
		    before.port == e->port && slice_eq(before.host, e->host))
			return true;
	return false;
}

/* blockUdpDoq, blockUdpHttp3: resolvers that may be reached over UDP all the
 * same. One of plain DNS is counted by its own rule where there is one. */
static int udp_resolver_rows(const struct rows *w)
{
	const struct spec_dns_authority *dns = w->spec->authority.dns;
	struct endpoint e;
	uint64_t packets;
	size_t i;
	int r = 0;

	for (i = 0; !r && i < dns->n_resolvers; i++) {
		const struct spec_resolver *v = &dns->resolvers[i];
		bool is_plain = v->protocol == SPEC_DO53_UDP;

		if ((!is_plain && v->protocol != SPEC_DOH &&
		     v->protocol != SPEC_DOQ) ||
		    !endpoint_of(v->endpoint, &e) || is_repeated(dns, i, &e))
			continue;
		packets = is_plain && dns->block_direct_workload_dns
				  ? 0
				  : asked(w, v);
		if (packets || !is_plain)
			r = resolver_row(w, &e, true, packets);
	}
	return r;
}

static int block_rows(const struct rows *w)
{
	const struct spec_dns_authority *dns = w->spec->authority.dns;
	int r = 0;

	if (!dns)
		return 0;
	if (dns->block_direct_workload_dns)
		r = dns_rows(w);
	if (!r && (dns->block_udp_doq || dns->block_udp_http3))
		r = udp_resolver_rows(w);
	if (!r && dns->block_udp_doq)
		r = deny_row(w, "nft_doq_blocked", "dnsAuthority.blockUdpDoq",
			     "udp", PORT_DOQ, w->counts->refused_doq);
	if (!r && dns->block_udp_http3)
		r = deny_row(w, "nft_http3_blocked",
			     "dnsAuthority.blockUdpHttp3", "udp", PORT_HTTP3,
			     w->counts->refused_http3);
	return r;
}

static int rule_row(const struct rows *w, uint32_t i)
{
	const struct gate_rule *rule = &w->policy->rules[i];
	bool is_udp = rule->protocol == GATE_UDP;
	const char *reason = accept_reason(is_udp, rule->port);
	char ref[64];
	struct event_flow f = {
		.allow = true,
		.reason = reason,
		.dst_port = rule->port,
		.protocol = is_udp ? "udp" : "tcp",
		.is_row = true,
		.packets = w->counts->rules[i].packets,
		.bytes = w->counts->rules[i].bytes,
	};

	if (!strcmp(reason, "nft_egress_rule_match"))
		f.rule_ref = policy_rule_ref(rule, ref);
	/* names and nets have no single address */
	if (rule->is_net && ip_net_is_address(&rule->net))
		f.dst = rule->net.addr;
	return w->row(w->arg, &f);
}

static bool is_blocked(const struct spec_dns_authority *dns, bool doq)
{
	return dns && (doq ? dns->block_udp_doq : dns->block_udp_http3);
}

int flow_rows(const struct spec *s, const struct gate_policy *p,
	      const struct flow_counts *c,
	      int (*row)(void *arg, struct event_flow *f), void *arg)
{
	const struct rows w = { s, p, c, row, arg };
	uint64_t refused = c->refused;
	uint32_t i;
	int r;

	r = block_rows(&w);
	for (i = 0; !r && i < p->n_rules; i++)
		if (!p->rules[i].of_allowlist && c->rules[i].packets)
			r = rule_row(&w, i);
	/* what no row of its own speaks of */
	if (!is_blocked(s->authority.dns, true))
		refused += c->refused_doq;
	if (!is_blocked(s->authority.dns, false))
		refused += c->refused_http3;
	return r ? r
		 : deny_row(&w, "nft_default_drop", "default-drop", NULL, 0,
			    refused);
}
