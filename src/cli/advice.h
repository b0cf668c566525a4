/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a document may say but rarely means. */
#ifndef CELLOS_CLI_ADVICE_H
#define CELLOS_CLI_ADVICE_H

#include <stdio.h>

#include "spec/spec.h"

/**
 * advice_print() - a line for each name of the egress rules and of
 * hostnameAllowlist that lets out more than it seems to: resolvers by HTTPS,
 * and wildcards below which anybody can have a name
 * @path: of the document, begins each line
 */
void advice_print(FILE *f, const char *path, const struct spec *s);

#endif
