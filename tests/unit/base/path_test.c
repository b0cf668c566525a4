/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One text for one place, be it there or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"

static char top[] = "/tmp/path_test.XXXXXX";

static void want(const char *path, const char *end)
{
	char buf[PATH_MAX], all[PATH_MAX];

	(void)snprintf(all, sizeof(all), "%s%s", end[0] == '=' ? "" : top,
		       end[0] == '=' ? end + 1 : end);
	assert_int_equal(path_real(path, buf), 0);
	assert_string_equal(buf, all);
}

static void places(void **state)
{
	static const struct {
		const char *path, *end;
	} rows[] = {
		{ "%s", "" },
		{ "/%s//d/", "/d" },
		{ "///%s/d/.", "/d" },
		{ "%s/link", "/d" },
		{ "%s/link/../d/new", "/d/new" },
		{ "%s/no", "/no" },
		{ "/%s/no//such/./dir//", "/no/such/dir" },
		{ "%s/link/no/such", "/d/no/such" },
		{ "%s/dangling", "/dangling" },
		{ "/", "=/" },
		{ "//", "=/" },
		{ "//no-such-dir-here//x", "=/no-such-dir-here/x" },
	};
	char path[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(path, sizeof(path), rows[i].path, top);
		want(path, rows[i].end);
	}
	assert_int_equal(chdir(top), 0);
	want("d", "/d");
	want("new/x", "/new/x");
	want(".", "");
	want("", "");
}

static void none(void **state)
{
	static char text[PATH_MAX + 10];
	char buf[PATH_MAX], path[PATH_MAX];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/no/../x", top);
	assert_int_equal(path_real(path, buf), -EINVAL);
	(void)snprintf(path, sizeof(path), "%s/file/x", top);
	assert_int_equal(path_real(path, buf), -ENOTDIR);
	(void)snprintf(path, sizeof(path), "%s/loop", top);
	assert_int_equal(path_real(path, buf), -ELOOP);
	memset(text, 'x', sizeof(text) - 1);
	text[0] = '/';
	assert_int_equal(path_real(text, buf), -ENAMETOOLONG);
}

/* Beside this very program there is itself. */
static void a_program_of_ours(void **state)
{
	char path[PATH_MAX], self[PATH_MAX];
	int fd;

	(void)state;
	assert_int_equal(path_real("/proc/self/exe", self), 0);
	fd = path_program(strrchr(self, '/') + 1, path);
	assert_true(fd >= 0);
	assert_string_equal(path, self);
	(void)close(fd);
	assert_int_equal(path_program("no-such-program", path), -ENOENT);
	/* the last place is told */
	assert_non_null(strstr(path, "/../libexec/no-such-program"));
}

static void a_program_of_others(void **state)
{
	char buf[PATH_MAX];

	(void)state;
	assert_int_equal(setenv("PATH", "relative:/nowhere:/usr/bin", 1), 0);
	assert_int_equal(path_search("env", buf), 0);
	assert_string_equal(buf, "/usr/bin/env");
	assert_int_equal(path_search("no-such-program", buf), -ENOENT);
	assert_int_equal(path_search("/usr/bin/env", buf), 0);
	assert_string_equal(buf, "/usr/bin/env");
	assert_int_equal(path_search("./file", buf), -EACCES);
	/* what the directory we stand in has is not the caller's */
	assert_int_equal(setenv("PATH", ".:", 1), 0);
	assert_int_equal(symlink("/usr/bin/env", "tool"), 0);
	assert_int_equal(path_search("tool", buf), -ENOENT);
	assert_int_equal(unlink("tool"), 0);
}

static int make(void **state)
{
	(void)state;
	if (!mkdtemp(top) || chdir(top) || mkdir("d", 0700) ||
	    symlink("d", "link") || symlink("nowhere/x", "dangling") ||
	    symlink("loop", "loop"))
		return -1;
	return fclose(fopen("file", "we"));
}

static int clear(void **state)
{
	(void)state;
	return chdir(top) || rmdir("d") || unlink("link") ||
	       unlink("dangling") || unlink("loop") || unlink("file") ||
	       chdir("/") || rmdir(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),
		cmocka_unit_test(none),
		cmocka_unit_test(a_program_of_ours),
		cmocka_unit_test(a_program_of_others),
	};

	return cmocka_run_group_tests(tests, make, clear);
}
