/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Lists of a document, sorted to be searched. */
#include "spec/names.h"

#include <stdlib.h>

#include "base/ascii.h"

static int name_cmp(const void *va, const void *vb)
{
	const struct name *a = va, *b = vb;
	int c = slice_cmp(a->s, b->s);

	return c ? c : a->at < b->at ? -1 : a->at > b->at;
}

static int fail_memory(struct err *e)
{
	return err_set(e, ERR_PLAIN, 0, "out of memory");
}

int names_build(struct names *n, const struct slice *first, size_t count,
		size_t stride, struct err *e)
{
	const char *at = (const char *)first;

	n->p = calloc(count + 1, sizeof(*n->p));
	if (!n->p)
		return fail_memory(e);
	for (size_t i = 0; i < count; i++, at += stride)
		n->p[i] =
			(struct name){ *(const struct slice *)(const void *)at,
				       i };
	n->n = count;
	qsort(n->p, count, sizeof(*n->p), name_cmp);
	return 0;
}

void names_drop(struct names *n)
{
	free(n->p);
	*n = (struct names){ 0 };
}

/* Lower bound; each turn halves what is left */
size_t names_find(const struct names *n, struct slice s)
{
	size_t lo = 0, hi = n->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (slice_cmp(n->p[mid].s, s) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == n->n || !slice_eq(n->p[lo].s, s))
		return NAMES_NONE;
	return n->p[lo].at;
}

static int host_cmp(const struct spec_egress_rule *a,
		    const struct spec_egress_rule *b)
{
	size_t n = a->host.n < b->host.n ? a->host.n : b->host.n;

	for (size_t i = 0; i < n; i++) {
		int c = ascii_lower(a->host.p[i]) - ascii_lower(b->host.p[i]);

		if (c)
			return c;
	}
	if (a->host.n != b->host.n)
		return a->host.n < b->host.n ? -1 : 1;
	return a->port - b->port;
}

static int rule_cmp(const struct spec_egress_rule *a,
		    const struct spec_egress_rule *b)
{
	int c = host_cmp(a, b);

	/* an absent protocol is not an empty one */
	if (c || !a->protocol.p || !b->protocol.p)
		return c ? c : !!a->protocol.p - !!b->protocol.p;
	return slice_cmp(a->protocol, b->protocol);
}

static int sort_cmp(const void *a, const void *b)
{
	return rule_cmp(*(const struct spec_egress_rule *const *)a,
			*(const struct spec_egress_rule *const *)b);
}

int egress_build(struct egress_index *x, const struct spec_egress_rules *r,
		 struct err *e)
{
	x->p = calloc(r->n + 1, sizeof(*x->p));
	if (!x->p)
		return fail_memory(e);
	for (size_t i = 0; i < r->n; i++)
		x->p[i] = &r->p[i];
	x->n = r->n;
	qsort(x->p, x->n, sizeof(*x->p), sort_cmp);
	return 0;
}

void egress_drop(struct egress_index *x)
{
	free(x->p);
	*x = (struct egress_index){ 0 };
}

static bool has(const struct egress_index *x, const struct spec_egress_rule *r,
		int (*cmp)(const struct spec_egress_rule *,
			   const struct spec_egress_rule *))
{
	size_t lo = 0, hi = x->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (cmp(x->p[mid], r) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < x->n && cmp(x->p[lo], r) == 0;
}

bool egress_has_rule(const struct egress_index *x,
		     const struct spec_egress_rule *r)
{
	return has(x, r, rule_cmp);
}

bool egress_has_host(const struct egress_index *x, struct slice host,
		     uint16_t port)
{
	const struct spec_egress_rule r = { .host = host, .port = port };

	/* the order by host and port is a prefix of the whole order */
	return has(x, &r, host_cmp);
}
