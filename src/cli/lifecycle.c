/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The run: its events in order, its one failure slot, its sure end. */
#include "cli/lifecycle_int.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/names.h"
#include "base/stop.h"
#include "cli/env.h"
#include "cli/kvm.h"
#include "wire/b64.h"
#include "image/image.h"

/* The first failure decides; later ones are only told to the operator */
void life_fail(struct life *l, enum lifecycle_fault fault, const struct err *e)
{
	char q[900];

	if (l->failed) {
		log_line(LOG_WARN, LIFE_TARGET, "also failed: %s",
			 log_quote(q, sizeof(q), e->text));
		return;
	}
	l->failed = true;
	l->phase = *e;
	l->res->fault = fault;
}

static enum lifecycle_fault our_fault(const struct life *l)
{
	return l->res->started ? LIFECYCLE_BROKEN : LIFECYCLE_REFUSED;
}

#define SINK_FAILED "jsonl sink emit: "

static void fail_sink(struct life *l, const struct err *e)
{
	struct err w = *e;

	(void)err_prefix(&w, SINK_FAILED);
	/* lost evidence is worse than a command that failed */
	if (l->failed && l->res->fault == LIFECYCLE_COMMAND)
		l->failed = false;
	l->res->lost_events |= !l->failed;
	life_fail(l, our_fault(l), &w);
}

/* Write what @body holds; an event that is lost ends the run */
void life_emit(struct life *l, enum event_type t)
{
	struct err e;

	if (journal_emit(l->journal, t, &l->body, NULL, &e) < 0)
		fail_sink(l, &e);
	wbuf_reset(&l->body);
}

void life_emit_from(struct life *l, enum event_type t, const char *source,
		    const char *time, const struct wbuf *body)
{
	struct err e;

	if (journal_emit_from(l->journal, t, source, time, body, NULL, &e) < 0)
		fail_sink(l, &e);
}

void life_boundary_begin(struct life *l)
{
	struct err e;

	if (journal_boundary_begin(l->journal, &e) < 0)
		fail_sink(l, &e);
}

void life_boundary_end(struct life *l)
{
	struct err e;

	if (!l->failed && journal_boundary_end(l->journal, &e) < 0)
		fail_sink(l, &e);
}

void life_flush(struct life *l)
{
	struct err e;

	if (journal_flush(l->journal, &e) < 0)
		fail_sink(l, &e);
}

void life_enforcement(struct life *l, const struct report_enforcement *r)
{
	event_enforcement(&l->body, &l->run, r);
	life_emit(l, EVENT_ENFORCEMENT);
	if (l->c->tap.enforcement)
		l->c->tap.enforcement(l->c->tap.arg, r);
}

/* Our word that the command was not started, or was ended, and why */
void life_verdict(struct life *l, enum report_phase phase, const char *stage,
		  const struct err *e)
{
	struct report_enforcement *r = &l->report;

	report_begin(r, phase, backend_name(l->c->backend));
	r->sys = e->sys;
	(void)snprintf(r->stage, sizeof(r->stage), "%s", stage);
	(void)snprintf(r->detail, sizeof(r->detail), "%.200s", e->text);
	life_enforcement(l, r);
}

bool life_has_net(const struct life *l)
{
	return !l->req.portable || (l->req.unshare & CELL_NS_NET);
}

static int hash_canonical(struct life *l, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4 * LIMIT_SPEC_FILE);
	uint8_t hash[crypto_hash_sha256_BYTES];

	spec_canonical(l->req.spec, &b);
	if (b.failed)
		return err_set(e, ERR_PLAIN, 0,
			       "canonical form of the "
			       "document is too long");
	(void)crypto_hash_sha256(hash, (const unsigned char *)b.p, b.len);
	memcpy(l->spec_hash, "sha256:", 7);
	hex_text(l->spec_hash + 7, hash, sizeof(hash));
	return 0;
}

/* Of an artifact of the run's machine; NULL: none, or not verified */
static const char *verified(const struct life *l, enum manifest_role r)
{
	const struct image *im = l->req.image;

	return im && !im->err.text[0] && im->manifest.digest[r][0]
		       ? im->manifest.digest[r]
		       : NULL;
}

static int setup_run(struct life *l, struct err *e)
{
	const struct lifecycle_config *c = l->c;
	int r;

	if (c->run_uuid) {
		(void)snprintf(l->res->run_uuid, UUID_TEXT_SIZE, "%s",
			       c->run_uuid);
	} else {
		r = uuid_v4(l->res->run_uuid);
		if (r < 0)
			return err_set(e, ERR_PLAIN, -r, "random bytes");
	}
	l->req.run_uuid = l->res->run_uuid;
	if (hash_canonical(l, e) < 0)
		return -1;
	l->run = (struct event_run){
		.spec = l->req.spec,
		.cell_id = l->req.spec->id.p,
		.run_id = c->run_id,
		.run_uuid = l->res->run_uuid,
		.raw_hash = c->raw_hash,
		.spec_hash = l->spec_hash,
		.keyset_id = c->keyset_id ? c->keyset_id : "cellos:builtin-v0",
		.resolver_kid = c->resolver_kid ? c->resolver_kid
						: "cellos-local-resolve-v0",
		.l7_kid = c->l7_kid ? c->l7_kid : "cellos-local-l7-v0",
	};
	l->run.kernel_digest = verified(l, MANIFEST_KERNEL);
	l->run.rootfs_digest = verified(l, MANIFEST_ROOTFS);
	l->run.vmm_digest = verified(l, MANIFEST_FIRECRACKER);
	return 0;
}

/*
 * All that can be known of a run before its cell is made. What is wrong is told
 * later, where the original's readers look for it; see is_admitted().
 */
static int check(struct life *l, struct err *e)
{
	const struct lifecycle_config *c = l->c;
	const struct spec *spec = l->req.spec;

	if (secrets_resolve(spec, c->request.envp, &l->secrets,
			    &l->secret_err) < 0 &&
	    !l->secrets.envp) {
		*e = l->secret_err;
		return -1;
	}
	l->req.envp = l->secrets.envp;
	if (!spec->run)
		return 0;
	if (lifecycle_argv0_check(c->argv0_prefixes, spec->run->argv.p[0],
				  &l->argv0_err) < 0 ||
	    lifecycle_deadline(spec, c->env_timeout, &l->deadline,
			       &l->setting_err) < 0)
		return 0;
	if (c->seccomp_error)
		(void)err_set(&l->setting_err, ERR_PLAIN, 0, "%s",
			      c->seccomp_error);
	return 0;
}

/* Else there is no cell, and no process of one */
static bool is_admitted(const struct life *l)
{
	return !l->secret_err.text[0] && !l->argv0_err.text[0] &&
	       !l->setting_err.text[0];
}

static int open_state(struct life *l, struct err *e)
{
	char q[900];

	if (state_run_open(l->c->dirs, l->res->run_uuid, l->run.cell_id,
			   l->run.run_id, &l->state, e) == 0) {
		l->req.state = l->state;
		return 0;
	}
	if (!l->req.portable)
		return -1;
	log_line(LOG_WARN, LIFE_TARGET,
		 "no run directory, gc will not know this run: %s",
		 log_quote(q, sizeof(q), e->text));
	return 0;
}

static int open_journal(struct life *l, struct err *e)
{
	struct journal_config jc = {
		.path = l->c->journal_path,
		.redact = l->c->redact,
		.signer = l->c->signer,
		.max_bytes = l->req.limits->v[LIMIT_JOURNAL_BYTES],
		/* a command may have planted a link where it could write */
		.no_follow = !l->req.portable,
		.last_run = true,
	};

	if (journal_open(&jc, &l->run, &l->journal, e) == 0)
		return 0;
	l->res->lost_events = true;
	return err_prefix(e, SINK_FAILED);
}

/* The last of all that is asked, because a machine is booted for it */
static int try_kvm(struct life *l)
{
	if (l->req.kvm != CELL_KVM_UNTRIED || !l->req.spec->run)
		return 0;
	l->req.kvm = kvm_try(l->c->dirs, &l->req);
	plan_drop(&l->plan);
	return l->c->backend->plan(&l->req, &l->plan, &l->create_err);
}

static int create_cell(struct life *l)
{
	const struct backend *b = l->c->backend;

	/* whether there is a door is part of the plan */
	if (l->c->door && life_has_net(l))
		l->req.door = &l->c->door->door;
	if (b->plan(&l->req, &l->plan, &l->create_err) < 0)
		return -1;
	if (!is_admitted(l))
		return 0;
	if (try_kvm(l) < 0)
		return -1;
	if (l->c->tap.settled)
		l->c->tap.settled(l->c->tap.arg, &l->req);
	if (life_gate_start(l, &l->create_err) < 0) {
		l->gate_failed = true;
		return -1;
	}
	return b->create(&l->req, &l->plan, &l->cell, &l->create_err);
}

static void destroy(struct life *l);
static void emit_residue(struct life *l);

static void manifest_failed(struct life *l, const struct image_fault *f)
{
	event_manifest_failed(&l->body, f->role, f->expected, f->actual,
			      f->manifest);
	/* the original's has no time */
	life_emit_from(l, EVENT_MANIFEST_FAILED, EVENT_SOURCE_VM, "", &l->body);
	wbuf_reset(&l->body);
}

/* It may have been refused before its image was asked for. */
static bool is_of_image(const struct life *l)
{
	const struct image *im = l->req.image;

	return im && im->fault.set && !strcmp(im->err.text, l->create_err.text);
}

/* Gate 15: no event of the original's is written when it fails */
static void create_failed(struct life *l)
{
	struct err *e = &l->create_err;

	if (l->gate_failed)
		life_gate_unstarted(l, e->text);
	if (is_of_image(l))
		manifest_failed(l, &l->req.image->fault);
	(void)err_prefix(e, "cell create: ");
	life_verdict(l, REPORT_REFUSED, "create", e);
	life_fail(l, LIFECYCLE_REFUSED, e);
	l->res->spawn_errno = e->sys;
	if (!l->cell)
		return;
	destroy(l);
	emit_residue(l);
}

static void container_security(struct life *l)
{
	OWNED(wbuf_drop) struct wbuf status = WBUF_INIT(65536);
	int r = file_read(AT_FDCWD, "/proc/self/status", 0, &status);

	event_container_security(&l->body, &l->run,
				 r < 0 ? NULL : wbuf_cstr(&status));
	life_emit(l, EVENT_CONTAINER_SECURITY);
}

/* Signals are blocked: one that came before wait() is still pending */
void life_check_stop(struct life *l)
{
	int sig = stop_pending();
	struct err e;

	if (!sig)
		return;
	(void)err_set(&e, ERR_PLAIN, 0, "runner received SIG%s",
		      signal_word(sig));
	l->res->exit.how = CELL_STOPPED;
	l->res->exit.sig = sig;
	life_fail(l, LIFECYCLE_STOPPED, &e);
}

/* What is written before the command; docs/compatibility.md "Order of a run" */
static void announce(struct life *l)
{
	char now[CLOCK_TEXT_SIZE];

	event_network_scope(&l->body, &l->run);
	life_emit(l, EVENT_NETWORK_SCOPE);
	if (l->c->trust_plane_events) {
		clock_text(now, clock_wall(), CLOCK_FORM_A);
		event_dns_target_set(&l->body, &l->run, now);
		life_emit(l, EVENT_DNS_TARGET_SET);
		life_announce_rules(l);
	}
	life_announce_names(l);
	if (!l->failed && l->secret_err.text[0]) {
		log_line(LOG_ERROR, "cellos.supervisor.secrets",
			 "secret unresolvable broker=env: %s",
			 l->secret_err.text);
		life_fail(l, LIFECYCLE_REFUSED, &l->secret_err);
	}
	life_check_stop(l);
	if (l->failed)
		return;
	/* in the file while the cell assembles itself; the disk has it with the
	 * enforcement report, or the cell would wait for the disk as well */
	event_started(&l->body, &l->run);
	life_emit(l, EVENT_STARTED);
	life_flush(l);
	if (l->failed)
		return;
	container_security(l);
	if (!l->failed && life_has_net(l)) {
		event_network_policy(&l->body, &l->run);
		life_emit(l, EVENT_NETWORK_POLICY);
	}
}

/* Always, whatever state the cell is in */
static void destroy(struct life *l)
{
	struct report_residue *residue = &l->residue;
	struct err e;

	gate_process_free(&l->gate);
	if (l->cell && l->c->backend->destroy(l->cell, residue, &e) < 0) {
		report_residue_left(residue, "%.150s", e.text);
		(void)err_prefix(&e, "cell destroy: ");
		life_fail(l, our_fault(l), &e);
	}
	l->cell = NULL;
	l->res->residue_class = report_residue_class(residue);
}

static void emit_residue(struct life *l)
{
	event_residue(&l->body, &l->run, &l->residue, "run");
	life_emit(l, EVENT_RESIDUE);
	if (l->c->tap.residue)
		l->c->tap.residue(l->c->tap.arg, &l->residue);
}

/* Counted under the realtime switches only, as the original does. Without a
 * door the totals are those they began with: none. */
static const uint64_t *exercised(const struct life *l)
{
	bool is_known = l->req.door ? l->has_totals : life_has_net(l);

	return l->c->flows_realtime && is_known ? &l->totals.distinct : NULL;
}

/* Of a sandbox: did its command end, or was it ended? */
static const char *terminal_state(const struct life *l)
{
	const struct cell_exit *x = &l->res->exit;

	if (l->req.wall == CELL_WALL_HOST || !l->executed)
		return NULL;
	return l->res->started && (x->how == CELL_EXITED ||
				   x->how == CELL_SIGNALED)
		       ? "clean"
		       : "forced";
}

/* The end of every run that had a cell */
static void finish(struct life *l)
{
	char ref[512];

	/* neither says anything of teardown: signed while it goes on */
	event_summary(&l->body, &l->run,
		      l->executed && !life_is_lost_sandbox(l) ? &l->exit_code
							      : NULL);
	life_emit(l, EVENT_SUMMARY);
	event_homeostasis(&l->body, &l->run, exercised(l));
	life_emit(l, EVENT_HOMEOSTASIS);
	if (exercised(l) &&
	    event_homeostasis_violation(&l->body, &l->run, *exercised(l)))
		life_emit(l, EVENT_HOMEOSTASIS_VIOLATION);
	destroy(l);
	emit_residue(l);
	(void)snprintf(ref, sizeof(ref), "urn:cellos:evidence-bundle:%s",
		       l->run.run_id);
	event_destroyed(&l->body, &l->run, l->failed ? l->phase.text : NULL,
			l->req.portable ? NULL : l->res->residue_class,
			l->req.portable ? NULL : ref, terminal_state(l));
	life_emit(l, EVENT_DESTROYED);
}

static void run(struct life *l)
{
	const bool is_sandbox = l->req.wall != CELL_WALL_HOST;
	bool created;
	struct err e;

	if (setup_run(l, &e) < 0 || check(l, &e) < 0 || open_state(l, &e) < 0 ||
	    /* before another kernel is booted */
	    (is_sandbox && open_journal(l, &e) < 0)) {
		life_fail(l, LIFECYCLE_REFUSED, &e);
		return;
	}
	created = create_cell(l) == 0;
	/* the host's cell assembles itself meanwhile */
	if (!is_sandbox && open_journal(l, &e) < 0) {
		life_fail(l, LIFECYCLE_REFUSED, &e);
		destroy(l);
		return;
	}
	if (created) {
		announce(l);
		life_command(l);
		finish(l);
	} else {
		create_failed(l);
	}
	if (journal_close(l->journal, &e) < 0)
		fail_sink(l, &e);
}

static void signals_block(sigset_t *ret_old)
{
	sigset_t set;

	stop_signals(&set);
	(void)sigprocmask(SIG_BLOCK, &set, ret_old);
}

/* What stopped the run is dealt with: it must not kill the caller as well */
static void signals_restore(const sigset_t *old)
{
	const struct timespec now = { 0 };
	sigset_t set;

	stop_signals(&set);
	while (sigtimedwait(&set, NULL, &now) > 0)
		;
	(void)sigprocmask(SIG_SETMASK, old, NULL);
}

int lifecycle_run(const struct lifecycle_config *c,
		  struct lifecycle_result *ret, struct err *e)
{
	/* large, and mostly not written: fresh memory costs what is used */
	struct life *l = calloc(1, sizeof(*l));
	sigset_t old;

	*ret = (struct lifecycle_result){ .fault = LIFECYCLE_REFUSED };
	if (!l)
		return err_set(e, ERR_PLAIN, ENOMEM, "run");
	l->c = c;
	l->res = ret;
	l->req = c->request;
	l->exit_code = -1;
	l->body = WBUF_INIT(LIMIT_EVENT_LINE);
	ret->fault = LIFECYCLE_OK;
	ret->memory = l;
	signals_block(&old);
	run(l);
	if (ret->residue_class && strcmp(ret->residue_class, "none") != 0)
		state_run_leave(&l->state);
	else
		state_run_close(&l->state);
	secrets_drop(&l->secrets);
	signals_restore(&old);
	if (!l->failed)
		return 0;
	*e = l->phase;
	return -1;
}

void lifecycle_drop(struct lifecycle_result *r)
{
	struct life *l = r->memory;

	r->memory = NULL;
	if (!l)
		return;
	journal_free(&l->journal);
	plan_drop(&l->plan);
	wbuf_drop(&l->body);
	free(l);
}
