/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Choice of a wall. */
#include "cli/wall.h"

#include <string.h>

#include "cli/env.h"

#define VARIABLE "CELLOS_CELL_BACKEND"

static bool is_microvm(const char *word)
{
	return !strcmp(word, "firecracker") || !strcmp(word, "qemu");
}

static const struct backend *refuse(const char *from, const char *word,
				    struct err *e)
{
	if (is_microvm(word))
		(void)err_set(e, ERR_PLAIN, 0,
			      "%s%s is not supported by this build: %s backend "
			      "init: there is no microVM wall; use the host or "
			      "the gvisor wall",
			      from, word, word);
	else
		(void)err_set(e, ERR_PLAIN, 0,
			      "%s%s: there is no such wall; use host or gvisor",
			      from, word);
	return NULL;
}

const struct backend *wall_choose(const char *asked, bool *portable,
				  struct err *e)
{
	const char *word = asked ? asked : env_text(VARIABLE);
	const struct backend *b;

	if (!word || !word[0] || (!asked && !strcmp(word, "stub")))
		return &backend_host;
	b = backend_by_name(word);
	/* a wall that cannot be had is never replaced, a word that means
	 * nothing is there */
	if (!b && *portable && !is_microvm(word))
		return &backend_host;
	if (!b)
		return refuse(asked ? "--backend " : VARIABLE "=", word, e);
	if (b == &backend_gvisor)
		*portable = false;
	return b;
}

void wall_request(const struct backend *b, struct cell_request *req)
{
	if (b != &backend_gvisor)
		return;
	req->wall = CELL_WALL_GVISOR;
	req->runsc = env_path("CELLOS_GVISOR_RUNSC_BIN");
}
