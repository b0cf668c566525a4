/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Between the parts of the cell's resolver: dns_udp.c and dns_tcp.c serve the
 * cell, dns_proxy.c judges and answers, dns_upstream.c asks, dns_cache.c
 * remembers, dns_budget.c counts names below wildcards.
 */
#ifndef CELLOS_GATE_DNS_INT_H
#define CELLOS_GATE_DNS_INT_H

#include <netinet/in.h>

#include "gate/gate.h"
#include "wire/dns_answer.h"

enum {
	DNS_ASKS_MAX = 256,	 /* questions at resolvers at one time */
	DNS_WAITERS_MAX = 1024,	 /* queries that wait for their answers */
	DNS_SHARED_MAX = 64,	 /* of these, for one question */
	DNS_LISTENERS_MAX = 8,	 /* UDP sockets */
	DNS_CONNS_MAX = 64,	 /* TCP connections of the cell */
	DNS_PIPELINE_MAX = 16,	 /* queries of one connection that wait */
	DNS_IDLE_MS = 30000,	 /* of a connection, without progress */
	DNS_QUERY_MAX = 4096,	 /* a client's message by TCP; a longer one is
				  * malformed */
	DNS_UDP_REPLY_MAX = 4096 /* whatever more the client takes */
};

/* -- dns_cache.c: answers, by question -- */

enum {
	DNS_CACHE_ENTRIES = 2048,
	DNS_CACHE_BYTES = 2 * 1024 * 1024, /* of bodies */
	DNS_CACHE_BODY_MAX = 16 * 1024,	   /* a longer one is not kept */
	/* 1 s to 5 min (RFC 9520 3.2) */
	DNS_FAILURE_S = 5
};

struct dns_kept {
	uint8_t rcode;
	bool is_failure; /* no resolver had an answer */
	uint16_t n_records;
	uint16_t resolver; /* which answered */
	uint32_t n_target, dropped;
	uint64_t since_ns, until_ns;
	struct slice body; /* dns_answer_read() */
};

struct dns_cache;

/** dns_cache_new() - NULL without memory or random bytes */
struct dns_cache *dns_cache_new(void);
void dns_cache_free(struct dns_cache **c);
/**
 * dns_cache_put() - copies; what was kept for the question goes, then what was
 * used longest ago, until there is room
 * @k: not kept if its body is longer than DNS_CACHE_BODY_MAX or it ends before
 *     it begins
 */
void dns_cache_put(struct dns_cache *c, const struct hostname *name,
		   uint16_t type, const struct dns_kept *k);
/** dns_cache_find() - NULL if there is none that is good at @now_ns; else
 *  borrowed until the next call */
const struct dns_kept *dns_cache_find(struct dns_cache *c,
				      const struct hostname *name,
				      uint16_t type, uint64_t now_ns);

/* -- dns_budget.c: names below wildcards -- */

enum {
	DNS_BUDGET_NAMES = 65536,  /* below all wildcards together */
	DNS_BUDGET_NAME_BYTES = 64 /* a distinct name may bring, on average */
};

struct dns_budget;

/** dns_budget_new() - NULL without memory or random bytes */
struct dns_budget *dns_budget_new(void);
void dns_budget_free(struct dns_budget **b);
/**
 * dns_budget_take() - may @name, which matches entry @i of policy->names, be
 * asked for? Below a "*." entry a distinct name counts once: at most
 * policy->wildcard_labels of them, and DNS_BUDGET_NAME_BYTES times as many
 * bytes, so that what a cell can tell by names alone has a bound.
 */
bool dns_budget_take(struct dns_budget *b, const struct gate_policy *policy,
		     size_t i, const struct hostname *name) MUST_USE;

/* -- dns_proxy.c -- */

struct dns_listener; /* dns_udp.c */

union dns_sockaddr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* Whom an answer goes to. */
struct dns_client {
	const struct dns_listener *udp; /* NULL: TCP */
	union dns_sockaddr from;
	socklen_t from_len;
	struct ip_addr asked; /* family 0: the socket's own address */
	uint32_t conn, generation;
};

/* A query whose question is at a resolver. */
struct dns_waiter {
	struct dns_waiter *next;
	struct dns_client client;
	struct dns_query query; /* its question points to @question */
	char question[DNS_NAME_MAX + 4];
	uint64_t since_ns;
};

/* What became of a question. */
struct dns_found {
	const struct dns_answer *answer; /* NULL: no resolver had one */
	struct slice body;
	uint16_t n_records;
	uint16_t resolver; /* the last one asked */
};

enum dns_served {
	DNS_DONE,  /* the reply is written, or there is none */
	DNS_WAITS, /* dns_proxy_reply() will be called */
	DNS_BROKEN /* as DNS_DONE; not a query */
};

struct dns_conns;
struct dns_udp;
struct dns_upstream;

struct dns_proxy {
	struct gate *g;
	struct dns_cache *cache;
	struct dns_budget *budget;
	struct dns_upstream *upstream;
	struct dns_conns *conns;
	struct dns_udp *udp;
	struct wbuf reply; /* of a waiter */
};

/**
 * dns_proxy_serve() - one message of a client: judged, told, and answered if
 * it can be
 * @is_cut: it was longer than @msg
 * @reply:  appended to
 */
enum dns_served dns_proxy_serve(struct dns_proxy *p,
				const struct dns_client *client,
				struct slice msg, bool is_cut,
				struct wbuf *reply) MUST_USE;
/** dns_proxy_broken() - tell of what was not even a message */
void dns_proxy_broken(struct dns_proxy *p);
/** dns_proxy_found() - keep and pin an answer, before its waiters get it; keep
 *  that there was none */
void dns_proxy_found(struct dns_proxy *p, const struct hostname *name,
		     uint16_t type, const struct dns_found *f);
/** dns_proxy_reply() - tell of and answer one of them */
void dns_proxy_reply(struct dns_proxy *p, const struct dns_waiter *w,
		     const struct dns_found *f);

/* -- dns_udp.c: datagrams of the cell -- */

struct dns_udp *dns_udp_new(struct dns_proxy *p);
/** dns_udp_add() - takes the descriptor, on failure too; 0 or -errno */
int dns_udp_add(struct dns_udp *u, int fd) MUST_USE;
/** dns_udp_answer() - to a query that waited, from where it was sent to */
void dns_udp_answer(const struct dns_client *client, struct slice msg);
/** dns_udp_drain() - serve what has come already */
void dns_udp_drain(struct dns_udp *u);
void dns_udp_free(struct dns_udp **u);

/* -- dns_tcp.c: connections of the cell -- */

struct dns_conns *dns_conns_new(struct dns_proxy *p);
/** dns_conns_add() - takes the descriptor; closed if there are too many */
void dns_conns_add(struct dns_conns *cs, int fd);
/** dns_conns_answer() - to a query that waited; nothing if the connection has
 *  ended
 *  @msg: without its length */
void dns_conns_answer(struct dns_conns *cs, const struct dns_client *client,
		      struct slice msg);
/** dns_conns_count() - open ones */
size_t dns_conns_count(const struct dns_conns *cs);
void dns_conns_free(struct dns_conns **cs);

/* -- dns_upstream.c: questions to resolvers (RFC 1035 4.2, RFC 5452) -- */

struct dns_upstream *dns_upstream_new(struct dns_proxy *p);
/**
 * dns_upstream_ask() - put the question of @q to the resolvers of the policy,
 * one after the other, or join who waits for the same answer
 *
 * Return: 0: dns_proxy_reply() will be called, never before this returns; or
 * -errno: -EAGAIN if as many as may wait do so
 */
int dns_upstream_ask(struct dns_upstream *u, const struct dns_client *client,
		     const struct dns_query *q) MUST_USE;
/** dns_upstream_count() - questions under way */
size_t dns_upstream_count(const struct dns_upstream *u);
/** dns_upstream_free() - what is under way has failed */
void dns_upstream_free(struct dns_upstream **u);

#endif
