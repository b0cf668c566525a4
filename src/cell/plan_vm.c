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
#include "cell/vm_start.h"
#include "image/image.h"

enum { JAIL_BYTES = 64 << 20 }; /* the jailer copies the VMM */

/* What this wall cannot carry is refused by name. */
static int vm_can(const struct plan_builder *b, struct err *e)
{
	const struct cell_request *r = b->req;

	const char *wall = cell_wall_word(r->wall);

	if (plan_kernel_can(b, wall, "machine", e))
		return -1;
	if (r->memory_max / 1048576 > VM_MEMORY_MAX_MIB)
		return err_set(e, ERR_HOST, 0,
			       "%s: a limit of %" PRIu64 " bytes of memory: "
			       "no machine has as much; the most is %d MiB",
			       wall, r->memory_max, (int)VM_MEMORY_MAX_MIB);
	if (r->image_root)
		return err_set(e, ERR_HOST, 0,
			       "%s: --root %s: a machine boots an image; make "
			       "one of it (cellos image build --root %s)",
			       wall, r->image_root, r->image_root);
	if (r->in == CELL_STDIN_PTY)
		return err_set(e, ERR_HOST, 0,
			       "%s: -t: a machine's command has no terminal; "
			       "leave it out, or use --backend host",
			       wall);
	return 0;
}

/* A guest with an init of its own is told its command, and nothing else. */
static int foreign_can(const struct plan_builder *b, struct err *e)
{
	static const uint8_t key[VM_KEY_LEN];
	const struct spec *s = b->req->spec;
	const char *what = s->authority.n_mounts	 ? "a mount"
			   : s->run->working_directory.p ? "a "
							   "workingDirectory"
			   : b->req->pids_asked		? "a limit of processes"
			   : s->authority.secret_refs.n ? "a secret"
							: NULL;
	OWNED(wbuf_drop) struct wbuf args = WBUF_INIT(VM_ARGS_MAX);

	if (what)
		return err_set(e, ERR_HOST, 0,
			       "firecracker: the document names %s, which "
			       "the init of this guest is not told; use an "
			       "image of `cellos image build`",
			       what);
	if (b->req->firecracker.has_scratch)
		return err_set(e, ERR_HOST, 0,
			       "firecracker: CELLOS_FIRECRACKER_SCRATCH_DIR "
			       "names a disk, which this guest would look for "
			       "and not find; unset it, or use an image of "
			       "`cellos image build`");
	if (vm_foreign_args(b->req, key, &args))
		return err_set(e, ERR_HOST, 0,
			       "firecracker: /spec/run/argv and /spec/id do "
			       "not fit into the kernel's command line of %d "
			       "bytes; shorten them, or use an image of "
			       "`cellos image build`",
			       VM_ARGS_MAX);
	return 0;
}

static const char *in_vmm(struct plan_builder *b, const char *name)
{
	char path[128];

	if (!vm_vmm_path(b->req, name, path, sizeof(path)))
		b->failed = true;
	return plan_keep(b, path);
}

/* What the VMM boots, as it was verified: by descriptor */
static void plan_image(struct plan_builder *b)
{
	static const char *const names[] = { VM_KERNEL, VM_INITRD, VM_ROOT };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (b->req->image->fd[i] < 0)
			continue; /* a foreign guest has no initrd */
		plan_add_bind(b, "image", in_vmm(b, names[i]),
			      PLAN_F_FROM_FD | PLAN_F_RO | PLAN_F_NOEXEC |
				      PLAN_F_FILE,
			      "as verified");
		b->p->steps[b->p->n - 1].n = PLAN_SOURCE_IMAGE + i;
	}
}

static void plan_program(struct plan_builder *b, const char *src,
			 const char *dst, unsigned source, const char *why)
{
	plan_add_bind(b, src, dst, PLAN_F_FROM_FD | PLAN_F_RO | PLAN_F_FILE,
		      why);
	b->p->steps[b->p->n - 1].n = source;
}

static void plan_plain_devices(struct plan_builder *b)
{
	plan_add(b, PLAN_DEVICE, "/dev/null", "/dev/null", NULL);
	plan_add(b, PLAN_DEVICE, "/dev/urandom", "/dev/urandom", NULL);
}

/* For a VMM that opens them itself, by name */
static void plan_own_devices(struct plan_builder *b)
{
	plan_add_bind(b, "devices", "/dev",
		      PLAN_F_FROM_FD | PLAN_F_RO | PLAN_F_NOEXEC | PLAN_F_DEV,
		      "null, urandom, kvm, net/tun: the VMM's own nodes");
	b->p->steps[b->p->n - 1].n = PLAN_SOURCE_DEVICES;
}

/*
 * A jailer makes device nodes, which nobody may in a user namespace: the cell
 * has none, and its root is the host's till the jailer and we have left it.
 */
static void plan_jail(struct plan_builder *b)
{
	struct plan_step *s;

	b->p->sentry_uid = b->req->firecracker.jail_uid;
	plan_plain_devices(b);
	plan_program(b, b->h->jailer, VM_JAILER, PLAN_SOURCE_JAILER,
		     "makes the VMM's own root and drops its own");
	plan_private(b, VM_JAIL, JAIL_BYTES, 0755);
	s = &b->p->steps[b->p->n - 1];
	s->flags |= PLAN_F_DEV;
	s->why = "the VMM's own root is in it";
	plan_add_n(b, PLAN_DIR, in_vmm(b, "/run"), 0700, NULL);
}

static void plan_firecracker(struct plan_builder *b)
{
	if (b->req->firecracker.jailer) {
		plan_jail(b);
	} else {
		plan_own_devices(b);
		plan_private(b, "/run", 1048576, 01777);
	}
	plan_program(b, b->h->vmm, VM_BINARY, PLAN_SOURCE_VMM, "the VMM");
}

static const char *why_copy(struct plan_builder *b, const struct plan_step *s)
{
	const bool is_mount = s->n < b->req->spec->authority.n_mounts;
	char text[128];

	(void)snprintf(text, sizeof(text),
		       "%s: a copy of at most %" PRIu64 " bytes%s",
		       !is_mount	      ? "workingDirectory"
		       : s->flags & PLAN_F_RO ? "declared, read-only"
					      : "declared, writable",
		       b->req->limits->v[LIMIT_TMP_BYTES],
		       s->flags & PLAN_F_PRIVATE ? ", writes stay in it"
		       : s->flags & PLAN_F_RO	 ? ""
						 : ", which comes back at the "
						   "end");
	return plan_keep(b, text);
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
		}
		host.why = "the driver's, which carries it";
		s->why = why_copy(b, s);
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

/* By what, and how large; around it this host's limits */
static void plan_machine(struct plan_builder *b)
{
#define DOCTOR "`cellos doctor --backend qemu`"
	static const char *const notes[] = {
		[CELL_KVM_NONE] = "",
		[CELL_KVM_UNTRIED] = ", unless KVM boots a machine: not tried "
				     "yet, run " DOCTOR,
		[CELL_KVM_FAILED] = ", as no machine has booted by KVM "
				    "here: " DOCTOR " tries again",
		[CELL_KVM_WORKS] = "",
	};
	const struct cell_request *r = b->req;
	struct plan_step *s = &b->p->steps[plan_find(b->p, PLAN_CGROUP)];
	char why[240];

	s->n = vm_outer_bytes(r);
	s->n2 = r->pids_max + VM_THREADS;
	s->why = "around the machine: limits, read back";
	(void)snprintf(why, sizeof(why),
		       "%s%s; booted, waits; the rest is done in the guest",
		       vm_accel(r), notes[r->kvm]);
	s = plan_add(b, PLAN_VMM, b->h->vmm, cell_wall_word(b->p->wall),
		     plan_keep(b, why));
	s->n = r->image->is_foreign ? vm_foreign_memory_mib(r)
				    : vm_memory_mib(r);
	s->n2 = vm_cpus(r);
}

int plan_vm(struct plan_builder *b, struct err *e)
{
	size_t at;

	if (vm_can(b, e) || plan_ids(b, e))
		return -1;
	plan_begin(b);
	plan_add_n(b, PLAN_DIR, "/dev", 0755, NULL);
	if (b->p->wall == CELL_WALL_FIRECRACKER)
		plan_firecracker(b);
	else if (b->req->kvm == CELL_KVM_WORKS)
		plan_own_devices(b);
	else
		plan_plain_devices(b);
	plan_image(b);
	plan_proc(b);
	/* its owner alone: the VMM is another user of the same root */
	plan_add_n(b, PLAN_DIR, VM_MOUNTS, 0700, "the driver's, not the VMM's");
	b->p->steps[b->p->n - 1].n2 = vm_driver_id(b->p);
	at = b->p->n;
	plan_add(b, PLAN_PIVOT, NULL, "/", "the host is gone");
	plan_add(b, PLAN_READONLY, NULL, "/", NULL);
	plan_machine(b);
	if (b->req->image->is_foreign) {
		plan_add(b, PLAN_EXEC, b->req->spec->run->argv.p[0].p, NULL,
			 "by an init that is not ours: nothing of it is "
			 "enforced in the guest");
		return foreign_can(b, e);
	}
	plan_guest(b);
	if (plan_mounts(b, e) || plan_cwd(b, e))
		return -1;
	plan_add(b, PLAN_PIVOT, NULL, "/", NULL);
	plan_add(b, PLAN_READONLY, NULL, "/", NULL);
	plan_lockdown(b);
	carry(b, at);
	return 0;
}
