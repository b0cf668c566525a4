/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * From the words of `run` or `plan` to a request: document made or read,
 * admitted by the strict rules of `cellos`, switches and limits in place.
 */
#ifndef CELLOS_CLI_RUN_SETUP_H
#define CELLOS_CLI_RUN_SETUP_H

#include "backend/backend.h"
#include "base/uuid.h"
#include "cell/state.h"
#include "cli/config.h"
#include "cli/document.h"
#include "cli/door_setup.h"
#include "cli/run_args.h"
#include "evidence/signer.h"

struct run_setup {
	char uuid[UUID_TEXT_SIZE];
	struct document doc;
	struct config cfg;
	struct state_dirs dirs;
	char **envp; /* owned block, or NULL under a document */
	struct cell_request req;
	const struct backend *backend;
	struct door_setup *door; /* NULL: nothing is let out */
};

/** run_setup_text() - the document the options make; also for --print-spec
 *  @uuid: of the run, gives spec.id */
int run_setup_text(const struct run_args *a, const char *uuid, struct wbuf *b,
		   struct err *e) MUST_USE;

/** run_setup_document() - read, parse and check a file or "-", and refuse
 *  members nobody knows; the message names the file */
int run_setup_document(const char *path, struct document *d,
		       struct err *e) MUST_USE;

/** run_setup() - @s: release with run_setup_drop(), also after failure */
int run_setup(const struct run_args *a, struct run_setup *s,
	      struct err *e) MUST_USE;

/**
 * run_setup_reach() - refuse a cell that could reach its own evidence
 * @journal: absolute path of the journal, or NULL
 *
 * See cli/reach.h.
 */
int run_setup_reach(const struct run_setup *s, const char *journal,
		    struct err *e) MUST_USE;

/** run_setup_signer() - start it with the key of CELLOS_EVENT_SIGNING, else
 *  with the state directory's own, which is made at first use */
int run_setup_signer(const struct state_dirs *d, struct signer **ret,
		     struct err *e) MUST_USE;
/** run_setup_state_signer() - always with the key of the state directory */
int run_setup_state_signer(const struct state_dirs *d, struct signer **ret,
			   struct err *e) MUST_USE;

void run_setup_drop(struct run_setup *s);

#endif
