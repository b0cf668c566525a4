/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The words of the gate's tables. */
#include "base/fd.h"
#include "gate/message.h"

static const struct {
	const char *word;
	bool allows;
} reasons[] = {
#define X(id, text, allow) [GATE_REASON_##id] = { text, allow },
	GATE_REASONS(X)
#undef X
};

static const char *const query_reasons[] = {
#define X(id, text, denies) [GATE_QUERY_##id] = text,
	GATE_QUERY_REASONS(X)
#undef X
};

const char *gate_reason_word(enum gate_reason r)
{
	return (unsigned)r < GATE_REASON_NUM ? reasons[r].word : "";
}

bool gate_reason_allows(enum gate_reason r)
{
	return (unsigned)r < GATE_REASON_NUM && reasons[r].allows;
}

const char *gate_query_reason_word(enum gate_query_reason r)
{
	return (unsigned)r < GATE_QUERY_REASON_NUM ? query_reasons[r] : "";
}
