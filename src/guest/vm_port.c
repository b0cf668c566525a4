/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The streams between a guest and its driver, by what its VMM has for it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "guest/vm_guest.h"

enum { WAIT_MS = 10000, DEVICES = 4 };

bool vm_boot_has_sockets(void)
{
	const char *word = getenv(VM_TRANSPORT);

	return word && !strcmp(word, VM_TRANSPORT_SOCK);
}

/* The first number is that of the device among those of virtio. */
static int open_serial(int device, int n)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "/dev/vport%dp%d", device, n);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_socket(int n)
{
	const struct sockaddr_vm to = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = n == VM_TELEMETRY ? (unsigned)VM_SOCK_TELEMETRY
					      : (unsigned)(VM_SOCK_FIRST + n),
	};
	OWNED(fd_drop) int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return fd_take(&fd);
}

/* What is said before the device has told of itself */
static bool is_early(int r)
{
	return r == -ENOENT || r == -ENXIO || r == -ENODEV ||
	       r == -EADDRNOTAVAIL || r == -ENETUNREACH || r == -EHOSTUNREACH;
}

int vm_port_open(int n)
{
	const struct timespec step = { .tv_nsec = 1000000 };
	const bool sockets = vm_boot_has_sockets();

	for (int i = 0;; i++) {
		int r = sockets ? open_socket(n) : open_serial(i % DEVICES, n);

		if (r >= 0 || !is_early(r) || i == WAIT_MS * DEVICES)
			return r;
		if (sockets || i % DEVICES == DEVICES - 1)
			(void)nanosleep(&step, NULL);
	}
}
