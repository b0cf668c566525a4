/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The writer of compact JSON: commas, order of names, escapes, doubles. */
#include "wire/json_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"

enum {
	DOUBLE_DIGITS = 17,  /* always enough for a binary64 */
	POSITIONAL_MIN = -5, /* decimal exponents written without 'e' */
	POSITIONAL_MAX = 15
};

/* The letter after the backslash; 'u' for the long form, 0 for none. */
static char escape_letter(unsigned char c)
{
	switch (c) {
	case '"':
	case '\\':
		return (char)c;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	default:
		return c < 0x20 ? 'u' : 0;
	}
}

static size_t escaped_len(struct slice s)
{
	size_t n = s.n;

	for (size_t i = 0; i < s.n; i++) {
		char e = escape_letter((unsigned char)s.p[i]);

		if (e)
			n += e == 'u' ? 5 : 1;
	}
	return n;
}

/* Measured first: a call a byte is what an event would cost most. */
static void put_escaped(struct wbuf *b, struct slice s)
{
	char *to = wbuf_extend(b, escaped_len(s));

	for (size_t i = 0; to && i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char e = escape_letter(c);

		if (e)
			*to++ = '\\';
		*to++ = e ? e : (char)c;
		if (e != 'u')
			continue;
		*to++ = '0';
		*to++ = '0';
		*to++ = ascii_hex_digit(c >> 4u);
		*to++ = ascii_hex_digit(c);
	}
}

void json_text_string(struct wbuf *b, struct slice s)
{
	wbuf_byte(b, '"');
	put_escaped(b, s);
	wbuf_byte(b, '"');
}

struct decimal {
	char digit[DOUBLE_DIGITS + 1]; /* "123": 1.23 * 10^exp10 */
	int n, exp10;
};

static double decimal_value(const struct decimal *d)
{
	char buf[DOUBLE_DIGITS + 16];

	(void)snprintf(buf, sizeof(buf), "%c.%se%d", d->digit[0], d->digit + 1,
		       d->exp10);
	return strtod(buf, NULL);
}

/* @v correctly rounded to @n digits */
static void decimal_round(struct decimal *d, double v, int n)
{
	char buf[DOUBLE_DIGITS + 16];

	(void)snprintf(buf, sizeof(buf), "%.*e", n - 1, v);
	d->n = n;
	d->digit[0] = buf[0];
	/* "d.ddde+xx", without the point when n is 1 */
	if (n > 1)
		memcpy(d->digit + 1, buf + 2, (size_t)n - 1);
	d->digit[n] = '\0';
	d->exp10 = (int)strtol(buf + (n > 1 ? n + 2 : 2), NULL, 10);
}

/* One more in the last digit */
static void decimal_next(struct decimal *d)
{
	int i = d->n;

	while (i > 0 && d->digit[i - 1] == '9')
		d->digit[--i] = '0';
	if (i > 0) {
		d->digit[i - 1]++;
		return;
	}
	d->digit[0] = '1';
	d->exp10++;
}

/*
 * The fewest digits that read back as @v (> 0). At a power of two the gap
 * below is half the gap above: the rounded decimal can lie below and miss
 * where its upper neighbour of the same length still hits.
 */
static void decimal_shortest(struct decimal *d, double v)
{
	for (int n = 1; n <= DOUBLE_DIGITS; n++) {
		decimal_round(d, v, n);
		if (!(decimal_value(d) < v || decimal_value(d) > v))
			return;
		if (n == DOUBLE_DIGITS)
			return;
		decimal_next(d);
		if (!(decimal_value(d) < v || decimal_value(d) > v))
			return;
	}
}

static void put_zeros(struct wbuf *b, int n)
{
	for (; n > 0; n--)
		wbuf_byte(b, '0');
}

void json_text_double(struct wbuf *b, double v)
{
	struct decimal d;
	int whole;

	if (!isfinite(v)) {
		b->failed = true;
		return;
	}
	if (signbit(v))
		wbuf_byte(b, '-');
	v = fabs(v);
	if (!(v > 0)) {
		wbuf_str(b, "0.0");
		return;
	}
	decimal_shortest(&d, v);
	while (d.n > 1 && d.digit[d.n - 1] == '0')
		d.digit[--d.n] = '\0';
	if (d.exp10 < POSITIONAL_MIN || d.exp10 > POSITIONAL_MAX) {
		wbuf_byte(b, d.digit[0]);
		if (d.n > 1)
			wbuf_fmt(b, ".%s", d.digit + 1);
		wbuf_fmt(b, "e%+d", d.exp10);
		return;
	}
	if (d.exp10 < 0) {
		wbuf_str(b, "0.");
		put_zeros(b, -d.exp10 - 1);
		wbuf_str(b, d.digit);
		return;
	}
	whole = d.exp10 + 1;
	wbuf_put(b, d.digit, (size_t)(whole < d.n ? whole : d.n));
	put_zeros(b, whole - d.n);
	wbuf_byte(b, '.');
	wbuf_str(b, whole < d.n ? d.digit + whole : "0");
}

void json_out_init(struct json_out *j, struct wbuf *b, bool sorted)
{
	/* a level is cleared when it is opened */
	j->b = b;
	j->sorted = sorted;
	j->depth = 0;
	j->comma[0] = false;
	j->name_at[0] = j->name_len[0] = 0;
}

/* Before a value or a name; a name clears the flag for its value. */
static void put_comma(struct json_out *j)
{
	if (j->comma[j->depth])
		wbuf_byte(j->b, ',');
	j->comma[j->depth] = true;
}

static void open_level(struct json_out *j, char bracket)
{
	put_comma(j);
	if (j->depth + 1 >= JSON_OUT_DEPTH) {
		j->b->failed = true;
		return;
	}
	wbuf_byte(j->b, bracket);
	j->depth++;
	j->comma[j->depth] = false;
	j->name_at[j->depth] = 0;
	j->name_len[j->depth] = 0;
}

void json_out_object(struct json_out *j)
{
	open_level(j, '{');
}

void json_out_array(struct json_out *j)
{
	open_level(j, '[');
}

void json_out_end(struct json_out *j, char bracket)
{
	/* after a failed open the levels no longer match: nothing to save */
	if (j->depth == 0 || j->b->failed) {
		j->b->failed = true;
		return;
	}
	wbuf_byte(j->b, bracket);
	j->depth--;
}

/* The next byte of an escaped name as we wrote it; advances @p. */
static int unescape_next(const char **p)
{
	char c = *(*p)++;

	if (c != '\\')
		return (unsigned char)c;
	c = *(*p)++;
	switch (c) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'u': {
		char hex[3] = { (*p)[2], (*p)[3], '\0' };

		*p += 4;
		return (int)strtol(hex, NULL, 16);
	}
	default:
		return (unsigned char)c;
	}
}

/* Names are ordered by their bytes, but the buffer holds them escaped. */
static bool is_above_last(const struct json_out *j, struct slice name)
{
	const char *p = j->b->p + j->name_at[j->depth];
	const char *end = p + j->name_len[j->depth];

	if (j->name_at[j->depth] == 0)
		return true;
	for (size_t i = 0; i < name.n; i++) {
		int last;

		if (p == end)
			return true;
		last = unescape_next(&p);
		if (last != (unsigned char)name.p[i])
			return last < (unsigned char)name.p[i];
	}
	return false;
}

void json_out_key_slice(struct json_out *j, struct slice name)
{
	size_t at;

	if (j->b->failed)
		return;
	if (j->sorted && !is_above_last(j, name)) {
		j->b->failed = true;
		return;
	}
	put_comma(j);
	wbuf_byte(j->b, '"');
	at = j->b->len;
	put_escaped(j->b, name);
	j->name_at[j->depth] = at;
	j->name_len[j->depth] = j->b->len - at;
	wbuf_put(j->b, "\":", 2);
	j->comma[j->depth] = false;
}

void json_out_key(struct json_out *j, const char *name)
{
	json_out_key_slice(j, slice_of(name));
}

void json_out_slice(struct json_out *j, struct slice s)
{
	put_comma(j);
	json_text_string(j->b, s);
}

void json_out_str(struct json_out *j, const char *s)
{
	json_out_slice(j, slice_of(s));
}

void json_out_u64(struct json_out *j, uint64_t v)
{
	put_comma(j);
	wbuf_fmt(j->b, "%llu", (unsigned long long)v);
}

void json_out_i64(struct json_out *j, int64_t v)
{
	put_comma(j);
	wbuf_fmt(j->b, "%lld", (long long)v);
}

void json_out_double(struct json_out *j, double v)
{
	put_comma(j);
	json_text_double(j->b, v);
}

void json_out_bool(struct json_out *j, bool v)
{
	put_comma(j);
	wbuf_str(j->b, v ? "true" : "false");
}

void json_out_null(struct json_out *j)
{
	put_comma(j);
	wbuf_str(j->b, "null");
}

void json_out_raw(struct json_out *j, struct slice text)
{
	put_comma(j);
	wbuf_slice(j->b, text);
}

void json_out_kstr(struct json_out *j, const char *name, const char *s)
{
	json_out_key(j, name);
	json_out_str(j, s);
}

void json_out_kstr_or_null(struct json_out *j, const char *name, const char *s)
{
	json_out_key(j, name);
	if (s)
		json_out_str(j, s);
	else
		json_out_null(j);
}

void json_out_kstr_opt(struct json_out *j, const char *name, const char *s)
{
	if (s)
		json_out_kstr(j, name, s);
}

void json_out_ku64(struct json_out *j, const char *name, uint64_t v)
{
	json_out_key(j, name);
	json_out_u64(j, v);
}

void json_out_ki64(struct json_out *j, const char *name, int64_t v)
{
	json_out_key(j, name);
	json_out_i64(j, v);
}

void json_out_kbool(struct json_out *j, const char *name, bool v)
{
	json_out_key(j, name);
	json_out_bool(j, v);
}

void json_out_knull(struct json_out *j, const char *name)
{
	json_out_key(j, name);
	json_out_null(j);
}
