/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Pins: pairs of a name and an address, each of which is stored once. Three
 * keyed hash tables find a name, an address and a pair: names are the cell's
 * and addresses the network's to choose, who must not choose collisions too.
 * A heap has the pins no flow holds, the one that expires first on top; a call
 * that knows the time takes off what has expired, so lists hold only what is
 * good. Places are numbered from 1: a zeroed table is an empty one, and its
 * pages cost nothing before they are used.
 */
#include "gate/pin.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NS_PER_S UINT64_C(1000000000)

enum { BUCKETS = 2 * PIN_MAX };

_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "a mask chooses a bucket");

struct name {
	struct hostname host;
	uint32_t next;	/* in its bucket, or free */
	uint32_t first; /* pin, the newest */
};

struct addr {
	struct ip_addr ip;
	uint32_t next, first;
};

struct pin {
	uint64_t expires; /* grace included */
	uint32_t name, addr;
	uint32_t holds;
	uint32_t heap; /* its place there; 0: held */
	uint32_t next; /* in its bucket, or free */
	struct {
		uint32_t prev, next;
	} of_name, of_addr;
};

/* Places that were used once and are free, and those that never were */
struct places {
	uint32_t free, used;
};

struct pins {
	uint32_t grace;
	uint8_t key[crypto_shorthash_KEYBYTES];
	struct places names_at, addrs_at, pins_at;
	uint32_t n_heap;
	uint32_t by_name[BUCKETS], by_addr[BUCKETS], by_pair[BUCKETS];
	uint32_t heap[PIN_MAX + 1];
	struct name names[PIN_MAX + 1];
	struct addr addrs[PIN_MAX + 1];
	struct pin pins[PIN_MAX + 1];
};

struct pins *pins_new(uint32_t grace)
{
	struct pins *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->grace = grace;
	if (getrandom(p->key, sizeof(p->key), 0) != sizeof(p->key))
		pins_free(&p);
	return p;
}

void pins_free(struct pins **p)
{
	free(*p);
	*p = NULL;
}

static uint32_t *bucket(struct pins *p, uint32_t *table, const void *what,
			size_t n)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint32_t v;

	(void)crypto_shorthash(hash, what, n, p->key);
	memcpy(&v, hash, sizeof(v));
	return &table[v & (BUCKETS - 1)];
}

static uint32_t *name_bucket(struct pins *p, const struct hostname *h)
{
	return bucket(p, p->by_name, h->text, h->len);
}

static uint32_t *addr_bucket(struct pins *p, const struct ip_addr *a)
{
	return bucket(p, p->by_addr, a, sizeof(*a));
}

static uint32_t *pair_bucket(struct pins *p, uint32_t name, uint32_t addr)
{
	const uint32_t pair[2] = { name, addr };

	return bucket(p, p->by_pair, pair, sizeof(pair));
}

static uint32_t find_name(struct pins *p, const struct hostname *h)
{
	uint32_t at = *name_bucket(p, h);

	while (at && !hostname_eq(&p->names[at].host, h))
		at = p->names[at].next;
	return at;
}

static uint32_t find_addr(struct pins *p, const struct ip_addr *a)
{
	uint32_t at = *addr_bucket(p, a);

	while (at && !ip_equal(&p->addrs[at].ip, a))
		at = p->addrs[at].next;
	return at;
}

static uint32_t find_pin(struct pins *p, const struct hostname *h,
			 const struct ip_addr *a)
{
	uint32_t name = find_name(p, h);
	uint32_t addr = name ? find_addr(p, a) : 0;
	uint32_t at = addr ? *pair_bucket(p, name, addr) : 0;

	while (at && (p->pins[at].name != name || p->pins[at].addr != addr))
		at = p->pins[at].next;
	return at;
}

/* -- the heap -- */

static void heap_set(struct pins *p, uint32_t place, uint32_t pin)
{
	p->heap[place] = pin;
	p->pins[pin].heap = place;
}

static uint64_t heap_key(const struct pins *p, uint32_t place)
{
	return p->pins[p->heap[place]].expires;
}

/* Puts @pin, for which @place is free, where its time belongs */
static void heap_settle(struct pins *p, uint32_t place, uint32_t pin)
{
	uint64_t key = p->pins[pin].expires;

	for (; place > 1 && heap_key(p, place / 2) > key; place /= 2)
		heap_set(p, place, p->heap[place / 2]);
	for (;;) {
		uint32_t child = 2 * place;

		if (child < p->n_heap &&
		    heap_key(p, child + 1) < heap_key(p, child))
			child++;
		if (child > p->n_heap || heap_key(p, child) >= key)
			break;
		heap_set(p, place, p->heap[child]);
		place = child;
	}
	heap_set(p, place, pin);
}

static void heap_add(struct pins *p, uint32_t pin)
{
	p->n_heap++;
	heap_settle(p, p->n_heap, pin);
}

static void heap_remove(struct pins *p, uint32_t pin)
{
	uint32_t place = p->pins[pin].heap, last = p->heap[p->n_heap];

	p->pins[pin].heap = 0;
	p->n_heap--;
	if (last != pin)
		heap_settle(p, place, last);
}

/* -- places and lists -- */

static uint32_t take_place(struct places *x, uint32_t *next_of_free)
{
	uint32_t at = x->free;

	if (!at)
		return ++x->used;
	x->free = *next_of_free;
	return at;
}

/* Newest first in both lists */
static void link_pin(struct pins *p, uint32_t at)
{
	struct pin *pin = &p->pins[at];
	uint32_t *n = &p->names[pin->name].first;
	uint32_t *a = &p->addrs[pin->addr].first;

	pin->of_name.prev = pin->of_addr.prev = 0;
	pin->of_name.next = *n;
	pin->of_addr.next = *a;
	if (*n)
		p->pins[*n].of_name.prev = at;
	if (*a)
		p->pins[*a].of_addr.prev = at;
	*n = *a = at;
}

static void unlink_pin(struct pins *p, uint32_t at)
{
	struct pin *pin = &p->pins[at];

	if (pin->of_name.prev)
		p->pins[pin->of_name.prev].of_name.next = pin->of_name.next;
	else
		p->names[pin->name].first = pin->of_name.next;
	if (pin->of_name.next)
		p->pins[pin->of_name.next].of_name.prev = pin->of_name.prev;
	if (pin->of_addr.prev)
		p->pins[pin->of_addr.prev].of_addr.next = pin->of_addr.next;
	else
		p->addrs[pin->addr].first = pin->of_addr.next;
	if (pin->of_addr.next)
		p->pins[pin->of_addr.next].of_addr.prev = pin->of_addr.prev;
}

static void drop_name(struct pins *p, uint32_t at)
{
	uint32_t *i = name_bucket(p, &p->names[at].host);

	while (*i != at)
		i = &p->names[*i].next;
	*i = p->names[at].next;
	p->names[at].next = p->names_at.free;
	p->names_at.free = at;
}

static void drop_addr(struct pins *p, uint32_t at)
{
	uint32_t *i = addr_bucket(p, &p->addrs[at].ip);

	while (*i != at)
		i = &p->addrs[*i].next;
	*i = p->addrs[at].next;
	p->addrs[at].next = p->addrs_at.free;
	p->addrs_at.free = at;
}

/* A pin of the heap; names stay readable until their place is taken again */
static void drop_pin(struct pins *p, uint32_t at)
{
	struct pin *pin = &p->pins[at];
	uint32_t *i = pair_bucket(p, pin->name, pin->addr);

	heap_remove(p, at);
	while (*i != at)
		i = &p->pins[*i].next;
	*i = pin->next;
	unlink_pin(p, at);
	if (!p->names[pin->name].first)
		drop_name(p, pin->name);
	if (!p->addrs[pin->addr].first)
		drop_addr(p, pin->addr);
	pin->next = p->pins_at.free;
	p->pins_at.free = at;
}

static void drop_expired(struct pins *p, uint64_t now_ns)
{
	while (p->n_heap && heap_key(p, 1) <= now_ns)
		drop_pin(p, p->heap[1]);
}

/* -- what is public -- */

static uint32_t add_name(struct pins *p, const struct hostname *h)
{
	uint32_t at = find_name(p, h), *b;

	if (at)
		return at;
	b = name_bucket(p, h);
	at = take_place(&p->names_at, &p->names[p->names_at.free].next);
	p->names[at] = (struct name){ .host = *h, .next = *b };
	return *b = at;
}

static uint32_t add_addr(struct pins *p, const struct ip_addr *a)
{
	uint32_t at = find_addr(p, a), *b;

	if (at)
		return at;
	b = addr_bucket(p, a);
	at = take_place(&p->addrs_at, &p->addrs[p->addrs_at.free].next);
	p->addrs[at] = (struct addr){ .ip = *a, .next = *b };
	return *b = at;
}

static void renew(struct pins *p, uint32_t at, uint64_t expires)
{
	struct pin *pin = &p->pins[at];

	unlink_pin(p, at);
	link_pin(p, at);
	if (expires <= pin->expires)
		return;
	pin->expires = expires;
	if (pin->heap)
		heap_settle(p, pin->heap, at);
}

void pins_add(struct pins *p, const struct hostname *name,
	      const struct ip_addr *a, uint32_t ttl, uint64_t now_ns)
{
	uint64_t life = ((uint64_t)ttl + p->grace) * NS_PER_S, expires;
	uint32_t at, n, m, *b;

	expires = life > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + life;
	drop_expired(p, now_ns);
	at = find_pin(p, name, a);
	if (at) {
		renew(p, at, expires);
		return;
	}
	if (!p->pins_at.free && p->pins_at.used == PIN_MAX) {
		if (!p->n_heap)
			return; /* flows hold all of them */
		drop_pin(p, p->heap[1]);
	}
	n = add_name(p, name);
	m = add_addr(p, a);
	at = take_place(&p->pins_at, &p->pins[p->pins_at.free].next);
	b = pair_bucket(p, n, m);
	p->pins[at] = (struct pin){
		.expires = expires, .name = n, .addr = m, .next = *b
	};
	*b = at;
	link_pin(p, at);
	heap_add(p, at);
}

size_t pins_names(struct pins *p, const struct ip_addr *a, uint64_t now_ns,
		  const struct hostname *ret[PIN_NAMES_MAX])
{
	uint32_t addr;
	size_t n = 0;

	drop_expired(p, now_ns);
	addr = find_addr(p, a);
	for (uint32_t at = addr ? p->addrs[addr].first : 0;
	     at && n < PIN_NAMES_MAX; at = p->pins[at].of_addr.next)
		ret[n++] = &p->names[p->pins[at].name].host;
	return n;
}

bool pins_has(struct pins *p, const struct hostname *name,
	      const struct ip_addr *a, uint64_t now_ns)
{
	drop_expired(p, now_ns);
	return find_pin(p, name, a) != 0;
}

size_t pins_addrs(struct pins *p, const struct hostname *name,
		  const struct ip_addr *first, uint64_t now_ns,
		  struct ip_addr *ret, size_t max)
{
	uint32_t n_at;
	size_t n = 0;

	drop_expired(p, now_ns);
	if (first && max && find_pin(p, name, first))
		ret[n++] = *first;
	n_at = find_name(p, name);
	for (uint32_t at = n_at ? p->names[n_at].first : 0; at && n < max;
	     at = p->pins[at].of_name.next) {
		const struct ip_addr *ip = &p->addrs[p->pins[at].addr].ip;

		if (!first || !ip_equal(ip, first))
			ret[n++] = *ip;
	}
	return n;
}

void pins_hold(struct pins *p, const struct hostname *name,
	       const struct ip_addr *a)
{
	uint32_t at = find_pin(p, name, a);

	if (at && p->pins[at].holds++ == 0)
		heap_remove(p, at);
}

void pins_release(struct pins *p, const struct hostname *name,
		  const struct ip_addr *a)
{
	uint32_t at = find_pin(p, name, a);

	if (at && p->pins[at].holds && --p->pins[at].holds == 0)
		heap_add(p, at);
}
