/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A machine as its driver sees it: the process of the VMM, its console, its
 * streams, and one loop that serves them all.
 */
#include "cell/vm_int.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cell/driver.h"

enum {
	POLLS = 4,
	DRAIN_READS = 64,
	END_MS = 2000, /* between the end of a channel and that of its VMM */
};

void vm_fail(const struct machine *m, size_t step, int sys, const char *what)
{
	stage_fail(m->s->child_sock, step, sys, what);
}

/* -- the console -- */

/* Where it is passed on it is read as fast as that takes it: a reader who
 * sleeps must not hold up anything else. */
static bool echo_is_full(const struct machine *m)
{
	struct pollfd p = { m->echo, POLLOUT, 0 };

	return m->echo >= 0 && poll(&p, 1, 0) == 0;
}

/* The older half makes room. Return: has it read something */
static bool vm_take_log(struct machine *m)
{
	size_t most;
	ssize_t n;

	if (m->log_len == VM_LOG_MAX) {
		m->log_len = VM_LOG_MAX / 2;
		memmove(m->log, m->log + VM_LOG_MAX / 2, m->log_len);
	}
	most = VM_LOG_MAX - m->log_len;
	if (m->echo >= 0 && most > PIPE_BUF)
		most = PIPE_BUF; /* as many as a pipe takes at once */
	m->echo_waits = echo_is_full(m);
	if (m->echo_waits)
		return false;
	n = read(m->port[0], m->log + m->log_len, most);
	/* nobody reads it any more: it is still kept here */
	if (n > 0 && m->echo >= 0 &&
	    fd_write_all(m->echo, m->log + m->log_len, (size_t)n))
		fd_drop(&m->echo);
	if (n > 0)
		m->log_len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		fd_drop(&m->port[0]);
	return n > 0;
}

static bool log_has(const struct machine *m, const char *text)
{
	return memmem(m->log, m->log_len, text, strlen(text)) != NULL;
}

/* What the guest's kernel said of its own end, or else the VMM; their words are
 * a guest's. */
static enum cell_told cause_of_end(const struct machine *m)
{
	if (m->qmp.is_sure || !m->is_dead)
		return m->qmp.end;
	if (WIFSIGNALED(m->vmm_status) || !log_has(m, "Kernel panic"))
		return CELL_TOLD_NOTHING;
	return log_has(m, "Attempted to kill init") ? CELL_TOLD_INIT
						    : CELL_TOLD_PANIC;
}

/* Of our init, or else of whoever was the last to say something */
static void last_line(const struct machine *m, char *buf, size_t size)
{
	static const char own[] = "cellos-init: ";
	const char *p = memmem(m->log, m->log_len, own, sizeof(own) - 1);
	const char *end = m->log + m->log_len;
	size_t n = 0;

	while (!p && end > m->log && (unsigned char)end[-1] <= ' ')
		end--;
	if (!p)
		for (p = end; p > m->log && p[-1] != '\n';)
			p--;
	for (; p < end && *p != '\n' && n < size - 1; p++)
		if (*p >= ' ' && *p < 0x7f)
			buf[n++] = *p;
	buf[n] = '\0';
}

void vm_lost(struct machine *m)
{
	char line[CELL_LINE_SIZE];

	last_line(m, line, sizeof(line));
	driver_tell_line(m->s, cause_of_end(m), line);
	_exit(125);
}

/* Before there was a command */
void vm_boot_failed(struct machine *m)
{
	char why[200], line[CELL_LINE_SIZE], end[64];

	last_line(m, line, sizeof(line));
	(void)snprintf(end, sizeof(end), "%s",
		       m->qmp.end ? m->qmp.why : "the guest is cut off");
	if (m->is_dead)
		(void)snprintf(end, sizeof(end), "the VMM ended, %s %d",
			       WIFSIGNALED(m->vmm_status) ? "signal" : "status",
			       WIFSIGNALED(m->vmm_status)
				       ? WTERMSIG(m->vmm_status)
				       : WEXITSTATUS(m->vmm_status));
	(void)snprintf(why, sizeof(why), "%s: %s%s%s",
		       log_has(m, "Unable to mount root")
			       ? "kernel_cannot_mount_root"
		       : log_has(m, "Attempted to kill init") ? "init_crashed"
							      : "boot_failed",
		       end, line[0] ? "; its console: " : "", line);
	vm_fail(m, m->step, ECHILD, why);
}

/* -- the guest's words -- */

/* Return: has it read something */
static bool take_record(struct machine *m)
{
	ssize_t n;

	if (m->has_record)
		return false;
	n = read(m->port[VM_CONTROL], (char *)&m->rec + m->rec_len,
		 sizeof(m->rec) - m->rec_len);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			fd_drop(&m->port[VM_CONTROL]);
		return false;
	}
	m->rec_len += (size_t)n;
	if (m->rec_len < sizeof(m->rec))
		return true;
	m->rec_len = 0;
	m->has_record = true;
	m->rec.text[sizeof(m->rec.text) - 1] = '\0';
	return true;
}

/* Orders are few and short: they find room, or the VMM is not well. */
void vm_order_send(struct machine *m, struct vm_order o)
{
	if (m->port[VM_CONTROL] >= 0 &&
	    write(m->port[VM_CONTROL], &o, sizeof(o)) != (ssize_t)sizeof(o))
		fd_drop(&m->port[VM_CONTROL]);
}

static void send_setup(struct machine *m)
{
	ssize_t n = write(m->port[VM_CONTROL], m->setup.p + m->sent,
			  m->setup.len - m->sent);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		fd_drop(&m->port[VM_CONTROL]);
	if (n > 0)
		m->sent += (size_t)n;
	if (m->sent == m->setup.len) {
		wbuf_drop(&m->setup); /* it has the environment: wiped */
		m->sent = 0;
	}
}

/* -- one loop -- */

static void reap(struct machine *m)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(m->sigfd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGTERM)
			m->is_asked_to_end = true;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != m->vmm)
			continue;
		m->is_dead = true;
		m->vmm_status = status;
	}
}

/* The end of what the command reads; nobody reads what it writes. */
static void tell_ends(struct machine *m)
{
	for (uint32_t i = 0; i < 3; i++) {
		const struct pump *f = &m->flow[i];

		if (m->told[i] || (i ? f->to >= 0 : !pump_is_empty(f)))
			continue;
		m->told[i] = true;
		vm_order_send(m, (struct vm_order){ .word = VM_CLOSED,
						    .value = i,
						    .bytes = f->passed });
	}
}

/* @extra: one more to wait for, -1: none; @ms: -1: as long as it takes.
 * Return: has it happened */
bool vm_turn_for(struct machine *m, bool is_running, int extra, short events,
		 int ms)
{
	struct pollfd p[POLLS + 5] = {
		{ m->sigfd, POLLIN, 0 },
		{ m->port[VM_CONTROL],
		  (short)(POLLIN | (m->setup.len ? POLLOUT : 0)), 0 },
		m->echo_waits ? (struct pollfd){ m->echo, POLLOUT, 0 }
			      : (struct pollfd){ m->port[0], POLLIN, 0 },
		{ extra, events, 0 },
	};
	const int silence = vm_telemetry_ms(m);

	if (m->has_record)
		p[1].fd = -1; /* its end would be told again and again */
	for (size_t i = 0; i < 3; i++)
		p[POLLS + i] = is_running ? pump_poll(&m->flow[i])
					  : (struct pollfd){ .fd = -1 };
	p[POLLS + 3] = vm_telemetry_poll(m);
	p[POLLS + 4] = (struct pollfd){ m->qmp.fd, POLLIN, 0 };
	if (silence >= 0 && (ms < 0 || ms > silence))
		ms = silence;
	if (poll(p, POLLS + 5, ms) < 0 && errno != EINTR)
		_exit(125);
	if (p[2].revents)
		(void)vm_take_log(m);
	if (p[1].revents & POLLOUT)
		send_setup(m);
	if (p[1].revents & (POLLIN | POLLHUP | POLLERR))
		(void)take_record(m);
	for (size_t i = 0; i < 3; i++)
		if (p[POLLS + i].revents)
			pump_serve(&m->flow[i]);
	vm_telemetry_serve(m, &p[POLLS + 3]);
	if (p[POLLS + 4].revents)
		vm_qmp_serve(m);
	if (is_running)
		tell_ends(m);
	reap(m);
	return p[3].revents != 0;
}

bool vm_turn(struct machine *m, bool is_running, int extra)
{
	return vm_turn_for(m, is_running, extra, POLLIN, -1);
}

/* What was written before the end is still in the sockets. */
void vm_drain(struct machine *m)
{
	/* others may hold the other ends, and even write: what is there now */
	for (int i = 0; i < DRAIN_READS && m->port[0] >= 0; i++)
		if (!vm_take_log(m))
			break;
	for (int i = 0; i < DRAIN_READS && m->port[VM_CONTROL] >= 0; i++)
		if (m->has_record || !take_record(m))
			break;
}

/* Its channel has an end, or it stands still. A VMM that ends is reaped soon;
 * of one that goes on there is nothing to come. */
bool vm_is_cut_off(struct machine *m)
{
	const uint64_t end = clock_mono_ns() + END_MS * 1000000ULL;

	if (m->has_record || (m->port[VM_CONTROL] >= 0 && !m->qmp.end))
		return false;
	while (!m->is_dead && !m->has_record && !m->qmp.is_sure &&
	       clock_mono_ns() < end)
		(void)vm_turn_for(m, false, -1, 0, END_MS / 10);
	return true;
}

/* -- the VMM -- */

/* In a jail nobody but its user could, and by now this still is root: nothing
 * is read from it yet. */
static void connect_api(struct machine *m)
{
	const struct vm_wait w = { vm_wait_vmm, m, -1 };
	char why[VM_WHY_SIZE] = "firecracker";

	m->api = firecracker_connect(m->s, &w, why);
	if (m->api < 0)
		vm_check(m, m->api, why);
}

void vm_begin(struct machine *m, struct stage *s, size_t step)
{
	const bool waits = s->plan->wall == CELL_WALL_FIRECRACKER;
	int r;

	m->s = s;
	m->step = step;
	m->echo = m->api = m->qmp.fd = -1;
	for (int i = 0; i < VM_PORTS_ALL; i++)
		m->port[i] = m->listener[i] = -1;
	r = m->sigfd = driver_begin(s);
	if (r >= 0 && (int)step == s->fail_step)
		vm_fail(m, step, s->fail_errno, "made to fail");
	if (r >= 0)
		r = m->vmm =
			waits ? firecracker_start(s, &m->port[0], m->listener)
			      : qemu_start(s, m->port, &m->qmp.fd);
	if (r < 0)
		vm_fail(m, step, -r, "driver of the VMM");
	if (waits)
		connect_api(m);
}

int vm_echo(struct machine *m)
{
	if (m->s->stdio[1] >= 0)
		m->echo = fcntl(m->s->stdio[1], F_DUPFD_CLOEXEC, 3);
	return m->s->stdio[1] >= 0 && m->echo < 0 ? -errno : 0;
}

int vm_wait_vmm(void *arg, int fd, short events, uint64_t ns)
{
	struct machine *m = arg;
	uint64_t now;

	while (!m->is_dead) {
		now = clock_mono_ns();
		if (now >= ns)
			return -ETIMEDOUT;
		if (vm_turn_for(m, false, fd, events,
				(int)((ns - now) / 1000000) + 1))
			return 0;
	}
	return -EPIPE;
}

void vm_check(struct machine *m, int r, const char *why)
{
	if (r == -EPIPE)
		vm_boot_failed(m);
	if (r)
		vm_fail(m, m->step, -r, why);
}

void vm_wait_go(struct machine *m)
{
	struct cell_message go;
	int unused;

	while (!vm_turn(m, false, m->s->child_sock))
		if (m->is_dead)
			vm_boot_failed(m);
	if (cell_recv(m->s->child_sock, &go, &unused, NULL) != 1 ||
	    go.type != CELL_MSG_GO)
		_exit(125);
}
