/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What was asked of `run` or `plan` on the command line, as a value. */
#include "cli/run_args.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/slice.h"
#include "cli/env.h"
#include "cli/units.h"
#include "sys/mount.h"

/* The path the kernel knows an open directory by. */
static char *path_of(int fd)
{
	char link[40], buf[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, buf, sizeof(buf) - 1);
	if (n <= 0 || (size_t)n >= sizeof(buf) - 1)
		return NULL;
	buf[n] = '\0';
	return strdup(buf);
}

static int behind_link(const char *opt, const char *path, struct err *e)
{
	char *real = realpath(path, NULL);

	err_set(e, ERR_PLAIN, 0,
		"--%s %s is, or lies behind, a symbolic link; a command may "
		"have put it there: name the real path%s%s",
		opt, path, real ? ", " : "", real ? real : "");
	free(real);
	return -1;
}

/* Absolute, no link in it, and a directory: what is checked here is what will
 * be opened, or the opening fails. */
static int dir_resolve(const char *opt, const char *path, char **ret,
		       struct err *e)
{
	OWNED(fd_drop) int fd = mount_source_open(path);
	struct stat st;
	char *real;

	if (fd == -ELOOP)
		return behind_link(opt, path, e);
	if (fd < 0)
		return err_set(e, ERR_PLAIN, -fd, "--%s %s", opt, path);
	if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(e, ERR_PLAIN, ENOTDIR, "--%s %s", opt, path);
	real = path_of(fd);
	if (!real)
		return err_set(e, ERR_PLAIN, ENAMETOOLONG, "--%s %s", opt,
			       path);
	if (strcmp(real, "/") == 0) {
		free(real);
		return err_set(e, ERR_PLAIN, 0,
			       "--%s /: the cell has a read-only system of its "
			       "own; name the directories that are needed",
			       opt);
	}
	*ret = real;
	return 0;
}

static int take_dir(struct run_args *a, const char *opt, const char *value,
		    bool rw, struct err *e)
{
	char *path;

	if (a->n_dirs == LIMIT_MOUNTS)
		return err_set(e, ERR_PLAIN, 0,
			       "--%s %s: more than %d directories", opt, value,
			       (int)LIMIT_MOUNTS);
	if (dir_resolve(opt, value, &path, e))
		return -1;
	for (size_t i = 0; i < a->n_dirs; i++) {
		bool same = strcmp(a->dirs[i].path, path) == 0;

		if (!same)
			continue;
		free(path);
		if (a->dirs[i].rw == rw)
			return 0;
		return err_set(e, ERR_PLAIN, 0,
			       "%s is given with both --rw and --ro",
			       a->dirs[i].path);
	}
	a->dirs[a->n_dirs++] = (struct run_dir){ path, rw };
	return 0;
}

static int take_env(struct run_args *a, const char *value, struct err *e)
{
	const char *eq = strchr(value, '='), *ours;
	char *pair = NULL;

	if (eq == value)
		return err_set(e, ERR_PLAIN, 0, "--env \"%s\": no name", value);
	if (a->n_env == RUN_ARGS_ENV_MAX)
		return err_set(e, ERR_PLAIN, 0, "--env: more than %d variables",
			       (int)RUN_ARGS_ENV_MAX);
	if (eq) {
		pair = strdup(value);
	} else {
		ours = getenv(value);
		if (!ours)
			return err_set(e, ERR_PLAIN, 0,
				       "--env %s: it is not set here; use "
				       "--env %s=VALUE",
				       value, value);
		if (asprintf(&pair, "%s=%s", value, ours) < 0)
			pair = NULL;
	}
	if (!pair)
		return err_set(e, ERR_PLAIN, ENOMEM, "--env");
	a->env[a->n_env++] = pair;
	return 0;
}

static int bad_value(const struct verb_opt *opt, const char *value,
		     const char *want, struct err *e)
{
	return err_set(e, ERR_PLAIN, 0, "--%s \"%s\": want %s", opt->name,
		       value, want);
}

/* "10.0.0.0/8:443/tcp": the last colon is before the port, what follows a
 * slash behind it is the protocol. */
static int take_allow(struct run_args *a, const char *value, struct err *e)
{
	const char *colon = strrchr(value, ':'), *slash;
	struct run_allow r = { .host = { value, 0 } };
	unsigned long long port;
	char digits[8];
	size_t n;

	if (a->n_allow == RUN_ARGS_ALLOW_MAX)
		return err_set(e, ERR_PLAIN, 0, "--allow: more than %d rules",
			       (int)RUN_ARGS_ALLOW_MAX);
	r.host.n = colon ? (size_t)(colon - value) : 0;
	slash = colon ? strchr(colon, '/') : NULL;
	n = colon ? (slash ? (size_t)(slash - colon - 1) : strlen(colon + 1))
		  : 0;
	if (!r.host.n || !n || n >= sizeof(digits))
		goto bad;
	memcpy(digits, colon + 1, n);
	digits[n] = '\0';
	if (!text_u64(digits, &port) || port < 1 || port > 65535)
		goto bad;
	r.port = (uint16_t)port;
	r.protocol = slash ? slash + 1 : NULL;
	if (value[0] == '[' && r.host.n > 2 && colon[-1] == ']')
		r.host = (struct slice){ value + 1, r.host.n - 2 };
	else if (memchr(r.host.p, ':', r.host.n) &&
		 !memchr(r.host.p, '/', r.host.n))
		goto bad;
	a->allow[a->n_allow++] = r;
	return 0;
bad:
	return err_set(e, ERR_PLAIN, 0,
		       "--allow \"%s\": want HOST:PORT[/PROTO], e.g. "
		       "example.com:443, *.example.com:80, [2001:db8::1]:22, "
		       "10.0.0.0/8:5432/tcp",
		       value);
}

static int take_operand(struct run_args *a, const char *value, struct err *e)
{
	if (a->spec_path)
		return err_set(e, ERR_PLAIN, 0,
			       "one document at a time, but got \"%s\" and "
			       "\"%s\"; a command goes after --",
			       a->spec_path, value);
	a->spec_path = value;
	return 0;
}

int run_args_take(void *ctx, const struct verb_opt *opt, const char *value,
		  struct err *e)
{
	struct run_args *a = ctx;

	if (!opt)
		return take_operand(a, value, e);
	switch (opt->id) {
	case OPT_RW:
	case OPT_RO:
		return take_dir(a, opt->name, value, opt->id == OPT_RW, e);
	case OPT_ALLOW:
		return take_allow(a, value, e);
	case OPT_TIMEOUT:
		if (units_duration_ms(value, &a->timeout_ms))
			return 0;
		return bad_value(opt, value, "e.g. 90s, 10m, 2h, 250ms", e);
	case OPT_MEMORY:
		if (units_bytes(value, &a->memory))
			return 0;
		return bad_value(opt, value, "bytes, or e.g. 512M, 2G", e);
	case OPT_CPUS:
		if (units_cpus(value, &a->cpu_quota))
			return 0;
		return bad_value(opt, value, "0.01 to 4096, e.g. 1.5", e);
	case OPT_PIDS:
		if (units_count(value, &a->pids) && a->pids <= 4194304)
			return 0;
		return bad_value(opt, value, "1 to 4194304", e);
	case OPT_ENV:
		return take_env(a, value, e);
	case OPT_EVENTS:
		a->events = value;
		return 0;
	case OPT_ROOT:
		free(a->root);
		a->root = NULL;
		return dir_resolve(opt->name, value, &a->root, e);
	case OPT_BACKEND:
		a->backend = value;
		return 0;
	case OPT_STDIN:
		a->in = true;
		return 0;
	case OPT_TTY:
		a->tty = true;
		return 0;
	default:
		a->print_spec = true;
		return 0;
	}
}

/* Under a document these stand in it, or nowhere. */
static int check_document(const struct run_args *a, struct err *e)
{
	const struct {
		bool given;
		const char *opt, *member;
	} rows[] = {
		{ a->n_dirs > 0, a->n_dirs && a->dirs[0].rw ? "rw" : "ro",
		  "set spec.authority.filesystem.mounts in it" },
		{ a->n_allow > 0, "allow",
		  "set spec.authority.egressRules in it" },
		{ a->timeout_ms > 0, "timeout",
		  "set spec.run.timeoutMs in it" },
		{ a->memory > 0, "memory",
		  "set spec.run.limits.memoryMaxBytes in it" },
		{ a->cpu_quota > 0, "cpus",
		  "set spec.run.limits.cpuMax in it" },
		{ a->n_env > 0, "env",
		  "its command gets PATH and spec.authority.secretRefs only" },
		{ a->print_spec, "print-spec", "it is there to be read" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].given)
			return err_set(e, ERR_PLAIN, 0,
				       "--%s does not go with a document: %s",
				       rows[i].opt, rows[i].member);
	if (a->in && strcmp(a->spec_path, "-") == 0)
		return err_set(e, ERR_PLAIN, 0,
			       "-i: standard input is the document; give the "
			       "document as a file");
	return 0;
}

int run_args_finish(struct run_args *a, int argc, char **argv, int rest,
		    struct err *e)
{
	a->argv = argv + rest;
	a->argc = rest < argc ? (size_t)(argc - rest) : 0;
	if (a->spec_path && a->argc)
		return err_set(e, ERR_PLAIN, 0,
			       "either a document or a command, but got \"%s\" "
			       "and \"%s\"",
			       a->spec_path, a->argv[0]);
	if (a->spec_path)
		return check_document(a, e);
	if (!a->argc)
		return err_set(e, ERR_PLAIN, 0,
			       "no document, and no command after --");
	return 0;
}

static struct slice name_of(const char *pair)
{
	return (struct slice){ pair, strcspn(pair, "=") };
}

static int by_name(const void *a, const void *b)
{
	return slice_cmp(name_of(*(char *const *)a),
			 name_of(*(char *const *)b));
}

static void put_pair(char **block, size_t *n, char *pair)
{
	for (size_t i = 0; i < *n; i++) {
		if (slice_eq(name_of(block[i]), name_of(pair))) {
			block[i] = pair;
			return;
		}
	}
	block[(*n)++] = pair;
}

char **run_args_env(const struct run_args *a)
{
	static char path[] = "PATH=/usr/bin:/bin:/usr/local/bin";
	static char home[] = "HOME=/tmp", term[] = "TERM=xterm";
	const char *ours = getenv("TERM");
	size_t term_size = ours ? strlen(ours) + sizeof("TERM=") : 0;
	size_t slots = a->n_env + 4, n = 0;
	char **block = calloc(1, slots * sizeof(*block) + term_size);

	if (!block)
		return NULL;
	put_pair(block, &n, path);
	put_pair(block, &n, home);
	if (a->tty && ours) {
		char *own = (char *)(block + slots);

		snprintf(own, term_size, "TERM=%s", ours);
		put_pair(block, &n, own);
	} else if (a->tty) {
		put_pair(block, &n, term);
	}
	for (size_t i = 0; i < a->n_env; i++)
		put_pair(block, &n, a->env[i]);
	qsort(block, n, sizeof(*block), by_name);
	return block;
}

void run_args_drop(struct run_args *a)
{
	for (size_t i = 0; i < a->n_dirs; i++)
		free(a->dirs[i].path);
	for (size_t i = 0; i < a->n_env; i++) {
		explicit_bzero(a->env[i], strlen(a->env[i]));
		free(a->env[i]);
	}
	free(a->root);
	memset(a, 0, sizeof(*a));
}
