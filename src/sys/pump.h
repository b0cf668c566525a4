/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Bytes from one descriptor to another, both non-blocking, by one buffer: it
 * waits to read while the buffer is empty, and to write while it is not.
 */
#ifndef CELLOS_SYS_PUMP_H
#define CELLOS_SYS_PUMP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct pump {
	int from, to;	 /* owned; -1 when closed */
	uint64_t taken;	 /* bytes read so far */
	uint64_t passed; /* and written */
	size_t at, len;	 /* of @buf */
	char buf[32768];
};

/** pump_start() - takes both, which become non-blocking; 0 or -errno */
int pump_start(struct pump *p, int from, int to) MUST_USE;
/** pump_poll() - what to wait for: one entry, with -1 for nothing */
struct pollfd pump_poll(const struct pump *p);
/** pump_serve() - move what can be moved now. At the end of @from it closes
 *  that; if @to takes no more, that, and what still comes is thrown away. */
void pump_serve(struct pump *p);
/** pump_is_empty() - nothing more will come, and all is passed on */
static inline bool pump_is_empty(const struct pump *p)
{
	return p->from < 0 && p->at == p->len;
}
/** pump_stop() - close what is open */
void pump_stop(struct pump *p);

#endif
