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
#include "evidence/journal.h"
#include "evidence/report.h"

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

static void put(enum event_type t)
{
	struct err e;

	if (journal_emit(journal, t, &buf, NULL, &e)) {
		err_print(stderr, &e);
		bad = 1;
	}
	wbuf_reset(&buf);
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
	report_residue_checked(&residue, "mounts", 3, 1);
	report_residue_left(&residue, "mount /x");
	event_residue(&buf, r, &residue, "run");
	put(EVENT_RESIDUE);
}

static void put_all(const struct event_run *r)
{
	const int code = 3;

	event_network_scope(&buf, r);
	put(EVENT_NETWORK_SCOPE);
	event_dns_target_set(&buf, r, "2026-01-02T03:04:05.120+00:00");
	put(EVENT_DNS_TARGET_SET);
	event_started(&buf, r);
	put(EVENT_STARTED);
	event_container_security(&buf, r, status);
	put(EVENT_CONTAINER_SECURITY);
	event_container_security(&buf, r, NULL);
	put(EVENT_CONTAINER_SECURITY);
	event_network_policy(&buf, r);
	put(EVENT_NETWORK_POLICY);
	event_process_spawned(&buf, r);
	put(EVENT_PROCESS_SPAWNED);
	event_network_enforcement(&buf, r, -1, false, "spec.run spawn failed");
	put(EVENT_NETWORK_ENFORCEMENT);
	event_completed(&buf, r, 12, 3, NULL);
	put(EVENT_COMPLETED);
	put_reports(r);
	event_summary(&buf, r, NULL);
	put(EVENT_SUMMARY);
	event_summary(&buf, r, &code);
	put(EVENT_SUMMARY);
	event_homeostasis(&buf, r);
	put(EVENT_HOMEOSTASIS);
	event_destroyed(&buf, r, NULL, NULL, NULL);
	put(EVENT_DESTROYED);
	event_destroyed(&buf, r, "command exited with status 3", "none",
			"urn:cellos:evidence-bundle:run-1");
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
