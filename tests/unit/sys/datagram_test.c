/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Descriptors of a sender that is not trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "sys/datagram.h"

enum { MANY = 10 };

static int pair[2];

static int set_up(void **state)
{
	(void)state;
	return datagram_pair(pair);
}

static int tear_down(void **state)
{
	(void)state;
	(void)close(pair[0]);
	(void)close(pair[1]);
	return 0;
}

/* What a process that was taken over can do with one call */
static void send_many(const void *p, size_t n)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(MANY * sizeof(int))];
	} c;
	struct iovec v = { (void *)(uintptr_t)p, n };
	struct msghdr h = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &c,
			    .msg_controllen = sizeof(c) };
	int fds[MANY];

	for (size_t i = 0; i < MANY; i++)
		fds[i] = pair[1];
	memset(&c, 0, sizeof(c));
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&c.h), fds, sizeof(fds));
	assert_int_equal(sendmsg(pair[1], &h, 0), n);
}

/* The lowest number a new descriptor would have */
static int next_fd(void)
{
	int fd = dup(pair[0]);

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	return fd;
}

static void test_one_of_many_is_kept(void **state)
{
	int free_fd = next_fd(), fd;
	char text[4];

	(void)state;
	for (int i = 0; i < 3; i++) {
		send_many("abcd", 4);
		assert_int_equal(datagram_recv(pair[0], text, 4, &fd, NULL, 0),
				 1);
		assert_memory_equal(text, "abcd", 4);
		assert_true(fd >= 0);
		assert_int_equal(close(fd), 0);
		assert_int_equal(next_fd(), free_fd);
	}
}

static void test_none_of_another_size(void **state)
{
	static const size_t sizes[] = { 0, 3, 5 };
	int free_fd = next_fd(), fd;
	char text[4];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		send_many("abcde", sizes[i]);
		assert_int_equal(datagram_recv(pair[0], text, 4, &fd, NULL, 0),
				 sizes[i] ? -EPROTO : 0);
		assert_int_equal(fd, -1);
		assert_int_equal(next_fd(), free_fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST(test_one_of_many_is_kept),
		TEST(test_none_of_another_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
