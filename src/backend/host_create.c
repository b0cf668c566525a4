/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Staging a host cell: limits, sources, the clone, its maps. What goes wrong
 * here is kept and told by prepare(), so that it reaches the evidence.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/host.h"
#include "base/fd.h"
#include "base/stop.h"
#include "cell/vm_start.h"
#include "image/image.h"
#include "sys/mount.h"
#include "sys/pidfd.h"
#include "sys/userns.h"

int host_fault_set(struct backend_cell *c, enum plan_op stage, int sys,
		   const char *detail)
{
	if (c->fault.set)
		return -1;
	c->fault =
		(struct host_fault){ .set = true, .stage = stage, .sys = sys };
	(void)snprintf(c->fault.detail, sizeof(c->fault.detail), "%s", detail);
	return -1;
}

/* -- for tests -- */

#ifdef CELLOS_TEST_HOOKS
static void test_hooks(struct stage *s)
{
	static const char *const walls[] = {
		"namespaces",	"seccomp", "landlock", "caps",
		"no-new-privs", "pivot",   "readonly", "mask",
		"pids",		"idmap",   "nft",      "self-test",
	};
	const char *drop = getenv("CELLOS_TEST_DROP_WALL");
	const char *fail = getenv("CELLOS_TEST_FAIL_STEP");

	/* one or more, with commas between */
	for (size_t n; drop && *drop; drop += n + (drop[n] == ',')) {
		n = strcspn(drop, ",");
		for (size_t i = 0; i < ARRAY_SIZE(walls); i++)
			if (n == strlen(walls[i]) && !memcmp(drop, walls[i], n))
				s->drop |= 1u << i;
	}
	if (fail) {
		s->fail_errno = EPERM;
		(void)sscanf(fail, "%d:%d", &s->fail_step, &s->fail_errno);
		s->fail_step--; /* the numbers of `cellos plan` */
	}
}

/* Steps of the supervisor; those inside the cell fail where they are done. */
static bool made_to_fail(struct backend_cell *c, enum plan_op op)
{
	int n = c->stage.fail_step;

	if (n < 0 || (size_t)n >= c->plan->n || c->plan->steps[n].op != op)
		return false;
	return host_fault_set(c, op, c->stage.fail_errno, "made to fail") < 0;
}
#else
static bool made_to_fail(const struct backend_cell *c, enum plan_op op)
{
	(void)c;
	(void)op;
	return false;
}
#endif

/* -- limits -- */

static int note_leaf(struct backend_cell *c)
{
	struct err e;

	for (int i = 0; i < CGROUP_CONTROLLER_NUM; i++)
		if (c->leaf.path[i][0] && c->req->state &&
		    state_run_note(c->req->state, &e, "cgroup %s",
				   c->leaf.path[i]))
			return host_fault_set(c, PLAN_STATE, EIO, e.text);
	return 0;
}

static bool plan_has(const struct plan *p, enum plan_op op)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->steps[i].op == op)
			return true;
	return false;
}

static int make_limits(struct backend_cell *c)
{
	const struct cell_request *q = c->req;
	struct cgroup_host h;
	char seg[257], name[320], what[CGROUP_PATH_MAX + 64] = "";
	int r;

	if (!plan_has(c->plan, PLAN_CGROUP))
		return 0;
	c->limits = (struct cgroup_limits){ .memory_max = q->memory_max,
					    .cpu_quota = q->cpu_quota,
					    .cpu_period = q->cpu_period,
					    .pids_max = q->pids_max };
	if (plan_is_vm(c->plan))
		c->limits.pids_max += VM_THREADS;
	if (c->stage.drop & STAGE_DROP_PIDS)
		c->limits.pids_max = 0;
	r = cgroup_host_find(q->cgroup_parent, &h);
	if (r) {
		(void)snprintf(what, sizeof(what),
			       "CELLOS_CGROUP_PARENT %.100s: " CGROUP_REMEDY,
			       q->cgroup_parent);
		return host_fault_set(c, PLAN_CGROUP, -r, what);
	}
	/* around the whole machine; the guest keeps the command's */
	if (plan_is_vm(c->plan) &&
	    (q->memory_max || h.parent[CGROUP_MEMORY][0]))
		c->limits.memory_max = vm_outer_bytes(q);
	if (!h.parent[CGROUP_PIDS][0] && !q->pids_asked) {
		/* the default may fall back; it is reported so */
		c->stage.nproc = q->pids_max;
		c->limits.pids_max = 0;
	}
	spec_leaf_segment(q->spec->id, seg);
	(void)snprintf(name, sizeof(name), "cellos_%s_%s", seg, q->run_uuid);
	r = cgroup_leaf_plan(&h, name, &c->limits, &c->leaf);
	if (r)
		return host_fault_set(
			c, PLAN_CGROUP, -r,
			"no control group for a limit that is asked for: "
			"delegate one (systemd-run --user --scope -p "
			"Delegate=yes) or name one in CELLOS_CGROUP_PARENT");
	if (note_leaf(c))
		return -1;
	r = cgroup_leaf_make(&c->leaf, &c->limits, what);
	if (r)
		return host_fault_set(c, PLAN_CGROUP, -r, what);
	return 0;
}

/* -- sources -- */

/* The runtime's file server makes a file as its own root, then gives it away:
 * that root has to be somebody on this disk. It is the run's own spare id there
 * as well, which owns nothing. */
static int idmap_for(const struct backend_cell *c, const struct stat *st)
{
	const struct plan *p = c->plan;
	const struct userns_map uid[2] = { { st->st_uid, p->out_uid, 1 },
					   { p->init_uid, p->init_uid, 1 } };
	const struct userns_map gid[2] = { { st->st_gid, p->out_gid, 1 },
					   { p->init_uid, p->init_uid, 1 } };
	size_t n = plan_is_sandbox(p) ? 2 : 1;

	return userns_for_idmap(uid, n, gid, n);
}

static int open_source(struct backend_cell *c, const struct plan_step *p)
{
	OWNED(fd_drop) int tree = -1;
	OWNED(fd_drop) int ns = -1;
	struct stat st;
	int r;

	tree = mount_source_tree(p->src, !(p->flags & PLAN_F_FILE), &st);
	if (tree < 0)
		return tree;
	if ((p->flags & PLAN_F_IDMAP) && !(c->stage.drop & STAGE_DROP_IDMAP)) {
		ns = idmap_for(c, &st);
		if (ns < 0)
			return ns;
		r = mount_tree_idmap(tree, ns, true);
		if (r)
			return r;
	}
	c->stage.source[p->n] = fd_take(&tree);
	return 0;
}

/* By the descriptors it was verified through */
static int open_image(struct backend_cell *c, const struct plan_step *p)
{
	int tree = mount_tree_open(c->req->image->fd[p->n - PLAN_SOURCE_IMAGE],
				   "", false);

	c->stage.source[p->n] = tree;
	return tree < 0 ? tree : 0;
}

/* One that was verified is that one; a jailer runs as root. */
static int open_program(struct backend_cell *c, const struct plan_step *p)
{
	OWNED(fd_drop) int own = -1;
	int fd = c->req->image->vmm, tree;

	if (p->n == PLAN_SOURCE_JAILER)
		fd = own = image_open_file(p->src);
	else if (fd < 0)
		return open_source(c, p);
	if (fd < 0)
		return fd;
	tree = c->stage.source[p->n] = mount_tree_open(fd, "", false);
	return tree < 0 ? tree : 0;
}

static int make_devices(struct backend_cell *c)
{
	int tree = firecracker_devices(c->plan);

	c->stage.source[PLAN_SOURCE_DEVICES] = tree;
	return tree < 0 ? tree : 0;
}

static int open_sources(struct backend_cell *c)
{
	for (size_t i = 0; i < c->plan->n; i++) {
		const struct plan_step *p = &c->plan->steps[i];
		int r;

		if (p->op == PLAN_VMM)
			break; /* what follows is of the guest */
		if (!(p->flags & PLAN_F_FROM_FD) || p->n >= STAGE_SOURCES)
			continue;
		r = p->n >= PLAN_SOURCE_IMAGE	  ? open_image(c, p)
		    : p->n == PLAN_SOURCE_DEVICES ? make_devices(c)
		    : p->n == PLAN_SOURCE_VMM || p->n == PLAN_SOURCE_JAILER
			    ? open_program(c, p)
			    : open_source(c, p);
		if (r)
			return host_fault_set(c, PLAN_SOURCE, -r, p->src);
	}
	return 0;
}

/* -- the clone -- */

static uint64_t clone_flags(const struct backend_cell *c)
{
	static const struct {
		unsigned ns;
		uint64_t flag;
	} map[] = {
		{ CELL_NS_PID, CLONE_NEWPID }, { CELL_NS_IPC, CLONE_NEWIPC },
		{ CELL_NS_NET, CLONE_NEWNET }, { CELL_NS_UTS, CLONE_NEWUTS },
		{ CELL_NS_MNT, CLONE_NEWNS },  { CELL_NS_USER, CLONE_NEWUSER },
	};
	unsigned ns = c->stage.ns;
	uint64_t f = 0;

	if (c->stage.drop & STAGE_DROP_NAMESPACES)
		ns &= ~(unsigned)(CELL_NS_IPC | CELL_NS_NET | CELL_NS_PID);
	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (ns & map[i].ns)
			f |= map[i].flag;
	return f;
}

static int make_sockets(struct backend_cell *c)
{
	const int type = SOCK_SEQPACKET | SOCK_CLOEXEC, on = 1;
	int a[2], b[2], t[2];

	if (socketpair(AF_UNIX, type, 0, a) < 0)
		return -errno;
	c->init_sock = a[0];
	c->stage.init_sock = a[1];
	if (socketpair(AF_UNIX, type, 0, b) < 0)
		return -errno;
	c->child_sock = b[0];
	c->stage.child_sock = b[1];
	if (c->req->telemetry.probes) {
		if (socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, t) < 0)
			return -errno;
		c->telemetry = t[0];
		c->stage.telemetry = t[1];
	}
	/* the child's pid as we see it comes with its messages */
	if (setsockopt(b[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return -errno;
	return 0;
}

static int write_maps(struct backend_cell *c)
{
	const struct plan *p = c->plan;
	struct userns_map uid[3], gid[3];
	size_t n = 0;

	if (!(c->stage.ns & CELL_NS_USER))
		return 0;
	if (c->stage.is_root) {
		uid[n] = (struct userns_map){ 0, p->init_uid, 1 };
		gid[n++] = (struct userns_map){ 0, p->init_uid, 1 };
	}
	if (c->stage.drop & STAGE_DROP_IDMAP)
		uid[0] = gid[0] = (struct userns_map){ 0, 0, 1 };
	uid[n] = (struct userns_map){ p->in_uid, p->out_uid, 1 };
	gid[n++] = (struct userns_map){ p->in_gid, p->out_gid, 1 };
	if (plan_is_sandbox(p)) {
		uid[n] = (struct userns_map){ STAGE_SENTRY_ID, p->sentry_uid,
					      1 };
		gid[n++] = (struct userns_map){ STAGE_SENTRY_ID, p->sentry_uid,
						1 };
	}
	return userns_write_maps(c->init_pid, uid, n, gid, n,
				 !c->stage.is_root);
}

/* Without a control group the end of a cell is told by its namespaces. */
static void hold_namespaces(struct backend_cell *c)
{
	static const char *const names[] = { "pid", "net" };
	char path[64];

	for (int i = 0; i < CGROUP_CONTROLLER_NUM; i++)
		if (c->leaf.path[i][0])
			return;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "/proc/%ld/ns/%s",
			       (long)c->init_pid, names[i]);
		if (c->stage.ns & (i ? CELL_NS_NET : CELL_NS_PID))
			c->ns_fd[i] = open(path, O_RDONLY | O_CLOEXEC);
	}
}

static int clone_cell(struct backend_cell *c)
{
	struct cell_message go = { .type = CELL_MSG_GO };
	struct err e;
	pid_t pid;
	int r;

	r = make_sockets(c);
	if (r)
		return host_fault_set(c, PLAN_CLONE, -r, "socketpair");
	for (int i = 0; i < CGROUP_CONTROLLER_NUM; i++)
		c->stage.cgroup_fd[i] = c->leaf.tasks_fd[i];
	pid = pidfd_clone(clone_flags(c), c->leaf.v2_fd, &c->pidfd);
	if (pid == 0)
		init_main(&c->stage);
	if (pid < 0 && c->req->portable && c->stage.ns != c->req->unshare) {
		/* what portable adds by itself, only where it can be had */
		c->stage.ns = c->req->unshare;
		pid = pidfd_clone(clone_flags(c), c->leaf.v2_fd, &c->pidfd);
		if (pid == 0)
			init_main(&c->stage);
	}
	if (pid < 0)
		return host_fault_set(
			c, PLAN_CLONE, -pid,
			"clone3 of namespaces; see `cellos doctor`");
	c->init_pid = pid;
	fd_drop(&c->stage.init_sock);
	fd_drop(&c->stage.child_sock);
	fd_drop(&c->stage.telemetry);
	for (size_t i = 0; i < STAGE_SOURCES; i++)
		fd_drop(&c->stage.source[i]);
	relay_cloned(&c->relay);
	if (c->req->state && state_run_note(c->req->state, &e, "pid %ld %llu",
					    (long)pid, pidfd_start_time(pid)))
		return host_fault_set(c, PLAN_STATE, EIO, e.text);
	hold_namespaces(c);
	r = made_to_fail(c, PLAN_IDMAP) ? 0 : write_maps(c);
	if (r || c->fault.set)
		return host_fault_set(c, PLAN_IDMAP, -r,
				      "uid_map and gid_map of the cell");
	r = cell_send(c->init_sock, &go, -1);
	if (r)
		return host_fault_set(c, PLAN_CLONE, -r, "pid 1 of the cell");
	return 0;
}

static int watch_signals(struct backend_cell *c)
{
	sigset_t set;

	stop_signals(&set);
	(void)sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, &c->old_mask) < 0)
		return -errno;
	c->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return c->sigfd < 0 ? -errno : 0;
}

/* Without pid 1 there is no cell any more, and nobody who dials in it. */
static int dial(void *wall, uint8_t family, bool is_udp, unsigned n)
{
	struct backend_cell *c = wall;
	const struct cell_message m = {
		.type = CELL_MSG_DIAL,
		.door = { .family = family, .port = is_udp, .rules = n }
	};

	return c->init_sock < 0 ? -EPIPE : cell_send(c->init_sock, &m, -1);
}

static enum relay_passes passes(const struct plan *p)
{
	return plan_is_vm(p)	    ? RELAY_PASSES_NONE
	       : plan_is_sandbox(p) ? RELAY_PASSES_PIPES
				    : RELAY_PASSES;
}

int host_create(const struct cell_request *req, const struct plan *plan,
		struct backend_cell **ret, struct err *e)
{
	struct backend_cell *c = calloc(1, sizeof(*c));
	char why[RELAY_WHY_SIZE] = "stdio";
	int r;

	if (!c)
		return err_set(e, ERR_HOST, ENOMEM, "cell");
	c->req = req;
	c->plan = plan;
	c->init_sock = c->child_sock = c->pidfd = c->listener = c->sigfd = -1;
	c->telemetry = -1;
	c->ns_fd[0] = c->ns_fd[1] = -1;
	c->leaf = CGROUP_LEAF_INIT;
	c->stage = (struct stage){ .plan = plan,
				   .req = req,
				   .is_root = plan->init_uid != 0,
				   .init_sock = -1,
				   .child_sock = -1,
				   .leg_net = -1,
				   .telemetry = -1,
				   .told = { -1, -1 },
				   .fail_step = -1 };
	for (size_t i = 0; i < STAGE_SOURCES; i++)
		c->stage.source[i] = -1;
#ifdef CELLOS_TEST_HOOKS
	test_hooks(&c->stage);
#endif
	c->stage.ns = plan->ns;
	c->relay = RELAY_INIT;
	if (req->gate) {
		req->gate->dial = dial;
		req->gate->wall = c;
	}
	*ret = c;
	r = watch_signals(c);
	if (r)
		return host_fault_set(c, PLAN_STATE, -r, "signalfd"), 0;
	if (!req->spec->run)
		return 0;
	r = relay_setup(&c->relay, req->in,
			&(struct relay_cell){ .owner = c->stage.is_root
							       ? plan->out_uid
							       : (uid_t)-1,
					      .passes = passes(plan) },
			c->stage.stdio, why);
	if (r)
		return host_fault_set(c, PLAN_EXEC, -r, why), 0;
	if (!made_to_fail(c, PLAN_STATE) && !made_to_fail(c, PLAN_CGROUP) &&
	    !make_limits(c) && !made_to_fail(c, PLAN_SOURCE) &&
	    !open_sources(c) && !made_to_fail(c, PLAN_CLONE))
		(void)clone_cell(c);
	host_own_namespaces(c);
	return 0;
}
