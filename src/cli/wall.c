/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Choice of a wall. */
#include "cli/wall.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/env.h"
#include "cli/firecracker.h"
#include "cli/kvm.h"
#include "cli/platform.h"
#include "cli/signing.h"
#include "cli/telemetry.h"
#include "image/image.h"

#define VARIABLE "CELLOS_CELL_BACKEND"

/* Of the run, to the end */
static struct image the_image;
static struct firecracker_config fire;

const struct backend *wall_find(const char *asked, bool portable, struct err *e)
{
	const char *word = asked ? asked : env_text(VARIABLE);
	const struct backend *b;

	if (!word || !word[0] || (!asked && !strcmp(word, "stub")))
		return backend_of(CELL_WALL_HOST);
	b = backend_by_name(word);
	/* a wall that cannot be had is never replaced, a word that means
	 * nothing is there */
	if (!b && portable)
		return backend_of(CELL_WALL_HOST);
	if (!b)
		(void)err_set(e, ERR_PLAIN, 0,
			      "%s%s: there is no such wall; use one "
			      "of" CELL_WALL_WORDS,
			      asked ? "--backend " : VARIABLE "=", word);
	return b;
}

const struct backend *wall_choose(const char *asked, bool *portable,
				  struct err *e)
{
	const struct backend *b = wall_find(asked, *portable, e);

	if (!b)
		return NULL;
	if (b->wall == CELL_WALL_FIRECRACKER &&
	    firecracker_config(!asked, *portable, &fire, e))
		return NULL;
	if (b->wall != CELL_WALL_HOST)
		*portable = false;
	return b;
}

/* The image a document names, or the default one */
static int image_dir(const struct state_dirs *d, const struct spec *spec,
		     char *buf, size_t size, struct err *e)
{
	const struct slice *ref =
		spec->environment ? &spec->environment->image_reference : NULL;
	struct slice name = ref && ref->n ? *ref : slice_of(IMAGE_DEFAULT);
	int n;

	if (name.p[0] == '/')
		n = snprintf(buf, size, "%.*s", (int)name.n, name.p);
	else if (!image_is_name(name))
		return err_set(e, ERR_PLAIN, 0,
			       "image: /spec/environment/imageReference "
			       "\"%.*s\" is neither a name (letters, digits, "
			       ". _ -) nor an absolute path",
			       (int)(name.n > 200 ? 200 : name.n), name.p);
	else {
		(void)snprintf(buf, size, "%s/" IMAGE_DIR, d->state);
		if (state_dir_check(buf, e))
			return -1;
		n = snprintf(buf, size, "%s/" IMAGE_DIR "/%.*s", d->state,
			     (int)name.n, name.p);
	}
	return n < (int)size ? 0 : err_set(e, ERR_PLAIN, ENAMETOOLONG, "image");
}

/* spec.environment.imageDigest is that of the root */
static void check_digest(const struct spec *spec, struct image *im)
{
	struct slice want = spec->environment ? spec->environment->image_digest
					      : (struct slice){ 0 };
	const char *got = im->manifest.digest[MANIFEST_ROOTFS];
	char hash[MANIFEST_HEX], asked[MANIFEST_HEX];

	if (want.n && !got[0] && !image_hash(im->fd[MANIFEST_ROOTFS], hash))
		got = hash;
	if (want.n > 7 && !strncmp(want.p, "sha256:", 7)) {
		want.p += 7;
		want.n -= 7;
	}
	if (!want.n ||
	    (want.n == strlen(got) && !strncasecmp(want.p, got, want.n)))
		return;
	if (im->fault.manifest[0]) {
		(void)snprintf(asked, sizeof(asked), "%.*s", (int)want.n,
			       want.p);
		image_blame(im, manifest_role_word(MANIFEST_ROOTFS), asked,
			    got);
	}
	(void)err_set(&im->err, ERR_PLAIN, 0,
		      "rootfs digest mismatch at %s: "
		      "/spec/environment/imageDigest is %.*s, it has %s "
		      "(L2-06-1)",
		      fire.rootfs ? fire.rootfs : im->fault.manifest,
		      (int)(want.n > 64 ? 64 : want.n), want.p, got);
}

/* Without a directory that can be made, everything is read each time.
 * Return: 0 or -1 */
static int known_digests(const struct state_dirs *d, int *ret, struct err *e)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/" IMAGE_KNOWN, d->state);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return 0;
	*ret = state_dir_open(path, e);
	return *ret < 0 ? -1 : 0;
}

static void open_image(const struct state_dirs *d, struct cell_request *req)
{
	struct image *im = &the_image;
	OWNED(keyring_pair_drop) struct keyring_pair own = { 0 };
	OWNED(fd_drop) int known = -1;
	char dir[PATH_MAX];

	*im = IMAGE_INIT;
	req->image = im;
	if (signing_state_key(d, &own, &im->err) ||
	    known_digests(d, &known, &im->err))
		return;
	if (fire.kernel) {
		const struct image_files f = { .kernel = fire.kernel,
					       .rootfs = fire.rootfs,
					       .vmm = fire.vmm.binary,
					       .manifest = fire.manifest };

		if (image_open_files(&f, own.public_key, known, im))
			return;
	} else if (image_dir(d, req->spec, dir, sizeof(dir), &im->err) ||
		   image_open(dir, own.public_key, known, im)) {
		return;
	}
	check_digest(req->spec, im);
	if (!im->err.text[0] && im->is_foreign && !fire.is_portable)
		(void)err_set(
			&im->err, ERR_PLAIN, 0,
			"firecracker: the guest of %s has an init of its own, "
			"which is told the key of its exit on a line every "
			"process in it can read; list an `init` and an "
			"`initrd` of `cellos image build` in a manifest, or "
			"set CELLOS_DEPLOYMENT_PROFILE=portable",
			fire.rootfs);
}

const char *wall_warning(const struct cell_request *req)
{
#define EMULATED                                                         \
	"qemu: software emulation, without KVM: many times slower than " \
	"this host"
	if (req->wall != CELL_WALL_QEMU || req->kvm == CELL_KVM_WORKS)
		return NULL;
	return req->kvm == CELL_KVM_FAILED ? EMULATED
		       "; no machine has booted by KVM here, `cellos "
		       "doctor --backend qemu` tries again"
					   : EMULATED;
}

void wall_programs(const struct backend *b, const char *asked,
		   struct cell_request *req)
{
	struct firecracker_config c;
	struct err e;

	if (b->wall == CELL_WALL_GVISOR)
		req->runsc = env_path("CELLOS_GVISOR_RUNSC_BIN");
	if (b->wall != CELL_WALL_FIRECRACKER)
		return;
	if (firecracker_config(!asked, false, &c, &e)) {
		/* said by a run, so by the trial of one */
	}
	req->firecracker = c.vmm;
}

void wall_request(const struct backend *b, const struct state_dirs *d,
		  struct cell_request *req)
{
	req->wall = b->wall;
	if (b->wall == CELL_WALL_QEMU || b->wall == CELL_WALL_FIRECRACKER)
		req->telemetry = telemetry_rules(req->spec, req->limits);
	switch (b->wall) {
	case CELL_WALL_GVISOR:
		req->runsc = env_path("CELLOS_GVISOR_RUNSC_BIN");
		req->platform = platform_kept(d, req);
		break;
	case CELL_WALL_QEMU:
		open_image(d, req);
		req->kvm = kvm_kept(d, req->image);
		break;
	case CELL_WALL_FIRECRACKER:
		req->firecracker = fire.vmm;
		open_image(d, req);
		if (!the_image.err.text[0] &&
		    firecracker_check(&fire, req->spec, &the_image.err)) {
			/* said with the plan, as what is wrong with an image */
		}
		break;
	case CELL_WALL_HOST:
	case CELL_WALL_NUM:
		break;
	}
}
