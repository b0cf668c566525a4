/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An upstream's message: is it the answer, and which of it is told. */
#include "wire/dns_answer.h"

#include "wire/dns_rdata.h"
#include "wire/dns_wire.h"

enum {
	POINTER_TO_QUESTION = 0xc000 | DNS_HEADER,
	SOA_NUMBERS = 20, /* the last of them is MINIMUM */
	TYPE_SOA = 6,
	TTL_SIGN = 0x80 /* of the first byte */
};

struct reading {
	struct slice msg;
	size_t at;
	const struct dns_answer_judge *judge;
	struct dns_answer *a;
	struct wbuf *body;
	struct dns_name question;
	uint16_t n_kept;
	uint32_t negative_ttl; /* as it comes; if has_soa */
	bool has_soa;
	size_t n_records;
	struct dns_record record[DNS_RECORDS_MAX]; /* class IN, to be told */
};

const char *dns_answer_fault_text(enum dns_answer_fault f)
{
	static const char *const texts[] = {
#define X(id, words) [DNS_ANSWER_##id] = words,
		DNS_ANSWER_FAULTS(X)
#undef X
	};

	return (unsigned)f < DNS_ANSWER_FAULT_NUM ? texts[f] : "";
}

static uint32_t moved(const struct dns_answer_judge *j, uint32_t ttl)
{
	if (ttl < j->ttl_min)
		return j->ttl_min;
	return ttl > j->ttl_max ? j->ttl_max : ttl;
}

static enum dns_answer_fault take_question(struct reading *r, uint16_t type)
{
	struct dns_name name;
	uint32_t its_type, class;
	struct slice c;

	if (!dns_name_take(r->msg, &r->at, &name))
		return DNS_ANSWER_NAME;
	c = (struct slice){ r->msg.p + r->at, r->msg.n - r->at };
	if (!dns_take_u16(&c, &its_type) || !dns_take_u16(&c, &class) ||
	    its_type != type || class != DNS_CLASS_IN ||
	    !dns_name_equal(&name, &r->question))
		return DNS_ANSWER_QUESTION;
	r->at = r->msg.n - c.n;
	return DNS_ANSWER_NONE;
}

/* The next record; @ret_class of an OPT is a size, its ttl flags */
static enum dns_answer_fault take_record(struct reading *r,
					 struct dns_record *ret,
					 uint32_t *ret_class)
{
	struct dns_name owner;
	struct slice c, data;
	uint32_t type;

	ret->owner = r->at;
	if (!dns_name_take(r->msg, &r->at, &owner))
		return DNS_ANSWER_NAME;
	c = (struct slice){ r->msg.p + r->at, r->msg.n - r->at };
	if (!dns_take_u16(&c, &type) || !dns_take_u16(&c, ret_class) ||
	    !cursor_uint(&c, 4, &ret->ttl) || !cursor_vector(&c, 2, &data))
		return DNS_ANSWER_RECORD;
	ret->type = (uint16_t)type;
	ret->end = r->at = r->msg.n - c.n;
	ret->at = ret->end - data.n;
	return DNS_ANSWER_NONE;
}

static uint32_t plain_ttl(uint32_t ttl)
{
	/* RFC 2181 8: with the top bit set it is zero */
	return ttl > INT32_MAX ? 0 : ttl;
}

static enum dns_answer_fault take_answers(struct reading *r, uint32_t n)
{
	uint32_t class;

	if (n > DNS_RECORDS_MAX)
		return DNS_ANSWER_COUNT;
	for (; n; n--) {
		struct dns_record *next = &r->record[r->n_records];
		enum dns_answer_fault f = take_record(r, next, &class);

		if (f)
			return f;
		next->ttl = plain_ttl(next->ttl);
		if (class == DNS_CLASS_IN)
			r->n_records++;
	}
	return DNS_ANSWER_NONE;
}

/* RFC 2308 5: what is not there is not there for so long */
static enum dns_answer_fault take_soa(struct reading *r,
				      const struct dns_record *soa)
{
	size_t at = soa->at;
	struct dns_name name;
	uint32_t minimum;
	struct slice c;

	/* its server, its mailbox */
	if (!dns_name_take(r->msg, &at, &name) ||
	    !dns_name_take(r->msg, &at, &name))
		return DNS_ANSWER_NAME;
	if (at + SOA_NUMBERS != soa->end)
		return DNS_ANSWER_RECORD;
	c = (struct slice){ r->msg.p + soa->end - 4, 4 };
	if (!cursor_uint(&c, 4, &minimum))
		return DNS_ANSWER_RECORD;
	r->negative_ttl = plain_ttl(soa->ttl);
	if (minimum < r->negative_ttl)
		r->negative_ttl = minimum;
	r->has_soa = true;
	return DNS_ANSWER_NONE;
}

/* Authority and additional: nothing of them is told. */
static enum dns_answer_fault take_rest(struct reading *r, uint32_t n,
				       bool additional)
{
	enum dns_answer_fault f = DNS_ANSWER_NONE;
	struct dns_record rec;
	uint32_t class;

	if (n > DNS_RECORDS_MAX)
		return DNS_ANSWER_COUNT;
	for (; n && !f; n--) {
		f = take_record(r, &rec, &class);
		if (f)
			break;
		if (!additional && rec.type == TYPE_SOA &&
		    class == DNS_CLASS_IN && !r->has_soa)
			f = take_soa(r, &rec);
		/* RFC 6891 6.1.3: upper bits of a code we have no room for,
		 * and none of them is good news */
		if (additional && rec.type == DNS_OPT && rec.ttl >> 24)
			r->a->rcode = DNS_SERVFAIL;
	}
	return f;
}

/* Is this record of @type and @owner? */
static bool is_of(const struct reading *r, const struct dns_record *rec,
		  uint16_t type, const struct dns_name *owner)
{
	size_t at = rec->owner;
	struct dns_name name;

	return rec->type == type && dns_name_take(r->msg, &at, &name) &&
	       dns_name_equal(&name, owner);
}

/* Judges a record and puts it behind the others. */
static enum dns_answer_fault keep(struct reading *r, struct dns_record *rec,
				  const struct dns_name *owner, bool *ret_keep)
{
	struct wbuf *b = r->body;
	size_t start = b->len, length;
	enum dns_answer_fault f;
	uint32_t ttl = moved(r->judge, rec->ttl);

	if (dns_name_equal(owner, &r->question))
		dns_put_u16(b, POINTER_TO_QUESTION);
	else
		wbuf_slice(b, dns_name_slice(owner));
	dns_put_u16(b, rec->type);
	dns_put_u16(b, DNS_CLASS_IN);
	dns_put_u32(b, ttl);
	length = b->len;
	dns_put_u16(b, 0);
	f = dns_rdata_put(b, r->msg, rec, r->judge, r->a, ret_keep);
	if (f || !*ret_keep) {
		b->len = start;
		return f;
	}
	dns_put_length(b, length);
	r->n_kept++;
	if (ttl < r->a->ttl)
		r->a->ttl = ttl;
	return DNS_ANSWER_NONE;
}

static void note_name(struct dns_answer *a, const struct dns_name *n,
		      size_t n_aliases)
{
	/* none is left out in the middle */
	if (a->n_chain == n_aliases &&
	    dns_name_host(n, &a->chain[a->n_chain]) == 0)
		a->n_chain++;
}

/* From the question to the name that has the records: an alias leaves room for
 * nothing else (RFC 1034 3.6.2), so of two the first counts. */
static enum dns_answer_fault follow_aliases(struct reading *r,
					    struct dns_name *end)
{
	enum dns_answer_fault f;
	bool kept;

	*end = r->question;
	for (size_t n = 1;; n++) {
		struct dns_record *alias = NULL;
		size_t at;

		for (size_t i = 0; i < r->n_records && !alias; i++)
			if (is_of(r, &r->record[i], DNS_CNAME, end))
				alias = &r->record[i];
		if (!alias)
			return DNS_ANSWER_NONE;
		if (n > DNS_CHAIN_MAX)
			return DNS_ANSWER_CHAIN;
		f = keep(r, alias, end, &kept);
		if (f)
			return f;
		at = alias->at;
		if (!dns_name_take(r->msg, &at, end))
			return DNS_ANSWER_NAME;
		note_name(r->a, end, n);
	}
}

static enum dns_answer_fault keep_records(struct reading *r, uint16_t type)
{
	enum dns_answer_fault f = DNS_ANSWER_NONE;
	size_t start = r->body->len;
	struct dns_answer *a = r->a;
	struct dns_name end = r->question;

	if (type != DNS_CNAME)
		f = follow_aliases(r, &end);
	for (size_t i = 0; i < r->n_records && !f; i++) {
		bool kept = false;

		if (is_of(r, &r->record[i], type, &end))
			f = keep(r, &r->record[i], &end, &kept);
		a->n_target += kept;
	}
	/* an alias to nothing but refused addresses is no answer either */
	if ((type == DNS_A || type == DNS_AAAA) && a->n_dropped &&
	    a->n_target == 0) {
		r->body->len = start;
		r->n_kept = 0;
		a->ttl = UINT32_MAX;
	}
	return f;
}

static enum dns_answer_fault read_message(struct reading *r, uint16_t id,
					  uint16_t type)
{
	uint32_t its_id, flags, questions, answers, authority, additional;
	struct slice c = r->msg;
	enum dns_answer_fault f;

	if (!dns_take_u16(&c, &its_id) || !dns_take_u16(&c, &flags) ||
	    !dns_take_u16(&c, &questions) || !dns_take_u16(&c, &answers) ||
	    !dns_take_u16(&c, &authority) || !dns_take_u16(&c, &additional))
		return DNS_ANSWER_SHORT;
	if (!(flags & DNS_FLAG_QR) || flags & DNS_FLAG_OPCODE)
		return DNS_ANSWER_NO_RESPONSE;
	if (its_id != id || questions != 1)
		return DNS_ANSWER_QUESTION;
	r->at = DNS_HEADER;
	f = take_question(r, type);
	if (f)
		return f;
	r->a->rcode = flags & DNS_FLAG_RCODE;
	r->a->is_truncated = flags & DNS_FLAG_TC;
	r->a->is_authentic = flags & DNS_FLAG_AD;
	/* RFC 2181 9: what is there of it is not used */
	if (r->a->is_truncated)
		return DNS_ANSWER_NONE;
	f = take_answers(r, answers);
	if (!f)
		f = take_rest(r, authority, false);
	if (!f)
		f = take_rest(r, additional, true);
	if (!f && r->at != r->msg.n)
		f = DNS_ANSWER_RECORD;
	if (!f && (r->a->rcode == DNS_NOERROR || r->a->rcode == DNS_NXDOMAIN))
		f = keep_records(r, type);
	return f;
}

static void set_ttl(struct reading *r)
{
	const struct dns_answer_judge *j = r->judge;
	uint32_t negative = r->has_soa ? moved(j, r->negative_ttl) : j->ttl_min;

	if (r->a->n_target == 0 && negative < r->a->ttl)
		r->a->ttl = negative;
}

int dns_answer_read(struct slice msg, uint16_t id, const struct hostname *name,
		    uint16_t type, const struct dns_answer_judge *judge,
		    struct wbuf *body, uint16_t *ret_n, struct dns_answer *ret)
{
	struct reading r NO_INIT;
	size_t start = body->len;
	enum dns_answer_fault f;

	r.msg = msg;
	r.judge = judge;
	r.a = ret;
	r.body = body;
	r.n_kept = 0;
	r.n_records = 0;
	r.has_soa = false;
	dns_name_of(name, &r.question);
	*ret = (struct dns_answer){ .ttl = UINT32_MAX, .n_chain = 1 };
	ret->chain[0] = *name;
	*ret_n = 0;
	f = read_message(&r, id, type);
	if (!f && body->failed)
		f = DNS_ANSWER_COUNT;
	if (f) {
		body->len = start;
		*ret = (struct dns_answer){ .fault = f };
		return -1;
	}
	set_ttl(&r);
	*ret_n = r.n_kept;
	return 0;
}
