/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The gate as the supervisor holds it: started, given its sockets, listened
 * to, stopped. Every record is checked before anybody sees it; a gate that
 * breaks the form is ended.
 */
#ifndef CELLOS_GATE_PROCESS_H
#define CELLOS_GATE_PROCESS_H

#include <limits.h>

#include "base/err.h"
#include "cell/cell.h"
#include "gate/message.h"

struct gate_process;

struct gate_process_config {
	const struct gate_policy *policy; /* copied */
	uid_t uid; /* whom it becomes; 0: it stays who we are */
	gid_t gid;
	/** record() - one record, READY and FAULT excepted; Return: 0, or -1:
	 * it could not be kept, which ends the cell */
	int (*record)(void *arg, const struct gate_record *r);
	void *arg;
	/* index of door.listen[] -> its use */
	enum gate_listen listen[DOOR_LISTEN_MAX];
};

/**
 * gate_process_start() - execute cellos-gate, hand it the policy
 * @c: borrowed
 * @e: ERR_HOST
 */
int gate_process_start(const struct gate_process_config *c,
		       struct gate_process **ret, struct err *e) MUST_USE;
/** gate_process_seam() - how a wall uses it; good as long as the process */
struct cell_gate *gate_process_seam(struct gate_process *p);
/** gate_process_pid(), for the list of resources */
pid_t gate_process_pid(const struct gate_process *p);
/** gate_process_why() - the reason it was lost, "" if it was not */
const char *gate_process_why(const struct gate_process *p);
/**
 * gate_process_finish() - let it drain, take its last records
 * Bounded by policy->drain_ms and a second, which each record that comes begins
 * anew, for ten seconds at most; then it is killed.
 *
 * Return: 0 if it told everything, -1 if its end is not in the records
 */
int gate_process_finish(struct gate_process *p, struct err *e) MUST_USE;
/** gate_process_free() - kill it if it lives, reap it, free; NULL is fine */
void gate_process_free(struct gate_process **p);

#endif
