/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Any bytes as a document: a verdict, and a canonical text that, read again
 * as the spec of a document, is its own canonical text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "spec/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char head[] = "{\"apiVersion\":\"cellos.io/v1\","
			   "\"kind\":\"ExecutionCell\",\"spec\":";

static void check_round_trip(const struct spec *s)
{
	OWNED(wbuf_drop) struct wbuf doc = WBUF_INIT(64 * 1024 * 1024);
	OWNED(wbuf_drop) struct wbuf again = WBUF_INIT(64 * 1024 * 1024);
	OWNED(spec_drop) struct spec t = { 0 };
	struct slice text;
	struct err e;

	wbuf_str(&doc, head);
	spec_canonical(s, &doc);
	wbuf_byte(&doc, '}');
	if (doc.failed)
		abort();
	if (doc.len > LIMIT_SPEC_FILE)
		return;
	if (spec_parse(wbuf_as_slice(&doc), &t, &e))
		abort();
	if (t.n_unknown > s->n_unknown)
		abort();
	spec_canonical(&t, &again);
	text = (struct slice){ doc.p + sizeof(head) - 1,
			       doc.len - sizeof(head) };
	if (again.failed || !slice_eq(wbuf_as_slice(&again), text))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED(spec_drop) struct spec s = { 0 };
	char segment[257];
	struct err e = { 0 };
	int r;

	if (spec_parse((struct slice){ (const char *)data, size }, &s, &e)) {
		if (e.text[0] == '\0')
			abort();
		return 0;
	}
	r = spec_check(&s, &e);
	if (r && strstr(e.text, "spec") == NULL && e.cls != ERR_SPEC)
		abort();
	spec_leaf_segment(s.id, segment);
	if (segment[0] == '\0' || strlen(segment) > 64)
		abort();
	check_round_trip(&s);
	return 0;
}
