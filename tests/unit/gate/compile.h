/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Authority of a document to a policy, and a policy's nets to text. */
#ifndef CELLOS_TESTS_GATE_COMPILE_H
#define CELLOS_TESTS_GATE_COMPILE_H

#include "gate/policy.h"

static struct gate_policy policy;

/* @authority: the members of spec.authority */
static inline int compile(const char *authority, enum policy_face face,
			  struct err *e)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(1 << 20);
	struct spec s = { 0 };
	int rc;

	wbuf_fmt(&text,
		 "{\"apiVersion\":\"cellos.io/v1\",\"kind\":\"ExecutionCell\","
		 "\"spec\":{\"id\":\"c\",\"lifetime\":{\"ttlSeconds\":1},"
		 "\"authority\":{%s}}}",
		 authority);
	*e = (struct err){ 0 };
	if (spec_parse(wbuf_as_slice(&text), &s, e) || spec_check(&s, e))
		fail_msg("%s: %s", authority, e->text);
	memset(&policy, 0, sizeof(policy));
	rc = policy_compile(&s, face, &policy, e);
	spec_drop(&s);
	return rc;
}

static inline void put_net(struct wbuf *b, const struct ip_net *n)
{
	char t[IP_TEXT_SIZE];

	wbuf_fmt(b, "%s/%u", n->addr.family ? ip_text(t, &n->addr) : "none",
		 n->prefix);
}

static inline void put_nets(struct wbuf *b)
{
	for (size_t i = 0; i < policy.n_nets; i++) {
		wbuf_fmt(b, "%s%s@", i ? " " : "", policy.nets[i].pattern);
		put_net(b, &policy.nets[i].net);
	}
}

#endif
