/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Help texts made from the verb tables, and the nearest known word. */
#ifndef CELLOS_CLI_HELP_H
#define CELLOS_CLI_HELP_H

#include <stdio.h>

#include "base/err.h"
#include "cli/verb.h"

/** help_all() - what `cellos help` prints */
void help_all(FILE *f);
/** help_verb() - what `cellos VERB --help` prints */
void help_verb(FILE *f, const struct verb *v);

/**
 * output_flush() - was all of standard output written?
 *
 * Return: 0, or -1 with @e
 */
int output_flush(struct err *e);

/**
 * help_nearer() - keep the word that is closest to what was typed
 * @best: the word so far or NULL; only words within a third of the typed
 *        length (at least one edit) count
 *
 * Return: @word if it is closer than @best, else @best
 */
const char *help_nearer(const char *typed, const char *best, const char *word);

#endif
