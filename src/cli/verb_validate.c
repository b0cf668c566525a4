/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `cellos validate`: a document against every rule that needs no host. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "cli/advice.h"
#include "cli/run_setup.h"
#include "cli/verb.h"

static int take(void *ctx, const struct verb_opt *opt, const char *value,
		struct err *e)
{
	const char **path = ctx;

	(void)opt;
	if (*path)
		return err_set(e, ERR_PLAIN, 0,
			       "one document at a time, but got \"%s\" and "
			       "\"%s\"",
			       *path, value);
	*path = value;
	return 0;
}

/* What a gate would be started with, less what only the host knows. */
static int check_rules(const char *path, const struct spec *s, struct err *e)
{
	struct gate_policy *p;
	int r;

	if (!policy_needs_gate(s))
		return 0;
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, ERR_PLAIN, ENOMEM, "gate policy");
	r = policy_compile(s, POLICY_VALIDATE, p, e);
	free(p);
	return r ? err_wrap(e, "%s", path) : 0;
}

int verb_validate(int argc, char **argv)
{
	OWNED(document_drop) struct document d = { 0 };
	const char *path = NULL;
	struct err e = { 0 };
	enum verb_parsed p =
		verb_parse("validate", argc, argv, take, &path, NULL);

	if (p != VERB_GO)
		return p == VERB_HELP ? EXIT_FINE : EXIT_USAGE;
	if (!path)
		path = "-";
	if (run_setup_document(path, &d, &e) || check_rules(path, &d.spec, &e))
		return verb_fail(&e, EXIT_FAILED);
	if (strcmp(path, "-") == 0)
		path = "standard input";
	advice_print(stderr, path, &d.spec);
	utf8_print(stdout, path);
	puts(": valid");
	return EXIT_FINE;
}
