/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The tables of verbs and options, and the way from argv[1] to a verb. */
#include "cli/verb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"
#include "cli/config.h"
#include "cli/help.h"

/* What shapes a cell: `run` and `plan` take the same. */
#define SHAPE_OPTIONS                                                         \
	{ OPT_RW,                                                             \
	  0,                                                                  \
	  "rw",                                                               \
	  "DIR",                                                              \
	  COMPLETE_DIR,                                                       \
	  "show this directory in the cell, writable, at the same path; the " \
	  "first one is where the command starts; may be repeated" },         \
		{ OPT_RO,                                                     \
		  0,                                                          \
		  "ro",                                                       \
		  "DIR",                                                      \
		  COMPLETE_DIR,                                               \
		  "show this directory in the cell, read-only; may be "       \
		  "repeated" },                                               \
		{ OPT_ALLOW,                                                  \
		  0,                                                          \
		  "allow",                                                    \
		  "HOST:PORT[/PROTO]",                                        \
		  COMPLETE_NONE,                                              \
		  "let the cell reach this name (*.name: all below it), "     \
		  "address or network; PROTO is tls, https, http, tcp or "    \
		  "udp (default by port); may be repeated" },                 \
		{ OPT_TIMEOUT,                                                \
		  0,                                                          \
		  "timeout",                                                  \
		  "TIME",                                                     \
		  COMPLETE_NONE,                                              \
		  "end the cell after this time, e.g. 90s, 10m, 2h, 250ms "   \
		  "(default "                                                 \
		  "24h)" },                                                   \
		{ OPT_MEMORY,	 0,                                           \
		  "memory",	 "SIZE",                                      \
		  COMPLETE_NONE, "memory limit of the cell, e.g. 512M, 2G" }, \
		{ OPT_CPUS,	 0,                                           \
		  "cpus",	 "NUMBER",                                    \
		  COMPLETE_NONE, "processor time in CPUs, e.g. 1.5" },        \
		{ OPT_PIDS,                                                   \
		  0,                                                          \
		  "pids",                                                     \
		  "N",                                                        \
		  COMPLETE_NONE,                                              \
		  "most processes and threads in the cell (default 1024)" },  \
		{ OPT_ENV,                                                    \
		  0,                                                          \
		  "env",                                                      \
		  "NAME[=VALUE]",                                             \
		  COMPLETE_NONE,                                              \
		  "set a variable in the cell, or pass ours on; may be "      \
		  "repeated" },                                               \
		{ OPT_ROOT,                                                   \
		  0,                                                          \
		  "root",                                                     \
		  "DIR",                                                      \
		  COMPLETE_DIR,                                               \
		  "take the cell's read-only system from this directory "     \
		  "instead of "                                               \
		  "the host's" },                                             \
		{ OPT_BACKEND,                                                \
		  0,                                                          \
		  "backend",                                                  \
		  "WALL",                                                     \
		  COMPLETE_WALL,                                              \
		  "what stands between the command and this host: host "      \
		  "(namespaces and filters), gvisor (a kernel in user space " \
		  "besides), qemu or firecracker (a machine besides); "       \
		  "default host, or CELLOS_CELL_BACKEND" },                   \
		{ OPT_STDIN,                                                  \
		  'i',                                                        \
		  NULL,                                                       \
		  NULL,                                                       \
		  COMPLETE_NONE,                                              \
		  "pass standard input to the command (otherwise it is "      \
		  "empty)" },                                                 \
	{                                                                     \
		OPT_TTY, 't', NULL, NULL, COMPLETE_NONE,                      \
			"give the command a terminal of its own"              \
	}

static const struct verb_opt run_opts[] = {
	SHAPE_OPTIONS,
	{ OPT_EVENTS, 0, "events", "FILE", COMPLETE_FILE,
	  "append the events to this file instead of one in the state "
	  "directory" },
	{ OPT_PRINT_SPEC, 0, "print-spec", NULL, COMPLETE_NONE,
	  "print the document that the options make, and run nothing" },
};

static const struct verb_opt plan_opts[] = { SHAPE_OPTIONS };

static const struct verb_opt verify_opts[] = {
	{ OPT_KEYS, 0, "keys", "FILE", COMPLETE_FILE,
	  "public keys, a JSON object of kid to base64url (default: this "
	  "user's own)" },
	{ OPT_HMAC_KEYS, 0, "hmac-keys", "FILE", COMPLETE_FILE,
	  "secret keys of the same form, for events signed with HMAC" },
	{ OPT_EXPECT, 0, "expect", "N", COMPLETE_NONE,
	  "the file must hold at least this many runs" },
	{ OPT_JSON, 0, "json", NULL, COMPLETE_NONE,
	  "one JSON object instead of lines" },
};

static const struct verb_opt keygen_opts[] = {
	{ OPT_OUT, 0, "out", "DIR", COMPLETE_DIR,
	  "where the key files go (default: the state directory, where \"run\" "
	  "finds them)" },
};

static const struct verb_opt image_opts[] = {
	{ OPT_KERNEL, 0, "kernel", "PATH", COMPLETE_FILE,
	  "a Debian kernel package (linux-image-*.deb), or a directory with "
	  "its boot/ and lib/modules/ (default: /)" },
	{ OPT_ROOT, 0, "root", "DIR", COMPLETE_DIR,
	  "make the root of this directory instead of the host's programs" },
	{ OPT_OCI, 0, "oci", "DIR[:REF]", COMPLETE_DIR,
	  "make the root of an image in this OCI image layout; REF is the "
	  "name it has there (default: the only one)" },
	{ OPT_OUT, 0, "out", "DIR", COMPLETE_DIR,
	  "a directory to make for it (default: images/NAME in the state "
	  "directory, where \"run\" finds it)" },
};

static const struct verb_opt json_opts[] = {
	{ OPT_JSON, 0, "json", NULL, COMPLETE_NONE, "JSON instead of a table" },
};

static const struct verb_opt doctor_opts[] = {
	{ OPT_BACKEND, 0, "backend", "WALL", COMPLETE_WALL,
	  "the wall to try: host, gvisor, qemu or firecracker; default host, "
	  "or CELLOS_CELL_BACKEND" },
	{ OPT_JSON, 0, "json", NULL, COMPLETE_NONE, "JSON instead of a table" },
};

static const struct verb_opt kill_opts[] = {
	{ OPT_SIGNAL, 0, "signal", "TERM|KILL", COMPLETE_SIGNAL,
	  "TERM ends the cell in good order; KILL ends its runner, and the "
	  "cell with it, at once (default TERM)" },
};

#define OPTS(table) .opts = (table), .n_opts = ARRAY_SIZE(table)

const struct verb verbs[] = {
	{ .name = "run",
	  .synopsis = "[OPTION]... SPEC\n[OPTION]... -- COMMAND [ARGUMENT]...",
	  .summary = "run a document, or a command, in a cell of its own",
	  .run = verb_run,
	  OPTS(run_opts),
	  .operand = COMPLETE_FILE,
	  .usage_exit = EXIT_RUN_FAILED },
	{ .name = "validate",
	  .synopsis = "[SPEC|-]",
	  .summary = "check a document without running it",
	  .run = verb_validate,
	  .operand = COMPLETE_FILE },
	{ .name = "plan",
	  .synopsis = "[OPTION]... SPEC\n[OPTION]... -- COMMAND [ARGUMENT]...",
	  .summary = "print the steps \"run\" would take on this host",
	  .run = verb_plan,
	  OPTS(plan_opts),
	  .operand = COMPLETE_FILE },
	{ .name = "verify",
	  .synopsis = "[OPTION]... FILE",
	  .summary = "check a file of events: every signature, nothing "
		     "missing, nothing added",
	  .run = verb_verify,
	  OPTS(verify_opts),
	  .operand = COMPLETE_FILE },
	{ .name = "keygen",
	  .synopsis = "[OPTION]...",
	  .summary = "make the key pair that signs events",
	  .run = verb_keygen,
	  OPTS(keygen_opts) },
	{ .name = "image",
	  .synopsis = "build [OPTION]... [NAME]",
	  .summary = "make what a machine boots: kernel, init, root, signed",
	  .run = verb_image,
	  OPTS(image_opts) },
	{ .name = "ps",
	  .synopsis = "[OPTION]...",
	  .summary = "list the running cells of this user",
	  .run = verb_ps,
	  OPTS(json_opts) },
	{ .name = "kill",
	  .synopsis = "[OPTION]... RUN",
	  .summary = "end a running cell, named by the start of its run UUID",
	  .run = verb_kill,
	  OPTS(kill_opts) },
	{ .name = "gc",
	  .synopsis = "[OPTION]...",
	  .summary = "clear what killed runners left, and report it",
	  .run = verb_gc,
	  OPTS(json_opts) },
	{ .name = "doctor",
	  .synopsis = "[OPTION]...",
	  .summary = "say whether a full cell works here, and what is missing",
	  .run = verb_doctor,
	  OPTS(doctor_opts) },
	{ .name = "completion",
	  .synopsis = "bash|zsh|fish",
	  .summary = "print a completion script for a shell",
	  .run = verb_completion,
	  .operand = COMPLETE_SHELL },
	{ .name = "version",
	  .synopsis = "",
	  .summary = "print the version",
	  .run = verb_version },
	{ .name = "help",
	  .synopsis = "[VERB]",
	  .summary = "explain a verb, or list them",
	  .run = verb_help,
	  .operand = COMPLETE_VERB },
};
const size_t verb_count = ARRAY_SIZE(verbs);

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < verb_count; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int unknown_verb(const char *word)
{
	const char *best = NULL;

	for (size_t i = 0; i < verb_count; i++)
		best = help_nearer(word, best, verbs[i].name);
	fputs("cellos: unknown verb \"", stderr);
	utf8_print(stderr, word);
	fputs("\"", stderr);
	if (best)
		fprintf(stderr, "; did you mean \"%s\"?", best);
	fputs("\nTry \"cellos help\".\n", stderr);
	return EXIT_USAGE;
}

int verb_version(int argc, char **argv)
{
	enum verb_parsed p =
		verb_parse("version", argc, argv, verb_no_options, NULL, NULL);

	if (p != VERB_GO)
		return p == VERB_HELP ? EXIT_FINE : EXIT_USAGE;
	puts("cellos " CELLOS_VERSION);
	return EXIT_FINE;
}

static int take_topic(void *ctx, const struct verb_opt *opt, const char *value,
		      struct err *e)
{
	const char **topic = ctx;

	if (opt || *topic)
		return verb_no_options(ctx, opt, value, e);
	*topic = value;
	return 0;
}

int verb_help(int argc, char **argv)
{
	const char *topic = NULL;
	const struct verb *v;
	enum verb_parsed p =
		verb_parse("help", argc, argv, take_topic, &topic, NULL);

	if (p != VERB_GO)
		return p == VERB_HELP ? EXIT_FINE : EXIT_USAGE;
	if (!topic) {
		help_all(stdout);
		return EXIT_FINE;
	}
	v = verb_find(topic);
	if (!v)
		return unknown_verb(topic);
	help_verb(stdout, v);
	return EXIT_FINE;
}

/* Output that did not reach its file is a failure like any other. */
static int flushed(const struct verb *v, int status)
{
	struct err e;

	if (output_flush(&e) == 0)
		return status;
	err_print(stderr, &e);
	if (status != EXIT_FINE)
		return status;
	if (v->run == verb_run)
		return EXIT_RUN_FAILED;
	/* of which 1 says that the file was falsified */
	return v->run == verb_verify ? EXIT_USAGE : EXIT_FAILED;
}

int verb_main(int argc, char **argv)
{
	const struct verb *v;

	/* the operator log is for the other face, unless it is asked for */
	if (getenv("RUST_LOG"))
		log_setup();
	else
		log_init(LOG_ERROR, false);
	if (argc < 2) {
		help_all(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		v = verb_find("help");
	else if (strcmp(argv[1], "--version") == 0 ||
		 strcmp(argv[1], "-V") == 0)
		v = verb_find("version");
	else
		v = verb_find(argv[1]);
	if (!v)
		return unknown_verb(argv[1]);
	if (argv[1][0] == '-')
		return flushed(v, v->run(1, argv + 1));
	return flushed(v, v->run(argc - 1, argv + 1));
}
