/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The wall of a machine of one's own: what it needs of this host, and what of a
 * VMM can be read back. The VMM itself is driven inside of the cell, cell/vm.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "backend/host.h"
#include "base/fd.h"
#include "base/path.h"
#include "image/image.h"

#define VMM "qemu-system-x86_64"

int qemu_plan(const struct cell_request *req, struct plan *ret, struct err *e)
{
	NO_INIT struct host_caps h;
	char found[PATH_MAX], vmm[PATH_MAX];
	int r = path_search(VMM, found);

#ifndef __x86_64__
	return err_set(e, ERR_HOST, 0,
		       "qemu: this processor has no machine \"microvm\"; use "
		       "--backend host");
#endif
	if (!r)
		r = path_real(found, vmm);
	if (r)
		return err_set(e, ERR_HOST, -r,
			       "qemu: " VMM "; install it (apt-get install "
			       "qemu-system-x86)");
	if (strncmp(vmm, "/usr/", 5) != 0)
		return err_set(e, ERR_HOST, 0,
			       "qemu: %s lies outside of /usr, which is all of "
			       "this host that a VMM is shown",
			       vmm);
	if (host_caps_probe(req, &h, e))
		return -1;
	/* without root there is more in the way than an image */
	if (h.is_root && req->image && req->image->err.text[0]) {
		*e = req->image->err;
		return -1;
	}
	h.vmm = vmm;
	return plan_build(req, &h, ret, e);
}

void qemu_report(struct backend_cell *c, struct report_enforcement *r)
{
	char text[8 + MANIFEST_HEX], name[32];

	report_item_add(r, "vmm", "",
			c->plan->steps[plan_find(c->plan, PLAN_VMM)].src, true);
	/* hashed through the descriptors that the machine boots from */
	for (int i = 0; i < IMAGE_FILES && c->req->image; i++) {
		(void)snprintf(name, sizeof(name), "image.%s",
			       manifest_role_word((enum manifest_role)i));
		(void)snprintf(text, sizeof(text), "sha256:%s",
			       c->req->image->manifest.digest[i]);
		report_item_add(r, name, "", text, true);
	}
	/* what the guest was told to keep, and says it does */
	if (c->req->memory_max) {
		(void)snprintf(text, sizeof(text), "%" PRIu64,
			       c->req->memory_max);
		report_item_add(r, "guest.memory.max", text, text, true);
	}
	if (c->req->pids_max) {
		(void)snprintf(text, sizeof(text), "%" PRIu64,
			       c->req->pids_max);
		report_item_add(r, "guest.pids.max", text, text, true);
	}
	report_item_add(r, "accel", "", "tcg: software emulation", true);
	host_report_user(c, r, "vmm", c->plan->sentry_uid);
	host_report_driver(c, r);
}

/* Not for every machine, so nothing is missing without it */
static size_t need_device(struct backend_need needs[BACKEND_NEEDS_MAX],
			  size_t n, const char *name, const char *path,
			  const char *what, const char *remedy)
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

size_t qemu_needs(struct backend_need needs[BACKEND_NEEDS_MAX])
{
	size_t n = host_needs(needs);

	n = host_need_program(needs, n, VMM, "apt-get install qemu-system-x86");
	n = host_need_program(needs, n, "mkfs.erofs",
			      "apt-get install erofs-utils, for `cellos image "
			      "build`");
	needs[n - 1].required = false;
	return need_device(needs, n, "tun", "/dev/net/tun",
			   "the network of a machine that may reach something",
			   "load the module tun, or pass the device in");
}
