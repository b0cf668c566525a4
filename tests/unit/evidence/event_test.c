/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Event data, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/limits.h"
#include "evidence/event.h"
#include "evidence/report.h"
#include "wire/b64.h"
#include "wire/json_out.h"

#define HASH                                                                  \
	"sha256:4e4acb1f20b143dd34723f8fb3125ceab895a17e6f9413c49a690e79b00e" \
	"ccbf"
#define RAW "947b2886fe9e9dbae88ef5979164075c13a6254bafe7558aa13a587afe9c5bc0"

/* The document of the worked example. */
#define EXAMPLE                                                              \
	"{\"apiVersion\":\"cellos.io/"                                       \
	"v1\",\"kind\":\"ExecutionCell\",\"spec\":"                          \
	"{\"id\":\"demo-1\",\"authority\":{\"secretRefs\":[]},\"lifetime\":" \
	"{\"ttlSeconds\":60},\"run\":{\"secretDelivery\":\"env\",\"argv\":"  \
	"[\"/bin/true\"]}}}"

/* Around members of spec; id, authority and lifetime stand. */
#define DOC(authority, more)                                              \
	"{\"apiVersion\":\"cellos.io/"                                    \
	"v1\",\"kind\":\"ExecutionCell\",\"spec\":"                       \
	"{\"id\":\"demo-1\",\"authority\":{" authority "},\"lifetime\":{" \
	"\"ttlSeconds\":60}" more "}}"
#define RULE "\"egressRules\":[{\"host\":\"192.0.2.10\",\"port\":443}]"

static struct spec spec;
static struct event_run run;
static struct wbuf buf = { .max = LIMIT_EVENT_LINE };

static void load(const char *text, const char *run_id)
{
	struct err e;

	spec_drop(&spec);
	memset(&spec, 0, sizeof(spec));
	if (spec_parse(slice_of(text), &spec, &e))
		fail_msg("%s: %s", e.text, e.cause);
	run = (struct event_run){
		.spec = &spec,
		.cell_id = "demo-1",
		.run_id = run_id,
		.run_uuid = "7a1b5c1e-8f0e-4a0b-9b52-0a4c7d7a1c01",
		.raw_hash = RAW,
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

/* One line of the worked example: its envelope around what is in buf. */
static void line_is(int n, const char *type, const char *time, const char *data)
{
	OWNED(wbuf_drop) struct wbuf line = WBUF_INIT(LIMIT_EVENT_LINE);
	OWNED(wbuf_drop) struct wbuf expected = WBUF_INIT(LIMIT_EVENT_LINE);
	char id[40], full[128];
	struct event ev = {
		.id = id,
		.source = EVENT_SOURCE,
		.type = full,
		.time = time,
		.data = wbuf_as_slice(&buf),
	};

	assert_false(buf.failed);
	(void)snprintf(id, sizeof(id), "00000000-0000-4000-8000-%012d", n);
	(void)snprintf(full, sizeof(full), "dev.cellos.events.%s", type);
	event_signed_bytes(&line, &ev);
	wbuf_fmt(&expected,
		 "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":"
		 "\"cellos-supervisor\",\"type\":\"%s\",\"datacontenttype\":"
		 "\"application/json\",\"data\":%s,\"time\":\"%s\","
		 "\"traceparent\":null}",
		 id, full, data, time);
	assert_string_equal(wbuf_cstr(&line), wbuf_cstr(&expected));
	wbuf_reset(&buf);
}

static const char status[] =
	"Name:\tx\nCapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\n"
	"CapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\n"
	"CapAmb:\t0000000000000000\nNoNewPrivs:\t0\n";

static void test_worked_example(void **state)
{
	const int zero = 0;

	(void)state;
	load(EXAMPLE, "run-local-001");
	event_network_scope(&buf, &run);
	line_is(1, "cell.observability.v1.network_scope",
		"2026-01-02T03:04:05.585682079+00:00",
		"{\"cellId\":\"demo-1\",\"egressRuleCount\":0,"
		"\"hasOpaqueNetworkAuthority\":false,\"runId\":"
		"\"run-local-001\",\"specId\":\"demo-1\"}");
	event_dns_target_set(&buf, &run, "2026-01-02T03:04:05.589289815+00:00");
	line_is(2, "cell.observability.v1.dns_target_set",
		"2026-01-02T03:04:05.589308448+00:00",
		"{\"cellId\":\"demo-1\",\"currentDigest\":\"" HASH "\","
		"\"fqdn\":\"declared-egress.trust.cellos.internal\","
		"\"issuerKid\":\"cellos-local-resolve-v0\",\"keysetId\":"
		"\"cellos:builtin-v0\",\"previousDigest\":\"empty\","
		"\"reason\":\"refresh\",\"runId\":\"run-local-001\","
		"\"specId\":\"demo-1\",\"updatedAt\":"
		"\"2026-01-02T03:04:05.589289815+00:00\"}");
	event_started(&buf, &run);
	line_is(3, "cell.lifecycle.v1.started",
		"2026-01-02T03:04:05.589368057+00:00",
		"{\"cellId\":\"demo-1\",\"runId\":\"run-local-001\","
		"\"specHash\":\"" RAW "\",\"specId\":\"demo-1\","
		"\"ttlSeconds\":60}");
	event_container_security(&buf, &run, status);
	line_is(4, "cell.observability.v1.container_security",
		"2026-01-02T03:04:05.589439804+00:00",
		"{\"capAmb\":\"0000000000000000\",\"capBnd\":"
		"\"000001ffffffffff\",\"capEff\":\"000001ffffffffff\","
		"\"capInh\":\"0000000000000000\",\"capPrm\":"
		"\"000001ffffffffff\",\"cellId\":\"demo-1\",\"privileged\":"
		"false,\"runId\":\"run-local-001\"}");
	event_process_spawned(&buf, &run);
	line_is(5, "cell.observability.v1.process_spawned",
		"2026-01-02T03:04:05.589480436+00:00",
		"{\"argc\":1,\"cellId\":\"demo-1\",\"program\":\"/bin/true\","
		"\"runId\":\"run-local-001\",\"specId\":\"demo-1\"}");
	event_completed(&buf, &run, 1, 0, NULL);
	line_is(6, "cell.command.v1.completed",
		"2026-01-02T03:04:05.590959697+00:00",
		"{\"argv\":[\"/bin/true\"],\"cellId\":\"demo-1\","
		"\"durationMs\":1,\"exitCode\":0,\"runId\":\"run-local-001\","
		"\"specId\":\"demo-1\"}");
	event_summary(&buf, &run, &zero);
	line_is(7, "cell.compliance.v1.summary",
		"2026-01-02T03:04:05.591129420+00:00",
		"{\"cellId\":\"demo-1\",\"commandExitCode\":0,"
		"\"egressRuleCount\":0,\"exportTargetCount\":0,"
		"\"lifetimeTtlSeconds\":60,\"resourceLimitsPresent\":false,"
		"\"runId\":\"run-local-001\",\"secretDeliveryMode\":\"env\","
		"\"specId\":\"demo-1\"}");
	event_homeostasis(&buf, &run, NULL);
	line_is(8, "cell.authority.v1.homeostasis",
		"2026-01-02T03:04:05.591230700+00:00",
		"{\"accessedMountPaths\":0,\"authorityEfficiency\":1.0,"
		"\"cellId\":\"demo-1\",\"declaredEgressRules\":0,"
		"\"declaredMountPaths\":0,\"declaredSecretCount\":0,"
		"\"exercisedEgressConnections\":null,"
		"\"exercisedEgressReason\":\"telemetry_pending_L2-04\","
		"\"recommendedRemovals\":[],\"runId\":\"run-local-001\","
		"\"specHash\":\"" HASH "\",\"specId\":\"demo-1\"}");
	event_destroyed(&buf, &run, NULL, NULL, NULL, NULL);
	line_is(9, "cell.lifecycle.v1.destroyed",
		"2026-01-02T03:04:05.591277681+00:00",
		"{\"cellId\":\"demo-1\",\"outcome\":\"succeeded\",\"runId\":"
		"\"run-local-001\",\"specId\":\"demo-1\",\"ttlSeconds\":60}");
}

#define CORR                                                                \
	"\"correlation\":{\"externalJobId\":null,\"externalRunId\":\"42\"," \
	"\"labels\":null,\"platform\":\"github\",\"tenantId\":\"acme\"},"

static void test_started(void **state)
{
	struct spec_derivation d = { .role_root = SLICE_LIT("role-ci") };

	(void)state;
	load(DOC("", ",\"correlation\":{\"platform\":\"github\","
		     "\"externalRunId\":\"42\",\"tenantId\":\"acme\"},"
		     "\"placement\":{\"poolId\":\"p1\"}"),
	     "run-1");
	spec.authority.derivation = &d;
	event_started(&buf, &run);
	is("{\"cellId\":\"demo-1\"," CORR "\"derivationVerified\":true,"
	   "\"placement\":{\"poolId\":\"p1\"},\"roleRoot\":\"role-ci\","
	   "\"runId\":\"run-1\",\"specHash\":\"" RAW "\",\"specId\":"
	   "\"demo-1\",\"tenantId\":\"acme\",\"ttlSeconds\":60}");
	d.parent_run_id = SLICE_LIT("p-1");
	event_started(&buf, &run);
	assert_non_null(strstr(wbuf_cstr(&buf),
			       "\"derivationVerified\":true,"
			       "\"parentRunId\":\"p-1\",\"placement\""));
	wbuf_reset(&buf);
	spec.authority.derivation = NULL;
}

static void test_correlation(void **state)
{
	(void)state;
	load(DOC("",
		 ",\"correlation\":{\"platform\":\"github\","
		 "\"externalRunId\":\"42\",\"labels\":{\"b\":\"2\",\"a\":"
		 "\"1\"},\"tenantId\":\"acme\",\"correlationId\":\"corr-1\"}"),
	     "run-1");
	event_destroyed(&buf, &run, "boom", "none", "urn:x", "clean");
	is("{\"cellId\":\"demo-1\",\"correlation\":{\"correlationId\":"
	   "\"corr-1\",\"externalJobId\":null,\"externalRunId\":\"42\","
	   "\"labels\":{\"a\":\"1\",\"b\":\"2\"},\"platform\":\"github\","
	   "\"tenantId\":\"acme\"},\"evidenceBundleRef\":\"urn:x\","
	   "\"outcome\":\"failed\",\"reason\":\"boom\",\"residueClass\":"
	   "\"none\",\"runId\":\"run-1\",\"specId\":\"demo-1\",\"tenantId\":"
	   "\"acme\",\"terminalState\":\"clean\",\"ttlSeconds\":60}");
	/* an empty one: nulls everywhere, left out of the summary */
	load(DOC("", ",\"correlation\":{}"), "run-1");
	event_network_scope(&buf, &run);
	is("{\"cellId\":\"demo-1\",\"correlation\":{\"externalJobId\":null,"
	   "\"externalRunId\":null,\"labels\":null,\"platform\":null},"
	   "\"egressRuleCount\":0,\"hasOpaqueNetworkAuthority\":false,"
	   "\"runId\":\"run-1\",\"specId\":\"demo-1\"}");
	event_summary(&buf, &run, NULL);
	is("{\"cellId\":\"demo-1\",\"egressRuleCount\":0,"
	   "\"exportTargetCount\":0,\"lifetimeTtlSeconds\":60,"
	   "\"resourceLimitsPresent\":false,\"runId\":\"run-1\","
	   "\"secretDeliveryMode\":\"env\",\"specId\":\"demo-1\"}");
}

static void test_summary(void **state)
{
	const int zero = 0;

	(void)state;
	load(DOC(RULE,
		 ",\"placement\":{\"poolId\":\"p1\"},\"policy\":{"
		 "\"packId\":\"pk\",\"packVersion\":\"1.0.0\"},\"run\":{"
		 "\"secretDelivery\":\"env\",\"argv\":[\"x\"],\"limits\":{}}"),
	     "run-1");
	event_summary(&buf, &run, &zero);
	is("{\"cellId\":\"demo-1\",\"commandExitCode\":0,\"egressRuleCount\":"
	   "1,\"exportTargetCount\":0,\"lifetimeTtlSeconds\":60,"
	   "\"placement\":{\"poolId\":\"p1\"},\"policyPackId\":\"pk\","
	   "\"policyPackVersion\":\"1.0.0\",\"resourceLimitsPresent\":true,"
	   "\"runId\":\"run-1\",\"secretDeliveryMode\":\"env\",\"specId\":"
	   "\"demo-1\"}");
	load(DOC("", ",\"run\":{\"argv\":[\"x\"]}"), "run-1");
	event_summary(&buf, &run, NULL);
	assert_non_null(strstr(wbuf_cstr(&buf), "\"secretDeliveryMode\":"
						"\"runtimeLeasedBroker\""));
	wbuf_reset(&buf);
}

static void test_network(void **state)
{
	(void)state;
	load(DOC(RULE ",\"network\":{\"x\":1}", ""), "run-1");
	event_network_scope(&buf, &run);
	is("{\"cellId\":\"demo-1\",\"egressRuleCount\":1,"
	   "\"hasOpaqueNetworkAuthority\":true,\"runId\":\"run-1\","
	   "\"specId\":\"demo-1\"}");
	event_network_policy(&buf, &run);
	is("{\"cellId\":\"demo-1\",\"declaredEgress\":[{\"host\":"
	   "\"192.0.2.10\",\"port\":443,\"protocol\":null}],"
	   "\"declaredEgressCount\":1,\"isolationMode\":\"clone_newnet\","
	   "\"runId\":\"run-1\",\"specId\":\"demo-1\"}");
	event_network_enforcement(&buf, &run, &(int){ 0 }, true, NULL);
	is("{\"cellId\":\"demo-1\",\"commandExitCode\":0,"
	   "\"declaredEgressRuleCount\":1,\"isolationMode\":\"clone_newnet\","
	   "\"nftRulesApplied\":true,\"runId\":\"run-1\",\"specId\":"
	   "\"demo-1\",\"supplementaryEgressFilterActive\":true}");
	event_network_enforcement(&buf, &run, &(int){ -1 }, false, "no");
	is("{\"cellId\":\"demo-1\",\"commandExitCode\":-1,"
	   "\"declaredEgressRuleCount\":1,\"isolationMode\":\"clone_newnet\","
	   "\"nftRulesApplied\":false,\"runId\":\"run-1\",\"spawnError\":"
	   "\"no\",\"specId\":\"demo-1\",\"supplementaryEgressFilterActive\":"
	   "false}");
	event_homeostasis(&buf, &run, NULL);
	is("{\"accessedMountPaths\":0,\"authorityEfficiency\":1.0,\"cellId\":"
	   "\"demo-1\",\"declaredEgressRules\":1,\"declaredMountPaths\":0,"
	   "\"declaredSecretCount\":0,\"exercisedEgressConnections\":null,"
	   "\"exercisedEgressReason\":\"telemetry_pending_L2-04\","
	   "\"recommendedRemovals\":[],\"runId\":\"run-1\",\"specHash\":\"" HASH
	   "\",\"specId\":\"demo-1\"}");
}

static void test_completed(void **state)
{
	(void)state;
	load(DOC("", ",\"run\":{\"argv\":[\"/bin/sleep\",\"5\"]}"), "run-1");
	event_completed(&buf, &run, 1002, -1,
			"cell killed by TTL watchdog after 1000 ms "
			"(ttl_seconds=1)");
	is("{\"argv\":[\"/bin/sleep\",\"5\"],\"cellId\":\"demo-1\","
	   "\"durationMs\":1002,\"exitCode\":-1,\"runId\":\"run-1\","
	   "\"spawnError\":\"cell killed by TTL watchdog after 1000 ms "
	   "(ttl_seconds=1)\",\"specId\":\"demo-1\"}");
}

static void test_container_security(void **state)
{
	char text[sizeof(status)];
	char *p;

	(void)state;
	load(EXAMPLE, "run-1");
	event_container_security(&buf, &run, NULL);
	is("{\"cellId\":\"demo-1\",\"privileged\":false,\"runId\":\"run-1\"}");
	/* all or none */
	memcpy(text, status, sizeof(text));
	p = strstr(text, "CapAmb:");
	p[3] = 'X';
	event_container_security(&buf, &run, text);
	is("{\"cellId\":\"demo-1\",\"privileged\":false,\"runId\":\"run-1\"}");
	memcpy(text, status, sizeof(text));
	p = strstr(text, "CapEff:");
	memcpy(p + 8, "0000001fffffffff", 16);
	event_container_security(&buf, &run, text);
	assert_non_null(strstr(wbuf_cstr(&buf), "\"privileged\":true,"));
	wbuf_reset(&buf);
}

/* Bytes from anywhere must not make an event that no reader can parse. */
static void test_bad_utf8(void **state)
{
	(void)state;
	load(EXAMPLE, "r\xff\xc3\xa9\xed\xa0\x80\xf0\x9f\x98\x80\xe2\x82");
	event_destroyed(&buf, &run, "a\"\x01\n\x7f", NULL, NULL, NULL);
	is("{\"cellId\":\"demo-1\",\"outcome\":\"failed\",\"reason\":"
	   "\"a\\\"\\u0001\\n\x7f\",\"runId\":\"r\xef\xbf\xbd\xc3\xa9"
	   "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80"
	   "\xef\xbf\xbd\xef\xbf\xbd\",\"specId\":\"demo-1\","
	   "\"ttlSeconds\":60}");
}

static void test_enforcement(void **state)
{
	struct report_enforcement r = { .phase = REPORT_PREPARED,
					.backend = "host" };
	int i;

	(void)state;
	load(EXAMPLE, "run-1");
	report_item_add(&r, "seccomp", "filter", "2", true);
	report_item_add(&r, "memory.max", "", "max", false);
	report_probe_add(&r, "af-vsock", "EAFNOSUPPORT", "EAFNOSUPPORT");
	report_probe_add(&r, "connect-outside", "ENETUNREACH", "0");
	event_enforcement(&buf, &run, &r);
	is("{\"backend\":\"host\",\"cellId\":\"demo-1\",\"items\":[{\"asked\":"
	   "\"filter\",\"enforced\":true,\"got\":\"2\",\"name\":\"seccomp\"},"
	   "{\"asked\":null,\"enforced\":false,\"got\":\"max\",\"name\":"
	   "\"memory.max\"}],\"phase\":\"prepared\",\"probes\":[{"
	   "\"expected\":\"EAFNOSUPPORT\",\"got\":\"EAFNOSUPPORT\",\"name\":"
	   "\"af-vsock\",\"passed\":true},{\"expected\":\"ENETUNREACH\","
	   "\"got\":\"0\",\"name\":\"connect-outside\",\"passed\":false}],"
	   "\"runId\":\"run-1\",\"runUuid\":\"7a1b5c1e-8f0e-4a0b-9b52-"
	   "0a4c7d7a1c01\",\"specId\":\"demo-1\"}");
	r = (struct report_enforcement){ .phase = REPORT_VIOLATION,
					 .backend = "host",
					 .syscall_nr = 250,
					 .syscall_name = "keyctl",
					 .answer = "EPERM" };
	event_enforcement(&buf, &run, &r);
	assert_non_null(strstr(wbuf_cstr(&buf), "\"phase\":\"violation\""));
	assert_non_null(strstr(wbuf_cstr(&buf),
			       "\"specId\":\"demo-1\",\"syscall\":{\"answer\":"
			       "\"EPERM\",\"name\":\"keyctl\",\"number\":250}"
			       "}"));
	wbuf_reset(&buf);
	r = (struct report_enforcement){ .phase = REPORT_REFUSED,
					 .backend = "host",
					 .stage = "bind",
					 .detail = "/x",
					 .sys = 2 };
	event_enforcement(&buf, &run, &r);
	is("{\"backend\":\"host\",\"cellId\":\"demo-1\",\"detail\":\"/x\","
	   "\"errno\":2,\"items\":[],\"phase\":\"refused\",\"probes\":[],"
	   "\"runId\":\"run-1\",\"runUuid\":\"7a1b5c1e-8f0e-4a0b-9b52-"
	   "0a4c7d7a1c01\",\"specId\":\"demo-1\",\"stage\":\"bind\"}");
	/* one too many: no event rather than one with a hole */
	for (i = 0; i <= REPORT_ITEMS_MAX; i++)
		report_item_add(&r, "n", "a", "g", true);
	event_enforcement(&buf, &run, &r);
	assert_true(buf.failed);
	wbuf_reset(&buf);
}

static void test_residue(void **state)
{
	static struct report_residue r;
	struct event_run gc = { .cell_id = "c",
				.run_id = "r",
				.run_uuid = "u" };
	int i;

	(void)state;
	report_residue_checked(&r, "pids", 3, 0);
	assert_string_equal(report_residue_class(&r), "none");
	event_residue(&buf, &gc, &r, "gc");
	is("{\"by\":\"gc\",\"cellId\":\"c\",\"checked\":[{\"kind\":\"pids\","
	   "\"left\":0,\"lookedAt\":3}],\"left\":[],\"leftDropped\":0,"
	   "\"residueClass\":\"none\",\"runId\":\"r\",\"runUuid\":\"u\","
	   "\"specId\":\"c\"}");
	report_residue_checked(&r, "mounts", 3, 1);
	assert_string_equal(report_residue_class(&r), "documented_exception");
	for (i = 0; i < RESIDUE_MAX + 2; i++)
		report_residue_left(&r, "mount %d", i);
	event_residue(&buf, &gc, &r, "run");
	assert_non_null(strstr(wbuf_cstr(&buf),
			       "\"mount 63\"],\"leftDropped\""
			       ":2,\"residueClass\":\"documented_exception\""));
	wbuf_reset(&buf);
}

/* An event of somebody else, in any order: its data in ours, its signatures. */
static void test_foreign_vector(void **state)
{
	OWNED(arena_drop) struct arena a = ARENA_INIT(1 << 20);
	OWNED(wbuf_drop) struct wbuf sig = WBUF_INIT(256);
	uint8_t seed[32], pub[32], sk[64], raw[64];
	crypto_auth_hmacsha256_state st;
	struct json *root;
	struct json_out j;
	struct err e;

	(void)state;
	assert_int_equal(json_parse(SLICE_LIT("{\"z\":1,\"a\":[{\"y\":2,\"b\""
					      ":null}],\"s\":\"a/\xc3\xa9"
					      "\\u0001\\\"\\\\\"}"),
				    8, &a, &root, &e),
			 0);
	wbuf_str(&buf, "{\"specversion\":\"1.0\",\"id\":\"ev-1\",\"source\":"
		       "\"s\",\"type\":\"t.v1\",\"datacontenttype\":null,"
		       "\"data\":");
	json_out_init(&j, &buf, true);
	json_write(&j, root);
	wbuf_str(&buf, ",\"time\":\"2026-01-02T03:04:05Z\",\"traceparent\":"
		       "null}");
	memset(seed, 0x1f, sizeof(seed));
	crypto_sign_seed_keypair(pub, sk, seed);
	crypto_sign_detached(raw, NULL, (const uint8_t *)buf.p, buf.len, sk);
	b64url_put(&sig, raw, 64);
	assert_string_equal(wbuf_cstr(&sig),
			    "mmJNpm7-XVxvEW97er-BR36_7XduEQZe24ohiPQZ3x6y9bpls"
			    "dBEByL04BSV7s-VGwgXy1M9XnDVix_udYb6AA");
	wbuf_reset(&sig);
	crypto_auth_hmacsha256_init(&st, (const uint8_t *)"shared-secret", 13);
	crypto_auth_hmacsha256_update(&st, (const uint8_t *)buf.p, buf.len);
	crypto_auth_hmacsha256_final(&st, raw);
	b64url_put(&sig, raw, 32);
	assert_string_equal(wbuf_cstr(&sig),
			    "QwNe5Rx17Cqa6VHiOMBJHYorISeG2oPihECtss0pQYM");
	wbuf_reset(&buf);
}

static void test_types(void **state)
{
	(void)state;
	assert_string_equal(event_type_text(EVENT_NETWORK_SCOPE),
			    "dev.cellos.events.cell.observability.v1."
			    "network_scope");
	assert_string_equal(event_type_text(EVENT_SIGNED),
			    "dev.cellos.events.signed_envelope.v1");
	assert_string_equal(event_type_text(EVENT_TYPE_NUM), "");
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
		cmocka_unit_test(test_worked_example),
		cmocka_unit_test(test_started),
		cmocka_unit_test(test_correlation),
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_completed),
		cmocka_unit_test(test_container_security),
		cmocka_unit_test(test_bad_utf8),
		cmocka_unit_test(test_enforcement),
		cmocka_unit_test(test_residue),
		cmocka_unit_test(test_foreign_vector),
		cmocka_unit_test(test_types),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("evidence/event", tests, NULL, tidy);
}
