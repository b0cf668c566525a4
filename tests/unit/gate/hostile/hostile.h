/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a hostile gate is told to do, in the policy's drain_ms. */
#ifndef CELLOS_TESTS_HOSTILE_H
#define CELLOS_TESTS_HOSTILE_H

#include "gate/message.h"

enum hostile {
	HOSTILE_NOT = 1,     /* ready, and at STOP its totals */
	HOSTILE_FORGES,	     /* a record of a rule that is not */
	HOSTILE_SHORT,	     /* a datagram of another size */
	HOSTILE_DESCRIPTORS, /* ten with each record */
	HOSTILE_ASKS,	     /* for sockets, before those asked for came */
	HOSTILE_DIES,
	HOSTILE_STAYS, /* never tells its totals */
	HOSTILE_SLOW   /* policy->pin_grace records at its end, one each
			* policy->idle_ms */
};

#endif
