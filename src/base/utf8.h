/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which bytes are UTF-8 (RFC 3629), and which of them a terminal may get. */
#ifndef CELLOS_BASE_UTF8_H
#define CELLOS_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

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

enum { UTF8_SHOWN = 16 };

/**
 * utf8_show() - one character as people may be shown it
 * @p:     text from outside; no byte past @left is read
 * @left:  at least 1
 * @shown: receives, NUL-terminated, the character itself, or \n \r \t \0, or
 *         \u{hex} for what cannot be printed: controls, format characters,
 *         spaces other than ' ', private use, a byte that is not UTF-8
 *
 * Return: how many bytes of @p that was
 */
size_t utf8_show(const char *p, size_t left, char shown[UTF8_SHOWN]);
/** utf8_print() - a NUL-terminated string, each character by utf8_show() */
void utf8_print(FILE *f, const char *s);

#endif
