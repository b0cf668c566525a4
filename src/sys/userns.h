/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* User namespaces: identity maps, and a namespace for an idmapped mount. */
#ifndef CELLOS_SYS_USERNS_H
#define CELLOS_SYS_USERNS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

struct userns_map {
	uint32_t inside, outside, count;
};

enum { USERNS_MAPS_MAX = 4 };

/**
 * userns_write_maps() - write gid_map and uid_map of a process, read both back
 * @deny_setgroups: write "deny" first (needed without CAP_SETGID outside)
 *
 * Return: 0, -EPROTO if the kernel shows other maps than written, or -errno
 */
int userns_write_maps(pid_t pid, const struct userns_map *uid, size_t n_uid,
		      const struct userns_map *gid, size_t n_gid,
		      int deny_setgroups) MUST_USE;

/**
 * userns_for_idmap() - a descriptor of a user namespace for an idmapped mount:
 * of each map @inside is the id on disk, @outside the one that is seen
 *
 * The namespace has no process; it lives as long as the descriptor or a mount
 * that uses it. Needs CAP_SETUID and CAP_SETGID over the host.
 *
 * Return: descriptor or -errno
 */
int userns_for_idmap(const struct userns_map *uid, size_t n_uid,
		     const struct userns_map *gid, size_t n_gid) MUST_USE;

#endif
