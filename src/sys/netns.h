/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The links, addresses and routes of a cell's network namespace. */
#ifndef CELLOS_SYS_NETNS_H
#define CELLOS_SYS_NETNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "sys/netlink.h"
#include "wire/ip.h"

enum { NETNS_LO = 1 }; /* ifindex of lo, in every namespace */

/** netns_lo_up() - bring lo up in this thread's network namespace */
int netns_lo_up(void) MUST_USE;

/** netns_reaches_v6() - is there a way to IPv6 addresses from here; no packet
 *  is sent, the kernel only looks for a route */
bool netns_reaches_v6(void);

/*
 * Requests for a NETLINK_ROUTE socket; nl_request() sends them.
 */

/** netns_put_addr() - @a alone (/32, /128), usable at once: no duplicate
 *  address detection */
void netns_put_addr(struct nl_buf *b, uint32_t ifindex,
		    const struct ip_addr *a);
/** netns_put_default() - everything is local: route `local default dev lo
 *  table local`, with @src as the source of what has none yet */
void netns_put_default(struct nl_buf *b, const struct ip_addr *src);
/** netns_put_neighbour() - @a is on the link of @ifindex: an ordinary route,
 *  but in table local, which is looked into first */
void netns_put_neighbour(struct nl_buf *b, uint32_t ifindex,
			 const struct ip_addr *a, const struct ip_addr *src);
/**
 * netns_put_leg_up() - bring a link up that has no address of its own
 * @has_v6: it has IPv6 addresses, but none it makes itself (link-local,
 *          autoconfigured): its namespace tells the far end nothing
 *
 * ARP asks from an address that is assigned, not from any that is local, as
 * otherwise every destination of the cell would be (arp_announce 2).
 */
void netns_put_leg_up(struct nl_buf *b, uint32_t ifindex, bool has_v6);
/** netns_put_veth() - a pair of links: @name here, @peer_name in the network
 *  namespace of the descriptor @peer_net; both are down */
void netns_put_veth(struct nl_buf *b, const char *name, const char *peer_name,
		    int peer_net);
/** netns_put_up() - bring a link up */
void netns_put_up(struct nl_buf *b, uint32_t ifindex);
/** netns_put_gateway() - everything of @via's family goes by @via, which is on
 *  the link itself */
void netns_put_gateway(struct nl_buf *b, uint32_t ifindex,
		       const struct ip_addr *via);

#endif
