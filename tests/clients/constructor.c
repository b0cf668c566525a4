/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * `constructor`: connects before main(), as the first thing it does, to the
 * addresses it was built with, and sends a byte: a cell whose filter were a
 * moment late would let it through. Prints what the kernel answered.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct {
	uint32_t addr;
	uint16_t port;
} targets[] = {
	/* 198.51.100.20: a port no rule names, and one that a rule names for
	 * another address */
	{ 0xc6336414, 9000 },
	{ 0xc6336414, 443 },
};

static int answers[2];

__attribute__((constructor)) static void first(void)
{
	for (int i = 0; i < 2; i++) {
		struct sockaddr_in to = {
			.sin_family = AF_INET,
			.sin_port = htons(targets[i].port),
			.sin_addr.s_addr = htonl(targets[i].addr),
		};
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		char c = 'x';

		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
		    send(fd, &c, 1, MSG_NOSIGNAL) < 0 || recv(fd, &c, 1, 0) < 0)
			answers[i] = errno;
	}
}

int main(void)
{
	for (int i = 0; i < 2; i++)
		(void)printf("%s%c",
			     answers[i] ? strerrorname_np(answers[i]) : "ok",
			     i ? '\n' : ' ');
	return 0;
}
