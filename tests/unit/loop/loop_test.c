/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "loop/loop.h"

struct ear {
	struct loop_source source;
	struct loop *loop;
	struct ear *victim; /* removed when we are called */
	unsigned heard;
};

static void hear(struct loop_source *s, uint32_t events)
{
	struct ear *e = loop_of(s, struct ear, source);

	(void)events;
	e->heard++;
	if (e->victim)
		loop_remove(e->loop, &e->victim->source);
}

static struct ear ear_on(struct loop *l, int pipe_fd[2])
{
	assert_int_equal(pipe(pipe_fd), 0);
	return (struct ear){ .source = { .fd = pipe_fd[0], .fn = hear },
			     .loop = l };
}

static void say(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

static void test_level_triggered_until_removed(void **state)
{
	struct loop *l = loop_new(4);
	int p[2];
	struct ear e = ear_on(l, p);

	(void)state;
	assert_int_equal(loop_add(l, &e.source, EPOLLIN, false), 0);
	say(p[1]);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(e.heard, 2);
	loop_remove(l, &e.source);
	loop_remove(l, &e.source);
	loop_free(&l);
	(void)close(p[0]);
	(void)close(p[1]);
}

static void test_event_of_a_removed_source_is_dropped(void **state)
{
	struct loop *l = loop_new(4);
	int a[2], b[2];
	struct ear one = ear_on(l, a), two = ear_on(l, b);

	(void)state;
	one.victim = &two;
	two.victim = &one;
	assert_int_equal(loop_add(l, &one.source, EPOLLIN, false), 0);
	assert_int_equal(loop_add(l, &two.source, EPOLLIN, false), 0);
	say(a[1]);
	say(b[1]);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(one.heard + two.heard, 1);
	loop_free(&l);
	for (int i = 0; i < 2; i++) {
		(void)close(a[i]);
		(void)close(b[i]);
	}
}

static void test_paused_intake_waits(void **state)
{
	struct loop *l = loop_new(4);
	int a[2], b[2];
	struct ear in = ear_on(l, a), other = ear_on(l, b);

	(void)state;
	assert_int_equal(loop_add(l, &in.source, EPOLLIN, true), 0);
	assert_int_equal(loop_add(l, &other.source, EPOLLIN, false), 0);
	say(a[1]);
	say(b[1]);
	loop_pause(l, true);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(in.heard, 0);
	assert_int_equal(other.heard, 1);
	loop_pause(l, false);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(in.heard, 1);
	loop_free(&l);
	for (int i = 0; i < 2; i++) {
		(void)close(a[i]);
		(void)close(b[i]);
	}
}

static bool has_rung;

static void ring(struct loop_timer *t)
{
	(void)t;
	has_rung = true;
}

/* Nothing declines a hang-up: a loop must not be kept busy by one. */
static void test_hang_up_of_paused_intake_is_quiet(void **state)
{
	struct loop *l = loop_new(4);
	struct loop_timer t = { .fn = ring };
	unsigned turns = 0;
	int a[2];
	struct ear in = ear_on(l, a);

	(void)state;
	assert_int_equal(loop_add(l, &in.source, EPOLLIN, true), 0);
	loop_pause(l, true);
	(void)close(a[1]);
	assert_int_equal(
		loop_timer_set(l, &t, clock_mono_ns() + UINT64_C(20000000)), 0);
	for (has_rung = false; !has_rung; turns++)
		assert_int_equal(loop_turn(l), 0);
	assert_in_range(turns, 1, 3);
	assert_int_equal(in.heard, 0);
	loop_pause(l, false);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(in.heard, 1);
	loop_free(&l);
	(void)close(a[0]);
}

static void test_intake_that_comes_and_goes_in_a_pause(void **state)
{
	struct loop *l = loop_new(4);
	int a[2], b[2], c[2];
	struct ear first = ear_on(l, a), second = ear_on(l, b),
		   third = ear_on(l, c);

	(void)state;
	assert_int_equal(loop_add(l, &first.source, EPOLLIN, true), 0);
	loop_pause(l, true);
	assert_int_equal(loop_add(l, &second.source, EPOLLIN, true), 0);
	assert_int_equal(loop_add(l, &third.source, EPOLLIN, true), 0);
	say(a[1]);
	say(b[1]);
	say(c[1]);
	loop_remove(l, &second.source);
	loop_pause(l, false);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(first.heard, 1);
	assert_int_equal(second.heard, 0);
	assert_int_equal(third.heard, 1);
	loop_close(l, &third.source);
	assert_int_equal(third.source.fd, -1);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(first.heard, 2);
	assert_int_equal(third.heard, 1);
	loop_close(l, &third.source);
	loop_free(&l);
	(void)close(a[0]);
	(void)close(b[0]);
	(void)close(a[1]);
	(void)close(b[1]);
	(void)close(c[1]);
}

static void test_full_loop_refuses(void **state)
{
	struct loop *l = loop_new(1);
	struct loop_timer t[2] = { { .pos = 0 }, { .pos = 0 } };
	int a[2], b[2];
	struct ear one = ear_on(l, a), two = ear_on(l, b);

	(void)state;
	assert_int_equal(loop_add(l, &one.source, EPOLLIN, false), 0);
	assert_int_equal(loop_add(l, &two.source, EPOLLIN, false), -ENOSPC);
	loop_remove(l, &one.source);
	assert_int_equal(loop_add(l, &two.source, EPOLLIN, false), 0);
	assert_int_equal(loop_timer_set(l, &t[0], 1), 0);
	assert_int_equal(loop_timer_set(l, &t[1], 1), -ENOSPC);
	assert_int_equal(loop_timer_set(l, &t[0], 2), 0);
	loop_free(&l);
	for (int i = 0; i < 2; i++) {
		(void)close(a[i]);
		(void)close(b[i]);
	}
}

enum { TIMERS = 200 };
static unsigned fired[TIMERS], n_fired;
static struct loop_timer timers[TIMERS];

static void fire(struct loop_timer *t)
{
	fired[n_fired++] = (unsigned)(t - timers);
}

static void test_timers_fire_in_order(void **state)
{
	struct loop *l = loop_new(TIMERS);
	uint64_t base = clock_mono_ns() - 1000000;

	(void)state;
	for (unsigned i = 0; i < TIMERS; i++) {
		timers[i].fn = fire;
		assert_int_equal(
			loop_timer_set(l, &timers[i], base + (i * 37) % TIMERS),
			0);
	}
	/* every third goes, every fourth moves to the end */
	for (unsigned i = 0; i < TIMERS; i += 3)
		loop_timer_clear(l, &timers[i]);
	for (unsigned i = 1; i < TIMERS; i += 4)
		if (i % 3)
			assert_int_equal(
				loop_timer_set(l, &timers[i], base + 1000 + i),
				0);
	while (n_fired < TIMERS - (TIMERS + 2) / 3)
		assert_int_equal(loop_turn(l), 0);
	for (unsigned i = 1; i < n_fired; i++)
		assert_true(timers[fired[i - 1]].at_ns <=
			    timers[fired[i]].at_ns);
	assert_int_equal(timers[1].pos, 0);
	loop_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_level_triggered_until_removed),
		cmocka_unit_test(test_event_of_a_removed_source_is_dropped),
		cmocka_unit_test(test_paused_intake_waits),
		cmocka_unit_test(test_hang_up_of_paused_intake_is_quiet),
		cmocka_unit_test(test_intake_that_comes_and_goes_in_a_pause),
		cmocka_unit_test(test_full_loop_refuses),
		cmocka_unit_test(test_timers_fire_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
