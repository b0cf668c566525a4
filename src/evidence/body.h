/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the builders of event data share: members every event has, free text. */
#ifndef CELLOS_EVIDENCE_BODY_H
#define CELLOS_EVIDENCE_BODY_H

#include "evidence/event.h"
#include "wire/json_out.h"

/**
 * body_text() - a string value whose bytes may come from anywhere
 * Bytes that are not UTF-8 become U+FFFD, one each: an event that is not valid
 * JSON could not be verified by anybody.
 */
void body_text(struct json_out *j, const char *s);
/** body_ktext() - the same as a member; nothing if @s is NULL */
void body_ktext(struct json_out *j, const char *name, const char *s);
/** body_spec_id() - member specId; without a document it is the cell's id */
void body_spec_id(struct json_out *j, const struct event_run *r);
/** body_kslice_or_null() - a member; null if absent (p == NULL) */
void body_kslice_or_null(struct json_out *j, const char *name, struct slice s);
/** body_kslice_opt() - a member; nothing if absent */
void body_kslice_opt(struct json_out *j, const char *name, struct slice s);
/** body_correlation() - member correlation, whole; nothing without one */
void body_correlation(struct json_out *j, const struct event_run *r);

#endif
