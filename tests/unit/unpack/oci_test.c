/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Documents of a layout to values; what is refused is told in tests/integ, by
 * the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unpack/oci.h"

#define HEX    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "\"digest\":\"sha256:" HEX "\""
#define OCI    "application/vnd.oci.image."

static void test_index(void **state)
{
	OWNED(arena_drop) struct arena a = ARENA_INIT(OCI_ARENA);
	struct oci_index in;
	struct err e;

	(void)state;
	assert_int_equal(
		oci_read_index(
			SLICE_LIT(
				"{\"schemaVersion\":2,\"manifests\":[{"
				"\"mediaType\":\"" OCI
				"manifest.v1+json\"," DIGEST
				",\"size\":9223372036854775807,"
				"\"platform\":{\"os\":\"linux\","
				"\"architecture\":\"arm64\"},\"annotations\":{"
				"\"org.opencontainers.image.ref.name\":\"v1\"}"
				"},{\"mediaType\":\"x\"," DIGEST
				",\"size\":0}]}"),
			&a, &in, &e),
		0);
	assert_int_equal(in.n, 2);
	assert_int_equal(in.entries[0].kind, OCI_MANIFEST);
	assert_string_equal(in.entries[0].digest, HEX);
	assert_true(in.entries[0].size == INT64_MAX);
	assert_true(slice_is(in.entries[0].ref, "v1"));
	assert_false(in.entries[0].fits);
	assert_int_equal(in.entries[1].kind, OCI_OTHER);
	assert_true(in.entries[1].fits);
	assert_int_equal(in.entries[1].ref.n, 0);
}

static void test_platforms(void **state)
{
	static const struct {
		const char *platform;
		bool fits;
	} rows[] = {
		{ "{\"os\":\"linux\",\"architecture\":\"amd64\"}", true },
		{ "{\"os\":\"linux\",\"architecture\":\"amd64\","
		  "\"variant\":\"v2\"}",
		  true },
		{ "{\"os\":\"windows\",\"architecture\":\"amd64\"}", false },
		{ "{\"os\":\"unknown\",\"architecture\":\"unknown\"}", false },
		{ "{\"architecture\":\"amd64\"}", false },
		{ "null", false },
		{ "[]", false },
	};
	OWNED(arena_drop) struct arena a = ARENA_INIT(OCI_ARENA);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		OWNED(wbuf_drop) struct wbuf t = WBUF_INIT(4096);
		struct oci_index in;
		struct err e;

		wbuf_fmt(&t,
			 "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
			 "\"x\"," DIGEST ",\"size\":1,\"platform\":%s}]}",
			 rows[i].platform);
		assert_int_equal(oci_read_index(wbuf_as_slice(&t), &a, &in, &e),
				 0);
		assert_int_equal(in.entries[0].fits, rows[i].fits);
	}
}

static void test_facts(void **state)
{
	OWNED(arena_drop) struct arena a = ARENA_INIT(OCI_ARENA);
	OWNED(wbuf_drop) struct wbuf out = WBUF_INIT(65536);
	struct oci_config c;
	struct err e;

	(void)state;
	assert_int_equal(
		oci_read_config(
			SLICE_LIT("{\"os\":\"linux\",\"architecture\":\"amd64\""
				  ",\"rootfs\":{\"type\":\"layers\","
				  "\"diff_ids\":[\"sha256:" HEX "\"]},"
				  "\"config\":{\"Cmd\":[\"a\\n\\u0000\"],"
				  "\"User\":\"\xc3\xa9\\u001b\",\"Env\":[],"
				  "\"WorkingDir\":\"\",\"Entrypoint\":null,"
				  "\"Labels\":{\"a\":\"b\"}}}"),
			&a, &c, &e),
		0);
	assert_int_equal(c.n, 1);
	assert_string_equal(c.diff_ids[0], HEX);
	oci_facts(&c, &out);
	assert_string_equal(wbuf_cstr(&out), "User \"\\xc3\\xa9\\u001b\"\n"
					     "Cmd [\"a\\n\\u0000\"]\n");
}

static void test_quote(void **state)
{
	static const char nul[] = "a\0\n\"\\\x7f\xff z";
	char q[OCI_QUOTE], full[OCI_QUOTE + 1];

	(void)state;
	assert_string_equal(oci_quote(SLICE_LIT(nul), q),
			    "\"a\\x00\\x0a\\x22\\x5c\\x7f\\xff z\"");
	assert_string_equal(oci_quote(SLICE_LIT(""), q), "\"\"");
	memset(full, '\n', sizeof(full));
	assert_true(strlen(oci_quote((struct slice){ full, OCI_QUOTE }, q)) <
		    OCI_QUOTE);
	assert_non_null(strstr(q, "...\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_platforms),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_quote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
