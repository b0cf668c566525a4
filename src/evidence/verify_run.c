/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Links to runs: which lines must be there, in which order. */
#include <inttypes.h>
#include <stdlib.h>

#include "evidence/verify_int.h"

/* Links of one run together, by sequence, then as they stand. */
static int link_cmp(const void *pa, const void *pb, void *arg)
{
	const struct verify_line *lines = arg;
	const size_t *a = pa, *b = pb;
	const struct verify_link *la = lines[*a].link, *lb = lines[*b].link;
	int c = strcmp(la->run_uuid, lb->run_uuid);

	if (c)
		return c;
	if (la->sequence != lb->sequence)
		return la->sequence < lb->sequence ? -1 : 1;
	return *a < *b ? -1 : 1;
}

static void item_add(struct verify_work *w, struct verify_item it)
{
	if (!verify_grow(w, &w->items, w->n_items, &w->cap_items,
			 sizeof(*w->items)))
		return;
	it.run = w->n_chains;
	it.line = VERIFY_NONE;
	w->items[w->n_items++] = it;
}

/* Lines that stood where links are missing: the links, and what they listed */
static void hole_add(struct verify_work *w, uint64_t links, uint64_t events)
{
	uint64_t n = links > UINT64_MAX - events ? UINT64_MAX : links + events;

	if (n)
		item_add(w, (struct verify_item){ .hole = n });
}

static void items_add(struct verify_work *w, size_t line)
{
	const struct verify_link *l = w->lines[line].link;
	struct verify_item it = { .link_line = line };
	size_t i;

	for (i = 0; i < l->n_digests; i++) {
		memcpy(it.hash, l->digests[i], LINK_HASH);
		it.event = l->from + i;
		item_add(w, it);
	}
	memcpy(it.hash, w->lines[line].hash, LINK_HASH);
	it.event = 0;
	item_add(w, it);
}

/* What is wrong with the link itself, or NULL */
static const char *form_fault(const struct verify_link *l)
{
	if (l->from == 0 || l->to != l->from - 1 + l->n_digests)
		return "from, to and digests do not agree";
	if (l->is_final && l->count != l->to)
		return "count is not the last event's number";
	if (l->sequence == 0 &&
	    (l->has_previous || l->from != 1 || l->n_digests))
		return "an opening link with a past";
	if (l->sequence > 0 && !l->has_previous)
		return "no digest of the previous link";
	return NULL;
}

/* @prev: line of the link before it, or VERIFY_NONE */
static void chain_check(struct verify_work *w, const struct verify_chain *c,
			size_t prev, size_t line)
{
	const struct verify_link *l = w->lines[line].link, *p;
	const char *fault = form_fault(l);

	if (fault) {
		verify_say(w, VERIFY_LINK_BROKEN, line, 0, c, "%s", fault);
		return;
	}
	if (prev == VERIFY_NONE) {
		if (l->sequence)
			verify_say(w, VERIFY_LINK_BROKEN, line, 0, c,
				   "the opening link is missing; events before "
				   "%" PRIu64 " are not covered",
				   l->from);
		return;
	}
	p = w->lines[prev].link;
	if (l->sequence != p->sequence + 1)
		verify_say(w, VERIFY_LINK_BROKEN, line, 0, c,
			   "link %" PRIu64 " is missing; events %" PRIu64
			   " to %" PRIu64 " are not covered",
			   p->sequence + 1, p->to + 1, l->from - 1);
	else if (memcmp(l->previous, w->lines[prev].hash, LINK_HASH) != 0)
		verify_say(w, VERIFY_LINK_BROKEN, line, 0, c,
			   "the link before it was another line");
	else if (l->from != p->to + 1)
		verify_say(w, VERIFY_LINK_BROKEN, line, 0, c,
			   "it covers from event %" PRIu64 ", not %" PRIu64,
			   l->from, p->to + 1);
	else if (strcmp(l->cell_id, p->cell_id) ||
		 strcmp(l->run_id, p->run_id) || strcmp(l->spec_id, p->spec_id))
		verify_say(w, VERIFY_LINK_BROKEN, line, 0, c,
			   "it names another cell, run or document");
}

static void chain_take(struct verify_work *w, struct verify_chain *c,
		       size_t prev, size_t line)
{
	const struct verify_link *l = w->lines[line].link, *p;
	uint64_t seq = 0, from = 1;

	if (prev != VERIFY_NONE) {
		p = w->lines[prev].link;
		seq = p->sequence + 1;
		from = p->to + 1;
	}
	chain_check(w, c, prev, line);
	hole_add(w, l->sequence - seq, l->from > from ? l->from - from : 0);
	items_add(w, line);
	c->is_closed = l->is_final;
	c->events += l->n_digests;
	if (c->last_link == VERIFY_NONE || line > c->last_link)
		c->last_link = line;
}

/* May the link be part of the chain at all? @prev as above */
static bool is_member(struct verify_work *w, const struct verify_chain *c,
		      size_t prev, size_t line)
{
	struct verify_line *l = &w->lines[line];
	const struct verify_line *p =
		prev == VERIFY_NONE ? NULL : &w->lines[prev];

	if (p && p->link->sequence == l->link->sequence &&
	    !memcmp(p->hash, l->hash, LINK_HASH))
		return false; /* the same line again: verify_place() */
	l->is_settled = true;
	if (c->is_signed && !l->is_signed)
		verify_say(w, VERIFY_MIXED, line, 0, c, "an unsigned link");
	else if (c->is_signed &&
		 (strcmp(c->kid, l->kid) != 0 || strcmp(c->alg, l->alg) != 0))
		verify_say(w, VERIFY_LINK_BROKEN, line, 0, c,
			   "it is signed by another key");
	else if (p && p->link->sequence == l->link->sequence)
		verify_say(w, VERIFY_LINK_BROKEN, line, 0, c,
			   "a second link %" PRIu64, l->link->sequence);
	else if (c->is_closed)
		verify_say(w, VERIFY_AFTER_CLOSE, line, 0, c, "a link");
	else
		return true;
	return false;
}

/* @v: @n links of one run, sorted */
static void chain_make(struct verify_work *w, const size_t *v, size_t n)
{
	struct verify_chain c = {
		.last_link = VERIFY_NONE,
		.item0 = w->n_items,
		.first_line = v[0],
	};
	const struct verify_line *first = &w->lines[v[0]];
	size_t i, prev = VERIFY_NONE;

	for (i = 0; i < n; i++) {
		if (v[i] < c.first_line)
			c.first_line = v[i];
		/* the run's key is that of its first signed link, one we
		 * know before one we do not */
		if (w->lines[v[i]].is_signed &&
		    (!c.is_signed ||
		     (first->is_unknown && !w->lines[v[i]].is_unknown))) {
			c.is_signed = true;
			first = &w->lines[v[i]];
		}
	}
	c.run_uuid = first->link->run_uuid;
	c.cell_id = first->link->cell_id;
	c.run_id = first->link->run_id;
	c.kid = first->kid;
	c.alg = first->alg;
	for (i = 0; i < n; i++)
		if (is_member(w, &c, prev, v[i])) {
			chain_take(w, &c, prev, v[i]);
			prev = v[i];
		}
	c.n_items = w->n_items - c.item0;
	if (verify_grow(w, &w->chains, w->n_chains, &w->cap_chains,
			sizeof(*w->chains)))
		w->chains[w->n_chains++] = c;
}

void verify_chains(struct verify_work *w)
{
	size_t i, k, n = 0;
	size_t *v = calloc(w->n_lines + 1, sizeof(*v));

	if (!v) {
		w->no_memory = true;
		return;
	}
	for (i = 0; i < w->n_lines; i++)
		if (w->lines[i].link)
			v[n++] = i;
	qsort_r(v, n, sizeof(*v), link_cmp, w->lines);
	for (i = 0; i < n && !w->no_memory; i = k) {
		for (k = i + 1; k < n; k++)
			if (strcmp(w->lines[v[i]].link->run_uuid,
				   w->lines[v[k]].link->run_uuid) != 0)
				break;
		chain_make(w, v + i, k - i);
	}
	free(v);
}
