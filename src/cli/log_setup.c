/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The log's threshold and colour from RUST_LOG, NO_COLOR and the terminal. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/config.h"
#include "cli/env.h"

/* Threshold of a level word; -1 for "off", -2 for no such word */
static int level_of(const char *word)
{
	static const struct {
		const char *word;
		int level;
	} words[] = {
		{ "off", -1 },		{ "error", LOG_ERROR },
		{ "warn", LOG_WARN },	{ "info", LOG_INFO },
		{ "debug", LOG_DEBUG }, { "trace", LOG_DEBUG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(word, words[i].word) == 0)
			return words[i].level;
	return -2;
}

/*
 * One threshold serves all targets: the highest that a bare level or a
 * directive for one of our targets asks for. Errors are never dropped.
 */
static enum log_level threshold(const char *filter)
{
	char text[512], *word, *save = NULL, *eq;
	int best = -2, l;

	if (!filter || strlen(filter) >= sizeof(text))
		return LOG_INFO;
	if (!*filter)
		return LOG_ERROR;
	(void)strcpy(text, filter);
	for (word = strtok_r(text, ", ", &save); word;
	     word = strtok_r(NULL, ", ", &save)) {
		eq = strchr(word, '=');
		if (eq)
			*eq = '\0';
		if (eq && strncmp(word, "cellos", 6) != 0)
			continue;
		l = level_of(eq ? eq + 1 : word);
		if (l > best)
			best = l;
	}
	if (best == -2)
		return LOG_INFO;
	return best < 0 ? LOG_ERROR : (enum log_level)best;
}

void log_setup(void)
{
	const char *plain = getenv("NO_COLOR");

	log_init(threshold(env_text("RUST_LOG")),
		 !(plain && *plain) && isatty(STDERR_FILENO));
}
