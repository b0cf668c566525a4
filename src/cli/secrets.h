/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Secrets of the env broker, and the command's environment block with them. */
#ifndef CELLOS_CLI_SECRETS_H
#define CELLOS_CLI_SECRETS_H

#include "spec/spec.h"

struct secrets {
	char **envp; /* sorted by name, NULL-terminated; owned */
	size_t n;
};

/**
 * secrets_resolve() - base environment and one variable per secretRef
 * @base: "NAME=value", NULL-terminated; borrowed
 * @e:    "secret <key> unresolvable via env broker...", which becomes the
 *        reason in the last event
 *
 * On failure @ret still holds the base environment.
 */
int secrets_resolve(const struct spec *s, char *const *base,
		    struct secrets *ret, struct err *e) MUST_USE;
/** secrets_wipe() - the command has its copy: overwrite ours, and the broker's
 *  variables where the kernel put them. The block stays, every pair "". */
void secrets_wipe(const struct spec *spec, struct secrets *s);
void secrets_drop(struct secrets *s);

#endif
