/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client's answer from records that were kept. */
#include "wire/dns_answer.h"
#include "wire/dns_wire.h"

enum { POINTER_SIZE = 2, TYPE_CLASS = 4 };

/* The owner, type and class of a record of ours. */
static bool take_head(struct slice *c, struct slice *ret)
{
	struct slice start = *c, label;

	/* the first byte of a pointer, or of a label */
	if (c->n && (uint8_t)c->p[0] >= 0xc0) {
		if (!cursor_take(c, POINTER_SIZE, &label))
			return false;
	} else {
		do {
			if (!cursor_vector(c, 1, &label))
				return false;
		} while (label.n);
	}
	if (!cursor_take(c, TYPE_CLASS, &label))
		return false;
	*ret = (struct slice){ start.p, start.n - c->n };
	return true;
}

static void put_records(struct wbuf *b, struct slice c, uint32_t age)
{
	struct slice head, data;
	uint32_t ttl;

	while (c.n) {
		if (!take_head(&c, &head) || !cursor_uint(&c, 4, &ttl) ||
		    !cursor_vector(&c, 2, &data)) {
			b->failed = true;
			return;
		}
		wbuf_slice(b, head);
		dns_put_u32(b, ttl > age ? ttl - age : 1);
		dns_put_u16(b, (unsigned)data.n);
		wbuf_slice(b, data);
	}
}

void dns_answer_build(struct wbuf *b, const struct dns_query *q, uint8_t rcode,
		      struct slice body, uint16_t n_records, uint32_t age,
		      size_t max)
{
	size_t size = DNS_HEADER + q->question.n + body.n +
		      (q->has_edns ? DNS_OPT_SIZE : 0);
	unsigned more = rcode & DNS_FLAG_RCODE;

	if (size > max) {
		dns_put_reply(b, q, more | DNS_FLAG_TC, 0);
	} else {
		dns_put_reply(b, q, more, n_records);
		put_records(b, body, age);
	}
	if (q->has_edns)
		dns_put_opt(b, q->wants_dnssec);
}
