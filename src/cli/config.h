/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the environment asks of `cellos-supervisor`, read once. Variables that
 * are set but cannot have their effect are recorded; CELLOS_STRICT_CONFIG
 * turns the records into a refusal.
 */
#ifndef CELLOS_CLI_CONFIG_H
#define CELLOS_CLI_CONFIG_H

#include <stdbool.h>

#include "base/err.h"
#include "base/wbuf.h"
#include "cell/cell.h"

enum { CONFIG_RECORDS_MAX = 8 };

struct config_record {
	const char *variable;
	char value[200]; /* never a credential */
	char reason[160];
};

struct config {
	bool portable, strict, noop;
	const char *run_id;
	struct limits limits;
	bool pids_asked;
	struct wbuf bpf;
	char cgroup_parent[4096];
	char seccomp_error[512]; /* "" = none */
	struct config_record records[CONFIG_RECORDS_MAX];
	size_t n_records;
};

/** config_load() - everything but the profile and signing; WARNs */
int config_load(bool portable, struct config *ret, struct err *e) MUST_USE;
void config_drop(struct config *c);
/** config_request() - the switches, into a request whose spec is set */
int config_request(struct config *c, struct cell_request *req,
		   struct err *e) MUST_USE;
struct lifecycle_config;
/** config_lifecycle() - what both faces take from the environment as it is,
 *  and why a filter cannot be had; after config_request(), which finds that */
void config_lifecycle(const struct config *c, struct lifecycle_config *lc);
/** config_strict() - the verdict over the records, docs/compatibility.md
 *  "Strict configuration" */
int config_strict(const struct config *c, struct err *e) MUST_USE;
/** config_url_hide() - a URL list without credentials */
void config_url_hide(const char *url, char *buf, size_t size);

/** config_unshare() - CELLOS_SUBPROCESS_UNSHARE's tokens; pure but for logs */
unsigned config_unshare(const char *value);
/** config_cpu_max() - "max", "Q", "max P", "Q P"; false if malformed */
bool config_cpu_max(const char *value, uint64_t *ret_quota,
		    uint64_t *ret_period);
/** config_bytes() - digits, then optionally K, M, G, T; "max" is 0 */
bool config_bytes(const char *value, uint64_t *ret);

/* profile.c */
/** profile_enter() - preconditions, gate, banner of the profile */
int profile_enter(bool *ret_portable, struct err *e) MUST_USE;
/** profile_missing() - what CELLOS_TEST_FORCE_MISSING_... names, as the list
 *  `["unshare", "seccomp"]`; "" if it names nothing known. Pure */
void profile_missing(const char *value, char *buf, size_t size);

/* log_setup.c */
/** log_setup() - RUST_LOG, NO_COLOR, terminal */
void log_setup(void);

/* validate_summary.c */
struct document;
/** validate_summary() - stdout of --validate */
void validate_summary(const struct document *d, const char *path,
		      struct wbuf *b);

#endif
