/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "gate/refused.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/nflog.h"
#include "wire/packet.h"

enum { BATCH = 64 }; /* datagrams a turn */

static struct {
	struct loop_source source;
	struct gate *gate;
	uint32_t next; /* number of a packet */
} refused = { .source = { .fd = -1 } };

static void tell(struct gate *g, struct slice payload)
{
	struct gate_flow f = { .reason = GATE_REASON_NO_RULE, .rule = -1 };
	struct packet p;

	g->stats.refused++;
	if (packet_parse(payload, &p))
		return;
	f.l4 = p.protocol;
	f.src = p.src;
	f.dst = p.dst;
	f.src_port = p.src_port;
	f.dst_port = p.dst_port;
	if (p.dst_port == 853 ||
	    (p.dst_port == 443 && p.protocol == IPPROTO_UDP))
		f.reason = GATE_REASON_PORT_CLOSED;
	record_flow(g, GATE_REFUSED, &f);
}

/* How many were lost before this one. All that are refused are counted, and
 * the kernel keeps as many as its buffer holds. */
static void note_number(struct gate *g, uint32_t number)
{
	uint32_t lost = number - refused.next;

	refused.next = number + 1;
	if (!lost)
		return;
	g->stats.refused += lost;
	g->stats.refused_lost += lost;
	record_lost(g, lost);
}

static void take(struct gate *g, int fd, unsigned batch)
{
	char buf[NFLOG_DATAGRAM_MAX];

	while (batch--) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		struct slice s = { buf, n > 0 ? (size_t)n : 0 };
		struct nflog_record r;

		if (n < 0 && errno == ENOBUFS)
			continue; /* the next number says how many */
		if (n < 0)
			return;
		while (nflog_next(&s, &r)) {
			note_number(g, r.number);
			tell(g, r.payload);
		}
	}
}

static void on_packet(struct loop_source *s, uint32_t events)
{
	(void)events;
	take(refused.gate, s->fd, BATCH);
}

int refused_new(struct gate *g, int fd)
{
	refused.gate = g;
	refused.source = (struct loop_source){ .fd = fd, .fn = on_packet };
	return loop_add(g->loop, &refused.source, EPOLLIN, true);
}

void refused_drain(struct gate *g)
{
	/* as many as its buffer can hold, not as many as may come */
	if (refused.source.fd >= 0)
		take(g, refused.source.fd, 4096);
}
