/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The run: its events in order, its one failure slot, its sure end. */
#include "cli/lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "cli/env.h"
#include "cli/secrets.h"
#include "evidence/report.h"
#include "wire/b64.h"

#define TARGET "cellos.supervisor.host"

/* A run in flight. @failed says whether @phase holds the phase error. */
struct life {
	const struct lifecycle_config *c;
	struct lifecycle_result *res;
	struct cell_request req;
	struct event_run run;
	char spec_hash[8 + 64];
	struct secrets secrets;
	struct err secret_err;
	bool secret_failed;
	struct state_run *state;
	struct journal *journal;
	struct plan plan;
	struct backend_cell *cell;
	struct report_enforcement report;
	struct wbuf body;

	bool failed;
	struct err phase;
	bool executed; /* the command phase was reached */
	bool created;
	struct err create_err;
	int exit_code;
	char spawn_error[768]; /* "" = none */
	char spawn_cause[768]; /* stage and path, for stderr; "" = none */
	enum lifecycle_fault spawn_fault;
};

/* The first failure decides; later ones are only told to the operator */
static void fail(struct life *l, enum lifecycle_fault fault,
		 const struct err *e)
{
	char q[900];

	if (l->failed) {
		log_line(LOG_WARN, TARGET, "also failed: %s",
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

static void fail_sink(struct life *l, const struct err *e)
{
	struct err w;

	(void)err_set(&w, ERR_PLAIN, 0, "jsonl sink emit: %s", e->text);
	(void)snprintf(w.cause, sizeof(w.cause), "%s", e->cause);
	w.sys = e->sys;
	/* lost evidence is worse than a command that failed */
	if (l->failed && l->res->fault == LIFECYCLE_COMMAND)
		l->failed = false;
	fail(l, our_fault(l), &w);
}

/* Write what @body holds; an event that is lost ends the run */
static void emit(struct life *l, enum event_type t)
{
	struct err e;

	if (journal_emit(l->journal, t, &l->body, NULL, &e) < 0)
		fail_sink(l, &e);
	wbuf_reset(&l->body);
}

static void boundary_begin(struct life *l)
{
	struct err e;

	if (journal_boundary_begin(l->journal, &e) < 0)
		fail_sink(l, &e);
}

static void boundary_end(struct life *l)
{
	struct err e;

	if (!l->failed && journal_boundary_end(l->journal, &e) < 0)
		fail_sink(l, &e);
}

static void boundary(struct life *l)
{
	boundary_begin(l);
	boundary_end(l);
}

/* A violation stands in the file while the cell still runs */
static void flush(struct life *l)
{
	struct err e;

	if (journal_flush(l->journal, &e) < 0)
		fail_sink(l, &e);
}

static void emit_enforcement(struct life *l, const struct report_enforcement *r)
{
	event_enforcement(&l->body, &l->run, r);
	emit(l, EVENT_ENFORCEMENT);
	if (l->c->tap.enforcement)
		l->c->tap.enforcement(l->c->tap.arg, r);
}

/* Our word that the command was not started, or was ended, and why */
static void emit_verdict(struct life *l, enum report_phase phase,
			 const char *stage, const struct err *e)
{
	struct report_enforcement *r = &l->report;

	*r = (struct report_enforcement){ .phase = phase,
					  .sys = e->sys,
					  .backend = l->c->backend->name };
	(void)snprintf(r->stage, sizeof(r->stage), "%s", stage);
	(void)snprintf(r->detail, sizeof(r->detail), "%.200s", e->text);
	emit_enforcement(l, r);
}

static bool has_net(const struct life *l)
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
	/*
	 * Before the cell is made, because it takes its environment with it;
	 * a failure is told where the original's readers look for it.
	 */
	l->secret_failed = secrets_resolve(l->req.spec, c->request.envp,
					   &l->secrets, &l->secret_err) < 0;
	if (!l->secrets.envp) {
		*e = l->secret_err;
		return -1;
	}
	l->req.envp = l->secrets.envp;
	return 0;
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
	log_line(LOG_WARN, TARGET,
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
	struct err inner;

	if (journal_open(&jc, &l->run, &l->journal, &inner) == 0)
		return 0;
	(void)err_set(e, ERR_PLAIN, 0, "jsonl sink emit: %s", inner.text);
	(void)snprintf(e->cause, sizeof(e->cause), "%s", inner.cause);
	e->sys = inner.sys;
	return -1;
}

/* First of all: it assembles itself while the journal is opened */
static void create_cell(struct life *l)
{
	const struct backend *b = l->c->backend;

	l->created =
		b->plan(&l->req, &l->plan, &l->create_err) == 0 &&
		b->create(&l->req, &l->plan, &l->cell, &l->create_err) == 0;
}

static void destroy(struct life *l, struct report_residue *residue);
static void emit_residue(struct life *l, const struct report_residue *residue);

/* Gate 15: no event of the original's is written when it fails */
static void create_failed(struct life *l)
{
	const struct err *e = &l->create_err;
	struct report_residue residue = { 0 };
	struct err w;

	(void)err_set(&w, ERR_PLAIN, 0, "cell create: %s", e->text);
	(void)snprintf(w.cause, sizeof(w.cause), "%s", e->cause);
	w.sys = e->sys;
	emit_verdict(l, REPORT_REFUSED, "create", &w);
	fail(l, LIFECYCLE_REFUSED, &w);
	l->res->spawn_errno = e->sys;
	if (!l->cell)
		return;
	destroy(l, &residue);
	emit_residue(l, &residue);
}

static void container_security(struct life *l)
{
	OWNED(wbuf_drop) struct wbuf status = WBUF_INIT(65536);
	int r = file_read(AT_FDCWD, "/proc/self/status", 0, &status);

	event_container_security(&l->body, &l->run,
				 r < 0 ? NULL : wbuf_cstr(&status));
	emit(l, EVENT_CONTAINER_SECURITY);
}

/* Signals are blocked: one that came before wait() is still pending */
static void check_stop(struct life *l)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP };
	sigset_t set;
	struct err e;

	if (sigpending(&set) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
		if (!sigismember(&set, sigs[i]))
			continue;
		(void)err_set(&e, ERR_PLAIN, 0, "runner received SIG%s",
			      sigabbrev_np(sigs[i]));
		l->res->exit.how = CELL_STOPPED;
		l->res->exit.sig = sigs[i];
		fail(l, LIFECYCLE_STOPPED, &e);
		return;
	}
}

/* What is written before the command; docs/compatibility.md "Order of a run" */
static void announce(struct life *l)
{
	char now[CLOCK_TEXT_SIZE];

	event_network_scope(&l->body, &l->run);
	emit(l, EVENT_NETWORK_SCOPE);
	if (l->c->trust_plane_events) {
		clock_text(now, clock_wall(), CLOCK_FORM_A);
		event_dns_target_set(&l->body, &l->run, now);
		emit(l, EVENT_DNS_TARGET_SET);
	}
	if (!l->failed && l->secret_failed) {
		log_line(LOG_ERROR, "cellos.supervisor.secrets",
			 "secret unresolvable broker=env: %s",
			 l->secret_err.text);
		fail(l, LIFECYCLE_REFUSED, &l->secret_err);
	}
	check_stop(l);
	if (l->failed)
		return;
	/* on disk while the cell assembles itself: the sync before the command
	 * then has little left to do */
	event_started(&l->body, &l->run);
	emit(l, EVENT_STARTED);
	boundary(l);
	if (l->failed)
		return;
	container_security(l);
	if (!l->failed && has_net(l)) {
		event_network_policy(&l->body, &l->run);
		emit(l, EVENT_NETWORK_POLICY);
	}
}

/* What cannot be recorded must not go on. Blocked: wait() reads both, and the
 * second signal allows no grace. */
static void end_unrecorded(struct life *l)
{
	(void)kill(getpid(), SIGTERM);
	(void)kill(getpid(), SIGINT);
	emit_verdict(l, REPORT_ENDED, "record", &l->phase);
}

/* A lost violation would be a hole in the record: the cell is ended */
static void on_violation(void *arg, const struct report_enforcement *r)
{
	struct life *l = arg;

	if (l->failed)
		return;
	emit_enforcement(l, r);
	flush(l);
	if (l->failed)
		end_unrecorded(l);
}

/*
 * The original's plain path gave the bare text of the system; its isolated
 * path, and every full cell, names the step.
 */
static void set_spawn_error(struct life *l, enum lifecycle_fault fault,
			    const char *text)
{
	static const char form[] = "spec.run spawn failed: ";
	bool is_plain = l->req.portable && !l->req.unshare &&
			l->req.seccomp == CELL_SECCOMP_OFF &&
			!l->req.cgroup_parent;

	if (is_plain && strncmp(text, form, sizeof(form) - 1) == 0)
		text += sizeof(form) - 1;
	(void)snprintf(l->spawn_error, sizeof(l->spawn_error), "%s", text);
	l->spawn_fault = fault;
}

static void spawn_failed(struct life *l, enum lifecycle_fault fault,
			 const struct err *e)
{
	set_spawn_error(l, fault, e->text);
	l->res->spawn_errno = e->sys;
	(void)snprintf(l->spawn_cause, sizeof(l->spawn_cause), "%s", e->cause);
}

static void judge_exit(struct life *l, const struct lifecycle_deadline *d)
{
	struct cell_exit *x = &l->res->exit;
	struct err e;

	switch (x->how) {
	case CELL_EXITED:
		l->exit_code = x->code;
		break;
	case CELL_SIGNALED:
		if (x->oom)
			log_line(LOG_WARN, TARGET,
				 "the memory limit of the cell killed it");
		break;
	case CELL_DEADLINE:
		set_spawn_error(l, LIFECYCLE_DEADLINE, d->text);
		break;
	case CELL_STOPPED:
		break; /* judged after command.v1.completed */
	case CELL_LOST:
		(void)err_set(&e, ERR_HOST, 0, "the cell was lost");
		set_spawn_error(l, LIFECYCLE_BROKEN, e.text);
		break;
	}
}

static void wait_cell(struct life *l, const struct lifecycle_deadline *d)
{
	struct backend_watch w = {
		.violation = on_violation,
		.arg = l,
		.signer_pidfd = signer_pidfd(l->c->signer),
		.timeout_ms = d->ms,
		.grace_ms =
			1000 * spec_grace_seconds(
				       l->req.spec,
				       l->req.limits->v[LIMIT_GRACE_SECONDS]),
	};
	struct err e, x;

	if (l->c->backend->wait(l->cell, &w, &l->res->exit, &e) == 0) {
		judge_exit(l, d);
		return;
	}
	l->res->exit.how = CELL_LOST;
	(void)err_set(&x, ERR_PLAIN, 0, "spec.run wait failed: %s", e.text);
	set_spawn_error(l, LIFECYCLE_BROKEN, x.text);
	emit_verdict(l, REPORT_ENDED, "wait", &e);
}

/* What goes wrong here is judged by command_result() */
static void execute(struct life *l)
{
	const struct backend *b = l->c->backend;
	struct lifecycle_deadline d;
	struct err e;

	event_process_spawned(&l->body, &l->run);
	emit(l, EVENT_PROCESS_SPAWNED);
	if (l->failed)
		return;
	l->executed = true;
	if (lifecycle_deadline(l->req.spec, l->c->env_timeout, &d, &e) < 0 ||
	    (l->c->seccomp_error &&
	     err_set(&e, ERR_PLAIN, 0, "%s", l->c->seccomp_error))) {
		set_spawn_error(l, LIFECYCLE_REFUSED, e.text);
		emit_verdict(l, REPORT_REFUSED, "configuration", &e);
		return;
	}
	l->report = (struct report_enforcement){ .backend = b->name };
	if (b->prepare(l->cell, &l->report, &e) < 0) {
		l->report.phase = REPORT_REFUSED;
		emit_enforcement(l, &l->report);
		check_stop(l);
		if (!l->failed)
			spawn_failed(l, LIFECYCLE_REFUSED, &e);
		return;
	}
	emit_enforcement(l, &l->report);
	boundary_begin(l);
	check_stop(l);
	if (l->failed)
		return;
	if (b->start(l->cell, &e) < 0) {
		check_stop(l);
		if (!l->failed)
			spawn_failed(l, LIFECYCLE_SPAWN, &e);
		return;
	}
	l->res->started = true;
	/* the report is in the file; the disk takes it while the command is
	 * on its way, or the command does not get far */
	boundary_end(l);
	if (l->failed)
		end_unrecorded(l);
	secrets_wipe(l->req.spec, &l->secrets);
	wait_cell(l, &d);
}

/* Written whatever the outcome; only then the outcome is the run's failure */
static void command_result(struct life *l)
{
	const char *spawn = l->spawn_error[0] ? l->spawn_error : NULL;
	const struct cell_exit *x = &l->res->exit;
	struct err e;

	if (!l->executed)
		return;
	if (has_net(l)) {
		event_network_enforcement(&l->body, &l->run, l->exit_code,
					  false, spawn);
		emit(l, EVENT_NETWORK_ENFORCEMENT);
	}
	if (l->failed)
		return;
	event_completed(&l->body, &l->run, l->res->started ? x->duration_ms : 0,
			l->exit_code, spawn);
	emit(l, EVENT_COMPLETED);
	if (l->failed)
		return;
	if (spawn) {
		(void)err_set(&e, ERR_PLAIN, 0, "command spawn: %s", spawn);
		(void)snprintf(e.cause, sizeof(e.cause), "%s", l->spawn_cause);
		fail(l, l->spawn_fault, &e);
	} else if (x->how == CELL_STOPPED) {
		if (x->sig > 0)
			(void)err_set(&e, ERR_PLAIN, 0, "runner received SIG%s",
				      sigabbrev_np(x->sig));
		else
			(void)err_set(&e, ERR_PLAIN, 0, "runner was stopped");
		fail(l, LIFECYCLE_STOPPED, &e);
	} else if (l->exit_code != 0) {
		(void)err_set(&e, ERR_PLAIN, 0, "command exited with status %d",
			      l->exit_code);
		fail(l, LIFECYCLE_COMMAND, &e);
	}
}

static void command(struct life *l)
{
	const struct spec_run *run = l->req.spec->run;
	struct err e;

	if (!run || l->failed)
		return;
	if (lifecycle_argv0_check(l->c->argv0_prefixes, run->argv.p[0], &e) <
	    0) {
		fail(l, LIFECYCLE_REFUSED, &e);
		return;
	}
	execute(l);
	command_result(l);
}

/* Always, whatever state the cell is in */
static void destroy(struct life *l, struct report_residue *residue)
{
	struct err e, w;

	if (!l->cell)
		return;
	if (l->c->backend->destroy(l->cell, residue, &e) < 0) {
		(void)err_set(&w, ERR_PLAIN, 0, "cell destroy: %s", e.text);
		(void)snprintf(w.cause, sizeof(w.cause), "%s", e.cause);
		report_residue_left(residue, "%.150s", e.text);
		fail(l, our_fault(l), &w);
	}
	l->cell = NULL;
	l->res->residue_class = report_residue_class(residue);
}

static void emit_residue(struct life *l, const struct report_residue *residue)
{
	event_residue(&l->body, &l->run, residue, "run");
	emit(l, EVENT_RESIDUE);
	if (l->c->tap.residue)
		l->c->tap.residue(l->c->tap.arg, residue);
}

/* The end of every run that had a cell */
static void finish(struct life *l)
{
	struct report_residue residue = { 0 };
	char ref[512];

	/* neither says anything of teardown: signed while it goes on */
	event_summary(&l->body, &l->run, l->executed ? &l->exit_code : NULL);
	emit(l, EVENT_SUMMARY);
	event_homeostasis(&l->body, &l->run);
	emit(l, EVENT_HOMEOSTASIS);
	destroy(l, &residue);
	emit_residue(l, &residue);
	(void)snprintf(ref, sizeof(ref), "urn:cellos:evidence-bundle:%s",
		       l->run.run_id);
	event_destroyed(&l->body, &l->run, l->failed ? l->phase.text : NULL,
			l->req.portable ? NULL : l->res->residue_class,
			l->req.portable ? NULL : ref);
	emit(l, EVENT_DESTROYED);
}

static void run(struct life *l)
{
	struct report_residue residue = { 0 };
	struct err e;

	if (setup_run(l, &e) < 0 || open_state(l, &e) < 0) {
		fail(l, LIFECYCLE_REFUSED, &e);
		return;
	}
	create_cell(l);
	if (open_journal(l, &e) < 0) {
		fail(l, LIFECYCLE_REFUSED, &e);
		destroy(l, &residue);
		return;
	}
	if (l->created) {
		announce(l);
		command(l);
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

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, ret_old);
}

/* What stopped the run is dealt with: it must not kill the caller as well */
static void signals_restore(const sigset_t *old)
{
	const struct timespec now = { 0 };
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	while (sigtimedwait(&set, NULL, &now) > 0)
		;
	(void)sigprocmask(SIG_SETMASK, old, NULL);
}

int lifecycle_run(const struct lifecycle_config *c,
		  struct lifecycle_result *ret, struct err *e)
{
	struct life l = { .c = c,
			  .res = ret,
			  .req = c->request,
			  .exit_code = -1,
			  .body = WBUF_INIT(LIMIT_EVENT_LINE) };
	sigset_t old;

	*ret = (struct lifecycle_result){ .fault = LIFECYCLE_OK };
	signals_block(&old);
	run(&l);
	if (ret->residue_class && strcmp(ret->residue_class, "none") != 0)
		state_run_leave(&l.state);
	else
		state_run_close(&l.state);
	journal_free(&l.journal);
	plan_drop(&l.plan);
	secrets_drop(&l.secrets);
	wbuf_drop(&l.body);
	signals_restore(&old);
	if (!l.failed)
		return 0;
	*e = l.phase;
	return -1;
}
