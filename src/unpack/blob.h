/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A blob of a layout, read once: what is hashed is what is used. */
#ifndef CELLOS_UNPACK_BLOB_H
#define CELLOS_UNPACK_BLOB_H

#include <sodium.h>
#include <sys/types.h>

#include "unpack/oci.h"

struct blob {
	int fd;	       /* owned */
	uint64_t left; /* of the size its descriptor says */
	int sys;       /* errno of a failed read */
	const struct oci_desc *desc;
	crypto_hash_sha256_state hash;
};

#define BLOB_INIT ((struct blob){ .fd = -1 })

/** blob_hex() - a digest as it is written, lower case, from its state */
void blob_hex(crypto_hash_sha256_state *hash, char ret[OCI_HEX]);

/**
 * blob_open() - a regular file of the size that @d says
 * @blobs: the directory blobs/sha256
 * @d:     borrowed until blob_end()
 */
int blob_open(int blobs, const struct oci_desc *d, struct blob *ret,
	      struct err *e) MUST_USE;
/** blob_read() - the next bytes, 0 at the end, -1 with b->sys */
ssize_t blob_read(struct blob *b, void *p, size_t n) MUST_USE;
/**
 * blob_end() - read what is left, and compare: -1 with @e if it is not whole,
 * not longer and of the digest of its descriptor
 */
int blob_end(struct blob *b, struct err *e) MUST_USE;
/** blob_drop() - close; usable with OWNED() */
void blob_drop(struct blob *b);
/** blob_text() - all of a document, verified, appended to @text */
int blob_text(int blobs, const struct oci_desc *d, struct wbuf *text,
	      struct err *e) MUST_USE;

#endif
