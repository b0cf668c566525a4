/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The variables CELLOS_FIRECRACKER_*, as one value. */
#ifndef CELLOS_CLI_FIRECRACKER_H
#define CELLOS_CLI_FIRECRACKER_H

#include <stdbool.h>

#include "base/err.h"
#include "cell/cell.h"

struct firecracker_config {
	struct cell_firecracker vmm;
	/* NULL: those of an image of this host's */
	const char *kernel, *rootfs;
	const char
		*manifest; /* NULL: that of an image, or there is to be none */
	bool has_network;
	bool is_portable;
};

/**
 * firecracker_config() - read and check
 * @by_variable: the wall was chosen by CELLOS_CELL_BACKEND: what the original
 *               needs has to be there. Else what is unset has our defaults.
 * @e: starts with "firecracker backend init: "; names variable and remedy
 *
 * The programs that are named are in @ret also after a failure.
 *
 * Return: 0 or -1. Strings are borrowed from the environment.
 */
int firecracker_config(bool by_variable, bool portable,
		       struct firecracker_config *ret, struct err *e) MUST_USE;

/** firecracker_check() - what only the document shows */
int firecracker_check(const struct firecracker_config *c,
		      const struct spec *spec, struct err *e) MUST_USE;

#endif
