/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a machine boots: a directory with a kernel, an initrd with our init, a
 * read-only root, a manifest of them, and a signature of the manifest by this
 * host's own key. Everything is hashed through the very descriptors the VMM
 * gets.
 */
#ifndef CELLOS_IMAGE_IMAGE_H
#define CELLOS_IMAGE_IMAGE_H

#include "image/manifest.h"

#define IMAGE_DIR	"images"  /* in the state directory */
#define IMAGE_KNOWN	"digests" /* there too */
#define IMAGE_DEFAULT	"default"
#define IMAGE_MANIFEST	"manifest"
#define IMAGE_SIGNATURE "manifest.sig"

/* What is booted: the first roles, in the order of PLAN_SOURCE_IMAGE */
enum { IMAGE_FILES = MANIFEST_INIT };

/* Files that are named one by one, not those of a directory */
struct image_files {
	const char *kernel, *rootfs; /* absolute */
	const char *vmm;	     /* the same; NULL: not to be verified */
	const char *manifest;	     /* NULL: nothing is */
};

/* An artifact that is not what the manifest says, or the manifest itself */
struct image_fault {
	bool set;
	const char *role; /* a role's word, or IMAGE_MANIFEST */
	char expected[MANIFEST_HEX], actual[MANIFEST_HEX]; /* "": no digest */
	char manifest[4096];
};

struct image {
	int fd[IMAGE_FILES]; /* by role, read-only; -1 */
	int vmm;	     /* a VMM that was verified; -1 */
	struct manifest manifest;
	struct image_fault fault;
	bool is_foreign; /* its guest is one after the original's contract, with
			  * an init of its own */
	struct err err;	 /* why it cannot be booted; "" if it can */
};

#define IMAGE_INIT ((struct image){ .fd = { -1, -1, -1 }, .vmm = -1 })

/** image_open_file() - a regular file that root alone may write; a descriptor,
 *  -EINVAL or -EPERM if it is none, or another -errno */
int image_open_file(const char *path) MUST_USE;

/**
 * image_open() - verify and hold open
 * @dir: absolute
 * @public_key: whose signature the manifest has to have
 * @known: a directory of ours in which digests are kept: a file that is root's
 *         alone, and has not changed since (device, inode, size, mtime, ctime),
 *         is not read again; -1: nowhere
 *
 * Return: 0, or -1 with im->err and im->fault
 */
int image_open(const char *dir, const uint8_t public_key[32], int known,
	       struct image *im) MUST_USE;

/**
 * image_open_files() - the same of files that lie anywhere
 *
 * With a manifest that lists an init of ours, it is signed as an image's is, as
 * <manifest>.sig, and the initrd is the file it names. Another's is not signed,
 * and its guest is foreign; so it is without a manifest, and then no im->fault
 * is set.
 */
int image_open_files(const struct image_files *f, const uint8_t public_key[32],
		     int known, struct image *im) MUST_USE;

/** image_blame() - why it is not booted, as an event says it; "": there is no
 *  such digest */
void image_blame(struct image *im, const char *role, const char *expected,
		 const char *actual);

/** image_is_name() - of an image in the state directory, and of nothing else */
bool image_is_name(struct slice name);

/** image_sign() - the content of IMAGE_SIGNATURE */
void image_sign(struct slice manifest, const uint8_t seed[32],
		struct wbuf *out);
/** image_hash() - SHA-256 of a whole file; 0 or -errno */
int image_hash(int fd, char ret[MANIFEST_HEX]) MUST_USE;

#endif
