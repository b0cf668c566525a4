/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* From the document to what the driver of a machine listens for. */
#include "cli/telemetry.h"

#include <string.h>

#include "base/ascii.h"
#include "wire/telemetry.h"

static bool begins(const char *probe, struct slice declared)
{
	while (declared.n && ascii_is_space(declared.p[0]))
		declared.p++, declared.n--;
	while (declared.n && ascii_is_space(declared.p[declared.n - 1]))
		declared.n--;
	return declared.n && declared.n <= strlen(probe) &&
	       !memcmp(probe, declared.p, declared.n);
}

static uint64_t least(uint64_t limit, const struct spec_opt_u64 *asked)
{
	return asked->present && asked->v < limit ? asked->v : limit;
}

struct cell_telemetry_rules telemetry_rules(const struct spec *spec,
					    const struct limits *l)
{
	const struct spec_telemetry *t = spec->telemetry;
	struct cell_telemetry_rules r = { 0 };

	if (!t)
		return r;
	r.events_per_second = l->v[LIMIT_EVENTS_PER_SECOND];
	r.bytes_per_second = UINT64_MAX;
	for (size_t i = 0; i < t->events.n; i++)
		for (unsigned p = 0; p < TELEMETRY_ALIVE; p++)
			if (begins(telemetry_word((enum telemetry_probe)p),
				   t->events.p[i]))
				r.probes |= 1u << p;
	if (t->rate_limits) {
		r.events_per_second = least(r.events_per_second,
					    &t->rate_limits->events_per_second);
		r.bytes_per_second = least(r.bytes_per_second,
					   &t->rate_limits->bytes_per_second);
	}
	return r;
}
