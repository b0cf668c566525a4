/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the unpacking process gives up before it reads the first byte. */
#ifndef CELLOS_UNPACK_CONFINE_H
#define CELLOS_UNPACK_CONFINE_H

#include <stdint.h>

#include "base/attr.h"

/* In the root it has then */
#define UNPACK_LAYOUT "/layout"
#define UNPACK_ROOT   "/root"

/**
 * unpack_confine() - no descriptor above 2; a root with two directories and
 * nothing else: the layout, read-only, and the one to unpack to; no network; of
 * root's capabilities those that give a file its owner and mode; no new
 * privileges, few calls
 * @layout, @into: absolute
 * @max:           bytes of the largest file
 * @ret_what:      what failed, a static string
 *
 * Return: 0 or -errno
 */
int unpack_confine(const char *layout, const char *into, uint64_t max,
		   const char **ret_what) MUST_USE;

#endif
