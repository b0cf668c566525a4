/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Between the supervisor and its two processes inside a cell: one SEQPACKET
 * datagram each, fixed size, type first. `init` is pid 1 and lives as long as
 * the cell; `child` is the process that becomes the command, and speaks only
 * until exec. Both are our own code, but the supervisor checks size and type.
 *
 *  supervisor -> init : GO (maps, cgroup are in place), TERM (signal all),
 *                       DIAL (make DOOR_DIAL sockets)
 *  supervisor -> child: GO (exec now)
 *  init  -> supervisor: FAULT (stage failed), NAMESPACES (their numbers),
 *                       ENDED (wait status), DOOR_SOCKET (fd), DOOR (made,
 *                       read back), FILES (the command of a machine has
 *                       ended, what it wrote comes back)
 *  child -> supervisor: LISTENER (fd), PTY (fd), READY (locked down, probed),
 *                       FAULT
 */
#ifndef CELLOS_CELL_MESSAGE_H
#define CELLOS_CELL_MESSAGE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

enum cell_message_type {
	CELL_MSG_GO = 1,
	CELL_MSG_TERM,
	CELL_MSG_FAULT,
	CELL_MSG_PTY,
	CELL_MSG_ENDED,
	CELL_MSG_LISTENER,
	CELL_MSG_READY,
	CELL_MSG_NAMESPACES,
	CELL_MSG_DOOR_SOCKET,
	CELL_MSG_DOOR,
	CELL_MSG_DIAL,
	CELL_MSG_FILES
};

enum { CELL_PROBES = 24 };

/* What the driver of a sandbox has said before its end; its last word counts */
enum cell_told {
	CELL_TOLD_NOTHING, /* it ended by itself, and with it the command */
	CELL_TOLD_ENDED,   /* it ends as the command did */
	CELL_TOLD_OOM,	   /* the same; its limit of memory killed */
	CELL_TOLD_PANIC,   /* the guest's kernel gave up */
	CELL_TOLD_INIT,	   /* its pid 1 ended */
	CELL_TOLD_FILES,   /* what it wrote comes back, or is lost */
	CELL_TOLD_SILENT,  /* no exit was reported in the time given */
	/* its VMM goes on, and its machine does not: */
	CELL_TOLD_PAUSED,   /* nobody knows who had it paused */
	CELL_TOLD_INTERNAL, /* KVM cannot run it any further */
	CELL_TOLD_IO,	    /* one of its devices cannot */
	CELL_TOLD_STOPPED,  /* for another reason */
	CELL_TOLD_MONITOR,  /* the VMM does not say */
	CELL_TOLD_NUM
};

enum { CELL_LINE_SIZE = 120 };

/* What the kernel of a machine shows of the command's group there; UINT64_MAX:
 * "max", 0: not asked for */
struct cell_guest_limits {
	uint64_t memory_max, pids_max;
};

struct cell_message {
	uint32_t type;
	int32_t step;	/* FAULT: index into the plan */
	int32_t sys;	/* FAULT: errno; TERM: signal number; READY, of a
			 * sandbox: enum cell_platform */
	int32_t status; /* ENDED: wait status of the command */
	uint8_t told;	/* ENDED: enum cell_told, of a sandbox */
	struct {
		uint8_t kind, family; /* DOOR_SOCKET: of struct door_socket */
		uint16_t port;	      /* DIAL: family, 1 for UDP, how many */
		uint32_t rules;	      /* DOOR: of the filter, as read back */
		uint8_t digest[32];   /* DOOR: of them */
		uint64_t refused;     /* ENDED: packets, if @has_refused */
		uint8_t has_refused;
	} door;
	uint64_t ns_inode[7];	    /* NAMESPACES: in the order of CELL_NS_* */
	uint8_t probe[CELL_PROBES]; /* READY: errno of each self-test */
	struct cell_guest_limits limits; /* READY, of a machine */
	char path[240]; /* FAULT: what the step worked on; ENDED:
			 * the last line of a guest's console */
};

enum { CELL_TELEMETRY_WINDOW_MS = 10000 };

/* What the driver of a machine passes on of its guest's agent; each is one
 * packet of a socket of its own. */
struct cell_telemetry {
	uint8_t kind;  /* enum below */
	uint8_t probe; /* EVENT: enum telemetry_probe */
	uint32_t pid;
	uint64_t value;	  /* EVENT: CLOCK_MONOTONIC of the guest; SILENT: ms
			   * since it was heard; LAST: 1 if the agent said
			   * that it left nothing out */
	uint64_t dropped; /* events left out so far */
	char comm[17];
};
enum {
	CELL_TELEMETRY_EVENT,
	CELL_TELEMETRY_SILENT, /* once: no word in the window */
	CELL_TELEMETRY_LAST    /* there is no more */
};

/** cell_send() - with a descriptor if @fd >= 0; 0 or -errno */
int cell_send(int sock, const struct cell_message *m, int fd) MUST_USE;
/**
 * cell_recv() - wait for one message
 * @ret_fd:  a descriptor that came with it, -1 if none; the caller owns
 * @ret_pid: the sender in our pid namespace (SCM_CREDENTIALS), 0 if not sent
 *
 * Return: 1 for a message, 0 at the end of the stream, or -errno (-EPROTO for
 * a datagram of another size)
 */
int cell_recv(int sock, struct cell_message *ret, int *ret_fd,
	      pid_t *ret_pid) MUST_USE;

#endif
