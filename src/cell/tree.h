/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A directory, or a file, through a channel: to a machine, and what the command
 * made of it back. An archive (wire/cpio.h) of regular files, directories and
 * symbolic links; nothing else is carried, nor any owner. Whoever receives one
 * creates nothing outside of the directory it is given, whatever it says.
 */
#ifndef CELLOS_CELL_TREE_H
#define CELLOS_CELL_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/attr.h"
#include "base/wbuf.h"

/* The name of what is no directory */
#define TREE_FILE "file"

enum {
	TREE_KEPT = 1, /* cpio_entry.check: as it was, no content */
	TREE_DEPTH_MAX = 64,
	TREE_NAMES_MAX = 64 << 20
};

/**
 * tree_send() - a whole archive to a stream that may block
 * @fd:    of a directory, or of a regular file (O_RDONLY)
 * @since: what has not changed after it (ctime) is only named; NULL: all is
 *         sent
 * @names: appended to: what was sent, each with its NUL; NULL
 *
 * What cannot be read is left out; of another file system, too.
 *
 * Return: 0 or -errno
 */
int tree_send(int out, int fd, const struct timespec *since,
	      struct wbuf *names) MUST_USE;

struct tree_rules {
	uint64_t max; /* bytes of content in all */
	uid_t uid;    /* whose it becomes; -1: the caller's */
	gid_t gid;
	bool is_foreign; /* from a guest: no link that leads out */
};

/**
 * tree_receive() - the same from a stream
 * @dir:   directory to fill; or the file that was sent, open for writing
 * @names: as above: what came; NULL
 * @ret_left: links that were left out; NULL
 *
 * Files appear whole: written beside, then renamed.
 *
 * Return: 0; -EPROTO for what is no such archive; -EFBIG; or -errno
 */
int tree_receive(int in, int dir, const struct tree_rules *rules,
		 struct wbuf *names, unsigned *ret_left) MUST_USE;

/** tree_forget() - remove from @dir what was @sent, and has not come back;
 *  Return: 0 or -errno */
int tree_forget(int dir, const struct wbuf *sent,
		const struct wbuf *back) MUST_USE;

#endif
