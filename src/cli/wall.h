/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which wall a run gets: --backend, else CELLOS_CELL_BACKEND. */
#ifndef CELLOS_CLI_WALL_H
#define CELLOS_CLI_WALL_H

#include "backend/backend.h"
#include "cell/state.h"

/** wall_find() - by name only, as wall_choose(); what it needs is not looked at
 */
const struct backend *wall_find(const char *asked, bool portable,
				struct err *e) MUST_USE;
/**
 * wall_choose() - the wall of a run
 * @asked:    the word of --backend, or NULL
 * @portable: whether the profile is; cleared by a wall that is always whole,
 *            for all that is decided after
 *
 * The variable unset, "" and "stub" mean the host. A word nobody knows is an
 * error; in portable it means the host, and a warning (config_load()).
 *
 * Return: NULL with @e for a wall that this build does not have
 */
const struct backend *wall_choose(const char *asked, bool *portable,
				  struct err *e) MUST_USE;
/** wall_warning() - what is said of a wall each time it is used so; NULL */
const char *wall_warning(const struct cell_request *req);
/** wall_programs() - only the programs it names, for b->needs() */
void wall_programs(const struct backend *b, const char *asked,
		   struct cell_request *req);
/** wall_request() - what the wall has to find in its request; an image that
 *  cannot be booted says so itself, in the plan of the run */
void wall_request(const struct backend *b, const struct state_dirs *d,
		  struct cell_request *req);

#endif
