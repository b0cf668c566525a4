/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What QEMU says of its machine (QMP: a line of JSON each way). A VMM need not
 * end when its machine does: one that KVM cannot go on with, or that somebody
 * pauses, stands still, and only this tells. The words are a VMM's that a guest
 * may have taken over: nothing of them gets any further than a word of ours.
 *
 *   greeting ─► qmp_capabilities, query-status ─► running ─► events
 *                                  STOP ─► query-status ─► why it stands still
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cell/vm_int.h"
#include "wire/json_in.h"

enum {
	DEPTH_MAX = 8,
	ARENA_MAX = 65536, /* of what a line is read into */
	START_SECONDS = 30
};

#define ASK_STATUS "{\"execute\":\"query-status\"}\n"

#define NO_QMP "the VMM's monitor speaks no QMP"

/* Whether it ends by itself shows soon, unless that is of no interest. */
static void over(struct vm_qmp *q, enum cell_told told, bool is_sure,
		 const char *why)
{
	if (q->is_sure)
		return;
	q->end = told;
	q->is_sure = is_sure;
	q->why = why;
}

static void ask(struct vm_qmp *q, struct slice s)
{
	if (send(q->fd, s.p, s.n, MSG_NOSIGNAL) != (ssize_t)s.n)
		over(q, CELL_TOLD_MONITOR, false,
		     "the VMM's monitor takes no words");
}

/* RunState of QEMU; any other is one that stands still, too. */
static void take_status(struct vm_qmp *q, struct slice status)
{
	static const struct {
		const char *status;
		enum cell_told told;
		const char *why;
	} states[] = {
		{ "paused", CELL_TOLD_PAUSED, "the VMM paused its machine" },
		{ "internal-error", CELL_TOLD_INTERNAL,
		  "the VMM cannot go on with its machine (internal error)" },
		{ "io-error", CELL_TOLD_IO,
		  "the VMM stopped its machine (error of a device)" },
		{ "guest-panicked", CELL_TOLD_PANIC,
		  "the VMM stopped its machine (panic of the guest)" },
	};

	if (slice_is(status, "running") && !q->end) {
		q->is_ready = true;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (slice_is(status, states[i].status))
			over(q, states[i].told, true, states[i].why);
	over(q, CELL_TOLD_STOPPED, true, "the VMM stopped its machine");
}

static void take_event(struct vm_qmp *q, struct slice event)
{
	static const char why[] = "the VMM stopped its machine";

	if (slice_is(event, "STOP")) {
		/* once: it would be asked for each of many */
		if (!q->asked && !q->end) {
			q->asked++;
			ask(q, SLICE_LIT(ASK_STATUS));
		}
		over(q, CELL_TOLD_STOPPED, false, why);
	} else if (slice_is(event, "GUEST_PANICKED")) {
		over(q, CELL_TOLD_PANIC, true, "the guest's kernel gave up");
	} else if (slice_is(event, "SHUTDOWN") || slice_is(event, "RESET")) {
		over(q, CELL_TOLD_STOPPED, false, why);
	}
}

/* Answers come in the order of what was asked. Return: is it one of ours */
static bool take_answer(struct vm_qmp *q, const struct json *v)
{
	const struct json *status;

	if (!q->asked || v->type != JSON_OBJECT)
		return false;
	if (!q->is_capable) {
		q->is_capable = true;
		return true;
	}
	status = json_get(v, "status");
	if (!status || status->type != JSON_STRING)
		return false;
	q->asked--;
	take_status(q, status->v.s);
	return true;
}

static bool take_message(struct vm_qmp *q, const struct json *v)
{
	const struct json *m;

	if (v->type != JSON_OBJECT)
		return false;
	if (!q->is_greeted) {
		m = json_get(v, "QMP");
		q->is_greeted = m && m->type == JSON_OBJECT;
		q->asked = q->is_greeted;
		if (q->is_greeted)
			ask(q, SLICE_LIT("{\"execute\":\"qmp_capabilities\"}"
					 "\n" ASK_STATUS));
		return q->is_greeted;
	}
	m = json_get(v, "event");
	if (m && m->type == JSON_STRING) {
		take_event(q, m->v.s);
		return true;
	}
	m = json_get(v, "return");
	return m && take_answer(q, m);
}

static bool take_line(struct vm_qmp *q, struct slice line)
{
	OWNED(arena_drop) struct arena a = ARENA_INIT(ARENA_MAX);
	struct json *v;
	struct err e;

	return !json_parse(line, DEPTH_MAX, &a, &v, &e) && take_message(q, v);
}

/* All that is whole; the rest is the beginning of the next. */
static void take_lines(struct vm_qmp *q)
{
	size_t at = 0;
	const char *end;

	while ((end = memchr(q->buf + at, '\n', q->len - at))) {
		const struct slice line = { q->buf + at,
					    (size_t)(end - q->buf) - at };

		if (!take_line(q, line)) {
			over(q, CELL_TOLD_MONITOR, true, NO_QMP);
			fd_drop(&q->fd);
			return;
		}
		at += line.n + 1;
	}
	q->len -= at;
	memmove(q->buf, q->buf + at, q->len);
	if (q->len < sizeof(q->buf))
		return;
	over(q, CELL_TOLD_MONITOR, true, NO_QMP ": a line without end");
	fd_drop(&q->fd);
}

void vm_qmp_serve(struct machine *m)
{
	struct vm_qmp *q = &m->qmp;
	ssize_t n = read(q->fd, q->buf + q->len, sizeof(q->buf) - q->len);

	if (n > 0) {
		q->len += (size_t)n;
		take_lines(q);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		fd_drop(&q->fd);
		if (!q->end)
			over(q, CELL_TOLD_MONITOR, false,
			     "the VMM closed its monitor");
	}
}

void vm_qmp_begin(struct machine *m)
{
	struct vm_qmp *q = &m->qmp;
	const uint64_t end = clock_mono_ns() + START_SECONDS * 1000000000ULL;
	uint64_t now;

	while (!q->is_ready && !m->is_dead && !vm_is_cut_off(m)) {
		now = clock_mono_ns();
		if (now < end)
			(void)vm_turn_for(m, false, -1, 0,
					  (int)((end - now) / 1000000) + 1);
		else
			over(q, CELL_TOLD_MONITOR, true,
			     "the VMM's monitor said nothing in 30 s");
	}
	if (q->is_ready && !q->end)
		return;
	vm_drain(m);
	vm_boot_failed(m);
}
