/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The reader: what is JSON, what a number becomes, where an error is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "wire/json_in.h"
#include "wire/json_out.h"

/* an initialiser of a static slice */
#define S(s)                       \
	{                          \
		(s), sizeof(s) - 1 \
	}

static const struct {
	struct slice in;
	const char *out; /* compact, names sorted; NULL: an error */
	const char *error;
} rows[] = {
	{ S("{\"b\":1,\"a\":[true,false,null,\"\"]}"),
	  "{\"a\":[true,false,null,\"\"],\"b\":1}", NULL },
	{ S(" [ 1 ,\t2\r\n] "), "[1,2]", NULL },
	{ S("\"a\\u0041\\n\\/\\\"\\\\\\b\\f\\r\\t\""),
	  "\"aA\\n/\\\"\\\\\\b\\f\\r\\t\"", NULL },
	{ S("\"\\u0000\""), "\"\\u0000\"", NULL },
	{ S("\"\\ud83d\\ude00\\u00e9\""), "\"\xf0\x9f\x98\x80\xc3\xa9\"",
	  NULL },
	{ S("\"\\\\ud800\""), "\"\\\\ud800\"", NULL },
	{ S("{\"a\":1,\"a\":2}"), "{\"a\":2}", NULL },
	/* numbers */
	{ S("18446744073709551615"), "18446744073709551615", NULL },
	{ S("18446744073709551616"), "1.8446744073709552e+19", NULL },
	{ S("-9223372036854775808"), "-9223372036854775808", NULL },
	{ S("-9223372036854775809"), "-9.223372036854776e+18", NULL },
	{ S("0"), "0", NULL },
	{ S("-0"), "-0.0", NULL },
	{ S("-0.0"), "-0.0", NULL },
	{ S("1.0"), "1.0", NULL },
	{ S("1e2"), "100.0", NULL },
	{ S("1E-6"), "1e-6", NULL },
	{ S("1e-999"), "0.0", NULL },
	{ S("1e999"), NULL, "number out of range at line 1 column" },
	{ S("01"), NULL, "at line 1" },
	{ S("+1"), NULL, "at line 1" },
	{ S("1."), NULL, "at line 1" },
	{ S(".5"), NULL, "at line 1" },
	{ S("1e"), NULL, "at line 1" },
	{ S("-"), NULL, "at line 1" },
	{ S("NaN"), NULL, "at line 1" },
	{ S("0x10"), NULL, "at line 1" },
	/* not JSON */
	{ S(""), NULL, "at line 1 column 1" },
	{ S(" "), NULL, "at line 1 column 2" },
	{ S("[1,]"), NULL, "at line 1" },
	{ S("{\"a\":1,}"), NULL, "at line 1" },
	{ S("{a:1}"), NULL, "at line 1" },
	{ S("{\"a\"}"), NULL, "at line 1" },
	{ S("[1"), NULL, "at line 1" },
	{ S("[1}"), NULL, "at line 1" },
	{ S("]"), NULL, "at line 1" },
	{ S("1 2"), NULL, "trailing garbage at line 1" },
	{ S("{}x"), NULL, "at line 1" },
	{ S("nul"), NULL, "at line 1" },
	{ S("True"), NULL, "at line 1" },
	{ S("'a'"), NULL, "at line 1" },
	{ S("//\n1"), NULL, "at line 1" },
	{ S("\xef\xbb\xbf"
	    "1"),
	  NULL, "at line 1" },
	{ S("[1\v]"), NULL, "invalid white space at line 1 column 3" },
	{ S("\f1"), NULL, "invalid white space at line 1 column 1" },
	{ S("1\0"), NULL, "at line 1" },
	{ S("\"a\0b\""), NULL, "at line 1" },
	{ S("\"a\nb\""), NULL, "at line" },
	{ S("\"a"), NULL, "at line 1" },
	{ S("\"\\x41\""), NULL, "at line 1" },
	{ S("\"\\u12g4\""), NULL, "at line 1" },
	{ S("\"\\u12"), NULL, "at line 1" },
	{ S("\"\\"), NULL, "at line 1" },
	{ S("[\n1,\n x]"), NULL, "at line 3 column" },
	/* surrogates */
	{ S("\"\\ud800\""), NULL,
	  "lone surrogate in an escape at line 1 column 2" },
	{ S("[\n\"a\\udc00\"]"), NULL,
	  "lone surrogate in an escape at line 2 column 3" },
	{ S("\"\\ud800\\u0041\""), NULL, "lone surrogate" },
	{ S("\"\\ud800\\ud800\""), NULL, "lone surrogate" },
	{ S("\"\\ud800x\""), NULL, "lone surrogate" },
	{ S("\"\\udc00\\udc00\""), NULL, "lone surrogate" },
	{ S("{\"\\udfff\":1}"), NULL, "lone surrogate" },
	/* UTF-8 */
	{ S("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""),
	  "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", NULL },
	{ S("\"\xf4\x8f\xbf\xbf\""), "\"\xf4\x8f\xbf\xbf\"", NULL },
	{ S("\"\x80\""), NULL, "invalid UTF-8 at line 1 column 2" },
	{ S("\"\xc3\""), NULL, "invalid UTF-8" },
	{ S("\"\xc0\xaf\""), NULL, "invalid UTF-8" },
	{ S("\"\xe0\x80\xaf\""), NULL, "invalid UTF-8" },
	{ S("\"\xf0\x80\x80\xaf\""), NULL, "invalid UTF-8" },
	{ S("\"\xed\xa0\x80\""), NULL, "invalid UTF-8" },
	{ S("\"\xf4\x90\x80\x80\""), NULL, "invalid UTF-8" },
	{ S("\"\xff\""), NULL, "invalid UTF-8" },
	{ S("\"\xe2\x82"), NULL, "invalid UTF-8" },
};

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		OWNED(arena_drop) struct arena a = ARENA_INIT(1 << 16);
		OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 16);
		struct json_out j;
		struct json *v = NULL;
		struct err e = { 0 };
		int r = json_parse(rows[i].in, 10, &a, &v, &e);

		if ((r == 0) != (rows[i].out != NULL))
			fail_msg("row %zu: %s", i, e.text);
		if (r) {
			if (!strstr(e.text, rows[i].error))
				fail_msg("row %zu: %s", i, e.text);
			continue;
		}
		json_out_init(&j, &b, true);
		json_write(&j, v);
		assert_string_equal(wbuf_cstr(&b), rows[i].out);
	}
}

static void tree(void **state)
{
	OWNED(arena_drop) struct arena a = ARENA_INIT(1 << 16);
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 16);
	const struct json *k;
	struct json_out j;
	struct json *v = NULL;
	struct err e;

	(void)state;
	assert_int_equal(json_parse(SLICE_LIT("{\"b\":-1,\"a\":1,\"b\":\"x\","
					      "\"\\u0062\":2.5}"),
				    10, &a, &v, &e),
			 0);
	assert_int_equal(v->type, JSON_OBJECT);
	assert_int_equal(v->v.kids.count, 4);
	k = v->v.kids.first;
	assert_int_equal(k->type, JSON_I64);
	assert_int_equal(k->v.i, -1);
	assert_false(k->is_dup);
	k = k->next;
	assert_int_equal(k->type, JSON_U64);
	assert_false(k->is_dup);
	assert_true(k->next->is_dup);
	assert_string_equal(k->next->v.s.p, "x");
	assert_true(k->next->next->is_dup);
	assert_ptr_equal(k->next->next, v->v.kids.last);
	assert_ptr_equal(json_get(v, "b"), v->v.kids.last);
	assert_null(json_get(v, "c"));
	assert_null(json_get(k, "c"));
	json_out_init(&j, &b, false);
	json_write(&j, v);
	assert_string_equal(wbuf_cstr(&b),
			    "{\"b\":-1,\"a\":1,\"b\":\"x\",\"b\":2.5}");
}

static void depth(void **state)
{
	static const struct {
		const char *text;
		unsigned max;
		int r;
	} cases[] = {
		{ "1", 0, 0 },		{ "[]", 0, -1 },
		{ "[]", 1, 0 },		{ "[[]]", 1, -1 },
		{ "[[],[]]", 2, 0 },	{ "[{}]", 1, -1 },
		{ "{\"a\":[]}", 2, 0 }, { "{\"a\":[]}", 1, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWNED(arena_drop) struct arena a = ARENA_INIT(1 << 16);
		struct json *v;
		struct err e = { 0 };

		assert_int_equal(json_parse(slice_of(cases[i].text),
					    cases[i].max, &a, &v, &e),
				 cases[i].r);
		if (cases[i].r)
			assert_non_null(strstr(e.text, "nested too deeply"));
	}
}

static void memory(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 16);

	(void)state;
	wbuf_byte(&b, '[');
	for (int i = 0; i < 1000; i++)
		wbuf_str(&b, "\"abcdefgh\",");
	wbuf_str(&b, "1]");
	for (size_t max = 0; max < 200000; max += 997) {
		OWNED(arena_drop) struct arena a = ARENA_INIT(max);
		struct json *v;
		struct err e = { 0 };

		if (json_parse(wbuf_as_slice(&b), 10, &a, &v, &e) == 0) {
			assert_true(max > 64000);
			return;
		}
		assert_non_null(strstr(e.text, "memory"));
	}
	fail_msg("never parsed");
}

/* 200,000 members of one object: no square time */
static void many_members(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 22);
	OWNED(arena_drop) struct arena a = ARENA_INIT(1 << 26);
	struct json *v;
	struct err e;

	(void)state;
	wbuf_byte(&b, '{');
	for (int i = 0; i < 200000; i++)
		wbuf_fmt(&b, "\"%x\":1,", i);
	wbuf_str(&b, "\"0\":2}");
	assert_int_equal(json_parse(wbuf_as_slice(&b), 10, &a, &v, &e), 0);
	assert_int_equal(v->v.kids.count, 200001);
	assert_true(v->v.kids.last->is_dup);
	assert_false(v->v.kids.first->is_dup);
}

static void truncations_and_flips(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct slice in = rows[i].in;

		for (size_t k = 0; k < 9 * in.n; k++) {
			OWNED(arena_drop) struct arena a = ARENA_INIT(1 << 16);
			size_t n = k < in.n ? k : in.n;
			char *copy = malloc(n ? n : 1);
			struct err e = { 0 };
			struct json *v;

			assert_non_null(copy);
			memcpy(copy, in.p, n);
			if (k >= in.n)
				copy[(k - in.n) / 8] ^=
					(char)(1u << ((k - in.n) % 8));
			if (json_parse((struct slice){ copy, n }, 10, &a, &v,
				       &e))
				assert_non_null(strstr(e.text, " at line "));
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(tree),
		cmocka_unit_test(depth),
		cmocka_unit_test(memory),
		cmocka_unit_test(many_members),
		cmocka_unit_test(truncations_and_flips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
