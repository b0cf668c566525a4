/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How many distinct names a cell may ask for below each wildcard. */
#include "gate/dns_int.h"

#include <sodium/crypto_shorthash.h>
#include <stdlib.h>
#include <sys/random.h>

enum { SLOTS = 2 * DNS_BUDGET_NAMES };

/*
 * Names are told apart by 64 bits under a key the cell does not know, so that
 * it cannot find two that count as one.
 */
struct dns_budget {
	uint8_t key[crypto_shorthash_KEYBYTES];
	uint32_t n;
	uint32_t names[GATE_NAMES_MAX];
	uint64_t bytes[GATE_NAMES_MAX];
	uint64_t slots[SLOTS]; /* open addressing; 0: empty */
};

struct dns_budget *dns_budget_new(void)
{
	struct dns_budget *b = calloc(1, sizeof(*b));

	if (b && getrandom(b->key, sizeof(b->key), 0) != sizeof(b->key))
		dns_budget_free(&b);
	return b;
}

void dns_budget_free(struct dns_budget **b)
{
	free(*b);
	*b = NULL;
}

static uint64_t *slot_of(struct dns_budget *b, uint64_t hash)
{
	size_t i = hash % SLOTS;

	/* half of them stay empty */
	while (b->slots[i] && b->slots[i] != hash)
		i = (i + 1) % SLOTS;
	return &b->slots[i];
}

bool dns_budget_take(struct dns_budget *b, const struct gate_policy *policy,
		     size_t i, const struct hostname *name)
{
	uint64_t hash, bytes, *slot;

	if (i >= GATE_NAMES_MAX)
		return false;
	if (policy->names[i][0] != '*')
		return true;
	crypto_shorthash((unsigned char *)&hash,
			 (const unsigned char *)name->text, name->len, b->key);
	if (!hash)
		hash = 1;
	slot = slot_of(b, hash);
	if (*slot)
		return true;
	/* the entry's own part, less its star, tells nothing */
	bytes = name->len - (strlen(policy->names[i]) - 1);
	if (b->n == DNS_BUDGET_NAMES ||
	    b->names[i] >= policy->wildcard_labels ||
	    b->bytes[i] + bytes >
		    (uint64_t)policy->wildcard_labels * DNS_BUDGET_NAME_BYTES)
		return false;
	*slot = hash;
	b->n++;
	b->names[i]++;
	b->bytes[i] += bytes;
	return true;
}
