/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client's query: what is sent in its place asks for the same and nothing
 * else, and an answer never says more than was asked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1024);
	struct slice msg = { (const char *)data, size };
	struct dns_query q, again;
	int r = dns_query_parse(msg, &q);

	if ((r == DNS_NOERROR) != (q.fault == DNS_FAULT_NONE))
		abort();
	if (q.question.n &&
	    (q.question.p != msg.p + DNS_HEADER ||
	     q.question.n > size - DNS_HEADER || q.question.n > 255 + 4))
		abort();
	if (r >= 0) {
		dns_reply_build(&b, &q, (enum dns_rcode)r);
		if (b.failed ||
		    b.len != DNS_HEADER + q.question.n + (q.has_edns ? 11 : 0))
			abort();
	}
	if (r != DNS_NOERROR || q.is_root)
		return 0;
	wbuf_reset(&b);
	dns_query_build(&b, 7, &q.name, q.type, q.wants_dnssec);
	if (b.failed || dns_query_parse(wbuf_as_slice(&b), &again) ||
	    again.type != q.type || again.id != 7 ||
	    again.wants_dnssec != q.wants_dnssec ||
	    memcmp(&again.name, &q.name, sizeof(q.name)) != 0)
		abort();
	return 0;
}
