/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every case of contracts/examples/cases.json, and what a case cannot hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/fd.h"
#include "base/limits.h"
#include "spec/spec.h"
#include "wire/b64.h"
#include "wire/json_out.h"

static const char *cases_path, *maximal_path;
static unsigned failures;

static void read_path(const char *path, struct wbuf *b)
{
	assert_int_equal(file_read(AT_FDCWD, path, 0, b), 0);
}

static void sha256_hex(struct slice s, char hex[65])
{
	uint8_t hash[32];

	crypto_hash_sha256(hash, (const uint8_t *)s.p, s.n);
	hex_text(hex, hash, sizeof(hash));
}

#define FAIL(name, ...)                             \
	do {                                        \
		print_error("case \"%s\": ", name); \
		print_error(__VA_ARGS__);           \
		print_error("\n");                  \
		fail();                             \
	} while (0)

static void expect_texts(const char *name, const struct json *c,
			 const struct err *e)
{
	const struct json *has = json_get(c, "has");

	if (!has)
		FAIL(name, "no text is expected of \"%s\"", e->text);
	for (const struct json *k = has->v.kids.first; k; k = k->next)
		if (!strstr(e->text, k->v.s.p))
			FAIL(name, "no \"%s\" in \"%s\"", k->v.s.p, e->text);
	if (e->cause[0])
		FAIL(name, "unexpected cause %s", e->cause);
}

static void expect_unknowns(const char *name, const struct json *c,
			    const struct spec *s)
{
	const struct json *list = json_get(c, "unknown");
	const struct json *near = json_get(c, "nearest");
	const struct json *k = list ? list->v.kids.first : NULL;
	size_t n = list ? list->v.kids.count : 0;

	for (size_t i = 0; i < s->n_unknown && k; i++, k = k->next)
		if (strcmp(s->unknown[i].pointer, k->v.s.p) != 0)
			FAIL(name, "unknown %s, expected %s",
			     s->unknown[i].pointer, k->v.s.p);
	if (n != s->n_unknown)
		FAIL(name, "%zu unknown, expected %zu", s->n_unknown, n);
	k = near ? near->v.kids.first : NULL;
	for (size_t i = 0; k; i++, k = k->next) {
		const char *is = s->unknown[i].nearest;
		const char *want = k->type == JSON_NULL ? NULL : k->v.s.p;

		if ((is == NULL) != (want == NULL) ||
		    (is && strcmp(is, want) != 0))
			FAIL(name, "nearest %s, expected %s", is ? is : "none",
			     want ? want : "none");
	}
}

static void expect_spec(const char *name, const struct json *c,
			const struct spec *s, struct slice text)
{
	OWNED(wbuf_drop) struct wbuf canon = WBUF_INIT(1 << 20);
	const struct json *hash = json_get(c, "canonicalSha256");
	const struct json *raw = json_get(c, "rawSha256");
	const struct json *exact = json_get(c, "canonical");
	const struct json *mounts = json_get(c, "mounts");
	char hex[65];

	expect_unknowns(name, c, s);
	spec_canonical(s, &canon);
	if (canon.failed)
		FAIL(name, "no canonical text");
	sha256_hex(wbuf_as_slice(&canon), hex);
	if (hash && strcmp(hex, hash->v.s.p) != 0)
		FAIL(name, "canonical hash of %s", wbuf_cstr(&canon));
	if (exact && !slice_eq(wbuf_as_slice(&canon), exact->v.s))
		FAIL(name, "canonical text is %s", wbuf_cstr(&canon));
	sha256_hex(text, hex);
	if (raw && strcmp(hex, raw->v.s.p) != 0)
		FAIL(name, "raw hash %s", hex);
	if (mounts && mounts->v.u != s->authority.n_mounts)
		FAIL(name, "%zu mounts", s->authority.n_mounts);
}

static void run_case(const char *name, const struct json *c, struct slice text)
{
	OWNED(spec_drop) struct spec s = { 0 };
	const struct json *want = json_get(c, "want");
	bool want_parse =
		want->type == JSON_STRING && slice_is(want->v.s, "parse");
	bool want_ok = want->type == JSON_STRING && slice_is(want->v.s, "ok");
	struct err e = { 0 };

	if (spec_parse(text, &s, &e)) {
		if (!want_parse)
			FAIL(name, "parse: %s", e.text);
		if (e.cls != ERR_PLAIN)
			FAIL(name, "class of a parse error");
		expect_texts(name, c, &e);
		return;
	}
	if (want_parse)
		FAIL(name, "parsed");
	if (spec_check(&s, &e) == 0) {
		if (!want_ok)
			FAIL(name, "accepted");
		expect_spec(name, c, &s, text);
		return;
	}
	if (want_ok)
		FAIL(name, "refused: %s", e.text);
	expect_texts(name, c, &e);
	/* the size of argv has no prefix, all others have it */
	if ((want->type == JSON_U64 && want->v.u == 20) ==
	    (strncmp(e.text, "invalid cell specification: ", 28) == 0))
		FAIL(name, "prefix of %s", e.text);
}

static void cases(void **state)
{
	OWNED(wbuf_drop) struct wbuf file = WBUF_INIT(1 << 22);
	OWNED(arena_drop) struct arena a = ARENA_INIT(1 << 26);
	const struct json *list;
	struct json *root = NULL;
	bool rule[35] = { false };
	struct err e;

	(void)state;
	read_path(cases_path, &file);
	if (json_parse(wbuf_as_slice(&file), 200, &a, &root, &e))
		fail_msg("%s", e.text);
	list = json_get(root, "cases");
	for (const struct json *c = list->v.kids.first; c; c = c->next) {
		OWNED(wbuf_drop) struct wbuf doc = WBUF_INIT(1 << 20);
		const struct json *text = json_get(c, "text");
		const struct json *want = json_get(c, "want");
		const char *name = json_get(c, "name")->v.s.p;
		struct json_out j;

		json_out_init(&j, &doc, false);
		if (text)
			wbuf_slice(&doc, text->v.s);
		else
			json_write(&j, json_get(c, "doc"));
		run_case(name, c, wbuf_as_slice(&doc));
		if (want->type == JSON_U64)
			rule[want->v.u] = true;
	}
	assert_int_equal(failures, 0);
	for (size_t i = 1; i < 35; i++)
		if (!rule[i])
			fail_msg("no case for rule %zu", i);
}

static void nest(struct wbuf *b, const char *before, size_t n,
		 const char *after)
{
	wbuf_str(b, "{\"apiVersion\":\"cellos.io/v1\",\"kind\":"
		    "\"ExecutionCell\",\"spec\":{\"id\":\"c\","
		    "\"lifetime\":{\"ttlSeconds\":1},");
	wbuf_str(b, before);
	for (size_t i = 0; i < n; i++)
		wbuf_byte(b, '[');
	for (size_t i = 0; i < n; i++)
		wbuf_byte(b, ']');
	wbuf_str(b, after);
	wbuf_str(b, "}}");
}

static void depth(void **state)
{
	static const struct {
		const char *before;
		size_t n;
		const char *after, *error;
	} rows[] = {
		/* root, spec, authority, then 124 */
		{ "\"authority\":{\"network\":", 124, "}", NULL },
		{ "\"authority\":{\"network\":", 125, "}",
		  "at /spec/authority/network: containers are nested more "
		  "than 127 deep" },
		{ "\"authority\":{\"filesystem\":", 125, "}",
		  "at /spec/authority/filesystem: containers are nested more "
		  "than 127 deep" },
		/* nobody stores it */
		{ "\"authority\":{\"x\":", 5000, "}", NULL },
		{ "\"authority\":{\"x\":", 10001, "}", "nested too deeply at" },
		/* root, spec, export, targets, target, then 122 */
		{ "\"authority\":{},\"export\":{\"targets\":[{\"kind\":\"s3\","
		  "\"name\":\"a\",\"bucket\":\"b\",\"x\":",
		  122, "}]}", NULL },
		{ "\"authority\":{},\"export\":{\"targets\":[{\"kind\":\"s3\","
		  "\"name\":\"a\",\"bucket\":\"b\",\"x\":",
		  123, "}]}", "at /spec/export/targets/0: containers are" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 20);
		OWNED(wbuf_drop) struct wbuf canon = WBUF_INIT(1 << 20);
		OWNED(spec_drop) struct spec s = { 0 };
		struct err e = { 0 };
		int r;

		nest(&b, rows[i].before, rows[i].n, rows[i].after);
		r = spec_parse(wbuf_as_slice(&b), &s, &e);
		if (r && (!rows[i].error || !strstr(e.text, rows[i].error)))
			fail_msg("row %zu: %s", i, e.text);
		assert_int_equal(r, rows[i].error ? -1 : 0);
		if (r)
			continue;
		spec_canonical(&s, &canon);
		assert_false(canon.failed);
	}
}

static void size_limit(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(8 * LIMIT_SPEC_FILE);
	OWNED(spec_drop) struct spec s = { 0 };
	struct err e = { 0 };

	(void)state;
	nest(&b, "\"authority\":{}", 0, "");
	while (b.len < LIMIT_SPEC_FILE)
		wbuf_byte(&b, ' ');
	assert_int_equal(spec_parse(wbuf_as_slice(&b), &s, &e), 0);
	wbuf_byte(&b, ' ');
	assert_int_equal(spec_parse(wbuf_as_slice(&b), &s, &e), -1);
	assert_string_equal(e.text,
			    "the document is larger than 4194304 bytes");
}

/* Same bytes, a verdict, no sanitizer report */
static void verdict(struct slice text)
{
	OWNED(spec_drop) struct spec s = { 0 };
	OWNED(wbuf_drop) struct wbuf canon = WBUF_INIT(1 << 20);
	struct err e = { 0 };

	if (spec_parse(text, &s, &e)) {
		assert_true(e.text[0] != '\0');
		return;
	}
	if (spec_check(&s, &e))
		assert_true(e.text[0] != '\0');
	spec_canonical(&s, &canon);
	assert_false(canon.failed);
}

static void truncations_and_flips(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 20);

	(void)state;
	read_path(maximal_path, &b);
	for (size_t n = 0; n < b.len; n++) {
		struct spec s = { 0 };
		struct err e = { 0 };
		char *copy = malloc(n ? n : 1);

		/* its own allocation: a read past the end is seen */
		assert_non_null(copy);
		memcpy(copy, b.p, n);
		if (n + 1 < b.len)
			assert_int_equal(
				spec_parse((struct slice){ copy, n }, &s, &e),
				-1);
		else
			verdict((struct slice){ copy, n });
		free(copy);
	}
	for (size_t i = 0; i < 8 * b.len; i++) {
		b.p[i / 8] ^= (char)(1u << (i % 8));
		verdict(wbuf_as_slice(&b));
		b.p[i / 8] ^= (char)(1u << (i % 8));
	}
}

static void values(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 20);
	OWNED(spec_drop) struct spec s = { 0 };
	struct err e = { 0 };

	(void)state;
	read_path(maximal_path, &b);
	assert_int_equal(spec_parse(wbuf_as_slice(&b), &s, &e), 0);
	assert_string_equal(s.id.p, "build-42");
	assert_int_equal(s.ttl_seconds, 3600);
	assert_true(s.correlation->has_labels);
	assert_int_equal(s.correlation->n_labels, 1);
	assert_int_equal(s.run->argv.n, 3);
	assert_string_equal(s.run->argv.p[2].p, "make");
	assert_int_equal(s.run->secret_delivery, SPEC_DELIVERY_BROKER);
	assert_int_equal(s.run->limits->cpu_max->quota_micros, 50000);
	assert_int_equal(spec_grace_seconds(&s, 5), 10);
	assert_int_equal(s.authority.egress_rules.n, 2);
	assert_int_equal(s.authority.egress_rules.p[1].port, 53);
	assert_int_equal(s.authority.n_mounts, 1);
	assert_string_equal(s.authority.mounts[0].path.p, "/work");
	assert_int_equal(s.authority.mounts[0].mode, SPEC_MOUNT_RW);
	assert_int_equal(s.authority.dns->query_types[1], SPEC_Q_AAAA);
	assert_int_equal(s.authority.dns->resolvers[0].protocol, SPEC_DO53_UDP);
	assert_int_equal(s.authority.dns->refresh_policy->strategy,
			 SPEC_REFRESH_TTL_HONOR);
	assert_true(s.export->has_artifacts && s.export->has_targets);
	assert_int_equal(s.export->targets[1].kind, SPEC_TARGET_S3);
	assert_true(s.telemetry->has_fields);
	assert_int_equal(s.telemetry->guest_fields.n, 1);
}

static void defaults(void **state)
{
	static const char text[] =
		"{\"apiVersion\":\"\",\"kind\":\"\",\"spec\":{\"id\":\"\","
		"\"run\":{\"argv\":[]},\"lifetime\":{\"ttlSeconds\":1},"
		"\"export\":{},\"authority\":{\"secretRefs\":[],"
		"\"authorityDerivation\":{\"roleRoot\":\"\","
		"\"leafCapability\":{},\"grantorSignature\":"
		"{\"algorithm\":\"\",\"bytes\":\"\"}},\"dnsAuthority\":{"
		"\"resolvers\":[{\"resolverId\":\"\",\"endpoint\":\"\","
		"\"protocol\":\"doq\",\"dnssec\":{}}],"
		"\"rebindingPolicy\":{}}}}}";
	OWNED(spec_drop) struct spec s = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(spec_parse(slice_of(text), &s, &e), 0);
	assert_int_equal(s.run->secret_delivery, SPEC_DELIVERY_LEASED_BROKER);
	assert_string_equal(spec_delivery_word(s.run->secret_delivery),
			    "runtimeLeasedBroker");
	assert_int_equal(spec_grace_seconds(&s, 7), 7);
	assert_non_null(s.run->argv.p);
	assert_non_null(s.authority.secret_refs.p);
	assert_null(s.authority.egress_rules.p);
	assert_non_null(s.authority.derivation->leaf.egress_rules.p);
	assert_non_null(s.authority.derivation->leaf.secret_refs.p);
	assert_true(s.authority.dns->resolvers[0].dnssec->validate);
	assert_false(s.authority.dns->resolvers[0].dnssec->fail_closed);
	assert_int_equal(
		s.authority.dns->rebinding_policy->max_novel_ips_per_hostname,
		4);
	assert_false(s.export->has_artifacts || s.export->has_targets);
	assert_null(s.telemetry);
}

static void leaf_segment(void **state)
{
	static const struct {
		const char *id, *want;
	} rows[] = {
		{ "ab/cd@ef!", "ab_cd_ef_" },
		{ "", "cell" },
		{ "a.b", "a_b" },
		{ "a-_Z9", "a-_Z9" },
		{ "\xc3\xa9x", "_x" }, /* one code point, one '_' */
		{ "0123456789012345678901234567890123456789012345678901234567"
		  "890123456789",
		  "0123456789012345678901234567890123456789012345678901234567"
		  "890123" },
	};
	char buf[257];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		spec_leaf_segment(slice_of(rows[i].id), buf);
		assert_string_equal(buf, rows[i].want);
	}
}

/* A long value is cut, on a character boundary, and stays in its quotes */
static void long_value(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 16);
	OWNED(spec_drop) struct spec s = { 0 };
	struct err e = { 0 };

	(void)state;
	wbuf_str(&b, "{\"apiVersion\":\"cellos.io/v1\",\"kind\":"
		     "\"ExecutionCell\",\"spec\":{\"authority\":{},"
		     "\"lifetime\":{\"ttlSeconds\":1},\"id\":\"");
	for (int i = 0; i < 1000; i++)
		wbuf_str(&b, "\xc3\xa9");
	wbuf_str(&b, "\"}}");
	assert_int_equal(spec_parse(wbuf_as_slice(&b), &s, &e), 0);
	assert_int_equal(spec_check(&s, &e), -1);
	assert_non_null(strstr(e.text, "\xc3\xa9...\" (at /spec/id)"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cases),
		cmocka_unit_test(depth),
		cmocka_unit_test(size_limit),
		cmocka_unit_test(truncations_and_flips),
		cmocka_unit_test(values),
		cmocka_unit_test(defaults),
		cmocka_unit_test(leaf_segment),
		cmocka_unit_test(long_value),
	};

	if (argc != 3 || sodium_init() < 0)
		return 2;
	cases_path = argv[1];
	maximal_path = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
