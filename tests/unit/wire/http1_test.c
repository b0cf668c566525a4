/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Requests, strict and not, and their bodies at every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/http1.h"

#define API	 "Host: api.example.com\r\n"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* In memory of its exact size, so that one byte too many is seen. */
static enum http1_state judge(const char *text, size_t n, struct http1_head *h)
{
	char *copy = malloc(n ? n : 1);
	enum http1_state s;

	assert_non_null(copy);
	if (n)
		memcpy(copy, text, n);
	s = http1_read_head((struct slice){ copy, n }, h);
	h->host_text = (struct slice){ NULL, 0 };
	free(copy);
	return s;
}

static void good(void **state)
{
	static const struct {
		const char *text, *host; /* NULL: missing */
		uint16_t port;
	} rows[] = {
		{ "GET / HTTP/1.1\r\n" API "\r\n", "api.example.com", 0 },
		{ "POST /x HTTP/1.1\r\nhost:API.Example.COM\r\n\r\n",
		  "api.example.com", 0 },
		{ "PATCH / HTTP/1.1\r\nHOST: \tapi.example.com. \r\n\r\n",
		  "api.example.com", 0 },
		{ "GET / HTTP/1.1\r\nHost: api.example.com:8443\r\n\r\n",
		  "api.example.com", 8443 },
		{ "GET / HTTP/1.0\r\n\r\n", NULL, 0 },
		{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", NULL, 0 },
		{ "OPTIONS * HTTP/1.1\r\n" API "\r\n", "api.example.com", 0 },
		{ "GET http://api.example.com/p?q HTTP/1.1\r\n" API "\r\n",
		  "api.example.com", 0 },
		{ "GET HTTP://api.example.com:80 HTTP/1.1\r\n" API "\r\n",
		  "api.example.com", 0 },
		{ "M-SEARCH /?a=b%00c HTTP/1.1\r\nX:\r\n" API
		  "Y: \tz\t\r\n\r\n",
		  "api.example.com", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t n = strlen(rows[i].text);
		struct http1_head h;

		assert_int_equal(judge(rows[i].text, n, &h), HTTP1_DONE);
		assert_int_equal(h.len, n);
		assert_int_equal(h.has_host, rows[i].host != NULL);
		assert_int_equal(h.port, rows[i].port);
		if (rows[i].host)
			assert_string_equal(h.host.text, rows[i].host);
		/* nothing less is whole, and more is not looked at */
		for (size_t k = 0; k < n; k++)
			assert_int_equal(judge(rows[i].text, k, &h),
					 HTTP1_MORE);
	}
}

/* No name to be allowed, but a strict form all the same. */
static void addresses(void **state)
{
	static const char *const hosts[] = { "[::1]", "192.0.2.1", "2130706433",
					     "0x7f.1", "[::ffff:1.2.3.4]" };

	(void)state;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		char text[128];
		struct http1_head h;
		int n = snprintf(text, sizeof(text),
				 "GET / HTTP/1.1\r\nHost: %s:443\r\n\r\n",
				 hosts[i]);

		assert_int_equal(
			http1_read_head((struct slice){ text, (size_t)n }, &h),
			HTTP1_DONE);
		assert_true(h.has_host && !h.host_is_name);
		assert_true(slice_is(h.host_text, hosts[i]));
		assert_int_equal(h.port, 443);
	}
}

static void wrong(void **state)
{
#define ROW(text, fault)                              \
	{                                             \
		text, sizeof(text) - 1, HTTP1_##fault \
	}
	static const struct {
		const char *text;
		size_t n;
		enum http1_fault fault;
	} rows[] = {
		ROW("GET /\r\n", REQUEST_LINE),
		ROW("GET  / HTTP/1.1\r\n", REQUEST_LINE),
		ROW("GET\t/ HTTP/1.1\r\n", REQUEST_LINE),
		ROW("TRACE / HTTP/1.1\r\n", REQUEST_LINE),
		ROW("GET / HTTP/1.1 \r\n", REQUEST_LINE),
		ROW(" GET / HTTP/1.1\r\n", REQUEST_LINE),
		ROW("\r\nGET / HTTP/1.1\r\n", REQUEST_LINE),
		ROW("G@T / HTTP/1.1\r\n", REQUEST_LINE),
		ROW("GET / FOO\r\n", VERSION),
		ROW("GET / HTTP/1.2\r\n", VERSION),
		ROW("GET / http/1.1\r\n", VERSION),
		ROW("PRI * HTTP/2.0\r\n", VERSION),
		ROW("GET x HTTP/1.1\r\n", TARGET),
		ROW("GET * HTTP/1.1\r\n", TARGET),
		ROW("GET https://api.example.com/ HTTP/1.1\r\n", TARGET),
		ROW("GET http:///x HTTP/1.1\r\n", TARGET),
		ROW("GET http://u@api.example.com/ HTTP/1.1\r\n", TARGET),
		ROW("GET /\xc3\xa9 HTTP/1.1\r\n", TARGET),
		ROW("CONNECT evil.example.com HTTP/1.1\r\n", TARGET),
		ROW("CONNECT /x HTTP/1.1\r\n", TARGET),
		ROW("GET http://evil.example.com/ HTTP/1.1\r\n" API "\r\n",
		    TARGET_HOST),
		ROW("GET http://api.example.com:81/ HTTP/1.1\r\n" API "\r\n",
		    TARGET_HOST),
		ROW("CONNECT evil.example.com:443 HTTP/1.1\r\n" API "\r\n",
		    TARGET_HOST),
		ROW("GET / HTTP/1.1\n" API "\r\n", BYTE),
		ROW("GET / HTTP/1.1\r\nX: a\nHost: evil\r\n" API "\r\n", BYTE),
		ROW("GET / HTTP/1.1\r\nX: a\rb\r\n" API "\r\n", BYTE),
		ROW("GET / HTTP/1.1\r\nX: a\0b\r\n" API "\r\n", BYTE),
		ROW("GET / HTTP/1.1\r\nX: a\x7f", BYTE),
		ROW("GET / HTTP/1.1\r\nHost : evil.example.com\r\n", FIELD),
		ROW("GET / HTTP/1.1\r\nno colon\r\n", FIELD),
		ROW("GET / HTTP/1.1\r\n: x\r\n", FIELD),
		ROW("GET / HTTP/1.1\r\nHost:\r\n evil.example.com\r\n", FOLDED),
		ROW("GET / HTTP/1.1\r\n" API "\tx\r\n", FOLDED),
		ROW("GET / HTTP/1.1\r\n" API "Host: evil.example.com\r\n",
		    HOST_TWICE),
		ROW("GET / HTTP/1.1\r\n" API API, HOST_TWICE),
		ROW("GET / HTTP/1.1\r\nHost:\r\n" API, HOST_TWICE),
		ROW("GET / HTTP/1.1\r\nHost: api.example.com:80@evil.com\r\n",
		    HOST),
		ROW("GET / HTTP/1.1\r\nHost: evil.com/x.cdn.example.com\r\n",
		    HOST),
		ROW("GET / HTTP/1.1\r\nHost: a b.example.com\r\n", HOST),
		ROW("GET / HTTP/1.1\r\nHost: api.example.com:\r\n", HOST),
		ROW("GET / HTTP/1.1\r\nHost: api.example.com:0\r\n", HOST),
		ROW("GET / HTTP/1.1\r\nHost: api.example.com:65536\r\n", HOST),
		ROW("GET / HTTP/1.1\r\nHost: evil%00.example.com\r\n", HOST),
		ROW("GET / HTTP/1.1\r\nHost: [::1\r\n", HOST),
		ROW("GET / HTTP/1.1\r\nHost: []\r\n", HOST),
		ROW("GET / HTTP/1.1\r\nHost: [::1]x\r\n", HOST),
		ROW("GET / HTTP/1.1\r\nContent-Length: 5\r\n"
		    "Content-Length: 5\r\n",
		    LENGTH),
		ROW("GET / HTTP/1.1\r\nContent-Length: 5, 5\r\n", LENGTH),
		ROW("GET / HTTP/1.1\r\nContent-Length: +5\r\n", LENGTH),
		ROW("GET / HTTP/1.1\r\nContent-Length: 0x5\r\n", LENGTH),
		ROW("GET / HTTP/1.1\r\nContent-Length:\r\n", LENGTH),
		ROW("GET / HTTP/1.1\r\nContent-Length: "
		    "9999999999999999999\r\n",
		    LENGTH),
		ROW("GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n",
		    CODING),
		ROW("GET / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n",
		    CODING),
		ROW("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", CODING),
		ROW("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
		    "Transfer-Encoding: identity\r\n",
		    CODING),
		ROW("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
		    "Content-Length: 5\r\n\r\n",
		    LENGTH_AND_CODING),
		ROW("GET / HTTP/1.1\r\nContent-Length: 0\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n",
		    LENGTH_AND_CODING),
	};
#undef ROW

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http1_head h;

		assert_int_equal(judge(rows[i].text, rows[i].n, &h), HTTP1_BAD);
		if (h.fault != rows[i].fault)
			fail_msg("%s: %s", rows[i].text,
				 http1_fault_text(h.fault));
		assert_false(h.has_host);
	}
}

static void head_limit(void **state)
{
	static char text[HTTP1_HEAD_MAX + 100];
	struct http1_head h;
	int n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" API "X: ");

	(void)state;
	memset(text + n, 'x', sizeof(text) - (size_t)n);
	/* 8192 with its end is as long as may be */
	memcpy(text + HTTP1_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(judge(text, HTTP1_HEAD_MAX, &h), HTTP1_DONE);
	assert_int_equal(h.len, HTTP1_HEAD_MAX);
	memcpy(text + HTTP1_HEAD_MAX - 4, "x\r\n\r\n", 5);
	assert_int_equal(judge(text, HTTP1_HEAD_MAX - 1, &h), HTTP1_MORE);
	assert_int_equal(judge(text, HTTP1_HEAD_MAX, &h), HTTP1_BAD);
	assert_int_equal(h.fault, HTTP1_HEAD_LENGTH);
	assert_int_equal(judge(text, HTTP1_HEAD_MAX + 1, &h), HTTP1_BAD);
}

static void marks(void **state)
{
	struct http1_head h;
	const char *t =
		"GET / HTTP/1.1\r\n" API "Upgrade: websocket, H2C\r\n\r\n";

	(void)state;
	assert_int_equal(judge(t, strlen(t), &h), HTTP1_DONE);
	assert_true(h.has_upgrade && h.has_h2c && !h.is_connect);
	t = "GET / HTTP/1.1\r\n" API "Upgrade: websocket, h2cx\r\n\r\n";
	assert_int_equal(judge(t, strlen(t), &h), HTTP1_DONE);
	assert_true(h.has_upgrade && !h.has_h2c);
	t = "CONNECT api.example.com:443 HTTP/1.1\r\n"
	    "Host: api.example.com:443\r\n\r\n";
	assert_int_equal(judge(t, strlen(t), &h), HTTP1_DONE);
	assert_true(h.is_connect);
	assert_int_equal(h.framing, HTTP1_NO_BODY);
}

/* @text: head and body; what follows them is @next. */
static void check_body(const char *text, const char *next)
{
	size_t n = strlen(text), total = n + strlen(next);
	char all[512];
	struct http1_head h;

	(void)snprintf(all, sizeof(all), "%s%s", text, next);
	assert_int_equal(http1_read_head((struct slice){ all, total }, &h),
			 HTTP1_DONE);
	for (size_t step = 1; step <= total; step++) {
		enum http1_state s = HTTP1_MORE;
		struct http1_body b;
		size_t at = h.len, used;

		http1_body_begin(&b, &h);
		while (s == HTTP1_MORE && at < total) {
			size_t k = total - at < step ? total - at : step;

			s = http1_body_skip(&b, (struct slice){ all + at, k },
					    &used);
			at += used;
			if (s == HTTP1_MORE)
				assert_int_equal(used, k);
		}
		if (s == HTTP1_MORE)
			s = http1_body_skip(&b, (struct slice){ NULL, 0 },
					    &used);
		assert_int_equal(s, HTTP1_DONE);
		assert_int_equal(at, n);
	}
}

static void bodies(void **state)
{
	static const char *const rows[] = {
		"GET / HTTP/1.1\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 0005\r\n\r\nabcde",
		"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n"
		"0\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
		"5;a=\"b\"\r\nabcde\r\n0aA\r\n"
		"GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n"
		"............................................................"
		"............................................................"
		"\r\n000;x\r\nTrailer-A: b\r\nC:\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[512];
		const char *dots = strstr(rows[i], "....");

		(void)snprintf(text, sizeof(text), "%s", rows[i]);
		/* 0xaa bytes: what looks like a request is a chunk's data */
		if (dots) {
			size_t head =
				(size_t)(strstr(rows[i], "GET /") - rows[i]);
			const char *tail = strstr(dots, "\r\n000");

			(void)snprintf(text, sizeof(text), "%.*s%.*s%s",
				       (int)head, rows[i], 0xaa, rows[i] + head,
				       tail);
		}
		check_body(text, "");
		check_body(text, "GET /next HTTP/1.1\r\n");
	}
}

static void bad_bodies(void **state)
{
	static const struct {
		const char *body;
		enum http1_fault fault;
	} rows[] = {
		{ "\r\n", HTTP1_CHUNK },
		{ "g\r\n", HTTP1_CHUNK },
		{ "5\n", HTTP1_CHUNK },
		{ "5\rx", HTTP1_CHUNK },
		{ "5 \r\n", HTTP1_CHUNK },
		{ ";x\r\n", HTTP1_CHUNK },
		{ "-1\r\n", HTTP1_CHUNK },
		{ "0x5\r\n", HTTP1_CHUNK },
		{ "1234567890abcdef\r\n", HTTP1_CHUNK },
		{ "5;a\nb\r\n", HTTP1_CHUNK },
		{ "1\r\naX\r\n", HTTP1_CHUNK },
		{ "1\r\na\n", HTTP1_CHUNK },
		{ "1\r\na\r0", HTTP1_CHUNK },
		{ "0\r\nno colon\r\n", HTTP1_TRAILER },
		{ "0\r\nname\r\n", HTTP1_TRAILER },
		{ "0\r\n: x\r\n", HTTP1_TRAILER },
		{ "0\r\nA: \n", HTTP1_TRAILER },
		{ "0\r\nA: b\rc", HTTP1_TRAILER },
	};
	const struct http1_head h = { .framing = HTTP1_CHUNKED };
	struct http1_body b;
	size_t used;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		http1_body_begin(&b, &h);
		if (http1_body_skip(&b, slice_of(rows[i].body), &used) !=
			    HTTP1_BAD ||
		    b.fault != rows[i].fault)
			fail_msg("%s: %s", rows[i].body,
				 http1_fault_text(b.fault));
		/* it stays so */
		assert_int_equal(
			http1_body_skip(&b, slice_of("0\r\n\r\n"), &used),
			HTTP1_BAD);
		assert_int_equal(used, 0);
	}
	/* lines that do not end */
	http1_body_begin(&b, &h);
	assert_int_equal(http1_body_skip(&b, slice_of("1;"), &used),
			 HTTP1_MORE);
	for (int i = 0; i < HTTP1_CHUNK_LINE_MAX - 2; i++)
		assert_int_equal(http1_body_skip(&b, slice_of("x"), &used),
				 HTTP1_MORE);
	assert_int_equal(http1_body_skip(&b, slice_of("x"), &used), HTTP1_BAD);
	http1_body_begin(&b, &h);
	assert_int_equal(http1_body_skip(&b, slice_of("0\r\nA:"), &used),
			 HTTP1_MORE);
	for (int i = 0; i < HTTP1_TRAILER_MAX - 2; i++)
		assert_int_equal(http1_body_skip(&b, slice_of("x"), &used),
				 HTTP1_MORE);
	assert_int_equal(http1_body_skip(&b, slice_of("x"), &used), HTTP1_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),	      cmocka_unit_test(addresses),
		cmocka_unit_test(wrong),      cmocka_unit_test(head_limit),
		cmocka_unit_test(marks),      cmocka_unit_test(bodies),
		cmocka_unit_test(bad_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
