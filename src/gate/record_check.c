/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Is what the gate sent a record? It reads what a cell sends. */
#include <netinet/in.h>
#include <string.h>

#include "gate/message.h"

/* 9999-12-31T23:59:59.999Z: times become texts of RFC 3339 */
#define WALL_MS_MAX UINT64_C(253402300799999)

enum { ERRNO_MAX = 4095, RCODE_MAX = 15, RCODE_NONE = 255 };

/* A byte that is neither 0 nor 1 must not be read as a bool. */
static bool is_bool(const bool *b)
{
	unsigned char c;

	memcpy(&c, b, 1);
	return c <= 1;
}

static bool is_zero(const void *p, size_t n)
{
	const unsigned char *b = p;

	for (size_t i = 0; i < n; i++)
		if (b[i])
			return false;
	return true;
}

static bool is_address(const struct ip_addr *a)
{
	if (a->family == 4)
		return is_zero(a->b + 4, sizeof(a->b) - 4);
	return a->family == 6 ||
	       (a->family == 0 && is_zero(a->b, sizeof(a->b)));
}

/* None, or exactly what its parser makes of it */
static bool is_name(const struct hostname *h,
		    int (*parse)(struct slice, struct hostname *))
{
	struct hostname again = { 0 };

	if (h->len > HOSTNAME_MAX)
		return false;
	if (h->len && parse(hostname_slice(h), &again))
		return false;
	return memcmp(h, &again, sizeof(again)) == 0;
}

static bool is_query(const struct gate_query *q, const struct gate_policy *p)
{
	return q->reason < GATE_QUERY_REASON_NUM &&
	       (q->rcode <= RCODE_MAX || q->rcode == RCODE_NONE) &&
	       is_bool(&q->asked_upstream) && is_bool(&q->from_cache) &&
	       is_bool(&q->over_budget) &&
	       (q->resolver < p->n_resolvers || q->resolver == 0) &&
	       is_name(&q->name, hostname_parse_service);
}

static bool is_flow(const struct gate_flow *f, const struct gate_policy *p,
		    bool any_l4)
{
	return f->reason < GATE_REASON_NUM && f->protocol <= GATE_HTTP &&
	       (any_l4 || f->l4 == IPPROTO_TCP || f->l4 == IPPROTO_UDP) &&
	       is_bool(&f->has_ech) && is_bool(&f->has_early_data) &&
	       is_bool(&f->is_dialled) && f->rule >= -1 &&
	       f->rule < (int64_t)p->n_rules && is_address(&f->src) &&
	       is_address(&f->dst) && is_address(&f->dial) &&
	       is_name(&f->question, hostname_parse_service) &&
	       is_name(&f->sni, hostname_parse) &&
	       is_name(&f->host, hostname_parse) && f->opened_ms <= WALL_MS_MAX;
}

/* Printable ASCII with its NUL */
static bool is_text(const char *s, size_t size)
{
	size_t n = strnlen(s, size);

	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~')
			return false;
	return n < size;
}

static bool is_body(const struct gate_record *r, uint32_t type,
		    const struct gate_policy *p)
{
	switch (type) {
	case GATE_READY:
		return is_address(&r->ready.addr);
	case GATE_QUERY:
		return is_query(&r->query, p);
	case GATE_DECISION:
	case GATE_FLOW:
	case GATE_REFUSED:
		return is_flow(&r->flow, p, type == GATE_REFUSED);
	case GATE_INSIDE:
		return (r->inside.family == 4 || r->inside.family == 6) &&
		       is_bool(&r->inside.is_udp) && r->inside.n >= 1 &&
		       r->inside.n <= DOOR_INSIDE;
	case GATE_STATS:
		return true; /* any number is one */
	case GATE_FAULT:
		return r->fault.sys >= 0 && r->fault.sys <= ERRNO_MAX &&
		       is_text(r->fault.text, sizeof(r->fault.text));
	default:
		return false;
	}
}

bool gate_record_check(const void *data, size_t n, const struct gate_policy *p)
{
	struct gate_record r;

	if (n != sizeof(r))
		return false;
	memcpy(&r, data, n);
	if (r.wall_ms > WALL_MS_MAX)
		return false;
	if (r.type != GATE_AGGREGATE)
		return r.of == 0 && is_body(&r, r.type, p);
	return r.count > 0 &&
	       (r.of == GATE_QUERY || r.of == GATE_FLOW ||
		r.of == GATE_REFUSED) &&
	       is_body(&r, r.of, p);
}
