/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the files of the DNS messages share: fields, names, what every reply
 * begins and ends with. For them only. */
#ifndef CELLOS_WIRE_DNS_WIRE_H
#define CELLOS_WIRE_DNS_WIRE_H

#include "base/cursor.h"
#include "wire/dns.h"

/* RFC 1035 4.1.1, RFC 2535 6.1 */
enum dns_flag {
	DNS_FLAG_QR = 0x8000,
	DNS_FLAG_OPCODE = 0x7800,
	DNS_FLAG_TC = 0x0200,
	DNS_FLAG_RD = 0x0100,
	DNS_FLAG_RA = 0x0080,
	DNS_FLAG_AD = 0x0020,
	DNS_FLAG_CD = 0x0010,
	DNS_FLAG_RCODE = 0x000f
};

enum { DNS_CLASS_IN = 1, DNS_OPT_SIZE = 11 };

/* Labels and their lengths, the root's zero at the end; any bytes. */
struct dns_name {
	uint8_t n;
	char b[DNS_NAME_MAX];
};

/**
 * dns_name_take() - a name that may be compressed (RFC 1035 4.1.4)
 * @msg: the whole message: pointers count from its start
 * @at:  where the name starts; moved behind it. Untouched if there is none
 *
 * Each pointer goes back behind everything that was read before it, so there
 * is an end to them.
 *
 * Return: false for a name that is cut, too long or points elsewhere
 */
bool dns_name_take(struct slice msg, size_t *at, struct dns_name *ret) MUST_USE;
/** dns_name_equal() - the case of letters aside (RFC 4343) */
bool dns_name_equal(const struct dns_name *a, const struct dns_name *b);
/** dns_name_of() - a host name; without a letter: the root */
void dns_name_of(const struct hostname *h, struct dns_name *ret);
/** dns_name_host() - 0, or -EINVAL for the root and what hostname.h does not
 *  take (a dot inside a label among it) */
int dns_name_host(const struct dns_name *n, struct hostname *ret) MUST_USE;

static inline bool dns_take_u16(struct slice *c, uint32_t *ret)
{
	return cursor_uint(c, 2, ret);
}

static inline struct slice dns_name_slice(const struct dns_name *n)
{
	return (struct slice){ n->b, n->n };
}

void dns_put_u16(struct wbuf *b, unsigned v);
void dns_put_u32(struct wbuf *b, uint32_t v);
/** dns_put_length() - into the two bytes at @at: how many follow them */
void dns_put_length(struct wbuf *b, size_t at);
/** dns_put_reply() - header and question of an answer to @q
 *  @more: flags and code beside QR, RA and those of @q */
void dns_put_reply(struct wbuf *b, const struct dns_query *q, unsigned more,
		   uint16_t n_records);
/** dns_put_opt() - DNS_OPT_SIZE bytes, RFC 6891 6.1.2 */
void dns_put_opt(struct wbuf *b, bool dnssec);

#endif
