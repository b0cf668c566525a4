/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is left of a cell: every question is asked of the kernel again. */
#ifndef CELLOS_CELL_RESIDUE_H
#define CELLOS_CELL_RESIDUE_H

#include <stdint.h>
#include <sys/types.h>

#include "evidence/report.h"
#include "sys/cgroup.h"

struct residue_facts {
	pid_t init;		/* reaped by now; 0 if there never was one */
	uint64_t ns_inode[7];	/* of the cell; 0 = not known */
	const struct cgroup_leaf *leaf; /* after removal: paths still set stay */
	const char *run_uuid;
};

/** residue_look() - pids, cgroup, mounts, namespaces; fills @r */
void residue_look(const struct residue_facts *f, struct report_residue *r);

#endif
