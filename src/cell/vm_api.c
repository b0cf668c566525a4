/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Requests to Firecracker's API, by its socket. Of an answer the status counts:
 * each 2xx is a success. Of a refusal the first bytes of its body are told, for
 * people.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/fd.h"
#include "cell/vm_start.h"

enum { START_SECONDS = 10, CALL_SECONDS = 5, END_SECONDS = 1 };
enum { RETRY_NS = 1000000 };
enum { ANSWER_MAX = 4096, SECOND_NS = 1000000000 };

static uint64_t in(unsigned seconds)
{
	return clock_mono_ns() + (uint64_t)seconds * SECOND_NS;
}

static int try_connect(const struct sockaddr_un *at)
{
	OWNED(fd_drop)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)at, sizeof(*at)) < 0)
		return -errno;
	return fd_take(&fd);
}

int vm_api_connect(const struct vm_wait *w, const struct sockaddr_un *at,
		   char why[VM_WHY_SIZE])
{
	const uint64_t end = in(START_SECONDS);

	for (;;) {
		int fd = try_connect(at), r;

		if (fd >= 0)
			return fd;
		/* it is not there yet, or not listened at */
		if (fd != -ENOENT && fd != -ECONNREFUSED && fd != -EAGAIN) {
			(void)snprintf(why, VM_WHY_SIZE,
				       "connect to firecracker socket " VM_API);
			return fd;
		}
		if (clock_mono_ns() > end) {
			(void)snprintf(why, VM_WHY_SIZE,
				       "timed out waiting for Firecracker "
				       "socket at " VM_API " (%ds)",
				       START_SECONDS);
			return -ETIMEDOUT;
		}
		r = w->until(w->arg, -1, 0, clock_mono_ns() + RETRY_NS);
		if (r && r != -ETIMEDOUT)
			return r;
	}
}

/* Return: 0, -EPIPE (the VMM), -ECONNRESET (the connection), or -ETIMEDOUT */
static int send_all(const struct vm_wait *w, int fd, struct slice s,
		    uint64_t end)
{
	while (s.n) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
		int r;

		if (n > 0) {
			s.p += n;
			s.n -= (size_t)n;
			continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -ECONNRESET;
		r = w->until(w->arg, fd, POLLOUT, end);
		if (r)
			return r;
	}
	return 0;
}

struct answer {
	char text[ANSWER_MAX];
	size_t len, head; /* 0: not whole */
};

/* Of the body, as the head says; SIZE_MAX: of no length that is known */
static size_t length_of(const char *head)
{
	static const char name[] = "content-length:";
	size_t n = 0;

	for (const char *p = head; (p = strstr(p, "\r\n")) && p[2] != '\r';
	     p++) {
		if (!strncasecmp(p + 2, "transfer-encoding:", 18))
			return SIZE_MAX;
		if (strncasecmp(p + 2, name, sizeof(name) - 1) != 0)
			continue;
		p += sizeof(name) + 1;
		while (*p == ' ')
			p++;
		for (n = 0; ascii_is_digit(*p) && n < ANSWER_MAX; p++)
			n = n * 10 + (size_t)(*p - '0');
		if (*p != '\r')
			return SIZE_MAX;
		p--;
	}
	return n;
}

/* With its body, if it has found room and come in time: an error is told with
 * as much of it as there is. */
static int read_answer(const struct vm_wait *w, int fd, struct answer *a,
		       uint64_t end)
{
	for (;;) {
		ssize_t n =
			recv(fd, a->text + a->len, ANSWER_MAX - 1 - a->len, 0);
		const char *at;
		int r = 0;

		if (n > 0)
			a->len += (size_t)n;
		a->text[a->len] = '\0';
		at = strstr(a->text, "\r\n\r\n");
		if (at)
			a->head = (size_t)(at - a->text) + 4;
		if (at && a->len - a->head >= length_of(a->text))
			return 0;
		if (n == 0 || a->len == ANSWER_MAX - 1 ||
		    (n < 0 && errno != EAGAIN && errno != EINTR))
			r = -ECONNRESET;
		else if (n < 0)
			r = w->until(w->arg, fd, POLLIN, end);
		if (r)
			return at ? 0 : r;
	}
}

/* "HTTP/1.1 204 No Content"; 0: it is no such line */
static unsigned status_of(const char *answer)
{
	static const char version[] = "HTTP/1.";
	const char *p = answer + sizeof(version) - 1;
	unsigned n = 0;

	if (strncmp(answer, version, sizeof(version) - 1) != 0 ||
	    (*p != '0' && *p != '1') || p[1] != ' ')
		return 0;
	for (int i = 2; i < 5; i++) {
		if (p[i] < '0' || p[i] > '9')
			return 0;
		n = n * 10 + (unsigned)(p[i] - '0');
	}
	return n;
}

/* What it says is wrong, of letters that do nothing to a terminal */
static void tell_refusal(const char *path, const struct answer *a,
			 char why[VM_WHY_SIZE])
{
	const char *body = a->text + a->head;
	int n = snprintf(why, VM_WHY_SIZE,
			 "firecracker PUT %s returned HTTP %u%s", path,
			 status_of(a->text), *body ? ": " : "");

	for (; n > 0 && n < VM_WHY_SIZE - 1 && *body; body++)
		why[n++] = *body >= ' ' && *body < 0x7f ? *body : '?';
	if (n > 0 && n < VM_WHY_SIZE)
		why[n] = '\0';
}

static int exchange(const struct vm_wait *w, int fd, const char *path,
		    struct slice body, struct answer *a, uint64_t end)
{
	char head[256];
	int n = snprintf(head, sizeof(head),
			 "PUT http://localhost%s HTTP/1.1\r\n"
			 "content-type: application/json\r\n"
			 "accept: application/json\r\n"
			 "host: localhost\r\n"
			 "content-length: %zu\r\n\r\n",
			 path, body.n);
	int r;

	if (n < 0 || (size_t)n >= sizeof(head))
		return -EMSGSIZE;
	r = send_all(w, fd, (struct slice){ head, (size_t)n }, end);
	if (!r)
		r = send_all(w, fd, body, end);
	return r ? r : read_answer(w, fd, a, end);
}

int vm_api_put(const struct vm_wait *w, const char *path, struct slice body,
	       char why[VM_WHY_SIZE])
{
	const uint64_t end = in(CALL_SECONDS);
	struct answer a = { .len = 0 };
	int r = exchange(w, w->api, path, body, &a, end);

	/* who ends a connection may be at the end itself */
	if (r && r != -ETIMEDOUT && r != -EPIPE &&
	    w->until(w->arg, -1, 0, in(END_SECONDS)) == -EPIPE)
		r = -EPIPE;
	if (r == -ETIMEDOUT)
		(void)snprintf(why, VM_WHY_SIZE,
			       "firecracker API request to %s timed out after "
			       "%ds",
			       path, CALL_SECONDS);
	else if (r)
		(void)snprintf(why, VM_WHY_SIZE,
			       "firecracker API request to %s: no answer",
			       path);
	if (r)
		return r;
	/* of what succeeds the body is nobody's, and has to end where it says
	 * it does: the next answer starts right behind */
	if (status_of(a.text) / 100 == 2 && a.len - a.head == length_of(a.text))
		return 0;
	tell_refusal(path, &a, why);
	return -EPROTO;
}
