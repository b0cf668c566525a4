/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Where a packet came from and where it was to go, from its first bytes: IPv4
 * (RFC 791), IPv6 and its extension headers (RFC 8200), the ports of TCP, UDP,
 * UDP-Lite, DCCP and SCTP, which are in the same place.
 */
#ifndef CELLOS_WIRE_PACKET_H
#define CELLOS_WIRE_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"
#include "wire/ip.h"

struct packet {
	struct ip_addr src, dst;
	uint8_t protocol; /* IPPROTO_*; of IPv6 the last header that is seen,
			   * which may be an extension */
	bool has_ports;	  /* not of a fragment, and not if they are cut off */
	uint16_t src_port, dst_port; /* else 0 */
};

/**
 * packet_parse() - the header of a packet that may be cut anywhere behind it
 * @s: from the IP header on
 *
 * Return: 0; -EBADMSG, with @ret untouched, if there is no whole IP header
 */
int packet_parse(struct slice s, struct packet *ret) MUST_USE;

#endif
