/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Connections of the cell (RFC 7766): queries one behind the other, answered
 * as their answers come. What a cell does not take stops what is read from it.
 */
#include "gate/dns_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/fd.h"
#include "gate/flow_int.h"

enum {
	LENGTH = 2,
	OUT_HIGH = 64 * 1024, /* not taken yet: no more queries */
	/* one answer more, and those of all that wait, still fit */
	OUT_MAX = OUT_HIGH + (DNS_PIPELINE_MAX + 1) * (LENGTH + DNS_MESSAGE_MAX)
};

struct conn {
	struct loop_source source;
	struct loop_timer timer;
	struct dns_conns *all;
	uint32_t generation;
	unsigned n_waiting;
	bool is_open;
	bool is_at_end; /* the cell sends no more */
	bool is_broken; /* what it sends is not read as queries any more */
	char in[LENGTH + DNS_QUERY_MAX];
	size_t n_in;
	struct wbuf out;
};

struct dns_conns {
	struct dns_proxy *proxy;
	struct wbuf reply;
	struct conn conns[DNS_CONNS_MAX];
};

static const uint64_t MS = 1000000;

struct dns_conns *dns_conns_new(struct dns_proxy *p)
{
	struct dns_conns *cs = calloc(1, sizeof(*cs));

	if (!cs)
		return NULL;
	cs->proxy = p;
	cs->reply = WBUF_INIT(DNS_MESSAGE_MAX);
	return cs;
}

static struct loop *loop_of_conn(const struct conn *c)
{
	return c->all->proxy->g->loop;
}

/* What waits for it is told of all the same when it has its answer. */
static void drop(struct conn *c)
{
	loop_timer_clear(loop_of_conn(c), &c->timer);
	loop_close(loop_of_conn(c), &c->source);
	wbuf_drop(&c->out);
	c->is_open = false;
	c->generation++;
}

size_t dns_conns_count(const struct dns_conns *cs)
{
	size_t n = 0;

	for (size_t i = 0; i < DNS_CONNS_MAX; i++)
		n += cs->conns[i].is_open;
	return n;
}

void dns_conns_free(struct dns_conns **cs)
{
	if (!*cs)
		return;
	for (size_t i = 0; i < DNS_CONNS_MAX; i++)
		if ((*cs)->conns[i].is_open)
			drop(&(*cs)->conns[i]);
	wbuf_drop(&(*cs)->reply);
	free(*cs);
	*cs = NULL;
}

static void on_idle(struct loop_timer *t)
{
	drop(loop_of(t, struct conn, timer));
}

static bool keep(struct conn *c)
{
	return loop_timer_set(loop_of_conn(c), &c->timer,
			      loop_now(loop_of_conn(c)) + DNS_IDLE_MS * MS) ==
	       0;
}

static void put_answer(struct conn *c, struct slice msg)
{
	wbuf_byte(&c->out, (char)(msg.n >> 8));
	wbuf_byte(&c->out, (char)msg.n);
	wbuf_slice(&c->out, msg);
}

/* -- queries -- */

/* The first message of what was read; false if it is not there whole. */
static bool next_query(struct conn *c, struct slice *ret)
{
	struct slice s = { c->in, c->n_in };
	uint32_t n;

	if (!cursor_uint(&s, LENGTH, &n))
		return false;
	/* neither can be a query; the second never fits */
	if (n == 0 || n > DNS_QUERY_MAX) {
		*ret = (struct slice){ NULL, 0 };
		return true;
	}
	return cursor_take(&s, n, ret);
}

static void serve(struct conn *c, struct slice msg)
{
	struct dns_conns *cs = c->all;
	struct dns_client client = { .conn = (uint32_t)(c - cs->conns),
				     .generation = c->generation };

	wbuf_reset(&cs->reply);
	switch (dns_proxy_serve(cs->proxy, &client, msg, false, &cs->reply)) {
	case DNS_DONE:
		put_answer(c, wbuf_as_slice(&cs->reply));
		c->out.failed |= cs->reply.failed;
		break;
	case DNS_WAITS:
		c->n_waiting++;
		break;
	case DNS_BROKEN:
		c->is_broken = true;
		break;
	}
}

static bool may_take(const struct conn *c)
{
	return !c->is_broken && c->n_waiting < DNS_PIPELINE_MAX &&
	       c->out.len < OUT_HIGH;
}

/* Return: false if there was none to take. */
static bool take_query(struct conn *c)
{
	struct slice msg;
	size_t n;

	if (!may_take(c) || !next_query(c, &msg))
		return false;
	if (msg.n == 0) {
		dns_proxy_broken(c->all->proxy);
		c->is_broken = true;
		return true;
	}
	serve(c, msg);
	n = LENGTH + msg.n;
	c->n_in -= n;
	memmove(c->in, c->in + n, c->n_in);
	return true;
}

/* -- the stream -- */

static bool flush(struct conn *c)
{
	struct wbuf *out = &c->out;
	ssize_t n;

	if (out->failed)
		return false;
	while (out->len) {
		n = send(c->source.fd, out->p, out->len,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN;
		out->len -= (size_t)n;
		memmove(out->p, out->p + n, out->len);
		if (!keep(c))
			return false;
	}
	return true;
}

static void pump(struct conn *c)
{
	struct slice msg;

	do {
		while (take_query(c))
			;
		if (!flush(c)) {
			drop(c);
			return;
		}
		/* what was flushed made room: no event tells of what was read
		 * before */
	} while (may_take(c) && next_query(c, &msg));
	if ((c->is_at_end || c->is_broken) && !c->n_waiting && !c->out.len) {
		drop(c);
		return;
	}
	loop_want(loop_of_conn(c), &c->source,
		  (may_take(c) && !c->is_at_end ? EPOLLIN : 0u) |
			  (c->out.len ? EPOLLOUT : 0u));
}

static void on_event(struct loop_source *s, uint32_t events)
{
	struct conn *c = loop_of(s, struct conn, source);
	ssize_t n = 0;

	if (events & (EPOLLERR | EPOLLHUP)) {
		drop(c);
		return;
	}
	if (events & EPOLLIN) {
		n = recv(s->fd, c->in + c->n_in, sizeof(c->in) - c->n_in,
			 MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN) {
			drop(c);
			return;
		}
		if (n == 0)
			c->is_at_end = true;
		else if (n > 0)
			c->n_in += (size_t)n;
	}
	pump(c);
}

/* Queries are told one by one: what brought none is told as a connection. */
static void turn_away(struct gate *g, int *fd)
{
	struct gate_flow r = { .id = ++g->next_flow,
			       .reason = GATE_REASON_TABLE_FULL,
			       .protocol = GATE_TCP,
			       .l4 = IPPROTO_TCP,
			       .rule = -1,
			       .opened_ms = clock_wall_ms() };
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa), m = sizeof(sa);

	/* who has gone meanwhile has no address any more */
	if ((getpeername(*fd, (struct sockaddr *)&sa, &n) == 0 &&
	     ip_of_sockaddr(&sa, &r.src, &r.src_port)) ||
	    (getsockname(*fd, (struct sockaddr *)&sa, &m) == 0 &&
	     ip_of_sockaddr(&sa, &r.dst, &r.dst_port)))
		r.src_port = r.dst_port = 0;
	g->stats.flows++;
	g->stats.flows_denied++;
	fd_drop(fd);
	record_flow(g, GATE_FLOW, &r);
}

void dns_conns_add(struct dns_conns *cs, int fd)
{
	struct conn *c = cs->conns;

	while (c < cs->conns + DNS_CONNS_MAX && c->is_open)
		c++;
	if (c == cs->conns + DNS_CONNS_MAX) {
		turn_away(cs->proxy->g, &fd);
		return;
	}
	*c = (struct conn){ .source = { .fd = fd, .fn = on_event },
			    .timer.fn = on_idle,
			    .all = cs,
			    .generation = c->generation,
			    .is_open = true,
			    .out = WBUF_INIT(OUT_MAX) };
	if (loop_add(cs->proxy->g->loop, &c->source, EPOLLIN, true) || !keep(c))
		drop(c);
}

void dns_conns_answer(struct dns_conns *cs, const struct dns_client *client,
		      struct slice msg)
{
	struct conn *c = &cs->conns[client->conn];

	if (!c->is_open || c->generation != client->generation)
		return;
	c->n_waiting--;
	put_answer(c, msg);
	pump(c);
}
