/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

enum { EVENTS = 128 };

/*
 * What epoll hands back is a slot, never a pointer: a removed source's slot
 * holds another source, or none, and its generation tells a late event of it
 * apart. A pause asks for no events of what is on the intake list, which is
 * short: listeners and the like, nothing that is one a connection.
 */
struct slot {
	struct loop_source *source;
	uint32_t generation;
	int next_free;
};

struct loop {
	int fd;
	bool is_paused;
	struct loop_source *intake; /* a list */
	uint64_t now_ns;
	size_t max, n_slots; /* slots used so far: the rest is fresh memory */
	int first_free;
	struct slot *slots;
	size_t n_timers;
	struct loop_timer **heap; /* 1..n_timers, by at_ns */
};

struct loop *loop_new(size_t max)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->max = max;
	l->fd = epoll_create1(EPOLL_CLOEXEC);
	l->slots = calloc(max, sizeof(*l->slots));
	l->heap = calloc(max + 1, sizeof(struct loop_timer *));
	l->now_ns = clock_mono_ns();
	if (l->fd < 0 || !l->slots || !l->heap) {
		loop_free(&l);
		return NULL;
	}
	l->first_free = -1;
	return l;
}

void loop_free(struct loop **l)
{
	if (!*l)
		return;
	fd_drop(&(*l)->fd);
	free((*l)->slots);
	free((void *)(*l)->heap);
	free(*l);
	*l = NULL;
}

/* -- sources -- */

static int control(struct loop *l, int op, struct loop_source *s)
{
	/* a hang-up is told whether it is asked for or not: once, not always */
	bool is_silent = s->is_intake && l->is_paused;
	struct epoll_event ev = { .events = is_silent ? EPOLLET : s->events,
				  .data.u64 =
					  (uint64_t)l->slots[s->slot].generation
						  << 32 |
					  (uint32_t)s->slot };

	return epoll_ctl(l->fd, op, s->fd, &ev) < 0 ? -errno : 0;
}

int loop_add(struct loop *l, struct loop_source *s, uint32_t events,
	     bool intake)
{
	bool is_fresh = l->first_free < 0;
	int slot = is_fresh ? (int)l->n_slots : l->first_free, r;

	if ((size_t)slot >= l->max)
		return -ENOSPC;
	s->slot = slot;
	s->events = events;
	s->is_intake = intake;
	r = control(l, EPOLL_CTL_ADD, s);
	if (r)
		return r;
	if (is_fresh)
		l->n_slots++;
	else
		l->first_free = l->slots[slot].next_free;
	l->slots[slot].source = s;
	s->prev = NULL;
	s->next = intake ? l->intake : NULL;
	if (s->next)
		s->next->prev = s;
	if (intake)
		l->intake = s;
	return 0;
}

static bool is_in(const struct loop *l, const struct loop_source *s)
{
	return s->fd >= 0 && s->slot >= 0 && (size_t)s->slot < l->max &&
	       l->slots[s->slot].source == s;
}

void loop_want(struct loop *l, struct loop_source *s, uint32_t events)
{
	if (!is_in(l, s) || s->events == events)
		return;
	s->events = events;
	if (control(l, EPOLL_CTL_MOD, s)) {
		/* it is in, and open: that cannot fail */
		abort();
	}
}

/* Of one that is in, and of epoll as well, or will be */
static void forget(struct loop *l, struct loop_source *s)
{
	struct slot *slot = &l->slots[s->slot];

	slot->source = NULL;
	slot->generation++;
	slot->next_free = l->first_free;
	l->first_free = s->slot;
	s->slot = -1;
	if (s->next)
		s->next->prev = s->prev;
	if (s->prev)
		s->prev->next = s->next;
	else if (s->is_intake)
		l->intake = s->next;
}

void loop_remove(struct loop *l, struct loop_source *s)
{
	if (!is_in(l, s))
		return;
	if (control(l, EPOLL_CTL_DEL, s)) {
		/* closed already, which took it out */
	}
	forget(l, s);
}

void loop_close(struct loop *l, struct loop_source *s)
{
	if (is_in(l, s))
		forget(l, s);
	fd_drop(&s->fd);
}

void loop_pause(struct loop *l, bool on)
{
	if (l->is_paused == on)
		return;
	l->is_paused = on;
	for (struct loop_source *s = l->intake; s; s = s->next)
		if (control(l, EPOLL_CTL_MOD, s))
			abort();
}

/* -- timers: a binary heap -- */

static void place(struct loop *l, size_t i, struct loop_timer *t)
{
	l->heap[i] = t;
	t->pos = i;
}

static void sift_up(struct loop *l, size_t i, struct loop_timer *t)
{
	for (; i > 1 && l->heap[i / 2]->at_ns > t->at_ns; i /= 2)
		place(l, i, l->heap[i / 2]);
	place(l, i, t);
}

static void sift_down(struct loop *l, size_t i, struct loop_timer *t)
{
	for (;;) {
		size_t c = 2 * i;

		if (c > l->n_timers)
			break;
		if (c < l->n_timers &&
		    l->heap[c + 1]->at_ns < l->heap[c]->at_ns)
			c++;
		if (l->heap[c]->at_ns >= t->at_ns)
			break;
		place(l, i, l->heap[c]);
		i = c;
	}
	place(l, i, t);
}

void loop_timer_clear(struct loop *l, struct loop_timer *t)
{
	size_t i = t->pos;
	struct loop_timer *last;

	if (!i)
		return;
	t->pos = 0;
	last = l->heap[l->n_timers--];
	if (last == t)
		return;
	if (i > 1 && l->heap[i / 2]->at_ns > last->at_ns)
		sift_up(l, i, last);
	else
		sift_down(l, i, last);
}

int loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t at_ns)
{
	loop_timer_clear(l, t);
	if (l->n_timers == l->max)
		return -ENOSPC;
	t->at_ns = at_ns;
	sift_up(l, ++l->n_timers, t);
	return 0;
}

static int until_next(const struct loop *l)
{
	uint64_t now, ms;

	if (!l->n_timers)
		return -1;
	now = clock_mono_ns();
	if (l->heap[1]->at_ns <= now)
		return 0;
	ms = (l->heap[1]->at_ns - now + 999999) / 1000000;
	return ms > 3600000 ? 3600000 : (int)ms;
}

/* -- turns -- */

uint64_t loop_now(const struct loop *l)
{
	return l->now_ns;
}

/* What is under way goes before what is new. */
static void serve(struct loop *l, const struct epoll_event *ev, int n,
		  bool intake)
{
	for (int i = 0; i < n; i++) {
		const struct slot *slot =
			&l->slots[ev[i].data.u64 & UINT32_MAX];
		struct loop_source *s = slot->source;

		if (s && slot->generation == ev[i].data.u64 >> 32 &&
		    s->is_intake == intake && !(intake && l->is_paused))
			s->fn(s, ev[i].events);
	}
}

int loop_turn(struct loop *l)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(l->fd, ev, EVENTS, until_next(l));

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	l->now_ns = clock_mono_ns();
	serve(l, ev, n, false);
	serve(l, ev, n, true);
	for (size_t i = 0;
	     i < EVENTS && l->n_timers && l->heap[1]->at_ns <= l->now_ns; i++) {
		struct loop_timer *t = l->heap[1];

		loop_timer_clear(l, t);
		t->fn(t);
	}
	return 0;
}
