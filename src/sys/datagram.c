/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "sys/datagram.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"

int datagram_pair(int ret[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0
		       ? -errno
		       : 0;
}

int datagram_send(int sock, const void *p, size_t n, int fd)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} c;
	struct iovec v = { (void *)(uintptr_t)p, n };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	ssize_t sent;

	memset(&c, 0, sizeof(c));
	if (fd >= 0) {
		h.msg_control = &c;
		h.msg_controllen = sizeof(c);
		c.h.cmsg_level = SOL_SOCKET;
		c.h.cmsg_type = SCM_RIGHTS;
		c.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&c.h), &fd, sizeof(fd));
	}
	do
		sent = sendmsg(sock, &h, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* The last one counts: a sender that is not trusted may send as many as there
 * is room for, and none of them may stay open. */
static void take_fds(struct cmsghdr *p, int *ret_fd)
{
	size_t n = (p->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < n; i++) {
		fd_drop(ret_fd);
		memcpy(ret_fd, CMSG_DATA(p) + i * sizeof(int), sizeof(int));
	}
}

static void take_control(struct msghdr *h, int *ret_fd, struct ucred *cred)
{
/* musl's macro mixes signs */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
	for (struct cmsghdr *p = CMSG_FIRSTHDR(h); p; p = CMSG_NXTHDR(h, p)) {
#pragma GCC diagnostic pop
		if (p->cmsg_level != SOL_SOCKET)
			continue;
		if (p->cmsg_type == SCM_RIGHTS)
			take_fds(p, ret_fd);
		if (p->cmsg_type == SCM_CREDENTIALS)
			memcpy(cred, CMSG_DATA(p), sizeof(*cred));
	}
}

int datagram_recv(int sock, void *p, size_t n, int *ret_fd, pid_t *ret_pid,
		  int flags)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int)) +
			  CMSG_SPACE(sizeof(struct ucred))];
	} c;
	struct iovec v = { p, n };
	struct msghdr h = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &c,
			    .msg_controllen = sizeof(c) };
	struct ucred cred = { 0 };
	ssize_t got;

	memset(&c, 0, sizeof(c));
	*ret_fd = -1;
	do
		got = recvmsg(sock, &h, MSG_CMSG_CLOEXEC | flags);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	take_control(&h, ret_fd, &cred);
	if (ret_pid)
		*ret_pid = cred.pid;
	if ((size_t)got == n && !(h.msg_flags & MSG_TRUNC))
		return 1;
	fd_drop(ret_fd);
	return got ? -EPROTO : 0;
}
