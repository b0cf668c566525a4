/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Both ends of the door's bench. A connection shows a TLS hello with a name
 * and is answered with an alert, at once: what is measured is who stands
 * between, not TLS.
 *
 *  load serve ADDR PORT         answers hellos; behind that, on PORT + 1, an
 *                               endless stream
 *  load rate ADDR PORT NAME N CONCURRENT     ns in all, median and p99 ns
 *  load bulk ADDR PORT NAME MIB CONCURRENT   ns in all
 *  load hold ADDR PORT NAME N                "held" when open; until EOF
 *  load dns ADDR PORT NAME N CONCURRENT      ns in all
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, CHUNK = 128 * 1024, QUERY_MAX = 300, FDS = 65536 };

static char chunk[CHUNK];
static const char alert[] = { 0x15, 3, 3, 0, 2, 2, 0x28 };

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct sockaddr_in address(const char *addr, const char *port, int more)
{
	struct sockaddr_in a = { .sin_family = AF_INET };

	a.sin_port = htons((uint16_t)(atoi(port) + more));
	if (inet_pton(AF_INET, addr, &a.sin_addr) != 1)
		die(addr);
	return a;
}

static void watch(int ep, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = { .events = events, .data.u64 = data };

	if (epoll_ctl(ep, op, fd, &e))
		die("epoll_ctl");
}

/* -- the far end -- */

static int listening(struct sockaddr_in a)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 4096))
		die("listen");
	return fd;
}

static bool streams[FDS]; /* by descriptor */

static void take(int ep, int from, bool is_stream)
{
	int fd;

	while ((fd = accept4(from, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if (fd >= FDS)
			die("descriptors");
		streams[fd] = is_stream;
		watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN, (uint64_t)fd);
	}
}

static void serve_one(int ep, int fd, uint32_t events)
{
	ssize_t n = 1;

	if (events & EPOLLIN) {
		n = read(fd, chunk, sizeof(chunk));
		if (n > 0 && write(fd, alert, sizeof(alert)) < 0)
			n = 0;
		if (n > 0 && streams[fd])
			watch(ep, EPOLL_CTL_MOD, fd, EPOLLOUT | EPOLLRDHUP,
			      (uint64_t)fd);
	} else if (events & EPOLLOUT) {
		while ((n = write(fd, chunk, sizeof(chunk))) > 0)
			;
	}
	if (n == 0 || (n < 0 && errno != EAGAIN) ||
	    events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
		(void)close(fd);
}

static int serve(char **argv)
{
	int ep = epoll_create1(0), n;
	int once = listening(address(argv[0], argv[1], 0));
	int stream = listening(address(argv[0], argv[1], 1));
	struct epoll_event e[EVENTS];

	watch(ep, EPOLL_CTL_ADD, once, EPOLLIN, (uint64_t)once);
	watch(ep, EPOLL_CTL_ADD, stream, EPOLLIN, (uint64_t)stream);
	while ((n = epoll_wait(ep, e, EVENTS, -1)) >= 0)
		for (int i = 0; i < n; i++) {
			int fd = (int)e[i].data.u64;

			if (fd == once || fd == stream)
				take(ep, fd, fd == stream);
			else
				serve_one(ep, fd, e[i].events);
		}
	die("epoll_wait");
}

/* -- the near end -- */

static uint8_t hello[512];
static size_t hello_len;

/* A TLS 1.3 hello with server_name (RFC 8446 4.1.2) */
static void make_hello(const char *name)
{
	static const uint8_t head[] = { 0x16, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3 };
	static const uint8_t suites[] = { 0, 0, 2, 0x13, 1, 1, 0 };
	uint8_t len = (uint8_t)strlen(name);
	uint8_t *p = hello;
	size_t body;

	memcpy(p, head, sizeof(head));
	p += sizeof(head) + 32; /* random: zeros */
	memcpy(p, suites, sizeof(suites));
	p += sizeof(suites);
	*p++ = 0;
	*p++ = (uint8_t)(len + 9);
	memcpy(p,
	       (uint8_t[]){ 0, 0, 0, (uint8_t)(len + 5), 0, (uint8_t)(len + 3),
			    0, 0, len },
	       9);
	memcpy(p + 9, name, len);
	p += 9 + len;
	hello_len = (size_t)(p - hello);
	body = hello_len - 5;
	hello[3] = (uint8_t)(body >> 8);
	hello[4] = (uint8_t)body;
	hello[7] = (uint8_t)((body - 4) >> 8);
	hello[8] = (uint8_t)(body - 4);
}

struct conn {
	int fd;
	uint64_t begun;
	bool sent;
};

static void dial(int ep, struct conn *c, size_t i, const struct sockaddr_in *to)
{
	struct linger now_ = { .l_onoff = 1 };
	int on = 1;

	c->begun = now();
	c->sent = false;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0 ||
	    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now_, sizeof(now_)) ||
	    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		die("socket");
	if (connect(c->fd, (const struct sockaddr *)to, sizeof(*to)) &&
	    errno != EINPROGRESS)
		die("connect");
	watch(ep, EPOLL_CTL_ADD, c->fd, EPOLLOUT, i);
}

/* true: there is something to read */
static bool go_on(int ep, struct conn *c, size_t i)
{
	if (c->sent)
		return true;
	if (write(c->fd, hello, hello_len) != (ssize_t)hello_len)
		die("hello");
	c->sent = true;
	watch(ep, EPOLL_CTL_MOD, c->fd, EPOLLIN, i);
	return false;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static size_t number(const char *s)
{
	size_t n = (size_t)strtoul(s, NULL, 10);

	if (n == 0)
		die("number");
	return n;
}

static int rate(char **argv)
{
	struct sockaddr_in to = address(argv[0], argv[1], 0);
	size_t n = number(argv[3]), at_once = number(argv[4]);
	size_t begun = 0, done = 0;
	uint64_t *took = calloc(n, sizeof(*took)), start = now();
	struct conn *c = calloc(at_once, sizeof(*c));
	struct epoll_event e[EVENTS];
	int ep = epoll_create1(0);

	if (!took || !c || ep < 0)
		die("memory");
	for (; begun < at_once && begun < n; begun++)
		dial(ep, &c[begun], begun, &to);
	while (done < n) {
		int k = epoll_wait(ep, e, EVENTS, 10000);

		if (k <= 0)
			die("no answer");
		for (int j = 0; j < k; j++) {
			size_t i = e[j].data.u64;

			if (!go_on(ep, &c[i], i))
				continue;
			if (read(c[i].fd, chunk, sizeof(chunk)) <
				    (ssize_t)sizeof(alert) ||
			    memcmp(chunk, alert, sizeof(alert)))
				die("answer");
			took[done++] = now() - c[i].begun;
			(void)close(c[i].fd);
			if (begun < n) {
				dial(ep, &c[i], i, &to);
				begun++;
			}
		}
	}
	start = now() - start;
	qsort(took, n, sizeof(*took), compare);
	(void)printf("%lu %lu %lu\n", (unsigned long)start,
		     (unsigned long)took[n / 2],
		     (unsigned long)took[n * 99 / 100]);
	return 0;
}

static int bulk(char **argv)
{
	struct sockaddr_in to = address(argv[0], argv[1], 1);
	uint64_t want = number(argv[3]) << 20, got = 0, start = 0;
	size_t at_once = number(argv[4]);
	struct conn *c = calloc(at_once, sizeof(*c));
	struct epoll_event e[EVENTS];
	int ep = epoll_create1(0);

	if (!c || ep < 0)
		die("memory");
	for (size_t i = 0; i < at_once; i++)
		dial(ep, &c[i], i, &to);
	while (got < want) {
		int k = epoll_wait(ep, e, EVENTS, 10000);

		if (k <= 0)
			die("no answer");
		for (int j = 0; j < k; j++) {
			size_t i = e[j].data.u64;
			ssize_t n;

			if (!go_on(ep, &c[i], i))
				continue;
			n = read(c[i].fd, chunk, sizeof(chunk));
			if (n == 0 || (n < 0 && errno != EAGAIN))
				die("stream");
			if (!start)
				start = now();
			got += n > 0 ? (uint64_t)n : 0;
		}
	}
	(void)printf("%lu\n", (unsigned long)(now() - start));
	return 0;
}

static int hold(char **argv)
{
	struct sockaddr_in to = address(argv[0], argv[1], 0);
	size_t n = number(argv[3]);

	for (size_t i = 0; i < n; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
		    write(fd, hello, hello_len) != (ssize_t)hello_len ||
		    read(fd, chunk, sizeof(chunk)) < (ssize_t)sizeof(alert))
			die("hold");
	}
	(void)puts("held");
	(void)fflush(stdout);
	while (read(0, chunk, sizeof(chunk)) > 0)
		;
	return 0;
}

static size_t make_query(uint8_t *q, const char *name)
{
	size_t n = 12;

	memcpy(q, "\0\0\1\0\0\1\0\0\0\0\0\0", 12);
	while (*name && n < QUERY_MAX - 70) {
		size_t len = strcspn(name, ".");

		q[n++] = (uint8_t)len;
		memcpy(q + n, name, len);
		n += len;
		name += len + (name[len] == '.');
	}
	memcpy(q + n, "\0\0\1\0\1", 5);
	return n + 5;
}

static int dns(char **argv)
{
	struct sockaddr_in to = address(argv[0], argv[1], 0);
	size_t n = number(argv[3]), at_once = number(argv[4]);
	size_t sent = 0, done = 0;
	struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint8_t q[QUERY_MAX] = { 0 };
	size_t len = make_query(q, argv[2]);
	uint64_t start;

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		die("dns");
	start = now();
	while (done < n) {
		for (; sent < n && sent < done + at_once; sent++) {
			q[0] = (uint8_t)(sent >> 8);
			q[1] = (uint8_t)sent;
			if (send(fd, q, len, 0) != (ssize_t)len)
				die("query");
		}
		if (recv(fd, chunk, sizeof(chunk), 0) < 12)
			die("no answer");
		if (chunk[3] & 15 || !chunk[7])
			die("a refusal");
		done++;
	}
	(void)printf("%lu\n", (unsigned long)(now() - start));
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **argv);
	} modes[] = {
		{ "serve", 2, serve }, { "rate", 5, rate }, { "bulk", 5, bulk },
		{ "hold", 4, hold },   { "dns", 5, dns },
	};
	struct rlimit files;

	(void)signal(SIGPIPE, SIG_IGN);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]);
	     i++) {
		if (strcmp(argv[1], modes[i].name) != 0 ||
		    argc != modes[i].args + 2)
			continue;
		if (argc > 4)
			make_hello(argv[4]);
		return modes[i].run(argv + 2);
	}
	(void)fputs("usage: load serve|rate|bulk|hold|dns ...\n", stderr);
	return 2;
}
