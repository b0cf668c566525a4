/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The cell attacks itself before the command may: each entry is something a
 * hostile program tries first, with the answer it must get. One wrong answer
 * and the command does not start.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cell/stage.h"

enum {
	TEST_CONNECT4,
	TEST_CONNECT6,
	TEST_VSOCK,
	TEST_PACKET,
	TEST_UNSHARE,
	TEST_IO_URING,
	TEST_SETUID_BIT,
	TEST_KILL_INIT,
	TEST_INIT_ENVIRON,
	TEST_SYS,
	TEST_WRITE_USR,
	TEST_NUM
};

const struct self_test self_tests[] = {
	[TEST_CONNECT4] = { "connect-outside-v4",
			    "ENETUNREACH",
			    { ENETUNREACH } },
	/* the other two: a host without IPv6 */
	[TEST_CONNECT6] = { "connect-outside-v6",
			    "ENETUNREACH",
			    { ENETUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT } },
	[TEST_VSOCK] = { "af-vsock", "EAFNOSUPPORT", { EAFNOSUPPORT } },
	[TEST_PACKET] = { "af-packet", "EPERM", { EPERM } },
	[TEST_UNSHARE] = { "unshare-user", "EPERM", { EPERM } },
	[TEST_IO_URING] = { "io-uring", "EPERM", { EPERM } },
	[TEST_SETUID_BIT] = { "set-uid-bit", "EPERM", { EPERM } },
	[TEST_KILL_INIT] = { "signal-init", "EPERM", { EPERM } },
	[TEST_INIT_ENVIRON] = { "read-init-environ",
				"EACCES",
				{ EACCES, EPERM } },
	[TEST_SYS] = { "open-sys", "ENOENT", { ENOENT, EACCES } },
	/* ENOENT: an image without /usr */
	[TEST_WRITE_USR] = { "write-usr", "EROFS", { EROFS, EACCES, ENOENT } },
};
const size_t self_test_count = ARRAY_SIZE(self_tests);
_Static_assert(ARRAY_SIZE(self_tests) == TEST_NUM &&
		       (int)TEST_NUM <= (int)CELL_PROBES,
	       "a slot in the message for each");

static int opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	int r = fd < 0 ? errno : 0;

	if (fd >= 0)
		(void)close(fd);
	return r;
}

static int sockets(int family, int type)
{
	int fd = socket(family, type, 0);
	int r = fd < 0 ? errno : 0;

	if (fd >= 0)
		(void)close(fd);
	return r;
}

static int connects(const struct sockaddr *a, socklen_t n)
{
	int fd = socket(a->sa_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return errno;
	if (connect(fd, a, n) < 0)
		r = errno;
	(void)close(fd);
	return r;
}

int self_test_run(size_t index)
{
	/* TEST-NET-1 and the documentation prefix: nobody's addresses */
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(80),
				  .sin_addr.s_addr = htonl(0xc0000201) };
	struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(80),
		.sin6_addr = { { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } } }
	};

	switch (index) {
	case TEST_CONNECT4:
		return connects((const struct sockaddr *)&v4, sizeof(v4));
	case TEST_CONNECT6:
		return connects((const struct sockaddr *)&v6, sizeof(v6));
	case TEST_VSOCK:
		return sockets(AF_VSOCK, SOCK_STREAM);
	case TEST_PACKET:
		return sockets(AF_PACKET, SOCK_RAW);
	case TEST_UNSHARE:
		return unshare(CLONE_NEWUSER) < 0 ? errno : 0;
	case TEST_IO_URING:
		return syscall(SYS_io_uring_setup, 1, NULL) < 0 ? errno : 0;
	case TEST_SETUID_BIT:
		return chmod("/tmp", 04777) < 0 ? errno : 0;
	case TEST_KILL_INIT:
		return kill(1, 0) < 0 ? errno : 0;
	case TEST_INIT_ENVIRON:
		return opens("/proc/1/environ", O_RDONLY);
	case TEST_SYS:
		return opens("/sys/kernel", O_RDONLY);
	case TEST_WRITE_USR:
		return opens("/usr/.cell-self-test", O_WRONLY | O_CREAT);
	default:
		return 0;
	}
}

bool self_test_passed(size_t index, int got)
{
	const struct self_test *t = &self_tests[index];

	for (size_t i = 0; i < ARRAY_SIZE(t->want); i++)
		if (t->want[i] && t->want[i] == got)
			return true;
	return false;
}
