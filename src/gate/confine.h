/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the gate gives up before it reads the first byte of a cell. */
#ifndef CELLOS_GATE_CONFINE_H
#define CELLOS_GATE_CONFINE_H

#include <sys/types.h>

#include "base/attr.h"

/** gate_limits() - as many descriptors as there are, no process, no file; the
 *  tables are sized by it. 0 or -errno */
int gate_limits(void) MUST_USE;
/**
 * gate_confine() - an empty read-only root, another user, no capability, no
 * new privileges, not dumpable, few calls
 * @uid, @gid: whom to become; 0: started without privilege, which stays who it
 *             is in a user namespace of its own
 * @ret_what: what failed, a static string
 *
 * The network namespace stays: it is where the gate dials. Return: 0 or -errno
 */
int gate_confine(uid_t uid, gid_t gid, const char **ret_what) MUST_USE;

#endif
