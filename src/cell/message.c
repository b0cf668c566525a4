/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fixed-size messages over a SEQPACKET pair. */
#include "cell/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int cell_send(int sock, const struct cell_message *m, int fd)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} c;
	struct iovec v = { (void *)(uintptr_t)m, sizeof(*m) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	ssize_t n;

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
		n = sendmsg(sock, &h, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int cell_recv(int sock, struct cell_message *ret, int *ret_fd, pid_t *ret_pid)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int)) +
			  CMSG_SPACE(sizeof(struct ucred))];
	} c;
	struct cell_message m;
	struct iovec v = { &m, sizeof(m) };
	struct msghdr h = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &c,
			    .msg_controllen = sizeof(c) };
	struct ucred cred = { 0 };
	ssize_t n;

	memset(&c, 0, sizeof(c));
	*ret_fd = -1;
	do
		n = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
/* musl's macro mixes signs */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
	for (struct cmsghdr *p = CMSG_FIRSTHDR(&h); p; p = CMSG_NXTHDR(&h, p)) {
#pragma GCC diagnostic pop
		if (p->cmsg_level != SOL_SOCKET)
			continue;
		if (p->cmsg_type == SCM_RIGHTS)
			memcpy(ret_fd, CMSG_DATA(p), sizeof(*ret_fd));
		if (p->cmsg_type == SCM_CREDENTIALS)
			memcpy(&cred, CMSG_DATA(p), sizeof(cred));
	}
	if (ret_pid)
		*ret_pid = cred.pid;
	if (n == 0)
		return 0;
	if ((size_t)n != sizeof(m)) {
		if (*ret_fd >= 0)
			(void)close(*ret_fd);
		*ret_fd = -1;
		return -EPROTO;
	}
	m.path[sizeof(m.path) - 1] = '\0';
	*ret = m;
	return 1;
}
