/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Questions to a compiled policy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "gate/policy_int.h"

bool policy_needs_gate(const struct spec *s)
{
	return s->authority.egress_rules.n ||
	       (s->authority.dns && s->authority.dns->hostname_allowlist.n);
}

/* Cuts the last label off */
static struct slice last_label(struct slice *s)
{
	size_t at = s->n;
	struct slice label;

	while (at && s->p[at - 1] != '.')
		at--;
	label = (struct slice){ s->p + at, s->n - at };
	s->n = at ? at - 1 : 0;
	return label;
}

/* One byte of "in-addr.arpa", or one hexadecimal digit of "ip6.arpa" */
static bool read_step(struct slice label, unsigned base, unsigned *ret)
{
	unsigned max = base == 10 ? UINT8_MAX : 15;

	*ret = 0;
	if (label.n == 0 || label.n > (base == 10 ? 3 : 1))
		return false;
	for (size_t i = 0; i < label.n; i++) {
		int digit = ascii_hex(label.p[i]);

		if (digit < 0 || digit >= (int)base)
			return false;
		*ret = *ret * base + (unsigned)digit;
	}
	return *ret <= max;
}

/*
 * Is a reverse name (RFC 1035 3.5, RFC 3596 2.5) wholly among the special
 * addresses? Those zones say what the inside of a site looks like (RFC 6303).
 */
static bool is_private_reverse(const struct hostname *h)
{
	struct slice s = hostname_slice(h), top = last_label(&s),
		     family = last_label(&s);
	bool is_v6 = slice_is(family, "ip6");
	struct ip_net n = { .addr.family = is_v6 ? 6 : 4 };
	struct ip_addr last;
	unsigned step, shift;

	if (!slice_is(top, "arpa") || (!is_v6 && !slice_is(family, "in-addr")))
		return false;
	while (!ip_net_is_address(&n) && s.n &&
	       read_step(last_label(&s), is_v6 ? 16 : 10, &step)) {
		shift = is_v6 && n.prefix % 8 == 0 ? 4 : 0;
		n.addr.b[n.prefix / 8] =
			(uint8_t)(n.addr.b[n.prefix / 8] | step << shift);
		n.prefix = (uint8_t)(n.prefix + (is_v6 ? 4 : 8));
	}
	last = net_last(&n);
	return n.prefix && ip_class(&n.addr) != IP_ORDINARY &&
	       ip_class(&last) != IP_ORDINARY;
}

int policy_resolvable(const struct gate_policy *p, const struct hostname *h)
{
	if (is_private_reverse(h))
		return -1;
	for (size_t i = 0; i < p->n_names; i++)
		if (hostname_matches(h, slice_of(p->names[i])))
			return (int)i;
	return -1;
}

bool policy_has_query_type(const struct gate_policy *p, uint16_t type)
{
	for (size_t i = 0; i < p->n_query_types; i++)
		if (p->query_types[i] == type)
			return true;
	return false;
}

static int port_cmp(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

size_t policy_ports(const struct gate_policy *p, bool udp, uint16_t *ret)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < p->n_rules; i++)
		if ((p->rules[i].protocol == GATE_UDP) == udp)
			ret[n++] = p->rules[i].port;
	qsort(ret, n, sizeof(*ret), port_cmp);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || ret[i] != ret[i - 1])
			ret[kept++] = ret[i];
	return kept;
}

const char *policy_rule_ref(const struct gate_rule *r, char *buf)
{
	(void)snprintf(buf, 64, "authority.%s[%u]",
		       r->of_allowlist ? "dnsAuthority.hostnameAllowlist"
				       : "egressRules",
		       r->index);
	return buf;
}
