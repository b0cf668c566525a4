/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * FNV-1a, 64 bits, for small tables with a bound: it has no key, so whoever
 * chooses the bytes can make them collide.
 */
#ifndef CELLOS_BASE_FNV_H
#define CELLOS_BASE_FNV_H

#include <stddef.h>
#include <stdint.h>

static const uint64_t FNV_START = 0xcbf29ce484222325;

/** fnv_mix() - @n bytes more
 *  @h: FNV_START, or what the bytes before made of it */
static inline uint64_t fnv_mix(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * 0x100000001b3;
	return h;
}

#endif
