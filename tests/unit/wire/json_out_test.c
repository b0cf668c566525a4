/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The writer: escapes, doubles, commas, order of names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "wire/json_out.h"

/* an initialiser of a static slice */
#define S(s)                       \
	{                          \
		(s), sizeof(s) - 1 \
	}

static void doubles(void **state)
{
	static const struct {
		double v;
		const char *text;
	} rows[] = {
		{ 0.0, "0.0" },
		{ -0.0, "-0.0" },
		{ 1.0, "1.0" },
		{ -1.5, "-1.5" },
		{ 0.5, "0.5" },
		{ 100.0, "100.0" },
		{ 0.1, "0.1" },
		{ 0.0001, "0.0001" },
		{ 0.00001, "0.00001" },
		{ 0.000012345, "0.000012345" },
		{ 1e-6, "1e-6" },
		{ 9.5e-6, "9.5e-6" },
		{ 1e15, "1000000000000000.0" },
		{ 123456789012345.5, "123456789012345.5" },
		{ 9999999999999998.0, "9999999999999998.0" },
		{ 1e16, "1e+16" },
		{ 1e22, "1e+22" },
		{ 1e23, "1e+23" },
		{ 1.5e300, "1.5e+300" },
		{ 18446744073709551616.0, "1.8446744073709552e+19" },
		{ -9223372036854775809.0, "-9.223372036854776e+18" },
		{ 5e-324, "5e-324" },
		{ 2.2250738585072014e-308, "2.2250738585072014e-308" },
		{ 1.7976931348623157e308, "1.7976931348623157e+308" },
		/* powers of two, where the rounded digits fall short */
		{ 0x1p-44, "5.684341886080802e-14" },
		{ 9007199254740992.0, "9007199254740992.0" },
		{ 0x1p-1022, "2.2250738585072014e-308" },
		{ 2.0 / 3, "0.6666666666666666" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(64);

		json_text_double(&b, rows[i].v);
		assert_string_equal(wbuf_cstr(&b), rows[i].text);
	}
}

static void doubles_read_back(void **state)
{
	uint64_t x = 88172645463325252u;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(64);
		double v, back;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(&v, &x, sizeof(v));
		if (!isfinite(v))
			continue;
		json_text_double(&b, v);
		back = strtod(wbuf_cstr(&b), NULL);
		assert_memory_equal(&v, &back, sizeof(v));
	}
}

static void not_numbers(void **state)
{
	static const double bad[] = { NAN, INFINITY, -INFINITY };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(64);

		json_text_double(&b, bad[i]);
		assert_true(b.failed);
	}
}

static void escapes(void **state)
{
	static const char in[] = "\"\\/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9"
				 "\xe2\x80\xa8<>\0z";
	static const char out[] = "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f"
				  "\x7f\xc3\xa9\xe2\x80\xa8<>\\u0000z\"";
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(256);

	(void)state;
	json_text_string(&b, (struct slice){ in, sizeof(in) - 1 });
	assert_string_equal(wbuf_cstr(&b), out);
}

static void structure(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1024);
	struct json_out j;

	(void)state;
	json_out_init(&j, &b, false);
	json_out_object(&j);
	json_out_kstr(&j, "z", "1");
	json_out_key(&j, "a");
	json_out_array(&j);
	json_out_object(&j);
	json_out_end(&j, '}');
	json_out_array(&j);
	json_out_end(&j, ']');
	json_out_u64(&j, UINT64_MAX);
	json_out_i64(&j, INT64_MIN);
	json_out_raw(&j, SLICE_LIT("{\"r\":1}"));
	json_out_bool(&j, true);
	json_out_double(&j, 1);
	json_out_null(&j);
	json_out_end(&j, ']');
	json_out_kstr_opt(&j, "absent", NULL);
	json_out_kstr_opt(&j, "there", "x");
	json_out_kstr_or_null(&j, "n", NULL);
	json_out_ku64(&j, "u", 0);
	json_out_ki64(&j, "i", -1);
	json_out_kbool(&j, "f", false);
	json_out_knull(&j, "null");
	json_out_end(&j, '}');
	assert_string_equal(
		wbuf_cstr(&b),
		"{\"z\":\"1\",\"a\":[{},[],18446744073709551615,"
		"-9223372036854775808,{\"r\":1},true,1.0,null],\"there\":\"x\","
		"\"n\":null,\"u\":0,\"i\":-1,\"f\":false,\"null\":null}");
}

/* Pairs of names: is the second one above the first? */
static void order(void **state)
{
	static const struct {
		struct slice a, b;
		bool ok;
	} rows[] = {
		{ S("a"), S("b"), true },
		{ S("b"), S("a"), false },
		{ S("a"), S("a"), false },
		{ S("a"), S("ab"), true },
		{ S("ab"), S("a"), false },
		{ S(""), S("a"), true },
		{ S(""), S(""), false },
		{ S("Z"), S("a"), true },
		{ S("z"), S("\xc3\xa9"), true },
		/* escaped in the text, ordered by what they stand for */
		{ S("a\""), S("a#"), true },
		{ S("a#"), S("a\""), false },
		{ S("a\n"), S("a!"), true },
		{ S("\x01"), S("\x02"), true },
		{ S("\x1f"), S("\n"), false },
		{ S("\0"), S("\x01"), true },
		{ S("[\\"), S("[]"), true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(256);
		struct json_out j;

		json_out_init(&j, &b, true);
		json_out_object(&j);
		json_out_key_slice(&j, rows[i].a);
		/* an inner object has an order of its own */
		json_out_object(&j);
		json_out_knull(&j, "\x7f");
		json_out_end(&j, '}');
		json_out_key_slice(&j, rows[i].b);
		json_out_null(&j);
		json_out_end(&j, '}');
		if (b.failed == rows[i].ok)
			fail_msg("row %zu", i);
	}
}

static void depth(void **state)
{
	for (int n = JSON_OUT_DEPTH - 1; n <= JSON_OUT_DEPTH; n++) {
		OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1024);
		struct json_out j;

		(void)state;
		json_out_init(&j, &b, false);
		for (int i = 0; i < n; i++)
			json_out_array(&j);
		for (int i = 0; i < n; i++)
			json_out_end(&j, ']');
		assert_int_equal(b.failed, n == JSON_OUT_DEPTH);
	}
}

static void one_end_too_many(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(64);
	struct json_out j;

	(void)state;
	json_out_init(&j, &b, false);
	json_out_end(&j, '}');
	assert_true(b.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubles),
		cmocka_unit_test(doubles_read_back),
		cmocka_unit_test(not_numbers),
		cmocka_unit_test(escapes),
		cmocka_unit_test(structure),
		cmocka_unit_test(order),
		cmocka_unit_test(depth),
		cmocka_unit_test(one_end_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
