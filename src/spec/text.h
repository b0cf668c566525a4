/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Foreign text inside messages: the quoted form of messages, and UTF-8. */
#ifndef CELLOS_SPEC_TEXT_H
#define CELLOS_SPEC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum { TEXT_QUOTED = 320 }; /* a message holds two values and a rule */

/**
 * text_next() - one code point of valid UTF-8
 * @s: not empty; advanced by one to four bytes
 */
uint32_t text_next(struct slice *s);
/** text_is_space() - Unicode White_Space */
bool text_is_space(uint32_t c);
/**
 * text_quote() - "..." with \" \\ \n \r \t \0 and \u{hex}; cut to the buffer
 *
 * Return: @buf
 */
const char *text_quote(char buf[TEXT_QUOTED], struct slice s);
/** text_bare() - the same without the quotes around it */
const char *text_bare(char buf[TEXT_QUOTED], struct slice s);
/** text_char() - '.', for a code point below 2^16 */
const char *text_char(char buf[16], uint32_t c);

#endif
