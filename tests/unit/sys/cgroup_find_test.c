/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Where control groups are, read from the texts of hosts other than this one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sys/cgroup_int.h"

static void mount_is(struct cgroup_finder *f, const char *text)
{
	char line[512];

	(void)snprintf(line, sizeof(line), "%s", text);
	cgroup_find_mount(f, line);
}

static void own_is(struct cgroup_finder *f, const char *text)
{
	char line[512];

	(void)snprintf(line, sizeof(line), "%s", text);
	cgroup_find_own(f, line);
}

static void joined(const char *at, const char *root, const char *own,
		   const char *want)
{
	char got[CGROUP_PATH_MAX];

	memset(got, 'x', sizeof(got));
	cgroup_find_join(got, at, root, own);
	assert_string_equal(got, want);
}

static void test_v2_only(void **state)
{
	struct cgroup_finder f = { 0 };

	(void)state;
	mount_is(&f, "29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,"
		     "relatime shared:9 - cgroup2 cgroup2 "
		     "rw,nsdelegate,memory_recursiveprot");
	own_is(&f, "0::/user.slice/user-1000.slice/user@1000.service/a.scope");
	assert_string_equal(f.v2_mount, "/sys/fs/cgroup");
	assert_string_equal(
		f.v2_own,
		"/user.slice/user-1000.slice/user@1000.service/a.scope");
	for (int c = 0; c < CGROUP_CONTROLLER_NUM; c++) {
		assert_string_equal(f.v1_mount[c], "");
		assert_string_equal(f.v1_own[c], "");
	}
}

static void test_hybrid(void **state)
{
	struct cgroup_finder f = { 0 };

	(void)state;
	mount_is(&f, "30 24 0:27 / /sys/fs/cgroup/unified rw shared:10 - "
		     "cgroup2 cgroup2 rw");
	mount_is(&f, "33 24 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup "
		     "rw,cpuset");
	mount_is(&f, "34 24 0:31 /pod /sys/fs/cgroup/cpu,cpuacct rw - cgroup "
		     "cgroup rw,cpu,cpuacct");
	mount_is(&f, "35 24 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup "
		     "rw,memory");
	mount_is(&f, "36 24 0:32 / /mnt/again rw - cgroup cgroup rw,memory");
	own_is(&f, "5:cpuset:/c");
	own_is(&f, "4:cpu,cpuacct:/pod/x");
	own_is(&f, "3:memory:/m:n");
	own_is(&f, "1:name=systemd:/s");
	own_is(&f, "0::/u");
	assert_string_equal(f.v2_mount, "/sys/fs/cgroup/unified");
	assert_string_equal(f.v2_own, "/u");
	assert_string_equal(f.v1_mount[CGROUP_CPU],
			    "/sys/fs/cgroup/cpu,cpuacct");
	assert_string_equal(f.v1_root[CGROUP_CPU], "/pod");
	assert_string_equal(f.v1_own[CGROUP_CPU], "/pod/x");
	assert_string_equal(f.v1_mount[CGROUP_MEMORY], "/sys/fs/cgroup/memory");
	assert_string_equal(f.v1_own[CGROUP_MEMORY], "/m:n");
	assert_string_equal(f.v1_mount[CGROUP_PIDS], "");
	assert_string_equal(f.v1_own[CGROUP_PIDS], "");
}

static void test_lines_of_no_use(void **state)
{
	const struct cgroup_finder none = { 0 };
	struct cgroup_finder f = { 0 };

	(void)state;
	mount_is(&f, "");
	mount_is(&f, "1 2 3:4 / /proc rw - proc proc rw");
	mount_is(&f, "1 2 3:4 / /sys/fs/cgroup rw cgroup2 cgroup2 rw");
	mount_is(&f, "1 2 3:4 / /a rw - cgroup");
	mount_is(&f, "1 2 3:4 / /a rw - tmpfs cgroup2 rw,memory");
	own_is(&f, "");
	own_is(&f, "3");
	own_is(&f, "3:memory");
	own_is(&f, "3:memory_plus:/a");
	assert_memory_equal(&f, &none, sizeof(f));
}

static void test_join(void **state)
{
	char want[CGROUP_PATH_MAX], own[CGROUP_PATH_MAX + 1];

	(void)state;
	joined("/sys/fs/cgroup", "/", "/a/b", "/sys/fs/cgroup/a/b");
	joined("/sys/fs/cgroup", "/", "/", "/sys/fs/cgroup");
	/* a container sees only its part of the tree */
	joined("/cg", "/docker/1f", "/docker/1f", "/cg");
	joined("/cg", "/docker/1f", "/docker/1f/c", "/cg/c");
	joined("/cg", "/docker/1f", "/docker/1fe", "");
	joined("/cg", "/docker/1f", "/docker", "");
	/* outside of this cgroup namespace */
	joined("/cg", "/", "/..", "");
	joined("/cg", "/", "/../x", "");
	joined("/cg", "/docker/1f", "/docker/1f/../x", "");
	/* one byte too many */
	memset(own, 'a', sizeof(own));
	own[0] = '/';
	own[CGROUP_PATH_MAX - 3] = '\0';
	(void)snprintf(want, sizeof(want), "/c%s", own);
	joined("/c", "/", own, want);
	own[CGROUP_PATH_MAX - 3] = 'a';
	own[CGROUP_PATH_MAX - 2] = '\0';
	joined("/c", "/", own, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v2_only),
		cmocka_unit_test(test_hybrid),
		cmocka_unit_test(test_lines_of_no_use),
		cmocka_unit_test(test_join),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
