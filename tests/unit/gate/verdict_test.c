/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* May this pass? Each row is one question, with the whole of its answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "gate/verdict.h"

enum { NAMES_MAX = 4 };

/* What is asked of: rules, nets, and the rest of a policy */
struct world {
	struct {
		uint8_t protocol;
		const char *host; /* a net if it parses as one */
		uint16_t port;
	} rules[8];
	struct {
		const char *pattern, *net;
	} nets[6];
	const char *own[2];
	bool reject_on_rebind, ech_deny;
};

static const struct world usual = {
	.rules = {
		{ GATE_TLS, "api.example.com", 443 },
		{ GATE_TLS, "*.cdn.example.com", 443 },
		{ GATE_HTTP, "api.example.com", 80 },
		{ GATE_TCP, "git.example.com", 22 },
		{ GATE_UDP, "ntp.example.com", 123 },
		{ GATE_TCP, "192.0.2.0/24", 5432 },
		{ GATE_UDP, "2001:db8::/32", 5000 },
		{ GATE_TLS, "198.51.100.7", 8443 },
	},
};

/* One port, several ways to it */
static const struct world mixed = {
	.rules = {
		{ GATE_TLS, "tls.example", 9000 },
		{ GATE_HTTP, "http.example", 9000 },
		{ GATE_TCP, "tcp.example", 9000 },
		{ GATE_TLS, "*.example", 9000 },
		{ GATE_TCP, "192.0.2.8/29", 9000 },
		{ GATE_TCP, "192.0.2.9", 9000 },
		{ GATE_UDP, "udp.example", 9000 },
		{ GATE_UDP, "192.0.2.64/26", 9000 },
	},
};

/* Rules for what needs a word of the document, or none */
static const struct world special = {
	.rules = {
		{ GATE_TCP, "0.0.0.0/0", 80 },
		{ GATE_TCP, "::/0", 80 },
		{ GATE_TCP, "169.254.169.254", 81 },
		{ GATE_TCP, "100.100.100.200", 81 },
		{ GATE_TCP, "203.0.113.1", 81 },
		{ GATE_TCP, "127.0.0.1", 81 },
		{ GATE_TCP, "n.example", 82 },
		{ GATE_TLS, "n.example", 443 },
	},
	.nets = { { "", "10.1.0.0/16" }, { "n.example", "172.16.0.0/12" },
		  { "other.example", "192.168.0.0/16" },
		  { "", "169.254.0.0/16" }, { "", "64:ff9b::/96" },
		  { "", "203.0.113.0/24" } },
	.own = { "203.0.113.1", "203.0.113.2" },
};

/* What a compiler would never make must not open what stays closed */
static const struct world closed = {
	.rules = {
		{ GATE_TCP, "a.example", 853 },
		{ GATE_UDP, "a.example", 853 },
		{ GATE_UDP, "a.example", 443 },
		{ GATE_TCP, "192.0.2.1", 853 },
		{ GATE_UDP, "192.0.2.1", 443 },
		{ GATE_TLS, "a.example", 853 },
		{ GATE_HTTP, "a.example", 853 },
	},
};

static const struct world no_ech = {
	.rules = { { GATE_TLS, "api.example.com", 443 } },
	.ech_deny = true,
};

static const struct world nothing;

static struct gate_policy policy;

static void build(const struct world *w)
{
	memset(&policy, 0, sizeof(policy));
	for (; policy.n_rules < 8 && w->rules[policy.n_rules].host;
	     policy.n_rules++) {
		struct gate_rule *r = &policy.rules[policy.n_rules];
		const char *host = w->rules[policy.n_rules].host;

		r->protocol = w->rules[policy.n_rules].protocol;
		r->port = w->rules[policy.n_rules].port;
		r->is_net = ip_net_parse(slice_of(host), &r->net) == 0;
		if (!r->is_net)
			memcpy(r->pattern, host, strlen(host) + 1);
	}
	for (; policy.n_nets < 6 && w->nets[policy.n_nets].net;
	     policy.n_nets++) {
		struct gate_net *n = &policy.nets[policy.n_nets];
		const char *pattern = w->nets[policy.n_nets].pattern;

		memcpy(n->pattern, pattern, strlen(pattern) + 1);
		assert_int_equal(
			ip_net_parse(slice_of(w->nets[policy.n_nets].net),
				     &n->net),
			0);
	}
	for (; policy.n_own < 2 && w->own[policy.n_own]; policy.n_own++)
		assert_int_equal(ip_parse(slice_of(w->own[policy.n_own]),
					  &policy.own[policy.n_own]),
				 0);
	policy.reject_on_rebind = w->reject_on_rebind;
	policy.ech_deny = w->ech_deny;
}

static void name_of(const char *text, struct hostname *h)
{
	assert_int_equal(hostname_parse_service(slice_of(text), h), 0);
}

/* A destination and the names that lead there */
struct question {
	const struct world *world;
	const char *addr;
	uint16_t port;
	bool is_udp;
	const char *names[NAMES_MAX];
};

/* The names that lead there; 0 for none */
#define TCP(world, addr, port, ...)        \
	{                                  \
		&world, addr, port, false, \
		{                          \
			__VA_ARGS__        \
		}                          \
	}
#define UDP(world, addr, port, ...)       \
	{                                 \
		&world, addr, port, true, \
		{                         \
			__VA_ARGS__       \
		}                         \
	}

struct asked {
	struct verdict_target t;
	struct hostname names[NAMES_MAX];
	const struct hostname *pointers[NAMES_MAX];
};

static void ask(const struct question *q, struct asked *a)
{
	build(q->world);
	*a = (struct asked){ .t = { .port = q->port, .is_udp = q->is_udp } };
	assert_int_equal(ip_parse(slice_of(q->addr), &a->t.addr), 0);
	for (; a->t.n_names < NAMES_MAX && q->names[a->t.n_names];
	     a->t.n_names++) {
		name_of(q->names[a->t.n_names], &a->names[a->t.n_names]);
		a->pointers[a->t.n_names] = &a->names[a->t.n_names];
	}
	a->t.names = a->pointers;
}

#define ALLOWED(reason, rule, name)                                   \
	{                                                             \
		VERDICT_ALLOW, GATE_REASON_##reason, rule, name, 0, 0 \
	}
#define DENIED(reason)                                           \
	{                                                        \
		VERDICT_DENY, GATE_REASON_##reason, -1, -1, 0, 0 \
	}
#define PEEK(tls, http)                            \
	{                                          \
		VERDICT_PEEK, 0, -1, -1, tls, http \
	}

static void same(const char *what, struct verdict v, struct verdict w)
{
	if (v.action != w.action || v.rule != w.rule || v.name != w.name ||
	    v.peek_tls != w.peek_tls || v.peek_http != w.peek_http ||
	    (w.action != VERDICT_PEEK && v.reason != w.reason))
		fail_msg("%s: action %d, %s, rule %d, name %d, peek %d %d",
			 what, (int)v.action, gate_reason_word(v.reason),
			 v.rule, v.name, v.peek_tls, v.peek_http);
	if (v.action != VERDICT_PEEK)
		assert_int_equal(gate_reason_allows(v.reason),
				 v.action == VERDICT_ALLOW);
}

static const struct {
	const char *what;
	struct question q;
	struct verdict want;
} opens[] = {
	/* clang-format off */
	{ "nothing is open by default",
	  TCP(nothing, "192.0.2.1", 443, "a.example"), DENIED(NO_RULE) },
	{ "a port no rule names",
	  TCP(usual, "203.0.113.9", 25, "api.example.com"), DENIED(NO_RULE) },
	{ "a TLS name that led there is looked at",
	  TCP(usual, "203.0.113.9", 443, "api.example.com"),
	  PEEK(true, false) },
	{ "a hard-coded address of TLS",
	  TCP(usual, "203.0.113.9", 443, 0), DENIED(ADDRESS_NOT_NAMED) },
	{ "a resolved name that no rule of this port takes",
	  TCP(usual, "203.0.113.9", 443, "git.example.com"),
	  DENIED(ADDRESS_NOT_NAMED) },
	{ "one of several names is enough",
	  TCP(usual, "203.0.113.9", 443, "git.example.com", "x.cdn.example.com"),
	  PEEK(true, false) },
	{ "a wildcard takes a deep name",
	  TCP(usual, "203.0.113.9", 443, "a.b.cdn.example.com"),
	  PEEK(true, false) },
	{ "a wildcard takes not its apex",
	  TCP(usual, "203.0.113.9", 443, "cdn.example.com"),
	  DENIED(ADDRESS_NOT_NAMED) },
	{ "a wildcard takes whole labels",
	  TCP(usual, "203.0.113.9", 443, "evil-cdn.example.com"),
	  DENIED(ADDRESS_NOT_NAMED) },
	{ "an HTTP name is looked at",
	  TCP(usual, "203.0.113.9", 80, "api.example.com"), PEEK(false, true) },
	{ "an HTTP port by a name of TLS only",
	  TCP(usual, "203.0.113.9", 80, "x.cdn.example.com"),
	  DENIED(ADDRESS_NOT_NAMED) },
	{ "a plain name is not looked at: servers may speak first",
	  TCP(usual, "203.0.113.9", 22, "git.example.com"),
	  ALLOWED(NAME_RULE, 3, 0) },
	{ "the name the rule takes, not the newest",
	  TCP(usual, "203.0.113.9", 22, "api.example.com", "git.example.com"),
	  ALLOWED(NAME_RULE, 3, 1) },
	{ "ssh to an address that was not resolved",
	  TCP(usual, "203.0.113.9", 22, 0), DENIED(ADDRESS_NOT_NAMED) },
	{ "a plain name by IPv6",
	  TCP(usual, "2001:db8:9::1", 22, "git.example.com"),
	  ALLOWED(NAME_RULE, 3, 0) },
	{ "a plain name's port by UDP",
	  UDP(usual, "203.0.113.9", 22, "git.example.com"), DENIED(NO_RULE) },
	{ "UDP by name",
	  UDP(usual, "203.0.113.9", 123, "ntp.example.com"),
	  ALLOWED(NAME_RULE, 4, 0) },
	{ "UDP by no name",
	  UDP(usual, "203.0.113.9", 123, 0), DENIED(ADDRESS_NOT_NAMED) },
	{ "a UDP rule's port by TCP",
	  TCP(usual, "203.0.113.9", 123, "ntp.example.com"), DENIED(NO_RULE) },
	{ "a network",
	  TCP(usual, "192.0.2.77", 5432, 0), ALLOWED(ADDRESS_RULE, 5, -1) },
	{ "a network, whatever name led there",
	  TCP(usual, "192.0.2.77", 5432, "evil.example"),
	  ALLOWED(ADDRESS_RULE, 5, -1) },
	{ "the first address of a network",
	  TCP(usual, "192.0.2.0", 5432, 0), ALLOWED(ADDRESS_RULE, 5, -1) },
	{ "the last address of a network",
	  TCP(usual, "192.0.2.255", 5432, 0), ALLOWED(ADDRESS_RULE, 5, -1) },
	{ "one below a network",
	  TCP(usual, "192.0.1.255", 5432, 0), DENIED(NO_RULE) },
	{ "one above a network",
	  TCP(usual, "192.0.3.0", 5432, 0), DENIED(NO_RULE) },
	{ "another port of a network",
	  TCP(usual, "192.0.2.77", 5433, 0), DENIED(NO_RULE) },
	{ "a network of TCP by UDP",
	  UDP(usual, "192.0.2.77", 5432, 0), DENIED(NO_RULE) },
	{ "a network of UDP",
	  UDP(usual, "2001:db8::5", 5000, 0), ALLOWED(ADDRESS_RULE, 6, -1) },
	{ "a network of UDP by TCP",
	  TCP(usual, "2001:db8::5", 5000, 0), DENIED(NO_RULE) },
	{ "TLS to an address: its name is not judged",
	  TCP(usual, "198.51.100.7", 8443, 0), ALLOWED(ADDRESS_RULE, 7, -1) },
	{ "the address beside it",
	  TCP(usual, "198.51.100.8", 8443, 0), DENIED(NO_RULE) },
	{ "an address rule is for its port",
	  TCP(usual, "198.51.100.7", 443, 0), DENIED(ADDRESS_NOT_NAMED) },
	{ "two names, two protocols, one port",
	  TCP(mixed, "203.0.113.9", 9000, "tls.example", "http.example"),
	  PEEK(true, true) },
	{ "HTTP of one name, TLS of a wildcard",
	  TCP(mixed, "203.0.113.9", 9000, "http.example"), PEEK(true, true) },
	{ "what one rule allows is allowed",
	  TCP(mixed, "203.0.113.9", 9000, "tls.example", "tcp.example"),
	  ALLOWED(NAME_RULE, 2, 1) },
	{ "an address rule among names, the first in order",
	  TCP(mixed, "192.0.2.9", 9000, "tls.example"),
	  ALLOWED(ADDRESS_RULE, 4, -1) },
	{ "a plain name before an address rule, in order",
	  TCP(mixed, "192.0.2.9", 9000, "tcp.example"),
	  ALLOWED(NAME_RULE, 2, 0) },
	{ "no name, but an address rule",
	  TCP(mixed, "192.0.2.15", 9000, 0), ALLOWED(ADDRESS_RULE, 4, -1) },
	{ "no name, no address rule",
	  TCP(mixed, "192.0.2.16", 9000, 0), DENIED(ADDRESS_NOT_NAMED) },
	{ "a name that stands only for another protocol of the port",
	  UDP(mixed, "203.0.113.9", 9000, "tcp.example"),
	  DENIED(ADDRESS_NOT_NAMED) },
	{ "UDP of the same port by name",
	  UDP(mixed, "203.0.113.9", 9000, "udp.example"),
	  ALLOWED(NAME_RULE, 6, 0) },
	{ "UDP of the same port by network",
	  UDP(mixed, "192.0.2.100", 9000, "tls.example"),
	  ALLOWED(ADDRESS_RULE, 7, -1) },

	{ "loopback by the whole of IPv4",
	  TCP(special, "127.0.0.1", 80, 0), DENIED(ADDRESS_CLASS) },
	{ "loopback spelled out",
	  TCP(special, "127.0.0.1", 81, 0), DENIED(ADDRESS_CLASS) },
	{ "loopback by name",
	  TCP(special, "127.0.0.1", 82, "n.example"), DENIED(ADDRESS_CLASS) },
	{ "loopback at a port without a rule",
	  TCP(special, "127.0.0.1", 9, 0), DENIED(ADDRESS_CLASS) },
	{ "IPv6 loopback by the whole of IPv6",
	  TCP(special, "::1", 80, 0), DENIED(ADDRESS_CLASS) },
	{ "the unspecified address",
	  TCP(special, "0.0.0.0", 80, 0), DENIED(ADDRESS_CLASS) },
	{ "multicast",
	  TCP(special, "224.0.0.1", 80, 0), DENIED(ADDRESS_CLASS) },
	{ "an IPv4-mapped address",
	  TCP(special, "::ffff:192.0.2.1", 80, 0), DENIED(ADDRESS_CLASS) },
	{ "metadata by the whole of IPv4",
	  TCP(special, "169.254.169.254", 80, 0), DENIED(ADDRESS_CLASS) },
	{ "metadata spelled out",
	  TCP(special, "169.254.169.254", 81, 0),
	  ALLOWED(ADDRESS_RULE, 2, -1) },
	{ "the link-local address beside it",
	  TCP(special, "169.254.169.253", 81, 0), DENIED(ADDRESS_CLASS) },
	{ "metadata by name",
	  TCP(special, "169.254.169.254", 82, "n.example"),
	  DENIED(ADDRESS_CLASS) },
	{ "another cloud's metadata by the whole of IPv4",
	  TCP(special, "100.100.100.200", 80, 0), DENIED(ADDRESS_CLASS) },
	{ "another cloud's metadata spelled out",
	  TCP(special, "100.100.100.200", 81, 0),
	  ALLOWED(ADDRESS_RULE, 3, -1) },
	{ "IPv6 link-local by the whole of IPv6",
	  TCP(special, "fe80::1", 80, 0), DENIED(ADDRESS_CLASS) },
	{ "the host's own address by the whole of IPv4",
	  TCP(special, "203.0.113.1", 80, 0), DENIED(ADDRESS_CLASS) },
	{ "the host's own address spelled out",
	  TCP(special, "203.0.113.1", 81, 0), ALLOWED(ADDRESS_RULE, 4, -1) },
	{ "the host's second address by name",
	  TCP(special, "203.0.113.2", 82, "n.example"), DENIED(ADDRESS_CLASS) },
	{ "a neighbour of the host by name",
	  TCP(special, "203.0.113.3", 82, "n.example"),
	  ALLOWED(NAME_RULE, 6, 0) },
	{ "a translated address by the whole of IPv6",
	  TCP(special, "64:ff9b::c000:201", 80, 0),
	  ALLOWED(ADDRESS_RULE, 1, -1) },
	{ "a translated address by name",
	  TCP(special, "64:ff9b::c000:201", 82, "n.example"),
	  DENIED(ADDRESS_CLASS) },
	{ "a private address by network",
	  TCP(special, "10.9.9.9", 80, 0), ALLOWED(ADDRESS_RULE, 0, -1) },
	{ "a private address by name, in a net of all names",
	  TCP(special, "10.1.9.9", 82, "n.example"), ALLOWED(NAME_RULE, 6, 0) },
	{ "a private address by name, in a net of that name",
	  TCP(special, "172.16.0.1", 82, "n.example"),
	  ALLOWED(NAME_RULE, 6, 0) },
	{ "a private address by name, in a net of another",
	  TCP(special, "192.168.0.1", 82, "n.example"),
	  DENIED(ADDRESS_NOT_NAMED) },
	{ "a private address by name, in none",
	  TCP(special, "10.2.0.1", 82, "n.example"),
	  DENIED(ADDRESS_NOT_NAMED) },
	{ "a private address by a name of TLS, in none",
	  TCP(special, "10.2.0.1", 443, "n.example"),
	  DENIED(ADDRESS_NOT_NAMED) },

	{ "853 by name",
	  TCP(closed, "203.0.113.9", 853, "a.example"), DENIED(PORT_CLOSED) },
	{ "853 by UDP",
	  UDP(closed, "203.0.113.9", 853, "a.example"), DENIED(PORT_CLOSED) },
	{ "853 to an address",
	  TCP(closed, "192.0.2.1", 853, 0), DENIED(PORT_CLOSED) },
	{ "UDP/443 by name",
	  UDP(closed, "203.0.113.9", 443, "a.example"), DENIED(PORT_CLOSED) },
	{ "UDP/443 to an address",
	  UDP(closed, "192.0.2.1", 443, 0), DENIED(PORT_CLOSED) },
	{ "853 of loopback: the port comes first",
	  TCP(closed, "127.0.0.1", 853, 0), DENIED(PORT_CLOSED) },
	{ "853 without any rule",
	  TCP(nothing, "192.0.2.1", 853, 0), DENIED(PORT_CLOSED) },
	/* clang-format on */
};

static void first_packet(void **state)
{
	struct asked a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(opens); i++) {
		ask(&opens[i].q, &a);
		same(opens[i].what, verdict_open(&policy, &a.t), opens[i].want);
	}
}

static const struct {
	const char *what;
	struct question q;
	const char *sni; /* NULL: none */
	bool has_ech;
	struct verdict want;
} hellos[] = {
	/* clang-format off */
	{ "the name that led there",
	  TCP(usual, "203.0.113.9", 443, "api.example.com"),
	  "api.example.com", false, ALLOWED(SNI_MATCH, 0, 0) },
	{ "one of several names that led there",
	  TCP(usual, "203.0.113.9", 443, "a.cdn.example.com", "git.example.com", "api.example.com"),
	  "api.example.com", false, ALLOWED(SNI_MATCH, 0, 2) },
	{ "a name of a wildcard",
	  TCP(usual, "203.0.113.9", 443, "a.cdn.example.com"),
	  "a.cdn.example.com", false, ALLOWED(SNI_MATCH, 1, 0) },
	{ "two virtual hosts on one address, the other is not allowed",
	  TCP(usual, "203.0.113.9", 443, "api.example.com"),
	  "evil.example", false, DENIED(SNI_MISS) },
	{ "a name that led there and no rule takes",
	  TCP(usual, "203.0.113.9", 443, "api.example.com", "git.example.com"),
	  "git.example.com", false, DENIED(SNI_MISS) },
	{ "fronting: an allowed name, at another's address",
	  TCP(usual, "203.0.113.9", 443, "api.example.com"),
	  "x.cdn.example.com", false, DENIED(SNI_NOT_PINNED) },
	{ "a sibling below a wildcard, at another's address",
	  TCP(usual, "203.0.113.9", 443, "a.cdn.example.com"),
	  "b.cdn.example.com", false, DENIED(SNI_NOT_PINNED) },
	{ "a name that was never resolved",
	  TCP(usual, "203.0.113.9", 443, 0),
	  "api.example.com", false, DENIED(SNI_NOT_PINNED) },
	{ "no name",
	  TCP(usual, "203.0.113.9", 443, "api.example.com"),
	  NULL, false, DENIED(SNI_MISSING) },
	{ "the apex of a wildcard",
	  TCP(usual, "203.0.113.9", 443, "cdn.example.com"),
	  "cdn.example.com", false, DENIED(SNI_MISS) },
	{ "a name of HTTP at its port is none of TLS",
	  TCP(usual, "203.0.113.9", 80, "api.example.com"),
	  "api.example.com", false, DENIED(SNI_MISS) },
	{ "a name of TLS at another port",
	  TCP(usual, "203.0.113.9", 8443, "api.example.com"),
	  "api.example.com", false, DENIED(SNI_MISS) },
	{ "a plain name is none of TLS",
	  TCP(usual, "203.0.113.9", 22, "git.example.com"),
	  "git.example.com", false, DENIED(SNI_MISS) },
	{ "ECH goes by the outer name",
	  TCP(usual, "203.0.113.9", 443, "api.example.com"),
	  "api.example.com", true, ALLOWED(SNI_MATCH, 0, 0) },
	{ "ECH with another outer name",
	  TCP(usual, "203.0.113.9", 443, "api.example.com"),
	  "cloud.example", true, DENIED(SNI_MISS) },
	{ "ECH refused",
	  TCP(no_ech, "203.0.113.9", 443, "api.example.com"),
	  "api.example.com", true, DENIED(ECH) },
	{ "ECH refused, without a name",
	  TCP(no_ech, "203.0.113.9", 443, "api.example.com"),
	  NULL, true, DENIED(ECH) },
	{ "no ECH where it is refused",
	  TCP(no_ech, "203.0.113.9", 443, "api.example.com"),
	  "api.example.com", false, ALLOWED(SNI_MATCH, 0, 0) },
	{ "a pin to where no answer may lead",
	  TCP(special, "10.2.0.1", 443, "n.example"),
	  "n.example", false, DENIED(SNI_NOT_PINNED) },
	{ "a pin to loopback",
	  TCP(special, "127.0.0.1", 443, "n.example"),
	  "n.example", false, DENIED(SNI_NOT_PINNED) },
	{ "853, whatever is shown",
	  TCP(closed, "203.0.113.9", 853, "a.example"),
	  "a.example", false, DENIED(PORT_CLOSED) },
	{ "the first rule of two that take the name",
	  TCP(mixed, "203.0.113.9", 9000, "tls.example"),
	  "tls.example", false, ALLOWED(SNI_MATCH, 0, 0) },
	{ "TLS to a name that HTTP and a wildcard of TLS take",
	  TCP(mixed, "203.0.113.9", 9000, "http.example"),
	  "http.example", false, ALLOWED(SNI_MATCH, 3, 0) },
	{ "no hello comes by UDP",
	  UDP(mixed, "203.0.113.9", 9000, "tls.example"),
	  "tls.example", false, DENIED(SNI_MISS) },
	/* clang-format on */
};

static void hello(void **state)
{
	struct hostname name;
	struct asked a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hellos); i++) {
		ask(&hellos[i].q, &a);
		if (hellos[i].sni)
			name_of(hellos[i].sni, &name);
		same(hellos[i].what,
		     verdict_tls(&policy, &a.t, hellos[i].sni ? &name : NULL,
				 hellos[i].has_ech),
		     hellos[i].want);
	}
}

static const struct {
	const char *what;
	struct question q;
	const char *host;
	uint16_t host_port;
	struct verdict want;
} requests[] = {
	/* clang-format off */
	{ "the name that led there",
	  TCP(usual, "203.0.113.9", 80, "api.example.com"),
	  "api.example.com", 0, ALLOWED(HOST_MATCH, 2, 0) },
	{ "with its port",
	  TCP(usual, "203.0.113.9", 80, "api.example.com"),
	  "api.example.com", 80, ALLOWED(HOST_MATCH, 2, 0) },
	{ "with another port",
	  TCP(usual, "203.0.113.9", 80, "api.example.com"),
	  "api.example.com", 8080, DENIED(HOST_PORT) },
	{ "the second of the names that led there",
	  TCP(usual, "203.0.113.9", 80, "git.example.com", "api.example.com"),
	  "api.example.com", 0, ALLOWED(HOST_MATCH, 2, 1) },
	{ "no name",
	  TCP(usual, "203.0.113.9", 80, "api.example.com"),
	  NULL, 0, DENIED(HOST_MISSING) },
	{ "no name, another port: the name comes first",
	  TCP(usual, "203.0.113.9", 80, "api.example.com"),
	  NULL, 8080, DENIED(HOST_MISSING) },
	{ "a later request of another name",
	  TCP(usual, "203.0.113.9", 80, "api.example.com"),
	  "evil.example", 0, DENIED(HOST_MISS) },
	{ "another name, another port: the name comes first",
	  TCP(usual, "203.0.113.9", 80, "api.example.com"),
	  "evil.example", 8080, DENIED(HOST_MISS) },
	{ "an allowed name at another's address",
	  TCP(usual, "203.0.113.9", 80, "git.example.com"),
	  "api.example.com", 0, DENIED(HOST_NOT_PINNED) },
	{ "that and another port: the name comes first",
	  TCP(usual, "203.0.113.9", 80, 0),
	  "api.example.com", 8080, DENIED(HOST_NOT_PINNED) },
	{ "a name of TLS at its port is none of HTTP",
	  TCP(usual, "203.0.113.9", 443, "api.example.com"),
	  "api.example.com", 0, DENIED(HOST_MISS) },
	{ "HTTP by name beside other ways",
	  TCP(mixed, "203.0.113.9", 9000, "http.example"),
	  "http.example", 9000, ALLOWED(HOST_MATCH, 1, 0) },
	{ "HTTP to a name that TLS takes",
	  TCP(mixed, "203.0.113.9", 9000, "tls.example"),
	  "tls.example", 9000, DENIED(HOST_MISS) },
	{ "853, whatever is shown",
	  TCP(closed, "203.0.113.9", 853, "a.example"),
	  "a.example", 0, DENIED(PORT_CLOSED) },
	/* clang-format on */
};

static void request(void **state)
{
	struct hostname name;
	struct asked a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		ask(&requests[i].q, &a);
		if (requests[i].host)
			name_of(requests[i].host, &name);
		same(requests[i].what,
		     verdict_http(&policy, &a.t,
				  requests[i].host ? &name : NULL,
				  requests[i].host_port),
		     requests[i].want);
	}
}

static const struct world bound = {
	.nets = { { "h.example", "203.0.113.0/24" },
		  { "h.example", "10.1.0.0/16" },
		  { "*.w.example", "2001:db8::/32" },
		  { "", "10.2.0.0/16" },
		  { "", "127.0.0.0/8" } },
	.own = { "203.0.113.5" },
	.reject_on_rebind = true,
};

static const struct world unbound = {
	.nets = { { "h.example", "203.0.113.0/24" },
		  { "h.example", "100.64.0.0/16" } },
};

static const struct {
	const struct world *world;
	const char *name, *addr;
	bool want;
} answers[] = {
	{ &nothing, "a.example", "198.51.100.1", true },
	{ &nothing, "a.example", "2001:db8::1", true },
	{ &nothing, "a.example", "0.0.0.0", false },
	{ &nothing, "a.example", "::", false },
	{ &nothing, "a.example", "127.0.0.1", false },
	{ &nothing, "a.example", "127.8.8.8", false },
	{ &nothing, "a.example", "::1", false },
	{ &nothing, "a.example", "169.254.169.254", false },
	{ &nothing, "a.example", "fe80::1", false },
	{ &nothing, "a.example", "100.100.100.200", false },
	{ &nothing, "a.example", "168.63.129.16", false },
	{ &nothing, "a.example", "fd00:ec2::254", false },
	{ &nothing, "a.example", "224.0.0.1", false },
	{ &nothing, "a.example", "255.255.255.255", false },
	{ &nothing, "a.example", "ff02::1", false },
	{ &nothing, "a.example", "10.0.0.1", false },
	{ &nothing, "a.example", "172.31.255.255", false },
	{ &nothing, "a.example", "192.168.1.1", false },
	{ &nothing, "a.example", "fd00::1", false },
	{ &nothing, "a.example", "100.64.0.1", false },
	{ &nothing, "a.example", "::ffff:198.51.100.1", false },
	{ &nothing, "a.example", "::198.51.100.1", false },
	{ &nothing, "a.example", "64:ff9b::c633:6401", false },
	{ &nothing, "a.example", "2002:c633:6401::1", false },
	{ &nothing, "a.example", "2001::1", false },
	/* nets open private and shared addresses, and no others */
	{ &special, "x.example", "10.1.2.3", true },
	{ &special, "x.example", "10.2.2.3", false },
	{ &special, "n.example", "172.16.0.1", true },
	{ &special, "x.example", "172.16.0.1", false },
	{ &special, "n.example", "192.168.0.1", false },
	{ &special, "other.example", "192.168.0.1", true },
	{ &special, "x.example", "169.254.1.1", false },
	{ &special, "x.example", "64:ff9b::1", false },
	{ &special, "x.example", "203.0.113.1", false },
	{ &special, "x.example", "203.0.113.2", false },
	{ &special, "x.example", "203.0.113.3", true },
	/* a name with nets gets those alone, where it is asked for */
	{ &bound, "h.example", "203.0.113.1", true },
	{ &bound, "h.example", "203.0.113.5", false },
	{ &bound, "h.example", "198.51.100.1", false },
	{ &bound, "h.example", "10.1.0.1", true },
	{ &bound, "h.example", "10.2.0.1", false },
	{ &bound, "h.example", "2001:db8::1", false },
	{ &bound, "other.example", "198.51.100.1", true },
	{ &bound, "other.example", "10.2.0.1", true },
	{ &bound, "other.example", "10.1.0.1", false },
	{ &bound, "x.w.example", "2001:db8::1", true },
	{ &bound, "x.w.example", "2001:db9::1", false },
	{ &bound, "w.example", "2001:db9::1", true },
	{ &bound, "other.example", "127.0.0.1", false },
	{ &unbound, "h.example", "198.51.100.1", true },
	{ &unbound, "h.example", "100.64.0.1", true },
	{ &unbound, "h.example", "100.65.0.1", false },
};

static void answer(void **state)
{
	struct hostname name;
	struct ip_addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		build(answers[i].world);
		name_of(answers[i].name, &name);
		assert_int_equal(ip_parse(slice_of(answers[i].addr), &a), 0);
		if (verdict_answer(&policy, &name, &a) != answers[i].want)
			fail_msg("%s at %s", answers[i].name, answers[i].addr);
	}
}

/* An entry that cannot be holds nothing, and binds its name */
static void broken_net(void **state)
{
	struct hostname h, other;
	struct ip_addr a;

	(void)state;
	build(&bound);
	policy.nets[0].net = policy.nets[1].net = (struct ip_net){ 0 };
	name_of("h.example", &h);
	name_of("other.example", &other);
	assert_int_equal(ip_parse(slice_of("203.0.113.1"), &a), 0);
	assert_false(verdict_answer(&policy, &h, &a));
	assert_true(verdict_answer(&policy, &other, &a));
	/* what is no address goes nowhere */
	a = (struct ip_addr){ 0 };
	assert_false(verdict_answer(&policy, &other, &a));
}

static void words(void **state)
{
	(void)state;
	assert_string_equal(gate_reason_word(GATE_REASON_SNI_MATCH),
			    "l7_sni_allowlist_match");
	assert_string_equal(gate_reason_word(GATE_REASON_NUM), "");
	assert_false(gate_reason_allows(GATE_REASON_NUM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_packet), cmocka_unit_test(hello),
		cmocka_unit_test(request),	cmocka_unit_test(answer),
		cmocka_unit_test(broken_net),	cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
