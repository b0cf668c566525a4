/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A gate that somebody took over: it stands where the supervisor looks for
 * cellos-gate, and does what its policy's `drain_ms` says (see process_test.c).
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostile.h"
#include "sys/datagram.h"

enum { CHANNEL = 3 };

static void tell(const struct gate_record *r)
{
	if (datagram_send(CHANNEL, r, sizeof(*r), -1))
		_exit(1);
}

static void wait_for(enum gate_order_type type)
{
	struct gate_order o;
	int fd;

	do {
		if (datagram_recv(CHANNEL, &o, sizeof(o), &fd, NULL, 0) != 1)
			_exit(1);
		if (fd >= 0)
			(void)close(fd);
	} while (o.type != type);
}

static enum hostile what_to_do(const struct gate_policy **ret)
{
	struct gate_order o;
	const struct gate_policy *p;
	int fd;

	if (datagram_recv(CHANNEL, &o, sizeof(o), &fd, NULL, 0) != 1)
		_exit(1);
	p = mmap(NULL, sizeof(*p), PROT_READ, MAP_PRIVATE, fd, 0);
	/* what is sealed cannot be made another by whoever holds it */
	if (p == MAP_FAILED || write(fd, "x", 1) >= 0 || ftruncate(fd, 0) == 0)
		_exit(1);
	*ret = p;
	return (enum hostile)p->drain_ms;
}

/* Ten at once, where one is expected at most. */
static void send_descriptors(void)
{
	const struct gate_record r = { .type = GATE_READY };
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(10 * sizeof(int))];
	} c;
	struct iovec v = { (void *)(uintptr_t)&r, sizeof(r) };
	struct msghdr h = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &c,
			    .msg_controllen = sizeof(c) };
	int fds[10];

	memset(&c, 0, sizeof(c));
	for (int i = 0; i < 10; i++)
		fds[i] = CHANNEL;
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&c.h), fds, sizeof(fds));
	if (sendmsg(CHANNEL, &h, MSG_NOSIGNAL) < 0)
		_exit(1);
}

int main(void)
{
	const struct gate_record ready = { .type = GATE_READY };
	const struct gate_record stats = { .type = GATE_STATS };
	const struct gate_record inside = {
		.type = GATE_INSIDE, .inside = { .family = 4, .n = DOOR_INSIDE }
	};
	struct gate_record r = ready;
	const struct gate_policy *p;
	enum hostile what = what_to_do(&p);

	switch (what) {
	case HOSTILE_NOT:
		tell(&ready);
		wait_for(GATE_ORDER_STOP);
		tell(&stats);
		return 0;
	case HOSTILE_FORGES:
		r.type = GATE_FLOW;
		r.flow.rule = 12345;
		tell(&r);
		break;
	case HOSTILE_SHORT:
		if (send(CHANNEL, &r, sizeof(r) - 1, MSG_NOSIGNAL) < 0)
			return 1;
		break;
	case HOSTILE_DESCRIPTORS:
		for (int i = 0; i < 50; i++)
			send_descriptors();
		tell(&stats);
		break;
	case HOSTILE_ASKS:
		tell(&ready);
		tell(&inside);
		tell(&inside);
		break;
	case HOSTILE_DIES:
		tell(&ready);
		return 0;
	case HOSTILE_SLOW:
		tell(&ready);
		wait_for(GATE_ORDER_STOP);
		r.type = GATE_QUERY;
		for (uint32_t i = 0; i < p->pin_grace; i++) {
			(void)poll(NULL, 0, (int)p->idle_ms);
			tell(&r);
		}
		tell(&stats);
		return 0;
	case HOSTILE_STAYS:
		tell(&ready);
		(void)signal(SIGTERM, SIG_IGN);
		break;
	}
	(void)pause();
	return 0;
}
