/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Pid 1 of a cell: assembles it, forks the command, reaps, passes signals on,
 * and ends - the kernel then kills what is left in the pid namespace. It ends
 * as well when the supervisor's end of its socket closes: a killed supervisor
 * ends the cell.
 *
 * Not dumpable, another uid than the workload where there are two, no
 * capability but CAP_KILL (and with a door CAP_NET_ADMIN over the cell's own
 * network), so nothing in the cell can read or stop it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cell/door.h"
#include "cell/stage.h"
#include "sys/caps.h"
#include "sys/cgroup.h"
#include "sys/seccomp.h"

bool stage_is_inner(enum plan_op op)
{
	return op >= PLAN_USER;
}
_Static_assert(PLAN_USER > PLAN_CGROUP_NS && PLAN_EXEC > PLAN_USER,
	       "the child's steps come last");

void stage_fail(int sock, size_t step, int sys, const char *path)
{
	struct cell_message m = { .type = CELL_MSG_FAULT,
				  .step = (int32_t)step,
				  .sys = sys };

	(void)snprintf(m.path, sizeof(m.path), "%s", path ? path : "");
	if (cell_send(sock, &m, -1)) {
		/* the supervisor is gone: so are we */
	}
	_exit(125);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Nothing the supervisor had open may live on in here. */
static int close_others(int *keep, size_t n)
{
	unsigned from = 3;
	int r;

	qsort(keep, n, sizeof(*keep), by_number);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < (int)from)
			continue;
		r = (unsigned)keep[i] > from
			    ? fd_close_range(from, (unsigned)keep[i] - 1)
			    : 0;
		if (r)
			return r;
		from = (unsigned)keep[i] + 1;
	}
	return fd_close_range(from, ~0u);
}

static int keep_only(const struct stage *s)
{
	int keep[STAGE_SOURCES + 6];
	size_t n = 0;

	keep[n++] = s->init_sock;
	keep[n++] = s->child_sock;
	if (s->telemetry >= 0)
		keep[n++] = s->telemetry;
	for (int i = 0; i < 3; i++)
		if (s->stdio[i] > 2)
			keep[n++] = s->stdio[i];
	for (size_t i = 0; i < STAGE_SOURCES; i++)
		if (s->source[i] >= 0)
			keep[n++] = s->source[i];
	return close_others(keep, n);
}

/* Pid 1 shares the runner's command line, which may name paths of the host or
 * values of the environment, and which every process may read in /proc. */
static void hide_arguments(void)
{
	static const char name[] = "cellos-init";
	OWNED(fd_drop) int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	unsigned long start = 0, end = 0;
	char text[1024], *p;
	ssize_t n;

	(void)prctl(PR_SET_NAME, name, 0, 0, 0);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return;
	text[n] = '\0';
	p = strrchr(text, ')');
	for (int field = 2; p && field < 48; field++)
		p = strchr(p + 1, ' ');
	if (!p || sscanf(p, " %lu %lu", &start, &end) != 2 || end <= start)
		return;
	memset((char *)start, 0, end - start);
	if (end - start > sizeof(name))
		memcpy((char *)start, name, sizeof(name));
}

static void wait_for_go(const struct stage *s)
{
	struct cell_message m;
	int fd;

	if (cell_recv(s->init_sock, &m, &fd, NULL) != 1 ||
	    m.type != CELL_MSG_GO)
		_exit(125);
}

/*
 * Without a pid namespace (portable, where none can be had) kill(-1) would
 * reach the whole host: walk our own descendants instead. As their subreaper
 * we inherit what daemonises.
 */
unsigned stage_signal_children(int sig)
{
	char path[64], text[4096], *p = text, *end;
	unsigned n = 0;
	ssize_t len;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%ld/children",
		       (long)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[len > 0 ? len : 0] = '\0';
	for (;; n++) {
		long pid = strtol(p, &end, 10);

		if (end == p || pid <= 1)
			return n;
		(void)kill((pid_t)pid, sig);
		p = end;
	}
}

static bool own_pid_namespace(const struct stage *s)
{
	return (s->ns & CELL_NS_PID) && !(s->drop & STAGE_DROP_NAMESPACES);
}

static void signal_all(const struct stage *s, pid_t child, int sig)
{
	/* who runs the sandbox passes it on, to what is in it */
	if (plan_is_sandbox(s->plan))
		(void)kill(child, sig);
	else if (own_pid_namespace(s))
		(void)kill(-1, sig);
	else
		(void)stage_signal_children(sig);
}

/* Pid 1 only has to end; a subreaper has to see every child dead first. */
static void kill_rest(const struct stage *s)
{
	if (own_pid_namespace(s))
		return;
	/* one at a time: whoever dies leaves its own children to us */
	while (stage_signal_children(SIGKILL))
		(void)waitpid(-1, NULL, 0);
}

/* The ids of the host's caller are left behind before anything is touched. */
static int become_inner_root(const struct stage *s)
{
	if (s->is_root) {
		if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 ||
		    setresuid(0, 0, 0) < 0)
			return -errno;
	}
	if (!own_pid_namespace(s))
		return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? -errno
								     : 0;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

/* Where root here is root everywhere: its capabilities stay, to be given up. */
static int leave_root(const struct stage *s)
{
	const uid_t id = s->plan->init_uid;

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ||
	    setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0 ||
	    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0 ||
	    /* what a change of ids resets */
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

static int give_up(const struct stage *s)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int keep[2] = { s->init_sock, s->told[0] }, r;

	for (int i = 0; i < 3; i++)
		if (null >= 0)
			(void)dup2(null, i);
	r = close_others(keep, plan_is_sandbox(s->plan) ? 2 : 1);
	/* the child had our memory when it changed its ids, which says anew
	 * who may look into it (fs.suid_dumpable) */
	if (!r && own_pid_namespace(s))
		r = last_errno(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	if (r)
		return r;
	if (!s->plan->full)
		return 0;
	if (!plan_own_ids(s->plan))
		r = leave_root(s);
	if (r)
		return r;
	/* over the cell's own network only: to read the filter's counters */
	return caps_set(1ULL << CAP_KILL |
			(s->req->door ? 1ULL << CAP_NET_ADMIN : 0));
}

/* Pid 1 lives under the allowlist too, and the child inherits it: one filter
 * for the kernel to compile instead of two. */
static int enter_filter(const struct stage *s)
{
	if (!s->plan->full || (s->drop & STAGE_DROP_SECCOMP))
		return 0;
	if (!(s->drop & STAGE_DROP_NO_NEW_PRIVS) &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return seccomp_enter_allow();
}

/* The child is in the same ones; it has enough to do. */
static void tell_namespaces(const struct stage *s)
{
	static const char *const names[] = { "pid", "ipc",  "net",   "uts",
					     "mnt", "user", "cgroup" };
	struct cell_message m = { .type = CELL_MSG_NAMESPACES };
	char path[64];
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s",
			       names[i]);
		if (stat(path, &st) == 0)
			m.ns_inode[i] = st.st_ino;
	}
	if (cell_send(s->init_sock, &m, -1))
		_exit(125);
}

/* The last of a driver: see driver.h */
struct word {
	uint8_t told; /* enum cell_told */
	char line[CELL_LINE_SIZE];
};

/* Return: false: there is no more to come */
static bool hear_driver(const struct stage *s, struct word *ret)
{
	const struct cell_message m = { .type = CELL_MSG_FILES };
	char b[2 + sizeof(*ret)];
	ssize_t n;

	while ((n = read(s->told[0], b, sizeof(b) - 1)) > 0) {
		const bool is_files = b[0] == CELL_TOLD_FILES;
		/* its last word may be right behind that one */
		const int at = is_files && n > 1;

		b[n] = '\0';
		if (is_files && cell_send(s->init_sock, &m, -1))
			return false; /* the supervisor is gone */
		/* files are lost whatever became of the machine */
		if (b[at] != CELL_TOLD_NOTHING)
			ret->told = (uint8_t)b[at];
		(void)snprintf(ret->line, sizeof(ret->line), "%s", b + at + 1);
	}
	return n != 0;
}

static void ended(const struct stage *s, int status, struct word *w)
{
	struct cell_message m = { .type = CELL_MSG_ENDED, .status = status };

	kill_rest(s);
	if (plan_is_sandbox(s->plan))
		(void)hear_driver(s, w);
	m.told = w->told;
	(void)snprintf(m.path, sizeof(m.path), "%s", w->line);
	if (s->req->door && door_refused_total(&m.door.refused) == 0)
		m.door.has_refused = 1;
	if (cell_send(s->init_sock, &m, -1)) {
		/* the supervisor is gone: nobody asks */
	}
	_exit(0);
}

static void reap(const struct stage *s, pid_t child, struct word *w)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == child)
			ended(s, status, w);
}

/* For the gate, which has no way to make them itself. Each that was asked for
 * is answered, or it would wait for the rest and ask for no more. */
static void dial_sockets(const struct stage *s, const struct cell_message *m)
{
	struct cell_message told = { .type = CELL_MSG_DOOR_SOCKET,
				     .door = { .kind = DOOR_DIAL,
					       .family = m->door.family,
					       .port = m->door.port } };

	for (uint32_t i = 0; i < m->door.rules && i < DOOR_INSIDE; i++) {
		OWNED(fd_drop)
		int fd = door_dial_socket(m->door.family, m->door.port == 1);

		if ((fd < 0 || cell_send(s->init_sock, &told, fd)) &&
		    cell_send(s->init_sock, &told, -1))
			return; /* the supervisor is gone */
	}
}

static void serve(const struct stage *s, pid_t child, int sigfd) NORETURN;
static void serve(const struct stage *s, pid_t child, int sigfd)
{
	struct pollfd p[3] = { { .fd = s->init_sock, .events = POLLIN },
			       { .fd = sigfd, .events = POLLIN },
			       { .fd = -1, .events = POLLIN } };
	struct signalfd_siginfo info;
	struct cell_message m;
	struct word word = { 0 };
	int fd, r;

	if (plan_is_sandbox(s->plan))
		p[2].fd = s->told[0];
	for (;;) {
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			_exit(125);
		if (p[2].revents && !hear_driver(s, &word))
			p[2].fd = -1;
		if (p[1].revents) {
			r = (int)read(sigfd, &info, sizeof(info));
			if (r > 0)
				reap(s, child, &word);
		}
		if (!p[0].revents)
			continue;
		r = cell_recv(s->init_sock, &m, &fd, NULL);
		if (r != 1) { /* the supervisor died */
			kill_rest(s);
			_exit(125);
		}
		if (m.type == CELL_MSG_TERM)
			signal_all(s, child, m.sys);
		else if (m.type == CELL_MSG_DIAL)
			dial_sockets(s, &m);
	}
}

/* Before there is anything that could be outside of them. */
static void enter_groups(const struct stage *s)
{
	int r = cgroup_enter(s->cgroup_fd);

	if (r)
		stage_fail(s->init_sock, plan_find(s->plan, PLAN_CGROUP), -r,
			   "tasks");
}

/*
 * Our memory is not copied for the little the child does until it execs; till
 * then we stand still. If the supervisor dies meanwhile, SIGKILL ends us, or
 * the child's socket the child.
 */
static pid_t start_child(const struct stage *s, size_t first)
{
	/* what drives a sandbox does not exec */
	pid_t child = plan_is_sandbox(s->plan) ? fork() : vfork();

	if (child < 0)
		stage_fail(s->init_sock, first, errno, "fork");
	if (child == 0 && plan_is_vm(s->plan))
		vm_main(s, first);
	if (child == 0 && plan_is_sandbox(s->plan))
		sandbox_main(s, first);
	if (child == 0)
		lockdown_main(s, first);
	return child;
}

void init_main(struct stage *s)
{
	sigset_t set;
	size_t i = 0;
	pid_t child;
	int r, sigfd;

	/* a terminal's ^C is for the supervisor, which then ends the cell */
	(void)setsid();
	hide_arguments();
	enter_groups(s);
	/* next our copy of the supervisor's end: with it open, its death
	 * would go unnoticed */
	r = keep_only(s);
	wait_for_go(s);
	/* which only the caller may open */
	if (!r && plan_is_vm(s->plan) && s->req->door) {
		s->leg_net = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
		if (s->leg_net < 0)
			stage_fail(s->init_sock, plan_find(s->plan, PLAN_LEG),
				   errno, "/dev/net/tun");
	}
	if (!r)
		r = become_inner_root(s);
	for (; i < s->plan->n && !stage_is_inner(s->plan->steps[i].op); i++) {
		const struct plan_step *p = &s->plan->steps[i];

		if (!r && (int)i == s->fail_step)
			r = -s->fail_errno;
		if (!r)
			r = apply_step(s, p);
		if (r)
			stage_fail(s->init_sock, i, -r,
				   p->dst ? p->dst : p->src);
	}
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		stage_fail(s->init_sock, i, errno, "sigprocmask");
	if (plan_is_sandbox(s->plan) &&
	    pipe2(s->told, O_CLOEXEC | O_NONBLOCK) < 0)
		stage_fail(s->init_sock, i, errno, "pipe");
	r = plan_is_sandbox(s->plan) ? 0 : enter_filter(s);
	if (r)
		stage_fail(s->init_sock, plan_find(s->plan, PLAN_SECCOMP), -r,
			   "pid 1");
	if (s->plan->full)
		tell_namespaces(s);
	child = start_child(s, i);
	r = give_up(s);
	/* a runtime has to make namespaces: it is not under this one */
	if (!r && plan_is_sandbox(s->plan))
		r = enter_filter(s);
	if (r)
		stage_fail(s->init_sock, i, -r, "pid 1");
	/* below any descriptor the child could be waiting on: opened last */
	sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sigfd < 0)
		stage_fail(s->init_sock, i, errno, "signalfd");
	reap(s, child, &(struct word){ 0 });
	serve(s, child, sigfd);
}
