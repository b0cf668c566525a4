/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the host's resolver says of a name, within a bound. */
#ifndef CELLOS_CLI_RESOLVE_H
#define CELLOS_CLI_RESOLVE_H

#include <stddef.h>

#include "base/slice.h"
#include "wire/ip.h"

/**
 * resolve_host() - the addresses of a rule's host
 * @host: NUL-terminated, as every text of a document. An address is its own,
 *        and nobody is asked; nor of a network, which has none.
 * @max:  at most 24 are taken
 *
 * The C library's resolver has no bound, and does not hear a signal: it runs
 * in a process of its own, which is ended after 3 seconds, or when a signal
 * that stops a run is pending.
 *
 * Return: how many; 0 also if it failed or was ended
 */
size_t resolve_host(struct slice host, struct ip_addr *ret, size_t max);

#endif
