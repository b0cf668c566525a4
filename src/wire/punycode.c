/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The encoder of RFC 3492, and the few mappings it is given. */
#include "wire/punycode.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	LABEL_MAX = 63, /* code points; the encoded label is longer */
	BASE = 36,
	TMIN = 1,
	TMAX = 26,
	SKEW = 38,
	DAMP = 700,
	FIRST_BIAS = 72,
	FIRST_N = 128
};

struct out {
	char *p;
	size_t len, max;
	bool failed;
};

static void put(struct out *o, char c)
{
	if (o->len == o->max)
		o->failed = true;
	else
		o->p[o->len++] = c;
}

/* One code point, or -1; overlong forms decode to ASCII and are refused */
static int32_t take(struct slice *s)
{
	const unsigned char *p = (const unsigned char *)s->p;
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : 3;
	uint32_t c = p[0];

	if (n > s->n || (n > 1 && p[0] < 0xc2) || p[0] > 0xef)
		return -1;
	if (n > 1)
		c &= n == 2 ? 0x1f : 0x0f;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return -1;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (n == 3 && c < 0x800)
		return -1;
	*s = (struct slice){ s->p + n, s->n - n };
	return (int32_t)c;
}

/* To lower case, or -1 for what we have no mapping for */
static int32_t map(int32_t c)
{
	static const struct {
		int32_t from, to, add;
	} known[] = {
		{ 0x00, 0x40, 0 },     { 'A', 'Z', 32 },
		{ 0x5b, 0x7f, 0 },     { 0xc0, 0xd6, 32 },
		{ 0xd8, 0xde, 32 },    { 0xdf, 0xf6, 0 },
		{ 0xf8, 0xff, 0 },     { 0x391, 0x3a1, 32 },
		{ 0x3a3, 0x3ab, 32 },  { 0x3ac, 0x3ce, 0 },
		{ 0x400, 0x40f, 80 },  { 0x410, 0x42f, 32 },
		{ 0x430, 0x45f, 0 },   { 0x3041, 0x3096, 0 },
		{ 0x30a1, 0x30fa, 0 }, { 0x30fc, 0x30fc, 0 },
		{ 0x4e00, 0x9fff, 0 }, { 0xac00, 0xd7a3, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (c >= known[i].from && c <= known[i].to)
			return c + known[i].add;
	return -1;
}

static uint32_t adapt(uint32_t delta, uint32_t points, bool is_first)
{
	uint32_t k = 0;

	delta = is_first ? delta / DAMP : delta / 2;
	delta += delta / points;
	for (; delta > (BASE - TMIN) * TMAX / 2; k += BASE)
		delta /= BASE - TMIN;
	return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

static void put_delta(struct out *o, uint32_t q, uint32_t bias)
{
	for (uint32_t k = BASE;; k += BASE) {
		uint32_t t = k <= bias		? TMIN
			     : k >= bias + TMAX ? TMAX
						: k - bias;
		uint32_t d = q < t ? q : t + (q - t) % (BASE - t);

		put(o, (char)(d < 26 ? 'a' + d : '0' + (d - 26)));
		if (q < t)
			return;
		q = (q - t) / (BASE - t);
	}
}

/* No sum overflows: 63 code points below 2^16 */
static void encode(struct out *o, const int32_t *c, uint32_t n)
{
	uint32_t basic = 0, done, delta = 0, bias = FIRST_BIAS;
	int32_t at = FIRST_N;

	for (uint32_t i = 0; i < n; i++) {
		if (c[i] >= FIRST_N)
			continue;
		put(o, (char)c[i]);
		basic++;
	}
	if (basic)
		put(o, '-');
	for (done = basic; done < n; delta++, at++) {
		int32_t next = INT32_MAX;

		for (uint32_t i = 0; i < n; i++)
			if (c[i] >= at && c[i] < next)
				next = c[i];
		delta += (uint32_t)(next - at) * (done + 1);
		at = next;
		for (uint32_t i = 0; i < n; i++) {
			if (c[i] < at)
				delta++;
			if (c[i] != at)
				continue;
			put_delta(o, delta, bias);
			bias = adapt(delta, done + 1, done == basic);
			delta = 0;
			done++;
		}
	}
}

static bool put_label(struct out *o, const int32_t *c, uint32_t n)
{
	bool is_ascii = true;

	for (uint32_t i = 0; i < n; i++)
		is_ascii = is_ascii && c[i] < FIRST_N;
	for (uint32_t i = 0; is_ascii && i < n; i++)
		put(o, (char)c[i]);
	if (is_ascii)
		return true;
	if (n > LABEL_MAX)
		return false;
	for (const char *p = "xn--"; *p; p++)
		put(o, *p);
	encode(o, c, n);
	return true;
}

int punycode_host(struct slice s, char *out, size_t max)
{
	struct out o = { out, 0, max, false };
	int32_t label[256];
	uint32_t n = 0;

	while (s.n) {
		int32_t c = take(&s);

		c = c < 0 ? -1 : map(c);
		if (c < 0 || n == ARRAY_SIZE(label))
			return -1;
		if (c != '.') {
			label[n++] = c;
			continue;
		}
		if (!put_label(&o, label, n))
			return -1;
		put(&o, '.');
		n = 0;
	}
	if (!put_label(&o, label, n) || o.failed)
		return -1;
	return (int)o.len;
}
