/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Records of the gate as events: which, in what order, with what in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "gate/evidence.h"

#define HASH                                                                  \
	"sha256:4e4acb1f20b143dd34723f8fb3125ceab895a17e6f9413c49a690e79b00e" \
	"ccbf"
#define UUID	"7a1b5c1e-8f0e-4a0b-9b52-0a4c7d7a1c01"
#define WALL_MS 1767323045123u
#define AT_B	"2026-01-02T03:04:05.123Z"
#define AT_A	"2026-01-02T03:04:05.123+00:00"
#define DNS	"cellos-dns-proxy"
#define SNI	"cellos-sni-proxy"

#define DOC(authority)                                                    \
	"{\"apiVersion\":\"cellos.io/"                                    \
	"v1\",\"kind\":\"ExecutionCell\",\"spec\":{\"id\":\"demo-1\","    \
	"\"authority\":{" authority "},\"lifetime\":{\"ttlSeconds\":60}}" \
	"}"

#define DNS_TRUST                                                          \
	"\"issuerKid\":\"cellos-local-resolve-v0\",\"keysetId\":\"cellos:" \
	"builtin-v0\","
#define L7_TRUST                                                      \
	"\"issuerKid\":\"cellos-local-l7-v0\",\"keysetId\":\"cellos:" \
	"builtin-v0\",\"policyDigest\":\"" HASH "\","

/* What was told: one line an event, ids of decisions and queries as <id>. */
struct heard {
	char text[16384];
	int fail_at, n;
};

static struct heard heard;
static struct spec spec;
static struct event_run run;
static struct gate_policy policy;
static struct gate_evidence ev;

/* A random id, at the right place and of the right form? */
static void mask_id(char *line, const char *member)
{
	char *p = strstr(line, member);
	size_t i;

	if (!p)
		return;
	p += strlen(member);
	for (i = 0; i < 36; i++)
		assert_non_null(strchr(i == 8 || i == 13 || i == 18 || i == 23
					       ? "-"
					       : "0123456789abcdef",
				       p[i]));
	assert_int_equal(p[14], '4');
	memmove(p + 4, p + 36, strlen(p + 36) + 1);
	memcpy(p, "<id>", 4);
}

static int hear(void *arg, enum event_type t, const char *source,
		const char *time, const struct wbuf *data)
{
	struct heard *h = arg;
	const char *type = event_type_text(t);
	char line[4096];

	assert_false(data->failed);
	if (++h->n == h->fail_at)
		return -7;
	(void)snprintf(line, sizeof(line), "%s %s %s %.*s\n",
		       strrchr(type, '.') + 1, source ? source : "-",
		       time ? time : "-", (int)data->len, data->p);
	mask_id(line, "\"decisionId\":\"");
	mask_id(line, "\"queryId\":\"");
	assert_true(strlen(h->text) + strlen(line) < sizeof(h->text));
	(void)strcat(h->text, line);
	return 0;
}

static void load(const char *authority)
{
	struct err e;

	spec_drop(&spec);
	memset(&spec, 0, sizeof(spec));
	if (spec_parse(slice_of(authority), &spec, &e))
		fail_msg("%s: %s", e.text, e.cause);
	run = (struct event_run){
		.spec = &spec,
		.cell_id = "demo-1",
		.run_id = "run-1",
		.run_uuid = UUID,
		.spec_hash = HASH,
		.keyset_id = "cellos:builtin-v0",
		.resolver_kid = "cellos-local-resolve-v0",
		.l7_kid = "cellos-local-l7-v0",
	};
	memset(&policy, 0, sizeof(policy));
	policy.n_rules = 2;
	policy.rules[1] = (struct gate_rule){ .protocol = GATE_TLS,
					      .port = 443,
					      .index = 3,
					      .pattern = "a.example.com" };
	policy.n_resolvers = 2;
	memcpy(policy.resolvers[0].id, "r0", 3);
	memcpy(policy.resolvers[1].id, "r1", 3);
	ev = (struct gate_evidence){ .run = &run,
				     .policy = &policy,
				     .backend = "host",
				     .emit = hear,
				     .arg = &heard };
	memset(&heard, 0, sizeof(heard));
}

static void is(const char *expected)
{
	assert_string_equal(heard.text, expected);
	heard.text[0] = '\0';
}

static void tell(struct gate_record *r)
{
	r->wall_ms = WALL_MS;
	assert_int_equal(gate_evidence_record(&ev, r), 0);
}

static struct hostname name(const char *text)
{
	struct hostname h;

	assert_int_equal(hostname_parse(slice_of(text), &h), 0);
	return h;
}

static struct gate_record a_query(enum gate_query_reason reason)
{
	return (struct gate_record){
		.type = GATE_QUERY,
		.query = { .reason = (uint8_t)reason,
			   .type = DNS_AAAA,
			   .resolver = 1,
			   .targets = 2,
			   .latency_ms = 3,
			   .name = name("a.example.com") },
	};
}

#define QUERY_HEAD(decision)                                               \
	"dns_query " DNS " " AT_B                                          \
	" {\"cellId\":\"demo-1\",\"decision\":\"" decision "\"," DNS_TRUST \
	"\"observedAt\":\"" AT_B "\",\"policyDigest\":\"" HASH             \
	"\",\"queryId\":\"<id>\","
#define PERMITTED(type)                                               \
	"query_permitted " DNS " " AT_B " {\"cellId\":\"demo-1\","    \
	"\"queryName\":\"a.example.com\",\"queryType\":\"" type "\"," \
	"\"resolver\":\"r1\",\"schemaVersion\":\"1.0.0\"}\n"

static void test_query_allowed(void **state)
{
	struct gate_record r = a_query(GATE_QUERY_ALLOWED);

	(void)state;
	load(DOC(""));
	r.query.asked_upstream = true;
	tell(&r);
	is(PERMITTED("AAAA")
		   QUERY_HEAD("allow") "\"queryName\":\"a.example.com\","
				       "\"queryType\":\"AAAA\","
				       "\"reasonCode\":\"allowed_by_"
				       "allowlist\",\"responseRcode\":0,"
				       "\"responseTargetCount\":2,\"runId\":"
				       "\"run-1\",\"schemaVersion\":"
				       "\"1.0.0\",\"upstreamLatencyMs\":3,"
				       "\"upstreamResolverId\":\"r1\"}\n");
	/* nobody was asked: the answer was known */
	r.query.asked_upstream = false;
	r.query.from_cache = true;
	r.query.type = 257;
	tell(&r);
	is(PERMITTED("A") QUERY_HEAD(
		"allow") "\"queryName\":\"a.example.com\",\"queryType\":\"A\","
			 "\"reasonCode\":\"allowed_by_allowlist\","
			 "\"responseRcode\":0,"
			 "\"responseTargetCount\":2,\"runId\":\"run-1\","
			 "\"schemaVersion\":"
			 "\"1.0.0\"}\n");
	r = a_query(GATE_QUERY_UPSTREAM);
	r.query.asked_upstream = true;
	r.query.rcode = DNS_SERVFAIL;
	tell(&r);
	is(PERMITTED("AAAA")
		   QUERY_HEAD("deny") "\"queryName\":\"a.example.com\","
				      "\"queryType\":\"AAAA\","
				      "\"reasonCode\":\"upstream_failure\","
				      "\"responseRcode\":2,"
				      "\"responseTargetCount\":0,\"runId\":"
				      "\"run-1\",\"schemaVersion\":"
				      "\"1.0.0\",\"upstreamLatencyMs\":3,"
				      "\"upstreamResolverId\":\"r1\"}\n");
}

static void test_query_refused(void **state)
{
	struct gate_record r = a_query(GATE_QUERY_NOT_IN_ALLOWLIST);

	(void)state;
	load(DOC(""));
	r.query.rcode = DNS_REFUSED;
	tell(&r);
	is(QUERY_HEAD("deny") "\"queryName\":\"a.example.com\",\"queryType\":"
			      "\"AAAA\","
			      "\"reasonCode\":\"denied_not_in_allowlist\","
			      "\"responseRcode\":5,"
			      "\"responseTargetCount\":0,\"runId\":\"run-1\","
			      "\"schemaVersion\":"
			      "\"1.0.0\"}\n"
			      "query_refused " DNS " " AT_B
			      " {\"cellId\":\"demo-1\","
			      "\"queryName\":\"a.example.com\",\"queryType\":"
			      "\"AAAA\",\"reason\":"
			      "\"denied_not_in_allowlist\",\"schemaVersion\":"
			      "\"1.0.0\"}\n");
	/* the root, of a type nobody knows */
	r = a_query(GATE_QUERY_TYPE);
	r.query.rcode = DNS_REFUSED;
	r.query.type = 999;
	r.query.name = (struct hostname){ .len = 0 };
	tell(&r);
	is(QUERY_HEAD(
		"deny") "\"queryName\":\"(unknown)\",\"queryType\":\"A\","
			"\"reasonCode\":"
			"\"denied_query_type\",\"responseRcode\":5,"
			"\"responseTargetCount\":"
			"0,\"runId\":\"run-1\",\"schemaVersion\":\"1.0.0\"}\n"
			"query_refused " DNS " " AT_B " {\"cellId\":\"demo-1\","
			"\"queryName\":\"\",\"queryType\":\"A\",\"reason\":"
			"\"denied_query_type\",\"schemaVersion\":\"1.0.0\"}\n");
	/* also where it was answered: the original drops these */
	r = a_query(GATE_QUERY_MALFORMED);
	r.query.rcode = DNS_FORMERR;
	r.query.name = (struct hostname){ .len = 0 };
	tell(&r);
	is(QUERY_HEAD("deny") "\"queryName\":\"(unknown)\",\"queryType\":\"A\","
			      "\"reasonCode\":"
			      "\"malformed_query\",\"runId\":\"run-1\","
			      "\"schemaVersion\":"
			      "\"1.0.0\"}\n");
}

/* What the original's types cannot say stands in a record of ours. */
static void test_query_more(void **state)
{
	struct gate_record r = a_query(GATE_QUERY_ALLOWED);
	const char *ours;

	(void)state;
	load(DOC(""));
	r.query.dropped = 1;
	tell(&r);
	ours = strstr(heard.text, "connection ");
	assert_non_null(ours);
	assert_string_equal(
		ours,
		"connection - " AT_A " {\"cellId\":\"demo-1\",\"count\":1,"
		"\"dropped\":1,\"kind\":\"queries\",\"queryType\":\"AAAA\","
		"\"question\":\"a.example.com\",\"reason\":"
		"\"allowed_by_allowlist\",\"runId\":\"run-1\",\"runUuid\":"
		"\"" UUID "\",\"specId\":\"demo-1\",\"verdict\":\"allow\"}\n");
	heard.text[0] = '\0';
	r.type = GATE_AGGREGATE;
	r.of = GATE_QUERY;
	r.count = 70;
	r.query.dropped = 0;
	r.query.reason = GATE_QUERY_NOT_IN_ALLOWLIST;
	r.query.over_budget = true;
	tell(&r);
	is("connection - " AT_A " {\"cellId\":\"demo-1\",\"count\":70,"
	   "\"kind\":\"queries\",\"overBudget\":true,\"queryType\":\"AAAA\","
	   "\"question\":\"a.example.com\",\"reason\":"
	   "\"denied_not_in_allowlist\",\"runId\":\"run-1\",\"runUuid\":"
	   "\"" UUID "\",\"specId\":\"demo-1\",\"verdict\":\"deny\"}\n");
}

static struct gate_record a_flow(enum gate_record_type type,
				 enum gate_reason reason)
{
	return (struct gate_record){
		.type = type,
		.flow = { .id = 1,
			  .reason = (uint8_t)reason,
			  .protocol = GATE_TLS,
			  .l4 = IPPROTO_TCP,
			  .rule = 1,
			  .src = { .family = 4, .b = { 100, 64, 0, 2 } },
			  .dst = { .family = 4, .b = { 192, 0, 2, 10 } },
			  .src_port = 4000,
			  .dst_port = 443,
			  .is_dialled = true,
			  .dial = { .family = 4, .b = { 192, 0, 2, 11 } },
			  .dial_port = 443,
			  .question = name("a.example.com"),
			  .sni = name("a.example.com"),
			  .up = 10,
			  .down = 20,
			  .opened_ms = WALL_MS - 30,
			  .duration_ms = 30 },
	};
}

static void test_decision(void **state)
{
	/* what the original says of each of ours */
	static const struct {
		enum gate_reason reason;
		const char *word;
	} rows[] = {
		{ GATE_REASON_SNI_MISS, "l7_sni_allowlist_miss" },
		{ GATE_REASON_SNI_MISSING, "l7_sni_missing" },
		{ GATE_REASON_SNI_NOT_PINNED, "l7_sni_allowlist_miss" },
		{ GATE_REASON_HOST_MISS, "l7_http_host_allowlist_miss" },
		{ GATE_REASON_HOST_MISSING, "l7_http_host_missing" },
		{ GATE_REASON_HOST_NOT_PINNED, "l7_http_host_allowlist_miss" },
		{ GATE_REASON_HOST_PORT, "l7_http_host_allowlist_miss" },
		{ GATE_REASON_ECH, "l7_sni_allowlist_miss" },
		{ GATE_REASON_CONNECT, "l7_http_host_allowlist_miss" },
		{ GATE_REASON_H2C, "l7_h2_unparseable_headers" },
		{ GATE_REASON_UNKNOWN_PROTOCOL, "l7_unknown_protocol" },
		{ GATE_REASON_PEEK_TIMEOUT, "l7_peek_timeout" },
		{ GATE_REASON_HELLO_TOO_LONG, "l7_unknown_protocol" },
		{ GATE_REASON_HELLO_TIMEOUT, "l7_peek_timeout" },
		{ GATE_REASON_UPSTREAM_FAILED, "l7_unknown_protocol" },
	};
	struct gate_record r = a_flow(GATE_DECISION, GATE_REASON_SNI_MATCH);
	char want[64];
	size_t i;

	(void)state;
	load(DOC(""));
	policy.flows_realtime = true; /* no flow, not told as one */
	tell(&r);
	is("l7_egress_decision " SNI " " AT_B " {\"action\":\"allow\","
	   "\"cellId\":\"demo-1\",\"decisionId\":\"<id>\"," L7_TRUST
	   "\"reasonCode\":\"l7_sni_allowlist_match\",\"runId\":\"run-1\","
	   "\"sniHost\":\"a.example.com\",\"specId\":"
	   "\"sni-proxy/demo-1/run-1\"}\n");
	r.flow.sni = (struct hostname){ .len = 0 };
	r.flow.host = name("h.example.com");
	r.flow.reason = GATE_REASON_HOST_MATCH;
	tell(&r);
	is("l7_egress_decision " SNI " " AT_B " {\"action\":\"allow\","
	   "\"cellId\":\"demo-1\",\"decisionId\":\"<id>\"," L7_TRUST
	   "\"reasonCode\":\"l7_http_host_allowlist_match\",\"runId\":"
	   "\"run-1\",\"sniHost\":\"h.example.com\",\"specId\":"
	   "\"sni-proxy/demo-1/run-1\"}\n");
	r.flow.host = (struct hostname){ .len = 0 };
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		r.flow.reason = (uint8_t)rows[i].reason;
		tell(&r);
		(void)snprintf(want, sizeof(want), "\"reasonCode\":\"%s\",",
			       rows[i].word);
		assert_non_null(strstr(heard.text, want));
		assert_non_null(strstr(heard.text, "\"action\":\"deny\""));
		assert_non_null(
			strstr(heard.text, "\"sniHost\":\"(unknown)\""));
		heard.text[0] = '\0';
	}
}

#define FLOW_TAIL                                                   \
	"\"runId\":\"run-1\",\"runUuid\":\"" UUID "\",\"sni\":"     \
	"\"a.example.com\",\"source\":{\"address\":\"100.64.0.2\"," \
	"\"port\":4000},\"specId\":\"demo-1\","

/* By its address or a name's: before its first byte, it is told where. */
static void test_opened(void **state)
{
	struct gate_record r = a_flow(GATE_DECISION, GATE_REASON_NAME_RULE);

	(void)state;
	load(DOC(""));
	policy.flows_realtime = true; /* told at its end */
	r.flow.protocol = GATE_TCP;
	r.flow.sni = (struct hostname){ .len = 0 };
	tell(&r);
	is("connection - " AT_A " {\"cellId\":\"demo-1\",\"destination\":{"
	   "\"address\":\"192.0.2.10\",\"port\":443},\"dialled\":{"
	   "\"address\":\"192.0.2.11\",\"port\":443},\"kind\":\"opened\","
	   "\"l4\":\"tcp\",\"openedAt\":\"2026-01-02T03:04:05.093Z\","
	   "\"protocol\":\"tcp\",\"question\":\"a.example.com\","
	   "\"reason\":\"name_rule\",\"ruleRef\":"
	   "\"authority.egressRules[3]\",\"runId\":\"run-1\",\"runUuid\":"
	   "\"" UUID "\",\"source\":{\"address\":\"100.64.0.2\",\"port\":"
	   "4000},\"specId\":\"demo-1\",\"verdict\":\"allow\"}\n");
	r.flow.reason = GATE_REASON_ADDRESS_RULE;
	tell(&r);
	assert_non_null(strstr(heard.text, "\"reason\":\"address_rule\""));
	heard.text[0] = '\0';
}

/* Behind a leg the cell has another address, which is no fact of the cell. */
static void test_source(void **state)
{
	static const char *const rows[][2] = {
		{ DOOR_ADDR4, DOOR_ADDR4 },	{ DOOR_LEG_PEER4, DOOR_ADDR4 },
		{ DOOR_ADDR6, DOOR_ADDR6 },	{ DOOR_LEG_PEER6, DOOR_ADDR6 },
		{ "100.64.0.7", "100.64.0.7" },
	};
	static const enum gate_record_type types[] = { GATE_FLOW,
						       GATE_REFUSED };
	char want[96];

	(void)state;
	load(DOC(""));
	for (size_t i = 0; i < ARRAY_SIZE(rows) * ARRAY_SIZE(types); i++) {
		struct gate_record r = a_flow(types[i % ARRAY_SIZE(types)],
					      GATE_REASON_NO_RULE);
		const char *const *row = rows[i / ARRAY_SIZE(types)];

		r.flow.src = door_addr(row[0]);
		tell(&r);
		(void)snprintf(want, sizeof(want),
			       "\"source\":{\"address\":\"%s\",", row[1]);
		assert_non_null(strstr(heard.text, want));
		heard.text[0] = '\0';
	}
}

static void test_flow(void **state)
{
	struct gate_record r = a_flow(GATE_FLOW, GATE_REASON_SNI_MATCH);

	(void)state;
	load(DOC(""));
	tell(&r);
	is("connection - " AT_A " {\"bytesDown\":20,\"bytesUp\":10,\"cellId\":"
	   "\"demo-1\",\"destination\":{\"address\":\"192.0.2.10\",\"port\":"
	   "443},\"dialled\":{\"address\":\"192.0.2.11\",\"port\":443},"
	   "\"durationMs\":30,\"kind\":\"flow\",\"l4\":\"tcp\",\"openedAt\":"
	   "\"2026-01-02T03:04:05.093Z\",\"protocol\":\"tls\",\"question\":"
	   "\"a.example.com\",\"reason\":\"l7_sni_allowlist_match\","
	   "\"ruleRef\":\"authority.egressRules[3]\"," FLOW_TAIL
	   "\"unverified\":[\"inner_authority\"],\"verdict\":\"allow\"}\n");
	/* it lived, and was ended: it had been let through */
	policy.flows_realtime = true;
	r.flow.reason = GATE_REASON_BUDGET_DOWN;
	r.flow.has_ech = true;
	tell(&r);
	assert_non_null(strstr(heard.text, "\"reason\":\"budget_down\""));
	assert_non_null(strstr(heard.text, "\"unverified\":[\"ech_inner_name\","
					   "\"inner_authority\"],\"verdict\":"
					   "\"allow\"}\n"));
	assert_non_null(strstr(heard.text,
			       "\nnetwork_flow_decision - " AT_A
			       " {\"cellId\":\"demo-1\",\"decision\":\"allow\","
			       "\"decisionId\":\"<id>\",\"direction\":"
			       "\"egress\",\"dstAddr\":\"192.0.2.10\","
			       "\"dstPort\":443,\"observedAt\":\"" AT_A
			       "\",\"protocol\":\"tcp\",\"reasonCode\":"
			       "\"nft_log_accept\",\"runId\":\"run-1\","
			       "\"schemaVersion\":\"1.0.0\"}\n"));
	heard.text[0] = '\0';
	/* it was ended before it was let through */
	r.flow.reason = GATE_REASON_STOPPED;
	r.flow.is_dialled = false;
	tell(&r);
	assert_non_null(strstr(heard.text, "\"verdict\":\"deny\"}\n"));
	assert_null(strstr(heard.text, "unverified"));
	assert_null(strstr(heard.text, "dialled"));
	assert_non_null(strstr(heard.text, "\"nft_log_drop\""));
	heard.text[0] = '\0';
	/* an address rule looks at nothing */
	r.flow.reason = GATE_REASON_ADDRESS_RULE;
	r.flow.protocol = GATE_TCP;
	r.flow.has_ech = false;
	tell(&r);
	assert_non_null(strstr(heard.text, "\"unverified\":[\"payload\","
					   "\"shown_name\"]"));
}

static void test_refused(void **state)
{
	struct gate_record r = {
		.type = GATE_REFUSED,
		.flow = { .reason = GATE_REASON_NO_RULE,
			  .l4 = IPPROTO_ICMPV6,
			  .rule = -1,
			  .dst = { .family = 6, .b = { 0x20, 0x01 } } },
	};

	(void)state;
	load(DOC(""));
	policy.flows_realtime = true;
	tell(&r);
	is("connection - " AT_A " {\"cellId\":\"demo-1\",\"destination\":{"
	   "\"address\":\"2001::\"},\"kind\":\"refused\",\"l4\":\"icmp6\","
	   "\"reason\":\"no_rule\",\"runId\":\"run-1\",\"runUuid\":\"" UUID
	   "\",\"specId\":\"demo-1\",\"verdict\":\"deny\"}\n"
	   "network_flow_decision - " AT_A " {\"cellId\":\"demo-1\","
	   "\"decision\":\"deny\",\"decisionId\":\"<id>\",\"direction\":"
	   "\"egress\",\"dstAddr\":\"2001::\",\"observedAt\":\"" AT_A
	   "\",\"protocol\":\"icmp6\",\"reasonCode\":\"nft_log_drop\","
	   "\"runId\":\"run-1\",\"schemaVersion\":\"1.0.0\"}\n");
	/* a refused packet did not pass, whatever the gate says of it */
	r.flow.reason = GATE_REASON_NAME_RULE;
	tell(&r);
	assert_non_null(strstr(heard.text, "\"verdict\":\"deny\""));
	assert_non_null(strstr(heard.text, "\"reasonCode\":\"nft_log_drop\""));
	heard.text[0] = '\0';
	r.flow.reason = GATE_REASON_NO_RULE;
	/* SCTP: the original has no word, ours its number */
	r.flow.l4 = 132;
	tell(&r);
	assert_non_null(strstr(heard.text, "\"l4\":\"132\""));
	assert_null(strstr(heard.text, "\"protocol\""));
	heard.text[0] = '\0';
	r.type = GATE_AGGREGATE;
	r.of = GATE_REFUSED;
	r.count = 400;
	r.flow.src = r.flow.dst;
	tell(&r);
	is("connection - " AT_A " {\"cellId\":\"demo-1\",\"count\":400,"
	   "\"destination\":{\"address\":\"2001::\"},\"kind\":\"packets\","
	   "\"l4\":\"132\",\"reason\":\"no_rule\",\"runId\":\"run-1\","
	   "\"runUuid\":\"" UUID "\",\"specId\":\"demo-1\",\"verdict\":"
	   "\"deny\"}\n");
	r = a_flow(GATE_AGGREGATE, GATE_REASON_SNI_MATCH);
	r.of = GATE_FLOW;
	r.count = 3;
	tell(&r);
	is("connection - " AT_A " {\"bytesDown\":20,\"bytesUp\":10,\"cellId\":"
	   "\"demo-1\",\"count\":3,"
	   "\"destination\":{\"address\":\"192.0.2.10\",\"port\":443},"
	   "\"kind\":\"flows\",\"l4\":\"tcp\",\"protocol\":\"tls\","
	   "\"question\":\"a.example.com\",\"reason\":"
	   "\"l7_sni_allowlist_match\",\"ruleRef\":"
	   "\"authority.egressRules[3]\",\"runId\":\"run-1\",\"runUuid\":"
	   "\"" UUID "\",\"sni\":\"a.example.com\",\"specId\":\"demo-1\","
	   "\"verdict\":\"allow\"}\n");
}

/* A gate that lies does not make a line that nobody can read. */
static void test_bad_names(void **state)
{
	struct gate_record r = a_query(GATE_QUERY_ALLOWED);

	(void)state;
	load(DOC(""));
	r.query.name.text[0] = '\xff';
	tell(&r);
	assert_non_null(strstr(heard.text, "\"queryName\":\"(unknown)\""));
	assert_null(strchr(heard.text, '\xff'));
	heard.text[0] = '\0';
	r = a_flow(GATE_FLOW, GATE_REASON_SNI_MATCH);
	r.flow.sni.text[3] = '\0';
	r.flow.question.text[0] = '\xc3';
	tell(&r);
	assert_null(strstr(heard.text, "\"sni\""));
	assert_null(strstr(heard.text, "\"question\""));
}

static void test_totals(void **state)
{
	struct gate_record r = { .type = GATE_STATS };
	uint64_t v[sizeof(r.stats) / sizeof(uint64_t)];
	size_t i;

	(void)state;
	load(DOC(""));
	for (i = 0; i < ARRAY_SIZE(v); i++)
		v[i] = i + 1;
	memcpy(&r.stats, v, sizeof(v));
	tell(&r);
	is("enforcement - " AT_A " {\"backend\":\"host\",\"cellId\":"
	   "\"demo-1\",\"items\":[],\"phase\":\"totals\",\"probes\":[],"
	   "\"runId\":\"run-1\",\"runUuid\":\"" UUID "\",\"specId\":"
	   "\"demo-1\",\"totals\":["
	   "{\"name\":\"queries\",\"value\":1},"
	   "{\"name\":\"queriesAllowed\",\"value\":2},"
	   "{\"name\":\"queriesDenied\",\"value\":3},"
	   "{\"name\":\"queriesMalformed\",\"value\":4},"
	   "{\"name\":\"upstreamFailures\",\"value\":5},"
	   "{\"name\":\"fromCache\",\"value\":6},"
	   "{\"name\":\"flows\",\"value\":7},"
	   "{\"name\":\"flowsAllowed\",\"value\":8},"
	   "{\"name\":\"flowsDenied\",\"value\":9},"
	   "{\"name\":\"peekTimeouts\",\"value\":10},"
	   "{\"name\":\"dialFailures\",\"value\":11},"
	   "{\"name\":\"refused\",\"value\":12},"
	   "{\"name\":\"refusedLost\",\"value\":13},"
	   "{\"name\":\"bytesUp\",\"value\":14},"
	   "{\"name\":\"bytesDown\",\"value\":15},"
	   "{\"name\":\"aggregated\",\"value\":16},"
	   "{\"name\":\"stalled\",\"value\":17},"
	   "{\"name\":\"distinctConnections\",\"value\":18}]}\n");
}

static void test_no_events(void **state)
{
	struct gate_record r = { .type = GATE_READY };

	(void)state;
	load(DOC(""));
	tell(&r);
	r.type = GATE_FAULT;
	tell(&r);
	is("");
}

static void test_declared(void **state)
{
	(void)state;
	load(DOC("\"egressRules\":[{\"host\":\"8.8.8.8\",\"port\":53},{"
		 "\"host\":\"a.example.com\",\"port\":443}],\"dnsAuthority\":{"
		 "\"hostnameAllowlist\":[\"a.example.com\"],"
		 "\"blockDirectWorkloadDns\":true}"));
	assert_int_equal(gate_evidence_rule(&ev, 1), 0);
	is("l7_egress_decision - - {\"action\":\"allow\",\"cellId\":"
	   "\"demo-1\",\"decisionId\":\"<id>\"," L7_TRUST "\"reasonCode\":"
	   "\"egress_declared_allowlist\",\"ruleRef\":"
	   "\"authority.egressRules[1]\",\"runId\":\"run-1\",\"sniHost\":"
	   "\"a.example.com\",\"specId\":\"demo-1\"}\n");
	assert_int_equal(gate_evidence_names(&ev), 0);
	is("l7_egress_decision - - {\"action\":\"allow\",\"cellId\":"
	   "\"demo-1\",\"decisionId\":\"<id>\"," L7_TRUST "\"reasonCode\":"
	   "\"hostname_allowlist_evaluated\",\"ruleRef\":"
	   "\"authority.dnsAuthority.hostnameAllowlist[0]\",\"runId\":"
	   "\"run-1\",\"sniHost\":\"a.example.com\",\"specId\":\"demo-1\"}\n"
	   "l7_egress_decision - - {\"action\":\"deny\",\"cellId\":"
	   "\"demo-1\",\"decisionId\":\"<id>\"," L7_TRUST "\"reasonCode\":"
	   "\"workload_direct_dns_blocked\",\"ruleRef\":"
	   "\"authority.egressRules[0]\",\"runId\":\"run-1\",\"sniHost\":"
	   "\"8.8.8.8\",\"specId\":\"demo-1\"}\n");
	load(DOC(""));
	assert_int_equal(gate_evidence_names(&ev), 0);
	is("");
}

static void test_unstarted(void **state)
{
	(void)state;
	load(DOC(""));
	assert_int_equal(
		gate_evidence_unstarted(&ev, true, true, "no", WALL_MS), 0);
	is("dns_query - " AT_B
	   " {\"cellId\":\"demo-1\",\"decision\":\"deny\"," DNS_TRUST
	   "\"observedAt\":\"" AT_B "\",\"policyDigest\":\"" HASH
	   "\",\"queryId\":\"<id>\",\"queryName\":\"(spawn-error)\","
	   "\"queryType\":\"A\",\"reasonCode\":\"upstream_failure\",\"runId\":"
	   "\"run-1\",\"schemaVersion\":\"1.0.0\",\"upstreamResolverId\":"
	   "\"r0\"}\n"
	   "l7_egress_decision - - {\"action\":\"deny\",\"cellId\":\"demo-1\","
	   "\"decisionId\":\"<id>\"," L7_TRUST "\"reasonCode\":"
	   "\"l7_unknown_protocol\",\"ruleRef\":\"no\",\"runId\":\"run-1\","
	   "\"sniHost\":\"(spawn-error)\",\"specId\":\"demo-1\"}\n");
	assert_int_equal(
		gate_evidence_unstarted(&ev, false, false, "no", WALL_MS), 0);
	is("");
}

/* What cannot be written ends the list, and is not hidden. */
static void test_sink_fails(void **state)
{
	struct gate_record r = a_query(GATE_QUERY_ALLOWED);
	struct flow_counts c = { .refused = 0 };
	int i;

	(void)state;
	for (i = 1; i <= 2; i++) {
		load(DOC("\"dnsAuthority\":{\"hostnameAllowlist\":[\"a.b\","
			 "\"c.d\"],\"blockDirectWorkloadDns\":true}"));
		heard.fail_at = i;
		assert_int_equal(gate_evidence_record(&ev, &r), -7);
		assert_int_equal(heard.n, i);
		heard.n = 0;
		assert_int_equal(gate_evidence_names(&ev), -7);
		assert_int_equal(heard.n, i);
		heard.n = 0;
		assert_int_equal(gate_evidence_rows(&ev, &c, WALL_MS), -7);
		assert_int_equal(heard.n, i);
		heard.n = 0;
		assert_int_equal(
			gate_evidence_unstarted(&ev, true, true, "no", 0), -7);
		assert_int_equal(heard.n, i);
	}
}

static void test_rows(void **state)
{
	struct flow_counts c = { .refused = 4 };

	(void)state;
	load(DOC(""));
	c.rules[1].packets = 2;
	c.rules[1].bytes = 99;
	assert_int_equal(gate_evidence_rows(&ev, &c, WALL_MS), 0);
	is("network_flow_decision - " AT_B " {\"byteCount\":99,\"cellId\":"
	   "\"demo-1\",\"decision\":\"allow\",\"decisionId\":\"<id>\","
	   "\"direction\":\"egress\",\"dstPort\":443," DNS_TRUST
	   "\"nftRuleRef\":\"authority.egressRules[3]\",\"observedAt\":\"" AT_B
	   "\",\"packetCount\":2,\"policyDigest\":\"" HASH "\",\"protocol\":"
	   "\"tcp\",\"reasonCode\":\"nft_egress_rule_match\",\"runId\":"
	   "\"run-1\",\"schemaVersion\":\"1.0.0\"}\n"
	   "network_flow_decision - " AT_B " {\"byteCount\":0,\"cellId\":"
	   "\"demo-1\",\"decision\":\"deny\",\"decisionId\":\"<id>\","
	   "\"direction\":\"egress\"," DNS_TRUST "\"nftRuleRef\":"
	   "\"default-drop\",\"observedAt\":\"" AT_B "\",\"packetCount\":4,"
	   "\"policyDigest\":\"" HASH "\",\"reasonCode\":\"nft_default_drop\","
	   "\"runId\":\"run-1\",\"schemaVersion\":\"1.0.0\"}\n");
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
		cmocka_unit_test(test_query_allowed),
		cmocka_unit_test(test_query_refused),
		cmocka_unit_test(test_query_more),
		cmocka_unit_test(test_decision),
		cmocka_unit_test(test_opened),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_flow),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_no_events),
		cmocka_unit_test(test_declared),
		cmocka_unit_test(test_unstarted),
		cmocka_unit_test(test_sink_fails),
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests_name("gate/evidence", tests, NULL, tidy);
}
