/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Random UUIDs. */
#include "base/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

int uuid_v4(char buf[UUID_TEXT_SIZE])
{
	unsigned char b[16];
	ssize_t n;

	/* getrandom(2): up to 256 bytes are never cut short by a signal */
	n = getrandom(b, sizeof(b), 0);
	if (n < 0)
		return -errno;
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	(void)snprintf(buf, UUID_TEXT_SIZE,
		       "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		       "%02x%02x%02x%02x%02x%02x",
		       b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8],
		       b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	return 0;
}
