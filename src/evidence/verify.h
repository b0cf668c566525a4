/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Checking a journal with nothing but the file and the public keys. Pure over
 * bytes: the verb in cli/ reads the files and prints the findings.
 */
#ifndef CELLOS_EVIDENCE_VERIFY_H
#define CELLOS_EVIDENCE_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

/* X(suffix, word, exit class, meaning). Classes: cellos(1) EXIT STATUS. */
#define VERIFY_FINDINGS(X)                                                     \
	X(NOT_JSON, "not-json", 1, "the line is not a JSON event")             \
	X(BAD_SIGNATURE, "bad-signature", 1,                                   \
	  "the signature does not fit the event and the key of its kid")       \
	X(UNKNOWN_KID, "unknown-kid", 2, "no key is known for the line's kid") \
	X(ALTERED, "altered", 1, "the link lists other bytes for this event")  \
	X(MISSING, "missing", 1, "the link lists an event that is not there")  \
	X(INSERTED, "inserted", 1, "no link of its run lists this line")       \
	X(REORDERED, "reordered", 1, "the line stands at another place")       \
	X(DUPLICATE, "duplicate", 1, "the same line stands twice")             \
	X(FOREIGN, "foreign", 1, "the line belongs to a run not in this file") \
	X(LINK_BROKEN, "link-broken", 1,                                       \
	  "the link does not continue the one before it")                      \
	X(AFTER_CLOSE, "after-close", 1,                                       \
	  "the run was closed before this line")                               \
	X(MIXED, "mixed-signing", 1, "an unsigned line in a signed run")       \
	X(UNFINISHED, "unfinished", 3, "the run has no closing link")          \
	X(TORN, "torn", 3, "the last line has no end")                         \
	X(EMPTY, "empty", 3, "the file holds no event")                        \
	X(TOO_FEW_RUNS, "too-few-runs", 1, "fewer runs than --expect")         \
	X(UNSIGNED, "unsigned", 4, "the run is complete but not signed")

enum verify_finding_kind {
#define X(name, word, cls, text) VERIFY_##name,
	VERIFY_FINDINGS(X)
#undef X
		VERIFY_FINDING_NUM
};

struct verify_finding_info {
	const char *word;
	int exit_class;
	const char *text;
};
extern const struct verify_finding_info verify_findings[VERIFY_FINDING_NUM];

struct verify_finding {
	enum verify_finding_kind kind;
	uint64_t line;	   /* 1-based; 0 = the file or a run as a whole */
	uint64_t event;	   /* number within the run, 0 if unknown */
	char run_uuid[37]; /* "" if unknown */
	char detail[200];
};

struct verify_run {
	char run_uuid[37];
	char cell_id[160], run_id[160];
	uint64_t events; /* lines its links list */
	bool closed, is_signed;
};

struct verify_result {
	struct verify_finding *findings; /* in the order of the lines */
	size_t n_findings;
	struct verify_run *runs; /* in the order of opening */
	size_t n_runs;
};

struct verify_keys; /* kid -> key, two maps */

/** verify_keys_new() - an empty set */
struct verify_keys *verify_keys_new(void);
/**
 * verify_keys_add() - add a key file's text
 * @is_hmac: the file of --hmac-keys, values of any non-zero length
 * @e: docs/compatibility.md "Signed events", prefix "trust verify keys: "
 */
int verify_keys_add(struct verify_keys *k, struct slice text, bool is_hmac,
		    struct err *e) MUST_USE;
void verify_keys_free(struct verify_keys **k);

/**
 * verify_bytes() - judge a whole journal
 * @expect: runs that must be there, 0 = no expectation
 *
 * Return: 0, or -1 without memory. The verdict is verify_exit().
 */
int verify_bytes(struct slice file, const struct verify_keys *k,
		 uint64_t expect, struct verify_result *ret,
		 struct err *e) MUST_USE;
/** verify_exit() - 1 beats 2 beats 3 beats 4 beats 0 */
int verify_exit(const struct verify_result *r);
void verify_result_drop(struct verify_result *r);

#endif
