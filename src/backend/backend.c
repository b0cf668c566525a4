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

/* The same namespaces, made and ended in the same way; what runs in them is a
 * kernel of the command's own. */
const struct backend backend_gvisor = {
	.name = "gvisor",
	.needs = gvisor_needs,
	.plan = gvisor_plan,
	.create = host_create,
	.prepare = host_prepare,
	.start = host_start,
	.wait = host_wait,
	.destroy = host_destroy,
};

const struct backend backend_qemu = {
	.name = "qemu",
	.needs = qemu_needs,
	.plan = qemu_plan,
	.create = host_create,
	.prepare = host_prepare,
	.start = host_start,
	.wait = host_wait,
	.destroy = host_destroy,
};

const struct backend *backend_by_name(const char *name)
{
	static const struct backend *const all[] = { &backend_host,
						     &backend_gvisor,
						     &backend_qemu };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (!strcmp(name, all[i]->name))
			return all[i];
	return NULL;
}
