/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The chain of links of one run: every line is hashed as written, a link lists
 * the hashes since the link before it and the hash of that link's own line.
 *
 * States: BEGUN (opening link is next) -> OPEN -> CLOSED (after the final
 * link). Counting is strict: event n is taken only after event n - 1.
 */
#ifndef CELLOS_EVIDENCE_LINK_H
#define CELLOS_EVIDENCE_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/wbuf.h"
#include "evidence/event.h"

enum {
	LINK_HASH = 32,	       /* SHA-256 */
	LINK_DIGEST_TEXT = 72, /* "sha256:" + 64 hex + NUL */
	/* lines one link may cover: keeps a link far below LIMIT_EVENT_LINE */
	LINK_LINES_MAX = 1024,
	/* room one more covered line takes in its link */
	LINK_ROOM_LINE = 74,
	/* room of a link that covers nothing, wrapper included, without ids */
	LINK_ROOM = 1536,
	LINK_ID_MAX = 4096 /* bytes of each of the four ids */
};

struct link_keeper {
	char *cell_id, *spec_id, *run_id, *run_uuid; /* owned */
	bool is_open, is_closed;
	uint64_t n;	   /* events taken */
	uint64_t sequence; /* of the next link */
	size_t pending;	   /* lines since the last link */
	uint8_t lines[LINK_LINES_MAX][LINK_HASH];
	uint8_t previous[LINK_HASH]; /* valid if sequence > 0 */
};

/** link_begin() - name the run; forgets the run before it */
int link_begin(struct link_keeper *k, const char *cell_id, const char *spec_id,
	       const char *run_id, const char *run_uuid,
	       struct err *e) MUST_USE;
/** link_event_check() - may event @n be next? */
int link_event_check(const struct link_keeper *k, uint64_t n,
		     struct err *e) MUST_USE;
/** link_event_note() - event number k->n + 1 has become @line */
void link_event_note(struct link_keeper *k, struct slice line);
/** link_check() - may a link after event @n be next? */
int link_check(const struct link_keeper *k, uint64_t n, struct err *e) MUST_USE;
/** link_body() - data of the next link */
void link_body(const struct link_keeper *k, bool final, struct wbuf *b);
/** link_note() - the link that link_body() described has become @line */
void link_note(struct link_keeper *k, bool final, struct slice line);
/** link_hash() - SHA-256 of a line */
void link_hash(struct slice line, uint8_t ret[LINK_HASH]);
/** link_digest_text() - "sha256:<hex>" */
void link_digest_text(const uint8_t hash[LINK_HASH],
		      char buf[LINK_DIGEST_TEXT]);
void link_drop(struct link_keeper *k);

#endif
