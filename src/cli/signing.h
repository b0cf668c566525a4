/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* CELLOS_EVENT_SIGNING*: a signature that is asked for is had, or refused. */
#ifndef CELLOS_CLI_SIGNING_H
#define CELLOS_CLI_SIGNING_H

#include "cell/state.h"
#include "evidence/keyring.h"
#include "evidence/signer.h"

struct signing {
	enum signer_algorithm alg;
	char kid[SIGNER_KID_MAX];
	uint8_t key[SIGNER_KEY_MAX];
	size_t key_len;
};

/**
 * signing_from_env() - read, decode, and wipe the key from the environment
 * @e: names the variable, never any byte of the key
 */
int signing_from_env(struct signing *ret, struct err *e) MUST_USE;
/** signing_state_key() - the key of the state directory, made at first use */
int signing_state_key(const struct state_dirs *d, struct keyring_pair *ret,
		      struct err *e) MUST_USE;
/** signing_drop() - wipe */
void signing_drop(struct signing *s);

#endif
