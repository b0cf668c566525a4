/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Key files: kid to public key, kid to shared secret. */
#include <sodium.h>
#include <stdlib.h>

#include "base/limits.h"
#include "evidence/signer.h"
#include "evidence/verify_int.h"
#include "wire/b64.h"
#include "wire/json_in.h"

#define PREFIX "trust verify keys: "

struct key {
	char *kid;
	uint8_t *bytes;
	size_t len;
	bool is_hmac;
};

struct verify_keys {
	struct key *v;
	size_t n;
};

struct verify_keys *verify_keys_new(void)
{
	return calloc(1, sizeof(struct verify_keys));
}

static void key_free(struct key *k)
{
	if (k->bytes)
		explicit_bzero(k->bytes, k->len);
	free(k->bytes);
	free(k->kid);
}

void verify_keys_free(struct verify_keys **kp)
{
	struct verify_keys *k = *kp;
	size_t i;

	if (!k)
		return;
	*kp = NULL;
	for (i = 0; i < k->n; i++)
		key_free(&k->v[i]);
	free(k->v);
	free(k);
}

static const struct key *find(const struct verify_keys *k, bool is_hmac,
			      const char *kid)
{
	size_t i;

	for (i = 0; i < k->n; i++)
		if (k->v[i].is_hmac == is_hmac && !strcmp(k->v[i].kid, kid))
			return &k->v[i];
	return NULL;
}

const uint8_t *verify_keys_find(const struct verify_keys *k, const char *alg,
				const char *kid, size_t *ret_len)
{
	const struct key *key = find(k, alg[0] == 'h', kid);

	if (!key)
		return NULL;
	*ret_len = key->len;
	return key->bytes;
}

/* Takes kid and bytes over. */
static int keys_push(struct verify_keys *k, struct key key)
{
	struct key *v = realloc(k->v, (k->n + 1) * sizeof(*v));

	if (!v) {
		key_free(&key);
		return -1;
	}
	k->v = v;
	k->v[k->n++] = key;
	return 0;
}

static int add_one(struct verify_keys *k, const struct json *m, bool is_hmac,
		   struct err *e)
{
	struct key key = { .is_hmac = is_hmac };
	size_t max = is_hmac ? SIGNER_KEY_MAX : 2 * crypto_sign_PUBLICKEYBYTES;
	ssize_t n;

	if (m->name.n && memchr(m->name.p, '\0', m->name.n))
		return err_set(e, ERR_PLAIN, 0, PREFIX "a kid holds a NUL");
	key.kid = strndup(m->name.p ? m->name.p : "", m->name.n);
	key.bytes = calloc(1, max);
	if (!key.kid || !key.bytes) {
		key_free(&key);
		return err_set(e, ERR_PLAIN, 0, PREFIX "no memory");
	}
	n = m->type == JSON_STRING ? b64url_get(key.bytes, max, m->v.s) : -1;
	if (find(k, is_hmac, key.kid))
		(void)err_set(e, ERR_PLAIN, 0, PREFIX "duplicate kid \"%s\"",
			      key.kid);
	else if (n < 0)
		(void)err_set(e, ERR_PLAIN, 0,
			      PREFIX "kid \"%s\": not valid base64url",
			      key.kid);
	else if (!is_hmac && n != crypto_sign_PUBLICKEYBYTES)
		(void)err_set(e, ERR_PLAIN, 0,
			      PREFIX "kid \"%s\": expected 32 bytes, got %zd",
			      key.kid, n);
	else if (n == 0)
		(void)err_set(e, ERR_PLAIN, 0,
			      PREFIX "kid \"%s\": the key is empty", key.kid);
	else {
		key.len = (size_t)n;
		if (!keys_push(k, key))
			return 0;
		return err_set(e, ERR_PLAIN, 0, PREFIX "no memory");
	}
	key_free(&key);
	return -1;
}

int verify_keys_add(struct verify_keys *k, struct slice text, bool is_hmac,
		    struct err *e)
{
	OWNED(arena_drop) struct arena a = ARENA_INIT(64 * LIMIT_EVENT_LINE);
	const struct json *m;
	struct json *root;

	if (json_parse(text, 2, &a, &root, e))
		return err_wrap(e, PREFIX "must be a JSON object");
	if (root->type != JSON_OBJECT)
		return err_set(e, ERR_PLAIN, 0, PREFIX "must be a JSON object");
	for (m = root->v.kids.first; m; m = m->next)
		if (add_one(k, m, is_hmac, e))
			return -1;
	return 0;
}
