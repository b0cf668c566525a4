/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Any bytes as each document of a layout: what is accepted keeps its limits,
 * and what is told of it is printable. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "unpack/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_digest(const char *digest)
{
	if (strspn(digest, "0123456789abcdef") != OCI_HEX - 1 ||
	    digest[OCI_HEX - 1])
		abort();
}

static void check_descs(const struct oci_desc *d, size_t n, size_t max)
{
	char q[OCI_QUOTE];

	if (n > max)
		abort();
	for (size_t i = 0; i < n; i++) {
		check_digest(d[i].digest);
		if (strlen(oci_quote(d[i].ref, q)) >= OCI_QUOTE ||
		    d[i].size > INT64_MAX)
			abort();
	}
}

static void check_config(const struct oci_config *c)
{
	OWNED(wbuf_drop) struct wbuf facts = WBUF_INIT(1 << 20);

	if (c->n > OCI_LAYERS_MAX)
		abort();
	for (size_t i = 0; i < c->n; i++)
		check_digest(c->diff_ids[i]);
	oci_facts(c, &facts);
	if (facts.failed || facts.len > 5 * (4 * OCI_FACT_MAX + 64))
		abort();
	for (size_t i = 0; i < facts.len; i++)
		if (facts.p[i] != '\n' &&
		    (facts.p[i] < 0x20 || facts.p[i] > 0x7e))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED(arena_drop) struct arena a = ARENA_INIT(OCI_ARENA);
	struct slice text = { (const char *)data, size };
	struct oci_manifest m;
	struct oci_config c;
	struct oci_index in;
	struct err e;
	int both = 0;

	if (!oci_read_index(text, &a, &in, &e)) {
		check_descs(in.entries, in.n, OCI_ENTRIES_MAX);
		both++;
	}
	if (!oci_read_manifest(text, &a, &m, &e)) {
		check_descs(&m.config, 1, 1);
		check_descs(m.layers, m.n, OCI_LAYERS_MAX);
		both++;
	}
	if (both == 2)
		abort();
	if (!oci_read_config(text, &a, &c, &e))
		check_config(&c);
	if (!oci_read_layout(text, &a, &e) && size == 0)
		abort();
	return 0;
}
