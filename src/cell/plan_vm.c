/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The steps of a cell with a machine in it. Pure. Up to VMM they are those of a
 * cell whose command is the VMM; what follows is done by our init in the guest,
 * with the functions that do it in a cell of the host's.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cell/door.h"
#include "cell/plan_int.h"
#include "cell/tree.h"
#include "cell/vm.h"

/* What this wall cannot carry is refused by name. */
static int vm_can(const struct plan_builder *b, struct err *e)
{
	const struct cell_request *r = b->req;

	if (plan_kernel_can(b, "qemu", "machine", e))
		return -1;
	if (r->memory_max / 1048576 > VM_MEMORY_MAX_MIB)
		return err_set(e, ERR_HOST, 0,
			       "qemu: a limit of %" PRIu64 " bytes of memory: "
			       "no machine has as much; the most is %d MiB",
			       r->memory_max, (int)VM_MEMORY_MAX_MIB);
	if (r->image_root)
		return err_set(
			e, ERR_HOST, 0,
			"qemu: --root %s: a machine boots an image; make "
			"one of it (cellos image build --root %s)",
			r->image_root, r->image_root);
	if (r->in == CELL_STDIN_PTY)
		return err_set(e, ERR_HOST, 0,
			       "qemu: -t: a machine's command has no terminal; "
			       "leave it out, or use --backend host");
	return 0;
}

/* What the VMM boots, as it was verified: by descriptor */
static void plan_image(struct plan_builder *b)
{
	static const char *const at[] = { VM_KERNEL, VM_INITRD, VM_ROOT };

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		plan_add_bind(b, "image", at[i],
			      PLAN_F_FROM_FD | PLAN_F_RO | PLAN_F_NOEXEC |
				      PLAN_F_FILE,
			      "as verified");
		b->p->steps[b->p->n - 1].n = PLAN_SOURCE_IMAGE + i;
	}
}

/* What the document shows of the host is beside the driver, which carries it,
 * and in the guest a copy. @at: where the host's part of the plan has room. */
static void carry(struct plan_builder *b, size_t at)
{
	for (size_t i = plan_find(b->p, PLAN_VMM); i < b->p->n; i++) {
		struct plan_step *s = &b->p->steps[i], host = *s;
		char path[32];

		if (!plan_is_declared(s))
			continue;
		(void)snprintf(path, sizeof(path), VM_MOUNTS "/%" PRIu64, s->n);
		host.dst = plan_keep(b, path);
		if (s->op == PLAN_OVERLAY) {
			/* its layer is the copy */
			host.op = s->op = PLAN_BIND;
			host.flags |= PLAN_F_RO;
			s->flags |= PLAN_F_PRIVATE;
			s->why = "workingDirectory: a copy, writes stay in it";
		}
		(void)snprintf(path, sizeof(path), VM_FILES "/%" PRIu64 "%s",
			       s->n,
			       s->flags & PLAN_F_FILE ? "/" TREE_FILE : "");
		s->src = plan_keep(b, path);
		s->flags &= ~(unsigned)(PLAN_F_FROM_FD | PLAN_F_IDMAP);
		if (!(s->flags & PLAN_F_FILE)) {
			const struct plan_step dir = { .op = PLAN_DIR,
						       .dst = host.dst,
						       .n = 0700 };

			if (plan_insert(b, at++, &dir))
				return;
			i++;
		}
		if (plan_insert(b, at++, &host))
			return;
		i++;
	}
}

static void plan_guest(struct plan_builder *b)
{
	const struct limits *l = b->req->limits;

	plan_add_n(b, PLAN_ROOT, "/", 1048576, "of the guest: empty");
	plan_add(b, PLAN_IMAGE, NULL, VM_GUEST_IMAGE, "the image, read-only");
	plan_private(b, "/tmp", l->v[LIMIT_TMP_BYTES], 01777);
	plan_private(b, "/run", 16 * 1048576, 01777);
	plan_dev(b);
	plan_proc(b);
}

int plan_vm(struct plan_builder *b, struct err *e)
{
	size_t at;

	b->p->is_sandbox = true;
	b->p->is_vm = true;
	if (vm_can(b, e) || plan_ids(b, e))
		return -1;
	plan_begin(b);
	plan_image(b);
	plan_add_n(b, PLAN_DIR, "/dev", 0755, NULL);
	plan_add(b, PLAN_DEVICE, "/dev/null", "/dev/null", NULL);
	plan_add(b, PLAN_DEVICE, "/dev/urandom", "/dev/urandom", NULL);
	plan_proc(b);
	plan_add_n(b, PLAN_DIR, VM_MOUNTS, 0755, NULL);
	at = b->p->n;
	plan_add(b, PLAN_PIVOT, NULL, "/", "the host is gone");
	plan_add(b, PLAN_READONLY, NULL, "/", NULL);
	plan_add(b, PLAN_VMM, b->h->vmm, "qemu",
		 "booted, waits; the rest is done in the guest");
	plan_guest(b);
	if (plan_mounts(b, e) || plan_cwd(b, e))
		return -1;
	plan_add(b, PLAN_PIVOT, NULL, "/", NULL);
	plan_add(b, PLAN_READONLY, NULL, "/", NULL);
	plan_lockdown(b);
	carry(b, at);
	return 0;
}
