/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Our own keys: forms, modes, and two first runs at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "evidence/keyring.h"
#include "evidence/verify.h"

static char dir[] = "/tmp/keyring-test-XXXXXX";
static int dirfd_;

static void test_forms(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);
	struct keyring_pair p = { 0 }, q = { 0 };
	struct err e;

	(void)state;
	memset(p.seed, 1, sizeof(p.seed));
	keyring_from_seed(&p);
	/* SHA-256 of the public key, by sha256sum */
	assert_string_equal(p.kid, "cellos-34750f98bd59fcfc");
	keyring_seed_text(&p, &b);
	assert_string_equal(wbuf_cstr(&b),
			    "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\n");
	assert_int_equal(keyring_seed_parse(wbuf_as_slice(&b), &q, &e), 0);
	assert_memory_equal(&p, &q, sizeof(p));
	wbuf_reset(&b);
	keyring_public_text(&p, &b);
	assert_string_equal(wbuf_cstr(&b),
			    "{\"cellos-34750f98bd59fcfc\":\"iojj3XQJ8ZX9UtstPLp"
			    "dcspnCb8dlBIb83SIAbQPb1w\"}\n");
	assert_int_equal(keyring_seed_parse(SLICE_LIT("AQEB"), &q, &e), -1);
	assert_null(strstr(e.text, "AQEB"));
	assert_int_equal(keyring_seed_parse(SLICE_LIT(""), &q, &e), -1);
}

static void test_write(void **state)
{
	char seed[96], pub[96];
	struct keyring_pair p = { 0 };
	struct stat st;
	struct err e;

	(void)state;
	(void)snprintf(seed, sizeof(seed), "%s/s", dir);
	(void)snprintf(pub, sizeof(pub), "%s/p", dir);
	assert_int_equal(keyring_generate(&p, &e), 0);
	assert_int_equal(keyring_write(&p, seed, pub, &e), 0);
	assert_int_equal(stat(seed, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* an existing key is never written over */
	assert_int_equal(keyring_write(&p, seed, pub, &e), -1);
	assert_int_equal(unlink(seed), 0);
	assert_int_equal(keyring_write(&p, seed, pub, &e), -1);
	assert_int_equal(stat(seed, &st), -1);
	assert_int_equal(unlink(pub), 0);
}

static void clear(void)
{
	(void)unlinkat(dirfd_, KEYRING_SEED_NAME, 0);
	(void)unlinkat(dirfd_, KEYRING_PUBLIC_NAME, 0);
}

static void test_default(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);
	struct verify_keys *k = verify_keys_new();
	struct keyring_pair p = { 0 }, q = { 0 };
	struct stat st;
	struct err e;

	(void)state;
	assert_int_equal(keyring_default(dirfd_, &p, &e), 0);
	assert_int_equal(keyring_default(dirfd_, &q, &e), 0);
	assert_memory_equal(&p, &q, sizeof(p));
	assert_int_equal(fstatat(dirfd_, KEYRING_SEED_NAME, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(file_read(dirfd_, KEYRING_PUBLIC_NAME, 0, &b), 0);
	assert_int_equal(verify_keys_add(k, wbuf_as_slice(&b), false, &e), 0);
	assert_non_null(strstr(wbuf_cstr(&b), p.kid));
	/* a lost public file comes back */
	assert_int_equal(unlinkat(dirfd_, KEYRING_PUBLIC_NAME, 0), 0);
	assert_int_equal(keyring_default(dirfd_, &q, &e), 0);
	assert_int_equal(fstatat(dirfd_, KEYRING_PUBLIC_NAME, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	/* a key others can read is none */
	assert_int_equal(fchmodat(dirfd_, KEYRING_SEED_NAME, 0640, 0), 0);
	assert_int_equal(keyring_default(dirfd_, &q, &e), -1);
	assert_non_null(strstr(e.text, "chmod 600"));
	clear();
	/* nor is one behind a link */
	assert_int_equal(symlinkat("/dev/zero", dirfd_, KEYRING_SEED_NAME), 0);
	assert_int_equal(keyring_default(dirfd_, &q, &e), -1);
	clear();
	verify_keys_free(&k);
}

static void test_race(void **state)
{
	enum { RUNS = 8, ROUNDS = 20 };
	char kid[RUNS][KEYRING_KID_SIZE];
	struct keyring_pair p = { 0 };
	struct err e;
	struct dirent *d;
	int i, round, st, pfd[2];
	DIR *list;
	int n = 0;

	(void)state;
	for (round = 0; round < ROUNDS; round++) {
		assert_int_equal(pipe2(pfd, O_CLOEXEC), 0);
		for (i = 0; i < RUNS; i++) {
			pid_t pid = fork();

			assert_true(pid >= 0);
			if (pid)
				continue;
			if (keyring_default(dirfd_, &p, &e))
				_exit(1);
			_exit(write(pfd[1], p.kid, sizeof(p.kid)) ==
					      (ssize_t)sizeof(p.kid)
				      ? 0
				      : 1);
		}
		for (i = 0; i < RUNS; i++) {
			assert_true(wait(&st) > 0);
			assert_int_equal(st, 0);
			assert_int_equal(read(pfd[0], kid[i], sizeof(kid[i])),
					 sizeof(kid[i]));
			assert_string_equal(kid[i], kid[0]);
		}
		fd_drop(&pfd[0]);
		fd_drop(&pfd[1]);
		if (round + 1 < ROUNDS)
			clear();
	}
	/* and nothing else lies about */
	list = opendir(dir);
	assert_non_null(list);
	while ((d = readdir(list)))
		n += strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
	(void)closedir(list);
	assert_int_equal(n, 2);
	clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_race),
	};
	int r;

	if (sodium_init() < 0 || !mkdtemp(dir))
		return 1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd_ < 0)
		return 1;
	r = cmocka_run_group_tests_name("evidence/keyring", tests, NULL, NULL);
	(void)close(dirfd_);
	(void)rmdir(dir);
	return r;
}
