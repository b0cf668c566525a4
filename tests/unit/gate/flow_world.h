/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A gate with a cell before it and an outside behind it: two network
 * namespaces with every address of 192.0.2.0/24 and 2001:db8::5, one loop
 * that the test turns, and a recorder that keeps what it is told.
 */
#ifndef CELLOS_TESTS_FLOW_WORLD_H
#define CELLOS_TESTS_FLOW_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gate/gate.h"

enum { TOLD_MAX = 16384 };

struct told {
	enum gate_record_type type;
	struct gate_flow flow;
};

struct world {
	struct gate g;
	struct gate_policy policy;
	struct told told[TOLD_MAX];
	size_t n_told;
	/* not among them: the decisions of which no name is a part */
	struct gate_flow opened; /* the last */
	size_t n_opened;
	int dns_fd; /* given to the resolver */
};

extern struct world world;

/** world_run() - make the namespaces, run the tests in them */
int world_run(const char *name, const struct CMUnitTest *tests, size_t n);
#define WORLD_RUN(tests) \
	world_run(#tests, tests, sizeof(tests) / sizeof(tests[0]))

/** world_setup(), world_teardown() - of each test: a gate without rules */
int world_setup(void **state);
int world_teardown(void **state);

/** world_new_flows() - made anew: budgets are read then */
void world_new_flows(void);

struct gate_rule *world_name_rule(enum gate_protocol p, const char *pattern,
				  uint16_t port);
struct gate_rule *world_net_rule(enum gate_protocol p, const char *net,
				 uint16_t port);
struct hostname world_name(const char *text);
struct ip_addr world_addr(const char *text);
void world_pin(const char *name, const char *addr);

/** world_listen() - the gate serves this TCP port of the cell */
void world_listen(uint16_t port, bool is_explicit);
void world_listen_udp(uint16_t port, uint8_t family);

/** world_turn() - one turn, a millisecond at most */
void world_turn(void);
/** world_ms() - turns for so long: only where nothing must happen */
void world_ms(unsigned ms);

/* Sockets do not block; each call turns the loop until it is done. */
int world_server(const char *addr, uint16_t port);
int world_client(const char *addr, uint16_t port);
int world_udp(bool outside, const char *addr, uint16_t port);
int world_accept(int listener);
void world_send(int fd, const void *p, size_t n);
void world_say(int fd, const char *s);
/** world_read() - until @n bytes or the end; the number, -errno if it was a
 *  reset behind none */
ssize_t world_read(int fd, void *p, size_t n);
/** world_expect() - exactly this text comes next */
void world_expect(int fd, const char *s);
void world_expect_end(int fd);
void world_expect_reset(int fd);
void world_expect_nobody(int listener);
/** world_told() - until there are @n records in all */
void world_told(size_t n);
/** world_count() - records of this type */
size_t world_count(enum gate_record_type t);
const struct gate_flow *world_last(enum gate_record_type t);

#endif
