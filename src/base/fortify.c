/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Linked to musl only. The archives that Debian ships are compiled with
 * _FORTIFY_SOURCE, which turns calls into checked ones that only the GNU C
 * library has. This is the one they need.
 */
#include <stdlib.h>
#include <string.h>

void __explicit_bzero_chk(void *p, size_t n, size_t room);

void __explicit_bzero_chk(void *p, size_t n, size_t room)
{
	if (n > room)
		abort();
	explicit_bzero(p, n);
}
