/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Unit test of the signing request and of secrets: what is taken, refused,
 * and that nothing stays where it lay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/secrets.h"
#include "cli/signing.h"

#define KEY43	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define KEY_VAR "CELLOS_EVENT_SIGNING_KEY_BASE64"

struct row {
	const char *alg, *kid, *key;
	const char *text; /* NULL: taken */
	enum signer_algorithm want;
	size_t key_len;
};

static void put(const char *name, const char *value)
{
	if (value)
		assert_int_equal(setenv(name, value, 1), 0);
	else
		assert_int_equal(unsetenv(name), 0);
}

static void requests(void **state)
{
	static const struct row rows[] = {
		{ NULL, NULL, NULL, NULL, SIGNER_NONE, 0 },
		{ " ", NULL, "x", NULL, SIGNER_NONE, 0 },
		{ "OFF", "k", KEY43, NULL, SIGNER_NONE, 0 },
		{ " Ed25519 ", " k ", " " KEY43 "== ", NULL, SIGNER_ED25519,
		  32 },
		{ "hmac", "k", "AA", NULL, SIGNER_HMAC_SHA256, 1 },
		{ "HMAC-SHA256", "k", KEY43, NULL, SIGNER_HMAC_SHA256, 32 },
		{ "rsa", "k", KEY43,
		  "CELLOS_EVENT_SIGNING must be one of: off, ed25519, hmac, "
		  "hmac-sha256 (got \"rsa\")",
		  SIGNER_NONE, 0 },
		{ "hmac", NULL, KEY43,
		  "CELLOS_EVENT_SIGNING_KID must be 1 to 255 bytes, because "
		  "CELLOS_EVENT_SIGNING asks for a signature",
		  SIGNER_NONE, 0 },
		{ "hmac", " ", KEY43,
		  "CELLOS_EVENT_SIGNING_KID must be 1 to 255 bytes, because "
		  "CELLOS_EVENT_SIGNING asks for a signature",
		  SIGNER_NONE, 0 },
		{ "hmac", "k", NULL,
		  KEY_VAR " is not set, but CELLOS_EVENT_SIGNING asks for a "
			  "signature",
		  SIGNER_NONE, 0 },
		{ "hmac", "k", "==",
		  KEY_VAR " cannot be used: <empty>; base64url of at least one "
			  "byte is expected",
		  SIGNER_NONE, 0 },
		{ "ed25519", "k", "AAAA",
		  KEY_VAR " cannot be used: <3 bytes>; base64url of a 32-byte "
			  "ed25519 seed is expected",
		  SIGNER_NONE, 0 },
		{ "ed25519", "k", "A+/A",
		  KEY_VAR " cannot be used: <base64 decode failed>; base64url "
			  "of at most 4096 bytes is expected",
		  SIGNER_NONE, 0 },
		/* non-zero trailing bits */
		{ "hmac", "k", "AB",
		  KEY_VAR " cannot be used: <base64 decode failed>; base64url "
			  "of at most 4096 bytes is expected",
		  SIGNER_NONE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct signing s;
		struct err e = { 0 };
		int r;

		put("CELLOS_EVENT_SIGNING", rows[i].alg);
		put("CELLOS_EVENT_SIGNING_KID", rows[i].kid);
		put(KEY_VAR, rows[i].key);
		r = signing_from_env(&s, &e);
		assert_int_equal(r, rows[i].text ? -1 : 0);
		assert_null(getenv(KEY_VAR));
		if (rows[i].text)
			assert_string_equal(e.text, rows[i].text);
		assert_int_equal(s.alg, rows[i].want);
		assert_int_equal(s.key_len, rows[i].key_len);
		if (s.alg != SIGNER_NONE)
			assert_string_equal(s.kid, "k");
		signing_drop(&s);
	}
}

static void key_is_wiped_where_it_lay(void **state)
{
	static char pair[] = KEY_VAR "=" KEY43;
	static const char zero[43];
	struct signing s;
	struct err e;

	(void)state;
	put("CELLOS_EVENT_SIGNING", "ed25519");
	put("CELLOS_EVENT_SIGNING_KID", "k");
	assert_int_equal(putenv(pair), 0);
	assert_int_equal(signing_from_env(&s, &e), 0);
	for (uint8_t i = 0; i < 32; i++)
		assert_int_equal(s.key[i], i);
	assert_memory_equal(pair + sizeof(KEY_VAR), zero, 43);
	signing_drop(&s);
	assert_memory_equal(s.key, zero, 32);
}

static struct spec spec_of(struct slice *refs, size_t n)
{
	struct spec s = { 0 };

	s.authority.secret_refs = (struct spec_strings){ refs, n };
	return s;
}

static void secrets_sorted_and_late_wins(void **state)
{
	struct slice refs[] = { SLICE_LIT("z-1"), SLICE_LIT("A"),
				SLICE_LIT("PATH"), SLICE_LIT("z-1") };
	struct spec s = spec_of(refs, 4);
	static char path[] = "PATH=/bin", b[] = "B=x=y";
	char *const base[] = { path, b, NULL };
	static char pair[] = "CELLOS_SECRET_Z_1=hush";
	OWNED(secrets_drop) struct secrets got = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(putenv(pair), 0);
	put("CELLOS_SECRET_A", "=1");
	put("CELLOS_SECRET_PATH", "/evil");
	assert_int_equal(secrets_resolve(&s, base, &got, &e), 0);
	assert_int_equal(got.n, 4);
	assert_string_equal(got.envp[0], "A==1");
	assert_string_equal(got.envp[1], "B=x=y");
	assert_string_equal(got.envp[2], "PATH=/evil");
	assert_string_equal(got.envp[3], "z-1=hush");
	assert_null(got.envp[4]);
	secrets_wipe(&s, &got);
	for (int i = 0; i < 4; i++)
		assert_string_equal(got.envp[i], "");
	assert_null(getenv("CELLOS_SECRET_Z_1"));
	assert_memory_equal(pair, "CELLOS_SECRET_Z_1=\0\0\0\0", sizeof(pair));
}

static void secrets_missing(void **state)
{
	struct slice refs[] = { SLICE_LIT("a.b-c") };
	struct spec s = spec_of(refs, 1);
	static char path[] = "PATH=/bin";
	char *const base[] = { path, NULL };
	struct err e;

	(void)state;
	for (int i = 0; i < 2; i++) {
		OWNED(secrets_drop) struct secrets got = { 0 };

		put("CELLOS_SECRET_A.B_C", i ? "" : NULL);
		assert_int_equal(secrets_resolve(&s, base, &got, &e), -1);
		assert_string_equal(
			e.text,
			i ? "secret a.b-c unresolvable via env broker"
			  : "secret a.b-c unresolvable via env broker: secret "
			    "broker: env var CELLOS_SECRET_A.B_C not set "
			    "(required for secret key \"a.b-c\")");
		assert_string_equal(got.envp[0], "PATH=/bin");
		assert_null(got.envp[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(key_is_wiped_where_it_lay),
		cmocka_unit_test(secrets_sorted_and_late_wins),
		cmocka_unit_test(secrets_missing),
	};

	return cmocka_run_group_tests_name("cli/signing", tests, NULL, NULL);
}
