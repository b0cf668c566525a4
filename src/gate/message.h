/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Between the supervisor and the gate: one SEQPACKET datagram each, fixed
 * size. The gate reads what a cell sends and is trusted with nothing: the
 * supervisor checks every member of a record (gate_record_check()).
 *
 *  supervisor -> gate: POLICY (descriptor of it; whom to become), SOCKET
 *                      (descriptor made in the cell), SOCKETS (that was the
 *                      last), OPEN (the command is let go: tell from now on),
 *                      STOP (drain, then end)
 *  gate -> supervisor: READY (first query can be answered), records, STATS
 *                      (the last), FAULT (it cannot go on), INSIDE (it needs
 *                      sockets made in the cell)
 */
#ifndef CELLOS_GATE_MESSAGE_H
#define CELLOS_GATE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "cell/door.h"
#include "gate/policy.h"
#include "gate/verdict.h"

/* To the gate. */
enum gate_order_type {
	GATE_ORDER_POLICY = 1,
	GATE_ORDER_SOCKET,
	GATE_ORDER_SOCKETS,
	GATE_ORDER_OPEN,
	GATE_ORDER_STOP
};

/* DOOR_LISTEN: what the socket is for, in place of its index */
enum gate_listen { GATE_LISTEN_SNI, GATE_LISTEN_DNS_UDP, GATE_LISTEN_DNS_TCP };

struct gate_order {
	uint32_t type;
	uint32_t uid, gid;	   /* POLICY: to become; 0: stay */
	struct door_socket socket; /* SOCKET; its fd comes beside it */
};

/* From the gate. */
enum gate_record_type {
	GATE_READY = 1,
	GATE_QUERY,	/* one DNS query, with its outcome */
	GATE_DECISION,	/* what the client wants was judged, and if it is let
			 * through nothing has passed yet */
	GATE_FLOW,	/* a connection or datagram flow has ended, or was
			 * refused */
	GATE_REFUSED,	/* a packet the filter refused (nflog) */
	GATE_AGGREGATE, /* @count queries or flows like this one, not told one
			 * by one */
	GATE_STATS,
	GATE_FAULT,
	GATE_INSIDE /* more DOOR_DIAL sockets are wanted */
};

/* X(id, word in dns_query, denies) */
#define GATE_QUERY_REASONS(X)                                \
	X(ALLOWED, "allowed_by_allowlist", false)            \
	X(NOT_IN_ALLOWLIST, "denied_not_in_allowlist", true) \
	X(TYPE, "denied_query_type", true)                   \
	X(MALFORMED, "malformed_query", true)                \
	X(UPSTREAM, "upstream_failure", true)

enum gate_query_reason {
#define X(id, word, denies) GATE_QUERY_##id,
	GATE_QUERY_REASONS(X)
#undef X
		GATE_QUERY_REASON_NUM
};

const char *gate_query_reason_word(enum gate_query_reason r);

struct gate_query {
	uint8_t reason; /* enum gate_query_reason */
	uint8_t rcode;	/* sent to the client; 255: none was sent */
	bool asked_upstream;
	bool from_cache;
	bool over_budget; /* too many names below a wildcard */
	uint16_t type;
	uint16_t resolver; /* index in the policy */
	uint32_t targets;
	uint32_t dropped; /* addresses the filter took out */
	uint32_t latency_ms;
	struct hostname name; /* len 0: root, or not readable */
};

struct gate_flow {
	uint64_t id;	  /* one number a flow, from 1 */
	uint8_t reason;	  /* enum gate_reason */
	uint8_t protocol; /* as judged, enum gate_protocol */
	uint8_t l4;	  /* IPPROTO_TCP, IPPROTO_UDP; others with REFUSED */
	bool has_ech, has_early_data;
	bool is_dialled;
	int32_t rule; /* index in the policy's rules, -1 */
	uint16_t src_port, dst_port, dial_port;
	struct ip_addr src, dst, dial;
	struct hostname question;  /* the name the rule took */
	struct hostname sni, host; /* as shown; len 0: none */
	uint32_t requests;	   /* HTTP, judged */
	uint64_t up, down;	   /* bytes relayed */
	uint64_t opened_ms;	   /* wall clock, Unix */
	uint64_t duration_ms;
};

struct gate_stats {
	uint64_t queries, queries_allowed, queries_denied, queries_malformed,
		upstream_failures, from_cache;
	uint64_t flows, flows_allowed, flows_denied, peek_timeouts,
		dial_failures;
	uint64_t refused; /* packets, all of them */
	uint64_t
		refused_lost; /* of these, in a flood: not told, only counted */
	uint64_t up, down;
	uint64_t aggregated; /* queries and flows told in aggregates */
	uint64_t stalled;    /* times the record queue made the cell wait */
	uint64_t distinct;   /* distinct allowed 5-tuples */
};

struct gate_record {
	uint32_t type;
	uint32_t of;	  /* AGGREGATE: GATE_QUERY, GATE_FLOW or GATE_REFUSED */
	uint64_t count;	  /* AGGREGATE; STATS: packets refused before OPEN, our
			   * own self test's */
	uint64_t wall_ms; /* when */
	union {
		struct gate_query query;
		struct gate_flow flow;
		struct gate_stats stats;
		struct {
			int32_t sys;
			char text[160];
		} fault;
		struct {
			uint8_t family; /* 4 or 6 */
			bool is_udp;
			uint16_t n; /* 1 to DOOR_INSIDE */
		} inside;
		struct {
			struct ip_addr addr; /* first TCP listener */
			uint16_t port;
		} ready;
	};
};

/** gate_record_check() - @n bytes of the gate: is it a record whose enums,
 *  indexes, strings and lengths are in bounds? */
bool gate_record_check(const void *data, size_t n,
		       const struct gate_policy *p) MUST_USE;

#endif
