/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Pid 1 of a machine (cell/vm.h). The command's root is made and its process
 * locked down by the functions that do it in a cell of the host's; this file
 * is what stands between them and the driver: the channel, the command's bytes,
 * the end.
 */
#include "guest/vm_guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "cell/door.h"
#include "cell/plan_int.h"
#include "cell/stage.h"
#include "cell/tree.h"
#include "sys/netns.h"
#include "sys/pump.h"

enum { POLLS = 2, AGENT_END_MS = 500 };

struct guest {
	int port[VM_PORTS]; /* 0: not open */
	struct vm_told told;
	int group;
	int sysrq;	    /* test builds */
	pid_t child, agent; /* 0: none */
	int sigfd;
	struct pump flow[3];
	int tree[LIMIT_MOUNTS + 1]; /* held: the command's root has no way to
				     * where they lie */
	struct wbuf came[LIMIT_MOUNTS + 1]; /* names of what was sent here */
	struct timespec began; /* what is older was sent, as it is */
	uint64_t stdin_end;    /* bytes of it; UINT64_MAX: not yet known */
	struct vm_order order;
	size_t order_len;
};

/* -- words -- */

/* To the console: there is no other way any more, or not yet. */
static void off(const char *why, int sys) NORETURN;
static void off(const char *why, int sys)
{
	(void)dprintf(2, "cellos-init: %s: error %d\n", why, sys);
	(void)reboot(vm_boot_has_sockets() ? RB_AUTOBOOT : RB_POWER_OFF);
	_exit(1);
}

static void tell(struct guest *g, const struct vm_record *r)
{
	int e = fd_write_all(g->port[VM_CONTROL], r, sizeof(*r));

	if (e)
		off("channel", -e);
}

/* The driver ends the machine; what comes after this nobody hears. */
static void fault(struct guest *g, int step, int sys,
		  const char *what) NORETURN;
static void fault(struct guest *g, int step, int sys, const char *what)
{
	struct vm_record r = { .word = VM_FAULT, .step = step, .sys = sys };

	(void)snprintf(r.text, sizeof(r.text), "%s", what ? what : "");
	tell(g, &r);
	for (;;)
		(void)pause();
}

/* -- the channel -- */

static int read_exact(int fd, void *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t k = read(fd, (char *)p + at, n - at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k ? -errno : -EPIPE;
		at += (size_t)k;
	}
	return 0;
}

static int read_setup(struct guest *g)
{
	struct vm_setup h;
	char *p;
	int r = read_exact(g->port[VM_CONTROL], &h, sizeof(h));

	if (r)
		return r;
	if (h.size < sizeof(h) || h.size > VM_SETUP_MAX)
		return -EPROTO;
	p = malloc(h.size); /* left to the end */
	if (!p)
		return -ENOMEM;
	memcpy(p, &h, sizeof(h));
	r = read_exact(g->port[VM_CONTROL], p + sizeof(h), h.size - sizeof(h));
	return r ? r : vm_get_setup(p, h.size, &g->told);
}

/* -- the command's root -- */

/* The entries of the image take the place of the step that stands for them. */
static int expand_image(struct plan *p, size_t at)
{
	static const struct cell_request req = { .image_root = VM_GUEST_IMAGE };
	static struct plan rest;
	NO_INIT struct host_caps h;
	struct plan_builder b = { .p = p, .req = &req, .h = &h };
	int r = host_caps_image(VM_GUEST_IMAGE, &h);

	if (r)
		return r;
	rest.n = p->n - at - 1;
	memcpy(rest.steps, p->steps + at + 1, rest.n * sizeof(rest.steps[0]));
	p->n = at;
	plan_top(&b);
	if (b.failed || p->n + rest.n > PLAN_STEPS_MAX)
		return -E2BIG;
	memcpy(p->steps + p->n, rest.steps, rest.n * sizeof(rest.steps[0]));
	p->n += rest.n;
	return 0;
}

/* The driver's number of a step of the expanded plan */
static int number_of(const struct guest *g, size_t i, size_t at, size_t more)
{
	if (i > at + more)
		i -= more;
	else if (i > at)
		i = at;
	return (int)(g->told.h.first + i);
}

static const char *subject(const struct plan_step *s)
{
	return s->dst ? s->dst : s->src;
}

/* -- files -- */

static int tree_dir(const struct plan_step *s)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), VM_FILES "/%d", (int)s->n);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* What is written from here on has another time than all that was sent: files
 * get theirs from a clock that moves in ticks. */
static void mark_time(struct timespec *ret)
{
	const struct timespec step = { .tv_nsec = 500000 };
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, ret);
	do {
		(void)nanosleep(&step, NULL);
		(void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (now.tv_sec == ret->tv_sec && now.tv_nsec == ret->tv_nsec);
}

static void take_trees(struct guest *g)
{
	const struct tree_rules rules = { .max = g->told.h.files_max,
					  .uid = g->told.h.uid,
					  .gid = g->told.h.gid };
	const struct plan *p = &g->told.plan;
	struct tree_io io = { 0 };

	if (!vm_has_trees(p))
		return;
	if (!g->port[VM_TREES])
		g->port[VM_TREES] = vm_port_open(VM_TREES);
	if (g->port[VM_TREES] < 0)
		fault(g, (int)g->told.h.first, -g->port[VM_TREES], "port");
	io.fd = g->port[VM_TREES];
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_step *t = &p->steps[i];
		int fd, r;

		if (!vm_is_tree(t, false))
			continue;
		g->came[t->n] = WBUF_INIT(TREE_NAMES_MAX);
		fd = g->tree[t->n] = tree_dir(t);
		r = fd < 0 ? fd : tree_receive(&io, fd, &rules, &g->came[t->n]);
		if (!r && !(t->flags & PLAN_F_RO))
			r = last_errno(
				fchown(fd, g->told.h.uid, g->told.h.gid));
		if (r)
			fault(g, (int)(g->told.h.first + i), -r, t->dst);
	}
	mark_time(&g->began);
}

/* Return: -errno: then the driver waits in vain, and the machine ends */
static int give_trees(struct guest *g)
{
	const struct plan *p = &g->told.plan;
	int r = 0;

	for (size_t i = 0; i < p->n && !r; i++) {
		const struct plan_step *t = &p->steps[i];
		const struct tree_io io = { .fd = g->port[VM_TREES] };
		const struct tree_since since = { .time = g->began,
						  .names = &g->came[t->n] };
		OWNED(fd_drop) int fd = -1;

		if (!vm_is_tree(t, true))
			continue;
		fd = t->flags & PLAN_F_FILE
			     ? openat(g->tree[t->n], TREE_FILE,
				      O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
			     : fcntl(g->tree[t->n], F_DUPFD_CLOEXEC, 3);
		r = fd < 0 ? -errno : tree_send(&io, fd, &since, NULL);
	}
	return r;
}

/* -- the child -- */

static void child_main(struct stage *s, int group, size_t first) NORETURN;
static void child_main(struct stage *s, int group, size_t first)
{
	int r = file_write(group, "cgroup.procs", "0", 1);

	if (r)
		stage_fail(s->child_sock, first, -r, "cgroup.procs");
	lockdown_main(s, first);
}

/* Its own descriptors; pumps have the other ends. */
static int make_stdio(struct guest *g, int ret[3])
{
	for (int i = 0; i < 3; i++) {
		int p[2], r;

		if (pipe2(p, O_CLOEXEC) < 0)
			return -errno;
		ret[i] = p[i ? 1 : 0];
		/* a shell's `> /dev/stderr` opens the pipe anew */
		if (fchown(p[0], g->told.h.uid, g->told.h.gid) < 0)
			return -errno;
		r = i ? pump_start(&g->flow[i], p[0], g->port[VM_STDIN + i])
		      : pump_start(&g->flow[i], g->port[VM_STDIN], p[1]);
		if (r)
			return r;
	}
	return 0;
}

/* -- the loop -- */

static void take_order(struct guest *g, int sock)
{
	const struct cell_message go = { .type = CELL_MSG_GO };
	ssize_t n = read(g->port[VM_CONTROL], (char *)&g->order + g->order_len,
			 sizeof(g->order) - g->order_len);

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			off("driver", n < 0 ? errno : 0);
		return;
	}
	g->order_len += (size_t)n;
	if (g->order_len < sizeof(g->order))
		return;
	g->order_len = 0;
	if (g->order.word == VM_GO && sock >= 0 && cell_send(sock, &go, -1))
		off("child", errno);
	if (g->order.word == VM_TERM)
		(void)kill(-1, (int)g->order.value);
	if (g->order.word == VM_CLOSED && g->order.value == 0)
		g->stdin_end = g->order.bytes;
	if (g->order.word == VM_CLOSED && g->order.value > 0 &&
	    g->order.value < 3)
		fd_drop(&g->flow[g->order.value].from);
}

static void end_stdin(struct guest *g)
{
	struct pump *f = &g->flow[0];

	if (f->taken == g->stdin_end && f->at == f->len)
		pump_stop(f);
}

static bool has_ended(struct guest *g, int *ret_status)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;
	bool is_ended = false;

	while (read(g->sigfd, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == g->child) {
			*ret_status = status;
			is_ended = true;
		}
	return is_ended;
}

/* @sock: the child's, until exec; -1. Return: has it something to say */
static bool turn(struct guest *g, int sock)
{
	struct pollfd p[POLLS + 4] = { { g->port[VM_CONTROL], POLLIN, 0 },
				       { g->sigfd, POLLIN, 0 } };

	for (size_t i = 0; i < 3; i++)
		p[POLLS + i] = pump_poll(&g->flow[i]);
	p[POLLS + 3] = (struct pollfd){ sock, POLLIN, 0 };
	if (poll(p, POLLS + 4, -1) < 0 && errno != EINTR)
		off("poll", errno);
	if (p[0].revents)
		take_order(g, sock);
	for (size_t i = 0; i < 3; i++)
		if (p[POLLS + i].revents)
			pump_serve(&g->flow[i]);
	end_stdin(g);
	return p[POLLS + 3].revents != 0;
}

#ifdef CELLOS_TEST_HOOKS
/* A limit that has been lost since it was set */
static void test_hook_limit(const struct guest *g)
{
	for (char **v = g->told.env; *v; v++) {
		if (!strcmp(*v, "CELLOS_TEST_GUEST=memory"))
			(void)!file_write(g->group, "memory.max", "max", 3);
		if (!strcmp(*v, "CELLOS_TEST_GUEST=pids"))
			(void)!file_write(g->group, "pids.max", "21", 2);
	}
}

/* A guest whose kernel, or whose pid 1, ends while the command runs */
static void test_hook(const struct guest *g)
{
	/* RUNNING is heard first: a VMM that ends takes its queues with it */
	const struct timespec step = { .tv_nsec = 300000000 };

	for (char **v = g->told.env; *v; v++)
		if (!strncmp(*v, "CELLOS_TEST_GUEST=", 18))
			(void)nanosleep(&step, NULL);
	for (char **v = g->told.env; *v; v++) {
		if (!strcmp(*v, "CELLOS_TEST_GUEST=init"))
			_exit(1);
		if (!strcmp(*v, "CELLOS_TEST_GUEST=kernel"))
			(void)!write(g->sysrq, "c", 1);
		/* an end that nobody with the key has told */
		if (!strcmp(*v, "CELLOS_TEST_GUEST=forged")) {
			struct vm_record r = { .word = VM_ENDED };

			(void)!write(g->port[VM_CONTROL], &r, sizeof(r));
		}
	}
}
#else
static void test_hook_limit(const struct guest *g)
{
	(void)g;
}

static void test_hook(const struct guest *g)
{
	(void)g;
}
#endif

/* The command's group holds it by now. */
static void tell_ready(struct guest *g, const uint8_t probe[CELL_PROBES])
{
	struct vm_record r = { .word = VM_READY };
	const char *what = "";
	int e;

	test_hook_limit(g);
	e = vm_group_limits(g->group, &g->told.h, &r.limits, &what);
	if (e)
		fault(g, (int)g->told.h.first, -e, what);
	memcpy(r.probe, probe, sizeof(r.probe));
	tell(g, &r);
}

/* What the child says until it is the command: the driver's numbers of steps */
static void hear_child(struct guest *g, int sock, size_t at, size_t more)
{
	struct cell_message m;
	int fd = -1, n = 0;

	for (;;) {
		if (!turn(g, sock))
			continue;
		n = cell_recv(sock, &m, &fd, NULL);
		fd_drop(&fd);
		if (n == 1 && m.type == CELL_MSG_FAULT)
			fault(g, number_of(g, (size_t)m.step, at, more), m.sys,
			      m.path);
		if (n != 1)
			break; /* exec has closed it, or it died */
		tell_ready(g, m.probe);
	}
	tell(g, &(struct vm_record){ .word = VM_RUNNING });
	test_hook(g);
}

/* What the command and those it left have written, and no more: nothing of
 * theirs is waited for. */
static void flush(struct guest *g)
{
	for (size_t i = 1; i < 3; i++) {
		struct pump *f = &g->flow[i];
		struct pollfd p = { f->from, POLLIN, 0 };

		while (f->at < f->len ||
		       (f->from >= 0 && poll(&p, 1, 0) == 1)) {
			if (f->at < f->len) {
				struct pollfd to = { f->to, POLLOUT, 0 };

				(void)poll(&to, 1, -1);
			}
			pump_serve(f);
			p.fd = f->from;
		}
	}
}

/* Its kernel has told it all by now: it passes that on, if somebody takes it.
 */
static void end_agent(pid_t agent)
{
	const struct timespec step = { .tv_nsec = 1000000 };

	(void)kill(agent, VM_AGENT_END);
	for (int i = 0; i < AGENT_END_MS; i++) {
		if (waitpid(agent, NULL, WNOHANG))
			return;
		(void)nanosleep(&step, NULL);
	}
	(void)kill(agent, SIGKILL);
}

static void serve(struct guest *g) NORETURN;
static void serve(struct guest *g)
{
	struct vm_record r = { .word = VM_ENDED };
	int status;

	while (!has_ended(g, &status))
		(void)turn(g, -1);
	/* the end of the command is the end of the rest: what is theirs is not
	 * written any more when it is read */
	if (file_write(g->group, "cgroup.kill", "1", 1))
		off("cgroup.kill", errno);
	if (g->agent > 0)
		end_agent(g->agent);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	flush(g);
	r.status = status;
	r.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				     : WEXITSTATUS(status);
	r.oom = vm_group_oom(g->group);
	r.sent[0] = g->flow[1].passed;
	r.sent[1] = g->flow[2].passed;
	vm_seal(&r, g->told.h.key, g->told.id);
	tell(g, &r);
	status = give_trees(g);
	if (status)
		off("files", -status);
	for (;;)
		(void)pause(); /* the driver ends the machine */
}

/* -- from the beginning -- */

static void set_up(struct guest *g)
{
	const struct vm_setup *h = &g->told.h;
	const struct timespec now = { .tv_sec = h->now_ns / 1000000000,
				      .tv_nsec = h->now_ns % 1000000000 };
	const char *what = "";
	int r = vm_boot_root(h, &what);

	if (r)
		fault(g, (int)h->first, -r, what);
	/* before there is a command it could be taken for */
	if (h->has_agent) {
		r = g->agent = vm_agent_start(&g->told);
		if (r < 0)
			fault(g, (int)h->first, -r, "telemetry");
	}
	g->group = vm_boot_group(h, &what);
	if (g->group < 0)
		fault(g, (int)h->first, -g->group, what);
#ifdef CELLOS_TEST_HOOKS
	g->sysrq = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
#endif
	r = netns_lo_up();
	if (!r && h->has_door)
		r = door_far_end(h->has_v6);
	if (r)
		fault(g, (int)h->first, -r, "network of the guest");
	if (clock_settime(CLOCK_REALTIME, &now) < 0 ||
	    sethostname("cell", 4) < 0)
		fault(g, (int)h->first, errno, "clock and name");
}

static void start(struct guest *g, struct stage *s, size_t first)
{
	int sock[2], r = make_stdio(g, s->stdio);

	if (r || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		fault(g, (int)g->told.h.first, r ? -r : errno, "stdio");
	s->init_sock = sock[0];
	s->child_sock = sock[1];
	g->child = fork();
	if (g->child < 0)
		fault(g, (int)g->told.h.first, errno, "fork");
	if (g->child == 0)
		child_main(s, g->group, first);
	(void)close(sock[1]);
	for (int i = 0; i < 3; i++)
		(void)close(s->stdio[i]);
}

static void run(struct guest *g) NORETURN;
static void run(struct guest *g)
{
	static struct spec spec;
	static struct spec_run command;
	static struct door door;
	struct cell_request req = { .spec = &spec,
				    .envp = g->told.env,
				    .in = CELL_STDIN_PASS,
				    .door = g->told.h.has_door ? &door : NULL };
	struct plan *p = &g->told.plan;
	struct stage s = { .plan = p,
			   .req = &req,
			   .ns = CELL_NS_ALL,
			   .is_root = true,
			   .is_guest = true,
			   .closed_port = g->told.h.closed_port,
			   .fail_step = -1 };
	struct slice *argv = calloc(g->told.h.n_argv, sizeof(*argv));
	size_t at = plan_find(p, PLAN_IMAGE), i = 0, was = p->n;
	int r;

	take_trees(g);
	r = argv ? expand_image(p, at) : -ENOMEM;

	if (r)
		fault(g, number_of(g, at, at, 0), -r, VM_GUEST_IMAGE);
	for (size_t k = 0; k < g->told.h.n_argv; k++)
		argv[k] = slice_of(g->told.argv[k]);
	command.argv =
		(struct spec_strings){ .p = argv, .n = g->told.h.n_argv };
	spec.run = &command;
	door.has_v6 = g->told.h.has_v6;
	for (size_t k = 0; k < STAGE_SOURCES; k++)
		s.source[k] = -1;
	for (; i < p->n && !stage_is_inner(p->steps[i].op); i++) {
		r = apply_step(&s, &p->steps[i]);
		if (r)
			fault(g, number_of(g, i, at, p->n - was), -r,
			      subject(&p->steps[i]));
	}
	start(g, &s, i);
	hear_child(g, s.init_sock, at, p->n - was);
	serve(g);
}

/* An initramfs has no node for it: the kernel may have given us all three or
 * none. Without them the channel would be 0; more would be the command's. */
static void open_console(void)
{
	int fd;

	do
		fd = open("/dev/console", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		(void)close(fd);
}

void vm_guest_main(void)
{
	static struct guest g; /* large */
	const char *what = "";
	sigset_t set;
	int n, r = vm_boot_devices(&what);

	open_console();
	g.stdin_end = UINT64_MAX;
	/* a driver that listens takes all there may be, at once */
	n = vm_boot_has_sockets() ? VM_PORTS : VM_TREES;
	for (int i = VM_CONTROL; i < n && !r; i++) {
		g.port[i] = vm_port_open(i);
		r = g.port[i] < 0 ? g.port[i] : 0;
		what = "port";
	}
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	if (!r)
		r = last_errno(sigprocmask(SIG_SETMASK, &set, NULL));
	g.sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r || g.sigfd < 0)
		off(what, r ? -r : errno);
	(void)prctl(PR_SET_NAME, "cellos-init", 0, 0, 0);
	tell(&g, &(struct vm_record){ .word = VM_HELLO, .code = VM_VERSION });
	r = read_setup(&g);
	if (r)
		fault(&g, -1, -r, "set-up");
	set_up(&g);
	run(&g);
}
