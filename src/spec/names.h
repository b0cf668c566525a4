/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sorted views of a document's lists: a document of 4 MiB may hold a hundred
 * thousand names, and comparing each with each would take minutes.
 */
#ifndef CELLOS_SPEC_NAMES_H
#define CELLOS_SPEC_NAMES_H

#include <stdbool.h>

#include "spec/spec.h"

#define NAMES_NONE SIZE_MAX

struct name {
	struct slice s;
	size_t at;
};

struct names {
	struct name *p; /* by text, then by place; owned */
	size_t n;
};

/**
 * names_build() - index the slices at @first, @first + @stride, ...
 *
 * Return: 0, or -1 with @e; release with names_drop()
 */
int names_build(struct names *n, const struct slice *first, size_t count,
		size_t stride, struct err *e) MUST_USE;
void names_drop(struct names *n);
/** names_find() - the first place of that text, or NAMES_NONE */
size_t names_find(const struct names *n, struct slice s);

struct egress_index {
	const struct spec_egress_rule **p; /* owned */
	size_t n;
};

int egress_build(struct egress_index *x, const struct spec_egress_rules *r,
		 struct err *e) MUST_USE;
void egress_drop(struct egress_index *x);
/** egress_has_rule() - host in any case, port and protocol exactly */
bool egress_has_rule(const struct egress_index *x,
		     const struct spec_egress_rule *r);
/** egress_has_host() - host in any case, and port */
bool egress_has_host(const struct egress_index *x, struct slice host,
		     uint16_t port);

#endif
