/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * As much of the WHATWG URL syntax as an export base URL needs: which scheme,
 * host and port a client would really use. The path is not looked at.
 */
#ifndef CELLOS_WIRE_URL_H
#define CELLOS_WIRE_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

enum { URL_HOST_MAX = 255, URL_TEXT_MAX = 4096 };

struct url {
	char scheme[16]; /* lower case; "other" if longer */
	bool is_http;	 /* http or https; else nothing below is set */
	char host[URL_HOST_MAX + 1];  /* normalised; IPv6 in brackets */
	uint16_t port;		      /* the default one if none is given */
	bool has_query, has_fragment; /* empty ones too */
};

/**
 * url_parse() - parse an absolute URL
 * @s: outer controls and spaces, tabs and line ends are dropped, backslashes
 *     and missing slashes after the scheme are what a browser takes them for
 *
 * Return: 0, or -EINVAL if a browser would not take it (or if the host needs
 * Unicode mapping beyond plain lower case: write it in its xn-- form)
 */
int url_parse(struct slice s, struct url *ret_u) MUST_USE;

#endif
