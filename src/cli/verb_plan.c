/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `cellos plan`: the steps `run` would take, and nothing done. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/run_setup.h"
#include "cli/verb.h"

static void plan_free(struct plan **p)
{
	if (*p)
		plan_drop(*p);
	free(*p);
}

static int print_plan(const struct run_args *a)
{
	OWNED(run_setup_drop) struct run_setup s = { 0 };
	OWNED(wbuf_drop) struct wbuf out = WBUF_INIT(8 * 1024 * 1024);
	OWNED(plan_free) struct plan *plan = calloc(1, sizeof(*plan));
	struct err e = { 0 };

	if (!plan)
		return EXIT_FAILED;
	if (run_setup(a, &s, &e) || run_setup_reach(&s, NULL, &e) ||
	    s.backend->plan(&s.req, plan, &e))
		return verb_fail(&e, EXIT_FAILED);
	plan_print(plan, &out);
	fputs(wbuf_cstr(&out), stdout);
	return EXIT_FINE;
}

int verb_plan(int argc, char **argv)
{
	OWNED(run_args_drop) struct run_args a = { .verb = "plan" };
	struct err e = { 0 };
	int rest;
	enum verb_parsed p =
		verb_parse("plan", argc, argv, run_args_take, &a, &rest);

	if (p != VERB_GO)
		return p == VERB_HELP ? EXIT_FINE : EXIT_USAGE;
	if (run_args_finish(&a, argc, argv, rest, &e))
		return verb_usage("plan", "%s", e.text);
	return print_plan(&a);
}
