/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a driver makes of the words of an agent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "cell/vm_int.h"
#include "wire/telemetry.h"

/* A driver, what its agent writes to, and where it passes things on to */
static struct world {
	struct machine m;
	struct stage s;
	struct cell_request req;
	int agent, runner;
	uint64_t events;
} w;

static void begin(uint64_t events, uint64_t bytes)
{
	int a[2], r[2];

	memset(&w, 0, sizeof(w));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a),
			 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, r), 0);
	w.req.telemetry = (struct cell_telemetry_rules){
		.probes = 1u << TELEMETRY_SPAWNED,
		.events_per_second = events,
		.bytes_per_second = bytes,
	};
	w.s.req = &w.req;
	w.s.telemetry = r[0];
	w.m.s = &w.s;
	for (int i = 0; i < VM_PORTS_ALL; i++)
		w.m.port[i] = w.m.listener[i] = -1;
	w.m.port[VM_TELEMETRY] = a[0];
	w.agent = a[1];
	w.runner = r[1];
	vm_telemetry_begin(&w.m);
}

static void end(void)
{
	if (w.m.port[VM_TELEMETRY] >= 0)
		(void)close(w.m.port[VM_TELEMETRY]);
	(void)close(w.agent);
	(void)close(w.runner);
	(void)close(w.s.telemetry);
}

/* By one write: so many by as many would not find room. */
static void say_often(enum telemetry_probe probe, size_t n)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(128 * n);
	const struct telemetry_frame f = { .probe = probe, .comm = "sh" };

	for (size_t i = 0; i < n; i++)
		telemetry_put(&b, &f);
	assert_int_equal(write(w.agent, b.p, b.len), b.len);
}

static void say(enum telemetry_probe probe)
{
	say_often(probe, 1);
}

/* Return: the last record that was passed on; events are counted */
static struct cell_telemetry hear(void)
{
	struct cell_telemetry r = { 0 }, last = { 0 };

	while (recv(w.runner, &r, sizeof(r), 0) == (ssize_t)sizeof(r)) {
		w.events += r.kind == CELL_TELEMETRY_EVENT;
		last = r;
	}
	return last;
}

/* Of a socket that is full, each is passed on or counted. */
static void test_the_tail_is_counted(void **state)
{
	struct cell_telemetry last;
	const uint64_t said = 400; /* five times what one read takes */

	(void)state;
	begin(10, UINT64_MAX);
	say_often(TELEMETRY_SPAWNED, said);
	say(TELEMETRY_COMPLETE);
	vm_telemetry_end(&w.m);
	last = hear();
	assert_int_equal(last.kind, CELL_TELEMETRY_LAST);
	assert_int_equal(w.events, 10);
	assert_int_equal(w.events + last.dropped, said);
	assert_int_equal(last.value, 1);
	end();
}

/* One that does not say so has more to say, perhaps. */
static void test_what_is_not_whole_is_said(void **state)
{
	static const struct {
		enum telemetry_probe words[3];
		size_t n;
		const char *more;
		uint64_t whole;
	} rows[] = {
		{ { 0 }, 0, "", 0 },
		{ { TELEMETRY_SPAWNED }, 1, "", 0 },
		{ { TELEMETRY_COMPLETE }, 1, "", 1 },
		{ { TELEMETRY_SPAWNED, TELEMETRY_COMPLETE }, 2, "", 1 },
		{ { TELEMETRY_COMPLETE, TELEMETRY_ALIVE }, 2, "", 0 },
		{ { TELEMETRY_COMPLETE }, 1, "\377\377\377\377", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin(10, UINT64_MAX);
		for (size_t k = 0; k < rows[i].n; k++)
			say(rows[i].words[k]);
		assert_int_equal(
			write(w.agent, rows[i].more, strlen(rows[i].more)),
			strlen(rows[i].more));
		vm_telemetry_end(&w.m);
		assert_int_equal(hear().value, rows[i].whole);
		end();
	}
}

/* A frame of these words is 96 bytes. */
static void test_rates(void **state)
{
	static const struct {
		uint64_t events, bytes, passed;
	} rows[] = {
		{ 5, UINT64_MAX, 5 }, { 0, UINT64_MAX, 0 }, { 5, 0, 0 },
		{ 5, 95, 0 },	      { 5, 96, 1 },	    { 5, 191, 1 },
		{ 5, 192, 2 },	      { 5, 1 << 20, 5 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cell_telemetry last;

		begin(rows[i].events, rows[i].bytes);
		say_often(TELEMETRY_SPAWNED, 8);
		vm_telemetry_end(&w.m);
		last = hear();
		assert_int_equal(w.events, rows[i].passed);
		assert_int_equal(last.dropped, 8 - rows[i].passed);
		end();
	}
}

/* It is tried again, and meanwhile there is time for others. */
static void test_silence_with_no_room(void **state)
{
	const struct cell_telemetry full = { .kind = CELL_TELEMETRY_EVENT };
	const struct pollfd nothing = { 0 };
	struct cell_telemetry last;

	(void)state;
	begin(10, UINT64_MAX);
	while (send(w.s.telemetry, &full, sizeof(full), MSG_DONTWAIT) > 0)
		;
	w.m.telemetry.heard_ns =
		clock_mono_ns() - CELL_TELEMETRY_WINDOW_MS * 1000000ULL;
	vm_telemetry_serve(&w.m, &nothing);
	assert_int_equal(vm_telemetry_ms(&w.m), 100);
	(void)hear();
	vm_telemetry_serve(&w.m, &nothing);
	last = hear();
	assert_int_equal(last.kind, CELL_TELEMETRY_SILENT);
	assert_in_range(last.value, CELL_TELEMETRY_WINDOW_MS,
			CELL_TELEMETRY_WINDOW_MS + 5000);
	assert_int_equal(vm_telemetry_ms(&w.m), -1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_tail_is_counted),
		cmocka_unit_test(test_what_is_not_whole_is_said),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_silence_with_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
