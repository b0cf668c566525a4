/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Whether a document may run here: switches of the operator, members nobody
 * knows, and what this build cannot do. All before anything starts.
 */
#ifndef CELLOS_CLI_ADMIT_H
#define CELLOS_CLI_ADMIT_H

#include "spec/spec.h"

/** admit_gates() - derivation, telemetry, Kubernetes namespace, in order */
int admit_gates(const struct spec *s, struct err *e) MUST_USE;

/**
 * admit_unknown() - members the schema does not know
 * @strict: the first is an error; else each is a warning in the log
 */
int admit_unknown(const struct spec *s, bool strict, struct err *e) MUST_USE;

/** admit_members() - refuse members of the document this build cannot honour,
 *  by JSON pointer
 *  @broker: word of CELLOS_BROKER, NULL = unset */
int admit_members(const struct spec *s, const char *broker,
		  struct err *e) MUST_USE;
/** admit_variables() - refuse variables this build cannot honour, by name;
 *  log those it ignores */
int admit_variables(struct err *e) MUST_USE;
/** admit_full() - what only a full cell refuses: grace over 120 s, secrets
 *  that would replace PATH or steer the loader */
int admit_full(const struct spec *s, struct err *e) MUST_USE;

#endif
