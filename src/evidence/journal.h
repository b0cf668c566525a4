/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The one way out for events: redact, number, sign, link, append.
 *
 * Append-only JSONL, flock(2)ed for each append so that runs may share a file;
 * a torn last line of a dead writer is cut back to the last LF under the lock.
 * With no path the events are built, signed and dropped (no-op sink).
 *
 * States: OPEN (first line is the opening link) -> CLOSED (after the final
 * link). At the byte budget journal_emit() fails with EDQUOT once; the events
 * of teardown still fit (JOURNAL_RESERVE).
 */
#ifndef CELLOS_EVIDENCE_JOURNAL_H
#define CELLOS_EVIDENCE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "evidence/event.h"
#include "evidence/signer.h"

/* Kept free below the budget for the events that end a run. */
enum { JOURNAL_RESERVE = 256 * 1024 };

/*
 * Events are handed to the signer and collected later, so that signing costs
 * the run no waiting: a line stands in the file after journal_flush(),
 * journal_boundary_end() or journal_close(), or when SIGNER_IN_FLIGHT is
 * reached. What is to be on disk before something happens needs the boundary.
 */
struct journal;

struct journal_config {
	const char *path;      /* borrowed while open; NULL: no file */
	const char *redact;    /* CELLOS_REDACT_EVENT_FIELDS, or NULL */
	struct signer *signer; /* borrowed; never NULL */
	uint64_t max_bytes;    /* budget of this run */
	bool no_follow;	       /* the last component must not be a link */
	bool last_run;	       /* the signer may end with this run */
};

/**
 * journal_open() - open (O_CREAT | O_APPEND | O_NOFOLLOW is not set: the
 * original follows), heal, write the opening link
 * @e: ERR_SINK; the caller wraps it with "jsonl sink emit"
 */
int journal_open(const struct journal_config *c, const struct event_run *run,
		 struct journal **ret, struct err *e) MUST_USE;

/**
 * journal_emit() - one event, timed now, with a fresh id
 * @t:    type
 * @data: compact sorted JSON; redacted here, before signing
 * @ret_id: receives the id, UUID_TEXT_SIZE bytes, or NULL
 * @e: ERR_SINK; errno in e->sys (EDQUOT at the budget; ENOSPC when full, which
 *     the flush or boundary after it may be the one to tell)
 */
int journal_emit(struct journal *j, enum event_type t, const struct wbuf *data,
		 char *ret_id, struct err *e) MUST_USE;
/**
 * journal_emit_from() - the same for what somebody else told, or what was timed
 * before
 * @source: member source; NULL: EVENT_SOURCE
 * @time:   member time, one of the forms of clock_text(); NULL: now
 */
int journal_emit_from(struct journal *j, enum event_type t, const char *source,
		      const char *time, const struct wbuf *data, char *ret_id,
		      struct err *e) MUST_USE;

/** journal_flush() - every event so far into the file, without a link */
int journal_flush(struct journal *j, struct err *e) MUST_USE;
/**
 * journal_boundary_begin() - every event so far into the file, and a link asked
 * for; journal_boundary_end() - the link behind them, and fdatasync
 *
 * Between the two the events survive the end of this process, after the second
 * also that of the machine: something that must not happen unrecorded may
 * start in between, while the disk works.
 */
int journal_boundary_begin(struct journal *j, struct err *e) MUST_USE;
int journal_boundary_end(struct journal *j, struct err *e) MUST_USE;
/** journal_close() - the final link, fdatasync; then journal_free() */
int journal_close(struct journal *j, struct err *e) MUST_USE;
void journal_free(struct journal **j);

#endif
