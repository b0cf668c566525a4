/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `cellos run`: one document or command in a cell, always signed. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/utf8.h"
#include "cli/gc_report.h"
#include "cli/lifecycle.h"
#include "cli/refusals.h"
#include "cli/run_setup.h"
#include "cli/run_spec.h"
#include "cli/verb.h"
#include "cli/wall.h"

static int print_spec(const struct run_args *a)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(LIMIT_SPEC_FILE);
	OWNED(wbuf_drop) struct wbuf out = WBUF_INIT(2 * LIMIT_SPEC_FILE);
	OWNED(document_drop) struct document d = { 0 };
	char uuid[UUID_TEXT_SIZE];
	struct err e = { 0 };
	int r = uuid_v4(uuid);

	if (r)
		(void)err_set(&e, ERR_PLAIN, -r, "make a run UUID");
	/* what is printed is a document that `run` takes */
	if (r || run_setup_text(a, uuid, &text, &e) ||
	    document_from_text(wbuf_as_slice(&text), &d, &e))
		return verb_fail(&e, EXIT_RUN_FAILED);
	run_spec_pretty(wbuf_as_slice(&text), &out);
	fwrite(out.p, 1, out.len, stdout);
	return EXIT_FINE;
}

/* Absolute path of the journal, its directory made if it is ours. */
static int journal_path(const struct run_args *a, const struct run_setup *s,
			char buf[PATH_MAX], struct err *e)
{
	OWNED(fd_drop) int fd = -1;
	char dir[PATH_MAX];

	if (a->events) {
		char *cut;

		snprintf(dir, sizeof(dir), "%s", a->events);
		cut = strrchr(dir, '/');
		if (cut)
			cut[1] = '\0';
		if (!realpath(cut ? dir : ".", buf))
			return err_set(e, ERR_SINK, errno, "%s", a->events);
		cut = strrchr(a->events, '/');
		if (snprintf(dir, sizeof(dir), "%s/%s",
			     strcmp(buf, "/") ? buf : "",
			     cut ? cut + 1 : a->events) >= (int)sizeof(dir))
			return err_set(e, ERR_SINK, ENAMETOOLONG, "%s",
				       a->events);
		memcpy(buf, dir, sizeof(dir));
		return 0;
	}
	snprintf(dir, sizeof(dir), "%s/runs", s->dirs.state);
	fd = state_dir_open(dir, e);
	if (fd < 0)
		return -1;
	snprintf(buf, PATH_MAX, "%s/runs/%s.jsonl", s->dirs.state, s->uuid);
	return 0;
}

static int exit_status(const struct lifecycle_result *r)
{
	switch (r->fault) {
	case LIFECYCLE_OK:
		return EXIT_FINE;
	case LIFECYCLE_COMMAND:
		if (r->exit.how == CELL_EXITED)
			return r->exit.code;
		return 128 + r->exit.sig;
	case LIFECYCLE_DEADLINE:
		return EXIT_RUN_TIMEOUT;
	case LIFECYCLE_STOPPED:
		return 128 + (r->exit.sig ? r->exit.sig : SIGTERM);
	case LIFECYCLE_SPAWN:
		return r->spawn_errno == ENOENT ? EXIT_RUN_NOENT
						: EXIT_RUN_NOEXEC;
	case LIFECYCLE_BROKEN:
		/* the limit of the cell took the sandbox and not the command:
		 * to who waits for it that is the same */
		if (r->exit.sandbox_ended && r->exit.oom)
			return 128 + SIGKILL;
		break;
	case LIFECYCLE_REFUSED:
		break;
	}
	return EXIT_RUN_FAILED;
}

static void tell_journal(const char *path)
{
	fputs("Events: ", stderr);
	utf8_print(stderr, path);
	fputc('\n', stderr);
}

/* The command speaks for itself; we only say what it cannot know. */
static void tell(const struct lifecycle_result *r, const char *journal,
		 const struct err *e)
{
	switch (r->fault) {
	case LIFECYCLE_OK:
		break;
	case LIFECYCLE_COMMAND:
		if (r->exit.oom)
			fputs("cellos: the cell reached its memory limit\n",
			      stderr);
		break;
	case LIFECYCLE_STOPPED:
		break;
	case LIFECYCLE_DEADLINE:
	case LIFECYCLE_SPAWN:
		err_print(stderr, e);
		break;
	case LIFECYCLE_REFUSED:
	case LIFECYCLE_BROKEN:
		err_print(stderr, e);
		/* it is named there, and this host is not the reason */
		if (r->lost_events)
			break;
		if (!r->started)
			fputs("\"cellos doctor\" says what works here. ",
			      stderr);
		tell_journal(journal);
		break;
	}
}

static void on_gate(void *arg, const struct gate_policy *p,
		    const struct gate_record *r)
{
	(void)p;
	refusals_note(arg, r);
}

static void on_settled(void *arg, const struct cell_request *req)
{
	(void)arg;
	if (wall_warning(req))
		fprintf(stderr, "cellos: %s\n", wall_warning(req));
}

static int run_cell(const struct run_args *a)
{
	OWNED(run_setup_drop) struct run_setup s = { 0 };
	OWNED(signer_stop) struct signer *signer = NULL;
	static struct lifecycle_result r; /* left to the end */
	static struct refusals refused;
	char journal[PATH_MAX];
	struct err e = { 0 };
	struct lifecycle_config c;

	if (run_setup(a, &s, &e) || run_setup_signer(&s.dirs, &signer, &e) ||
	    journal_path(a, &s, journal, &e) ||
	    run_setup_reach(&s, journal, &e))
		return verb_fail(&e, EXIT_RUN_FAILED);
	gc_at_start(&s.dirs);
	c = (struct lifecycle_config){
		.backend = s.backend,
		.request = s.req,
		.run_uuid = s.uuid,
		.raw_hash = s.doc.raw_hash,
		.run_id = s.cfg.run_id,
		.journal_path = journal,
		.signer = signer,
		.dirs = &s.dirs,
		.door = s.door,
		.tap = { .settled = on_settled,
			 .gate = on_gate,
			 .arg = &refused },
	};
	config_lifecycle(&s.cfg, &c);
	if (lifecycle_run(&c, &r, &e))
		tell(&r, journal, &e);
	refusals_print(stderr, &refused, a->spec_path != NULL);
	if (r.residue_class && strcmp(r.residue_class, "none") != 0) {
		fputs("cellos: something of the cell is left; \"cellos gc\" "
		      "clears it. ",
		      stderr);
		tell_journal(journal);
	}
	return exit_status(&r);
}

int verb_run(int argc, char **argv)
{
	OWNED(run_args_drop) struct run_args a = { .verb = "run" };
	struct err e = { 0 };
	int rest;
	enum verb_parsed p =
		verb_parse("run", argc, argv, run_args_take, &a, &rest);

	if (p != VERB_GO)
		return p == VERB_HELP ? EXIT_FINE : EXIT_RUN_FAILED;
	if (run_args_finish(&a, argc, argv, rest, &e))
		return verb_usage("run", "%s", e.text);
	if (a.print_spec)
		return print_spec(&a);
	return run_cell(&a);
}
