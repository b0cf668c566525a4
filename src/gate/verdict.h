/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * May this pass? Pure functions of the policy, the destination, and the names
 * by which our resolver led the cell there. A connection is judged at its
 * first packet, and if a rule needs it, again by the name it shows.
 */
#ifndef CELLOS_GATE_VERDICT_H
#define CELLOS_GATE_VERDICT_H

#include "gate/policy.h"

/* X(id, word in events, action): `l7_` words are the original's. The words of
 * ours stand in evidence.v1.connection only. */
#define GATE_REASONS(X)                                                        \
	X(ADDRESS_RULE, "address_rule", true)                                  \
	X(NAME_RULE, "name_rule", true)                                        \
	X(SNI_MATCH, "l7_sni_allowlist_match", true)                           \
	X(HOST_MATCH, "l7_http_host_allowlist_match", true)                    \
	X(NO_RULE, "no_rule", false)			 /* for this port */   \
	X(ADDRESS_NOT_NAMED, "address_not_named", false) /* no name we gave */ \
	X(ADDRESS_CLASS, "address_class", false) /* loopback, metadata */      \
	X(PORT_CLOSED, "port_closed", false)	 /* 853, UDP/443 */            \
	X(SNI_MISS, "l7_sni_allowlist_miss", false)                            \
	X(SNI_MISSING, "l7_sni_missing", false)                                \
	X(SNI_NOT_PINNED, "sni_not_at_address", false)                         \
	X(HOST_MISS, "l7_http_host_allowlist_miss", false)                     \
	X(HOST_MISSING, "l7_http_host_missing", false)                         \
	X(HOST_NOT_PINNED, "host_not_at_address", false)                       \
	X(HOST_PORT, "host_other_port", false)                                 \
	X(ECH, "ech_refused", false)                                           \
	X(CONNECT, "http_connect_refused", false)                              \
	X(H2C, "l7_h2_unparseable_headers", false)                             \
	X(UNKNOWN_PROTOCOL, "l7_unknown_protocol", false)                      \
	X(PEEK_TIMEOUT, "l7_peek_timeout", false)                              \
	X(HELLO_TOO_LONG, "hello_too_long", false)                             \
	X(HELLO_TIMEOUT, "hello_timeout", false)                               \
	X(UPSTREAM_FAILED, "upstream_failed", false)                           \
	X(BUDGET_UP, "budget_up", false)                                       \
	X(BUDGET_DOWN, "budget_down", false)                                   \
	X(TABLE_FULL, "table_full", false)                                     \
	X(STOPPED, "stopped", false)

enum gate_reason {
#define X(id, word, allow) GATE_REASON_##id,
	GATE_REASONS(X)
#undef X
		GATE_REASON_NUM
};

const char *gate_reason_word(enum gate_reason r);
bool gate_reason_allows(enum gate_reason r);

enum verdict_action {
	VERDICT_ALLOW, /* @rule says so, nothing more is looked at */
	VERDICT_DENY,
	VERDICT_PEEK /* ask again with the name that is shown */
};

struct verdict {
	enum verdict_action action;
	enum gate_reason reason;  /* valid unless VERDICT_PEEK */
	int rule;		  /* index in policy->rules, -1 */
	int name;		  /* name rule: index in the names given, the
				   * one that the rule takes; -1 */
	bool peek_tls, peek_http; /* VERDICT_PEEK: which are worth reading */
};

struct verdict_target {
	struct ip_addr addr;
	uint16_t port;
	bool is_udp;
	const struct hostname *const *names; /* that lead there now */
	size_t n_names;
};

/** verdict_open() - a connection's or datagram flow's first packet */
struct verdict verdict_open(const struct gate_policy *p,
			    const struct verdict_target *t);
/** verdict_opens_own() - does a rule allow @t although it is the host's own
 *  address: one that spells it out; names lead nowhere then */
bool verdict_opens_own(const struct gate_policy *p,
		       const struct verdict_target *t);
/** verdict_tls() - with a hello; @name NULL: it shows none */
struct verdict verdict_tls(const struct gate_policy *p,
			   const struct verdict_target *t,
			   const struct hostname *name, bool has_ech);
/** verdict_http() - one request; @host NULL: it shows none, or an address
 *  @host_port: of the Host field, 0: none */
struct verdict verdict_http(const struct gate_policy *p,
			    const struct verdict_target *t,
			    const struct hostname *host, uint16_t host_port);

/**
 * verdict_answer() - may @a be answered for @name? (rebinding, special nets)
 */
bool verdict_answer(const struct gate_policy *p, const struct hostname *name,
		    const struct ip_addr *a);

#endif
