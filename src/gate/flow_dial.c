/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Connecting to where the verdict allows: one address after the other. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "gate/flow_int.h"
#include "gate/inside.h"

enum {
	ONE_MS = 5000,	/* of one address */
	ALL_MS = 15000, /* of all of them */
	WAIT_MS = 5,	/* for a socket inside the cell */
};

struct flow_dial {
	struct ip_addr addrs[FLOW_DIAL_MAX];
	size_t n, next;
	uint16_t port;
	bool by_name;
	bool was_own; /* one of them was this host's */
	uint64_t end_ns;
};

void flow_dial_drop(struct flow_dial **d)
{
	free(*d);
	*d = NULL;
}

static void failed(struct flow *f)
{
	if (f->dial && f->dial->was_own) {
		flow_refuse(f, GATE_REASON_ADDRESS_CLASS,
			    GATE_REASON_ADDRESS_CLASS);
		return;
	}
	f->g->stats.dial_failures++;
	flow_refuse(f, GATE_REASON_UNKNOWN_PROTOCOL,
		    GATE_REASON_UPSTREAM_FAILED);
}

static void connected(struct flow *f)
{
	struct flow_dial *d = f->dial;
	struct gate *g = f->g;

	f->rec.is_dialled = true;
	f->rec.dial = d->addrs[d->next - 1];
	f->rec.dial_port = d->port;
	if (d->by_name && !flow_is_overridden(f)) {
		pins_hold(g->pins, &f->rec.question, &f->rec.dial);
		f->holds_pin = true;
	}
	flow_dial_drop(&f->dial);
	flow_decision(f, f->rec.reason);
	flow_count_allowed(g, &f->rec);
	flow_relay_begin(f);
}

static int open_socket(struct flow *f, const struct ip_addr *a)
{
	static const int on = 1;
	int fd =
		flow_is_overridden(f)
			? inside_take(f->g, a->family, false)
			: socket(a->family == 6 ? AF_INET6 : AF_INET,
				 SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		fd_drop(&fd);
	return fd;
}

/* What is near, on this host, has answered before connect() returns: a second
 * call tells, or says EALREADY. */
static bool through(int fd, const struct sockaddr *sa, socklen_t n)
{
	return connect(fd, sa, n) == 0 ||
	       (errno == EINPROGRESS && connect(fd, sa, n) == 0);
}

bool flow_may_reach(const struct gate *g, int fd, const struct ip_addr *a,
		    uint16_t port, bool udp)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	struct ip_addr own;
	uint16_t own_port;

	if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0 ||
	    ip_of_sockaddr(&sa, &own, &own_port))
		return false;
	return !ip_equal(&own, a) ||
	       verdict_opens_own(g->policy,
				 &(struct verdict_target){ .addr = *a,
							   .port = port,
							   .is_udp = udp });
}

/* true: @f->server is connecting; *@ret_done: it has connected */
static bool start(struct flow *f, const struct ip_addr *a, bool *ret_done)
{
	struct sockaddr_storage sa;
	socklen_t n = ip_sockaddr(a, f->dial->port, &sa);
	uint64_t now = loop_now(f->g->loop), left;
	bool waits;

	if (f->dial->end_ns <= now)
		return false;
	left = (f->dial->end_ns - now) / 1000000;
	f->server.fd = open_socket(f, a);
	if (f->server.fd < 0)
		return false;
	*ret_done = through(f->server.fd, (struct sockaddr *)&sa, n);
	waits = !*ret_done && errno == EALREADY;
	if ((*ret_done || waits) && !flow_is_overridden(f) &&
	    !flow_may_reach(f->g, f->server.fd, a, f->dial->port, false)) {
		f->dial->was_own = true;
		flow_will_reset(f->server.fd);
		loop_close(f->g->loop, &f->server);
		return false;
	}
	if (*ret_done || (waits && flow_watch(f, &f->server, EPOLLOUT) &&
			  flow_timer(f, left < ONE_MS ? left : ONE_MS)))
		return true;
	loop_close(f->g->loop, &f->server);
	return false;
}

/* More sockets of the cell's own are on their way from its pid 1. */
static bool must_wait(const struct flow *f)
{
	return flow_is_overridden(f) && f->dial->next < f->dial->n &&
	       loop_now(f->g->loop) < f->dial->end_ns &&
	       !inside_ready(f->g, f->dial->addrs[0].family, false);
}

static void try_next(struct flow *f)
{
	struct flow_dial *d = f->dial;
	bool done = false;

	loop_close(f->g->loop, &f->server);
	if (must_wait(f)) {
		if (!flow_timer(f, WAIT_MS))
			failed(f);
		return;
	}
	while (d->next < d->n) {
		if (!start(f, &d->addrs[d->next++], &done))
			continue;
		if (done)
			connected(f);
		return;
	}
	failed(f);
}

static void find_addresses(struct flow *f)
{
	const struct ip_addr *first = f->is_explicit ? NULL : &f->rec.dst;
	struct flow_dial *d = f->dial;
	struct ip_addr all[FLOW_DIAL_MAX];
	size_t n;

	if (flow_is_overridden(f)) {
		d->port = f->g->policy->sni_override_port;
		d->addrs[d->n++] = f->g->policy->sni_override;
		return;
	}
	if (!d->by_name) {
		d->addrs[d->n++] = f->rec.dst;
		return;
	}
	n = pins_addrs(f->g->pins, &f->rec.question, first,
		       loop_now(f->g->loop), all, FLOW_DIAL_MAX);
	/* what was answered was judged then; it costs nothing to look again */
	for (size_t i = 0; i < n; i++)
		if (verdict_answer(f->g->policy, &f->rec.question, &all[i]))
			d->addrs[d->n++] = all[i];
}

void flow_dial(struct flow *f, const struct hostname *name, uint16_t port)
{
	struct gate *g = f->g;
	struct flow_dial *d = calloc(1, sizeof(*d));

	if (name)
		f->rec.question = *name;
	f->state = FLOW_DIALS;
	f->dial = d;
	if (!d || !flow_watch(f, &f->client, EPOLLIN)) {
		failed(f);
		return;
	}
	d->port = port;
	d->by_name = name != NULL;
	d->end_ns = loop_now(g->loop) + (uint64_t)ALL_MS * 1000000;
	find_addresses(f);
	try_next(f);
}

void flow_dial_event(struct flow *f, uint32_t events)
{
	if (events & (EPOLLERR | EPOLLHUP))
		try_next(f);
	else
		connected(f);
}

void flow_dial_late(struct flow *f)
{
	try_next(f);
}
