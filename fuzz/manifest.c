/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A manifest that somebody else wrote: what is taken of it can be used. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { (const char *)data, size };
	struct manifest m, again;
	struct wbuf b = WBUF_INIT(MANIFEST_MAX);
	struct err e;

	if (manifest_parse(text, "/m", &m, &e))
		return 0;
	for (size_t i = 0; i < MANIFEST_ROLE_NUM; i++)
		if (strlen(m.digest[i]) % (MANIFEST_HEX - 1))
			abort();
	manifest_write(&m, "/i", &b);
	if (manifest_parse(wbuf_as_slice(&b), "/m", &again, &e) ||
	    memcmp(m.digest, again.digest, sizeof(m.digest)) != 0)
		abort();
	wbuf_drop(&b);
	return 0;
}
