/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The cell's resolver: what may be asked, and what is answered. */
#include "gate/dns_int.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

enum { NO_RCODE = 255 };

static const uint64_t NS = 1000000000;

/* -- judgement -- */

/* What is answered without asking anybody; DNS_NOERROR: it may be asked. */
static enum dns_rcode judge(struct dns_proxy *p, const struct dns_query *q,
			    struct gate_query *r)
{
	const struct gate_policy *policy = p->g->policy;
	int i;

	r->reason = GATE_QUERY_NOT_IN_ALLOWLIST;
	/* tells browsers to stay with their host's resolver: us */
	if (slice_is(hostname_slice(&q->name), "use-application-dns.net"))
		return DNS_NXDOMAIN;
	if (!policy_has_query_type(policy, q->type)) {
		r->reason = GATE_QUERY_TYPE;
		return DNS_REFUSED;
	}
	if (q->is_root)
		return DNS_REFUSED;
	i = policy_resolvable(policy, &q->name);
	if (i < 0)
		return DNS_REFUSED;
	if (!dns_budget_take(p->budget, policy, (size_t)i, &q->name)) {
		r->over_budget = true;
		return DNS_REFUSED;
	}
	r->reason = GATE_QUERY_ALLOWED;
	return DNS_NOERROR;
}

/* -- records -- */

static void tell(struct dns_proxy *p, const struct gate_query *r)
{
	struct gate_stats *s = &p->g->stats;

	s->queries++;
	switch ((enum gate_query_reason)r->reason) {
	case GATE_QUERY_ALLOWED:
		s->queries_allowed++;
		break;
	case GATE_QUERY_NOT_IN_ALLOWLIST:
	case GATE_QUERY_TYPE:
		s->queries_denied++;
		break;
	case GATE_QUERY_MALFORMED:
		s->queries_malformed++;
		break;
	case GATE_QUERY_UPSTREAM:
		s->upstream_failures++;
		break;
	case GATE_QUERY_REASON_NUM:
		break;
	}
	s->from_cache += r->from_cache;
	record_query(p->g, r);
}

void dns_proxy_broken(struct dns_proxy *p)
{
	tell(p, &(struct gate_query){ .reason = GATE_QUERY_MALFORMED,
				      .rcode = NO_RCODE });
}

/* Addresses are what is counted: other records lead nowhere by themselves. */
static uint32_t targets_of(uint16_t type, size_t n)
{
	return type == DNS_A || type == DNS_AAAA ? (uint32_t)n : 0;
}

/* -- one query -- */

static size_t reply_max(const struct dns_client *client,
			const struct dns_query *q)
{
	if (!client->udp)
		return DNS_MESSAGE_MAX;
	return q->udp_size < DNS_UDP_REPLY_MAX ? q->udp_size
					       : DNS_UDP_REPLY_MAX;
}

static enum dns_served malformed(struct dns_proxy *p,
				 const struct dns_client *client,
				 const struct dns_query *q, int rcode,
				 struct wbuf *reply)
{
	/* a stream that is not DNS ends; nobody could be told in it */
	if (rcode < 0 || !client->udp) {
		dns_proxy_broken(p);
	} else {
		tell(p, &(struct gate_query){ .reason = GATE_QUERY_MALFORMED,
					      .rcode = (uint8_t)rcode });
		dns_reply_build(reply, q, (enum dns_rcode)rcode);
	}
	return DNS_BROKEN;
}

static void reply_kept(struct dns_proxy *p, const struct dns_client *client,
		       const struct dns_query *q, const struct dns_kept *k,
		       struct gate_query *r, struct wbuf *reply)
{
	uint64_t age = (loop_now(p->g->loop) - k->since_ns) / NS;

	r->from_cache = true;
	r->rcode = k->rcode;
	if (k->is_failure)
		r->reason = GATE_QUERY_UPSTREAM;
	r->resolver = k->resolver;
	r->targets = k->n_target;
	r->dropped = k->dropped;
	tell(p, r);
	if (k->is_failure)
		dns_reply_build(reply, q, DNS_SERVFAIL);
	else
		dns_answer_build(reply, q, k->rcode, k->body, k->n_records,
				 (uint32_t)age, reply_max(client, q));
}

enum dns_served dns_proxy_serve(struct dns_proxy *p,
				const struct dns_client *client,
				struct slice msg, bool is_cut,
				struct wbuf *reply)
{
	struct dns_query q;
	struct gate_query r = { 0 };
	const struct dns_kept *k;
	int rcode = dns_query_parse(msg, &q);

	if (rcode == DNS_NOERROR && is_cut)
		rcode = DNS_FORMERR;
	if (rcode)
		return malformed(p, client, &q, rcode, reply);
	r.type = q.type;
	r.name = q.name;
	rcode = (int)judge(p, &q, &r);
	if (rcode == DNS_NOERROR) {
		k = dns_cache_find(p->cache, &q.name, q.type,
				   loop_now(p->g->loop));
		if (k && !p->g->stopping) {
			reply_kept(p, client, &q, k, &r, reply);
			return DNS_DONE;
		}
		if (!p->g->stopping &&
		    dns_upstream_ask(p->upstream, client, &q) == 0)
			return DNS_WAITS;
		r.reason = GATE_QUERY_UPSTREAM;
		rcode = DNS_SERVFAIL;
	}
	r.rcode = (uint8_t)rcode;
	tell(p, &r);
	dns_reply_build(reply, &q, (enum dns_rcode)rcode);
	return DNS_DONE;
}

/* -- answers of resolvers -- */

static void pin(struct dns_proxy *p, const struct dns_answer *a,
		const struct hostname *name)
{
	for (size_t i = 0; i < a->n_addr; i++)
		pins_add(p->g->pins, name, &a->addr[i], a->ttl,
			 loop_now(p->g->loop));
}

/* A name counts against its wildcard once: what never has an answer must not
 * be a way to ask without end. */
static void keep_failure(struct dns_proxy *p, const struct hostname *name,
			 uint16_t type, uint16_t resolver)
{
	uint64_t now = loop_now(p->g->loop);

	dns_cache_put(
		p->cache, name, type,
		&(struct dns_kept){ .rcode = DNS_SERVFAIL,
				    .is_failure = true,
				    .resolver = resolver,
				    .since_ns = now,
				    .until_ns = now + DNS_FAILURE_S * NS });
}

void dns_proxy_found(struct dns_proxy *p, const struct hostname *name,
		     uint16_t type, const struct dns_found *f)
{
	const struct dns_answer *a = f->answer;
	uint64_t now = loop_now(p->g->loop);

	if (!a) {
		keep_failure(p, name, type, f->resolver);
		return;
	}
	pin(p, a, name);
	/* an alias is a name of its own if the cell may ask for it */
	for (size_t i = 1; i < a->n_chain; i++)
		if (policy_resolvable(p->g->policy, &a->chain[i]) >= 0)
			pin(p, a, &a->chain[i]);
	/* it ends with its pins: a->ttl is theirs */
	dns_cache_put(
		p->cache, name, type,
		&(struct dns_kept){ .rcode = a->rcode,
				    .n_records = f->n_records,
				    .resolver = f->resolver,
				    .n_target = targets_of(type, a->n_target),
				    .dropped = (uint32_t)a->n_dropped,
				    .since_ns = now,
				    .until_ns = now + a->ttl * NS,
				    .body = f->body });
}

void dns_proxy_reply(struct dns_proxy *p, const struct dns_waiter *w,
		     const struct dns_found *f)
{
	const struct dns_answer *a = f->answer;
	struct gate_query r = {
		.reason = a ? GATE_QUERY_ALLOWED : GATE_QUERY_UPSTREAM,
		.rcode = a ? a->rcode : DNS_SERVFAIL,
		.asked_upstream = true,
		.type = w->query.type,
		.resolver = f->resolver,
		.targets = a ? targets_of(w->query.type, a->n_target) : 0,
		.dropped = a ? (uint32_t)a->n_dropped : 0,
		.latency_ms =
			(uint32_t)((clock_mono_ns() - w->since_ns) / 1000000),
		.name = w->query.name,
	};

	tell(p, &r);
	wbuf_reset(&p->reply);
	if (a)
		dns_answer_build(&p->reply, &w->query, a->rcode, f->body,
				 f->n_records, 0,
				 reply_max(&w->client, &w->query));
	else
		dns_reply_build(&p->reply, &w->query, DNS_SERVFAIL);
	if (p->reply.failed)
		return;
	if (w->client.udp)
		dns_udp_answer(&w->client, wbuf_as_slice(&p->reply));
	else
		dns_conns_answer(p->conns, &w->client,
				 wbuf_as_slice(&p->reply));
}

/* -- all of it -- */

struct dns_proxy *dns_proxy_new(struct gate *g)
{
	struct dns_proxy *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->g = g;
	p->reply = WBUF_INIT(DNS_MESSAGE_MAX);
	p->cache = dns_cache_new();
	p->budget = dns_budget_new();
	p->upstream = dns_upstream_new(p);
	p->conns = dns_conns_new(p);
	p->udp = dns_udp_new(p);
	g->dns = p;
	if (!p->cache || !p->budget || !p->upstream || !p->conns || !p->udp)
		dns_proxy_free(g);
	return g->dns;
}

int dns_proxy_udp(struct gate *g, int fd, uint8_t family)
{
	(void)family; /* a packet says it by itself */
	return dns_udp_add(g->dns->udp, fd);
}

void dns_proxy_tcp(struct gate *g, int fd)
{
	dns_conns_add(g->dns->conns, fd);
}

void dns_proxy_drain(struct gate *g)
{
	dns_udp_drain(g->dns->udp);
}

bool dns_proxy_is_idle(const struct gate *g)
{
	return !dns_upstream_count(g->dns->upstream) &&
	       !dns_conns_count(g->dns->conns);
}

void dns_proxy_free(struct gate *g)
{
	struct dns_proxy *p = g->dns;

	if (!p)
		return;
	/* tells of what waits, and answers it: the clients go after it */
	dns_upstream_free(&p->upstream);
	dns_conns_free(&p->conns);
	dns_udp_free(&p->udp);
	dns_budget_free(&p->budget);
	dns_cache_free(&p->cache);
	wbuf_drop(&p->reply);
	free(p);
	g->dns = NULL;
}
