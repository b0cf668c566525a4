/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The signals that stop a run: SIGTERM, SIGINT, SIGHUP. */
#ifndef CELLOS_BASE_STOP_H
#define CELLOS_BASE_STOP_H

#include <signal.h>

/** stop_signals() - the set of them, and nothing else */
void stop_signals(sigset_t *ret);
/** stop_pending() - one that is blocked and has come, left pending; 0: none */
int stop_pending(void);

#endif
