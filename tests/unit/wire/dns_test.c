/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Queries of clients, good and odd; what is sent and answered for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/dns.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define API	 "\3api\7example\3com\0"
#define HEAD	 "\x12\x34\1\0\0\1\0\0\0\0\0\0"
#define HEAD_OPT "\x12\x34\1\0\0\1\0\0\0\0\0\1"
#define A_IN	 "\0\1\0\1"
#define OPT	 "\0\0\x29\x10\0\0\0\x80\0\0\0"

/* In memory of its exact size; only what does not point into it is kept. */
static int parse(const char *p, size_t n, struct dns_query *q)
{
	char *copy = malloc(n ? n : 1);
	int r;

	assert_non_null(copy);
	if (n)
		memcpy(copy, p, n);
	r = dns_query_parse((struct slice){ copy, n }, q);
	if (q->question.n)
		q->question.p = p + (q->question.p - copy);
	free(copy);
	return r;
}

static void good(void **state)
{
#define ROW(msg, name, type)                     \
	{                                        \
		msg, sizeof(msg) - 1, name, type \
	}
	static const struct {
		const char *msg;
		size_t n;
		const char *name;
		unsigned type;
	} rows[] = {
		ROW(HEAD API A_IN, "api.example.com", DNS_A),
		ROW(HEAD "\3API\7Example\3cOm\0\0\x1c\0\1", "api.example.com",
		    DNS_AAAA),
		ROW(HEAD API "\0\x41\0\1", "api.example.com", DNS_HTTPS),
		ROW(HEAD "\4_sip\4_tcp" API "\0\x21\0\1",
		    "_sip._tcp.api.example.com", DNS_SRV),
		ROW(HEAD API "\x27\x10\0\1", "api.example.com", 10000),
		ROW(HEAD "\0" A_IN, "", DNS_A),
	};
#undef ROW

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dns_query q;

		assert_int_equal(parse(rows[i].msg, rows[i].n, &q),
				 DNS_NOERROR);
		assert_int_equal(q.id, 0x1234);
		assert_string_equal(q.name.text, rows[i].name);
		assert_int_equal(q.is_root, rows[i].name[0] == '\0');
		assert_int_equal(q.type, rows[i].type);
		assert_true(q.is_recursive && !q.is_checking_off);
		assert_false(q.has_edns || q.wants_dnssec);
		assert_int_equal(q.udp_size, 512);
		assert_int_equal(q.question.n, rows[i].n - DNS_HEADER);
		/* nothing less is whole: no answer, or FORMERR */
		for (size_t n = 0; n < rows[i].n; n++)
			assert_int_equal(parse(rows[i].msg, n, &q),
					 n < DNS_HEADER ? -1 : DNS_FORMERR);
	}
}

static void edns(void **state)
{
	static const char with[] = HEAD_OPT API A_IN OPT;
	static const char small[] =
		HEAD_OPT API A_IN "\0\0\x29\0\1\0\0\0\0\0\4\0\x0a\0\0";
	struct dns_query q;

	(void)state;
	assert_int_equal(parse(with, sizeof(with) - 1, &q), DNS_NOERROR);
	assert_true(q.has_edns && q.wants_dnssec);
	assert_int_equal(q.udp_size, 4096);
	/* RFC 6891 6.2.3: less than 512 is 512; an option is of no interest */
	assert_int_equal(parse(small, sizeof(small) - 1, &q), DNS_NOERROR);
	assert_true(q.has_edns && !q.wants_dnssec);
	assert_int_equal(q.udp_size, 512);
}

static void wrong(void **state)
{
#define ROW(msg, r, fault)                                 \
	{                                                  \
		msg, sizeof(msg) - 1, r, DNS_FAULT_##fault \
	}
#define L50 "\62aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	static const struct {
		const char *msg;
		size_t n;
		int rcode;
		enum dns_fault fault;
	} rows[] = {
		ROW("\x12\x34\1\0\0\1", -1, SHORT),
		ROW("\x12\x34\x81\0\0\1\0\0\0\0\0\0" API A_IN, -1, RESPONSE),
		ROW("\x12\x34\x29\0\0\1\0\0\0\0\0\0" API A_IN, DNS_NOTIMP,
		    OPCODE),
		ROW("\x12\x34\1\0\0\0\0\0\0\0\0\0", DNS_FORMERR, COUNTS),
		ROW("\x12\x34\1\0\0\2\0\0\0\0\0\0" API A_IN API A_IN,
		    DNS_FORMERR, COUNTS),
		ROW("\x12\x34\1\0\xff\xff\0\0\0\0\0\0" API A_IN, DNS_FORMERR,
		    COUNTS),
		ROW("\x12\x34\1\0\0\1\0\1\0\0\0\0" API A_IN, DNS_FORMERR,
		    COUNTS),
		ROW("\x12\x34\1\0\0\1\0\0\0\1\0\0" API A_IN, DNS_FORMERR,
		    COUNTS),
		ROW(HEAD "\xc0\x0c" A_IN, DNS_FORMERR, COMPRESSED),
		ROW(HEAD "\3api\xc0\x0c" A_IN, DNS_FORMERR, COMPRESSED),
		ROW(HEAD "\x40" A_IN, DNS_FORMERR, LABEL),
		ROW(HEAD "\5api", DNS_FORMERR, CUT),
		ROW(HEAD L50 L50 L50 L50 L50 L50 "\0" A_IN, DNS_FORMERR,
		    NAME_LENGTH),
		ROW(HEAD "\3a\0b\0" A_IN, DNS_FORMERR, LABEL),
		ROW(HEAD "\7api.com\0" A_IN, DNS_FORMERR, LABEL),
		ROW(HEAD "\3a b\3com\0" A_IN, DNS_FORMERR, LABEL),
		ROW(HEAD "\3-ab\3com\0" A_IN, DNS_FORMERR, LABEL),
		ROW(HEAD "\3a_b\3com\0" A_IN, DNS_FORMERR, LABEL),
		ROW(HEAD "\1_\3com\0" A_IN, DNS_FORMERR, LABEL),
		ROW(HEAD "\2\xff\xfe\3com\0" A_IN, DNS_FORMERR, LABEL),
		ROW(HEAD "\1"
			 "1\1"
			 "2\1"
			 "3\1"
			 "4\0" A_IN,
		    DNS_FORMERR, LABEL),
		ROW(HEAD API "\0\1\0\3", DNS_REFUSED, CLASS),
		ROW(HEAD API "\0\1\0\xff", DNS_REFUSED, CLASS),
		ROW("\x12\x34\1\0\0\1\0\0\0\0\0\2" API A_IN OPT OPT,
		    DNS_FORMERR, ADDITIONAL),
		ROW(HEAD_OPT API A_IN "\0\0\1\0\1\0\0\0\0\0\0", DNS_FORMERR,
		    ADDITIONAL),
		ROW(HEAD_OPT API A_IN "\1\0\x29\0\0\0\0\0\0\0\0", DNS_FORMERR,
		    ADDITIONAL),
		ROW(HEAD_OPT API A_IN "\0\0\x29\0\0\0\0\0\0\0\1", DNS_FORMERR,
		    CUT),
		ROW(HEAD API A_IN "x", DNS_FORMERR, TRAILING),
		ROW(HEAD_OPT API A_IN OPT "\0", DNS_FORMERR, TRAILING),
	};
#undef ROW

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dns_query q;

		assert_int_equal(parse(rows[i].msg, rows[i].n, &q),
				 rows[i].rcode);
		assert_string_equal(dns_fault_text(q.fault),
				    dns_fault_text(rows[i].fault));
		assert_int_equal(q.id, 0x1234);
	}
}

/* A text of 253 bytes is 255 on the wire: as long as may be. */
static void longest(void **state)
{
	char msg[400] = HEAD;
	struct dns_query q;
	size_t n = DNS_HEADER;

	(void)state;
	for (int i = 0; i < 4; i++) {
		size_t len = i < 3 ? 63 : 61;

		msg[n++] = (char)len;
		memset(msg + n, 'a', len);
		n += len;
	}
	msg[n++] = 0;
	memcpy(msg + n, A_IN, 4);
	assert_int_equal(parse(msg, n + 4, &q), DNS_NOERROR);
	assert_int_equal(q.name.len, 253);
	/* one more in the last label */
	msg[DNS_HEADER + 3 * 64] = 62;
	memcpy(msg + n - 1, "a\0" A_IN, 6);
	assert_int_equal(parse(msg, n + 5, &q), DNS_FORMERR);
	assert_int_equal(q.fault, DNS_FAULT_NAME_LENGTH);
}

static void want_bytes(const struct wbuf *b, const char *p, size_t n)
{
	assert_false(b->failed);
	assert_int_equal(b->len, n);
	assert_memory_equal(b->p, p, n);
}

static void sent(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(512);
	static const char plain[] = "\xbe\xef\1\0\0\1\0\0\0\0\0\1" API
				    "\0\x1c\0\1\0\0\x29\4\xd0\0\0\0\0\0\0";
	struct hostname h;
	struct dns_query q;

	(void)state;
	assert_int_equal(hostname_parse(SLICE_LIT("API.example.com."), &h), 0);
	dns_query_build(&b, 0xbeef, &h, DNS_AAAA, false);
	want_bytes(&b, plain, sizeof(plain) - 1);
	/* it reads as what was meant */
	assert_int_equal(parse(b.p, b.len, &q), DNS_NOERROR);
	assert_string_equal(q.name.text, "api.example.com");
	wbuf_reset(&b);
	dns_query_build(&b, 1, &h, DNS_A, true);
	assert_int_equal(parse(b.p, b.len, &q), DNS_NOERROR);
	assert_true(q.wants_dnssec && q.udp_size == DNS_UDP_OURS);
}

static void replies(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(512);
	/* every flag a client can set; AA, TC, Z and AD are not ours to say */
	static const char odd[] = "\x12\x34\7\x7f\0\1\0\0\0\0\0\0"
				  "\4EVIL\7example\3com\0" A_IN;
	static const char odd_reply[] = "\x12\x34\x81\x95\0\1\0\0\0\0\0\0"
					"\4EVIL\7example\3com\0" A_IN;
	static const char with[] = HEAD_OPT API A_IN OPT;
	static const char with_reply[] =
		"\x12\x34\x81\x83\0\1\0\0\0\0\0\1" API A_IN
		"\0\0\x29\4\xd0\0\0\x80\0\0\0";
	static const char none[] = "\x12\x34\1\0\0\0\0\0\0\0\0\0";
	static const char none_reply[] = "\x12\x34\x81\x81\0\0\0\0\0\0\0\0";
	struct dns_query q;

	(void)state;
	assert_int_equal(parse(odd, sizeof(odd) - 1, &q), DNS_NOERROR);
	dns_reply_build(&b, &q, DNS_REFUSED);
	want_bytes(&b, odd_reply, sizeof(odd_reply) - 1);
	wbuf_reset(&b);
	assert_int_equal(parse(with, sizeof(with) - 1, &q), DNS_NOERROR);
	dns_reply_build(&b, &q, DNS_NXDOMAIN);
	want_bytes(&b, with_reply, sizeof(with_reply) - 1);
	wbuf_reset(&b);
	assert_int_equal(parse(none, sizeof(none) - 1, &q), DNS_FORMERR);
	dns_reply_build(&b, &q, DNS_FORMERR);
	want_bytes(&b, none_reply, sizeof(none_reply) - 1);
}

static void words(void **state)
{
	(void)state;
	assert_string_equal(dns_type_word(1), "A");
	assert_string_equal(dns_type_word(64), "SVCB");
	assert_null(dns_type_word(0));
	assert_null(dns_type_word(255));
	assert_null(dns_type_word(10000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),	 cmocka_unit_test(edns),
		cmocka_unit_test(wrong), cmocka_unit_test(longest),
		cmocka_unit_test(sent),	 cmocka_unit_test(replies),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
