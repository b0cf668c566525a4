/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What came of a trial, kept for this boot of this host: a file of one line in
 * the state directory, what the answer is for and the answer's word. */
#ifndef CELLOS_CLI_KEPT_H
#define CELLOS_CLI_KEPT_H

#include <stdbool.h>
#include <stddef.h>

#include "cell/state.h"

enum { KEPT_WORD_SIZE = 32, KEPT_FOR_SIZE = 160 };

/**
 * kept_get() - the word for @what, at most KEPT_FOR_SIZE - 1 bytes of no space
 * @name: of the file
 *
 * Return: false: there is none, or one for another boot or another thing
 */
bool kept_get(const struct state_dirs *d, const char *name, const char *what,
	      char ret[KEPT_WORD_SIZE]);
/** kept_put() - a word without spaces; if it cannot be written it is not known
 *  the next time */
void kept_put(const struct state_dirs *d, const char *name, const char *what,
	      const char *word);
/** kept_forget() - so that it is tried again */
void kept_forget(const struct state_dirs *d, const char *name);

#endif
