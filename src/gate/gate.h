/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The gate process from its inside: what its parts share. One thread, one
 * loop; every table is bounded. The outside of it is gate/process.h.
 */
#ifndef CELLOS_GATE_GATE_H
#define CELLOS_GATE_GATE_H

#include "gate/message.h"
#include "gate/pin.h"
#include "gate/policy.h"
#include "loop/loop.h"

struct dns_proxy;
struct flows;
struct recorder;

struct gate {
	struct loop *loop;
	const struct gate_policy *policy;
	struct pins *pins;
	struct recorder *recorder;
	struct dns_proxy *dns;
	struct flows *flows;
	struct gate_stats stats;
	uint64_t next_flow; /* id */
	bool stopping;
};

/* -- record.c: what is told to the supervisor -- */

/**
 * record_query(), record_flow() - tell it, or count it in an aggregate when
 * there were more than policy->events_per_second of them
 * Times are filled in. A full queue pauses the loop's intake; nothing is lost.
 */
void record_query(struct gate *g, const struct gate_query *q);
/** @type: GATE_DECISION, GATE_FLOW or GATE_REFUSED */
void record_flow(struct gate *g, enum gate_record_type type,
		 const struct gate_flow *f);
/** record_lost() - @n refused packets of which nothing is known */
void record_lost(struct gate *g, uint64_t n);

/* -- dns_proxy.c: the cell's resolver -- */

/** dns_proxy_new() - NULL without memory */
struct dns_proxy *dns_proxy_new(struct gate *g);
/** dns_proxy_udp() - serve a wildcard (or explicit) UDP socket of port 53;
 *  takes the descriptor; 0 or -errno */
int dns_proxy_udp(struct gate *g, int fd, uint8_t family) MUST_USE;
/** dns_proxy_tcp() - serve an accepted connection; takes the descriptor */
void dns_proxy_tcp(struct gate *g, int fd);
/** dns_proxy_drain() - answer the datagrams that have come already */
void dns_proxy_drain(struct gate *g);
/** dns_proxy_is_idle() - no query waits for an upstream, and no connection is
 *  open that may bring one */
bool dns_proxy_is_idle(const struct gate *g);
void dns_proxy_free(struct gate *g);

/* -- flow.c: everything else -- */

struct flows *flows_new(struct gate *g);
/** flows_tcp() - serve a listening socket; takes it; 0 or -errno
 *  @explicit_proxy: the destination is the name that is shown, at the port of
 *  a rule: accepted connections have no original destination */
int flows_tcp(struct gate *g, int fd, bool explicit_proxy) MUST_USE;
/** flows_udp() - serve a wildcard UDP socket of @port; takes it */
int flows_udp(struct gate *g, int fd, uint8_t family, uint16_t port) MUST_USE;
/** flows_count() - alive */
size_t flows_count(const struct gate *g);
/** flows_stop() - no new one but those that wait to be taken in; those that
 *  live may end by themselves */
void flows_stop(struct gate *g);
/** flows_free() - end what lives, each with its final record */
void flows_free(struct gate *g);

#endif
