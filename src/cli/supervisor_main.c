/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `cellos-supervisor`: one document, one cell, exit status 0 or 1. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cell/state.h"
#include "cli/admit.h"
#include "cli/config.h"
#include "cli/document.h"
#include "cli/env.h"
#include "cli/gc_report.h"
#include "cli/help.h"
#include "cli/reach.h"
#include "cli/lifecycle.h"
#include "cli/signing.h"
#include "cli/supervisor.h"
#include "cli/wall.h"

#define DEFAULT_PATH "contracts/examples/execution-cell-minimal.valid.json"

static const char usage[] =
	"usage: cellos-supervisor [PATH | -]\n"
	"       cellos-supervisor --validate [PATH | -]\n"
	"       cellos-supervisor --version | --help\n"
	"\n"
	"Run the cell of one document (JSON). Without PATH:\n"
	"  " DEFAULT_PATH "\n"
	"Exit status: 0 if everything went well, 1 otherwise.\n"
	"\n"
	"Environment:\n";

/* One row of --help: the name, then what it does and its default */
static void help_row(struct env_info v, const char *dflt)
{
	(void)printf("  %s\n      %s", v.name, v.doc);
	if (dflt[0])
		(void)printf(" [%s]", dflt);
	if (v.status != ENV_ACTIVE)
		(void)printf(" (%s)", env_status_word(v.status));
	(void)putchar('\n');
}

static int print_help(struct err *e)
{
	(void)fputs(usage, stdout);
	for (size_t i = 0; i < env_count(); i++) {
		struct env_info v = env_info(i);
		char n[32] = "";

		if (!v.dflt)
			(void)snprintf(n, sizeof(n), "%llu",
				       (unsigned long long)
					       limit_table[i - (env_count() -
								LIMIT_NUM)]
						       .dflt);
		help_row(v, v.dflt ? v.dflt : n);
	}
	return output_flush(e);
}

static int validate(const char *path, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(64 * LIMIT_SPEC_FILE);
	OWNED(document_drop) struct document d = { 0 };
	int r;

	if (document_load(path, &d, e) < 0 || admit_gates(&d.spec, e) < 0 ||
	    admit_unknown(&d.spec, env_truthy("CELLOS_STRICT_CONFIG"), e) < 0)
		return -1;
	validate_summary(&d, path, &b);
	if (b.failed)
		return err_set(e, ERR_PLAIN, 0, "summary is too long");
	r = fd_write_all(STDOUT_FILENO, b.p, b.len);
	return r < 0 ? err_set(e, ERR_PLAIN, -r, "write summary") : 0;
}

/* Nothing has been started or opened for writing yet */
static int admit(const struct spec *s, const struct config *c, struct err *e)
{
	if (admit_gates(s, e) < 0 || admit_unknown(s, c->strict, e) < 0 ||
	    admit_members(s, env_text("CELLOS_BROKER"), e) < 0 ||
	    admit_variables(e) < 0)
		return -1;
	if (!c->portable && admit_full(s, e) < 0)
		return -1;
	return config_strict(c, e);
}

static void on_settled(void *arg, const struct cell_request *req)
{
	(void)arg;
	if (wall_warning(req))
		log_line(LOG_WARN, "cellos.supervisor.host", "%s",
			 wall_warning(req));
}

static int run_cell(const struct document *d, struct config *c,
		    const struct backend *wall, struct signer *signer,
		    struct err *e)
{
	static char path_var[] = "PATH=/usr/bin:/bin:/usr/local/bin";
	char *const envp[] = { path_var, NULL };
	static struct lifecycle_result res; /* left to the end */
	OWNED(door_setup_drop) struct door_setup *door = NULL;
	struct state_dirs dirs;
	struct reach reach;
	struct lifecycle_config lc = {
		.backend = wall,
		.request = { .spec = &d->spec, .envp = envp },
		.raw_hash = d->raw_hash,
		.run_id = c->run_id,
		.journal_path = env_path("CELL_OS_JSONL_EVENTS"),
		.signer = signer,
		.dirs = &dirs,
		.tap = { .settled = on_settled },
	};

	if (config_request(c, &lc.request, e) < 0 ||
	    state_dirs_find(&dirs, e) < 0)
		return -1;
	wall_request(wall, &dirs, &lc.request);
	reach = (struct reach){ .spec = &d->spec,
				.dirs = &dirs,
				.journal = lc.journal_path };
	if (!lc.request.portable && reach_check(&reach, e))
		return -1;
	if (door_setup_load(&d->spec,
			    c->portable ? POLICY_PORTABLE : POLICY_SUPERVISOR,
			    &c->limits, &door, e))
		return -1;
	lc.door = door;
	gc_at_start(&dirs);
	config_lifecycle(c, &lc);
	log_line(LOG_INFO, "cellos.supervisor.host",
		 "host backend selected backend_kind=\"%s\"",
		 backend_name(lc.backend));
	return lifecycle_run(&lc, &res, e);
}

static int run(const char *path, bool portable, struct err *e)
{
	OWNED(document_drop) struct document d = { 0 };
	OWNED(signer_stop) struct signer *signer = NULL;
	OWNED(config_drop) struct config c = { 0 };
	const struct backend *wall;
	OWNED(signing_drop) struct signing sign;

	/* first of all: from here on no process of ours can inherit the key */
	if (signing_from_env(&sign, e) < 0)
		return -1;
	if (document_load(path, &d, e) < 0)
		return -1;
	wall = wall_choose(NULL, &portable, e);
	if (!wall || config_load(portable, &c, e) < 0 ||
	    admit(&d.spec, &c, e) < 0 ||
	    signer_start(sign.alg, sign.kid, sign.key, sign.key_len, &signer,
			 e) < 0)
		return -1;
	signing_drop(&sign);
	return run_cell(&d, &c, wall, signer, e);
}

static int secret(int argc, char **argv, struct err *e)
{
	if (argc == 4 && strcmp(argv[2], "get") == 0)
		return err_set(e, ERR_PLAIN, 0,
			       "secret get <KEY> is not supported by this "
			       "build: there is no runtime secret socket; use "
			       "\"secretDelivery\":\"env\"");
	return err_set(e, ERR_PLAIN, 0,
		       "usage: cellos-supervisor secret get <KEY>");
}

static int dispatch(int argc, char **argv, bool portable, struct err *e)
{
	const char *first = argc > 1 ? argv[1] : DEFAULT_PATH;

	if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
		(void)puts("cellos-supervisor 0.5.1");
		return output_flush(e);
	}
	if (strcmp(first, "secret") == 0)
		return secret(argc, argv, e);
	if (strcmp(first, "--validate") == 0)
		return validate(argc > 2 ? argv[2] : DEFAULT_PATH, e);
	return run(first, portable, e);
}

int supervisor_main(int argc, char **argv)
{
	bool portable = false;
	struct err e = { 0 };
	int r;

	if (argc > 1 &&
	    (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		r = print_help(&e);
	} else {
		log_setup();
		r = profile_enter(&portable, &e);
		if (!r)
			r = dispatch(argc, argv, portable, &e);
	}
	if (!r)
		return 0;
	err_print(stderr, &e);
	return 1;
}
