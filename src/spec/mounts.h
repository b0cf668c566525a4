/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Our reading of authority.filesystem, a value the original never looks at. */
#ifndef CELLOS_SPEC_MOUNTS_H
#define CELLOS_SPEC_MOUNTS_H

#include "spec/spec.h"

/**
 * mounts_derive() - fill authority.mounts from {"mounts":[{"path","mode"}...]}
 *
 * Whatever does not have exactly this shape is noted as unknown, and then no
 * mount is taken from the document at all: half of what was asked is worse.
 *
 * Return: 0, or -1 without memory
 */
int mounts_derive(struct spec *s) MUST_USE;

/**
 * mounts_check() - absolute, normalised, not "/", no duplicates, mode ro or
 * rw, not under /proc /sys /dev, at most LIMIT_MOUNTS
 *
 * Return: 0, or -1 with @e (ERR_SPEC)
 */
int mounts_check(const struct spec *s, struct err *e) MUST_USE;

#endif
