/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A plan under construction, for the files that build one. */
#ifndef CELLOS_CELL_PLAN_INT_H
#define CELLOS_CELL_PLAN_INT_H

#include "cell/plan.h"

struct plan_builder {
	struct plan *p;
	const struct cell_request *req;
	const struct host_caps *h;
	bool failed;		/* too many steps or no memory */
	struct plan_step spill; /* where a step too many goes */
};

/** plan_add() - a step; never NULL: one too many goes to @b->spill */
struct plan_step *plan_add(struct plan_builder *b, enum plan_op op,
			   const char *src, const char *dst, const char *why);
/** plan_insert() - @s before the step @at; false: there is room */
bool plan_insert(struct plan_builder *b, size_t at, const struct plan_step *s);
/** plan_keep() - a copy that lives as long as the plan */
const char *plan_keep(struct plan_builder *b, const char *s);
void plan_add_n(struct plan_builder *b, enum plan_op op, const char *dst,
		uint64_t n, const char *why);
void plan_add_bind(struct plan_builder *b, const char *src, const char *dst,
		   unsigned flags, const char *why);
/** plan_beneath() - is @path @dir or below it? Both absolute and normalised */
bool plan_beneath(const char *path, const char *dir);

/* Parts of more than one plan; -1 with @e */

/** plan_ids() - whose the processes are on the host */
int plan_ids(struct plan_builder *b, struct err *e) MUST_USE;
/** plan_begin() - a whole cell, up to a root with the programs it shows */
void plan_begin(struct plan_builder *b);
/** plan_mounts() - what the document declares */
int plan_mounts(struct plan_builder *b, struct err *e) MUST_USE;
/** plan_cwd() - workingDirectory, after them */
int plan_cwd(struct plan_builder *b, struct err *e) MUST_USE;

/** plan_top() - the entries of an image or of the host's root */
void plan_top(struct plan_builder *b);
/** plan_private() - a tmpfs of the cell's own */
void plan_private(struct plan_builder *b, const char *path, uint64_t size,
		  uint64_t mode);
/** plan_dev(), plan_proc() - /dev and /proc of a cell */
void plan_dev(struct plan_builder *b);
void plan_proc(struct plan_builder *b);
/** plan_lockdown() - what the command's process does, to exec */
void plan_lockdown(struct plan_builder *b);

/** plan_kernel_can() - what no wall with a kernel of its own can carry
 *  @wall: its name; @what: the thing that has the kernel; for messages */
int plan_kernel_can(const struct plan_builder *b, const char *wall,
		    const char *what, struct err *e) MUST_USE;
/** plan_gvisor() - the plan of a cell with a sandbox in it */
int plan_gvisor(struct plan_builder *b, struct err *e) MUST_USE;
/** plan_vm() - the plan of a cell with a machine in it */
int plan_vm(struct plan_builder *b, struct err *e) MUST_USE;

#endif
