/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `cellos keygen`: a key pair for signing events, in two new files. */
#include <errno.h>
#include <stdio.h>

#include "base/fd.h"
#include "cell/state.h"
#include "cli/verb.h"
#include "evidence/keyring.h"

static int take(void *ctx, const struct verb_opt *opt, const char *value,
		struct err *e)
{
	const char **out = ctx;

	if (!opt)
		return verb_no_options(ctx, opt, value, e);
	*out = value;
	return 0;
}

/* The directory must be there if it was named; ours is made. */
static int out_dir(const char *out, char *buf, size_t size, struct err *e)
{
	OWNED(fd_drop) int fd = -1;
	struct state_dirs dirs;

	if (out) {
		if (snprintf(buf, size, "%s", out) < (int)size)
			return 0;
		return err_set(e, ERR_PLAIN, ENAMETOOLONG, "--out");
	}
	if (state_dirs_find(&dirs, e))
		return -1;
	fd = state_dir_open(dirs.state, e);
	if (fd < 0)
		return -1;
	snprintf(buf, size, "%s", dirs.state);
	return 0;
}

static int make(const char *out, struct err *e)
{
	OWNED(keyring_pair_drop) struct keyring_pair p = { 0 };
	char dir[4000], seed[4096], public[4096];

	if (out_dir(out, dir, sizeof(dir), e))
		return -1;
	snprintf(seed, sizeof(seed), "%s/" KEYRING_SEED_NAME, dir);
	snprintf(public, sizeof(public), "%s/" KEYRING_PUBLIC_NAME, dir);
	if (keyring_generate(&p, e) || keyring_write(&p, seed, public, e))
		return -1;
	printf("kid     %s\nsecret  %s\npublic  %s\n", p.kid, seed, public);
	return 0;
}

int verb_keygen(int argc, char **argv)
{
	const char *out = NULL;
	struct err e = { 0 };
	enum verb_parsed p = verb_parse("keygen", argc, argv, take, &out, NULL);

	if (p != VERB_GO)
		return p == VERB_HELP ? EXIT_FINE : EXIT_USAGE;
	return make(out, &e) ? verb_fail(&e, EXIT_FAILED) : EXIT_FINE;
}
