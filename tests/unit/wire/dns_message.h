/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Messages of an upstream in pieces, and what is asked of each answer. */
#ifndef CELLOS_TESTS_DNS_MESSAGE_H
#define CELLOS_TESTS_DNS_MESSAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/dns_answer.h"

#define L(lit)                       \
	{                            \
		lit, sizeof(lit) - 1 \
	}
#define ID "\x12\x34"
/* flags, then the numbers of the records */
#define HEAD(flags, an, ns, ar)		ID flags "\0\1\0" an "\0" ns "\0" ar
#define OK				"\x81\x80"
#define API				"\3api\7example\3com\0"
#define Q_A				API "\0\1\0\1"
#define Q				"\xc0\x0c" /* api.example.com */
#define EXAMPLE				"\xc0\x10" /* example.com */
#define IN				"\0\1"
#define T60				"\0\0\0\x3c"
#define RR(owner, type, ttl, len, data) owner type IN ttl len data
#define A				"\0\1"
#define NS				"\0\2"
#define CNAME				"\0\5"
#define SOA				"\0\6"
#define PTR				"\0\x0c"
#define MX				"\0\x0f"
#define TXT				"\0\x10"
#define AAAA				"\0\x1c"
#define SRV				"\0\x21"
#define HTTPS				"\0\x41"
#define A_OF(owner, ip)			RR(owner, A, T60, "\0\4", ip)
#define GOOD				"\x08\x08\x04\x04"
#define PRIVATE				"\x0a\0\0\1"
#define CDN				"\3cdn\3net\0"
#define OPT				"\0\0\x29\x04\xd0\0\0\0\0\0\0"
/* of 300 seconds with a minimum of 90 */
#define SOA_RR                                   \
	RR(EXAMPLE, SOA, "\0\0\1\x2c", "\0\x1a", \
	   "\2ns" EXAMPLE "\0"                   \
	   "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x5a")

enum { TTL_MIN = 30, TTL_MAX = 3600 };

static inline bool is_ordinary(void *arg, const struct ip_addr *a)
{
	(void)arg;
	return ip_class(a) == IP_ORDINARY;
}

static const struct dns_answer_judge judge = { .address = is_ordinary,
					       .ttl_min = TTL_MIN,
					       .ttl_max = TTL_MAX };

static inline struct hostname host(const char *text)
{
	struct hostname h = { 0 };

	if (text[0])
		assert_int_equal(hostname_parse_service(slice_of(text), &h), 0);
	return h;
}

/* In memory of its exact size. */
static inline int read_of(struct slice msg, const char *name, unsigned type,
			  struct wbuf *body, uint16_t *n, struct dns_answer *a)
{
	char *copy = malloc(msg.n ? msg.n : 1);
	struct hostname h = host(name);
	int r;

	assert_non_null(copy);
	if (msg.n)
		memcpy(copy, msg.p, msg.n);
	r = dns_answer_read((struct slice){ copy, msg.n }, 0x1234, &h,
			    (uint16_t)type, &judge, body, n, a);
	free(copy);
	assert_int_equal(r, a->fault == DNS_ANSWER_NONE ? 0 : -1);
	return r;
}

/* What a client gets of it is read as what was kept of it. */
static inline void round_trip(const char *name, unsigned type,
			      struct slice body, uint16_t n,
			      const struct dns_answer *a)
{
	OWNED(wbuf_drop) struct wbuf query = WBUF_INIT(512);
	OWNED(wbuf_drop) struct wbuf msg = WBUF_INIT(DNS_MESSAGE_MAX);
	OWNED(wbuf_drop) struct wbuf again = WBUF_INIT(DNS_MESSAGE_MAX);
	struct hostname h = host(name);
	struct dns_answer b;
	struct dns_query q;
	uint16_t m;

	dns_query_build(&query, 0x1234, &h, (uint16_t)type, false);
	assert_int_equal(dns_query_parse(wbuf_as_slice(&query), &q), 0);
	dns_answer_build(&msg, &q, a->rcode, body, n, 0, DNS_MESSAGE_MAX);
	assert_false(msg.failed);
	assert_int_equal(
		read_of(wbuf_as_slice(&msg), name, type, &again, &m, &b), 0);
	assert_int_equal(m, n);
	assert_true(slice_eq(wbuf_as_slice(&again), body));
	assert_int_equal(b.n_addr, a->n_addr);
	assert_int_equal(b.n_target, a->n_target);
	assert_int_equal(b.n_chain, n ? a->n_chain : 1);
	assert_int_equal(b.n_dropped, 0);
	assert_false(b.changed_svcb);
}

#endif
