/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Queries in, queries out, and answers without records. */
#include "wire/dns.h"

#include "wire/dns_wire.h"

enum { EDNS_DO = 0x8000 };

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

/* The labels of a question, uncompressed, to the canonical form. */
static enum dns_fault take_name(struct slice *c, struct dns_query *q)
{
	const char *start = c->p;
	struct dns_name name;
	struct slice label;
	uint32_t len;

	do {
		if (!cursor_uint(c, 1, &len))
			return DNS_FAULT_CUT;
		if (len > HOSTNAME_LABEL_MAX)
			return len >= 0xc0 ? DNS_FAULT_COMPRESSED
					   : DNS_FAULT_LABEL;
		if (!cursor_take(c, len, &label))
			return DNS_FAULT_CUT;
		if (c->p - start > DNS_NAME_MAX)
			return DNS_FAULT_NAME_LENGTH;
	} while (len);
	name.n = (uint8_t)(c->p - start);
	memcpy(name.b, start, name.n);
	q->is_root = name.n == 1;
	if (!q->is_root && dns_name_host(&name, &q->name))
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
	if (!dns_take_u16(c, &type) || !dns_take_u16(c, &class))
		return DNS_FAULT_CUT;
	q->type = (uint16_t)type;
	q->question = (struct slice){ start, (size_t)(c->p - start) };
	return class == DNS_CLASS_IN ? DNS_FAULT_NONE : DNS_FAULT_CLASS;
}

/* RFC 6891 6.1.2: root, OPT, size, code and flags, options */
static enum dns_fault take_opt(struct slice *c, struct dns_query *q)
{
	uint32_t name, type, size, code, flags, len;
	struct slice options;

	if (!cursor_uint(c, 1, &name) || !dns_take_u16(c, &type) ||
	    !dns_take_u16(c, &size) || !dns_take_u16(c, &code) ||
	    !dns_take_u16(c, &flags) || !dns_take_u16(c, &len) ||
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

	if (!dns_take_u16(&c, &id))
		return DNS_FAULT_SHORT;
	q->id = (uint16_t)id;
	if (!dns_take_u16(&c, &flags) || !dns_take_u16(&c, &questions) ||
	    !dns_take_u16(&c, &answers) || !dns_take_u16(&c, &authority) ||
	    !dns_take_u16(&c, &additional))
		return DNS_FAULT_SHORT;
	if (flags & DNS_FLAG_QR)
		return DNS_FAULT_RESPONSE;
	q->is_recursive = flags & DNS_FLAG_RD;
	q->is_checking_off = flags & DNS_FLAG_CD;
	if (flags & DNS_FLAG_OPCODE)
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

void dns_put_u16(struct wbuf *b, unsigned v)
{
	wbuf_byte(b, (char)(v >> 8));
	wbuf_byte(b, (char)v);
}

void dns_put_u32(struct wbuf *b, uint32_t v)
{
	dns_put_u16(b, v >> 16);
	dns_put_u16(b, v & 0xffff);
}

void dns_put_length(struct wbuf *b, size_t at)
{
	size_t n;

	if (b->failed)
		return;
	n = b->len - at - 2;
	b->p[at] = (char)(n >> 8);
	b->p[at + 1] = (char)n;
}

static void put_header(struct wbuf *b, unsigned id, unsigned flags,
		       bool question, unsigned answers, bool additional)
{
	dns_put_u16(b, id);
	dns_put_u16(b, flags);
	dns_put_u16(b, question);
	dns_put_u16(b, answers);
	dns_put_u16(b, 0);
	dns_put_u16(b, additional);
}

void dns_put_opt(struct wbuf *b, bool dnssec)
{
	wbuf_byte(b, 0);
	dns_put_u16(b, DNS_OPT);
	dns_put_u16(b, DNS_UDP_OURS);
	dns_put_u16(b, 0);
	dns_put_u16(b, dnssec ? EDNS_DO : 0);
	dns_put_u16(b, 0);
}

void dns_put_reply(struct wbuf *b, const struct dns_query *q, unsigned more,
		   uint16_t n_records)
{
	unsigned flags = DNS_FLAG_QR | DNS_FLAG_RA | more;

	if (q->is_recursive)
		flags |= DNS_FLAG_RD;
	if (q->is_checking_off)
		flags |= DNS_FLAG_CD;
	put_header(b, q->id, flags, q->question.n > 0, n_records, q->has_edns);
	wbuf_slice(b, q->question);
}

void dns_query_build(struct wbuf *b, uint16_t id, const struct hostname *name,
		     uint16_t type, bool dnssec)
{
	struct dns_name n;

	dns_name_of(name, &n);
	put_header(b, id, DNS_FLAG_RD, true, 0, true);
	wbuf_slice(b, dns_name_slice(&n));
	dns_put_u16(b, type);
	dns_put_u16(b, DNS_CLASS_IN);
	dns_put_opt(b, dnssec);
}

void dns_reply_build(struct wbuf *b, const struct dns_query *q,
		     enum dns_rcode rcode)
{
	dns_put_reply(b, q, (unsigned)rcode, 0);
	if (q->has_edns)
		dns_put_opt(b, q->wants_dnssec);
}
