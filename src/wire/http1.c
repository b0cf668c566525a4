/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Heads and bodies of HTTP/1 requests. */
#include "wire/http1.h"

#include <string.h>

#include "base/ascii.h"

enum { LENGTH_DIGITS = 18, CHUNK_DIGITS = 15 };

const char *http1_fault_text(enum http1_fault f)
{
	static const char *const words[] = {
#define X(id, words) [HTTP1_##id] = words,
		HTTP1_FAULTS(X)
#undef X
	};

	return (unsigned)f < HTTP1_FAULT_NUM ? words[f] : "";
}

/* RFC 9110 5.6.2 */
static bool is_token_char(char c)
{
	return ascii_is_alnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_token_char(s.p[i]))
			return false;
	return s.n > 0;
}

static bool is_word(struct slice s, const char *word)
{
	size_t i;

	for (i = 0; i < s.n && word[i]; i++)
		if (ascii_lower(s.p[i]) != word[i])
			return false;
	return i == s.n && !word[i];
}

static struct slice trim(struct slice s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s.p++, s.n--;
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* Cut at the first @c; without one all of it, and @s becomes empty. */
static bool cut(struct slice *s, char c, struct slice *ret)
{
	const char *at = s->n ? memchr(s->p, c, s->n) : NULL;
	size_t n = at ? (size_t)(at - s->p) : s->n;

	*ret = (struct slice){ s->p, n };
	n += at != NULL;
	s->p += n;
	s->n -= n;
	return at != NULL;
}

static bool read_number(struct slice s, unsigned max_digits, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]))
			return false;
		*ret = *ret * 10 + (uint64_t)(s.p[i] - '0');
	}
	return s.n > 0 && s.n <= max_digits;
}

/* What a line may hold: no control but TAB */
static bool is_line_char(char c)
{
	return ((unsigned char)c >= ' ' && c != 0x7f) || c == '\t';
}

/* -- host and port -- */

static bool is_made_of(struct slice s, const char *more, bool is_hex)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(is_hex ? ascii_hex(s.p[i]) >= 0
			     : ascii_is_alnum(s.p[i])) &&
		    (s.p[i] == '\0' || !strchr(more, s.p[i])))
			return false;
	return s.n > 0;
}

/* uri-host [ ":" port ], RFC 9110 7.2; nothing of userinfo, no escapes. */
static bool read_host(struct slice s, struct http1_head *h)
{
	const char *end = s.n && s.p[0] == '[' ? memchr(s.p, ']', s.n) : NULL;
	struct slice host = s, port = { NULL, 0 };
	uint64_t number = 0;

	if (end) {
		host.n = (size_t)(end - s.p) + 1;
		port = (struct slice){ s.p + host.n, s.n - host.n };
		if (port.n && port.p[0] != ':')
			return false;
		if (!is_made_of((struct slice){ s.p + 1, host.n - 2 }, ":.",
				true))
			return false;
	} else {
		host.n = 0;
		while (host.n < s.n && s.p[host.n] != ':')
			host.n++;
		port = (struct slice){ s.p + host.n, s.n - host.n };
		if (!is_made_of(host, "-.", false))
			return false;
	}
	if (port.n && (!read_number((struct slice){ port.p + 1, port.n - 1 }, 5,
				    &number) ||
		       number == 0 || number > UINT16_MAX))
		return false;
	if (host.n > HOSTNAME_MAX + 1)
		return false;
	h->host_is_name = hostname_parse(host, &h->host) == 0;
	h->host_text = host;
	h->port = (uint16_t)number;
	h->has_host = true;
	return true;
}

static bool same_host(const struct http1_head *a, const struct http1_head *b)
{
	uint16_t pa = a->port ? a->port : 80, pb = b->port ? b->port : 80;

	if (pa != pb || a->host_is_name != b->host_is_name)
		return false;
	if (a->host_is_name)
		return hostname_eq(&a->host, &b->host);
	return slice_eq(a->host_text, b->host_text);
}

/* -- lines -- */

/* The line at the start of @in without its CRLF; advances. MORE: not whole. */
static enum http1_state next_line(struct slice *in, struct slice *ret)
{
	for (size_t i = 0; i < in->n; i++) {
		char c = in->p[i];

		if (c == '\r') {
			if (i + 1 == in->n)
				return HTTP1_MORE;
			if (in->p[i + 1] != '\n')
				return HTTP1_BAD;
			*ret = (struct slice){ in->p, i };
			in->p += i + 2;
			in->n -= i + 2;
			return HTTP1_DONE;
		}
		if (!is_line_char(c))
			return HTTP1_BAD;
	}
	return HTTP1_MORE;
}

struct request {
	struct http1_head *h;
	struct http1_head target; /* host of an absolute or authority form */
	bool is_http10, has_host, has_length, has_coding;
	enum http1_fault fault;
};

static bool fail(struct request *q, enum http1_fault f)
{
	q->fault = f;
	return false;
}

/* RFC 9112 3.2 */
static bool read_target(struct request *q, struct slice method,
			struct slice target)
{
	struct slice authority;

	for (size_t i = 0; i < target.n; i++)
		if ((unsigned char)target.p[i] <= ' ' ||
		    (unsigned char)target.p[i] > '~')
			return fail(q, HTTP1_TARGET);
	if (slice_is(method, "CONNECT")) {
		q->h->is_connect = true;
		return (read_host(target, &q->target) && q->target.port) ||
		       fail(q, HTTP1_TARGET);
	}
	if (target.n && target.p[0] == '/')
		return true;
	if (slice_is(target, "*"))
		return slice_is(method, "OPTIONS") || fail(q, HTTP1_TARGET);
	if (target.n < 7 || !is_word((struct slice){ target.p, 7 }, "http://"))
		return fail(q, HTTP1_TARGET);
	authority = (struct slice){ target.p + 7, target.n - 7 };
	for (size_t i = 0; i < authority.n; i++)
		if (strchr("/?#", authority.p[i])) {
			authority.n = i;
			break;
		}
	return read_host(authority, &q->target) || fail(q, HTTP1_TARGET);
}

static bool read_request_line(struct request *q, struct slice line)
{
	struct slice method, target;

	if (!cut(&line, ' ', &method) || !is_token(method) ||
	    !cut(&line, ' ', &target) || target.n == 0 ||
	    memchr(line.p, ' ', line.n))
		return fail(q, HTTP1_REQUEST_LINE);
	/* a server says back all it got, a cell's secrets too (RFC 9110 9.3.8)
	 */
	if (slice_is(method, "TRACE"))
		return fail(q, HTTP1_REQUEST_LINE);
	q->is_http10 = slice_is(line, "HTTP/1.0");
	if (!q->is_http10 && !slice_is(line, "HTTP/1.1"))
		return fail(q, HTTP1_VERSION);
	return read_target(q, method, target);
}

static void read_upgrade(struct request *q, struct slice value)
{
	struct slice one;

	q->h->has_upgrade = true;
	while (value.n) {
		(void)cut(&value, ',', &one);
		q->h->has_h2c |= is_word(trim(one), "h2c");
	}
}

static bool read_field(struct request *q, struct slice line)
{
	struct slice name, value;

	if (line.p[0] == ' ' || line.p[0] == '\t')
		return fail(q, HTTP1_FOLDED);
	value = line;
	if (!cut(&value, ':', &name) || !is_token(name))
		return fail(q, HTTP1_FIELD);
	value = trim(value);
	if (is_word(name, "host")) {
		if (q->has_host)
			return fail(q, HTTP1_HOST_TWICE);
		q->has_host = true;
		/* an empty one is judged as missing */
		return value.n == 0 || read_host(value, q->h) ||
		       fail(q, HTTP1_HOST);
	}
	if (is_word(name, "content-length")) {
		if (q->has_length ||
		    !read_number(value, LENGTH_DIGITS, &q->h->length))
			return fail(q, HTTP1_LENGTH);
		q->has_length = true;
	} else if (is_word(name, "transfer-encoding")) {
		if (q->has_coding || q->is_http10 || !is_word(value, "chunked"))
			return fail(q, HTTP1_CODING);
		q->has_coding = true;
	} else if (is_word(name, "upgrade")) {
		read_upgrade(q, value);
	}
	return true;
}

static enum http1_fault finish(struct request *q)
{
	struct http1_head *h = q->h;

	if (q->has_length && q->has_coding)
		return HTTP1_LENGTH_AND_CODING;
	if (q->has_coding)
		h->framing = HTTP1_CHUNKED;
	else if (q->has_length && h->length)
		h->framing = HTTP1_SIZED;
	/* RFC 9112 3.2.2: a server takes the target's, others take Host */
	if (q->target.has_host && h->has_host && !same_host(&q->target, h))
		return HTTP1_TARGET_HOST;
	return HTTP1_NONE;
}

static enum http1_state bad(struct http1_head *h, enum http1_fault f)
{
	*h = (struct http1_head){ .fault = f };
	return HTTP1_BAD;
}

enum http1_state http1_read_head(struct slice in, struct http1_head *ret)
{
	struct request q = { .h = ret };
	struct slice rest = in, line;
	bool is_first = true;

	*ret = (struct http1_head){ .fault = HTTP1_NONE };
	if (rest.n > HTTP1_HEAD_MAX)
		rest.n = HTTP1_HEAD_MAX;
	for (;; is_first = false) {
		enum http1_state s = next_line(&rest, &line);
		bool ok;

		if (s == HTTP1_BAD)
			return bad(ret, HTTP1_BYTE);
		if (s == HTTP1_MORE)
			return in.n >= HTTP1_HEAD_MAX
				       ? bad(ret, HTTP1_HEAD_LENGTH)
				       : HTTP1_MORE;
		if (line.n == 0 && !is_first)
			break;
		ok = is_first ? read_request_line(&q, line)
			      : read_field(&q, line);
		if (!ok)
			return bad(ret, q.fault);
	}
	q.fault = finish(&q);
	if (q.fault)
		return bad(ret, q.fault);
	ret->len = (size_t)(rest.p - in.p);
	return HTTP1_DONE;
}

/* -- bodies -- */

void http1_body_begin(struct http1_body *b, const struct http1_head *h)
{
	*b = (struct http1_body){ .fault = HTTP1_NONE };
	switch (h->framing) {
	case HTTP1_NO_BODY:
		b->at = HTTP1_AT_END;
		break;
	case HTTP1_SIZED:
		b->at = HTTP1_IN_DATA;
		b->left = h->length;
		break;
	case HTTP1_CHUNKED:
		b->at = HTTP1_IN_CHUNK_LINE;
		break;
	}
}

static bool body_fail(struct http1_body *b, enum http1_fault f)
{
	b->fault = f;
	return false;
}

static void chunk_begin(struct http1_body *b)
{
	b->at = HTTP1_IN_CHUNK_LINE;
	b->left = 0;
	b->line = 0;
	b->digits = 0;
	b->in_extension = b->after_cr = false;
}

/* chunk-size [ chunk-ext ] CRLF, RFC 9112 7.1 */
static bool chunk_line(struct http1_body *b, char c)
{
	int digit = ascii_hex(c);

	if (++b->line > HTTP1_CHUNK_LINE_MAX)
		return body_fail(b, HTTP1_CHUNK);
	if (b->after_cr) {
		if (c != '\n')
			return body_fail(b, HTTP1_CHUNK);
		b->after_cr = false;
		b->line = b->column = 0;
		b->has_colon = false;
		b->at = b->left ? HTTP1_IN_CHUNK_DATA : HTTP1_IN_TRAILER;
		return true;
	}
	if (c == '\r') {
		b->after_cr = true;
		return b->digits || body_fail(b, HTTP1_CHUNK);
	}
	if (b->in_extension)
		return is_line_char(c) || body_fail(b, HTTP1_CHUNK);
	if (c == ';') {
		b->in_extension = true;
		return b->digits || body_fail(b, HTTP1_CHUNK);
	}
	if (digit < 0 || b->digits == CHUNK_DIGITS)
		return body_fail(b, HTTP1_CHUNK);
	b->digits++;
	b->left = b->left << 4 | (unsigned)digit;
	return true;
}

static bool chunk_end(struct http1_body *b, char c)
{
	if (c != (b->after_cr ? '\n' : '\r'))
		return body_fail(b, HTTP1_CHUNK);
	if (b->after_cr)
		chunk_begin(b);
	else
		b->after_cr = true;
	return true;
}

/* Fields until an empty line, RFC 9112 7.1.2; of no use to anybody here. */
static bool trailer(struct http1_body *b, char c)
{
	if (++b->line > HTTP1_TRAILER_MAX)
		return body_fail(b, HTTP1_TRAILER);
	if (b->after_cr) {
		if (c != '\n' || (b->column && !b->has_colon))
			return body_fail(b, HTTP1_TRAILER);
		if (b->column == 0)
			b->at = HTTP1_AT_END;
		b->after_cr = b->has_colon = false;
		b->column = 0;
		return true;
	}
	if (c == '\r') {
		b->after_cr = true;
		return true;
	}
	if (b->has_colon) {
		if (!is_line_char(c))
			return body_fail(b, HTTP1_TRAILER);
	} else if (c == ':' && b->column) {
		b->has_colon = true;
	} else if (!is_token_char(c)) {
		return body_fail(b, HTTP1_TRAILER);
	}
	b->column++;
	return true;
}

enum http1_state http1_body_skip(struct http1_body *b, struct slice in,
				 size_t *ret_n)
{
	size_t at = 0;

	while (at < in.n && b->at != HTTP1_AT_END && !b->fault) {
		uint64_t n = in.n - at;

		switch (b->at) {
		case HTTP1_IN_DATA:
		case HTTP1_IN_CHUNK_DATA:
			n = n < b->left ? n : b->left;
			b->left -= n;
			at += (size_t)n;
			if (b->left)
				break;
			b->after_cr = false;
			b->at = b->at == HTTP1_IN_DATA ? HTTP1_AT_END
						       : HTTP1_IN_CHUNK_END;
			break;
		case HTTP1_IN_CHUNK_LINE:
			at += chunk_line(b, in.p[at]);
			break;
		case HTTP1_IN_CHUNK_END:
			at += chunk_end(b, in.p[at]);
			break;
		case HTTP1_IN_TRAILER:
			at += trailer(b, in.p[at]);
			break;
		case HTTP1_AT_END:
			break;
		}
	}
	*ret_n = at;
	if (b->fault)
		return HTTP1_BAD;
	return b->at == HTTP1_AT_END ? HTTP1_DONE : HTTP1_MORE;
}
