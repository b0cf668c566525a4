/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What each rule met: which rows there are, and what is counted for which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gate/flow_rows.h"

#define DOC(authority)                                                    \
	"{\"apiVersion\":\"cellos.io/"                                    \
	"v1\",\"kind\":\"ExecutionCell\",\"spec\":{\"id\":\"demo-1\","    \
	"\"authority\":{" authority "},\"lifetime\":{\"ttlSeconds\":60}}" \
	"}"
#define RESOLVER(id, endpoint, protocol)                            \
	"{\"resolverId\":\"" id "\",\"endpoint\":\"" endpoint "\"," \
	"\"protocol\":\"" protocol "\"}"
#define DEFAULT_DROP "deny nft_default_drop default-drop - - 0 "

static struct spec spec;
static struct gate_policy policy;
static struct flow_counts counts;
static char text[4096];

static int put(void *arg, struct event_flow *f)
{
	char ip[IP_TEXT_SIZE], line[512];

	assert_ptr_equal(arg, &spec);
	assert_true(f->is_row);
	assert_null(f->decision_id);
	assert_null(f->observed_at);
	(void)snprintf(line, sizeof(line), "%s %s %s %s %s %u %llu%s%s\n",
		       f->allow ? "allow" : "deny", f->reason,
		       f->rule_ref ? f->rule_ref : "-",
		       f->dst.family ? ip_text(ip, &f->dst) : "-",
		       f->protocol ? f->protocol : "-", f->dst_port,
		       (unsigned long long)f->packets, f->bytes ? " " : "",
		       f->bytes ? "bytes" : "");
	assert_true(strlen(text) + strlen(line) < sizeof(text));
	(void)strcat(text, line);
	return 0;
}

static void load(const char *document)
{
	struct err e;

	spec_drop(&spec);
	memset(&spec, 0, sizeof(spec));
	if (spec_parse(slice_of(document), &spec, &e))
		fail_msg("%s: %s", e.text, e.cause);
	memset(&policy, 0, sizeof(policy));
	memset(&counts, 0, sizeof(counts));
	policy.n_resolvers = 1;
	memcpy(policy.resolvers[0].id, "r1", 3);
}

static void is(const char *expected)
{
	text[0] = '\0';
	assert_int_equal(flow_rows(&spec, &policy, &counts, put, &spec), 0);
	assert_string_equal(text, expected);
}

/* The original's example of all blocks. */
#define ALL_BLOCKS                                                        \
	DOC("\"dnsAuthority\":{\"blockDirectWorkloadDns\":true,"          \
	    "\"blockUdpDoq\":true,\"blockUdpHttp3\":true,"                \
	    "\"resolvers\":[" RESOLVER(                                   \
		    "r1", "10.9.0.53:53",                                 \
		    "do53-udp") "," RESOLVER("r2",                        \
					     "https://[2001:db8::5]:443/" \
					     "dns-query",                 \
					     "doh") "]}")

static void test_blocks(void **state)
{
	(void)state;
	load(ALL_BLOCKS);
	is("deny nft_workload_dns_block dnsAuthority.workloadDnsBlock - udp 53 "
	   "0\n"
	   "deny nft_workload_dns_block dnsAuthority.workloadDnsBlock - tcp 53 "
	   "0\n"
	   "allow nft_resolver_allowlist_match - 2001:db8::5 udp 443 0\n"
	   "deny nft_doq_blocked dnsAuthority.blockUdpDoq - udp 853 0\n"
	   "deny nft_http3_blocked dnsAuthority.blockUdpHttp3 - udp 443 "
	   "0\n" DEFAULT_DROP "0\n");
	/* a resolver of plain DNS is counted once, by its first row */
	counts.resolvers[0] = 5;
	counts.refused_doq = 6;
	counts.refused_http3 = 7;
	counts.refused = 8;
	is("allow nft_resolver_allowlist_match - 10.9.0.53 udp 53 5\n"
	   "deny nft_workload_dns_block dnsAuthority.workloadDnsBlock - udp 53 "
	   "0\n"
	   "deny nft_workload_dns_block dnsAuthority.workloadDnsBlock - tcp 53 "
	   "0\n"
	   "allow nft_resolver_allowlist_match - 2001:db8::5 udp 443 0\n"
	   "deny nft_doq_blocked dnsAuthority.blockUdpDoq - udp 853 6\n"
	   "deny nft_http3_blocked dnsAuthority.blockUdpHttp3 - udp 443 "
	   "7\n" DEFAULT_DROP "8\n");
	load(DOC(""));
	is(DEFAULT_DROP "0\n");
	/* what has no row of its own is in the last */
	counts.refused_doq = 1;
	counts.refused_http3 = 2;
	counts.refused = 4;
	is(DEFAULT_DROP "7\n");
	load(DOC("\"dnsAuthority\":{\"blockUdpDoq\":true}"));
	counts.refused_http3 = 2;
	is("deny nft_doq_blocked dnsAuthority.blockUdpDoq - udp 853 "
	   "0\n" DEFAULT_DROP "2\n");
}

static void test_resolvers(void **state)
{
	(void)state;
	load(
		DOC("\"dnsAuthority\":{\"blockUdpHttp3\":true,\"resolvers\":"
		    "[" RESOLVER("r1", "10.9.0.53:53", "do53-udp") "," RESOLVER("r2", "https://1.1.1.1:443/dns-query", "doh") "," RESOLVER(
			    "r3", "h3://1.1.1.1:443",
			    "doh") "," RESOLVER("r4", "quic://1.1.1.1:853",
						"doq") "," RESOLVER("r5",
								    "https://"
								    "dns."
								    "example."
								    "com:8443/"
								    "q",
								    "doh") "," RESOLVER("r6",
											"https://1.1.1.2/dns-query",
											"doh") "," RESOLVER("r7",
													    "1.1.1.3:70000",
													    "doq") "," RESOLVER("r8",
																":853",
																"doq") "," RESOLVER("r9",
																		    "1.1.1.4:853",
																		    "dot") "]}"));
	counts.resolvers[0] = 1;
	is("allow nft_resolver_allowlist_match - 10.9.0.53 udp 53 1\n"
	   "allow nft_resolver_allowlist_match - 1.1.1.1 udp 443 0\n"
	   "allow nft_resolver_allowlist_match - 1.1.1.1 udp 853 0\n"
	   "allow nft_egress_rule_match - - udp 8443 0\n"
	   "deny nft_http3_blocked dnsAuthority.blockUdpHttp3 - udp 443 "
	   "0\n" DEFAULT_DROP "0\n");
	/* plain DNS over TCP has no way over UDP */
	load(DOC("\"dnsAuthority\":{\"blockDirectWorkloadDns\":true,"
		 "\"blockUdpDoq\":true,\"resolvers\":[" RESOLVER(
			 "r1", "[fd00::53]:53", "do53-tcp") "]}"));
	counts.resolvers[0] = 1;
	is("allow nft_resolver_allowlist_match - fd00::53 tcp 53 1\n"
	   "deny nft_workload_dns_block dnsAuthority.workloadDnsBlock - udp 53 "
	   "0\n"
	   "deny nft_workload_dns_block dnsAuthority.workloadDnsBlock - tcp 53 "
	   "0\n"
	   "deny nft_doq_blocked dnsAuthority.blockUdpDoq - udp 853 "
	   "0\n" DEFAULT_DROP "0\n");
}

static void test_rules(void **state)
{
	static const struct gate_rule rules[] = {
		{ .protocol = GATE_TLS,
		  .is_net = true,
		  .port = 443,
		  .net = { { .family = 4, .b = { 192, 0, 2, 10 } }, 32 } },
		{ .protocol = GATE_UDP,
		  .index = 1,
		  .is_net = true,
		  .port = 123,
		  .net = { { .family = 4, .b = { 10 } }, 8 } },
		{ .protocol = GATE_HTTP, .index = 2, .port = 80 },
		{ .protocol = GATE_UDP, .index = 3, .port = 443 },
		{ .of_allowlist = true, .port = 443 },
		{ .protocol = GATE_TCP,
		  .index = 5,
		  .is_net = true,
		  .port = 22,
		  .net = { { .family = 6, .b = { 0x20, 0x01 } }, 128 } },
	};
	size_t i;

	(void)state;
	load(DOC(""));
	policy.n_rules = ARRAY_SIZE(rules);
	memcpy(policy.rules, rules, sizeof(rules));
	is(DEFAULT_DROP "0\n");
	for (i = 0; i < ARRAY_SIZE(rules); i++)
		counts.rules[i].packets = i + 1;
	counts.rules[1].bytes = 1;
	is("allow nft_egress_rule_match authority.egressRules[0] 192.0.2.10 "
	   "tcp 443 1\n"
	   "allow nft_egress_rule_match authority.egressRules[1] - udp 123 2 "
	   "bytes\n"
	   "allow nft_egress_rule_match authority.egressRules[2] - tcp 80 3\n"
	   "allow nft_resolver_allowlist_match - - udp 443 4\n"
	   "allow nft_egress_rule_match authority.egressRules[5] 2001:: tcp 22 "
	   "6\n" DEFAULT_DROP "0\n");
}

static int stop(void *arg, struct event_flow *f)
{
	int *left = arg;

	(void)f;
	return --*left ? 0 : -5;
}

static void test_ends_early(void **state)
{
	int i, left;

	(void)state;
	load(ALL_BLOCKS);
	for (i = 1; i <= 6; i++) {
		left = i;
		assert_int_equal(
			flow_rows(&spec, &policy, &counts, stop, &left), -5);
		assert_int_equal(left, 0);
	}
	left = 7;
	assert_int_equal(flow_rows(&spec, &policy, &counts, stop, &left), 0);
	assert_int_equal(left, 1);
}

static void test_counts(void **state)
{
	struct gate_record r = {
		.type = GATE_FLOW,
		.flow = { .reason = GATE_REASON_NAME_RULE,
			  .rule = 2,
			  .up = 10 },
	};

	(void)state;
	memset(&counts, 0, sizeof(counts));
	flow_counts_add(&counts, &r);
	r.flow.reason = GATE_REASON_BUDGET_UP;
	r.flow.is_dialled = true;
	flow_counts_add(&counts, &r);
	/* a later request was denied: the first ones went out */
	r.flow.reason = GATE_REASON_HOST_MISS;
	flow_counts_add(&counts, &r);
	r.flow.is_dialled = false;
	flow_counts_add(&counts, &r);
	r.flow.reason = GATE_REASON_UPSTREAM_FAILED;
	flow_counts_add(&counts, &r);
	r.flow.reason = GATE_REASON_STOPPED;
	flow_counts_add(&counts, &r);
	assert_int_equal(counts.rules[2].packets, 3);
	assert_int_equal(counts.rules[2].bytes, 30);
	r.type = GATE_AGGREGATE;
	r.of = GATE_FLOW;
	r.count = 100;
	r.flow.reason = GATE_REASON_SNI_MATCH;
	flow_counts_add(&counts, &r);
	assert_int_equal(counts.rules[2].packets, 103);
	/* of all of them */
	assert_int_equal(counts.rules[2].bytes, 40);
	/* a decision is not yet a flow */
	r.type = GATE_DECISION;
	flow_counts_add(&counts, &r);
	assert_int_equal(counts.rules[2].packets, 103);
	/* out of bounds is nobody's */
	r.type = GATE_FLOW;
	r.flow.rule = GATE_RULES_MAX;
	flow_counts_add(&counts, &r);
	r.flow.rule = -1;
	flow_counts_add(&counts, &r);
	assert_int_equal(counts.resolvers[0], 0);
	assert_int_equal(counts.rules[GATE_RULES_MAX - 1].packets, 0);
	/* ports that are closed */
	r.flow.reason = GATE_REASON_PORT_CLOSED;
	r.flow.l4 = IPPROTO_UDP;
	r.flow.dst_port = 853;
	flow_counts_add(&counts, &r);
	r.type = GATE_REFUSED;
	r.flow.reason = GATE_REASON_NO_RULE;
	r.flow.dst_port = 443;
	flow_counts_add(&counts, &r);
	r.flow.l4 = IPPROTO_TCP;
	flow_counts_add(&counts, &r);
	r.type = GATE_AGGREGATE;
	r.of = GATE_REFUSED;
	r.count = 7;
	flow_counts_add(&counts, &r);
	assert_int_equal(counts.refused_doq, 1);
	assert_int_equal(counts.refused_http3, 1);
	assert_int_equal(counts.refused, 8);
	/* queries */
	r = (struct gate_record){ .type = GATE_QUERY,
				  .query = { .resolver = 3 } };
	flow_counts_add(&counts, &r);
	assert_int_equal(counts.resolvers[3], 0);
	r.query.asked_upstream = true;
	flow_counts_add(&counts, &r);
	r.query.resolver = GATE_RESOLVERS_MAX;
	flow_counts_add(&counts, &r);
	assert_int_equal(counts.resolvers[3], 1);
	assert_int_equal(counts.refused, 8);
}

static int tidy(void **state)
{
	(void)state;
	spec_drop(&spec);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_resolvers),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_ends_early),
		cmocka_unit_test(test_counts),
	};

	return cmocka_run_group_tests_name("gate/flow_rows", tests, NULL, tidy);
}
