/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the gate may let through, compiled from a document: a flat value that
 * the supervisor makes and the gate reads. Rules stand in the order of the
 * document; words are resolved (docs/architecture.md "The door"): `https` is
 * TLS, an unset protocol goes by the port, a name rule with `tcp` on 443 is
 * TLS and on 80 HTTP.
 */
#ifndef CELLOS_GATE_POLICY_H
#define CELLOS_GATE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "spec/spec.h"
#include "wire/dns.h"
#include "wire/ip.h"

enum {
	GATE_RULES_MAX = 512, /* egress rules and what the allowlist adds */
	GATE_NAMES_MAX = 512, /* names that may be resolved */
	GATE_RESOLVERS_MAX = 8,
	GATE_NETS_MAX = 256, /* private nets that names may lead to */
	GATE_OWN_MAX = 256,  /* addresses of the host */
	GATE_PATTERN_SIZE = 256,
	GATE_ID_SIZE = 128 /* resolverId: longer ones are refused */
};

enum gate_protocol { GATE_TCP, GATE_UDP, GATE_TLS, GATE_HTTP };

struct gate_rule {
	uint8_t protocol;  /* enum gate_protocol */
	bool is_net;	   /* @net counts, else @pattern */
	bool of_allowlist; /* @index is of hostnameAllowlist */
	uint16_t port;
	uint32_t index; /* in authority.egressRules, or the allowlist */
	struct ip_net net;
	char pattern[GATE_PATTERN_SIZE]; /* lower case; "*.rest" or a name */
	uint64_t max_up, max_down; /* bytes of all its flows; 0: no budget */
};

struct gate_resolver {
	struct ip_addr addr;
	uint16_t port;
	bool is_tcp; /* do53-tcp; else UDP, TCP when an answer is cut */
	char id[GATE_ID_SIZE];
};

/* A net that answers for @pattern (empty: for every name) may lie in although
 * it is private or shared: responseIpAllowlist, address rules. */
struct gate_net {
	struct ip_net net;
	char pattern[GATE_PATTERN_SIZE];
};

struct gate_policy {
	uint32_t n_rules, n_names, n_resolvers, n_nets;
	uint16_t query_types[DNS_TYPE_COUNT_MAX];
	uint32_t n_query_types;
	bool reject_on_rebind;	    /* with responseIpAllowlist of a host: drop
				     * answers it does not cover */
	bool ech_deny;		    /* CELLOS_ECH=deny */
	bool flows_realtime;	    /* CELLOS_PER_FLOW_REALTIME */
	bool has_v6;		    /* the outside has IPv6 */
	uint32_t upstream_ms;	    /* a query to one resolver */
	uint32_t events_per_second; /* then aggregates */
	uint32_t idle_ms;	    /* of a relay */
	uint32_t pin_ttl_min, pin_ttl_max, pin_grace; /* seconds */
	uint32_t wildcard_labels; /* distinct names below one "*." entry */
	uint32_t drain_ms;
	/* the host's own addresses: never dialled but by address rules */
	struct ip_addr own[GATE_OWN_MAX];
	uint32_t n_own;
	/* Upstreams inside the cell, in place of what names lead to; port 0:
	 * none. @sni_override is of connections to the explicit proxy. */
	struct ip_addr dns_override, sni_override;
	uint16_t dns_override_port, sni_override_port;
	struct gate_rule rules[GATE_RULES_MAX];
	char names[GATE_NAMES_MAX][GATE_PATTERN_SIZE]; /* lower case */
	struct gate_resolver resolvers[GATE_RESOLVERS_MAX];
	struct gate_net nets[GATE_NETS_MAX];
};

/* Whose rules about what a document says amiss. */
enum policy_face {
	POLICY_PORTABLE,   /* it permits nothing, and is told by log */
	POLICY_SUPERVISOR, /* an error; what can do no harm is told by log */
	POLICY_CELLOS,	   /* an error */
	POLICY_VALIDATE	   /* the same; what this build cannot do is left out */
};

/**
 * policy_compile() - from a checked document
 * @face: what becomes of a word or an address that cannot be
 * @ret:    zeroed by the caller; the fields that come from the environment
 *          (resolvers if the document names none, limits, own) are the
 *          caller's and stay as the caller sets them afterwards
 * @e:      ERR_SPEC: JSON pointer, value, rule, remedy
 *
 * Errors: protocol word, port 0, 53/udp is fine, 853 is refused, loopback and
 * unspecified addresses are refused, a name rule the allowlist excludes
 * (POLICY_CELLOS, POLICY_VALIDATE), more rules than GATE_RULES_MAX, a host that
 * is neither name pattern, address nor CIDR.
 */
int policy_compile(const struct spec *s, enum policy_face face,
		   struct gate_policy *ret, struct err *e) MUST_USE;

/** policy_needs_gate() - has the document any egress or name to resolve */
bool policy_needs_gate(const struct spec *s);
/** policy_resolvable() - may this name be asked for? Return: index in names,
 *  or -1 */
int policy_resolvable(const struct gate_policy *p, const struct hostname *h);
bool policy_has_query_type(const struct gate_policy *p, uint16_t type);
/** policy_ports() - the distinct ports of rules of TCP or of UDP (53 is not
 *  among them), sorted; Return: how many; @ret of GATE_RULES_MAX */
size_t policy_ports(const struct gate_policy *p, bool udp, uint16_t *ret);
/** policy_rule_ref() - "authority.egressRules[0]" or
 *  "authority.dnsAuthority.hostnameAllowlist[2]"; @buf of 64 */
const char *policy_rule_ref(const struct gate_rule *r, char *buf);

#endif
