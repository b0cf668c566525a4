/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Names of entries: where they go, and what they ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unpack/name.h"

static void test_where(void **state)
{
	static const struct {
		const char *path;
		enum name_kind kind;
		const char *dir, *name;
	} rows[] = {
		{ "", NAME_ROOT, "", "" },
		{ "/", NAME_ROOT, "", "" },
		{ "./", NAME_ROOT, "", "" },
		{ "a", NAME_PLAIN, "", "a" },
		{ "a/", NAME_PLAIN, "", "a" },
		{ "/a//./b/c/", NAME_PLAIN, "a/b", "c" },
		{ "...", NAME_PLAIN, "", "..." },
		{ "a/..b", NAME_PLAIN, "a", "..b" },
		{ ".wh", NAME_PLAIN, "", ".wh" },
		{ ".wh.a", NAME_WHITEOUT, "", "a" },
		{ "./d/.wh.a.wh.", NAME_WHITEOUT, "d", "a.wh." },
		{ "d/.wh....", NAME_WHITEOUT, "d", "..." },
		{ ".wh..wh..opq", NAME_OPAQUE, "", ".wh..wh..opq" },
		{ "d/e/.wh..wh..opq", NAME_OPAQUE, "d/e", ".wh..wh..opq" },
		{ ".wh..wh.plnk", NAME_IGNORED, "", ".wh..wh.plnk" },
		{ ".wh..wh..opqx", NAME_IGNORED, "", ".wh..wh..opqx" },
	};
	static struct entry_name n;
	const char *why;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(name_parse(slice_of(rows[i].path), &n, &why),
				 0);
		assert_int_equal(n.kind, rows[i].kind);
		assert_string_equal(n.dir, rows[i].dir);
		assert_string_equal(n.name, rows[i].name);
	}
}

static void test_refused(void **state)
{
	static const char nul[] = "a\0b";
	static const char *const rows[] = {
		"..",	    "../a",    "/..",	 "a/..",
		"a/../b",   ".wh.",    ".wh..",	 ".wh...",
		"d/.wh...", ".wh.d/x", ".wh./x", "a/.wh..wh..opq/x",
	};
	static struct entry_name n;
	const char *why;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(name_parse(slice_of(rows[i]), &n, &why), -1);
	assert_int_equal(name_parse(SLICE_LIT(nul), &n, &why), -1);
}

/* Each limit by one */
static void test_limits(void **state)
{
	static struct entry_name n;
	static char path[NAME_PATH_MAX + 1];
	const char *why;

	(void)state;
	memset(path, 'n', sizeof(path));
	assert_int_equal(name_parse((struct slice){ path, NAME_MAX }, &n, &why),
			 0);
	assert_int_equal(strlen(n.name), NAME_MAX);
	assert_int_equal(
		name_parse((struct slice){ path, NAME_MAX + 1 }, &n, &why), -1);
	for (size_t i = 0; i < sizeof(path); i += 2)
		path[i] = '/';
	assert_int_equal(name_parse((struct slice){ path, 2 * NAME_DEPTH_MAX },
				    &n, &why),
			 0);
	assert_int_equal(
		name_parse((struct slice){ path, 2 * NAME_DEPTH_MAX + 2 }, &n,
			   &why),
		-1);
	memset(path, '/', sizeof(path));
	path[NAME_PATH_MAX - 2] = 'x';
	assert_int_equal(
		name_parse((struct slice){ path, NAME_PATH_MAX - 1 }, &n, &why),
		0);
	assert_string_equal(n.name, "x");
	assert_int_equal(
		name_parse((struct slice){ path, NAME_PATH_MAX }, &n, &why),
		-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
