/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Enforcement and residue reports: collected as values, written as data. */
#include "evidence/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "evidence/body.h"

static const char *const phase_words[] = {
	[REPORT_PREPARED] = "prepared",	  [REPORT_REFUSED] = "refused",
	[REPORT_VIOLATION] = "violation", [REPORT_ENDED] = "ended",
	[REPORT_TOTALS] = "totals",
};

/* A list that overflowed keeps a count beyond its size: the builder sees it. */
#define IS_FULL(n, max) ((n) >= (max) ? ((n) = (max) + 1, true) : false)

/* Counted lists: what lies behind their ends is not looked at. */
void report_begin(struct report_enforcement *r, enum report_phase phase,
		  const char *backend)
{
	r->phase = phase;
	r->backend = backend;
	r->n_items = r->n_probes = r->n_totals = 0;
	r->stage[0] = r->detail[0] = '\0';
	r->sys = r->syscall_nr = 0;
	r->syscall_name[0] = r->answer[0] = '\0';
}

void report_residue_begin(struct report_residue *r)
{
	r->n_checked = r->n_left = r->n_left_dropped = 0;
}

void report_item_add(struct report_enforcement *r, const char *name,
		     const char *asked, const char *got, bool enforced)
{
	struct report_item *it;

	if (IS_FULL(r->n_items, REPORT_ITEMS_MAX))
		return;
	it = &r->items[r->n_items++];
	(void)snprintf(it->name, sizeof(it->name), "%s", name);
	(void)snprintf(it->asked, sizeof(it->asked), "%s", asked ? asked : "");
	(void)snprintf(it->got, sizeof(it->got), "%s", got ? got : "");
	it->enforced = enforced;
}

void report_probe_add(struct report_enforcement *r, const char *name,
		      const char *expected, const char *got)
{
	struct report_probe *p;

	if (IS_FULL(r->n_probes, REPORT_ITEMS_MAX))
		return;
	p = &r->probes[r->n_probes++];
	(void)snprintf(p->name, sizeof(p->name), "%s", name);
	(void)snprintf(p->expected, sizeof(p->expected), "%s", expected);
	(void)snprintf(p->got, sizeof(p->got), "%s", got);
	p->passed = !strcmp(expected, got);
}

void report_total_add(struct report_enforcement *r, const char *name,
		      uint64_t value)
{
	if (IS_FULL(r->n_totals, REPORT_TOTALS_MAX))
		return;
	r->totals[r->n_totals++] = (struct report_total){ name, value };
}

static void put_items(struct json_out *j, const struct report_enforcement *r)
{
	size_t i;

	json_out_key(j, "items");
	json_out_array(j);
	for (i = 0; i < r->n_items; i++) {
		const struct report_item *it = &r->items[i];

		json_out_object(j);
		json_out_key(j, "asked");
		if (it->asked[0])
			body_text(j, it->asked);
		else
			json_out_null(j);
		json_out_kbool(j, "enforced", it->enforced);
		body_ktext(j, "got", it->got);
		body_ktext(j, "name", it->name);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void put_probes(struct json_out *j, const struct report_enforcement *r)
{
	size_t i;

	json_out_key(j, "probes");
	json_out_array(j);
	for (i = 0; i < r->n_probes; i++) {
		const struct report_probe *p = &r->probes[i];

		json_out_object(j);
		body_ktext(j, "expected", p->expected);
		body_ktext(j, "got", p->got);
		body_ktext(j, "name", p->name);
		json_out_kbool(j, "passed", p->passed);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void put_totals(struct json_out *j, const struct report_enforcement *r)
{
	size_t i;

	json_out_key(j, "totals");
	json_out_array(j);
	for (i = 0; i < r->n_totals; i++) {
		json_out_object(j);
		json_out_kstr(j, "name", r->totals[i].name);
		json_out_ku64(j, "value", r->totals[i].value);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void put_run(struct json_out *j, const struct event_run *run)
{
	body_ktext(j, "runId", run->run_id);
	body_ktext(j, "runUuid", run->run_uuid);
	body_spec_id(j, run);
}

void event_enforcement(struct wbuf *b, const struct event_run *run,
		       const struct report_enforcement *r)
{
	struct json_out j;

	if (r->n_items > REPORT_ITEMS_MAX || r->n_probes > REPORT_ITEMS_MAX ||
	    r->n_totals > REPORT_TOTALS_MAX) {
		b->failed = true;
		return;
	}
	json_out_init(&j, b, true);
	json_out_object(&j);
	body_ktext(&j, "backend", r->backend);
	body_ktext(&j, "cellId", run->cell_id);
	if (r->detail[0])
		body_ktext(&j, "detail", r->detail);
	if (r->sys)
		json_out_ki64(&j, "errno", r->sys);
	put_items(&j, r);
	json_out_kstr(&j, "phase", phase_words[r->phase]);
	put_probes(&j, r);
	put_run(&j, run);
	if (r->stage[0])
		body_ktext(&j, "stage", r->stage);
	if (r->phase == REPORT_VIOLATION) {
		json_out_key(&j, "syscall");
		json_out_object(&j);
		body_ktext(&j, "answer", r->answer);
		body_ktext(&j, "name", r->syscall_name);
		json_out_ki64(&j, "number", r->syscall_nr);
		json_out_end(&j, '}');
	}
	if (r->phase == REPORT_TOTALS)
		put_totals(&j, r);
	json_out_end(&j, '}');
}

void report_residue_checked(struct report_residue *r, const char *kind,
			    unsigned looked_at, unsigned left)
{
	if (IS_FULL(r->n_checked, ARRAY_SIZE(r->checked)))
		return;
	(void)snprintf(r->checked[r->n_checked].kind,
		       sizeof(r->checked[0].kind), "%s", kind);
	r->checked[r->n_checked].looked_at = looked_at;
	r->checked[r->n_checked].left = left;
	r->n_checked++;
}

void report_residue_left(struct report_residue *r, const char *fmt, ...)
{
	va_list ap;

	if (r->n_left >= RESIDUE_MAX) {
		r->n_left_dropped++;
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(r->left[r->n_left++], sizeof(r->left[0]), fmt, ap);
	va_end(ap);
}

const char *report_residue_class(const struct report_residue *r)
{
	size_t i;

	if (r->n_left || r->n_left_dropped)
		return "documented_exception";
	for (i = 0; i < r->n_checked && i < ARRAY_SIZE(r->checked); i++)
		if (r->checked[i].left)
			return "documented_exception";
	return "none";
}

void event_residue(struct wbuf *b, const struct event_run *run,
		   const struct report_residue *r, const char *by)
{
	struct json_out j;
	size_t i;

	if (r->n_checked > ARRAY_SIZE(r->checked)) {
		b->failed = true;
		return;
	}
	json_out_init(&j, b, true);
	json_out_object(&j);
	json_out_kstr(&j, "by", by);
	body_ktext(&j, "cellId", run->cell_id);
	json_out_key(&j, "checked");
	json_out_array(&j);
	for (i = 0; i < r->n_checked; i++) {
		json_out_object(&j);
		body_ktext(&j, "kind", r->checked[i].kind);
		json_out_ku64(&j, "left", r->checked[i].left);
		json_out_ku64(&j, "lookedAt", r->checked[i].looked_at);
		json_out_end(&j, '}');
	}
	json_out_end(&j, ']');
	json_out_key(&j, "left");
	json_out_array(&j);
	for (i = 0; i < r->n_left; i++)
		body_text(&j, r->left[i]);
	json_out_end(&j, ']');
	json_out_ku64(&j, "leftDropped", r->n_left_dropped);
	json_out_kstr(&j, "residueClass", report_residue_class(r));
	put_run(&j, run);
	json_out_end(&j, '}');
}
