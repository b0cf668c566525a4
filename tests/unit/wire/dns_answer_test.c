/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Messages of an upstream, good and hostile: what is told of them. */
#include "dns_message.h"

struct row {
	const char *name;
	unsigned type;
	struct slice msg, body;
	unsigned n, rcode, ttl, n_addr, n_target, n_dropped, n_chain;
};

static const struct row rows[] = {
	{ "api.example.com", DNS_A,
	  L(HEAD(OK, "\1", "\0", "\0") Q_A A_OF(Q, GOOD)), L(A_OF(Q, GOOD)), 1,
	  0, 60, 1, 1, 0, 1 },
	/* the server's spelling of the question; OPT */
	{ "api.example.com", DNS_A,
	  L(HEAD(OK, "\1", "\0", "\1") "\3API\7eXample\3com\0\0\1\0\1" A_OF(
		  "\3Api" EXAMPLE, GOOD) OPT),
	  L(A_OF(Q, GOOD)), 1, 0, 60, 1, 1, 0, 1 },
	/* TTLs: too long, too short, with the top bit; the same address twice
	 * is one */
	{ "api.example.com", DNS_A,
	  L(HEAD(OK, "\3", "\0", "\0")
		    Q_A RR(Q, A, "\0\1\x51\x80", "\0\4", GOOD)
			    RR(Q, A, "\0\0\0\1", "\0\4", "\1\1\1\1")
				    RR(Q, A, "\x80\0\0\x3c", "\0\4", GOOD)),
	  L(RR(Q, A, "\0\0\x0e\x10", "\0\4", GOOD)
		    RR(Q, A, "\0\0\0\x1e", "\0\4", "\1\1\1\1")
			    RR(Q, A, "\0\0\0\x1e", "\0\4", GOOD)),
	  3, 0, 30, 2, 3, 0, 1 },
	{ "api.example.com", DNS_AAAA,
	  L(HEAD(OK, "\3", "\0", "\0")
		    API AAAA IN RR(Q, AAAA, T60, "\0\x10",
				   "\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4")
			    RR(Q, AAAA, T60, "\0\x10",
			       "\x26\6\0\0\0\0\0\0\0\0\0\0\0\0\0\1")
				    RR(Q, AAAA, T60, "\0\x10",
				       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1")),
	  L(RR(Q, AAAA, T60, "\0\x10", "\x26\6\0\0\0\0\0\0\0\0\0\0\0\0\0\1")),
	  1, 0, 60, 1, 1, 2, 1 },
	{ "api.example.com", DNS_A,
	  L(HEAD(OK, "\2", "\0", "\0") Q_A A_OF(Q, PRIVATE) A_OF(Q, GOOD)),
	  L(A_OF(Q, GOOD)), 1, 0, 60, 1, 1, 1, 1 },
	/* nothing but refused ones: no data, the alias goes too */
	{ "api.example.com", DNS_A,
	  L(HEAD(OK, "\2", "\0", "\0") Q_A RR(Q, CNAME, T60, "\0\x09", CDN)
		    A_OF(CDN, PRIVATE)),
	  L(""), 0, 0, TTL_MIN, 0, 0, 1, 2 },
	{ "api.example.com", DNS_A,
	  L(HEAD(OK, "\2", "\1", "\0") Q_A RR(Q, CNAME, T60, "\0\x09", CDN)
		    A_OF(CDN, PRIVATE) SOA_RR),
	  L(""), 0, 0, 90, 0, 0, 1, 2 },
	/* an alias behind its target, names in pieces */
	{ "api.example.com", DNS_A,
	  L(HEAD(OK, "\2", "\0", "\0") Q_A A_OF("\3wWw" EXAMPLE, GOOD)
		    RR(Q, CNAME, "\0\0\0\x28", "\0\6", "\3www" EXAMPLE)),
	  L(RR(Q, CNAME, "\0\0\0\x28", "\0\x11", "\3www\7example\3com\0")
		    RR("\3www\7example\3com\0", A, T60, "\0\4", GOOD)),
	  2, 0, 40, 1, 1, 0, 2 },
	/* what was not asked for: another name, type, class; its alias */
	{ "api.example.com", DNS_A,
	  L(HEAD(OK, "\6", "\1", "\2") Q_A A_OF(EXAMPLE, GOOD)
		    RR(Q, TXT, T60, "\0\2", "\1x") Q A
	    "\0\3" T60 "\0\4" GOOD RR(CDN, CNAME, T60, "\0\2", Q) A_OF(Q, GOOD)
		    A_OF(CDN, GOOD) RR(EXAMPLE, NS, T60, "\0\5", "\2ns" EXAMPLE)
			    A_OF("\2ns" EXAMPLE, GOOD) OPT),
	  L(A_OF(Q, GOOD)), 1, 0, 60, 1, 1, 0, 1 },
	/* of two aliases the first; an alias beats a record beside it */
	{ "api.example.com", DNS_A,
	  L(HEAD(OK, "\5", "\0", "\0") Q_A A_OF(Q, "\1\1\1\1")
		    RR(Q, CNAME, T60, "\0\x09", CDN)
			    RR(Q, CNAME, T60, "\0\2", EXAMPLE) A_OF(CDN, GOOD)
				    A_OF(EXAMPLE, "\1\1\1\1")),
	  L(RR(Q, CNAME, T60, "\0\x09", CDN) A_OF(CDN, GOOD)), 2, 0, 60, 1, 1,
	  0, 2 },
	/* no host name: kept, not noted */
	{ "api.example.com", DNS_A,
	  L(HEAD(OK, "\3", "\0", "\0")
		    Q_A RR(Q, CNAME, T60, "\0\6", "\3a.b" EXAMPLE)
			    RR("\3a.b" EXAMPLE, CNAME, T60, "\0\x09", CDN)
				    A_OF(CDN, GOOD)),
	  L(RR(Q, CNAME, T60, "\0\x11", "\3a.b\7example\3com\0")
		    RR("\3a.b\7example\3com\0", CNAME, T60, "\0\x09", CDN)
			    A_OF(CDN, GOOD)),
	  3, 0, 60, 1, 1, 0, 1 },
	/* negative: the SOA's minimum, its TTL, none */
	{ "api.example.com", DNS_A,
	  L(HEAD("\x81\x83", "\0", "\1", "\0") Q_A SOA_RR), L(""), 0, 3, 90, 0,
	  0, 0, 1 },
	{ "api.example.com", DNS_A,
	  L(HEAD(OK, "\0", "\2", "\0") Q_A RR(
		  Q, SOA, "\0\0\0\x46", "\0\x16",
		  "\0\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\1\0") SOA_RR),
	  L(""), 0, 0, 70, 0, 0, 0, 1 },
	{ "api.example.com", DNS_A, L(HEAD(OK, "\0", "\0", "\0") Q_A), L(""), 0,
	  0, TTL_MIN, 0, 0, 0, 1 },
	{ "api.example.com", DNS_A,
	  L(HEAD("\x81\x83", "\1", "\1", "\0")
		    Q_A RR(Q, CNAME, T60, "\0\x09", CDN) SOA_RR),
	  L(RR(Q, CNAME, T60, "\0\x09", CDN)), 1, 3, 60, 0, 0, 0, 2 },
	/* another code has no records, one over 15 is none of the good */
	{ "api.example.com", DNS_A,
	  L(HEAD("\x81\x82", "\1", "\0", "\0") Q_A A_OF(Q, GOOD)), L(""), 0, 2,
	  TTL_MIN, 0, 0, 0, 1 },
	{ "api.example.com", DNS_A, L(HEAD("\x81\x8f", "\0", "\0", "\0") Q_A),
	  L(""), 0, 15, TTL_MIN, 0, 0, 0, 1 },
	{ "api.example.com", DNS_A,
	  L(HEAD(OK, "\1", "\0", "\1")
		    Q_A A_OF(Q, GOOD) "\0\0\x29\x04\xd0\1\0\0\0\0\0"),
	  L(""), 0, DNS_SERVFAIL, TTL_MIN, 0, 0, 0, 1 },
	/* the types */
	{ "api.example.com", DNS_CNAME,
	  L(HEAD(OK, "\2", "\0", "\0")
		    API CNAME IN RR(Q, CNAME, T60, "\0\2", EXAMPLE)
			    RR(EXAMPLE, CNAME, T60, "\0\x09", CDN)),
	  L(RR(Q, CNAME, T60, "\0\x0d", "\7example\3com\0")), 1, 0, 60, 0, 1, 0,
	  1 },
	{ "api.example.com", DNS_NS,
	  L(HEAD(OK, "\1", "\0", "\0")
		    API NS IN RR(Q, NS, T60, "\0\5", "\2ns" EXAMPLE)),
	  L(RR(Q, NS, T60, "\0\x10", "\2ns\7example\3com\0")), 1, 0, 60, 0, 1,
	  0, 1 },
	{ "api.example.com", DNS_PTR,
	  L(HEAD(OK, "\1", "\0", "\0")
		    API PTR IN RR(Q, PTR, T60, "\0\1", "\0")),
	  L(RR(Q, PTR, T60, "\0\1", "\0")), 1, 0, 60, 0, 1, 0, 1 },
	{ "api.example.com", DNS_MX,
	  L(HEAD(OK, "\1", "\0", "\0")
		    API MX IN RR(Q, MX, T60, "\0\4", "\0\5" EXAMPLE)),
	  L(RR(Q, MX, T60, "\0\x0f", "\0\5\7example\3com\0")), 1, 0, 60, 0, 1,
	  0, 1 },
	{ "_sip._tcp.example.com", DNS_SRV,
	  L(HEAD(OK, "\1", "\0", "\0") "\4_sip\4_tcp\7example\3com\0" SRV IN RR(
		  Q, SRV, T60, "\0\x08", "\0\1\0\2\x13\xc4\xc0\x16")),
	  L(RR(Q, SRV, T60, "\0\x13", "\0\1\0\2\x13\xc4\7example\3com\0")), 1,
	  0, 60, 0, 1, 0, 1 },
	{ "api.example.com", DNS_TXT,
	  L(HEAD(OK, "\2", "\0", "\0") API TXT IN RR(Q, TXT, T60, "\0\1", "\0")
		    RR(Q, TXT, T60, "\0\5", "\1x\2\xc0\0")),
	  L(RR(Q, TXT, T60, "\0\1", "\0")
		    RR(Q, TXT, T60, "\0\5", "\1x\2\xc0\0")),
	  2, 0, 60, 0, 2, 0, 1 },
	/* a type whose data nobody here knows */
	{ "api.example.com", 99,
	  L(HEAD(OK, "\1", "\0", "\0") API
	    "\0\x63" IN RR(Q, "\0\x63", T60, "\0\2", "\1x")),
	  L(""), 0, 0, TTL_MIN, 0, 0, 0, 1 },
	{ "", DNS_NS,
	  L(HEAD(OK, "\1", "\0", "\0") "\0" NS IN RR("\0", NS, T60, "\0\x09",
						     CDN)),
	  L(RR(Q, NS, T60, "\0\x09", CDN)), 1, 0, 60, 0, 1, 0, 1 },
};

static void answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *w = &rows[i];
		OWNED(wbuf_drop) struct wbuf body = WBUF_INIT(DNS_MESSAGE_MAX);
		struct dns_answer a;
		struct slice got;
		uint16_t n;

		wbuf_str(&body, "before");
		if (read_of(w->msg, w->name, w->type, &body, &n, &a))
			fail_msg("%zu: %s", i, dns_answer_fault_text(a.fault));
		got = (struct slice){ body.p + 6, body.len - 6 };
		if (n != w->n || !slice_eq(got, w->body))
			fail_msg("%zu: %u records", i, n);
		if (a.rcode != w->rcode || a.ttl != w->ttl)
			fail_msg("%zu: %u %u", i, a.rcode, a.ttl);
		assert_int_equal(a.n_addr, w->n_addr);
		assert_int_equal(a.n_target, w->n_target);
		assert_int_equal(a.n_dropped, w->n_dropped);
		if (a.n_chain != w->n_chain)
			fail_msg("%zu: %zu names", i, a.n_chain);
		assert_string_equal(a.chain[0].text, w->name);
		assert_false(a.is_truncated || a.is_authentic ||
			     a.changed_svcb);
		if (w->name[0])
			round_trip(w->name, w->type, got, n, &a);
		/* nothing less is whole, and nothing more */
		for (size_t cut = 0; cut < w->msg.n; cut++)
			assert_int_equal(
				read_of((struct slice){ w->msg.p, cut },
					w->name, w->type, &body, &n, &a),
				-1);
		assert_int_equal(
			read_of((struct slice){ w->msg.p, w->msg.n + 1 },
				w->name, w->type, &body, &n, &a),
			-1);
		assert_int_equal(a.fault, DNS_ANSWER_RECORD);
		assert_int_equal(body.len, 6 + w->body.n);
	}
}

static void details(void **state)
{
	static const struct slice authentic =
		L(HEAD("\x85\xa0", "\2", "\0", "\0")
			  Q_A RR(Q, CNAME, T60, "\0\x09", "\3CDN\3net\0")
				  A_OF(CDN, GOOD));
	static const struct slice cut =
		L(HEAD("\x83\x80", "\2", "\0", "\0") Q_A A_OF(Q, GOOD) "\xc0");
	static const struct slice refused =
		L(HEAD(OK, "\3", "\0", "\0") Q_A A_OF(Q, "\x7f\0\0\1")
			  A_OF(Q, PRIVATE) A_OF(Q, GOOD));
	OWNED(wbuf_drop) struct wbuf body = WBUF_INIT(512);
	OWNED(wbuf_drop) struct wbuf little = WBUF_INIT(40);
	char text[IP_TEXT_SIZE];
	struct dns_answer a;
	uint16_t n;

	(void)state;
	assert_int_equal(
		read_of(authentic, "api.example.com", DNS_A, &body, &n, &a), 0);
	assert_true(a.is_authentic);
	assert_int_equal(a.n_chain, 2);
	assert_string_equal(a.chain[1].text, "cdn.net");
	assert_string_equal(ip_text(text, &a.addr[0]), "8.8.4.4");
	/* half a message: its records are not looked at */
	wbuf_reset(&body);
	assert_int_equal(read_of(cut, "api.example.com", DNS_A, &body, &n, &a),
			 0);
	assert_true(a.is_truncated);
	assert_int_equal(n + body.len + a.n_addr + a.n_target, 0);
	assert_int_equal(a.ttl, TTL_MIN);

	assert_int_equal(
		read_of(refused, "api.example.com", DNS_A, &body, &n, &a), 0);
	assert_int_equal(a.n_dropped, 2);
	assert_string_equal(ip_text(text, &a.dropped), "127.0.0.1");

	/* a buffer that is too small keeps nothing */
	assert_int_equal(
		read_of(authentic, "api.example.com", DNS_A, &little, &n, &a),
		-1);
	assert_int_equal(a.fault, DNS_ANSWER_COUNT);
	assert_int_equal(n + little.len, 0);

	assert_string_equal(dns_answer_fault_text(DNS_ANSWER_CHAIN),
			    "aliases that loop or are too many");
	assert_string_equal(dns_answer_fault_text(DNS_ANSWER_FAULT_NUM), "");
}

static void faults(void **state)
{
#define X16		 "xxxxxxxxxxxxxxxx"
#define X64		 X16 X16 X16 X16
#define ONE(rr)		 HEAD(OK, "\1", "\0", "\0") Q_A rr
#define ONE_OF(type, rr) HEAD(OK, "\1", "\0", "\0") API type IN rr
	static const struct {
		struct slice msg;
		unsigned type;
		enum dns_answer_fault fault;
	} bad[] = {
		{ L(""), DNS_A, DNS_ANSWER_SHORT },
		{ L("\x12\x34\x81\x80\0\1\0\0\0\0\0"), DNS_A,
		  DNS_ANSWER_SHORT },
		{ L(HEAD("\1\0", "\0", "\0", "\0") Q_A), DNS_A,
		  DNS_ANSWER_NO_RESPONSE },
		{ L(HEAD("\x89\x80", "\0", "\0", "\0") Q_A), DNS_A,
		  DNS_ANSWER_NO_RESPONSE },
		{ L("\x12\x35" OK "\0\1\0\0\0\0\0\0" Q_A), DNS_A,
		  DNS_ANSWER_QUESTION },
		{ L(ID OK "\0\0\0\0\0\0\0\0"), DNS_A, DNS_ANSWER_QUESTION },
		{ L(ID OK "\0\2\0\0\0\0\0\0" Q_A Q_A), DNS_A,
		  DNS_ANSWER_QUESTION },
		{ L(HEAD(OK, "\0", "\0", "\0") Q_A), DNS_AAAA,
		  DNS_ANSWER_QUESTION },
		{ L(HEAD(OK, "\0", "\0", "\0") API A "\0\3"), DNS_A,
		  DNS_ANSWER_QUESTION },
		{ L(HEAD(OK, "\0", "\0", "\0") API A "\0"), DNS_A,
		  DNS_ANSWER_QUESTION },
		{ L(HEAD(OK, "\0", "\0", "\0") "\3apj\7example\3com\0" A IN),
		  DNS_A, DNS_ANSWER_QUESTION },
		{ L(HEAD(OK, "\0", "\0", "\0") "\3api\7example\0" A IN), DNS_A,
		  DNS_ANSWER_QUESTION },
		{ L(HEAD(OK, "\0", "\0", "\0") "\3api\7example\3co"), DNS_A,
		  DNS_ANSWER_NAME },
		/* a question can point at nothing but itself */
		{ L(HEAD(OK, "\0", "\0", "\0") "\xc0\x0c" A IN), DNS_A,
		  DNS_ANSWER_NAME },
		/* pointers: to itself, forward, past the end, into the header,
		 * half of one, in a ring */
		{ L(ONE(A_OF("\xc0\x21", GOOD))), DNS_A, DNS_ANSWER_NAME },
		{ L(ONE(A_OF("\xc0\x22", GOOD))), DNS_A, DNS_ANSWER_NAME },
		{ L(ONE(A_OF("\xff\xff", GOOD))), DNS_A, DNS_ANSWER_NAME },
		{ L(ONE(A_OF("\xc0\x0b", GOOD))), DNS_A, DNS_ANSWER_NAME },
		{ L(ONE("\xc0")), DNS_A, DNS_ANSWER_NAME },
		{ L(ONE(A_OF("\1a\xc0\x21", GOOD))), DNS_A, DNS_ANSWER_NAME },
		{ L(ONE(RR(Q, CNAME, T60, "\0\4", "\1a\xc0\x2d"))), DNS_A,
		  DNS_ANSWER_NAME },
		/* kinds of labels that are none (RFC 6891 5) */
		{ L(ONE(A_OF("\x41x", GOOD))), DNS_A, DNS_ANSWER_NAME },
		{ L(ONE(A_OF("\x80\0", GOOD))), DNS_A, DNS_ANSWER_NAME },
		{ L(ONE(A_OF("\x40" X64 "\0", GOOD))), DNS_A, DNS_ANSWER_NAME },
		/* the second ends behind its data, before it */
		{ L(ONE(RR(Q, CNAME, T60, "\0\5", "\2ns" EXAMPLE "\0"))), DNS_A,
		  DNS_ANSWER_RECORD },
		{ L(ONE(RR(Q, CNAME, T60, "\0\3", "\0\0\0"))), DNS_A,
		  DNS_ANSWER_RECORD },
		{ L(HEAD(OK, "\2", "\0", "\0")
			    Q_A RR(Q, CNAME, T60, "\0\2",
				   "\3cd") "n\0\0\1\0\1\0\0\0\0\0\0"),
		  DNS_A, DNS_ANSWER_NAME },
		{ L(HEAD(OK, "\2", "\0", "\0") Q_A RR(
			  Q, CNAME, T60, "\0\2", "\1c") "\0" A IN T60 "\0\0"),
		  DNS_A, DNS_ANSWER_RECORD },
		/* fields that are cut, data past the end */
		{ L(ONE(Q A IN "\0\0\0")), DNS_A, DNS_ANSWER_RECORD },
		{ L(ONE(RR(Q, A, T60, "\0\5", GOOD))), DNS_A,
		  DNS_ANSWER_RECORD },
		{ L(ONE(RR(Q, A, T60, "\xff\xff", GOOD))), DNS_A,
		  DNS_ANSWER_RECORD },
		/* data of another size than its type has */
		{ L(ONE(RR(Q, A, T60, "\0\3", "\1\1\1"))), DNS_A,
		  DNS_ANSWER_RECORD },
		{ L(ONE(RR(Q, A, T60, "\0\0", ""))), DNS_A, DNS_ANSWER_RECORD },
		{ L(ONE(RR(Q, A, T60, "\0\x10", GOOD GOOD GOOD GOOD))), DNS_A,
		  DNS_ANSWER_RECORD },
		{ L(ONE_OF(AAAA, RR(Q, AAAA, T60, "\0\4", GOOD))), DNS_AAAA,
		  DNS_ANSWER_RECORD },
		{ L(ONE_OF(MX, RR(Q, MX, T60, "\0\1", "\0"))), DNS_MX,
		  DNS_ANSWER_RECORD },
		{ L(ONE_OF(MX, RR(Q, MX, T60, "\0\2", "\0\0"))), DNS_MX,
		  DNS_ANSWER_NAME },
		{ L(ONE_OF(SRV, RR(Q, SRV, T60, "\0\5", "\0\1\0\1\0"))),
		  DNS_SRV, DNS_ANSWER_RECORD },
		{ L(ONE_OF(SRV,
			   RR(Q, SRV, T60, "\0\x09", "\0\1\0\1\0\1" Q "\0"))),
		  DNS_SRV, DNS_ANSWER_RECORD },
		{ L(ONE_OF(TXT, RR(Q, TXT, T60, "\0\0", ""))), DNS_TXT,
		  DNS_ANSWER_RECORD },
		{ L(ONE_OF(TXT, RR(Q, TXT, T60, "\0\3", "\1x\1"))), DNS_TXT,
		  DNS_ANSWER_RECORD },
		/* a SOA that is none: a name, its numbers */
		{ L(HEAD(OK, "\0", "\1", "\0")
			    Q_A RR(Q, SOA, T60, "\0\2", "\0\xc0")),
		  DNS_A, DNS_ANSWER_NAME },
		{ L(HEAD(OK, "\0", "\1", "\0")
			    Q_A RR(Q, SOA, T60, "\0\x06", "\0\0\0\0\0\1")),
		  DNS_A, DNS_ANSWER_RECORD },
		/* promised and not there */
		{ L(HEAD(OK, "\0", "\1", "\0") Q_A), DNS_A, DNS_ANSWER_NAME },
		{ L(HEAD(OK, "\0", "\0", "\1") Q_A), DNS_A, DNS_ANSWER_NAME },
		{ L(HEAD(OK, "\0", "\0", "\0") Q_A "\0"), DNS_A,
		  DNS_ANSWER_RECORD },
		/* an alias of itself, two of each other */
		{ L(ONE(RR(Q, CNAME, T60, "\0\2", Q))), DNS_A,
		  DNS_ANSWER_CHAIN },
		{ L(HEAD(OK, "\2", "\0", "\0")
			    Q_A RR(Q, CNAME, T60, "\0\x09", CDN)
				    RR(CDN, CNAME, T60, "\0\2", Q)),
		  DNS_A, DNS_ANSWER_CHAIN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		OWNED(wbuf_drop) struct wbuf body = WBUF_INIT(DNS_MESSAGE_MAX);
		struct dns_answer a;
		uint16_t n = 9;

		(void)read_of(bad[i].msg, "api.example.com", bad[i].type, &body,
			      &n, &a);
		if (a.fault != bad[i].fault)
			fail_msg("%zu: %s", i, dns_answer_fault_text(a.fault));
		assert_int_equal(n + body.len + a.n_addr + a.n_chain, 0);
	}
}
/* Every bit the other way: a fault, or an answer that holds together. */
static void bit_flips(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *w = &rows[i];
		char copy[512];

		if (!w->name[0])
			continue;
		assert_true(w->msg.n <= sizeof(copy));
		for (size_t bit = 0; bit < 8 * w->msg.n; bit++) {
			OWNED(wbuf_drop)
			struct wbuf body = WBUF_INIT(DNS_MESSAGE_MAX);
			struct dns_answer a;
			uint16_t n;

			memcpy(copy, w->msg.p, w->msg.n);
			copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
			if (read_of((struct slice){ copy, w->msg.n }, w->name,
				    w->type, &body, &n, &a) == 0)
				round_trip(w->name, w->type,
					   wbuf_as_slice(&body), n, &a);
		}
	}
}

static struct dns_query query_of(struct slice msg)
{
	struct dns_query q;

	assert_int_equal(dns_query_parse(msg, &q), DNS_NOERROR);
	return q;
}

static void builds(void **state)
{
#define BODY  RR(Q, CNAME, "\0\0\0\x1e", "\0\x09", CDN) A_OF(CDN, GOOD)
#define MIXED "\3aPi\7example\3com\0\0\1\0\1"
#define PLAIN "\xab\xcd\1\0\0\1\0\0\0\0\0\0" MIXED
#define EDNS \
	"\xab\xcd\1\x10\0\1\0\0\0\0\0\1" MIXED "\0\0\x29\x10\0\0\0\x80\0\0\0"
	static const struct slice plain = L(PLAIN), edns = L(EDNS);
	static const struct slice body = L(BODY);
	static const struct {
		const struct slice *query;
		unsigned rcode;
		struct slice body;
		uint32_t age;
		size_t less; /* than what fits */
		struct slice want;
	} builds_of[] = {
		{ &plain, 0, L(BODY), 0, 0,
		  L("\xab\xcd\x81\x80\0\1\0\2\0\0\0\0" MIXED BODY) },
		{ &edns, 3, L(BODY), 29, 0,
		  L("\xab\xcd\x81\x93\0\1\0\2\0\0\0\1" MIXED RR(
			  Q, CNAME, "\0\0\0\1", "\0\x09", CDN)
			    RR(CDN, A, "\0\0\0\x1f", "\0\4",
			       GOOD) "\0\0\x29\x04\xd0\0\0\x80\0\0\0") },
		{ &plain, 0, L(BODY), 59, 0,
		  L("\xab\xcd\x81\x80\0\1\0\2\0\0\0\0" MIXED RR(
			  Q, CNAME, "\0\0\0\1", "\0\x09", CDN)
			    RR(CDN, A, "\0\0\0\1", "\0\4", GOOD)) },
		{ &plain, 0, L(BODY), UINT32_MAX, 0,
		  L("\xab\xcd\x81\x80\0\1\0\2\0\0\0\0" MIXED RR(
			  Q, CNAME, "\0\0\0\1", "\0\x09", CDN)
			    RR(CDN, A, "\0\0\0\1", "\0\4", GOOD)) },
		{ &plain, 0, L(BODY), 0, 1,
		  L("\xab\xcd\x83\x80\0\1\0\0\0\0\0\0" MIXED) },
		{ &edns, 0, L(BODY), 0, 1,
		  L("\xab\xcd\x83\x90\0\1\0\0\0\0\0\1" MIXED
		    "\0\0\x29\x04\xd0\0\0\x80\0\0\0") },
		{ &plain, 2, L(""), 7, 0,
		  L("\xab\xcd\x81\x82\0\1\0\0\0\0\0\0" MIXED) },
	};
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1024);
	struct dns_query q = query_of(plain);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(builds_of); i++) {
		size_t max = builds_of[i].query->n + builds_of[i].body.n;

		q = query_of(*builds_of[i].query);
		wbuf_reset(&b);
		dns_answer_build(&b, &q, (uint8_t)builds_of[i].rcode,
				 builds_of[i].body, builds_of[i].body.n ? 2 : 0,
				 builds_of[i].age, max - builds_of[i].less);
		if (b.failed || !slice_eq(wbuf_as_slice(&b), builds_of[i].want))
			fail_msg("%zu", i);
	}
	/* half a record is nothing to send */
	for (size_t n = 1; n < body.n; n++) {
		wbuf_reset(&b);
		dns_answer_build(&b, &q, 0, (struct slice){ body.p, n }, 2, 0,
				 1024);
		assert_int_equal(b.failed, n != 2 + 10 + 9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers), cmocka_unit_test(details),
		cmocka_unit_test(faults),  cmocka_unit_test(bit_flips),
		cmocka_unit_test(builds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
