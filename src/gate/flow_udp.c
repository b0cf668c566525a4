/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Datagrams: a flow is two addresses and two ports. Each has a connected
 * socket outside; its answers go back from where the cell sent to, through the
 * wildcard socket they came in by.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "gate/flow_int.h"
#include "sys/pktinfo.h"

enum {
	BATCH = 16, /* datagrams of one socket, a turn */
	LAST_TURNS = 1024,
	DATAGRAM_MAX = 65536,
	BUCKETS = 1024,
	IDLE_MS = 60000,
	DENIED_MS = 5000 /* as long is a denial not judged again */
};

static const uint64_t MS = 1000000;

struct udp_listener {
	struct gate *g;
	struct udp_listener *next;
	struct loop_source source;
	uint8_t family;
	uint16_t port;
};

struct udp_flow {
	struct udp_flow *chain; /* in its bucket */
	struct udp_flow *older, *newer;
	struct udp_listener *listener;
	struct loop_source server; /* fd -1: denied */
	struct loop_timer timer;
	uint64_t opened_ns, active_ns;
	struct flow_budget up, down;
	bool holds_pin;
	struct gate_flow rec;
};

struct flow_udp {
	struct udp_listener *listeners;
	struct udp_flow *buckets[BUCKETS];
	struct udp_flow *oldest, *newest;
	size_t n, n_alive;
	char data[BATCH][DATAGRAM_MAX];
};

/* -- table -- */

static struct udp_flow **bucket(struct flow_udp *u, const struct gate_flow *r)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < sizeof(r->src.b); i++)
		h = (h ^ r->src.b[i] ^ (uint32_t)r->dst.b[i] << 8) * 16777619u;
	h = (h ^ r->src_port ^ (uint32_t)r->dst_port << 16) * 16777619u;
	return &u->buckets[(h >> 16 ^ h) % BUCKETS];
}

static struct udp_flow *find(struct flow_udp *u, const struct gate_flow *r)
{
	struct udp_flow *f = *bucket(u, r);

	while (f && !(f->rec.src_port == r->src_port &&
		      f->rec.dst_port == r->dst_port &&
		      ip_equal(&f->rec.src, &r->src) &&
		      ip_equal(&f->rec.dst, &r->dst)))
		f = f->chain;
	return f;
}

static void tell(struct udp_flow *f)
{
	struct gate *g = f->listener->g;

	f->rec.duration_ms = (clock_mono_ns() - f->opened_ns) / MS;
	g->stats.up += f->rec.up;
	g->stats.down += f->rec.down;
	record_flow(g, GATE_FLOW, &f->rec);
}

static void close_server(struct udp_flow *f)
{
	struct gate *g = f->listener->g;

	if (f->server.fd < 0)
		return;
	loop_remove(g->loop, &f->server);
	fd_drop(&f->server.fd);
	g->flows->udp->n_alive--;
	if (f->holds_pin)
		pins_release(g->pins, &f->rec.question, &f->rec.dial);
	f->holds_pin = false;
}

static void forget(struct udp_flow *f)
{
	struct gate *g = f->listener->g;
	struct flow_udp *u = g->flows->udp;
	struct udp_flow **at = bucket(u, &f->rec);

	close_server(f);
	loop_timer_clear(g->loop, &f->timer);
	while (*at != f)
		at = &(*at)->chain;
	*at = f->chain;
	if (f->older)
		f->older->newer = f->newer;
	else
		u->oldest = f->newer;
	if (f->newer)
		f->newer->older = f->older;
	else
		u->newest = f->older;
	u->n--;
	free(f);
}

static bool wait_more(struct udp_flow *f, uint64_t ms)
{
	struct loop *l = f->listener->g->loop;

	return !loop_timer_set(l, &f->timer, loop_now(l) + ms * MS);
}

/* It stays in the table as a denial: told already. */
static void turn_down(struct udp_flow *f, enum gate_reason why)
{
	f->rec.reason = (uint8_t)why;
	f->listener->g->stats.flows_denied++;
	tell(f);
	close_server(f);
	if (!wait_more(f, DENIED_MS))
		forget(f);
}

static uint64_t idle_ms(const struct gate *g)
{
	return g->policy->idle_ms < IDLE_MS ? g->policy->idle_ms : IDLE_MS;
}

static void on_timer(struct loop_timer *t)
{
	struct udp_flow *f = loop_of(t, struct udp_flow, timer);
	struct gate *g = f->listener->g;
	uint64_t idle = (loop_now(g->loop) - f->active_ns) / MS;

	if (f->server.fd < 0) {
		forget(f);
		return;
	}
	if (idle < idle_ms(g) && wait_more(f, idle_ms(g) - idle))
		return;
	tell(f);
	forget(f);
}

/* -- answers -- */

static void answer(struct udp_flow *f, char *p, size_t n)
{
	struct sockaddr_storage to;
	struct iovec part = { p, n };
	struct msghdr m = { .msg_name = &to,
			    .msg_iov = &part,
			    .msg_iovlen = 1 };
	struct pktinfo c;

	m.msg_namelen = ip_sockaddr(&f->rec.src, f->rec.src_port, &to);
	pktinfo_put(&m, &c, &f->rec.dst);
	/* a full buffer loses a datagram, as any router's does */
	if (sendmsg(f->listener->source.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >=
	    0)
		f->rec.down += n;
}

static void on_answer(struct loop_source *s, uint32_t events)
{
	struct udp_flow *f = loop_of(s, struct udp_flow, server);
	struct gate *g = f->listener->g;
	char *p = g->flows->udp->data[0];

	(void)events;
	for (int i = 0; i < BATCH; i++) {
		ssize_t n = recv(s->fd, p, DATAGRAM_MAX, MSG_DONTWAIT);

		/* the rest are errors of datagrams before, told once each */
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			continue;
		if ((uint64_t)n > flow_budget_left(&f->down)) {
			turn_down(f, GATE_REASON_BUDGET_DOWN);
			return;
		}
		flow_budget_take(&f->down, (uint64_t)n);
		f->active_ns = loop_now(g->loop);
		answer(f, p, (size_t)n);
	}
}

/* -- from the cell -- */

static int connect_to(const struct ip_addr *a, uint16_t port)
{
	struct sockaddr_storage sa;
	socklen_t n = ip_sockaddr(a, port, &sa);
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, n) < 0)
		fd_drop(&fd);
	return fd;
}

/* An allowing reason, or why it goes nowhere */
static enum gate_reason allow(struct udp_flow *f, const struct verdict *v,
			      const struct flow_names *names)
{
	struct gate *g = f->listener->g;

	f->up = flow_budget(g, v->rule, true);
	f->down = flow_budget(g, v->rule, false);
	f->rec.dial = f->rec.dst;
	f->rec.dial_port = f->rec.dst_port;
	f->server.fd = connect_to(&f->rec.dial, f->rec.dial_port);
	if (f->server.fd >= 0 && !flow_may_reach(g, f->server.fd, &f->rec.dial,
						 f->rec.dial_port, true)) {
		fd_drop(&f->server.fd);
		return GATE_REASON_ADDRESS_CLASS;
	}
	if (f->server.fd < 0 || loop_add(g->loop, &f->server, EPOLLIN, false) ||
	    !wait_more(f, idle_ms(g))) {
		loop_remove(g->loop, &f->server);
		fd_drop(&f->server.fd);
		g->stats.dial_failures++;
		return GATE_REASON_UPSTREAM_FAILED;
	}
	g->flows->udp->n_alive++;
	f->rec.is_dialled = true;
	if (v->name >= 0) {
		f->rec.question = *names->names[v->name];
		pins_hold(g->pins, &f->rec.question, &f->rec.dial);
		f->holds_pin = true;
	}
	record_flow(g, GATE_DECISION, &f->rec);
	flow_count_allowed(g, &f->rec);
	return v->reason;
}

/* Room for one more: denials go before it, the oldest first. */
static bool make_room(struct flow_udp *u)
{
	struct udp_flow *f = u->oldest;

	if (u->n < FLOW_UDP_MAX)
		return true;
	while (f && f->server.fd >= 0)
		f = f->newer;
	if (f)
		forget(f);
	return f != NULL;
}

static struct udp_flow *add(struct udp_listener *l, const struct gate_flow *r)
{
	struct flow_udp *u = l->g->flows->udp;
	struct udp_flow *f = make_room(u) ? calloc(1, sizeof(*f)) : NULL;
	struct udp_flow **at = bucket(u, r);

	if (!f)
		return NULL;
	f->listener = l;
	f->server =
		(struct loop_source){ .fd = -1, .fn = on_answer, .slot = -1 };
	f->timer.fn = on_timer;
	f->rec = *r;
	f->opened_ns = f->active_ns = loop_now(l->g->loop);
	f->chain = *at;
	*at = f;
	f->older = u->newest;
	if (f->older)
		f->older->newer = f;
	else
		u->oldest = f;
	u->newest = f;
	u->n++;
	return f;
}

/* The first datagram; NULL: it goes nowhere */
static struct udp_flow *open_flow(struct udp_listener *l, struct gate_flow *r)
{
	struct gate *g = l->g;
	struct flow_names names;
	enum gate_reason why;
	struct udp_flow *f;
	struct verdict v;

	flow_names(g, &r->dst, r->dst_port, true, &names);
	v = verdict_open(g->policy, &names.target);
	r->id = ++g->next_flow;
	r->opened_ms = clock_wall_ms();
	r->rule = v.rule;
	r->reason =
		(uint8_t)(v.action == VERDICT_ALLOW || v.action == VERDICT_DENY
				  ? v.reason
				  : GATE_REASON_NO_RULE);
	g->stats.flows++;
	f = add(l, r);
	if (!f) {
		r->reason = GATE_REASON_TABLE_FULL;
		g->stats.flows_denied++;
		record_flow(g, GATE_FLOW, r);
		return NULL;
	}
	if (v.action != VERDICT_ALLOW || v.rule < 0) {
		turn_down(f, f->rec.reason);
		return NULL;
	}
	why = allow(f, &v, &names);
	if (gate_reason_allows(why))
		return f;
	turn_down(f, why);
	return NULL;
}

static void forward(struct udp_listener *l, struct gate_flow *r, const char *p,
		    size_t n)
{
	struct udp_flow *f = find(l->g->flows->udp, r);

	if (!f)
		f = open_flow(l, r);
	if (!f || f->server.fd < 0)
		return;
	if (n > flow_budget_left(&f->up)) {
		turn_down(f, GATE_REASON_BUDGET_UP);
		return;
	}
	flow_budget_take(&f->up, n);
	f->active_ns = loop_now(l->g->loop);
	if (send(f->server.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		f->rec.up += n;
}

/* Return: false if there was none */
static bool take_turn(struct udp_listener *l)
{
	struct flow_udp *u = l->g->flows->udp;
	struct sockaddr_storage from[BATCH];
	struct pktinfo control[BATCH];
	struct iovec part[BATCH];
	struct mmsghdr m[BATCH] = { 0 };
	int n;

	for (int i = 0; i < BATCH; i++) {
		part[i] = (struct iovec){ u->data[i], DATAGRAM_MAX };
		m[i].msg_hdr = (struct msghdr){
			.msg_name = &from[i],
			.msg_namelen = sizeof(from[i]),
			.msg_iov = &part[i],
			.msg_iovlen = 1,
			.msg_control = &control[i],
			.msg_controllen = sizeof(control[i]),
		};
	}
	n = recvmmsg(l->source.fd, m, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		struct gate_flow r = { .protocol = GATE_UDP,
				       .l4 = IPPROTO_UDP,
				       .dst_port = l->port,
				       .rule = -1 };

		if (!ip_of_sockaddr(&from[i], &r.src, &r.src_port) &&
		    pktinfo_read(&m[i].msg_hdr, &r.dst))
			forward(l, &r, u->data[i], m[i].msg_len);
	}
	return n > 0;
}

static void on_datagrams(struct loop_source *s, uint32_t events)
{
	(void)events;
	(void)take_turn(loop_of(s, struct udp_listener, source));
}

/* -- the outside -- */

int flows_udp(struct gate *g, int taken, uint8_t family, uint16_t port)
{
	OWNED(fd_drop) int fd = taken;
	bool is_v6 = family == 6;
	const int on = 1;
	struct udp_listener *l;
	int r;

	if (setsockopt(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		       is_v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on,
		       sizeof(on)) < 0)
		return -errno;
	if (!g->flows->udp)
		g->flows->udp = calloc(1, sizeof(*g->flows->udp));
	l = g->flows->udp ? calloc(1, sizeof(*l)) : NULL;
	if (!l)
		return -ENOMEM;
	*l = (struct udp_listener){
		.g = g,
		.next = g->flows->udp->listeners,
		.source = { .fd = fd, .fn = on_datagrams, .slot = -1 },
		.family = family,
		.port = port,
	};
	r = loop_add(g->loop, &l->source, EPOLLIN, true);
	if (r) {
		free(l);
		return r;
	}
	g->flows->udp->listeners = l;
	(void)fd_take(&fd);
	return 0;
}

size_t flow_udp_count(const struct flows *all)
{
	return all->udp ? all->udp->n_alive : 0;
}

/* Nobody is there any more who could be answered: nothing is to be waited for.
 */
void flow_udp_stop(struct flows *all)
{
	struct flow_udp *u = all->udp;

	if (!u)
		return;
	for (struct udp_listener *l = u->listeners; l; l = l->next) {
		/* as with connections; once, for flows_free() comes here too */
		for (int i = 0;
		     i < LAST_TURNS && l->source.slot >= 0 && take_turn(l); i++)
			;
		loop_remove(all->g->loop, &l->source);
	}
	while (u->oldest) {
		struct udp_flow *f = u->oldest;

		if (f->server.fd >= 0)
			tell(f);
		forget(f);
	}
}

void flow_udp_free(struct flows *all)
{
	struct flow_udp *u = all->udp;

	if (!u)
		return;
	while (u->listeners) {
		struct udp_listener *l = u->listeners;

		u->listeners = l->next;
		loop_remove(all->g->loop, &l->source);
		fd_drop(&l->source.fd);
		free(l);
	}
	free(u);
	all->udp = NULL;
}
