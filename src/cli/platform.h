/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How runsc gets hold of a sandbox's programs: what came of the trial in the
 * first cell (cell/sandbox.c), for this boot of this host and this runsc. */
#ifndef CELLOS_CLI_PLATFORM_H
#define CELLOS_CLI_PLATFORM_H

#include "cell/cell.h"
#include "cell/state.h"
#include "evidence/report.h"

/** platform_kept() - what is known; nothing is tried */
enum cell_platform platform_kept(const struct state_dirs *d,
				 const struct cell_request *req);
/** platform_keep() - what @r says ran, if it was not known */
void platform_keep(const struct state_dirs *d, const struct cell_request *req,
		   const struct report_enforcement *r);
/** platform_forget() - so that it is tried again */
void platform_forget(const struct state_dirs *d);

#endif
