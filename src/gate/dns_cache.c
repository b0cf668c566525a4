/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Answers, by question: a table of chains, and a ring from new to old. */
#include "gate/dns_int.h"

#include <sodium/crypto_shorthash.h>
#include <stdlib.h>
#include <sys/random.h>

enum { BUCKETS = 2 * DNS_CACHE_ENTRIES };

/* Entry 0 is none: the end of a chain, and where the ring begins and ends. */
struct entry {
	struct dns_kept kept; /* its body is ours */
	uint64_t hash;
	uint16_t type;
	uint16_t next; /* of the chain; of the free ones */
	uint16_t newer, older;
	struct hostname name;
};

struct dns_cache {
	uint8_t key[crypto_shorthash_KEYBYTES];
	size_t bytes;
	uint16_t free, used; /* those behind @used have never been */
	uint16_t buckets[BUCKETS];
	struct entry entries[1 + DNS_CACHE_ENTRIES];
};

struct dns_cache *dns_cache_new(void)
{
	struct dns_cache *c = calloc(1, sizeof(*c));

	if (c && getrandom(c->key, sizeof(c->key), 0) != sizeof(c->key))
		dns_cache_free(&c);
	return c;
}

void dns_cache_free(struct dns_cache **c)
{
	if (!*c)
		return;
	for (size_t i = 1; i <= (*c)->used; i++)
		free((char *)(*c)->entries[i].kept.body.p);
	free(*c);
	*c = NULL;
}

static uint64_t hash_of(const struct dns_cache *c, const struct hostname *name)
{
	uint64_t h;

	crypto_shorthash((unsigned char *)&h, (const unsigned char *)name->text,
			 name->len, c->key);
	return h;
}

static uint16_t *bucket_of(struct dns_cache *c, uint64_t hash)
{
	return &c->buckets[hash % BUCKETS];
}

static void ring_out(struct dns_cache *c, const struct entry *e)
{
	c->entries[e->newer].older = e->older;
	c->entries[e->older].newer = e->newer;
}

static void ring_in(struct dns_cache *c, uint16_t i)
{
	struct entry *e = &c->entries[i];

	e->newer = 0;
	e->older = c->entries[0].older;
	c->entries[e->older].newer = i;
	c->entries[0].older = i;
}

static void drop(struct dns_cache *c, uint16_t i)
{
	struct entry *e = &c->entries[i];
	uint16_t *link = bucket_of(c, e->hash);

	while (*link != i)
		link = &c->entries[*link].next;
	*link = e->next;
	ring_out(c, e);
	c->bytes -= e->kept.body.n;
	free((char *)e->kept.body.p);
	e->kept.body = (struct slice){ NULL, 0 };
	e->next = c->free;
	c->free = i;
}

static uint16_t find(struct dns_cache *c, uint64_t hash,
		     const struct hostname *name, uint16_t type)
{
	uint16_t i = *bucket_of(c, hash);

	for (; i; i = c->entries[i].next) {
		const struct entry *e = &c->entries[i];

		if (e->hash == hash && e->type == type &&
		    hostname_eq(&e->name, name))
			break;
	}
	return i;
}

/* 0: all are taken. The memory of a cell that asks little is not touched. */
static uint16_t take_entry(struct dns_cache *c)
{
	uint16_t i = c->free;

	if (i)
		c->free = c->entries[i].next;
	else if (c->used < DNS_CACHE_ENTRIES)
		i = ++c->used;
	return i;
}

void dns_cache_put(struct dns_cache *c, const struct hostname *name,
		   uint16_t type, const struct dns_kept *k)
{
	uint64_t hash = hash_of(c, name);
	uint16_t i = find(c, hash, name, type), *link;
	struct entry *e;
	char *body;

	if (i)
		drop(c, i);
	if (k->body.n > DNS_CACHE_BODY_MAX || k->until_ns <= k->since_ns)
		return;
	body = malloc(k->body.n + 1);
	if (!body)
		return;
	if (k->body.n)
		memcpy(body, k->body.p, k->body.n);
	while (c->bytes + k->body.n > DNS_CACHE_BYTES)
		drop(c, c->entries[0].newer);
	for (i = take_entry(c); !i; i = take_entry(c))
		drop(c, c->entries[0].newer);
	e = &c->entries[i];
	link = bucket_of(c, hash);
	e->kept = *k;
	e->kept.body.p = body;
	e->hash = hash;
	e->type = type;
	e->name = *name;
	e->next = *link;
	*link = i;
	c->bytes += k->body.n;
	ring_in(c, i);
}

const struct dns_kept *dns_cache_find(struct dns_cache *c,
				      const struct hostname *name,
				      uint16_t type, uint64_t now_ns)
{
	uint16_t i = find(c, hash_of(c, name), name, type);

	if (!i)
		return NULL;
	if (c->entries[i].kept.until_ns <= now_ns) {
		drop(c, i);
		return NULL;
	}
	ring_out(c, &c->entries[i]);
	ring_in(c, i);
	return &c->entries[i].kept;
}
