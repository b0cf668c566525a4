/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The manifest of an image: a line an artifact, `sha256:<64 hex> <role>
 * <absolute path>`; blank lines and those that begin with # say nothing. Of a
 * role the first line counts, roles nobody knows are passed over.
 */
#ifndef CELLOS_IMAGE_MANIFEST_H
#define CELLOS_IMAGE_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/wbuf.h"

/* X(suffix, word, file in an image's directory) */
#define MANIFEST_ROLES(X)                                             \
	X(KERNEL, "kernel", "kernel")                                 \
	X(INITRD, "initrd", "initrd")                                 \
	X(ROOTFS, "rootfs", "root")                                   \
	X(INIT, "init", "init") /* cellos-init, as it is in initrd */ \
	X(FIRECRACKER, "firecracker", "") /* the VMM; never in an image */

enum manifest_role {
#define X(name, word, file) MANIFEST_##name,
	MANIFEST_ROLES(X)
#undef X
		MANIFEST_ROLE_NUM
};
enum { MANIFEST_HEX = 65, MANIFEST_MAX = 65536 };

struct manifest {
	char digest[MANIFEST_ROLE_NUM][MANIFEST_HEX]; /* lower case; "": no
						       * such line */
	struct slice path[MANIFEST_ROLE_NUM]; /* borrowed from the text */
};

const char *manifest_role_word(enum manifest_role r);
const char *manifest_role_file(enum manifest_role r);

/**
 * manifest_parse()
 * @path: for messages
 * @e: ERR_PLAIN, with the line
 *
 * Return: 0, or -1: also without a kernel and a rootfs
 */
int manifest_parse(struct slice text, const char *path, struct manifest *ret,
		   struct err *e) MUST_USE;
/** manifest_write() - the text of one, its artifacts in @dir */
void manifest_write(const struct manifest *m, const char *dir,
		    struct wbuf *out);

#endif
