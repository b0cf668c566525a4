/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The one form of a host name that a decision, a dial and a log may use:
 * lower-case LDH labels. Whatever is not one has no form at all: no name with
 * NUL, %00, '/', '@', white space or an empty label can reach a policy, and an
 * address in any spelling (1.2.3.4, 2130706433, 0x7f.1, [::1]) is not a name.
 */
#ifndef CELLOS_WIRE_HOSTNAME_H
#define CELLOS_WIRE_HOSTNAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

enum {
	HOSTNAME_MAX = 253, /* RFC 1035 2.3.4, without the root's dot */
	HOSTNAME_LABEL_MAX = 63
};

struct hostname {
	uint8_t len;
	char text[HOSTNAME_MAX + 1]; /* NUL-terminated, zeros behind */
};

/**
 * hostname_parse() - bytes from anywhere to the canonical form
 * @s: one dot at the end, the absolute spelling, is dropped
 *
 * Return: 0, or -EINVAL with @ret_h untouched
 */
int hostname_parse(struct slice s, struct hostname *ret_h) MUST_USE;

/**
 * hostname_parse_service() - the same for what is only asked of DNS
 * @s: any label may start with "_" (RFC 8552): _sip._tcp.example.com
 *
 * Such a name is resolved, never dialled: it is nothing SNI or Host may show.
 */
int hostname_parse_service(struct slice s, struct hostname *ret_h) MUST_USE;

static inline struct slice hostname_slice(const struct hostname *h)
{
	return (struct slice){ h->text, h->len };
}

/** hostname_eq() - the same name; both are in the one form already */
static inline bool hostname_eq(const struct hostname *a,
			       const struct hostname *b)
{
	return slice_eq(hostname_slice(a), hostname_slice(b));
}

/** hostname_is_label() - a DNS label, either case */
bool hostname_is_label(struct slice s);
/** hostname_is_pattern() - an entry of hostnameAllowlist of a document */
bool hostname_is_pattern(struct slice s);
/**
 * hostname_matches() - does an entry of an allowlist name this host?
 * @pattern: any text. "*.rest" takes one or more labels, never the apex
 */
bool hostname_matches(const struct hostname *h, struct slice pattern);

#endif
