/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is left of a cell: every question is asked of the kernel again. */
#ifndef CELLOS_CELL_RESIDUE_H
#define CELLOS_CELL_RESIDUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "evidence/report.h"
#include "sys/cgroup.h"

struct residue_facts {
	pid_t init;   /* reaped by now; 0 if there never was one */
	int ns_fd[2]; /* its pid and network namespaces, held open so
		       * that their numbers are not given out again;
		       * -1 = not known */
	const struct cgroup_leaf *leaf; /* paths still set stay */
	bool had_leaf; /* its removal has shown that it was empty */
	const char *run_uuid;
};

/**
 * residue_look_mounts() - mounts that name the run, where the host sees them
 *
 * The cell's own are in a namespace that ends with it, so this need not wait
 * for its end.
 */
void residue_look_mounts(const struct residue_facts *f,
			 struct report_residue *r);
/** residue_look() - pids, cgroup, namespaces, when all has ended; fills @r */
void residue_look(const struct residue_facts *f, struct report_residue *r);

#endif
