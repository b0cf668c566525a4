/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Data of records, type by type (RFC 1035 3.3, RFC 2782, RFC 9460). */
#include "wire/dns_rdata.h"

#include "wire/dns_wire.h"

enum { V4_SIZE = 4, V6_SIZE = 16 };

/* RFC 9460 14.3.2 */
enum svc_key {
	SVC_MANDATORY,
	SVC_ALPN,
	SVC_NO_DEFAULT_ALPN,
	SVC_PORT,
	SVC_IPV4HINT,
	SVC_ECH,
	SVC_IPV6HINT,
	SVC_KNOWN /* keys from here on are copied */
};

struct rdata {
	struct slice msg;
	const struct dns_record *r;
	const struct dns_answer_judge *judge;
	struct dns_answer *a;
};

static struct slice bytes_of(const struct rdata *d, size_t at)
{
	return (struct slice){ d->msg.p + at, d->r->end - at };
}

/* An address that is told is always one in a->addr: whoever relays by it
 * knows no other. */
static bool admit(const struct rdata *d, struct slice bytes)
{
	struct ip_addr ip = { .family = bytes.n == V4_SIZE ? 4 : 6 };
	struct dns_answer *a = d->a;

	memcpy(ip.b, bytes.p, bytes.n);
	for (size_t i = 0; i < a->n_addr; i++)
		if (ip_equal(&a->addr[i], &ip))
			return true;
	if (!d->judge->address(d->judge->arg, &ip)) {
		if (a->n_dropped++ == 0)
			a->dropped = ip;
		return false;
	}
	if (a->n_addr == DNS_ANSWER_ADDRS_MAX)
		return false;
	a->addr[a->n_addr++] = ip;
	return true;
}

static enum dns_answer_fault put_address(struct wbuf *b, const struct rdata *d,
					 size_t size, bool *ret_keep)
{
	struct slice s = bytes_of(d, d->r->at);

	if (s.n != size)
		return DNS_ANSWER_RECORD;
	*ret_keep = admit(d, s);
	wbuf_slice(b, s);
	return DNS_ANSWER_NONE;
}

/* @n bytes of numbers, then a name, then the end */
static enum dns_answer_fault put_name(struct wbuf *b, const struct rdata *d,
				      size_t n)
{
	struct slice s = bytes_of(d, d->r->at), numbers;
	size_t at = d->r->at + n;
	struct dns_name name;

	if (!cursor_take(&s, n, &numbers))
		return DNS_ANSWER_RECORD;
	if (!dns_name_take(d->msg, &at, &name))
		return DNS_ANSWER_NAME;
	if (at != d->r->end)
		return DNS_ANSWER_RECORD;
	wbuf_slice(b, numbers);
	wbuf_slice(b, dns_name_slice(&name));
	return DNS_ANSWER_NONE;
}

static enum dns_answer_fault put_text(struct wbuf *b, const struct rdata *d)
{
	struct slice all = bytes_of(d, d->r->at), rest = all, string;

	do {
		if (!cursor_vector(&rest, 1, &string))
			return DNS_ANSWER_RECORD;
	} while (rest.n);
	wbuf_slice(b, all);
	return DNS_ANSWER_NONE;
}

static bool is_h3(struct slice id)
{
	return slice_is(id, "h3") || (id.n >= 3 && memcmp(id.p, "h3-", 3) == 0);
}

/* Without HTTP/3 and its drafts: UDP to port 443 goes nowhere. */
static bool put_alpn(struct wbuf *b, const struct rdata *d, struct slice value)
{
	struct slice id;

	do {
		if (!cursor_vector(&value, 1, &id) || id.n == 0)
			return false;
		if (is_h3(id)) {
			d->a->changed_svcb = true;
			continue;
		}
		wbuf_byte(b, (char)id.n);
		wbuf_slice(b, id);
	} while (value.n);
	return true;
}

static bool put_hint(struct wbuf *b, const struct rdata *d, struct slice value,
		     size_t size)
{
	struct slice ip;

	do {
		if (!cursor_take(&value, size, &ip))
			return false;
		if (admit(d, ip))
			wbuf_slice(b, ip);
	} while (value.n);
	return true;
}

/* The value of one parameter; false if it is malformed. @ret_keep as it comes:
 * a value that may be empty is kept */
static bool put_value(struct wbuf *b, const struct rdata *d, uint32_t key,
		      struct slice value, bool *ret_keep)
{
	size_t start = b->len;
	bool ok = true;

	switch (key) {
	case SVC_ALPN:
		ok = put_alpn(b, d, value);
		break;
	case SVC_IPV4HINT:
		ok = put_hint(b, d, value, V4_SIZE);
		break;
	case SVC_IPV6HINT:
		ok = put_hint(b, d, value, V6_SIZE);
		break;
	case SVC_ECH:
		d->a->changed_svcb = true;
		break;
	case SVC_NO_DEFAULT_ALPN:
		return value.n == 0;
	case SVC_PORT:
		ok = value.n == 2;
		wbuf_slice(b, value);
		break;
	default:
		wbuf_slice(b, value);
		return true;
	}
	*ret_keep = b->len > start;
	return ok;
}

struct svc_params {
	struct wbuf out;     /* all but "mandatory" */
	struct slice listed; /* by "mandatory" */
	struct slice unseen; /* of these, what has not come yet */
	unsigned kept;	     /* bits of keys below SVC_KNOWN */
};

static uint32_t first_listed(const struct svc_params *p)
{
	struct slice c = p->unseen;
	uint32_t key;

	return dns_take_u16(&c, &key) ? key : UINT32_MAX;
}

static bool put_param(struct svc_params *p, const struct rdata *d, uint32_t key,
		      struct slice value)
{
	size_t start = p->out.len;
	/* says nothing without the list it is about */
	bool keep = key != SVC_NO_DEFAULT_ALPN || p->kept & 1U << SVC_ALPN;

	/* both ascend, so what is listed twice, is not there or is half a key
	 * stays over */
	if (key == first_listed(p))
		p->unseen = (struct slice){ p->unseen.p + 2, p->unseen.n - 2 };
	dns_put_u16(&p->out, key);
	dns_put_u16(&p->out, 0);
	if (!put_value(&p->out, d, key, value, &keep))
		return false;
	if (!keep) {
		p->out.len = start;
		return true;
	}
	dns_put_length(&p->out, start + 2);
	if (key < SVC_KNOWN)
		p->kept |= 1U << key;
	return true;
}

/* Keys that went are not mandatory any more. */
static void put_mandatory(struct wbuf *b, const struct svc_params *p)
{
	struct slice c = p->listed;
	size_t start = b->len;
	uint32_t key;

	dns_put_u16(b, SVC_MANDATORY);
	dns_put_u16(b, 0);
	while (dns_take_u16(&c, &key))
		if (key >= SVC_KNOWN || p->kept & 1U << key)
			dns_put_u16(b, key);
	if (b->len == start + 4)
		b->len = start;
	else
		dns_put_length(b, start + 2);
}

static bool put_params(struct svc_params *p, const struct rdata *d,
		       struct slice c)
{
	uint32_t key, next = 0;
	struct slice value;

	while (c.n) {
		if (!dns_take_u16(&c, &key) || !cursor_vector(&c, 2, &value) ||
		    key < next)
			return false;
		next = key + 1;
		if (key == SVC_MANDATORY) {
			if (value.n == 0)
				return false;
			p->listed = p->unseen = value;
		} else if (!put_param(p, d, key, value)) {
			return false;
		}
	}
	return p->unseen.n == 0;
}

/* Priority, target and parameters. */
static enum dns_answer_fault put_svcb(struct wbuf *b, const struct rdata *d)
{
	struct slice s = bytes_of(d, d->r->at), priority;
	struct svc_params p = { .out = WBUF_INIT(UINT16_MAX) };
	size_t start = d->r->at + 2, at = start;
	enum dns_answer_fault f = DNS_ANSWER_RECORD;
	struct dns_name target;

	if (!cursor_take(&s, 2, &priority))
		return f;
	if (!dns_name_take(d->msg, &at, &target))
		return DNS_ANSWER_NAME;
	/* RFC 9460 2.2: not compressed. A pointer takes two bytes and never
	 * stands for two */
	if (at > d->r->end || at - start != target.n)
		return f;
	if (put_params(&p, d, bytes_of(d, at))) {
		wbuf_slice(b, priority);
		wbuf_slice(b, dns_name_slice(&target));
		put_mandatory(b, &p);
		wbuf_slice(b, wbuf_as_slice(&p.out));
		b->failed = b->failed || p.out.failed;
		f = DNS_ANSWER_NONE;
	}
	wbuf_drop(&p.out);
	return f;
}

enum dns_answer_fault dns_rdata_put(struct wbuf *b, struct slice msg,
				    const struct dns_record *r,
				    const struct dns_answer_judge *judge,
				    struct dns_answer *a, bool *ret_keep)
{
	const struct rdata d = { msg, r, judge, a };

	*ret_keep = true;
	switch (r->type) {
	case DNS_A:
		return put_address(b, &d, V4_SIZE, ret_keep);
	case DNS_AAAA:
		return put_address(b, &d, V6_SIZE, ret_keep);
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		return put_name(b, &d, 0);
	case DNS_MX:
		return put_name(b, &d, 2);
	case DNS_SRV:
		return put_name(b, &d, 6);
	case DNS_TXT:
		return put_text(b, &d);
	case DNS_SVCB:
	case DNS_HTTPS:
		return put_svcb(b, &d);
	default:
		/* what is not understood may hold anything */
		*ret_keep = false;
		return DNS_ANSWER_NONE;
	}
}
