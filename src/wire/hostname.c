/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Canonical host names and the patterns that match them. */
#include "wire/hostname.h"

#include <errno.h>

#include "base/ascii.h"

bool hostname_is_label(struct slice s)
{
	if (s.n == 0 || s.n > HOSTNAME_LABEL_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	return s.p[0] != '-' && s.p[s.n - 1] != '-';
}

/* Cuts the first label off; a dot at the very end leaves an empty label. */
static bool next_label(struct slice *s, bool *more, struct slice *ret_label)
{
	size_t n = 0;

	if (!*more)
		return false;
	while (n < s->n && s->p[n] != '.')
		n++;
	*ret_label = (struct slice){ s->p, n };
	*more = n < s->n;
	n += *more;
	*s = (struct slice){ s->p + n, s->n - n };
	return true;
}

static bool is_all_digits(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_digit(s.p[i]))
			return false;
	return s.n > 0;
}

/*
 * Resolvers and browsers read a name that ends in a number as an IPv4 address
 * (inet_aton, WHATWG "ends in a number").
 */
static bool is_number(struct slice s)
{
	if (is_all_digits(s))
		return true;
	if (s.n < 2 || s.p[0] != '0' || ascii_lower(s.p[1]) != 'x')
		return false;
	for (size_t i = 2; i < s.n; i++)
		if (ascii_hex(s.p[i]) < 0)
			return false;
	return true;
}

static int parse(struct slice s, bool services, struct hostname *ret_h)
{
	struct hostname h = { 0 };
	struct slice rest, label = { NULL, 0 };
	bool more = true;

	if (s.n && s.p[s.n - 1] == '.')
		s.n--;
	if (s.n == 0 || s.n > HOSTNAME_MAX)
		return -EINVAL;
	rest = s;
	/* each turn takes a label and its dot */
	while (next_label(&rest, &more, &label)) {
		struct slice l = label;

		if (services && l.n > 1 && l.n <= HOSTNAME_LABEL_MAX &&
		    l.p[0] == '_')
			l.p++, l.n--;
		if (!hostname_is_label(l))
			return -EINVAL;
	}
	if (is_number(label))
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++)
		h.text[i] = ascii_lower(s.p[i]);
	h.len = (uint8_t)s.n;
	*ret_h = h;
	return 0;
}

int hostname_parse(struct slice s, struct hostname *ret_h)
{
	return parse(s, false, ret_h);
}

int hostname_parse_service(struct slice s, struct hostname *ret_h)
{
	return parse(s, true, ret_h);
}

bool hostname_is_pattern(struct slice s)
{
	struct slice label;
	bool more = true, all_digits = true;
	size_t labels = 0;

	if (s.n == 0 || s.n > HOSTNAME_MAX)
		return false;
	for (; next_label(&s, &more, &label); labels++) {
		bool is_star = labels == 0 && slice_is(label, "*");

		if (!is_star && !hostname_is_label(label))
			return false;
		all_digits = all_digits && is_all_digits(label);
	}
	return labels >= 2 && !all_digits;
}

static bool equal_lower(const char *a, struct slice b)
{
	for (size_t i = 0; i < b.n; i++)
		if (a[i] != ascii_lower(b.p[i]))
			return false;
	return true;
}

bool hostname_matches(const struct hostname *h, struct slice pattern)
{
	if (h->len == 0)
		return false;
	if (pattern.n < 2 || pattern.p[0] != '*' || pattern.p[1] != '.')
		return h->len == pattern.n && equal_lower(h->text, pattern);
	/* the dot is part of the suffix: "evil-cdn.x" is not below "cdn.x" */
	pattern = (struct slice){ pattern.p + 1, pattern.n - 1 };
	return h->len > pattern.n &&
	       equal_lower(h->text + (h->len - pattern.n), pattern);
}
