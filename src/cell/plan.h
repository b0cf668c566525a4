/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The plan: what will be done for a cell, in order, as values. A pure function
 * of the request and of what the host can do; printed by `cellos plan`,
 * compared in tests, executed by cell/apply.c and the backends.
 */
#ifndef CELLOS_CELL_PLAN_H
#define CELLOS_CELL_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/wbuf.h"
#include "cell/cell.h"

/* A host path the document or the command line names. */
struct host_path {
	const char *path; /* borrowed from the request */
	int sys;	  /* errno of looking at it, 0 if it is there */
	bool is_dir;
	uid_t uid; /* owner on disk */
	gid_t gid;
	bool idmap; /* its file system can be idmapped here */
};

/* One entry at the top of an image directory or of the host's root. */
struct host_entry {
	char name[64];
	char link[192]; /* target, if it is a symlink */
	bool is_dir;
};

/* What the plan needs to know of the host; filled by host_caps_probe(). */
struct host_caps {
	bool is_root; /* root with the capabilities a cell needs and
		       * more than one uid to give away */
	uid_t uid;
	gid_t gid;
	uint32_t spare_uid; /* root: first of 4 unused ids for this run */
	int landlock_abi;   /* 0 = none */
	const char *runsc, *guest; /* CELL_WALL_GVISOR: our host's programs */
	const char *vmm, *jailer;  /* of a machine: the same */
	bool overlay;		   /* overlayfs is there */
	struct host_path paths[LIMIT_MOUNTS + 1];
	size_t n_paths; /* declared mounts in order, then, if it is to
			 * be shown, workingDirectory */
	struct host_entry top[64];
	size_t n_top; /* of the image, or /bin /lib ... of the host */
};

/* X(suffix, word) - the words of `cellos plan` and of report stages */
#define PLAN_STEPS(X)                                                        \
	X(STATE, "state")	/* lock and resource list of the run */      \
	X(CGROUP, "cgroup")	/* leaf, limits, read back */                \
	X(SOURCE, "source")	/* open a host path to show */               \
	X(CLONE, "clone")	/* all namespaces at once */                 \
	X(IDMAP, "id-map")	/* uid_map, gid_map */                       \
	X(LOOPBACK, "loopback") /* lo up, nothing else */                    \
	X(DOOR, "door")		/* addresses, filter, gate's sockets */      \
	X(LEG, "leg")		/* to a network stack of its own */          \
	X(HOSTNAME, "hostname")                                              \
	X(ROOT, "root") /* empty root, tmpfs */                              \
	X(TMPFS, "tmpfs")                                                    \
	X(SENTRY_TMPFS, "sentry-tmpfs") /* the sandbox's own */              \
	X(DIR, "dir")                                                        \
	X(SYMLINK, "symlink")                                                \
	X(IMAGE, "image")     /* in a guest: what its image has */           \
	X(FILE, "file")	      /* generated content */                        \
	X(BIND, "bind")	      /* host path, read-only or rw */               \
	X(DEVICE, "device")   /* one node of /dev */                         \
	X(OVERLAY, "overlay") /* private layer over a host dir */            \
	X(PROC, "proc")                                                      \
	X(MASK, "mask")		 /* hide one path of /proc */                \
	X(READONLY, "read-only") /* make one mount read-only */              \
	X(DEVPTS, "devpts")                                                  \
	X(RUNTIME_ROOT, "runtime-root") /* what the sandbox may see */       \
	X(PIVOT, "pivot-root")                                               \
	X(CGROUP_NS, "cgroup-namespace")                                     \
	X(USER, "user")		/* become the workload's uid, gid */         \
	X(CAPS, "capabilities") /* none left, bounding set too */            \
	X(NO_NEW_PRIVS, "no-new-privs")                                      \
	X(RLIMIT, "rlimit")                                                  \
	X(LANDLOCK, "landlock")                                              \
	X(SECCOMP, "seccomp")                                                \
	X(SELF_TEST, "self-test") /* attack our own walls */                 \
	X(BUNDLE, "bundle")	  /* config.json of the sandbox */           \
	X(SANDBOX, "sandbox")	  /* booted, waits; read back */             \
	X(VMM, "vmm")		  /* guest booted; the rest is done in it */ \
	X(CHDIR, "chdir")                                                    \
	X(EXEC, "exec")

enum plan_op {
#define X(name, word) PLAN_##name,
	PLAN_STEPS(X)
#undef X
		PLAN_OP_NUM
};

const char *plan_op_word(enum plan_op op);
/** cell_wall_word() - as --backend and CELLOS_CELL_BACKEND name it */
const char *cell_wall_word(enum cell_wall w);
/* All of them, for messages and for completion */
#define CELL_WALL_WORD(name, word) " " word
#define CELL_WALL_WORDS		   CELL_WALLS(CELL_WALL_WORD)

enum {
	PLAN_F_RO = 1 << 0, /* read-only */
	PLAN_F_NOEXEC = 1 << 1,
	PLAN_F_IDMAP = 1 << 2,	  /* idmapped to the workload's uid */
	PLAN_F_OPTIONAL = 1 << 3, /* source may be absent on the host */
	PLAN_F_FROM_FD = 1 << 4,  /* opened by the parent before the clone */
	PLAN_F_FILE = 1 << 5,	  /* bind of a single file */
	PLAN_F_OWN = 1 << 6,	  /* onto our skeleton, not a declared path */
	PLAN_F_PRIVATE = 1 << 7,  /* of a guest: nothing of it comes back */
	PLAN_F_DEV = 1 << 8	  /* device nodes in it are ones */
};

struct plan_step {
	enum plan_op op;
	unsigned flags;	 /* PLAN_* */
	const char *src; /* host path, link target or file content */
	const char *dst; /* path inside the cell */
	uint64_t n, n2;	 /* size, limit, uid */
	const char *why; /* one clause for the reader of `cellos plan` */
};

enum { PLAN_STEPS_MAX = 256 };

/* Numbers of host paths that are opened, plan_step.n: declared mounts and
 * workingDirectory, entries of a root, our own programs */
enum {
	PLAN_SOURCE_TOP = LIMIT_MOUNTS + 1,
	PLAN_SOURCE_RUNSC = PLAN_SOURCE_TOP + 64,
	PLAN_SOURCE_GUEST,
	PLAN_SOURCE_VMM,
	PLAN_SOURCE_JAILER,
	PLAN_SOURCE_DEVICES, /* the VMM's, made for it alone */
	PLAN_SOURCE_IMAGE,   /* kernel, initrd, root */
	PLAN_SOURCES = PLAN_SOURCE_IMAGE + 3
};

struct plan {
	struct plan_step steps[PLAN_STEPS_MAX];
	size_t n;
	struct arena arena;    /* strings of the steps */
	uid_t in_uid, out_uid; /* the workload's uid inside, outside */
	gid_t in_gid, out_gid;
	uint32_t init_uid;   /* root: our init's id outside (0 inside) */
	uint32_t gate_uid;   /* root: the gate's */
	const char *cwd;     /* where the command starts, inside */
	unsigned ns;	     /* CELL_NS_* the clone makes */
	bool full;	     /* everything; else what portable asked for */
	enum cell_wall wall; /* a guest's is a host's: it has no other in it */
	uint32_t sentry_uid; /* root: who runs a kernel of the cell's own */
};

/** plan_is_sandbox() - the command runs on a kernel of its own, */
static inline bool plan_is_sandbox(const struct plan *p)
{
	return p->wall != CELL_WALL_HOST;
}

/** plan_is_vm() - in a machine of its own */
static inline bool plan_is_vm(const struct plan *p)
{
	return p->wall == CELL_WALL_QEMU || p->wall == CELL_WALL_FIRECRACKER;
}

/** plan_is_declared() - does the step show a path that the document names, and
 *  that is not a part of every cell? */
static inline bool plan_is_declared(const struct plan_step *s)
{
	return (s->op == PLAN_BIND || s->op == PLAN_OVERLAY) &&
	       !(s->flags & PLAN_F_OWN) && s->n <= LIMIT_MOUNTS;
}

/** plan_own_ids() - does the cell have a user namespace; without, ids are those
 *  of the host */
static inline bool plan_own_ids(const struct plan *p)
{
	return (p->ns & CELL_NS_USER) != 0;
}

/** plan_find() - the first step of this kind; the last one if there is none */
size_t plan_find(const struct plan *p, enum plan_op op);

/** host_caps_probe() - look at the host for this request
 *  @e: only for what cannot even be looked at, e.g. a missing --root */
int host_caps_probe(const struct cell_request *req, struct host_caps *ret,
		    struct err *e) MUST_USE;
/** host_caps_image() - only the entries of a directory that is a root
 *  Return: 0 or -errno */
int host_caps_image(const char *image, struct host_caps *ret) MUST_USE;
/** plan_build() - @e: ERR_HOST, names the missing primitive and the remedy */
int plan_build(const struct cell_request *req, const struct host_caps *h,
	       struct plan *ret, struct err *e) MUST_USE;
/** plan_tree() - only the root of a cell and what the host's or an image's
 *  programs are in it: what the root of a machine's image is made of */
int plan_tree(const struct cell_request *req, const struct host_caps *h,
	      struct plan *ret, struct err *e) MUST_USE;
void plan_drop(struct plan *p);
/** plan_print() - one line a step, aligned, for people and for tests */
void plan_print(const struct plan *p, struct wbuf *out);

#endif
