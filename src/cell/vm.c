/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The driver of a machine: a process of the cell that starts the VMM, tells our
 * init in the guest what to do, carries the command's bytes, and ends as the
 * command did. What it reads comes from a guest: records of one size, each
 * allowed in one state only. All that it starts dies with the cell's pid 1.
 *
 *  (guest boots) ─► HELLO ─► set-up ─► (locks down) ─► READY
 *            ─► READY to the supervisor
 *            GO of the supervisor ─► GO ─► RUNNING ─► ENDED
 */
#include "cell/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "cell/door.h"
#include "cell/driver.h"
#include "cell/tree.h"
#include "cell/vm_start.h"
#include "sys/pump.h"

enum {
	LOG_MAX = 65536, /* of the guest's console, the latest */
	POLLS = 4,
	SYS_MAX = 4096
};

struct machine {
	struct stage *s;
	size_t step; /* VMM */
	pid_t vmm;
	int sigfd;
	int port[VM_PORTS];
	struct pump flow[3]; /* by the command's descriptor */
	struct wbuf setup;   /* not yet sent from @sent on */
	size_t sent;
	struct vm_record rec;
	size_t rec_len;
	uint8_t key[VM_KEY_LEN];
	bool has_record, is_dead, is_asked_to_end;
	bool told[3]; /* the guest: that this flow has ended */
	int vmm_status;
	struct wbuf names[LIMIT_MOUNTS + 1]; /* sent, of what comes back */
	char log[LOG_MAX];
	size_t log_len;
};

static void fail(const struct machine *m, size_t step, int sys,
		 const char *what) NORETURN;
static void fail(const struct machine *m, size_t step, int sys,
		 const char *what)
{
	stage_fail(m->s->child_sock, step, sys, what);
}

/* -- the console -- */

/* The older half makes room. */
static void take_log(struct machine *m)
{
	ssize_t n;

	if (m->log_len == LOG_MAX) {
		m->log_len = LOG_MAX / 2;
		memmove(m->log, m->log + LOG_MAX / 2, m->log_len);
	}
	n = read(m->port[0], m->log + m->log_len, LOG_MAX - m->log_len);
	if (n > 0)
		m->log_len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		fd_drop(&m->port[0]);
}

static bool log_has(const struct machine *m, const char *text)
{
	return memmem(m->log, m->log_len, text, strlen(text)) != NULL;
}

/* What the guest's kernel said of its own end; its words are a guest's. */
static enum cell_told cause_of_end(const struct machine *m)
{
	if (!m->is_dead || WIFSIGNALED(m->vmm_status) ||
	    !log_has(m, "Kernel panic"))
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

/* Before there was a command */
static void boot_failed(struct machine *m) NORETURN;
static void boot_failed(struct machine *m)
{
	char why[200], line[120];

	last_line(m, line, sizeof(line));
	(void)snprintf(why, sizeof(why), "%s: the VMM ended, %s %d%s%s",
		       log_has(m, "Unable to mount root")
			       ? "kernel_cannot_mount_root"
		       : log_has(m, "Attempted to kill init") ? "init_crashed"
							      : "boot_failed",
		       WIFSIGNALED(m->vmm_status) ? "signal" : "status",
		       WIFSIGNALED(m->vmm_status) ? WTERMSIG(m->vmm_status)
						  : WEXITSTATUS(m->vmm_status),
		       line[0] ? "; its console: " : "", line);
	fail(m, m->step, ECHILD, why);
}

/* -- the guest's words -- */

static void take_record(struct machine *m)
{
	ssize_t n;

	if (m->has_record)
		return;
	n = read(m->port[VM_CONTROL], (char *)&m->rec + m->rec_len,
		 sizeof(m->rec) - m->rec_len);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			fd_drop(&m->port[VM_CONTROL]);
		return;
	}
	m->rec_len += (size_t)n;
	if (m->rec_len < sizeof(m->rec))
		return;
	m->rec_len = 0;
	m->has_record = true;
	m->rec.text[sizeof(m->rec.text) - 1] = '\0';
}

/* Orders are few and short: they find room, or the VMM is not well. */
static void order(struct machine *m, struct vm_order o)
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
		order(m, (struct vm_order){ .word = VM_CLOSED,
					    .value = i,
					    .bytes = f->passed });
	}
}

/* @extra: one more to wait for, -1: none. Return: has it happened */
static bool turn_for(struct machine *m, bool is_running, int extra,
		     short events)
{
	struct pollfd p[POLLS + 3] = {
		{ m->sigfd, POLLIN, 0 },
		{ m->port[VM_CONTROL],
		  (short)(POLLIN | (m->setup.len ? POLLOUT : 0)), 0 },
		{ m->port[0], POLLIN, 0 },
		{ extra, events, 0 },
	};

	if (m->has_record)
		p[1].fd = -1; /* its end would be told again and again */
	for (size_t i = 0; i < 3; i++)
		p[POLLS + i] = is_running ? pump_poll(&m->flow[i])
					  : (struct pollfd){ .fd = -1 };
	if (poll(p, POLLS + 3, -1) < 0 && errno != EINTR)
		_exit(125);
	if (p[2].revents)
		take_log(m);
	if (p[1].revents & POLLOUT)
		send_setup(m);
	if (p[1].revents & (POLLIN | POLLHUP | POLLERR))
		take_record(m);
	for (size_t i = 0; i < 3; i++)
		if (p[POLLS + i].revents)
			pump_serve(&m->flow[i]);
	if (is_running)
		tell_ends(m);
	reap(m);
	return p[3].revents != 0;
}

static bool turn(struct machine *m, bool is_running, int extra)
{
	return turn_for(m, is_running, extra, POLLIN);
}

/* What was written before the end is still in the sockets. */
static void drain(struct machine *m)
{
	while (m->port[0] >= 0)
		take_log(m);
	while (m->port[VM_CONTROL] >= 0 && !m->has_record)
		take_record(m);
}

/* Return: false: the machine is dead, and said nothing more */
static bool wait_record(struct machine *m)
{
	while (!m->has_record && !m->is_dead)
		(void)turn(m, false, -1);
	if (!m->has_record)
		drain(m);
	return m->has_record;
}

/* What it worked on is a guest's text: said to be one, and of letters. */
static void guest_failed(struct machine *m) NORETURN;
static void guest_failed(struct machine *m)
{
	static const char by[] = "guest: ";
	const struct plan *p = m->s->plan;
	const struct vm_record *r = &m->rec;
	char what[sizeof(by) + sizeof(r->text)];
	size_t step = m->step, n = sizeof(by) - 1;
	int sys = r->sys > 0 && r->sys < SYS_MAX ? r->sys : EPROTO;

	if (r->step > (int32_t)m->step && (size_t)r->step < p->n)
		step = (size_t)r->step;
	if (p->steps[step].op == PLAN_EXEC)
		fail(m, step, sys, m->s->req->spec->run->argv.p[0].p);
	memcpy(what, by, n);
	for (const char *c = r->text; *c; c++)
		what[n++] = *c >= ' ' && *c < 0x7f ? *c : '?';
	what[n] = '\0';
	fail(m, step, sys, what);
}

/* The next record has to be @word; a fault is told, and is the end. */
static void expect(struct machine *m, enum vm_word word)
{
	const struct vm_record *r = &m->rec;

	if (!wait_record(m))
		boot_failed(m);
	if (r->word == VM_FAULT)
		guest_failed(m);
	if (r->word != (uint32_t)word)
		fail(m, m->step, EPROTO, "pid 1 of the guest");
	m->has_record = false;
}

/* -- the end -- */

/* All output that the guest has sent has come, and is passed on. */
static bool has_output(const struct machine *m)
{
	for (size_t i = 0; i < 2; i++) {
		const struct pump *f = &m->flow[i + 1];

		if (f->from >= 0 && f->taken < m->rec.sent[i])
			return false;
		if (f->at < f->len)
			return false;
	}
	return true;
}

/* -- files -- */

/* What a step of the guest's part stands for here */
static int open_tree(const struct plan_step *s, bool back)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), VM_MOUNTS "/%" PRIu64, s->n);
	if (s->flags & PLAN_F_FILE)
		fd = open(path, (back ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	else
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Meanwhile the console is heard, and a guest that gives up. */
static int wait_sent(void *arg, short events)
{
	struct machine *m = arg;

	if (m->has_record || m->is_dead)
		return -EPIPE;
	(void)turn_for(m, false, m->port[VM_TREES], events);
	return 0;
}

static int wait_back(void *arg, short events)
{
	struct machine *m = arg;

	/* at the end of the VMM the stream has one, too */
	(void)turn_for(m, false, m->port[VM_TREES], events);
	return 0;
}

/* The guest unpacks them before it says READY, and nothing else happens. */
static void send_trees(struct machine *m)
{
	const struct tree_io io = { m->port[VM_TREES], wait_sent, m };
	const struct plan *p = m->s->plan;

	for (size_t i = m->step; i < p->n; i++) {
		const struct plan_step *s = &p->steps[i];
		OWNED(fd_drop) int fd = -1;
		int r;

		if (!vm_is_tree(s, false))
			continue;
		fd = open_tree(s, false);
		r = fd < 0 ? fd
			   : tree_send(&io, fd, NULL,
				       vm_is_tree(s, true) ? &m->names[s->n]
							   : NULL);
		/* the guest says what is wrong there, or the VMM ends */
		if (r == -EPIPE)
			return;
		if (r)
			fail(m, i, -r, s->dst);
	}
}

static int take_tree(struct machine *m, const struct plan_step *s)
{
	const struct tree_io io = { m->port[VM_TREES], wait_back, m };
	const struct tree_rules rules = {
		.max = m->s->req->limits->v[LIMIT_TMP_BYTES],
		.uid = (uid_t)-1,
		.sent = &m->names[s->n],
	};
	OWNED(wbuf_drop) struct wbuf back = WBUF_INIT(TREE_NAMES_MAX);
	OWNED(fd_drop) int fd = open_tree(s, true);
	int r = fd < 0 ? fd : tree_receive(&io, fd, &rules, &back);

	return r ? r : tree_forget(fd, &m->names[s->n], &back);
}

/* Everything of the command's is dead by now. */
static void take_trees(struct machine *m)
{
	const struct plan *p = m->s->plan;

	for (size_t i = m->step; i < p->n; i++) {
		if (!vm_is_tree(&p->steps[i], true))
			continue;
		if (take_tree(m, &p->steps[i])) {
			driver_tell(m->s, CELL_TOLD_FILES);
			_exit(125);
		}
	}
}

static void end(struct machine *m) NORETURN;
static void end(struct machine *m)
{
	if (!vm_is_genuine(&m->rec, m->key, m->s->req->spec->id.p))
		_exit(125);
	while (!has_output(m))
		(void)turn(m, true, -1);
	take_trees(m);
	driver_end(m->s, m->rec.oom ? CELL_TOLD_OOM : CELL_TOLD_ENDED,
		   m->rec.status);
}

static void serve(struct machine *m) NORETURN;
static void serve(struct machine *m)
{
	for (;;) {
		if (m->is_dead)
			drain(m);
		if (m->has_record)
			end(m);
		if (m->is_dead) {
			enum cell_told told = cause_of_end(m);

			if (told)
				driver_tell(m->s, told);
			_exit(125);
		}
		if (m->is_asked_to_end)
			order(m, (struct vm_order){ .word = VM_TERM,
						    .value = SIGTERM });
		m->is_asked_to_end = false;
		(void)turn(m, true, -1);
	}
}

/* -- steps -- */

static void put_setup(struct machine *m)
{
	const struct cell_request *req = m->s->req;
	struct vm_setup h;
	struct timespec now;

	memset(&h, 0, sizeof(h)); /* what lies between the members is sent */
	h.uid = m->s->plan->in_uid;
	h.gid = m->s->plan->in_gid;
	h.memory_max = req->memory_max;
	h.pids_max = req->pids_max;
	h.files_max = req->limits->v[LIMIT_TMP_BYTES];
	h.closed_port = self_test_closed_port(req->door);
	h.has_door = req->door != NULL;
	h.has_v6 = req->door && req->door->has_v6;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	h.now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	randombytes_buf(m->key, sizeof(m->key));
	memcpy(h.key, m->key, sizeof(h.key));
	vm_put_setup(&m->setup, &h, m->s->plan, req);
	sodium_memzero(&h, sizeof(h));
	if (m->setup.failed)
		fail(m, m->step, E2BIG, "command and environment");
}

static void start_flows(struct machine *m)
{
	int fd[3], r = 0;

	for (int i = 0; i < 3 && !r; i++) {
		fd[i] = m->s->stdio[i] < 0
				? open("/dev/null", O_RDWR | O_CLOEXEC)
				: fcntl(m->s->stdio[i], F_DUPFD_CLOEXEC, 3);
		r = fd[i] < 0 ? -errno : 0;
	}
	if (!r)
		r = pump_start(&m->flow[0], fd[0], m->port[VM_STDIN]);
	for (int i = 1; i < 3 && !r; i++)
		r = pump_start(&m->flow[i], m->port[VM_STDIN + i], fd[i]);
	if (!r)
		r = driver_drop_stdio(m->s);
	if (r)
		fail(m, m->step, -r, "stdio");
}

/* The trees come behind it. */
static void send_setup_whole(struct machine *m)
{
	while (m->setup.len && !m->is_dead && !m->has_record &&
	       m->port[VM_CONTROL] >= 0)
		(void)turn(m, false, -1);
}

static void boot(struct machine *m)
{
	int r;

	start_flows(m);
	/* what a guest says is read by one who can do nothing else */
	r = stage_lock_helper(m->s, m->s->plan->in_uid, true);
	if (r)
		fail(m, m->step, -r, "driver of the VMM");
	expect(m, VM_HELLO);
	if (m->rec.code != VM_VERSION)
		fail(m, m->step, EPROTO,
		     "the image has an init of another version; build it "
		     "again (cellos image build)");
	/* now, because it tells the time */
	put_setup(m);
	send_setup_whole(m);
	send_trees(m);
	expect(m, VM_READY);
}

static void let_go(struct machine *m)
{
	struct cell_message go;
	int unused;

	while (!turn(m, false, m->s->child_sock))
		if (m->is_dead)
			boot_failed(m);
	if (cell_recv(m->s->child_sock, &go, &unused, NULL) != 1 ||
	    go.type != CELL_MSG_GO)
		_exit(125);
	order(m, (struct vm_order){ .word = VM_GO });
	expect(m, VM_RUNNING);
	/* as exec would */
	(void)close(m->s->child_sock);
}

void vm_main(const struct stage *s, size_t first)
{
	static struct machine m; /* large */
	struct cell_message ready = { .type = CELL_MSG_READY };
	struct stage own = *s;
	int r;

	m = (struct machine){ .s = &own,
			      .step = first,
			      .setup = WBUF_INIT(VM_SETUP_MAX) };
	for (size_t i = 0; i < ARRAY_SIZE(m.names); i++)
		m.names[i] = WBUF_INIT(TREE_NAMES_MAX);
	r = m.sigfd = driver_begin(s);
	if (r >= 0 && (int)first == s->fail_step)
		fail(&m, first, s->fail_errno, "made to fail");
	if (r >= 0)
		r = m.vmm = vm_start(&own, m.port);
	if (r < 0)
		fail(&m, first, -r, "driver of the VMM");
	boot(&m);
	memcpy(ready.probe, m.rec.probe, sizeof(ready.probe));
	r = cell_send(own.child_sock, &ready, -1);
	if (r)
		fail(&m, first, -r, "");
	let_go(&m);
	serve(&m);
}
