/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `cellos ps`: the runs that have a file in the run directory. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "cell/state.h"
#include "cli/verb.h"
#include "wire/json_out.h"

struct ps {
	bool json;
	size_t rows;
	struct wbuf b;
	struct json_out j;
};

static int take(void *ctx, const struct verb_opt *opt, const char *value,
		struct err *e)
{
	struct ps *p = ctx;

	if (!opt)
		return verb_no_options(ctx, opt, value, e);
	p->json = true;
	return 0;
}

static struct timespec when(const struct state_info *i)
{
	return (struct timespec){ .tv_sec = (time_t)(i->started_ms / 1000),
				  .tv_nsec = (long)(i->started_ms % 1000) *
					     1000000L };
}

static void put_row(struct ps *p, const struct state_info *i)
{
	char text[CLOCK_TEXT_SIZE];

	clock_text(text, when(i), CLOCK_FORM_B);
	json_out_object(&p->j);
	json_out_kstr(&p->j, "cellId", i->cell_id);
	json_out_key(&p->j, "initPid");
	if (i->init)
		json_out_i64(&p->j, i->init);
	else
		json_out_null(&p->j);
	json_out_kstr(&p->j, "runId", i->run_id);
	json_out_kstr(&p->j, "runUuid", i->run_uuid);
	json_out_key(&p->j, "runnerPid");
	if (i->runner)
		json_out_i64(&p->j, i->runner);
	else
		json_out_null(&p->j);
	json_out_kstr(&p->j, "startedAt", text);
	json_out_kstr(&p->j, "state", i->runner ? "running" : "dead");
	json_out_end(&p->j, '}');
}

static int row(void *arg, const struct state_info *i)
{
	struct ps *p = arg;
	char text[CLOCK_TEXT_SIZE];

	if (p->json) {
		put_row(p, i);
		return 0;
	}
	if (!p->rows++)
		printf("%-36s  %-7s  %-20s  %7s  %s\n", "RUN", "STATE",
		       "STARTED", "PID", "CELL");
	clock_text(text, when(i), CLOCK_FORM_C);
	printf("%-36s  %-7s  %-20s  %7d  %s\n", i->run_uuid,
	       i->runner ? "running" : "dead", text, (int)i->runner,
	       i->cell_id);
	return 0;
}

static int list(struct ps *p, struct err *e)
{
	struct state_dirs dirs;

	if (state_dirs_find(&dirs, e))
		return -1;
	json_out_init(&p->j, &p->b, true);
	json_out_array(&p->j);
	if (state_list(&dirs, row, p, e) < 0)
		return -1;
	json_out_end(&p->j, ']');
	wbuf_byte(&p->b, '\n');
	if (!p->json)
		return 0;
	if (p->b.failed)
		return err_set(e, ERR_PLAIN, ENOMEM, "list runs");
	fwrite(p->b.p, 1, p->b.len, stdout);
	return 0;
}

int verb_ps(int argc, char **argv)
{
	struct ps ps = { .b = WBUF_INIT(64 * 1024 * 1024) };
	struct err e = { 0 };
	enum verb_parsed p = verb_parse("ps", argc, argv, take, &ps, NULL);
	int r;

	if (p != VERB_GO)
		return p == VERB_HELP ? EXIT_FINE : EXIT_USAGE;
	r = list(&ps, &e);
	wbuf_drop(&ps.b);
	return r < 0 ? verb_fail(&e, EXIT_FAILED) : EXIT_FINE;
}
