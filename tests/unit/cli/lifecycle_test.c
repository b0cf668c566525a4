/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Unit test of the run loop over a wall that does what the row says: which
 * events there are, what the reason is, and that destroy() is always called.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/log.h"
#include "cli/document.h"
#include "cli/lifecycle.h"

/* What the wall is told to do, and what it was asked. */
struct backend_cell {
	const char *fail_at; /* name of the call that fails, or "" */
	int violations;
	struct cell_exit exit;
	char calls[128];
	char env[128];
	uint64_t timeout_ms, grace_ms;
};

/* The vtable has no argument of ours: one wall a test. */
static struct backend_cell wall;

static int call(const char *name, enum err_class cls, struct err *e)
{
	size_t n = strlen(wall.calls);

	(void)snprintf(wall.calls + n, sizeof(wall.calls) - n, "%s ", name);
	if (strcmp(wall.fail_at, name) != 0)
		return 0;
	return err_set(e, cls, EPERM,
		       cls == ERR_HOST ? "no %s" : "spec.run spawn failed",
		       name);
}

static int fake_plan(const struct cell_request *req, struct plan *ret,
		     struct err *e)
{
	(void)req;
	(void)ret;
	return call("plan", ERR_HOST, e);
}

static int fake_create(const struct cell_request *req, const struct plan *p,
		       struct backend_cell **ret, struct err *e)
{
	(void)p;
	(void)snprintf(wall.env, sizeof(wall.env), "%s", req->envp[0]);
	*ret = &wall; /* half a cell is a cell to destroy */
	return call("create", ERR_HOST, e);
}

static int fake_prepare(struct backend_cell *c, struct report_enforcement *r,
			struct err *e)
{
	(void)c;
	r->phase = REPORT_PREPARED;
	report_item_add(r, "seccomp", "on", "on", true);
	return call("prepare", ERR_PLAIN, e);
}

static int fake_start(struct backend_cell *c, struct err *e)
{
	(void)c;
	return call("start", ERR_PLAIN, e);
}

static int fake_wait(struct backend_cell *c, const struct backend_watch *w,
		     struct cell_exit *ret, struct err *e)
{
	struct report_enforcement r = { .phase = REPORT_VIOLATION,
					.backend = "host",
					.syscall_nr = 165,
					.syscall_name = "mount",
					.answer = "EPERM" };
	sigset_t pending;

	for (int i = 0; i < c->violations; i++)
		w->violation(w->arg, &r);
	assert_int_equal(sigpending(&pending), 0);
	if (sigismember(&pending, SIGTERM))
		c->exit = (struct cell_exit){ .how = CELL_STOPPED,
					      .sig = SIGTERM };
	c->timeout_ms = w->timeout_ms;
	c->grace_ms = w->grace_ms;
	*ret = c->exit;
	return call("wait", ERR_HOST, e);
}

static int fake_destroy(struct backend_cell *c, struct report_residue *r,
			struct err *e)
{
	(void)c;
	report_residue_checked(r, "pids", 1, 0);
	return call("destroy", ERR_HOST, e);
}

static const struct backend fake = {
	.plan = fake_plan,
	.create = fake_create,
	.prepare = fake_prepare,
	.start = fake_start,
	.wait = fake_wait,
	.destroy = fake_destroy,
};

#define DOC(run)                                                       \
	"{\"apiVersion\":\"cellos.io/v1\",\"kind\":\"ExecutionCell\"," \
	"\"spec\":{\"id\":\"c-1\",\"authority\":{},\"lifetime\":"      \
	"{\"ttlSeconds\":60}" run "}}"
#define RUN ",\"run\":{\"secretDelivery\":\"env\",\"argv\":[\"/bin/x\"]}"

#define HEAD "network_scope dns_target_set started container_security "
#define NET  "network_policy process_spawned "
#define TAIL "summary homeostasis residue destroyed "
#define ALL  "plan create prepare start wait destroy "

struct row {
	const char *doc, *fail_at;
	struct cell_exit exit;
	bool portable;
	int violations;
	enum lifecycle_fault fault;
	const char *reason; /* NULL: succeeded */
	const char *calls;
	const char *types; /* last segments, first letters unique */
};

/* What the caller of a run has set besides; of one test */
static struct {
	const char *prefixes, *timeout, *seccomp;
} given;

static char dir[] = "/tmp/cellos-lifecycle-XXXXXX";

/* Last segments of the types in the journal, links left out */
static void read_types(const char *path, struct wbuf *out, struct wbuf *text)
{
	const char *p;

	assert_int_equal(file_read(AT_FDCWD, path, 0, text), 0);
	for (p = wbuf_cstr(text); (p = strstr(p, "\"type\":\"dev.")); p++) {
		const char *end = strchr(p + 8, '"'), *dot = end;

		while (dot[-1] != '.')
			dot--;
		if (strncmp(dot, "link\"", 5) != 0)
			wbuf_fmt(out, "%.*s ", (int)(end - dot), dot);
	}
}

static void run_row(const struct row *row, uint64_t max_bytes)
{
	OWNED(document_drop) struct document d = { 0 };
	OWNED(signer_stop) struct signer *signer = NULL;
	OWNED(wbuf_drop) struct wbuf types = WBUF_INIT(65536);
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(1 << 22);
	static char path_var[] = "PATH=/bin";
	char *const envp[] = { path_var, NULL };
	struct state_dirs dirs = { 0 };
	OWNED(lifecycle_drop) struct lifecycle_result res = { 0 };
	char journal[64], want[512];
	struct limits limits;
	struct err e = { 0 };
	struct lifecycle_config c = {
		.backend = &fake,
		.run_id = "r-1",
		.dirs = &dirs,
		.journal_path = journal,
		.trust_plane_events = true,
		.argv0_prefixes = given.prefixes,
		.env_timeout = given.timeout,
		.seccomp_error = given.seccomp,
		.request = { .envp = envp,
			     .portable = row->portable,
			     .limits = &limits },
	};

	limits_default(&limits);
	if (max_bytes)
		limits.v[LIMIT_JOURNAL_BYTES] = max_bytes;
	(void)snprintf(dirs.run, sizeof(dirs.run), "%s/run", dir);
	(void)snprintf(dirs.state, sizeof(dirs.state), "%s/state", dir);
	(void)snprintf(journal, sizeof(journal), "%s/j", dir);
	(void)unlink(journal);
	assert_int_equal(document_from_text(slice_of(row->doc), &d, &e), 0);
	assert_int_equal(signer_start(SIGNER_NONE, "", NULL, 0, &signer, &e),
			 0);
	c.signer = signer;
	c.request.spec = &d.spec;
	c.raw_hash = d.raw_hash;
	wall = (struct backend_cell){ .fail_at = row->fail_at,
				      .violations = row->violations,
				      .exit = row->exit };
	assert_int_equal(lifecycle_run(&c, &res, &e), row->reason ? -1 : 0);
	if (max_bytes) /* the figures are the journal's */
		e.text[strlen(row->reason)] = '\0';
	assert_string_equal(row->reason ? e.text : "",
			    row->reason ? row->reason : "");
	assert_int_equal(res.fault, row->fault);
	assert_string_equal(wall.calls, row->calls);
	read_types(journal, &types, &text);
	if (row->types)
		assert_string_equal(wbuf_cstr(&types), row->types);
	/* the last line says how many events there are */
	assert_non_null(strstr(text.p, "\"final\":true"));
	if (strcmp(row->fail_at, "destroy") == 0)
		assert_non_null(strstr(text.p, "\"left\":[\"host backend: no "
					       "destroy: "));
	if (row->reason && strstr(row->calls, "start")) {
		(void)snprintf(want, sizeof(want), "\"reason\":\"%s",
			       row->reason);
		assert_non_null(strstr(text.p, want));
	}
	if (max_bytes) {
		assert_non_null(strstr(text.p, "\"phase\":\"ended\""));
		assert_non_null(
			strstr(wbuf_cstr(&types), " enforcement " TAIL));
	}
}

static void rows(void **state)
{
	static const struct row table[] = {
		{ DOC(RUN),
		  "",
		  { .how = CELL_EXITED },
		  false,
		  0,
		  LIFECYCLE_OK,
		  NULL,
		  ALL,
		  HEAD NET "enforcement network_enforcement completed " TAIL },
		{ DOC(RUN),
		  "",
		  { .how = CELL_EXITED, .code = 7 },
		  true,
		  0,
		  LIFECYCLE_COMMAND,
		  "command exited with status 7",
		  ALL,
		  HEAD "process_spawned enforcement completed " TAIL },
		{ DOC(RUN),
		  "",
		  { .how = CELL_SIGNALED, .sig = 9 },
		  true,
		  0,
		  LIFECYCLE_COMMAND,
		  "command exited with status -1",
		  ALL,
		  HEAD "process_spawned enforcement completed " TAIL },
		{ DOC(RUN),
		  "",
		  { .how = CELL_DEADLINE },
		  true,
		  0,
		  LIFECYCLE_DEADLINE,
		  "command spawn: cell killed by TTL watchdog after 60000 ms "
		  "(ttl_seconds=60)",
		  ALL,
		  HEAD "process_spawned enforcement completed " TAIL },
		{ DOC(RUN),
		  "",
		  { .how = CELL_STOPPED, .sig = SIGINT },
		  true,
		  0,
		  LIFECYCLE_STOPPED,
		  "runner received SIGINT",
		  ALL,
		  HEAD "process_spawned enforcement completed " TAIL },
		{ DOC(RUN),
		  "",
		  { .how = CELL_EXITED },
		  true,
		  2,
		  LIFECYCLE_OK,
		  NULL,
		  ALL,
		  HEAD "process_spawned enforcement enforcement enforcement "
		       "completed " TAIL },
		{ DOC(""),
		  "",
		  { 0 },
		  false,
		  0,
		  LIFECYCLE_OK,
		  NULL,
		  "plan create destroy ",
		  HEAD "network_policy " TAIL },
		{ DOC(RUN),
		  "plan",
		  { 0 },
		  false,
		  0,
		  LIFECYCLE_REFUSED,
		  "cell create: host backend: no plan: Operation not "
		  "permitted (os error 1)",
		  "plan ",
		  "enforcement " },
		{ DOC(RUN),
		  "create",
		  { 0 },
		  false,
		  0,
		  LIFECYCLE_REFUSED,
		  "cell create: host backend: no create: Operation not "
		  "permitted (os error 1)",
		  "plan create destroy ",
		  "enforcement residue " },
		{ DOC(RUN),
		  "prepare",
		  { 0 },
		  false,
		  0,
		  LIFECYCLE_REFUSED,
		  "command spawn: spec.run spawn failed: Operation not "
		  "permitted (os error 1)",
		  "plan create prepare destroy ",
		  HEAD NET "enforcement network_enforcement completed " TAIL },
		{ DOC(RUN),
		  "start",
		  { 0 },
		  false,
		  0,
		  LIFECYCLE_SPAWN,
		  "command spawn: spec.run spawn failed: Operation not "
		  "permitted (os error 1)",
		  "plan create prepare start destroy ",
		  HEAD NET "enforcement network_enforcement completed " TAIL },
		/* nothing was asked for: the bare text of the system */
		{ DOC(RUN),
		  "start",
		  { 0 },
		  true,
		  0,
		  LIFECYCLE_SPAWN,
		  "command spawn: Operation not permitted (os error 1)",
		  "plan create prepare start destroy ",
		  HEAD "process_spawned enforcement completed " TAIL },
		{ DOC(RUN),
		  "wait",
		  { 0 },
		  true,
		  0,
		  LIFECYCLE_BROKEN,
		  "command spawn: spec.run wait failed: host backend: no "
		  "wait: Operation not permitted (os error 1)",
		  ALL,
		  HEAD
		  "process_spawned enforcement enforcement completed " TAIL },
		{ DOC(RUN),
		  "destroy",
		  { .how = CELL_EXITED },
		  true,
		  0,
		  LIFECYCLE_BROKEN,
		  "cell destroy: host backend: no destroy: Operation not "
		  "permitted (os error 1)",
		  ALL,
		  HEAD "process_spawned enforcement completed " TAIL },
		{ DOC(RUN),
		  "destroy",
		  { .how = CELL_EXITED, .code = 2 },
		  true,
		  0,
		  LIFECYCLE_COMMAND,
		  "command exited with status 2",
		  ALL,
		  HEAD "process_spawned enforcement completed " TAIL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		run_row(&table[i], 0);
}

/* The journal is full in the middle of the run: the cell is ended, the end
 * is written, the reason says why. */
static void full_journal_ends_the_cell(void **state)
{
	static const struct row row = {
		DOC(RUN),
		"",
		{ .how = CELL_EXITED },
		true,
		4000,
		LIFECYCLE_BROKEN,
		"jsonl sink emit: event sink: journal budget: ",
		ALL,
		NULL
	};

	(void)state;
	run_row(&row, JOURNAL_RESERVE + 65536);
	assert_int_equal(wall.exit.how, CELL_STOPPED);
}

static void signal_before_start(void **state)
{
	static const struct row row = { DOC(RUN),
					"",
					{ 0 },
					true,
					0,
					LIFECYCLE_STOPPED,
					"runner received SIGTERM",
					"plan create destroy ",
					"network_scope dns_target_set " TAIL };
	sigset_t set, old;

	(void)state;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
	assert_int_equal(raise(SIGTERM), 0);
	run_row(&row, 0);
	/* it was dealt with: nothing is left to kill us */
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
}

/* The events of a run, and a wall that was only asked for its plan */
static void not_admitted(void **state)
{
#define SECRET                                                         \
	"{\"apiVersion\":\"cellos.io/v1\",\"kind\":\"ExecutionCell\"," \
	"\"spec\":{\"id\":\"c-1\",\"authority\":{\"secretRefs\":"      \
	"[\"K\"]},\"lifetime\":{\"ttlSeconds\":60}" RUN "}}"
#define AT_COMMAND HEAD NET "enforcement network_enforcement completed " TAIL
	static const struct {
		const char *doc, *prefixes, *timeout, *seccomp, *reason, *types;
	} table[] = {
		{ SECRET, NULL, NULL, NULL,
		  "secret K unresolvable via env broker: secret broker: env "
		  "var CELLOS_SECRET_K not set (required for secret key "
		  "\"K\")",
		  "network_scope dns_target_set " TAIL },
		{ DOC(RUN), "/usr", NULL, NULL,
		  "CELLOS_RUN_ARGV0_ALLOW_PREFIXES: spec.run.argv[0] "
		  "\"/bin/x\" is not under an allowed prefix",
		  HEAD "network_policy " TAIL },
		{ DOC(RUN), NULL, "0", NULL,
		  "command spawn: CELLOS_RUN_TIMEOUT_MS must be > 0",
		  AT_COMMAND },
		{ DOC(RUN), NULL, NULL, "seccomp: no",
		  "command spawn: seccomp: no", AT_COMMAND },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct row row = { .doc = table[i].doc,
				   .fail_at = "",
				   .fault = LIFECYCLE_REFUSED,
				   .reason = table[i].reason,
				   .calls = "plan ",
				   .types = table[i].types };

		given.prefixes = table[i].prefixes;
		given.timeout = table[i].timeout;
		given.seccomp = table[i].seccomp;
		run_row(&row, 0);
		/* and one that cannot be planned is told of that */
		row.fail_at = "plan";
		row.reason = "cell create: host backend: no plan: Operation "
			     "not permitted (os error 1)";
		row.types = "enforcement ";
		run_row(&row, 0);
	}
	given.prefixes = given.timeout = given.seccomp = NULL;
}

static void limits_reach_the_wall(void **state)
{
	static const struct row row = {
		DOC(",\"run\":{\"secretDelivery\":\"env\",\"argv\":[\"x\"],"
		    "\"timeoutMs\":1234,\"limits\":"
		    "{\"gracefulShutdownSeconds\":7}}"),
		"",
		{ .how = CELL_EXITED },
		true,
		0,
		LIFECYCLE_OK,
		NULL,
		ALL,
		NULL
	};

	(void)state;
	run_row(&row, 0);
	assert_int_equal(wall.timeout_ms, 1234);
	assert_int_equal(wall.grace_ms, 7000);
	assert_string_equal(wall.env, "PATH=/bin");
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	(void)snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),
		cmocka_unit_test(full_journal_ends_the_cell),
		cmocka_unit_test(signal_before_start),
		cmocka_unit_test(not_admitted),
		cmocka_unit_test(limits_reach_the_wall),
	};

	log_init(LOG_ERROR, false);
	return cmocka_run_group_tests_name("cli/lifecycle", tests, setup,
					   teardown);
}
