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
#include "cli/env.h"
#include "cli/signing.h"
#include "cli/verb.h"
#include "guest/image_build.h"

struct words {
	const char *verb, *name, *kernel, *root, *oci, *out;
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
	else if (opt->id == OPT_OCI)
		w->oci = value;
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
	fd = state_dir_open(dir, e);
	if (fd < 0)
		return -1;
	n = snprintf(buf, PATH_MAX, "%s/%s", dir, w->name);
	return n < PATH_MAX ? 0 : err_set(e, ERR_PLAIN, ENAMETOOLONG, "NAME");
}

static int open_program(const char *name, struct err *e)
{
	char path[PATH_MAX];
	int fd = path_program(name, path);

	return fd >= 0 ? fd
		       : err_set(e, ERR_PLAIN, -fd,
				 "%s; install %s of the same build beside "
				 "cellos, or in ../libexec",
				 path, name);
}

/* Up to the first colon a directory, then a name: names have colons. */
static int open_oci(const char *word, char dir[PATH_MAX], struct image_oci *ret,
		    struct err *e)
{
	const char *colon = strchr(word, ':');
	struct limits limits;
	char name[PATH_MAX];
	bool pids;

	if (snprintf(name, sizeof(name), "%.*s",
		     colon ? (int)(colon - word) : (int)strlen(word),
		     word) >= PATH_MAX)
		return err_set(e, ERR_PLAIN, ENAMETOOLONG, "--oci");
	if (!realpath(name, dir))
		return err_set(e, ERR_PLAIN, errno, "--oci %s", name);
	if (colon && !colon[1])
		return err_set(e, ERR_PLAIN, 0,
			       "--oci %s: no name after the colon; leave the "
			       "colon out, or name the image",
			       word);
	if (env_limits(&limits, &pids, e))
		return -1;
	ret->program = open_program("cellos-unpack", e);
	ret->layout = dir;
	ret->ref = colon ? colon + 1 : NULL;
	ret->max = limits.v[LIMIT_IMAGE_BYTES];
	return ret->program < 0 ? -1 : 0;
}

/* What its config says to run is told, and not done. */
static void tell_oci(struct slice report)
{
	while (report.n) {
		const char *end = memchr(report.p, '\n', report.n);
		size_t n = end ? (size_t)(end - report.p) + 1 : report.n;

		fputs("cellos: image: oci: ", stderr);
		(void)fwrite(report.p, 1, n, stderr);
		report.p += n;
		report.n -= n;
	}
	fputs("cellos: image: oci: a document says what runs, as whom and "
	      "where: User, WorkingDir, Entrypoint, Cmd and Env of the image "
	      "are not applied\n",
	      stderr);
}

static int build(const struct words *w, struct err *e)
{
	OWNED(keyring_pair_drop) struct keyring_pair own = { 0 };
	OWNED(wbuf_drop) struct wbuf report = WBUF_INIT(IMAGE_OCI_REPORT_MAX);
	OWNED(fd_drop) int init = -1;
	OWNED(fd_drop) int unpack = -1;
	char out[PATH_MAX], root[PATH_MAX];
	struct image_oci oci = { .program = -1 };
	struct image_build b = { .kernel = w->kernel ? w->kernel : "/",
				 .out = out,
				 .seed = own.seed,
				 .say = say };
	struct state_dirs dirs;
	struct manifest m;

	if (w->root && !realpath(w->root, root))
		return err_set(e, ERR_PLAIN, errno, "--root %s", w->root);
	b.root = w->root ? root : NULL;
	if (w->oci) {
		if (open_oci(w->oci, root, &oci, e))
			return -1;
		unpack = oci.program;
		b.oci = &oci;
	}
	init = open_program("cellos-init", e);
	if (init < 0)
		return -1;
	b.init = init;
	if (state_dirs_find(&dirs, e))
		return -1;
	if (signing_state_key(&dirs, &own, e) || out_path(w, &dirs, out, e) ||
	    image_build(&b, &m, &report, e))
		return -1;
	if (w->oci)
		tell_oci(wbuf_as_slice(&report));
	printf("image   %s\nkid     %s\n", out, own.kid);
	if (w->oci)
		printf("oci     %.71s\n", wbuf_cstr(&report));
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
	if (w.root && w.oci)
		return verb_usage("image",
				  "--root and --oci: name one of them");
	if (!w.name)
		w.name = IMAGE_DEFAULT;
	if (!image_is_name(slice_of(w.name)))
		return verb_usage("image",
				  "\"%s\" is no name of an image: letters, "
				  "digits, . _ -",
				  w.name);
	return build(&w, &e) ? verb_fail(&e, EXIT_FAILED) : EXIT_FINE;
}
