/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The agent of a guest: tells of processes that start and end, as the kernel
 * tells it (connector, cn_proc.h), and that it is there. It is nobody the
 * command could signal, and can do nothing itself; what it says is a guest's
 * word.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "guest/vm_guest.h"
#include "sys/caps.h"
#include "wire/telemetry.h"

#define NAME "cellos-telemetry"

enum { AGENT_ID = 65533, ALIVE_MS = 3000, CHANNEL = 3 };

/* The request to be told of processes: a header of netlink's, one of the
 * connector's, a word */
static size_t put_request(char buf[64])
{
	const enum proc_cn_mcast_op op = PROC_CN_MCAST_LISTEN;
	const struct cn_msg cn = { .id = { CN_IDX_PROC, CN_VAL_PROC },
				   .len = sizeof(op) };
	const struct nlmsghdr h = { .nlmsg_len = NLMSG_LENGTH(sizeof(cn) +
							      sizeof(op)),
				    .nlmsg_type = NLMSG_DONE };

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), &cn, sizeof(cn));
	memcpy(buf + sizeof(h) + sizeof(cn), &op, sizeof(op));
	return h.nlmsg_len;
}

static int listen_to_processes(void)
{
	const struct sockaddr_nl at = { .nl_family = AF_NETLINK,
					.nl_groups = CN_IDX_PROC };
	char ask[64] __attribute__((aligned(NLMSG_ALIGNTO)));
	const size_t n = put_request(ask);
	OWNED(fd_drop)
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
			NETLINK_CONNECTOR);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    send(fd, ask, n, 0) != (ssize_t)n)
		return -errno;
	return fd_take(&fd);
}

static void read_comm(uint32_t pid, char ret[TELEMETRY_COMM_MAX + 1])
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(64);
	char path[32];
	size_t n;

	(void)snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	ret[0] = '\0';
	if (file_read(AT_FDCWD, path, 0, &b))
		return; /* gone already */
	n = b.len && b.p[b.len - 1] == '\n' ? b.len - 1 : b.len;
	if (n > TELEMETRY_COMM_MAX)
		n = TELEMETRY_COMM_MAX;
	/* bytes a program chose for itself: what is no text is none */
	for (size_t i = 0; i < n; i++)
		ret[i] = b.p[i] >= ' ' && b.p[i] < 0x7f ? b.p[i] : '?';
	ret[n] = '\0';
}

static int say(int to, enum telemetry_probe probe, uint32_t pid,
	       const char *comm)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(TELEMETRY_FRAME_MAX);
	struct telemetry_frame f = { .probe = probe,
				     .pid = pid,
				     .monotonic_ns = clock_mono_ns() };

	(void)snprintf(f.comm, sizeof(f.comm), "%s", comm);
	telemetry_put(&b, &f);
	return fd_write_all(to, b.p, b.len);
}

/* Of processes, not of their threads; those that ended have no name any more
 * but the one they had when they started: the last few are known. */
enum { KNOWN = 256 };
static struct {
	uint32_t pid;
	char comm[TELEMETRY_COMM_MAX + 1];
} known[KNOWN];

static int take_event(int to, const struct proc_event *ev)
{
	const uint32_t pid =
		ev->what == PROC_EVENT_EXEC
			? (uint32_t)ev->event_data.exec.process_tgid
			: (uint32_t)ev->event_data.exit.process_tgid;
	char *comm = known[pid % KNOWN].comm;

	if (ev->what == PROC_EVENT_EXEC) {
		known[pid % KNOWN].pid = pid;
		read_comm(pid, comm);
		return say(to, TELEMETRY_SPAWNED, pid, comm);
	}
	if (ev->what == PROC_EVENT_EXIT &&
	    ev->event_data.exit.process_pid == ev->event_data.exit.process_tgid)
		return say(to, TELEMETRY_EXITED, pid,
			   known[pid % KNOWN].pid == pid ? comm : "");
	return 0;
}

#ifdef CELLOS_TEST_HOOKS
static bool is_slow;

/* One that there is little room for, and that is not there at once */
static void test_hook(int from)
{
	const struct timespec step = { .tv_nsec = 50000000 };
	const int least = 1;

	if (!is_slow)
		return;
	(void)setsockopt(from, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
	(void)nanosleep(&step, NULL);
}
#else
static void test_hook(int from)
{
	(void)from;
}
#endif

/* Has the kernel told more than the socket could hold? */
static bool has_lost;

/* Return: 1: there was nothing */
static int take(int from, int to)
{
	char buf[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t n;
	size_t left;
	int r = 0;

	test_hook(from);
	n = recv(from, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return 1;
	if (n < 0) {
		/* too much at once; it goes on */
		has_lost = has_lost || errno == ENOBUFS;
		return errno == EINTR || errno == ENOBUFS ? 0 : -errno;
	}
	left = (size_t)n;
	for (char *at = buf; !r && left >= sizeof(struct nlmsghdr);) {
		struct nlmsghdr h;
		struct proc_event ev;
		const size_t head = sizeof(h) + sizeof(struct cn_msg);

		memcpy(&h, at, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > left)
			break;
		if (h.nlmsg_len >= head + sizeof(ev)) {
			memcpy(&ev, at + head, sizeof(ev));
			r = take_event(to, &ev);
		}
		if (NLMSG_ALIGN(h.nlmsg_len) >= left)
			break;
		left -= NLMSG_ALIGN(h.nlmsg_len);
		at += NLMSG_ALIGN(h.nlmsg_len);
	}
	return r;
}

static int give_up(void)
{
	const uid_t id = AGENT_ID;
	int r = caps_drop_bounding();

	if (!r && (setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0 ||
		   prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		   prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
		   prctl(PR_SET_NAME, NAME, 0, 0, 0) < 0))
		r = -errno;
	return r ? r : caps_set(0);
}

static void agent_main(int to) NORETURN;
static void agent_main(int to)
{
	OWNED(fd_drop) int from = listen_to_processes();
	struct pollfd p[2] = { { from, POLLIN, 0 }, { -1, POLLIN, 0 } };
	sigset_t all, end;
	int r = from < 0 ? from : 0;

	/* a SIGTERM to all is not for the agent: what ends by it is told */
	(void)sigfillset(&all);
	(void)sigemptyset(&end);
	(void)sigaddset(&end, VM_AGENT_END);
	if (!r && sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		r = -errno;
	if (!r)
		r = give_up();
	p[1].fd = signalfd(-1, &end, SFD_CLOEXEC);
	if (!r)
		r = say(to, TELEMETRY_ALIVE, (uint32_t)getpid(), NAME);
	while (r >= 0) {
		int n = poll(p, 2, ALIVE_MS);

		if (n < 0 && errno != EINTR)
			r = -errno;
		else if (n == 0)
			r = say(to, TELEMETRY_ALIVE, (uint32_t)getpid(), NAME);
		else if (n > 0)
			r = take(from, to);
		/* pid 1 wants it to end, with what is there */
		if (p[1].revents) {
			while (r == 0)
				r = take(from, to);
			if (r == 1 && !has_lost)
				r = say(to, TELEMETRY_COMPLETE,
					(uint32_t)getpid(), NAME);
			_exit(r < 0 ? 3 : 0);
		}
	}
	_exit(3);
}

/* Command, environment and key are none of its business. */
static void forget(struct vm_told *told)
{
	sodium_memzero(told->setup, told->h.size);
	sodium_memzero(&told->h, sizeof(told->h));
}

pid_t vm_agent_start(struct vm_told *told)
{
	OWNED(fd_drop) int to = vm_port_open(VM_TELEMETRY);
	pid_t pid = to < 0 ? to : fork();

	if (pid < 0)
		return to < 0 ? to : -errno;
	if (pid)
		return pid;
#ifdef CELLOS_TEST_HOOKS
	for (char **v = told->env; *v; v++) {
		if (!strcmp(*v, "CELLOS_TEST_GUEST=agent"))
			_exit(3);
		is_slow = is_slow || !strcmp(*v, "CELLOS_TEST_GUEST=slow");
	}
#endif
	forget(told);
	/* nor is what pid 1 has open */
	if (dup2(to, CHANNEL) != CHANNEL || fd_close_range(CHANNEL + 1, ~0u))
		_exit(3);
	agent_main(CHANNEL);
}
