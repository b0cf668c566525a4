/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The network namespace of a cell: lo, and nothing else. */
#ifndef CELLOS_SYS_NETNS_H
#define CELLOS_SYS_NETNS_H

#include "base/attr.h"

/** netns_lo_up() - bring lo up in this thread's network namespace */
int netns_lo_up(void) MUST_USE;
/** netns_count_links() - links in this namespace, lo included; or -errno */
int netns_count_links(void) MUST_USE;

#endif
