/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Free text into JSON strings, and the members that say whose data it is. */
#include "evidence/body.h"

#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"

void body_text(struct json_out *j, const char *s)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(LIMIT_EVENT_LINE);
	size_t left = strlen(s), n;

	if (utf8_is_text(s)) {
		json_out_str(j, s);
		return;
	}
	for (; left; s += n, left -= n) {
		n = utf8_len(s, left);
		if (n) {
			wbuf_put(&b, s, n);
		} else {
			wbuf_str(&b, "\xef\xbf\xbd");
			n = 1;
		}
	}
	if (b.failed)
		j->b->failed = true;
	json_out_slice(j, wbuf_as_slice(&b));
}

void body_ktext(struct json_out *j, const char *name, const char *s)
{
	if (!s)
		return;
	json_out_key(j, name);
	body_text(j, s);
}

void body_spec_id(struct json_out *j, const struct event_run *r)
{
	if (r->spec && r->spec->id.p) {
		json_out_key(j, "specId");
		json_out_slice(j, r->spec->id);
	} else {
		body_ktext(j, "specId", r->cell_id);
	}
}

void body_kslice_or_null(struct json_out *j, const char *name, struct slice s)
{
	json_out_key(j, name);
	if (s.p)
		json_out_slice(j, s);
	else
		json_out_null(j);
}

void body_kslice_opt(struct json_out *j, const char *name, struct slice s)
{
	if (s.p)
		body_kslice_or_null(j, name, s);
}

static void put_labels(struct json_out *j, const struct spec_correlation *c)
{
	size_t i;

	json_out_key(j, "labels");
	if (!c->has_labels) {
		json_out_null(j);
		return;
	}
	json_out_object(j);
	for (i = 0; i < c->n_labels; i++) {
		json_out_key_slice(j, c->labels[i].name);
		json_out_slice(j, c->labels[i].value);
	}
	json_out_end(j, '}');
}

void body_correlation(struct json_out *j, const struct event_run *r)
{
	const struct spec_correlation *c = r->spec->correlation;

	if (!c)
		return;
	json_out_key(j, "correlation");
	json_out_object(j);
	body_kslice_opt(j, "correlationId", c->correlation_id);
	body_kslice_or_null(j, "externalJobId", c->external_job_id);
	body_kslice_or_null(j, "externalRunId", c->external_run_id);
	put_labels(j, c);
	body_kslice_or_null(j, "platform", c->platform);
	body_kslice_opt(j, "tenantId", c->tenant_id);
	json_out_end(j, '}');
}
