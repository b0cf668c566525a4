/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Telling what dead runners left: one signed run of its own a dead run, in
 * <state>/gc.jsonl, with the key of the state directory.
 */
#ifndef CELLOS_CLI_GC_REPORT_H
#define CELLOS_CLI_GC_REPORT_H

#include "base/err.h"
#include "base/limits.h"
#include "cell/state.h"
#include "evidence/signer.h"

struct gc_report {
	char journal[300];
	struct signer *signer; /* owned */
	struct limits limits;
};

/** gc_report_init() - start the signer, name the file */
int gc_report_init(struct gc_report *g, const struct state_dirs *d,
		   struct err *e) MUST_USE;
/** gc_report_write() - one dead run, on disk when it returns 0 */
int gc_report_write(struct gc_report *g, const struct state_info *info,
		    const struct report_residue *r, struct err *e) MUST_USE;
void gc_report_drop(struct gc_report *g);

/**
 * gc_at_start() - what dead runners left is cleared and reported by the next
 * start. Costs one readdir where there is nothing. A failure is logged: it
 * does not keep the new run from starting, and gc finds the same again.
 *
 * Forks a signer for it: call it when the run's own key is wiped already.
 */
void gc_at_start(const struct state_dirs *d);

#endif
