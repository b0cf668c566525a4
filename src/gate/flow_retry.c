/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A server may ask for the hello once more (RFC 8446 4.1.4), and some take
 * the name of the second one. So nothing of the client passes until the server
 * has spoken, and a second hello must show the first one's name.
 */
#include <string.h>

#include "base/cursor.h"
#include "gate/flow_int.h"

enum { RECORD_HEADER = 5, HANDSHAKE = 22, SERVER_HELLO = 2, RANDOM_AT = 11 };

/* SHA-256 of "HelloRetryRequest": RFC 8446 4.1.3 */
static const uint8_t RETRY[32] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
	0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
	0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

static bool is_same_name(const struct flow *f, const struct tls_hello *h)
{
	return h->has_name && hostname_eq(&h->name, &f->rec.sni);
}

static enum flow_judged judge_second(struct flow *f)
{
	struct slice in = flow_unjudged(f), c = in;
	struct tls_hello h;
	uint32_t type, version, len;

	if (!in.n)
		return FLOW_NEEDS;
	if ((uint8_t)in.p[0] != HANDSHAKE) {
		/* change_cipher_spec, early data, an alert: one record */
		if (!cursor_uint(&c, 1, &type) ||
		    !cursor_uint(&c, 2, &version) || !cursor_uint(&c, 2, &len))
			return FLOW_NEEDS;
		len += RECORD_HEADER;
		f->ready = len < in.n ? len : in.n;
		f->pass = len - f->ready;
		return FLOW_READY;
	}
	switch (tls_hello_read(&f->hello, in, &f->g->flows->joined, &h)) {
	case TLS_HELLO_MORE:
		return in.n < TLS_HELLO_WIRE_MAX
			       ? FLOW_NEEDS
			       : flow_deny(f, GATE_REASON_HELLO_TOO_LONG);
	case TLS_HELLO_BAD:
		return flow_deny(f, GATE_REASON_UNKNOWN_PROTOCOL);
	case TLS_HELLO_DONE:
		break;
	}
	f->rec.has_ech |= h.has_ech;
	if (!is_same_name(f, &h)) {
		/* the name that was refused is what the record is about */
		f->rec.sni = h.name;
		return flow_deny(f, GATE_REASON_SNI_MISS);
	}
	f->judge = NULL;
	return FLOW_READY;
}

static enum flow_judged hold(struct flow *f)
{
	(void)f;
	return FLOW_HELD;
}

/* A ServerHello up to its random, in one record, that asks for nothing */
static bool is_answer(const struct flow *f)
{
	struct slice len = { (const char *)f->first + 3, 2 };
	uint32_t n;

	return f->n_first >= RANDOM_AT + sizeof(RETRY) &&
	       cursor_uint(&len, 2, &n) &&
	       n >= RANDOM_AT - RECORD_HEADER + sizeof(RETRY) &&
	       memcmp(f->first + RANDOM_AT, RETRY, sizeof(RETRY)) != 0;
}

/* Whatever else comes first, an alert or less than a random, may be followed
 * by a request for the hello. */
static void see_server_hello(struct flow *f, bool at_end)
{
	bool may_be = (f->n_first < 1 || f->first[0] == HANDSHAKE) &&
		      (f->n_first < RECORD_HEADER + 1 ||
		       f->first[RECORD_HEADER] == SERVER_HELLO);

	if (may_be && !at_end && f->n_first < RANDOM_AT + sizeof(RETRY))
		return;
	f->see = NULL;
	f->hello = (struct tls_hello_reader){ 0 };
	f->judge = may_be && is_answer(f) ? NULL : judge_second;
}

void flow_retry_watch(struct flow *f)
{
	f->see = see_server_hello;
	f->judge = hold;
}
