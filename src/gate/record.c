/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the gate tells the supervisor: one by one up to a rate, then counted.
 * A full queue makes the cell wait, not the evidence.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fnv.h"
#include "gate/record.h"

enum {
	QUEUE = 512,	   /* records that wait for the supervisor */
	QUEUE_HIGH = 256,  /* from here on the cell waits */
	AGGREGATES = 1024, /* kinds of the same thing in a second */
	SECOND_NS = 1000000000
};

struct recorder {
	struct gate *gate;
	struct loop_source sock;
	struct loop_timer second;
	bool is_open;
	uint64_t self_test; /* packets refused before */
	int lost;	    /* errno of a channel that is gone */
	uint64_t second_began;
	uint32_t told;
	struct gate_record queue[QUEUE];
	size_t first, n;
	struct gate_record aggregate[AGGREGATES];
	size_t n_aggregates;
	uint16_t by_hash[2 * AGGREGATES]; /* index + 1; 0: free */
};

/* -- the queue -- */

/* The first that waits. @flags: MSG_DONTWAIT, or 0 to wait for room. False if
 * it is still there: no room, or a channel that is lost. */
static bool send_first(struct recorder *c, int flags)
{
	const struct gate_record *r = &c->queue[c->first];
	ssize_t n;

	do
		n = send(c->sock.fd, r, sizeof(*r), MSG_NOSIGNAL | flags);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		if (errno != EAGAIN || !(flags & MSG_DONTWAIT))
			c->lost = errno;
		return false;
	}
	c->first = (c->first + 1) % QUEUE;
	c->n--;
	return true;
}

static void drain(struct recorder *c)
{
	while (c->n && send_first(c, MSG_DONTWAIT))
		;
	if (c->lost)
		return;
	loop_want(c->gate->loop, &c->sock,
		  EPOLLIN | (c->n ? (uint32_t)EPOLLOUT : 0));
	if (c->n < QUEUE_HIGH)
		loop_pause(c->gate->loop, false);
}

/*
 * What is paused brings nothing new, but what is under way may still end: at
 * the brim we wait for the supervisor, whose death ends us as well.
 */
static void wait_for_room(struct recorder *c)
{
	while (c->n == QUEUE && !c->lost)
		(void)send_first(c, 0);
}

static void put(struct recorder *c, const struct gate_record *r)
{
	wait_for_room(c);
	if (c->lost)
		return;
	c->queue[(c->first + c->n) % QUEUE] = *r;
	c->n++;
	drain(c);
	if (c->n >= QUEUE_HIGH) {
		c->gate->stats.stalled++;
		loop_pause(c->gate->loop, true);
	}
}

/* -- aggregates -- */

static uint64_t mix_name(uint64_t h, const struct hostname *n)
{
	return fnv_mix(fnv_mix(h, &n->len, 1), n->text, n->len);
}

static uint64_t key_of(const struct gate_record *r)
{
	uint64_t h = fnv_mix(FNV_START, &r->of, sizeof(r->of));

	if (r->of == GATE_QUERY) {
		h = fnv_mix(h, &r->query.reason, 1);
		h = fnv_mix(h, &r->query.type, sizeof(r->query.type));
		h = fnv_mix(h, &r->query.asked_upstream, 1);
		h = fnv_mix(h, &r->query.resolver, sizeof(r->query.resolver));
		return mix_name(h, &r->query.name);
	}
	h = fnv_mix(h, &r->flow.reason, 1);
	h = fnv_mix(h, &r->flow.l4, 1);
	h = fnv_mix(h, &r->flow.is_dialled, 1);
	h = fnv_mix(h, &r->flow.dst_port, sizeof(r->flow.dst_port));
	h = fnv_mix(h, &r->flow.dst, sizeof(r->flow.dst));
	h = fnv_mix(h, &r->flow.rule, sizeof(r->flow.rule));
	return mix_name(mix_name(h, &r->flow.sni), &r->flow.host);
}

static bool is_same(const struct gate_record *a, const struct gate_record *b)
{
	if (a->of != b->of)
		return false;
	if (a->of == GATE_QUERY)
		return a->query.reason == b->query.reason &&
		       a->query.type == b->query.type &&
		       a->query.asked_upstream == b->query.asked_upstream &&
		       a->query.resolver == b->query.resolver &&
		       hostname_eq(&a->query.name, &b->query.name);
	return a->flow.reason == b->flow.reason && a->flow.l4 == b->flow.l4 &&
	       a->flow.is_dialled == b->flow.is_dialled &&
	       a->flow.dst_port == b->flow.dst_port &&
	       a->flow.rule == b->flow.rule &&
	       ip_equal(&a->flow.dst, &b->flow.dst) &&
	       hostname_eq(&a->flow.sni, &b->flow.sni) &&
	       hostname_eq(&a->flow.host, &b->flow.host);
}

/* What only one of many had is no fact of all of them. */
static void keep_common(struct gate_record *r, bool names_too)
{
	if (r->of == GATE_QUERY) {
		r->query = (struct gate_query){
			.reason = r->query.reason,
			.rcode = r->query.rcode,
			.asked_upstream = r->query.asked_upstream,
			.resolver = r->query.asked_upstream ? r->query.resolver
							    : (uint16_t)0,
			.type = names_too ? r->query.type : 0,
			.name = r->query.name,
		};
		if (!names_too)
			r->query.name = (struct hostname){ 0 };
		return;
	}
	r->flow = (struct gate_flow){
		.reason = r->flow.reason,
		.protocol = r->flow.protocol,
		.l4 = r->flow.l4,
		.is_dialled = r->flow.is_dialled,
		.rule = names_too ? r->flow.rule : -1,
		.dst = r->flow.dst,
		.dst_port = r->flow.dst_port,
		.question = r->flow.question,
		.sni = r->flow.sni,
		.host = r->flow.host,
	};
	if (names_too)
		return;
	r->flow.dst = (struct ip_addr){ 0 };
	r->flow.dst_port = 0;
	r->flow.question = r->flow.sni = r->flow.host = (struct hostname){ 0 };
}

/* Something of the cell went out by it: where to is never left out, however
 * much else there is to tell. */
static bool went_out(const struct gate_record *r)
{
	return r->of == GATE_QUERY ? r->query.asked_upstream
				   : r->flow.is_dialled;
}

/* The place of one like @r, or a free one; NULL: the table is full. */
static struct gate_record *find(struct recorder *c, const struct gate_record *r,
				bool *ret_new)
{
	size_t slots = sizeof(c->by_hash) / sizeof(c->by_hash[0]);
	size_t i = (size_t)(key_of(r) % slots);

	for (*ret_new = false; c->by_hash[i]; i = (i + 1) % slots) {
		struct gate_record *a = &c->aggregate[c->by_hash[i] - 1];

		if (is_same(a, r))
			return a;
	}
	if (c->n_aggregates == AGGREGATES)
		return NULL;
	*ret_new = true;
	c->by_hash[i] = (uint16_t)(c->n_aggregates + 1);
	return &c->aggregate[c->n_aggregates++];
}

static void flush(struct recorder *c)
{
	for (size_t i = 0; i < c->n_aggregates; i++)
		put(c, &c->aggregate[i]);
	c->n_aggregates = 0;
	memset(c->by_hash, 0, sizeof(c->by_hash));
}

/* @n: of them, like this one */
static void aggregate(struct recorder *c, struct gate_record *r, uint64_t n,
		      uint64_t up, uint64_t down)
{
	bool is_new, names_too = c->n_aggregates < AGGREGATES / 4 * 3;
	struct gate_record *a;

	r->of = r->type;
	r->type = GATE_AGGREGATE;
	/* the last quarter is for what has no more name to it, but where bytes
	 * went is always told */
	names_too |= went_out(r);
	if (!names_too)
		keep_common(r, false);
	a = find(c, r, &is_new);
	if (!a) {
		flush(c);
		a = find(c, r, &is_new);
	}
	if (!a)
		return; /* an empty table has room */
	if (is_new) {
		*a = *r;
		if (names_too)
			keep_common(a, true);
	}
	a->count += n;
	a->wall_ms = r->wall_ms;
	if (r->of != GATE_QUERY) {
		a->flow.up += up;
		a->flow.down += down;
	}
	c->gate->stats.aggregated += n;
	if (!c->second.pos && loop_timer_set(c->gate->loop, &c->second,
					     c->second_began + SECOND_NS))
		flush(c);
}

static void on_second(struct loop_timer *t)
{
	flush(loop_of(t, struct recorder, second));
}

/* Is there room for one more to be told this second? A quarter is kept for what
 * is let through, which a flood of anything else must not hide. */
static bool may_tell(struct recorder *c, bool passes)
{
	uint64_t now = clock_mono_ns();
	uint32_t max = c->gate->policy->events_per_second;

	if (!passes)
		max -= max / 4;

	if (now - c->second_began >= SECOND_NS) {
		c->second_began = now;
		c->told = 0;
	}
	if (c->told >= max)
		return false;
	c->told++;
	return true;
}

/* -- what the parts of the gate call -- */

void record_query(struct gate *g, const struct gate_query *q)
{
	struct recorder *c = g->recorder;
	struct gate_record r = { .type = GATE_QUERY, .query = *q };

	if (!c->is_open)
		return;
	r.wall_ms = clock_wall_ms();
	if (may_tell(c, false))
		put(c, &r);
	else
		aggregate(c, &r, 1, 0, 0);
}

void record_flow(struct gate *g, enum gate_record_type type,
		 const struct gate_flow *f)
{
	struct recorder *c = g->recorder;
	bool is_told = c->is_open && may_tell(c, gate_reason_allows(f->reason));
	NO_INIT struct gate_record r;

	/* the flow's own record, at its end, counts the decision */
	if (!c->is_open || (!is_told && type == GATE_DECISION))
		return;
	r = (struct gate_record){ .type = (uint32_t)type, .flow = *f };
	r.wall_ms = clock_wall_ms();
	if (is_told)
		put(c, &r);
	else
		aggregate(c, &r, 1, f->up, f->down);
}

void record_lost(struct gate *g, uint64_t n)
{
	struct gate_record r = { .type = GATE_REFUSED,
				 .wall_ms = clock_wall_ms(),
				 .flow = { .reason = GATE_REASON_NO_RULE,
					   .rule = -1 } };

	if (g->recorder->is_open)
		aggregate(g->recorder, &r, n, 0, 0);
}

/* -- what gate_main calls -- */

struct recorder *recorder_new(struct gate *g, int sock,
			      void (*readable)(struct loop_source *s,
					       uint32_t events))
{
	struct recorder *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->gate = g;
	c->sock = (struct loop_source){ .fd = sock, .fn = readable };
	c->second.fn = on_second;
	if (loop_add(g->loop, &c->sock, EPOLLIN, false)) {
		free(c);
		return NULL;
	}
	return c;
}

void recorder_open(struct gate *g)
{
	g->recorder->is_open = true;
	g->recorder->self_test = g->stats.refused;
	g->stats = (struct gate_stats){ 0 };
}

void recorder_writable(struct gate *g)
{
	drain(g->recorder);
}

int recorder_lost(const struct gate *g)
{
	return g->recorder->lost;
}

void record_tell(struct gate *g, const struct gate_record *r)
{
	struct gate_record copy = *r;

	copy.wall_ms = clock_wall_ms();
	put(g->recorder, &copy);
}

void recorder_end(struct gate *g)
{
	struct gate_record r = { .type = GATE_STATS,
				 .count = g->recorder->self_test };

	flush(g->recorder);
	r.stats = g->stats;
	record_tell(g, &r);
	while (g->recorder->n && !g->recorder->lost)
		(void)send_first(g->recorder, 0);
}
