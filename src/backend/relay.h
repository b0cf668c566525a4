/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a cell gets as 0, 1, 2. Files, pipes and plain devices of the caller
 * are passed on. Terminals, sockets and the rest never are: a socket reaches
 * whatever its own network reaches. They are relayed through pipes, and with
 * -t through a terminal of the cell's own, whose master is here.
 *
 * One flow a direction, each with one buffer: it waits to read while the
 * buffer is empty and to write while it is not, and never blocks, because the
 * one process that moves these bytes is the one that keeps the deadline. A
 * flow is gone at the end of its source or when nobody reads it any more; its
 * descriptors close with it, which is how the other side learns.
 */
#ifndef CELLOS_BACKEND_RELAY_H
#define CELLOS_BACKEND_RELAY_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

#include "base/err.h"
#include "cell/cell.h"

enum {
	RELAY_POLLS = 3,
	/* what is in flight when the command has ended has this long */
	RELAY_DRAIN_MS = 2000,
	RELAY_WHY_SIZE = 48
};

struct relay_flow;

struct relay {
	struct relay_flow *flow[3]; /* to the cell's 0, from its 1, 2; NULL */
	int to_cell[3];		    /* the cell's ends, closed after clone */
	int pty;		    /* the master, owned by flow 1; -1 */
	bool raw;		    /* our terminal's modes were changed */
	struct termios saved;
	uint64_t end_ns; /* when draining is given up; 0: not yet ending */
	bool finished;
};

#define RELAY_INIT ((struct relay){ .to_cell = { -1, -1, -1 }, .pty = -1 })

enum relay_passes { RELAY_PASSES, RELAY_PASSES_PIPES, RELAY_PASSES_NONE };

/* Who is at the other end */
struct relay_cell {
	uid_t owner; /* must be able to reopen pipes by /proc/self/fd; -1 */
	/* of what is no terminal and no socket; a kernel of its own keeps an
	 * offset of its own in a file, a driver makes them non-blocking */
	enum relay_passes passes;
};

/**
 * relay_setup() - fill what the cell will have as 0, 1, 2
 * @ret_why: what was wrong, on failure
 *
 * Return: 0 or -errno; -EISDIR: one of ours is a directory
 */
int relay_setup(struct relay *s, enum cell_stdin in,
		const struct relay_cell *cell, int ret_stdio[3],
		char ret_why[RELAY_WHY_SIZE]) MUST_USE;
/** relay_cloned() - close the cell's ends in this process */
void relay_cloned(struct relay *s);
/** relay_pty() - a master has come; the caller's terminal goes raw.
 *  Takes @master. Return: 0 or -errno */
int relay_pty(struct relay *s, int master) MUST_USE;
/** relay_resize() - our terminal has a new size */
void relay_resize(const struct relay *s);
/** relay_polls() - what to wait for. Return: entries filled */
size_t relay_polls(const struct relay *s, struct pollfd p[RELAY_POLLS]);
/** relay_serve() - move what can be moved now */
void relay_serve(struct relay *s, const struct pollfd *p, size_t n);
/** relay_end() - the command has ended: the time for the rest runs */
void relay_end(struct relay *s);
/** relay_is_done() - all output is passed on, or its time is over */
bool relay_is_done(const struct relay *s);
/** relay_finish() - drain what is left within the bound, restore the
 *  terminal, close; once. Our own stderr is made to drop what it would
 *  block on: nothing of the runner waits for a reader after this. */
void relay_finish(struct relay *s);

#endif
