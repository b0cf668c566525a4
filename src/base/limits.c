/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The table of movable limits. */
#include "base/limits.h"

const struct limit_info limit_table[LIMIT_NUM] = {
#define X(name, var, dflt, min, max, what) \
	[LIMIT_##name] = { var, dflt, min, max, what },
	LIMITS(X)
#undef X
};

void limits_default(struct limits *l)
{
	for (int i = 0; i < LIMIT_NUM; i++)
		l->v[i] = limit_table[i].dflt;
}
