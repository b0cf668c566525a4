/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The OCI bundle of a sandbox (OCI Runtime Specification 1.0.2). */
#ifndef CELLOS_CELL_OCI_H
#define CELLOS_CELL_OCI_H

#include "base/wbuf.h"
#include "cell/plan.h"

/* Where pid 1 puts what the runtime works on; in its own root */
#define OCI_ROOTFS  "/cell"
#define OCI_BUNDLE  "/bundle"
#define OCI_CHANNEL "/channel"
#define OCI_MOUNTS  "/mounts" /* declared trees, by plan_step.n */
#define OCI_STATE   "/state"
#define OCI_RUNTIME "/runsc"
#define OCI_CONSOLE "/state/console" /* a terminal's master comes there */
#define OCI_ID	    "cell"
#define OCI_TRIAL   OCI_BUNDLE "/trial"

/**
 * oci_config() - config.json: our pid 1 as the process, what the plan shows as
 * root and mounts, no capability for the command
 * @files: RLIMIT_NOFILE of the command
 */
void oci_config(const struct cell_request *req, const struct plan *p,
		uint64_t files, struct wbuf *out);
enum { OCI_TRIAL_EXIT = 125 }; /* of our pid 1 that is told nothing */
/** oci_trial_config() - the same root, and such a pid 1 */
void oci_trial_config(struct wbuf *out);

#endif
