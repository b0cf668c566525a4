/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

enum { EVENTS = 128 };

/*
 * Intake has an epoll of its own inside the first one, so that a pause is one
 * call whatever the number of sources. What epoll hands back is a slot, never
 * a pointer: a removed source's slot holds another source, or none, and its
 * generation tells a late event of it apart.
 */
struct slot {
	struct loop_source *source;
	uint32_t generation;
	int next_free;
};

struct loop {
	int fd, intake_fd;
	bool is_paused;
	uint64_t now_ns;
	size_t max, n_slots; /* slots used so far: the rest is fresh memory */
	int first_free;
	struct slot *slots;
	size_t n_timers;
	struct loop_timer **heap; /* 1..n_timers, by at_ns */
};

static const uint64_t INTAKE = UINT64_MAX;

struct loop *loop_new(size_t max)
{
	struct loop *l = calloc(1, sizeof(*l));
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = INTAKE };

	if (!l)
		return NULL;
	l->max = max;
	l->fd = epoll_create1(EPOLL_CLOEXEC);
	l->intake_fd = epoll_create1(EPOLL_CLOEXEC);
	l->slots = calloc(max, sizeof(*l->slots));
	l->heap = calloc(max + 1, sizeof(struct loop_timer *));
	l->now_ns = clock_mono_ns();
	if (l->fd < 0 || l->intake_fd < 0 || !l->slots || !l->heap ||
	    epoll_ctl(l->fd, EPOLL_CTL_ADD, l->intake_fd, &ev) < 0) {
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
	fd_drop(&(*l)->intake_fd);
	free((*l)->slots);
	free((void *)(*l)->heap);
	free(*l);
	*l = NULL;
}

/* -- sources -- */

static int control(struct loop *l, int op, struct loop_source *s)
{
	struct epoll_event ev = { .events = s->events,
				  .data.u64 =
					  (uint64_t)l->slots[s->slot].generation
						  << 32 |
					  (uint32_t)s->slot };

	return epoll_ctl(s->is_intake ? l->intake_fd : l->fd, op, s->fd, &ev) <
			       0
		       ? -errno
		       : 0;
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

void loop_remove(struct loop *l, struct loop_source *s)
{
	struct slot *slot;

	if (!is_in(l, s))
		return;
	if (control(l, EPOLL_CTL_DEL, s)) {
		/* closed already, which took it out */
	}
	slot = &l->slots[s->slot];
	slot->source = NULL;
	slot->generation++;
	slot->next_free = l->first_free;
	l->first_free = s->slot;
	s->slot = -1;
}

void loop_pause(struct loop *l, bool on)
{
	struct epoll_event ev = { .events = on ? 0 : EPOLLIN,
				  .data.u64 = INTAKE };

	if (l->is_paused == on)
		return;
	l->is_paused = on;
	if (epoll_ctl(l->fd, EPOLL_CTL_MOD, l->intake_fd, &ev) < 0)
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

static void serve(struct loop *l, const struct epoll_event *ev)
{
	const struct slot *slot = &l->slots[ev->data.u64 & UINT32_MAX];

	if (slot->source && slot->generation == ev->data.u64 >> 32)
		slot->source->fn(slot->source, ev->events);
}

static int serve_intake(struct loop *l)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(l->intake_fd, ev, EVENTS, 0);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n && !l->is_paused; i++)
		serve(l, &ev[i]);
	return 0;
}

int loop_turn(struct loop *l)
{
	struct epoll_event ev[EVENTS];
	bool intake = false;
	int n = epoll_wait(l->fd, ev, EVENTS, until_next(l));

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	l->now_ns = clock_mono_ns();
	for (int i = 0; i < n; i++) {
		if (ev[i].data.u64 == INTAKE)
			intake = true;
		else
			serve(l, &ev[i]);
	}
	/* what is under way goes before what is new */
	if (intake && !l->is_paused) {
		int r = serve_intake(l);

		if (r)
			return r;
	}
	for (size_t i = 0;
	     i < EVENTS && l->n_timers && l->heap[1]->at_ns <= l->now_ns; i++) {
		struct loop_timer *t = l->heap[1];

		loop_timer_clear(l, t);
		t->fn(t);
	}
	return 0;
}
