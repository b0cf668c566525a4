/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Netlink: messages, attributes, answers, dumps. */
#include "sys/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel makes no datagram of a dump larger than this. */
enum { DATAGRAM_MAX = 32768 };

/* Messages and attributes alike start at multiples of four. */
static size_t align(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

int nl_socket(int protocol)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	return fd < 0 ? -errno : fd;
}

static void append(struct nl_buf *b, const void *p, size_t n)
{
	size_t room = align(n);
	uint32_t len;

	if (b->failed || room < n || b->max - b->n < room) {
		b->failed = true;
		return;
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	memset(b->p + b->n + n, 0, room - n);
	b->n += room;
	len = (uint32_t)(b->n - b->open);
	memcpy(b->p + b->open, &len, sizeof(len));
}

void nl_open(struct nl_buf *b, uint16_t type, uint16_t flags, const void *body,
	     size_t n)
{
	struct nlmsghdr h = { .nlmsg_type = type,
			      .nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST),
			      .nlmsg_seq = ++b->seq };

	b->open = b->n;
	append(b, &h, sizeof(h));
	append(b, body, n);
}

void nl_ask_ack(struct nl_buf *b)
{
	size_t at = b->open + offsetof(struct nlmsghdr, nlmsg_flags);
	uint16_t flags;

	if (b->failed)
		return;
	memcpy(&flags, b->p + at, sizeof(flags));
	flags |= NLM_F_ACK;
	memcpy(b->p + at, &flags, sizeof(flags));
	b->acked = b->seq;
}

void nl_put(struct nl_buf *b, uint16_t type, const void *p, size_t n)
{
	struct nlattr a = { .nla_type = type };

	if (n > UINT16_MAX - sizeof(struct nlattr)) {
		b->failed = true;
		return;
	}
	a.nla_len = (uint16_t)(sizeof(struct nlattr) + n);
	append(b, &a, sizeof(a));
	append(b, p, n);
}

void nl_put_str(struct nl_buf *b, uint16_t type, const char *s)
{
	nl_put(b, type, s, strlen(s) + 1);
}

void nl_put_u32(struct nl_buf *b, uint16_t type, uint32_t v)
{
	nl_put(b, type, &v, sizeof(v));
}

void nl_put_be32(struct nl_buf *b, uint16_t type, uint32_t v)
{
	nl_put_u32(b, type, htonl(v));
}

size_t nl_nest_with(struct nl_buf *b, uint16_t type, const void *body, size_t n)
{
	size_t at = b->n;

	nl_put(b, type | NLA_F_NESTED, body, n);
	return at;
}

size_t nl_nest(struct nl_buf *b, uint16_t type)
{
	return nl_nest_with(b, type, NULL, 0);
}

void nl_nest_end(struct nl_buf *b, size_t nest)
{
	size_t n = b->n - nest;
	uint16_t len = (uint16_t)n;

	if (n > UINT16_MAX)
		b->failed = true;
	if (!b->failed)
		memcpy(b->p + nest, &len, sizeof(len));
}

bool nl_next_msg(struct slice *c, struct nl_msg *ret)
{
	struct nlmsghdr h;
	size_t step;

	if (c->n < sizeof(h))
		return false;
	memcpy(&h, c->p, sizeof(h));
	if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > c->n)
		return false;
	*ret = (struct nl_msg){
		.type = h.nlmsg_type,
		.flags = h.nlmsg_flags,
		.seq = h.nlmsg_seq,
		.body = { c->p + sizeof(h), h.nlmsg_len - sizeof(h) },
	};
	step = align(h.nlmsg_len);
	step = step < c->n ? step : c->n;
	*c = (struct slice){ c->p + step, c->n - step };
	return true;
}

bool nl_next_attr(struct slice *c, struct nl_attr *ret)
{
	struct nlattr a;
	size_t step;

	if (c->n < sizeof(a))
		return false;
	memcpy(&a, c->p, sizeof(a));
	if (a.nla_len < sizeof(a) || a.nla_len > c->n)
		return false;
	*ret = (struct nl_attr){
		.type = (uint16_t)(a.nla_type &
				   (uint16_t) ~(NLA_F_NESTED |
						NLA_F_NET_BYTEORDER)),
		.is_nested = a.nla_type & NLA_F_NESTED,
		.body = { c->p + sizeof(a), a.nla_len - sizeof(a) },
	};
	step = align(a.nla_len);
	step = step < c->n ? step : c->n;
	*c = (struct slice){ c->p + step, c->n - step };
	return true;
}

static int send_all(int fd, const struct nl_buf *b)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n;

	if (b->failed)
		return -ENOBUFS;
	do
		n = sendto(fd, b->p, b->n, 0, (const void *)&kernel,
			   sizeof(kernel));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int receive(int fd, char *buf, struct slice *ret)
{
	ssize_t n;

	do
		n = recv(fd, buf, DATAGRAM_MAX, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n > DATAGRAM_MAX)
		return -EMSGSIZE;
	*ret = (struct slice){ buf, (size_t)n };
	return 0;
}

/* What an NLMSG_ERROR or NLMSG_DONE says, 0 or -errno */
static int answer_of(const struct nl_msg *m)
{
	int32_t e;

	if (m->body.n < sizeof(e))
		return -EBADMSG;
	memcpy(&e, m->body.p, sizeof(e));
	return e;
}

int nl_request(int fd, const struct nl_buf *b)
{
	NO_INIT char buf[DATAGRAM_MAX];
	struct nl_msg m;
	struct slice got;
	int r = send_all(fd, b);

	while (!r) {
		r = receive(fd, buf, &got);
		while (!r && nl_next_msg(&got, &m)) {
			if (m.type != NLMSG_ERROR)
				continue;
			r = answer_of(&m);
			if (!r && m.seq == b->acked)
				return 0;
		}
	}
	return r;
}

/* One message of a dump: 1 at the end of it, 0, or -errno */
static int one_of_dump(const struct nl_msg *m, nl_seen_fn fn, void *arg,
		       int *first)
{
	int r = 0;

	/* both carry what a failure was */
	if (m->type == NLMSG_ERROR || m->type == NLMSG_DONE) {
		r = answer_of(m);
		return r < 0 ? r : 1;
	}
	if (m->flags & NLM_F_DUMP_INTR)
		r = -EINTR;
	else if (!*first)
		r = fn(arg, m);
	if (!*first)
		*first = r;
	return 0;
}

int nl_dump(int fd, const struct nl_buf *b, nl_seen_fn fn, void *arg)
{
	NO_INIT char buf[DATAGRAM_MAX];
	struct nl_msg m;
	struct slice got;
	int r = send_all(fd, b), first = 0;

	while (!r) {
		r = receive(fd, buf, &got);
		while (!r && nl_next_msg(&got, &m))
			if (m.seq == b->seq)
				r = one_of_dump(&m, fn, arg, &first);
	}
	return r < 0 ? r : first;
}
