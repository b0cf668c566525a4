/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The walls of this build. */
#include "backend/backend.h"

#include <string.h>

#include "backend/host.h"

static int host_plan(const struct cell_request *req, struct plan *ret,
		     struct err *e)
{
	NO_INIT struct host_caps h;

	if (host_caps_probe(req, &h, e))
		return -1;
	return plan_build(req, &h, ret, e);
}

/* The same namespaces, made and ended in the same way; what runs in them is the
 * command, or a kernel of its own. */
#define WALL(wall_)                                                      \
	.wall = (wall_), .create = host_create, .prepare = host_prepare, \
	.start = host_start, .wait = host_wait, .destroy = host_destroy

static const struct backend walls[CELL_WALL_NUM] = {
	[CELL_WALL_HOST] = { WALL(CELL_WALL_HOST), .needs = host_needs,
			     .plan = host_plan },
	[CELL_WALL_GVISOR] = { WALL(CELL_WALL_GVISOR), .needs = gvisor_needs,
			       .plan = gvisor_plan },
	[CELL_WALL_QEMU] = { WALL(CELL_WALL_QEMU), .needs = qemu_needs,
			     .plan = qemu_plan },
	[CELL_WALL_FIRECRACKER] = { WALL(CELL_WALL_FIRECRACKER),
				    .needs = firecracker_needs,
				    .plan = firecracker_plan },
};

const struct backend *backend_of(enum cell_wall w)
{
	return &walls[w];
}

const struct backend *backend_by_name(const char *name)
{
	for (size_t i = 0; i < CELL_WALL_NUM; i++)
		if (!strcmp(name, cell_wall_word((enum cell_wall)i)))
			return &walls[i];
	return NULL;
}
