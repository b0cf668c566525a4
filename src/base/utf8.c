/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which bytes are UTF-8, and which characters cannot be printed. */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

#include "base/attr.h"

size_t utf8_len(const char *p, size_t left)
{
	const unsigned char *s = (const unsigned char *)p;
	unsigned char lo = 0x80, hi = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (left < n)
		return 0;
	if (s[0] == 0xe0)
		lo = 0xa0;
	else if (s[0] == 0xed)
		hi = 0x9f; /* surrogates */
	else if (s[0] == 0xf0)
		lo = 0x90;
	else if (s[0] == 0xf4)
		hi = 0x8f;
	if (s[1] < lo || s[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool utf8_is_text(const char *s)
{
	size_t left = strlen(s), n;

	for (; left; s += n, left -= n) {
		n = utf8_len(s, left);
		if (n == 0)
			return false;
	}
	return true;
}

/* Controls, format characters, spaces other than ' ', private use, tags */
static bool is_printable(uint32_t c)
{
	static const uint32_t hidden[][2] = {
		{ 0x00, 0x1f },	       { 0x7f, 0xa0 },	   { 0xad, 0xad },
		{ 0x600, 0x605 },      { 0x61c, 0x61c },   { 0x1680, 0x1680 },
		{ 0x180e, 0x180e },    { 0x2000, 0x200f }, { 0x2028, 0x202f },
		{ 0x205f, 0x206f },    { 0x3000, 0x3000 }, { 0xd800, 0xf8ff },
		{ 0xfeff, 0xfeff },    { 0xfff0, 0xfffb }, { 0xfffe, 0xffff },
		{ 0xe0000, 0x10ffff },
	};

	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		if (c >= hidden[i][0] && c <= hidden[i][1])
			return false;
	return true;
}

/* Of a well-formed sequence of @n bytes */
static uint32_t code_point(const char *p, size_t n)
{
	unsigned char first = (unsigned char)p[0];
	uint32_t c = n == 1 ? first : first & (0x7fu >> n);

	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)p[i] & 0x3f);
	return c;
}

size_t utf8_show(const char *p, size_t left, char shown[UTF8_SHOWN])
{
	size_t n = utf8_len(p, left);
	uint32_t c = n ? code_point(p, n) : (unsigned char)*p;
	char letter = c == '\n'	  ? 'n'
		      : c == '\r' ? 'r'
		      : c == '\t' ? 't'
		      : c == 0	  ? '0'
				  : 0;

	if (letter)
		(void)snprintf(shown, UTF8_SHOWN, "\\%c", letter);
	else if (n && is_printable(c))
		(void)snprintf(shown, UTF8_SHOWN, "%.*s", (int)n, p);
	else
		(void)snprintf(shown, UTF8_SHOWN, "\\u{%x}", (unsigned)c);
	return n ? n : 1;
}

void utf8_print(FILE *f, const char *s)
{
	size_t left = strlen(s), n;
	char shown[UTF8_SHOWN];

	for (; left; s += n, left -= n) {
		n = utf8_show(s, left, shown);
		(void)fputs(shown, f);
	}
}
