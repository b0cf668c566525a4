/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Signed events per second: N realistic events through the signer process and
 * the journal to a file.
 *
 * usage: sign [FILE [N]]; without FILE a temporary one
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "evidence/journal.h"
#include "evidence/report.h"

static const struct event_run run = {
	.cell_id = "bench-1",
	.run_id = "run-local-001",
	.run_uuid = "7a1b5c1e-8f0e-4a0b-9b52-0a4c7d7a1c01",
};

/* An enforcement report of ten items: longer than most events. */
static void body(struct wbuf *b)
{
	static struct report_enforcement r;
	int i;

	memset(&r, 0, sizeof(r));
	r.phase = REPORT_PREPARED;
	r.backend = "host";
	for (i = 0; i < 10; i++)
		report_item_add(&r, "seccomp", "filter", "mode 2", true);
	wbuf_reset(b);
	event_enforcement(b, &run, &r);
}

static int events(struct journal *j, uint64_t n, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(LIMIT_EVENT_LINE);
	uint64_t i;

	for (i = 0; i < n; i++) {
		body(&b);
		if (journal_emit(j, EVENT_ENFORCEMENT, &b, NULL, e))
			return -1;
	}
	return journal_close(j, e);
}

int main(int argc, char **argv)
{
	OWNED(signer_stop) struct signer *s = NULL;
	OWNED(journal_free) struct journal *j = NULL;
	struct journal_config c = { .max_bytes = UINT64_MAX };
	uint8_t seed[32] = { 1 };
	struct err e = { 0 };
	char name[] = "/tmp/cellos-bench-XXXXXX";
	OWNED(fd_drop) int tmp = -1;
	uint64_t n, t;
	double sec;

	if (argc < 2) {
		tmp = mkstemp(name);
		if (tmp < 0)
			return 2;
	}
	n = argc > 2 ? strtoull(argv[2], NULL, 10) : 50000;
	c.path = argc > 1 ? argv[1] : name;
	if (signer_start(SIGNER_ED25519, "bench", seed, sizeof(seed), &s, &e))
		goto fail;
	c.signer = s;
	t = clock_mono_ns();
	if (journal_open(&c, &run, &j, &e))
		goto fail;
	if (tmp >= 0)
		(void)unlink(name);
	if (events(j, n, &e))
		goto fail;
	sec = (double)(clock_mono_ns() - t) / 1e9;
	(void)printf("events=%" PRIu64 " seconds=%.3f events_per_second=%.0f\n",
		     n, sec, (double)n / sec);
	return 0;
fail:
	err_print(stderr, &e);
	return 1;
}
