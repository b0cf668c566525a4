/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Netlink requests and answers. The encoding is our own: libmnl has no archive
 * to link a static program to, and libnftnl is GPL.
 *
 * Requests are built one behind the other in a buffer of the caller and go out
 * in one call. As with struct wbuf, what does not fit makes the whole buffer
 * fail, which is seen when it is sent.
 */
#ifndef CELLOS_SYS_NETLINK_H
#define CELLOS_SYS_NETLINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

struct nl_buf {
	char *p; /* aligned to 4 bytes; of the caller */
	size_t n, max;
	size_t open;	/* where the last message starts */
	uint32_t seq;	/* of the last message, from 1 */
	uint32_t acked; /* of the last one that asks for an answer, or 0 */
	bool failed;
};

struct nl_attr {
	uint16_t type; /* without NLA_F_NESTED and NLA_F_NET_BYTEORDER */
	bool is_nested;
	struct slice body;
};

struct nl_msg {
	uint16_t type, flags;
	uint32_t seq;
	struct slice body;
};

/**
 * nl_socket() - a netlink socket of this thread's network namespace
 * @protocol: NETLINK_ROUTE, NETLINK_NETFILTER
 *
 * Return: a descriptor the caller owns, close-on-exec; or -errno
 */
int nl_socket(int protocol) MUST_USE;

/**
 * nl_open() - start a message; the one before it is thereby complete
 * @flags: added to NLM_F_REQUEST
 * @body:  the fixed part before the attributes
 */
void nl_open(struct nl_buf *b, uint16_t type, uint16_t flags, const void *body,
	     size_t n);
/** nl_ask_ack() - the last message asks for an answer. The kernel works in
 *  order and answers every failure unasked, so one at the end is enough. */
void nl_ask_ack(struct nl_buf *b);
void nl_put(struct nl_buf *b, uint16_t type, const void *p, size_t n);
void nl_put_str(struct nl_buf *b, uint16_t type, const char *s);
void nl_put_u32(struct nl_buf *b, uint16_t type, uint32_t v);
void nl_put_be32(struct nl_buf *b, uint16_t type, uint32_t v);
/** nl_nest() - start a nested attribute; Return: what nl_nest_end() takes */
size_t nl_nest(struct nl_buf *b, uint16_t type) MUST_USE;
/** nl_nest_with() - the same with a fixed part before the attributes;
 *  @n: a multiple of 4 */
size_t nl_nest_with(struct nl_buf *b, uint16_t type, const void *body,
		    size_t n) MUST_USE;
void nl_nest_end(struct nl_buf *b, size_t nest);

/**
 * nl_request() - send all, and wait for the answer to nl_ask_ack()
 *
 * Return: 0; the first -errno the kernel answers; -ENOBUFS if the buffer
 * failed
 */
int nl_request(int fd, const struct nl_buf *b) MUST_USE;

/* Of one message of a dump; after one that is not 0 it is not called again */
typedef int (*nl_seen_fn)(void *arg, const struct nl_msg *m);

/**
 * nl_dump() - send one request that has NLM_F_DUMP, and hand on every message
 *
 * The dump is read to its end in any case, so the socket can be used again.
 *
 * Return: 0; -EINTR if what was dumped changed under it; what @fn returned; or
 * -errno
 */
int nl_dump(int fd, const struct nl_buf *b, nl_seen_fn fn, void *arg) MUST_USE;

/**
 * nl_next_msg() - the next message of a datagram
 * @c: the rest of it; moved on
 *
 * Return: false at the end, and at the first that is cut
 */
bool nl_next_msg(struct slice *c, struct nl_msg *ret) MUST_USE;
/** nl_next_attr() - the same of attributes */
bool nl_next_attr(struct slice *c, struct nl_attr *ret) MUST_USE;

#endif
