/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One epoll loop: descriptors and deadlines, one thread, no allocation.
 * Level-triggered. A callback may remove any source, its own too, and may free
 * what holds it: events of the same turn for a removed source are dropped.
 */
#ifndef CELLOS_LOOP_LOOP_H
#define CELLOS_LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/attr.h"

struct loop_source {
	int fd; /* borrowed; -1: not in a loop */
	void (*fn)(struct loop_source *s, uint32_t events); /* EPOLL* */
	uint32_t events;				    /* asked for now */
	bool is_intake;
	int slot;			 /* the loop's */
	struct loop_source *prev, *next; /* the loop's: of the intake */
};

struct loop_timer {
	uint64_t at_ns; /* clock_mono_ns(); the loop's while it is set */
	void (*fn)(struct loop_timer *t);
	size_t pos; /* the loop's; 0: not set */
};

struct loop;

/** loop_new() - @max: sources and timers at most, each; NULL with errno */
struct loop *loop_new(size_t max);
void loop_free(struct loop **l);

/**
 * loop_add() - watch @s->fd for @events
 * @intake: brings new work in: silent while the loop is paused
 *
 * Return: 0 or -errno (-ENOSPC: @max)
 */
int loop_add(struct loop *l, struct loop_source *s, uint32_t events,
	     bool intake) MUST_USE;
/** loop_want() - change the events; nothing if they are the same */
void loop_want(struct loop *l, struct loop_source *s, uint32_t events);
/** loop_remove() - before the descriptor is closed; twice is fine */
void loop_remove(struct loop *l, struct loop_source *s);
/** loop_close() - remove and close what nobody else holds: it leaves epoll(7)
 *  by itself then, which saves a call; twice is fine */
void loop_close(struct loop *l, struct loop_source *s);

/** loop_timer_set() - once, at @at_ns; moves one that is set; -ENOSPC */
int loop_timer_set(struct loop *l, struct loop_timer *t,
		   uint64_t at_ns) MUST_USE;
void loop_timer_clear(struct loop *l, struct loop_timer *t);

/** loop_pause() - intake sources are not served until it is undone */
void loop_pause(struct loop *l, bool on);
/** loop_now() - the time this turn began, clock_mono_ns() */
uint64_t loop_now(const struct loop *l);
/** loop_turn() - wait for something, serve it; 0 or -errno of epoll_wait() */
int loop_turn(struct loop *l) MUST_USE;

/** loop_of() - the object around a source or timer */
#define loop_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
