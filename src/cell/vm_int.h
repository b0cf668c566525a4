/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the drivers of machines have in common: cell/vm.c for guests with our
 * init, cell/vm_foreign.c for those with another. */
#ifndef CELLOS_CELL_VM_INT_H
#define CELLOS_CELL_VM_INT_H

#include <poll.h>
#include <sys/types.h>

#include "cell/stage.h"
#include "cell/vm.h"
#include "cell/vm_start.h"
#include "sys/pump.h"

enum {
	VM_LOG_MAX = 65536, /* of the guest's console, the latest */
	VM_SYS_MAX = 4096,
	VM_QMP_LINE_MAX = 4096
};

struct vm_telemetry {
	uint64_t heard_ns; /* 0: nobody listens yet */
	uint64_t second_ns, events, bytes, dropped;
	bool is_silent; /* has been told */
	bool is_whole;	/* the last frame said that nothing is missing */
	size_t len;
	char buf[8192];
};

/* What QEMU's monitor says; of another VMM there is none. */
struct vm_qmp {
	int fd; /* -1 */
	bool is_greeted, is_capable;
	bool is_ready;	    /* its machine runs */
	unsigned asked;	    /* for its state, and not answered yet */
	enum cell_told end; /* of a machine whose VMM does not end with it; */
	bool is_sure;	    /* that is not to be waited for */
	const char *why;    /* of @end */
	size_t len;
	char buf[VM_QMP_LINE_MAX];
};

struct machine {
	struct stage *s;
	size_t step; /* VMM */
	pid_t vmm;
	int sigfd;
	int api; /* connection to the VMM's; -1 */
	bool echo_waits;
	int echo; /* where the console goes besides; -1 */
	int port[VM_PORTS_ALL], listener[VM_PORTS_ALL];
	struct vm_telemetry telemetry;
	struct vm_qmp qmp;
	struct pump flow[3]; /* by the command's descriptor */
	struct wbuf setup;   /* not yet sent from @sent on */
	size_t sent;
	struct vm_record rec;
	size_t rec_len;
	uint8_t key[VM_KEY_LEN];
	bool has_record, is_dead, is_asked_to_end;
	bool told[3]; /* the guest: that this flow has ended */
	int vmm_status;
	struct wbuf names[LIMIT_MOUNTS + 1]; /* sent, of what comes back */
	char log[VM_LOG_MAX];
	size_t log_len;
};

/** vm_fail() - report FAULT and end; all that was started ends with pid 1 */
void vm_fail(const struct machine *m, size_t step, int sys,
	     const char *what) NORETURN;
/** vm_boot_failed() - of a machine that ended before there was a command, or
 *  has nobody to talk to; says what its console said */
void vm_boot_failed(struct machine *m) NORETURN;
/** vm_order_send() - orders are few and short: they find room, or the VMM is
 * not well */
void vm_order_send(struct machine *m, struct vm_order o);
/**
 * vm_turn_for() - one turn of the loop
 * @is_running: the command's bytes are carried
 * @extra:      one more descriptor to wait for, -1: none
 * @ms:         at most as long; -1: as long as it takes
 *
 * Return: has @events happened on @extra
 */
bool vm_turn_for(struct machine *m, bool is_running, int extra, short events,
		 int ms);
/** vm_turn() - the same, for input, as long as it takes */
bool vm_turn(struct machine *m, bool is_running, int extra);
/** vm_drain() - what a dead machine has written is still in the sockets */
void vm_drain(struct machine *m);
/** vm_is_cut_off() - its channel has an end, or its VMM says that it stands
 *  still. A VMM that ends is reaped soon; of one that goes on there is nothing
 *  to come. */
bool vm_is_cut_off(struct machine *m);
/** vm_lost() - of a machine that ended, or is cut off, before its command did;
 *  says what its kernel or its VMM said of that, and the last line of its
 * console: its words are a guest's */
void vm_lost(struct machine *m) NORETURN;
/** vm_begin() - this process is a driver, and the VMM of the wall its child
 *  @m: zeroed */
void vm_begin(struct machine *m, struct stage *s, size_t step);
/** vm_echo() - the console goes to the command's output, too; 0 or -errno */
int vm_echo(struct machine *m) MUST_USE;
/** vm_wait_go() - until the supervisor lets it go */
void vm_wait_go(struct machine *m);
/** vm_wait_vmm() - struct vm_wait's, of a machine */
int vm_wait_vmm(void *arg, int fd, short events, uint64_t ns);
/** vm_check() - @r of a part of the start of the VMM; 0: go on */
void vm_check(struct machine *m, int r, const char *why);

/* -- vm_qmp.c -- */

/** vm_qmp_begin() - until QEMU says that its machine runs; else it has failed
 *  vm_qmp_serve() - there is something to read */
void vm_qmp_begin(struct machine *m);
void vm_qmp_serve(struct machine *m);

/* -- vm_telemetry.c -- */

/** vm_telemetry_begin() - from here on an agent is expected to be heard
 *  vm_telemetry_poll() - what to wait for; vm_telemetry_ms() - and how long
 *  vm_telemetry_serve() - what happened there
 *  vm_telemetry_end() - the last of it */
void vm_telemetry_begin(struct machine *m);
struct pollfd vm_telemetry_poll(const struct machine *m);
int vm_telemetry_ms(const struct machine *m);
void vm_telemetry_serve(struct machine *m, const struct pollfd *p);
void vm_telemetry_end(struct machine *m);

/** vm_foreign_main() - drives a guest whose init is not ours */
void vm_foreign_main(struct machine *m) NORETURN;

#endif
