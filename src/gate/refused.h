/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packets that the filter in the cell refused, told by nflog. */
#ifndef CELLOS_GATE_REFUSED_H
#define CELLOS_GATE_REFUSED_H

#include "gate/gate.h"

/** refused_new() - serve the netlink socket; takes it; 0 or -errno */
int refused_new(struct gate *g, int fd) MUST_USE;
/** refused_drain() - read all that waits now */
void refused_drain(struct gate *g);

#endif
