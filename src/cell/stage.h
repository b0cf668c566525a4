/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a wall hands to the processes inside: made before the clone, inherited
 * by it, never written afterwards. The entry points below run in the child and
 * do not return.
 *
 * Order inside: pid 1 waits for GO, becomes its own id, assembles the root
 * (cell/apply.c), forks the child, gives up what it does not need, and waits.
 * The child locks itself down (cell/lockdown.c), attacks its walls
 * (cell/self_test.c), reports READY, waits for GO, and execs.
 */
#ifndef CELLOS_CELL_STAGE_H
#define CELLOS_CELL_STAGE_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "cell/cell.h"
#include "cell/message.h"
#include "cell/plan.h"

enum { STAGE_SOURCES = PLAN_SOURCES };

/* Test builds only: a wall left out, or a step made to fail. */
enum {
	STAGE_DROP_NAMESPACES = 1 << 0,
	STAGE_DROP_SECCOMP = 1 << 1,
	STAGE_DROP_LANDLOCK = 1 << 2,
	STAGE_DROP_CAPS = 1 << 3,
	STAGE_DROP_NO_NEW_PRIVS = 1 << 4,
	STAGE_DROP_PIVOT = 1 << 5,
	STAGE_DROP_READONLY = 1 << 6,
	STAGE_DROP_MASK = 1 << 7,
	STAGE_DROP_PIDS = 1 << 8,
	STAGE_DROP_IDMAP = 1 << 9,
	STAGE_DROP_NFT = 1 << 10,
	STAGE_DROP_SELF_TEST = 1 << 11
};

enum { STAGE_SENTRY_ID = 65534 }; /* runsc makes its kernel this user */

struct stage {
	const struct plan *plan;
	const struct cell_request *req;
	unsigned ns;	  /* CELL_NS_* really made (portable may fall back) */
	bool is_root;	  /* two ids are mapped, setgroups works */
	int init_sock;	  /* pid 1's end */
	int child_sock;	  /* the command's end, until exec */
	int cgroup_fd[3]; /* v1 groups to enter first of all; -1 */
	int stdio[3];	  /* what becomes 0, 1, 2; -1: /dev/null */
	int source[STAGE_SOURCES]; /* detached trees, by plan_step.n, -1: as
				    * root opened before the clone, else by pid
				    * 1 before it covers anything */
	int leg_net;   /* pid 1: where the other end of the leg is; of a VMM
			* the device, cell0; -1 */
	int told[2];   /* pid 1: pipe, words of enum cell_told of the driver
			* of a sandbox; none if that ended by itself */
	int telemetry; /* the driver of a machine: packets of struct
			* cell_telemetry; -1 */
	bool is_guest; /* in a guest: nobody hears of watched calls, */
	uint16_t closed_port; /* and only this is known of the door's ports */
	uint64_t nproc;	      /* RLIMIT_NPROC instead of a pids group; 0 */
	unsigned drop;	      /* STAGE_DROP_*: 0 outside test builds */
	int fail_step;	      /* -1 outside test builds */
	int fail_errno;
};

/** stage_is_checked() - does the cell attack itself, and is it read back: not
 *  where programs are to notice what is missing. Of a filter that is left out
 *  the self test is to be seen to notice. */
static inline bool stage_is_checked(const struct stage *s)
{
	return !(s->drop & ~(unsigned)STAGE_DROP_NFT);
}

/** stage_has_source() - is the tree of this step open already */
static inline bool stage_has_source(const struct stage *s,
				    const struct plan_step *p)
{
	return !(p->flags & PLAN_F_OWN) && p->n < STAGE_SOURCES &&
	       s->source[p->n] >= 0;
}

/** stage_is_inner() - is the step done by the child (true) or pid 1 */
bool stage_is_inner(enum plan_op op);
/** stage_fail() - report FAULT on @sock and _exit() */
void stage_fail(int sock, size_t step, int sys, const char *path) NORETURN;

/** stage_signal_children() - to each child of this process; how many there are,
 *  dead ones that nobody has waited for among them */
unsigned stage_signal_children(int sig);

/** init_main() - pid 1, right after the clone; @s is its own copy by then */
void init_main(struct stage *s) NORETURN;
/** stage_device() - a node of the host's /dev at the same place below the
 *  current directory; 0 or -errno */
int stage_device(const char *path) MUST_USE;
/** apply_step() - one step of pid 1's part; 0 or -errno */
int apply_step(struct stage *s, const struct plan_step *p) MUST_USE;
/** lockdown_main() - the child: from the first inner step to exec */
void lockdown_main(const struct stage *s, size_t first) NORETURN;

/** stage_set_stdio() - the command's descriptors 0, 1, 2; 0 or -errno */
int stage_set_stdio(const struct stage *s) MUST_USE;
/** sandbox_main() - the same where the command is run by a sandbox: drives it
 *  (cell/guest.h), and ends as the command did */
void sandbox_main(const struct stage *s, size_t first) NORETURN;
/** vm_main() - the same with a machine (cell/vm.h) */
void vm_main(const struct stage *s, size_t first) NORETURN;
/** vm_tap() - the device cell0, by the descriptor of /dev/net/tun in
 *  @s->leg_net, which is the VMM's afterwards, or closed; 0 or -errno */
int vm_tap(struct stage *s) MUST_USE;
/** stage_limit_processes() - of each user that this process and what it starts
 *  will be, where no control group counts them; 0 or -errno */
int stage_limit_processes(const struct stage *s) MUST_USE;
/** stage_lock_helper() - this process, which is not the command, as nothing but
 *  @uid, which may read and run what its root has; @has_declared: and do
 *  with what the document shows as it says; 0 or -errno */
int stage_lock_helper(const struct stage *s, uid_t uid,
		      bool has_declared) MUST_USE;
/** sandbox_root() - what the sandbox's processes may see, around the cell's
 *  root, which is the current directory; 0 or -errno */
int sandbox_root(const struct stage *s, const struct plan_step *p) MUST_USE;
/** sandbox_leg() - a pair of links, and a second network namespace for the far
 *  end, @ret_net; 0 or -errno */
int sandbox_leg(int *ret_net) MUST_USE;

/** sandbox_console() - where the runtime sends a terminal to; a descriptor, or
 *  -errno */
int sandbox_console(void) MUST_USE;
/** sandbox_console_give() - pass it on to the supervisor, by @sock; the runtime
 *  has ended: it is there, or never will be; 0 or -errno */
int sandbox_console_give(int listener, int sock) MUST_USE;

/* -- the self test -- */
struct self_test {
	const char *name;
	const char *expected; /* errno word for the report */
	int want[6];	      /* any of these; 0 ends the list */
	enum {
		SELF_TEST_ALWAYS,
		SELF_TEST_NO_DOOR,
		SELF_TEST_DOOR,
		SELF_TEST_FILTER /* with a door in the same namespace */
	} when;
};
extern const struct self_test self_tests[];
extern const size_t self_test_count;
/** self_test_applies() - is it one for a cell with this door, NULL: none
 *  @has_leg: the door is in another namespace than the command */
bool self_test_applies(size_t index, const struct door *d, bool has_leg);
/** self_test_closed_port() - a port that @d lets nothing to */
uint16_t self_test_closed_port(const struct door *d);
/** self_test_run() - try one; Return: the errno it got, 0 if it succeeded */
int self_test_run(size_t index, uint16_t closed_port);
/** self_test_passed() */
bool self_test_passed(size_t index, int got);

#endif
