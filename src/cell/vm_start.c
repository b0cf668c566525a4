/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What every VMM is started with. */
#include "cell/vm_start.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "cell/door.h"

enum { CPUS_MAX = 32 };
enum { MOMENT_TRIES = 32, MOMENT_TICKS = 2000 };

uint64_t vm_memory_mib(const struct cell_request *req)
{
	uint64_t m = req->memory_max ? req->memory_max / 1048576 +
					       (req->memory_max % 1048576 != 0)
				     : VM_MEMORY_MIB;

	return m + VM_OVERHEAD_MIB;
}

uint64_t vm_outer_bytes(const struct cell_request *req)
{
	return (vm_memory_mib(req) + VM_SPACE_MIB) * 1048576;
}

const char *vm_accel(const struct cell_request *req)
{
	return req->wall == CELL_WALL_FIRECRACKER || req->kvm == CELL_KVM_WORKS
		       ? "kvm"
		       : "tcg: software emulation";
}

struct vm_moment vm_moment(uint64_t (*ticks)(void), uint64_t (*ns)(void))
{
	struct vm_moment best = { 0 };
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < MOMENT_TRIES && least > MOMENT_TICKS; i++) {
		const uint64_t before = ticks(), now = ns();
		const uint64_t width = ticks() - before;

		if (width >= least)
			continue;
		least = width;
		best = (struct vm_moment){ before + width / 2, now };
	}
	return best;
}

uint64_t vm_cpus(const struct cell_request *req)
{
	uint64_t n = 1;

	if (req->cpu_quota && req->cpu_quota != UINT64_MAX && req->cpu_period)
		n = req->cpu_quota / req->cpu_period +
		    (req->cpu_quota % req->cpu_period != 0);
	return n > CPUS_MAX ? CPUS_MAX : n;
}

bool vm_vmm_path(const struct cell_request *req, const char *name, char *buf,
		 size_t size)
{
	int n = req->firecracker.jailer
			? snprintf(buf, size, VM_JAIL "/firecracker/%s/root%s",
				   req->run_uuid, name)
			: snprintf(buf, size, "%s", name);

	return n >= 0 && (size_t)n < size;
}

uid_t vm_driver_id(const struct plan *p)
{
	return plan_own_ids(p) ? p->in_uid : p->out_uid;
}

/* A VMM that opens it by name needs it to be there, and to be its own. */
static int give_tap(int *tun, uid_t owner)
{
	int r = fd_ioctl(*tun, TUNSETOWNER, (void *)(uintptr_t)owner);

	if (r >= 0)
		r = fd_ioctl(*tun, TUNSETPERSIST, (void *)(uintptr_t)1);
	fd_drop(tun);
	return r < 0 ? r : 0;
}

int vm_tap(struct stage *s)
{
	struct ifreq f = { .ifr_name = DOOR_LEG };
	int r;

	f.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	r = fd_ioctl(s->leg_net, TUNSETIFF, &f);
	if (r < 0 || s->plan->wall != CELL_WALL_FIRECRACKER)
		return r;
	return give_tap(&s->leg_net, plan_own_ids(s->plan)
					     ? STAGE_SENTRY_ID
					     : s->plan->sentry_uid);
}
