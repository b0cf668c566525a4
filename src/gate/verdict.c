/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The verdict: rules in the order of the document, the first that allows. */
#include "gate/verdict.h"

#include "gate/policy_int.h"

enum { PORT_TLS = 443, PORT_DOT = 853 };

static struct verdict deny(enum gate_reason reason)
{
	return (struct verdict){
		.action = VERDICT_DENY, .reason = reason, .rule = -1, .name = -1
	};
}

static struct verdict allow(enum gate_reason reason, size_t rule, int name)
{
	return (struct verdict){ .action = VERDICT_ALLOW,
				 .reason = reason,
				 .rule = (int)rule,
				 .name = name };
}

static bool is_own(const struct gate_policy *p, const struct ip_addr *a)
{
	for (size_t i = 0; i < p->n_own; i++)
		if (ip_equal(&p->own[i], a))
			return true;
	return false;
}

/* What a rule must be to open the way to an address */
enum opening {
	OPEN_BY_ANY,	 /* a name led there, or a net holds it */
	OPEN_BY_NET,	 /* a net holds it */
	OPEN_BY_ADDRESS, /* it is spelled out */
	OPEN_NEVER
};

static enum opening opening(const struct gate_policy *p,
			    const struct ip_addr *a, enum ip_class c)
{
	enum opening least = is_own(p, a) ? OPEN_BY_ADDRESS : OPEN_BY_ANY;

	switch (c) {
	case IP_ORDINARY:
	case IP_PRIVATE:
	case IP_SHARED:
		return least;
	case IP_TRANSLATED:
		return least > OPEN_BY_NET ? least : OPEN_BY_NET;
	case IP_LINK_LOCAL:
	case IP_METADATA:
		return OPEN_BY_ADDRESS;
	case IP_UNSPECIFIED:
	case IP_LOOPBACK:
	case IP_MULTICAST:
	case IP_MAPPED:
	case IP_CLASS_NUM:
		break;
	}
	return OPEN_NEVER;
}

bool verdict_answer(const struct gate_policy *p, const struct hostname *name,
		    const struct ip_addr *a)
{
	bool is_bound = false, is_in_own = false, is_in_any = false;
	enum ip_class c = ip_class(a);

	if (opening(p, a, c) != OPEN_BY_ANY)
		return false;
	for (size_t i = 0; i < p->n_nets; i++) {
		const struct gate_net *n = &p->nets[i];
		bool has = ip_in_net(a, &n->net);

		if (!n->pattern[0]) {
			is_in_any |= has;
		} else if (hostname_matches(name, slice_of(n->pattern))) {
			is_bound = true;
			is_in_own |= has;
		}
	}
	if (p->reject_on_rebind && is_bound && !is_in_own)
		return false;
	return c == IP_ORDINARY || is_in_own || is_in_any;
}

/* The name that led there and that the rule takes, or -1 */
static int taken_name(const struct gate_policy *p, const struct gate_rule *r,
		      const struct verdict_target *t)
{
	for (size_t i = 0; i < t->n_names; i++)
		if (hostname_matches(t->names[i], slice_of(r->pattern)) &&
		    verdict_answer(p, t->names[i], &t->addr))
			return (int)i;
	return -1;
}

static bool is_closed(const struct verdict_target *t)
{
	return t->port == PORT_DOT || (t->port == PORT_TLS && t->is_udp);
}

static bool is_for(const struct gate_rule *r, const struct verdict_target *t)
{
	return r->port == t->port && (r->protocol == GATE_UDP) == t->is_udp;
}

static bool net_opens(const struct gate_rule *r, const struct verdict_target *t,
		      enum opening need)
{
	return ip_in_net(&t->addr, &r->net) &&
	       (need != OPEN_BY_ADDRESS || ip_net_is_address(&r->net));
}

struct verdict verdict_open(const struct gate_policy *p,
			    const struct verdict_target *t)
{
	enum opening need = opening(p, &t->addr, ip_class(&t->addr));
	struct verdict peek = { .action = VERDICT_PEEK,
				.rule = -1,
				.name = -1 };
	bool has_names = false;

	if (is_closed(t))
		return deny(GATE_REASON_PORT_CLOSED);
	if (need == OPEN_NEVER)
		return deny(GATE_REASON_ADDRESS_CLASS);
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct gate_rule *r = &p->rules[i];
		int name;

		if (!is_for(r, t))
			continue;
		if (r->is_net) {
			if (net_opens(r, t, need))
				return allow(GATE_REASON_ADDRESS_RULE, i, -1);
			continue;
		}
		has_names = true;
		name = taken_name(p, r, t);
		if (name < 0)
			continue;
		if (r->protocol != GATE_TLS && r->protocol != GATE_HTTP)
			return allow(GATE_REASON_NAME_RULE, i, name);
		peek.peek_tls |= r->protocol == GATE_TLS;
		peek.peek_http |= r->protocol == GATE_HTTP;
	}
	if (peek.peek_tls || peek.peek_http)
		return peek;
	if (need != OPEN_BY_ANY)
		return deny(GATE_REASON_ADDRESS_CLASS);
	return deny(has_names ? GATE_REASON_ADDRESS_NOT_NAMED
			      : GATE_REASON_NO_RULE);
}

bool verdict_opens_own(const struct gate_policy *p,
		       const struct verdict_target *t)
{
	for (size_t i = 0; i < p->n_rules; i++)
		if (is_for(&p->rules[i], t) && p->rules[i].is_net &&
		    net_opens(&p->rules[i], t, OPEN_BY_ADDRESS))
			return true;
	return false;
}

/* The name shown must be one that a rule takes, and one that led here. */
static struct verdict by_name(const struct gate_policy *p,
			      const struct verdict_target *t,
			      const struct hostname *shown,
			      enum gate_protocol protocol,
			      enum gate_reason match, enum gate_reason miss,
			      enum gate_reason not_pinned)
{
	size_t rule = p->n_rules;

	for (size_t i = 0; i < p->n_rules && rule == p->n_rules; i++)
		if (!p->rules[i].is_net && p->rules[i].protocol == protocol &&
		    is_for(&p->rules[i], t) &&
		    hostname_matches(shown, slice_of(p->rules[i].pattern)))
			rule = i;
	if (rule == p->n_rules)
		return deny(miss);
	for (size_t i = 0; i < t->n_names; i++)
		if (hostname_eq(shown, t->names[i]) &&
		    verdict_answer(p, shown, &t->addr))
			return allow(match, rule, (int)i);
	return deny(not_pinned);
}

struct verdict verdict_tls(const struct gate_policy *p,
			   const struct verdict_target *t,
			   const struct hostname *name, bool has_ech)
{
	if (is_closed(t))
		return deny(GATE_REASON_PORT_CLOSED);
	if (has_ech && p->ech_deny)
		return deny(GATE_REASON_ECH);
	if (!name)
		return deny(GATE_REASON_SNI_MISSING);
	return by_name(p, t, name, GATE_TLS, GATE_REASON_SNI_MATCH,
		       GATE_REASON_SNI_MISS, GATE_REASON_SNI_NOT_PINNED);
}

struct verdict verdict_http(const struct gate_policy *p,
			    const struct verdict_target *t,
			    const struct hostname *host, uint16_t host_port)
{
	struct verdict v;

	if (is_closed(t))
		return deny(GATE_REASON_PORT_CLOSED);
	if (!host)
		return deny(GATE_REASON_HOST_MISSING);
	v = by_name(p, t, host, GATE_HTTP, GATE_REASON_HOST_MATCH,
		    GATE_REASON_HOST_MISS, GATE_REASON_HOST_NOT_PINNED);
	if (v.action == VERDICT_ALLOW && host_port && host_port != t->port)
		return deny(GATE_REASON_HOST_PORT);
	return v;
}
