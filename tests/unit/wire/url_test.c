/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which host and port a base URL really means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "wire/url.h"

static const struct {
	const char *url;
	const char *host; /* NULL: refused */
	uint16_t port;
} rows[] = {
	{ "https://h/", "h", 443 },
	{ "http://h", "h", 80 },
	{ "HTTPS://API.Example.com:8443/x", "api.example.com", 8443 },
	{ "https://h:/", "h", 443 },
	{ "https://h:0443", "h", 443 },
	{ "https://h:0", "h", 0 },
	{ "https://u:p@h:1/", "h", 1 },
	{ "https://u@evil@h/", "h", 443 },
	{ "https://evil\\@h/", "evil", 443 },
	{ "https:h.example", "h.example", 443 },
	{ "https:///h.example", "h.example", 443 },
	{ "https:\\\\h.example\\p", "h.example", 443 },
	{ "  https://h \n", "h", 443 },
	{ "ht\ttps://h\n.x", "h.x", 443 },
	{ "https://%68%2Ex/", "h.x", 443 },
	{ "https://a_b/", "a_b", 443 },
	{ "https://h./", "h.", 443 },
	{ "http://127.1/", "127.0.0.1", 80 },
	{ "http://127.0.0.1./", "127.0.0.1", 80 },
	{ "http://2130706433", "127.0.0.1", 80 },
	{ "http://0x7f.1", "127.0.0.1", 80 },
	{ "http://0177.0.0.1", "127.0.0.1", 80 },
	{ "http://1.0xffffff", "1.255.255.255", 80 },
	{ "http://0x", "0.0.0.0", 80 },
	{ "http://4294967295", "255.255.255.255", 80 },
	{ "http://4294967296", NULL, 0 },
	{ "http://256.1.1.1", NULL, 0 },
	{ "http://1.1.1.256", NULL, 0 },
	{ "http://1.2.3.4.5", NULL, 0 },
	{ "http://1..2", NULL, 0 },
	{ "http://a.1", NULL, 0 },
	{ "http://08", NULL, 0 },
	{ "https://[::1]/", "[::1]", 443 },
	{ "https://[0:0:0:0:0:0:0:0]/", "[::]", 443 },
	{ "https://[2001:DB8:0:0:1:0:0:1]:8", "[2001:db8::1:0:0:1]", 8 },
	{ "https://[1:0:2:3:4:5:6:7]", "[1:0:2:3:4:5:6:7]", 443 },
	{ "https://[1:2::]", "[1:2::]", 443 },
	{ "https://[::ffff:1.2.3.4]", "[::ffff:102:304]", 443 },
	{ "https://[::1%25eth0]", NULL, 0 },
	{ "https://[::1]x", NULL, 0 },
	{ "https://[::1", NULL, 0 },
	{ "https://[]", NULL, 0 },
	{ "https://b\xc3\xbc"
	  "cher.example/",
	  "xn--bcher-kva.example", 443 },
	{ "https://B\xc3\x9c"
	  "CHER.example/",
	  "xn--bcher-kva.example", 443 },
	{ "https://b%C3%BCcher.example", "xn--bcher-kva.example", 443 },
	{ "https://\xe4\xbe\x8b\xe3\x81\x88.jp", "xn--r8jz45g.jp", 443 },
	{ "https://\xd0\xbf\xd1\x80\xd0\xb8\xd0\xbc\xd0\xb5\xd1\x80.x",
	  "xn--e1afmkfd.x", 443 },
	{ "https://\xce\xb1\xcf\x89", "xn--mxa2c", 443 },
	{ "https://e\xcc\x81.x", NULL, 0 }, /* needs normalisation */
	{ "https://a\xc0\xae"
	  "b",
	  NULL, 0 },
	{ "https://a%ffb", NULL, 0 },
	{ "https://a%00b", NULL, 0 },
	{ "https://a%2fb", NULL, 0 },
	{ "https://a%b", NULL, 0 },
	{ "https://a b", NULL, 0 },
	{ "https://a^b", NULL, 0 },
	{ "https://", NULL, 0 },
	{ "https:", NULL, 0 },
	{ "https://:1", NULL, 0 },
	{ "https://u@", NULL, 0 },
	{ "https://u@:1", NULL, 0 },
	{ "https://h:65536", NULL, 0 },
	{ "https://h:1a", NULL, 0 },
	{ "https://h:-1", NULL, 0 },
	{ "h/p", NULL, 0 },
	{ "/p", NULL, 0 },
	{ "1http://h", NULL, 0 },
	{ "", NULL, 0 },
};

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct url u = { .port = 7 };
		int r = url_parse(slice_of(rows[i].url), &u);

		if ((r == 0) != (rows[i].host != NULL))
			fail_msg("%s: %d", rows[i].url, r);
		if (r) {
			assert_int_equal(u.port, 7);
			continue;
		}
		assert_true(u.is_http);
		assert_string_equal(u.host, rows[i].host);
		assert_int_equal(u.port, rows[i].port);
		assert_false(u.has_query || u.has_fragment);
	}
}

static void other_schemes(void **state)
{
	static const char *const urls[] = {
		"ftp://h",   "mailto:x",   "a+b-c.d:",
		"file:///x", "httpsx://h", "averylongschemename://h"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct url u;

		assert_int_equal(url_parse(slice_of(urls[i]), &u), 0);
		assert_false(u.is_http);
	}
}

static void query_and_fragment(void **state)
{
	static const struct {
		const char *url;
		bool query, fragment;
	} q[] = {
		{ "https://h/?q", true, false },
		{ "https://h?", true, false },
		{ "https://h#", false, true },
		{ "https://h/p#f?x", false, true },
		{ "https://h/p?x#f", true, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(q); i++) {
		struct url u;

		assert_int_equal(url_parse(slice_of(q[i].url), &u), 0);
		assert_int_equal(u.has_query, q[i].query);
		assert_int_equal(u.has_fragment, q[i].fragment);
	}
}

static void bounds(void **state)
{
	char text[URL_TEXT_MAX + 1] = "https://h/";
	struct url u;

	(void)state;
	memset(text + 10, 'a', sizeof(text) - 10);
	assert_int_equal(url_parse((struct slice){ text, URL_TEXT_MAX }, &u),
			 0);
	assert_true(url_parse((struct slice){ text, URL_TEXT_MAX + 1 }, &u));
	/* a host of 255 bytes and of 256 */
	memset(text + 8, 'a', sizeof(text) - 8);
	assert_int_equal(url_parse((struct slice){ text, 8 + 255 }, &u), 0);
	assert_int_equal(strlen(u.host), 255);
	assert_true(url_parse((struct slice){ text, 8 + 256 }, &u));
}

static void truncations_and_flips(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = strlen(rows[i].url);

		for (size_t k = 0; k < 9 * len; k++) {
			size_t n = k < len ? k : len;
			char *copy = malloc(n ? n : 1);
			struct url u;

			assert_non_null(copy);
			memcpy(copy, rows[i].url, n);
			if (k >= len)
				copy[(k - len) / 8] ^=
					(char)(1u << ((k - len) % 8));
			if (url_parse((struct slice){ copy, n }, &u) == 0 &&
			    u.is_http)
				assert_true(u.host[0] != '\0');
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(other_schemes),
		cmocka_unit_test(query_and_fragment),
		cmocka_unit_test(bounds),
		cmocka_unit_test(truncations_and_flips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
