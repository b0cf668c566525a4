/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * `hostile NAME [ARG]` runs one break-out program and prints NAME=WORD;
 * `hostile --list` prints the names.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"

static char word[4096];

const char *word_of(long r)
{
	const char *name;

	if (r >= 0)
		return "ok";
	name = strerrorname_np(errno);
	return name ? name : word_fmt("errno-%d", errno);
}

const char *word_fmt(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(word, sizeof(word), fmt, ap);
	va_end(ap);
	return word;
}

const char *word_read(const char *path)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return word_of(-1);
	n = fread(word, 1, sizeof(word) - 1, f);
	if (ferror(f)) {
		const char *w = word_of(-1);

		(void)fclose(f);
		return w;
	}
	(void)fclose(f);
	if (n > 0 && word[n - 1] == '\n')
		n--;
	word[n] = '\0';
	return word;
}

const char *word_status(const char *path, const char *field)
{
	FILE *f = fopen(path, "re");
	char line[256];
	size_t n = strlen(field);

	if (!f)
		return word_of(-1);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, field, n) != 0 || line[n] != ':')
			continue;
		(void)fclose(f);
		line[strcspn(line, "\n")] = '\0';
		return word_fmt("%s",
				line + n + 1 + strspn(line + n + 1, " \t"));
	}
	(void)fclose(f);
	return "absent";
}

struct table {
	const struct probe *p;
	const size_t *n;
};

static const struct table tables[] = {
	{ fs_probes, &fs_probes_num },
	{ net_probes, &net_probes_num },
	{ kernel_probes, &kernel_probes_num },
	{ proc_probes, &proc_probes_num },
	{ limits_probes, &limits_probes_num },
};

static int list(void)
{
	for (size_t i = 0; i < raw_probes_num; i++)
		(void)puts(raw_probes[i].name);
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (size_t i = 0; i < *tables[t].n; i++)
			(void)puts(tables[t].p[i].name);
	return 0;
}

static const char *run(const char *name, const char *arg)
{
	for (size_t i = 0; i < raw_probes_num; i++) {
		const struct raw_probe *r = &raw_probes[i];

		if (strcmp(r->name, name) == 0)
			return word_of(syscall(r->nr, r->a[0], r->a[1], r->a[2],
					       r->a[3], r->a[4], r->a[5]));
	}
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (size_t i = 0; i < *tables[t].n; i++)
			if (strcmp(tables[t].p[i].name, name) == 0)
				return tables[t].p[i].run(arg);
	return NULL;
}

int main(int argc, char **argv)
{
	const char *w;

	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	if (argc < 2 || argc > 3) {
		(void)fprintf(stderr, "usage: hostile NAME [ARG] | --list\n");
		return 2;
	}
	w = run(argv[1], argc == 3 ? argv[2] : "");
	if (!w) {
		(void)fprintf(stderr, "hostile: no program \"%s\"\n", argv[1]);
		return 2;
	}
	if (printf("%s=%s\n", argv[1], w) < 0 || fflush(stdout) != 0)
		return 1;
	return 0;
}
