/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * From event to finished line: signed bytes, signature, wrapper, link. Runs in
 * the signer process, or in the caller if nothing is signed.
 */
#ifndef CELLOS_EVIDENCE_SEAL_H
#define CELLOS_EVIDENCE_SEAL_H

#include "evidence/link.h"
#include "evidence/signer.h"

struct seal {
	enum signer_algorithm alg;
	char kid[SIGNER_KID_MAX];
	uint8_t key[SIGNER_KEY_MAX]; /* Ed25519: seed and public key */
	size_t key_len;
	struct link_keeper keeper;
	/* of the line being made; kept, because the next one needs as much */
	struct wbuf bytes, sig, data;
};

/** seal_init() - no key yet: lines are not signed; @s is zeroed memory */
void seal_init(struct seal *s);
/** seal_key_set() - take the key over; @key is wiped */
void seal_key_set(struct seal *s, enum signer_algorithm alg, const char *kid,
		  uint8_t *key, size_t key_len);
/** seal_event() - event @n to @line, which is reset first */
int seal_event(struct seal *s, uint64_t n, const struct event *ev,
	       struct wbuf *line, struct err *e) MUST_USE;
/** seal_link() - the next link to @line, which is reset first */
int seal_link(struct seal *s, uint64_t n, const char *id, const char *time,
	      bool final, struct wbuf *line, struct err *e) MUST_USE;
/** seal_drop() - wipe; usable with OWNED() */
void seal_drop(struct seal *s);

#endif
