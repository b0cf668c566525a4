/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "gate/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/names.h"
#include "base/path.h"
#include "sys/datagram.h"
#include "sys/pidfd.h"

enum {
	CHANNEL = 3,
	BATCH = 64,
	SLACK_MS = 1000,     /* for records to come after the drain */
	SLACK_MAX_MS = 10000 /* while they do */
};

static const uint64_t MS = 1000000;

struct gate_process {
	struct gate_process_config c;
	struct cell_gate seam;
	int sock, pidfd;
	pid_t pid;
	bool is_ready, has_ended; /* its last record came */
	unsigned asked[2][2];	  /* sockets inside, by family and type */
	char why[200];
};

/* -- start -- */

/* Its full size, but only what is in it is written: the rest are holes, zeros
 * for who reads them, and no page to anybody. */
static int put_policy(int fd, const struct gate_policy *p)
{
	const struct {
		size_t at, n;
	} parts[] = {
		{ 0, offsetof(struct gate_policy, rules) +
			     p->n_rules * sizeof(p->rules[0]) },
		{ offsetof(struct gate_policy, names),
		  p->n_names * sizeof(p->names[0]) },
		{ offsetof(struct gate_policy, resolvers),
		  p->n_resolvers * sizeof(p->resolvers[0]) },
		{ offsetof(struct gate_policy, nets),
		  p->n_nets * sizeof(p->nets[0]) },
	};

	if (ftruncate(fd, (off_t)sizeof(*p)) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		ssize_t n = pwrite(fd, (const char *)p + parts[i].at,
				   parts[i].n, (off_t)parts[i].at);

		if (n != (ssize_t)parts[i].n)
			return n < 0 ? -errno : -EIO;
	}
	return 0;
}

static int policy_fd(const struct gate_policy *p)
{
	OWNED(fd_drop)
	int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	r = put_policy(fd, p);
	if (!r &&
	    fcntl(fd, F_ADD_SEALS,
		  F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		r = -errno;
	return r ? r : fd_take(&fd);
}

/* In the child of vfork: nothing but calls, and one store that the parent
 * sees. */
static void exec_gate(int program, int sock, volatile int *ret) NORETURN;
static void exec_gate(int program, int sock, volatile int *ret)
{
	static char name[] = "cellos-gate", empty[] = "";
	char *const argv[] = { name, NULL };
#ifdef CELLOS_TEST_HOOKS
	char **envp = environ;
#else
	char *const envp[] = { NULL };
#endif
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* dup2 of a descriptor onto itself would keep its close-on-exec */
	if (sock == CHANNEL ? fcntl(sock, F_SETFD, 0) == 0
			    : dup2(sock, CHANNEL) == CHANNEL)
		(void)syscall(SYS_execveat, program, empty, argv, envp,
			      AT_EMPTY_PATH);
	*ret = errno;
	_exit(127);
}

/* Alone with its call: what lives across vfork() may be clobbered. */
static pid_t vfork_gate(int program, int sock, volatile int *ret)
{
	pid_t pid = vfork();

	if (pid == 0)
		exec_gate(program, sock, ret);
	return pid;
}

static int spawn(struct gate_process *p, int program, int child_sock)
{
	OWNED(fd_drop) int high = -1;
	volatile int failed = 0;

	/* out of the way of the channel */
	high = fcntl(program, F_DUPFD_CLOEXEC, CHANNEL + 1);
	if (high < 0)
		return -errno;
	p->pid = vfork_gate(high, child_sock, &failed);
	if (p->pid < 0)
		return -errno;
	if (failed)
		return -failed;
	p->pidfd = pidfd_open_pid(p->pid);
	return p->pidfd < 0 ? p->pidfd : 0;
}

/* -- what it says -- */

static int lose(struct gate_process *p, const char *why)
{
	if (!p->why[0])
		(void)snprintf(p->why, sizeof(p->why), "the gate %s", why);
	return -1;
}

static unsigned *asked_of(struct gate_process *p, uint8_t family, bool is_udp)
{
	return &p->asked[family == 6][is_udp];
}

/* One request of a kind at a time: a gate that somebody took over could have
 * us and pid 1 of the cell wait for each other. */
static int ask_inside(struct gate_process *p, const struct gate_record *r)
{
	unsigned *asked = asked_of(p, r->inside.family, r->inside.is_udp);

	if (*asked || !p->seam.dial)
		return lose(p, "broke the form of its channel");
	*asked = r->inside.n;
	/* a cell that has ended gives none, and needs none */
	(void)!p->seam.dial(p->seam.wall, r->inside.family, r->inside.is_udp,
			    r->inside.n);
	return 0;
}

static int take_record(struct gate_process *p, const struct gate_record *r)
{
	const char *why;
	char q[200];

	switch ((enum gate_record_type)r->type) {
	case GATE_READY:
		p->is_ready = true;
		return 0;
	case GATE_FAULT:
		why = errno_text(r->fault.sys);
		(void)snprintf(q, sizeof(q), "failed: %.120s%s%s",
			       r->fault.text, why ? ": " : "", why ? why : "");
		return lose(p, q);
	case GATE_INSIDE:
		return ask_inside(p, r);
	case GATE_STATS:
		p->has_ended = true;
		break;
	case GATE_QUERY:
	case GATE_DECISION:
	case GATE_FLOW:
	case GATE_REFUSED:
	case GATE_AGGREGATE:
		break;
	}
	if (p->c.record(p->c.arg, r))
		return lose(p, "could not be recorded");
	return 0;
}

static int serve(void *arg)
{
	struct gate_process *p = arg;

	/* a flood of records must not keep us from the rest of the cell */
	for (int i = 0; i < BATCH; i++) {
		struct gate_record r;
		int fd;
		int n = datagram_recv(p->sock, &r, sizeof(r), &fd, NULL,
				      MSG_DONTWAIT);

		fd_drop(&fd);
		if (n == -EAGAIN)
			return 0;
		if (n == 0 || n == -ECONNRESET)
			return p->has_ended ? 0 : lose(p, "died");
		if (n < 0 || !gate_record_check(&r, sizeof(r), p->c.policy))
			return lose(p, "broke the form of its channel");
		if (take_record(p, &r))
			return -1;
	}
	return 0;
}

/* -- what a wall does with it -- */

static int order(struct gate_process *p, struct gate_order *o, int fd)
{
	return datagram_send(p->sock, o, sizeof(*o), fd);
}

static int give(void *arg, struct door_socket *s)
{
	struct gate_process *p = arg;
	struct gate_order o = { .type = GATE_ORDER_SOCKET, .socket = *s };
	int r;

	o.socket.fd = -1;
	if (s->kind == DOOR_LISTEN) {
		if (s->port >= DOOR_LISTEN_MAX)
			return -EPROTO;
		o.socket.port = (uint16_t)p->c.listen[s->port];
	}
	if (s->kind == DOOR_DIAL && *asked_of(p, s->family, s->port == 1))
		--*asked_of(p, s->family, s->port == 1);
	r = order(p, &o, s->fd);
	fd_drop(&s->fd);
	return r;
}

static int given(void *arg)
{
	struct gate_order o = { .type = GATE_ORDER_SOCKETS };

	return order(arg, &o, -1);
}

static int open_up(void *arg)
{
	struct gate_order o = { .type = GATE_ORDER_OPEN };
	struct gate_process *p = arg;
	int r = order(p, &o, -1);

	/* from now on it hears a cell: nothing of ours may wait for it */
	return !r && fcntl(p->sock, F_SETFL, O_NONBLOCK) < 0 ? -errno : r;
}

static bool is_ready(void *arg)
{
	return ((struct gate_process *)arg)->is_ready;
}

int gate_process_start(const struct gate_process_config *c,
		       struct gate_process **ret, struct err *e)
{
	OWNED(fd_drop) int program = -1;
	OWNED(fd_drop) int policy = -1;
	struct gate_order o = { .type = GATE_ORDER_POLICY,
				.uid = c->uid,
				.gid = c->gid };
	struct gate_process *p = calloc(1, sizeof(*p));
	char path[PATH_MAX] = "cellos-gate";
	int pair[2], r;

	*ret = p;
	if (!p)
		return err_set(e, ERR_HOST, ENOMEM, "gate");
	*p = (struct gate_process){ .c = *c, .sock = -1, .pidfd = -1 };
	p->seam = (struct cell_gate){ .fd = -1,
				      .give = give,
				      .given = given,
				      .open = open_up,
				      .serve = serve,
				      .is_ready = is_ready,
				      .arg = p };
	program = path_program("cellos-gate", path);
	if (program < 0)
		return err_set(e, ERR_HOST, -program, "gate: %s", path);
	policy = policy_fd(c->policy);
	if (policy < 0)
		return err_set(e, ERR_HOST, -policy, "gate: policy");
	r = datagram_pair(pair);
	if (r)
		return err_set(e, ERR_HOST, -r, "gate: channel");
	p->sock = p->seam.fd = pair[0];
	r = spawn(p, program, pair[1]);
	(void)close(pair[1]);
	if (!r)
		r = order(p, &o, policy);
	return r ? err_set(e, ERR_HOST, -r, "gate: %s", path) : 0;
}

struct cell_gate *gate_process_seam(struct gate_process *p)
{
	return &p->seam;
}

pid_t gate_process_pid(const struct gate_process *p)
{
	return p->pid;
}

const char *gate_process_why(const struct gate_process *p)
{
	return p->why;
}

/* -- end -- */

int gate_process_finish(struct gate_process *p, struct err *e)
{
	struct gate_order o = { .type = GATE_ORDER_STOP };
	uint64_t end = clock_mono_ns() +
		       ((uint64_t)p->c.policy->drain_ms + SLACK_MS) * MS;
	uint64_t last = end + SLACK_MAX_MS * MS;
	bool lost = p->why[0] != '\0';

	if (!lost && order(p, &o, -1))
		lost = lose(p, "died") < 0;
	while (!lost && !p->has_ended) {
		struct pollfd f = { p->sock, POLLIN, 0 };
		uint64_t now = clock_mono_ns();

		if (now >= end) {
			lost = lose(p, "did not end in time") < 0;
			break;
		}
		if (poll(&f, 1, (int)((end - now) / MS + 1)) > 0) {
			lost = serve(p) < 0;
			/* many may be under way */
			now = clock_mono_ns() + SLACK_MS * MS;
			if (now > end)
				end = now < last ? now : last;
		}
	}
	return lost ? err_set(e, ERR_HOST, 0, "%s", p->why) : 0;
}

void gate_process_free(struct gate_process **pp)
{
	struct gate_process *p = *pp;
	siginfo_t info;

	*pp = NULL;
	if (!p)
		return;
	if (p->pid > 0) {
		if (p->pidfd >= 0 && pidfd_signal(p->pidfd, SIGKILL)) {
			/* it has ended: there is still a child to reap */
		}
		while (waitid(P_PID, (id_t)p->pid, &info, WEXITED) < 0 &&
		       errno == EINTR)
			;
	}
	fd_drop(&p->sock);
	fd_drop(&p->pidfd);
	free(p);
}
