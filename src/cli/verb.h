/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The verbs of `cellos` and their options, as tables: the parser, --help, the
 * completions and the checks of the man page all read the same rows.
 */
#ifndef CELLOS_CLI_VERB_H
#define CELLOS_CLI_VERB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

/* What a verb exits with unless its page says otherwise (decisions of
 * `verify` are its own). */
enum verb_exit {
	EXIT_FINE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_RUN_TIMEOUT = 124, /* `run`: the deadline ended the cell */
	EXIT_RUN_FAILED = 125,	/* `run`: our failure, not the workload's */
	EXIT_RUN_NOEXEC = 126,	/* `run`: the command cannot be executed */
	EXIT_RUN_NOENT = 127	/* `run`: the command was not found */
};

/* What completion offers for the value of an option or for an operand. */
enum verb_complete {
	COMPLETE_NONE,
	COMPLETE_FILE,
	COMPLETE_DIR,
	COMPLETE_VERB,
	COMPLETE_SHELL,
	COMPLETE_SIGNAL,
	COMPLETE_WALL
};

struct verb_opt {
	int id;		  /* the verb's own enum */
	char letter;	  /* 0 = no short form */
	const char *name; /* without the dashes; NULL = no long form */
	const char *arg;  /* placeholder of its value; NULL = a flag */
	enum verb_complete complete;
	const char *doc; /* one sentence without a full stop */
};

struct verb {
	const char *name;
	const char *synopsis; /* operands and the like, after the name */
	const char *summary;  /* one line */
	/* argv[0] is the verb's name. Return: the exit status. */
	int (*run)(int argc, char **argv);
	const struct verb_opt *opts;
	size_t n_opts;
	enum verb_complete operand;
	int usage_exit; /* 0 = EXIT_USAGE */
};

extern const struct verb verbs[];
extern const size_t verb_count;

/** verb_main() - everything `cellos` does: argv[1] names the verb */
int verb_main(int argc, char **argv);

/** verb_find() - NULL if there is none of that name */
const struct verb *verb_find(const char *name);

enum verb_parsed { VERB_GO, VERB_HELP, VERB_USAGE };

/**
 * verb_parse() - walk the options and operands of one verb
 * @on:  called in order; @opt is NULL for an operand. -1 with @e: a usage
 *       error, printed here. The value of an option is never empty.
 * @ret_rest: index of the first word after `--`, or @argc. NULL: the verb
 *       takes no such words, and they are operands.
 *
 * `--help` and `-h` before `--` win over everything: the help is printed and
 * @on is never called. Prints what is wrong on stderr.
 *
 * Return: VERB_GO, VERB_HELP (exit 0) or VERB_USAGE (exit v->usage_exit)
 */
enum verb_parsed verb_parse(const char *verb, int argc, char **argv,
			    int (*on)(void *ctx, const struct verb_opt *opt,
				      const char *value, struct err *e),
			    void *ctx, int *ret_rest) MUST_USE;

/** verb_usage() - print "cellos VERB: text" and where help is; for rules that
 *  only show when all options are known. Return: the usage exit status */
int verb_usage(const char *verb, const char *fmt, ...) PRINTF(2, 3);
/** verb_fail() - print @e in the program's form. Return: @status */
int verb_fail(const struct err *e, int status);

/** verb_no_options() - the handler of a verb without options and operands */
int verb_no_options(void *ctx, const struct verb_opt *opt, const char *value,
		    struct err *e);

int verb_run(int argc, char **argv);
int verb_validate(int argc, char **argv);
int verb_plan(int argc, char **argv);
int verb_verify(int argc, char **argv);
int verb_keygen(int argc, char **argv);
int verb_image(int argc, char **argv);
int verb_ps(int argc, char **argv);
int verb_kill(int argc, char **argv);
int verb_gc(int argc, char **argv);
int verb_doctor(int argc, char **argv);
int verb_completion(int argc, char **argv);
int verb_version(int argc, char **argv);
int verb_help(int argc, char **argv);

/* Ids of the options, all verbs. */
enum verb_opt_id {
	OPT_RW = 1,
	OPT_RO,
	OPT_ALLOW,
	OPT_TIMEOUT,
	OPT_MEMORY,
	OPT_CPUS,
	OPT_PIDS,
	OPT_ENV,
	OPT_EVENTS,
	OPT_ROOT,
	OPT_BACKEND,
	OPT_STDIN,
	OPT_TTY,
	OPT_PRINT_SPEC,
	OPT_KEYS,
	OPT_HMAC_KEYS,
	OPT_EXPECT,
	OPT_JSON,
	OPT_OUT,
	OPT_SIGNAL,
	OPT_KERNEL,
	OPT_OCI
};

#endif
