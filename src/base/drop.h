/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Removing a tree, by descriptors: no name in it is followed anywhere. */
#ifndef CELLOS_BASE_DROP_H
#define CELLOS_BASE_DROP_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"

/**
 * drop_tree() - remove @name in @dirfd, and all beneath it
 * @keep: asked of every name, with its directory open, unless NULL: true leaves
 *        it there. What else lies in a directory that stays is removed all the
 *        same, and a directory stays if something in it does.
 *
 * Another file system mounted in it stays. One descriptor a level is open.
 *
 * Return: 0, also if there is nothing of that name, or -errno
 */
int drop_tree(int dirfd, const char *name,
	      bool (*keep)(void *arg, int dirfd, const char *name),
	      void *arg) MUST_USE;
/** drop_content() - the same for all that is in the directory @dirfd, and not
 *  for itself */
int drop_content(int dirfd,
		 bool (*keep)(void *arg, int dirfd, const char *name),
		 void *arg) MUST_USE;

#endif
