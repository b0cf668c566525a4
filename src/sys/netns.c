/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Loopback of a fresh network namespace. */
#include "sys/netns.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

int netns_lo_up(void)
{
	OWNED(fd_drop) int fd = -1;
	struct ifreq r = { .ifr_name = "lo" };

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCGIFFLAGS, &r) < 0)
		return -errno;
	r.ifr_flags = (short)(r.ifr_flags | IFF_UP);
	if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		return -errno;
	return 0;
}

int netns_count_links(void)
{
	struct if_nameindex *list = if_nameindex();
	int n = 0;

	if (!list)
		return -errno;
	while (list[n].if_index)
		n++;
	if_freenameindex(list);
	return n;
}
