/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Questions to resolvers. Each try has a socket of its own: connected, so that
 * only the server that was asked is heard, at a port the kernel draws, under
 * an id that is drawn too (RFC 5452 9.2). What does not fit all of these has
 * not come.
 */
#include "gate/dns_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/fd.h"
#include "gate/inside.h"

enum {
	LENGTH = 2,
	QUERY_MAX = 512,
	RECEIVE = 16384,
	DATAGRAMS = 8,	 /* read in one turn */
	ALL_MS = 10000,	 /* all tries of a question; clients give up too */
	AVOID_MS = 30000 /* what was silent is asked last for this long */
};

struct ask {
	struct loop_source source; /* fd -1: no try is under way */
	struct loop_timer timer;
	struct dns_upstream *up;
	struct ask *next; /* free */
	struct hostname name;
	uint16_t type;
	struct dns_waiter *waiters; /* NULL: free */
	unsigned n_waiters;
	unsigned first, n_tried; /* resolvers, from @first on */
	bool was_silent;	 /* one of them */
	uint64_t end_ns;	 /* of all tries */
	/* the try */
	uint16_t id, resolver;
	bool is_tcp;
	uint64_t until_ns;
	struct wbuf query; /* behind the length of TCP */
	size_t sent;
	struct wbuf in; /* TCP */
};

struct dns_upstream {
	struct dns_proxy *proxy;
	bool is_closed;
	size_t n_asks; /* under way */
	/* of the arrays: those behind have never been used */
	size_t asks_used, waiters_used;
	struct ask *free_ask;
	struct dns_waiter *free_waiter;
	unsigned first; /* resolver that is asked first */
	uint64_t first_until_ns;
	struct wbuf body;
	struct dns_answer answer;
	char in[RECEIVE];
	struct ask asks[DNS_ASKS_MAX];
	struct dns_waiter waiters[DNS_WAITERS_MAX];
};

static const uint64_t MS = 1000000;

static const struct gate_policy *policy_of(const struct ask *a)
{
	return a->up->proxy->g->policy;
}

static struct loop *loop_of_ask(const struct ask *a)
{
	return a->up->proxy->g->loop;
}

/* -- a try -- */

static void end_try(struct ask *a)
{
	loop_timer_clear(loop_of_ask(a), &a->timer);
	loop_close(loop_of_ask(a), &a->source);
	wbuf_drop(&a->in);
}

/* One of the cell's own, or one outside of it; *@to is where it is to lead. */
static int new_socket(struct gate *g, const struct gate_resolver *r, bool tcp,
		      struct sockaddr_storage *to, socklen_t *ret_n)
{
	const struct gate_policy *p = g->policy;
	int fd;

	if (p->dns_override_port) {
		*ret_n =
			ip_sockaddr(&p->dns_override, p->dns_override_port, to);
		return inside_take(g, p->dns_override.family, !tcp);
	}
	*ret_n = ip_sockaddr(&r->addr, r->port, to);
	fd = socket(to->ss_family,
		    (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC |
			    SOCK_NONBLOCK,
		    0);
	return fd < 0 ? -errno : fd;
}

static int open_socket(struct gate *g, const struct gate_resolver *r, bool tcp)
{
	OWNED(fd_drop) int fd = -1;
	struct sockaddr_storage to;
	socklen_t n;

	fd = new_socket(g, r, tcp, &to, &n);
	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&to, n) < 0 && errno != EINPROGRESS)
		return -errno;
	return fd_take(&fd);
}

static int send_datagram(const struct ask *a)
{
	return send(a->source.fd, a->query.p + LENGTH, a->query.len - LENGTH,
		    MSG_NOSIGNAL) < 0
		       ? -errno
		       : 0;
}

static int build_query(struct ask *a)
{
	size_t n;

	if (getrandom(&a->id, sizeof(a->id), 0) != sizeof(a->id))
		return -EIO;
	wbuf_reset(&a->query);
	wbuf_put(&a->query, "\0", LENGTH);
	dns_query_build(&a->query, a->id, &a->name, a->type, false);
	if (a->query.failed)
		return -ENOMEM;
	n = a->query.len - LENGTH;
	a->query.p[0] = (char)(n >> 8);
	a->query.p[1] = (char)n;
	return 0;
}

static void on_event(struct loop_source *s, uint32_t events);

/* Asks a->resolver. */
static int begin_try(struct ask *a, bool tcp)
{
	const struct gate_policy *policy = policy_of(a);
	uint64_t now = loop_now(loop_of_ask(a)), all = policy->upstream_ms * MS;
	int r = build_query(a);

	if (r)
		return r;
	r = open_socket(a->up->proxy->g, &policy->resolvers[a->resolver], tcp);
	if (r < 0)
		return r;
	a->source = (struct loop_source){ .fd = r, .fn = on_event };
	a->is_tcp = tcp;
	a->sent = 0;
	a->until_ns = now + all < a->end_ns ? now + all : a->end_ns;
	r = loop_add(loop_of_ask(a), &a->source, tcp ? EPOLLOUT : EPOLLIN,
		     false);
	if (!r)
		r = loop_timer_set(loop_of_ask(a), &a->timer,
				   tcp ? a->until_ns
				       : now + (a->until_ns - now) / 2);
	if (!r && !tcp)
		r = send_datagram(a);
	if (r)
		end_try(a);
	return r;
}

/* Return: 0, or -errno if there is no resolver left that can be asked */
static int try_next(struct ask *a)
{
	const struct gate_policy *policy = policy_of(a);
	int r = -EHOSTUNREACH;

	while (a->n_tried < policy->n_resolvers &&
	       loop_now(loop_of_ask(a)) < a->end_ns) {
		a->resolver = (uint16_t)((a->first + a->n_tried++) %
					 policy->n_resolvers);
		r = begin_try(a, policy->resolvers[a->resolver].is_tcp);
		if (!r)
			break;
		a->was_silent = true;
	}
	return r;
}

/* -- a question -- */

static void give_waiter(struct dns_upstream *u, struct dns_waiter *w)
{
	w->next = u->free_waiter;
	u->free_waiter = w;
}

static void release(struct ask *a)
{
	end_try(a);
	a->waiters = NULL;
	a->next = a->up->free_ask;
	a->up->free_ask = a;
	a->up->n_asks--;
}

/* @answer: NULL: there is none, and there will be none */
static void finish(struct ask *a, const struct dns_answer *answer,
		   uint16_t n_records)
{
	struct dns_upstream *u = a->up;
	struct dns_found f = { .answer = answer,
			       .body = wbuf_as_slice(&u->body),
			       .n_records = n_records,
			       .resolver = a->resolver };
	struct dns_waiter *w = a->waiters, *next;

	dns_proxy_found(u->proxy, &a->name, a->type, &f);
	/* an answer makes room for queries, which may need the place */
	release(a);
	for (; w; w = next) {
		next = w->next;
		dns_proxy_reply(u->proxy, w, &f);
		give_waiter(u, w);
	}
}

static void fail_try(struct ask *a, bool silent)
{
	a->was_silent |= silent;
	end_try(a);
	if (try_next(a))
		finish(a, NULL, 0);
}

static void on_time(struct loop_timer *t)
{
	struct ask *a = loop_of(t, struct ask, timer);

	if (loop_now(loop_of_ask(a)) >= a->until_ns) {
		fail_try(a, true);
		return;
	}
	/* half of the time has gone, the query or its answer too perhaps */
	if (send_datagram(a) ||
	    loop_timer_set(loop_of_ask(a), &a->timer, a->until_ns))
		fail_try(a, true);
}

/* -- answers -- */

struct subject {
	const struct gate_policy *policy;
	const struct hostname *name;
};

static bool may_lead_to(void *arg, const struct ip_addr *addr)
{
	const struct subject *s = arg;

	return verdict_answer(s->policy, s->name, addr);
}

/* What was silent is asked last for a while: each question would wait for it.
 */
static void prefer(const struct ask *a)
{
	struct dns_upstream *u = a->up;

	if (!a->was_silent || a->resolver == u->first)
		return;
	u->first = a->resolver;
	u->first_until_ns = loop_now(loop_of_ask(a)) + AVOID_MS * MS;
}

/* Return: false if the message is as good as none */
static bool take_answer(struct ask *a, struct slice msg)
{
	struct dns_upstream *u = a->up;
	struct subject s = { policy_of(a), &a->name };
	struct dns_answer_judge judge = { .address = may_lead_to,
					  .arg = &s,
					  .ttl_min = s.policy->pin_ttl_min,
					  .ttl_max = s.policy->pin_ttl_max };
	uint16_t n;

	wbuf_reset(&u->body);
	if (dns_answer_read(msg, a->id, &a->name, a->type, &judge, &u->body, &n,
			    &u->answer) ||
	    u->body.failed)
		return false;
	if (u->answer.is_truncated) {
		bool was_tcp = a->is_tcp;

		end_try(a);
		if (was_tcp || begin_try(a, true))
			fail_try(a, false);
	} else if (u->answer.rcode != DNS_NOERROR &&
		   u->answer.rcode != DNS_NXDOMAIN) {
		fail_try(a, false);
	} else {
		prefer(a);
		finish(a, &u->answer, n);
	}
	return true;
}

static void read_datagrams(struct ask *a)
{
	struct dns_upstream *u = a->up;

	for (size_t i = 0; i < DATAGRAMS; i++) {
		ssize_t n = recv(a->source.fd, u->in, sizeof(u->in), MSG_TRUNC);

		if (n < 0) {
			/* a refused port is told by ICMP */
			if (errno != EAGAIN)
				fail_try(a, true);
			return;
		}
		if ((size_t)n <= sizeof(u->in) &&
		    take_answer(a, (struct slice){ u->in, (size_t)n }))
			return;
	}
}

static void write_stream(struct ask *a)
{
	/* the first call also says what became of connect() */
	ssize_t n = send(a->source.fd, a->query.p + a->sent,
			 a->query.len - a->sent, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN)
			fail_try(a, true);
		return;
	}
	a->sent += (size_t)n;
	if (a->sent == a->query.len)
		loop_want(loop_of_ask(a), &a->source, EPOLLIN);
}

static void read_stream(struct ask *a)
{
	struct dns_upstream *u = a->up;
	ssize_t n = recv(a->source.fd, u->in, sizeof(u->in), 0);
	struct slice in, msg;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0)
		wbuf_put(&a->in, u->in, (size_t)n);
	in = wbuf_as_slice(&a->in);
	if (n > 0 && !a->in.failed && !cursor_vector(&in, LENGTH, &msg))
		return; /* more is to come */
	if (n <= 0 || a->in.failed || !take_answer(a, msg))
		fail_try(a, true);
}

static void on_event(struct loop_source *s, uint32_t events)
{
	struct ask *a = loop_of(s, struct ask, source);

	(void)events;
	if (!a->is_tcp)
		read_datagrams(a);
	else if (a->sent < a->query.len)
		write_stream(a);
	else
		read_stream(a);
}

/* -- asking -- */

static struct ask *find_ask(struct dns_upstream *u, const struct dns_query *q)
{
	for (size_t i = 0; i < u->asks_used; i++) {
		struct ask *a = &u->asks[i];

		if (a->waiters && a->type == q->type &&
		    hostname_eq(&a->name, &q->name))
			return a;
	}
	return NULL;
}

/* The memory of a cell that asks little is not touched: NULL at the end. */
static struct ask *take_ask(struct dns_upstream *u)
{
	struct ask *a = u->free_ask;

	if (a) {
		u->free_ask = a->next;
	} else if (u->asks_used < DNS_ASKS_MAX) {
		a = &u->asks[u->asks_used++];
		*a = (struct ask){ .source.fd = -1,
				   .timer.fn = on_time,
				   .up = u,
				   .query = WBUF_INIT(QUERY_MAX),
				   .in = WBUF_INIT(LENGTH + DNS_MESSAGE_MAX) };
	} else {
		return NULL;
	}
	u->n_asks++;
	return a;
}

static struct dns_waiter *take_waiter(struct dns_upstream *u)
{
	struct dns_waiter *w = u->free_waiter;

	if (w)
		u->free_waiter = w->next;
	else if (u->waiters_used < DNS_WAITERS_MAX)
		w = &u->waiters[u->waiters_used++];
	return w;
}

static int begin_ask(struct dns_upstream *u, const struct dns_query *q,
		     struct ask **ret)
{
	struct ask *a = take_ask(u);
	uint64_t now = loop_now(u->proxy->g->loop);
	int r;

	if (!a)
		return -EAGAIN;
	if (now >= u->first_until_ns)
		u->first = 0;
	a->name = q->name;
	a->type = q->type;
	a->first = u->first;
	a->n_tried = a->n_waiters = 0;
	a->was_silent = false;
	a->end_ns = now + ALL_MS * MS;
	r = try_next(a);
	if (r)
		release(a);
	else
		*ret = a;
	return r;
}

int dns_upstream_ask(struct dns_upstream *u, const struct dns_client *client,
		     const struct dns_query *q)
{
	struct ask *a = find_ask(u, q);
	struct dns_waiter *w;
	int r = 0;

	if (u->is_closed || q->question.n > sizeof(w->question) ||
	    (a && a->n_waiters == DNS_SHARED_MAX))
		return -EAGAIN;
	w = take_waiter(u);
	if (!w)
		return -EAGAIN;
	if (!a)
		r = begin_ask(u, q, &a);
	if (r) {
		give_waiter(u, w);
		return r;
	}
	w->client = *client;
	w->query = *q;
	memcpy(w->question, q->question.p, q->question.n);
	w->query.question.p = w->question;
	w->since_ns = loop_now(u->proxy->g->loop);
	w->next = a->waiters;
	a->waiters = w;
	a->n_waiters++;
	return 0;
}

/* -- all of it -- */

struct dns_upstream *dns_upstream_new(struct dns_proxy *p)
{
	struct dns_upstream *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->proxy = p;
	u->body = WBUF_INIT(DNS_MESSAGE_MAX);
	return u;
}

size_t dns_upstream_count(const struct dns_upstream *u)
{
	return u->n_asks;
}

void dns_upstream_free(struct dns_upstream **u)
{
	if (!*u)
		return;
	(*u)->is_closed = true;
	for (size_t i = 0; i < (*u)->asks_used; i++) {
		struct ask *a = &(*u)->asks[i];

		if (a->waiters)
			finish(a, NULL, 0);
		wbuf_drop(&a->query);
	}
	wbuf_drop(&(*u)->body);
	free(*u);
	*u = NULL;
}
