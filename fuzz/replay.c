/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Runs a fuzz target over files, without a fuzzer: every file of the corpus
 * directories that are named, and every truncation and bit flip of small ones.
 * A crash or a sanitizer report is the failure; the output is TAP.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FILE_MAX_BYTES = 4 << 20,
	MUTATE_MAX = 2048 /* larger ones would take quadratic time */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each input in memory of its exact size, so that one byte too many is seen. */
static void feed(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void mutate(uint8_t *data, size_t size)
{
	size_t step = 1 + size / 256;

	for (size_t n = 0; n < size; n += step)
		feed(data, n);
	for (size_t i = 0; i < size; i += step)
		for (int bit = 0; bit < 8; bit++) {
			data[i] ^= (uint8_t)(1u << bit);
			feed(data, size);
			data[i] ^= (uint8_t)(1u << bit);
		}
}

static bool replay(const char *path)
{
	FILE *f = fopen(path, "rbe");
	uint8_t *data = malloc(FILE_MAX_BYTES);
	bool ok = false;
	size_t n;

	if (f && data) {
		n = fread(data, 1, FILE_MAX_BYTES, f);
		if (!ferror(f)) {
			feed(data, n);
			if (n <= MUTATE_MAX)
				mutate(data, n);
			ok = true;
		}
	}
	free(data);
	if (f)
		(void)fclose(f);
	return ok;
}

static int replay_dir(const char *dir, int *count)
{
	struct dirent **names;
	int failed = 0, n = scandir(dir, &names, NULL, alphasort);

	if (n < 0) {
		(void)printf("not ok %d - %s\n", ++*count, dir);
		return 1;
	}
	for (int i = 0; i < n; i++) {
		char path[4096];
		bool ok;

		(void)snprintf(path, sizeof(path), "%s/%s", dir,
			       names[i]->d_name);
		if (names[i]->d_name[0] != '.') {
			ok = replay(path);
			failed += !ok;
			(void)printf("%s %d - %s\n", ok ? "ok" : "not ok",
				     ++*count, names[i]->d_name);
			(void)fflush(stdout);
		}
		free(names[i]);
	}
	free(names);
	return failed;
}

int main(int argc, char **argv)
{
	int count = 0, failed = 0;

	for (int i = 1; i < argc; i++)
		failed += replay_dir(argv[i], &count);
	if (count == 0) {
		(void)printf("not ok %d - no corpus\n", ++count);
		failed++;
	}
	(void)printf("1..%d\n", count);
	return failed ? 1 : 0;
}
