/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The walls of a machine of one's own: what of a VMM can be read back. The VMM
 * itself is driven inside of the cell, cell/vm.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend/host.h"
#include "base/fd.h"
#include "cell/vm.h"
#include "cell/vm_start.h"
#include "image/image.h"

int vm_plan(const struct cell_request *req, const char *vmm, const char *jailer,
	    struct plan *ret, struct err *e)
{
	NO_INIT struct host_caps h;

	qemu_clock_begin();
	if (host_caps_probe(req, &h, e))
		return -1;
	/* without root there is more in the way than an image */
	if (h.is_root && req->image && req->image->err.text[0]) {
		*e = req->image->err;
		return -1;
	}
	/* a layer over workingDirectory is a copy in the guest */
	h.overlay = true;
	h.vmm = vmm;
	h.jailer = jailer;
	return plan_build(req, &h, ret, e);
}

static void report_limit(struct backend_cell *c, struct report_enforcement *r,
			 const char *name, uint64_t asked, uint64_t shown,
			 uint64_t told)
{
	char ask[32], got[32], detail[128];

	if (!asked && !told)
		return;
	(void)snprintf(ask, sizeof(ask), "%" PRIu64, asked);
	(void)snprintf(got, sizeof(got), "%" PRIu64, told);
	report_item_add(r, name, asked ? ask : "",
			told == UINT64_MAX ? "max" : got, told == shown);
	if (told == shown)
		return;
	(void)snprintf(detail, sizeof(detail),
		       "%s reads \"%s\", not \"%" PRIu64 "\"", name,
		       told == UINT64_MAX ? "max" : got, shown);
	host_fault_set(c, PLAN_CGROUP, EPROTO, detail);
}

/* What its pid 1 has read there: its word, and it has to be what it was told.
 * Around it stands the leaf of the cell, which is read here. */
static void report_guest(struct backend_cell *c, struct report_enforcement *r)
{
	const struct cell_guest_limits *told = &c->ready.limits;

	report_limit(c, r, "guest.memory.max", c->req->memory_max,
		     vm_memory_shown(c->req->memory_max), told->memory_max);
	report_limit(c, r, "guest.pids.max", c->req->pids_max, c->req->pids_max,
		     told->pids_max);
}

/* Of one with an init of its own nobody knows what it does. */
static void report_foreign(const struct backend_cell *c,
			   struct report_enforcement *r)
{
	if (c->req->door)
		report_item_add(r, "guest.network", "",
				"an interface: no address is told to its init",
				false);
	report_item_add(r, "guest.exit-key", "",
			"told where every process of the guest can read it",
			false);
	report_item_add(r, "guest.command", "",
			"capabilities, filters, limits: as its init has it",
			false);
}

/* Hashed through the descriptor that the machine boots from */
static void report_artifact(const struct image *im, enum manifest_role role,
			    struct report_enforcement *r)
{
	const char *digest = im->manifest.digest[role];
	char text[8 + MANIFEST_HEX], name[32];

	if (im->fd[role] < 0)
		return;
	(void)snprintf(name, sizeof(name), "image.%s",
		       manifest_role_word(role));
	(void)snprintf(text, sizeof(text), "sha256:%s", digest);
	report_item_add(r, name, "", digest[0] ? text : "not verified",
			digest[0] != '\0');
}

void vm_report(struct backend_cell *c, struct report_enforcement *r)
{
	report_item_add(r, "vmm", "",
			c->plan->steps[plan_find(c->plan, PLAN_VMM)].src, true);
	for (int i = 0; i < IMAGE_FILES && c->req->image; i++)
		report_artifact(c->req->image, (enum manifest_role)i, r);
	if (c->req->image && c->req->image->is_foreign)
		report_foreign(c, r);
	else
		report_guest(c, r);
	report_item_add(r, "accel", "", vm_accel(c->req), true);
	/* a jailed one has no filter but its own, from the guest's start on */
	if (c->req->firecracker.jailer && c->req->image &&
	    c->req->image->is_foreign)
		report_item_add(r, "vmm.seccomp", "", "its own, once it starts",
				false);
	else
		host_report_user(c, r, "vmm", c->plan->sentry_uid);
	host_report_driver(c, r);
}

size_t vm_need_device(struct backend_need needs[BACKEND_NEEDS_MAX], size_t n,
		      const char *name, const char *path, const char *what,
		      const char *remedy)
{
	struct backend_need *d;
	char os[128];
	int fd;

	if (n == BACKEND_NEEDS_MAX)
		return n;
	d = &needs[n++];
	*d = (struct backend_need){ 0 };
	(void)snprintf(d->name, sizeof(d->name), "%.31s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	d->present = fd >= 0;
	err_os_text(errno, os, sizeof(os));
	(void)snprintf(d->detail, sizeof(d->detail), "%s: %s%s%.100s", what,
		       path, fd < 0 ? ": " : "", fd < 0 ? os : "");
	if (fd < 0)
		(void)snprintf(d->remedy, sizeof(d->remedy), "%s", remedy);
	fd_drop(&fd);
	return n;
}

size_t vm_need_kvm(struct backend_need needs[BACKEND_NEEDS_MAX], size_t n,
		   bool required)
{
	n = vm_need_device(needs, n, "kvm", VM_KVM,
			   required ? "machines"
				    : "machines at the speed of this host, if "
				      "it boots one",
			   VM_KVM_REMEDY);
	needs[n - 1].required = required;
	return n;
}

size_t vm_need_tun(struct backend_need needs[BACKEND_NEEDS_MAX], size_t n)
{
	return vm_need_device(needs, n, "tun", "/dev/net/tun",
			      "the network of a machine that may reach "
			      "something",
			      "load the module tun, or pass the device in");
}

size_t vm_need_builder(struct backend_need needs[BACKEND_NEEDS_MAX], size_t n)
{
	n = host_need_program(needs, n, "mkfs.erofs",
			      "apt-get install erofs-utils, for `cellos image "
			      "build`");
	needs[n - 1].required = false;
	return n;
}
