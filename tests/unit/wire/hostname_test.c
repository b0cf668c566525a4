/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which bytes are a host name, and which names a pattern takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "wire/hostname.h"

#define L63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

/* an initialiser of a static slice */
#define S(s)                       \
	{                          \
		(s), sizeof(s) - 1 \
	}

static void canonical(void **state)
{
	static const struct {
		struct slice in;
		const char *out;
	} rows[] = {
		{ S("api.example.com"), "api.example.com" },
		{ S("API.Example.COM"), "api.example.com" },
		{ S("api.example.com."), "api.example.com" },
		{ S("localhost"), "localhost" },
		{ S("a"), "a" },
		{ S("xn--bcher-kva.de"), "xn--bcher-kva.de" },
		{ S("1.2.3.4.example"), "1.2.3.4.example" },
		{ S("0x"), NULL },
		{ S("0xg"), "0xg" },
		{ S(L63 ".x"), L63 ".x" },
		{ S(L63 "." L63 "." L63 ".a" L63 "."), NULL },
		{ S(L63 "l.x"), NULL },
		{ S(""), NULL },
		{ S("."), NULL },
		{ S(".."), NULL },
		{ S("a.."), NULL },
		{ S(".a"), NULL },
		{ S("a..b"), NULL },
		{ S("evil.com\0.example.com"), NULL },
		{ S("example.com\0"), NULL },
		{ S("evil%00.example.com"), NULL },
		{ S("a\r\nb.com"), NULL },
		{ S("a\n"), NULL },
		{ S(" a.com"), NULL },
		{ S("a.com "), NULL },
		{ S("a\tb"), NULL },
		{ S("a/b.com"), NULL },
		{ S("u@a.com"), NULL },
		{ S("a:80"), NULL },
		{ S("a_b.com"), NULL },
		{ S("*.com"), NULL },
		{ S("-a.com"), NULL },
		{ S("a-.com"), NULL },
		{ S("2130706433"), NULL },
		{ S("127.0.0.1"), NULL },
		{ S("127.1"), NULL },
		{ S("127.1."), NULL },
		{ S("0x7f.1"), NULL },
		{ S("0x7F000001"), NULL },
		{ S("a.0x7f"), NULL },
		{ S("a.1"), NULL },
		{ S("[::1]"), NULL },
		{ S("::1"), NULL },
		{ S("b\xc3\xbc"
		    "cher.de"),
		  NULL },
		{ S("\xff"), NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct hostname h = { .len = 77 };
		int r = hostname_parse(rows[i].in, &h);

		if ((r == 0) != (rows[i].out != NULL))
			fail_msg("\"%s\": %d", rows[i].in.p, r);
		if (r) {
			assert_int_equal(r, -EINVAL);
			assert_int_equal(h.len, 77);
			continue;
		}
		assert_string_equal(h.text, rows[i].out);
		assert_int_equal(h.len, strlen(rows[i].out));
	}
}

static void length_limit(void **state)
{
	char name[256];
	struct hostname h;

	(void)state;
	/* 4 x 63 and three dots are 255 */
	memset(name, 'a', sizeof(name));
	name[63] = name[127] = name[191] = '.';
	assert_int_equal(hostname_parse((struct slice){ name, 253 }, &h), 0);
	assert_int_equal(h.len, 253);
	assert_int_equal(hostname_parse((struct slice){ name, 254 }, &h),
			 -EINVAL);
	name[253] = '.';
	assert_int_equal(hostname_parse((struct slice){ name, 254 }, &h), 0);
	assert_int_equal(h.len, 253);
}

static void match(void **state)
{
	static const struct {
		const char *pattern, *host;
		bool yes;
	} rows[] = {
		{ "api.example.com", "API.example.com", true },
		{ "API.example.com", "api.example.com", true },
		{ "*.cdn.example.com", "a.b.cdn.example.com", true },
		{ "*.CDN.example.com", "a.cdn.example.com", true },
		{ "api.example.com", "x.api.example.com", false },
		{ "*.cdn.example.com", "cdn.example.com", false },
		{ "*.cdn.example.com", "evil-cdn.example.com", false },
		{ "*.cdn.example.com", "a.cdn.example.com.evil", false },
		{ "*", "a", false },
		{ "*.", "a", false },
		{ "", "a", false },
		{ "api.example.com", "api.example.co", false },
		{ "a", "ab", false },
		{ "*.com", "com", false },
		{ "*.com", "a.com", true },
	};
	const struct hostname empty = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct hostname h;

		assert_int_equal(hostname_parse(slice_of(rows[i].host), &h), 0);
		if (hostname_matches(&h, slice_of(rows[i].pattern)) !=
		    rows[i].yes)
			fail_msg("%s ~ %s", rows[i].pattern, rows[i].host);
	}
	assert_false(hostname_matches(&empty, SLICE_LIT("")));
	assert_false(hostname_matches(&empty, SLICE_LIT("*.a")));
}

static bool is_clean(const struct hostname *h)
{
	for (size_t i = 0; i < h->len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-.",
			    h->text[i]) ||
		    h->text[i] == '\0')
			return false;
	return h->len > 0 && h->text[h->len] == '\0';
}

/* A canonical name is its own canonical form; nothing else comes out */
static void flips(void **state)
{
	static const char seed[] = "a-1.Example.COM.";

	(void)state;
	for (size_t n = 0; n < sizeof(seed); n++) {
		for (size_t i = 0; i < 8 * n; i++) {
			struct hostname h, again;
			char *s = malloc(n);

			assert_non_null(s);
			memcpy(s, seed, n);
			s[i / 8] ^= (char)(1u << (i % 8));
			if (hostname_parse((struct slice){ s, n }, &h) == 0) {
				assert_true(is_clean(&h));
				assert_int_equal(
					hostname_parse(hostname_slice(&h),
						       &again),
					0);
				assert_memory_equal(&h, &again, sizeof(h));
			}
			free(s);
		}
	}
}

static void services(void **state)
{
	static const char *const good[] = { "_sip._tcp.example.com",
					    "_dmarc.example.com",
					    "api.example.com" };
	static const char *const bad[] = { "_", "_.example.com",
					   "a_b.example.com", "__x.example.com",
					   "_-x.example.com" };
	struct hostname h;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(hostname_parse_service(slice_of(good[i]), &h),
				 0);
		assert_string_equal(h.text, good[i]);
		/* what may be resolved is not what may be dialled */
		assert_int_equal(hostname_parse(slice_of(good[i]), &h),
				 good[i][0] == '_' ? -EINVAL : 0);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(hostname_parse_service(slice_of(bad[i]), &h),
				 -EINVAL);
	assert_int_equal(hostname_parse_service(slice_of(""), &h), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(services),	cmocka_unit_test(canonical),
		cmocka_unit_test(length_limit), cmocka_unit_test(match),
		cmocka_unit_test(flips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
