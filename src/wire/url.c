/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Scheme, host and port of a URL, by the rules of the WHATWG parser. */
#include "wire/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "wire/punycode.h"

static bool is_slash(char c)
{
	return c == '/' || c == '\\';
}

/* Outer controls and spaces off, tabs and line ends out */
static int strip(struct slice s, char buf[URL_TEXT_MAX], size_t *ret_n)
{
	size_t n = 0;

	while (s.n && (unsigned char)s.p[s.n - 1] <= ' ')
		s.n--;
	while (s.n && (unsigned char)s.p[0] <= ' ')
		s = (struct slice){ s.p + 1, s.n - 1 };
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\t' || s.p[i] == '\n' || s.p[i] == '\r')
			continue;
		if (n == URL_TEXT_MAX)
			return -EINVAL;
		buf[n++] = s.p[i];
	}
	*ret_n = n;
	return 0;
}

static int take_scheme(struct slice *s, struct url *u)
{
	size_t n = 0;

	if (s->n == 0 || !ascii_is_alpha(s->p[0]))
		return -EINVAL;
	while (n < s->n &&
	       (ascii_is_alpha(s->p[n]) || ascii_is_digit(s->p[n]) ||
		s->p[n] == '+' || s->p[n] == '-' || s->p[n] == '.'))
		n++;
	if (n == s->n || s->p[n] != ':')
		return -EINVAL;
	if (n < sizeof(u->scheme))
		for (size_t i = 0; i < n; i++)
			u->scheme[i] = ascii_lower(s->p[i]);
	else
		(void)snprintf(u->scheme, sizeof(u->scheme), "other");
	*s = (struct slice){ s->p + n + 1, s->n - n - 1 };
	return 0;
}

/* One part of an IPv4 address: decimal, 0octal or 0xhex */
static bool take_number(struct slice part, uint64_t *ret_v)
{
	unsigned base = 10;
	uint64_t v = 0;

	if (part.n >= 2 && part.p[0] == '0') {
		bool is_hex = ascii_lower(part.p[1]) == 'x';

		base = is_hex ? 16 : 8;
		part.p += is_hex ? 2 : 1;
		part.n -= is_hex ? 2 : 1;
	}
	for (size_t i = 0; i < part.n; i++) {
		int d = ascii_hex(part.p[i]);

		if (d < 0 || (unsigned)d >= base)
			return false;
		v = v * base + (unsigned)d;
		if (v > UINT32_MAX)
			v = (uint64_t)UINT32_MAX + 1;
	}
	*ret_v = v;
	return true;
}

static struct slice last_part(struct slice s)
{
	size_t from;

	if (s.n && s.p[s.n - 1] == '.')
		s.n--;
	for (from = s.n; from && s.p[from - 1] != '.'; from--)
		;
	return (struct slice){ s.p + from, s.n - from };
}

static bool ends_in_number(struct slice s)
{
	struct slice last = last_part(s);
	bool digits = last.n > 0;
	uint64_t v;

	for (size_t i = 0; i < last.n; i++)
		digits = digits && ascii_is_digit(last.p[i]);
	return digits || (last.n >= 2 && ascii_lower(last.p[1]) == 'x' &&
			  take_number(last, &v));
}

/* The last part fills all bytes the others leave: 127.1 is 127.0.0.1 */
static int put_ipv4(struct slice s, char *host)
{
	uint64_t part[4], addr;
	size_t n = 0;

	if (s.n && s.p[s.n - 1] == '.')
		s.n--;
	for (bool more = true; more; n++) {
		size_t len = 0;

		while (len < s.n && s.p[len] != '.')
			len++;
		if (n == 4 || len == 0 ||
		    !take_number((struct slice){ s.p, len }, &part[n]))
			return -EINVAL;
		more = len < s.n;
		s = (struct slice){ s.p + len + more, s.n - len - more };
	}
	addr = part[n - 1];
	if (addr >> (8 * (5 - n)))
		return -EINVAL;
	for (size_t i = 0; i + 1 < n; i++) {
		if (part[i] > 255)
			return -EINVAL;
		addr |= part[i] << (8 * (3 - i));
	}
	(void)snprintf(host, URL_HOST_MAX + 1, "%u.%u.%u.%u",
		       (unsigned)(addr >> 24 & 255),
		       (unsigned)(addr >> 16 & 255),
		       (unsigned)(addr >> 8 & 255), (unsigned)(addr & 255));
	return 0;
}

/* The longest run of two or more zero pieces, the first of equals */
static int zero_run(const uint16_t piece[8], int *ret_len)
{
	int best = -1, best_len = 1;

	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && piece[i + n] == 0)
			n++;
		if (n > best_len) {
			best = i;
			best_len = n;
		}
	}
	*ret_len = best_len;
	return best;
}

static int put_ipv6(struct slice s, char *host)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t a[16];
	uint16_t piece[8];
	size_t len = 0;
	int zeros, zeros_len;

	if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n))
		return -EINVAL;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(AF_INET6, text, a) != 1)
		return -EINVAL;
	for (int i = 0; i < 8; i++)
		piece[i] = (uint16_t)(a[2 * i] << 8 | a[2 * i + 1]);
	zeros = zero_run(piece, &zeros_len);
	host[len++] = '[';
	for (int i = 0; i < 8; i++) {
		if (i == zeros) {
			len += (size_t)snprintf(host + len, 3, "%s",
						i ? ":" : "::");
			i += zeros_len - 1;
			continue;
		}
		len += (size_t)snprintf(host + len, 6, "%x%s",
					(unsigned)piece[i], i < 7 ? ":" : "");
	}
	(void)snprintf(host + len, 2, "]");
	return 0;
}

/* Forbidden domain code points of the WHATWG text */
static bool is_forbidden(char c)
{
	return (unsigned char)c <= ' ' || c == 0x7f ||
	       strchr("#/:<>?@[\\]^|%", c) != NULL;
}

static size_t percent_decode(struct slice s, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && s.n - i > 2 &&
		    ascii_hex(s.p[i + 1]) >= 0 && ascii_hex(s.p[i + 2]) >= 0) {
			out[n++] = (char)(ascii_hex(s.p[i + 1]) << 4 |
					  ascii_hex(s.p[i + 2]));
			i += 2;
		} else {
			out[n++] = s.p[i];
		}
	}
	return n;
}

static int put_host(struct slice s, char *host)
{
	char decoded[URL_TEXT_MAX];
	struct slice ascii;
	int n;

	if (s.n && s.p[0] == '[') {
		if (s.p[s.n - 1] != ']')
			return -EINVAL;
		return put_ipv6((struct slice){ s.p + 1, s.n - 2 }, host);
	}
	n = punycode_host((struct slice){ decoded, percent_decode(s, decoded) },
			  host, URL_HOST_MAX);
	if (n <= 0)
		return -EINVAL;
	host[n] = '\0';
	for (int i = 0; i < n; i++)
		if (is_forbidden(host[i]))
			return -EINVAL;
	ascii = (struct slice){ host, (size_t)n };
	if (!ends_in_number(ascii))
		return 0;
	memcpy(decoded, host, (size_t)n);
	return put_ipv4((struct slice){ decoded, (size_t)n }, host);
}

static int put_port(struct slice s, struct url *u)
{
	unsigned v = 0;

	if (s.n == 0) {
		u->port = strcmp(u->scheme, "https") == 0 ? 443 : 80;
		return 0;
	}
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]))
			return -EINVAL;
		v = v * 10 + (unsigned)(s.p[i] - '0');
		if (v > UINT16_MAX)
			return -EINVAL;
	}
	u->port = (uint16_t)v;
	return 0;
}

/* [userinfo "@"] host [":" port]; the last '@' counts */
static int put_authority(struct slice s, struct url *u)
{
	size_t colon;
	bool in_brackets = false;

	for (size_t i = s.n; i > 0; i--) {
		if (s.p[i - 1] != '@')
			continue;
		s = (struct slice){ s.p + i, s.n - i };
		break;
	}
	colon = s.n;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '[')
			in_brackets = true;
		else if (s.p[i] == ']')
			in_brackets = false;
		else if (s.p[i] == ':' && !in_brackets) {
			colon = i;
			break;
		}
	}
	if (colon == 0 || put_host((struct slice){ s.p, colon }, u->host))
		return -EINVAL;
	if (colon == s.n)
		return put_port((struct slice){ NULL, 0 }, u);
	return put_port((struct slice){ s.p + colon + 1, s.n - colon - 1 }, u);
}

int url_parse(struct slice text, struct url *ret_u)
{
	char buf[URL_TEXT_MAX];
	struct url u = { 0 };
	struct slice s = { buf, 0 };
	size_t n = 0;

	if (strip(text, buf, &s.n) || take_scheme(&s, &u))
		return -EINVAL;
	u.is_http =
		strcmp(u.scheme, "http") == 0 || strcmp(u.scheme, "https") == 0;
	if (!u.is_http) {
		*ret_u = u;
		return 0;
	}
	while (s.n && is_slash(s.p[0]))
		s = (struct slice){ s.p + 1, s.n - 1 };
	while (n < s.n && !is_slash(s.p[n]) && s.p[n] != '?' && s.p[n] != '#')
		n++;
	if (put_authority((struct slice){ s.p, n }, &u))
		return -EINVAL;
	for (; n < s.n && s.p[n] != '#'; n++)
		u.has_query = u.has_query || s.p[n] == '?';
	u.has_fragment = n < s.n;
	*ret_u = u;
	return 0;
}
