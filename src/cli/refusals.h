/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a cell was refused at its door, summed up for a person at the end. */
#ifndef CELLOS_CLI_REFUSALS_H
#define CELLOS_CLI_REFUSALS_H

#include <stdio.h>

#include "gate/message.h"

enum { REFUSALS_MAX = 20, REFUSAL_WHAT = 300 };

struct refusals {
	struct {
		char what[REFUSAL_WHAT]; /* HOST:PORT[/PROTO] as --allow takes
					  * it, or HOST alone */
		bool is_name;		 /* asked of the resolver only */
		uint64_t count;
	} list[REFUSALS_MAX];
	size_t n;
	uint64_t others; /* that found no room */
};

/** refusals_note() - one record of the gate; what was let through is none */
void refusals_note(struct refusals *r, const struct gate_record *g);
/**
 * refusals_print() - one line each, most often first; nothing if there are none
 * @has_document: the remedy is a rule in it, else --allow
 */
void refusals_print(FILE *f, struct refusals *r, bool has_document);

#endif
