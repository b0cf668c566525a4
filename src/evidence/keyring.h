/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Keys of our own: a seed file (one line, base64url of 32 bytes, 0600) and a
 * public key file of the form `verify` reads ({"<kid>":"<base64url>"}).
 */
#ifndef CELLOS_EVIDENCE_KEYRING_H
#define CELLOS_EVIDENCE_KEYRING_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/wbuf.h"

enum {
	KEYRING_SEED = 32,
	KEYRING_PUBLIC = 32,
	KEYRING_KID_SIZE = 24 /* "cellos-" + 16 hex + NUL */
};

/* Names in the state directory. */
#define KEYRING_SEED_NAME   "signing.key"
#define KEYRING_PUBLIC_NAME "signing.pub.json"

struct keyring_pair {
	uint8_t seed[KEYRING_SEED];
	uint8_t public_key[KEYRING_PUBLIC];
	char kid[KEYRING_KID_SIZE];
};

/** keyring_pair_drop() - wipe; usable with OWNED() */
void keyring_pair_drop(struct keyring_pair *p);
/** keyring_kid() - "cellos-" + first 16 hex digits of SHA-256(public key) */
void keyring_kid(const uint8_t public_key[KEYRING_PUBLIC],
		 char ret_kid[KEYRING_KID_SIZE]);
/** keyring_generate() - a fresh Ed25519 pair from the kernel's random bytes */
int keyring_generate(struct keyring_pair *ret, struct err *e) MUST_USE;
/** keyring_from_seed() - public key and kid of p->seed */
void keyring_from_seed(struct keyring_pair *p);

/** keyring_seed_text() - content of a seed file, LF included */
void keyring_seed_text(const struct keyring_pair *p, struct wbuf *b);
/** keyring_public_text() - content of a public key file, LF included */
void keyring_public_text(const struct keyring_pair *p, struct wbuf *b);
/**
 * keyring_seed_parse() - a seed file's text; white space around is ignored
 * @e: ERR_PLAIN; never shows the bytes
 */
int keyring_seed_parse(struct slice text, struct keyring_pair *ret,
		       struct err *e) MUST_USE;

/**
 * keyring_write() - `keygen`: both files, new; an existing one is an error
 * @seed_path: made with 0600
 * @public_path: made with 0644 less the umask
 *
 * Return: 0, or -1; then neither file is left behind by this call
 */
int keyring_write(const struct keyring_pair *p, const char *seed_path,
		  const char *public_path, struct err *e) MUST_USE;
/**
 * keyring_default() - the key of this state directory, made at first use
 * @dirfd: the state directory (0700)
 *
 * Two first runs at once end up with the same key: the seed file appears whole
 * or not at all (link(2)), and the loser reads the winner's.
 *
 * A seed file that others may read or that is not ours is refused.
 */
int keyring_default(int dirfd, struct keyring_pair *ret,
		    struct err *e) MUST_USE;

#endif
