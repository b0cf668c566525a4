/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The object of the walls that are made of this host's namespaces, shared by
 * their files; nobody else includes it. A sandbox stands inside of them.
 */
#ifndef CELLOS_BACKEND_HOST_H
#define CELLOS_BACKEND_HOST_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/backend.h"
#include "backend/relay.h"
#include "cell/stage.h"
#include "cell/state.h"
#include "sys/cgroup.h"

/* The first thing that went wrong while staging; prepare() tells it. */
struct host_fault {
	bool set;
	enum plan_op stage;
	int sys;
	char detail[256];
};

struct backend_cell {
	const struct cell_request *req;
	const struct plan *plan;
	struct stage stage;
	struct cgroup_limits limits;
	struct cgroup_leaf leaf;
	struct relay relay;
	struct host_fault fault;
	struct cell_message ready; /* what the child read and probed */
	struct cell_message made;  /* the door, as read back */
	char line[CELL_LINE_SIZE]; /* the last of a guest's console, its word */
	bool got_door, has_refused;
	uint64_t refused;	   /* by the door's filter */
	int init_sock, child_sock; /* our ends; -1 when closed */
	int pidfd;		   /* of pid 1 */
	int telemetry;		   /* of a machine; -1 */
	int listener;		   /* watched system calls */
	int ns_fd[2];		   /* pid, net: without a leaf, for residue */
	int sigfd;		   /* SIGTERM, SIGINT, SIGHUP, SIGWINCH */
	sigset_t old_mask;
	pid_t init_pid, child_pid;
	uint64_t own_inode[7]; /* of the supervisor, to compare */
	uint64_t ns_inode[7];  /* in the order of CELL_NS_* */
	bool reaped, ended, got_ready, got_namespaces;
	uint8_t told; /* enum cell_told, when @ended; or FILES, before */
	int status;   /* wait status of the command */
	uint64_t started_ns;
	uint8_t seen_violation[128]; /* one bit per system call number */
};

/* Of a CELLOS_CGROUP_PARENT that cannot be used */
#define CGROUP_REMEDY                                                         \
	"name a cgroup you may write that gives its children memory, cpu or " \
	"pids (v2: with no process of its own), or unset it"

/** host_name() - of the wall, for reports */
const char *host_name(const struct backend_cell *c);
/** host_fault_set() - remember the first; Return: -1 */
int host_fault_set(struct backend_cell *c, enum plan_op stage, int sys,
		   const char *detail);
/** host_create() ... - the vtable's functions, one file each */
int host_create(const struct cell_request *req, const struct plan *plan,
		struct backend_cell **ret, struct err *e);
int host_prepare(struct backend_cell *c, struct report_enforcement *r,
		 struct err *e);
int host_start(struct backend_cell *c, struct err *e);
int host_wait(struct backend_cell *c, const struct backend_watch *w,
	      struct cell_exit *ret, struct err *e);
int host_destroy(struct backend_cell *c, struct report_residue *r,
		 struct err *e);
size_t host_needs(const struct cell_request *req,
		  struct backend_need needs[BACKEND_NEEDS_MAX]);
/** host_give_socket() - hand the gate what pid 1 made; takes @fd, sets the
 *  fault if it cannot be given */
void host_give_socket(struct backend_cell *c, const struct cell_message *m,
		      int *fd);
/** host_reap() - wait for pid 1 after it was killed or has ended
 *  Return: false if it does not end */
bool host_reap(struct backend_cell *c);
/** host_own_namespaces() - read ours while the cell assembles itself */
void host_own_namespaces(struct backend_cell *c);
/** host_status_line() - of /proc/<pid>/status: the line @name, without name and
 *  blanks; Return: @buf */
const char *host_status_line(const char *text, const char *name, char *buf,
			     size_t size);
/** host_want() - a value that has to read so; else the fault is set */
void host_want(struct backend_cell *c, struct report_enforcement *r,
	       const char *name, const char *asked, const char *got, bool ok);
/** host_report_user() - the process of the cell that runs as @uid has a filter
 *  and no way to privilege, as @name.seccomp and @name.no-new-privs */
void host_report_user(struct backend_cell *c, struct report_enforcement *r,
		      const char *name, uid_t uid);
/** host_report_driver() - the same of the driver of a machine */
void host_report_driver(struct backend_cell *c, struct report_enforcement *r);
/**
 * host_program() - a program of this host that a wall starts
 * @what:   "gvisor:", ...: whose, for the message
 * @name:   a path, or a name to be found in PATH
 * @remedy: what to do without it
 * @ret:    its path, without links
 */
int host_program(const char *what, const char *name, const char *remedy,
		 char ret[PATH_MAX], struct err *e) MUST_USE;
/** host_need_program() - one more need, of a program in PATH or a path
 *  Return: how many needs there are now */
size_t host_need_program(struct backend_need needs[BACKEND_NEEDS_MAX], size_t n,
			 const char *name, const char *remedy);
/** vm_report() - what of a machine's processes can be read, and is told */
void vm_report(struct backend_cell *c, struct report_enforcement *r);
/** vm_plan() - of a machine whose VMM is the program @vmm; @jailer: or NULL */
int vm_plan(const struct cell_request *req, const char *vmm, const char *jailer,
	    struct plan *ret, struct err *e) MUST_USE;
/** vm_need_device() ... - one more need, not required; Return: how many */
size_t vm_need_device(struct backend_need needs[BACKEND_NEEDS_MAX], size_t n,
		      const char *name, const char *path, const char *what,
		      const char *remedy);
#define VM_KVM_REMEDY                                                        \
	"load kvm_intel or kvm_amd, or pass the device in, and run as root " \
	"or in the kvm group"
size_t vm_need_kvm(struct backend_need needs[BACKEND_NEEDS_MAX], size_t n,
		   bool required);
size_t vm_need_tun(struct backend_need needs[BACKEND_NEEDS_MAX], size_t n);
size_t vm_need_builder(struct backend_need needs[BACKEND_NEEDS_MAX], size_t n);
size_t qemu_needs(const struct cell_request *req,
		  struct backend_need needs[BACKEND_NEEDS_MAX]);
int qemu_plan(const struct cell_request *req, struct plan *ret, struct err *e);
size_t firecracker_needs(const struct cell_request *req,
			 struct backend_need needs[BACKEND_NEEDS_MAX]);
int firecracker_plan(const struct cell_request *req, struct plan *ret,
		     struct err *e);
/** firecracker_devices() - a detached tree of the nodes the VMM of this plan
 *  opens; a descriptor, or -errno */
int firecracker_devices(const struct plan *p) MUST_USE;
/** gvisor_report() - what of a sandbox's processes can be read */
void gvisor_report(struct backend_cell *c, struct report_enforcement *r);
size_t gvisor_needs(const struct cell_request *req,
		    struct backend_need needs[BACKEND_NEEDS_MAX]);
int gvisor_plan(const struct cell_request *req, struct plan *ret,
		struct err *e);
/** host_report() - the read-back: fills @r, sets the fault on a mismatch */
int host_report(struct backend_cell *c, struct report_enforcement *r);

#endif
