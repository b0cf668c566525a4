/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "gate/inside.h"

#include <errno.h>
#include <unistd.h>

#include "gate/record.h"

enum { LOW = DOOR_INSIDE / 2 };

/* By family, 4 and 6, and by type. */
static struct {
	int fd[2 * DOOR_INSIDE];
	unsigned n, asked; /* there, and on their way */
} pools[2][2];

void inside_put(struct gate *g, uint8_t family, bool is_udp, int fd)
{
	unsigned *n = &pools[family == 6][is_udp].n;

	(void)g;
	if (pools[family == 6][is_udp].asked)
		pools[family == 6][is_udp].asked--;
	if (fd < 0)
		return;
	if (*n == 2 * DOOR_INSIDE)
		(void)close(fd);
	else
		pools[family == 6][is_udp].fd[(*n)++] = fd;
}

bool inside_ready(struct gate *g, uint8_t family, bool is_udp)
{
	unsigned *asked = &pools[family == 6][is_udp].asked;
	unsigned n = pools[family == 6][is_udp].n;
	struct gate_record r = { .type = GATE_INSIDE,
				 .inside = { .family = family,
					     .is_udp = is_udp,
					     .n = DOOR_INSIDE } };

	if (n <= LOW && !*asked) {
		*asked = DOOR_INSIDE;
		record_tell(g, &r);
	}
	return n > 0;
}

int inside_take(struct gate *g, uint8_t family, bool is_udp)
{
	unsigned *n = &pools[family == 6][is_udp].n;

	if (!inside_ready(g, family, is_udp))
		return -EAGAIN;
	return pools[family == 6][is_udp].fd[--*n];
}
