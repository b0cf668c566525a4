/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Which names our resolver has led this cell to which addresses by: the only
 * addresses a name may be dialled at. A pin lives for the answer's TTL moved
 * into [ttl_min, ttl_max], then is good for `grace` more, and as long as a
 * flow holds it. Bounded; the pin that expires first makes room.
 */
#ifndef CELLOS_GATE_PIN_H
#define CELLOS_GATE_PIN_H

#include "wire/hostname.h"
#include "wire/ip.h"

enum { PIN_MAX = 8192, PIN_NAMES_MAX = 64 /* told of one address */ };

struct pins;

/** pins_new() - @grace in seconds; NULL without memory */
struct pins *pins_new(uint32_t grace);
void pins_free(struct pins **p);
/**
 * pins_add() - an answer led from @name to @a
 * @ttl: seconds, moved already; a pin that is there lives on for the longer of
 *       both
 */
void pins_add(struct pins *p, const struct hostname *name,
	      const struct ip_addr *a, uint32_t ttl, uint64_t now_ns);
/** pins_names() - names that lead to @a now, newest first
 *  Return: how many, PIN_NAMES_MAX at most; pointers are good until the next
 *  pins_add() */
size_t pins_names(struct pins *p, const struct ip_addr *a, uint64_t now_ns,
		  const struct hostname *ret[PIN_NAMES_MAX]);
/** pins_has() - does @name lead to @a now */
bool pins_has(struct pins *p, const struct hostname *name,
	      const struct ip_addr *a, uint64_t now_ns);
/** pins_addrs() - where @name leads now; @first (may be NULL) comes first if it
 *  is among them; Return: how many, @max at most */
size_t pins_addrs(struct pins *p, const struct hostname *name,
		  const struct ip_addr *first, uint64_t now_ns,
		  struct ip_addr *ret, size_t max);
/** pins_hold(), pins_release() - a flow of @name to @a lives: its pin is not
 *  evicted and does not expire */
void pins_hold(struct pins *p, const struct hostname *name,
	       const struct ip_addr *a);
void pins_release(struct pins *p, const struct hostname *name,
		  const struct ip_addr *a);

#endif
