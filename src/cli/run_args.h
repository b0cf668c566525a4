/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What was asked of `run` or `plan` on the command line, as a value. */
#ifndef CELLOS_CLI_RUN_ARGS_H
#define CELLOS_CLI_RUN_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"
#include "cli/verb.h"

enum { RUN_ARGS_ENV_MAX = 1024, RUN_ARGS_ALLOW_MAX = 128 };

struct run_dir {
	char *path; /* absolute, no links left; owned */
	bool rw;
};

/* An egress rule as given: HOST:PORT[/PROTO]. */
struct run_allow {
	struct slice host; /* borrowed; without brackets */
	uint16_t port;
	const char *protocol; /* NULL: none was given */
};

struct run_args {
	const char *verb;      /* "run" or "plan": for messages */
	const char *spec_path; /* NULL: a command; "-": standard input */
	char *const *argv;     /* the command, borrowed; argc words */
	size_t argc;
	struct run_dir dirs[LIMIT_MOUNTS];
	size_t n_dirs;
	struct run_allow allow[RUN_ARGS_ALLOW_MAX];
	size_t n_allow;
	char *env[RUN_ARGS_ENV_MAX + 1]; /* "NAME=value", owned; as given */
	size_t n_env;
	uint64_t timeout_ms, memory, cpu_quota, pids; /* 0 = not given */
	const char *events;
	const char *backend; /* NULL: not given */
	char *root;	     /* as dirs */
	bool in, tty, print_spec;
};

/** run_args_take() - one option or operand, for verb_parse() */
int run_args_take(void *ctx, const struct verb_opt *opt, const char *value,
		  struct err *e);

/**
 * run_args_finish() - the command words, then what only shows at the end: a
 * document and options that contradict it, neither document nor command
 */
int run_args_finish(struct run_args *a, int argc, char **argv, int rest,
		    struct err *e) MUST_USE;

/** run_args_env() - environment of a command without a document
 *
 * PATH, HOME, with a terminal TERM, and what --env says; the last one of a
 * name wins; sorted by name.
 *
 * Return: NULL-terminated, one block to free(); NULL without memory
 */
char **run_args_env(const struct run_args *a) MUST_USE;

void run_args_drop(struct run_args *a);

#endif
