/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Service bindings, and the limits of names, aliases and records. */
#include "dns_message.h"

/* One service binding "1 ." with these parameters, in and out. */
static void service_bindings(void **state)
{
#define H2    "\2h2"
#define H3    "\2h3"
#define V6_OK "\x26\6\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
#define V6_NO "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
	static const struct {
		struct slice in, out;
		enum dns_answer_fault fault;
		bool changed;
		unsigned n_addr, n_dropped;
	} svcb[] = {
		{ L(""), L(""), 0, false, 0, 0 },
		{ L("\0\1\0\3" H2), L("\0\1\0\3" H2), 0, false, 0, 0 },
		{ L("\0\1\0\6" H3 H2), L("\0\1\0\3" H2), 0, true, 0, 0 },
		{ L("\0\1\0\x0f" H2 "\5h3-29" H3 "\2hq"),
		  L("\0\1\0\6" H2 "\2hq"), 0, true, 0, 0 },
		{ L("\0\1\0\7" H2 "\3h3-"), L("\0\1\0\3" H2), 0, true, 0, 0 },
		/* neither is HTTP/3 */
		{ L("\0\1\0\x0a\3h3x\1h\3xh3"), L("\0\1\0\x0a\3h3x\1h\3xh3"), 0,
		  false, 0, 0 },
		/* nothing but HTTP/3: the list goes, and what it goes with */
		{ L("\0\1\0\3" H3 "\0\2\0\0\0\3\0\2\x20\xfb"),
		  L("\0\3\0\2\x20\xfb"), 0, true, 0, 0 },
		{ L("\0\1\0\6" H2 H3 "\0\2\0\0"), L("\0\1\0\3" H2 "\0\2\0\0"),
		  0, true, 0, 0 },
		{ L("\0\2\0\0"), L(""), 0, false, 0, 0 },
		/* ECH keys, empty ones too; what follows stays */
		{ L("\0\1\0\3" H2 "\0\5\0\4\xfe\x0d\0\0\0\7\0\2/q"),
		  L("\0\1\0\3" H2 "\0\7\0\2/q"), 0, true, 0, 0 },
		{ L("\0\5\0\0\xff\xff\0\0"), L("\xff\xff\0\0"), 0, true, 0, 0 },
		/* hints */
		{ L("\0\4\0\x08" GOOD PRIVATE "\0\6\0\x20" V6_NO V6_OK),
		  L("\0\4\0\4" GOOD "\0\6\0\x10" V6_OK), 0, false, 2, 2 },
		{ L("\0\4\0\4" PRIVATE "\0\6\0\x10" V6_NO), L(""), 0, false, 0,
		  2 },
		{ L("\0\4\0\x0c" GOOD GOOD "\1\1\1\1"),
		  L("\0\4\0\x0c" GOOD GOOD "\1\1\1\1"), 0, false, 2, 0 },
		/* what is mandatory and goes; the last of it takes the list */
		{ L("\0\0\0\6\0\1\0\4\0\7\0\1\0\3" H3 "\0\4\0\4" PRIVATE
		    "\0\7\0\0"),
		  L("\0\0\0\2\0\7\0\7\0\0"), 0, true, 0, 1 },
		{ L("\0\0\0\2\0\5\0\5\0\1x"), L(""), 0, true, 0, 0 },
		{ L("\0\0\0\4\0\1\0\3\0\1\0\3" H2 "\0\3\0\2\1\xbb"),
		  L("\0\0\0\4\0\1\0\3\0\1\0\3" H2 "\0\3\0\2\1\xbb"), 0, false,
		  0, 0 },
		/* mandatory: nothing, half a key, itself, not there, not
		 * ascending, twice */
		{ L("\0\0\0\0"), L(""), DNS_ANSWER_RECORD, false, 0, 0 },
		{ L("\0\0\0\3\0\3\0\0\3\0\2\1\xbb"), L(""), DNS_ANSWER_RECORD,
		  false, 0, 0 },
		{ L("\0\0\0\2\0\0"), L(""), DNS_ANSWER_RECORD, false, 0, 0 },
		{ L("\0\0\0\2\0\3\0\7\0\0"), L(""), DNS_ANSWER_RECORD, false, 0,
		  0 },
		{ L("\0\0\0\2\0\7\0\3\0\2\1\xbb"), L(""), DNS_ANSWER_RECORD,
		  false, 0, 0 },
		{ L("\0\0\0\4\0\7\0\3\0\3\0\2\1\xbb\0\7\0\0"), L(""),
		  DNS_ANSWER_RECORD, false, 0, 0 },
		{ L("\0\0\0\4\0\7\0\7\0\7\0\0"), L(""), DNS_ANSWER_RECORD,
		  false, 0, 0 },
		/* keys: the same, descending; cut, past the end */
		{ L("\0\7\0\0\0\7\0\0"), L(""), DNS_ANSWER_RECORD, false, 0,
		  0 },
		{ L("\0\7\0\0\0\1\0\3" H2), L(""), DNS_ANSWER_RECORD, false, 0,
		  0 },
		{ L("\xff\xff\0\0\0\0\0\2\xff\xff"), L(""), DNS_ANSWER_RECORD,
		  false, 0, 0 },
		{ L("\0\7\0"), L(""), DNS_ANSWER_RECORD, false, 0, 0 },
		{ L("\0\7\0\1"), L(""), DNS_ANSWER_RECORD, false, 0, 0 },
		{ L("\0\7\xff\xff"), L(""), DNS_ANSWER_RECORD, false, 0, 0 },
		/* values that are none */
		{ L("\0\1\0\0"), L(""), DNS_ANSWER_RECORD, false, 0, 0 },
		{ L("\0\1\0\1\0"), L(""), DNS_ANSWER_RECORD, false, 0, 0 },
		{ L("\0\1\0\4" H2 "\1"), L(""), DNS_ANSWER_RECORD, false, 0,
		  0 },
		{ L("\0\1\0\4" H2 "\0"), L(""), DNS_ANSWER_RECORD, false, 0,
		  0 },
		{ L("\0\1\0\3" H2 "\0\2\0\1\0"), L(""), DNS_ANSWER_RECORD,
		  false, 0, 0 },
		{ L("\0\3\0\1\1"), L(""), DNS_ANSWER_RECORD, false, 0, 0 },
		{ L("\0\3\0\3\0\1\xbb"), L(""), DNS_ANSWER_RECORD, false, 0,
		  0 },
		{ L("\0\4\0\0"), L(""), DNS_ANSWER_RECORD, false, 0, 0 },
		{ L("\0\4\0\5" GOOD "\0"), L(""), DNS_ANSWER_RECORD, false, 0,
		  0 },
		{ L("\0\6\0\0"), L(""), DNS_ANSWER_RECORD, false, 0, 0 },
		{ L("\0\6\0\4" GOOD), L(""), DNS_ANSWER_RECORD, false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(svcb); i++) {
		static const char head[] = HEAD(OK, "\1", "\0", "\0") API "\0";
		OWNED(wbuf_drop) struct wbuf msg = WBUF_INIT(1024);
		OWNED(wbuf_drop) struct wbuf body = WBUF_INIT(1024);
		OWNED(wbuf_drop) struct wbuf want = WBUF_INIT(1024);
		unsigned type = i % 2 ? DNS_SVCB : DNS_HTTPS;
		size_t k = i / 2;
		struct dns_answer a;
		uint16_t n;

		wbuf_put(&msg, head, sizeof(head) - 1);
		wbuf_byte(&msg, (char)type);
		wbuf_slice(&msg, SLICE_LIT(IN Q "\0"));
		wbuf_byte(&msg, (char)type);
		wbuf_slice(&msg, SLICE_LIT(IN T60 "\0"));
		wbuf_byte(&msg, (char)(3 + svcb[k].in.n));
		wbuf_slice(&msg, SLICE_LIT("\0\1\0"));
		wbuf_slice(&msg, svcb[k].in);
		(void)read_of(wbuf_as_slice(&msg), "api.example.com", type,
			      &body, &n, &a);
		if (a.fault != svcb[k].fault)
			fail_msg("%zu: %s", k, dns_answer_fault_text(a.fault));
		if (a.fault)
			continue;
		wbuf_slice(&want, SLICE_LIT(Q "\0"));
		wbuf_byte(&want, (char)type);
		wbuf_slice(&want, SLICE_LIT(IN T60 "\0"));
		wbuf_byte(&want, (char)(3 + svcb[k].out.n));
		wbuf_slice(&want, SLICE_LIT("\0\1\0"));
		wbuf_slice(&want, svcb[k].out);
		if (n != 1 ||
		    !slice_eq(wbuf_as_slice(&body), wbuf_as_slice(&want)) ||
		    a.changed_svcb != svcb[k].changed ||
		    a.n_addr != svcb[k].n_addr ||
		    a.n_dropped != svcb[k].n_dropped)
			fail_msg("%zu", k);
		round_trip("api.example.com", type, wbuf_as_slice(&body), n,
			   &a);
	}
}

/* The target: in full, never a pointer, never past the end. */
static void service_targets(void **state)
{
	static const struct {
		struct slice rdata;
		enum dns_answer_fault fault;
	} targets[] = {
		{ L("\0\0" CDN), DNS_ANSWER_NONE },
		{ L("\0\1" CDN "\0\7\0\0"), DNS_ANSWER_NONE },
		{ L("\0\1" EXAMPLE), DNS_ANSWER_RECORD },
		{ L("\0\1"
		    "\3cdn" EXAMPLE),
		  DNS_ANSWER_RECORD },
		/* a pointer at a root */
		{ L("\0\1"
		    "\3cdn\xc0\x1c"),
		  DNS_ANSWER_RECORD },
		{ L("\0\1\xc0"), DNS_ANSWER_NAME },
		/* a target that ends in the next record */
		{ L("\0\1"
		    "\3cdn"),
		  DNS_ANSWER_RECORD },
		{ L("\0\1"), DNS_ANSWER_RECORD },
		{ L("\0"), DNS_ANSWER_RECORD },
		{ L(""), DNS_ANSWER_RECORD },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		OWNED(wbuf_drop) struct wbuf msg = WBUF_INIT(1024);
		OWNED(wbuf_drop) struct wbuf body = WBUF_INIT(1024);
		struct dns_answer a;
		uint16_t n;

		wbuf_slice(&msg,
			   SLICE_LIT(HEAD(OK, "\2", "\0", "\0")
					     API HTTPS IN Q HTTPS IN T60 "\0"));
		wbuf_byte(&msg, (char)targets[i].rdata.n);
		wbuf_slice(&msg, targets[i].rdata);
		/* a record that reads as parameters from its second byte on */
		wbuf_slice(&msg, SLICE_LIT("\0"
					   "\0\7\0\0"
					   "\0\x08\0\0"
					   "\0\x09\0\7xxxxxxx"));
		(void)read_of(wbuf_as_slice(&msg), "api.example.com", DNS_HTTPS,
			      &body, &n, &a);
		if (a.fault != targets[i].fault)
			fail_msg("%zu: %s", i, dns_answer_fault_text(a.fault));
		if (a.fault)
			continue;
		assert_memory_equal(body.p + 12, targets[i].rdata.p,
				    targets[i].rdata.n);
		assert_int_equal(body.len, 12 + targets[i].rdata.n);
	}
}
static void put_count(struct wbuf *msg, size_t n)
{
	msg->p[6] = (char)(n >> 8);
	msg->p[7] = (char)n;
}

/* @n aliases in a row, the last with an address */
static void put_chain(struct wbuf *msg, size_t n)
{
	wbuf_slice(msg, SLICE_LIT(HEAD(OK, "\0", "\0", "\0") Q_A));
	for (size_t i = 0; i < n; i++) {
		if (i)
			wbuf_fmt(msg, "%c%c%s", 1, (char)('a' + i - 1),
				 EXAMPLE);
		else
			wbuf_str(msg, Q);
		wbuf_slice(msg, SLICE_LIT(CNAME IN T60 "\0\4"));
		wbuf_fmt(msg, "%c%c%s", 1, (char)('a' + i), EXAMPLE);
	}
	wbuf_fmt(msg, "%c%c%s", 1, (char)('a' + n - 1), EXAMPLE);
	wbuf_slice(msg, SLICE_LIT(A IN T60 "\0\4" GOOD));
	put_count(msg, n + 1);
}

static void long_chains(void **state)
{
	(void)state;
	for (size_t n = 15; n <= 18; n++) {
		OWNED(wbuf_drop) struct wbuf msg = WBUF_INIT(4096);
		OWNED(wbuf_drop) struct wbuf body = WBUF_INIT(4096);
		struct dns_answer a;
		uint16_t kept;

		put_chain(&msg, n);
		(void)read_of(wbuf_as_slice(&msg), "api.example.com", DNS_A,
			      &body, &kept, &a);
		if (n > DNS_CHAIN_MAX) {
			assert_int_equal(a.fault, DNS_ANSWER_CHAIN);
			assert_int_equal(body.len, 0);
			continue;
		}
		assert_int_equal(a.fault, DNS_ANSWER_NONE);
		assert_int_equal(kept, n + 1);
		assert_int_equal(a.n_chain, n + 1);
		assert_string_equal(a.chain[n].text, n == 15 ? "o.example.com"
							     : "p.example.com");
		round_trip("api.example.com", DNS_A, wbuf_as_slice(&body), kept,
			   &a);
	}
}

/* More records than are read; more addresses than are kept: a client is told
 * of none that is not in the list. */
static void many(void **state)
{
	static const struct {
		size_t n;
		enum dns_answer_fault fault;
		size_t n_addr;
	} counts[] = {
		{ 63, DNS_ANSWER_NONE, 63 },  { 64, DNS_ANSWER_NONE, 64 },
		{ 65, DNS_ANSWER_NONE, 64 },  { 256, DNS_ANSWER_NONE, 64 },
		{ 257, DNS_ANSWER_COUNT, 0 }, { 65535, DNS_ANSWER_COUNT, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		OWNED(wbuf_drop) struct wbuf msg = WBUF_INIT(1 << 21);
		OWNED(wbuf_drop) struct wbuf body = WBUF_INIT(DNS_MESSAGE_MAX);
		struct dns_answer a;
		uint16_t n;

		wbuf_slice(&msg, SLICE_LIT(HEAD(OK, "\0", "\0", "\0") Q_A));
		for (size_t k = 0; k < counts[i].n; k++) {
			wbuf_slice(&msg, SLICE_LIT(Q A IN T60 "\0\4\x08\x08"));
			wbuf_byte(&msg, (char)(k >> 8));
			wbuf_byte(&msg, (char)k);
		}
		put_count(&msg, counts[i].n);
		(void)read_of(wbuf_as_slice(&msg), "api.example.com", DNS_A,
			      &body, &n, &a);
		assert_int_equal(a.fault, counts[i].fault);
		assert_int_equal(a.n_addr, counts[i].n_addr);
		assert_int_equal(n, counts[i].n_addr);
		assert_int_equal(a.n_target, counts[i].n_addr);
		assert_int_equal(a.n_dropped, 0);
		/* the other sections have the same limit */
		if (counts[i].n < 256)
			continue;
		for (size_t at = 8; at <= 10; at += 2) {
			put_count(&msg, 0);
			msg.p[at] = (char)(counts[i].n >> 8);
			msg.p[at + 1] = (char)counts[i].n;
			wbuf_reset(&body);
			(void)read_of(wbuf_as_slice(&msg), "api.example.com",
				      DNS_A, &body, &n, &a);
			assert_int_equal(a.fault, counts[i].fault);
			assert_int_equal(a.n_target, 0);
			msg.p[at] = msg.p[at + 1] = 0;
		}
	}
}

/* Names of 255 bytes and of more; pointers, as many as a name has labels. */
static void name_limits(void **state)
{
	(void)state;
	for (size_t labels = 126; labels <= 128; labels++) {
		OWNED(wbuf_drop) struct wbuf msg = WBUF_INIT(4096);
		OWNED(wbuf_drop) struct wbuf body = WBUF_INIT(4096);
		struct dns_answer a;
		size_t at = 0;
		uint16_t n;

		/* TXT data: each string a label and a pointer to the one
		 * before */
		wbuf_slice(&msg, SLICE_LIT(HEAD(OK, "\2", "\0", "\0")
						   API CNAME IN Q TXT IN T60));
		wbuf_byte(&msg, (char)((4 * labels - 1) >> 8));
		wbuf_byte(&msg, (char)(4 * labels - 1));
		for (size_t i = 0; i < labels; i++) {
			size_t was = at;

			at = msg.len;
			wbuf_slice(&msg, SLICE_LIT("\1x"));
			if (i)
				wbuf_fmt(&msg, "%c%c", (int)(0xc0 | was >> 8),
					 (int)(was & 0xff));
			else
				wbuf_byte(&msg, 0);
		}
		wbuf_slice(&msg, SLICE_LIT(Q CNAME IN T60 "\0\2"));
		wbuf_fmt(&msg, "%c%c", (int)(0xc0 | at >> 8), (int)(at & 0xff));
		(void)read_of(wbuf_as_slice(&msg), "api.example.com", DNS_CNAME,
			      &body, &n, &a);
		if (labels <= 127) {
			assert_int_equal(a.fault, DNS_ANSWER_NONE);
			assert_int_equal(body.len, 12 + 2 * labels + 1);
		} else {
			assert_int_equal(a.fault, DNS_ANSWER_NAME);
		}
	}
}

/* Pointers to pointers: bounded, however many there are. */
static void pointer_ladder(void **state)
{
	(void)state;
	for (size_t steps = 126; steps <= 127; steps++) {
		OWNED(wbuf_drop) struct wbuf msg = WBUF_INIT(4096);
		OWNED(wbuf_drop) struct wbuf body = WBUF_INIT(4096);
		size_t at = DNS_HEADER;
		struct dns_answer a;
		uint16_t n;

		wbuf_slice(&msg, SLICE_LIT(HEAD(OK, "\2", "\0", "\0")
						   API CNAME IN Q TXT IN T60));
		wbuf_byte(&msg, (char)(2 * steps >> 8));
		wbuf_byte(&msg, (char)(2 * steps));
		for (size_t i = 0; i < steps; i++) {
			size_t was = at;

			at = msg.len;
			wbuf_fmt(&msg, "%c%c", (int)(0xc0 | was >> 8),
				 (int)(was & 0xff));
		}
		wbuf_slice(&msg, SLICE_LIT(Q CNAME IN T60 "\0\2"));
		wbuf_fmt(&msg, "%c%c", (int)(0xc0 | at >> 8), (int)(at & 0xff));
		(void)read_of(wbuf_as_slice(&msg), "api.example.com", DNS_CNAME,
			      &body, &n, &a);
		assert_int_equal(a.fault, steps == 126 ? DNS_ANSWER_NONE
						       : DNS_ANSWER_NAME);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(service_bindings),
		cmocka_unit_test(service_targets),
		cmocka_unit_test(long_chains),
		cmocka_unit_test(many),
		cmocka_unit_test(name_limits),
		cmocka_unit_test(pointer_ladder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
