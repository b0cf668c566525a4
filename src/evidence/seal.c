/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* From event to finished line. */
#include "evidence/seal.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/limits.h"
#include "wire/b64.h"

_Static_assert(SIGNER_KEY_MAX >= crypto_sign_SECRETKEYBYTES, "key buffer");
_Static_assert(crypto_sign_BYTES >= crypto_auth_hmacsha256_BYTES, "signature");

void seal_init(struct seal *s)
{
	s->bytes = WBUF_INIT(LIMIT_EVENT_LINE);
	s->sig = WBUF_INIT(128);
	s->data = WBUF_INIT(LIMIT_EVENT_LINE);
}

void seal_key_set(struct seal *s, enum signer_algorithm alg, const char *kid,
		  uint8_t *key, size_t key_len)
{
	unsigned char pub[crypto_sign_PUBLICKEYBYTES];

	s->alg = alg;
	memcpy(s->kid, kid, strlen(kid) + 1);
	if (alg == SIGNER_ED25519) {
		(void)crypto_sign_seed_keypair(pub, s->key, key);
		s->key_len = crypto_sign_SECRETKEYBYTES;
	} else {
		memcpy(s->key, key, key_len);
		s->key_len = key_len;
	}
	explicit_bzero(key, key_len);
}

void seal_drop(struct seal *s)
{
	link_drop(&s->keeper);
	wbuf_drop(&s->bytes);
	wbuf_drop(&s->sig);
	wbuf_drop(&s->data);
	explicit_bzero(s->key, sizeof(s->key));
}

static void sign(const struct seal *s, struct slice bytes, struct wbuf *text)
{
	unsigned char sig[crypto_sign_BYTES];
	const unsigned char *p = (const unsigned char *)bytes.p;
	crypto_auth_hmacsha256_state st;

	if (s->alg == SIGNER_ED25519) {
		(void)crypto_sign_detached(sig, NULL, p, bytes.n, s->key);
		b64url_put(text, sig, crypto_sign_BYTES);
		return;
	}
	crypto_auth_hmacsha256_init(&st, s->key, s->key_len);
	crypto_auth_hmacsha256_update(&st, p, bytes.n);
	crypto_auth_hmacsha256_final(&st, sig);
	explicit_bzero(&st, sizeof(st));
	b64url_put(text, sig, crypto_auth_hmacsha256_BYTES);
}

static int make_line(struct seal *s, const struct event *ev, struct wbuf *line,
		     struct err *e)
{
	wbuf_reset(line);
	wbuf_reset(&s->bytes);
	wbuf_reset(&s->sig);
	event_signed_bytes(&s->bytes, ev);
	if (s->alg == SIGNER_NONE) {
		wbuf_slice(line, wbuf_as_slice(&s->bytes));
	} else if (!s->bytes.failed) {
		sign(s, wbuf_as_slice(&s->bytes), &s->sig);
		event_wrapper_line(line, ev,
				   s->alg == SIGNER_ED25519 ? "ed25519"
							    : "hmac-sha256",
				   s->kid, wbuf_cstr(&s->sig));
	}
	if (s->bytes.failed || s->sig.failed || line->failed ||
	    line->len >= LIMIT_EVENT_LINE)
		return err_set(e, ERR_SINK, EMSGSIZE,
			       "event %s is longer than %d bytes", ev->type,
			       LIMIT_EVENT_LINE);
	return 0;
}

int seal_event(struct seal *s, uint64_t n, const struct event *ev,
	       struct wbuf *line, struct err *e)
{
	if (link_event_check(&s->keeper, n, e) || make_line(s, ev, line, e))
		return -1;
	link_event_note(&s->keeper, wbuf_as_slice(line));
	return 0;
}

int seal_link(struct seal *s, uint64_t n, const char *id, const char *time,
	      bool final, struct wbuf *line, struct err *e)
{
	struct event ev = {
		.id = id,
		.source = EVENT_SOURCE,
		.type = event_type_text(EVENT_LINK),
		.time = time,
	};

	if (link_check(&s->keeper, n, e))
		return -1;
	wbuf_reset(&s->data);
	link_body(&s->keeper, final, &s->data);
	if (s->data.failed)
		return err_set(e, ERR_SINK, EMSGSIZE, "event link");
	ev.data = wbuf_as_slice(&s->data);
	if (make_line(s, &ev, line, e))
		return -1;
	link_note(&s->keeper, final, wbuf_as_slice(line));
	return 0;
}
