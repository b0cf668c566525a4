/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* From the words of `run` or `plan` to a request that may be carried out. */
#include "cli/run_setup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "cli/admit.h"
#include "cli/env.h"
#include "cli/reach.h"
#include "cli/run_spec.h"
#include "cli/signing.h"
#include "cli/wall.h"
#include "evidence/keyring.h"

int run_setup_text(const struct run_args *a, const char *uuid, struct wbuf *b,
		   struct err *e)
{
	char id[32];

	snprintf(id, sizeof(id), "run-%.8s", uuid);
	return run_spec_build(a, id, b, e);
}

int run_setup_document(const char *path, struct document *d, struct err *e)
{
	if (document_load(path, d, e) == 0 &&
	    admit_unknown(&d->spec, true, e) == 0)
		return 0;
	/* every message names the file */
	if (!strstr(e->text, path))
		(void)err_wrap(e, "%s", path);
	return -1;
}

static int load_document(const struct run_args *a, struct run_setup *s,
			 struct err *e)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(LIMIT_SPEC_FILE);

	if (a->spec_path)
		return run_setup_document(a->spec_path, &s->doc, e);
	if (run_setup_text(a, s->uuid, &text, e))
		return -1;
	return document_from_text(wbuf_as_slice(&text), &s->doc, e);
}

static int admit(struct run_setup *s, struct err *e)
{
	const struct spec *spec = &s->doc.spec;

	if (admit_gates(spec, e) ||
	    admit_members(spec, env_text("CELLOS_BROKER"), e) ||
	    admit_full(spec, e))
		return -1;
	return admit_variables(e);
}

static int fill_request(const struct run_args *a, struct run_setup *s,
			struct err *e)
{
	static char path[] = "PATH=/usr/bin:/bin:/usr/local/bin";
	static char *const bare[] = { path, NULL };

	s->req.spec = &s->doc.spec;
	s->req.run_uuid = s->uuid;
	s->req.limits = &s->cfg.limits;
	if (config_request(&s->cfg, &s->req, e))
		return -1;
	if (!a->spec_path) {
		s->envp = run_args_env(a);
		if (!s->envp)
			return err_set(e, ERR_PLAIN, ENOMEM, "environment");
	}
	if (s->door)
		s->req.door = &s->door->door;
	s->req.envp = s->envp ? s->envp : bare;
	s->req.image_root = a->root;
	if (a->pids) {
		s->req.pids_max = a->pids;
		s->req.pids_asked = true;
	}
	s->req.in = a->tty  ? CELL_STDIN_PTY
		    : a->in ? CELL_STDIN_PASS
			    : CELL_STDIN_NULL;
	return 0;
}

int run_setup(const struct run_args *a, struct run_setup *s, struct err *e)
{
	bool portable = false;
	int r = uuid_v4(s->uuid);

	if (r)
		return err_set(e, ERR_PLAIN, -r, "make a run UUID");
	if (load_document(a, s, e) || admit(s, e))
		return -1;
	if (config_load(false, &s->cfg, e) || state_dirs_find(&s->dirs, e))
		return -1;
	if (door_setup_load(&s->doc.spec, POLICY_CELLOS, &s->cfg.limits,
			    &s->door, e))
		return -1;
	s->backend = wall_choose(a->backend, &portable, e);
	if (!s->backend || fill_request(a, s, e))
		return -1;
	wall_request(s->backend, &s->dirs, &s->req);
	return 0;
}

int run_setup_reach(const struct run_setup *s, const char *journal,
		    struct err *e)
{
	const struct reach r = { .spec = &s->doc.spec,
				 .dirs = &s->dirs,
				 .image_root = s->req.image_root,
				 .journal = journal };

	return reach_check(&r, e);
}

int run_setup_signer(const struct state_dirs *d, struct signer **ret,
		     struct err *e)
{
	OWNED(signing_drop) struct signing k = { .alg = SIGNER_NONE };

	if (signing_from_env(&k, e))
		return -1;
	if (k.alg != SIGNER_NONE)
		return signer_start(k.alg, k.kid, k.key, k.key_len, ret, e);
	return run_setup_state_signer(d, ret, e);
}

int run_setup_state_signer(const struct state_dirs *d, struct signer **ret,
			   struct err *e)
{
	OWNED(keyring_pair_drop) struct keyring_pair own = { 0 };

	if (signing_state_key(d, &own, e))
		return -1;
	return signer_start(SIGNER_ED25519, own.kid, own.seed, sizeof(own.seed),
			    ret, e);
}

void run_setup_drop(struct run_setup *s)
{
	document_drop(&s->doc);
	config_drop(&s->cfg);
	door_setup_drop(&s->door);
	free(s->envp);
	s->envp = NULL;
}
