/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Addresses: text, networks and what they are set aside for. */
#include "wire/ip.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>

#include "base/ascii.h"

enum { V4_BYTES = 4, V6_BYTES = 16, V6_GROUPS = 8, GROUP_DIGITS = 4 };

/* One spelling a number: "010" is eight to inet_aton and ten to others. */
static bool take_decimal(struct slice *s, unsigned max, uint8_t *ret)
{
	unsigned v = 0;
	size_t n = 0;

	for (; n < s->n && n < 3 && ascii_is_digit(s->p[n]); n++)
		v = v * 10 + (unsigned)(s->p[n] - '0');
	if (n == 0 || (n > 1 && s->p[0] == '0') || v > max)
		return false;
	*ret = (uint8_t)v;
	s->p += n;
	s->n -= n;
	return true;
}

static bool take_char(struct slice *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	s->p++;
	s->n--;
	return true;
}

static bool parse_quad(struct slice s, uint8_t *b)
{
	for (size_t i = 0; i < V4_BYTES; i++)
		if ((i && !take_char(&s, '.')) ||
		    !take_decimal(&s, UINT8_MAX, &b[i]))
			return false;
	return s.n == 0;
}

static size_t take_group(struct slice *s, unsigned *ret)
{
	size_t n = 0;

	*ret = 0;
	for (; n < s->n && n < GROUP_DIGITS && ascii_hex(s->p[n]) >= 0; n++)
		*ret = *ret << 4 | (unsigned)ascii_hex(s->p[n]);
	s->p += n;
	s->n -= n;
	return n;
}

/* "::" may stand once and for one group or more (RFC 4291 2.2). */
static bool parse_v6(struct slice s, uint8_t *b)
{
	size_t at = 0, gap = SIZE_MAX;

	if (s.n >= 2 && s.p[0] == ':' && s.p[1] == ':') {
		gap = 0;
		s = (struct slice){ s.p + 2, s.n - 2 };
	}
	while (s.n || gap != at) {
		struct slice group = s;
		unsigned v;

		if (at == V6_BYTES || take_group(&s, &v) == 0)
			return false;
		if (s.n && s.p[0] == '.') {
			if (V6_BYTES - at < V4_BYTES ||
			    !parse_quad(group, b + at))
				return false;
			at += V4_BYTES;
			break;
		}
		b[at++] = (uint8_t)(v >> 8);
		b[at++] = (uint8_t)v;
		if (s.n == 0)
			break;
		if (!take_char(&s, ':'))
			return false;
		if (!take_char(&s, ':'))
			continue;
		if (gap != SIZE_MAX)
			return false;
		gap = at;
	}
	if (gap == SIZE_MAX || at == V6_BYTES)
		return gap == SIZE_MAX && at == V6_BYTES;
	memmove(b + V6_BYTES - (at - gap), b + gap, at - gap);
	memset(b + gap, 0, V6_BYTES - at);
	return true;
}

int ip_parse(struct slice s, struct ip_addr *ret)
{
	struct ip_addr a = { .family = 4 };

	if (s.n && memchr(s.p, ':', s.n)) {
		a.family = 6;
		if (!parse_v6(s, a.b))
			return -EINVAL;
	} else if (!parse_quad(s, a.b)) {
		return -EINVAL;
	}
	*ret = a;
	return 0;
}

static unsigned bits_of(const struct ip_addr *a)
{
	return a->family == 4 ? 8 * V4_BYTES : 8 * V6_BYTES;
}

/* The first @prefix bits of @a, zeros behind. */
static struct ip_addr masked(const struct ip_addr *a, unsigned prefix)
{
	struct ip_addr m = { .family = a->family };
	unsigned whole = prefix / 8;

	memcpy(m.b, a->b, whole);
	if (prefix % 8)
		m.b[whole] = (uint8_t)(a->b[whole] & 0xff00 >> prefix % 8);
	return m;
}

int ip_net_parse(struct slice s, struct ip_net *ret)
{
	const char *slash = s.n ? memchr(s.p, '/', s.n) : NULL;
	struct slice text = s, rest = { NULL, 0 };
	struct ip_net net;
	struct ip_addr m;

	if (slash) {
		text.n = (size_t)(slash - s.p);
		rest = (struct slice){ slash + 1, s.n - text.n - 1 };
	}
	if (ip_parse(text, &net.addr))
		return -EINVAL;
	net.prefix = (uint8_t)bits_of(&net.addr);
	if (slash && (!take_decimal(&rest, net.prefix, &net.prefix) || rest.n))
		return -EINVAL;
	m = masked(&net.addr, net.prefix);
	if (!ip_equal(&m, &net.addr))
		return -EINVAL;
	*ret = net;
	return 0;
}

/* RFC 5952 4.2.3: of equal runs the first; one group is no run */
static size_t longest_zeros(const unsigned *group, size_t *ret_n)
{
	size_t best = 0;

	*ret_n = 0;
	for (size_t i = 0; i < V6_GROUPS; i++) {
		size_t n = 0;

		while (i + n < V6_GROUPS && group[i + n] == 0)
			n++;
		if (n > *ret_n) {
			best = i;
			*ret_n = n;
		}
		i += n;
	}
	if (*ret_n == 1)
		*ret_n = 0;
	return best;
}

static void text_v6(char *buf, const uint8_t *b)
{
	unsigned group[V6_GROUPS];
	size_t gap, gap_n, n = 0;

	for (size_t i = 0; i < V6_GROUPS; i++)
		group[i] = (unsigned)b[2 * i] << 8 | b[2 * i + 1];
	gap = longest_zeros(group, &gap_n);
	for (size_t i = 0; i < V6_GROUPS; i++) {
		if (gap_n && i == gap) {
			n += (size_t)snprintf(buf + n, IP_TEXT_SIZE - n, "::");
			i += gap_n - 1;
			continue;
		}
		n += (size_t)snprintf(buf + n, IP_TEXT_SIZE - n, "%s%x",
				      n && buf[n - 1] != ':' ? ":" : "",
				      group[i]);
	}
}

const char *ip_text(char *buf, const struct ip_addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
	const uint8_t *b = a->b;

	buf[0] = '\0';
	if (a->family == 4)
		(void)snprintf(buf, IP_TEXT_SIZE, "%u.%u.%u.%u", b[0], b[1],
			       b[2], b[3]);
	else if (a->family == 6 && memcmp(b, mapped, sizeof(mapped)) == 0)
		(void)snprintf(buf, IP_TEXT_SIZE, "::ffff:%u.%u.%u.%u", b[12],
			       b[13], b[14], b[15]);
	else if (a->family == 6)
		text_v6(buf, b);
	return buf;
}

bool ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a->b, sizeof(x));
	memcpy(y, b->b, sizeof(y));
	return a->family == b->family && x[0] == y[0] && x[1] == y[1];
}

/* Bits that differ are looked for in halves: the gate asks for every flow. */
bool ip_in_net(const struct ip_addr *a, const struct ip_net *n)
{
	uint64_t x[2], y[2];

	memcpy(x, a->b, sizeof(x));
	memcpy(y, n->addr.b, sizeof(y));
	if (a->family != n->addr.family)
		return false;
	if (n->prefix <= 64)
		return !n->prefix ||
		       be64toh(x[0] ^ y[0]) >> (64 - n->prefix) == 0;
	return x[0] == y[0] && be64toh(x[1] ^ y[1]) >> (128 - n->prefix) == 0;
}

int ip_of_sockaddr(const void *sa, struct ip_addr *ret, uint16_t *ret_port)
{
	struct ip_addr a = { 0 };
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
	sa_family_t family;

	memcpy(&family, (const char *)sa + offsetof(struct sockaddr, sa_family),
	       sizeof(family));
	if (family == AF_INET) {
		memcpy(&v4, sa, sizeof(v4));
		a.family = 4;
		memcpy(a.b, &v4.sin_addr, V4_BYTES);
		*ret_port = ntohs(v4.sin_port);
	} else if (family == AF_INET6) {
		memcpy(&v6, sa, sizeof(v6));
		a.family = 6;
		memcpy(a.b, &v6.sin6_addr, V6_BYTES);
		*ret_port = ntohs(v6.sin6_port);
	} else {
		return -EAFNOSUPPORT;
	}
	*ret = a;
	return 0;
}

socklen_t ip_sockaddr(const struct ip_addr *a, uint16_t port,
		      struct sockaddr_storage *ret)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port) };

	memset(ret, 0, sizeof(*ret));
	if (a->family == 4) {
		memcpy(&v4.sin_addr, a->b, V4_BYTES);
		memcpy(ret, &v4, sizeof(v4));
		return sizeof(v4);
	}
	memcpy(&v6.sin6_addr, a->b, V6_BYTES);
	memcpy(ret, &v6, sizeof(v6));
	return sizeof(v6);
}

#define BYTES(w) (uint8_t)((w) >> 8), (uint8_t)(w)
#define V4(a, b, c, d, bits)                          \
	{                                             \
		{ 4, { (a), (b), (c), (d) } }, (bits) \
	}
#define V6(a, b, c, d, e, f, g, h, bits)                              \
	{                                                             \
		{ 6,                                                  \
		  { BYTES(a), BYTES(b), BYTES(c), BYTES(d), BYTES(e), \
		    BYTES(f), BYTES(g), BYTES(h) } },                 \
			(bits)                                        \
	}

/* The first that holds the address says what it is. */
static const struct {
	struct ip_net net;
	enum ip_class class;
} nets[] = {
	/* clang-format off */
	{ V4(100, 100, 100, 200, 32), IP_METADATA },
	{ V4(168, 63, 129, 16, 32), IP_METADATA },
	{ V6(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254, 128), IP_METADATA },
	{ V4(0, 0, 0, 0, 8), IP_UNSPECIFIED },
	{ V4(127, 0, 0, 0, 8), IP_LOOPBACK },
	{ V4(169, 254, 0, 0, 16), IP_LINK_LOCAL },
	{ V4(224, 0, 0, 0, 4), IP_MULTICAST },
	{ V4(240, 0, 0, 0, 4), IP_MULTICAST },
	{ V4(10, 0, 0, 0, 8), IP_PRIVATE },
	{ V4(172, 16, 0, 0, 12), IP_PRIVATE },
	{ V4(192, 168, 0, 0, 16), IP_PRIVATE },
	{ V4(100, 64, 0, 0, 10), IP_SHARED },
	{ V4(192, 0, 0, 192, 32), IP_METADATA },
	{ V4(192, 0, 0, 0, 24), IP_SHARED },
	{ V4(198, 18, 0, 0, 15), IP_SHARED },
	{ V6(0, 0, 0, 0, 0, 0, 0, 0, 128), IP_UNSPECIFIED },
	{ V6(0, 0, 0, 0, 0, 0, 0, 1, 128), IP_LOOPBACK },
	{ V6(0, 0, 0, 0, 0, 0xffff, 0, 0, 96), IP_MAPPED },
	{ V6(0, 0, 0, 0, 0, 0, 0, 0, 96), IP_MAPPED },
	{ V6(0xfe80, 0, 0, 0, 0, 0, 0, 0, 10), IP_LINK_LOCAL },
	{ V6(0xff00, 0, 0, 0, 0, 0, 0, 0, 8), IP_MULTICAST },
	{ V6(0xfc00, 0, 0, 0, 0, 0, 0, 0, 7), IP_PRIVATE },
	{ V6(0xfec0, 0, 0, 0, 0, 0, 0, 0, 10), IP_PRIVATE },
	{ V6(0x64, 0xff9b, 0, 0, 0, 0, 0, 0, 96), IP_TRANSLATED },
	{ V6(0x64, 0xff9b, 1, 0, 0, 0, 0, 0, 48), IP_TRANSLATED },
	{ V6(0x2002, 0, 0, 0, 0, 0, 0, 0, 16), IP_TRANSLATED },
	{ V6(0x2001, 0, 0, 0, 0, 0, 0, 0, 32), IP_TRANSLATED },
	/* clang-format on */
};

enum ip_class ip_class(const struct ip_addr *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(nets); i++)
		if (ip_in_net(a, &nets[i].net))
			return nets[i].class;
	return a->family ? IP_ORDINARY : IP_UNSPECIFIED;
}

const char *ip_class_word(enum ip_class c)
{
	static const char *const words[IP_CLASS_NUM] = {
		[IP_ORDINARY] = "ordinary", [IP_UNSPECIFIED] = "unspecified",
		[IP_LOOPBACK] = "loopback", [IP_LINK_LOCAL] = "link-local",
		[IP_METADATA] = "metadata", [IP_MULTICAST] = "multicast",
		[IP_PRIVATE] = "private",   [IP_SHARED] = "shared",
		[IP_MAPPED] = "v4-mapped",  [IP_TRANSLATED] = "translated",
	};

	return (unsigned)c < IP_CLASS_NUM ? words[c] : "";
}
