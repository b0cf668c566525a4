/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Capabilities of this thread, by the raw calls: no library in a cell. */
#ifndef CELLOS_SYS_CAPS_H
#define CELLOS_SYS_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

/** caps_drop_bounding() - empty the bounding and ambient sets; needs
 *  CAP_SETPCAP. Return: 0 or -errno */
int caps_drop_bounding(void) MUST_USE;
/** caps_keep_bounding() - all but these, by CAP_* */
int caps_keep_bounding(uint64_t mask) MUST_USE;
/** caps_set() - permitted = effective = @mask, inheritable empty
 *  @mask: bit n is capability n */
int caps_set(uint64_t mask) MUST_USE;
/** caps_are_none() - effective, permitted, inheritable all empty */
bool caps_are_none(void);

#endif
