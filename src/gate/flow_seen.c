/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The 5-tuples that were let through: counted once each. */
#include <stdlib.h>

#include "base/fnv.h"
#include "gate/flow_int.h"

enum { SEEN_SLOTS = 32768, SEEN_MAX = SEEN_SLOTS / 2 };

struct flow_seen {
	size_t n;
	uint64_t keys[SEEN_SLOTS]; /* 0: free */
};

/* A collision is one connection less in a count. */
bool flow_seen_add(struct flow_seen **s, const struct gate_flow *r)
{
	uint64_t key = FNV_START;
	size_t at;

	if (!*s)
		*s = calloc(1, sizeof(**s));
	if (!*s || (*s)->n == SEEN_MAX)
		return true;
	key = fnv_mix(key, &r->l4, sizeof(r->l4));
	key = fnv_mix(key, &r->src, sizeof(r->src));
	key = fnv_mix(key, &r->src_port, sizeof(r->src_port));
	key = fnv_mix(key, &r->dst, sizeof(r->dst));
	key = fnv_mix(key, &r->dst_port, sizeof(r->dst_port));
	key |= 1;
	for (at = (key >> 32) % SEEN_SLOTS; (*s)->keys[at];
	     at = (at + 1) % SEEN_SLOTS)
		if ((*s)->keys[at] == key)
			return false;
	(*s)->keys[at] = key;
	(*s)->n++;
	return true;
}
