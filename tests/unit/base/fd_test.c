/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Descriptors and files, in a directory of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

static int open_dir(void **state)
{
	static char path[] = "/tmp/cellos-fd-test-XXXXXX";

	assert_non_null(mkdtemp(path));
	*state = path;
	return 0;
}

static size_t count_entries(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n - 2;
}

static int remove_dir(void **state)
{
	char cmd[128];

	(void)snprintf(cmd, sizeof(cmd), "rm -r '%s'", (char *)*state);
	return system(cmd);
}

static void replace(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(64);
	OWNED(fd_drop) int dir = open(*state, O_RDONLY | O_DIRECTORY);
	struct stat st, old;
	mode_t mask = umask(0077);

	assert_int_equal(file_replace(dir, "f", 0644, "one", 3), 0);
	assert_int_equal(fstatat(dir, "f", &old, 0), 0);
	assert_int_equal(old.st_mode & 07777, 0644);
	assert_int_equal(file_replace(dir, "f", 0600, "longer", 6), 0);
	(void)umask(mask);
	assert_int_equal(fstatat(dir, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* another file under the name: a reader keeps what it opened */
	assert_int_not_equal(st.st_ino, old.st_ino);
	assert_int_equal(file_read(dir, "f", O_NOFOLLOW, &b), 0);
	assert_string_equal(wbuf_cstr(&b), "longer");
	assert_int_equal(count_entries(*state), 1);
}

static void replace_leaves_nothing(void **state)
{
	OWNED(fd_drop) int dir = open(*state, O_RDONLY | O_DIRECTORY);
	size_t before = count_entries(*state);
	char name[300];

	assert_int_equal(mkdirat(dir, "d", 0700), 0);
	assert_int_equal(mkdirat(dir, "d/x", 0700), 0);
	assert_true(file_replace(dir, "d", 0600, "x", 1) < 0);
	assert_int_equal(count_entries(*state), before + 1);
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(file_replace(dir, name, 0600, "x", 1), -ENAMETOOLONG);
	assert_int_equal(file_replace(-1, "f", 0600, "x", 1), -EBADF);
}

static void read_kinds(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(3);
	OWNED(fd_drop) int dir = open(*state, O_RDONLY | O_DIRECTORY);

	assert_int_equal(file_replace(dir, "abc", 0600, "abc", 3), 0);
	assert_int_equal(file_replace(dir, "abcd", 0600, "abcd", 4), 0);
	assert_int_equal(symlinkat("abc", dir, "link"), 0);
	/* opening a FIFO without a writer would hang */
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_int_equal(file_read(dir, "abc", 0, &b), 0);
	assert_string_equal(wbuf_cstr(&b), "abc");
	wbuf_reset(&b);
	assert_int_equal(file_read(dir, "abcd", 0, &b), -EFBIG);
	wbuf_reset(&b);
	assert_int_equal(file_read(dir, "link", 0, &b), 0);
	wbuf_reset(&b);
	assert_int_equal(file_read(dir, "link", O_NOFOLLOW, &b), -ELOOP);
	assert_int_equal(file_read(dir, "fifo", 0, &b), -EINVAL);
	assert_int_equal(file_read(dir, ".", 0, &b), -EISDIR);
	assert_int_equal(file_read(dir, "none", 0, &b), -ENOENT);
	assert_int_equal(file_read(dir, "", 0, &b), -ENOENT);
	assert_int_equal(b.len, 0);
}

static void read_streams(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(3);
	int p[2];
	char path[32];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	assert_int_equal(write(p[1], "abc", 3), 3);
	assert_int_equal(close(p[1]), 0);
	assert_int_equal(file_read_stream(path, O_NOFOLLOW, &b), -ELOOP);
	assert_int_equal(file_read_stream(path, 0, &b), 0);
	assert_string_equal(wbuf_cstr(&b), "abc");
	assert_int_equal(close(p[0]), 0);
	wbuf_reset(&b);
	assert_int_equal(file_read_stream("/dev/zero", 0, &b), -EFBIG);
	wbuf_reset(&b);
	assert_int_equal(file_read_stream("/dev/null", 0, &b), 0);
	assert_int_equal(b.len, 0);
	assert_int_equal(file_read_stream(*state, 0, &b), -EISDIR);
	assert_int_equal(file_read_stream("/proc/none", 0, &b), -ENOENT);
}

static void write_existing(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(64);
	OWNED(fd_drop) int dir = open(*state, O_RDONLY | O_DIRECTORY);

	assert_int_equal(file_write(dir, "absent", "x", 1), -ENOENT);
	assert_int_equal(file_replace(dir, "w", 0600, "abc", 3), 0);
	assert_int_equal(file_write(dir, "w", "X", 1), 0);
	assert_int_equal(file_read(dir, "w", 0, &b), 0);
	assert_string_equal(wbuf_cstr(&b), "Xbc");
}

static void make_directories(void **state)
{
	OWNED(fd_drop) int fd = -1;
	OWNED(fd_drop) int again = -1;
	char path[128];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/p/q//r", (char *)*state);
	fd = dir_make(path, 0700);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	again = dir_make(path, 0700);
	assert_true(again >= 0);
	(void)snprintf(path, sizeof(path), "%s/abc/x", (char *)*state);
	assert_int_equal(dir_make(path, 0700), -ENOTDIR);
	(void)snprintf(path, sizeof(path), "%s/abc", (char *)*state);
	assert_int_equal(dir_make(path, 0700), -ENOTDIR);
	assert_int_equal(dir_make("", 0700), -ENAMETOOLONG);
}

static void ownership(void **state)
{
	int fd = open("/dev/null", O_RDWR), copy = fd, taken;

	(void)state;
	taken = fd_take(&fd);
	assert_int_equal(taken, copy);
	assert_int_equal(fd, -1);
	errno = EPROTO;
	fd_drop(&fd);
	fd_drop(&taken);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(taken, -1);
	assert_int_equal(fcntl(copy, F_GETFD), -1);
}

static void pipes(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 20);
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(fd_write_all(p[1], "ab\0cd", 5), 0);
	fd_drop(&p[1]);
	assert_int_equal(fd_read_all(p[0], &b), 0);
	assert_int_equal(b.len, 5);
	assert_memory_equal(b.p, "ab\0cd", 5);
	fd_drop(&p[0]);
	assert_int_equal(fd_read_all(-1, &b), -EBADF);
	assert_int_equal(fd_write_all(-1, "x", 1), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replace),
		cmocka_unit_test(replace_leaves_nothing),
		cmocka_unit_test(read_kinds),
		cmocka_unit_test(read_streams),
		cmocka_unit_test(write_existing),
		cmocka_unit_test(make_directories),
		cmocka_unit_test(ownership),
		cmocka_unit_test(pipes),
	};

	return cmocka_run_group_tests(tests, open_dir, remove_dir);
}
