/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The address a datagram was sent to, and the one an answer is sent from
 * (IP_PKTINFO, IPV6_PKTINFO), on a socket that is bound to no address.
 */
#ifndef CELLOS_SYS_PKTINFO_H
#define CELLOS_SYS_PKTINFO_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "wire/ip.h"

/* Control data of one datagram. */
struct pktinfo {
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(
		sizeof(struct in6_pktinfo))];
};

/** pktinfo_read() - of a message received; false if the kernel does not say */
bool pktinfo_read(const struct msghdr *m, struct ip_addr *ret);
/** pktinfo_put() - of a message to be sent; @c is filled, and lives as long as
 *  @m. No family: the kernel chooses */
void pktinfo_put(struct msghdr *m, struct pktinfo *c, const struct ip_addr *a);

#endif
