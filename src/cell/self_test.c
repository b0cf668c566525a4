/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The cell attacks itself before the command may: each entry is something a
 * hostile program tries first, with the answer it must get. One wrong answer
 * and the command does not start.
 */
#include <arpa/inet.h>
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
#include <sys/time.h>
#include <unistd.h>

#include "base/fd.h"
#include "cell/door.h"
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
	/* with a door only */
	TEST_CLOSED4,
	TEST_CLOSED6,
	TEST_CLOSED_UDP,
	TEST_RESOLVER,
	TEST_NUM
};

const struct self_test self_tests[] = {
	[TEST_CONNECT4] = { "connect-outside-v4",
			    "ENETUNREACH",
			    { ENETUNREACH },
			    SELF_TEST_NO_DOOR },
	/* the other two: a host without IPv6 */
	[TEST_CONNECT6] = { "connect-outside-v6",
			    "ENETUNREACH",
			    { ENETUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT },
			    SELF_TEST_NO_DOOR },
	[TEST_VSOCK] = { "af-vsock",
			 "EAFNOSUPPORT",
			 { EAFNOSUPPORT },
			 SELF_TEST_ALWAYS },
	[TEST_PACKET] = { "af-packet", "EPERM", { EPERM }, SELF_TEST_ALWAYS },
	[TEST_UNSHARE] = { "unshare-user",
			   "EPERM",
			   { EPERM },
			   SELF_TEST_ALWAYS },
	[TEST_IO_URING] = { "io-uring", "EPERM", { EPERM }, SELF_TEST_ALWAYS },
	[TEST_SETUID_BIT] = { "set-uid-bit",
			      "EPERM",
			      { EPERM },
			      SELF_TEST_ALWAYS },
	[TEST_KILL_INIT] = { "signal-init",
			     "EPERM",
			     { EPERM },
			     SELF_TEST_ALWAYS },
	[TEST_INIT_ENVIRON] = { "read-init-environ",
				"EACCES",
				{ EACCES, EPERM },
				SELF_TEST_ALWAYS },
	[TEST_SYS] = { "open-sys",
		       "ENOENT",
		       { ENOENT, EACCES },
		       SELF_TEST_ALWAYS },
	/* ENOENT: an image without /usr */
	[TEST_WRITE_USR] = { "write-usr",
			     "EROFS",
			     { EROFS, EACCES, ENOENT },
			     SELF_TEST_ALWAYS },
	[TEST_CLOSED4] = { "closed-port-v4",
			   "ECONNREFUSED",
			   { ECONNREFUSED },
			   SELF_TEST_DOOR },
	/* the others: no IPv6 outside, or none at all */
	[TEST_CLOSED6] = { "closed-port-v6",
			   "ECONNREFUSED",
			   { ECONNREFUSED, ENETUNREACH, EADDRNOTAVAIL,
			     EAFNOSUPPORT, EPERM },
			   SELF_TEST_DOOR },
	/* the filter's answer to send(2) itself; a port that is only closed
	 * answers ECONNREFUSED, with no filter at all */
	[TEST_CLOSED_UDP] = { "closed-port-udp",
			      "EPERM",
			      { EPERM },
			      SELF_TEST_FILTER },
	[TEST_RESOLVER] = { "resolver-refuses",
			    "EACCES",
			    { EACCES },
			    SELF_TEST_DOOR },
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

/* Refused at once, or never: no answer is a wrong answer. */
static const struct timeval patience = { .tv_sec = 2 };

static int connects(const struct sockaddr *a, socklen_t n)
{
	OWNED(fd_drop)
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
				 sizeof(patience)) < 0)
		return errno;
	return connect(fd, a, n) < 0 ? errno : 0;
}

/* A datagram and its answer; 0 with the answer's length in @n */
static int asks(const struct sockaddr_in *a, uint8_t *buf, size_t *n,
		size_t size)
{
	OWNED(fd_drop) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t got;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)) < 0 ||
	    connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 ||
	    send(fd, buf, *n, 0) < 0)
		return errno;
	got = recv(fd, buf, size, 0);
	if (got < 0)
		return errno;
	*n = (size_t)got;
	return 0;
}

/* The root is no name a document can allow: REFUSED, and nothing is asked
 * outside for it. */
static int resolver_refuses(void)
{
	enum { RCODE = 3, REFUSED = 5 };
	static const uint8_t query[] = { 0, 1, 1, 0, 0, 1, 0, 0, 0,
					 0, 0, 0, 0, 0, 2, 0, 1 };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(53) };
	uint8_t buf[512];
	size_t n = sizeof(query);
	int r;

	memcpy(buf, query, sizeof(query));
	if (inet_pton(AF_INET, DOOR_RESOLVER4, &a.sin_addr) != 1)
		return EINVAL;
	r = asks(&a, buf, &n, sizeof(buf));
	if (r)
		return r;
	return n > RCODE && (buf[RCODE] & 15) == REFUSED ? EACCES : EPROTO;
}

static bool is_named(const uint16_t *ports, uint16_t n, uint16_t port)
{
	for (uint16_t i = 0; i < n; i++)
		if (ports[i] == port)
			return true;
	return false;
}

/* The lowest port no rule names; without a door none does. */
uint16_t self_test_closed_port(const struct door *d)
{
	uint16_t port = 9; /* discard */

	while (d && (is_named(d->tcp, d->n_tcp, port) ||
		     is_named(d->udp, d->n_udp, port) || port == 53))
		port++;
	return port;
}

static int sends(struct sockaddr_in a)
{
	uint8_t byte[1] = { 0 };
	size_t n = sizeof(byte);

	return asks(&a, byte, &n, sizeof(byte));
}

bool self_test_applies(size_t index, const struct door *d, bool has_leg)
{
	switch (self_tests[index].when) {
	case SELF_TEST_FILTER:
		return d && !has_leg;
	case SELF_TEST_DOOR:
		return d;
	case SELF_TEST_NO_DOOR:
		return !d;
	case SELF_TEST_ALWAYS:
		break;
	}
	return true;
}

int self_test_run(size_t index, uint16_t closed_port)
{
	/* TEST-NET-1 and the documentation prefix: nobody's addresses */
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(closed_port),
				  .sin_addr.s_addr = htonl(0xc0000201) };
	struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(closed_port),
		.sin6_addr = { { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } } }
	};

	switch (index) {
	case TEST_CONNECT4:
	case TEST_CLOSED4:
		return connects((const struct sockaddr *)&v4, sizeof(v4));
	case TEST_CONNECT6:
	case TEST_CLOSED6:
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
	case TEST_CLOSED_UDP:
		return sends(v4);
	case TEST_RESOLVER:
		return resolver_refuses();
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
