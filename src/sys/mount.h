/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Mounts. Mechanism only: every function returns 0 (or a descriptor) or
 * -errno, none logs. Paths named @at/@path are resolved like openat(2), but
 * beneath @at and without leaving it (openat2 RESOLVE_IN_ROOT, Linux 5.6), so
 * a symlink in a tree a workload may have written cannot lead outside.
 */
#ifndef CELLOS_SYS_MOUNT_H
#define CELLOS_SYS_MOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

enum {
	MOUNT_RO = 1 << 0,
	MOUNT_NOEXEC = 1 << 1,
	MOUNT_DEV = 1 << 2, /* else nodev; nosuid is always set */
	MOUNT_RECURSIVE = 1 << 3
};

/** mount_private() - stop propagation from and to the parent, whole tree */
int mount_private(void) MUST_USE;
/** mount_tree_open() - a detached copy of the tree at @path (Linux 5.2)
 *  Return: descriptor or -errno */
int mount_tree_open(int dirfd, const char *path, bool recursive) MUST_USE;
/**
 * mount_source_open() - O_PATH descriptor of a host path a document names
 *
 * No component may be a symbolic link (-ELOOP): what lies below a directory a
 * command could write may have been turned into one, before or meanwhile.
 * Everything else about the source is asked of this descriptor.
 */
int mount_source_open(const char *path) MUST_USE;
struct stat;
/**
 * mount_source_tree() - a detached copy of the tree at a path so opened
 * @want_dir: what the plan took it for; -ENOTDIR or -EISDIR if it no longer is
 * @ret_st:   of the very object that will be shown; may be NULL
 */
int mount_source_tree(const char *path, bool want_dir,
		      struct stat *ret_st) MUST_USE;
/** mount_tree_attr() - MOUNT_* on a detached tree, or on an attached mount by
 *  its O_PATH descriptor (mount_setattr, Linux 5.12) */
int mount_tree_attr(int tree, unsigned flags) MUST_USE;
/** mount_tree_idmap() - see @userns' mapping through this detached tree */
int mount_tree_idmap(int tree, int userns, bool recursive) MUST_USE;
/** mount_tree_attach() - put a detached tree over @path beneath @at */
int mount_tree_attach(int tree, int at, const char *path) MUST_USE;
/** mount_tree_move() - the same over a path of our own, relative to the current
 *  directory and resolved as any path is */
int mount_tree_move(int tree, const char *path) MUST_USE;
/** mount_fs() - mount(2) of a new file system instance on @path, relative to
 *  the current directory
 *  @flags: MOUNT_*; @data: options, or NULL */
int mount_fs(const char *type, const char *path, unsigned flags,
	     const char *data) MUST_USE;
/** mount_tmpfs_new() - a detached one (Linux 5.2), in which nodes are devices
 *  @data: options "name=value,..."; Return: descriptor or -errno */
int mount_tmpfs_new(const char *data) MUST_USE;
/** mount_dev() - the file system on a block device, the rest as mount_fs() */
int mount_dev(const char *dev, const char *type, const char *path,
	      unsigned flags) MUST_USE;
/** mount_move() - a mount to another place, both ends trusted paths */
int mount_move(const char *src, const char *dst) MUST_USE;
/** mount_bind() - show @src at @dst too, one call, both ends trusted paths;
 *  the new mount has the flags of the one @src lies on */
int mount_bind(const char *src, const char *dst, bool recursive) MUST_USE;
/** mount_path_attr() - MOUNT_* on the mount at a trusted path */
int mount_path_attr(const char *path, unsigned flags) MUST_USE;
/** mount_pivot() - make the current directory the root, drop the old one */
int mount_pivot(void) MUST_USE;
/** mount_resolve() - O_PATH descriptor of @path beneath @at, or -errno */
int mount_resolve(int at, const char *path) MUST_USE;

#endif
