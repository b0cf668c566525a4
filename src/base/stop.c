/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What stops a run, in one list. */
#include "base/stop.h"

#include "base/attr.h"

static const int stops[] = { SIGTERM, SIGINT, SIGHUP };

void stop_signals(sigset_t *ret)
{
	(void)sigemptyset(ret);
	for (size_t i = 0; i < ARRAY_SIZE(stops); i++)
		(void)sigaddset(ret, stops[i]);
}

int stop_pending(void)
{
	sigset_t set;

	if (sigpending(&set) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(stops); i++)
		if (sigismember(&set, stops[i]))
			return stops[i];
	return 0;
}
