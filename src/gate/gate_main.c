/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cellos-gate: the only door of a cell, in a process that holds nothing but
 * its sockets. Started by the supervisor with a channel as descriptor 3; every
 * byte that comes from the cell or from the network ends here.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "gate/confine.h"
#include "gate/inside.h"
#include "gate/record.h"
#include "gate/refused.h"
#include "sys/datagram.h"

enum {
	CHANNEL = 3,
	/* flows have two sockets and a timer each; the rest is small */
	LOOP_MAX = 24576
};

struct self {
	struct gate gate;
	struct loop_source dns_listener;
	struct loop_timer drain;
	bool is_over; /* drained, or out of time */
	struct ip_addr ready_addr;
	uint16_t ready_port;
};

static struct self self;

static void fault(const char *what, int sys) NORETURN;
static void fault(const char *what, int sys)
{
	struct gate_record r = { .type = GATE_FAULT, .fault.sys = sys };

	(void)snprintf(r.fault.text, sizeof(r.fault.text), "%s", what);
	if (datagram_send(CHANNEL, &r, sizeof(r), -1)) {
		/* nobody is there any more */
	}
	_exit(1);
}

static void must(int r, const char *what)
{
	if (r < 0)
		fault(what, -r);
}

/* -- orders -- */

static void accept_dns(struct loop_source *s, uint32_t events)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0)
		dns_proxy_tcp(&self.gate, fd);
}

/* Where a listening socket stands; the first is told to the supervisor. */
static void note_address(int fd)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);

	if (self.ready_port)
		return;
	if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0 ||
	    ip_of_sockaddr(&sa, &self.ready_addr, &self.ready_port))
		fault("address of a listening socket", errno);
}

/* The original's proxies, which a command dials itself. */
static void take_proxy(const struct door_socket *s, int fd)
{
	struct gate *g = &self.gate;

	switch ((enum gate_listen)s->port) {
	case GATE_LISTEN_SNI:
		must(flows_tcp(g, fd, true), "SNI proxy");
		return;
	case GATE_LISTEN_DNS_UDP:
		must(dns_proxy_udp(g, fd, s->family), "DNS proxy");
		return;
	case GATE_LISTEN_DNS_TCP:
		self.dns_listener =
			(struct loop_source){ .fd = fd, .fn = accept_dns };
		must(loop_add(g->loop, &self.dns_listener, EPOLLIN, true),
		     "DNS proxy");
		return;
	}
	fault("a listening socket of no known use", 0);
}

static void take_socket(const struct door_socket *s, int fd)
{
	struct gate *g = &self.gate;

	if (fd < 0 && s->kind != DOOR_DIAL)
		fault("a socket of the cell did not come", 0);
	switch ((enum door_socket_kind)s->kind) {
	case DOOR_TCP:
		note_address(fd);
		must(flows_tcp(g, fd, false), "TCP socket");
		return;
	case DOOR_UDP:
		if (s->port == 53)
			must(dns_proxy_udp(g, fd, s->family), "DNS socket");
		else
			must(flows_udp(g, fd, s->family, s->port),
			     "UDP socket");
		return;
	case DOOR_LISTEN:
		take_proxy(s, fd);
		return;
	case DOOR_DIAL:
		inside_put(g, s->family, s->port == 1, fd);
		return;
	case DOOR_NFLOG:
		must(refused_new(g, fd), "nflog socket");
		return;
	}
	fault("a socket of no known kind", 0);
}

static void look_whether_idle(void)
{
	if (self.gate.stopping && !flows_count(&self.gate) &&
	    dns_proxy_is_idle(&self.gate))
		self.is_over = true;
}

static void stop(void)
{
	struct gate *g = &self.gate;

	if (g->stopping)
		return;
	g->stopping = true;
	/* what the cell did last has only come as far as the sockets */
	dns_proxy_drain(g);
	flows_stop(g);
	must(loop_timer_set(g->loop, &self.drain,
			    loop_now(g->loop) +
				    (uint64_t)g->policy->drain_ms * 1000000),
	     "timer");
}

static void out_of_time(struct loop_timer *t)
{
	(void)t;
	self.is_over = true;
}

static void take_order(const struct gate_order *o, int fd)
{
	struct gate_record r = { .type = GATE_READY };

	switch ((enum gate_order_type)o->type) {
	case GATE_ORDER_SOCKET:
		take_socket(&o->socket, fd);
		return;
	case GATE_ORDER_SOCKETS:
		r.ready.addr = self.ready_addr;
		r.ready.port = self.ready_port;
		record_tell(&self.gate, &r);
		return;
	case GATE_ORDER_OPEN:
		/* what our own self test was refused is not of the command */
		refused_drain(&self.gate);
		recorder_open(&self.gate);
		return;
	case GATE_ORDER_STOP:
		stop();
		return;
	case GATE_ORDER_POLICY:
		break;
	}
	fault("an order that is none", 0);
}

static void on_channel(struct loop_source *s, uint32_t events)
{
	if (events & EPOLLOUT)
		recorder_writable(&self.gate);
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	for (;;) {
		struct gate_order o;
		int fd;
		int r = datagram_recv(s->fd, &o, sizeof(o), &fd, NULL,
				      MSG_DONTWAIT);

		if (r == -EAGAIN)
			return;
		if (r == 0 || r == -ECONNRESET)
			_exit(0); /* the supervisor is gone, and the cell */
		must(r, "channel");
		take_order(&o, fd);
	}
}

/* -- start -- */

static const struct gate_policy *take_policy(struct gate_order *ret)
{
	const struct gate_policy *p;
	struct stat st;
	int fd;

	if (datagram_recv(CHANNEL, ret, sizeof(*ret), &fd, NULL, 0) != 1 ||
	    ret->type != GATE_ORDER_POLICY || fd < 0)
		_exit(1);
	if (fstat(fd, &st) < 0 || st.st_size != (off_t)sizeof(*p))
		fault("policy of another size", 0);
	p = mmap(NULL, sizeof(*p), PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		fault("policy", errno);
	(void)close(fd);
	return p;
}

static int only_channel(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3; i++)
		if (null < 0 || dup2(null, i) < 0)
			return -errno;
	return fd_close_range(CHANNEL + 1, ~0u);
}

static void make_gate(void)
{
	struct gate *g = &self.gate;

	g->next_flow = 1;
	g->loop = loop_new(LOOP_MAX);
	g->pins = pins_new(g->policy->pin_grace);
	if (!g->loop || !g->pins)
		fault("tables", ENOMEM);
	self.drain.fn = out_of_time;
	g->recorder = recorder_new(g, CHANNEL, on_channel);
	g->dns = dns_proxy_new(g);
	g->flows = flows_new(g);
	if (!g->recorder || !g->dns || !g->flows)
		fault("tables", ENOMEM);
}

static bool is_dropped(void)
{
#ifdef CELLOS_TEST_HOOKS
	const char *drop = getenv("CELLOS_TEST_DROP_WALL");

	return drop && !strcmp(drop, "gate");
#else
	return false;
#endif
}

int main(void)
{
	struct gate *g = &self.gate;
	struct gate_order o;
	const char *what;
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	must(only_channel(), "descriptors");
	must(gate_limits(), "limits");
	g->policy = take_policy(&o);
	make_gate();
	r = is_dropped() ? 0 : gate_confine(o.uid, o.gid, &what);
	must(r, what);
	while (!self.is_over) {
		must(loop_turn(g->loop), "epoll_wait");
		if (recorder_lost(g))
			_exit(0);
		look_whether_idle();
	}
	/* refused before the command ended, and not read yet */
	refused_drain(g);
	flows_free(g);
	dns_proxy_free(g);
	recorder_end(g);
	_exit(0);
}
