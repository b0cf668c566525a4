/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Data of the events of the door: the original's types, and the connection
 * record of ours. Pure: values in, bytes out. Strings are borrowed; NULL, a
 * slice without p and an address without family are "unknown", whose member is
 * left out.
 */
#ifndef CELLOS_EVIDENCE_EVENT_NET_H
#define CELLOS_EVIDENCE_EVENT_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/slice.h"
#include "base/wbuf.h"
#include "evidence/event.h"
#include "wire/ip.h"

/** event_ms_text() - Unix milliseconds as RFC 3339; what lies behind the year
 *  9999 is written as its end; @buf of CLOCK_TEXT_SIZE; returns @buf */
const char *event_ms_text(char *buf, uint64_t wall_ms, enum clock_form form);

struct event_l7 {
	/* The door judged a connection: specId is "sni-proxy/<cell>/<run>" and
	 * of correlation only the correlationId is told, as the original's
	 * proxy does. Else the document's own. */
	bool is_live;
	bool allow;
	const char *decision_id; /* UUIDv4 */
	const char *reason;
	const char *rule_ref;
	struct slice host; /* unknown is written as "(unknown)" */
};

/** event_l7_egress_decision() - data of l7_egress_decision */
void event_l7_egress_decision(struct wbuf *b, const struct event_run *r,
			      const struct event_l7 *d);
/** event_l7_declared() - of egress rule @i: egress_declared_allowlist */
void event_l7_declared(struct wbuf *b, const struct event_run *r, size_t i,
		       const char *decision_id);
/** event_l7_listed() - of entry @i of the document's hostnameAllowlist:
 *  hostname_allowlist_evaluated */
void event_l7_listed(struct wbuf *b, const struct event_run *r, size_t i,
		     const char *decision_id);
/**
 * event_l7_direct_dns() - of egress rule @i: workload_direct_dns_blocked
 * Return: false, and nothing is written, unless blockDirectWorkloadDns is set
 * and the rule is for port 53 of something else than a declared do53 resolver
 */
bool event_l7_direct_dns(struct wbuf *b, const struct event_run *r, size_t i,
			 const char *decision_id);
/** event_l7_unstarted() - the proxy did not start; @text: why, of which 200
 *  bytes are told */
void event_l7_unstarted(struct wbuf *b, const struct event_run *r,
			const char *decision_id, const char *text);

/* More are not told. */
enum { EVENT_TARGETS_MAX = 24 };

/** event_dns_resolution() - of egress rule @i: the addresses its host has for
 *  the runner; @resolved_at: CLOCK_FORM_A; @n 0: it has none */
void event_dns_resolution(struct wbuf *b, const struct event_run *r, size_t i,
			  const struct ip_addr *targets, size_t n,
			  const char *resolved_at);

struct event_query {
	bool allow;
	const char *query_id;	 /* UUIDv4 */
	const char *observed_at; /* also the event's time, CLOCK_FORM_B */
	struct slice name;	 /* unknown, and the root: "(unknown)" */
	const char *type;	 /* unknown is written as "A" */
	const char *reason;
	bool was_answered; /* @rcode and @targets count */
	uint8_t rcode;
	uint32_t targets;     /* addresses answered */
	const char *resolver; /* unless asked: NULL */
	bool has_latency;     /* @latency_ms counts */
	uint32_t latency_ms;
};

/** event_dns_query() - data of dns_query, source EVENT_SOURCE_DNS */
void event_dns_query(struct wbuf *b, const struct event_run *r,
		     const struct event_query *q);
/** event_query_permitted(), event_query_refused() - the short forms of it;
 *  the root's name is "" here */
void event_query_permitted(struct wbuf *b, const struct event_run *r,
			   const struct event_query *q);
void event_query_refused(struct wbuf *b, const struct event_run *r,
			 const struct event_query *q);

struct event_flow {
	bool allow;
	const char *decision_id; /* UUIDv4 */
	/* also the event's time: CLOCK_FORM_B of a row that sums up a rule,
	 * CLOCK_FORM_A of a flow as it happened */
	const char *observed_at;
	const char *reason;
	const char *rule_ref;
	struct ip_addr dst;
	uint16_t dst_port;    /* 0: unknown */
	const char *protocol; /* "tcp", "udp", "icmp", "icmp6" */
	bool is_row; /* sums up a rule: counts and trust ids are told */
	uint64_t packets, bytes;
};

/** event_network_flow_decision() - data of network_flow_decision */
void event_network_flow_decision(struct wbuf *b, const struct event_run *r,
				 const struct event_flow *f);

/* -- ours: cell.evidence.v1.connection -- */

/* X(id, word): one of them, or @count of them not told one by one */
#define EVENT_CONNECTION_KINDS(X) \
	X(OPENED, "opened")       \
	X(FLOW, "flow")           \
	X(REFUSED, "refused")     \
	X(QUERIES, "queries")     \
	X(FLOWS, "flows")         \
	X(PACKETS, "packets")

enum event_connection_kind {
#define X(id, word) EVENT_KIND_##id,
	EVENT_CONNECTION_KINDS(X)
#undef X
};

/* X(id, word): what let it pass without having been looked at */
#define EVENT_UNVERIFIED(X)                                                  \
	/* ECH: the name inside; the one in the open led here */             \
	X(ECH_INNER_NAME, "ech_inner_name")                                  \
	/* TLS: which host is asked for inside */                            \
	X(INNER_AUTHORITY, "inner_authority")                                \
	/* all bytes: the rule names a place, not what is spoken there */    \
	X(PAYLOAD, "payload")                                                \
	/* an address rule: names that are shown are recorded, not judged */ \
	X(SHOWN_NAME, "shown_name")

enum event_unverified {
#define X(id, word) EVENT_UNVERIFIED_##id,
	EVENT_UNVERIFIED(X)
#undef X
		EVENT_UNVERIFIED_NUM
};

struct event_endpoint {
	struct ip_addr addr;
	uint16_t port; /* 0: none */
};

struct event_connection {
	enum event_connection_kind kind;
	uint64_t count; /* of QUERIES, FLOWS and PACKETS */
	bool allow;
	const char *reason;
	const char *rule_ref;
	const char
		*protocol; /* as it was judged: "tcp", "udp", "tls", "http" */
	const char *l4;	   /* "tcp", "udp", ..., or the number */
	struct event_endpoint source, destination, dialled;
	struct slice question; /* the name our resolver had answered */
	/* of QUERIES */
	const char *query_type;
	uint32_t dropped;	/* addresses taken out of the answer */
	bool is_over_budget;	/* too many names below one wildcard */
	struct slice sni, host; /* as shown */
	bool has_ech, has_early_data;
	uint32_t requests; /* HTTP, judged */
	/* of FLOW */
	const char *opened_at; /* CLOCK_FORM_B */
	uint64_t up, down, duration_ms;
	/* 1 << enum event_unverified; told of a FLOW that was allowed */
	unsigned unverified;
};

/** event_connection() - data of connection */
void event_connection(struct wbuf *b, const struct event_run *r,
		      const struct event_connection *c);

#endif
