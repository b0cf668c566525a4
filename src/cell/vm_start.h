/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Starting a VMM: its arguments, its descriptors, its walls. */
#ifndef CELLOS_CELL_VM_START_H
#define CELLOS_CELL_VM_START_H

#include <sys/un.h>

#include "cell/stage.h"
#include "cell/vm.h"

#define VM_MAC "02:63:65:6c:6c:06" /* of the guest, alone on its link */

/** vm_memory_mib() - of the whole machine: what the command may have, and what
 *  its kernel takes */
uint64_t vm_memory_mib(const struct cell_request *req);
/** vm_vmm_path() - where the VMM's file @name is, as the cell sees it: beneath
 *  its jail, if it has one; false: it does not fit */
bool vm_vmm_path(const struct cell_request *req, const char *name, char *buf,
		 size_t size);
/** vm_driver_id() - who the driver is, in the cell */
uid_t vm_driver_id(const struct plan *p);
/** vm_outer_bytes() - the limit of this host's around the machine, and the VMM
 *  in it */
uint64_t vm_outer_bytes(const struct cell_request *req);
/** vm_moment() - two clocks read at once: between two readings of the first
 *  the second is read, again while these are far from each other, and the
 *  closest count */
struct vm_moment {
	uint64_t ticks, ns;
};
struct vm_moment vm_moment(uint64_t (*ticks)(void), uint64_t (*ns)(void));
/** vm_cpus() - as many as the command may use at once, at least 1 */
uint64_t vm_cpus(const struct cell_request *req);

/** qemu_clock_begin() - from here on it is measured how fast this processor
 *  counts, which an emulated guest is told: once, some milliseconds before
 *  qemu_start(), which waits for what is missing */
void qemu_clock_begin(void);

/**
 * qemu_start() - a VMM that boots the image
 * @port:    ours, non-blocking, of enum vm_port, and 0 the serial log; the VMM
 *           gets the other ends
 * @ret_qmp: of its monitor, the same
 *
 * Descriptors of @s that the VMM's could be in the way of are moved.
 * A port that nothing would go over is left out, and stays as it was.
 *
 * Return: its pid, or -errno
 */
pid_t qemu_start(struct stage *s, int port[VM_PORTS_ALL],
		 int *ret_qmp) MUST_USE;

/**
 * firecracker_start() - a VMM that waits to be told what to boot
 * @ret_log:  the serial log, non-blocking
 * @listener: of enum vm_port: what the guest will connect to; of a foreign one
 *            only VM_CONTROL, to which it reports its exit
 *
 * Return: its pid, or -errno
 */
pid_t firecracker_start(struct stage *s, int *ret_log,
			int listener[VM_PORTS_ALL]) MUST_USE;

/* How one waits for the VMM, while others are served. */
struct vm_wait {
	/** until() - for @events of @fd (-1: for nothing but the time)
	 *  @ns: CLOCK_MONOTONIC
	 *  Return: 0, -ETIMEDOUT, or -EPIPE: the VMM has ended */
	int (*until)(void *arg, int fd, short events, uint64_t ns);
	void *arg;
	int api; /* the connection to Firecracker's API */
};

enum { VM_WHY_SIZE = 240 };

/* What a guest is told by its VMM */
struct vm_boot {
	const char *args; /* the kernel's command line */
	uint64_t memory_mib;
	const char *initrd; /* NULL: none */
};

/* Of a guest of ours. reboot=k: the VMM ends when the keyboard controller
 * resets, which is how a guest without ACPI's power off ends it. */
#define FIRECRACKER_ARGS                                              \
	"console=ttyS0 quiet panic=-1 reboot=k pci=off rdinit=/init " \
	"cryptomgr.notests i8042.noaux i8042.nomux i8042.nopnp "      \
	"i8042.dumbkbd " VM_TRANSPORT "=" VM_TRANSPORT_SOCK

/** firecracker_connect() - to its API, once it listens
 *  Return: a descriptor, or as firecracker_tell() */
int firecracker_connect(const struct stage *s, const struct vm_wait *w,
			char why[VM_WHY_SIZE]) MUST_USE;
/**
 * firecracker_tell()   - all that is to be known before the start
 * firecracker_go()     - the start
 * firecracker_ctrl_alt_del() - keys that ask a guest to end
 * firecracker_take()   - the guest's connections
 * @listener: closed when all have come
 * @port:     non-blocking
 * @why:      of a failure
 *
 * Return: 0; -EPIPE: the VMM has ended; another -errno
 */
int firecracker_tell(const struct stage *s, const struct vm_boot *b,
		     const struct vm_wait *w, char why[VM_WHY_SIZE]) MUST_USE;
int firecracker_go(const struct vm_wait *w, char why[VM_WHY_SIZE]) MUST_USE;
int firecracker_ctrl_alt_del(const struct vm_wait *w,
			     char why[VM_WHY_SIZE]) MUST_USE;
int firecracker_take(const struct stage *s, const struct vm_wait *w,
		     int listener[VM_PORTS_ALL], int port[VM_PORTS_ALL],
		     char why[VM_WHY_SIZE]) MUST_USE;

/* -- vm_api.c -- */

/**
 * vm_api_connect() - until somebody answers there
 * vm_api_put()     - one request with a body of JSON (HTTP/1.1, RFC 9112)
 *
 * Each has a time limit.
 *
 * Return: a descriptor or 0; -EPIPE: the VMM has ended; another -errno, with
 * @why
 */
int vm_api_connect(const struct vm_wait *w, const struct sockaddr_un *at,
		   char why[VM_WHY_SIZE]) MUST_USE;
int vm_api_put(const struct vm_wait *w, const char *path, struct slice body,
	       char why[VM_WHY_SIZE]) MUST_USE;

#endif
