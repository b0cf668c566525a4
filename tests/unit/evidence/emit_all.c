/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Writes one signed run with events of every type, for the contracts to be
 * checked against what is really written.
 *
 * usage: emit_all JOURNAL DOCUMENT; prints every type there is
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/limits.h"
#include "evidence/event_net.h"
#include "evidence/journal.h"
#include "evidence/report.h"
#include "wire/telemetry.h"

#define ID   "3a5f7e54-420b-4ffb-90b8-852307748355"
#define AT_B "2026-01-02T03:04:05.123Z"
#define AT_A "2026-01-02T03:04:05.123+00:00"
#define HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const char status[] =
	"CapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\n"
	"CapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\n"
	"CapAmb:\t0000000000000000\n";

static struct journal *journal;
static struct wbuf buf = { .max = LIMIT_EVENT_LINE };
static struct report_enforcement report;
static struct report_residue residue;
static int bad;

static void put_from(enum event_type t, const char *source, const char *time)
{
	struct err e;

	if (journal_emit_from(journal, t, source, time, &buf, NULL, &e)) {
		err_print(stderr, &e);
		bad = 1;
	}
	wbuf_reset(&buf);
}

static void put(enum event_type t)
{
	put_from(t, NULL, NULL);
}

static void put_reports(const struct event_run *r)
{
	report = (struct report_enforcement){ .backend = "host" };
	report_item_add(&report, "seccomp", "filter", "2", true);
	report_item_add(&report, "memory.max", "", "max", false);
	report_probe_add(&report, "af-vsock", "EAFNOSUPPORT", "0");
	report.phase = REPORT_PREPARED;
	event_enforcement(&buf, r, &report);
	put(EVENT_ENFORCEMENT);
	report = (struct report_enforcement){ .phase = REPORT_REFUSED,
					      .backend = "host",
					      .stage = "bind",
					      .detail = "/x",
					      .sys = 2 };
	event_enforcement(&buf, r, &report);
	put(EVENT_ENFORCEMENT);
	report = (struct report_enforcement){ .phase = REPORT_VIOLATION,
					      .backend = "host",
					      .syscall_nr = 250,
					      .syscall_name = "keyctl",
					      .answer = "EPERM" };
	event_enforcement(&buf, r, &report);
	put(EVENT_ENFORCEMENT);
	report_begin(&report, REPORT_TOTALS, "host");
	report_total_add(&report, "queries", 3);
	event_enforcement(&buf, r, &report);
	put(EVENT_ENFORCEMENT);
	report_residue_checked(&residue, "mounts", 3, 1);
	report_residue_left(&residue, "mount /x");
	event_residue(&buf, r, &residue, "run");
	put(EVENT_RESIDUE);
}

static void put_names(const struct event_run *r)
{
	const struct ip_addr targets[] = {
		{ .family = 4, .b = { 192, 0, 2, 10 } },
		{ .family = 6, .b = { 0x20, 0x01, 0x0d, 0xb8 } },
	};
	struct event_l7 l7 = { .is_live = true,
			       .decision_id = ID,
			       .reason = "l7_sni_missing" };
	struct event_query q = { .query_id = ID,
				 .observed_at = AT_B,
				 .reason = "malformed_query" };

	event_l7_egress_decision(&buf, r, &l7);
	put_from(EVENT_L7_EGRESS_DECISION, EVENT_SOURCE_SNI, AT_B);
	event_l7_unstarted(&buf, r, ID, "bind: no");
	put(EVENT_L7_EGRESS_DECISION);
	if (r->spec->authority.egress_rules.n) {
		event_l7_declared(&buf, r, 0, ID);
		put(EVENT_L7_EGRESS_DECISION);
		event_dns_resolution(&buf, r, 0, targets, 2, AT_A);
		put(EVENT_DNS_RESOLUTION);
		event_l7_listed(&buf, r, 1, ID);
		put(EVENT_L7_EGRESS_DECISION);
	}
	event_dns_query(&buf, r, &q);
	put_from(EVENT_DNS_QUERY, EVENT_SOURCE_DNS, AT_B);
	q = (struct event_query){ .query_id = ID,
				  .observed_at = AT_B,
				  .name = SLICE_LIT("x.example.com"),
				  .type = "AAAA",
				  .reason = "denied_not_in_allowlist",
				  .was_answered = true,
				  .rcode = 5,
				  .resolver = "r1",
				  .has_latency = true };
	event_dns_query(&buf, r, &q);
	put_from(EVENT_DNS_QUERY, EVENT_SOURCE_DNS, AT_B);
	event_query_permitted(&buf, r, &q);
	put_from(EVENT_QUERY_PERMITTED, EVENT_SOURCE_DNS, AT_B);
	event_query_refused(&buf, r, &q);
	put_from(EVENT_QUERY_REFUSED, EVENT_SOURCE_DNS, AT_B);
}

static void put_flows(const struct event_run *r)
{
	const struct ip_addr a = { .family = 4, .b = { 192, 0, 2, 10 } };
	struct event_flow f = { .decision_id = ID,
				.observed_at = AT_A,
				.dst = a,
				.dst_port = 443,
				.protocol = "udp",
				.reason = "nft_log_drop" };
	struct event_connection c = { .kind = EVENT_KIND_PACKETS,
				      .count = 7,
				      .reason = "no_rule" };

	event_network_flow_decision(&buf, r, &f);
	put_from(EVENT_NETWORK_FLOW_DECISION, NULL, AT_A);
	f.is_row = true;
	f.observed_at = AT_B;
	f.rule_ref = "dnsAuthority.blockUdpHttp3";
	f.reason = "nft_http3_blocked";
	event_network_flow_decision(&buf, r, &f);
	put_from(EVENT_NETWORK_FLOW_DECISION, NULL, AT_B);
	event_connection(&buf, r, &c);
	put(EVENT_CONNECTION);
	c = (struct event_connection){
		.kind = EVENT_KIND_FLOW,
		.allow = true,
		.reason = "l7_sni_allowlist_match",
		.rule_ref = "authority.egressRules[0]",
		.protocol = "tls",
		.l4 = "tcp",
		.source = { a, 4000 },
		.destination = { a, 443 },
		.dialled = { a, 443 },
		.question = SLICE_LIT("a.example.com"),
		.query_type = "A",
		.dropped = 1,
		.is_over_budget = true,
		.sni = SLICE_LIT("a.example.com"),
		.host = SLICE_LIT("b.example.com"),
		.has_ech = true,
		.has_early_data = true,
		.requests = 1,
		.opened_at = AT_B,
		.up = 1,
		.unverified = (1u << EVENT_UNVERIFIED_NUM) - 1,
	};
	event_connection(&buf, r, &c);
	put(EVENT_CONNECTION);
}

static void put_all(const struct event_run *r)
{
	const uint64_t exercised = r->spec->authority.egress_rules.n + 2;
	const int code = 3;
	const int minus = -1;

	event_network_scope(&buf, r);
	put(EVENT_NETWORK_SCOPE);
	event_dns_target_set(&buf, r, "2026-01-02T03:04:05.120+00:00");
	put(EVENT_DNS_TARGET_SET);
	put_names(r);
	event_started(&buf, r);
	put(EVENT_STARTED);
	event_started(&buf, &(struct event_run){ .spec = r->spec,
						 .cell_id = r->cell_id,
						 .run_id = r->run_id,
						 .run_uuid = r->run_uuid,
						 .kernel_digest = HASH,
						 .rootfs_digest = HASH,
						 .vmm_digest = HASH });
	put(EVENT_STARTED);
	event_manifest_failed(&buf, "rootfs", HASH, HASH, "/m");
	put_from(EVENT_MANIFEST_FAILED, EVENT_SOURCE_VM, "");
	event_manifest_failed(&buf, "manifest", "", "", "/m");
	put_from(EVENT_MANIFEST_FAILED, EVENT_SOURCE_VM, "");
	event_declared(&buf, r,
		       &(struct telemetry_frame){ TELEMETRY_SPAWNED, 300,
						  5000000000, "sh" },
		       "2026-01-02T03:04:05Z");
	put_from(EVENT_GUEST_SPAWNED, EVENT_SOURCE_GUEST,
		 "2026-01-02T03:04:05Z");
	for (int i = TELEMETRY_EXITED; i < TELEMETRY_ALIVE; i++) {
		event_declared(&buf, r,
			       &(struct telemetry_frame){
				       (enum telemetry_probe)i, 0, 0, "" },
			       "2026-01-02T03:04:05Z");
		put_from((enum event_type)(EVENT_GUEST_SPAWNED + i),
			 EVENT_SOURCE_GUEST, "2026-01-02T03:04:05Z");
	}
	event_agent_silenced(&buf, r, 10000, 10001);
	put_from(EVENT_AGENT_SILENCED, EVENT_SOURCE_GUEST,
		 "2026-01-02T03:04:05Z");
	event_container_security(&buf, r, status);
	put(EVENT_CONTAINER_SECURITY);
	event_container_security(&buf, r, NULL);
	put(EVENT_CONTAINER_SECURITY);
	event_network_policy(&buf, r);
	put(EVENT_NETWORK_POLICY);
	event_process_spawned(&buf, r);
	put(EVENT_PROCESS_SPAWNED);
	event_network_enforcement(&buf, r, &minus, false,
				  "spec.run spawn failed");
	put(EVENT_NETWORK_ENFORCEMENT);
	event_network_enforcement(&buf, r, NULL, true, NULL);
	put(EVENT_NETWORK_ENFORCEMENT);
	event_completed(&buf, r, 12, 3, NULL);
	put(EVENT_COMPLETED);
	put_flows(r);
	put_reports(r);
	event_summary(&buf, r, NULL);
	put(EVENT_SUMMARY);
	event_summary(&buf, r, &code);
	put(EVENT_SUMMARY);
	event_homeostasis(&buf, r, NULL);
	put(EVENT_HOMEOSTASIS);
	event_homeostasis(&buf, r, &exercised);
	put(EVENT_HOMEOSTASIS);
	if (event_homeostasis_violation(&buf, r, exercised))
		put(EVENT_HOMEOSTASIS_VIOLATION);
	event_destroyed(&buf, r, NULL, NULL, NULL, NULL);
	put(EVENT_DESTROYED);
	event_destroyed(&buf, r, "command exited with status 3", "none",
			"urn:cellos:evidence-bundle:run-1", "forced");
	put(EVENT_DESTROYED);
}

static int run_all(const char *file, struct spec *s, struct err *e)
{
	OWNED(signer_stop) struct signer *signer = NULL;
	struct journal_config c = { .path = file, .max_bytes = 1 << 20 };
	const struct event_run r = {
		.spec = s,
		.cell_id = s->id.p,
		.run_id = "run-1",
		.run_uuid = "7a1b5c1e-8f0e-4a0b-9b52-0a4c7d7a1c01",
		.raw_hash = HASH,
		.spec_hash = "sha256:" HASH,
		.keyset_id = "k",
		.resolver_kid = "r",
		.l7_kid = "l",
	};
	uint8_t seed[32] = { 1 };
	int x;

	if (signer_start(SIGNER_ED25519, "k1", seed, sizeof(seed), &signer, e))
		return -1;
	c.signer = signer;
	if (journal_open(&c, &r, &journal, e))
		return -1;
	put_all(&r);
	x = journal_close(journal, e);
	journal_free(&journal);
	wbuf_drop(&buf);
	return x;
}

int main(int argc, char **argv)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(LIMIT_SPEC_FILE);
	static struct spec s;
	struct err e = { 0 };
	int t;

	if (argc != 3 || file_read(AT_FDCWD, argv[2], 0, &text))
		return 2;
	if (spec_parse(wbuf_as_slice(&text), &s, &e) ||
	    run_all(argv[1], &s, &e)) {
		err_print(stderr, &e);
		return 1;
	}
	spec_drop(&s);
	for (t = 0; t < EVENT_TYPE_NUM; t++)
		(void)puts(event_type_text((enum event_type)t));
	return bad;
}
