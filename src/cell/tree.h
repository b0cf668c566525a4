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

/* A stream. @wait: of one that does not block, called where a block would be,
 * with what is waited for (POLLIN, POLLOUT); 0, or -errno, which is the end.
 * NULL: the stream blocks. */
struct tree_io {
	int fd;
	int (*wait)(void *arg, short events);
	void *arg;
};

/* Names, and which file each was: records one after the other, struct
 * tree_name and the name with its NUL. */
struct tree_name {
	uint64_t ino;
};

struct tree_since {
	struct timespec time;	  /* what changed after it (ctime) is sent */
	const struct wbuf *names; /* and what is not the file it was then */
};

/**
 * tree_send() - a whole archive
 * @fd:    of a directory, or of a regular file (O_RDONLY)
 * @since: what is as it was is only named; NULL: all is sent
 * @names: appended to: what was sent; NULL
 *
 * What cannot be read is left out, but with @since, where that would say it is
 * gone. What is of another file system is left out.
 *
 * Return: 0 or -errno
 */
int tree_send(const struct tree_io *out, int fd, const struct tree_since *since,
	      struct wbuf *names) MUST_USE;

struct tree_rules {
	uint64_t max; /* bytes of content in all */
	uid_t uid;    /* whose it becomes; -1: the caller's */
	gid_t gid;
	/* from a guest: what it was sent. Nothing else may be only named, or
	 * has to make room; no link may lead out. NULL: from a driver */
	const struct wbuf *sent;
};

/**
 * tree_receive() - the same from a stream
 * @dir:   directory to fill; or the file that was sent, open for writing
 * @names: as above: what came, and which file each is now; NULL
 *
 * Files appear whole: written without a name, or beside where the file system
 * has no such files; a file that is given itself is written over once there is
 * room for all of it. What is of another file system than @dir is left alone.
 *
 * Return: 0; -EPROTO for what is no such archive; -EFBIG; or -errno
 */
int tree_receive(const struct tree_io *in, int dir,
		 const struct tree_rules *rules, struct wbuf *names) MUST_USE;

/** tree_forget() - remove from @dir what was @sent and has not come back; a
 *  directory that holds something else stays; 0 or -errno */
int tree_forget(int dir, const struct wbuf *sent,
		const struct wbuf *back) MUST_USE;

#endif
