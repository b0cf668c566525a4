/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nfnetlink_log: copies of packets that a packet filter sends to a group. */
#ifndef CELLOS_SYS_NFLOG_H
#define CELLOS_SYS_NFLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

enum { NFLOG_DATAGRAM_MAX = 4096 }; /* what one receive returns at most */

struct nflog_record {
	struct slice prefix;  /* of the rule, without NUL; empty if none */
	uint32_t number;      /* counts packets of the group, from 0; what was
			       * lost has a number too */
	struct slice payload; /* from the IP header on, as much as is copied */
};

/**
 * nflog_open() - the receiving end of a group of this network namespace
 * @copy: bytes of each packet
 *
 * One packet a datagram, sent at once. What the socket's buffer (64 KiB) does
 * not hold is lost, and the next receive is ENOBUFS.
 *
 * Return: a netlink socket the caller owns, non-blocking and close-on-exec;
 * -EBUSY if the group has a receiver; or -errno
 */
int nflog_open(uint16_t group, uint32_t copy) MUST_USE;
/**
 * nflog_next() - the next packet of a datagram
 * @c: the rest of it; moved on
 *
 * Messages of other kinds and without a payload are passed over.
 *
 * Return: false at the end, and at the first message that is cut
 */
bool nflog_next(struct slice *c, struct nflog_record *ret) MUST_USE;

#endif
