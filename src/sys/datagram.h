/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fixed-size messages over a SEQPACKET pair, each with a descriptor or none. */
#ifndef CELLOS_SYS_DATAGRAM_H
#define CELLOS_SYS_DATAGRAM_H

#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"

/** datagram_pair() - two connected ends, close-on-exec; 0 or -errno */
int datagram_pair(int ret[2]) MUST_USE;
/** datagram_send() - @n bytes, and @fd if it is >= 0; 0 or -errno */
int datagram_send(int sock, const void *p, size_t n, int fd) MUST_USE;
/**
 * datagram_recv() - wait for one message of exactly @n bytes
 * @ret_fd:  a descriptor that came with it, -1 if none; the caller owns
 * @ret_pid: the sender in our pid namespace (SCM_CREDENTIALS), 0 if not sent;
 *           may be NULL
 * @flags:   of recvmsg(2): MSG_DONTWAIT
 *
 * Return: 1 for a message, 0 at the end of the stream, or -errno (-EPROTO for
 * a datagram of another size)
 */
int datagram_recv(int sock, void *p, size_t n, int *ret_fd, pid_t *ret_pid,
		  int flags) MUST_USE;

#endif
