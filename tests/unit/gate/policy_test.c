/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a document's rules become, and which of them are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "compile.h"

static void same(const char *name, struct wbuf *got, const char *want)
{
	if (strcmp(wbuf_cstr(got), want) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", name, wbuf_cstr(got), want);
}

static void put_rules(struct wbuf *b)
{
	static const char *const words[] = { "tcp", "udp", "tls", "http" };

	for (size_t i = 0; i < policy.n_rules; i++) {
		const struct gate_rule *r = &policy.rules[i];

		wbuf_fmt(b, "%s%c%u %s ", i ? ", " : "",
			 r->of_allowlist ? 'a' : 'r', r->index,
			 words[r->protocol]);
		if (r->is_net)
			put_net(b, &r->net);
		else
			wbuf_str(b, r->pattern);
		wbuf_fmt(b, ":%u", r->port);
	}
}

static void put_names(struct wbuf *b)
{
	for (size_t i = 0; i < policy.n_names; i++)
		wbuf_fmt(b, "%s%s", i ? " " : "", policy.names[i]);
}

#define RULES(r) "\"egressRules\":[" r "]"
#define RULE(host, port, protocol)                                          \
	"{\"host\":\"" host "\",\"port\":" port ",\"protocol\":\"" protocol \
	"\"}"
#define UNSET(host, port) "{\"host\":\"" host "\",\"port\":" port "}"
#define LIST(l)		  "\"dnsAuthority\":{\"hostnameAllowlist\":[" l "]}"

static const struct {
	const char *name, *authority, *rules, *names, *nets;
} good[] = {
	{ "nothing", "", "", "", "" },
	{ "an empty array", RULES(""), "", "", "" },
	{ "an empty array keeps the allowlist from being rules",
	  RULES("") "," LIST("\"a.b\""), "", "a.b", "" },
	{ "without rules the allowlist is rules", LIST("\"a.b\",\"*.C.d\""),
	  "a0 tls a.b:443, a0 http a.b:80, a1 tls *.c.d:443, a1 http *.c.d:80",
	  "a.b *.c.d", "" },
	{ "null is as absent", "\"egressRules\":null," LIST("\"a.b\""),
	  "a0 tls a.b:443, a0 http a.b:80", "a.b", "" },
	{ "an entry twice is one name", LIST("\"a.b\",\"A.b\""),
	  "a0 tls a.b:443, a0 http a.b:80, a1 tls a.b:443, a1 http a.b:80",
	  "a.b", "" },
	{ "unset goes by the port",
	  RULES(UNSET("a.b", "443") "," UNSET("a.b", "80") "," UNSET(
		  "a.b", "22") "," UNSET("192.0.2.1", "443")),
	  "r0 tls a.b:443, r1 http a.b:80, r2 tcp a.b:22, "
	  "r3 tls 192.0.2.1/32:443",
	  "a.b", "" },
	{ "null is as unset",
	  RULES("{\"host\":\"a.b\",\"port\":443,\"protocol\":null}"),
	  "r0 tls a.b:443", "a.b", "" },
	{ "https is TLS at any port", RULES(RULE("a.b", "8443", "https")),
	  "r0 tls a.b:8443", "a.b", "" },
	{ "tls, http, tcp, udp as they stand",
	  RULES(RULE("a.b", "1", "tls") "," RULE("a.b", "2", "http") "," RULE(
		  "a.b", "3", "tcp") "," RULE("a.b", "65535", "udp")),
	  "r0 tls a.b:1, r1 http a.b:2, r2 tcp a.b:3, r3 udp a.b:65535", "a.b",
	  "" },
	{ "words in any case",
	  RULES(RULE("a.b", "1", "TLS") "," RULE("a.b", "2", "Http") "," RULE(
		  "a.b", "3", "DNS-Acknowledged")),
	  "r0 tls a.b:1, r1 http a.b:2, r2 udp a.b:3", "a.b", "" },
	{ "tcp of a name at 443 and 80 is TLS and HTTP",
	  RULES(RULE("a.b", "443", "tcp") "," RULE("a.b", "80", "TCP")),
	  "r0 tls a.b:443, r1 http a.b:80", "a.b", "" },
	{ "tcp of an address at 443 stays",
	  RULES(RULE("192.0.2.1", "443", "tcp")), "r0 tcp 192.0.2.1/32:443", "",
	  "" },
	{ "udp of a name at 80 stays", RULES(RULE("a.b", "80", "udp")),
	  "r0 udp a.b:80", "a.b", "" },
	{ "http at 443 stays", RULES(RULE("a.b", "443", "http")),
	  "r0 http a.b:443", "a.b", "" },
	{ "one form of a name", RULES(UNSET("API.Example.COM.", "443")),
	  "r0 tls api.example.com:443", "api.example.com", "" },
	{ "a single label", RULES(UNSET("db", "5432")), "r0 tcp db:5432", "db",
	  "" },
	{ "a wildcard", RULES(UNSET("*.Example.com", "443")),
	  "r0 tls *.example.com:443", "*.example.com", "" },
	{ "names are distinct and in order",
	  RULES(UNSET("b.c", "443") "," UNSET("a.c", "443") "," UNSET("B.c",
								      "80")),
	  "r0 tls b.c:443, r1 tls a.c:443, r2 http b.c:80", "b.c a.c", "" },
	{ "an empty allowlist is none", RULES(UNSET("a.b", "443")) "," LIST(""),
	  "r0 tls a.b:443", "a.b", "" },
	{ "port 53 is answered, not relayed",
	  RULES(RULE("10.0.0.53", "53", "dns-acknowledged") "," RULE(
		  "ns.a", "53", "tcp") "," UNSET("a.b", "443")),
	  "r2 tls a.b:443", "a.b", "" },
	{ "an IPv6 address, bare and in brackets",
	  RULES(UNSET("2001:DB8::1", "22") "," UNSET("[2001:db8::2]", "22")),
	  "r0 tcp 2001:db8::1/128:22, r1 tcp 2001:db8::2/128:22", "", "" },
	{ "a network, and the whole of it",
	  RULES(UNSET("192.0.2.0/24", "22") "," UNSET("::/0", "22") "," UNSET(
		  "0.0.0.0/0", "22")),
	  "r0 tcp 192.0.2.0/24:22, r1 tcp ::/0:22, r2 tcp 0.0.0.0/0:22", "",
	  "@::/0 @0.0.0.0/0" },
	{ "private, shared and translated ones",
	  RULES(UNSET("10.1.2.3", "22") "," UNSET(
		  "10.1.0.0/16",
		  "23") "," UNSET("100.64.1.0/24",
				  "22") "," UNSET("fd00::/8",
						  "22") "," UNSET("64:ff9b::/"
								  "96",
								  "22")),
	  "r0 tcp 10.1.2.3/32:22, r1 tcp 10.1.0.0/16:23, "
	  "r2 tcp 100.64.1.0/24:22, r3 tcp fd00::/8:22, "
	  "r4 tcp 64:ff9b::/96:22",
	  "", "@10.1.2.3/32 @10.1.0.0/16 @100.64.1.0/24 @fd00::/8" },
	{ "a net is once among the nets",
	  RULES(UNSET("10.0.0.0/8", "22") "," UNSET("10.0.0.0/8", "23")),
	  "r0 tcp 10.0.0.0/8:22, r1 tcp 10.0.0.0/8:23", "", "@10.0.0.0/8" },
	{ "link-local and metadata spelled out",
	  RULES(UNSET("169.254.169.254", "80") "," UNSET(
		  "fd00:ec2::254", "80") "," UNSET("fe80::1", "80")),
	  "r0 http 169.254.169.254/32:80, r1 http fd00:ec2::254/128:80, "
	  "r2 http fe80::1/128:80",
	  "", "@fd00:ec2::254/128" },
	{ "networks that merely cover what stays closed",
	  RULES(UNSET("126.0.0.0/7", "22") "," UNSET("128.0.0.0/1", "22")),
	  "r0 tcp 126.0.0.0/7:22, r1 tcp 128.0.0.0/1:22", "", "@128.0.0.0/1" },
	{ "a rule the allowlist names",
	  RULES(UNSET("A.b", "443")) "," LIST("\"a.B\""), "r0 tls a.b:443",
	  "a.b", "" },
	{ "a rule a wildcard covers, a deep one and a wildcard too",
	  RULES(UNSET("x.a.b", "443") "," UNSET("x.y.a.b", "443") "," UNSET(
		  "*.a.b",
		  "443") "," UNSET("*.x.a.b",
				   "443")) "," LIST("\"z.z\",\"*.a.b\""),
	  "r0 tls x.a.b:443, r1 tls x.y.a.b:443, r2 tls *.a.b:443, "
	  "r3 tls *.x.a.b:443",
	  "z.z *.a.b", "" },
	{ "addresses need no name",
	  RULES(UNSET("192.0.2.1", "22")) "," LIST("\"a.b\""),
	  "r0 tcp 192.0.2.1/32:22", "a.b", "" },
	{ "nets of names",
	  "\"dnsAuthority\":{\"rebindingPolicy\":{\"responseIpAllowlist\":["
	  "\"A.b:10.0.0.0/8\",\"*.c.d:192.0.2.1\",\"e:2001:db8::/32\","
	  "\"a.b:10.0.0.0/8\"]}}",
	  "", "", "a.b@10.0.0.0/8 *.c.d@192.0.2.1/32 e@2001:db8::/32" },
};

static void compiled(void **state)
{
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		OWNED(wbuf_drop) struct wbuf rules = WBUF_INIT(4096);
		OWNED(wbuf_drop) struct wbuf names = WBUF_INIT(4096);
		OWNED(wbuf_drop) struct wbuf nets = WBUF_INIT(4096);

		for (int strict = 0; strict < 2; strict++) {
			wbuf_reset(&rules), wbuf_reset(&names);
			wbuf_reset(&nets);
			if (compile(good[i].authority, strict, &e))
				fail_msg("%s", e.text);
			put_rules(&rules), put_names(&names), put_nets(&nets);
			same(good[i].name, &rules, good[i].rules);
			same(good[i].name, &names, good[i].names);
			same(good[i].name, &nets, good[i].nets);
		}
	}
}

#define AT0 "(at /spec/authority/egressRules/0"
#define DNS "/spec/authority/dnsAuthority/"

/* Refused where it is strict; else the rest of the document, @left. */
static const struct {
	const char *authority, *text, *at, *left;
} bad[] = {
	{ RULES(RULE("a.b", "443", "ftp") "," UNSET("c.d", "443")),
	  "authority.egressRules[].protocol \"ftp\" is not one of tcp, udp, "
	  "tls, https, http, dns-acknowledged",
	  AT0 "/protocol)", "r1 tls c.d:443" },
	{ RULES(RULE("a.b", "443", "")), "protocol \"\" is not one of",
	  AT0 "/protocol)", "" },
	{ RULES(RULE("a.b", "443", " tls")), "protocol \" tls\" is not one of",
	  AT0 "/protocol)", "" },
	{ RULES(RULE("a.b", "1", "dns-acknowledged-")), "is not one of",
	  AT0 "/protocol)", "" },
	{ RULES(RULE("a.b", "53", "bogus")), "protocol \"bogus\"",
	  AT0 "/protocol)", "" },
	{ RULES(UNSET("a.b", "0")), "authority.egressRules[].port 0 is no port",
	  AT0 "/port)", "" },
	{ RULES(UNSET("a.b", "853")),
	  "authority.egressRules[].port 853 is never opened", AT0 "/port)",
	  "" },
	{ RULES(RULE("192.0.2.1", "853", "udp")), "port 853 is never opened",
	  AT0 "/port)", "" },
	{ RULES(RULE("a.b", "443", "udp")),
	  "authority.egressRules[].port 443 is never opened for UDP",
	  AT0 "/protocol)", "" },
	{ RULES(RULE("192.0.2.0/24", "443", "dns-acknowledged")),
	  "port 443 is never opened for UDP", AT0 "/protocol)", "" },
	{ RULES(UNSET("127.0.0.1", "80")),
	  "authority.egressRules[].host \"127.0.0.1\" is loopback, to which no "
	  "rule opens a way; remove the rule",
	  AT0 "/host)", "" },
	{ RULES(UNSET("127.0.0.0/8", "80")), "\"127.0.0.0/8\" is loopback",
	  AT0 "/host)", "" },
	{ RULES(UNSET("[::1]", "80")), "\"[::1]\" is loopback", AT0 "/host)",
	  "" },
	{ RULES(UNSET("127.0.0.53", "53")), "is loopback", AT0 "/host)", "" },
	{ RULES(UNSET("0.0.0.0", "80")), "is unspecified", AT0 "/host)", "" },
	{ RULES(UNSET("::", "80")), "is unspecified", AT0 "/host)", "" },
	{ RULES(UNSET("224.0.0.251", "5353")), "is multicast", AT0 "/host)",
	  "" },
	{ RULES(UNSET("255.255.255.255", "67")), "is multicast", AT0 "/host)",
	  "" },
	{ RULES(UNSET("ff02::/16", "5353")), "is multicast", AT0 "/host)", "" },
	{ RULES(UNSET("::ffff:192.0.2.1", "80")), "is v4-mapped", AT0 "/host)",
	  "" },
	{ RULES(UNSET("169.254.0.0/16", "80")),
	  "is link-local, which must be named one by one", AT0 "/host)", "" },
	{ RULES(UNSET("fe80::/10", "80")), "is link-local", AT0 "/host)", "" },
	{ RULES(UNSET("192.0.2.1/24", "80")),
	  "authority.egressRules[].host \"192.0.2.1/24\" is no host name",
	  AT0 "/host)", "" },
	{ RULES(UNSET("192.0.2.0/33", "80")), "is no host name", AT0 "/host)",
	  "" },
	{ RULES(UNSET("[192.0.2.1]", "80")), "is no host name", AT0 "/host)",
	  "" },
	{ RULES(UNSET("[2001:db8::]/32", "80")), "is no host name",
	  AT0 "/host)", "" },
	{ RULES(UNSET("2130706433", "80")), "\"2130706433\" is no host name",
	  AT0 "/host)", "" },
	{ RULES(UNSET("0x7f.1", "80")), "is no host name", AT0 "/host)", "" },
	{ RULES(UNSET("010.0.0.1", "80")), "is no host name", AT0 "/host)",
	  "" },
	{ RULES(UNSET("a_b.c", "80")), "is no host name", AT0 "/host)", "" },
	{ RULES(UNSET("evil.com\\u0000.a.b", "80")),
	  "\"evil.com\\0.a.b\" is no host name", AT0 "/host)", "" },
	{ RULES(UNSET("a.b\\ndrop", "80")), "\"a.b\\ndrop\" is no host name",
	  AT0 "/host)", "" },
	{ RULES(UNSET("b\\u00fccher.de", "80")), "IDNs in their xn-- form",
	  AT0 "/host)", "" },
	{ RULES(UNSET("*", "80")), "\"*\" is no host name", AT0 "/host)", "" },
	{ RULES(UNSET("*.", "80")), "is no host name", AT0 "/host)", "" },
	{ RULES(UNSET("*.*.a", "80")), "is no host name", AT0 "/host)", "" },
	{ RULES(UNSET("a.*.b", "80")), "is no host name", AT0 "/host)", "" },
	{ RULES(UNSET("https://a.b", "80")), "is no host name", AT0 "/host)",
	  "" },
	{ RULES(UNSET("u@a.b", "80")), "is no host name", AT0 "/host)", "" },
	{ RULES(UNSET("*.10.0.0.1", "80")), "is no host name", AT0 "/host)",
	  "" },
	/* these stay: whoever excluded them let nobody resolve them */
	{ RULES(UNSET("a.b", "443")) "," LIST("\"c.d\""),
	  "authority.egressRules[].host \"a.b\" cannot be resolved: "
	  "dnsAuthority.hostnameAllowlist does not cover it; add it there",
	  AT0 "/host)", "r0 tls a.b:443" },
	{ RULES(UNSET("a.b", "443")) "," LIST("\"*.a.b\""),
	  "cannot be resolved", AT0 "/host)", "r0 tls a.b:443" },
	{ RULES(UNSET("evila.b", "443")) "," LIST("\"*.a.b\""),
	  "cannot be resolved", AT0 "/host)", "r0 tls evila.b:443" },
	{ RULES(UNSET("*.a.b", "443")) "," LIST("\"x.a.b\",\"a.b\""),
	  "cannot be resolved", AT0 "/host)", "r0 tls *.a.b:443" },
	{ RULES(UNSET("*.a.b", "443")) "," LIST("\"*.x.a.b\""),
	  "cannot be resolved", AT0 "/host)", "r0 tls *.a.b:443" },
	{ LIST("\"a.b\",\"0x7f.1\""),
	  "authority.dnsAuthority.hostnameAllowlist entry \"0x7f.1\" is the "
	  "name of no host",
	  "(at " DNS "hostnameAllowlist/1)", "a0 tls a.b:443, a0 http a.b:80" },
	{ "\"dnsAuthority\":{\"rebindingPolicy\":{\"responseIpAllowlist\":["
	  "\"no-colon-here\"]}}",
	  "responseIpAllowlist entry \"no-colon-here\" is not <host name>:"
	  "<address or network>",
	  "(at " DNS "rebindingPolicy/responseIpAllowlist/0)", "" },
	{ "\"dnsAuthority\":{\"rebindingPolicy\":{\"responseIpAllowlist\":["
	  "\"\"]}}",
	  "entry \"\" is not", "responseIpAllowlist/0)", "" },
	{ "\"dnsAuthority\":{\"rebindingPolicy\":{\"responseIpAllowlist\":["
	  "\":1.1.1.1\"]}}",
	  "entry \":1.1.1.1\" is not", "responseIpAllowlist/0)", "" },
};

static void refused(void **state)
{
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		OWNED(wbuf_drop) struct wbuf rules = WBUF_INIT(4096);

		if (compile(bad[i].authority, true, &e) != -1 ||
		    e.cls != ERR_SPEC)
			fail_msg("%s is no error", bad[i].authority);
		if (!strstr(e.text, bad[i].text) || !strstr(e.text, bad[i].at))
			fail_msg("%s", e.text);
		if (compile(bad[i].authority, false, &e))
			fail_msg("%s", e.text);
		put_rules(&rules);
		same(bad[i].authority, &rules, bad[i].left);
		assert_int_equal(policy.n_nets, 0);
	}
}

/* What is left out is told: stderr, once */
static void told(void **state)
{
	char text[1024] = "";
	FILE *f = tmpfile();
	int saved = dup(STDERR_FILENO);
	struct err e;

	(void)state;
	assert_non_null(f);
	assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);
	assert_int_equal(
		compile(RULES(UNSET("a.b\\u001b[1m", "80")), false, &e), 0);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(f);
	assert_non_null(fgets(text, sizeof(text), f));
	assert_non_null(strstr(text, "authority.egressRules[].host "
				     "\"a.b\\u{1b}[1m\" is no host name"));
	assert_non_null(strstr(text, AT0 "/host); it permits nothing\n"));
	assert_null(fgets(text, sizeof(text), f));
	fclose(f);
}

static void budgets(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(
		compile(RULES("{\"host\":\"a\",\"port\":1,\"maxBytesUp\":7,"
			      "\"maxBytesDown\":18446744073709551615},"
			      "{\"host\":\"a\",\"port\":1}"),
			true, &e),
		0);
	assert_int_equal(policy.rules[0].max_up, 7);
	assert_int_equal(policy.rules[0].max_down, UINT64_MAX);
	assert_int_equal(policy.rules[1].max_up, 0);
	assert_int_equal(policy.rules[1].max_down, 0);
}

/* @n rules or entries, each another one */
static int many(const char *kind, size_t n, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 20);
	bool is_list = strcmp(kind, "list") == 0;

	wbuf_str(&b, is_list ? "\"dnsAuthority\":{\"hostnameAllowlist\":["
			     : "\"egressRules\":[");
	for (size_t i = 0; i < n; i++) {
		wbuf_str(&b, i ? "," : "");
		if (is_list)
			wbuf_fmt(&b, "\"n%zu.x\"", i);
		else if (strcmp(kind, "nets") == 0)
			wbuf_fmt(&b, "{\"host\":\"10.0.%zu.%zu\",\"port\":1}",
				 i / 256, i % 256);
		else
			wbuf_fmt(&b, "{\"host\":\"n%zu.x\",\"port\":1}", i);
	}
	wbuf_str(&b, is_list ? "]},\"egressRules\":[]" : "]");
	return compile(wbuf_cstr(&b), true, e);
}

static void bounds(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(many("rules", GATE_RULES_MAX, &e), 0);
	assert_int_equal(policy.n_rules, GATE_RULES_MAX);
	assert_int_equal(policy.n_names, GATE_NAMES_MAX);
	assert_int_equal(many("rules", GATE_RULES_MAX + 1, &e), -1);
	assert_non_null(
		strstr(e.text, "egress rules: there are more than 512"));
	assert_int_equal(many("list", GATE_NAMES_MAX, &e), 0);
	assert_int_equal(policy.n_names, GATE_NAMES_MAX);
	assert_int_equal(many("list", GATE_NAMES_MAX + 1, &e), -1);
	assert_non_null(
		strstr(e.text, "names to resolve: there are more than 512"));
	assert_int_equal(many("nets", GATE_NETS_MAX, &e), 0);
	assert_int_equal(policy.n_nets, GATE_NETS_MAX);
	assert_int_equal(many("nets", GATE_NETS_MAX + 1, &e), -1);
	assert_non_null(strstr(e.text, "there are more than 256"));
}

static void resolvable(void **state)
{
	static const struct {
		const char *name;
		int want;
	} rows[] = {
		{ "a.b", 0 },
		{ "x.a.b", -1 },
		{ "x.c.d", 1 },
		{ "y.x.c.d", 1 },
		{ "_sip._tcp.c.d", 1 },
		{ "c.d", -1 },
		{ "evilc.d", -1 },
		/* reverse zones that are whole below what is not public */
		{ "1.2.0.192.in-addr.arpa", 2 },
		{ "4.4.8.8.in-addr.arpa", 2 },
		{ "in-addr.arpa", -1 },
		{ "8.in-addr.arpa", 2 },
		{ "172.in-addr.arpa", 2 },
		{ "100.in-addr.arpa", 2 },
		{ "1.0.0.10.in-addr.arpa", -1 },
		{ "10.in-addr.arpa", -1 },
		{ "16.172.in-addr.arpa", -1 },
		{ "32.172.in-addr.arpa", 2 },
		{ "1.1.168.192.in-addr.arpa", -1 },
		{ "64.100.in-addr.arpa", -1 },
		{ "254.169.in-addr.arpa", -1 },
		{ "1.0.0.127.in-addr.arpa", -1 },
		{ "16.129.63.168.in-addr.arpa", -1 },
		{ "17.129.63.168.in-addr.arpa", 2 },
		{ "lb._dns-sd._udp.0.0.10.in-addr.arpa", -1 },
		{ "0.1.0.0.10.in-addr.arpa", -1 },
		{ "300.in-addr.arpa", 2 },
		{ "266.in-addr.arpa", 2 },
		{ "0010.in-addr.arpa", 2 },
		{ "8.b.d.0.1.0.0.2.ip6.arpa", 3 },
		{ "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0."
		  "0.2.ip6.arpa",
		  3 },
		{ "d.f.ip6.arpa", -1 },
		{ "1.d.f.ip6.arpa", -1 },
		{ "8.e.f.ip6.arpa", -1 },
		{ "f.ip6.arpa", 3 },
		{ "0.ip6.arpa", 3 },
		{ "1.0.0.2.ip6.arpa", 3 },
		{ "0.0.0.0.1.0.0.2.ip6.arpa", -1 },
		{ "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
		  "0.0.ip6.arpa",
		  -1 },
	};
	struct hostname h;
	struct err e;

	(void)state;
	assert_int_equal(compile(LIST("\"a.b\",\"*.c.d\",\"*.in-addr.arpa\","
				      "\"*.ip6.arpa\""),
				 true, &e),
			 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(
			hostname_parse_service(slice_of(rows[i].name), &h), 0);
		if (policy_resolvable(&policy, &h) != rows[i].want)
			fail_msg("%s is not %d", rows[i].name, rows[i].want);
	}
	h = (struct hostname){ 0 };
	assert_int_equal(policy_resolvable(&policy, &h), -1);
}

static void ports_and_refs(void **state)
{
	static uint16_t ports[GATE_RULES_MAX];
	static const uint16_t tcp[] = { 22, 80, 443 }, udp[] = { 1, 123 };
	char buf[64];
	struct err e;

	(void)state;
	assert_int_equal(
		compile(RULES(UNSET("a", "443") "," RULE("a", "123", "udp") "," UNSET("a", "22") "," UNSET(
				"b",
				"443") "," RULE("a", "53",
						"udp") "," UNSET("a",
								 "53") "," RULE("a",
										"1",
										"udp") "," UNSET("a",
												 "80")),
			true, &e),
		0);
	assert_int_equal(policy_ports(&policy, false, ports), 3);
	assert_memory_equal(ports, tcp, sizeof(tcp));
	assert_int_equal(policy_ports(&policy, true, ports), 2);
	assert_memory_equal(ports, udp, sizeof(udp));
	assert_string_equal(policy_rule_ref(&policy.rules[4], buf),
			    "authority.egressRules[6]");
	assert_int_equal(compile(LIST("\"a.b\",\"c.d\""), true, &e), 0);
	assert_string_equal(policy_rule_ref(&policy.rules[3], buf),
			    "authority.dnsAuthority.hostnameAllowlist[1]");
	policy.rules[3].index = UINT32_MAX;
	assert_string_equal(
		policy_rule_ref(&policy.rules[3], buf),
		"authority.dnsAuthority.hostnameAllowlist[4294967295]");
}

static void needs_gate(void **state)
{
	struct spec_egress_rule rule = { 0 };
	struct slice name = SLICE_LIT("a.b");
	struct spec_dns_authority dns = { 0 };
	struct spec s = { 0 };

	(void)state;
	assert_false(policy_needs_gate(&s));
	s.authority.dns = &dns;
	assert_false(policy_needs_gate(&s));
	s.authority.egress_rules = (struct spec_egress_rules){ &rule, 1 };
	assert_true(policy_needs_gate(&s));
	s.authority.egress_rules.n = 0;
	dns.hostname_allowlist = (struct spec_strings){ &name, 1 };
	assert_true(policy_needs_gate(&s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compiled),	  cmocka_unit_test(refused),
		cmocka_unit_test(told),		  cmocka_unit_test(budgets),

		cmocka_unit_test(bounds),	  cmocka_unit_test(resolvable),
		cmocka_unit_test(ports_and_refs), cmocka_unit_test(needs_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
