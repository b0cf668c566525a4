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

#include "base/clock.h"
#include "base/fd.h"
#include "cell/door.h"
#include "cell/driver.h"
#include "cell/tree.h"
#include "cell/vm_int.h"
#include "image/image.h"

/* Return: false: the machine is dead, or dumb, and said nothing more */
static bool wait_record(struct machine *m)
{
	while (!m->has_record && !m->is_dead && !vm_is_cut_off(m))
		(void)vm_turn(m, false, -1);
	if (!m->has_record && m->is_dead)
		vm_drain(m);
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
	int sys = r->sys > 0 && r->sys < VM_SYS_MAX ? r->sys : EPROTO;

	if (r->step > (int32_t)m->step && (size_t)r->step < p->n)
		step = (size_t)r->step;
	if (p->steps[step].op == PLAN_EXEC)
		vm_fail(m, step, sys, m->s->req->spec->run->argv.p[0].p);
	memcpy(what, by, n);
	for (const char *c = r->text; *c; c++)
		what[n++] = *c >= ' ' && *c < 0x7f ? *c : '?';
	what[n] = '\0';
	vm_fail(m, step, sys, what);
}

/* The next record has to be @word; a fault is told, and is the end. */
static void expect(struct machine *m, enum vm_word word)
{
	const struct vm_record *r = &m->rec;

	if (!wait_record(m))
		vm_boot_failed(m);
	if (r->word == VM_FAULT)
		guest_failed(m);
	if (r->word != (uint32_t)word)
		vm_fail(m, m->step, EPROTO, "pid 1 of the guest");
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

	if (m->has_record || m->is_dead || m->qmp.end)
		return -EPIPE;
	(void)vm_turn_for(m, false, m->port[VM_TREES], events, -1);
	return 0;
}

static int wait_back(void *arg, short events)
{
	struct machine *m = arg;

	/* at the end of the VMM the stream has one, too */
	return vm_turn_for(m, false, m->port[VM_TREES], events, -1) ||
			       !m->qmp.is_sure
		       ? 0
		       : -EPIPE;
}

/* The guest unpacks them before it says READY: before it has the last of them
 * it can only say what is wrong. */
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
		(void)vm_turn_for(m, false, -1, 0, 0);
		if (m->has_record)
			expect(m, VM_FAULT);
		fd = open_tree(s, false);
		r = fd < 0 ? fd
			   : tree_send(&io, fd, NULL,
				       vm_is_tree(s, true) ? &m->names[s->n]
							   : NULL);
		/* the guest says what is wrong there, or the VMM ends */
		if (r == -EPIPE)
			expect(m, VM_FAULT);
		if (r)
			vm_fail(m, i, -r, s->dst);
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

/* Everything of the command's is dead by now. What is said first stands until
 * the last word: whatever ends this driver before, files are lost. */
static void take_trees(struct machine *m)
{
	const struct plan *p = m->s->plan;
	bool is_told = false;

	for (size_t i = m->step; i < p->n; i++) {
		if (!vm_is_tree(&p->steps[i], true))
			continue;
		if (!is_told)
			driver_tell(m->s, CELL_TOLD_FILES);
		is_told = true;
		if (take_tree(m, &p->steps[i]))
			_exit(125);
	}
}

static void end(struct machine *m) NORETURN;
static void end(struct machine *m)
{
	/* a guest that has begun anew says hello, before its end is told */
	if (!vm_is_genuine(&m->rec, m->key, m->s->req->spec->id.p))
		vm_lost(m);
	while (!has_output(m)) {
		if (m->qmp.is_sure)
			vm_lost(m);
		(void)vm_turn(m, true, -1);
	}
	vm_telemetry_end(m);
	take_trees(m);
	driver_end(m->s, m->rec.oom ? CELL_TOLD_OOM : CELL_TOLD_ENDED,
		   m->rec.status);
}

static void serve(struct machine *m) NORETURN;
static void serve(struct machine *m)
{
	for (;;) {
		const bool is_over = m->is_dead || vm_is_cut_off(m);

		if (is_over)
			vm_drain(m);
		if (m->has_record)
			end(m);
		if (is_over)
			vm_lost(m);
		if (m->is_asked_to_end)
			vm_order_send(m, (struct vm_order){ .word = VM_TERM,
							    .value = SIGTERM });
		m->is_asked_to_end = false;
		(void)vm_turn(m, true, -1);
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
	h.has_agent = req->telemetry.probes != 0;
	h.has_door = req->door != NULL;
	h.has_v6 = req->door && req->door->has_v6;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	h.now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	randombytes_buf(m->key, sizeof(m->key));
	memcpy(h.key, m->key, sizeof(h.key));
	vm_put_setup(&m->setup, &h, m->s->plan, req);
	sodium_memzero(&h, sizeof(h));
	if (m->setup.failed)
		vm_fail(m, m->step, E2BIG, "command and environment");
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
		vm_fail(m, m->step, -r, "stdio");
}

/* The trees come behind it. */
static void send_setup_whole(struct machine *m)
{
	while (m->setup.len && !m->is_dead && !m->has_record && !m->qmp.end &&
	       m->port[VM_CONTROL] >= 0)
		(void)vm_turn(m, false, -1);
}

/* By a VMM that waits to be told, and whose guest connects */
static void boot_told(struct machine *m)
{
	const struct vm_boot b = { .args = FIRECRACKER_ARGS,
				   .memory_mib = vm_memory_mib(m->s->req),
				   .initrd = VM_INITRD };
	const struct vm_wait w = { vm_wait_vmm, m, m->api };
	char why[VM_WHY_SIZE] = "firecracker";
	int r = firecracker_tell(m->s, &b, &w, why);

	if (!r)
		r = firecracker_go(&w, why);
	if (!r)
		r = firecracker_take(m->s, &w, m->listener, m->port, why);
	vm_check(m, r, why);
}

static void boot(struct machine *m)
{
	/* what a guest says is read by one who can do nothing else */
	int r = stage_lock_helper(m->s, vm_driver_id(m->s->plan), true);

	if (r)
		vm_fail(m, m->step, -r, "driver of the VMM");
	if (m->s->plan->wall == CELL_WALL_FIRECRACKER)
		boot_told(m);
	else
		vm_qmp_begin(m);
	start_flows(m);
	expect(m, VM_HELLO);
	if (m->rec.code != VM_VERSION)
		vm_fail(m, m->step, EPROTO,
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
	vm_wait_go(m);
	vm_order_send(m, (struct vm_order){ .word = VM_GO });
	expect(m, VM_RUNNING);
	vm_telemetry_begin(m);
	/* as exec would */
	(void)close(m->s->child_sock);
}

void vm_main(const struct stage *s, size_t first)
{
	static struct machine m; /* large */
	struct cell_message ready;
	struct stage own = *s;
	int r;

	m.setup = WBUF_INIT(VM_SETUP_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(m.names); i++)
		m.names[i] = WBUF_INIT(TREE_NAMES_MAX);
	vm_begin(&m, &own, first);
	if (s->req->image->is_foreign)
		vm_foreign_main(&m);
	boot(&m);
	r = vm_get_ready(&m.rec, &ready);
	if (r)
		vm_fail(&m, first, -r, "pid 1 of the guest");
	r = cell_send(own.child_sock, &ready, -1);
	if (r)
		vm_fail(&m, first, -r, "");
	let_go(&m);
	serve(&m);
}
