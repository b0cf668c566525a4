/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Strict base64url and hex; plain table code, sizes checked before writing. */
#include "wire/b64.h"

#include <string.h>

#include "base/ascii.h"

static const char url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "abcdefghijklmnopqrstuvwxyz0123456789-_";

size_t b64_std_len(size_t n)
{
	return n / 3 * 4 + (n % 3 ? 4 : 0);
}

void b64_put(struct wbuf *b, const uint8_t *p, size_t n)
{
	const size_t at = b->len;

	b64url_put(b, p, n);
	for (size_t i = at; i < b->len; i++)
		if (b->p[i] == '-' || b->p[i] == '_')
			b->p[i] = b->p[i] == '-' ? '+' : '/';
	while (!b->failed && (b->len - at) % 4)
		wbuf_byte(b, '=');
}

void b64url_put(struct wbuf *b, const uint8_t *p, size_t n)
{
	char *out = wbuf_extend(b, n / 3 * 4 + (n % 3 ? n % 3 + 1 : 0));

	for (; out && n; p += n < 3 ? n : 3, n -= n < 3 ? n : 3) {
		uint32_t v = (uint32_t)p[0] << 16;

		if (n > 1)
			v |= (uint32_t)p[1] << 8;
		if (n > 2)
			v |= p[2];
		for (unsigned i = 0; i <= (n < 3 ? n : 3); i++)
			*out++ = url_alphabet[v >> (18 - 6 * i) & 63];
	}
}

static int url_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

ssize_t b64url_get(uint8_t *dst, size_t cap, struct slice s)
{
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t len = 0;

	while (s.n && s.p[s.n - 1] == '=')
		s.n--;
	if (s.n % 4 == 1)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		int v = url_value(s.p[i]);

		if (v < 0)
			return -1;
		acc = (acc << 6 | (uint32_t)v) & 0xffff;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (len == cap)
			return -1;
		dst[len++] = (uint8_t)(acc >> bits);
	}
	/* two spellings of one value would be two signatures of one text */
	if (acc & ((1u << bits) - 1))
		return -1;
	return (ssize_t)len;
}

void hex_text(char *buf, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf[2 * i] = ascii_hex_digit(p[i] >> 4u);
		buf[2 * i + 1] = ascii_hex_digit(p[i]);
	}
	buf[2 * n] = '\0';
}
