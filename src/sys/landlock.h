/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Landlock (Linux 5.13): file system rules on the paths of the cell, and,
 * where the ABI has it, no signals and no abstract sockets out of the domain.
 */
#ifndef CELLOS_SYS_LANDLOCK_H
#define CELLOS_SYS_LANDLOCK_H

#include "base/attr.h"

enum landlock_access {
	LANDLOCK_LIST,	/* list directories */
	LANDLOCK_READ,	/* read files, list directories */
	LANDLOCK_EXEC,	/* and execute */
	LANDLOCK_WRITE, /* everything there is */
	LANDLOCK_DEVICE /* read, write, ioctl of a node; no creation */
};

/** landlock_abi() - ABI version of the kernel, 0 if there is no Landlock */
int landlock_abi(void);
/** landlock_new() - an empty ruleset that handles all the ABI can
 *  Return: descriptor or -errno */
int landlock_new(int abi) MUST_USE;
/** landlock_allow() - add a rule for @path; a missing path is -ENOENT */
int landlock_allow(int ruleset, int abi, const char *path,
		   enum landlock_access access) MUST_USE;
/** landlock_enter() - restrict this thread for good; needs no_new_privs */
int landlock_enter(int ruleset) MUST_USE;

#endif
