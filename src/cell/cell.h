/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a cell is asked to be, and what became of it: plain values shared by
 * the plan, the backends and the run loop.
 */
#ifndef CELLOS_CELL_CELL_H
#define CELLOS_CELL_CELL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/limits.h"
#include "spec/spec.h"

/* Namespaces, as in CELLOS_SUBPROCESS_UNSHARE. A full cell has all. */
enum {
	CELL_NS_PID = 1 << 0,
	CELL_NS_IPC = 1 << 1,
	CELL_NS_NET = 1 << 2,
	CELL_NS_UTS = 1 << 3,
	CELL_NS_MNT = 1 << 4,
	CELL_NS_USER = 1 << 5,
	CELL_NS_CGROUP = 1 << 6,
	CELL_NS_ALL = (1 << 7) - 1
};

/* CELLOS_SUBPROCESS_SECCOMP: only adds to a full cell */
enum cell_seccomp {
	CELL_SECCOMP_OFF,
	CELL_SECCOMP_BASELINE,
	CELL_SECCOMP_FILE
};

/* What stands between the command and this host's kernel.
 * X(suffix, word) */
#define CELL_WALLS(X)                                                    \
	X(HOST, "host")	    /* namespaces and filters */                 \
	X(GVISOR, "gvisor") /* a kernel in user space besides (runsc) */ \
	X(QEMU, "qemu")	    /* a machine besides */                      \
	X(FIRECRACKER, "firecracker")

enum cell_wall {
#define X(name, word) CELL_WALL_##name,
	CELL_WALLS(X)
#undef X
		CELL_WALL_NUM
};

enum cell_stdin {
	CELL_STDIN_NULL, /* /dev/null */
	CELL_STDIN_PASS, /* the caller's descriptor 0 */
	CELL_STDIN_PTY	 /* a terminal of the cell's own; relayed */
};

/* What KVM is good for here; of CELL_WALL_QEMU */
enum cell_kvm {
	CELL_KVM_NONE,	  /* no device, or none that is ours to open */
	CELL_KVM_UNTRIED, /* it opens, which says nothing: a trial is due */
	CELL_KVM_FAILED,  /* it opens, and no machine has booted by it */
	CELL_KVM_WORKS	  /* else the machine is emulated */
};

struct state_run;
struct door;
struct door_socket;
struct image;

/* What stands at the door of a cell, as a wall uses it: a process of its own
 * that gets the sockets made inside. Calls return 0 or -errno. */
struct cell_gate {
	int fd; /* readable: serve() has something to do */
	/** give() - a socket made in the cell, cell/door.h; takes s->fd */
	int (*give)(void *arg, struct door_socket *s);
	/** given() - that was the last one */
	int (*given)(void *arg);
	bool (*is_ready)(void *arg);
	/** open() - the command is let go next: what happens now is its doing
	 */
	int (*open)(void *arg);
	/** serve() - take what it says; -1: it is lost, and with it the cell */
	int (*serve)(void *arg);
	void *arg;
	/** dial() - the wall's: have @n sockets made in the cell, which come by
	 *  give() */
	int (*dial)(void *wall, uint8_t family, bool is_udp, unsigned n);
	void *wall;
};

/* CELL_WALL_FIRECRACKER: which programs, as whom */
struct cell_firecracker {
	const char *binary; /* absolute path, or a name to be found in PATH */
	const char *jailer; /* absolute path; NULL: the cell's own walls are all
			     * there is around the VMM */
	uid_t jail_uid;	    /* of the host, for the jailer */
	gid_t jail_gid;
	unsigned exit_wait_seconds; /* of a guest with an init of its own;
				     * 0: as long as the run may take */
	bool no_seccomp; /* the VMM's own filters are left out; ours are not */
	bool wants_jailer; /* one is required, by what the variables say */
	bool has_scratch;  /* a disk to write on was asked for */
};

/* What a guest's agent is listened to for */
struct cell_telemetry_rules {
	uint32_t probes; /* bits of enum telemetry_probe; 0: there is none */
	uint64_t events_per_second;
	uint64_t bytes_per_second; /* UINT64_MAX: no limit of its own */
};

/* How the kernel of a sandbox gets hold of its programs; CELL_WALL_GVISOR */
enum cell_platform {
	CELL_PLATFORM_UNTRIED, /* not known yet: a trial is due */
	CELL_PLATFORM_SYSTRAP,
	CELL_PLATFORM_PTRACE
};
/** cell_platform_word() - as runsc calls it; "" for the first */
static inline const char *cell_platform_word(enum cell_platform p)
{
	return p == CELL_PLATFORM_SYSTRAP  ? "systrap"
	       : p == CELL_PLATFORM_PTRACE ? "ptrace"
					   : "";
}

struct cell_request {
	const struct spec *spec; /* spec->run may be NULL: no command */
	const char *run_uuid;
	struct state_run *state; /* where resources are noted before they
				  * are made; NULL: nowhere (portable) */
	enum cell_wall wall;
	const char *runsc;	   /* CELL_WALL_GVISOR: path, or a name to be
				    * found in our PATH; NULL: "runsc" */
	const struct image *image; /* of a machine: verified, open */
	enum cell_kvm kvm;
	unsigned boot_ms; /* a machine has to boot in; 0: as long as it takes,
			   * within reason */
	struct cell_firecracker firecracker;
	struct cell_telemetry_rules telemetry; /* of a machine */
	bool portable;			       /* only what is asked for */
	unsigned unshare; /* CELL_NS_*: asked for by switch */
	enum cell_seccomp seccomp;
	const void *bpf;		/* CELL_SECCOMP_FILE: sock_filter[] */
	size_t bpf_len;			/* bytes, checked by the caller */
	const char *image_root;		/* --root DIR, or NULL */
	const char *cgroup_parent;	/* CELLOS_CGROUP_PARENT, or NULL */
	uint64_t memory_max;		/* bytes, 0 = not asked for */
	uint64_t cpu_quota, cpu_period; /* microseconds, quota 0 = not asked;
					 * quota UINT64_MAX = "max" */
	uint64_t pids_max;		/* the number in force */
	bool pids_asked;		/* else it may fall back */
	char *const *envp;		/* the exact environment; its PATH is
					 * where argv[0] is looked up */
	enum cell_stdin in;
	const struct door *door; /* NULL: no way out at all */
	struct cell_gate *gate;	 /* with @door only */
	const struct limits *limits;
	enum cell_platform platform; /* of @runsc */
};

/** cell_runsc() - a path, or a name to be found in our PATH */
static inline const char *cell_runsc(const struct cell_request *req)
{
	return req->runsc && req->runsc[0] ? req->runsc : "runsc";
}

enum cell_end {
	CELL_EXITED,   /* code */
	CELL_SIGNALED, /* sig */
	CELL_DEADLINE, /* killed by us: the limit given to wait() */
	CELL_STOPPED,  /* killed by us: signal sig came to the runner,
			* or `cellos kill` */
	CELL_LOST      /* killed by us or the kernel without a word of
			* init: enforcement was lost, see err */
};

struct cell_exit {
	enum cell_end how;
	int code, sig;
	bool oom;	      /* the cell's memory limit killed something */
	bool sandbox_ended;   /* CELL_LOST: by itself, not killed by us */
	uint8_t told;	      /* what it said before: enum cell_told */
	bool has_refused;     /* @refused is known */
	uint64_t refused;     /* packets the door's filter refused, all */
	uint64_t duration_ms; /* from start() to the end of everything */
};

#endif
