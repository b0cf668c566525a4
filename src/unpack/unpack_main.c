/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cellos-unpack: an OCI image layout to a directory, in a process that holds
 * the two and nothing else. Started by `cellos image build`, as root:
 *
 *	cellos-unpack LAYOUT INTO MAX-BYTES [REF]
 *
 * Standard output gets printable ASCII: with status 0 the digest of the
 * manifest and then lines for people, with status 1 what is wrong, once.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "sys/mount.h"
#include "unpack/confine.h"
#include "unpack/layer.h"
#include "unpack/pick.h"

enum { REPORT_MAX = 32000 };

static int unpack_all(int blobs, const struct picked *image, uint64_t max,
		      struct wbuf *out, struct err *e)
{
	struct layer_account acc = { .max = max,
				     .stream_left = max,
				     .file_left = max,
				     .entries_left = LAYER_ENTRIES_MAX };
	OWNED(fd_drop)
	int root = open(UNPACK_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct place p;
	int r = root < 0 ? -errno : place_init(&p, root);

	if (r)
		return err_set(e, ERR_PLAIN, -r, "directory to unpack to");
	for (size_t i = 0; i < image->manifest.n && !r; i++)
		r = layer_unpack(blobs, &image->manifest.layers[i],
				 image->config.diff_ids[i], i, &p, &acc, e);
	seen_drop(&p.seen);
	wbuf_fmt(out,
		 "sha256:%s\nlayers %zu, files %" PRIu32 ", bytes %" PRIu64
		 "\n",
		 image->digest, image->manifest.n, acc.files,
		 max - acc.file_left);
	if (acc.nodes || acc.set_ids)
		wbuf_fmt(out,
			 "left out: devices and pipes %" PRIu32
			 ", set-id bits of files %" PRIu32 "\n",
			 acc.nodes, acc.set_ids);
	return r;
}

static int unpack(uint64_t max, const char *ref, struct wbuf *out,
		  struct err *e)
{
	OWNED(arena_drop) struct arena a = ARENA_INIT(OCI_ARENA);
	OWNED(fd_drop)
	int layout = open(UNPACK_LAYOUT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWNED(fd_drop) int sub = -1;
	OWNED(fd_drop) int blobs = -1;
	struct picked image;

	if (layout < 0)
		return err_set(e, ERR_PLAIN, errno, "layout");
	sub = openat(layout, "blobs",
		     O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	blobs = openat(sub, "sha256",
		       O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (pick(layout, blobs, ref, &a, &image, e) ||
	    unpack_all(blobs, &image, max, out, e))
		return -1;
	oci_facts(&image.config, out);
	return out->failed ? err_set(e, ERR_PLAIN, EFBIG, "report") : 0;
}

/* At once: a sanitizer would look for leaks where it can see nothing. */
static void tell(const char *text, int status) NORETURN;
static void tell(const char *text, int status)
{
	_exit(fd_write_all(1, text, strlen(text)) ? 1 : status);
}

int main(int argc, char **argv)
{
	OWNED(wbuf_drop) struct wbuf out = WBUF_INIT(REPORT_MAX);
	struct err e = { 0 };
	const char *what;
	uint64_t max;
	int r;

	if (argc < 4 || argc > 5)
		tell("usage: cellos-unpack LAYOUT INTO MAX-BYTES [REF]\n", 2);
	max = strtoull(argv[3], NULL, 10);
	/* names in pax headers are UTF-8; libarchive converts to the locale's
	 */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	if (sodium_init() < 0)
		tell("libsodium\n", 1);
	r = unpack_confine(argv[1], argv[2], max, &what);
	if (r)
		(void)err_set(&e, ERR_PLAIN, -r, "confinement: %s", what);
	else
		r = unpack(max, argc == 5 ? argv[4] : NULL, &out, &e);
	tell(r ? e.text : wbuf_cstr(&out), r ? 1 : 0);
}
