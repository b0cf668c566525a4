/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the drivers of sandboxes have in common: processes of the cell that run
 * no command themselves, and end as it did. */
#ifndef CELLOS_CELL_DRIVER_H
#define CELLOS_CELL_DRIVER_H

#include "cell/stage.h"

/** driver_begin() - a session of its own; whatever it starts is its own to
 *  reap; nobody looks in; no core
 *  Return: a descriptor that tells SIGCHLD and SIGTERM, or -errno */
int driver_begin(const struct stage *s) MUST_USE;
/** driver_drop_stdio() - somebody else has the command's descriptors: with ours
 *  open its output would have no end; 0 or -errno */
int driver_drop_stdio(const struct stage *s) MUST_USE;
/** driver_tell() - a word to pid 1; the last one says how we ended */
void driver_tell(const struct stage *s, enum cell_told told);
/** driver_tell_line() - the same, with the last line of a guest's console */
void driver_tell_line(const struct stage *s, enum cell_told told,
		      const char *line);
/** driver_end() - say so, and end as the command did, with its wait status; if
 *  nothing ends with that one, by itself and without a word */
void driver_end(const struct stage *s, enum cell_told told,
		int status) NORETURN;

#endif
