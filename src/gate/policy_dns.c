/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a document says of resolution: types, resolvers, where answers lie. */
#include <string.h>

#include "base/ascii.h"
#include "gate/policy_int.h"
#include "spec/text.h"

#define RESOLVER "authority.dnsAuthority.resolvers[]"
#define AT	 "at /spec/authority/dnsAuthority/resolvers/%zu"

static void add_type(struct gate_policy *p, uint16_t type)
{
	if (!policy_has_query_type(p, type))
		p->query_types[p->n_query_types++] = type;
}

static void compile_types(struct compile *c)
{
	static const uint16_t number[SPEC_Q_NUM] = {
		[SPEC_Q_A] = DNS_A,	    [SPEC_Q_AAAA] = DNS_AAAA,
		[SPEC_Q_CNAME] = DNS_CNAME, [SPEC_Q_TXT] = DNS_TXT,
		[SPEC_Q_MX] = DNS_MX,	    [SPEC_Q_SRV] = DNS_SRV,
		[SPEC_Q_NS] = DNS_NS,	    [SPEC_Q_PTR] = DNS_PTR,
		[SPEC_Q_HTTPS] = DNS_HTTPS, [SPEC_Q_SVCB] = DNS_SVCB,
	};
	static const uint16_t dflt[] = { DNS_A, DNS_AAAA, DNS_CNAME,
					 DNS_HTTPS };
	const struct spec_dns_authority *d = c->s->authority.dns;

	_Static_assert((int)SPEC_Q_NUM <= (int)DNS_TYPE_COUNT_MAX,
		       "every type has a place");
	for (size_t i = 0; d && i < d->n_query_types; i++)
		add_type(c->p, number[d->query_types[i]]);
	if (c->p->n_query_types)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(dflt); i++)
		add_type(c->p, dflt[i]);
}

static struct slice trim(struct slice s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = (struct slice){ s.p + 1, s.n - 1 };
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static bool read_port(struct slice s, uint16_t *ret)
{
	unsigned v = 0;

	if (s.n == 0 || s.n > 5)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]))
			return false;
		v = v * 10 + (unsigned)(s.p[i] - '0');
	}
	*ret = (uint16_t)v;
	return v > 0 && v <= UINT16_MAX;
}

/* "a.b.c.d:port" or "[v6]:port" of a host that can be asked */
static bool read_endpoint(struct slice s, struct gate_resolver *r)
{
	size_t colon;
	struct slice host;
	enum ip_class class;
	bool is_v6;

	s = trim(s);
	for (colon = s.n; colon && s.p[colon - 1] != ':';)
		colon--;
	if (colon == 0 ||
	    !read_port((struct slice){ s.p + colon, s.n - colon }, &r->port))
		return false;
	host = (struct slice){ s.p, colon - 1 };
	is_v6 = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	if (is_v6)
		host = (struct slice){ host.p + 1, host.n - 2 };
	if (ip_parse(host, &r->addr) || r->addr.family != (is_v6 ? 6 : 4))
		return false;
	class = ip_class(&r->addr);
	return class != IP_UNSPECIFIED && class != IP_MULTICAST &&
	       class != IP_MAPPED;
}

static int compile_resolver(struct compile *c, size_t i)
{
	const struct spec_resolver *d = &c->s->authority.dns->resolvers[i];
	struct gate_resolver r = { .is_tcp = d->protocol == SPEC_DO53_TCP };
	bool is_built = d->protocol == SPEC_DO53_UDP || r.is_tcp;
	char q[TEXT_QUOTED];

	if (!is_built && c->face == POLICY_VALIDATE)
		return 0;
	/* another transport in its place would be a silent weakening */
	if (!is_built)
		return err_set(c->e, ERR_PLAIN, 0,
			       RESOLVER
			       ".protocol: of the transports only do53-udp and "
			       "do53-tcp are supported by this build (" AT
			       "/protocol)",
			       i);
	if (d->resolver_id.n >= sizeof(r.id))
		return err_set(c->e, ERR_SPEC, 0,
			       RESOLVER ".resolverId %s is longer than %zu "
					"bytes (" AT "/resolverId)",
			       text_quote(q, d->resolver_id), sizeof(r.id) - 1,
			       i);
	memcpy(r.id, d->resolver_id.p, d->resolver_id.n);
	if (!read_endpoint(d->endpoint, &r))
		return compile_refuse(
			c,
			RESOLVER ".endpoint %s is no address and port of a "
				 "server; write it as 192.0.2.1:53 or "
				 "[2001:db8::1]:53 (" AT "/endpoint)",
			text_quote(q, d->endpoint), i);
	if (c->p->n_resolvers == GATE_RESOLVERS_MAX)
		return compile_overflow(
			c, "resolvers", GATE_RESOLVERS_MAX,
			"/spec/authority/dnsAuthority/resolvers");
	c->p->resolvers[c->p->n_resolvers++] = r;
	return 0;
}

static int add_net(struct compile *c, const struct gate_net *n, const char *at)
{
	struct gate_policy *p = c->p;

	for (size_t i = 0; i < p->n_nets; i++)
		if (p->nets[i].net.prefix == n->net.prefix &&
		    ip_equal(&p->nets[i].net.addr, &n->net.addr) &&
		    strcmp(p->nets[i].pattern, n->pattern) == 0)
			return 0;
	if (p->n_nets == GATE_NETS_MAX)
		return compile_overflow(c, "networks that answers may lie in",
					GATE_NETS_MAX, at);
	p->nets[p->n_nets++] = *n;
	return 0;
}

/* "name:address" or "name:network" */
static int compile_response(struct compile *c, size_t i)
{
	static const char at[] = "/spec/authority/dnsAuthority/rebindingPolicy/"
				 "responseIpAllowlist";
	struct slice s = c->s->authority.dns->rebinding_policy
				 ->response_ip_allowlist.p[i];
	const char *colon = s.n ? memchr(s.p, ':', s.n) : NULL;
	struct slice name = { s.p, colon ? (size_t)(colon - s.p) : 0 };
	struct gate_net n = { 0 };
	char q[TEXT_QUOTED];
	bool has_name = compile_pattern(name, n.pattern);

	if (!has_name ||
	    ip_net_parse((struct slice){ colon + 1, s.n - name.n - 1 },
			 &n.net)) {
		if (compile_refuse(c,
				   "authority.dnsAuthority.rebindingPolicy."
				   "responseIpAllowlist entry %s is not "
				   "<host name>:<address or network> (at "
				   "%s/%zu)",
				   text_quote(q, s), at, i))
			return -1;
		/* a net that holds nothing: the name stays bound to its list */
		return has_name ? add_net(c, &n, at) : 0;
	}
	return add_net(c, &n, at);
}

/* Of these an answer must lie in a net of the policy (ip_class). */
static bool touches_private(const struct ip_net *n)
{
	static const struct ip_net nets[] = {
		{ { 4, { 10 } }, 8 },	     { { 4, { 172, 16 } }, 12 },
		{ { 4, { 192, 168 } }, 16 }, { { 4, { 100, 64 } }, 10 },
		{ { 6, { 0xfc } }, 7 },	     { { 6, { 0xfe, 0xc0 } }, 10 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(nets); i++)
		if (ip_in_net(&n->addr, &nets[i]) ||
		    ip_in_net(&nets[i].addr, n))
			return true;
	return false;
}

static int compile_nets(struct compile *c)
{
	const struct spec_dns_authority *d = c->s->authority.dns;
	const struct spec_rebinding_policy *b = d ? d->rebinding_policy : NULL;

	for (size_t i = 0; b && i < b->response_ip_allowlist.n; i++)
		if (compile_response(c, i))
			return -1;
	c->p->reject_on_rebind = b && b->reject_on_rebind;
	for (size_t i = 0; i < c->p->n_rules; i++) {
		const struct gate_rule *r = &c->p->rules[i];
		struct gate_net n = { .net = r->net };

		if (r->is_net && touches_private(&r->net) &&
		    add_net(c, &n, "/spec/authority/egressRules"))
			return -1;
	}
	return 0;
}

int compile_dns(struct compile *c)
{
	compile_types(c);
	for (size_t i = 0;
	     c->s->authority.dns && i < c->s->authority.dns->n_resolvers; i++)
		if (compile_resolver(c, i))
			return -1;
	return compile_nets(c);
}
