/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * `cellos gc`: clear what dead runners left. Each dead run gets a signed
 * residue report in <state>/gc.jsonl; its own journal stays as it is.
 */
#include <errno.h>
#include <stdio.h>

#include "cell/state.h"
#include "cli/gc_report.h"
#include "cli/verb.h"
#include "wire/json_out.h"

struct gc {
	bool json;
	struct gc_report report;
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

static int dead_run(void *arg, const struct state_info *info,
		    const struct report_residue *r)
{
	struct gc *g = arg;
	size_t left = 0;
	int told;

	for (size_t i = 0; i < r->n_checked; i++)
		left += r->checked[i].left;
	g->left += left;
	told = gc_report_write(&g->report, info, r, &g->e);
	if (told)
		g->failed = true;
	if (g->json) {
		put_run(g, info, r);
		return told;
	}
	printf("%s  %s: %s\n", info->run_uuid, info->cell_id,
	       left ? "not all could be cleared" : "cleared");
	for (size_t i = 0; i < r->n_left; i++)
		printf("  %s\n", r->left[i]);
	return told;
}

static int collect(struct gc *g, struct err *e)
{
	struct state_dirs dirs;

	if (state_dirs_find(&dirs, e) || gc_report_init(&g->report, &dirs, e))
		return -1;
	json_out_init(&g->j, &g->b, true);
	json_out_array(&g->j);
	if (gc_run(&dirs, dead_run, g, e) < 0)
		return -1;
	json_out_end(&g->j, ']');
	wbuf_byte(&g->b, '\n');
	if (g->failed) {
		*e = g->e;
		return -1;
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
	gc_report_drop(&g.report);
	if (r)
		return verb_fail(&e, EXIT_FAILED);
	return g.left ? EXIT_FAILED : EXIT_FINE;
}
