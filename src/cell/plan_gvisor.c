/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The steps of a cell with a sandbox of gVisor's in it. Pure. */
#include "cell/door.h"
#include "cell/guest.h"
#include "cell/oci.h"
#include "cell/plan_int.h"

/* What this wall cannot carry is refused by name. */
static int gvisor_can(const struct plan_builder *b, struct err *e)
{
	if (plan_kernel_can(b, "gvisor", "sandbox", e))
		return -1;
	if (b->req->pids_asked)
		return err_set(e, ERR_HOST, 0,
			       "gvisor: a limit of processes cannot be applied "
			       "inside the sandbox; leave it out (the default "
			       "limit is applied around it), or use --backend "
			       "host");
	return 0;
}

/* The runtime looks a place below another mount up by name, in a tree that
 * others may change meanwhile. */
static int refuse_nested(const struct plan_builder *b, struct err *e)
{
	for (size_t i = 0; i < b->p->n; i++) {
		const struct plan_step *s = &b->p->steps[i];

		for (size_t k = 0; plan_is_declared(s) && k < b->p->n; k++) {
			const struct plan_step *t = &b->p->steps[k];

			if (i != k && plan_is_declared(t) &&
			    plan_beneath(s->dst, t->dst))
				return err_set(
					e, ERR_HOST, 0,
					"gvisor: %s lies below %s; behind this "
					"wall no mount stands in another: name "
					"the upper one only, or use --backend "
					"host",
					s->dst, t->dst);
		}
	}
	return 0;
}

static void plan_mount_points(struct plan_builder *b)
{
	static const struct {
		const char *path;
		uint64_t mode;
	} dirs[] = { { "/proc", 0755 },
		     { "/sys", 0755 },
		     { "/dev", 0755 },
		     { GUEST_TOP, 0700 },
		     { GUEST_CHANNEL, 0700 } };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		plan_add_n(b, PLAN_DIR, dirs[i].path, dirs[i].mode, NULL);
	plan_add_bind(b, b->h->guest, GUEST_INIT,
		      PLAN_F_FROM_FD | PLAN_F_RO | PLAN_F_FILE,
		      "pid 1 of the sandbox");
	b->p->steps[b->p->n - 1].n = PLAN_SOURCE_GUEST;
}

/* tmpfs of the sandbox's own kernel; only their places are made here */
static void plan_sentry_tmpfs(struct plan_builder *b)
{
	const struct limits *l = b->req->limits;
	const struct {
		const char *path;
		uint64_t size;
	} at[] = { { "/tmp", l->v[LIMIT_TMP_BYTES] },
		   { "/run", 16 * 1048576 },
		   { "/dev/shm", l->v[LIMIT_SHM_BYTES] } };

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		struct plan_step *s;

		plan_add_n(b, PLAN_DIR, at[i].path, 0755, NULL);
		s = plan_add(b, PLAN_SENTRY_TMPFS, NULL, at[i].path,
			     "private, of the sandbox's kernel");
		s->n = at[i].size;
		s->n2 = 01777;
	}
}

int plan_gvisor(struct plan_builder *b, struct err *e)
{
	static const char *const booted[] = {
		[CELL_PLATFORM_UNTRIED] =
			("by systrap if a trial of it ends well, else by "
			 "ptrace; booted, waits; read back"),
		[CELL_PLATFORM_SYSTRAP] =
			"by systrap; booted, waits; read back",
		[CELL_PLATFORM_PTRACE] = "by ptrace; booted, waits; read back",
	};
	struct plan_step *s;

	if (gvisor_can(b, e) || plan_ids(b, e))
		return -1;
	plan_begin(b);
	plan_mount_points(b);
	plan_sentry_tmpfs(b);
	if (plan_mounts(b, e) || plan_cwd(b, e) || refuse_nested(b, e))
		return -1;
	s = plan_add(b, PLAN_RUNTIME_ROOT, b->h->runsc, OCI_RUNTIME,
		     "the cell's root, the runtime, nothing else");
	s->flags = PLAN_F_FROM_FD | PLAN_F_RO | PLAN_F_FILE;
	s->n = PLAN_SOURCE_RUNSC;
	if (b->req->in == CELL_STDIN_PTY)
		plan_add(b, PLAN_DEVPTS, NULL, "/dev/pts",
			 "terminals of its own");
	plan_add(b, PLAN_PIVOT, NULL, "/", "the host is gone");
	plan_add(b, PLAN_READONLY, NULL, OCI_ROOTFS, NULL);
	plan_add(b, PLAN_BUNDLE, NULL, OCI_BUNDLE, NULL);
	plan_add(b, PLAN_SANDBOX, NULL, "runsc", booted[b->req->platform]);
	plan_add(b, PLAN_USER, NULL, NULL, "the workload's own uid and gid");
	b->p->steps[b->p->n - 1].n = b->p->in_uid;
	plan_add(b, PLAN_CAPS, NULL, NULL, "none, bounding set empty");
	plan_add(b, PLAN_NO_NEW_PRIVS, NULL, NULL, NULL);
	plan_add_n(b, PLAN_RLIMIT, "RLIMIT_CORE", 1, "no core, no core helper");
	plan_add(b, PLAN_CHDIR, NULL, b->p->cwd, NULL);
	plan_add(b, PLAN_SECCOMP, NULL, "allowlist",
		 "to the sandbox's kernel; watched calls EPERM");
	plan_add(b, PLAN_EXEC, b->req->spec->run->argv.p[0].p, NULL, NULL);
	return 0;
}
