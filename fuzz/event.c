/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A journal from anywhere: verify must judge it, and never say 0 of a file it
 * cannot vouch for (no key is known here but one that signed the seeds). */
#include <stdint.h>
#include <stdlib.h>

#include "evidence/verify.h"

/* Public key of the seed 32 x 0x01. */
#define KEYS	  "{\"k1\":\"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w\"}"
#define HMAC_KEYS "{\"k1\":\"c2VjcmV0\"}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice file = { (const char *)data, size };
	struct verify_keys *k = verify_keys_new();
	struct verify_result r;
	struct err e;
	size_t i;

	if (!k || verify_keys_add(k, SLICE_LIT(KEYS), false, &e) ||
	    verify_keys_add(k, SLICE_LIT(HMAC_KEYS), true, &e))
		abort();
	/* the same bytes as a key file, whatever they are */
	(void)!verify_keys_add(k, file, size & 1, &e);
	if (!verify_bytes(file, k, 0, &r, &e)) {
		for (i = 0; i < r.n_findings; i++)
			if (r.findings[i].line > size + 1 ||
			    (unsigned)r.findings[i].kind >= VERIFY_FINDING_NUM)
				abort();
		/* nothing to vouch for is not "complete and intact" */
		if (verify_exit(&r) == 0 && (r.n_runs == 0 || size == 0))
			abort();
		verify_result_drop(&r);
	}
	verify_keys_free(&k);
	return 0;
}
