/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A pump: one flow of bytes of those who may not block. */
#include "sys/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

static int no_wait(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -errno
			 : last_errno(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

int pump_start(struct pump *p, int from, int to)
{
	int r;

	p->from = from;
	p->to = to;
	p->taken = p->passed = 0;
	p->at = p->len = 0;
	r = from < 0 ? 0 : no_wait(from);
	return r || to < 0 ? r : no_wait(to);
}

struct pollfd pump_poll(const struct pump *p)
{
	if (p->at < p->len)
		return (struct pollfd){ p->to, POLLOUT, 0 };
	return (struct pollfd){ p->from, POLLIN, 0 };
}

void pump_stop(struct pump *p)
{
	fd_drop(&p->from);
	fd_drop(&p->to);
	p->at = p->len = 0;
}

static bool is_later(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static void take(struct pump *p)
{
	ssize_t n = read(p->from, p->buf, sizeof(p->buf));

	if (n < 0 && is_later())
		return;
	if (n <= 0) {
		fd_drop(&p->from);
		return;
	}
	p->at = 0;
	p->len = (size_t)n;
	p->taken += (uint64_t)n;
}

static void give(struct pump *p)
{
	ssize_t n = write(p->to, p->buf + p->at, p->len - p->at);

	if (n < 0 && !is_later()) {
		fd_drop(&p->to);
		p->at = p->len;
	}
	if (n > 0) {
		p->at += (size_t)n;
		p->passed += (uint64_t)n;
	}
}

void pump_serve(struct pump *p)
{
	if (p->from >= 0 && p->at == p->len)
		take(p);
	if (p->at < p->len && p->to < 0)
		p->at = p->len;
	if (p->at < p->len)
		give(p);
}
