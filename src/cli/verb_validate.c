/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `cellos validate`: a document against every rule that needs no host. */
#include <stdio.h>
#include <string.h>

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
	if (run_setup_document(path, &d, &e))
		return verb_fail(&e, EXIT_FAILED);
	printf("%s: valid\n", strcmp(path, "-") == 0 ? "standard input" : path);
	return EXIT_FINE;
}
