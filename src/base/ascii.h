/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Classes of ASCII characters, whatever the locale; bytes over 0x7f are none.
 */
#ifndef CELLOS_BASE_ASCII_H
#define CELLOS_BASE_ASCII_H

#include <stdbool.h>

static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool ascii_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool ascii_is_alnum(char c)
{
	return ascii_is_digit(c) || ascii_is_alpha(c);
}

/* isspace(3) in the C locale */
static inline bool ascii_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Value of a hexadecimal digit of either case, -1 if it is none */
static inline int ascii_hex(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The lower-case hexadecimal digit of the low four bits */
static inline char ascii_hex_digit(unsigned v)
{
	return "0123456789abcdef"[v & 15];
}

#endif
