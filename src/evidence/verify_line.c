/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One line of a journal on its own: form, signature, link. */
#include <sodium.h>
#include <string.h>

#include "base/limits.h"
#include "evidence/redact.h"
#include "evidence/verify_int.h"
#include "wire/b64.h"
#include "wire/json_in.h"
#include "wire/json_out.h"

enum { TREE_MAX = 64 * LIMIT_EVENT_LINE };

/* A string member as a C string in @a; NULL if it is not one or holds NUL */
static const char *str_of(const struct json *obj, const char *name,
			  struct arena *a)
{
	const struct json *m = json_get(obj, name);

	if (!m || m->type != JSON_STRING ||
	    (m->v.s.n && memchr(m->v.s.p, '\0', m->v.s.n)))
		return NULL;
	return arena_dup(a, m->v.s.p, m->v.s.n);
}

static bool u64_of(const struct json *obj, const char *name, uint64_t *ret)
{
	const struct json *m = json_get(obj, name);

	if (!m || m->type != JSON_U64)
		return false;
	*ret = m->v.u;
	return true;
}

/* The members we know; everything else shows when the line is rebuilt. */
static bool envelope_of(const struct json *obj, struct event *ev,
			const struct json **ret_data, struct arena *a)
{
	const struct json *data, *time;

	if (obj->type != JSON_OBJECT)
		return false;
	data = json_get(obj, "data");
	time = json_get(obj, "time");
	ev->id = str_of(obj, "id", a);
	ev->source = str_of(obj, "source", a);
	ev->type = str_of(obj, "type", a);
	ev->time = str_of(obj, "time", a);
	if (!data || data->type != JSON_OBJECT || !ev->id || !ev->source ||
	    !ev->type || !time || (time->type != JSON_NULL && !ev->time))
		return false;
	*ret_data = data;
	return true;
}

/* "sha256:" + 64 lower-case hex */
static bool digest_of(const struct json *v, uint8_t ret[LINK_HASH])
{
	static const char hex[] = "0123456789abcdef";
	const char *hi, *lo;
	size_t i;

	if (v->type != JSON_STRING || v->v.s.n != LINK_DIGEST_TEXT - 1 ||
	    memcmp(v->v.s.p, "sha256:", 7) != 0)
		return false;
	for (i = 0; i < LINK_HASH; i++) {
		hi = memchr(hex, v->v.s.p[7 + 2 * i], 16);
		lo = memchr(hex, v->v.s.p[8 + 2 * i], 16);
		if (!hi || !lo)
			return false;
		ret[i] = (uint8_t)((hi - hex) << 4 | (lo - hex));
	}
	return true;
}

static bool digests_of(const struct json *data, struct verify_link *l,
		       struct arena *a)
{
	const struct json *list = json_get(data, "digests"), *m;

	if (!list || list->type != JSON_ARRAY)
		return false;
	if (list->v.kids.count == 0)
		return true;
	l->digests = arena_alloc(a, list->v.kids.count * LINK_HASH);
	for (m = list->v.kids.first; l->digests && m; m = m->next)
		if (!digest_of(m, l->digests[l->n_digests++]))
			return false;
	return l->digests != NULL;
}

static const struct verify_link *link_of(const struct json *data,
					 struct arena *a)
{
	struct verify_link *l = arena_alloc(a, sizeof(*l));
	const struct json *previous = json_get(data, "previous");
	const struct json *final = json_get(data, "final");

	if (!l || !previous || !final || final->type != JSON_BOOL)
		return NULL;
	l->is_final = final->v.b;
	l->cell_id = str_of(data, "cellId", a);
	l->spec_id = str_of(data, "specId", a);
	l->run_id = str_of(data, "runId", a);
	l->run_uuid = str_of(data, "runUuid", a);
	l->has_previous = previous->type != JSON_NULL;
	if (!l->cell_id || !l->spec_id || !l->run_id || !l->run_uuid ||
	    !u64_of(data, "sequence", &l->sequence) ||
	    !u64_of(data, "from", &l->from) || !u64_of(data, "to", &l->to) ||
	    l->is_final != u64_of(data, "count", &l->count) ||
	    data->v.kids.count != (l->is_final ? 11 : 10) ||
	    (l->has_previous && !digest_of(previous, l->previous)) ||
	    !digests_of(data, l, a))
		return NULL;
	return l;
}

static void signature_check(struct verify_line *line, struct slice bytes,
			    const char *sig_text, const struct verify_keys *k)
{
	unsigned char sig[crypto_sign_BYTES];
	unsigned char mac[crypto_auth_hmacsha256_BYTES];
	bool is_hmac = !strcmp(line->alg, "hmac-sha256");
	const unsigned char *p = (const unsigned char *)bytes.p;
	crypto_auth_hmacsha256_state st;
	const uint8_t *key;
	size_t key_len;
	ssize_t n;

	line->is_bad = true;
	line->why = "unknown algorithm";
	if (!is_hmac && strcmp(line->alg, "ed25519") != 0)
		return;
	line->why = "signature is not valid base64url";
	n = b64url_get(sig, sizeof(sig), slice_of(sig_text));
	if (n < 0)
		return;
	line->why = "signature has the wrong length";
	if (n != (is_hmac ? (ssize_t)sizeof(mac) : (ssize_t)sizeof(sig)))
		return;
	key = verify_keys_find(k, line->alg, line->kid, &key_len);
	if (!key) {
		line->is_bad = false;
		line->is_unknown = true;
		line->why = NULL;
		return;
	}
	line->why = "verify failed";
	if (is_hmac) {
		crypto_auth_hmacsha256_init(&st, key, key_len);
		crypto_auth_hmacsha256_update(&st, p, bytes.n);
		crypto_auth_hmacsha256_final(&st, mac);
		line->is_bad = sodium_memcmp(mac, sig, sizeof(mac)) != 0;
	} else {
		/* libsodium refuses small-order points and S >= L */
		line->is_bad =
			crypto_sign_verify_detached(sig, p, bytes.n, key) != 0;
	}
	if (!line->is_bad)
		line->why = NULL;
}

/* The event inside a wrapper; false if it is no wrapper. */
static bool unwrap(struct verify_line *line, const struct json *data,
		   struct event *ev, const struct json **ret_data,
		   const char **ret_sig, struct arena *tmp, struct arena *a)
{
	const struct json *inner = json_get(data, "event");

	line->alg = str_of(data, "algorithm", a);
	line->kid = str_of(data, "signerKid", a);
	*ret_sig = str_of(data, "signature", tmp);
	return inner && line->alg && line->kid && *ret_sig &&
	       envelope_of(inner, ev, ret_data, tmp);
}

static const char *id_of(const struct json *data, const char *name,
			 struct arena *a)
{
	const char *s = str_of(data, name, a);

	return s && strcmp(s, REDACTED_TEXT) != 0 ? s : NULL;
}

/* Rebuild the line from what was read: a byte that is not accounted for by
 * the signed event must not pass. Return: false if a buffer failed */
static bool rebuild_check(struct verify_line *line, struct event *ev,
			  const struct json *data, const char *sig,
			  const struct verify_keys *k)
{
	OWNED(wbuf_drop) struct wbuf body = WBUF_INIT(LIMIT_EVENT_LINE);
	OWNED(wbuf_drop) struct wbuf bytes = WBUF_INIT(2 * LIMIT_EVENT_LINE);
	OWNED(wbuf_drop) struct wbuf whole = WBUF_INIT(2 * LIMIT_EVENT_LINE);
	struct json_out j;
	bool same;

	json_out_init(&j, &body, true);
	json_write(&j, data);
	ev->data = wbuf_as_slice(&body);
	event_signed_bytes(&bytes, ev);
	if (line->is_signed)
		event_wrapper_line(&whole, ev, line->alg, line->kid, sig);
	if (body.failed || bytes.failed || whole.failed)
		return false;
	same = slice_eq(line->text,
			wbuf_as_slice(line->is_signed ? &whole : &bytes));
	if (!line->is_signed) {
		line->is_json = same;
		if (!same)
			line->why = "not in the form events are written in";
		return true;
	}
	signature_check(line, wbuf_as_slice(&bytes), sig, k);
	if (!same && !line->is_bad) {
		line->is_bad = true;
		line->why = "the wrapper says other than the signed event";
	}
	return true;
}

int verify_line_read(struct verify_line *line, const struct verify_keys *k,
		     struct arena *a)
{
	OWNED(arena_drop) struct arena tmp = ARENA_INIT(TREE_MAX);
	const struct json *data;
	struct event ev = { 0 };
	const char *sig = NULL;
	struct json *root;

	link_hash(line->text, line->hash);
	line->item = VERIFY_NONE;
	line->why = "no CloudEvent";
	if (line->text.n >= LIMIT_EVENT_LINE ||
	    json_parse(line->text, LIMIT_JSON_DEPTH, &tmp, &root, NULL) ||
	    !envelope_of(root, &ev, &data, &tmp))
		return 0;
	line->is_json = true;
	line->why = NULL;
	line->is_signed = !strcmp(ev.type, event_type_text(EVENT_SIGNED));
	if (line->is_signed && !unwrap(line, data, &ev, &data, &sig, &tmp, a)) {
		line->is_json = line->is_signed = false;
		line->why = "no signed event inside the wrapper";
		return 0;
	}
	if (!rebuild_check(line, &ev, data, sig, k)) {
		line->is_json = false;
		line->why = "cannot be rebuilt";
	}
	line->cell_id = id_of(data, "cellId", a);
	line->run_id = id_of(data, "runId", a);
	if (!strcmp(ev.type, event_type_text(EVENT_LINK)) && line->is_json &&
	    !line->is_bad) {
		line->link = link_of(data, a);
		if (!line->link)
			line->why = "no link: a member is missing or wrong";
	}
	return a->used >= a->max ? -1 : 0;
}
