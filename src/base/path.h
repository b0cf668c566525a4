/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where a path leads: one text for one place, so that two can be compared. */
#ifndef CELLOS_BASE_PATH_H
#define CELLOS_BASE_PATH_H

#include <limits.h>

#include "base/attr.h"

/**
 * path_real() - absolute, links followed as far as it exists
 * @buf: PATH_MAX bytes; one slash at the start and between components, none at
 *       the end. realpath(3) may keep two at the start (POSIX allows it)
 *
 * What does not exist yet is kept as it is named.
 *
 * Return: 0, -ENAMETOOLONG, -EINVAL for a ".." in what does not exist, or the
 * -errno of realpath(3)
 */
int path_real(const char *path, char buf[PATH_MAX]) MUST_USE;

/**
 * path_program() - a program of our own: beside our executable as built, in
 * ../libexec as installed
 * @path: where; also of the last place looked at, if it is in none
 *
 * Return: a descriptor, or -errno
 */
int path_program(const char *name, char path[PATH_MAX]) MUST_USE;

/**
 * path_search() - where a program is: @name itself if it has a slash, else the
 * first executable of that name in PATH
 *
 * Return: 0 or -errno
 */
int path_search(const char *name, char buf[PATH_MAX]) MUST_USE;

#endif
