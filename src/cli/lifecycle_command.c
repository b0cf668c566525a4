/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Within a run: the command, from its announcement to its outcome. */
#include "cli/lifecycle_int.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/names.h"
#include "base/utf8.h"
#include "cell/message.h"
#include "cli/platform.h"
#include "wire/telemetry.h"

/* What cannot be recorded must not go on. Blocked: wait() reads both, and the
 * second signal allows no grace. */
static void end_unrecorded(struct life *l)
{
	(void)kill(getpid(), SIGTERM);
	(void)kill(getpid(), SIGINT);
	life_verdict(l, REPORT_ENDED, "record", &l->phase);
}

static void flush_or_end(struct life *l)
{
	life_flush(l);
	if (l->failed)
		end_unrecorded(l);
}

/* A lost violation would be a hole in the record: the cell is ended */
static void on_violation(void *arg, const struct report_enforcement *r)
{
	struct life *l = arg;

	if (l->failed)
		return;
	life_enforcement(l, r);
	flush_or_end(l);
}

/* Stamped here: of what a guest says only its own words are taken. */
static void on_telemetry(void *arg, const struct cell_telemetry *t)
{
	static const enum event_type types[TELEMETRY_PROBE_NUM] = {
		[TELEMETRY_SPAWNED] = EVENT_GUEST_SPAWNED,
		[TELEMETRY_EXITED] = EVENT_GUEST_EXITED,
		[TELEMETRY_INOTIFY] = EVENT_GUEST_INOTIFY,
		[TELEMETRY_DENIED] = EVENT_GUEST_DENIED,
		[TELEMETRY_CONNECT] = EVENT_GUEST_CONNECT,
	};
	struct life *l = arg;
	struct telemetry_frame f = { .pid = t->pid, .monotonic_ns = t->value };
	char now[CLOCK_TEXT_SIZE];

	if (l->failed)
		return;
	clock_text(now, clock_wall(), CLOCK_FORM_C);
	if (t->dropped > l->telemetry_dropped)
		l->telemetry_dropped = t->dropped;
	if (t->kind == CELL_TELEMETRY_LAST) {
		l->has_telemetry = t->value != 0;
	} else if (t->kind == CELL_TELEMETRY_SILENT) {
		event_agent_silenced(&l->body, &l->run,
				     CELL_TELEMETRY_WINDOW_MS, t->value);
		life_emit_from(l, EVENT_AGENT_SILENCED, EVENT_SOURCE_GUEST, now,
			       &l->body);
	} else if (t->probe < TELEMETRY_ALIVE && utf8_is_text(t->comm)) {
		f.probe = (enum telemetry_probe)t->probe;
		(void)snprintf(f.comm, sizeof(f.comm), "%s", t->comm);
		l->telemetry_events++;
		event_declared(&l->body, &l->run, &f, now);
		life_emit_from(l, types[t->probe], EVENT_SOURCE_GUEST, now,
			       &l->body);
	}
	wbuf_reset(&l->body);
	if (l->failed)
		end_unrecorded(l);
}

static void on_flush(void *arg)
{
	struct life *l = arg;

	if (!l->failed)
		flush_or_end(l);
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

static void judge_exit(struct life *l)
{
	struct cell_exit *x = &l->res->exit;
	struct err e;

	switch (x->how) {
	case CELL_EXITED:
		l->exit_code = x->code;
		break;
	case CELL_SIGNALED:
		if (x->oom)
			log_line(LOG_WARN, LIFE_TARGET,
				 "the memory limit of the cell killed it");
		break;
	case CELL_DEADLINE:
		set_spawn_error(l, LIFECYCLE_DEADLINE, l->deadline.text);
		break;
	case CELL_STOPPED:
		break; /* judged after command.v1.completed */
	case CELL_LOST:
		(void)err_set(&e, ERR_HOST, 0, "the cell was lost");
		set_spawn_error(l, LIFECYCLE_BROKEN, e.text);
		break;
	}
}

static void wait_cell(struct life *l)
{
	struct backend_watch w = {
		.violation = on_violation,
		.telemetry = on_telemetry,
		.flush = on_flush,
		.arg = l,
		.signer_pidfd = signer_pidfd(l->c->signer),
		.timeout_ms = l->deadline.ms,
		.grace_ms =
			1000 * spec_grace_seconds(
				       l->req.spec,
				       l->req.limits->v[LIMIT_GRACE_SECONDS]),
	};
	struct err e;

	if (l->c->backend->wait(l->cell, &w, &l->res->exit, &e) == 0) {
		judge_exit(l);
		return;
	}
	if (l->gate && gate_process_why(l->gate)[0])
		(void)err_set(&e, ERR_HOST, 0, "%s", gate_process_why(l->gate));
	l->res->exit.how = CELL_LOST;
	life_verdict(l, REPORT_ENDED, "wait", &e);
	(void)err_prefix(&e, "spec.run wait failed: ");
	set_spawn_error(l, LIFECYCLE_BROKEN, e.text);
}

/* It was ready, and is not let go: nothing of it ran. */
static void start_refused(struct life *l, enum plan_op stage,
			  const struct err *e)
{
	life_verdict(l, REPORT_REFUSED, plan_op_word(stage), e);
	spawn_failed(l, LIFECYCLE_REFUSED, e);
}

/* What goes wrong here is judged by command_result() */
static void execute(struct life *l)
{
	const struct backend *b = l->c->backend;
	struct err e;

	event_process_spawned(&l->body, &l->run);
	life_emit(l, EVENT_PROCESS_SPAWNED);
	if (l->failed)
		return;
	l->executed = true;
	if (l->setting_err.text[0]) {
		set_spawn_error(l, LIFECYCLE_REFUSED, l->setting_err.text);
		life_verdict(l, REPORT_REFUSED, "configuration",
			     &l->setting_err);
		return;
	}
	report_begin(&l->report, REPORT_PREPARED, backend_name(b));
	if (b->prepare(l->cell, &l->report, &e) < 0) {
		l->report.phase = REPORT_REFUSED;
		life_enforcement(l, &l->report);
		if (l->gate &&
		    strcmp(l->report.stage, plan_op_word(PLAN_DOOR)) == 0)
			life_gate_unstarted(l, l->report.detail);
		life_check_stop(l);
		if (!l->failed)
			spawn_failed(l, LIFECYCLE_REFUSED, &e);
		return;
	}
	platform_keep(l->c->dirs, &l->req, &l->report);
	life_enforcement(l, &l->report);
	l->door_held = l->req.door != NULL;
	life_boundary_begin(l);
	life_check_stop(l);
	if (l->failed)
		return;
	if (life_gate_open(l, &e) < 0) {
		start_refused(l, PLAN_DOOR, &e);
		return;
	}
	if (b->start(l->cell, &e) < 0) {
		life_check_stop(l);
		if (!l->failed && e.cls == ERR_HOST)
			start_refused(l, PLAN_EXEC, &e);
		else if (!l->failed)
			spawn_failed(l, LIFECYCLE_SPAWN, &e);
		return;
	}
	l->res->started = true;
	/* the report is in the file; the disk takes it while the command is
	 * on its way, or the command does not get far */
	life_boundary_end(l);
	if (l->failed)
		end_unrecorded(l);
	secrets_wipe(l->req.spec, &l->secrets);
	wait_cell(l);
}

bool life_is_lost_sandbox(const struct life *l)
{
	return l->res->started && l->res->exit.sandbox_ended;
}

/* The typed reasons of the original, and some of ours */
static const char *lost_word(const struct cell_exit *x)
{
	static const char *const words[CELL_TOLD_NUM] = {
		[CELL_TOLD_PANIC] = "kernel_panic",
		[CELL_TOLD_INIT] = "init_crashed",
		[CELL_TOLD_FILES] = "files_lost",
		[CELL_TOLD_PAUSED] = "vmm_paused",
		[CELL_TOLD_INTERNAL] = "vmm_internal_error",
		[CELL_TOLD_IO] = "vmm_io_error",
		[CELL_TOLD_STOPPED] = "vmm_stopped",
		[CELL_TOLD_MONITOR] = "vmm_monitor_lost",
	};

	if (x->oom)
		return "oom";
	return x->told < CELL_TOLD_NUM && words[x->told] ? words[x->told]
							 : "vmm_crashed";
}

static void lost_error(const struct life *l, struct err *e)
{
	if (l->res->exit.told == CELL_TOLD_SILENT)
		(void)err_set(e, ERR_PLAIN, 0,
			      "in-VM exit bridge: vsock exit-code wait timed "
			      "out after %us for cell %s "
			      "(CELLOS_FIRECRACKER_ALLOW_NO_VSOCK=1)",
			      l->req.firecracker.exit_wait_seconds,
			      l->run.cell_id);
	else
		(void)err_set(e, ERR_PLAIN, 0, "in-VM exit bridge: %s",
			      lost_word(&l->res->exit));
}

/* How much a guest said, and how much of it nobody wrote down */
static void telemetry_totals(struct life *l)
{
	NO_INIT struct report_enforcement r;
	char text[48];

	if (!l->req.telemetry.probes || !l->res->started || l->failed)
		return;
	report_begin(&r, REPORT_ENDED, backend_name(l->c->backend));
	(void)snprintf(text, sizeof(text), "%" PRIu64, l->telemetry_events);
	report_item_add(&r, "telemetry.events", "", text, true);
	/* a machine that was ended, or an agent that could not follow, had
	 * more to say */
	(void)snprintf(text, sizeof(text), "%" PRIu64 "%s",
		       l->telemetry_dropped,
		       l->has_telemetry ? "" : " or more");
	report_item_add(&r, "telemetry.dropped", "", text, true);
	life_enforcement(l, &r);
}

/* Written whatever the outcome; only then the outcome is the run's failure */
static void command_result(struct life *l)
{
	const char *spawn = l->spawn_error[0] ? l->spawn_error : NULL;
	const struct cell_exit *x = &l->res->exit;
	const bool lost = life_is_lost_sandbox(l);
	struct err e;

	if (!l->executed)
		return;
	telemetry_totals(l);
	if (life_has_net(l)) {
		event_network_enforcement(&l->body, &l->run,
					  lost ? NULL : &l->exit_code,
					  l->door_held, spawn);
		life_emit(l, EVENT_NETWORK_ENFORCEMENT);
	}
	if (!l->failed)
		life_flow_rows(l);
	if (l->failed)
		return;
	if (lost) {
		/* how its command ended nobody knows */
		lost_error(l, &e);
		(void)snprintf(e.cause, sizeof(e.cause), "%s", spawn);
		life_fail(l, LIFECYCLE_BROKEN, &e);
		return;
	}
	event_completed(&l->body, &l->run, l->res->started ? x->duration_ms : 0,
			l->exit_code, spawn);
	life_emit(l, EVENT_COMPLETED);
	if (l->failed)
		return;
	if (spawn) {
		(void)err_set(&e, ERR_PLAIN, 0, "command spawn: %s", spawn);
		(void)snprintf(e.cause, sizeof(e.cause), "%s", l->spawn_cause);
		life_fail(l, l->spawn_fault, &e);
	} else if (x->how == CELL_STOPPED) {
		if (x->sig > 0)
			(void)err_set(&e, ERR_PLAIN, 0, "runner received SIG%s",
				      signal_word(x->sig));
		else
			(void)err_set(&e, ERR_PLAIN, 0, "runner was stopped");
		life_fail(l, LIFECYCLE_STOPPED, &e);
	} else if (l->exit_code != 0) {
		(void)err_set(&e, ERR_PLAIN, 0, "command exited with status %d",
			      l->exit_code);
		life_fail(l, LIFECYCLE_COMMAND, &e);
	}
}

void life_command(struct life *l)
{
	if (!l->req.spec->run || l->failed)
		return;
	if (l->argv0_err.text[0]) {
		life_fail(l, LIFECYCLE_REFUSED, &l->argv0_err);
		return;
	}
	execute(l);
	life_gate_finish(l);
	command_result(l);
}
