/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Checking a journal: lines, runs, findings, verdict. */
#include "evidence/verify.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evidence/verify_int.h"

const struct verify_finding_info verify_findings[VERIFY_FINDING_NUM] = {
#define X(name, word, cls, text) [VERIFY_##name] = { word, cls, text },
	VERIFY_FINDINGS(X)
#undef X
};

bool verify_grow(struct verify_work *w, void *array, size_t n, size_t *cap,
		 size_t size)
{
	size_t want = *cap ? 2 * *cap : 16;
	void *old, *p;

	if (n < *cap)
		return !w->no_memory;
	memcpy(&old, array, sizeof(old));
	p = want <= SIZE_MAX / size ? realloc(old, want * size) : NULL;
	if (!p) {
		w->no_memory = true;
		return false;
	}
	memcpy(array, &p, sizeof(p));
	*cap = want;
	return true;
}

void verify_say(struct verify_work *w, enum verify_finding_kind kind,
		size_t line, uint64_t event, const struct verify_chain *c,
		const char *fmt, ...)
{
	struct verify_result *r = w->res;
	struct verify_finding *f;
	va_list ap;

	if (!verify_grow(w, &r->findings, r->n_findings, &w->cap_findings,
			 sizeof(*r->findings)))
		return;
	f = &r->findings[r->n_findings++];
	*f = (struct verify_finding){
		.kind = kind,
		.line = line == VERIFY_NONE ? 0 : line + 1,
		.event = event,
	};
	if (c)
		(void)snprintf(f->run_uuid, sizeof(f->run_uuid), "%s",
			       c->run_uuid);
	va_start(ap, fmt);
	(void)vsnprintf(f->detail, sizeof(f->detail), fmt, ap);
	va_end(ap);
}

static int lines_read(struct verify_work *w, struct slice file,
		      const struct verify_keys *k)
{
	const char *p = file.p, *lf;
	size_t n = 0, left = file.n;

	while (left && (lf = memchr(p, '\n', left))) {
		n++;
		left -= (size_t)(lf - p) + 1;
		p = lf + 1;
	}
	w->lines = calloc(n + 1, sizeof(*w->lines));
	if (!w->lines)
		return -1;
	for (p = file.p, left = file.n; w->n_lines < n; p = lf + 1) {
		lf = memchr(p, '\n', left);
		left -= (size_t)(lf - p) + 1;
		w->lines[w->n_lines].text =
			(struct slice){ p, (size_t)(lf - p) };
		if (verify_line_read(&w->lines[w->n_lines++], k, &w->arena))
			return -1;
	}
	if (left)
		verify_say(w, VERIFY_TORN, n, 0, NULL, "%zu bytes", left);
	else if (n == 0)
		verify_say(w, VERIFY_EMPTY, VERIFY_NONE, 0, NULL, "no line");
	return 0;
}

/* What every line has to say for itself, once it is known which it is. */
static void lines_say(struct verify_work *w)
{
	const struct verify_item *it;
	const struct verify_line *l;
	uint64_t event;
	size_t i;

	for (i = 0; i < w->n_lines; i++) {
		l = &w->lines[i];
		it = l->item == VERIFY_NONE ? NULL : &w->items[l->item];
		event = it ? it->event : 0;
		if (!l->is_json) {
			verify_say(w, VERIFY_NOT_JSON, i, event, NULL, "%s",
				   l->why);
		} else if (l->is_bad) {
			verify_say(w, VERIFY_BAD_SIGNATURE, i, event, NULL,
				   "kid %s: %s", l->kid, l->why);
		} else if (l->is_unknown) {
			verify_say(w, VERIFY_UNKNOWN_KID, i, event, NULL,
				   "kid %s (%s)", l->kid, l->alg);
		}
	}
}

/* Lines that call themselves links and are none. */
static void links_say(struct verify_work *w)
{
	struct verify_line *l;
	size_t i;

	for (i = 0; i < w->n_lines; i++) {
		l = &w->lines[i];
		if (!l->is_json || l->is_bad || !l->why)
			continue;
		verify_say(w, VERIFY_LINK_BROKEN, i, 0, NULL, "%s", l->why);
		/* altered on its way, it may still be listed as an event */
		l->is_settled = l->item == VERIFY_NONE;
	}
}

static int chain_cmp(const void *pa, const void *pb)
{
	const struct verify_chain *a = pa, *b = pb;

	return a->first_line < b->first_line ? -1 : 1;
}

static int runs_say(struct verify_work *w)
{
	struct verify_result *r = w->res;
	const struct verify_chain *c;
	struct verify_run *run;
	size_t i;

	/* no item is looked at any more: their run numbers may go stale */
	if (w->n_chains)
		qsort(w->chains, w->n_chains, sizeof(*w->chains), chain_cmp);
	r->runs = calloc(w->n_chains + 1, sizeof(*r->runs));
	if (!r->runs)
		return -1;
	for (i = 0; i < w->n_chains; i++) {
		c = &w->chains[i];
		run = &r->runs[r->n_runs++];
		(void)snprintf(run->run_uuid, sizeof(run->run_uuid), "%s",
			       c->run_uuid);
		(void)snprintf(run->cell_id, sizeof(run->cell_id), "%s",
			       c->cell_id);
		(void)snprintf(run->run_id, sizeof(run->run_id), "%s",
			       c->run_id);
		run->events = c->events;
		run->closed = c->is_closed;
		run->is_signed = c->is_signed;
		if (!c->is_closed)
			verify_say(w, VERIFY_UNFINISHED, VERIFY_NONE, 0, c,
				   "intact to event %" PRIu64 "; %" PRIu64
				   " more after its last link",
				   c->events, c->tail);
		else if (!c->is_signed)
			verify_say(w, VERIFY_UNSIGNED, VERIFY_NONE, 0, c,
				   "%" PRIu64 " events", c->events);
	}
	return 0;
}

/* By line, those of the file or of a run last */
static int finding_cmp(const void *pa, const void *pb)
{
	const struct verify_finding *a = pa, *b = pb;

	if (a->line != b->line)
		return a->line - 1 < b->line - 1 ? -1 : 1;
	if (a->line && a->event != b->event)
		return a->event < b->event ? -1 : 1;
	if (a->line && a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return 0;
}

static int judge(struct verify_work *w, struct slice file,
		 const struct verify_keys *k, uint64_t expect)
{
	if (lines_read(w, file, k))
		return -1;
	verify_chains(w);
	if (!w->no_memory)
		verify_place(w);
	if (!w->no_memory) {
		links_say(w);
		verify_gaps(w);
	}
	if (!w->no_memory)
		lines_say(w);
	if (w->no_memory || runs_say(w))
		return -1;
	if (w->n_chains < expect)
		verify_say(w, VERIFY_TOO_FEW_RUNS, VERIFY_NONE, 0, NULL,
			   "%zu of %" PRIu64, w->n_chains, expect);
	if (w->res->n_findings)
		qsort(w->res->findings, w->res->n_findings,
		      sizeof(*w->res->findings), finding_cmp);
	return w->no_memory ? -1 : 0;
}

int verify_bytes(struct slice file, const struct verify_keys *k,
		 uint64_t expect, struct verify_result *ret, struct err *e)
{
	struct verify_result res = { 0 };
	struct verify_work w = { .res = &res };
	int r = -1;

	/* ids and digests of a line are no longer than its text; alignment */
	if (file.n < SIZE_MAX / 32) {
		w.arena = ARENA_INIT(16 * file.n + 65536);
		r = sodium_init() < 0 ? -1 : judge(&w, file, k, expect);
	}
	arena_drop(&w.arena);
	free(w.lines);
	free(w.items);
	free(w.chains);
	if (r) {
		verify_result_drop(&res);
		return err_set(e, ERR_PLAIN, 0, "verify: not enough memory");
	}
	*ret = res;
	return 0;
}

int verify_exit(const struct verify_result *r)
{
	static const int order[] = { 1, 2, 3, 4 };
	size_t i, k;

	for (k = 0; k < ARRAY_SIZE(order); k++)
		for (i = 0; i < r->n_findings; i++)
			if (verify_findings[r->findings[i].kind].exit_class ==
			    order[k])
				return order[k];
	return 0;
}

void verify_result_drop(struct verify_result *r)
{
	free(r->findings);
	free(r->runs);
	*r = (struct verify_result){ 0 };
}
