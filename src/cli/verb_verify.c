/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `cellos verify`: a journal against nothing but itself and public keys. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/utf8.h"
#include "cell/state.h"
#include "cli/units.h"
#include "cli/verb.h"
#include "evidence/keyring.h"
#include "evidence/verify.h"
#include "wire/json_out.h"

/* A journal is read whole; 64 MiB a run by default, runs may share a file. */
static const size_t FILE_MAX = (size_t)4 << 30;
enum { KEYS_MAX = 1024 * 1024 };

struct verify_args {
	const char *file, *keys, *hmac_keys;
	uint64_t expect;
	bool json;
};

static int take(void *ctx, const struct verb_opt *opt, const char *value,
		struct err *e)
{
	struct verify_args *a = ctx;

	if (!opt) {
		if (a->file)
			return err_set(e, ERR_PLAIN, 0,
				       "one file at a time, but got \"%s\" and "
				       "\"%s\"",
				       a->file, value);
		a->file = value;
		return 0;
	}
	if (opt->id == OPT_KEYS)
		a->keys = value;
	else if (opt->id == OPT_HMAC_KEYS)
		a->hmac_keys = value;
	else if (opt->id == OPT_JSON)
		a->json = true;
	else if (!units_count(value, &a->expect))
		return err_set(e, ERR_PLAIN, 0,
			       "--expect \"%s\": want a number of runs, 1 or "
			       "more",
			       value);
	return 0;
}

static int read_whole(const char *path, struct wbuf *b, struct err *e)
{
	int r = file_read_stream(path, 0, b);

	return r ? err_set(e, ERR_PLAIN, -r, "read %s", path) : 0;
}

static int add_keys(struct verify_keys *k, const char *path, bool is_hmac,
		    struct err *e)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(KEYS_MAX);

	if (read_whole(path, &text, e) ||
	    verify_keys_add(k, wbuf_as_slice(&text), is_hmac, e)) {
		if (!strstr(e->text, path))
			(void)err_wrap(e, "%s", path);
		return -1;
	}
	return 0;
}

/* Without --keys: this user's own key, if there is one. */
static int load_keys(const struct verify_args *a, struct verify_keys *k,
		     struct err *e)
{
	struct state_dirs dirs;
	char own[sizeof(dirs.state) + sizeof(KEYRING_PUBLIC_NAME) + 1];

	if (a->hmac_keys && add_keys(k, a->hmac_keys, true, e))
		return -1;
	if (a->keys)
		return add_keys(k, a->keys, false, e);
	if (state_dirs_find(&dirs, e))
		return a->hmac_keys ? 0 : -1; /* they may be all it takes */
	snprintf(own, sizeof(own), "%s/" KEYRING_PUBLIC_NAME, dirs.state);
	if (access(own, F_OK) < 0)
		return 0;
	/* who writes there would say whom to believe */
	if (state_dir_check(dirs.state, e))
		return -1;
	return add_keys(k, own, false, e);
}

static const char *verdict_text(int status)
{
	static const char *const texts[] = {
		"complete and intact",
		"FALSIFIED",
		"cannot be judged: a key is unknown (--keys, --hmac-keys)",
		"intact, but unfinished",
		"complete, but not signed",
	};

	return texts[status];
}

static uint64_t count_events(const struct verify_result *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->n_runs; i++)
		n += r->runs[i].events;
	return n;
}

static void print_finding(const char *file, const struct verify_finding *f)
{
	const struct verify_finding_info *info = &verify_findings[f->kind];

	utf8_print(stdout, file);
	if (f->line)
		printf(":%llu", (unsigned long long)f->line);
	printf(": %s: %s", info->word, info->text);
	if (f->detail[0]) {
		fputs(": ", stdout);
		utf8_print(stdout, f->detail);
	}
	if (f->run_uuid[0])
		printf(" (run %s", f->run_uuid);
	if (f->run_uuid[0] && f->event)
		printf(", event %llu", (unsigned long long)f->event);
	puts(f->run_uuid[0] ? ")" : "");
}

static void print_lines(const char *file, const struct verify_result *r,
			int status)
{
	for (size_t i = 0; i < r->n_findings; i++)
		print_finding(file, &r->findings[i]);
	utf8_print(stdout, file);
	printf(": %zu run%s, %llu events: %s\n", r->n_runs,
	       r->n_runs == 1 ? "" : "s", (unsigned long long)count_events(r),
	       verdict_text(status));
}

static void put_findings(struct json_out *j, const struct verify_result *r)
{
	json_out_key(j, "findings");
	json_out_array(j);
	for (size_t i = 0; i < r->n_findings; i++) {
		const struct verify_finding *f = &r->findings[i];

		json_out_object(j);
		json_out_kstr(j, "detail", f->detail);
		json_out_ku64(j, "event", f->event);
		json_out_ku64(j, "line", f->line);
		json_out_kstr(j, "runUuid", f->run_uuid);
		json_out_kstr(j, "what", verify_findings[f->kind].word);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void put_runs(struct json_out *j, const struct verify_result *r)
{
	json_out_key(j, "runs");
	json_out_array(j);
	for (size_t i = 0; i < r->n_runs; i++) {
		const struct verify_run *run = &r->runs[i];

		json_out_object(j);
		json_out_kstr(j, "cellId", run->cell_id);
		json_out_kbool(j, "closed", run->closed);
		json_out_ku64(j, "events", run->events);
		json_out_kstr(j, "runId", run->run_id);
		json_out_kstr(j, "runUuid", run->run_uuid);
		json_out_kbool(j, "signed", run->is_signed);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static int print_json(const char *file, const struct verify_result *r,
		      int status, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT((size_t)1 << 30);
	struct json_out j;

	json_out_init(&j, &b, true);
	json_out_object(&j);
	json_out_ku64(&j, "exit", (uint64_t)status);
	json_out_kstr(&j, "file", file);
	put_findings(&j, r);
	put_runs(&j, r);
	json_out_kstr(&j, "verdict", verdict_text(status));
	json_out_end(&j, '}');
	wbuf_byte(&b, '\n');
	if (b.failed)
		return err_set(e, ERR_PLAIN, ENOMEM, "write the report");
	fwrite(b.p, 1, b.len, stdout);
	return 0;
}

static int judge(const struct verify_args *a, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(FILE_MAX);
	OWNED(verify_keys_free) struct verify_keys *k = verify_keys_new();
	OWNED(verify_result_drop) struct verify_result r = { 0 };
	int status;

	if (!k)
		return err_set(e, ERR_PLAIN, ENOMEM, "keys");
	if (load_keys(a, k, e) || read_whole(a->file, &text, e) ||
	    verify_bytes(wbuf_as_slice(&text), k, a->expect, &r, e))
		return -1;
	status = verify_exit(&r);
	if (a->json && print_json(a->file, &r, status, e))
		return -1;
	if (!a->json)
		print_lines(a->file, &r, status);
	return status;
}

int verb_verify(int argc, char **argv)
{
	struct verify_args a = { 0 };
	struct err e = { 0 };
	enum verb_parsed p = verb_parse("verify", argc, argv, take, &a, NULL);
	int status;

	if (p != VERB_GO)
		return p == VERB_HELP ? EXIT_FINE : EXIT_USAGE;
	if (!a.file)
		return verb_usage("verify", "no file");
	status = judge(&a, &e);
	return status < 0 ? verb_fail(&e, EXIT_USAGE) : status;
}
