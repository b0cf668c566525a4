/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A machine is booted, and that is all. */
#include "cli/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/uuid.h"
#include "cell/vm.h"
#include "cli/kept.h"
#include "image/image.h"

#define FILE_  "kvm" /* in the state directory */
#define TARGET "cellos.host.kvm"

#define USABLE	 "usable"
#define UNUSABLE "unusable"

enum { TRIAL_MS = 5000 };

static bool can_open(void)
{
	OWNED(fd_drop) int fd = open(VM_KVM, O_RDWR | O_CLOEXEC);

	return fd >= 0;
}

/* UNTRIED: something else was in the way, and may not be the next time */
static enum cell_kvm boots(const struct cell_request *req,
			   struct report_residue *left)
{
	const struct backend *b = backend_of(req->wall);
	static struct report_enforcement r; /* large */
	static struct plan plan;
	struct backend_cell *cell = NULL;
	enum cell_kvm a = CELL_KVM_UNTRIED;
	struct err e;

	if (b->plan(req, &plan, &e))
		return a;
	if (b->create(req, &plan, &cell, &e) == 0) {
		if (b->prepare(cell, &r, &e) == 0)
			a = CELL_KVM_WORKS;
		else if (r.sys == ETIMEDOUT ||
			 !strcmp(r.stage, plan_op_word(PLAN_VMM)))
			a = CELL_KVM_FAILED;
	}
	if (a != CELL_KVM_WORKS)
		log_line(LOG_WARN, TARGET, "a machine did not boot by KVM: %s",
			 e.cause[0] ? e.cause : e.text);
	if (cell && b->destroy(cell, left, &e)) {
		report_residue_left(left, "%.150s", e.text);
		a = CELL_KVM_UNTRIED;
	}
	plan_drop(&plan);
	return a;
}

/* The same image and limits, no document of anybody's */
static enum cell_kvm try(const struct state_dirs *d,
			 const struct cell_request *given)
{
	static struct report_residue left; /* large */
	static struct slice words[] = { { "true", 4 } };
	static struct spec_run run = { .argv = { .p = words, .n = 1 } };
	static struct spec spec = { .id = { "kvm", 3 },
				    .run = &run,
				    .ttl_seconds = TRIAL_MS / 1000 };
	static char *const none[] = { NULL };
	char uuid[UUID_TEXT_SIZE];
	struct cell_request req = { .spec = &spec,
				    .run_uuid = uuid,
				    .wall = given->wall,
				    .image = given->image,
				    .kvm = CELL_KVM_WORKS,
				    .boot_ms = TRIAL_MS,
				    .cgroup_parent = given->cgroup_parent,
				    .pids_max = given->pids_max,
				    .envp = none,
				    .in = CELL_STDIN_NULL,
				    .limits = given->limits };
	enum cell_kvm a;
	struct err e;

	if (uuid_v4(uuid) ||
	    state_run_open(d, uuid, spec.id.p, "kvm", &req.state, &e))
		return CELL_KVM_UNTRIED;
	a = boots(&req, &left);
	if (!strcmp(report_residue_class(&left), "none")) {
		state_run_close(&req.state);
	} else {
		log_line(LOG_WARN, TARGET,
			 "something of the trial is left; `cellos gc` clears "
			 "it");
		state_run_leave(&req.state);
	}
	return a;
}

enum cell_kvm kvm_kept(const struct state_dirs *d, const struct image *im)
{
	char word[KEPT_WORD_SIZE];

	if (geteuid() != 0 || im->err.text[0] || !can_open())
		return CELL_KVM_NONE;
	if (!kept_get(d, FILE_, im->manifest.digest[MANIFEST_KERNEL], word))
		return CELL_KVM_UNTRIED;
	return strcmp(word, USABLE) ? CELL_KVM_FAILED : CELL_KVM_WORKS;
}

enum cell_kvm kvm_try(const struct state_dirs *d,
		      const struct cell_request *req)
{
	enum cell_kvm a = try(d, req);

	if (a != CELL_KVM_UNTRIED)
		kept_put(d, FILE_, req->image->manifest.digest[MANIFEST_KERNEL],
			 a == CELL_KVM_WORKS ? USABLE : UNUSABLE);
	return a;
}

void kvm_forget(const struct state_dirs *d)
{
	kept_forget(d, FILE_);
}
