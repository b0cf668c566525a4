/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Free text into JSON strings, and the member specId. */
#include "evidence/body.h"

#include "base/limits.h"

/* Length of the well-formed UTF-8 sequence at @s (RFC 3629), 0 if there is
 * none. The NUL that ends @s is no continuation byte, so this never reads past
 * it. */
static size_t utf8_len(const unsigned char *s)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t i, n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		lo = 0xa0;
	else if (s[0] == 0xed)
		hi = 0x9f; /* surrogates */
	else if (s[0] == 0xf0)
		lo = 0x90;
	else if (s[0] == 0xf4)
		hi = 0x8f;
	if (s[1] < lo || s[1] > hi)
		return 0;
	for (i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

void body_text(struct json_out *j, const char *s)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(LIMIT_EVENT_LINE);
	size_t n;

	while (*s) {
		n = utf8_len((const unsigned char *)s);
		if (n)
			wbuf_put(&b, s, n);
		else
			wbuf_str(&b, "\xef\xbf\xbd");
		s += n ? n : 1;
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
