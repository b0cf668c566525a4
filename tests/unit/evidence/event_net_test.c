/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Data of the events of the door, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "evidence/event_net.h"
#include "evidence/report.h"

#define HASH                                                                  \
	"sha256:4e4acb1f20b143dd34723f8fb3125ceab895a17e6f9413c49a690e79b00e" \
	"ccbf"
#define ID "66e80487-aaea-425a-930d-25aeb777a178"
#define AT "2026-01-02T03:04:05.123Z"

#define DOC(authority, more)                                              \
	"{\"apiVersion\":\"cellos.io/"                                    \
	"v1\",\"kind\":\"ExecutionCell\",\"spec\":"                       \
	"{\"id\":\"demo-1\",\"authority\":{" authority "},\"lifetime\":{" \
	"\"ttlSeconds\":60}" more "}}"
#define RULE "\"egressRules\":[{\"host\":\"192.0.2.10\",\"port\":443}]"
#define CORRELATION                                                        \
	",\"correlation\":{\"platform\":\"github\",\"tenantId\":\"acme\"," \
	"\"correlationId\":\"corr-1\"}"
/* what the trust plane says of every decision */
#define L7_TRUST                                                      \
	"\"issuerKid\":\"cellos-local-l7-v0\",\"keysetId\":\"cellos:" \
	"builtin-v0\",\"policyDigest\":\"" HASH "\","
#define DNS_TRUST                                                          \
	"\"issuerKid\":\"cellos-local-resolve-v0\",\"keysetId\":\"cellos:" \
	"builtin-v0\","

static const struct ip_addr addr4 = { .family = 4, .b = { 192, 0, 2, 10 } };
static const struct ip_addr addr6 = {
	.family = 6, .b = { 0x20, 0x01, 0x0d, 0xb8, [15] = 5 }
};

static struct spec spec;
static struct event_run run;
static struct wbuf buf = { .max = LIMIT_EVENT_LINE };

static void load(const char *text)
{
	struct err e;

	spec_drop(&spec);
	memset(&spec, 0, sizeof(spec));
	if (spec_parse(slice_of(text), &spec, &e))
		fail_msg("%s: %s", e.text, e.cause);
	run = (struct event_run){
		.spec = &spec,
		.cell_id = "demo-1",
		.run_id = "run-1",
		.run_uuid = "7a1b5c1e-8f0e-4a0b-9b52-0a4c7d7a1c01",
		.spec_hash = HASH,
		.keyset_id = "cellos:builtin-v0",
		.resolver_kid = "cellos-local-resolve-v0",
		.l7_kid = "cellos-local-l7-v0",
	};
	wbuf_reset(&buf);
}

static void is(const char *expected)
{
	assert_false(buf.failed);
	assert_string_equal(wbuf_cstr(&buf), expected);
	wbuf_reset(&buf);
}

static void test_times(void **state)
{
	char buf_a[CLOCK_TEXT_SIZE];

	(void)state;
	assert_string_equal(event_ms_text(buf_a, 1767323045123u, CLOCK_FORM_B),
			    "2026-01-02T03:04:05.123Z");
	assert_string_equal(event_ms_text(buf_a, 1767323045120u, CLOCK_FORM_A),
			    "2026-01-02T03:04:05.120+00:00");
	/* a gate may say anything */
	assert_string_equal(event_ms_text(buf_a, UINT64_MAX, CLOCK_FORM_B),
			    "9999-12-31T23:59:59.999Z");
}

static void test_l7_declared(void **state)
{
	(void)state;
	load(DOC(RULE, ""));
	event_l7_declared(&buf, &run, 0, ID);
	is("{\"action\":\"allow\",\"cellId\":\"demo-1\",\"decisionId\":\"" ID
	   "\"," L7_TRUST "\"reasonCode\":\"egress_declared_allowlist\","
	   "\"ruleRef\":\"authority.egressRules[0]\",\"runId\":\"run-1\","
	   "\"sniHost\":\"192.0.2.10\",\"specId\":\"demo-1\"}");
	/* not a word of DNS in the document: nothing is direct */
	assert_false(event_l7_direct_dns(&buf, &run, 0, ID));
	load(DOC("\"dnsAuthority\":{\"hostnameAllowlist\":[\"a.example.com\","
		 "\"*.b.example.com\"]}",
		 CORRELATION));
	event_l7_listed(&buf, &run, 1, ID);
	is("{\"action\":\"allow\",\"cellId\":\"demo-1\",\"correlation\":{"
	   "\"correlationId\":\"corr-1\",\"externalJobId\":null,"
	   "\"externalRunId\":null,\"labels\":null,\"platform\":\"github\","
	   "\"tenantId\":\"acme\"},\"decisionId\":\"" ID "\"," L7_TRUST
	   "\"reasonCode\":\"hostname_allowlist_evaluated\",\"ruleRef\":"
	   "\"authority.dnsAuthority.hostnameAllowlist[1]\",\"runId\":"
	   "\"run-1\",\"sniHost\":\"*.b.example.com\",\"specId\":\"demo-1\"}");
}

#define DNS_RULES                                                             \
	"\"egressRules\":[{\"host\":\"8.8.8.8\",\"port\":53},{\"host\":"      \
	"\"10.10.0.53\",\"port\":53},{\"host\":\"8.8.8.8\",\"port\":443},{"   \
	"\"host\":\"fd00::53\",\"port\":53},{\"host\":\"10.10.0.54\","        \
	"\"port\":53}],\"dnsAuthority\":{\"resolvers\":[{\"resolverId\":"     \
	"\"r1\",\"endpoint\":\"10.10.0.53:53\",\"protocol\":\"do53-udp\"},{"  \
	"\"resolverId\":\"r2\",\"endpoint\":\"[fd00::53]:53\",\"protocol\":"  \
	"\"do53-tcp\"},{\"resolverId\":\"r3\",\"endpoint\":\"10.10.0.54:53\"" \
	",\"protocol\":\"dot\"}]"

static void test_l7_direct_dns(void **state)
{
	static const bool told[] = { true, false, false, false, true };
	size_t i;

	(void)state;
	load(DOC(DNS_RULES ",\"blockDirectWorkloadDns\":true}", ""));
	for (i = 0; i < sizeof(told); i++) {
		assert_int_equal(event_l7_direct_dns(&buf, &run, i, ID),
				 told[i]);
		assert_int_equal(buf.len > 0, told[i]);
		if (i)
			wbuf_reset(&buf);
		else
			is("{\"action\":\"deny\",\"cellId\":\"demo-1\","
			   "\"decisionId\":\"" ID "\"," L7_TRUST
			   "\"reasonCode\":\"workload_direct_dns_blocked\","
			   "\"ruleRef\":\"authority.egressRules[0]\",\"runId\":"
			   "\"run-1\",\"sniHost\":\"8.8.8.8\",\"specId\":"
			   "\"demo-1\"}");
	}
	load(DOC(DNS_RULES "}", ""));
	assert_false(event_l7_direct_dns(&buf, &run, 0, ID));
}

static void test_l7_live(void **state)
{
	struct event_l7 d = { .is_live = true,
			      .decision_id = ID,
			      .reason = "l7_sni_allowlist_miss",
			      .host = SLICE_LIT("evil.example.com") };

	(void)state;
	load(DOC(RULE, CORRELATION));
	event_l7_egress_decision(&buf, &run, &d);
	is("{\"action\":\"deny\",\"cellId\":\"demo-1\",\"correlation\":{"
	   "\"correlationId\":\"corr-1\",\"externalJobId\":null,"
	   "\"externalRunId\":null,\"labels\":null,\"platform\":null},"
	   "\"decisionId\":\"" ID "\"," L7_TRUST
	   "\"reasonCode\":\"l7_sni_allowlist_miss\",\"runId\":\"run-1\","
	   "\"sniHost\":\"evil.example.com\",\"specId\":"
	   "\"sni-proxy/demo-1/run-1\"}");
	/* without an id there is no correlation, whatever else it says */
	load(DOC(RULE, ",\"correlation\":{\"platform\":\"github\"}"));
	d.host = (struct slice){ NULL, 0 };
	d.reason = "l7_sni_missing";
	event_l7_egress_decision(&buf, &run, &d);
	is("{\"action\":\"deny\",\"cellId\":\"demo-1\",\"decisionId\":\"" ID
	   "\"," L7_TRUST "\"reasonCode\":\"l7_sni_missing\",\"runId\":"
	   "\"run-1\",\"sniHost\":\"(unknown)\",\"specId\":"
	   "\"sni-proxy/demo-1/run-1\"}");
	d.host = SLICE_LIT("");
	event_l7_egress_decision(&buf, &run, &d);
	assert_non_null(strstr(wbuf_cstr(&buf), "\"sniHost\":\"(unknown)\""));
	wbuf_reset(&buf);
}

static void test_l7_unstarted(void **state)
{
	char text[256];

	(void)state;
	load(DOC(RULE, ""));
	event_l7_unstarted(&buf, &run, ID, "bind: no");
	is("{\"action\":\"deny\",\"cellId\":\"demo-1\",\"decisionId\":\"" ID
	   "\"," L7_TRUST "\"reasonCode\":\"l7_unknown_protocol\",\"ruleRef\":"
	   "\"bind: no\",\"runId\":\"run-1\",\"sniHost\":\"(spawn-error)\","
	   "\"specId\":\"demo-1\"}");
	memset(text, 'x', sizeof(text));
	text[200] = '\0';
	event_l7_unstarted(&buf, &run, ID, text);
	assert_non_null(strstr(wbuf_cstr(&buf), "x\",\"runId\""));
	wbuf_reset(&buf);
	/* the 200th byte is the first of two */
	memcpy(text + 199, "\xc3\xa9 more", 8);
	event_l7_unstarted(&buf, &run, ID, text);
	assert_non_null(strstr(wbuf_cstr(&buf), "x\xe2\x80\xa6\",\"runId\""));
	assert_null(strstr(wbuf_cstr(&buf), "\xc3"));
	wbuf_reset(&buf);
	text[200] = 'Q';
	text[199] = 'x';
	event_l7_unstarted(&buf, &run, ID, text);
	assert_non_null(strstr(wbuf_cstr(&buf), "x\xe2\x80\xa6\",\"runId\""));
	assert_null(strchr(wbuf_cstr(&buf), 'Q'));
	wbuf_reset(&buf);
}

static void test_dns_resolution(void **state)
{
	struct ip_addr many[EVENT_TARGETS_MAX + 1];
	const char *p;
	size_t i, n = 0;

	(void)state;
	load(DOC(RULE, ""));
	event_dns_resolution(&buf, &run, 0, &addr4, 1,
			     "2026-01-02T03:04:05.123456789+00:00");
	is("{\"cellId\":\"demo-1\",\"fqdn\":\"192.0.2.10\"," DNS_TRUST
	   "\"policyDigest\":\"" HASH "\",\"receiptId\":"
	   "\"rcp-run-1-192.0.2.10\",\"resolvedAt\":"
	   "\"2026-01-02T03:04:05.123456789+00:00\",\"runId\":\"run-1\","
	   "\"specId\":\"demo-1\",\"targets\":[{\"address\":\"192.0.2.10\","
	   "\"family\":\"inet\",\"port\":443}],\"ttlSeconds\":300}");
	event_dns_resolution(&buf, &run, 0, NULL, 0, "t");
	assert_non_null(
		strstr(wbuf_cstr(&buf), "\"targets\":[],\"ttlSeconds\":0}"));
	wbuf_reset(&buf);
	for (i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		many[i] = addr6;
	event_dns_resolution(&buf, &run, 0, many, i, "t");
	for (p = wbuf_cstr(&buf);
	     (p = strstr(p, "{\"address\":\"2001:db8::5\",\"family\":"
			    "\"inet6\",\"port\":443}"));
	     p++)
		n++;
	assert_int_equal(n, 24);
	wbuf_reset(&buf);
}

static void test_dns_query(void **state)
{
	struct event_query q = { .query_id = ID,
				 .observed_at = AT,
				 .name = SLICE_LIT("bad.example.com"),
				 .type = "A",
				 .reason = "denied_not_in_allowlist",
				 .was_answered = true,
				 .rcode = 5 };

	(void)state;
	load(DOC("", ""));
	event_dns_query(&buf, &run, &q);
	is("{\"cellId\":\"demo-1\",\"decision\":\"deny\"," DNS_TRUST
	   "\"observedAt\":\"" AT "\",\"policyDigest\":\"" HASH
	   "\",\"queryId\":\"" ID "\",\"queryName\":\"bad.example.com\","
	   "\"queryType\":\"A\",\"reasonCode\":\"denied_not_in_allowlist\","
	   "\"responseRcode\":5,\"responseTargetCount\":0,\"runId\":\"run-1\","
	   "\"schemaVersion\":\"1.0.0\"}");
	event_query_refused(&buf, &run, &q);
	is("{\"cellId\":\"demo-1\",\"queryName\":\"bad.example.com\","
	   "\"queryType\":\"A\",\"reason\":\"denied_not_in_allowlist\","
	   "\"schemaVersion\":\"1.0.0\"}");
	load(DOC("", CORRELATION));
	q = (struct event_query){ .allow = true,
				  .query_id = ID,
				  .observed_at = AT,
				  .name = SLICE_LIT("api.example.com"),
				  .type = "A",
				  .reason = "allowed_by_allowlist",
				  .was_answered = true,
				  .targets = 1,
				  .resolver = "r1",
				  .has_latency = true,
				  .latency_ms = 3 };
	event_dns_query(&buf, &run, &q);
	is("{\"cellId\":\"demo-1\",\"correlationId\":\"corr-1\",\"decision\":"
	   "\"allow\"," DNS_TRUST "\"observedAt\":\"" AT "\",\"policyDigest\":"
	   "\"" HASH "\",\"queryId\":\"" ID "\",\"queryName\":"
	   "\"api.example.com\",\"queryType\":\"A\",\"reasonCode\":"
	   "\"allowed_by_allowlist\",\"responseRcode\":0,"
	   "\"responseTargetCount\":1,\"runId\":\"run-1\",\"schemaVersion\":"
	   "\"1.0.0\",\"upstreamLatencyMs\":3,\"upstreamResolverId\":\"r1\"}");
	event_query_permitted(&buf, &run, &q);
	is("{\"cellId\":\"demo-1\",\"queryName\":\"api.example.com\","
	   "\"queryType\":\"A\",\"resolver\":\"r1\",\"schemaVersion\":"
	   "\"1.0.0\"}");
	/* nothing of it could be read */
	load(DOC("", ""));
	q = (struct event_query){ .query_id = ID,
				  .observed_at = AT,
				  .reason = "malformed_query" };
	event_dns_query(&buf, &run, &q);
	is("{\"cellId\":\"demo-1\",\"decision\":\"deny\"," DNS_TRUST
	   "\"observedAt\":\"" AT "\",\"policyDigest\":\"" HASH
	   "\",\"queryId\":\"" ID "\",\"queryName\":\"(unknown)\","
	   "\"queryType\":\"A\",\"reasonCode\":\"malformed_query\",\"runId\":"
	   "\"run-1\",\"schemaVersion\":\"1.0.0\"}");
	/* the root is told as no name at all in the short form */
	q.reason = "denied_query_type";
	event_query_refused(&buf, &run, &q);
	is("{\"cellId\":\"demo-1\",\"queryName\":\"\",\"queryType\":\"A\","
	   "\"reason\":\"denied_query_type\",\"schemaVersion\":\"1.0.0\"}");
}

static void test_flow_decision(void **state)
{
	struct event_flow f = { .decision_id = ID,
				.observed_at = AT,
				.reason = "nft_workload_dns_block",
				.rule_ref = "dnsAuthority.workloadDnsBlock",
				.dst_port = 53,
				.protocol = "udp",
				.is_row = true };

	(void)state;
	load(DOC("", ""));
	event_network_flow_decision(&buf, &run, &f);
	is("{\"byteCount\":0,\"cellId\":\"demo-1\",\"decision\":\"deny\","
	   "\"decisionId\":\"" ID
	   "\",\"direction\":\"egress\",\"dstPort\":53," DNS_TRUST
	   "\"nftRuleRef\":\"dnsAuthority.workloadDnsBlock\","
	   "\"observedAt\":\"" AT
	   "\",\"packetCount\":0,\"policyDigest\":\"" HASH
	   "\",\"protocol\":\"udp\",\"reasonCode\":"
	   "\"nft_workload_dns_block\",\"runId\":\"run-1\",\"schemaVersion\":"
	   "\"1.0.0\"}");
	/* as it happens: no counts, no trust ids, no correlation */
	load(DOC("", CORRELATION));
	f = (struct event_flow){ .allow = true,
				 .decision_id = ID,
				 .observed_at = "2026-01-02T03:04:05+00:00",
				 .reason = "nft_log_accept",
				 .dst = addr6,
				 .dst_port = 443,
				 .protocol = "tcp",
				 .packets = 7 };
	event_network_flow_decision(&buf, &run, &f);
	is("{\"cellId\":\"demo-1\",\"decision\":\"allow\",\"decisionId\":\"" ID
	   "\",\"direction\":\"egress\",\"dstAddr\":\"2001:db8::5\","
	   "\"dstPort\":443,\"observedAt\":\"2026-01-02T03:04:05+00:00\","
	   "\"protocol\":\"tcp\",\"reasonCode\":\"nft_log_accept\",\"runId\":"
	   "\"run-1\",\"schemaVersion\":\"1.0.0\"}");
	f.is_row = true;
	event_network_flow_decision(&buf, &run, &f);
	assert_non_null(strstr(wbuf_cstr(&buf), "\"cellId\":\"demo-1\","
						"\"correlationId\":\"corr-1\","
						"\"decision\""));
	assert_non_null(strstr(wbuf_cstr(&buf), "\"packetCount\":7,"));
	wbuf_reset(&buf);
}

static void test_homeostasis(void **state)
{
	uint64_t n = 1;

	(void)state;
	load(DOC("\"egressRules\":[{\"host\":\"a\",\"port\":1},{\"host\":"
		 "\"b\",\"port\":1},{\"host\":\"c\",\"port\":1}]",
		 CORRELATION));
	event_homeostasis(&buf, &run, &n);
	assert_non_null(strstr(wbuf_cstr(&buf),
			       "\"authorityEfficiency\":0.3333333333333333,"));
	assert_non_null(strstr(wbuf_cstr(&buf),
			       "\"exercisedEgressConnections\":1,"
			       "\"recommendedRemovals\":[]"));
	wbuf_reset(&buf);
	n = (uint64_t)UINT32_MAX + 1;
	event_homeostasis(&buf, &run, &n);
	assert_non_null(
		strstr(wbuf_cstr(&buf), "\"authorityEfficiency\":1.0,"));
	assert_non_null(strstr(wbuf_cstr(&buf),
			       "\"exercisedEgressConnections\":4294967295,"));
	wbuf_reset(&buf);
	/* as many as declared are no violation */
	assert_false(event_homeostasis_violation(&buf, &run, 3));
	assert_int_equal(buf.len, 0);
	assert_true(event_homeostasis_violation(&buf, &run, 5));
	is("{\"cellId\":\"demo-1\",\"declaredEgressRuleCount\":3,"
	   "\"exercisedEgressConnections\":5,\"overage\":2,\"severity\":"
	   "\"critical\",\"specHash\":\"" HASH "\"}");
	load(DOC("", ""));
	n = 0;
	event_homeostasis(&buf, &run, &n);
	assert_non_null(
		strstr(wbuf_cstr(&buf), "\"authorityEfficiency\":1.0,"));
	wbuf_reset(&buf);
}

static void test_connection(void **state)
{
	struct event_connection c = {
		.kind = EVENT_KIND_FLOW,
		.allow = true,
		.reason = "l7_sni_allowlist_match",
		.rule_ref = "authority.egressRules[0]",
		.protocol = "tls",
		.l4 = "tcp",
		.source = { { .family = 4, .b = { 100, 64, 0, 2 } }, 4000 },
		.destination = { addr4, 443 },
		.dialled = { addr6, 443 },
		.question = SLICE_LIT("a.example.com"),
		.sni = SLICE_LIT("b.example.com"),
		.has_ech = true,
		.opened_at = AT,
		.up = 10,
		.down = 20,
		.duration_ms = 30,
		.unverified = 1u << EVENT_UNVERIFIED_ECH_INNER_NAME |
			      1u << EVENT_UNVERIFIED_INNER_AUTHORITY,
	};

	(void)state;
	load(DOC(RULE, CORRELATION));
	event_connection(&buf, &run, &c);
	is("{\"bytesDown\":20,\"bytesUp\":10,\"cellId\":\"demo-1\","
	   "\"destination\":{\"address\":\"192.0.2.10\",\"port\":443},"
	   "\"dialled\":{\"address\":\"2001:db8::5\",\"port\":443},"
	   "\"durationMs\":30,\"ech\":true,\"kind\":\"flow\",\"l4\":\"tcp\","
	   "\"openedAt\":\"" AT "\",\"protocol\":\"tls\",\"question\":"
	   "\"a.example.com\",\"reason\":\"l7_sni_allowlist_match\","
	   "\"ruleRef\":\"authority.egressRules[0]\",\"runId\":\"run-1\","
	   "\"runUuid\":\"7a1b5c1e-8f0e-4a0b-9b52-0a4c7d7a1c01\",\"sni\":"
	   "\"b.example.com\",\"source\":{\"address\":\"100.64.0.2\",\"port\":"
	   "4000},\"specId\":\"demo-1\",\"unverified\":[\"ech_inner_name\","
	   "\"inner_authority\"],\"verdict\":\"allow\"}");
	c = (struct event_connection){
		.kind = EVENT_KIND_REFUSED,
		.reason = "no_rule",
		.l4 = "icmp",
		.destination = { addr4, 0 },
		.count = 9,
	};
	event_connection(&buf, &run, &c);
	is("{\"cellId\":\"demo-1\",\"destination\":{\"address\":"
	   "\"192.0.2.10\"},\"kind\":\"refused\",\"l4\":\"icmp\",\"reason\":"
	   "\"no_rule\",\"runId\":\"run-1\",\"runUuid\":"
	   "\"7a1b5c1e-8f0e-4a0b-9b52-0a4c7d7a1c01\",\"specId\":\"demo-1\","
	   "\"verdict\":\"deny\"}");
	c = (struct event_connection){
		.kind = EVENT_KIND_QUERIES,
		.count = UINT64_MAX,
		.reason = "allowed_by_allowlist",
		.allow = true,
		.question = SLICE_LIT("a.example.com"),
		.query_type = "AAAA",
		.dropped = 2,
		.is_over_budget = true,
	};
	event_connection(&buf, &run, &c);
	is("{\"cellId\":\"demo-1\",\"count\":18446744073709551615,\"dropped\":"
	   "2,\"kind\":"
	   "\"queries\",\"overBudget\":true,\"queryType\":\"AAAA\","
	   "\"question\":"
	   "\"a.example.com\",\"reason\":\"allowed_by_allowlist\",\"runId\":"
	   "\"run-1\",\"runUuid\":\"7a1b5c1e-8f0e-4a0b-9b52-0a4c7d7a1c01\","
	   "\"specId\":\"demo-1\",\"verdict\":\"allow\"}");
}

static void test_totals(void **state)
{
	static struct report_enforcement r;
	int i;

	(void)state;
	load(DOC("", ""));
	report_begin(&r, REPORT_TOTALS, "host");
	report_total_add(&r, "queries", 3);
	report_total_add(&r, "refused", UINT64_MAX);
	event_enforcement(&buf, &run, &r);
	is("{\"backend\":\"host\",\"cellId\":\"demo-1\",\"items\":[],\"phase\":"
	   "\"totals\",\"probes\":[],\"runId\":\"run-1\",\"runUuid\":"
	   "\"7a1b5c1e-8f0e-4a0b-9b52-0a4c7d7a1c01\",\"specId\":\"demo-1\","
	   "\"totals\":[{\"name\":\"queries\",\"value\":3},{\"name\":"
	   "\"refused\",\"value\":18446744073709551615}]}");
	report_begin(&r, REPORT_TOTALS, "host");
	for (i = 0; i <= REPORT_TOTALS_MAX; i++)
		report_total_add(&r, "n", 1);
	event_enforcement(&buf, &run, &r);
	assert_true(buf.failed);
	wbuf_reset(&buf);
}

static int tidy(void **state)
{
	(void)state;
	spec_drop(&spec);
	wbuf_drop(&buf);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_l7_declared),
		cmocka_unit_test(test_l7_direct_dns),
		cmocka_unit_test(test_l7_live),
		cmocka_unit_test(test_l7_unstarted),
		cmocka_unit_test(test_dns_resolution),
		cmocka_unit_test(test_dns_query),
		cmocka_unit_test(test_flow_decision),
		cmocka_unit_test(test_homeostasis),
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_totals),
	};

	return cmocka_run_group_tests_name("evidence/event_net", tests, NULL,
					   tidy);
}
