/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Names as they stand in messages. */
#include <errno.h>

#include "base/ascii.h"
#include "wire/dns_wire.h"

enum {
	LABEL_MAX = HOSTNAME_LABEL_MAX,
	POINTER = 0xc0,
	/* as many as a name can have labels */
	POINTERS_MAX = DNS_NAME_MAX / 2
};

static bool put_label(struct dns_name *n, struct slice label)
{
	if (label.n >= sizeof(n->b) - n->n)
		return false;
	n->b[n->n++] = (char)label.n;
	memcpy(n->b + n->n, label.p, label.n);
	n->n = (uint8_t)(n->n + label.n);
	return true;
}

bool dns_name_take(struct slice msg, size_t *at, struct dns_name *ret)
{
	size_t start = *at, end = 0, jumps = 0;
	uint32_t len, low;
	struct slice c, label;

	ret->n = 0;
	if (start > msg.n)
		return false;
	c = (struct slice){ msg.p + start, msg.n - start };
	for (;;) {
		if (!cursor_uint(&c, 1, &len))
			return false;
		if (len >= POINTER) {
			if (!cursor_uint(&c, 1, &low))
				return false;
			if (!end)
				end = (size_t)(c.p - msg.p);
			len = (len & ~(unsigned)POINTER) << 8 | low;
			if (len < DNS_HEADER || len >= start ||
			    ++jumps > POINTERS_MAX)
				return false;
			start = len;
			c = (struct slice){ msg.p + start, msg.n - start };
			continue;
		}
		if (len > LABEL_MAX || !cursor_take(&c, len, &label) ||
		    !put_label(ret, label))
			return false;
		if (len == 0)
			break;
	}
	*at = end ? end : (size_t)(c.p - msg.p);
	return true;
}

/* A length is never a letter, so the labels end at the same bytes. */
bool dns_name_equal(const struct dns_name *a, const struct dns_name *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (ascii_lower(a->b[i]) != ascii_lower(b->b[i]))
			return false;
	return true;
}

void dns_name_of(const struct hostname *h, struct dns_name *ret)
{
	size_t at = 0;

	ret->n = 0;
	while (at < h->len) {
		size_t n = strcspn(h->text + at, ".");

		(void)put_label(ret, (struct slice){ h->text + at, n });
		at += n + 1;
	}
	(void)put_label(ret, SLICE_LIT(""));
}

int dns_name_host(const struct dns_name *n, struct hostname *ret)
{
	struct slice c = dns_name_slice(n), label;
	char text[DNS_NAME_MAX];
	size_t len = 0;

	while (cursor_vector(&c, 1, &label) && label.n) {
		/* a dot inside a label spells another name */
		if (memchr(label.p, '.', label.n))
			return -EINVAL;
		memcpy(text + len, label.p, label.n);
		len += label.n;
		text[len++] = '.';
	}
	return hostname_parse_service((struct slice){ text, len }, ret);
}
