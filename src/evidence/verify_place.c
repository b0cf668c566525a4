/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Lines against items: what stands still, what was moved, what is left over. */
#include <inttypes.h>
#include <stdlib.h>

#include "evidence/verify_int.h"

/* A line that is an item. */
struct match {
	size_t line, item;
};

static int item_hash_cmp(const void *pa, const void *pb, void *arg)
{
	const struct verify_item *items = arg;
	const size_t *a = pa, *b = pb;
	int c = memcmp(items[*a].hash, items[*b].hash, LINK_HASH);

	return c ? c : *a < *b ? -1 : 1;
}

/* First item of that hash, or VERIFY_NONE */
static size_t item_find(const struct verify_work *w, const size_t *by_hash,
			size_t n, const uint8_t hash[LINK_HASH])
{
	size_t lo = 0, hi = n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (memcmp(w->items[by_hash[mid]].hash, hash, LINK_HASH) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < n && !memcmp(w->items[by_hash[lo]].hash, hash, LINK_HASH))
		return by_hash[lo];
	return VERIFY_NONE;
}

static void lines_match(struct verify_work *w, size_t *by_hash)
{
	size_t i, n = 0;

	for (i = 0; i < w->n_items; i++)
		if (!w->items[i].hole)
			by_hash[n++] = i;
	qsort_r(by_hash, n, sizeof(*by_hash), item_hash_cmp, w->items);
	for (i = 0; i < w->n_lines; i++)
		w->lines[i].item = item_find(w, by_hash, n, w->lines[i].hash);
}

/*
 * The longest strictly rising run of items among @m (in the order of lines):
 * those lines stand still. @tail, @back: @n each.
 */
static void anchors_set(struct verify_work *w, const struct match *m, size_t n,
			size_t *tail, size_t *back)
{
	size_t i, k, lo, hi, mid, len = 0;

	for (i = 0; i < n; i++) {
		lo = 0;
		hi = len;
		while (lo < hi) {
			mid = lo + (hi - lo) / 2;
			if (m[tail[mid]].item < m[i].item)
				lo = mid + 1;
			else
				hi = mid;
		}
		back[i] = lo ? tail[lo - 1] : VERIFY_NONE;
		/* of two copies the first stays */
		if (lo == len || m[tail[lo]].item != m[i].item)
			tail[lo] = i;
		if (lo == len)
			len++;
	}
	for (k = len ? tail[len - 1] : VERIFY_NONE; k != VERIFY_NONE;
	     k = back[k]) {
		w->items[m[k].item].line = m[k].line;
		w->items[m[k].item].is_anchor = true;
	}
}

static void moved_say(struct verify_work *w, const struct match *m, size_t n)
{
	struct verify_item *it;
	size_t i;

	for (i = 0; i < n; i++) {
		it = &w->items[m[i].item];
		w->lines[m[i].line].is_settled = true;
		if (it->line == m[i].line)
			continue;
		if (it->line != VERIFY_NONE) {
			verify_say(w, VERIFY_DUPLICATE, m[i].line, it->event,
				   &w->chains[it->run], "the same as line %zu",
				   it->line + 1);
			continue;
		}
		it->line = m[i].line;
		verify_say(w, VERIFY_REORDERED, m[i].line, it->event,
			   &w->chains[it->run], "listed by line %zu",
			   it->link_line + 1);
	}
}

/* Faults of a line that is where it belongs all the same. */
static void mixed_say(struct verify_work *w)
{
	const struct verify_item *it;
	size_t i;

	for (i = 0; i < w->n_lines; i++) {
		if (w->lines[i].item == VERIFY_NONE || w->lines[i].is_signed)
			continue;
		it = &w->items[w->lines[i].item];
		if (it->line == i && w->chains[it->run].is_signed)
			verify_say(w, VERIFY_MIXED, i, it->event,
				   &w->chains[it->run], "listed, not signed");
	}
}

static int match_cmp(const void *pa, const void *pb, void *arg)
{
	const struct verify_item *items = arg;
	const struct match *a = pa, *b = pb;
	size_t ra = items[a->item].run, rb = items[b->item].run;

	if (ra != rb)
		return ra < rb ? -1 : 1;
	return a->line < b->line ? -1 : 1;
}

void verify_place(struct verify_work *w)
{
	size_t n = w->n_items > w->n_lines ? w->n_items : w->n_lines;
	struct match *m = calloc(w->n_lines + 1, sizeof(*m));
	size_t *a = calloc(n + 1, sizeof(*a)), *b = calloc(n + 1, sizeof(*b));
	size_t i, k, count = 0;

	w->no_memory |= !m || !a || !b;
	if (!w->no_memory) {
		lines_match(w, a);
		for (i = 0; i < w->n_lines; i++)
			if (w->lines[i].item != VERIFY_NONE)
				m[count++] =
					(struct match){ i, w->lines[i].item };
		qsort_r(m, count, sizeof(*m), match_cmp, w->items);
		for (i = 0; i < count; i = k) {
			for (k = i + 1; k < count; k++)
				if (w->items[m[k].item].run !=
				    w->items[m[i].item].run)
					break;
			anchors_set(w, m + i, k - i, a, b);
			moved_say(w, m + i, k - i);
		}
		mixed_say(w);
	}
	free(m);
	free(a);
	free(b);
}

/* -- what is left over -- */

static bool has_fault(const struct verify_line *l)
{
	return !l->is_json || l->is_bad;
}

static bool id_fits(const char *want, const char *have)
{
	return !have || !strcmp(want, have);
}

static bool says_it_is_of(const struct verify_line *l,
			  const struct verify_chain *c)
{
	return id_fits(c->cell_id, l->cell_id) && id_fits(c->run_id, l->run_id);
}

static bool says_it_is_of_any(const struct verify_work *w,
			      const struct verify_line *l)
{
	size_t i;

	for (i = 0; i < w->n_chains; i++)
		if (says_it_is_of(l, &w->chains[i]))
			return true;
	return false;
}

/* Could the left-over @l be what has become of a line of @c? */
static bool is_candidate(const struct verify_work *w,
			 const struct verify_line *l,
			 const struct verify_chain *c)
{
	return l->item == VERIFY_NONE && !l->is_settled &&
	       (has_fault(l) || says_it_is_of(l, c) ||
		!says_it_is_of_any(w, l));
}

/* Between two lines that stand still: [item0, item1), (line0, line1) */
struct gap {
	const struct verify_chain *c;
	size_t item0, item1;
	size_t line0, line1; /* indices, both exclusive; line0 may be NONE */
};

/* Next candidate at or after @i; @faulty: only one that has a fault itself */
static size_t next_line(const struct verify_work *w, const struct gap *g,
			size_t i, bool faulty)
{
	for (; i < g->line1; i++)
		if (is_candidate(w, &w->lines[i], g->c) &&
		    (!faulty || has_fault(&w->lines[i])))
			return i;
	return VERIFY_NONE;
}

static size_t count_lines(const struct verify_work *w, const struct gap *g,
			  size_t first, bool faulty)
{
	size_t n = 0, i = first;

	while ((i = next_line(w, g, i, faulty)) != VERIFY_NONE) {
		n++;
		i++;
	}
	return n;
}

/* Where links are missing nothing can be told of single lines. */
static void hole_settle(struct verify_work *w, const struct gap *g,
			size_t first, uint64_t room, size_t missing)
{
	size_t i = first, k;
	uint64_t used = 0;

	while (used < room && (i = next_line(w, g, i, false)) != VERIFY_NONE) {
		w->lines[i++].is_settled = true;
		used++;
	}
	for (k = g->item0; k < g->item1 && missing; k++) {
		if (w->items[k].hole || w->items[k].line != VERIFY_NONE)
			continue;
		if (used) {
			used--;
			continue;
		}
		missing--;
		verify_say(w, VERIFY_MISSING, w->items[k].link_line,
			   w->items[k].event, g->c, "listed by this link");
	}
}

static void gap_settle(struct verify_work *w, const struct gap *g)
{
	size_t first = g->line0 == VERIFY_NONE ? 0 : g->line0 + 1;
	size_t k, i, missing = 0;
	uint64_t hole = 0;
	bool faulty;

	for (k = g->item0; k < g->item1; k++) {
		hole = w->items[k].hole > UINT32_MAX - hole
			       ? UINT32_MAX
			       : hole + w->items[k].hole;
		missing += !w->items[k].hole && w->items[k].line == VERIFY_NONE;
	}
	if (hole) {
		hole_settle(w, g, first, hole + missing, missing);
		return;
	}
	if (!missing)
		return;
	/* more lines than gaps: rather those that are broken themselves */
	faulty = count_lines(w, g, first, false) > missing &&
		 count_lines(w, g, first, true) >= missing;
	i = first;
	for (k = g->item0; k < g->item1; k++) {
		if (w->items[k].line != VERIFY_NONE)
			continue;
		if (i != VERIFY_NONE)
			i = next_line(w, g, i, faulty);
		if (i == VERIFY_NONE) {
			verify_say(w, VERIFY_MISSING, w->items[k].link_line,
				   w->items[k].event, g->c,
				   "listed by this link");
			continue;
		}
		w->items[k].line = i;
		w->lines[i].item = k;
		w->lines[i].is_settled = true;
		verify_say(w, VERIFY_ALTERED, i, w->items[k].event, g->c,
			   "listed by line %zu", w->items[k].link_line + 1);
		i++;
	}
}

static void chain_gaps(struct verify_work *w, const struct verify_chain *c)
{
	struct gap g = { .c = c, .line0 = VERIFY_NONE };
	size_t k, end = c->item0 + c->n_items;

	g.item0 = c->item0;
	for (k = c->item0; k <= end; k++) {
		if (k < end && !w->items[k].is_anchor)
			continue;
		g.item1 = k;
		g.line1 = k < end ? w->items[k].line : w->n_lines;
		if (g.item1 > g.item0)
			gap_settle(w, &g);
		g.item0 = k + 1;
		g.line0 = g.line1;
	}
}

static bool is_tail_of(const struct verify_line *l, size_t line,
		       const struct verify_chain *c)
{
	return !c->is_closed && c->last_link != VERIFY_NONE &&
	       line > c->last_link && says_it_is_of(l, c) &&
	       l->is_signed == c->is_signed &&
	       (!c->is_signed ||
		(!strcmp(l->kid, c->kid) && !strcmp(l->alg, c->alg)));
}

/* An event no link lists: the tail of an unfinished run, or a fault. */
static void stray_judge(struct verify_work *w, size_t line)
{
	const struct verify_line *l = &w->lines[line];
	const struct verify_chain *inside = NULL, *after = NULL, *open = NULL;
	struct verify_chain *c;
	size_t i;

	for (i = w->n_chains; i-- > 0;) {
		c = &w->chains[i];
		if (is_tail_of(l, line, c)) {
			c->tail++;
			return;
		}
		if (c->last_link == VERIFY_NONE || !says_it_is_of(l, c))
			continue;
		if (line < c->last_link)
			inside = c;
		else if (c->is_closed)
			after = c;
		else
			open = c;
	}
	if (open && !l->is_signed)
		verify_say(w, VERIFY_MIXED, line, 0, open, "not signed");
	else if (inside || open)
		verify_say(w, VERIFY_INSERTED, line, 0, inside ? inside : open,
			   "no link lists it");
	else if (after)
		verify_say(w, VERIFY_AFTER_CLOSE, line, 0, after,
			   "no link lists it");
	else
		verify_say(w, VERIFY_FOREIGN, line, 0, NULL, "cell %s, run %s",
			   l->cell_id ? l->cell_id : "unknown",
			   l->run_id ? l->run_id : "unknown");
}

/* Left-over lines that stand twice (a tail's, say): only the first counts. */
static int line_hash_cmp(const void *pa, const void *pb, void *arg)
{
	const struct verify_line *lines = arg;
	const size_t *a = pa, *b = pb;
	int c = memcmp(lines[*a].hash, lines[*b].hash, LINK_HASH);

	return c ? c : *a < *b ? -1 : 1;
}

static void copies_say(struct verify_work *w, size_t *v)
{
	size_t i, n = 0, first = 0;

	for (i = 0; i < w->n_lines; i++)
		if (!w->lines[i].is_settled)
			v[n++] = i;
	qsort_r(v, n, sizeof(*v), line_hash_cmp, w->lines);
	for (i = 1; i < n; i++) {
		if (memcmp(w->lines[v[i]].hash, w->lines[v[first]].hash,
			   LINK_HASH) != 0) {
			first = i;
			continue;
		}
		w->lines[v[i]].is_settled = true;
		verify_say(w, VERIFY_DUPLICATE, v[i], 0, NULL,
			   "the same as line %zu", v[first] + 1);
	}
}

void verify_gaps(struct verify_work *w)
{
	size_t *v = calloc(w->n_lines + 1, sizeof(*v));
	size_t i;

	if (!v) {
		w->no_memory = true;
		return;
	}
	for (i = 0; i < w->n_chains; i++)
		chain_gaps(w, &w->chains[i]);
	copies_say(w, v);
	free(v);
	for (i = 0; i < w->n_lines; i++)
		if (!w->lines[i].is_settled && !has_fault(&w->lines[i]))
			stray_judge(w, i);
}
