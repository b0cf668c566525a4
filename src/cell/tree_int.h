/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What sending and receiving a directory have in common. */
#ifndef CELLOS_CELL_TREE_INT_H
#define CELLOS_CELL_TREE_INT_H

#include "cell/tree.h"

struct tree_entry {
	const char *name; /* borrowed */
	uint64_t ino;
};

struct tree_names {
	struct tree_entry *v; /* sorted */
	size_t n;
};

/** tree_name_put() - one more; @names may be NULL; 0 or -E2BIG */
int tree_name_put(struct wbuf *names, const char *name, uint64_t ino) MUST_USE;
/** tree_names_sort() - of a list, NULL: of none; 0 or -ENOMEM */
int tree_names_sort(const struct wbuf *b, struct tree_names *ret) MUST_USE;
void tree_names_drop(struct tree_names *n);
/** tree_names_find() - NULL if it is not there */
const struct tree_entry *tree_names_find(const struct tree_names *n,
					 const char *name);
/** tree_io_ready() - after a call has failed: to try again, or -errno */
int tree_io_ready(const struct tree_io *io, short events) MUST_USE;

#endif
