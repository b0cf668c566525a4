/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Standard descriptors of a cell, and the relay of a terminal. */
#include "backend/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"

#ifndef PIPEFS_MAGIC
#define PIPEFS_MAGIC 0x50495045
#endif

/* A shell's `> /dev/stderr` opens the pipe anew, as the workload's uid. */
static void give_pipe(int fd, uid_t owner)
{
	struct statfs fs;
	struct stat st;

	if (owner == (uid_t)-1 || fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode) ||
	    fstatfs(fd, &fs) < 0 || fs.f_type != PIPEFS_MAGIC)
		return;
	if (fchown(fd, owner, (gid_t)-1) < 0) {
		/* then only what is already open can be written: as before */
	}
}

int relay_setup(struct relay *s, enum cell_stdin in, uid_t owner,
		int ret_stdio[3])
{
	*s = RELAY_INIT;
	ret_stdio[0] = -1;
	if (in == CELL_STDIN_PASS && fcntl(0, F_GETFD) >= 0) {
		/* somebody else's keystrokes are not for the cell; with -i
		 * from a terminal, input goes line by line through us */
		if (!isatty(0)) {
			ret_stdio[0] = 0;
			give_pipe(0, owner);
		} else {
			int p[2];

			if (pipe2(p, O_CLOEXEC) < 0)
				return -errno;
			s->to_cell[0] = p[0];
			s->from_cell[0] = p[1];
			s->in_open = true;
			ret_stdio[0] = p[0];
			give_pipe(p[0], owner);
		}
	}
	for (int i = 1; i < 3; i++) {
		int p[2];

		ret_stdio[i] = -1;
		if (in == CELL_STDIN_PTY || fcntl(i, F_GETFD) < 0)
			continue;
		ret_stdio[i] = i;
		if (!isatty(i)) {
			give_pipe(i, owner);
			continue;
		}
		if (pipe2(p, O_CLOEXEC) < 0)
			return -errno;
		s->from_cell[i] = p[0];
		s->to_cell[i] = p[1];
		ret_stdio[i] = p[1];
		give_pipe(p[1], owner);
	}
	return 0;
}

void relay_cloned(struct relay *s)
{
	for (int i = 0; i < 3; i++)
		fd_drop(&s->to_cell[i]);
}

void relay_resize(const struct relay *s)
{
	struct winsize w;

	if (s->pty >= 0 && ioctl(0, TIOCGWINSZ, &w) == 0)
		(void)ioctl(s->pty, TIOCSWINSZ, &w);
}

void relay_pty(struct relay *s, int master)
{
	struct termios t;

	s->pty = master;
	s->in_open = true;
	if (tcgetattr(0, &s->saved) == 0) {
		t = s->saved;
		cfmakeraw(&t);
		s->raw = tcsetattr(0, TCSANOW, &t) == 0;
		relay_resize(s);
	}
}

size_t relay_polls(const struct relay *s, struct pollfd p[RELAY_POLLS])
{
	size_t n = 0;

	for (int i = 1; i < 3; i++)
		if (s->from_cell[i] >= 0)
			p[n++] = (struct pollfd){ s->from_cell[i], POLLIN, 0 };
	if (s->pty >= 0)
		p[n++] = (struct pollfd){ s->pty, POLLIN, 0 };
	if (s->in_open && (s->pty >= 0 || s->from_cell[0] >= 0))
		p[n++] = (struct pollfd){ 0, POLLIN, 0 };
	return n;
}

/* One bite; false at the end of the stream. */
static bool move(int from, int to)
{
	char buf[8192];
	ssize_t n = read(from, buf, sizeof(buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false; /* EIO: the last user of a terminal is gone */
	return fd_write_all(to, buf, (size_t)n) == 0;
}

static void serve_input(struct relay *s)
{
	static const char eot = 4;

	if (move(0, s->pty >= 0 ? s->pty : s->from_cell[0]))
		return;
	s->in_open = false;
	if (s->pty >= 0) {
		/* the end of our input is ^D on a terminal */
		if (write(s->pty, &eot, 1) < 0) {
			/* nobody reads it any more */
		}
	} else {
		fd_drop(&s->from_cell[0]);
	}
}

void relay_serve(struct relay *s, const struct pollfd *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!p[i].revents)
			continue;
		if (p[i].fd == 0) {
			serve_input(s);
		} else if (p[i].fd == s->pty) {
			if (!move(s->pty, 1))
				fd_drop(&s->pty);
		} else {
			int k = p[i].fd == s->from_cell[1] ? 1 : 2;

			if (!move(s->from_cell[k], k))
				fd_drop(&s->from_cell[k]);
		}
	}
}

/* Everything in the cell is dead: what is in the pipes is all there will be. */
void relay_finish(struct relay *s)
{
	int fds[3] = { s->from_cell[1], s->from_cell[2], s->pty };
	int to[3] = { 1, 2, 1 };

	for (int i = 0; i < 3; i++) {
		struct pollfd p = { fds[i], POLLIN, 0 };

		while (fds[i] >= 0 && poll(&p, 1, 0) == 1 &&
		       (p.revents & POLLIN) && move(fds[i], to[i]))
			;
	}
	relay_cloned(s);
	for (int i = 0; i < 3; i++)
		fd_drop(&s->from_cell[i]);
	fd_drop(&s->pty);
	if (s->raw)
		(void)tcsetattr(0, TCSANOW, &s->saved);
	s->raw = false;
}
