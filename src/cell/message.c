/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "cell/message.h"

#include "sys/datagram.h"

int cell_send(int sock, const struct cell_message *m, int fd)
{
	return datagram_send(sock, m, sizeof(*m), fd);
}

int cell_recv(int sock, struct cell_message *ret, int *ret_fd, pid_t *ret_pid)
{
	struct cell_message m;
	int r = datagram_recv(sock, &m, sizeof(m), ret_fd, ret_pid, 0);

	if (r != 1)
		return r;
	m.path[sizeof(m.path) - 1] = '\0';
	*ret = m;
	return 1;
}
