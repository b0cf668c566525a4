/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Query types, resolvers, and the nets that answers may lie in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "compile.h"

#define DNS "/spec/authority/dnsAuthority/"

static void query_types(void **state)
{
	static const struct {
		const char *dns;
		uint16_t want[DNS_TYPE_COUNT_MAX];
	} rows[] = {
		{ "", { 1, 28, 5, 65 } },
		{ "\"dnsAuthority\":{}", { 1, 28, 5, 65 } },
		{ "\"dnsAuthority\":{\"allowedQueryTypes\":[]}",
		  { 1, 28, 5, 65 } },
		{ "\"dnsAuthority\":{\"allowedQueryTypes\":[\"TXT\"]}",
		  { 16 } },
		{ "\"dnsAuthority\":{\"allowedQueryTypes\":[\"A\",\"AAAA\","
		  "\"CNAME\",\"TXT\",\"MX\",\"SRV\",\"NS\",\"PTR\",\"HTTPS\","
		  "\"SVCB\",\"A\",\"A\",\"A\",\"A\",\"A\",\"A\",\"A\"]}",
		  { 1, 28, 5, 16, 15, 33, 2, 12, 65, 64 } },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t n = 0;

		assert_int_equal(compile(rows[i].dns, true, &e), 0);
		while (rows[i].want[n])
			n++;
		assert_int_equal(policy.n_query_types, n);
		assert_memory_equal(policy.query_types, rows[i].want,
				    sizeof(rows[i].want));
		assert_true(policy_has_query_type(&policy, rows[i].want[0]));
		assert_false(policy_has_query_type(&policy, 255));
		assert_false(policy_has_query_type(&policy, 0));
	}
}

#define RESOLVER(endpoint, protocol)                                \
	"\"dnsAuthority\":{\"resolvers\":[{\"resolverId\":\"r-1\"," \
	"\"endpoint\":\"" endpoint "\",\"protocol\":\"" protocol "\"}]}"

static void resolvers(void **state)
{
	static const struct {
		const char *dns, *addr;
		uint16_t port;
		bool is_tcp;
	} rows[] = {
		{ RESOLVER("192.0.2.53:53", "do53-udp"), "192.0.2.53", 53,
		  false },
		{ RESOLVER("10.0.0.53:65535", "do53-tcp"), "10.0.0.53", 65535,
		  true },
		{ RESOLVER(" 127.0.0.1:5353\\t", "do53-udp"), "127.0.0.1", 5353,
		  false },
		{ RESOLVER("[2001:db8::1]:53", "do53-udp"), "2001:db8::1", 53,
		  false },
		{ RESOLVER("dns.example:53", "do53-udp"), NULL, 0, false },
		{ RESOLVER("2001:db8::1:53", "do53-udp"), NULL, 0, false },
		{ RESOLVER("2001:db8::1", "do53-udp"), NULL, 0, false },
		{ RESOLVER("[192.0.2.1]:53", "do53-udp"), NULL, 0, false },
		{ RESOLVER("[2001:db8::1]", "do53-udp"), NULL, 0, false },
		{ RESOLVER("192.0.2.1", "do53-udp"), NULL, 0, false },
		{ RESOLVER("192.0.2.1:", "do53-udp"), NULL, 0, false },
		{ RESOLVER("192.0.2.1:0", "do53-udp"), NULL, 0, false },
		{ RESOLVER("192.0.2.1:65536", "do53-udp"), NULL, 0, false },
		{ RESOLVER("192.0.2.1:99999", "do53-udp"), NULL, 0, false },
		{ RESOLVER("192.0.2.1:4294967349", "do53-udp"), NULL, 0,
		  false },
		{ RESOLVER("192.0.2.1:5 3", "do53-udp"), NULL, 0, false },
		{ RESOLVER(":53", "do53-udp"), NULL, 0, false },
		{ RESOLVER("0.0.0.0:53", "do53-udp"), NULL, 0, false },
		{ RESOLVER("224.0.0.1:53", "do53-udp"), NULL, 0, false },
		{ RESOLVER("[::ffff:192.0.2.1]:53", "do53-udp"), NULL, 0,
		  false },
	};
	char text[IP_TEXT_SIZE];
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct gate_resolver *r = policy.resolvers;
		int rc = compile(rows[i].dns, true, &e);

		if ((rc == 0) != (rows[i].addr != NULL))
			fail_msg("%s: %s", rows[i].dns, e.text);
		if (!rows[i].addr) {
			assert_int_equal(e.cls, ERR_SPEC);
			assert_non_null(strstr(e.text, "no address and port"));
			assert_non_null(
				strstr(e.text, DNS "resolvers/0/endpoint)"));
			assert_int_equal(compile(rows[i].dns, false, &e), 0);
			assert_int_equal(policy.n_resolvers, 0);
			continue;
		}
		assert_int_equal(policy.n_resolvers, 1);
		assert_string_equal(ip_text(text, &r->addr), rows[i].addr);
		assert_int_equal(r->port, rows[i].port);
		assert_int_equal(r->is_tcp, rows[i].is_tcp);
		assert_string_equal(r->id, "r-1");
	}
}

/* Never one transport in another's place, in no profile */
static void other_transports(void **state)
{
	static const char *const rows[] = {
		RESOLVER("192.0.2.1:853", "dot"),
		RESOLVER("https://192.0.2.1/dns-query", "doh"),
		RESOLVER("quic://192.0.2.1:853", "doq"),
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (int strict = 0; strict < 2; strict++) {
			assert_int_equal(compile(rows[i], strict, &e), -1);
			assert_non_null(
				strstr(e.text, "only do53-udp and do53-tcp"));
			assert_non_null(
				strstr(e.text, DNS "resolvers/0/protocol)"));
		}
}

static void put_resolver(struct wbuf *b, size_t id_n, size_t i)
{
	wbuf_fmt(b, "%s{\"resolverId\":\"", i ? "," : "");
	for (size_t k = 1; k < id_n; k++)
		wbuf_byte(b, 'r');
	wbuf_fmt(b,
		 "%zu\",\"endpoint\":\"192.0.2.1:53\","
		 "\"protocol\":\"do53-udp\"}",
		 i);
}

static void resolver_bounds(void **state)
{
	static const struct {
		size_t id_n, n;
		const char *text;
	} rows[] = {
		{ 127, 1, NULL },
		{ 128, 1, "is longer than 127 bytes" },
		{ 2, 8, NULL },
		{ 2, 9, "resolvers: there are more than 8" },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 16);

		wbuf_str(&b, "\"dnsAuthority\":{\"resolvers\":[");
		for (size_t k = 0; k < rows[i].n; k++)
			put_resolver(&b, rows[i].id_n, k);
		wbuf_str(&b, "]}");
		assert_int_equal(compile(wbuf_cstr(&b), false, &e),
				 rows[i].text ? -1 : 0);
		if (rows[i].text)
			assert_non_null(strstr(e.text, rows[i].text));
		else
			assert_int_equal(policy.n_resolvers, rows[i].n);
	}
}

/* A name with an entry that cannot be stays bound: it is answered nothing */
static void broken_entry_binds(void **state)
{
	OWNED(wbuf_drop) struct wbuf nets = WBUF_INIT(4096);
	struct err e;

	(void)state;
	assert_int_equal(
		compile("\"dnsAuthority\":{\"rebindingPolicy\":{"
			"\"rejectOnRebind\":true,\"responseIpAllowlist\":["
			"\"h:\",\"h:not-an-ip\",\"i:1.1.1.1/notanumber\","
			"\"j:1.1.1.1\"]}}",
			false, &e),
		0);
	put_nets(&nets);
	assert_string_equal(wbuf_cstr(&nets), "h@none/0 i@none/0 j@1.1.1.1/32");
	assert_true(policy.reject_on_rebind);
	assert_int_equal(compile("", true, &e), 0);
	assert_false(policy.reject_on_rebind);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query_types),
		cmocka_unit_test(resolvers),
		cmocka_unit_test(other_transports),
		cmocka_unit_test(resolver_bounds),
		cmocka_unit_test(broken_entry_binds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
