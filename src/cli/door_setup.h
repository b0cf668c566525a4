/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The door a run asks for: what its gate may let through, which resolvers it
 * asks, what pid 1 makes inside. From the document, the environment and the
 * host, before anything is started.
 */
#ifndef CELLOS_CLI_DOOR_SETUP_H
#define CELLOS_CLI_DOOR_SETUP_H

#include "base/limits.h"
#include "cell/door.h"
#include "gate/message.h"

struct door_setup {
	struct gate_policy policy;
	struct door door;
	enum gate_listen listen[DOOR_LISTEN_MAX];
};

/**
 * door_setup_load() - @ret NULL: the document lets nothing out
 * @face: as policy_compile()
 * @e: names the member or the variable, the rule and the remedy
 *
 * Return: 0 or -1; drop with door_setup_drop()
 */
int door_setup_load(const struct spec *s, enum policy_face face,
		    const struct limits *l, struct door_setup **ret,
		    struct err *e) MUST_USE;
void door_setup_drop(struct door_setup **d);

/** door_setup_realtime() - is each connection to be told, and counted */
bool door_setup_realtime(void);
/** door_setup_nameservers() - `nameserver` lines of a resolv.conf(5); pure
 *  Return: how many, GATE_RESOLVERS_MAX at most */
uint32_t door_setup_nameservers(const char *text, struct gate_resolver *ret);
/** door_setup_endpoint() - "ip:port", "[v6]:port"; false for anything else */
bool door_setup_endpoint(const char *text, struct ip_addr *ret,
			 uint16_t *ret_port);

#endif
