/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a gate that was taken over sends: a record that passes can be used. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gate/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gate_policy policy;

static void use_name(const struct hostname *h)
{
	struct hostname again;

	if (memchr(h->text, '\0', sizeof(h->text)) != h->text + h->len)
		abort();
	if (h->len && hostname_parse_service(hostname_slice(h), &again))
		abort();
}

static void use_flow(const struct gate_flow *f)
{
	if (f->rule < -1 || f->rule >= (int)policy.n_rules ||
	    !gate_reason_word(f->reason)[0])
		abort();
	use_name(&f->question);
	use_name(&f->sni);
	use_name(&f->host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gate_record r = { 0 };
	size_t n = size < sizeof(r) ? size : sizeof(r);

	policy.n_rules = 3;
	policy.n_resolvers = 2;
	/* short inputs are told apart by their front */
	memcpy(&r, data, n);
	if (!gate_record_check(&r, sizeof(r), &policy))
		return 0;
	switch (r.type == GATE_AGGREGATE ? r.of : r.type) {
	case GATE_QUERY:
		if (r.query.resolver >= policy.n_resolvers ||
		    !gate_query_reason_word(r.query.reason)[0])
			abort();
		use_name(&r.query.name);
		break;
	case GATE_DECISION:
	case GATE_FLOW:
	case GATE_REFUSED:
		use_flow(&r.flow);
		break;
	case GATE_FAULT:
		if (!memchr(r.fault.text, '\0', sizeof(r.fault.text)))
			abort();
		break;
	case GATE_INSIDE:
		if (r.inside.n < 1 || r.inside.n > DOOR_INSIDE ||
		    (r.inside.family != 4 && r.inside.family != 6))
			abort();
		break;
	case GATE_READY:
	case GATE_STATS:
		break;
	default:
		abort();
	}
	return 0;
}
