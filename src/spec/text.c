/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Values from a document made fit for one line of a message. */
#include "spec/text.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

uint32_t text_next(struct slice *s)
{
	const unsigned char *p = (const unsigned char *)s->p;
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	if (n > s->n)
		n = s->n;
	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3f);
	s->p += n;
	s->n -= n;
	return c;
}

bool text_is_space(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 ||
	       c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
	       c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
	       c == 0x3000;
}

static size_t put_char(char buf[UTF8_SHOWN], char quote, struct slice raw)
{
	if (raw.p[0] == quote || raw.p[0] == '\\')
		return (size_t)snprintf(buf, UTF8_SHOWN, "\\%c", raw.p[0]);
	(void)utf8_show(raw.p, raw.n, buf);
	return strlen(buf);
}

static const char *escape(char *buf, struct slice s, const char *around)
{
	static const char cut[] = "...";
	size_t len = (size_t)snprintf(buf, 2, "%s", around);

	while (s.n) {
		struct slice raw = s;
		char one[UTF8_SHOWN];
		size_t n;

		(void)text_next(&s);
		raw.n -= s.n;
		n = put_char(one, '"', raw);
		if (len + n + sizeof(cut) + 1 > TEXT_QUOTED) {
			memcpy(buf + len, cut, sizeof(cut) - 1);
			len += sizeof(cut) - 1;
			break;
		}
		memcpy(buf + len, one, n);
		len += n;
	}
	(void)snprintf(buf + len, TEXT_QUOTED - len, "%s", around);
	return buf;
}

const char *text_quote(char buf[TEXT_QUOTED], struct slice s)
{
	return escape(buf, s, "\"");
}

const char *text_bare(char buf[TEXT_QUOTED], struct slice s)
{
	return escape(buf, s, "");
}

const char *text_char(char buf[16], uint32_t c)
{
	char utf8[4], one[UTF8_SHOWN];
	size_t n = 0;

	if (c < 0x80) {
		utf8[n++] = (char)c;
	} else if (c < 0x800) {
		utf8[n++] = (char)(0xc0 | c >> 6);
		utf8[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		utf8[n++] = (char)(0xe0 | (c >> 12 & 0x0f));
		utf8[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		utf8[n++] = (char)(0x80 | (c & 0x3f));
	}
	(void)put_char(one, '\'', (struct slice){ utf8, n });
	(void)snprintf(buf, 16, "'%.13s'", one);
	return buf;
}
