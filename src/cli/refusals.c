/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "cli/refusals.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

static void note(struct refusals *r, const char *what, bool is_name,
		 uint64_t count)
{
	size_t i = 0;

	while (i < r->n && (r->list[i].is_name != is_name ||
			    strcmp(r->list[i].what, what) != 0))
		i++;
	if (i == REFUSALS_MAX) {
		r->others += count;
		return;
	}
	if (i == r->n) {
		r->n++;
		(void)snprintf(r->list[i].what, sizeof(r->list[i].what), "%s",
			       what);
		r->list[i].is_name = is_name;
	}
	r->list[i].count += count;
}

/* A name where one is known: it is what a rule should say. */
static const char *host_of(const struct gate_flow *f, char buf[IP_TEXT_SIZE])
{
	if (f->sni.len)
		return f->sni.text;
	if (f->host.len)
		return f->host.text;
	if (f->question.len)
		return f->question.text;
	return ip_text(buf, &f->dst);
}

static void note_flow(struct refusals *r, const struct gate_flow *f,
		      uint64_t count)
{
	bool v6 = f->dst.family == 6 && !f->sni.len && !f->host.len &&
		  !f->question.len;
	char what[REFUSAL_WHAT], ip[IP_TEXT_SIZE];
	const char *protocol = f->l4 == IPPROTO_UDP ? "/udp" : "";

	if (!f->dst.family || !f->dst_port ||
	    (f->l4 != IPPROTO_TCP && f->l4 != IPPROTO_UDP))
		return;
	(void)snprintf(what, sizeof(what), "%s%s%s:%u%s", v6 ? "[" : "",
		       host_of(f, ip), v6 ? "]" : "", f->dst_port, protocol);
	note(r, what, false, count);
}

/* What failed for another reason no rule would mend. */
static bool a_rule_would_do(const struct gate_flow *f)
{
	static const enum gate_reason why[] = {
		GATE_REASON_NO_RULE,   GATE_REASON_ADDRESS_NOT_NAMED,
		GATE_REASON_SNI_MISS,  GATE_REASON_HOST_MISS,
		GATE_REASON_HOST_PORT,
	};

	enum ip_class c = ip_class(&f->dst);

	/* nor for what no rule can name */
	if (c == IP_LOOPBACK || c == IP_MULTICAST || c == IP_UNSPECIFIED ||
	    c == IP_MAPPED)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(why); i++)
		if (f->reason == why[i])
			return true;
	return false;
}

/* Asked by resolvers and browsers by themselves. */
static bool is_a_habit(const struct hostname *h)
{
	static const char *const below[] = { "*.in-addr.arpa", "*.ip6.arpa",
					     "use-application-dns.net" };

	for (size_t i = 0; i < ARRAY_SIZE(below); i++)
		if (hostname_matches(
			    h, (struct slice){ below[i], strlen(below[i]) }))
			return true;
	return false;
}

void refusals_note(struct refusals *r, const struct gate_record *g)
{
	uint64_t count = g->type == GATE_AGGREGATE ? g->count : 1;
	uint32_t of = g->type == GATE_AGGREGATE ? g->of : g->type;

	if (of == GATE_QUERY) {
		if (g->query.reason == GATE_QUERY_NOT_IN_ALLOWLIST &&
		    g->query.name.len && !is_a_habit(&g->query.name))
			note(r, g->query.name.text, true, count);
	} else if ((of == GATE_REFUSED || of == GATE_FLOW) &&
		   a_rule_would_do(&g->flow)) {
		note_flow(r, &g->flow, count);
	}
}

static int by_count(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? 1 : *x > *y ? -1 : 0;
}

void refusals_print(FILE *f, struct refusals *r, bool has_document)
{
	struct {
		uint64_t count;
		size_t at;
	} order[REFUSALS_MAX];

	for (size_t i = 0; i < r->n; i++) {
		order[i].count = r->list[i].count;
		order[i].at = i;
	}
	qsort(order, r->n, sizeof(order[0]), by_count);
	for (size_t i = 0; i < r->n; i++) {
		const char *what = r->list[order[i].at].what;
		bool is_name = r->list[order[i].at].is_name;

		(void)fprintf(f, "cellos: refused%s %s",
			      is_name ? " the name" : "", what);
		if (order[i].count > 1)
			(void)fprintf(f, " (%" PRIu64 " times)",
				      order[i].count);
		(void)fprintf(f,
			      has_document
				      ? "; an egress rule for %s%s would allow "
					"it\n"
				      : "; --allow %s%s would allow it\n",
			      what, is_name ? ":PORT" : "");
	}
	if (r->others)
		(void)fprintf(
			f, "cellos: refused %" PRIu64 " more, see the events\n",
			r->others);
}
