/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The door of a cell, from its inside: one address a family, every destination
 * local, a packet filter that hands named TCP ports to the gate's sockets and
 * refuses and reports the rest. Made by pid 1 while it still has its
 * capabilities over the network namespace; the sockets go out to the gate.
 *
 * The shape is the same for every wall. With a leg a second way in is the
 * device `cell0` (a veth's end, a TAP): a wall with a network stack of its own
 * sends its packets there.
 */
#ifndef CELLOS_CELL_DOOR_H
#define CELLOS_CELL_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "wire/ip.h"

/* Addresses of a cell (RFC 6598, RFC 4193). The resolver's is no address of
 * the cell: it only has to be one that is asked. */
#define DOOR_ADDR4     "100.64.0.2"
#define DOOR_ADDR6     "fd63:656c:6c6f::2"
#define DOOR_RESOLVER4 "100.64.0.1"
#define DOOR_LEG       "cell0"
/* of the cell behind a leg; the leg's own end has DOOR_ADDR4, DOOR_ADDR6 */
#define DOOR_FAR_LINK  "eth0"
#define DOOR_LEG_PEER4 "100.64.0.6"
#define DOOR_LEG_PEER6 "fd63:656c:6c6f::6"

enum {
	DOOR_PORTS_MAX = 512, /* of TCP and of UDP, each */
	DOOR_LISTEN_MAX = 4,
	DOOR_INSIDE_MAX = 3,
	DOOR_INSIDE = 16, /* made of each kind at a time */
	DOOR_SOCKETS_MAX = 2 + 2 * (DOOR_PORTS_MAX + 1) + 1 + DOOR_LISTEN_MAX +
			   DOOR_INSIDE_MAX * DOOR_INSIDE,
	DOOR_MARK = 0x63656c6c, /* SO_MARK of the gate's sockets */
	DOOR_NFLOG_GROUP = 100,
	DOOR_NFLOG_COPY = 64 /* bytes of a refused packet that are told */
};

/** door_addr() - one of the above as a value */
struct ip_addr door_addr(const char *text);

/* What pid 1 is asked to make; in the request, made before the clone. */
struct door {
	bool has_v6; /* the outside has IPv6 */
	bool has_leg;
	uint16_t tcp[DOOR_PORTS_MAX]; /* named ports, sorted, without 53 */
	uint16_t udp[DOOR_PORTS_MAX];
	uint16_t n_tcp, n_udp;
	uint16_t nflog_group;
	/* explicit proxies: also listen here, loopback addresses too */
	struct {
		struct ip_addr addr;
		uint16_t port;
		bool is_udp;
	} listen[DOOR_LISTEN_MAX];
	uint16_t n_listen;
	/* sockets to dial something inside the cell with, DOOR_INSIDE each */
	struct {
		uint8_t family; /* 4 or 6 */
		bool is_udp;
	} inside[DOOR_INSIDE_MAX];
	uint16_t n_inside;
	bool is_open; /* no packet filter: only in tests of the tests */
};

enum door_socket_kind {
	DOOR_TCP,    /* listening, TPROXY: the accepted socket's own address is
		      * the original destination */
	DOOR_UDP,    /* wildcard, of one port: IP_PKTINFO tells the destination,
		      * and is the source of an answer */
	DOOR_LISTEN, /* explicit: listen[port]; none for UDP of a port that
		      * has a DOOR_UDP socket, which gets it already */
	DOOR_NFLOG,  /* netlink: refused packets */
	DOOR_DIAL    /* unconnected, of the cell as a command's is; port: 1 UDP,
		      * 0 TCP */
};

struct door_socket {
	uint8_t kind;	/* enum door_socket_kind */
	uint8_t family; /* 4 or 6; 0 with DOOR_NFLOG */
	uint16_t port;	/* UDP: which; LISTEN: index */
	int fd;
};

struct door_made {
	struct door_socket sockets[DOOR_SOCKETS_MAX];
	size_t n;
	uint16_t gate_port; /* where TPROXY leads */
	uint32_t rules;	    /* of the filter, as read back */
	uint8_t digest[32]; /* SHA-256 of the rules as read back, counters out
			     */
};

/** door_wants_loopback() - is something asked for on the loopback of the
 *  namespace the door is in, which behind a leg is not the command's */
bool door_wants_loopback(const struct door *d);

/* What door_make() may fail at, in its order */
#define DOOR_AT_PORTS	"ports and listeners of the door"
#define DOOR_AT_NETWORK "addresses and routes"
#define DOOR_AT_SOCKETS "sockets of the gate"
#define DOOR_AT_NFLOG	"netlink socket of refused packets"
#define DOOR_AT_FILTER	"packet filter"
#define DOOR_AT_READ	"read-back of the packet filter"

/**
 * door_make() - everything, in order: addresses, routes, sockets, filter (in
 * one transaction), read-back and comparison
 * @ret_what: what failed, one of DOOR_AT_*
 *
 * Needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE over the network
 * namespace; lo is up. Linux 5.7 with nf_tables, nft_tproxy, nft_reject,
 * nfnetlink_log.
 *
 * Return: 0 or -errno: -EPROTO if the kernel shows other rules than were sent.
 * On failure sockets are closed.
 */
int door_make(const struct door *d, struct door_made *ret,
	      const char **ret_what) MUST_USE;

/** door_far_end() - the other end of a leg, in a network stack of its own: its
 *  link (DOOR_FAR_LINK) up, its addresses, and everything by way of the door;
 *  0 or -errno */
int door_far_end(bool has_v6) MUST_USE;
/** door_dial_socket() - one DOOR_DIAL socket; Return: it, or -errno */
int door_dial_socket(uint8_t family, bool is_udp) MUST_USE;
/**
 * door_refused_total() - packets refused so far, those that were not told too
 *
 * Needs CAP_NET_ADMIN over this thread's network namespace.
 *
 * Return: 0 or -errno
 */
int door_refused_total(uint64_t *ret) MUST_USE;

#endif
