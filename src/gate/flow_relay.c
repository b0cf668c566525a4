/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Bytes both ways. What is much goes by splice(2) and is not copied; what is
 * little goes by recv(2) and send(2), which are cheaper then. A side that ends
 * is told to the other one only; the flow ends with the second.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "gate/flow_int.h"

enum {
	CHUNK = 1 << 16,   /* a pipe's size */
	ROUNDS = 8,	   /* of one way before the others have their turn */
	SMALL = 1 << 14,   /* after less than this the socket is empty */
	BY_HAND = 1 << 13, /* at most; any pipe has room for so much */
	KEPT_MS = 30000,   /* from here on a server is asked if it lives */
	KEEPALIVE_IDLE_S = 60,
	QUIET_MS = 50, /* of a server: its answers are through */
	DRAIN_MS = 1000
};

enum moved {
	MOVED,
	MOVED_FAILED, /* reading: the flow cannot go on */
	MOVED_OVER,   /* the budget, and a byte more is there */
	MOVED_DENIED
};

struct ends {
	struct flow *f;
	struct flow_way *way;
	struct loop_source *from, *to;
	bool is_due; /* @from was not yet read until it was empty */
	uint32_t *want_from, *want_to; /* EPOLL* */
	uint64_t *count;
};

/* -- pipes -- */

void flow_way_init(struct flow_way *w)
{
	*w = (struct flow_way){ .pipe = { -1, -1 } };
}

/* Is there one for the next who needs it? */
static bool has_pipe(struct flows *all)
{
	if (!all->n_pipes && pipe2(all->pipes[0], O_NONBLOCK | O_CLOEXEC) == 0)
		all->n_pipes++;
	return all->n_pipes;
}

static bool take_pipe(struct flows *all, struct flow_way *w)
{
	if (w->pipe[0] >= 0)
		return true;
	if (!has_pipe(all))
		return false;
	all->n_pipes--;
	memcpy(w->pipe, all->pipes[all->n_pipes], sizeof(w->pipe));
	return true;
}

void flow_way_drop(struct flows *all, struct flow_way *w)
{
	if (w->pipe[0] >= 0 && !w->in_pipe && all->n_pipes < FLOW_PIPES_KEPT) {
		memcpy(all->pipes[all->n_pipes++], w->pipe, sizeof(w->pipe));
		w->pipe[0] = w->pipe[1] = -1;
	}
	fd_drop(&w->pipe[0]);
	fd_drop(&w->pipe[1]);
	w->in_pipe = 0;
}

/* -- one way -- */

static bool is_later(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* The reader is gone. What it said before that may still go the other way. */
static void give_up(struct ends *e)
{
	flow_way_drop(e->f->g->flows, e->way);
	e->way->eof = e->way->is_shut = e->way->is_lost = true;
}

/* A socket that was reset needs no reset of ours. */
static enum moved broken(struct ends *e)
{
	if (errno == ECONNRESET)
		loop_close(e->f->g->loop, e->from);
	return MOVED_FAILED;
}

/* true: the pipe is empty */
static bool flush(struct ends *e)
{
	struct flow_way *w = e->way;

	while (w->in_pipe) {
		ssize_t n =
			splice(w->pipe[0], NULL, e->to->fd, NULL, w->in_pipe,
			       SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

		if (n > 0) {
			w->in_pipe -= (size_t)n;
			*e->count += (uint64_t)n;
		} else if (n < 0 && is_later()) {
			*e->want_to |= EPOLLOUT;
			return false;
		} else {
			give_up(e);
			return false;
		}
	}
	flow_way_drop(e->f->g->flows, w);
	return true;
}

/* Nothing may be read now: is there something, or the end?
 * MOVED_OVER: there is something */
static enum moved look_ahead(struct ends *e)
{
	ssize_t n = -1;
	char c;

	if (e->is_due)
		n = recv(e->from->fd, &c, 1, MSG_PEEK);
	if (n > 0)
		return MOVED_OVER;
	if (n == 0)
		e->way->eof = true;
	else if (e->is_due && !is_later())
		return broken(e);
	else
		*e->want_from |= EPOLLIN;
	return MOVED;
}

static size_t least(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t n = a < b ? a : b;

	return (size_t)(n < c ? n : c);
}

/* Bytes that were read and taken from the budget; what the other side does not
 * take now waits in a pipe. */
static enum moved hand_over(struct ends *e, const char *p, size_t n)
{
	struct flow_way *w = e->way;
	ssize_t sent = send(e->to->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0 && !is_later()) {
		give_up(e);
		return MOVED;
	}
	if (sent > 0) {
		*e->count += (uint64_t)sent;
		p += sent;
		n -= (size_t)sent;
	}
	if (!n)
		return MOVED;
	if (!take_pipe(e->f->g->flows, w) ||
	    write(w->pipe[1], p, n) != (ssize_t)n)
		return MOVED_FAILED;
	w->in_pipe = n;
	return MOVED;
}

static enum moved by_hand(struct ends *e, uint64_t *limit)
{
	struct flow_way *w = e->way;
	char *p = e->f->g->flows->scratch;
	size_t max = least(BY_HAND, *limit, flow_budget_left(&w->budget));
	ssize_t n = recv(e->from->fd, p, max, 0);

	if (n < 0 && !is_later())
		return broken(e);
	e->is_due = n > 0 && (size_t)n == max;
	w->eof = n == 0;
	if (n <= 0)
		return MOVED;
	w->is_bulk = n == BY_HAND;
	flow_budget_take(&w->budget, (uint64_t)n);
	*limit -= (uint64_t)n;
	return hand_over(e, p, (size_t)n);
}

static enum moved by_pipe(struct ends *e, uint64_t *limit)
{
	struct flow_way *w = e->way;
	ssize_t n;

	if (!take_pipe(e->f->g->flows, w))
		return MOVED_FAILED; /* there was one */
	n = splice(e->from->fd, NULL, w->pipe[1], NULL,
		   least(CHUNK, *limit, flow_budget_left(&w->budget)),
		   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n < 0 && !is_later())
		return broken(e);
	if (n > 0) {
		w->in_pipe = (size_t)n;
		flow_budget_take(&w->budget, (uint64_t)n);
		*limit -= (uint64_t)n;
	}
	w->eof = n == 0;
	w->is_bulk = e->is_due = n >= SMALL;
	return MOVED;
}

/* Without a pipe: what is sent is read after it is known how much that was. */
static enum moved copy(struct ends *e, uint64_t *limit)
{
	struct flow_way *w = e->way;
	char *p = e->f->g->flows->scratch;
	ssize_t n =
		recv(e->from->fd, p,
		     least(FLOW_SCRATCH, *limit, flow_budget_left(&w->budget)),
		     MSG_PEEK);

	if (n == 0)
		w->eof = true;
	if (n < 0 && !is_later())
		return broken(e);
	if (n <= 0) {
		*e->want_from |= w->eof ? 0 : EPOLLIN;
		return MOVED;
	}
	n = send(e->to->fd, p, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0) {
		if (is_later())
			*e->want_to |= EPOLLOUT;
		else
			give_up(e);
		return MOVED;
	}
	if (recv(e->from->fd, p, (size_t)n, 0) != n)
		return MOVED_FAILED;
	flow_budget_take(&w->budget, (uint64_t)n);
	*limit -= (uint64_t)n;
	*e->count += (uint64_t)n;
	*e->want_from |= EPOLLIN;
	return MOVED;
}

/* @limit: how many may pass; counted down */
static enum moved move(struct ends *e, uint64_t *limit)
{
	struct flow_way *w = e->way;
	enum moved m = MOVED;

	for (int i = 0; i < ROUNDS; i++) {
		if (!flush(e))
			return MOVED;
		if (w->eof || !*limit || !e->is_due)
			break;
		if (!flow_budget_left(&w->budget))
			return look_ahead(e);
		/* what is read by hand may need one too */
		if (!has_pipe(e->f->g->flows))
			return copy(e, limit);
		m = w->is_bulk ? by_pipe(e, limit) : by_hand(e, limit);
		if (m)
			return m;
	}
	if (!flush(e))
		return MOVED;
	if (!w->eof && *limit)
		*e->want_from |= EPOLLIN;
	return MOVED;
}

static void pass_end(struct ends *e)
{
	struct flow_way *w = e->way;

	if (!w->eof || w->is_shut || w->in_pipe)
		return;
	w->is_shut = true;
	if (shutdown(e->to->fd, SHUT_WR) < 0) {
		/* it is closed already, which its other way finds out */
	}
}

/* -- to the client -- */

/* Bytes of which somebody wants to see the first */
static enum moved look_at_first(struct ends *e)
{
	struct flow *f = e->f;
	char *p = f->g->flows->scratch;
	size_t max = least(BY_HAND, flow_budget_left(&e->way->budget), BY_HAND),
	       seen;
	ssize_t n = recv(e->from->fd, p, max, 0);
	enum moved m;

	if (n < 0 && !is_later())
		return broken(e);
	e->is_due = n > 0 && (size_t)n == max;
	if (n == 0) {
		e->way->eof = true;
		f->see(f, true);
	}
	if (n <= 0)
		return MOVED;
	flow_budget_take(&e->way->budget, (uint64_t)n);
	seen = least((uint64_t)n, FLOW_FIRST - f->n_first, FLOW_FIRST);
	memcpy(f->first + f->n_first, p, seen);
	f->n_first += seen;
	m = hand_over(e, p, (size_t)n);
	f->see(f, f->n_first == FLOW_FIRST);
	return m;
}

static enum moved move_down(struct ends *e)
{
	struct flow *f = e->f;
	uint64_t all = UINT64_MAX;
	enum moved m;

	if (f->see && e->is_due && flow_budget_left(&e->way->budget) &&
	    !e->way->eof && flush(e)) {
		m = look_at_first(e);
		if (m)
			return m;
	}
	if (f->see && flow_budget_left(&e->way->budget) && !e->way->eof) {
		if (flush(e))
			*e->want_from |= EPOLLIN;
		return MOVED;
	}
	return move(e, &all);
}

/* -- to the server -- */

struct slice flow_unjudged(const struct flow *f)
{
	size_t at = f->sent + f->ready;

	if (at == f->in.len)
		return (struct slice){ NULL, 0 };
	return (struct slice){ f->in.p + at, f->in.len - at };
}

static void forget_sent(struct flow *f)
{
	if (!f->sent)
		return;
	f->in.len -= f->sent;
	memmove(f->in.p, f->in.p + f->sent, f->in.len);
	f->sent = 0;
}

bool flow_keep(struct flow *f, const void *p, size_t n)
{
	struct flows *all = f->g->flows;
	size_t cap = f->in.cap;

	forget_sent(f);
	if (cap - f->in.len <= n && all->held >= FLOW_HELD_MAX)
		return false;
	wbuf_put(&f->in, p, n);
	all->held += f->in.cap - cap;
	return !f->in.failed;
}

void flow_keep_none(struct flow *f)
{
	f->g->flows->held -= f->in.cap;
	wbuf_drop(&f->in);
}

/* MOVED with f->ready: the server takes no more now */
static enum moved send_ready(struct ends *e)
{
	struct flow *f = e->f;

	while (f->ready) {
		size_t max = least(f->ready, flow_budget_left(&e->way->budget),
				   UINT64_MAX);
		ssize_t n;

		if (!max)
			return MOVED_OVER;
		n = send(e->to->fd, f->in.p + f->sent, max,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0) {
			if (is_later())
				*e->want_to |= EPOLLOUT;
			else
				give_up(e);
			return MOVED;
		}
		f->sent += (size_t)n;
		f->ready -= (size_t)n;
		flow_budget_take(&e->way->budget, (uint64_t)n);
		*e->count += (uint64_t)n;
	}
	/* a flow that rests holds no buffer */
	if (f->sent == f->in.len) {
		flow_keep_none(f);
		f->sent = 0;
	}
	return MOVED;
}

/* false: none now, or never again */
static bool read_more(struct ends *e, enum moved *ret)
{
	struct flows *all = e->f->g->flows;
	ssize_t n = -1;

	if (e->way->eof)
		return false;
	if (e->is_due)
		n = recv(e->from->fd, all->scratch, sizeof(all->scratch), 0);
	if (n > 0) {
		*ret = flow_keep(e->f, all->scratch, (size_t)n) ? MOVED
								: MOVED_FAILED;
		return *ret == MOVED;
	}
	if (n == 0)
		e->way->eof = true; /* a head that was begun goes nowhere */
	else if (e->is_due && !is_later())
		*ret = broken(e);
	else
		*e->want_from |= EPOLLIN;
	return false;
}

static enum moved move_up(struct ends *e)
{
	struct flow *f = e->f;
	uint64_t all = UINT64_MAX;
	enum moved m = MOVED;

	for (int i = 0; i < ROUNDS; i++) {
		m = send_ready(e);
		if (m || f->ready || e->way->is_shut)
			return m;
		if (f->pass) {
			m = move(e, &f->pass);
			if (m || f->pass || e->way->in_pipe)
				return m;
		}
		if (!f->judge && flow_unjudged(f).n)
			f->ready = flow_unjudged(f).n;
		else if (!f->judge)
			return move(e, &all);
		else
			switch (f->judge(f)) {
			case FLOW_READY:
				break;
			case FLOW_NEEDS:
				if (!read_more(e, &m))
					return m;
				break;
			case FLOW_HELD:
				if (flow_unjudged(f).n)
					return MOVED;
				m = look_ahead(e);
				return m == MOVED_OVER ? MOVED : m;
			case FLOW_DENIED:
				return MOVED_DENIED;
			}
	}
	/* the server can be written to: it calls again at once */
	*e->want_to |= EPOLLOUT;
	return MOVED;
}

/* -- both -- */

/* The client keeps what it was sent; the server learns of a cut by a reset. */
static void part(struct flow *f)
{
	flow_tell(f);
	flow_linger(f);
}

static void over_budget(struct flow *f, enum gate_reason why)
{
	f->rec.reason = (uint8_t)why;
	part(f);
}

/* false: the loop is full */
static bool drain(struct flow *f)
{
	f->state = FLOW_DRAINS;
	f->until_ns = loop_now(f->g->loop) + (uint64_t)DRAIN_MS * 1000000;
	f->see = NULL;
	return flow_timer(f, QUIET_MS);
}

/* MOVED_OVER: told already, and @f has another state */
static enum moved move_both(struct flow *f, struct ends *down, struct ends *up)
{
	/* down first: what the server says may let the client's bytes go */
	enum moved m = move_down(down);

	if (m == MOVED_OVER)
		over_budget(f, GATE_REASON_BUDGET_DOWN);
	if (m || f->state != FLOW_RELAYS)
		return m;
	if (f->sniffs && up->is_due)
		flow_sniff(f);
	m = move_up(up);
	if (m == MOVED_OVER)
		over_budget(f, GATE_REASON_BUDGET_UP);
	else
		pass_end(up);
	return m;
}

void flow_relay(struct flow *f, const struct loop_source *s, uint32_t events)
{
	const bool reads = events & ~(uint32_t)EPOLLOUT,
		   writes = events & EPOLLOUT, of_server = s == &f->server;
	uint32_t client = 0, server = 0;
	struct ends down = {
		f,
		&f->down,
		&f->server,
		&f->client,
		of_server ? reads : writes,
		&server,
		&client,
		&f->rec.down,
	};
	struct ends up = {
		f,
		&f->up,
		&f->client,
		&f->server,
		of_server ? writes : reads,
		&client,
		&server,
		&f->rec.up,
	};
	uint64_t before = f->rec.up + f->rec.down;
	enum moved m = move_both(f, &down, &up);

	if (m == MOVED_OVER)
		return;
	if (m == MOVED_FAILED || f->down.is_lost ||
	    (m == MOVED_DENIED && !drain(f))) {
		flow_end(f, true);
		return;
	}
	if (m == MOVED_DENIED) {
		client &= EPOLLOUT;
		server &= EPOLLIN;
	}
	if (f->rec.up + f->rec.down != before)
		f->active_ns = loop_now(f->g->loop);
	pass_end(&down);
	if (f->down.is_shut && f->state == FLOW_DRAINS)
		part(f);
	else if (f->down.is_shut && f->up.is_shut)
		flow_end(f, false);
	else if (!flow_watch(f, &f->client, client) ||
		 !flow_watch(f, &f->server, server))
		flow_end(f, true);
}

void flow_relay_begin(struct flow *f)
{
	const struct gate_policy *p = f->g->policy;

	f->state = FLOW_RELAYS;
	f->active_ns = loop_now(f->g->loop);
	f->up.budget = flow_budget(f->g, f->rec.rule, true);
	f->down.budget = flow_budget(f->g, f->rec.rule, false);
	if (flow_timer(f, least(p->idle_ms, KEPT_MS, KEPT_MS)))
		flow_relay(f, NULL, 0);
	else
		flow_end(f, true);
}

/* Short flows end before a probe would be due: they are spared the calls. */
static void keep(struct flow *f)
{
	static const int on = 1, idle = KEEPALIVE_IDLE_S;

	f->is_kept = true;
	if (setsockopt(f->server.fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle,
		       sizeof(idle)) < 0 ||
	    setsockopt(f->server.fd, SOL_SOCKET, SO_KEEPALIVE, &on,
		       sizeof(on)) < 0) {
		/* it is closed, which its next event tells */
	}
}

void flow_relay_late(struct flow *f)
{
	uint64_t now = loop_now(f->g->loop);
	uint64_t limit =
		f->state == FLOW_DRAINS ? QUIET_MS : f->g->policy->idle_ms;
	uint64_t idle = (now - f->active_ns) / 1000000;

	if (f->state == FLOW_RELAYS && !f->is_kept)
		keep(f);
	if (idle < limit && (f->state == FLOW_RELAYS || now < f->until_ns)) {
		if (!flow_timer(f, limit - idle))
			flow_end(f, true);
		return;
	}
	if (f->state == FLOW_RELAYS)
		flow_end(f, false);
	else
		part(f);
}
