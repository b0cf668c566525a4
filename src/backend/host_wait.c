/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A cell at work: its deadline, the runner's signals, refused system calls,
 * standard descriptors, until every process in it is dead.
 *
 * Phases: RUNNING -> (deadline, signal) TERMINATING, SIGTERM to all ->
 * (grace over, second signal) KILLED, SIGKILL to pid 1, which takes the rest;
 * without a pid namespace of its own pid 1 kills the rest first. Files that a
 * machine sends back when its command has ended have their own time.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/host.h"
#include "base/clock.h"
#include "base/fd.h"
#include "sys/pidfd.h"
#include "sys/seccomp.h"

enum phase { RUNNING, TERMINATING, KILLED };

enum {
	KILL_REST_MS = 2000,
	POLLS = 7,
	FILES_MS = 10000, /* for what was written to come back, and a second
			   * more for each: */
	FILES_BYTES = 4 << 20
};

struct watch {
	struct backend_cell *c;
	const struct backend_watch *w;
	enum phase phase;
	uint64_t next_ns; /* when the phase ends by itself */
	uint64_t late_ns; /* when what was told has to be written; 0: nothing */
	uint64_t files_ns; /* its command has ended, its files come; 0: not */
	bool timed_out;
	int stopped_by;	  /* signal to the runner */
	const char *lost; /* enforcement was lost: why */
};

static uint64_t add_ms(uint64_t ns, uint64_t ms)
{
	return ms > (UINT64_MAX - ns) / 1000000 ? UINT64_MAX
						: ns + ms * 1000000;
}

static void kill_init(struct watch *t)
{
	t->next_ns = UINT64_MAX;
	if (pidfd_signal(t->c->pidfd, SIGKILL)) {
		/* ESRCH: already dead, which the pidfd will tell */
	}
}

/* Where the kernel does not kill what is below pid 1, pid 1 does, when its
 * socket ends; it is killed itself if that takes long. */
static void kill_now(struct watch *t)
{
	if (t->phase == KILLED)
		return;
	t->phase = KILLED;
	if (t->c->stage.ns & CELL_NS_PID) {
		kill_init(t);
		return;
	}
	fd_drop(&t->c->init_sock);
	t->next_ns = add_ms(clock_mono_ns(), KILL_REST_MS);
}

static void terminate(struct watch *t)
{
	struct cell_message m = { .type = CELL_MSG_TERM, .sys = SIGTERM };

	if (t->phase != RUNNING || t->w->grace_ms == 0 ||
	    cell_send(t->c->init_sock, &m, -1)) {
		kill_now(t);
		return;
	}
	t->phase = TERMINATING;
	t->next_ns = add_ms(clock_mono_ns(), t->w->grace_ms);
}

static void lose(struct watch *t, const char *why)
{
	if (!t->lost)
		t->lost = why;
	kill_now(t);
}

static void take_signal(struct watch *t)
{
	struct signalfd_siginfo s;

	if (read(t->c->sigfd, &s, sizeof(s)) != (ssize_t)sizeof(s))
		return;
	if (s.ssi_signo == SIGWINCH) {
		relay_resize(&t->c->relay);
		return;
	}
	t->stopped_by = (int)s.ssi_signo;
	terminate(t);
}

/* Once per number and run: a loop of refused calls is one fact. */
static void take_violation(struct watch *t)
{
	NO_INIT struct report_enforcement r;
	struct backend_cell *c = t->c;
	pid_t pid;
	int nr = seccomp_answer(c->listener, &pid);

	if (nr == -EAGAIN)
		return;
	if (nr < 0) {
		lose(t, "the seccomp listener failed");
		return;
	}
	if ((size_t)nr / 8 < sizeof(c->seen_violation)) {
		if (c->seen_violation[nr / 8] & (1u << (nr % 8)))
			return;
		c->seen_violation[nr / 8] |= (uint8_t)(1u << (nr % 8));
	}
	report_begin(&r, REPORT_VIOLATION, host_name(c));
	r.syscall_nr = nr;
	(void)snprintf(r.syscall_name, sizeof(r.syscall_name), "%s",
		       seccomp_name(nr));
	(void)snprintf(r.answer, sizeof(r.answer), "EPERM");
	if (t->w->violation)
		t->w->violation(t->w->arg, &r);
}

/* It is not its command's time that runs any more. */
static void await_files(struct watch *t)
{
	const uint64_t most = t->c->req->limits->v[LIMIT_TMP_BYTES];

	if (t->files_ns)
		return;
	t->files_ns = clock_mono_ns();
	t->c->told = CELL_TOLD_FILES;
	if (t->phase != KILLED)
		t->next_ns = add_ms(t->files_ns,
				    FILES_MS + most / FILES_BYTES * 1000);
}

static void take_init(struct watch *t)
{
	struct backend_cell *c = t->c;
	struct cell_message m;
	int fd = -1;
	int r = cell_recv(c->init_sock, &m, &fd, NULL);

	if (r <= 0) {
		fd_drop(&c->init_sock);
		return;
	}
	if (m.type == CELL_MSG_DOOR_SOCKET)
		host_give_socket(c, &m, &fd);
	if (c->fault.set)
		lose(t, "the gate took no more sockets");
	fd_drop(&fd);
	if (m.type == CELL_MSG_FILES)
		await_files(t);
	if (m.type == CELL_MSG_ENDED) {
		c->ended = true;
		c->status = m.status;
		c->told = m.told;
		m.path[sizeof(m.path) - 1] = '\0';
		(void)snprintf(c->line, sizeof(c->line), "%s", m.path);
		c->has_refused = m.door.has_refused;
		c->refused = m.door.refused;
	}
}

/* One at a time; of another size it is not the driver's. */
static bool take_telemetry(struct watch *t)
{
	struct backend_cell *c = t->c;
	struct cell_telemetry r;
	ssize_t n = recv(c->telemetry, &r, sizeof(r), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		fd_drop(&c->telemetry);
	if (n != (ssize_t)sizeof(r))
		return false;
	r.comm[sizeof(r.comm) - 1] = '\0';
	if (t->w->telemetry)
		t->w->telemetry(t->w->arg, &r);
	return true;
}

static void is_told(struct watch *t)
{
	if (!t->late_ns)
		t->late_ns = add_ms(clock_mono_ns(), BACKEND_LATE_MS);
}

static void expire(struct watch *t)
{
	if (t->late_ns && clock_mono_ns() >= t->late_ns) {
		t->late_ns = 0;
		if (t->w->flush)
			t->w->flush(t->w->arg);
	}
	if (clock_mono_ns() < t->next_ns)
		return;
	if (t->phase == RUNNING && t->c->ended)
		return; /* in time; only its output is still on the way */
	if (t->phase == RUNNING && !t->files_ns) {
		t->timed_out = true;
		terminate(t);
	} else if (t->phase != KILLED) {
		kill_now(t);
	} else {
		kill_init(t);
	}
}

static int poll_ms(const struct watch *t)
{
	uint64_t now = clock_mono_ns(), next = t->next_ns;

	if (t->phase == RUNNING && t->c->ended && t->c->relay.end_ns)
		next = t->c->relay.end_ns;
	if (t->late_ns && t->late_ns < next)
		next = t->late_ns;
	if (next == UINT64_MAX)
		return -1;
	if (now >= next)
		return 0;
	now = (next - now + 999999) / 1000000;
	return now > 3600000 ? 3600000 : (int)now;
}

/*
 * Its command has ended and pid 1 is on its way out: the kernel is killing the
 * rest, which destroy() waits for, while the caller writes its events. With a
 * relay the last output has to be carried first.
 */
static bool is_over(const struct watch *t)
{
	if (!t->c->ended || t->phase != RUNNING)
		return false;
	relay_end(&t->c->relay);
	return relay_is_done(&t->c->relay);
}

/* One turn; false when pid 1 is dead, and with it everything. */
static bool turn(struct watch *t)
{
	struct backend_cell *c = t->c;
	const struct cell_gate *g = c->req->gate;
	struct pollfd p[POLLS + RELAY_POLLS] = {
		{ c->pidfd, POLLIN, 0 },
		{ c->init_sock, POLLIN, 0 },
		{ c->listener, POLLIN, 0 },
		{ c->sigfd, POLLIN, 0 },
		{ t->phase == KILLED ? -1 : t->w->signer_pidfd, POLLIN, 0 },
		{ g && !t->lost ? g->fd : -1, POLLIN, 0 },
		{ c->telemetry, POLLIN, 0 },
	};
	size_t n = relay_polls(&c->relay, p + POLLS);

	if (poll(p, POLLS + n, poll_ms(t)) < 0) {
		if (errno != EINTR)
			lose(t, "poll failed");
		return true;
	}
	if (p[1].revents)
		take_init(t);
	if (p[2].revents & POLLIN)
		take_violation(t);
	if (p[2].revents & (POLLHUP | POLLERR))
		fd_drop(&c->listener); /* its last user is gone */
	if (p[3].revents)
		take_signal(t);
	if (p[4].revents)
		lose(t, "the event signer died");
	if (p[5].revents && g->serve(g->arg))
		lose(t, "the gate was lost");
	if (p[6].revents)
		(void)take_telemetry(t);
	if (p[5].revents || p[6].revents)
		is_told(t);
	relay_serve(&c->relay, p + POLLS, n);
	expire(t);
	return !p[0].revents && !is_over(t);
}

/* The sandbox has ended, and not by its command's end. */
static bool is_sandbox_lost(const struct backend_cell *c)
{
	return plan_is_sandbox(c->plan) && c->ended &&
	       c->told != CELL_TOLD_ENDED && c->told != CELL_TOLD_OOM;
}

/* Whatever has ended it: files are missing. */
static bool is_short_of_files(const struct backend_cell *c)
{
	return plan_is_sandbox(c->plan) && c->told == CELL_TOLD_FILES;
}

static void judge(const struct watch *t, struct cell_exit *ret)
{
	const struct backend_cell *c = t->c;

	if (t->lost || is_short_of_files(c) ||
	    (is_sandbox_lost(c) && t->phase == RUNNING) ||
	    (!c->ended && !t->timed_out && !t->stopped_by)) {
		ret->how = CELL_LOST;
	} else if (t->timed_out) {
		ret->how = CELL_DEADLINE;
	} else if (t->stopped_by) {
		ret->how = CELL_STOPPED;
		ret->sig = t->stopped_by;
	} else if (WIFSIGNALED(c->status)) {
		ret->how = CELL_SIGNALED;
		ret->sig = WTERMSIG(c->status);
	} else {
		ret->how = CELL_EXITED;
		ret->code = WEXITSTATUS(c->status);
	}
}

int host_wait(struct backend_cell *c, const struct backend_watch *w,
	      struct cell_exit *ret, struct err *e)
{
	struct watch t = { .c = c,
			   .w = w,
			   .next_ns = add_ms(c->started_ns, w->timeout_ms) };
	struct cell_exit x = { 0 };

	while (turn(&t))
		;
	/* its last word may still be in the socket */
	while (c->init_sock >= 0 && !c->ended)
		take_init(&t);
	while (c->telemetry >= 0 && take_telemetry(&t))
		;
	x.duration_ms =
		((t.files_ns ? t.files_ns : clock_mono_ns()) - c->started_ns) /
		1000000;
	relay_finish(&c->relay);
	judge(&t, &x);
	x.oom = cgroup_leaf_oom(&c->leaf) || c->told == CELL_TOLD_OOM;
	x.sandbox_ended =
		plan_is_sandbox(c->plan) && x.how == CELL_LOST && !t.lost;
	x.told = c->told;
	x.has_refused = c->has_refused;
	x.refused = c->refused;
	/* the cell's own limit may hit its pid 1 as well */
	if (x.how == CELL_LOST && x.oom && !t.lost && !plan_is_sandbox(c->plan))
		x = (struct cell_exit){ .how = CELL_SIGNALED,
					.sig = SIGKILL,
					.oom = true,
					.duration_ms = x.duration_ms };
	*ret = x;
	if (x.how != CELL_LOST)
		return 0;
	return err_set(e, ERR_HOST, 0, "%s%s%s",
		       t.lost ? t.lost
		       : is_short_of_files(c)
			       ? "not all that the command wrote came back"
		       : is_sandbox_lost(c)
			       ? "the sandbox ended, and not by its command"
			       : "pid 1 of the cell was killed from outside",
		       c->line[0] ? "; its console: " : "", c->line);
}
