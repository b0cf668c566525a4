/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The tree an image is unpacked to, entry by entry, as the image specification
 * has a layer applied. Directories on the way may be symbolic links of a layer:
 * the kernel follows them with the tree as root (RESOLVE_IN_ROOT). The last
 * component is never followed.
 *
 * All return 0, or -1 with @e, which does not name the entry.
 */
#ifndef CELLOS_UNPACK_PLACE_H
#define CELLOS_UNPACK_PLACE_H

#include <sys/stat.h>

#include "base/err.h"
#include "unpack/name.h"
#include "unpack/seen.h"

struct place {
	int root;
	struct stat root_st;
	struct seen seen; /* by the layer that is being unpacked */
};

/* Of an entry. Set-id bits are not for here: see place_attr() */
struct place_attr {
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

/** place_init() - @root: an empty directory, borrowed; 0 or -errno */
int place_init(struct place *p, int root) MUST_USE;
/** place_next_layer() - what is there now is of the layers below */
void place_next_layer(struct place *p);

/** place_dir() - make it, or give the one that is there these attributes */
int place_dir(struct place *p, const struct entry_name *n,
	      const struct place_attr *a, struct err *e) MUST_USE;
/**
 * place_file() - a new, empty regular file instead of what is there
 * @ret: its descriptor, to be written, then given to place_attr()
 */
int place_file(struct place *p, const struct entry_name *n, int *ret,
	       struct err *e) MUST_USE;
/** place_attr() - owner and mode of a file or directory; -1 with @e */
int place_attr(int fd, const struct place_attr *a, struct err *e) MUST_USE;
/** place_symlink() - of its mode nothing is kept: it has none */
int place_symlink(struct place *p, const struct entry_name *n,
		  const char *target, const struct place_attr *a,
		  struct err *e) MUST_USE;
/** place_link() - another name of what @target names, no directory */
int place_link(struct place *p, const struct entry_name *n,
	       const struct entry_name *target, struct err *e) MUST_USE;
/** place_nothing() - an entry that is left out, instead of what is there */
int place_nothing(struct place *p, const struct entry_name *n,
		  struct err *e) MUST_USE;
/** place_hide() - a whiteout, opaque or not: what lower layers have there */
int place_hide(struct place *p, const struct entry_name *n,
	       struct err *e) MUST_USE;

#endif
