/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Lookups in the tables of names. */
#include "base/names.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/os_names.h"

static bool has_name(int sys)
{
	return sys > 0 && (size_t)sys < ARRAY_SIZE(errnos) &&
	       errnos[sys].name[0];
}

const char *errno_word(int sys)
{
	if (!sys)
		return "0";
	return has_name(sys) ? errnos[sys].name : "E?";
}

const char *errno_text(int sys)
{
	return has_name(sys) ? errnos[sys].text : NULL;
}

const char *signal_word(int sig)
{
	if (sig <= 0 || (size_t)sig >= ARRAY_SIZE(signals) || !signals[sig][0])
		return "?";
	return signals[sig];
}
