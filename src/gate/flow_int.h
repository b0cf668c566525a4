/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A connection through the gate, as the files that serve it see it:
 *
 *   accepted ─► flow.c: verdict of the destination
 *                 │ names ask for more         │ allowed
 *                 ▼                            │
 *               flow_peek.c: hello or head ────┤
 *                                              ▼
 *               flow_dial.c ──► flow_relay.c, its judge: flow_http.c for the
 *                               next requests, flow_retry.c for a second hello
 *
 * A denial is answered in flow_answer.c. Only flow_end() frees a flow: what
 * may have ended one says so by its return value.
 */
#ifndef CELLOS_GATE_FLOW_INT_H
#define CELLOS_GATE_FLOW_INT_H

#include "base/wbuf.h"
#include "gate/gate.h"
#include "wire/http1.h"
#include "wire/tls_hello.h"

enum {
	FLOW_MAX = 8192, /* connections */
	/* bytes of all clients together that wait to be judged or sent; one
	 * that has begun may take as much again as it has */
	FLOW_HELD_MAX = 16 << 20,
	FLOW_UDP_MAX = 1024,
	FLOW_LISTENERS_MAX = 16,
	FLOW_FDS = 3,		/* of one: two sockets, and half a pipe */
	FLOW_FDS_RESERVE = 256, /* of the process, for everything else */
	FLOW_DIAL_MAX = 16,	/* addresses of a name that are tried */
	FLOW_SCRATCH = 16384,
	FLOW_FIRST = 44, /* bytes of a server: as far as a ServerHello's random
			  */
	FLOW_PIPES_KEPT = 32,
	FLOW_SPARE = 64
};

enum flow_shape {
	FLOW_SHOWS_NOTHING,
	FLOW_SHOWS_TLS,
	FLOW_SHOWS_HTTP,
	FLOW_SHOWS_H2
};

enum flow_state {
	FLOW_PEEKS, /* reads a hello or a head */
	FLOW_DIALS,
	FLOW_RELAYS,
	FLOW_DRAINS, /* a later request was denied: answers still go down */
	FLOW_LINGERS /* answered: the client is to read it before the close */
};

/* Of a rule, one way: all its flows draw on it. */
struct flow_budget {
	uint64_t max; /* 0: none */
	uint64_t *spent;
};

/* One direction. The pipe is there only while bytes are in it. */
struct flow_way {
	int pipe[2];
	size_t in_pipe;
	struct flow_budget budget;
	bool is_bulk; /* much came at once */
	bool eof;     /* nothing more comes */
	bool is_shut; /* and the other side was told */
	bool is_lost; /* the other side takes nothing more */
};

/* What a judge says of the client's bytes that were not yet sent. */
enum flow_judged {
	FLOW_READY, /* f->ready, f->pass or f->judge has changed */
	FLOW_NEEDS, /* more of them */
	FLOW_HELD,  /* until the server has said something */
	FLOW_DENIED /* f->rec.reason says why; told already */
};

struct flow_dial;

struct flow {
	struct gate *g;
	struct flow *prev, *next;
	struct loop_source client, server;
	struct loop_timer timer;
	uint64_t opened_ns, active_ns, until_ns;
	enum flow_state state;
	enum flow_shape shape;
	bool is_explicit; /* has no destination of its own */
	bool may_tls, may_http;
	bool holds_pin;
	bool is_told; /* its GATE_FLOW record is out */
	bool is_kept; /* the server's socket asks whether its peer lives */
	bool sniffs;  /* an address rule: the first bytes are worth a look */
	struct gate_flow rec;
	struct flow_dial *dial;
	/* the client's bytes: [sent | ready | not judged yet] */
	struct wbuf in;
	size_t sent, ready;
	uint64_t pass; /* then so many that need not be read */
	enum flow_judged (*judge)(struct flow *f); /* NULL: all may pass */
	/* the server's first bytes, if somebody waits for them; called with
	 * each that comes and at its end */
	void (*see)(struct flow *f, bool at_end);
	uint8_t first[FLOW_FIRST];
	size_t n_first;
	struct tls_hello_reader hello;
	struct http1_body body; /* of the request that is under way */
	struct flow_way up, down;
};

struct flow_listener {
	struct gate *g;
	struct loop_source source;
	bool is_explicit;
};

struct flow_udp;
struct flow_seen;

struct flows {
	struct gate *g;
	struct flow *first; /* of all */
	size_t n, max;
	struct flow *spare; /* memory of some that ended, by next */
	size_t n_spare;
	struct flow_listener listeners[FLOW_LISTENERS_MAX];
	size_t n_listeners;
	struct loop_timer rest; /* of the listeners: out of descriptors */
	struct flow_udp *udp;	/* made with the first socket */
	struct flow_seen *seen; /* 5-tuples */
	struct {
		uint64_t up, down;
	} spent[GATE_RULES_MAX]; /* bytes of the rules */
	int pipes[FLOW_PIPES_KEPT][2];
	size_t n_pipes;
	size_t held; /* memory of every flow's @in */
	struct wbuf joined;
	char scratch[FLOW_SCRATCH];
};

/* The names that lead to an address now; good until the next answer. */
struct flow_names {
	const struct hostname *names[PIN_NAMES_MAX];
	struct verdict_target target;
};

/* -- flow.c -- */

/** flow_names() - what there is to judge by at @a, @port */
void flow_names(struct gate *g, const struct ip_addr *a, uint16_t port,
		bool udp, struct flow_names *ret);
/**
 * flow_override() - the same where what a name leads to is named by the
 * operator: for connections to the explicit proxy, with an upstream override.
 * The name's rule judges; the address is nobody's, and not dialled
 *
 * Return: false: there is none, or no rule takes @name (may be NULL)
 */
bool flow_override(const struct flow *f, const struct hostname *name,
		   enum gate_protocol protocol, struct flow_names *ret);
/** flow_is_overridden() */
static inline bool flow_is_overridden(const struct flow *f)
{
	return f->is_explicit && f->g->policy->sni_override_port;
}
/** flow_decision() - record a GATE_DECISION with @reason */
void flow_decision(struct flow *f, enum gate_reason reason);
/** flow_names_shown() - a name that was shown is judged by, too, however many
 *  newer ones lead to the same address; @name may be NULL, and must live as
 *  long as @n */
void flow_names_shown(struct gate *g, struct flow_names *n,
		      const struct hostname *name);
/** flow_tell() - record the flow's end; once */
void flow_tell(struct flow *f);
/** flow_end() - tell it, close, free
 *  @abort: with a reset to both ends */
void flow_end(struct flow *f, bool abort);
/** flow_watch() - ask for @events; none take the source out of the loop: a
 *  hang-up is told whether it is asked for or not. false: the loop is full */
bool flow_watch(struct flow *f, struct loop_source *s,
		uint32_t events) MUST_USE;
/** flow_timer() - call on_timer @ms from now */
bool flow_timer(struct flow *f, uint64_t ms) MUST_USE;
/** flow_serve() - the one callback of both sockets */
void flow_serve_client(struct loop_source *s, uint32_t events);
void flow_serve_server(struct loop_source *s, uint32_t events);
/** flow_count_allowed() - statistics, once a flow */
void flow_count_allowed(struct gate *g, const struct gate_flow *r);
/** flow_will_reset() - when it is closed, by a reset; -1 is fine */
void flow_will_reset(int fd);

/* -- flow_seen.c -- */

/** flow_seen_add() - was this 5-tuple new? Past its bound all are */
bool flow_seen_add(struct flow_seen **s, const struct gate_flow *r);

/* -- flow_peek.c -- */

/** flow_peek() - wait for what @f shows; it may have ended then */
void flow_peek(struct flow *f);
/** flow_peek_readable() - the client sent something */
void flow_peek_readable(struct flow *f);
/** flow_peek_late() - the time for it is over */
void flow_peek_late(struct flow *f);
/** flow_sniff() - note the name in the client's first bytes, which stay where
 *  they are */
void flow_sniff(struct flow *f);

/* -- flow_dial.c -- */

/** flow_dial() - connect to where @name leads (NULL: to the destination), then
 *  relay; the flow may have ended then */
void flow_dial(struct flow *f, const struct hostname *name, uint16_t port);
/** flow_dial_event() - the socket has connected, or not */
void flow_dial_event(struct flow *f, uint32_t events);
/** flow_dial_late() - it did not in time */
void flow_dial_late(struct flow *f);
void flow_dial_drop(struct flow_dial **d);
/**
 * flow_may_reach() - of a socket that connects to @a: false if that is this
 * host, and no rule spells it out. The addresses in the policy are those of
 * the start: one that has come since is known by being the socket's own, too,
 * unless it is a secondary one of IPv4, from which no connection comes.
 */
bool flow_may_reach(const struct gate *g, int fd, const struct ip_addr *a,
		    uint16_t port, bool udp) MUST_USE;

/* -- flow_relay.c -- */

/** flow_relay_begin() - both ends are there */
void flow_relay_begin(struct flow *f);
/** flow_relay() - move what can be moved; the flow may have ended then
 *  @s: the side that @events came from; what nothing came from is not read */
void flow_relay(struct flow *f, const struct loop_source *s, uint32_t events);
/** flow_relay_late() - idle for too long, or drained */
void flow_relay_late(struct flow *f);
/** flow_way_init() - without a budget */
void flow_way_init(struct flow_way *w);
/** flow_budget() - of policy->rules[@rule]; of -1: none */
struct flow_budget flow_budget(struct gate *g, int rule, bool up);
/** flow_budget_left() - bytes that may still pass */
uint64_t flow_budget_left(const struct flow_budget *b);
/** flow_budget_take() - @n, at most what is left, have passed */
void flow_budget_take(struct flow_budget *b, uint64_t n);
void flow_way_drop(struct flows *all, struct flow_way *w);
/** flow_unjudged() - the client's bytes behind those that are ready */
struct slice flow_unjudged(const struct flow *f);
/** flow_keep() - forget what was sent, append @n bytes; false: no memory, or
 *  all flows hold FLOW_HELD_MAX */
bool flow_keep(struct flow *f, const void *p, size_t n) MUST_USE;
/** flow_keep_none() - forget all of it */
void flow_keep_none(struct flow *f);

/* -- flow_http.c -- */

/** flow_http_first() - the request that was peeked at may go */
void flow_http_first(struct flow *f, const struct http1_head *h);
/** flow_http_verdict() - of a head; fills f->rec.host; @ret_names as it was
 *  judged by */
struct verdict flow_http_verdict(struct flow *f, const struct http1_head *h,
				 const struct verdict_target *t);
/** flow_http_fault() - the reason for a head that is none */
enum gate_reason flow_http_fault(enum http1_fault fault);

/* -- flow_retry.c -- */

/** flow_retry_watch() - a server that asks for a second hello (RFC 8446 4.1.4)
 *  gets one with the same name or none */
void flow_retry_watch(struct flow *f);

/* -- flow_answer.c -- */

/** flow_refuse() - tell a GATE_DECISION of @decision and a GATE_FLOW of @why,
 *  answer in the client's protocol, end; @f may be gone then */
void flow_refuse(struct flow *f, enum gate_reason decision,
		 enum gate_reason why);
/** flow_deny() - a judge's denial after the flow was allowed: told at once,
 *  nothing more of the client passes */
enum flow_judged flow_deny(struct flow *f, enum gate_reason why);
/** flow_linger() - no more to the client; close when it has read the rest */
void flow_linger(struct flow *f);
/** flow_linger_readable() - drop what it still sends */
void flow_linger_readable(struct flow *f);

/* -- flow_udp.c -- */

size_t flow_udp_count(const struct flows *all);
void flow_udp_stop(struct flows *all);
void flow_udp_free(struct flows *all);

#endif
