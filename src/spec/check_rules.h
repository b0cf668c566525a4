/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the parts of spec_check() share: grammars, and how a rule fails. */
#ifndef CELLOS_SPEC_CHECK_RULES_H
#define CELLOS_SPEC_CHECK_RULES_H

#include <stdbool.h>

#include "spec/spec.h"

/** rule_is_portable() - [A-Za-z0-9][A-Za-z0-9._-]{0,127} without ".." */
bool rule_is_portable(struct slice s);
/** rule_portable() - 0, or -1 with "<field> must match ..." in @e
 *  @at: pointer, whose "%zu", if it has one, is @index */
int rule_portable(struct slice s, const char *field, const char *at,
		  size_t index, struct err *e) MUST_USE;
/** rule_same_host() - equal but for ASCII case */
bool rule_same_host(struct slice a, struct slice b);

/** check_dns() - rules 25 to 28 */
int check_dns(const struct spec *s, struct err *e) MUST_USE;
/** check_export() - rules 30 and 31 */
int check_export(const struct spec *s, struct err *e) MUST_USE;
/** check_telemetry() - rules 32 to 34 */
int check_telemetry(const struct spec *s, struct err *e) MUST_USE;

#endif
