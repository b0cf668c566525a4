/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the resolver remembers: answers, and names below wildcards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/dns_int.h"

static struct hostname name_of(const char *text)
{
	struct hostname h = { 0 };

	assert_int_equal(hostname_parse(slice_of(text), &h), 0);
	return h;
}

static struct hostname numbered(const char *format, unsigned n)
{
	char text[HOSTNAME_MAX + 1];

	(void)snprintf(text, sizeof(text), format, n);
	return name_of(text);
}

static struct dns_kept kept(const char *body, size_t n, uint64_t until)
{
	return (struct dns_kept){ .n_records = 1,
				  .until_ns = until,
				  .body = { body, n } };
}

/* -- answers -- */

static void finds_by_name_and_type(void **state)
{
	struct dns_cache *c = dns_cache_new();
	struct hostname a = name_of("a.example"), b = name_of("b.example");
	struct dns_kept one = kept("one", 3, 100), two = kept("two", 3, 100),
			three = kept("three", 5, 100);
	const struct dns_kept *k;

	(void)state;
	assert_null(dns_cache_find(c, &a, DNS_A, 1));
	dns_cache_put(c, &a, DNS_A, &one);
	assert_null(dns_cache_find(c, &a, DNS_AAAA, 1));
	assert_null(dns_cache_find(c, &b, DNS_A, 1));
	dns_cache_put(c, &a, DNS_AAAA, &two);
	k = dns_cache_find(c, &a, DNS_A, 1);
	assert_true(slice_is(k->body, "one"));
	assert_int_equal(k->n_records, 1);
	assert_true(slice_is(dns_cache_find(c, &a, DNS_AAAA, 1)->body, "two"));
	/* the last answer is the one */
	dns_cache_put(c, &a, DNS_A, &three);
	assert_true(slice_is(dns_cache_find(c, &a, DNS_A, 1)->body, "three"));
	dns_cache_free(&c);
	assert_null(c);
}

static void ends_when_it_says(void **state)
{
	struct dns_cache *c = dns_cache_new();
	struct hostname a = name_of("a.example");
	struct dns_kept k = kept("x", 1, 100), never = kept("x", 1, 0);

	(void)state;
	dns_cache_put(c, &a, DNS_A, &k);
	assert_non_null(dns_cache_find(c, &a, DNS_A, 99));
	assert_null(dns_cache_find(c, &a, DNS_A, 100));
	assert_null(dns_cache_find(c, &a, DNS_A, 99));
	/* what never was good also takes away what was */
	dns_cache_put(c, &a, DNS_A, &k);
	dns_cache_put(c, &a, DNS_A, &never);
	assert_null(dns_cache_find(c, &a, DNS_A, 0));
	dns_cache_free(&c);
}

static void the_one_used_longest_ago_goes(void **state)
{
	struct dns_cache *c = dns_cache_new();
	struct dns_kept k = kept("", 0, 100);
	struct hostname h, first = numbered("n%u.example", 0),
			   second = numbered("n%u.example", 1);

	(void)state;
	for (unsigned i = 0; i < DNS_CACHE_ENTRIES; i++) {
		h = numbered("n%u.example", i);
		dns_cache_put(c, &h, DNS_A, &k);
	}
	assert_non_null(dns_cache_find(c, &first, DNS_A, 1));
	h = name_of("more.example");
	dns_cache_put(c, &h, DNS_A, &k);
	assert_non_null(dns_cache_find(c, &h, DNS_A, 1));
	assert_non_null(dns_cache_find(c, &first, DNS_A, 1));
	assert_null(dns_cache_find(c, &second, DNS_A, 1));
	for (unsigned i = 2; i < DNS_CACHE_ENTRIES; i++) {
		h = numbered("n%u.example", i);
		assert_non_null(dns_cache_find(c, &h, DNS_A, 1));
	}
	dns_cache_free(&c);
}

static void bodies_have_a_bound(void **state)
{
	static char body[DNS_CACHE_BODY_MAX + 1];
	const unsigned fit = DNS_CACHE_BYTES / DNS_CACHE_BODY_MAX;
	struct dns_cache *c = dns_cache_new();
	struct dns_kept k = kept(body, DNS_CACHE_BODY_MAX, 100),
			longer = kept(body, DNS_CACHE_BODY_MAX + 1, 100);
	struct hostname h;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < fit + 10; i++) {
		h = numbered("n%u.example", i);
		dns_cache_put(c, &h, DNS_A, &k);
	}
	for (unsigned i = 0; i < fit + 10; i++) {
		h = numbered("n%u.example", i);
		n += dns_cache_find(c, &h, DNS_A, 1) != NULL;
	}
	assert_int_equal(n, fit);
	h = name_of("longer.example");
	dns_cache_put(c, &h, DNS_A, &longer);
	assert_null(dns_cache_find(c, &h, DNS_A, 1));
	dns_cache_free(&c);
}

/* Puts, finds and ends in any order; the answers are those of a plain table. */
static void as_a_plain_table(void **state)
{
	enum { NAMES = 64 };
	struct dns_cache *c = dns_cache_new();
	struct {
		struct hostname name;
		char body[8];
		uint64_t until;
	} plain[NAMES] = { 0 };
	uint32_t r = 1;

	(void)state;
	for (unsigned i = 0; i < NAMES; i++)
		plain[i].name = numbered("n%u.example", i);
	for (uint64_t now = 1; now < 50000; now++) {
		const struct dns_kept *k;
		unsigned i;

		r = r * 1664525 + 1013904223;
		i = r >> 16 & (NAMES - 1);
		if (r >> 24 & 1) {
			(void)snprintf(plain[i].body, sizeof(plain[i].body),
				       "%u", r >> 12);
			plain[i].until = now + (r >> 22 & 255);
			k = &(struct dns_kept){ .since_ns = now,
						.until_ns = plain[i].until,
						.body = slice_of(
							plain[i].body) };
			dns_cache_put(c, &plain[i].name, DNS_A, k);
			continue;
		}
		k = dns_cache_find(c, &plain[i].name, DNS_A, now);
		assert_int_equal(k != NULL, plain[i].until > now);
		if (k)
			assert_true(slice_is(k->body, plain[i].body));
	}
	dns_cache_free(&c);
}

/* -- names below wildcards -- */

static struct gate_policy *wildcards(uint32_t labels)
{
	struct gate_policy *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->wildcard_labels = labels;
	strcpy(p->names[0], "api.example");
	strcpy(p->names[1], "*.cdn.example");
	strcpy(p->names[2], "*.img.example");
	p->n_names = 3;
	return p;
}

static bool take(struct dns_budget *b, const struct gate_policy *p, size_t i,
		 const char *text)
{
	struct hostname h = name_of(text);

	return dns_budget_take(b, p, i, &h);
}

static void distinct_names_count_once(void **state)
{
	struct dns_budget *b = dns_budget_new();
	struct gate_policy *p = wildcards(2);

	(void)state;
	assert_true(take(b, p, 1, "a.cdn.example"));
	assert_true(take(b, p, 1, "a.cdn.example"));
	assert_true(take(b, p, 1, "b.cdn.example"));
	assert_false(take(b, p, 1, "c.cdn.example"));
	/* those that were asked for stay */
	assert_true(take(b, p, 1, "a.cdn.example"));
	assert_true(take(b, p, 1, "b.cdn.example"));
	assert_false(take(b, p, 1, "c.cdn.example"));
	/* each entry has its own */
	assert_true(take(b, p, 2, "a.img.example"));
	assert_true(take(b, p, 2, "b.img.example"));
	assert_false(take(b, p, 2, "c.img.example"));
	/* a name that is spelled out tells nothing */
	for (int i = 0; i < 9; i++)
		assert_true(take(b, p, 0, "api.example"));
	assert_false(take(b, p, GATE_NAMES_MAX, "api.example"));
	p->wildcard_labels = 0;
	assert_false(take(b, p, 1, "d.cdn.example"));
	free(p);
	dns_budget_free(&b);
}

static void bytes_count_too(void **state)
{
	struct dns_budget *b = dns_budget_new();
	struct gate_policy *p = wildcards(10);
	char format[80];
	unsigned n = 0;
	struct hostname h;

	(void)state;
	/* two labels of 63, and the dot between them */
	memset(format, 'x', 61);
	strcpy(format + 61, "%02u.cdn.example");
	for (unsigned i = 0; i < 10; i++) {
		char text[HOSTNAME_MAX + 1], label[80];

		(void)snprintf(label, sizeof(label), format, i);
		(void)snprintf(text, sizeof(text), "%.64s%s", label, label);
		h = name_of(text);
		n += dns_budget_take(b, p, 1, &h);
	}
	assert_int_equal(n, 10 * DNS_BUDGET_NAME_BYTES / 127);
	/* a short one still has its place */
	assert_true(take(b, p, 1, "a.cdn.example"));
	free(p);
	dns_budget_free(&b);
}

static void all_entries_have_a_bound(void **state)
{
	struct dns_budget *b = dns_budget_new();
	struct gate_policy *p = wildcards(UINT32_MAX);
	struct hostname h;

	(void)state;
	for (unsigned i = 0; i < DNS_BUDGET_NAMES; i++) {
		h = numbered("n%u.cdn.example", i);
		assert_true(dns_budget_take(b, p, 1, &h));
	}
	assert_false(take(b, p, 1, "more.cdn.example"));
	assert_false(take(b, p, 2, "more.img.example"));
	for (unsigned i = 0; i < DNS_BUDGET_NAMES; i++) {
		h = numbered("n%u.cdn.example", i);
		assert_true(dns_budget_take(b, p, 1, &h));
	}
	free(p);
	dns_budget_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_by_name_and_type),
		cmocka_unit_test(ends_when_it_says),
		cmocka_unit_test(the_one_used_longest_ago_goes),
		cmocka_unit_test(bodies_have_a_bound),
		cmocka_unit_test(as_a_plain_table),
		cmocka_unit_test(distinct_names_count_once),
		cmocka_unit_test(bytes_count_too),
		cmocka_unit_test(all_entries_have_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
