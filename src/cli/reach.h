/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A command may not see what speaks about it: the directories with keys and
 * locks, and its own journal - not even to read, since a lock on the file
 * would stop the run.
 */
#ifndef CELLOS_CLI_REACH_H
#define CELLOS_CLI_REACH_H

#include <stdbool.h>

#include "base/err.h"
#include "cell/state.h"
#include "spec/spec.h"

struct reach {
	const struct spec *spec;
	const struct state_dirs *dirs;
	const char *image_root; /* --root, or NULL */
	const char *journal;	/* or NULL */
};

/**
 * reach_check() - mounts, workingDirectory and image against all of them
 * @e: names the member, both paths and what to do
 */
int reach_check(const struct reach *r, struct err *e) MUST_USE;
/** path_covers() - is @path @dir or below it; both absolute */
bool path_covers(const char *dir, const char *path);

#endif
