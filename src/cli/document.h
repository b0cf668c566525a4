/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The document of a run: read once, hashed as read, parsed, checked. */
#ifndef CELLOS_CLI_DOCUMENT_H
#define CELLOS_CLI_DOCUMENT_H

#include "spec/spec.h"

struct document {
	struct spec spec;
	char raw_hash[65]; /* SHA-256 of the bytes as read, lower-case hex */
};

/**
 * document_load() - read, parse, check
 * @path: a file, never through a symlink, or "-" for stdin
 * @d:    release with document_drop(), also after failure
 * @e:    "read cell spec <path>", "parse ExecutionCellDocument", each with
 *        its cause, or the text of the failed check
 */
int document_load(const char *path, struct document *d, struct err *e) MUST_USE;
/** document_from_text() - the same for bytes somebody has made */
int document_from_text(struct slice text, struct document *d,
		       struct err *e) MUST_USE;
void document_drop(struct document *d);

#endif
