/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Documents of an OCI image layout (OCI Image Format Specification 1.0 and
 * 1.1) and of Docker's schema 2 in it: text to values. Pure; every byte is
 * somebody else's. What is returned lives in the caller's arena.
 *
 * A member that is there twice makes any of them an error: readers do not agree
 * on which one counts.
 */
#ifndef CELLOS_UNPACK_OCI_H
#define CELLOS_UNPACK_OCI_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/wbuf.h"

enum {
	OCI_DOC_MAX = 4 << 20,	/* bytes of a document */
	OCI_ARENA = 128 << 20,	/* for all that are read */
	OCI_ENTRIES_MAX = 1024, /* of an index */
	OCI_LAYERS_MAX = 500,	/* overlayfs mounts no more */
	OCI_HEX = 65,		/* a digest, NUL included */
	OCI_QUOTE = 200,	/* of foreign text in a message */
	OCI_FACT_MAX = 4096	/* of one member of a config */
};

/* What a media type says; the names are in oci.c */
enum oci_kind {
	OCI_OTHER,
	OCI_INDEX,
	OCI_MANIFEST,
	OCI_CONFIG,
	OCI_LAYER_TAR,
	OCI_LAYER_GZIP,
	OCI_LAYER_ZSTD
};

struct oci_desc {
	enum oci_kind kind;
	struct slice media_type;
	char digest[OCI_HEX]; /* of sha256, lower case */
	uint64_t size;
	struct slice ref; /* org.opencontainers.image.ref.name; n = 0: none */
	bool fits;	  /* for linux/amd64, or it does not say for what */
};

struct oci_index {
	struct oci_desc *entries;
	size_t n;
};

struct oci_manifest {
	struct oci_desc config;
	struct oci_desc *layers; /* the lowest first */
	size_t n;
};

struct json;
struct oci_config {
	char (*diff_ids)[OCI_HEX]; /* of the layers, in their order */
	size_t n;
	const struct json *run; /* Env, Cmd and the like, or NULL */
};

/** oci_kind_of() - OCI_OTHER for what is none of ours */
enum oci_kind oci_kind_of(struct slice media_type);

/** oci_read_layout() - the file oci-layout; 0, or -1 if it is not of
 * version 1.0.0
 */
int oci_read_layout(struct slice text, struct arena *a, struct err *e) MUST_USE;
/** oci_read_index() - index.json, or an index among the blobs; -1 with @e */
int oci_read_index(struct slice text, struct arena *a, struct oci_index *ret,
		   struct err *e) MUST_USE;
/** oci_read_manifest() - of an image: its config and its layers are of a kind
 * that can be unpacked; -1 with @e */
int oci_read_manifest(struct slice text, struct arena *a,
		      struct oci_manifest *ret, struct err *e) MUST_USE;
/** oci_read_config() - for linux/amd64 only; -1 with @e */
int oci_read_config(struct slice text, struct arena *a, struct oci_config *ret,
		    struct err *e) MUST_USE;

/** oci_facts() - a line for each member of a config that says what to run:
 *  `Cmd ["/bin/sh"]`, in printable ASCII, one too long only by its length */
void oci_facts(const struct oci_config *c, struct wbuf *out);

/** oci_quote() - foreign text for a message: in quotes, printable ASCII, the
 *  rest as \xNN, cut with "..." */
const char *oci_quote(struct slice s, char buf[OCI_QUOTE]);

#endif
