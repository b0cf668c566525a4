/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* verify: every byte flipped, every line moved, exact findings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/limits.h"
#include "evidence/keyring.h"
#include "evidence/seal.h"
#include "evidence/verify.h"

/* A sanitizer makes every look ten times as long. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
enum { STRIDE = 7 };
#else
enum { STRIDE = 1 };
#endif

enum { MAX_LINES = 64 };

/* A journal as lines without LF. */
struct book {
	char *line[MAX_LINES];
	size_t n;
};

struct writer {
	struct seal seal;
	struct book *book;
	const char *cell, *run, *uuid;
	uint64_t n, ids;
};

static void add(struct book *b, const char *text)
{
	assert_true(b->n < MAX_LINES);
	b->line[b->n] = strdup(text);
	assert_non_null(b->line[b->n++]);
}

static void book_drop(struct book *b)
{
	while (b->n)
		free(b->line[--b->n]);
}

static void begin(struct writer *w, enum signer_algorithm alg, uint8_t seed,
		  struct book *b, const char *cell, const char *run,
		  const char *uuid)
{
	uint8_t key[32];
	struct err e;

	memset(w, 0, sizeof(*w));
	seal_init(&w->seal);
	memset(key, seed, sizeof(key));
	if (alg != SIGNER_NONE)
		seal_key_set(&w->seal, alg, seed == 1 ? "k1" : "k2", key,
			     sizeof(key));
	w->book = b;
	w->cell = cell;
	w->run = run;
	w->uuid = uuid;
	assert_int_equal(link_begin(&w->seal.keeper, cell, cell, run, uuid, &e),
			 0);
}

/* What the door brings is like all others: its sources, types, times. */
static void event(struct writer *w)
{
	OWNED(wbuf_drop) struct wbuf line = WBUF_INIT(LIMIT_EVENT_LINE);
	bool is_of_door = w->n % 2 == 1;
	char data[256], id[64];
	struct event ev = {
		.id = id,
		.source = is_of_door ? EVENT_SOURCE_DNS : EVENT_SOURCE,
		.type = event_type_text(is_of_door ? EVENT_DNS_QUERY
						   : EVENT_NETWORK_SCOPE),
		.time = is_of_door ? "2026-01-02T03:04:05.123Z"
				   : "2026-01-02T03:04:05+00:00",
	};
	struct err e;

	(void)snprintf(id, sizeof(id), "%s-%d", w->uuid, (int)w->ids++);
	(void)snprintf(data, sizeof(data),
		       "{\"cellId\":\"%s\",\"n\":%d,"
		       "\"runId\":\"%s\"}",
		       w->cell, (int)w->n, w->run);
	ev.data = slice_of(data);
	assert_int_equal(seal_event(&w->seal, ++w->n, &ev, &line, &e), 0);
	add(w->book, wbuf_cstr(&line));
}

static void link_line(struct writer *w, bool final)
{
	OWNED(wbuf_drop) struct wbuf line = WBUF_INIT(LIMIT_EVENT_LINE);
	char id[64];
	struct err e;

	(void)snprintf(id, sizeof(id), "%s-%d", w->uuid, (int)w->ids++);
	assert_int_equal(seal_link(&w->seal, w->n, id,
				   "2026-01-02T03:04:05+00:00", final, &line,
				   &e),
			 0);
	add(w->book, wbuf_cstr(&line));
}

/* lines: open, 1, 2, link, 3, final */
static void whole_run(enum signer_algorithm alg, uint8_t seed, struct book *b,
		      const char *cell, const char *run, const char *uuid)
{
	struct writer w;

	begin(&w, alg, seed, b, cell, run, uuid);
	link_line(&w, false);
	event(&w);
	event(&w);
	link_line(&w, false);
	event(&w);
	link_line(&w, true);
	seal_drop(&w.seal);
}

static void two_runs(enum signer_algorithm alg, struct book *b)
{
	whole_run(alg, 1, b, "c1", "r1", "u1");
	whole_run(alg, 1, b, "c2", "r2", "u2");
}

static void text_of(const struct book *b, struct wbuf *text)
{
	size_t i;

	wbuf_reset(text);
	for (i = 0; i < b->n; i++) {
		wbuf_str(text, b->line[i]);
		wbuf_byte(text, '\n');
	}
	assert_false(text->failed);
}

static struct verify_keys *keys(void)
{
	struct verify_keys *k = verify_keys_new();
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(4096);
	struct keyring_pair p;
	struct err e;

	assert_non_null(k);
	memset(p.seed, 1, sizeof(p.seed));
	keyring_from_seed(&p);
	memcpy(p.kid, "k1", 3);
	keyring_public_text(&p, &text);
	assert_int_equal(verify_keys_add(k, wbuf_as_slice(&text), false, &e),
			 0);
	wbuf_reset(&text);
	memset(p.seed, 2, sizeof(p.seed));
	keyring_from_seed(&p);
	memcpy(p.kid, "k2", 3);
	keyring_public_text(&p, &text);
	assert_int_equal(verify_keys_add(k, wbuf_as_slice(&text), false, &e),
			 0);
	/* 32 bytes of 1 */
	assert_int_equal(
		verify_keys_add(k,
				SLICE_LIT("{\"k1\":\"AQEBAQEBAQEBAQEBAQEBAQ"
					  "EBAQEBAQEBAQEBAQEBAQE\"}"),
				true, &e),
		0);
	return k;
}

/* "exit: word line/event, ..." */
static void report(struct slice file, uint64_t expect, char *buf, size_t size)
{
	struct verify_keys *k = keys();
	struct verify_result r;
	size_t i, n;
	struct err e;

	assert_int_equal(verify_bytes(file, k, expect, &r, &e), 0);
	n = (size_t)snprintf(buf, size, "%d:", verify_exit(&r));
	for (i = 0; i < r.n_findings && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, " %s %d/%d",
				      verify_findings[r.findings[i].kind].word,
				      (int)r.findings[i].line,
				      (int)r.findings[i].event);
	verify_result_drop(&r);
	verify_keys_free(&k);
}

static void want(const struct book *b, const char *expected)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(LIMIT_EVENT_LINE);
	char got[1024];

	text_of(b, &text);
	report(wbuf_as_slice(&text), 0, got, sizeof(got));
	assert_string_equal(got, expected);
}

static int exit_of(struct slice file, const struct verify_keys *k)
{
	struct verify_result r;
	struct err e;
	int x;

	assert_int_equal(verify_bytes(file, k, 0, &r, &e), 0);
	x = verify_exit(&r);
	verify_result_drop(&r);
	return x;
}

static void test_whole(void **state)
{
	static const enum signer_algorithm algs[] = { SIGNER_ED25519,
						      SIGNER_HMAC_SHA256 };
	struct book b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(algs); i++) {
		two_runs(algs[i], &b);
		want(&b, "0:");
		book_drop(&b);
	}
	two_runs(SIGNER_NONE, &b);
	want(&b, "4: unsigned 0/0 unsigned 0/0");
	book_drop(&b);
}

static void test_result(void **state)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(LIMIT_EVENT_LINE);
	struct verify_keys *k = keys();
	struct book b = { 0 };
	struct verify_result r;
	struct err e;

	(void)state;
	two_runs(SIGNER_ED25519, &b);
	text_of(&b, &text);
	assert_int_equal(verify_bytes(wbuf_as_slice(&text), k, 3, &r, &e), 0);
	assert_int_equal(r.n_runs, 2);
	assert_string_equal(r.runs[0].run_uuid, "u1");
	assert_string_equal(r.runs[1].run_uuid, "u2");
	assert_string_equal(r.runs[1].cell_id, "c2");
	assert_string_equal(r.runs[1].run_id, "r2");
	assert_int_equal(r.runs[0].events, 3);
	assert_true(r.runs[0].closed && r.runs[0].is_signed);
	assert_int_equal(r.n_findings, 1);
	assert_int_equal(r.findings[0].kind, VERIFY_TOO_FEW_RUNS);
	assert_int_equal(verify_exit(&r), 1);
	verify_result_drop(&r);
	verify_keys_free(&k);
	book_drop(&b);
}

/* Runs interleave: open c1, open c2, 1, 1, ... */
static void test_interleaved(void **state)
{
	struct book a = { 0 }, c = { 0 }, b = { 0 };
	size_t i;

	(void)state;
	whole_run(SIGNER_ED25519, 1, &a, "c", "r", "u1");
	whole_run(SIGNER_ED25519, 2, &c, "c", "r", "u2");
	for (i = 0; i < a.n; i++) {
		add(&b, a.line[i]);
		add(&b, c.line[i]);
	}
	want(&b, "0:");
	book_drop(&a);
	book_drop(&b);
	book_drop(&c);
}

static void flip_all(enum signer_algorithm alg)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(LIMIT_EVENT_LINE);
	struct verify_keys *k = keys();
	struct book b = { 0 };
	size_t i;
	int x;

	two_runs(alg, &b);
	text_of(&b, &text);
	for (i = 0; i < text.len; i += STRIDE) {
		text.p[i] ^= 1;
		x = exit_of(wbuf_as_slice(&text), k);
		if (i == text.len - 1 ? x != 3 : x != 1)
			fail_msg("byte %zu flipped: exit %d", i, x);
		text.p[i] ^= 1;
	}
	assert_int_equal(exit_of(wbuf_as_slice(&text), k), 0);
	verify_keys_free(&k);
	book_drop(&b);
}

static void test_flip_ed25519(void **state)
{
	(void)state;
	flip_all(SIGNER_ED25519);
}

static void test_flip_hmac(void **state)
{
	(void)state;
	flip_all(SIGNER_HMAC_SHA256);
}

static void test_flip_exact(void **state)
{
	struct book b = { 0 };
	char *p;

	(void)state;
	two_runs(SIGNER_ED25519, &b);
	/* line 2: event 1 */
	p = strstr(b.line[1], "\"n\":0");
	p[4] = '7';
	want(&b, "1: bad-signature 2/1 altered 2/1");
	p[4] = 'x';
	want(&b, "1: not-json 2/1 altered 2/1");
	p[4] = '0';
	/* the kid of line 11, event 3 */
	p = strstr(b.line[10], "signerKid\":\"k1");
	p[13] = '9';
	want(&b, "1: unknown-kid 11/3 altered 11/3");
	p[13] = '1';
	/* a middle link: line 4 */
	p = strstr(b.line[3], "\"sequence\":1");
	p[11] = '5';
	want(&b, "1: bad-signature 4/0 link-broken 6/0");
	p[11] = '1';
	/* the last link */
	p = strstr(b.line[11], "\"count\":3");
	p[8] = '4';
	want(&b, "1: bad-signature 12/0 unfinished 0/0");
	p[8] = '3';
	want(&b, "0:");
	book_drop(&b);

	two_runs(SIGNER_NONE, &b);
	p = strstr(b.line[1], "\"n\":0");
	p[4] = '7';
	want(&b, "1: altered 2/1 unsigned 0/0 unsigned 0/0");
	book_drop(&b);
}

static void test_unknown_keys(void **state)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(LIMIT_EVENT_LINE);
	struct verify_keys *none = verify_keys_new();
	struct verify_keys *swapped = verify_keys_new();
	struct keyring_pair p;
	struct book b = { 0 };
	struct err e;

	(void)state;
	two_runs(SIGNER_ED25519, &b);
	text_of(&b, &text);
	assert_int_equal(exit_of(wbuf_as_slice(&text), none), 2);
	memset(p.seed, 2, sizeof(p.seed));
	keyring_from_seed(&p);
	memcpy(p.kid, "k1", 3);
	wbuf_reset(&text);
	keyring_public_text(&p, &text);
	assert_int_equal(
		verify_keys_add(swapped, wbuf_as_slice(&text), false, &e), 0);
	text_of(&b, &text);
	assert_int_equal(exit_of(wbuf_as_slice(&text), swapped), 1);
	verify_keys_free(&none);
	verify_keys_free(&swapped);
	book_drop(&b);
}

/* The book without line @del, with line @from again before @at, swapped. */
static void delete (struct book *b, size_t at)
{
	free(b->line[at]);
	memmove(&b->line[at], &b->line[at + 1],
		(--b->n - at) * sizeof(b->line[0]));
}

static void insert(struct book *b, size_t at, const char *text)
{
	char *copy = strdup(text);

	assert_true(copy && b->n < MAX_LINES);
	memmove(&b->line[at + 1], &b->line[at],
		(b->n++ - at) * sizeof(b->line[0]));
	b->line[at] = copy;
}

static void test_delete(void **state)
{
	/* open 1 2 link 3 final, twice */
	static const char *const expected[] = {
		"1: link-broken 3/0",  "1: missing 3/1",  "1: missing 3/2",
		"1: link-broken 5/0",  "1: missing 5/3",  "3: unfinished 0/0",
		"1: link-broken 9/0",  "1: missing 9/1",  "1: missing 9/2",
		"1: link-broken 11/0", "1: missing 11/3", "3: unfinished 0/0",
	};
	struct book b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(expected); i++) {
		two_runs(SIGNER_ED25519, &b);
		delete (&b, i);
		want(&b, expected[i]);
		book_drop(&b);
	}
}

static void test_duplicate(void **state)
{
	/* number of the event in lines 1..12 */
	static const int event_no[] = { 0, 1, 2, 0, 3, 0, 0, 1, 2, 0, 3, 0 };
	struct book b = { 0 };
	char expected[64];
	size_t i, at, copy;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(event_no); i++)
		for (at = 0; at <= ARRAY_SIZE(event_no); at++) {
			two_runs(SIGNER_ED25519, &b);
			insert(&b, at, b.line[i]);
			/* before itself, nothing of its run between: the
			 * second is the copy */
			copy = at == i || (i == 6 && at < 6) ? i + 2 : at + 1;
			(void)snprintf(expected, sizeof(expected),
				       "1: duplicate %d/%d", (int)copy,
				       event_no[i]);
			want(&b, expected);
			book_drop(&b);
		}
}

static void test_swap(void **state)
{
	struct book b = { 0 };
	char got[256], *t;
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(LIMIT_EVENT_LINE);
	size_t i, k;

	(void)state;
	for (i = 0; i < 6; i++)
		for (k = i + 1; k < 6; k++) {
			two_runs(SIGNER_ED25519, &b);
			t = b.line[i];
			b.line[i] = b.line[k];
			b.line[k] = t;
			text_of(&b, &text);
			report(wbuf_as_slice(&text), 0, got, sizeof(got));
			/* neighbours: one has moved; else both */
			if (strncmp(got, "1: reordered ", 13) != 0 ||
			    (k > i + 2 && !strstr(got + 13, "reordered")) ||
			    (k == i + 1 && strstr(got + 13, "reordered")))
				fail_msg("%zu, %zu: %s", i, k, got);
			book_drop(&b);
		}
	/* one line moved far: only that one */
	two_runs(SIGNER_ED25519, &b);
	insert(&b, 6, b.line[1]);
	delete (&b, 1);
	want(&b, "1: reordered 6/1");
	book_drop(&b);
	/* whole runs in another order: nothing to say */
	two_runs(SIGNER_ED25519, &b);
	for (i = 0; i < 6; i++) {
		t = b.line[i];
		b.line[i] = b.line[i + 6];
		b.line[i + 6] = t;
	}
	want(&b, "0:");
	book_drop(&b);
}

static void test_insert(void **state)
{
	struct book b = { 0 }, x = { 0 };

	(void)state;
	/* an event of a run that is not here */
	whole_run(SIGNER_ED25519, 1, &x, "c9", "r9", "u9");
	two_runs(SIGNER_ED25519, &b);
	insert(&b, 2, x.line[1]);
	want(&b, "1: foreign 3/0");
	book_drop(&b);
	/* a link of it */
	two_runs(SIGNER_ED25519, &b);
	insert(&b, 2, x.line[5]);
	want(&b, "1: link-broken 3/0 missing 3/3");
	book_drop(&b);
	book_drop(&x);
	/* of the same cell and run, signed by the same key */
	whole_run(SIGNER_ED25519, 1, &x, "c1", "r1", "u8");
	two_runs(SIGNER_ED25519, &b);
	insert(&b, 2, x.line[1]);
	want(&b, "1: inserted 3/0");
	book_drop(&b);
	two_runs(SIGNER_ED25519, &b);
	insert(&b, 12, x.line[1]);
	want(&b, "1: after-close 13/0");
	book_drop(&b);
	/* replayed into an unfinished run */
	two_runs(SIGNER_ED25519, &b);
	delete (&b, 5);
	insert(&b, 5, b.line[1]);
	want(&b, "1: duplicate 6/1 unfinished 0/0");
	book_drop(&b);
	book_drop(&x);
	/* unsigned */
	whole_run(SIGNER_NONE, 1, &x, "c1", "r1", "u1");
	two_runs(SIGNER_ED25519, &b);
	delete (&b, 5);
	insert(&b, 5, x.line[5]);
	want(&b, "1: mixed-signing 6/0 unfinished 0/0");
	delete (&b, 5);
	insert(&b, 5, x.line[4]);
	want(&b, "1: mixed-signing 6/0 unfinished 0/0");
	book_drop(&b);
	book_drop(&x);
	/* the run goes on under another key that is known */
	whole_run(SIGNER_ED25519, 2, &x, "c1", "r1", "u1");
	two_runs(SIGNER_ED25519, &b);
	delete (&b, 5);
	insert(&b, 5, x.line[5]);
	want(&b, "1: link-broken 6/0 unfinished 0/0");
	delete (&b, 5);
	insert(&b, 5, x.line[4]);
	want(&b, "1: inserted 6/0 unfinished 0/0");
	book_drop(&b);
	book_drop(&x);
	/* no event at all */
	two_runs(SIGNER_ED25519, &b);
	insert(&b, 2, "{}");
	want(&b, "1: not-json 3/0");
	insert(&b, 2, "");
	want(&b, "1: not-json 3/0 not-json 4/0");
	book_drop(&b);
}

static void test_cut(void **state)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(LIMIT_EVENT_LINE);
	struct verify_keys *k = keys();
	struct book b = { 0 };
	char got[256];
	size_t i, half;

	(void)state;
	whole_run(SIGNER_ED25519, 1, &b, "c1", "r1", "u1");
	text_of(&b, &text);
	for (i = 0; i < text.len; i += STRIDE)
		if (exit_of((struct slice){ text.p, i }, k) != 3)
			fail_msg("cut at %zu", i);
	half = text.len;
	book_drop(&b);
	two_runs(SIGNER_ED25519, &b);
	text_of(&b, &text);
	for (i = half + 1; i < text.len; i += STRIDE)
		if (exit_of((struct slice){ text.p, i }, k) != 3)
			fail_msg("cut at %zu", i);
	report((struct slice){ text.p, half }, 2, got, sizeof(got));
	assert_string_equal(got, "1: too-few-runs 0/0");
	report((struct slice){ text.p, half }, 1, got, sizeof(got));
	assert_string_equal(got, "0:");
	report((struct slice){ text.p, 0 }, 0, got, sizeof(got));
	assert_string_equal(got, "3: empty 0/0");
	report((struct slice){ text.p, text.len - 1 }, 0, got, sizeof(got));
	assert_string_equal(got, "3: torn 12/0 unfinished 0/0");
	verify_keys_free(&k);
	book_drop(&b);
}

static void test_key_files(void **state)
{
	static const struct {
		const char *text, *want;
		bool is_hmac;
	} bad[] = {
		{ "[]", "must be a JSON object", false },
		{ "{", "must be a JSON object", false },
		{ "{\"a\":\"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w\","
		  "\"\\u0061\":\"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w"
		  "\"}",
		  "duplicate kid", false },
		{ "{\"a\":\"!\"}", "not valid base64url", false },
		{ "{\"a\":1}", "not valid base64url", false },
		{ "{\"a\":\"AAAA\"}", "expected 32", false },
		{ "{\"a\":\"\"}", "empty", true },
	};
	struct verify_keys *k = verify_keys_new();
	struct err e;
	size_t i;

	(void)state;
	assert_int_equal(verify_keys_add(k, SLICE_LIT("{}"), false, &e), 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(verify_keys_add(k, slice_of(bad[i].text),
						 bad[i].is_hmac, &e),
				 -1);
		if (strncmp(e.text, "trust verify keys: ", 19) != 0 ||
		    !strstr(e.text, bad[i].want))
			fail_msg("%s: %s", bad[i].text, e.text);
		verify_keys_free(&k);
		k = verify_keys_new();
	}
	verify_keys_free(&k);
}

/* The library's verify is the strict one this format asks for. */
static void test_strict_ed25519(void **state)
{
	/* L, the order of the group, little-endian */
	static const uint8_t order[32] = {
		0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
		0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
		0,    0,    0,	  0,	0,    0,    0,	  0,
		0,    0,    0,	  0,	0,    0,    0,	  0x10,
	};
	uint8_t seed[32], pub[32], sk[64], sig[64], bad[64], small[32] = { 1 };
	unsigned carry = 0, v;
	size_t i;

	(void)state;
	memset(seed, 1, sizeof(seed));
	crypto_sign_seed_keypair(pub, sk, seed);
	crypto_sign_detached(sig, NULL, (const uint8_t *)"m", 1, sk);
	assert_int_equal(
		crypto_sign_verify_detached(sig, (const uint8_t *)"m", 1, pub),
		0);
	/* S + L is the same number to a careless verifier */
	memcpy(bad, sig, sizeof(bad));
	for (i = 0; i < 32; i++) {
		v = (unsigned)sig[32 + i] + order[i] + carry;
		bad[32 + i] = (uint8_t)v;
		carry = v >> 8;
	}
	assert_int_not_equal(
		crypto_sign_verify_detached(bad, (const uint8_t *)"m", 1, pub),
		0);
	/* A = R = identity, S = 0 fits every message */
	memset(bad, 0, sizeof(bad));
	bad[0] = 1;
	assert_int_not_equal(crypto_sign_verify_detached(
				     bad, (const uint8_t *)"m", 1, small),
			     0);
	/* R small, A honest */
	memcpy(bad, sig, sizeof(bad));
	memset(bad, 0, 32);
	bad[0] = 1;
	assert_int_not_equal(
		crypto_sign_verify_detached(bad, (const uint8_t *)"m", 1, pub),
		0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_interleaved),
		cmocka_unit_test(test_flip_exact),
		cmocka_unit_test(test_flip_ed25519),
		cmocka_unit_test(test_flip_hmac),
		cmocka_unit_test(test_unknown_keys),
		cmocka_unit_test(test_delete),
		cmocka_unit_test(test_duplicate),
		cmocka_unit_test(test_swap),
		cmocka_unit_test(test_insert),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_key_files),
		cmocka_unit_test(test_strict_ed25519),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("evidence/verify", tests, NULL,
					   NULL);
}
