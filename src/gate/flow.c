/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Connections: taken in, judged by where they go, told and ended. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "gate/flow_int.h"

enum {
	ACCEPTS_A_TURN = 64,
	LAST_TURNS = 1024, /* as many connections as a backlog can hold */
	REST_MS = 100,	   /* of intake when descriptors or memory are out */
	KEEPALIVE_IDLE_S = 60,
	KEEPALIVE_EVERY_S = 20,
	KEEPALIVE_PROBES = 3,
	PORT_DNS = 53
};

static const uint64_t MS = 1000000;

void flow_will_reset(int fd)
{
	struct linger now = { .l_onoff = 1 };

	if (fd >= 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) < 0) {
		/* it is closed all the same */
	}
}

void flow_names(struct gate *g, const struct ip_addr *a, uint16_t port,
		bool udp, struct flow_names *ret)
{
	ret->target = (struct verdict_target){
		.addr = *a,
		.port = port,
		.is_udp = udp,
		.names = ret->names,
		.n_names =
			pins_names(g->pins, a, loop_now(g->loop), ret->names),
	};
}

void flow_names_shown(struct gate *g, struct flow_names *n,
		      const struct hostname *name)
{
	if (name && n->target.n_names == PIN_NAMES_MAX &&
	    pins_has(g->pins, name, &n->target.addr, loop_now(g->loop)))
		n->names[PIN_NAMES_MAX - 1] = name;
}

/* -- records -- */

void flow_count_allowed(struct gate *g, const struct gate_flow *r)
{
	g->stats.flows_allowed++;
	if (flow_seen_add(&g->flows->seen, r))
		g->stats.distinct++;
}

static void measure(struct flow *f)
{
	f->rec.duration_ms = (clock_mono_ns() - f->opened_ns) / MS;
}

void flow_decision(struct flow *f, enum gate_reason reason)
{
	enum gate_reason was = f->rec.reason;

	measure(f);
	f->rec.reason = (uint8_t)reason;
	record_flow(f->g, GATE_DECISION, &f->rec);
	f->rec.reason = (uint8_t)was;
}

void flow_tell(struct flow *f)
{
	struct gate_stats *s = &f->g->stats;

	if (f->is_told)
		return;
	f->is_told = true;
	measure(f);
	s->up += f->rec.up;
	s->down += f->rec.down;
	record_flow(f->g, GATE_FLOW, &f->rec);
}

/* -- sources and ends -- */

bool flow_watch(struct flow *f, struct loop_source *s, uint32_t events)
{
	bool is_in = s->slot >= 0;

	if (s->fd < 0)
		return true;
	if (!events) {
		if (is_in)
			loop_remove(f->g->loop, s);
		return true;
	}
	if (is_in) {
		loop_want(f->g->loop, s, events);
		return true;
	}
	if (!loop_add(f->g->loop, s, events, false))
		return true;
	s->slot = -1;
	return false;
}

bool flow_timer(struct flow *f, uint64_t ms)
{
	return !loop_timer_set(f->g->loop, &f->timer,
			       loop_now(f->g->loop) + ms * MS);
}

void flow_end(struct flow *f, bool abort)
{
	struct flows *all = f->g->flows;

	flow_tell(f);
	loop_timer_clear(f->g->loop, &f->timer);
	if (abort) {
		flow_will_reset(f->client.fd);
		flow_will_reset(f->server.fd);
	}
	loop_close(f->g->loop, &f->client);
	loop_close(f->g->loop, &f->server);
	flow_way_drop(all, &f->up);
	flow_way_drop(all, &f->down);
	flow_dial_drop(&f->dial);
	flow_keep_none(f);
	if (f->holds_pin)
		pins_release(f->g->pins, &f->rec.question, &f->rec.dial);
	if (f->prev)
		f->prev->next = f->next;
	else
		all->first = f->next;
	if (f->next)
		f->next->prev = f->prev;
	all->n--;
	if (all->n_spare == FLOW_SPARE) {
		free(f);
		return;
	}
	f->next = all->spare;
	all->spare = f;
	all->n_spare++;
}

static void on_timer(struct loop_timer *t)
{
	struct flow *f = loop_of(t, struct flow, timer);

	switch (f->state) {
	case FLOW_PEEKS:
		flow_peek_late(f);
		break;
	case FLOW_DIALS:
		flow_dial_late(f);
		break;
	case FLOW_RELAYS:
	case FLOW_DRAINS:
		flow_relay_late(f);
		break;
	case FLOW_LINGERS:
		flow_end(f, false);
		break;
	}
}

void flow_serve_client(struct loop_source *s, uint32_t events)
{
	struct flow *f = loop_of(s, struct flow, client);

	switch (f->state) {
	case FLOW_PEEKS:
		flow_peek_readable(f);
		break;
	case FLOW_DIALS:
		/* nothing is read before there is somebody to send it to; a
		 * hang-up is heard all the same */
		if (events & (EPOLLERR | EPOLLHUP))
			flow_refuse(f, GATE_REASON_UNKNOWN_PROTOCOL,
				    GATE_REASON_UPSTREAM_FAILED);
		else
			loop_want(f->g->loop, s, 0);
		break;
	case FLOW_RELAYS:
	case FLOW_DRAINS:
		flow_relay(f, s, events);
		break;
	case FLOW_LINGERS:
		flow_linger_readable(f);
		break;
	}
}

void flow_serve_server(struct loop_source *s, uint32_t events)
{
	struct flow *f = loop_of(s, struct flow, server);

	if (f->state == FLOW_DIALS)
		flow_dial_event(f, events);
	else
		flow_relay(f, s, events);
}

/* -- intake -- */

/* Refused before it became a flow. */
static void refuse(struct gate *g, int *fd, struct gate_flow *r,
		   enum gate_reason reason)
{
	r->reason = (uint8_t)reason;
	g->stats.flows_denied++;
	flow_will_reset(*fd);
	fd_drop(fd);
	record_flow(g, GATE_FLOW, r);
}

static struct flow *take_spare(struct flows *all)
{
	struct flow *f = all->spare;

	if (!f)
		return malloc(sizeof(*f));
	all->spare = f->next;
	all->n_spare--;
	return f;
}

static struct flow *flow_new(struct gate *g, int *fd, const struct gate_flow *r)
{
	struct flows *all = g->flows;
	struct flow *f = all->n < all->max ? take_spare(all) : NULL;

	if (!f)
		return NULL;
	*f = (struct flow){ .g = g, .rec = *r };
	f->opened_ns = clock_mono_ns();
	f->in = WBUF_INIT(TLS_HELLO_WIRE_MAX + FLOW_SCRATCH);
	f->client = (struct loop_source){ .fd = fd_take(fd),
					  .fn = flow_serve_client,
					  .slot = -1 };
	f->server = (struct loop_source){ .fd = -1,
					  .fn = flow_serve_server,
					  .slot = -1 };
	f->timer.fn = on_timer;
	flow_way_init(&f->up);
	flow_way_init(&f->down);
	f->next = all->first;
	if (f->next)
		f->next->prev = f;
	all->first = f;
	all->n++;
	return f;
}

static void begin(struct gate *g, int *fd, struct gate_flow *r,
		  bool is_explicit)
{
	struct flow_names n;
	struct verdict v = { .action = VERDICT_PEEK,
			     .rule = -1,
			     .name = -1,
			     .peek_tls = true,
			     .peek_http = true };
	struct flow *f;

	if (!is_explicit) {
		flow_names(g, &r->dst, r->dst_port, false, &n);
		v = verdict_open(g->policy, &n.target);
	}
	r->rule = v.rule;
	if (v.rule >= 0)
		r->protocol = g->policy->rules[v.rule].protocol;
	if (v.action == VERDICT_DENY) {
		refuse(g, fd, r, v.reason);
		return;
	}
	f = flow_new(g, fd, r);
	if (!f) {
		refuse(g, fd, r, GATE_REASON_TABLE_FULL);
		return;
	}
	f->is_explicit = is_explicit;
	if (v.action == VERDICT_PEEK) {
		f->may_tls = v.peek_tls;
		f->may_http = v.peek_http;
		flow_peek(f);
		return;
	}
	f->rec.reason = (uint8_t)v.reason;
	f->sniffs = v.name < 0 &&
		    (r->protocol == GATE_TLS || r->protocol == GATE_HTTP);
	flow_dial(f, v.name < 0 ? NULL : n.names[v.name], r->dst_port);
}

static void accepted(struct flow_listener *l, int taken,
		     const struct sockaddr_storage *peer)
{
	OWNED(fd_drop) int fd = taken;
	struct gate *g = l->g;
	struct gate_flow r = { .protocol = GATE_TCP,
			       .l4 = IPPROTO_TCP,
			       .rule = -1 };
	struct sockaddr_storage own;
	socklen_t n = sizeof(own);

	if (getsockname(fd, (struct sockaddr *)&own, &n) < 0 ||
	    ip_of_sockaddr(&own, &r.dst, &r.dst_port) ||
	    ip_of_sockaddr(peer, &r.src, &r.src_port))
		return;
	if (r.dst_port == PORT_DNS && !l->is_explicit) {
		dns_proxy_tcp(g, fd_take(&fd));
		return;
	}
	r.id = ++g->next_flow;
	r.opened_ms = clock_wall_ms();
	g->stats.flows++;
	begin(g, &fd, &r, l->is_explicit);
}

static void on_rested(struct loop_timer *t)
{
	struct flows *all = loop_of(t, struct flows, rest);

	for (size_t i = 0; i < all->n_listeners; i++)
		loop_want(all->g->loop, &all->listeners[i].source, EPOLLIN);
}

/* Out of descriptors or memory: a listener that stays ready would spin. */
static void rest(struct flows *all)
{
	struct loop *l = all->g->loop;

	if (loop_timer_set(l, &all->rest, loop_now(l) + REST_MS * MS))
		return;
	for (size_t i = 0; i < all->n_listeners; i++)
		loop_want(l, &all->listeners[i].source, 0);
}

/* Return: false if there was none left, or no room */
static bool take_turn(struct flow_listener *l)
{
	struct sockaddr_storage peer;

	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		socklen_t n = sizeof(peer);
		int fd = accept4(l->source.fd, (struct sockaddr *)&peer, &n,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			accepted(l, fd, &peer);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			rest(l->g->flows);
		if (errno != EINTR && errno != ECONNABORTED)
			return false;
	}
	return true;
}

static void on_accept(struct loop_source *s, uint32_t events)
{
	(void)events;
	(void)take_turn(loop_of(s, struct flow_listener, source));
}

/* -- the outside -- */

struct flows *flows_new(struct gate *g)
{
	struct flows *all = calloc(1, sizeof(*all));
	struct rlimit files;

	if (!all)
		return NULL;
	all->g = g;
	all->rest.fn = on_rested;
	all->joined = WBUF_INIT(TLS_HELLO_MAX);
	all->max = FLOW_MAX;
	if (!getrlimit(RLIMIT_NOFILE, &files) &&
	    files.rlim_cur < FLOW_MAX * FLOW_FDS + FLOW_FDS_RESERVE)
		all->max =
			files.rlim_cur > FLOW_FDS_RESERVE + FLOW_FDS
				? (size_t)(files.rlim_cur - FLOW_FDS_RESERVE) /
					  FLOW_FDS
				: 1;
	return all;
}

int flows_tcp(struct gate *g, int taken, bool explicit_proxy)
{
	static const struct {
		int level, name, value;
	} options[] = {
		/* accepted sockets inherit them */
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
	};
	OWNED(fd_drop) int fd = taken;
	struct flows *all = g->flows;
	struct flow_listener *l;
	int r;

	if (all->n_listeners == ARRAY_SIZE(all->listeners))
		return -ENOSPC;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (setsockopt(fd, options[i].level, options[i].name,
			       &options[i].value, sizeof(int)) < 0)
			return -errno;
	l = &all->listeners[all->n_listeners];
	*l = (struct flow_listener){ .g = g,
				     .source = { .fd = fd, .fn = on_accept },
				     .is_explicit = explicit_proxy };
	r = loop_add(g->loop, &l->source, EPOLLIN, true);
	if (r)
		return r;
	all->n_listeners++;
	(void)fd_take(&fd);
	return 0;
}

size_t flows_count(const struct gate *g)
{
	return g->flows->n + flow_udp_count(g->flows);
}

void flows_stop(struct gate *g)
{
	struct flows *all = g->flows;

	for (; all->n_listeners; all->n_listeners--) {
		struct flow_listener *l = &all->listeners[all->n_listeners - 1];

		/* the last of a cell, which nobody has looked at */
		for (int i = 0; i < LAST_TURNS && take_turn(l); i++)
			;
		loop_remove(g->loop, &l->source);
		fd_drop(&l->source.fd);
	}
	loop_timer_clear(g->loop, &all->rest);
	flow_udp_stop(all);
}

void flows_free(struct gate *g)
{
	struct flows *all = g->flows;

	if (!all)
		return;
	flows_stop(g);
	while (all->first) {
		struct flow *f = all->first;

		if (f->state == FLOW_PEEKS ||
		    (f->state == FLOW_DIALS && (f->may_tls || f->may_http)))
			flow_decision(f, GATE_REASON_UNKNOWN_PROTOCOL);
		if (f->state != FLOW_DRAINS)
			f->rec.reason = GATE_REASON_STOPPED;
		flow_end(f, true);
	}
	flow_udp_free(all);
	while (all->spare)
		free(take_spare(all));
	while (all->n_pipes) {
		all->n_pipes--;
		fd_drop(&all->pipes[all->n_pipes][0]);
		fd_drop(&all->pipes[all->n_pipes][1]);
	}
	wbuf_drop(&all->joined);
	free(all->seen);
	free(all);
	g->flows = NULL;
}
