/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* QEMU as the wall: what it needs of this host. */
#include <limits.h>
#include <string.h>

#include "backend/host.h"

#define VMM "qemu-system-x86_64"

int qemu_plan(const struct cell_request *req, struct plan *ret, struct err *e)
{
	char vmm[PATH_MAX];

#ifndef __x86_64__
	return err_set(e, ERR_HOST, 0,
		       "qemu: this processor has no machine \"microvm\"; use "
		       "--backend host");
#endif
	if (host_program("qemu:", VMM,
			 "install it (apt-get install qemu-system-x86)", vmm,
			 e))
		return -1;
	if (strncmp(vmm, "/usr/", 5) != 0)
		return err_set(e, ERR_HOST, 0,
			       "qemu: %s lies outside of /usr, which is all of "
			       "this host that a VMM is shown",
			       vmm);
	return vm_plan(req, vmm, NULL, ret, e);
}

size_t qemu_needs(const struct cell_request *req,
		  struct backend_need needs[BACKEND_NEEDS_MAX])
{
	size_t n = host_needs(req, needs);

	n = host_need_program(needs, n, VMM, "apt-get install qemu-system-x86");
	n = vm_need_kvm(needs, n, false);
	n = vm_need_builder(needs, n);
	return vm_need_tun(needs, n);
}
