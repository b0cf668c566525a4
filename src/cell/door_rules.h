/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The packet filter of a door, as a pure function of what is asked. */
#ifndef CELLOS_CELL_DOOR_RULES_H
#define CELLOS_CELL_DOOR_RULES_H

#include "cell/door.h"
#include "sys/nft.h"

#define DOOR_TABLE   "cellos"
#define DOOR_REFUSE  "refuse"  /* the chain whose packets are refused */
#define DOOR_DISCARD "discard" /* with a leg: whose packets are dropped */

enum {
	DOOR_RULES_BYTES = 65536, /* enough for every door */
	DOOR_DNS_PORT = 53,
};

/* Ports as the filter has them: what is never allowed is out, DNS is in. */
struct door_ports {
	uint16_t v[DOOR_PORTS_MAX + 1];
	size_t n;
};

/** door_ports() - @udp: those of UDP, else of TCP; ascending */
void door_ports(const struct door *d, bool udp, struct door_ports *ret);
/**
 * door_rules() - the transaction, to be committed
 * @t:	       with a buffer of DOOR_RULES_BYTES, otherwise zero
 * @gate_port: of the listening sockets on 127.0.0.1 and ::1
 */
void door_rules(struct nft_batch *t, const struct door *d, uint16_t gate_port);

#endif
