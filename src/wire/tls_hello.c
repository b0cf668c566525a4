/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Records to a message, a message to its server name. */
#include "wire/tls_hello.h"

#include "base/cursor.h"

enum {
	RECORD_HEADER = 5,
	MESSAGE_HEADER = 4,
	HANDSHAKE = 22,
	CLIENT_HELLO = 1,
	RANDOM = 32,
	SESSION_ID_MAX = 32,
	HOST_NAME = 0,
	EXT_SERVER_NAME = 0,
	EXT_EARLY_DATA = 42,
	EXT_ECH = 0xfe0d,
	EXT_ESNI = 0xffce /* draft-ietf-tls-esni-06 and before */
};

const char *tls_hello_fault_text(enum tls_hello_fault f)
{
	static const char *const words[] = {
#define X(id, words) [TLS_HELLO_##id] = words,
		TLS_HELLO_FAULTS(X)
#undef X
	};

	return (unsigned)f < TLS_HELLO_FAULT_NUM ? words[f] : "";
}

/* -- the message -- */

/* RFC 6066 3: one list, one entry, a host name. */
static enum tls_hello_fault read_name(struct slice body, struct tls_hello *h)
{
	struct slice list, name;
	uint32_t type;

	if (!cursor_vector(&body, 2, &list) || body.n ||
	    !cursor_uint(&list, 1, &type) || type != HOST_NAME ||
	    !cursor_vector(&list, 2, &name) || list.n || name.n == 0)
		return TLS_HELLO_NAME_LIST;
	if (hostname_parse(name, &h->name))
		return TLS_HELLO_NAME;
	h->has_name = true;
	return TLS_HELLO_NONE;
}

static enum tls_hello_fault read_extensions(struct slice all,
					    struct tls_hello *h)
{
	uint16_t seen[TLS_EXTENSIONS_MAX];
	enum tls_hello_fault f;
	struct slice body;
	uint32_t type;
	size_t n = 0;

	while (all.n) {
		if (!cursor_uint(&all, 2, &type) ||
		    !cursor_vector(&all, 2, &body))
			return TLS_HELLO_CUT;
		for (size_t i = 0; i < n; i++)
			if (seen[i] == type)
				return TLS_HELLO_EXTENSION_TWICE;
		if (n == TLS_EXTENSIONS_MAX)
			return TLS_HELLO_EXTENSION_COUNT;
		seen[n++] = (uint16_t)type;
		if (type == EXT_SERVER_NAME) {
			f = read_name(body, h);
			if (f)
				return f;
		}
		h->has_ech |= type == EXT_ECH || type == EXT_ESNI;
		h->has_early_data |= type == EXT_EARLY_DATA;
	}
	return TLS_HELLO_NONE;
}

/* @m: what follows the four bytes of the message's header, all of it */
static enum tls_hello_fault read_message(struct slice m, struct tls_hello *h)
{
	struct slice random, session, ciphers, methods, extensions;
	uint32_t version;

	if (!cursor_uint(&m, 2, &version) ||
	    !cursor_take(&m, RANDOM, &random) ||
	    !cursor_vector(&m, 1, &session))
		return TLS_HELLO_CUT;
	if (session.n > SESSION_ID_MAX)
		return TLS_HELLO_SESSION_ID;
	if (!cursor_vector(&m, 2, &ciphers))
		return TLS_HELLO_CUT;
	if (ciphers.n == 0 || ciphers.n % 2)
		return TLS_HELLO_CIPHER_SUITES;
	if (!cursor_vector(&m, 1, &methods))
		return TLS_HELLO_CUT;
	if (methods.n == 0)
		return TLS_HELLO_COMPRESSION;
	h->version = (uint16_t)version;
	if (m.n == 0)
		return TLS_HELLO_NONE; /* RFC 5246: without extensions */
	if (!cursor_vector(&m, 2, &extensions) || m.n)
		return TLS_HELLO_CUT;
	return read_extensions(extensions, h);
}

/* -- the records -- */

/* The record at r->at, of which @n bytes have arrived; its length, 0 if that
 * is not known yet. */
static size_t record_length(const struct tls_hello_reader *r, struct slice wire,
			    enum tls_hello_fault *ret_fault)
{
	struct slice c = { wire.p + r->at, wire.n - r->at };
	uint32_t type, version, len;

	/* the type is judged with the first byte: nothing waits for more */
	if (!cursor_uint(&c, 1, &type))
		return 0;
	if (type != HANDSHAKE) {
		*ret_fault = TLS_HELLO_RECORD_TYPE;
		return 0;
	}
	/* RFC 8446 5.1: the version of a record says nothing */
	if (!cursor_uint(&c, 2, &version) || !cursor_uint(&c, 2, &len))
		return 0;
	if (len == 0)
		*ret_fault = TLS_HELLO_RECORD_EMPTY;
	else if (len > TLS_RECORD_MAX)
		*ret_fault = TLS_HELLO_RECORD_LENGTH;
	return len;
}

/* Type and length of the message, from the first records that hold them. */
static enum tls_hello_fault see_header(struct tls_hello_reader *r,
				       struct slice fragment)
{
	size_t len;

	for (size_t i = 0; i < fragment.n && r->message + i < MESSAGE_HEADER;
	     i++)
		r->header[r->message + i] = (uint8_t)fragment.p[i];
	if (r->message + fragment.n > 0 && r->header[0] != CLIENT_HELLO)
		return TLS_HELLO_MESSAGE_TYPE;
	if (r->want || r->message + fragment.n < MESSAGE_HEADER)
		return TLS_HELLO_NONE;
	len = (size_t)r->header[1] << 16 | (size_t)r->header[2] << 8 |
	      r->header[3];
	if (len > TLS_HELLO_MAX - MESSAGE_HEADER)
		return TLS_HELLO_MESSAGE_LENGTH;
	r->want = MESSAGE_HEADER + len;
	return TLS_HELLO_NONE;
}

/* The fragments of the records before r->at, one behind the other. */
static struct slice join(const struct tls_hello_reader *r, struct slice wire,
			 struct wbuf *joined)
{
	size_t at = 0;

	if (r->records == 1)
		return (struct slice){ wire.p + RECORD_HEADER, r->want };
	wbuf_reset(joined);
	while (at < r->at) {
		size_t len = (size_t)(uint8_t)wire.p[at + 3] << 8 |
			     (uint8_t)wire.p[at + 4];

		wbuf_put(joined, wire.p + at + RECORD_HEADER, len);
		at += RECORD_HEADER + len;
	}
	return wbuf_as_slice(joined);
}

static enum tls_hello_state bad(struct tls_hello *h, enum tls_hello_fault f)
{
	*h = (struct tls_hello){ .fault = f };
	return TLS_HELLO_BAD;
}

enum tls_hello_state tls_hello_read(struct tls_hello_reader *r,
				    struct slice wire, struct wbuf *joined,
				    struct tls_hello *ret)
{
	enum tls_hello_fault f = TLS_HELLO_NONE;
	struct slice m;

	while (!r->want || r->message < r->want) {
		size_t len = record_length(r, wire, &f);
		struct slice fragment;

		if (f)
			return bad(ret, f);
		if (!len)
			return TLS_HELLO_MORE;
		fragment = (struct slice){ wire.p + r->at + RECORD_HEADER,
					   wire.n - r->at - RECORD_HEADER };
		if (fragment.n > len)
			fragment.n = len;
		f = see_header(r, fragment);
		if (!f && r->want && r->message + len > r->want)
			f = TLS_HELLO_TRAILING;
		if (f)
			return bad(ret, f);
		if (fragment.n < len)
			return TLS_HELLO_MORE;
		r->at += RECORD_HEADER + len;
		r->message += len;
		r->records++;
	}
	*ret = (struct tls_hello){ .fault = TLS_HELLO_NONE };
	m = join(r, wire, joined);
	if (m.n != r->want)
		return bad(ret, TLS_HELLO_MESSAGE_LENGTH);
	m.p += MESSAGE_HEADER;
	m.n -= MESSAGE_HEADER;
	f = read_message(m, ret);
	return f ? bad(ret, f) : TLS_HELLO_DONE;
}
