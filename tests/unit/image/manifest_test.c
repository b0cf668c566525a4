/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The manifest of an image, line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "image/manifest.h"

#define K "19732980d68fbd00358a0a4d98246c960400b87e4fa2a2e155db98be2b42ed6c"
#define R "8e54b0ca18020275e4aef1ca0eb5e197e066c065c1864817652a8a39c55402cd"

static void test_values(void **state)
{
	struct manifest m;
	struct err e;

	(void)state;
	assert_int_equal(
		manifest_parse(SLICE_LIT("# v1\n\n  \t\r\n"
					 "sha256:" K "  kernel  /opt/k\n"
					 " sha256:" R "\trootfs /opt/r \r\n"
					 /* the first of a role counts */
					 "sha256:" K " rootfs /opt/x\n"
					 "sha256:" K " moon /opt/x"),
			       "/m", &m, &e),
		0);
	assert_string_equal(m.digest[MANIFEST_KERNEL], K);
	assert_string_equal(m.digest[MANIFEST_ROOTFS], R);
	assert_string_equal(m.digest[MANIFEST_INITRD], "");
	/* upper case is accepted, and lowered */
	assert_int_equal(manifest_parse(SLICE_LIT("sha256:" K " kernel /k\n"
						  "sha256:8E54B0CA18020275E4"
						  "AEF1CA0EB5E197E066C065C186"
						  "4817652A8A39C55402CD "
						  "rootfs /r"),
					"/m", &m, &e),
			 0);
	assert_string_equal(m.digest[MANIFEST_ROOTFS], R);
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{ "", "manifest at /m is missing a `kernel` role entry" },
		{ "sha256:" K " kernel /k",
		  "manifest at /m is missing a `rootfs` role entry" },
		{ "\nsha256:" K " kernel",
		  "manifest line 2: expected `sha256:<hex>  <role>  <path>`, "
		  "got: sha256:" K },
		{ "sha256:" K " kernel /k x",
		  "manifest line 1: unexpected trailing field after path" },
		{ K " kernel /k",
		  "manifest line 1: digest field must start with `sha256:`" },
		{ "sha256:" K "0 kernel /k",
		  "manifest line 1: sha256 digest must be 64 hex chars" },
		{ "sha256:abc kernel /k",
		  "manifest line 1: sha256 digest must be 64 hex chars" },
		{ "sha256:g9732980d68fbd00358a0a4d98246c960400b87e4fa2a2e155d"
		  "b98be2b42ed6c kernel /k",
		  "manifest line 1: sha256 digest must be 64 hex chars" },
	};
	struct manifest m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(
			manifest_parse(slice_of(rows[i].text), "/m", &m, &e),
			-1);
		assert_string_equal(e.text, rows[i].error);
	}
}

static void test_what_is_written_is_read(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(MANIFEST_MAX);
	struct manifest m = { 0 }, again;
	struct err e;

	(void)state;
	memcpy(m.digest[MANIFEST_KERNEL], K, sizeof(K));
	memcpy(m.digest[MANIFEST_ROOTFS], R, sizeof(R));
	manifest_write(&m, "/i", &b);
	assert_string_equal(wbuf_cstr(&b), "sha256:" K "  kernel  /i/kernel\n"
					   "sha256:" R "  rootfs  /i/root\n");
	assert_int_equal(manifest_parse(wbuf_as_slice(&b), "/m", &again, &e),
			 0);
	assert_memory_equal(m.digest, again.digest, sizeof(m.digest));
	assert_true(
		slice_eq(again.path[MANIFEST_ROOTFS], SLICE_LIT("/i/root")));
	assert_int_equal(again.path[MANIFEST_INITRD].n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_what_is_written_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
