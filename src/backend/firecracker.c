/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Firecracker as the wall: what it needs of this host, and the devices that are
 * made for it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backend/host.h"
#include "base/fd.h"
#include "cell/vm.h"
#include "sys/mount.h"

static const char *binary_name(const struct cell_request *req)
{
	const char *name = req->firecracker.binary;

	return name && name[0] ? name : "firecracker";
}

static int need_kvm(struct err *e)
{
	OWNED(fd_drop) int fd = open(VM_KVM, O_RDWR | O_CLOEXEC);

	return fd >= 0 ? 0
		       : err_set(e, ERR_HOST, errno,
				 "firecracker: " VM_KVM ", which it cannot do "
				 "without; " VM_KVM_REMEDY ", or use --backend "
				 "qemu");
}

int firecracker_plan(const struct cell_request *req, struct plan *ret,
		     struct err *e)
{
	const char *jail = req->firecracker.jailer;
	char vmm[PATH_MAX], jailer[PATH_MAX];

	if (host_program("firecracker:", binary_name(req),
			 "install it, or name it in "
			 "CELLOS_FIRECRACKER_BINARY",
			 vmm, e) ||
	    (jail && host_program("firecracker: jailer", jail,
				  "install it, or name it in "
				  "CELLOS_FIRECRACKER_JAILER_BINARY",
				  jailer, e)))
		return -1;
	if (need_kvm(e))
		return -1;
	return vm_plan(req, vmm, jail ? jailer : NULL, ret, e);
}

/* Nodes nobody but the VMM may open */
int firecracker_devices(const struct plan *p)
{
	static const struct {
		const char *path;
		mode_t mode;
		unsigned major, minor;
	} nodes[] = {
		{ "null", 0666, 1, 3 },
		{ "urandom", 0444, 1, 9 },
		{ "kvm", 0600, 10, 232 },
		{ "net/tun", 0600, 10, 200 },
	};
	OWNED(fd_drop) int dir = mount_tmpfs_new("mode=755,size=64k");

	if (dir < 0)
		return dir;
	if (mkdirat(dir, "net", 0755) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		const uid_t owner = nodes[i].mode == 0600 ? p->sentry_uid : 0;

		if (mknodat(dir, nodes[i].path, S_IFCHR,
			    makedev(nodes[i].major, nodes[i].minor)) < 0 ||
		    fchownat(dir, nodes[i].path, owner, owner,
			     AT_SYMLINK_NOFOLLOW) < 0 ||
		    fchmodat(dir, nodes[i].path, nodes[i].mode, 0) < 0)
			return -errno;
	}
	return fd_take(&dir);
}

/* Where there is to be one, as the variables say */
static size_t need_jailer(const struct cell_request *req,
			  struct backend_need needs[BACKEND_NEEDS_MAX],
			  size_t n)
{
	const char *jail = req->firecracker.jailer;

	if (jail)
		return host_need_program(needs, n, jail,
					 "install it, or name it in "
					 "CELLOS_FIRECRACKER_JAILER_BINARY");
	if (!req->firecracker.wants_jailer || n == BACKEND_NEEDS_MAX)
		return n;
	needs[n] = (struct backend_need){
		.name = "jailer",
		.required = true,
		.detail =
			"required by CELLOS_CELL_BACKEND or "
			"CELLOS_FIRECRACKER_REQUIRE_JAILER, and none is named",
		.remedy = "name it in CELLOS_FIRECRACKER_JAILER_BINARY, or set "
			  "CELLOS_FIRECRACKER_ALLOW_NO_JAILER=1"
	};
	return n + 1;
}

size_t firecracker_needs(const struct cell_request *req,
			 struct backend_need needs[BACKEND_NEEDS_MAX])
{
	size_t n = host_needs(req, needs);

	n = host_need_program(needs, n, binary_name(req),
			      "install it, or name it in "
			      "CELLOS_FIRECRACKER_BINARY");
	n = need_jailer(req, needs, n);
	n = vm_need_kvm(needs, n, true);
	n = vm_need_builder(needs, n);
	return vm_need_tun(needs, n);
}
