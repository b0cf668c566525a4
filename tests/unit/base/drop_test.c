/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Removing a tree: all of it, nothing beside it, and what is to stay stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/drop.h"

static char top[] = "/tmp/cellos-drop-test-XXXXXX";

static void put(int at, const char *name)
{
	int fd =
		openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

static bool is_there(int at, const char *name)
{
	struct stat st;

	return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* t/{f, d/{k, x, e/{y}}, out -> ../beside}, beside/f */
static int make(void **state)
{
	static int at;

	assert_non_null(mkdtemp(top));
	at = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(at, "t", 0700), 0);
	assert_int_equal(mkdirat(at, "t/d", 0700), 0);
	assert_int_equal(mkdirat(at, "t/d/e", 0700), 0);
	assert_int_equal(mkdirat(at, "beside", 0700), 0);
	put(at, "t/f");
	put(at, "t/d/k");
	put(at, "t/d/x");
	put(at, "t/d/e/y");
	put(at, "beside/f");
	assert_int_equal(symlinkat("../beside", at, "t/out"), 0);
	*state = &at;
	return 0;
}

static int forget(void **state)
{
	(void)close(*(int *)*state);
	assert_int_equal(drop_tree(AT_FDCWD, top, NULL, NULL), 0);
	assert_false(is_there(AT_FDCWD, top));
	memcpy(top + sizeof(top) - 7, "XXXXXX", 6);
	return 0;
}

static void test_all(void **state)
{
	int at = *(int *)*state;

	assert_int_equal(drop_tree(at, "none", NULL, NULL), 0);
	assert_int_equal(drop_tree(at, "t/f/x", NULL, NULL), -ENOTDIR);
	assert_int_equal(drop_tree(at, "t", NULL, NULL), 0);
	assert_false(is_there(at, "t"));
	assert_true(is_there(at, "beside/f"));
	assert_int_equal(symlinkat("beside", at, "l"), 0);
	assert_int_equal(drop_tree(at, "l", NULL, NULL), 0);
	assert_false(is_there(at, "l"));
	assert_true(is_there(at, "beside/f"));
}

static bool is_kept(void *arg, int dirfd, const char *name)
{
	assert_true(is_there(dirfd, name));
	return strcmp(name, arg) == 0;
}

static void test_what_is_kept(void **state)
{
	int at = *(int *)*state;
	char file[] = "k", dir[] = "e", none[] = "-";
	int in;

	/* a file keeps the directories it is in */
	assert_int_equal(drop_tree(at, "t", is_kept, file), 0);
	assert_true(is_there(at, "t/d/k"));
	assert_false(is_there(at, "t/f") || is_there(at, "t/out") ||
		     is_there(at, "t/d/x") || is_there(at, "t/d/e"));
	/* a directory is kept, what else is in it is not */
	assert_int_equal(mkdirat(at, "t/d/e", 0700), 0);
	put(at, "t/d/e/y");
	assert_int_equal(drop_tree(at, "t", is_kept, dir), 0);
	assert_true(is_there(at, "t/d/e"));
	assert_false(is_there(at, "t/d/e/y") || is_there(at, "t/d/k"));
	put(at, "t/g");
	in = openat(at, "t", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(drop_content(in, is_kept, file), 0);
	assert_false(is_there(at, "t/g") || is_there(at, "t/d"));
	assert_true(is_there(at, "t"));
	assert_int_equal(close(in), 0);
	assert_int_equal(drop_tree(at, "t", is_kept, none), 0);
	assert_false(is_there(at, "t"));
	assert_true(is_there(at, "beside/f"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all, make, forget),
		cmocka_unit_test_setup_teardown(test_what_is_kept, make,
						forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
