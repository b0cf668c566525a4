/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The process that becomes the command: gives everything up, then execs. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/names.h"
#include "cell/command.h"
#include "cell/stage.h"
#include "cell/vm.h"
#include "sys/caps.h"
#include "sys/landlock.h"
#include "sys/seccomp.h"

static int become(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

static int drop_ids(const struct stage *s)
{
	if (!s->is_root || (s->drop & STAGE_DROP_IDMAP))
		return 0;
	return become(s->plan->in_uid, s->plan->in_gid);
}

static int drop_caps(const struct stage *s)
{
	int r;

	if (s->drop & STAGE_DROP_CAPS)
		return 0;
	/* setresuid() has emptied the effective set: the bounding set went
	 * before, in prepare_caps() */
	r = caps_set(0);
	if (!r && !caps_are_none())
		r = -EPROTO;
	return r;
}

static int drop_new_privs(const struct stage *s)
{
	if (s->drop & STAGE_DROP_NO_NEW_PRIVS)
		return 0;
	return last_errno(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* Who may what, path by path; rights are those of the mounts, once more. */
static int landlock_rules(const struct stage *s, int abi, int fd,
			  bool has_declared)
{
	static const struct {
		const char *path;
		enum landlock_access access;
	} own[] = {
		{ "/", LANDLOCK_LIST },		{ "/etc", LANDLOCK_READ },
		{ "/proc", LANDLOCK_DEVICE },	{ "/tmp", LANDLOCK_WRITE },
		{ "/run", LANDLOCK_WRITE },	{ "/dev", LANDLOCK_DEVICE },
		{ "/dev/shm", LANDLOCK_WRITE },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(own) && !r; i++) {
		r = landlock_allow(fd, abi, own[i].path, own[i].access);
		/* an image need not have every one of them */
		if (r == -ENOENT)
			r = 0;
	}
	for (size_t i = 0; i < s->plan->n && !r; i++) {
		const struct plan_step *p = &s->plan->steps[i];

		if (p->op == PLAN_VMM)
			break; /* from here on it is the guest's */
		if (!has_declared && plan_is_declared(p))
			continue;
		bool rw = p->op == PLAN_OVERLAY || !(p->flags & PLAN_F_RO);

		if (p->op != PLAN_OVERLAY && p->op != PLAN_BIND)
			continue;
		if (!strncmp(p->dst, "/etc/", 5) ||
		    !strncmp(p->dst, "/proc/", 6) ||
		    !strncmp(p->dst, VM_JAIL "/", sizeof(VM_JAIL)))
			continue;
		r = landlock_allow(fd, abi, p->dst,
				   rw ? LANDLOCK_WRITE : LANDLOCK_EXEC);
	}
	return r;
}

static int enter_landlock(const struct stage *s, int abi, bool has_declared)
{
	OWNED(fd_drop) int fd = -1;
	int r;

	if (s->drop & STAGE_DROP_LANDLOCK)
		return 0;
	fd = landlock_new(abi);
	if (fd < 0)
		return fd;
	r = landlock_rules(s, abi, fd, has_declared);
	return r ? r : landlock_enter(fd);
}

/* Where nobody watches */
static int enter_filters(void)
{
	int r = seccomp_enter_allow();

	return r ? r : seccomp_enter_refuse();
}

static int enter_seccomp(const struct stage *s, const struct plan_step *p)
{
	struct cell_message m = { .type = CELL_MSG_LISTENER };
	OWNED(fd_drop) int listener = -1;

	if (!strcmp(p->dst, "baseline"))
		return seccomp_enter_baseline();
	if (!strcmp(p->dst, "file"))
		return seccomp_enter_bpf(s->req->bpf, s->req->bpf_len);
	if (s->drop & STAGE_DROP_SECCOMP)
		return 0;
	if (s->is_guest)
		return enter_filters();
	/* the allowlist itself is there already, from pid 1 */
	listener = seccomp_enter_watch();
	if (listener < 0)
		return listener;
	return cell_send(s->child_sock, &m, listener);
}

int stage_limit_processes(const struct stage *s)
{
	const struct rlimit r = { s->nproc, s->nproc };

	return s->nproc ? last_errno(setrlimit(RLIMIT_NPROC, &r)) : 0;
}

static int set_rlimits(const struct stage *s)
{
	/* at 1 the kernel skips a core_pattern that is a program of the host,
	 * at 0 it would start it */
	const struct rlimit r = { 1, 1 };

	if (setrlimit(RLIMIT_CORE, &r) < 0)
		return -errno;
	return stage_limit_processes(s);
}

static int self_test(const struct stage *s, struct cell_message *m, char *path,
		     size_t size)
{
	const struct door *d = s->req->door;
	const uint16_t port =
		s->is_guest ? s->closed_port : self_test_closed_port(d);

	for (size_t i = 0; i < self_test_count; i++) {
		int got;

		if (!self_test_applies(i, d, s->is_guest))
			continue;
		got = self_test_run(i, port);

		m->probe[i] = (uint8_t)got;
		if (!self_test_passed(i, got)) {
			(void)snprintf(path, size, "%s: %s instead of %s",
				       self_tests[i].name, errno_word(got),
				       self_tests[i].expected);
			return -EPROTO;
		}
	}
	return 0;
}

/* A terminal of the cell's own devpts; its master goes to the supervisor. */
static int open_pty(const struct stage *s)
{
	struct cell_message m = { .type = CELL_MSG_PTY };
	OWNED(fd_drop) int master = -1;
	OWNED(fd_drop) int slave = -1;
	char name[64];
	int r;

	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || unlockpt(master) < 0)
		return -errno;
	r = ptsname_r(master, name, sizeof(name));
	if (r)
		return -r;
	slave = open(name, O_RDWR | O_CLOEXEC);
	if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
		return -errno;
	for (int i = 0; i < 3; i++)
		if (dup2(slave, i) < 0)
			return -errno;
	return cell_send(s->child_sock, &m, master);
}

int stage_set_stdio(const struct stage *s)
{
	OWNED(fd_drop) int null = -1;

	if (s->req->in == CELL_STDIN_PTY)
		return open_pty(s);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return -errno;
	for (int i = 0; i < 3; i++)
		if (s->stdio[i] != i &&
		    dup2(s->stdio[i] < 0 ? null : s->stdio[i], i) < 0)
			return -errno;
	return 0;
}

/* What the steps may need of each other. */
struct inner {
	const struct stage *s;
	const struct plan_step *p;
	struct cell_message ready;
	char path[200];
};

static int step_user(struct inner *in)
{
	return drop_ids(in->s);
}

static int step_caps(struct inner *in)
{
	return drop_caps(in->s);
}

static int step_no_new_privs(struct inner *in)
{
	return drop_new_privs(in->s);
}

static int step_rlimit(struct inner *in)
{
	return set_rlimits(in->s);
}

static int step_landlock(struct inner *in)
{
	int abi = (int)in->p->n, own = in->s->is_guest ? landlock_abi() : abi;

	/* the plan has what the host's kernel knows */
	return own < 1 ? -ENOSYS
		       : enter_landlock(in->s, own < abi ? own : abi, true);
}

static int step_seccomp(struct inner *in)
{
	return enter_seccomp(in->s, in->p);
}

static int step_self_test(struct inner *in)
{
	if (!stage_is_checked(in->s))
		return 0;
	return self_test(in->s, &in->ready, in->path, sizeof(in->path));
}

static int step_chdir(struct inner *in)
{
	return last_errno(chdir(in->p->dst));
}

static int (*const inner_steps[PLAN_OP_NUM])(struct inner *in) = {
	[PLAN_USER] = step_user,
	[PLAN_CAPS] = step_caps,
	[PLAN_NO_NEW_PRIVS] = step_no_new_privs,
	[PLAN_RLIMIT] = step_rlimit,
	[PLAN_LANDLOCK] = step_landlock,
	[PLAN_SECCOMP] = step_seccomp,
	[PLAN_SELF_TEST] = step_self_test,
	[PLAN_CHDIR] = step_chdir,
};

static void run_command(const struct stage *s, size_t step) NORETURN;
static void run_command(const struct stage *s, size_t step)
{
	const struct spec_strings *a = &s->req->spec->run->argv;
	/* one place before it, for command_exec() */
	char **argv = calloc(a->n + 2, sizeof(*argv));
	struct cell_message m;
	int fd;

	if (!argv)
		stage_fail(s->child_sock, step, ENOMEM, a->p[0].p);
	argv++;
	for (size_t i = 0; i < a->n; i++)
		argv[i] = (char *)(uintptr_t)a->p[i].p;
	if (cell_recv(s->child_sock, &m, &fd, NULL) != 1 ||
	    m.type != CELL_MSG_GO)
		_exit(125);
	command_reset_signals();
	environ = (char **)(uintptr_t)s->req->envp;
	stage_fail(s->child_sock, step, -command_exec(a->p[0].p, argv),
		   a->p[0].p);
}

int stage_lock_helper(const struct stage *s, uid_t uid, bool has_declared)
{
	int r = caps_drop_bounding();

	if (!r)
		r = become(uid, (gid_t)uid);
	if (!r)
		r = drop_caps(s);
	if (!r)
		r = drop_new_privs(s);
	if (!r)
		r = set_rlimits(s);
	if (!r)
		r = enter_landlock(s, landlock_abi(), has_declared);
	/* a change of ids may have made it so (fs.suid_dumpable) */
	if (!r)
		r = last_errno(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	return r ? r : enter_filters();
}

void lockdown_main(const struct stage *s, size_t first)
{
	struct inner in = { .s = s, .ready = { .type = CELL_MSG_READY } };
	size_t i = first;
	int r = 0;

	(void)close(s->init_sock);
	if (setsid() < 0)
		r = -errno;
	/* needs CAP_SETPCAP, which the change of ids takes away */
	if (!r && s->plan->full && !(s->drop & STAGE_DROP_CAPS))
		r = caps_drop_bounding();
	for (; !r && s->plan->steps[i].op != PLAN_EXEC; i++) {
		in.p = &s->plan->steps[i];
		/* after the change of ids, before Landlock */
		if (in.p->op == PLAN_NO_NEW_PRIVS && s->plan->full)
			r = stage_set_stdio(s);
		if (!r && (int)i == s->fail_step)
			r = -s->fail_errno;
		if (!r)
			r = inner_steps[in.p->op] ? inner_steps[in.p->op](&in)
						  : -EINVAL;
		if (r)
			stage_fail(s->child_sock, i, -r,
				   in.path[0] ? in.path : in.p->dst);
	}
	if (!r && !s->plan->full)
		r = stage_set_stdio(s);
	if (!r)
		r = cell_send(s->child_sock, &in.ready, -1);
	if (r)
		stage_fail(s->child_sock, i, -r, "");
	run_command(s, i);
}
