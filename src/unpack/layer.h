/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One layer into the tree: decompressed, hashed and parsed by libarchive, in
 * one pass. What was read is compared with both digests at the end; until then
 * the tree is nobody's.
 */
#ifndef CELLOS_UNPACK_LAYER_H
#define CELLOS_UNPACK_LAYER_H

#include "unpack/oci.h"
#include "unpack/place.h"

enum { LAYER_ENTRIES_MAX = 1 << 20 }; /* of all layers of an image */

/* What may still come, and what came: of all layers of an image */
struct layer_account {
	uint64_t max;	      /* bytes, as the two below; for messages */
	uint64_t stream_left; /* unpacked bytes of layers */
	uint64_t file_left;   /* bytes of files, holes too */
	uint32_t entries_left;
	uint32_t files, nodes, set_ids; /* made; left out; taken off */
};

/**
 * layer_unpack() - apply one layer to the tree
 * @blobs:   the directory blobs/sha256
 * @d:       of the layer
 * @diff_id: sha256 of the archive, as the config says
 * @i:       which layer it is, for messages
 *
 * Return: 0, or -1 with @e
 */
int layer_unpack(int blobs, const struct oci_desc *d, const char *diff_id,
		 size_t i, struct place *p, struct layer_account *acc,
		 struct err *e) MUST_USE;

#endif
