/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Waiting until a cell is locked down, and letting the command go. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/host.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/names.h"
#include "base/stop.h"
#include "cell/door.h"
#include "sys/pidfd.h"
#include "sys/seccomp.h"

const char *host_name(const struct backend_cell *c)
{
	return cell_wall_word(c->plan->wall);
}

/* Assembling a cell takes milliseconds; one that takes this long hangs. A
 * machine may boot as long as it may live; an emulated one boots in seconds, on
 * a busy host in many. */
enum {
	STAGING_LIMIT_MS = 20000,
	BOOT_LIMIT_MS = 120000,
	BOOT_LEAST_MS = 30000, /* of an emulated one, whatever the lifetime */
	WORD_MS = 500,	       /* the driver may know more of why it hangs */
	REAP_LIMIT_MS = 10000
};

/* A fault that is none of the cell's */
static const char by_signal[] = "runner received ";

/* The gate gets what pid 1 made inside; only where a door was asked for. Of
 * what it asked for itself it is told as well that there is none. */
void host_give_socket(struct backend_cell *c, const struct cell_message *m,
		      int *fd)
{
	struct cell_gate *g = c->req->gate;
	struct door_socket s = { .kind = m->door.kind,
				 .family = m->door.family,
				 .port = m->door.port };
	int r = -EPROTO;

	if (g && (*fd >= 0 || s.kind == DOOR_DIAL)) {
		s.fd = fd_take(fd);
		r = g->give(g->arg, &s);
	}
	if (r)
		host_fault_set(c, PLAN_DOOR, -r, "gate");
}

static void door_is_made(struct backend_cell *c)
{
	struct cell_gate *g = c->req->gate;
	int r = g ? g->given(g->arg) : -EPROTO;

	c->got_door = true;
	if (r)
		host_fault_set(c, PLAN_DOOR, -r, "gate");
}

static void serve_gate(struct backend_cell *c)
{
	struct cell_gate *g = c->req->gate;

	if (g->serve(g->arg))
		host_fault_set(c, PLAN_DOOR, ECHILD, "gate");
}

/* A message of pid 1 or of the child while the cell is staged. */
static void take_message(struct backend_cell *c, int *sock)
{
	struct cell_message m;
	pid_t pid = 0;
	int fd = -1;
	int r = cell_recv(*sock, &m, &fd, &pid);

	/* lost, and not only over: what it said would be waited for in vain.
	 * Past start() the command may run: how it ends is told otherwise. */
	if (r < 0 && r != -ECONNRESET && !c->started_ns)
		host_fault_set(c, PLAN_CLONE, -r, "a message of the cell");
	if (r <= 0) {
		fd_drop(sock);
		return;
	}
	switch ((enum cell_message_type)m.type) {
	case CELL_MSG_FAULT:
		if (m.step >= 0 && (size_t)m.step < c->plan->n)
			host_fault_set(c, c->plan->steps[m.step].op, m.sys,
				       m.path);
		else
			host_fault_set(c, PLAN_CLONE, m.sys, m.path);
		break;
	case CELL_MSG_LISTENER:
		fd_drop(&c->listener);
		c->listener = fd_take(&fd);
		seccomp_listen(c->listener);
		break;
	case CELL_MSG_PTY:
		r = relay_pty(&c->relay, fd_take(&fd));
		if (r)
			host_fault_set(c, PLAN_EXEC, -r, "terminal");
		break;
	case CELL_MSG_READY:
		c->ready = m;
		c->got_ready = true;
		c->child_pid = pid;
		break;
	case CELL_MSG_NAMESPACES:
		memcpy(c->ns_inode, m.ns_inode, sizeof(c->ns_inode));
		c->got_namespaces = true;
		break;
	case CELL_MSG_DOOR_SOCKET:
		host_give_socket(c, &m, &fd);
		break;
	case CELL_MSG_DOOR:
		c->made = m;
		door_is_made(c);
		break;
	case CELL_MSG_ENDED:
		c->ended = true;
		c->status = m.status;
		break;
	case CELL_MSG_FILES:
		break; /* nothing has run yet */
	case CELL_MSG_GO:
	case CELL_MSG_DIAL:
	case CELL_MSG_TERM:
		break; /* only we send these */
	}
	fd_drop(&fd);
}

/* While staging every watched call is our own self test. */
static void answer_probe(struct backend_cell *c)
{
	pid_t pid;
	int nr = seccomp_answer(c->listener, &pid);

	if (nr < 0 && nr != -EAGAIN)
		host_fault_set(c, PLAN_SECCOMP, -nr, "seccomp listener");
}

/* The signal that stops us, or 0. Left pending: the run loop sees it too, and
 * says what it means. */
static int take_stop(const struct backend_cell *c)
{
	struct signalfd_siginfo s;
	int sig = stop_pending();

	if (!sig && read(c->sigfd, &s, sizeof(s)) < 0) {
		/* a SIGWINCH somebody else has taken */
	}
	return sig;
}

static void signal_while_staging(struct backend_cell *c)
{
	int sig = take_stop(c);
	char text[64];

	if (!sig)
		return;
	(void)snprintf(text, sizeof(text), "%sSIG%s", by_signal,
		       signal_word(sig));
	host_fault_set(c, PLAN_EXEC, EINTR, text);
}

static bool is_ready(const struct backend_cell *c)
{
	const struct cell_gate *g = c->req->gate;

	if (g && !(c->got_door && g->is_ready(g->arg)))
		return false;
	return c->got_ready && (c->got_namespaces || !c->plan->full);
}

/* @limit, or less: what a machine may live, which counts from its start */
static uint64_t limit_ms(const struct backend_cell *c, uint64_t limit)
{
	const bool emulated = c->plan->wall == CELL_WALL_QEMU &&
			      c->req->kvm != CELL_KVM_WORKS;
	const uint64_t least = emulated ? BOOT_LEAST_MS : 0;
	const uint64_t ttl = c->req->spec->ttl_seconds;
	uint64_t ms;

	if (!plan_is_vm(c->plan) || !ttl || ttl > limit / 1000)
		return limit;
	ms = ttl * 1000 > least ? ttl * 1000 : least;
	return ms < limit ? ms : limit;
}

static void too_late(struct backend_cell *c, enum plan_op stage,
		     const char *what, uint64_t ms)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s in %" PRIu64 " s", what,
		       ms / 1000);
	host_fault_set(c, stage, ETIMEDOUT, text);
}

static void wait_ready(struct backend_cell *c)
{
	uint64_t limit = limit_ms(c, plan_is_vm(c->plan) ? BOOT_LIMIT_MS
							 : STAGING_LIMIT_MS);
	uint64_t end;

	if (c->req->boot_ms)
		limit = c->req->boot_ms;
	end = clock_mono_ns() + (limit + WORD_MS) * 1000000;
	while (!c->fault.set && !is_ready(c)) {
		struct pollfd p[6] = {
			{ c->child_sock, POLLIN, 0 },
			{ c->init_sock, POLLIN, 0 },
			{ c->listener, POLLIN, 0 },
			{ c->sigfd, POLLIN, 0 },
			{ c->pidfd, POLLIN, 0 },
			{ c->req->gate ? c->req->gate->fd : -1, POLLIN, 0 },
		};
		uint64_t now = clock_mono_ns();

		if (now >= end) {
			too_late(c, PLAN_CLONE, "the cell was not ready",
				 limit);
			break;
		}
		if (poll(p, 6, (int)((end - now) / 1000000 + 1)) < 0 &&
		    errno != EINTR)
			host_fault_set(c, PLAN_CLONE, errno, "poll");
		if (p[0].revents)
			take_message(c, &c->child_sock);
		if (p[1].revents)
			take_message(c, &c->init_sock);
		if (p[2].revents & POLLIN)
			answer_probe(c);
		if (p[3].revents)
			signal_while_staging(c);
		if (p[5].revents)
			serve_gate(c);
		/* what it had to say was read above */
		if (p[4].revents && !p[0].revents && !p[1].revents)
			host_fault_set(c, PLAN_CLONE, ECHILD,
				       "pid 1 of the cell ended");
		if (c->child_sock < 0 && c->init_sock < 0)
			host_fault_set(c, PLAN_CLONE, ECHILD,
				       "the cell closed its channels");
	}
}

/* What a killed process leaves behind says nothing of why it was killed. */
static void look_for_oom(struct backend_cell *c)
{
	struct host_fault *f = &c->fault;

	if (!strncmp(f->detail, by_signal, strlen(by_signal)) ||
	    !cgroup_leaf_oom(&c->leaf))
		return;
	f->sys = ENOMEM;
	(void)snprintf(f->detail, sizeof(f->detail),
		       "the cell reached its memory limit of %" PRIu64
		       " bytes before its command could start: give it more, "
		       "by --memory, spec.run.limits.memoryMaxBytes or "
		       "CELLOS_CGROUP_MEMORY_MAX",
		       c->limits.memory_max);
}

/* The form readers of the original know, decided by where it failed. */
static int spawn_error(const struct backend_cell *c, struct err *e)
{
	const struct host_fault *f = &c->fault;
	bool plain = c->req->portable && !c->req->unshare &&
		     c->req->seccomp == CELL_SECCOMP_OFF &&
		     !c->req->cgroup_parent;
	char os[128];

	err_os_text(f->sys ? f->sys : EPROTO, os, sizeof(os));
	if (!strncmp(f->detail, by_signal, strlen(by_signal)))
		err_set(e, ERR_PLAIN, 0, "%s", f->detail);
	else
		err_set(e, ERR_PLAIN, 0, "%s%s",
			plain ? "" : "spec.run spawn failed: ", os);
	e->sys = f->sys;
	(void)snprintf(e->cause, sizeof(e->cause), "%s: %s: %s",
		       plan_op_word(f->stage), f->detail, os);
	return -1;
}

int host_prepare(struct backend_cell *c, struct report_enforcement *r,
		 struct err *e)
{
	if (!c->fault.set)
		wait_ready(c);
	if (!c->fault.set)
		(void)host_report(c, r);
	r->backend = host_name(c);
	r->phase = c->fault.set ? REPORT_REFUSED : REPORT_PREPARED;
	if (!c->fault.set)
		return 0;
	look_for_oom(c);
	(void)snprintf(r->stage, sizeof(r->stage), "%s",
		       plan_op_word(c->fault.stage));
	(void)snprintf(r->detail, sizeof(r->detail), "%s", c->fault.detail);
	r->sys = c->fault.sys;
	return spawn_error(c, e);
}

int host_start(struct backend_cell *c, struct err *e)
{
	struct cell_message go = { .type = CELL_MSG_GO };
	const uint64_t limit = limit_ms(c, STAGING_LIMIT_MS);
	int r;

	c->started_ns = clock_mono_ns();
	r = cell_send(c->child_sock, &go, -1);
	if (r) {
		host_fault_set(c, PLAN_EXEC, -r, "the command's process");
		look_for_oom(c);
		(void)spawn_error(c, e);
		e->cls = ERR_HOST;
		return -1;
	}
	/* exec closes the child's end; a failure says so first */
	while (c->child_sock >= 0 && !c->fault.set) {
		struct pollfd p[2] = { { c->child_sock, POLLIN, 0 },
				       { c->sigfd, POLLIN, 0 } };

		if (poll(p, 2, (int)limit) == 0)
			too_late(c, plan_is_vm(c->plan) ? PLAN_VMM : PLAN_EXEC,
				 "no word of the command", limit);
		if (p[0].revents)
			take_message(c, &c->child_sock);
		/* it may be running by now, so it is ended as one that is:
		 * by wait(), with the grace it has */
		else if (p[1].revents && take_stop(c))
			break;
	}
	if (!c->fault.set)
		return 0;
	look_for_oom(c);
	(void)spawn_error(c, e);
	/* that is not the command's: it was not even tried */
	if (c->fault.stage == PLAN_SANDBOX || c->fault.stage == PLAN_VMM)
		e->cls = ERR_HOST;
	return -1;
}

bool host_reap(struct backend_cell *c)
{
	struct pollfd p = { c->pidfd, POLLIN, 0 };
	siginfo_t info;
	int r;

	if (c->reaped || c->init_pid <= 0)
		return true;
	/* the kernel has to wait for a process in an uninterruptible call, on
	 * a dead file server for example: that is residue, not our end */
	do
		r = poll(&p, 1, REAP_LIMIT_MS);
	while (r < 0 && errno == EINTR);
	if (r != 1)
		return false;
	while (waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED) < 0 &&
	       errno == EINTR)
		;
	c->reaped = true;
	return true;
}
