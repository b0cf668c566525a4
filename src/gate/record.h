/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The recorder as gate_main.c holds it; the parts use record_query() and
 * record_flow() of gate/gate.h. */
#ifndef CELLOS_GATE_RECORD_H
#define CELLOS_GATE_RECORD_H

#include "gate/gate.h"

/**
 * recorder_new() - over the channel @sock, which it watches in @g->loop
 * @readable: called for everything but writability, see recorder_writable()
 */
struct recorder *recorder_new(struct gate *g, int sock,
			      void (*readable)(struct loop_source *s,
					       uint32_t events));
/** recorder_open() - the command is let go: from here on it is told; before it
 *  only the supervisor's own self test spoke */
void recorder_open(struct gate *g);
/** recorder_writable() - the channel takes more */
void recorder_writable(struct gate *g);
/** recorder_lost() - errno of the channel's end, 0 while it lives */
int recorder_lost(const struct gate *g);
/** record_tell() - READY, FAULT: not counted, not held back */
void record_tell(struct gate *g, const struct gate_record *r);
/** recorder_end() - aggregates, then STATS, all of it sent */
void recorder_end(struct gate *g);

#endif
