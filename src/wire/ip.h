/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Internet addresses as values: one form for a decision, a dial and a log.
 * An IPv4 address in an IPv6 coat (v4-mapped) is not one of these: it is
 * class IP_MAPPED, and nobody turns it into the other.
 */
#ifndef CELLOS_WIRE_IP_H
#define CELLOS_WIRE_IP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "base/slice.h"

enum { IP_TEXT_SIZE = 46 }; /* INET6_ADDRSTRLEN */

struct ip_addr {
	uint8_t family; /* 4 or 6; 0: none */
	uint8_t b[16]; /* network order; IPv4 in the first four, zeros behind */
};

struct ip_net {
	struct ip_addr addr; /* host bits are zero */
	uint8_t prefix;	     /* bits: 0..32 or 0..128 */
};

/** ip_parse() - dotted quad without leading zeros or RFC 4291 2.2 text without
 *  brackets or zone; 0 or -EINVAL with @ret untouched */
int ip_parse(struct slice s, struct ip_addr *ret) MUST_USE;
/** ip_net_parse() - an address, or address "/" prefix; host bits that are not
 *  zero are -EINVAL */
int ip_net_parse(struct slice s, struct ip_net *ret) MUST_USE;
/** ip_text() - RFC 5952 form, "" of no address; @buf of IP_TEXT_SIZE; returns
 *  @buf */
const char *ip_text(char *buf, const struct ip_addr *a);
bool ip_equal(const struct ip_addr *a, const struct ip_addr *b);
bool ip_in_net(const struct ip_addr *a, const struct ip_net *n);
/** ip_net_is_address() - it holds one */
static inline bool ip_net_is_address(const struct ip_net *n)
{
	return n->prefix == (n->addr.family == 4 ? 32 : 128);
}

/** ip_of_sockaddr() - address and port of a sockaddr_in or sockaddr_in6;
 *  0 or -EAFNOSUPPORT */
int ip_of_sockaddr(const void *sa, struct ip_addr *ret,
		   uint16_t *ret_port) MUST_USE;
/** ip_sockaddr() - the other way; Return: its length */
socklen_t ip_sockaddr(const struct ip_addr *a, uint16_t port,
		      struct sockaddr_storage *ret);

/* Special addresses (IANA special-purpose registries): which of them a name
 * must never lead to, and which need a word of the document. */
enum ip_class {
	IP_ORDINARY,	/* the documentation nets are ordinary too */
	IP_UNSPECIFIED, /* 0.0.0.0/8, :: */
	IP_LOOPBACK,	/* 127/8, ::1 */
	IP_LINK_LOCAL,	/* 169.254/16 (the metadata services among them),
			   fe80::/10 */
	IP_METADATA,	/* fd00:ec2::254, 100.100.100.200, 168.63.129.16,
			   192.0.0.192 */
	IP_MULTICAST,	/* 224/4, ff00::/8, limited broadcast, 240/4 reserved */
	IP_PRIVATE,	/* RFC 1918, fc00::/7, fec0::/10 */
	IP_SHARED,	/* 100.64/10, 192.0.0/24, 198.18/15: of no host in the
			   Internet, but perhaps of one near (RFC 6890) */
	IP_MAPPED,	/* ::ffff:0:0/96, ::/96 */
	IP_TRANSLATED,	/* 64:ff9b::/96, 64:ff9b:1::/48, 2002::/16, 2001::/32 */
	IP_CLASS_NUM
};

/** ip_class() - of no address (family 0): IP_UNSPECIFIED */
enum ip_class ip_class(const struct ip_addr *a);
/** ip_class_word() - "loopback", "link-local", ... for events and errors */
const char *ip_class_word(enum ip_class c);

#endif
