/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Standard descriptors of a cell, and the relay of what is not passed on. */
#include "backend/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#define TARGET "cellos.supervisor.host"

#ifndef PIPEFS_MAGIC
#define PIPEFS_MAGIC 0x50495045
#endif

enum {
	FLOW_BUFFER = 16384,
	CAREFUL_BYTES = 128 /* a pipe that says POLLOUT has room for a page */
};

static const char eot[] = { 4, 4 };

enum sink {
	SINK_FREE,    /* never blocks: ours, reopened, a file, /dev/null */
	SINK_SOCKET,  /* send() can be told not to */
	SINK_CAREFUL, /* may block: little, and only after POLLOUT */
	SINK_TERMINAL /* the same; only one byte surely has room then */
};

struct relay_flow {
	int from, to; /* owned */
	enum sink sink;
	bool eof, from_socket, to_pty;
	bool mid_line; /* what went to the terminal did not end in \n */
	size_t at, len;
	size_t most; /* of the buffer ever used: the rest has no pages */
	char buf[FLOW_BUFFER];
};

/* -- flows -- */

static void flow_free(struct relay_flow **f)
{
	if (!*f)
		return;
	fd_drop(&(*f)->from);
	fd_drop(&(*f)->to);
	explicit_bzero((*f)->buf, (*f)->most);
	free(*f);
	*f = NULL;
}

/* The end of our input is ^D on a terminal; the first only ends a line. */
static bool flow_end(struct relay_flow *f)
{
	if (!f->to_pty || f->eof)
		return false;
	f->eof = true;
	f->at = 0;
	f->len = f->mid_line ? 2 : 1;
	memcpy(f->buf, eot, f->len);
	return true;
}

/* false at the end of the stream */
static bool flow_fill(struct relay_flow *f)
{
	ssize_t n;

	if (f->eof)
		return false;
	n = f->from_socket ? recv(f->from, f->buf, FLOW_BUFFER, MSG_DONTWAIT)
			   : read(f->from, f->buf, FLOW_BUFFER);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return flow_end(f); /* EIO: a terminal nobody holds any more */
	f->at = 0;
	f->len = (size_t)n;
	f->most = f->len > f->most ? f->len : f->most;
	f->mid_line = f->buf[n - 1] != '\n';
	return true;
}

/* false if nobody reads it any more */
static bool flow_drain(struct relay_flow *f)
{
	size_t left = f->len - f->at;
	ssize_t n;

	if (f->sink == SINK_CAREFUL && left > CAREFUL_BYTES)
		left = CAREFUL_BYTES;
	if (f->sink == SINK_TERMINAL)
		left = 1;
	if (f->sink == SINK_SOCKET)
		n = send(f->to, f->buf + f->at, left,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = write(f->to, f->buf + f->at, left);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	f->at += (size_t)n;
	return true;
}

/* What poll() said holds for one call; false: the flow is finished. */
static bool flow_serve(struct relay_flow *f)
{
	if (f->at == f->len) {
		if (!flow_fill(f))
			return false;
		if (f->at == f->len || f->sink >= SINK_CAREFUL)
			return true;
	}
	return flow_drain(f);
}

static struct pollfd flow_poll(const struct relay_flow *f)
{
	if (f->at == f->len)
		return (struct pollfd){ f->from, POLLIN, 0 };
	return (struct pollfd){ f->to, POLLOUT, 0 };
}

/* -- the caller's descriptors -- */

/* If we may not open their own name: the same terminal, as ours. */
static int open_controlling(int fd)
{
	OWNED(fd_drop)
	int tty =
		open("/dev/tty", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	unsigned a, b;

	if (tty < 0 || fd_ioctl(tty, TIOCGDEV, &a) < 0 ||
	    fd_ioctl(fd, TIOCGDEV, &b) < 0 || a != b)
		return -1;
	return fd_take(&tty);
}

/*
 * A way to write to the caller's @fd without blocking. O_NONBLOCK belongs to
 * the open file description, which others hold too, so we make another one.
 */
static int open_sink(int fd, enum sink *ret_sink)
{
	OWNED(fd_drop) int to = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	int fl = fcntl(fd, F_GETFL), again = -1;
	char path[32];
	struct stat st;
	bool never;

	if (to < 0 || fl < 0 || fstat(fd, &st) < 0)
		return -errno;
	never = S_ISREG(st.st_mode) ||
		(S_ISCHR(st.st_mode) && major(st.st_rdev) == MEM_MAJOR);
	*ret_sink = S_ISSOCK(st.st_mode) ? SINK_SOCKET
		    : never		 ? SINK_FREE
					 : SINK_CAREFUL;
	/* no more than we were given */
	if (*ret_sink != SINK_CAREFUL || (fl & O_ACCMODE) == O_RDONLY)
		return fd_take(&to);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (isatty(fd) || S_ISFIFO(st.st_mode))
		again = open(path,
			     O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (again < 0 && isatty(fd))
		again = open_controlling(fd);
	if (again < 0) {
		*ret_sink = isatty(fd) ? SINK_TERMINAL : SINK_CAREFUL;
		return fd_take(&to);
	}
	*ret_sink = SINK_FREE;
	return again;
}

/* @ours: a pipe end or a master. Takes it. */
static int flow_new(int caller, int ours, struct relay_flow **ret)
{
	OWNED(fd_drop) int mine = ours;
	struct relay_flow *f;
	struct stat st;
	int fl = fcntl(mine, F_GETFL);
	int r;

	if (fl < 0 || fcntl(mine, F_SETFL, fl | O_NONBLOCK) < 0)
		return -errno;
	f = malloc(sizeof(*f));
	if (!f)
		return -ENOMEM;
	/* not calloc: the buffer's pages are touched when there is something */
	f->from = f->to = -1;
	f->sink = SINK_FREE;
	f->eof = f->from_socket = f->to_pty = f->mid_line = false;
	f->at = f->len = f->most = 0;
	if (caller == 0) {
		f->from = fcntl(0, F_DUPFD_CLOEXEC, 3);
		r = f->from < 0 || fstat(0, &st) < 0 ? -errno : 0;
		f->from_socket = !r && S_ISSOCK(st.st_mode);
		f->to = fd_take(&mine);
	} else {
		f->to = open_sink(caller, &f->sink);
		r = f->to < 0 ? f->to : 0;
		f->from = fd_take(&mine);
	}
	if (r)
		flow_free(&f);
	*ret = f;
	return r;
}

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

/* Of a device nobody can say whether it is a terminal: not passed on. */
static bool may_pass(int fd, mode_t mode, const struct relay_cell *cell)
{
	struct termios t;
	int fl = fcntl(fd, F_GETFL);

	if (fl < 0 || (fl & O_PATH) || cell->passes == RELAY_PASSES_NONE)
		return false;
	if (S_ISCHR(mode))
		return tcgetattr(fd, &t) < 0 && errno == ENOTTY;
	return (S_ISREG(mode) && cell->passes == RELAY_PASSES) ||
	       S_ISFIFO(mode);
}

static int setup_one(struct relay *s, int i, mode_t mode,
		     const struct relay_cell *cell, int *ret_fd)
{
	int p[2], r;

	*ret_fd = i;
	if (!may_pass(i, mode, cell)) {
		if (pipe2(p, O_CLOEXEC) < 0)
			return -errno;
		s->to_cell[i] = p[i ? 1 : 0];
		r = flow_new(i, p[i ? 0 : 1], &s->flow[i]);
		if (r)
			return r;
		*ret_fd = s->to_cell[i];
	}
	give_pipe(*ret_fd, cell->owner);
	return 0;
}

int relay_setup(struct relay *s, enum cell_stdin in,
		const struct relay_cell *cell, int ret_stdio[3],
		char ret_why[RELAY_WHY_SIZE])
{
	*s = RELAY_INIT;
	for (int i = 0; i < 3; i++) {
		struct stat st;
		int r = 0;

		ret_stdio[i] = -1;
		if (fstat(i, &st) < 0)
			continue;
		(void)snprintf(ret_why, RELAY_WHY_SIZE, "descriptor %d%s", i,
			       S_ISDIR(st.st_mode) ? " is a directory" : "");
		if (S_ISDIR(st.st_mode))
			return -EISDIR;
		if (in == CELL_STDIN_PASS || (in == CELL_STDIN_NULL && i))
			r = setup_one(s, i, st.st_mode, cell, &ret_stdio[i]);
		if (r)
			return r;
	}
	return 0;
}

void relay_cloned(struct relay *s)
{
	for (int i = 0; i < 3; i++)
		fd_drop(&s->to_cell[i]);
}

/* -- a terminal of the cell's own -- */

void relay_resize(const struct relay *s)
{
	struct winsize w;

	if (s->pty >= 0 && ioctl(0, TIOCGWINSZ, &w) == 0)
		(void)ioctl(s->pty, TIOCSWINSZ, &w);
}

int relay_pty(struct relay *s, int master)
{
	OWNED(fd_drop) int one = master;
	OWNED(fd_drop) int two = fcntl(one, F_DUPFD_CLOEXEC, 3);
	struct termios t;
	int r;

	if (two < 0)
		return -errno;
	r = flow_new(1, fd_take(&one), &s->flow[1]);
	if (r)
		return r;
	s->pty = s->flow[1]->from;
	r = flow_new(0, fd_take(&two), &s->flow[0]);
	if (r)
		return r;
	s->flow[0]->to_pty = true;
	if (tcgetattr(0, &s->saved) == 0) {
		t = s->saved;
		cfmakeraw(&t);
		s->raw = tcsetattr(0, TCSANOW, &t) == 0;
		relay_resize(s);
	}
	return 0;
}

/* Even if the shell has taken the terminal back: it must find it usable. */
static void restore_terminal(struct relay *s)
{
	sigset_t ttou, old;

	if (!s->raw)
		return;
	(void)sigemptyset(&ttou);
	(void)sigaddset(&ttou, SIGTTOU);
	(void)sigprocmask(SIG_BLOCK, &ttou, &old);
	(void)tcsetattr(0, TCSANOW, &s->saved);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	s->raw = false;
}

/* -- at work -- */

size_t relay_polls(const struct relay *s, struct pollfd p[RELAY_POLLS])
{
	size_t n = 0;

	for (int i = 0; i < 3; i++)
		if (s->flow[i])
			p[n++] = flow_poll(s->flow[i]);
	return n;
}

static void drop_flow(struct relay *s, int i)
{
	flow_free(&s->flow[i]);
	if (i == 1 && s->pty >= 0) {
		s->pty = -1;
		/* the other holder of the master: the cell's terminal hangs
		 * up only when both have let go */
		flow_free(&s->flow[0]);
	}
}

void relay_serve(struct relay *s, const struct pollfd *p, size_t n)
{
	/* in the order of relay_polls(), which this turn's drops change */
	const struct relay_flow *polled[3] = { s->flow[0], s->flow[1],
					       s->flow[2] };
	size_t k = 0;

	for (int i = 0; i < 3 && k < n; i++)
		if (polled[i] && p[k++].revents && s->flow[i] &&
		    !flow_serve(s->flow[i]))
			drop_flow(s, i);
}

static bool has_output(const struct relay *s)
{
	return s->flow[1] || s->flow[2];
}

void relay_end(struct relay *s)
{
	if (!s->end_ns)
		s->end_ns =
			clock_mono_ns() + (uint64_t)RELAY_DRAIN_MS * 1000000;
}

bool relay_is_done(const struct relay *s)
{
	return !has_output(s) || (s->end_ns && clock_mono_ns() >= s->end_ns);
}

/* Whether @fd is what a flow could not be written to. */
static bool is_stuck(const struct relay *s, int fd)
{
	struct stat a, b;

	for (int i = 1; i < 3; i++)
		if (s->flow[i] && fstat(s->flow[i]->to, &a) == 0 &&
		    fstat(fd, &b) == 0 && a.st_dev == b.st_dev &&
		    a.st_ino == b.st_ino)
			return true;
	return false;
}

/*
 * What the runner itself has to say after the cell must not wait for such a
 * reader either: our own 2 is from now on one that drops instead. A terminal
 * says POLLOUT also where there is no room for a line.
 */
static void free_stderr(struct relay *s)
{
	OWNED(fd_drop) int to = -1;
	struct pollfd p = { STDERR_FILENO, POLLOUT, 0 };
	enum sink sink = SINK_CAREFUL;
	uint64_t now = clock_mono_ns();
	uint64_t left = s->end_ns > now ? s->end_ns - now : 0;

	if (!is_stuck(s, STDERR_FILENO) &&
	    poll(&p, 1, (int)((left + 999999) / 1000000)) != 0)
		return;
	to = open_sink(STDERR_FILENO, &sink);
	if (to >= 0 && sink != SINK_FREE) {
		fd_drop(&to);
		to = open("/dev/null", O_WRONLY | O_CLOEXEC);
	}
	if (to >= 0)
		(void)dup2(to, STDERR_FILENO);
}

void relay_finish(struct relay *s)
{
	if (s->finished)
		return;
	s->finished = true;
	relay_cloned(s);
	flow_free(&s->flow[0]);
	relay_end(s);
	while (!relay_is_done(s)) {
		struct pollfd p[RELAY_POLLS];
		size_t n = relay_polls(s, p);
		uint64_t now = clock_mono_ns();
		uint64_t left = s->end_ns > now ? s->end_ns - now : 0;

		if (poll(p, n, (int)(left / 1000000 + 1)) > 0)
			relay_serve(s, p, n);
	}
	free_stderr(s);
	if (has_output(s))
		log_line(LOG_ERROR, TARGET,
			 "output of the command is lost: it was not read "
			 "within %d s of its end",
			 RELAY_DRAIN_MS / 1000);
	for (int i = 0; i < 3; i++)
		flow_free(&s->flow[i]);
	s->pty = -1;
	restore_terminal(s);
}
