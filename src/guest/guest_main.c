/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cellos-init: pid 1 of a sandbox that has a kernel of its own. Runs the
 * command as the workload's user, reaps, passes SIGTERM on, tells how it went
 * (cell/guest.h), and ends; what is left ends with it.
 *
 *  cellos-init UID GID DIRECTORY COMMAND ARGUMENTS...
 *
 * Runs as uid 0 of the sandbox with what it takes to become another; the
 * command gets none of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/wbuf.h"
#include "cell/command.h"
#include "cell/guest.h"
#include "cell/plan.h"
#include "guest/vm_guest.h"
#include "sys/caps.h"
#include "sys/seccomp.h"

enum { ARG_UID = 1, ARG_GID, ARG_DIR, ARG_COMMAND, ENV_MAX = 16 << 20 };

static int report = -1, go = -1;

static void tell(enum guest_word word, int step, int value)
{
	const struct guest_record r = { .word = word,
					.step = step,
					.value = value };

	if (fd_write_all(report, &r, sizeof(r)))
		_exit(125); /* nobody would know: the driver sees the end */
}

static void tell_fault(enum plan_op step, int sys) NORETURN;
static void tell_fault(enum plan_op step, int sys)
{
	tell(GUEST_FAULT, (int)step, sys);
	_exit(125);
}

/* The command's environment, which stays in this memory until exec. */
static char **read_environment(void)
{
	OWNED(fd_drop)
	int fd = open(GUEST_CHANNEL "/" GUEST_ENV, O_RDONLY | O_CLOEXEC);
	struct wbuf b = WBUF_INIT(ENV_MAX); /* left to the end */
	char **v;
	size_t n = 0;
	int r = fd < 0 ? -errno : fd_read_all(fd, &b);

	for (size_t i = 0; !r && i < b.len; i++)
		n += b.p[i] == '\0';
	v = calloc(n + 1, sizeof(*v));
	if (r || !v)
		tell_fault(PLAN_EXEC, r ? -r : ENOMEM);
	for (size_t i = 0, k = 0; k < n; i += strlen(b.p + i) + 1)
		v[k++] = b.p + i;
	return v;
}

static int number(const char *s)
{
	char *end;
	long v = strtol(s, &end, 10);

	return *end || end == s || v < 0 || v > INT32_MAX ? -1 : (int)v;
}

/* -- what becomes the command: every call costs the sandbox some 20 us -- */

static int drop_bounding(void)
{
#define X(cap) cap,
	static const int own[] = { GUEST_CAPS(X) };
#undef X

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (prctl(PR_CAPBSET_DROP, own[i], 0, 0, 0) < 0)
			return -errno;
	return 0;
}

/* Of this thread, and there is no other: those of the library stop all. */
static int become(uid_t uid, gid_t gid)
{
	if (syscall(SYS_setgroups, 0, NULL) < 0 ||
	    syscall(SYS_setresgid, gid, gid, gid) < 0 ||
	    syscall(SYS_setresuid, uid, uid, uid) < 0)
		return -errno;
	return 0;
}

static int lock_down(char **argv, enum plan_op *ret_step)
{
	const uid_t uid = (uid_t)number(argv[ARG_UID]);
	const gid_t gid = (gid_t)number(argv[ARG_GID]);
	/* as on the host: no core */
	const struct rlimit core = { 1, 1 };
	int r;

	*ret_step = PLAN_USER;
	/* a terminal is that of our session */
	if (!isatty(0) && setsid() < 0)
		return -errno;
	r = drop_bounding();
	if (!r)
		r = become(uid, gid);
	if (r)
		return r;
	*ret_step = PLAN_CAPS;
	r = caps_set(0);
	if (r || !caps_are_none())
		return r ? r : -EPROTO;
	*ret_step = PLAN_NO_NEW_PRIVS;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	*ret_step = PLAN_RLIMIT;
	if (setrlimit(RLIMIT_CORE, &core) < 0)
		return -errno;
	*ret_step = PLAN_CHDIR;
	if (chdir(argv[ARG_DIR]) < 0)
		return -errno;
	/* to the sandbox's kernel: it need not be asked all it can do */
	*ret_step = PLAN_SECCOMP;
	r = seccomp_enter_allow();
	return r ? r : seccomp_enter_refuse();
}

/* Across the sandbox's file system nothing tells that a file has grown. */
static void wait_for_go(void)
{
	const struct timespec step = { .tv_nsec = 500000 };
	char byte;

	while (pread(go, &byte, 1, 0) != 1)
		(void)nanosleep(&step, NULL);
}

/* Our memory is not copied: till exec pid 1 stands still, and finds this as
 * the child has left it. */
static volatile bool has_failed;

static void child_main(char **argv, char **env) NORETURN;
static void child_main(char **argv, char **env)
{
	enum plan_op step = PLAN_USER;
	int r = lock_down(argv, &step);
	sigset_t none;

	if (!r) {
		tell(GUEST_READY, 0, 0);
		wait_for_go();
		/* a sandbox's kernel ignores none for its pid 1 */
		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		environ = env;
		/* the directory's place is free for command_exec() */
		step = PLAN_EXEC;
		r = command_exec(argv[ARG_COMMAND], argv + ARG_COMMAND);
	}
	has_failed = true;
	tell_fault(step, -r);
}

/* -- pid 1 -- */

static void serve(pid_t child, const sigset_t *set) NORETURN;
static void serve(pid_t child, const sigset_t *set)
{
	siginfo_t info;
	int status;
	pid_t pid;

	for (;;) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == child) {
				tell(GUEST_ENDED, 0, status);
				_exit(0);
			}
		if (sigwaitinfo(set, &info) == SIGTERM)
			(void)kill(-1, SIGTERM);
	}
}

int main(int argc, char **argv)
{
	char **env;
	sigset_t set, all;
	pid_t child;

	/* as a machine's kernel starts it */
	if (argc >= 1 && !strcmp(argv[0], "/init") && getpid() == 1)
		vm_guest_main();
	report = open(GUEST_CHANNEL "/" GUEST_REPORT, O_WRONLY | O_CLOEXEC);
	go = open(GUEST_CHANNEL "/" GUEST_GO, O_RDONLY | O_CLOEXEC);
	if (report < 0 || go < 0)
		return 125;
	if (argc <= ARG_COMMAND || number(argv[ARG_UID]) < 0 ||
	    number(argv[ARG_GID]) < 0)
		tell_fault(PLAN_EXEC, EINVAL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	/* a terminal's ^C is for the command, and comes to its whole group */
	(void)sigfillset(&all);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		tell_fault(PLAN_EXEC, errno);
	env = read_environment();
	child = vfork();
	if (child < 0)
		tell_fault(PLAN_EXEC, errno);
	if (child == 0)
		child_main(argv, env);
	if (has_failed)
		_exit(125);
	tell(GUEST_RUNNING, 0, 0);
	serve(child, &set);
}
