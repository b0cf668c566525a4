/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Random UUIDs. */
#include "base/uuid.h"

#include <errno.h>
#include <sys/random.h>

#include "base/ascii.h"

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
	for (size_t i = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*buf++ = '-';
		*buf++ = ascii_hex_digit(b[i] >> 4u);
		*buf++ = ascii_hex_digit(b[i]);
	}
	*buf = '\0';
	return 0;
}
