/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Base64url and hex: the vectors of RFC 4648 and every strictness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/b64.h"

/* an initialiser of a static slice */
#define S(s)                       \
	{                          \
		(s), sizeof(s) - 1 \
	}

static const struct {
	const char *plain, *text;
} vectors[] = {
	{ "", "" },
	{ "f", "Zg" },
	{ "fo", "Zm8" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg" },
	{ "fooba", "Zm9vYmE" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xfb\xff\xbf", "-_-_" },
};

static void encode(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(64);

		b64url_put(&b, (const uint8_t *)vectors[i].plain,
			   strlen(vectors[i].plain));
		assert_string_equal(wbuf_cstr(&b), vectors[i].text);
	}
}

static void decode(void **state)
{
	uint8_t out[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		ssize_t n =
			b64url_get(out, sizeof(out), slice_of(vectors[i].text));

		assert_int_equal(n, (ssize_t)strlen(vectors[i].plain));
		assert_memory_equal(out, vectors[i].plain, (size_t)n);
	}
	assert_int_equal(b64url_get(out, 1, SLICE_LIT("Zg==")), 1);
	assert_int_equal(b64url_get(out, 1, SLICE_LIT("Zg=======")), 1);
	assert_int_equal(b64url_get(out, 1, SLICE_LIT("====")), 0);
}

static void refuse(void **state)
{
	static const struct slice bad[] = {
		S("A"),	     S("AAAAA"),  S("Z"),
		S("Zm9vY"),  S("Zh"),	  S("Zm9"), /* trailing bits */
		S("Zm 9"),   S("Zg=g"),	  S("+/+/"),
		S("Zm9v\n"), S("Zm9v\0"), S("Zm9\xc3"),
	};
	uint8_t out[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (b64url_get(out, sizeof(out), bad[i]) != -1)
			fail_msg("\"%s\" was taken", bad[i].p);
	assert_int_equal(b64url_get(out, 2, SLICE_LIT("Zm9v")), -1);
	assert_int_equal(b64url_get(out, 3, SLICE_LIT("Zm9v")), 3);
}

/* Each 2- and 3-character text decodes to at most one spelling */
static void only_one_spelling(void **state)
{
	static const char a[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr"
				"stuvwxyz0123456789-_";
	unsigned taken = 0;

	(void)state;
	for (size_t i = 0; i < 64; i++) {
		for (size_t k = 0; k < 64; k++) {
			OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(8);
			char text[] = { a[i], a[k], '\0' };
			uint8_t out;

			if (b64url_get(&out, 1, slice_of(text)) != 1)
				continue;
			taken++;
			b64url_put(&b, &out, 1);
			assert_string_equal(wbuf_cstr(&b), text);
		}
	}
	assert_int_equal(taken, 256);
}

static void lengths(void **state)
{
	static const size_t want[] = { 0, 4, 4, 4, 8, 8, 8, 12 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_int_equal(b64_std_len(i), want[i]);
}

static void hex(void **state)
{
	static const uint8_t bytes[] = { 0x00, 0x0f, 0xa0, 0xff };
	char text[9];

	(void)state;
	hex_text(text, bytes, sizeof(bytes));
	assert_string_equal(text, "000fa0ff");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encode),  cmocka_unit_test(decode),
		cmocka_unit_test(refuse),  cmocka_unit_test(only_one_spelling),
		cmocka_unit_test(lengths), cmocka_unit_test(hex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
