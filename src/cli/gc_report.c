/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reports of what dead runners left. */
#include "cli/gc_report.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "cli/env.h"
#include "cli/run_setup.h"
#include "evidence/journal.h"

#define TARGET "cellos.supervisor.host"

int gc_report_init(struct gc_report *g, const struct state_dirs *d,
		   struct err *e)
{
	bool pids_asked;

	*g = (struct gc_report){ 0 };
	if (env_limits(&g->limits, &pids_asked, e) ||
	    run_setup_state_signer(d, &g->signer, e))
		return -1;
	(void)snprintf(g->journal, sizeof(g->journal), "%s/gc.jsonl", d->state);
	return 0;
}

static void journal_drop(struct journal **j)
{
	if (*j)
		journal_free(j);
}

int gc_report_write(struct gc_report *g, const struct state_info *info,
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
	    journal_emit(j, EVENT_RESIDUE, &data, NULL, e) ||
	    journal_close(j, e))
		return err_wrap(e, "%s", g->journal);
	return 0;
}

void gc_report_drop(struct gc_report *g)
{
	signer_stop(&g->signer);
}

static int is_dead(void *arg, const struct state_info *info)
{
	bool *dead = arg;

	*dead |= info->runner == 0;
	return *dead;
}

static int tell(void *arg, const struct state_info *info,
		const struct report_residue *r)
{
	struct err e;
	int ret = gc_report_write(arg, info, r, &e);

	if (ret)
		log_line(LOG_WARN, TARGET, "gc of run %s: %s", info->run_uuid,
			 e.text);
	else
		log_line(LOG_INFO, TARGET,
			 "cleared what run %s left, reported in gc.jsonl",
			 info->run_uuid);
	return ret;
}

void gc_at_start(const struct state_dirs *d)
{
	struct gc_report g = { 0 };
	bool dead = false;
	struct err e;

	if (state_list(d, is_dead, &dead, &e) == 0 && !dead)
		return;
	if (gc_report_init(&g, d, &e) || gc_run(d, tell, &g, &e) < 0)
		log_line(LOG_WARN, TARGET, "gc: %s", e.text);
	gc_report_drop(&g);
}
