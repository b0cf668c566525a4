/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frames of an agent: the published example, its truncations and bit flips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "wire/telemetry.h"

/* A shell that starts, pid 300, at 5 s */
static const char example[] =
	"66000000a56f636f6e74656e745f76657273696f6e016c70726f62655f736f75726365"
	"6f70726f636573732e737061776e65646967756573745f70696419012c6a6775657374"
	"5f636f6d6d6273687267756573745f6d6f6e6f746f6e69635f6e731b000000012a05f2"
	"00";

static size_t from_hex(const char *hex, char *ret)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++)
		ret[i] = (char)(ascii_hex(hex[2 * i]) << 4 |
				ascii_hex(hex[2 * i + 1]));
	return n;
}

static void test_the_example(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(TELEMETRY_FRAME_MAX);
	struct telemetry_frame f;
	char raw[256];
	size_t n = from_hex(example, raw);

	(void)state;
	assert_int_equal(n, 106);
	assert_int_equal(telemetry_get((struct slice){ raw, n }, &f), 106);
	assert_int_equal(f.probe, TELEMETRY_SPAWNED);
	assert_int_equal(f.pid, 300);
	assert_string_equal(f.comm, "sh");
	assert_int_equal(f.monotonic_ns, 5000000000);
	telemetry_put(&b, &f);
	assert_int_equal(b.len, n);
	assert_memory_equal(b.p, raw, n);
	/* what follows is the next one's */
	raw[n] = 1;
	assert_int_equal(telemetry_get((struct slice){ raw, n + 1 }, &f), 106);
}

static void test_truncations(void **state)
{
	struct telemetry_frame f;
	char raw[256];
	size_t n = from_hex(example, raw);

	(void)state;
	for (size_t k = 0; k < n; k++)
		assert_int_equal(telemetry_get((struct slice){ raw, k }, &f),
				 0);
	/* a length that is less than the map */
	for (size_t k = 1; k < n - 4; k++) {
		raw[0] = (char)k;
		assert_int_equal(telemetry_get((struct slice){ raw, n }, &f),
				 -1);
	}
}

/* Of a flipped bit it is another frame, or none; never more than there is. */
static void test_bit_flips(void **state)
{
	struct telemetry_frame f;
	char raw[256];
	size_t n = from_hex(example, raw), good = 0;

	(void)state;
	for (size_t bit = 32; bit < n * 8; bit++) {
		ptrdiff_t r;

		raw[bit / 8] ^= (char)(1 << bit % 8);
		r = telemetry_get((struct slice){ raw, n }, &f);
		assert_true(r == -1 || r == (ptrdiff_t)n);
		good += r > 0;
		raw[bit / 8] ^= (char)(1 << bit % 8);
	}
	/* pid (16), comm (14 that stay UTF-8 and are no NUL), time (64) */
	assert_in_range(good, 80, 100);
}

static void test_forms(void **state)
{
	static const struct {
		const char *hex; /* of a map of five pairs, and one more */
		int ok;
	} rows[] = {
		/* {1: ...}: a key that is no text */
		{ "a10101", 0 },
		/* an indefinite map, a tag, a list, a float */
		{ "bfff", 0 },
		{ "c1a0", 0 },
		{ "80", 0 },
		{ "f90000", 0 },
		/* more pairs than there may be */
		{ "b1", 0 },
		{ "bb00000000ffffffff", 0 },
		/* lengths that lie */
		{ "a17bffffffffffffffff", 0 },
		{ "a1", 0 },
	};
	struct telemetry_frame f;
	char raw[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t n = from_hex(rows[i].hex, raw + 4);

		raw[0] = (char)n;
		raw[1] = raw[2] = raw[3] = 0;
		assert_int_equal(
			telemetry_get((struct slice){ raw, n + 4 }, &f), -1);
	}
}

static void test_every_value_comes_back(void **state)
{
	static const uint64_t values[] = { 0,	      23,	  24,
					   255,	      256,	  65535,
					   65536,     UINT32_MAX, 1ULL << 32,
					   UINT64_MAX };
	struct telemetry_frame in = { .comm = "\xc3\xa4 b c d e f g h" }, out;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		for (int p = 0; p < TELEMETRY_PROBE_NUM; p++) {
			OWNED(wbuf_drop)
			struct wbuf b = WBUF_INIT(TELEMETRY_FRAME_MAX);

			in.probe = (enum telemetry_probe)p;
			in.monotonic_ns = values[i];
			in.pid = (uint32_t)values[i];
			telemetry_put(&b, &in);
			assert_int_equal(telemetry_get(wbuf_as_slice(&b), &out),
					 (ptrdiff_t)b.len);
			assert_int_equal(out.probe, in.probe);
			assert_int_equal(out.pid, in.pid);
			assert_true(out.monotonic_ns == in.monotonic_ns);
			assert_string_equal(out.comm, in.comm);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_example),
		cmocka_unit_test(test_truncations),
		cmocka_unit_test(test_bit_flips),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_every_value_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
