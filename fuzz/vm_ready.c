/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A guest's word that it is ready: what is taken of it is all of it. */
#include <stdlib.h>
#include <string.h>

#include "cell/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cell_message m, own;
	struct vm_record r, again;

	if (size != sizeof(r)) /* a driver waits for the rest */
		return 0;
	memcpy(&r, data, sizeof(r));
	if (vm_get_ready(&r, &m))
		return 0;
	memset(&own, 0, sizeof(own));
	own.type = CELL_MSG_READY;
	own.limits = m.limits;
	memcpy(own.probe, m.probe, sizeof(own.probe));
	memset(&again, 0, sizeof(again));
	again.word = VM_READY;
	again.limits = m.limits;
	memcpy(again.probe, m.probe, sizeof(again.probe));
	if (memcmp(&again, data, sizeof(again)) != 0 ||
	    memcmp(&own, &m, sizeof(own)) != 0)
		abort();
	return 0;
}
