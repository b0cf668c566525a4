/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * `cellos gc`: clear what dead runners left. Each dead run gets a signed
 * residue report in <state>/gc.jsonl; its own journal stays as it is.
 */
#include <errno.h>
#include <stdio.h>

#include "cell/state.h"
#include "cli/env.h"
#include "cli/run_setup.h"
#include "cli/verb.h"
#include "evidence/journal.h"
#include "wire/json_out.h"

struct gc {
	bool json;
	struct signer *signer;
	struct limits limits;
	char journal[300];
	size_t left; /* things that are still there */
	bool failed; /* a report could not be written */
	struct err e;
	struct wbuf b;
	struct json_out j;
};

static int take(void *ctx, const struct verb_opt *opt, const char *value,
		struct err *e)
{
	struct gc *g = ctx;

	if (!opt)
		return verb_no_options(ctx, opt, value, e);
	g->json = true;
	return 0;
}

static void journal_drop(struct journal **j)
{
	if (*j)
		journal_free(j);
}

/* The report is a run of its own in the file: opened, told, closed. */
static int write_report(struct gc *g, const struct state_info *info,
			const struct report_residue *r, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf data = WBUF_INIT(LIMIT_EVENT_LINE);
	OWNED(journal_drop) struct journal *j = NULL;
	struct event_run run = { .cell_id = info->cell_id,
				 .run_id = info->run_id,
				 .run_uuid = info->run_uuid };
	struct journal_config c = {
		.path = g->journal,
		.redact = env_text("CELLOS_REDACT_EVENT_FIELDS"),
		.signer = g->signer,
		.max_bytes = g->limits.v[LIMIT_JOURNAL_BYTES],
	};

	event_residue(&data, &run, r, "gc");
	if (journal_open(&c, &run, &j, e) ||
	    journal_emit(j, EVENT_RESIDUE, &data, NULL, e))
		return -1;
	return journal_close(j, e);
}

static void put_run(struct gc *g, const struct state_info *info,
		    const struct report_residue *r)
{
	json_out_object(&g->j);
	json_out_kstr(&g->j, "cellId", info->cell_id);
	json_out_key(&g->j, "found");
	json_out_array(&g->j);
	for (size_t i = 0; i < r->n_left; i++)
		json_out_str(&g->j, r->left[i]);
	json_out_end(&g->j, ']');
	json_out_kstr(&g->j, "residueClass", report_residue_class(r));
	json_out_kstr(&g->j, "runId", info->run_id);
	json_out_kstr(&g->j, "runUuid", info->run_uuid);
	json_out_end(&g->j, '}');
}

static void dead_run(void *arg, const struct state_info *info,
		     const struct report_residue *r)
{
	struct gc *g = arg;
	size_t left = 0;

	for (size_t i = 0; i < r->n_checked; i++)
		left += r->checked[i].left;
	g->left += left;
	if (!g->failed)
		g->failed = write_report(g, info, r, &g->e) != 0;
	if (g->json) {
		put_run(g, info, r);
		return;
	}
	printf("%s  %s: %s\n", info->run_uuid, info->cell_id,
	       left ? "not all could be cleared" : "cleared");
	for (size_t i = 0; i < r->n_left; i++)
		printf("  %s\n", r->left[i]);
}

static int collect(struct gc *g, struct err *e)
{
	struct state_dirs dirs;
	bool pids_asked;

	if (state_dirs_find(&dirs, e) ||
	    env_limits(&g->limits, &pids_asked, e) ||
	    run_setup_signer(&dirs, &g->signer, e))
		return -1;
	snprintf(g->journal, sizeof(g->journal), "%s/gc.jsonl", dirs.state);
	json_out_init(&g->j, &g->b, true);
	json_out_array(&g->j);
	if (gc_run(&dirs, dead_run, g, e) < 0)
		return -1;
	json_out_end(&g->j, ']');
	wbuf_byte(&g->b, '\n');
	if (g->failed) {
		*e = g->e;
		return err_wrap(e, "%s", g->journal);
	}
	if (!g->json)
		return 0;
	if (g->b.failed)
		return err_set(e, ERR_PLAIN, ENOMEM, "write the report");
	fwrite(g->b.p, 1, g->b.len, stdout);
	return 0;
}

int verb_gc(int argc, char **argv)
{
	struct gc g = { .b = WBUF_INIT(64 * 1024 * 1024) };
	struct err e = { 0 };
	enum verb_parsed p = verb_parse("gc", argc, argv, take, &g, NULL);
	int r;

	if (p != VERB_GO)
		return p == VERB_HELP ? EXIT_FINE : EXIT_USAGE;
	r = collect(&g, &e);
	wbuf_drop(&g.b);
	signer_stop(&g.signer);
	if (r)
		return verb_fail(&e, EXIT_FAILED);
	return g.left ? EXIT_FAILED : EXIT_FINE;
}
