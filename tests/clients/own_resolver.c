/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * `own-resolver NAME PORT`: a static program that asks the name server of
 * /etc/resolv.conf itself and fetches / over HTTP/1.0. Knows no proxy, no
 * library's resolver, no hosts file.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	TYPE_A = 1,
	TYPE_AAAA = 28,
	EXIT_RCODE = 3,
	EXIT_ERRNO = 4,
	ADDRS_MAX = 8
};

static int fail(const char *what)
{
	(void)printf("%s: %s\n", what, strerrorname_np(errno));
	return EXIT_ERRNO;
}

/* socket address of @text, which has either family; 0: it is none */
static socklen_t address(struct sockaddr_storage *ret, const char *text,
			 uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return sizeof(*in);
	}
	if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		return sizeof(*in6);
	}
	return 0;
}

static int connected(const char *addr, uint16_t port, int type)
{
	struct timeval limit = { .tv_sec = 10 };
	struct sockaddr_storage to;
	socklen_t n = address(&to, addr, port);
	int fd = n ? socket(to.ss_family, type | SOCK_CLOEXEC, 0) : -1;

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    connect(fd, (struct sockaddr *)&to, n)) {
		int e = errno;

		(void)close(fd);
		errno = e;
		return -1;
	}
	return fd;
}

static int name_server(char *ret, size_t size)
{
	FILE *f = fopen("/etc/resolv.conf", "re");
	char line[256], format[32];

	if (!f)
		return -1;
	(void)snprintf(format, sizeof(format), "nameserver %%%zus", size - 1);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, format, ret) == 1) {
			(void)fclose(f);
			return 0;
		}
	(void)fclose(f);
	errno = ENOENT;
	return -1;
}

static size_t query(uint8_t *q, const char *name, uint8_t type)
{
	size_t n = 12;

	memcpy(q, "\x12\x34\x01\0\0\x01\0\0\0\0\0\0", 12);
	while (*name && n < 200) {
		size_t len = strcspn(name, ".");

		q[n++] = (uint8_t)len;
		memcpy(q + n, name, len);
		n += len;
		name += len + (name[len] == '.');
	}
	memcpy(q + n, "\0\0\0\0\x01", 5);
	q[n + 2] = type;
	return n + 5;
}

/* addresses of @type, at most @max; -1 with errno, or -2 - rcode */
static int ask(int fd, const char *name, uint8_t type, char (*ret)[64], int max)
{
	uint8_t buf[4096];
	size_t qlen = query(buf, name, type), at = qlen;
	size_t want = type == TYPE_A ? 4 : 16;
	ssize_t n;
	int found = 0;

	if (send(fd, buf, qlen, 0) < 0)
		return -1;
	n = recv(fd, buf, sizeof(buf), 0);
	if (n < 12)
		return -1;
	if (buf[3] & 15)
		return -2 - (buf[3] & 15);
	/* owners are compressed, or names that end in 0 */
	while (at + 12 <= (size_t)n && found < max) {
		size_t len, rtype;

		while (at < (size_t)n && buf[at] && buf[at] < 0xc0)
			at += 1 + buf[at];
		at += at < (size_t)n && buf[at] ? 2 : 1;
		if (at + 10 > (size_t)n)
			break;
		rtype = (size_t)buf[at] << 8 | buf[at + 1];
		len = (size_t)buf[at + 8] << 8 | buf[at + 9];
		at += 10;
		if (rtype == type && len == want && at + len <= (size_t)n)
			(void)inet_ntop(type == TYPE_A ? AF_INET : AF_INET6,
					buf + at, ret[found++], 64);
		at += len;
	}
	return found;
}

static int fetch(int fd, const char *name)
{
	char buf[4096];
	ssize_t n;
	int len = snprintf(buf, sizeof(buf),
			   "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", name);

	if (write(fd, buf, (size_t)len) != len)
		return fail("write");
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n)
			return fail("stdout");
	return n < 0 ? fail("read") : 0;
}

int main(int argc, char **argv)
{
	static const uint8_t types[] = { TYPE_A, TYPE_AAAA };
	char server[64], addrs[2 * ADDRS_MAX][64];
	uint16_t port = argc == 3 ? (uint16_t)atoi(argv[2]) : 0;
	int fd, found = 0, http = -1;

	if (argc != 3 || strlen(argv[1]) > 180)
		return 2;
	if (name_server(server, sizeof(server)))
		return fail("resolv.conf");
	fd = connected(server, 53, SOCK_DGRAM);
	if (fd < 0)
		return fail("name server");
	for (size_t t = 0; t < sizeof(types); t++) {
		int n = ask(fd, argv[1], types[t], addrs + found, ADDRS_MAX);

		if (n == -1)
			return fail("query");
		if (n < 0) {
			(void)printf("rcode %d\n", -2 - n);
			return EXIT_RCODE;
		}
		found += n;
	}
	for (int i = 0; i < found && http < 0; i++)
		http = connected(addrs[i], port, SOCK_STREAM);
	if (http < 0)
		return fail("connect");
	return fetch(http, argv[1]);
}
