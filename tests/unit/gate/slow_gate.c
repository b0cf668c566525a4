/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* In the place of cellos-gate: at its end it has policy->n_names records, one
 * each policy->idle_ms, then its last. */
#include <poll.h>
#include <unistd.h>

#include "base/fd.h"
#include "gate/message.h"
#include "sys/datagram.h"

enum { CHANNEL = 3 };

static void send_record(enum gate_record_type type)
{
	const struct gate_record r = { .type = type };

	if (datagram_send(CHANNEL, &r, sizeof(r), -1))
		_exit(1);
}

int main(void)
{
	static struct gate_policy p;
	struct gate_order o = { .type = 0 };
	int fd = -1;

	if (datagram_recv(CHANNEL, &o, sizeof(o), &fd, NULL, 0) != 1 ||
	    pread(fd, &p, sizeof(p), 0) != (ssize_t)sizeof(p))
		return 1;
	do {
		fd_drop(&fd);
		if (datagram_recv(CHANNEL, &o, sizeof(o), &fd, NULL, 0) != 1)
			return 1;
	} while (o.type != GATE_ORDER_STOP);
	for (uint32_t i = 0; i < p.n_names; i++) {
		(void)poll(NULL, 0, (int)p.idle_ms);
		send_record(GATE_QUERY);
	}
	send_record(GATE_STATS);
	return 0;
}
