/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Free text into JSON strings, and the member specId. */
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
