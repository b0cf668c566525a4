/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Host names with non-ASCII letters to their xn-- form (RFC 3492). */
#ifndef CELLOS_WIRE_PUNYCODE_H
#define CELLOS_WIRE_PUNYCODE_H

#include "base/attr.h"
#include "base/slice.h"

/**
 * punycode_host() - lower-case a host and encode its non-ASCII labels
 * @s:   UTF-8
 * @out: receives up to @max bytes, no NUL
 *
 * Knows the letters whose mapping is plain lower case or nothing: Latin-1,
 * Greek and Cyrillic, kana, Han, Hangul. Anything else is an error rather
 * than a guess.
 *
 * Return: length, or -1
 */
int punycode_host(struct slice s, char *out, size_t max) MUST_USE;

#endif
