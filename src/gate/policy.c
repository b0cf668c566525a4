/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rules and names of a document to those of the gate. */
#include "gate/policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/log.h"
#include "gate/policy_int.h"
#include "spec/text.h"

#define TARGET "cellos.supervisor.egress"
#define RULE   "authority.egressRules[]"
#define AT     "at /spec/authority/egressRules/%zu"

enum { PORT_DNS = 53, PORT_HTTP = 80, PORT_TLS = 443, PORT_DOT = 853 };

int compile_refuse(struct compile *c, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (c->face != POLICY_PORTABLE)
		return err_set(c->e, ERR_SPEC, 0, "%s", text);
	log_line(LOG_WARN, TARGET, "%s; it permits nothing", text);
	return 0;
}

int compile_overflow(struct compile *c, const char *what, size_t max,
		     const char *at)
{
	return err_set(c->e, ERR_SPEC, 0,
		       "%s: there are more than %zu, the most that one cell "
		       "can have; join them in wildcards or networks (at %s)",
		       what, max, at);
}

bool compile_pattern(struct slice s, char ret[GATE_PATTERN_SIZE])
{
	size_t star = s.n > 2 && s.p[0] == '*' && s.p[1] == '.' ? 2 : 0;
	struct hostname h;

	if (hostname_parse((struct slice){ s.p + star, s.n - star }, &h))
		return false;
	(void)snprintf(ret, GATE_PATTERN_SIZE, "%s%s", star ? "*." : "",
		       h.text);
	return true;
}

/* Addresses stand in brackets where a rule is compared with a URL. */
static bool read_host(struct slice host, struct gate_rule *r)
{
	struct ip_net net;

	r->is_net = true;
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
		host = (struct slice){ host.p + 1, host.n - 2 };
		if (ip_parse(host, &net.addr) || net.addr.family != 6)
			return false;
		net.prefix = 128;
		r->net = net;
		return true;
	}
	if (ip_net_parse(host, &r->net) == 0)
		return true;
	r->is_net = false;
	return compile_pattern(host, r->pattern);
}

/* Why a rule for this net could permit nothing, or NULL */
static const char *useless_net(const struct ip_net *n)
{
	enum ip_class c = ip_class(&n->addr);
	struct ip_addr last = net_last(n);

	/* all of it is of that class: no class has a gap */
	if (ip_class(&last) != c)
		return NULL;
	switch (c) {
	case IP_UNSPECIFIED:
	case IP_LOOPBACK:
	case IP_MULTICAST:
	case IP_MAPPED:
		return "to which no rule opens a way; remove the rule";
	case IP_LINK_LOCAL:
		return ip_net_is_address(n)
			       ? NULL
			       : "which must be named one by one; write a rule "
				 "for each address";
	case IP_ORDINARY:
	case IP_METADATA:
	case IP_PRIVATE:
	case IP_SHARED:
	case IP_TRANSLATED:
	case IP_CLASS_NUM:
		break;
	}
	return NULL;
}

static bool read_word(struct slice word, uint8_t *ret)
{
	static const struct {
		const char *word;
		uint8_t protocol;
	} words[] = {
		{ "tcp", GATE_TCP },   { "udp", GATE_UDP },
		{ "tls", GATE_TLS },   { "https", GATE_TLS },
		{ "http", GATE_HTTP }, { "dns-acknowledged", GATE_UDP },
	};
	char lower[sizeof("dns-acknowledged")];

	if (word.n >= sizeof(lower))
		return false;
	for (size_t i = 0; i < word.n; i++)
		lower[i] = ascii_lower(word.p[i]);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!slice_is((struct slice){ lower, word.n }, words[i].word))
			continue;
		*ret = words[i].protocol;
		return true;
	}
	return false;
}

static uint8_t by_port(uint16_t port)
{
	return port == PORT_TLS	   ? GATE_TLS
	       : port == PORT_HTTP ? GATE_HTTP
				   : GATE_TCP;
}

static bool read_protocol(struct slice word, struct gate_rule *r)
{
	if (!word.p) {
		r->protocol = by_port(r->port);
		return true;
	}
	if (!read_word(word, &r->protocol))
		return false;
	/* documents of the original say tcp of what they mean by name */
	if (r->protocol == GATE_TCP && !r->is_net)
		r->protocol = by_port(r->port);
	return true;
}

/* @covered: lower case, as @entry; every name of it is a name of @entry */
static bool covers(const char *entry, const char *covered)
{
	size_t n = strlen(entry), m = strlen(covered);

	if (entry[0] != '*')
		return strcmp(entry, covered) == 0;
	return m >= n && strcmp(covered + (m - (n - 1)), entry + 1) == 0;
}

static struct spec_strings allowlist(const struct compile *c)
{
	const struct spec_dns_authority *d = c->s->authority.dns;

	return d ? d->hostname_allowlist : (struct spec_strings){ NULL, 0 };
}

/* Where there is an allowlist, its names are all that is resolved. */
static int check_listed(struct compile *c, const struct gate_rule *r, size_t i)
{
	static const char text[] =
		RULE ".host \"%s\" cannot be resolved: "
		     "dnsAuthority.hostnameAllowlist does not cover it; add it "
		     "there (" AT "/host)";

	if (allowlist(c).n == 0)
		return 0;
	for (size_t k = 0; k < c->p->n_names; k++)
		if (covers(c->p->names[k], r->pattern))
			return 0;
	if (c->face == POLICY_CELLOS || c->face == POLICY_VALIDATE)
		return err_set(c->e, ERR_SPEC, 0, text, r->pattern, i);
	/* it stays: some names of a wildcard may be listed */
	log_line(LOG_WARN, TARGET, text, r->pattern, i);
	return 0;
}

static int add_name(struct compile *c, const char *pattern, const char *at)
{
	struct gate_policy *p = c->p;

	for (size_t i = 0; i < p->n_names; i++)
		if (strcmp(p->names[i], pattern) == 0)
			return 0;
	if (p->n_names == GATE_NAMES_MAX)
		return compile_overflow(c, "names to resolve", GATE_NAMES_MAX,
					at);
	memcpy(p->names[p->n_names++], pattern, strlen(pattern) + 1);
	return 0;
}

static int add_rule(struct compile *c, const struct gate_rule *r,
		    const char *at)
{
	if (c->p->n_rules == GATE_RULES_MAX)
		return compile_overflow(c, "egress rules", GATE_RULES_MAX, at);
	c->p->rules[c->p->n_rules++] = *r;
	return 0;
}

static int check_port(struct compile *c, const struct gate_rule *r, size_t i,
		      bool *ret_use)
{
	if (r->port == 0)
		return compile_refuse(c,
				      RULE ".port 0 is no port that can be "
					   "dialled; write 1 to 65535 (" AT
					   "/port)",
				      i);
	if (r->port == PORT_DOT)
		return compile_refuse(
			c,
			RULE ".port 853 is never opened: it is DNS past the "
			     "resolver of the cell; remove the rule (" AT
			     "/port)",
			i);
	if (r->port == PORT_TLS && r->protocol == GATE_UDP)
		return compile_refuse(
			c,
			RULE ".port 443 is never opened for UDP: the names of "
			     "QUIC cannot be judged; write protocol \"https\" "
			     "(" AT "/protocol)",
			i);
	/* the gate answers it itself, whatever the address */
	*ret_use = r->port != PORT_DNS;
	return 0;
}

static int read_rule(struct compile *c, size_t i, struct gate_rule *r,
		     bool *ret_use)
{
	const struct spec_egress_rule *d = &c->s->authority.egress_rules.p[i];
	const char *why;
	char q[TEXT_QUOTED];

	*ret_use = false;
	if (!read_host(d->host, r))
		return compile_refuse(
			c,
			RULE ".host %s is no host name (ASCII, IDNs in their "
			     "xn-- form), \"*.\" and a host name, address or "
			     "network with zero host bits (" AT "/host)",
			text_quote(q, d->host), i);
	why = r->is_net ? useless_net(&r->net) : NULL;
	if (why)
		return compile_refuse(
			c, RULE ".host %s is %s, %s (" AT "/host)",
			text_quote(q, d->host),
			ip_class_word(ip_class(&r->net.addr)), why, i);
	if (!read_protocol(d->protocol, r))
		return compile_refuse(
			c,
			RULE ".protocol %s is not one of tcp, udp, tls, https, "
			     "http, dns-acknowledged (" AT "/protocol)",
			text_quote(q, d->protocol), i);
	return check_port(c, r, i, ret_use);
}

static int compile_rule(struct compile *c, size_t i)
{
	static const char at[] = "/spec/authority/egressRules";
	const struct spec_egress_rule *d = &c->s->authority.egress_rules.p[i];
	struct gate_rule r = { .port = d->port,
			       .index = (uint32_t)i,
			       .max_up = d->max_bytes_up.v,
			       .max_down = d->max_bytes_down.v };
	bool use;

	if (read_rule(c, i, &r, &use))
		return -1;
	if (!use)
		return 0;
	if (add_rule(c, &r, at))
		return -1;
	if (r.is_net)
		return 0;
	if (check_listed(c, &r, i))
		return -1;
	return allowlist(c).n ? 0 : add_name(c, r.pattern, at);
}

/* Without any egressRules, an entry of the allowlist is two rules. */
static int compile_entry(struct compile *c, size_t i)
{
	static const char at[] =
		"/spec/authority/dnsAuthority/hostnameAllowlist";
	struct slice entry = allowlist(c).p[i];
	struct gate_rule r = { .of_allowlist = true, .index = (uint32_t)i };
	char q[TEXT_QUOTED];

	if (!compile_pattern(entry, r.pattern))
		return compile_refuse(
			c,
			"authority.dnsAuthority.hostnameAllowlist entry %s is "
			"the name of no host: its end reads as an address; "
			"write the address into egressRules (at %s/%zu)",
			text_quote(q, entry), at, i);
	if (add_name(c, r.pattern, at))
		return -1;
	if (c->s->authority.egress_rules.p)
		return 0;
	r.protocol = GATE_TLS;
	r.port = PORT_TLS;
	if (add_rule(c, &r, at))
		return -1;
	r.protocol = GATE_HTTP;
	r.port = PORT_HTTP;
	return add_rule(c, &r, at);
}

int policy_compile(const struct spec *s, enum policy_face face,
		   struct gate_policy *ret, struct err *e)
{
	struct compile c = { s, face, ret, e };

	for (size_t i = 0; i < allowlist(&c).n; i++)
		if (compile_entry(&c, i))
			return -1;
	for (size_t i = 0; i < s->authority.egress_rules.n; i++)
		if (compile_rule(&c, i))
			return -1;
	return compile_dns(&c);
}
