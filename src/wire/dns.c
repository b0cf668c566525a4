/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Queries in, queries out, and answers without records. */
#include "wire/dns.h"

#include <string.h>

#include "base/cursor.h"

enum {
	FLAG_QR = 0x8000,
	FLAG_OPCODE = 0x7800,
	FLAG_RD = 0x0100,
	FLAG_RA = 0x0080,
	FLAG_CD = 0x0010,
	EDNS_DO = 0x8000,
	CLASS_IN = 1,
	LABEL_MAX = 63
};

const char *dns_type_word(unsigned type)
{
	switch (type) {
#define X(word, number) \
	case number:    \
		return #word;
		DNS_TYPES(X)
#undef X
	default:
		return NULL;
	}
}

const char *dns_fault_text(enum dns_fault f)
{
	static const char *const words[] = {
#define X(id, words) [DNS_FAULT_##id] = words,
		DNS_FAULTS(X)
#undef X
	};

	return (unsigned)f < DNS_FAULT_NUM ? words[f] : "";
}

static bool take_u16(struct slice *c, uint32_t *ret)
{
	return cursor_uint(c, 2, ret);
}

static void put_u16(struct wbuf *b, unsigned v)
{
	wbuf_byte(b, (char)(v >> 8));
	wbuf_byte(b, (char)v);
}

/* The labels of a question, each behind its dot, to the canonical form. */
static enum dns_fault take_name(struct slice *c, struct dns_query *q)
{
	char text[DNS_NAME_MAX + 1];
	struct slice label;
	size_t n = 0, wire = 1;
	uint32_t len;

	for (;;) {
		if (!cursor_uint(c, 1, &len))
			return DNS_FAULT_CUT;
		if (len == 0)
			break;
		if (len > LABEL_MAX)
			return len >= 0xc0 ? DNS_FAULT_COMPRESSED
					   : DNS_FAULT_LABEL;
		if (!cursor_take(c, len, &label))
			return DNS_FAULT_CUT;
		wire += 1 + len;
		if (wire > DNS_NAME_MAX)
			return DNS_FAULT_NAME_LENGTH;
		/* a dot inside a label spells another name */
		if (memchr(label.p, '.', label.n))
			return DNS_FAULT_LABEL;
		if (n)
			text[n++] = '.';
		memcpy(text + n, label.p, label.n);
		n += label.n;
	}
	q->is_root = n == 0;
	if (n && hostname_parse_service((struct slice){ text, n }, &q->name))
		return DNS_FAULT_LABEL;
	return DNS_FAULT_NONE;
}

static enum dns_fault take_question(struct slice *c, struct dns_query *q)
{
	const char *start = c->p;
	enum dns_fault f = take_name(c, q);
	uint32_t type, class;

	if (f)
		return f;
	if (!take_u16(c, &type) || !take_u16(c, &class))
		return DNS_FAULT_CUT;
	q->type = (uint16_t)type;
	q->question = (struct slice){ start, (size_t)(c->p - start) };
	return class == CLASS_IN ? DNS_FAULT_NONE : DNS_FAULT_CLASS;
}

/* RFC 6891 6.1.2: root, OPT, size, code and flags, options */
static enum dns_fault take_opt(struct slice *c, struct dns_query *q)
{
	uint32_t name, type, size, code, flags, len;
	struct slice options;

	if (!cursor_uint(c, 1, &name) || !take_u16(c, &type) ||
	    !take_u16(c, &size) || !take_u16(c, &code) ||
	    !take_u16(c, &flags) || !take_u16(c, &len) ||
	    !cursor_take(c, len, &options))
		return DNS_FAULT_CUT;
	if (name != 0 || type != DNS_OPT)
		return DNS_FAULT_ADDITIONAL;
	q->has_edns = true;
	q->wants_dnssec = flags & EDNS_DO;
	if (size > q->udp_size)
		q->udp_size = (uint16_t)size;
	return DNS_FAULT_NONE;
}

static enum dns_fault parse(struct slice c, struct dns_query *q)
{
	uint32_t id, flags, questions, answers, authority, additional;
	enum dns_fault f;

	if (!take_u16(&c, &id))
		return DNS_FAULT_SHORT;
	q->id = (uint16_t)id;
	if (!take_u16(&c, &flags) || !take_u16(&c, &questions) ||
	    !take_u16(&c, &answers) || !take_u16(&c, &authority) ||
	    !take_u16(&c, &additional))
		return DNS_FAULT_SHORT;
	if (flags & FLAG_QR)
		return DNS_FAULT_RESPONSE;
	q->is_recursive = flags & FLAG_RD;
	q->is_checking_off = flags & FLAG_CD;
	if (flags & FLAG_OPCODE)
		return DNS_FAULT_OPCODE;
	if (questions != 1 || answers || authority)
		return DNS_FAULT_COUNTS;
	f = take_question(&c, q);
	if (!f && additional > 1)
		f = DNS_FAULT_ADDITIONAL;
	if (!f && additional)
		f = take_opt(&c, q);
	return !f && c.n ? DNS_FAULT_TRAILING : f;
}

int dns_query_parse(struct slice msg, struct dns_query *ret)
{
	*ret = (struct dns_query){ .udp_size = DNS_UDP_PLAIN };
	ret->fault = parse(msg, ret);
	switch (ret->fault) {
	case DNS_FAULT_NONE:
		return DNS_NOERROR;
	case DNS_FAULT_SHORT:
	case DNS_FAULT_RESPONSE:
		return -1;
	case DNS_FAULT_OPCODE:
		return DNS_NOTIMP;
	case DNS_FAULT_CLASS:
		return DNS_REFUSED;
	case DNS_FAULT_COUNTS:
	case DNS_FAULT_CUT:
	case DNS_FAULT_COMPRESSED:
	case DNS_FAULT_LABEL:
	case DNS_FAULT_NAME_LENGTH:
	case DNS_FAULT_ADDITIONAL:
	case DNS_FAULT_TRAILING:
	case DNS_FAULT_NUM:
		break;
	}
	return DNS_FORMERR;
}

static void put_header(struct wbuf *b, unsigned id, unsigned flags,
		       bool question, bool additional)
{
	put_u16(b, id);
	put_u16(b, flags);
	put_u16(b, question);
	put_u16(b, 0);
	put_u16(b, 0);
	put_u16(b, additional);
}

static void put_opt(struct wbuf *b, bool dnssec)
{
	wbuf_byte(b, 0);
	put_u16(b, DNS_OPT);
	put_u16(b, DNS_UDP_OURS);
	put_u16(b, 0);
	put_u16(b, dnssec ? EDNS_DO : 0);
	put_u16(b, 0);
}

void dns_query_build(struct wbuf *b, uint16_t id, const struct hostname *name,
		     uint16_t type, bool dnssec)
{
	size_t at = 0;

	put_header(b, id, FLAG_RD, true, true);
	while (at < name->len) {
		size_t n = strcspn(name->text + at, ".");

		wbuf_byte(b, (char)n);
		wbuf_put(b, name->text + at, n);
		at += n + 1;
	}
	wbuf_byte(b, 0);
	put_u16(b, type);
	put_u16(b, CLASS_IN);
	put_opt(b, dnssec);
}

void dns_reply_build(struct wbuf *b, const struct dns_query *q,
		     enum dns_rcode rcode)
{
	unsigned flags = FLAG_QR | FLAG_RA | (unsigned)rcode;

	if (q->is_recursive)
		flags |= FLAG_RD;
	if (q->is_checking_off)
		flags |= FLAG_CD;
	put_header(b, q->id, flags, q->question.n > 0, q->has_edns);
	wbuf_slice(b, q->question);
	if (q->has_edns)
		put_opt(b, q->wants_dnssec);
}
