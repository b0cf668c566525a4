/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A terminal of a sandbox: the runtime makes it, in a devpts of the cell's own,
 * and sends the master to a socket (runtime-spec, "console-socket").
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "cell/oci.h"
#include "cell/stage.h"

int sandbox_console(void)
{
	OWNED(fd_drop)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr_un at = { .sun_family = AF_UNIX,
					.sun_path = OCI_CONSOLE };

	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(fd, 1) < 0)
		return -errno;
	return fd_take(&fd);
}

/* One message: the name of the terminal, which is nobody's business, and one
 * descriptor. */
static int take_master(int from)
{
	char name[256];
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec v = { name, sizeof(name) };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int fd;

	if (recvmsg(from, &m, MSG_CMSG_CLOEXEC) < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(fd)))
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int sandbox_console_give(int listener, int sock)
{
	const struct cell_message m = { .type = CELL_MSG_PTY };
	OWNED(fd_drop)
	int from = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	OWNED(fd_drop) int master = from < 0 ? -errno : take_master(from);

	return master < 0 ? master : cell_send(sock, &m, master);
}
