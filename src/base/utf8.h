/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which bytes are UTF-8 (RFC 3629). */
#ifndef CELLOS_BASE_UTF8_H
#define CELLOS_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/**
 * utf8_len() - the well-formed sequence at the start of some bytes
 * @p:    no byte past @left is read
 * @left: at least 1
 *
 * Return: 1 to 4; 0 if there is none: overlong forms, surrogates, more than
 * U+10FFFF and cut sequences are malformed (Unicode 3.9, table 3-7)
 */
size_t utf8_len(const char *p, size_t left);
/** utf8_is_text() - is all of a NUL-terminated string well-formed? */
bool utf8_is_text(const char *s);

#endif
