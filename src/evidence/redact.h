/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Members an operator does not want in events: replaced before signing. */
#ifndef CELLOS_EVIDENCE_REDACT_H
#define CELLOS_EVIDENCE_REDACT_H

#include "base/err.h"
#include "base/slice.h"
#include "base/wbuf.h"
#include "evidence/event.h"

#define REDACTED_TEXT "[redacted]"

/** redact_is_on() - does @list (CELLOS_REDACT_EVENT_FIELDS) name anything? */
bool redact_is_on(const char *list);
/**
 * redact_data() - replace, at any depth, the values of the members @list names
 * (comma list; "defaults" stands for argv, path, reason): an array becomes
 * ["[redacted]"], an object {}, anything else "[redacted]"
 * @t: a link stays as it is; our own types keep what says whose they are
 */
int redact_data(const char *list, enum event_type t, struct slice data,
		struct wbuf *ret, struct err *e) MUST_USE;

#endif
