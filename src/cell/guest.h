/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Between the driver of a sandbox and our own pid 1 in it: a directory that
 * only uid 0 of the sandbox may enter. The guest appends records to `report`;
 * the driver writes one byte to `go` when the command may start. The command's
 * environment comes by `env`: what is in a bundle the runtime copies to where
 * it stays.
 *
 *  READY    locked down, waits for `go`
 *  FAULT    step: enum plan_op, value: errno; the end
 *  RUNNING  exec succeeded
 *  ENDED    value: wait status of the command; the end
 */
#ifndef CELLOS_CELL_GUEST_H
#define CELLOS_CELL_GUEST_H

#include <stdint.h>

#define GUEST_TOP     "/.cellos" /* inside */
#define GUEST_INIT    GUEST_TOP "/init"
#define GUEST_CHANNEL GUEST_TOP "/channel"
#define GUEST_REPORT  "report"
#define GUEST_GO      "go"
#define GUEST_ENV     "env" /* NAME=VALUE, each with its NUL; gone at READY */

/* What our pid 1 holds, and is bounded by: to make another user of the command,
 * and to stop it. */
#define GUEST_CAPS(X)  \
	X(CAP_KILL)    \
	X(CAP_SETGID)  \
	X(CAP_SETPCAP) \
	X(CAP_SETUID)

enum guest_word { GUEST_READY = 1, GUEST_FAULT, GUEST_RUNNING, GUEST_ENDED };

struct guest_record {
	uint32_t word;
	int32_t step;
	int32_t value;
};

#endif
