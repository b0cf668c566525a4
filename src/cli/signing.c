/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reading a request for signed events; what cannot be had is refused. */
#include "cli/signing.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fd.h"
#include "cli/env.h"
#include "wire/b64.h"

#define ALG "CELLOS_EVENT_SIGNING"
#define KID "CELLOS_EVENT_SIGNING_KID"
#define KEY "CELLOS_EVENT_SIGNING_KEY_BASE64"

static int algorithm(enum signer_algorithm *ret, struct err *e)
{
	static const struct {
		const char *word;
		enum signer_algorithm alg;
	} words[] = {
		{ "", SIGNER_NONE },
		{ "off", SIGNER_NONE },
		{ "ed25519", SIGNER_ED25519 },
		{ "hmac", SIGNER_HMAC_SHA256 },
		{ "hmac-sha256", SIGNER_HMAC_SHA256 },
	};
	const char *raw = getenv(ALG);
	char word[32] = "?", quoted[128];

	if (!raw) {
		*ret = SIGNER_NONE;
		return 0;
	}
	if (!text_trim(raw, word, sizeof(word)))
		(void)strcpy(word, "?");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcasecmp(word, words[i].word) != 0)
			continue;
		*ret = words[i].alg;
		return 0;
	}
	return err_set(e, ERR_PLAIN, 0,
		       ALG " must be one of: off, ed25519, hmac, hmac-sha256 "
			   "(got %s)",
		       env_quote(quoted, sizeof(quoted), raw));
}

/* The text is as secret as the bytes: every copy is wiped here */
static int key(struct signing *s, struct err *e)
{
	char text[SIGNER_KEY_MAX * 2];
	const char *raw = getenv(KEY);
	ssize_t n = -1;
	bool fits;

	if (!raw)
		return err_set(e, ERR_PLAIN, 0,
			       KEY " is not set, but " ALG " asks for a "
				   "signature");
	fits = text_trim(raw, text, sizeof(text));
	if (fits)
		n = b64url_get(s->key, sizeof(s->key), slice_of(text));
	explicit_bzero(text, sizeof(text));
	if (!fits || n < 0)
		return err_set(e, ERR_PLAIN, 0,
			       KEY " cannot be used: <base64 decode failed>; "
				   "base64url of at most %d bytes is expected",
			       (int)SIGNER_KEY_MAX);
	s->key_len = (size_t)n;
	if (s->alg == SIGNER_ED25519 && n != 32)
		return err_set(e, ERR_PLAIN, 0,
			       KEY " cannot be used: <%zd bytes>; base64url of "
				   "a 32-byte ed25519 seed is expected",
			       n);
	if (n == 0)
		return err_set(e, ERR_PLAIN, 0,
			       KEY " cannot be used: <empty>; base64url of at "
				   "least one byte is expected");
	return 0;
}

int signing_from_env(struct signing *ret, struct err *e)
{
	int r = -1;

	*ret = (struct signing){ .alg = SIGNER_NONE };
	if (algorithm(&ret->alg, e) < 0)
		goto out;
	if (ret->alg == SIGNER_NONE) {
		r = 0;
		goto out;
	}
	if (!env_nonblank(KID, ret->kid, sizeof(ret->kid))) {
		(void)err_set(e, ERR_PLAIN, 0,
			      KID " must be 1 to %d bytes, because " ALG
				  " asks for a signature",
			      SIGNER_KID_MAX - 1);
		goto out;
	}
	r = key(ret, e);
out:
	env_wipe(KEY);
	if (r < 0)
		signing_drop(ret);
	return r;
}

int signing_state_key(const struct state_dirs *d, struct keyring_pair *ret,
		      struct err *e)
{
	OWNED(fd_drop) int dir = state_dir_open(d->state, e);

	if (dir < 0)
		return -1;
	return keyring_default(dir, ret, e) ? err_wrap(e, "%s", d->state) : 0;
}

void signing_drop(struct signing *s)
{
	explicit_bzero(s, sizeof(*s));
}
