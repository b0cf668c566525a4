/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Inside of verify: lines as read, runs as their links describe them.
 *
 * Theory of operation. Every line is read on its own first: form, signature,
 * hash, whose it says it is. Then the links of each run, put in the order of
 * their sequence, say which lines the run has and in which order (the items).
 * A line is an item if its hash is; the longest run of items in order stands
 * still, the others were moved; what is left over on either side is paired by
 * place (altered), or missing, or inserted.
 */
#ifndef CELLOS_EVIDENCE_VERIFY_INT_H
#define CELLOS_EVIDENCE_VERIFY_INT_H

#include "base/arena.h"
#include "evidence/link.h"
#include "evidence/verify.h"

#define VERIFY_NONE ((size_t)-1)

struct verify_link {
	const char *cell_id, *spec_id, *run_id, *run_uuid;
	uint64_t sequence, from, to, count;
	bool is_final, has_previous;
	uint8_t previous[LINK_HASH];
	uint8_t (*digests)[LINK_HASH];
	size_t n_digests;
};

struct verify_line {
	struct slice text;
	uint8_t hash[LINK_HASH];
	bool is_json; /* an event in the form events are written in */
	bool is_signed;
	bool is_bad;	       /* signed, and the signature does not fit */
	bool is_unknown;       /* signed by a kid without key */
	const char *why;       /* static: more about is_bad or !is_json */
	const char *alg, *kid; /* if signed */
	const char *cell_id, *run_id;	/* NULL: absent or redacted */
	const struct verify_link *link; /* a link that may be trusted */

	size_t item;	 /* index, or VERIFY_NONE */
	bool is_settled; /* nothing more is to be said about it */
};

/* One line that must be there, or a hole nobody lists. */
struct verify_item {
	uint8_t hash[LINK_HASH];
	size_t run;
	uint64_t event;	  /* 0: the line of a link */
	size_t link_line; /* index of the line that lists it */
	size_t line;	  /* where it is, or VERIFY_NONE */
	bool is_anchor;	  /* and in its place */
	uint64_t hole;	  /* > 0: that many lines are unknown here */
};

struct verify_chain {
	const char *run_uuid, *cell_id, *run_id, *kid, *alg;
	bool is_signed, is_closed;
	size_t first_line, last_link; /* indices of lines */
	size_t item0, n_items;
	uint64_t events; /* lines its links list */
	uint64_t tail;	 /* lines after the last link */
};

struct verify_work {
	struct arena arena;
	struct verify_line *lines;
	size_t n_lines;
	struct verify_item *items;
	size_t n_items, cap_items;
	struct verify_chain *chains;
	size_t n_chains, cap_chains;
	struct verify_result *res;
	size_t cap_findings;
	bool no_memory;
};

/** verify_line_read() - form, signature and identity of line->text; -1: memory
 */
int verify_line_read(struct verify_line *line, const struct verify_keys *k,
		     struct arena *a) MUST_USE;
/** verify_keys_find() - NULL without one; @alg "ed25519" or "hmac-sha256" */
const uint8_t *verify_keys_find(const struct verify_keys *k, const char *alg,
				const char *kid, size_t *ret_len);

/** verify_say() - one finding; @line index or VERIFY_NONE; @c may be NULL */
void verify_say(struct verify_work *w, enum verify_finding_kind kind,
		size_t line, uint64_t event, const struct verify_chain *c,
		const char *fmt, ...) PRINTF(6, 7);
/** verify_grow() - room for one more of @size; false and no_memory */
bool verify_grow(struct verify_work *w, void *array, size_t n, size_t *cap,
		 size_t size) MUST_USE;

/** verify_chains() - links to runs and items */
void verify_chains(struct verify_work *w);
/** verify_place() - lines to items; what was moved or stands twice */
void verify_place(struct verify_work *w);
/** verify_gaps() - items without a line, lines without an item */
void verify_gaps(struct verify_work *w);

#endif
