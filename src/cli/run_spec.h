/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The document that the options of `cellos run -- CMD` stand for. */
#ifndef CELLOS_CLI_RUN_SPEC_H
#define CELLOS_CLI_RUN_SPEC_H

#include "base/wbuf.h"
#include "cli/run_args.h"

enum { RUN_SPEC_TTL_SECONDS = 86400 };

/**
 * run_spec_build() - compact JSON, members in the order of the schema
 * @id: spec.id
 * @e:  a word that is not UTF-8 cannot stand in a document
 */
int run_spec_build(const struct run_args *a, const char *id, struct wbuf *b,
		   struct err *e) MUST_USE;

/** run_spec_pretty() - the same JSON with two-space indents and a last LF */
void run_spec_pretty(struct slice compact, struct wbuf *b);

#endif
