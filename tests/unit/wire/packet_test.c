/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packets that are cut where a copy of 64 bytes may cut them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "wire/packet.h"

static const uint8_t tcp4[] = {
	0x45, 0,  0, 60, 0x12, 0x34, 0x40, 0, 64,   6,	  0,	0,
	100,  64, 0, 2,	 203,  0,    113,  7, 0x9c, 0x40, 1,	0xbb,
	0,    0,  0, 1,	 0,    0,    0,	   0, 0xa0, 2,	  0xff, 0xff,
};

/* The fixed header, next header @next, to 2001:db8::7 */
static size_t header6(uint8_t *p, uint8_t next)
{
	static const uint8_t src[16] = { 0xfd, 0x63, [15] = 2 };
	static const uint8_t dst[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 7 };

	memset(p, 0, 40);
	p[0] = 0x60;
	p[6] = next;
	p[7] = 64;
	memcpy(p + 8, src, 16);
	memcpy(p + 24, dst, 16);
	return 40;
}

static size_t extension(uint8_t *p, uint8_t next, uint8_t words)
{
	size_t n = 8 + 8 * (size_t)words;

	memset(p, 0, n);
	p[0] = next;
	p[1] = words;
	return n;
}

static size_t ports(uint8_t *p, uint16_t src, uint16_t dst)
{
	p[0] = (uint8_t)(src >> 8);
	p[1] = (uint8_t)src;
	p[2] = (uint8_t)(dst >> 8);
	p[3] = (uint8_t)dst;
	return 4;
}

static struct packet parsed(const uint8_t *p, size_t n)
{
	struct packet ret;

	assert_int_equal(
		packet_parse((struct slice){ (const char *)p, n }, &ret), 0);
	return ret;
}

static void assert_bad(const uint8_t *p, size_t n)
{
	struct packet ret, was;

	memset(&ret, 0x5a, sizeof(ret));
	was = ret;
	assert_int_equal(
		packet_parse((struct slice){ (const char *)p, n }, &ret),
		-EBADMSG);
	assert_memory_equal(&ret, &was, sizeof(ret));
}

static void ipv4_whole_and_cut(void **state)
{
	static const uint8_t src[16] = { 100, 64, 0, 2 };
	static const uint8_t dst[16] = { 203, 0, 113, 7 };
	struct packet p;

	(void)state;
	for (size_t n = 0; n < 20; n++)
		assert_bad(tcp4, n);
	for (size_t n = 20; n <= sizeof(tcp4); n++) {
		p = parsed(tcp4, n);
		assert_int_equal(p.src.family, 4);
		assert_memory_equal(p.src.b, src, 16);
		assert_int_equal(p.dst.family, 4);
		assert_memory_equal(p.dst.b, dst, 16);
		assert_int_equal(p.protocol, IPPROTO_TCP);
		assert_int_equal(p.has_ports, n >= 24);
		assert_int_equal(p.src_port, n >= 24 ? 40000 : 0);
		assert_int_equal(p.dst_port, n >= 24 ? 443 : 0);
	}
}

static void ipv4_of_every_kind(void **state)
{
	static const struct {
		uint8_t protocol;
		bool has_ports;
	} kinds[] = { { 6, true },    { 17, true },  { 132, true },
		      { 136, true },  { 33, true },  { 1, false },
		      { 47, false },  { 50, false }, { 2, false },
		      { 255, false }, { 0, false } };
	uint8_t b[sizeof(tcp4)];
	struct packet p;

	(void)state;
	memcpy(b, tcp4, sizeof(b));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		b[9] = kinds[i].protocol;
		p = parsed(b, sizeof(b));
		assert_int_equal(p.protocol, kinds[i].protocol);
		assert_int_equal(p.has_ports, kinds[i].has_ports);
	}
}

static void ipv4_fragments_have_no_ports(void **state)
{
	static const struct {
		uint8_t high, low;
		bool has_ports;
	} fields[] = { { 0, 0, true },	   { 0x40, 0, true }, /* DF */
		       { 0x80, 0, true },		      /* reserved */
		       { 0x20, 0, false },		      /* MF */
		       { 0, 1, false },	   { 0x1f, 0xff, false },
		       { 0x60, 0, false } };
	uint8_t b[sizeof(tcp4)];

	(void)state;
	memcpy(b, tcp4, sizeof(b));
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		b[6] = fields[i].high;
		b[7] = fields[i].low;
		assert_int_equal(parsed(b, sizeof(b)).has_ports,
				 fields[i].has_ports);
	}
}

static void ipv4_options_are_stepped_over(void **state)
{
	uint8_t b[64] = { 0 };

	(void)state;
	memcpy(b, tcp4, 20);
	for (uint8_t words = 5; words <= 15; words++) {
		size_t at = (size_t)words * 4;

		b[0] = 0x40 | words;
		memset(b + 20, 1, 40);
		(void)ports(b + at, 7, 81);
		assert_int_equal(parsed(b, at + 4).dst_port, 81);
		assert_false(parsed(b, at + 3).has_ports);
	}
	for (uint8_t words = 0; words < 5; words++) {
		b[0] = 0x40 | words;
		assert_bad(b, sizeof(b));
	}
}

static void ipv6_whole_and_cut(void **state)
{
	uint8_t b[64];
	size_t n = header6(b, IPPROTO_UDP);
	struct packet p;

	(void)state;
	n += ports(b + n, 5000, 443);
	for (size_t i = 0; i < 40; i++)
		assert_bad(b, i);
	for (size_t i = 40; i <= n; i++) {
		p = parsed(b, i);
		assert_int_equal(p.src.family, 6);
		assert_memory_equal(p.src.b, b + 8, 16);
		assert_memory_equal(p.dst.b, b + 24, 16);
		assert_int_equal(p.protocol, IPPROTO_UDP);
		assert_int_equal(p.has_ports, i == n);
		assert_int_equal(p.dst_port, i == n ? 443 : 0);
	}
}

static void ipv6_extensions_are_walked(void **state)
{
	static const uint8_t kinds[] = { 0, 43, 60, 135, 139, 140 };
	uint8_t b[256];
	struct packet p;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds); i++) {
		n = header6(b, kinds[i]);
		n += extension(b + n, IPPROTO_TCP, (uint8_t)(i % 3));
		n += ports(b + n, 1, 80);
		p = parsed(b, n);
		assert_int_equal(p.protocol, IPPROTO_TCP);
		assert_int_equal(p.dst_port, 80);
		/* cut in the extension: its type is all that is known */
		p = parsed(b, 40 + 7);
		assert_int_equal(p.protocol, kinds[i]);
		assert_false(p.has_ports);
	}
	/* the length of an authentication header is counted in words */
	n = header6(b, IPPROTO_AH);
	memset(b + n, 0, 16);
	b[n] = IPPROTO_TCP;
	b[n + 1] = 2;
	n += 16;
	n += ports(b + n, 1, 81);
	p = parsed(b, n);
	assert_int_equal(p.protocol, IPPROTO_TCP);
	assert_int_equal(p.dst_port, 81);
}

static void ipv6_ends_without_ports(void **state)
{
	uint8_t b[256];
	struct packet p;
	size_t n = header6(b, IPPROTO_FRAGMENT);

	(void)state;
	/* a whole packet in a fragment header, even */
	n += extension(b + n, IPPROTO_UDP, 0);
	n += ports(b + n, 1, 53);
	p = parsed(b, n);
	assert_int_equal(p.protocol, IPPROTO_FRAGMENT);
	assert_false(p.has_ports);

	n = header6(b, IPPROTO_NONE);
	n += ports(b + n, 1, 53);
	assert_false(parsed(b, n).has_ports);

	n = header6(b, IPPROTO_ICMPV6);
	n += ports(b + n, 1, 53);
	assert_false(parsed(b, n).has_ports);

	/* eight extensions are walked, a ninth is not */
	for (int k = 8; k <= 9; k++) {
		n = header6(b, IPPROTO_DSTOPTS);
		for (int i = 0; i < k; i++)
			n += extension(
				b + n,
				i == k - 1 ? IPPROTO_UDP : IPPROTO_DSTOPTS, 0);
		n += ports(b + n, 1, 53);
		p = parsed(b, n);
		assert_int_equal(p.has_ports, k == 8);
		assert_int_equal(p.protocol,
				 k == 8 ? IPPROTO_UDP : IPPROTO_DSTOPTS);
	}
}

static void other_versions_are_bad(void **state)
{
	uint8_t b[64] = { 0 };

	(void)state;
	for (int v = 0; v < 16; v++) {
		b[0] = (uint8_t)(v << 4 | 5);
		if (v != 4 && v != 6)
			assert_bad(b, sizeof(b));
	}
	assert_bad(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_whole_and_cut),
		cmocka_unit_test(ipv4_of_every_kind),
		cmocka_unit_test(ipv4_fragments_have_no_ports),
		cmocka_unit_test(ipv4_options_are_stepped_over),
		cmocka_unit_test(ipv6_whole_and_cut),
		cmocka_unit_test(ipv6_extensions_are_walked),
		cmocka_unit_test(ipv6_ends_without_ports),
		cmocka_unit_test(other_versions_are_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
