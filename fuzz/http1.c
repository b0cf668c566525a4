/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A kept-alive connection: the same requests at the same places, however the
 * bytes are cut, and a host only in its canonical form. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where the connection ends, and a sum of what was seen on the way. */
struct seen {
	size_t at, requests;
	uint64_t sum;
	enum http1_fault fault;
};

static void note(struct seen *s, const struct http1_head *h)
{
	struct hostname again;

	s->requests++;
	s->sum = s->sum * 31 + h->len + h->length + (uint64_t)h->framing +
		 h->port + h->host.len + 7 * h->has_host + 11 * h->is_connect;
	if (h->has_host && h->host_is_name &&
	    (hostname_parse(hostname_slice(&h->host), &again) ||
	     memcmp(&again, &h->host, sizeof(again)) != 0))
		abort();
	if (h->len > HTTP1_HEAD_MAX ||
	    (h->framing == HTTP1_SIZED) != (h->length > 0))
		abort();
}

/* @step bytes more have arrived; false if there are no more */
static bool arrive(struct slice in, size_t step, size_t *have)
{
	size_t left = in.n - *have;

	*have += left < step ? left : step;
	return left > 0;
}

static struct seen walk(struct slice in, size_t step)
{
	struct seen s = { .fault = HTTP1_NONE };
	size_t have = 0;

	for (;;) {
		enum http1_state state = HTTP1_MORE;
		struct http1_head h;
		struct http1_body b;
		size_t used;

		while (state == HTTP1_MORE) {
			state = http1_read_head(
				(struct slice){ in.p + s.at, have - s.at }, &h);
			if (state != HTTP1_MORE)
				break;
			if (!arrive(in, step, &have))
				return s;
		}
		if (state == HTTP1_BAD) {
			s.fault = h.fault;
			if (!s.fault || h.has_host)
				abort();
			return s;
		}
		note(&s, &h);
		s.at += h.len;
		http1_body_begin(&b, &h);
		for (;;) {
			state = http1_body_skip(
				&b, (struct slice){ in.p + s.at, have - s.at },
				&used);
			if (used > have - s.at)
				abort();
			s.at += used;
			if (state != HTTP1_MORE)
				break;
			if (!arrive(in, step, &have))
				return s;
		}
		if (state == HTTP1_BAD) {
			s.fault = b.fault;
			return s;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };
	struct seen whole = walk(in, size ? size : 1);
	struct seen cut = walk(in, 1 + size / 50);

	if (whole.at != cut.at || whole.requests != cut.requests ||
	    whole.sum != cut.sum || whole.fault != cut.fault)
		abort();
	return 0;
}
