/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frames of a guest's agent: what is one is one again when it is written. */
#include <stdlib.h>
#include <string.h>

#include "wire/telemetry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };
	struct telemetry_frame f, again;
	ptrdiff_t n;

	while ((n = telemetry_get(in, &f)) > 0) {
		struct wbuf b = WBUF_INIT(TELEMETRY_FRAME_MAX);

		if ((size_t)n > in.n)
			abort();
		telemetry_put(&b, &f);
		if (telemetry_get(wbuf_as_slice(&b), &again) !=
			    (ptrdiff_t)b.len ||
		    again.probe != f.probe || again.pid != f.pid ||
		    again.monotonic_ns != f.monotonic_ns ||
		    strcmp(again.comm, f.comm) != 0)
			abort();
		wbuf_drop(&b);
		in.p += n;
		in.n -= (size_t)n;
	}
	return 0;
}
