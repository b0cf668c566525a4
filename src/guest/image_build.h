/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Making an image for machines (image/image.h). */
#ifndef CELLOS_GUEST_IMAGE_BUILD_H
#define CELLOS_GUEST_IMAGE_BUILD_H

#include <stdint.h>

#include "base/err.h"
#include "image/image.h"

/* An OCI image layout that the root is made of */
struct image_oci {
	const char *layout; /* a directory, absolute */
	const char *ref;    /* which image of it; NULL: the only one */
	uint64_t max;	    /* bytes it may unpack to */
	int program;	    /* cellos-unpack of this build, open */
};

struct image_build {
	const char *kernel; /* a .deb, or a directory */
	const char *root;   /* NULL: the host's programs, as a cell has them */
	const struct image_oci *oci; /* NULL, or instead of @root */
	const char *out;	     /* absolute; appears when it is whole */
	int init;		     /* cellos-init of this build, open */
	const uint8_t *seed;	     /* of the key that signs */
	/** say() - what is done now; for people */
	void (*say)(const char *what);
};

/**
 * image_build() - all of it: beside @out first, then renamed to it; an older
 * image there is replaced at once
 *
 * Root only: it makes a mount namespace. Needs mkfs.erofs(1), for a package
 * dpkg-deb(1), and for a kernel what it is packed with, in PATH.
 *
 * @ret_oci: of an OCI image "sha256:...", the digest of its manifest, and lines
 *           for people; they are comments of ours as well
 */
int image_build(const struct image_build *b, struct manifest *ret,
		struct wbuf *ret_oci, struct err *e) MUST_USE;

enum { IMAGE_FILE_MAX = 256 << 20 }; /* of what is unpacked here */
/**
 * image_run() - a program of this host to its end, found in PATH
 * @in:  its standard input; -1: ours
 * @out: its output, at most IMAGE_FILE_MAX bytes; -1: our standard error
 */
int image_run(const char *const *argv, int in, int out, struct err *e) MUST_USE;

/* -- image_kernel.c -- */

/**
 * image_kernel() - the newest boot/vmlinuz-* beneath @dir, and an initrd of our
 * init and the modules a guest needs of the same version, into the directory
 * @out
 */
int image_kernel(int dir, const char *name, int init, int out,
		 struct err *e) MUST_USE;
/** image_put() - a new file in @dir; 0 or -errno */
int image_put(int dir, const char *name, const void *p, size_t n) MUST_USE;

/* -- image_oci.c -- */

enum { IMAGE_OCI_REPORT_MAX = 32768 };

/**
 * image_unpack() - an image of a layout into a directory, by cellos-unpack
 * @into:   absolute, empty
 * @report: lines of printable ASCII, the first "sha256:" and the digest of the
 *          image's manifest
 */
int image_unpack(const struct image_oci *o, const char *into,
		 struct wbuf *report, struct err *e) MUST_USE;

#endif
