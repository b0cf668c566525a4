/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A door in a network namespace of its own, and both who stand at it: the test
 * holds the gate's sockets and opens those of a workload. */
#ifndef TESTS_DOOR_ENV_H
#define TESTS_DOOR_ENV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cell/door.h"
#include "wire/packet.h"

enum { PATIENCE_MS = 20000 }; /* for what has to come */

extern struct door door;
extern struct door_made made;

/** enter_user() - a user namespace with root in it, for the whole program */
void enter_user(void);
/** enter_net() - a fresh network namespace with lo up */
void enter_net(void);
/** make_door() - of `door`, which must succeed */
void make_door(void);
int door_teardown(void **state);
/** gate_fd() - the gate's socket; it must be there */
int gate_fd(enum door_socket_kind kind, uint8_t family, uint16_t port);
struct ip_addr ip(const char *text);
socklen_t sa_of(const char *text, uint16_t port, struct sockaddr_storage *ret);
/** dial() - a socket of the workload, connected; or -errno */
int dial(int type, const char *to, uint16_t port);
void await(int fd, short events);
bool is_quiet(int fd);
/** refused() - the next packet that is told; its prefix must be @prefix */
struct packet refused(const char *prefix);
void assert_told(const char *prefix, uint8_t protocol, const char *src,
		 const char *dst, uint16_t dst_port);
uint64_t counted(const char *chain);
void assert_sockaddr(const struct sockaddr_storage *sa, const char *text,
		     uint16_t port);
/** assert_arrives() - a connection made on a listener: the gate accepts it and
 *  sees where it was to go; both ways carry bytes */
void assert_arrives(int client, int listener, const char *to, uint16_t port);

#endif
