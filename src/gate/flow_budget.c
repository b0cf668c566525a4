/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The bytes of a rule, which all its flows draw on. */
#include "gate/flow_int.h"

struct flow_budget flow_budget(struct gate *g, int rule, bool up)
{
	const struct gate_rule *r;

	if (rule < 0)
		return (struct flow_budget){ 0 };
	r = &g->policy->rules[rule];
	return (struct flow_budget){
		.max = up ? r->max_up : r->max_down,
		.spent = up ? &g->flows->spent[rule].up
			    : &g->flows->spent[rule].down,
	};
}

uint64_t flow_budget_left(const struct flow_budget *b)
{
	return b->max ? b->max - *b->spent : UINT64_MAX;
}

void flow_budget_take(struct flow_budget *b, uint64_t n)
{
	if (b->max)
		*b->spent += n;
}
