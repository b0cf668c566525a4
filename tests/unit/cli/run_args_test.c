/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Unit test of the command line of `run`: which words are taken, which are
 * refused and with what text, and the exact document they make.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/run_args.h"
#include "cli/reach.h"
#include "cli/run_spec.h"

static char dir_a[64], dir_b[64], link_a[64];

static int make_dirs(void **state)
{
	char base[] = "/tmp/run_args.XXXXXX";

	(void)state;
	if (!mkdtemp(base))
		return -1;
	snprintf(dir_a, sizeof(dir_a), "%s/a", base);
	snprintf(dir_b, sizeof(dir_b), "%s/b", base);
	snprintf(link_a, sizeof(link_a), "%s/to-a", base);
	return mkdir(dir_a, 0700) || mkdir(dir_b, 0700) || symlink("a", link_a);
}

static int drop_dirs(void **state)
{
	char base[64];

	(void)state;
	(void)unlink(link_a);
	(void)rmdir(dir_a);
	(void)rmdir(dir_b);
	snprintf(base, sizeof(base), "%s", dir_a);
	*strrchr(base, '/') = '\0';
	return rmdir(base);
}

/* Walks the words as verb_run() does; 0, or -1 with the text in @e. */
static int take(struct run_args *a, char **words, struct err *e)
{
	int argc = 0, rest;

	*a = (struct run_args){ .verb = "run" };
	*e = (struct err){ 0 };
	while (words[argc])
		argc++;
	if (verb_parse("run", argc, words, run_args_take, a, &rest) != VERB_GO)
		return -1;
	return run_args_finish(a, argc, words, rest, e);
}

#define WORDS(...) ((char *[]){ "run", __VA_ARGS__, NULL })

static void document_of_everything(void **state)
{
	struct run_args a;
	struct err e;
	struct wbuf b = WBUF_INIT(4096);
	char want[1024];

	(void)state;
	assert_int_equal(
		take(&a,
		     WORDS("--ro", dir_b, "--rw", dir_a, "--timeout=10m",
			   "--memory", "512M", "--cpus", "1.5", "--", "sh",
			   "-c", "echo \"--rw\""),
		     &e),
		0);
	assert_int_equal(run_spec_build(&a, "run-0", &b, &e), 0);
	snprintf(
		want, sizeof(want),
		"{\"apiVersion\":\"cellos.io/v1\",\"kind\":\"ExecutionCell\","
		"\"spec\":{\"id\":\"run-0\",\"run\":{\"argv\":[\"sh\",\"-c\","
		"\"echo \\\"--rw\\\"\"],\"workingDirectory\":\"%s\","
		"\"timeoutMs\":600000,\"limits\":{\"memoryMaxBytes\":536870912,"
		"\"cpuMax\":{\"quotaMicros\":150000,\"periodMicros\":100000}},"
		"\"secretDelivery\":\"env\"},\"authority\":{\"filesystem\":{"
		"\"mounts\":[{\"path\":\"%s\",\"mode\":\"ro\"},{\"path\":\"%"
		"s\","
		"\"mode\":\"rw\"}]}},\"lifetime\":{\"ttlSeconds\":86400}}}",
		dir_a, dir_b, dir_a);
	assert_string_equal(wbuf_cstr(&b), want);
	wbuf_drop(&b);
	run_args_drop(&a);
}

static void smallest_document(void **state)
{
	struct run_args a;
	struct err e;
	struct wbuf b = WBUF_INIT(4096), pretty = WBUF_INIT(4096);

	(void)state;
	assert_int_equal(take(&a, WORDS("--", "true"), &e), 0);
	assert_int_equal(run_spec_build(&a, "run-0", &b, &e), 0);
	run_spec_pretty(wbuf_as_slice(&b), &pretty);
	assert_string_equal(wbuf_cstr(&pretty),
			    "{\n"
			    "  \"apiVersion\": \"cellos.io/v1\",\n"
			    "  \"kind\": \"ExecutionCell\",\n"
			    "  \"spec\": {\n"
			    "    \"id\": \"run-0\",\n"
			    "    \"run\": {\n"
			    "      \"argv\": [\n"
			    "        \"true\"\n"
			    "      ],\n"
			    "      \"workingDirectory\": \"/tmp\",\n"
			    "      \"secretDelivery\": \"env\"\n"
			    "    },\n"
			    "    \"authority\": {},\n"
			    "    \"lifetime\": {\n"
			    "      \"ttlSeconds\": 86400\n"
			    "    }\n"
			    "  }\n"
			    "}\n");
	wbuf_drop(&b);
	wbuf_drop(&pretty);
	run_args_drop(&a);
}

/* A timeout above a day stretches the lifetime that bounds it, rounded up. */
static void long_timeout(void **state)
{
	struct run_args a;
	struct err e;
	struct wbuf b = WBUF_INIT(4096);

	(void)state;
	assert_int_equal(
		take(&a, WORDS("--timeout", "86400001ms", "--", "x"), &e), 0);
	assert_int_equal(run_spec_build(&a, "i", &b, &e), 0);
	assert_non_null(strstr(wbuf_cstr(&b), "\"ttlSeconds\":86401}"));
	wbuf_drop(&b);
	run_args_drop(&a);
}

static void not_utf8(void **state)
{
	struct run_args a;
	struct err e;
	struct wbuf b = WBUF_INIT(4096);

	(void)state;
	assert_int_equal(take(&a, WORDS("--", "x", "\xff"), &e), 0);
	assert_int_equal(run_spec_build(&a, "i", &b, &e), -1);
	assert_string_equal(e.text, "word 1 of the command is not UTF-8 and "
				    "cannot stand in a document");
	wbuf_drop(&b);
	run_args_drop(&a);
}

/* Refused while the words are walked: the text goes to stderr. */
static void bad_words(void **state)
{
	char *const *rows[] = {
		WORDS("--memory", "0", "--", "x"),
		WORDS("--memory", "1MB", "--", "x"),
		WORDS("--cpus", "-1", "--", "x"),
		WORDS("--pids", "0", "--", "x"),
		WORDS("--pids", "4194305", "--", "x"),
		WORDS("--timeout", "1.5s", "--", "x"),
		WORDS("--rw", "/nonexistent/dir", "--", "x"),
		WORDS("--rw", "/", "--", "x"),
		WORDS("--rw", "/dev/null", "--", "x"),
		WORDS("--ro", dir_a, "--rw", dir_a, "--", "x"),
		/* a command may have planted it */
		WORDS("--rw", link_a, "--", "x"),
		WORDS("--env", "", "--", "x"),
		WORDS("--env", "=1", "--", "x"),
		WORDS("--env", "RUN_ARGS_TEST_IS_NOT_SET", "--", "x"),
		WORDS("--events", "", "--", "x"),
		WORDS("--timeout"),
		WORDS("--print-spec=yes", "--", "x"),
		WORDS("--no-such-thing", "--", "x"),
		WORDS("-x", "--", "x"),
		WORDS("one.json", "two.json"),
	};
	struct run_args a;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (take(&a, (char **)rows[i], &e) != -1 || e.text[0])
			fail_msg("row %zu was taken", i);
		run_args_drop(&a);
	}
}

/* Refused when all words are known. */
static void contradictions(void **state)
{
	const struct {
		char *const *words;
		const char *want;
	} rows[] = {
		{ WORDS("-i"), "no document, and no command after --" },
		{ WORDS("--"), "no document, and no command after --" },
		{ WORDS("d.json", "--", "true"),
		  "either a document or a command, but got \"d.json\" and "
		  "\"true\"" },
		{ WORDS("d.json", "--timeout", "1s"),
		  "--timeout does not go with a document: set "
		  "spec.run.timeoutMs in it" },
		{ WORDS("d.json", "--memory", "1G"),
		  "--memory does not go with a document: set "
		  "spec.run.limits.memoryMaxBytes in it" },
		{ WORDS("d.json", "--cpus", "1"),
		  "--cpus does not go with a document: set "
		  "spec.run.limits.cpuMax in it" },
		{ WORDS("d.json", "--ro", dir_a),
		  "--ro does not go with a document: set "
		  "spec.authority.filesystem.mounts in it" },
		{ WORDS("d.json", "--env", "A=1"),
		  "--env does not go with a document: its command gets PATH "
		  "and spec.authority.secretRefs only" },
		{ WORDS("-", "-i"),
		  "-i: standard input is the document; give the document as a "
		  "file" },
	};
	struct run_args a;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(take(&a, (char **)rows[i].words, &e), -1);
		assert_string_equal(e.text, rows[i].want);
		run_args_drop(&a);
	}
	assert_int_equal(take(&a,
			      WORDS("d.json", "-it", "--pids", "5", "--root",
				    dir_a, "--events=e"),
			      &e),
			 0);
	assert_true(a.in && a.tty);
	assert_int_equal(a.pids, 5);
	assert_string_equal(a.root, dir_a);
	assert_string_equal(a.events, "e");
	run_args_drop(&a);
}

static void environment(void **state)
{
	static const char *const want[] = { "A=2", "EMPTY=", "HOME=/h",
					    "PATH=/usr/bin:/bin:/usr/local/bin",
					    "TERM=dumb" };
	struct run_args a;
	struct err e;
	char **env;

	(void)state;
	setenv("TERM", "dumb", 1);
	setenv("HOME", "/h", 1);
	assert_int_equal(
		take(&a,
		     WORDS("-t", "--env", "A=1", "--env", "HOME", "--env",
			   "EMPTY=", "--env", "A=2", "--", "x"),
		     &e),
		0);
	env = run_args_env(&a);
	assert_non_null(env);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_string_equal(env[i], want[i]);
	assert_null(env[5]);
	free(env);
	run_args_drop(&a);

	assert_int_equal(take(&a, WORDS("--", "x"), &e), 0);
	env = run_args_env(&a);
	assert_non_null(env);
	assert_string_equal(env[0], "HOME=/tmp");
	assert_string_equal(env[1], "PATH=/usr/bin:/bin:/usr/local/bin");
	assert_null(env[2]);
	free(env);
	run_args_drop(&a);
}

static void covers(void **state)
{
	(void)state;
	assert_true(path_covers("/a", "/a"));
	assert_true(path_covers("/a", "/a/b"));
	assert_true(path_covers("/a/", "/a/b"));
	assert_true(path_covers("/", "/a"));
	assert_false(path_covers("/a", "/ab"));
	assert_false(path_covers("/a/b", "/a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(document_of_everything),
		cmocka_unit_test(smallest_document),
		cmocka_unit_test(long_timeout),
		cmocka_unit_test(not_utf8),
		cmocka_unit_test(bad_words),
		cmocka_unit_test(contradictions),
		cmocka_unit_test(environment),
		cmocka_unit_test(covers),
	};

	return cmocka_run_group_tests(tests, make_dirs, drop_dirs);
}
