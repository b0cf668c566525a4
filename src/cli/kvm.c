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
#include "image/image.h"

#define FILE_  "kvm" /* in the state directory */
#define TARGET "cellos.host.kvm"

#define USABLE	 "usable\n"
#define UNUSABLE "unusable\n"

enum { TRIAL_MS = 5000, KEY_SIZE = 160 };

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

/* What an answer is for */
static bool get_key(const struct image *im, char *buf, size_t size)
{
	OWNED(wbuf_drop) struct wbuf id = WBUF_INIT(256);

	if (file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 0, &id))
		return false;
	(void)snprintf(buf, size, "%.36s %s ", wbuf_cstr(&id),
		       im->manifest.digest[MANIFEST_KERNEL]);
	return true;
}

enum cell_kvm kvm_kept(const struct state_dirs *d, const struct image *im)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(512);
	OWNED(fd_drop)
	int state = open(d->state, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char text[KEY_SIZE];
	size_t n;

	if (geteuid() != 0 || im->err.text[0] || !can_open() ||
	    !get_key(im, text, sizeof(text)))
		return CELL_KVM_NONE;
	n = strlen(text);
	if (file_read(state, FILE_, O_NOFOLLOW, &b) || b.len <= n ||
	    memcmp(b.p, text, n) != 0)
		return CELL_KVM_UNTRIED;
	return strcmp(wbuf_cstr(&b) + n, USABLE) ? CELL_KVM_FAILED
						 : CELL_KVM_WORKS;
}

enum cell_kvm kvm_try(const struct state_dirs *d,
		      const struct cell_request *req)
{
	OWNED(fd_drop)
	int state = open(d->state, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char text[KEY_SIZE];
	enum cell_kvm a = try(d, req);
	size_t n;

	if (a == CELL_KVM_UNTRIED || !get_key(req->image, text, sizeof(text)))
		return a;
	n = strlen(text);
	(void)snprintf(text + n, sizeof(text) - n, "%s",
		       a == CELL_KVM_WORKS ? USABLE : UNUSABLE);
	if (file_replace(state, FILE_, 0600, text, strlen(text))) {
		/* then it is tried the next time, too */
	}
	return a;
}

void kvm_forget(const struct state_dirs *d)
{
	char path[4200];

	(void)snprintf(path, sizeof(path), "%s/" FILE_, d->state);
	(void)unlink(path);
}
