/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Datagrams of the cell, in batches. A wildcard socket stands for every
 * address there is: what a query was sent to is what its answer comes from.
 */
#include "gate/dns_int.h"
#include "sys/pktinfo.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

enum { BATCH = 64, LAST_TURNS = 256 };

struct dns_listener {
	struct loop_source source;
	struct dns_udp *udp;
};

struct dns_udp {
	struct dns_proxy *proxy;
	struct dns_listener listeners[DNS_LISTENERS_MAX];
	size_t n;
	/* one batch; a slot that is answered now is sent from where it lies */
	char in[BATCH][DNS_UDP_OURS];
	struct wbuf out[BATCH];
	struct dns_client clients[BATCH];
	struct pktinfo controls[BATCH];
	struct iovec vec[BATCH];
	struct mmsghdr msg[BATCH];
};

struct dns_udp *dns_udp_new(struct dns_proxy *p)
{
	struct dns_udp *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->proxy = p;
	for (size_t i = 0; i < BATCH; i++)
		u->out[i] = WBUF_INIT(DNS_UDP_REPLY_MAX);
	return u;
}

void dns_udp_free(struct dns_udp **u)
{
	if (!*u)
		return;
	for (size_t i = 0; i < (*u)->n; i++) {
		struct loop_source *s = &(*u)->listeners[i].source;

		loop_remove((*u)->proxy->g->loop, s);
		fd_drop(&s->fd);
	}
	for (size_t i = 0; i < BATCH; i++)
		wbuf_drop(&(*u)->out[i]);
	free(*u);
	*u = NULL;
}

/* -- headers -- */

static void answer_header(struct msghdr *m, const struct dns_client *client,
			  struct pktinfo *control, struct iovec *vec)
{
	*m = (struct msghdr){ .msg_name = (void *)(uintptr_t)&client->from,
			      .msg_namelen = client->from_len,
			      .msg_iov = vec,
			      .msg_iovlen = 1 };
	pktinfo_put(m, control, &client->asked);
}

void dns_udp_answer(const struct dns_client *client, struct slice msg)
{
	struct pktinfo control;
	struct iovec vec = { (char *)msg.p, msg.n };
	struct msghdr m;

	answer_header(&m, client, &control, &vec);
	if (sendmsg(client->udp->source.fd, &m, MSG_DONTWAIT) < 0) {
		/* lost, as datagrams are; the client asks again */
	}
}

/* -- batches -- */

/* As the kernel declares it: musl would make a call of every message. */
static int send_messages(int fd, struct mmsghdr *msg, size_t n)
{
	return (int)syscall(SYS_sendmmsg, fd, msg, n, MSG_DONTWAIT);
}

static int receive(struct dns_udp *u, int fd)
{
	for (size_t i = 0; i < BATCH; i++) {
		u->vec[i] = (struct iovec){ u->in[i], sizeof(u->in[i]) };
		u->msg[i].msg_hdr = (struct msghdr){
			.msg_name = &u->clients[i].from,
			.msg_namelen = sizeof(u->clients[i].from),
			.msg_iov = &u->vec[i],
			.msg_iovlen = 1,
			.msg_control = &u->controls[i],
			.msg_controllen = sizeof(u->controls[i])
		};
	}
	return (int)syscall(SYS_recvmmsg, fd, u->msg, BATCH, MSG_DONTWAIT,
			    NULL);
}

/* Return: false if there was none */
static bool take_turn(struct dns_listener *l)
{
	struct dns_udp *u = l->udp;
	int n = receive(u, l->source.fd);
	size_t n_out = 0;

	for (int i = 0; i < n; i++) {
		struct msghdr *m = &u->msg[i].msg_hdr;
		struct dns_client *c = &u->clients[i];
		struct wbuf *out = &u->out[i];
		struct slice msg = { u->in[i], u->msg[i].msg_len };

		c->udp = l;
		c->from_len = m->msg_namelen;
		(void)pktinfo_read(m, &c->asked);
		wbuf_reset(out);
		if (dns_proxy_serve(u->proxy, c, msg, m->msg_flags & MSG_TRUNC,
				    out) == DNS_WAITS ||
		    out->failed || out->len == 0)
			continue;
		/* slots behind this one are still to be read */
		u->vec[n_out] = (struct iovec){ out->p, out->len };
		answer_header(&u->msg[n_out].msg_hdr, c, &u->controls[n_out],
			      &u->vec[n_out]);
		n_out++;
	}
	for (size_t at = 0; at < n_out;) {
		int r = send_messages(l->source.fd, &u->msg[at], n_out - at);

		/* one that cannot be sent is lost, as datagrams are */
		at += r > 0 ? (size_t)r : 1;
	}
	return n > 0;
}

static void readable(struct loop_source *s, uint32_t events)
{
	(void)events;
	(void)take_turn(loop_of(s, struct dns_listener, source));
}

void dns_udp_drain(struct dns_udp *u)
{
	for (size_t i = 0; i < u->n; i++)
		for (int k = 0; k < LAST_TURNS && take_turn(&u->listeners[i]);
		     k++)
			;
}

int dns_udp_add(struct dns_udp *u, int fd)
{
	struct dns_listener *l = &u->listeners[u->n];
	int r;

	if (u->n == DNS_LISTENERS_MAX) {
		fd_drop(&fd);
		return -ENOSPC;
	}
	*l = (struct dns_listener){ .source = { .fd = fd, .fn = readable },
				    .udp = u };
	r = loop_add(u->proxy->g->loop, &l->source, EPOLLIN, true);
	if (r)
		fd_drop(&l->source.fd);
	else
		u->n++;
	return r;
}
