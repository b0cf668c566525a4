/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A message of an upstream, as the answer to the question that is in it: a
 * fault that leaves nothing behind, or records that are told to a client and
 * read from there as they were kept. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/dns_answer.h"

enum { TTL_MIN = 1, TTL_MAX = 86400 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_ordinary(void *arg, const struct ip_addr *a)
{
	(void)arg;
	return ip_class(a) == IP_ORDINARY;
}

static const struct dns_answer_judge judge = { .address = is_ordinary,
					       .ttl_min = TTL_MIN,
					       .ttl_max = TTL_MAX };

/* The query such a message answers, in @buf of the size of @msg. */
static bool query_of(struct slice msg, char *buf, struct dns_query *q)
{
	static const char counts[] = "\1\0\0\1\0\0\0\0\0";

	if (msg.n < DNS_HEADER)
		return false;
	memcpy(buf, msg.p, msg.n);
	memcpy(buf + 2, counts, sizeof(counts));
	buf[DNS_HEADER - 1] = 0;
	return dns_query_parse((struct slice){ buf, msg.n }, q) >= 0 &&
	       (q->fault == DNS_FAULT_NONE || q->fault == DNS_FAULT_TRAILING) &&
	       !q->is_root;
}

static void told(const struct dns_query *q, const struct dns_answer *a,
		 struct slice body, uint16_t n)
{
	OWNED(wbuf_drop) struct wbuf msg = WBUF_INIT(1 << 20);
	OWNED(wbuf_drop) struct wbuf again = WBUF_INIT(1 << 20);
	struct dns_answer b;
	uint16_t m;

	dns_answer_build(&msg, q, a->rcode, body, n, 0, 1 << 20);
	if (msg.failed || dns_answer_read(wbuf_as_slice(&msg), q->id, &q->name,
					  q->type, &judge, &again, &m, &b))
		abort();
	if (m != n || !slice_eq(wbuf_as_slice(&again), body) || b.n_dropped ||
	    b.changed_svcb || b.n_target != a->n_target ||
	    b.n_addr != a->n_addr)
		abort();
	for (size_t i = 0; i < a->n_addr; i++)
		if (!ip_equal(&a->addr[i], &b.addr[i]) ||
		    ip_class(&a->addr[i]) != IP_ORDINARY)
			abort();
	/* too much for the client: no record, and no room is overstepped */
	wbuf_reset(&msg);
	dns_answer_build(&msg, q, a->rcode, body, n, 5, DNS_UDP_PLAIN);
	if (msg.failed || msg.len > DNS_UDP_PLAIN)
		abort();
}

static void read_as(struct slice msg, const struct dns_query *q)
{
	OWNED(wbuf_drop) struct wbuf body = WBUF_INIT(1 << 20);
	struct dns_answer a;
	uint16_t n;
	int r = dns_answer_read(msg, q->id, &q->name, q->type, &judge, &body,
				&n, &a);

	if ((r == 0) != (a.fault == DNS_ANSWER_NONE))
		abort();
	if (r) {
		if (n || body.len || a.n_addr)
			abort();
		return;
	}
	if (a.ttl < TTL_MIN || a.ttl > TTL_MAX || a.rcode > 15 ||
	    a.n_chain == 0 || n > DNS_CHAIN_MAX + DNS_RECORDS_MAX ||
	    memcmp(&a.chain[0], &q->name, sizeof(q->name)) != 0)
		abort();
	told(q, &a, wbuf_as_slice(&body), n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice msg = { (const char *)data, size };
	char *buf = malloc(size ? size : 1);
	struct dns_query q = { .type = DNS_A };

	if (!buf)
		abort();
	if (query_of(msg, buf, &q))
		read_as(msg, &q);
	free(buf);
	return 0;
}
