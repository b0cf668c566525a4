/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a cell gets as 0, 1, 2. Files and pipes of the caller are passed on; a
 * terminal never is: its output goes through a pipe, and with -t the cell has
 * a terminal of its own whose master is relayed here.
 */
#ifndef CELLOS_BACKEND_RELAY_H
#define CELLOS_BACKEND_RELAY_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

#include "base/err.h"
#include "cell/cell.h"

enum { RELAY_POLLS = 4 };

struct relay {
	int from_cell[3]; /* our ends of the pipes of 1 and 2; -1 */
	int to_cell[3];	  /* the cell's ends, closed after the clone */
	int pty;	  /* master of the cell's terminal; -1 */
	bool raw;	  /* our terminal's modes were changed */
	struct termios saved;
	bool in_open; /* our stdin still has something to give */
};

#define RELAY_INIT                                    \
	((struct relay){ .from_cell = { -1, -1, -1 }, \
			 .to_cell = { -1, -1, -1 },   \
			 .pty = -1 })

/** relay_setup() - fill what the cell will have as 0, 1, 2
 *  @owner: uid that must be able to reopen pipes by /proc/self/fd, or -1 */
int relay_setup(struct relay *s, enum cell_stdin in, uid_t owner,
		int ret_stdio[3]) MUST_USE;
/** relay_cloned() - close the cell's ends in this process */
void relay_cloned(struct relay *s);
/** relay_pty() - a master has come; the caller's terminal goes raw.
 *  Takes @master. */
void relay_pty(struct relay *s, int master);
/** relay_resize() - our terminal has a new size */
void relay_resize(const struct relay *s);
/** relay_polls() - what to wait for. Return: entries filled */
size_t relay_polls(const struct relay *s, struct pollfd p[RELAY_POLLS]);
/** relay_serve() - move what can be moved now */
void relay_serve(struct relay *s, const struct pollfd *p, size_t n);
/** relay_finish() - drain what is left, restore the terminal, close */
void relay_finish(struct relay *s);

#endif
