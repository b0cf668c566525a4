/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The filters entered for real, in a child: every call with its exact answer.
 * A watched call is answered through the listener.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cell/message.h"
#include "sys/seccomp.h"

struct attempt {
	const char *name;
	long (*call)(void);
	int want;     /* errno, 0 = success */
	bool watched; /* the listener must have heard of it */
};

static struct rlimit some_limit;

#define CALL(fn, ...)                        \
	static long fn(void)                 \
	{                                    \
		return syscall(__VA_ARGS__); \
	}
CALL(do_unshare, SYS_unshare, CLONE_NEWUSER)
CALL(do_setns, SYS_setns, -1, 0)
CALL(do_mount, SYS_mount, NULL, NULL, NULL, 0, NULL)
CALL(do_keyctl, SYS_keyctl, 0, 0, 0, 0, 0)
CALL(do_bpf, SYS_bpf, 0, NULL, 0)
CALL(do_perf, SYS_perf_event_open, NULL, 0, 0, 0, 0)
CALL(do_uring, SYS_io_uring_setup, 1, NULL)
CALL(do_uffd, SYS_userfaultfd, 0)
CALL(do_clone_ns, SYS_clone, CLONE_NEWNET, 0, 0, 0, 0)
CALL(do_clone3, SYS_clone3, NULL, 0)
CALL(do_openat2, SYS_openat2, AT_FDCWD, "/", NULL, 0)
CALL(do_unknown, 999)
CALL(do_x32, 0x40000000 | SYS_getpid)
CALL(do_packet, SYS_socket, AF_PACKET, SOCK_RAW, 0)
CALL(do_vsock, SYS_socket, 40, SOCK_STREAM, 0)
CALL(do_alg, SYS_socket, AF_ALG, SOCK_SEQPACKET, 0)
CALL(do_family_high, SYS_socket, 1000, SOCK_STREAM, 0)
CALL(do_route, SYS_socket, AF_NETLINK, SOCK_RAW, 0)
CALL(do_netfilter, SYS_socket, AF_NETLINK, SOCK_RAW, 12)
CALL(do_inet, SYS_socket, AF_INET, SOCK_STREAM, 0)
CALL(do_suid, SYS_chmod, "/nonexistent", S_ISUID | 0755)
CALL(do_sgid, SYS_fchmodat, AT_FDCWD, "/nonexistent", S_ISGID | 0755)
CALL(do_plain_chmod, SYS_chmod, "/nonexistent", 0755)
CALL(do_open_suid, SYS_open, "/nonexistent/x", O_CREAT | O_WRONLY, 04755)
CALL(do_open_garbage_mode, SYS_open, "/nonexistent/x", O_RDONLY, 04755)
CALL(do_sti, SYS_ioctl, 0, 0x5412, "x")
CALL(do_sti_high, SYS_ioctl, 0, 0xdeadbeef00005412, "x")
CALL(do_kill_init, SYS_kill, 1, 0)
CALL(do_pidfd_init, SYS_pidfd_open, 1, 0)
CALL(do_core_limit, SYS_prlimit64, 0, RLIMIT_CORE, &some_limit, NULL)
CALL(do_core_read, SYS_prlimit64, 0, RLIMIT_CORE, NULL, &some_limit)
CALL(do_init_limit, SYS_prlimit64, 1, RLIMIT_NOFILE, NULL, &some_limit)
CALL(do_trace_exit, SYS_ptrace, 0x4200, 1, 0, 0x40)
CALL(do_setd, SYS_ioctl, 0, 0x5423, "x")
CALL(do_getpid, SYS_getpid)

static const struct attempt tries[] = {
	{ "unshare", do_unshare, EPERM, true },
	{ "setns", do_setns, EPERM, true },
	{ "mount", do_mount, EPERM, true },
	{ "keyctl", do_keyctl, EPERM, true },
	{ "bpf", do_bpf, EPERM, true },
	{ "perf_event_open", do_perf, EPERM, true },
	{ "io_uring_setup", do_uring, EPERM, true },
	{ "userfaultfd", do_uffd, EPERM, true },
	{ "clone with a namespace flag", do_clone_ns, EPERM, true },
	{ "clone3", do_clone3, ENOSYS, false },
	{ "openat2", do_openat2, ENOSYS, false },
	{ "a number nobody knows", do_unknown, ENOSYS, false },
	{ "x32", do_x32, ENOSYS, false },
	{ "AF_PACKET", do_packet, EPERM, false },
	{ "AF_VSOCK", do_vsock, EAFNOSUPPORT, false },
	{ "AF_ALG", do_alg, EAFNOSUPPORT, false },
	{ "a family of the future", do_family_high, EAFNOSUPPORT, false },
	{ "NETLINK_ROUTE", do_route, 0, false },
	{ "NETLINK_NETFILTER", do_netfilter, EPROTONOSUPPORT, false },
	{ "AF_INET", do_inet, 0, false },
	{ "set-user-id bit", do_suid, EPERM, false },
	{ "set-group-id bit", do_sgid, EPERM, false },
	{ "chmod", do_plain_chmod, ENOENT, false },
	{ "O_CREAT with set-user-id", do_open_suid, EPERM, false },
	{ "no O_CREAT: the mode is garbage", do_open_garbage_mode, ENOENT,
	  false },
	{ "TIOCSTI", do_sti, EPERM, true },
	{ "TIOCSTI with high bits", do_sti_high, EPERM, true },
	{ "TIOCSETD", do_setd, EPERM, true },
	{ "a signal to pid 1", do_kill_init, EPERM, false },
	{ "a pidfd of pid 1", do_pidfd_init, EPERM, false },
	{ "a core limit, without effect", do_core_limit, 0, false },
	{ "the core limit read", do_core_read, 0, false },
	{ "a limit of pid 1", do_init_limit, EPERM, false },
	{ "PTRACE_O_TRACEEXIT", do_trace_exit, EPERM, false },
	{ "getpid", do_getpid, 0, false },
};

struct seen {
	int got[ARRAY_SIZE(tries)];
};

static void child(int sock, struct seen *s)
{
	struct cell_message m = { .type = CELL_MSG_LISTENER };
	int listener;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_enter_allow())
		_exit(1);
	listener = seccomp_enter_watch();
	if (listener < 0 || cell_send(sock, &m, listener))
		_exit(2);
	(void)close(listener);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		errno = 0;
		s->got[i] = tries[i].call() < 0 ? errno : 0;
	}
	_exit(0);
}

static void every_call_has_its_answer(void **state)
{
	struct seen *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	size_t n_watched = 0, n_heard = 0;
	struct cell_message m;
	int sv[2], listener, status, nr;
	pid_t pid, from;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	pid = fork();
	if (pid == 0)
		child(sv[1], s);
	(void)close(sv[1]);
	assert_int_equal(cell_recv(sv[0], &m, &listener, NULL), 1);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++)
		n_watched += tries[i].watched ? 1 : 0;
	while (n_heard < n_watched) {
		nr = seccomp_answer(listener, &from);
		if (nr == -EAGAIN)
			break; /* the child ended early */
		assert_true(nr >= 0);
		assert_int_equal(from, pid);
		assert_string_not_equal(seccomp_name(nr), "unknown");
		n_heard++;
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(n_heard, n_watched);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++)
		if (s->got[i] != tries[i].want)
			fail_msg("%s: errno %d, not %d", tries[i].name,
				 s->got[i], tries[i].want);
}

static void the_baseline_refuses_what_the_original_refused(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	pid = fork();
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    seccomp_enter_baseline())
			_exit(99);
		if (syscall(SYS_ptrace, 0, 0, 0, 0) != -1 || errno != EPERM)
			_exit(1);
		if (do_unshare() != -1 || errno != EPERM)
			_exit(2);
		if (do_keyctl() != -1 || errno != EPERM)
			_exit(3);
		if (do_getpid() != getpid())
			_exit(4);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A signal of its own choice to whoever has its user id: another cell's gate,
 * or without privilege the supervisor. Nothing of the gate needs fcntl(2). */
static void the_gate_cannot_send_signals(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	pid = fork();
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    seccomp_enter_gate())
			_exit(99);
		(void)fcntl(0, F_SETOWN, 1);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_has_its_answer),
		cmocka_unit_test(
			the_baseline_refuses_what_the_original_refused),
		cmocka_unit_test(the_gate_cannot_send_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
