/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Members the schema does not know: where they are and what was meant. */
#ifndef CELLOS_SPEC_UNKNOWN_H
#define CELLOS_SPEC_UNKNOWN_H

#include <stddef.h>

#include "spec/spec.h"
#include "spec/text.h"

/* A way down the document, innermost first; NULL is the document itself. */
struct place {
	const struct place *up;
	struct slice name; /* p == NULL: an item of an array, */
	size_t index;	   /* this one */
};

enum { UNKNOWN_FAR = 1000 };

/** place_text() - the RFC 6901 pointer, fit for a message; returns @buf */
const char *place_text(const struct place *at, char buf[TEXT_QUOTED]);

/**
 * unknown_distance() - edits between a name and a known one, case ignored
 *
 * Return: UNKNOWN_FAR if they are too far apart to be one misspelt
 */
unsigned unknown_distance(struct slice name, const char *known);

/** unknown_add() - note one; @nearest is static or NULL. 0, or -1: no memory */
int unknown_add(struct spec *s, const struct place *at,
		const char *nearest) MUST_USE;

#endif
