/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What an agent in the guest declares, and that it is silent. The driver parses
 * it, counts it, and passes records of one size on; nothing here waits.
 */
#include "cell/vm_int.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "wire/telemetry.h"

#define SECOND_NS 1000000000ULL

enum {
	READS = 16,	  /* a turn: others are served as well */
	READS_LAST = 256, /* at the end: more than a socket holds */
	AGAIN_MS = 100	  /* until what found no room is tried again */
};

/* Return: false: there is no room for it now */
static bool forward(struct machine *m, struct cell_telemetry r)
{
	r.dropped = m->telemetry.dropped;
	return send(m->s->telemetry, &r, sizeof(r),
		    MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(r);
}

/* Not at once: at the end of a run its agent ends before it does. */
static void hang_up(struct machine *m)
{
	fd_drop(&m->port[VM_TELEMETRY]);
	fd_drop(&m->listener[VM_TELEMETRY]);
}

/* Once: then there is nobody to wait for. */
static void silenced(struct machine *m, uint64_t now)
{
	struct vm_telemetry *t = &m->telemetry;

	t->is_silent =
		forward(m, (struct cell_telemetry){
				   .kind = CELL_TELEMETRY_SILENT,
				   .value = (now - t->heard_ns) / 1000000 });
	if (t->is_silent)
		hang_up(m);
}

/* A second at a time, by number and by bytes */
static bool has_room(struct machine *m, size_t bytes, uint64_t now)
{
	const struct cell_telemetry_rules *rules = &m->s->req->telemetry;
	struct vm_telemetry *t = &m->telemetry;

	if (now - t->second_ns >= SECOND_NS) {
		t->second_ns = now;
		t->events = 0;
		t->bytes = 0;
	}
	if (t->events >= rules->events_per_second ||
	    bytes > rules->bytes_per_second - t->bytes)
		return false;
	t->events++;
	t->bytes += bytes;
	return true;
}

static void take_frame(struct machine *m, const struct telemetry_frame *f,
		       size_t bytes, uint64_t now)
{
	struct cell_telemetry r = { .kind = CELL_TELEMETRY_EVENT,
				    .probe = (uint8_t)f->probe,
				    .pid = f->pid,
				    .value = f->monotonic_ns };

	m->telemetry.heard_ns = now;
	m->telemetry.is_whole = f->probe == TELEMETRY_COMPLETE;
	if (f->probe >= TELEMETRY_ALIVE ||
	    !(m->s->req->telemetry.probes & 1u << f->probe))
		return;
	if (!has_room(m, bytes, now)) {
		m->telemetry.dropped++;
		return;
	}
	memcpy(r.comm, f->comm, sizeof(r.comm));
	m->telemetry.dropped += !forward(m, r);
}

/* Return: has it read something */
static bool take(struct machine *m, uint64_t now)
{
	struct vm_telemetry *t = &m->telemetry;
	ssize_t n = read(m->port[VM_TELEMETRY], t->buf + t->len,
			 sizeof(t->buf) - t->len);
	size_t at = 0;

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			hang_up(m);
		return false;
	}
	t->len += (size_t)n;
	for (;;) {
		struct telemetry_frame f;
		ptrdiff_t used = telemetry_get(
			(struct slice){ t->buf + at, t->len - at }, &f);

		/* one that says nonsense is not listened to any more */
		if (used < 0) {
			t->is_whole = false;
			hang_up(m);
			return false;
		}
		if (used == 0)
			break;
		take_frame(m, &f, (size_t)used, now);
		at += (size_t)used;
	}
	memmove(t->buf, t->buf + at, t->len - at);
	t->len -= at;
	return true;
}

static void take_all(struct machine *m, uint64_t now, int reads)
{
	while (reads-- > 0 && m->port[VM_TELEMETRY] >= 0)
		if (!take(m, now))
			break;
}

static void welcome(struct machine *m)
{
	int fd = accept4(m->listener[VM_TELEMETRY], NULL, NULL,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	m->port[VM_TELEMETRY] = fd;
	/* the first one is the agent, whoever comes after is not */
	fd_drop(&m->listener[VM_TELEMETRY]);
}

static bool is_expected(const struct machine *m)
{
	return m->s->req->telemetry.probes && m->telemetry.heard_ns &&
	       !m->telemetry.is_silent;
}

struct pollfd vm_telemetry_poll(const struct machine *m)
{
	int fd = m->port[VM_TELEMETRY] >= 0 ? m->port[VM_TELEMETRY]
					    : m->listener[VM_TELEMETRY];

	/* what it says before the command runs waits */
	return (struct pollfd){ m->telemetry.heard_ns ? fd : -1, POLLIN, 0 };
}

void vm_telemetry_begin(struct machine *m)
{
	m->telemetry.heard_ns = clock_mono_ns();
}

void vm_telemetry_serve(struct machine *m, const struct pollfd *p)
{
	struct vm_telemetry *t = &m->telemetry;
	uint64_t now;

	if (!is_expected(m))
		return;
	now = clock_mono_ns();
	if (p->revents && m->port[VM_TELEMETRY] >= 0)
		take_all(m, now, READS);
	else if (p->revents)
		welcome(m);
	if (!t->is_silent &&
	    now - t->heard_ns >= CELL_TELEMETRY_WINDOW_MS * 1000000ULL)
		silenced(m, now);
}

int vm_telemetry_ms(const struct machine *m)
{
	uint64_t end, now;

	if (!is_expected(m))
		return -1;
	end = m->telemetry.heard_ns + CELL_TELEMETRY_WINDOW_MS * 1000000ULL;
	now = clock_mono_ns();
	/* past it, there was no room to say so */
	return now >= end ? AGAIN_MS : (int)((end - now) / 1000000) + 1;
}

void vm_telemetry_end(struct machine *m)
{
	if (!m->s->req->telemetry.probes || m->telemetry.is_silent)
		return;
	/* what had come when the command ended; of what has not nobody knows */
	take_all(m, clock_mono_ns(), READS_LAST);
	hang_up(m);
	m->telemetry.is_silent = true;
	if (!forward(m, (struct cell_telemetry){
				.kind = CELL_TELEMETRY_LAST,
				.value = m->telemetry.is_whole })) {
		/* then the totals say so */
	}
}
