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

const struct backend backend_host = {
	.name = "host",
	.needs = host_needs,
	.plan = host_plan,
	.create = host_create,
	.prepare = host_prepare,
	.start = host_start,
	.wait = host_wait,
	.destroy = host_destroy,
};

const struct backend *backend_by_name(const char *name)
{
	return strcmp(name, backend_host.name) ? NULL : &backend_host;
}
