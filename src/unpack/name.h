/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The name of an entry of a layer: where it goes and what it asks for. Pure. */
#ifndef CELLOS_UNPACK_NAME_H
#define CELLOS_UNPACK_NAME_H

#include <limits.h>

#include "base/attr.h"
#include "base/slice.h"

enum {
	NAME_PATH_MAX = 2048, /* bytes of a path, as the layer names it */
	NAME_DEPTH_MAX = 128  /* directories in each other */
};

enum name_kind {
	NAME_ROOT,     /* "/" itself */
	NAME_PLAIN,    /* a file, directory, link */
	NAME_WHITEOUT, /* .wh.X: X of the layers below is gone */
	NAME_OPAQUE,   /* .wh..wh..opq: so is all beside it */
	NAME_IGNORED   /* .wh..wh.*: of AUFS, hides nothing there can be */
};

struct entry_name {
	enum name_kind kind;
	char dir[NAME_PATH_MAX]; /* the rest, "" for the top; no ".", no
				  * "..", no slash at either end */
	char name[NAME_MAX + 1]; /* one component, of a whiteout X */
};

/**
 * name_parse() - a path of an archive
 * @why: a static string: what is wrong with it
 *
 * A leading "/" or "./" is that of the image. 0 or -1
 */
int name_parse(struct slice path, struct entry_name *ret,
	       const char **why) MUST_USE;

#endif
