/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An archive as the kernel unpacks it, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "wire/cpio.h"

#define ZERO "00000000"

static void test_bytes(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);
	/* magic; ino mode uid gid nlink mtime filesize; devices, namesize,
	 * check; the name to a multiple of 4, then the content */
	static const char want[] =
		"070701"
		"00000001"
		"000081A4" ZERO ZERO "00000001" ZERO
		"00000003" ZERO ZERO ZERO ZERO "00000002" ZERO "f\0"
		"hey\0"
		"070701"
		"00000075"
		"000041ED" ZERO ZERO "00000001" ZERO ZERO ZERO ZERO ZERO ZERO
		"00000004" ZERO "dir\0\0\0"
		"070701"
		"000000E9" ZERO ZERO ZERO
		"00000001" ZERO ZERO ZERO ZERO ZERO ZERO "0000000B" ZERO
		"TRAILER!!!\0\0\0";

	(void)state;
	cpio_put(&b, "f", S_IFREG | 0644, "hey", 3);
	cpio_put(&b, "dir", S_IFDIR | 0755, "", 0);
	cpio_end(&b);
	assert_false(b.failed);
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.p, want, sizeof(want));
}

static void test_too_much(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(128);

	(void)state;
	cpio_put(&b, "f", S_IFREG | 0644, "0123456789abcdef", 16);
	cpio_end(&b);
	assert_true(b.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
