/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Unit test of the values in the environment: words, limits, records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "cli/config.h"
#include "cli/env.h"

static void unshare_words(void **state)
{
	static const struct {
		const char *value;
		unsigned want;
	} rows[] = {
		{ NULL, 0 },
		{ "  ", 0 },
		{ "1", CELL_NS_PID | CELL_NS_IPC | CELL_NS_MNT | CELL_NS_NET },
		{ " Default ",
		  CELL_NS_PID | CELL_NS_IPC | CELL_NS_MNT | CELL_NS_NET },
		{ "net, UTS", CELL_NS_NET | CELL_NS_UTS },
		{ "ns", CELL_NS_MNT },
		{ "mount,mnt", CELL_NS_MNT },
		{ "user,cgroup,all", 0 },
		{ "pid,,ipc,x", CELL_NS_PID | CELL_NS_IPC },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(config_unshare(rows[i].value), rows[i].want);
}

static void cpu_max(void **state)
{
	static const struct {
		const char *value;
		bool ok;
		uint64_t quota, period;
	} rows[] = {
		{ "50000", true, 50000, 100000 },
		{ " 50000  20000 ", true, 50000, 20000 },
		{ "max", true, UINT64_MAX, 100000 },
		{ "max 5", true, UINT64_MAX, 5 },
		{ "", false, 0, 0 },
		{ "0", false, 0, 0 },
		{ "1 0", false, 0, 0 },
		{ "1 2 3", false, 0, 0 },
		{ "1 max", false, 0, 0 },
		{ "MAX", false, 0, 0 },
		{ "-1", false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t q = 0, p = 0;

		assert_int_equal(config_cpu_max(rows[i].value, &q, &p),
				 rows[i].ok);
		assert_true(q == rows[i].quota && p == rows[i].period);
	}
}

static void bytes(void **state)
{
	static const struct {
		const char *value;
		bool ok;
		uint64_t want;
	} rows[] = {
		{ "4096", true, 4096 },
		{ " 2k ", true, 2048 },
		{ "3M", true, 3145728 },
		{ "1G", true, 1073741824 },
		{ "16777215T", true, 16777215ULL << 40 },
		{ "16777216T", false, 7 },
		{ "max", true, 0 },
		{ "0", false, 7 },
		{ "", false, 7 },
		{ "M", false, 7 },
		{ "1MB", false, 7 },
		{ "1.5G", false, 7 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t v = 7;

		assert_int_equal(config_bytes(rows[i].value, &v), rows[i].ok);
		assert_true(v == rows[i].want);
	}
}

static void url_hide(void **state)
{
	static const char *const rows[][2] = {
		{ "nats://a:s@h:4222", "nats://h:4222" },
		{ "nats://h:4222", "nats://h:4222" },
		{ "nats://a:b@h1:1,nats://c:d@h2:2",
		  "nats://h1:1,nats://h2:2" },
		{ "nats://a:p@w@h", "nats://h" },
		{ "nats://@h:1", "nats://h:1" },
		{ "https://h/p?email=a@b", "https://h/p?email=a@b" },
		{ "user:pass@host", "user:pass@host" },
		{ "", "" },
	};
	char buf[100], again[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		config_url_hide(rows[i][0], buf, sizeof(buf));
		assert_string_equal(buf, rows[i][1]);
		config_url_hide(buf, again, sizeof(again));
		assert_string_equal(again, buf);
	}
	/* a cut never uncovers what was hidden */
	config_url_hide("nats://user:pw@host", buf, 10);
	assert_string_equal(buf, "nats://ho");
}

static void missing_words(void **state)
{
	static const char *const rows[][2] = {
		{ "unshare", "[\"unshare\"]" },
		{ " SECCOMP ,unshare,seccomp", "[\"seccomp\", \"unshare\"]" },
		{ "cgroupv2", "[\"cgroup-v2\"]" },
		{ "x,cgroup_v2,", "[\"cgroup-v2\"]" },
		{ "all", "[\"unshare\", \"seccomp\", \"cgroup-v2\"]" },
		{ "cgroup-v2,*", "[\"cgroup-v2\", \"unshare\", \"seccomp\"]" },
		{ "unshaer", "" },
		{ "", "" },
	};
	char buf[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		profile_missing(rows[i][0], buf, sizeof(buf));
		assert_string_equal(buf, rows[i][1]);
	}
}

static void value_classes(void **state)
{
	static const char name[] = "CELLOS_TEST_VALUE";
	static const struct {
		const char *value;
		bool truthy, not_falsy, text;
	} rows[] = {
		{ NULL, false, true, false },
		{ "", false, true, true },
		{ " ON ", true, true, true },
		{ "Yes", true, true, true },
		{ "true", true, true, true },
		{ "1", true, true, true },
		{ "2", false, true, true },
		{ "oFF", false, false, true },
		{ "\xe2\x80\x83no\xc2\xa0", false, false, true },
		{ "0", false, false, true },
		{ "false", false, false, true },
		{ "1\xff", false, true, false },
		{ "\xed\xa0\x80", false, true, false },
		{ "\xc0\xaf", false, true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].value)
			assert_int_equal(setenv(name, rows[i].value, 1), 0);
		else
			assert_int_equal(unsetenv(name), 0);
		assert_int_equal(env_truthy(name), rows[i].truthy);
		assert_int_equal(env_not_falsy(name), rows[i].not_falsy);
		assert_int_equal(env_text(name) != NULL, rows[i].text);
		assert_int_equal(env_present(name), rows[i].value != NULL);
	}
	assert_int_equal(unsetenv(name), 0);
}

static void trimming(void **state)
{
	char buf[8];

	(void)state;
	assert_true(text_trim(" \t a b\xe3\x80\x80", buf, sizeof(buf)));
	assert_string_equal(buf, "a b");
	assert_true(text_trim("\xe2\x80\x8a", buf, sizeof(buf)));
	assert_string_equal(buf, "");
	assert_true(text_trim("1234567", buf, sizeof(buf)));
	assert_false(text_trim("12345678", buf, sizeof(buf)));
}

static void quoting(void **state)
{
	char buf[64];

	(void)state;
	assert_string_equal(env_quote(buf, sizeof(buf),
				      "a\"\\\n\r\t\x01\xc3"
				      "\xa9\x7f\xff"),
			    "\"a\\\"\\\\\\n\\r\\t\\u{1}\xc3\xa9\\u{7f}\\u{ff}"
			    "\"");
	assert_string_equal(env_quote(buf, 16, "0123456789"), "\"012\"");
}

static void wiped_where_it_lay(void **state)
{
	static char pair[] = "CELLOS_TEST_WIPE=hush";

	(void)state;
	assert_int_equal(putenv(pair), 0);
	env_wipe("CELLOS_TEST_WIPE");
	assert_null(getenv("CELLOS_TEST_WIPE"));
	assert_memory_equal(pair, "CELLOS_TEST_WIPE=\0\0\0\0", sizeof(pair));
	env_wipe("CELLOS_TEST_WIPE");
}

static void limits(void **state)
{
	struct limits l;
	bool asked = true;
	struct err e;

	(void)state;
	assert_int_equal(env_limits(&l, &asked, &e), 0);
	assert_false(asked);
	assert_true(l.v[LIMIT_PIDS] == 1024);
	assert_int_equal(setenv("CELLOS_LIMIT_PIDS", " 77 ", 1), 0);
	assert_int_equal(setenv("CELLOS_LIMIT_GRACE_SECONDS", "120", 1), 0);
	assert_int_equal(env_limits(&l, &asked, &e), 0);
	assert_true(asked);
	assert_true(l.v[LIMIT_PIDS] == 77);
	assert_true(l.v[LIMIT_GRACE_SECONDS] == 120);
	assert_int_equal(setenv("CELLOS_LIMIT_GRACE_SECONDS", "121", 1), 0);
	assert_int_equal(env_limits(&l, &asked, &e), -1);
	assert_string_equal(e.text, "CELLOS_LIMIT_GRACE_SECONDS must be an "
				    "integer from 0 to 120 (got \"121\")");
	assert_true(l.v[LIMIT_GRACE_SECONDS] == 120);
	assert_int_equal(unsetenv("CELLOS_LIMIT_PIDS"), 0);
	assert_int_equal(unsetenv("CELLOS_LIMIT_GRACE_SECONDS"), 0);
}

/* A name stands once; limits are at the end. */
static void table(void **state)
{
	size_t first = env_count() - LIMIT_NUM;

	(void)state;
	assert_string_equal(env_info(first + LIMIT_PIDS).name,
			    "CELLOS_LIMIT_PIDS");
	assert_int_equal(env_info(first + LIMIT_PIDS).cls, ENV_INTEGER);
	for (size_t i = 0; i < env_count(); i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(env_info(i).name,
						env_info(k).name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unshare_words),
		cmocka_unit_test(cpu_max),
		cmocka_unit_test(bytes),
		cmocka_unit_test(url_hide),
		cmocka_unit_test(missing_words),
		cmocka_unit_test(value_classes),
		cmocka_unit_test(trimming),
		cmocka_unit_test(quoting),
		cmocka_unit_test(wiped_where_it_lay),
		cmocka_unit_test(limits),
		cmocka_unit_test(table),
	};

	log_init(LOG_ERROR, false);
	return cmocka_run_group_tests_name("cli/config", tests, NULL, NULL);
}
