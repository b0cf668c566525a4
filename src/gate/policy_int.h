/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the parts of policy_compile() share. */
#ifndef CELLOS_GATE_POLICY_INT_H
#define CELLOS_GATE_POLICY_INT_H

#include "gate/policy.h"

struct compile {
	const struct spec *s;
	enum policy_face face;
	struct gate_policy *p;
	struct err *e;
};

/**
 * compile_refuse() - something of the document cannot be
 *
 * Return: -1 with the error but in portable: 0, it was told by log, and
 * the caller leaves out what it belongs to
 */
int compile_refuse(struct compile *c, const char *fmt, ...)
	PRINTF(2, 3) MUST_USE;
/** compile_overflow() - the document says more than a table holds; -1 */
int compile_overflow(struct compile *c, const char *what, size_t max,
		     const char *at);
/** compile_pattern() - a name, or "*." and a name, to its lower-case form;
 *  false: it is neither, and matches no host */
bool compile_pattern(struct slice s, char ret[GATE_PATTERN_SIZE]) MUST_USE;

/** net_last() - its highest address */
static inline struct ip_addr net_last(const struct ip_net *n)
{
	struct ip_addr a = n->addr;
	unsigned bits = a.family == 4 ? 32 : 128;

	for (unsigned i = n->prefix; i < bits; i++)
		a.b[i / 8] = (uint8_t)(a.b[i / 8] | 0x80 >> i % 8);
	return a;
}

/** compile_dns() - query types, resolvers, and the nets of responseIpAllowlist
 *  and of the rules, which must be there */
int compile_dns(struct compile *c) MUST_USE;

#endif
