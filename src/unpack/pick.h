/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* From a layout and a name to the one image that is meant, all of its
 * documents verified. */
#ifndef CELLOS_UNPACK_PICK_H
#define CELLOS_UNPACK_PICK_H

#include "unpack/oci.h"

struct picked {
	char digest[OCI_HEX]; /* of the manifest */
	struct oci_manifest manifest;
	struct oci_config config; /* one diff_id a layer */
};

/**
 * pick() - the image of a layout for linux/amd64
 * @layout: the directory with oci-layout and index.json
 * @blobs:  its blobs/sha256
 * @ref:    the org.opencontainers.image.ref.name it has, or NULL: the only one
 *
 * index.json must leave no choice; of an index among the blobs the first entry
 * that fits is taken, as the specification says.
 *
 * Return: 0, or -1 with @e, which names the file
 */
int pick(int layout, int blobs, const char *ref, struct arena *a,
	 struct picked *ret, struct err *e) MUST_USE;

#endif
