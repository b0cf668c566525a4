/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A machine in a cell: what it is made of, and what is said between its driver
 * (cell/vm.c) and our init in the guest (guest/vm_main.c).
 *
 * By virtio-serial (virtio 1.2, 5.3), one port a stream, or by sockets (5.10,
 * AF_VSOCK), a connection of the guest's for each to VM_SOCK_FIRST + its
 * number. The driver sends the set-up, then orders; the guest answers with
 * records. A stream of output has no end of its own: ENDED says how long it
 * was.
 */
#ifndef CELLOS_CELL_VM_H
#define CELLOS_CELL_VM_H

#include <stdint.h>

#include "base/wbuf.h"
#include "cell/message.h"
#include "cell/plan.h"

/* Where the VMM finds what it boots, in its own root */
#define VM_KERNEL "/image.kernel"
#define VM_INITRD "/image.initrd"
#define VM_ROOT	  "/image.root"
/* and what stands beside it: Firecracker, its sockets */
#define VM_BINARY "/firecracker"
#define VM_API	  "/run/firecracker.socket"
/* and "_<port>": what a guest connects to */
#define VM_CHANNEL "/run/channel"
/* With a jailer all of that is beneath one directory, which it makes the root:
 * VM_JAIL/firecracker/<run's UUID>/root */
#define VM_JAILER "/jailer"
#define VM_JAIL	  "/jail"

#define VM_KVM "/dev/kvm"

/* Told the guest's init as an environment variable on the kernel's command
 * line: by what it talks to the driver. Unset: by virtio-serial. */
#define VM_TRANSPORT	  "CELLOS_CHANNEL"
#define VM_TRANSPORT_SOCK "vsock"

/* Where the driver finds what the document shows of the host, by plan_step.n */
#define VM_MOUNTS "/mounts"

/* In the guest, before the command's root is made of it */
#define VM_GUEST_IMAGE	 "/image"
#define VM_GUEST_MODULES "/modules" /* and one of these, by the channel: */
#define VM_GUEST_SERIAL	 "/modules.serial"
#define VM_GUEST_SOCKETS "/modules.vsock"
#define VM_FILES	 "/files" /* copies of what the driver carries */

enum {
	VM_VERSION = 7, /* of everything below: an image has an init of it */
	VM_OVERHEAD_MIB = 96, /* of the guest's kernel, beside what the command
			       * may have */
	VM_MEMORY_MIB = 512,  /* of the command, if no limit is asked for */
	VM_SPACE_MIB = 192,   /* of the VMM itself, beside the guest's */
	VM_THREADS = 128,     /* of the VMM and ours, beside the command's */
	VM_MEMORY_MAX_MIB = 1 << 20,
	VM_PAGE = 4096, /* of a guest's kernel */
	VM_KEY_LEN = 32,
	VM_SOCK_FIRST = 9100,	  /* of a guest with our init */
	VM_SOCK_TELEMETRY = 9001, /* of both */
	VM_SOCK_EXIT = 9000,	  /* of the original's */
	VM_SETUP_MAX = 4 << 20,
	VM_TEXTS_MAX = 65536, /* of the steps a guest adds */
	VM_ARGS_MAX = 2048,   /* COMMAND_LINE_SIZE of x86 */
	VM_ARGS_VMM = 256,    /* of it, what Firecracker adds */
};

/* Port numbers; 0 is a console's */
enum vm_port {
	VM_CONTROL = 1,
	VM_STDIN,
	VM_STDOUT,
	VM_STDERR,
	VM_TREES, /* archives of cell/tree.h: in the order of the plan, there
		   * before READY, what is writable back after ENDED;
		   * of QEMU's only if there are any */
	VM_PORTS,
	VM_TELEMETRY = VM_PORTS, /* frames of wire/telemetry.h, if they are
				  * asked for */
	VM_PORTS_ALL
};

/* Driver to guest, once: this, then the steps, then texts */
struct vm_setup {
	uint32_t size;		 /* of all of it */
	uint16_t version, n_ops; /* VM_VERSION, PLAN_OP_NUM */
	uint32_t n_steps, first; /* first: its index in the driver's plan */
	uint32_t n_argv, n_env;
	uint32_t uid, gid;
	uint64_t memory_max, pids_max; /* 0: none */
	uint64_t files_max;	       /* bytes of a tree */
	int64_t now_ns;		       /* CLOCK_REALTIME, as it is sent */
	uint16_t closed_port;
	uint8_t has_door, has_v6, has_agent;
	uint8_t key[VM_KEY_LEN];
};

struct vm_step {
	uint32_t op, flags;
	uint64_t n, n2;
	uint8_t has_src, has_dst;
};

enum vm_order_word { VM_GO = 1, VM_TERM, VM_CLOSED };

/* Driver to guest, after READY */
struct vm_order {
	uint32_t word;
	uint32_t value; /* TERM: the signal; CLOSED: the command's descriptor */
	uint64_t bytes; /* CLOSED, 0: sent on that port in all */
};

enum vm_word { VM_HELLO = 1, VM_READY, VM_FAULT, VM_RUNNING, VM_ENDED };

/* Guest to driver */
struct vm_record {
	uint32_t word;
	int32_t step, sys; /* FAULT */
	int32_t status;	   /* ENDED: wait status */
	uint32_t oom;	   /* ENDED: the limit of memory killed */
	int32_t code;	   /* ENDED: 128 + a signal, or as it exited */
	uint64_t sent[2];  /* ENDED: bytes of its output and errors */
	uint8_t tag[32];   /* ENDED: of vm_tag() */
	struct cell_guest_limits limits; /* READY, read back */
	uint8_t probe[CELL_PROBES];	 /* READY */
	char text[128];			 /* FAULT */
};

/** vm_accel() - what runs the guest's code, for people */
const char *vm_accel(const struct cell_request *req);
/** vm_is_tree() - is this step of the guest's part one whose files the driver
 *  carries; @back: and takes back */
static inline bool vm_is_tree(const struct plan_step *s, bool back)
{
	return plan_is_declared(s) &&
	       !(back && (s->flags & (PLAN_F_RO | PLAN_F_PRIVATE)));
}

/** vm_has_trees() - is there such a step */
static inline bool vm_has_trees(const struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (vm_is_tree(&p->steps[i], false))
			return true;
	return false;
}

/** vm_tag() - HMAC-SHA256 of some bytes and the id of a cell, by the key of a
 *  run. The original's: of an exit code, 4 bytes, little-endian. */
void vm_tag(const uint8_t key[VM_KEY_LEN], const void *p, size_t n,
	    const char *id, uint8_t ret[32]);
/**
 * vm_foreign_args() - the command line of a guest after the original's contract
 * vm_foreign_memory_mib() - its memory: what the document says is all of it
 *
 * Return: 0, or -E2BIG
 */
int vm_foreign_args(const struct cell_request *req,
		    const uint8_t key[VM_KEY_LEN], struct wbuf *out) MUST_USE;
uint64_t vm_foreign_memory_mib(const struct cell_request *req);
/** vm_seal() - the tag of an ENDED, of all before it */
void vm_seal(struct vm_record *r, const uint8_t key[VM_KEY_LEN],
	     const char *id);

/** vm_is_genuine() - the word of pid 1 of the guest that the command has ended,
 *  by the key that only it was told */
bool vm_is_genuine(const struct vm_record *r, const uint8_t key[VM_KEY_LEN],
		   const char *id);

/** vm_get_ready() - a READY, as the supervisor is told it
 *  Return: 0, or -EPROTO: it says what is none of its business */
int vm_get_ready(const struct vm_record *r, struct cell_message *ret) MUST_USE;
/** vm_memory_shown() - a limit of bytes, as the kernel that keeps it shows it:
 *  in whole pages */
static inline uint64_t vm_memory_shown(uint64_t bytes)
{
	return bytes / VM_PAGE * VM_PAGE;
}

/** vm_put_setup() - @h, of which the counts and sizes are filled here, with the
 *  steps of @p behind VMM, the command and the id */
void vm_put_setup(struct wbuf *out, struct vm_setup *h, const struct plan *p,
		  const struct cell_request *req);

struct vm_told {
	char *setup; /* what it was read from, which the rest points into */
	struct vm_setup h;
	struct plan plan; /* steps: those of the guest */
	char **argv;	  /* one free place before it */
	char **env;
	const char *id;
};

/** vm_get_setup() - the same from bytes, which stay borrowed
 *  Return: 0, -EPROTO, or -ENOMEM */
int vm_get_setup(char *p, size_t n, struct vm_told *ret) MUST_USE;

#endif
