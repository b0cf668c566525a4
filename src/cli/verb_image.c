/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `cellos image build`: what the walls with a machine boot. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "cell/state.h"
#include "cli/signing.h"
#include "cli/verb.h"
#include "guest/image_build.h"

struct words {
	const char *verb, *name, *kernel, *root, *out;
};

static int take(void *ctx, const struct verb_opt *opt, const char *value,
		struct err *e)
{
	struct words *w = ctx;

	if (!opt && !w->verb) {
		w->verb = value;
		return 0;
	}
	if (!opt && !w->name) {
		w->name = value;
		return 0;
	}
	if (!opt)
		return verb_no_options(ctx, opt, value, e);
	if (opt->id == OPT_KERNEL)
		w->kernel = value;
	else if (opt->id == OPT_ROOT)
		w->root = value;
	else
		w->out = value;
	return 0;
}

static void say(const char *what)
{
	fprintf(stderr, "cellos: image: %s\n", what);
}

/* Where it goes; its parent is there after this. */
static int out_path(const struct words *w, const struct state_dirs *d,
		    char buf[PATH_MAX], struct err *e)
{
	OWNED(fd_drop) int fd = -1;
	char dir[PATH_MAX];
	int n;

	if (w->out) {
		const char *cut = strrchr(w->out, '/');

		(void)snprintf(dir, sizeof(dir), "%.*s",
			       cut ? (int)(cut - w->out) + 1 : 1,
			       cut ? w->out : ".");
		if (!realpath(dir, buf))
			return err_set(e, ERR_PLAIN, errno, "--out %s", w->out);
		memcpy(dir, buf, sizeof(dir));
		n = snprintf(buf, PATH_MAX, "%s/%s", dir,
			     cut ? cut + 1 : w->out);
		return n < PATH_MAX
			       ? 0
			       : err_set(e, ERR_PLAIN, ENAMETOOLONG, "--out");
	}
	(void)snprintf(dir, sizeof(dir), "%s/" IMAGE_DIR, d->state);
	fd = dir_make(dir, 0700);
	if (fd < 0)
		return err_set(e, ERR_PLAIN, -fd, "%s", dir);
	n = snprintf(buf, PATH_MAX, "%s/%s", dir, w->name);
	return n < PATH_MAX ? 0 : err_set(e, ERR_PLAIN, ENAMETOOLONG, "NAME");
}

static int build(const struct words *w, struct err *e)
{
	OWNED(keyring_pair_drop) struct keyring_pair own = { 0 };
	OWNED(fd_drop) int init = -1;
	char out[PATH_MAX], program[PATH_MAX], root[PATH_MAX];
	struct image_build b = { .kernel = w->kernel ? w->kernel : "/",
				 .out = out,
				 .seed = own.seed,
				 .say = say };
	struct state_dirs dirs;
	struct manifest m;

	if (w->root && !realpath(w->root, root))
		return err_set(e, ERR_PLAIN, errno, "--root %s", w->root);
	b.root = w->root ? root : NULL;
	init = path_program("cellos-init", program);
	if (init < 0)
		return err_set(e, ERR_PLAIN, -init,
			       "%s; install cellos-init of the same build "
			       "beside cellos, or in ../libexec",
			       program);
	b.init = init;
	if (state_dirs_find(&dirs, e))
		return -1;
	if (signing_state_key(&dirs, &own, e) || out_path(w, &dirs, out, e) ||
	    image_build(&b, &m, e))
		return -1;
	printf("image   %s\nkid     %s\n", out, own.kid);
	for (int i = 0; i < MANIFEST_ROLE_NUM; i++)
		printf("%-7s sha256:%s\n",
		       manifest_role_word((enum manifest_role)i), m.digest[i]);
	return 0;
}

int verb_image(int argc, char **argv)
{
	struct words w = { 0 };
	struct err e = { 0 };
	enum verb_parsed p = verb_parse("image", argc, argv, take, &w, NULL);

	if (p != VERB_GO)
		return p == VERB_HELP ? EXIT_FINE : EXIT_USAGE;
	if (!w.verb || strcmp(w.verb, "build") != 0)
		return verb_usage("image", "%s: say what to do: build",
				  w.verb ? w.verb : "nothing");
	if (!w.name)
		w.name = IMAGE_DEFAULT;
	if (!image_is_name(slice_of(w.name)))
		return verb_usage("image",
				  "\"%s\" is no name of an image: letters, "
				  "digits, . _ -",
				  w.name);
	return build(&w, &e) ? verb_fail(&e, EXIT_FAILED) : EXIT_FINE;
}
