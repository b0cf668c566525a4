/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Addresses: every text has one meaning, every address one text and class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>

#include "wire/ip.h"

/* In memory of its exact size. */
static int parse(struct slice s, struct ip_addr *ret)
{
	char *copy = malloc(s.n ? s.n : 1);
	int r;

	assert_non_null(copy);
	if (s.n)
		memcpy(copy, s.p, s.n);
	r = ip_parse((struct slice){ copy, s.n }, ret);
	free(copy);
	return r;
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_parse(slice_of(text), &a), 0);
	return a;
}

static void good(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "0.0.0.0", "0.0.0.0" },
		{ "1.2.3.4", "1.2.3.4" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "100.20.0.9", "100.20.0.9" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "1::", "1::" },
		{ "0:0:0:0:0:0:0:0", "::" },
		{ "2001:DB8::ABCD", "2001:db8::abcd" },
		{ "2001:0db8:0000:0000:0008:0800:200c:417a",
		  "2001:db8::8:800:200c:417a" },
		/* RFC 5952 4.2.2: one group is not shortened */
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
		{ "2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
		/* 4.2.3: the longest run, the first of equal ones */
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
		{ "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" },
		{ "1:2:3:4:5:6:0:0", "1:2:3:4:5:6::" },
		{ "0:0:3:4:5:6:7:8", "::3:4:5:6:7:8" },
		{ "1:2:3:4:5:6:77.8.99.100", "1:2:3:4:5:6:4d08:6364" },
		{ "64:ff9b::1.2.3.4", "64:ff9b::102:304" },
		{ "::1.2.3.4", "::102:304" },
		/* RFC 5952 5: a well-known prefix */
		{ "::ffff:102:304", "::ffff:1.2.3.4" },
		{ "::FFFF:1.2.3.4", "::ffff:1.2.3.4" },
		{ "::ffff:0:1.2.3.4", "::ffff:0:102:304" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char buf[IP_TEXT_SIZE];
		struct ip_addr a, b;

		assert_int_equal(parse(slice_of(rows[i].in), &a), 0);
		assert_string_equal(ip_text(buf, &a), rows[i].out);
		assert_ptr_equal(ip_text(buf, &a), buf);
		assert_int_equal(parse(slice_of(rows[i].out), &b), 0);
		assert_true(ip_equal(&a, &b));
	}
}

static void bytes(void **state)
{
	static const uint8_t v4[16] = { 192, 0, 2, 7 };
	static const uint8_t v6[16] = {
		0x20, 1, 0xd, 0xb8, [13] = 5, 0xab, 0xcd
	};
	struct ip_addr a = addr("192.0.2.7");

	(void)state;
	assert_int_equal(a.family, 4);
	assert_memory_equal(a.b, v4, 16);
	a = addr("2001:db8::5:abcd");
	assert_int_equal(a.family, 6);
	assert_memory_equal(a.b, v6, 16);
}

static void bad(void **state)
{
	static const char *const rows[] = {
		"",
		" ",
		"1",
		"1.2",
		"1.2.3",
		"1.2.3.",
		".1.2.3",
		"1.2.3.4.",
		"1.2.3.4.5",
		"1..3.4",
		"01.2.3.4",
		"1.2.3.04",
		"1.2.3.00",
		"256.2.3.4",
		"1.2.3.1000",
		"1.2.3.999",
		"1.2.3.-4",
		"1.2.3.+4",
		"0x7f.0.0.1",
		"0x7f000001",
		"2130706433",
		"017700000001",
		" 1.2.3.4",
		"1.2.3.4 ",
		"1.2.3.4\n",
		"1.2.3.4/32",
		"1.2.3.a",
		"\xef\xbc\x91.2.3.4",
		":",
		":::",
		"1:",
		":1",
		"1:2",
		"::1:",
		":::1",
		"1:::2",
		"1::2::3",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:",
		"1:2:3:4:5:6:7:8:",
		"1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7:8::",
		"::1:2:3:4:5:6:7:8",
		"1::2:3:4:5:6:7:8",
		"12345::",
		"00001::",
		"g::",
		"::-1",
		"[::1]",
		"::1%lo",
		"fe80::1%1",
		"::1/128",
		"1.2.3.4::",
		"::1.2.3",
		"::1.2.3.4.5",
		"::1.2.3.04",
		"::1.2.3.4:5",
		"::a.2.3.4",
		"::.2.3.4",
		"1:2:3:4:5:6:7:1.2.3.4",
		"1:2:3:4:5:1.2.3.4",
		"1:2:3:4:5:6::1.2.3.4",
		"::12345.2.3.4",
	};
	struct ip_addr was = { .family = 9, .b = { 1, 2, 3 } }, a = was;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(parse(slice_of(rows[i]), &a), -EINVAL);
		assert_memory_equal(&a, &was, sizeof(a));
	}
	/* no NUL ends a text */
	assert_int_equal(parse(SLICE_LIT("1.2.3.4\0"), &a), -EINVAL);
	assert_int_equal(parse(SLICE_LIT("::1\0"), &a), -EINVAL);
	assert_int_equal(parse((struct slice){ NULL, 0 }, &a), -EINVAL);
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Against the C library: texts from the letters of addresses, and addresses
 * full of zeros. Where it is laxer or prints otherwise is said here. */
static void random_against_libc(void **state)
{
	static const char letters[] = "0123456789:::::::::....aAfF";
	uint32_t seed = 7, taken = 0;

	(void)state;
	for (size_t round = 0; round < 300000; round++) {
		char text[20], ours[IP_TEXT_SIZE], theirs[IP_TEXT_SIZE];
		size_t n = next(&seed) % (sizeof(text) - 1);
		struct ip_addr a = { 0 }, again;
		uint8_t b[16] = { 0 };
		int family, r;

		for (size_t i = 0; i < n; i++)
			text[i] = letters[next(&seed) % (sizeof(letters) - 1)];
		text[n] = '\0';
		family = strchr(text, ':') ? AF_INET6 : AF_INET;
		r = parse((struct slice){ text, n }, &a);
		assert_int_equal(r == 0, inet_pton(family, text, b) == 1);
		if (r == 0) {
			taken++;
			assert_memory_equal(a.b, b, 16);
		}
		a = (struct ip_addr){ .family = 6 };
		for (size_t i = 0; i < 8; i++)
			if (next(&seed) % 2)
				a.b[2 * i + next(&seed) % 2] =
					(uint8_t)next(&seed);
		assert_int_equal(ip_parse(slice_of(ip_text(ours, &a)), &again),
				 0);
		assert_true(ip_equal(&a, &again));
		/* glibc prints ::/96 with a quad, we only ::ffff:0:0/96 */
		if (ip_class(&a) != IP_MAPPED)
			assert_string_equal(ours,
					    inet_ntop(AF_INET6, a.b, theirs,
						      sizeof(theirs)));
	}
	assert_true(taken > 1000);
}

static void networks(void **state)
{
	static const struct {
		const char *net;
		unsigned prefix;
		const char *in, *out;
	} rows[] = {
		{ "0.0.0.0/0", 0, "255.1.2.3", "::" },
		{ "10.0.0.0/8", 8, "10.255.255.255", "11.0.0.0" },
		{ "10.1.2.0/23", 23, "10.1.3.255", "10.1.4.0" },
		{ "10.1.2.4/31", 31, "10.1.2.5", "10.1.2.6" },
		{ "10.1.2.3", 32, "10.1.2.3", "10.1.2.2" },
		{ "10.1.2.3/32", 32, "10.1.2.3", "10.1.2.4" },
		{ "::/0", 0, "ff::", "1.2.3.4" },
		{ "2001:db8::/33", 33, "2001:db8:7fff::1", "2001:db8:8000::" },
		{ "2001:db8::1", 128, "2001:db8::1", "2001:db8::" },
		{ "::/96", 96, "::1.2.3.4", "1.2.3.4" },
		{ "2001:db8::2/127", 127, "2001:db8::3", "2001:db8::4" },
		{ "2001:db8::2/128", 128, "2001:db8::2", "2001:db8::3" },
	};
	static const char *const bad_rows[] = { "",
						"/",
						"/8",
						"10.0.0.0/",
						"10.0.0.0/33",
						"10.0.0.0/08",
						"10.0.0.0/8 ",
						"10.0.0.0/-1",
						"10.0.0.0/+8",
						"10.0.0.0/256",
						"10.0.0.0/8/8",
						"10.0.0.0/255.0.0.0",
						"10.0.0.1/8",
						"10.1.2.1/31",
						"1.0.0.0/0",
						"10/8",
						"::/129",
						"::/1000",
						"::1/127",
						"8000::/0",
						"2001:db8:8000::/32",
						"[::]/0",
						"::/00" };
	struct ip_net n = { .prefix = 77 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_rows); i++) {
		assert_int_equal(ip_net_parse(slice_of(bad_rows[i]), &n),
				 -EINVAL);
		assert_int_equal(n.prefix, 77);
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ip_addr in = addr(rows[i].in), out = addr(rows[i].out);

		assert_int_equal(ip_net_parse(slice_of(rows[i].net), &n), 0);
		assert_int_equal(n.prefix, rows[i].prefix);
		assert_true(ip_in_net(&in, &n));
		assert_true(ip_in_net(&n.addr, &n));
		assert_false(ip_in_net(&out, &n));
	}
}

static void classes(void **state)
{
	/* the first and last of a net, and their neighbours outside */
	static const struct {
		const char *text;
		enum ip_class class;
	} rows[] = {
		{ "0.0.0.0", IP_UNSPECIFIED },
		{ "0.255.255.255", IP_UNSPECIFIED },
		{ "1.0.0.0", IP_ORDINARY },
		{ "8.8.8.8", IP_ORDINARY },
		{ "9.255.255.255", IP_ORDINARY },
		{ "10.0.0.0", IP_PRIVATE },
		{ "10.255.255.255", IP_PRIVATE },
		{ "11.0.0.0", IP_ORDINARY },
		{ "100.63.255.255", IP_ORDINARY },
		{ "100.64.0.0", IP_SHARED },
		{ "100.100.100.199", IP_SHARED },
		{ "100.100.100.200", IP_METADATA },
		{ "100.100.100.201", IP_SHARED },
		{ "100.127.255.255", IP_SHARED },
		{ "100.128.0.0", IP_ORDINARY },
		{ "126.255.255.255", IP_ORDINARY },
		{ "127.0.0.1", IP_LOOPBACK },
		{ "127.255.255.255", IP_LOOPBACK },
		{ "128.0.0.0", IP_ORDINARY },
		{ "168.63.129.15", IP_ORDINARY },
		{ "168.63.129.16", IP_METADATA },
		{ "168.63.129.17", IP_ORDINARY },
		{ "169.253.255.255", IP_ORDINARY },
		{ "169.254.0.0", IP_LINK_LOCAL },
		{ "169.254.169.254", IP_LINK_LOCAL },
		{ "169.254.255.255", IP_LINK_LOCAL },
		{ "169.255.0.0", IP_ORDINARY },
		{ "172.15.255.255", IP_ORDINARY },
		{ "172.16.0.0", IP_PRIVATE },
		{ "172.31.255.255", IP_PRIVATE },
		{ "172.32.0.0", IP_ORDINARY },
		{ "191.255.255.255", IP_ORDINARY },
		{ "192.0.0.0", IP_SHARED },
		{ "192.0.0.191", IP_SHARED },
		{ "192.0.0.192", IP_METADATA },
		{ "192.0.0.255", IP_SHARED },
		{ "192.0.1.0", IP_ORDINARY },
		{ "192.0.2.1", IP_ORDINARY },
		{ "192.167.255.255", IP_ORDINARY },
		{ "192.168.0.0", IP_PRIVATE },
		{ "192.168.255.255", IP_PRIVATE },
		{ "192.169.0.0", IP_ORDINARY },
		{ "198.17.255.255", IP_ORDINARY },
		{ "198.18.0.0", IP_SHARED },
		{ "198.19.255.255", IP_SHARED },
		{ "198.20.0.0", IP_ORDINARY },
		{ "198.51.100.1", IP_ORDINARY },
		{ "203.0.113.1", IP_ORDINARY },
		{ "223.255.255.255", IP_ORDINARY },
		{ "224.0.0.0", IP_MULTICAST },
		{ "239.255.255.255", IP_MULTICAST },
		{ "240.0.0.0", IP_MULTICAST },
		{ "255.255.255.255", IP_MULTICAST },
		{ "::", IP_UNSPECIFIED },
		{ "::1", IP_LOOPBACK },
		{ "::2", IP_MAPPED },
		{ "::127.0.0.1", IP_MAPPED },
		{ "::ffff:ffff", IP_MAPPED },
		{ "::1:0:0", IP_ORDINARY },
		{ "::fffe:ffff:ffff", IP_ORDINARY },
		{ "::ffff:0.0.0.0", IP_MAPPED },
		{ "::ffff:8.8.8.8", IP_MAPPED },
		{ "::ffff:255.255.255.255", IP_MAPPED },
		{ "::1:0:0:0", IP_ORDINARY },
		{ "64:ff9a:ffff::", IP_ORDINARY },
		{ "64:ff9b::1.2.3.4", IP_TRANSLATED },
		{ "64:ff9b::1:0:0", IP_ORDINARY },
		{ "64:ff9b:1::", IP_TRANSLATED },
		{ "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", IP_TRANSLATED },
		{ "64:ff9b:2::", IP_ORDINARY },
		{ "2001::1", IP_TRANSLATED },
		{ "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", IP_TRANSLATED },
		{ "2001:1::", IP_ORDINARY },
		{ "2001:db8::1", IP_ORDINARY },
		{ "2002::", IP_TRANSLATED },
		{ "2002:7f00:1::", IP_TRANSLATED },
		{ "2003::", IP_ORDINARY },
		{ "fbff:ffff::", IP_ORDINARY },
		{ "fc00::", IP_PRIVATE },
		{ "fd00:ec2::253", IP_PRIVATE },
		{ "fd00:ec2::254", IP_METADATA },
		{ "fdff:ffff::1", IP_PRIVATE },
		{ "fe00::", IP_ORDINARY },
		{ "fe7f:ffff::", IP_ORDINARY },
		{ "fe80::", IP_LINK_LOCAL },
		{ "febf:ffff::", IP_LINK_LOCAL },
		{ "fec0::", IP_PRIVATE },
		{ "feff:ffff::", IP_PRIVATE },
		{ "ff00::", IP_MULTICAST },
		{ "ff02::1", IP_MULTICAST },
	};
	struct ip_addr none = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ip_addr a = addr(rows[i].text);

		if (ip_class(&a) != rows[i].class)
			fail_msg("%s is %s", rows[i].text,
				 ip_class_word(ip_class(&a)));
	}
	assert_int_equal(ip_class(&none), IP_UNSPECIFIED);
	assert_string_equal(ip_class_word(IP_ORDINARY), "ordinary");
	assert_string_equal(ip_class_word(IP_LINK_LOCAL), "link-local");
	assert_string_equal(ip_class_word(IP_TRANSLATED), "translated");
	assert_string_equal(ip_class_word(IP_CLASS_NUM), "");
}

static void sockets(void **state)
{
	struct sockaddr_storage ss;
	struct ip_addr a = addr("192.0.2.7"), b;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	uint16_t port = 0;
	char odd[sizeof(ss) + 1];

	(void)state;
	assert_int_equal(ip_sockaddr(&a, 443, &ss), sizeof(v4));
	memcpy(&v4, &ss, sizeof(v4));
	assert_int_equal(v4.sin_family, AF_INET);
	assert_int_equal(ntohs(v4.sin_port), 443);
	assert_int_equal(ntohl(v4.sin_addr.s_addr), 0xc0000207);
	assert_int_equal(ip_of_sockaddr(&ss, &b, &port), 0);
	assert_true(ip_equal(&a, &b));
	assert_int_equal(port, 443);

	a = addr("2001:db8::7");
	assert_int_equal(ip_sockaddr(&a, 65535, &ss), sizeof(v6));
	memcpy(&v6, &ss, sizeof(v6));
	assert_int_equal(v6.sin6_family, AF_INET6);
	assert_int_equal(v6.sin6_scope_id, 0);
	assert_memory_equal(&v6.sin6_addr, a.b, 16);
	/* wherever it lies */
	memcpy(odd + 1, &ss, sizeof(ss));
	assert_int_equal(ip_of_sockaddr(odd + 1, &b, &port), 0);
	assert_true(ip_equal(&a, &b));
	assert_int_equal(port, 65535);

	ss.ss_family = AF_UNIX;
	assert_int_equal(ip_of_sockaddr(&ss, &b, &port), -EAFNOSUPPORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bytes),
		cmocka_unit_test(bad),
		cmocka_unit_test(random_against_libc),
		cmocka_unit_test(networks),
		cmocka_unit_test(classes),
		cmocka_unit_test(sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
