/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sockets of the cell's own network namespace, for an upstream that is named
 * to stand inside (CELLOS_*_UPSTREAM_OVERRIDE). The gate cannot make them: pid
 * 1 of the cell does, some beforehand and more when few are left. They are
 * unconnected, and bound by the cell's packet filter as a command's are.
 */
#ifndef CELLOS_GATE_INSIDE_H
#define CELLOS_GATE_INSIDE_H

#include "gate/gate.h"

/** inside_put() - one came; takes it. -1: pid 1 could not make it */
void inside_put(struct gate *g, uint8_t family, bool is_udp, int fd);
/** inside_ready() - is there one? Asks for more where there are few */
bool inside_ready(struct gate *g, uint8_t family, bool is_udp);
/** inside_take() - one to use, the caller's; -EAGAIN if there is none yet */
int inside_take(struct gate *g, uint8_t family, bool is_udp) MUST_USE;

#endif
