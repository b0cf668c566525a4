/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which name led where, for how long, and what makes room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "gate/pin.h"

#define S UINT64_C(1000000000)

enum { GRACE = 300 };

static struct hostname name_of(const char *text)
{
	struct hostname h;

	assert_int_equal(hostname_parse_service(slice_of(text), &h), 0);
	return h;
}

static struct hostname name_no(unsigned i)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "n%u.example", i);
	return name_of(text);
}

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_parse(slice_of(text), &a), 0);
	return a;
}

static struct ip_addr addr_no(unsigned i)
{
	return (struct ip_addr){ 4,
				 { 198, 18, (uint8_t)(i >> 8), (uint8_t)i } };
}

static int make(void **state)
{
	*state = pins_new(GRACE);
	return *state ? 0 : -1;
}

static int end(void **state)
{
	struct pins *p = *state;

	pins_free(&p);
	assert_null(p);
	return 0;
}

static void pairs(void **state)
{
	struct pins *p = *state;
	struct hostname a = name_of("a.example"), b = name_of("b.example");
	struct ip_addr x = addr_of("192.0.2.1"), y = addr_of("2001:db8::1");
	const struct hostname *names[PIN_NAMES_MAX];
	struct ip_addr addrs[4];

	assert_false(pins_has(p, &a, &x, 0));
	assert_int_equal(pins_names(p, &x, 0, names), 0);
	assert_int_equal(pins_addrs(p, &a, NULL, 0, addrs, 4), 0);
	pins_add(p, &a, &x, 60, 0);
	pins_add(p, &b, &y, 60, 0);
	assert_true(pins_has(p, &a, &x, 0));
	assert_true(pins_has(p, &b, &y, 0));
	/* each is known, but not as a pair */
	assert_false(pins_has(p, &a, &y, 0));
	assert_false(pins_has(p, &b, &x, 0));
	assert_int_equal(pins_names(p, &x, 0, names), 1);
	assert_string_equal(names[0]->text, "a.example");
	assert_int_equal(pins_addrs(p, &b, NULL, 0, addrs, 4), 1);
	assert_true(ip_equal(&addrs[0], &y));
	/* an IPv4 address is not an IPv6 one of the same bytes */
	y = (struct ip_addr){ 6, { 192, 0, 2, 1 } };
	assert_false(pins_has(p, &a, &y, 0));
}

/* TTL and grace, to the nanosecond */
static void lifetime(void **state)
{
	struct pins *p = *state;
	struct hostname a = name_of("a.example");
	struct ip_addr x = addr_of("192.0.2.1");
	const struct hostname *names[PIN_NAMES_MAX];
	struct ip_addr addrs[1];
	uint64_t last = 7 + (5 + GRACE) * S;

	pins_add(p, &a, &x, 5, 7);
	/* just expired, in grace */
	assert_true(pins_has(p, &a, &x, 7 + 5 * S + 1));
	assert_true(pins_has(p, &a, &x, last - 1));
	assert_int_equal(pins_names(p, &x, last - 1, names), 1);
	assert_int_equal(pins_addrs(p, &a, NULL, last - 1, addrs, 1), 1);
	assert_false(pins_has(p, &a, &x, last));
	pins_add(p, &a, &x, 5, 7);
	assert_int_equal(pins_names(p, &x, last, names), 0);
	pins_add(p, &a, &x, 5, 7);
	assert_int_equal(pins_addrs(p, &a, NULL, last, addrs, 1), 0);
	pins_add(p, &a, &x, 5, 7);
	assert_int_equal(pins_addrs(p, &a, &x, last, addrs, 1), 0);
}

static void longer_of_both(void **state)
{
	struct pins *p = *state;
	struct hostname a = name_of("a.example"), b = name_of("b.example");
	struct ip_addr x = addr_of("192.0.2.1");

	pins_add(p, &a, &x, 60, 0);
	pins_add(p, &a, &x, 5, 10 * S);
	assert_true(pins_has(p, &a, &x, (60 + GRACE) * S - 1));
	assert_false(pins_has(p, &a, &x, (60 + GRACE) * S));
	pins_add(p, &b, &x, 5, 1000 * S);
	pins_add(p, &b, &x, 60, 1010 * S);
	assert_true(pins_has(p, &b, &x, (1070 + GRACE) * S - 1));
	assert_false(pins_has(p, &b, &x, (1070 + GRACE) * S));
}

/* A clock that stands, jumps, goes back, or has no room left */
static void clocks(void **state)
{
	struct pins *p = *state;
	struct hostname a = name_of("a.example"), b = name_of("b.example");
	struct ip_addr x = addr_of("192.0.2.1");

	pins_add(p, &a, &x, 60, 100 * S);
	assert_true(pins_has(p, &a, &x, 100 * S));
	assert_true(pins_has(p, &a, &x, 0));
	pins_add(p, &a, &x, 60, 0);
	assert_true(pins_has(p, &a, &x, (160 + GRACE) * S - 1));
	assert_false(pins_has(p, &a, &x, UINT64_MAX));
	assert_false(pins_has(p, &a, &x, 0));
	/* a time past the end of time is its end */
	pins_add(p, &b, &x, UINT32_MAX, UINT64_MAX - S);
	assert_true(pins_has(p, &b, &x, UINT64_MAX - 1));
	pins_add(p, &a, &x, UINT32_MAX, 0);
	assert_true(
		pins_has(p, &a, &x, ((uint64_t)UINT32_MAX + GRACE) * S - 1));
	assert_false(pins_has(p, &a, &x, ((uint64_t)UINT32_MAX + GRACE) * S));
}

static void newest_first(void **state)
{
	struct pins *p = *state;
	struct ip_addr x = addr_of("192.0.2.1"), out[3];
	const struct hostname *names[PIN_NAMES_MAX];
	struct hostname h[3] = { name_no(0), name_no(1), name_no(2) };

	for (unsigned i = 0; i < 3; i++)
		pins_add(p, &h[i], &x, 60, i);
	assert_int_equal(pins_names(p, &x, 3, names), 3);
	assert_string_equal(names[0]->text, "n2.example");
	assert_string_equal(names[1]->text, "n1.example");
	assert_string_equal(names[2]->text, "n0.example");
	/* told again, it is the newest */
	pins_add(p, &h[1], &x, 1, 4);
	assert_int_equal(pins_names(p, &x, 4, names), 3);
	assert_string_equal(names[0]->text, "n1.example");
	assert_string_equal(names[1]->text, "n2.example");
	assert_string_equal(names[2]->text, "n0.example");
	for (unsigned i = 1; i <= 2; i++) {
		x = addr_no(i);
		pins_add(p, &h[0], &x, 60, 5);
	}
	assert_int_equal(pins_addrs(p, &h[0], NULL, 5, out, 3), 3);
	x = addr_no(2);
	assert_true(ip_equal(&out[0], &x));
	x = addr_no(1);
	assert_true(ip_equal(&out[1], &x));
}

/* An address of thousands of names tells the newest; all of them are pins */
static void shared_address(void **state)
{
	struct pins *p = *state;
	const struct hostname *names[PIN_NAMES_MAX];
	struct ip_addr x = addr_of("192.0.2.1");
	struct hostname h;

	for (unsigned i = 0; i < PIN_MAX; i++) {
		h = name_no(i);
		pins_add(p, &h, &x, 60, i);
	}
	assert_int_equal(pins_names(p, &x, 0, names), PIN_NAMES_MAX);
	for (unsigned i = 0; i < PIN_NAMES_MAX; i++) {
		h = name_no(PIN_MAX - 1 - i);
		assert_string_equal(names[i]->text, h.text);
	}
	h = name_no(0);
	assert_true(pins_has(p, &h, &x, 0));
}

static void first_of_addresses(void **state)
{
	struct pins *p = *state;
	struct hostname a = name_of("a.example"), b = name_of("b.example");
	struct ip_addr out[5], want, other = addr_of("203.0.113.1");

	for (unsigned i = 0; i < 4; i++) {
		want = addr_no(i);
		pins_add(p, &a, &want, 60, 0);
	}
	pins_add(p, &b, &other, 60, 0);
	want = addr_no(1);
	assert_int_equal(pins_addrs(p, &a, &want, 0, out, 5), 4);
	assert_true(ip_equal(&out[0], &want));
	want = addr_no(3);
	assert_true(ip_equal(&out[1], &want));
	want = addr_no(2);
	assert_true(ip_equal(&out[2], &want));
	want = addr_no(0);
	assert_true(ip_equal(&out[3], &want));
	/* of another name: not among them */
	want = addr_no(3);
	assert_int_equal(pins_addrs(p, &a, &other, 0, out, 5), 4);
	assert_true(ip_equal(&out[0], &want));
	/* as many as there is room for */
	want = addr_no(0);
	assert_int_equal(pins_addrs(p, &a, &want, 0, out, 1), 1);
	assert_true(ip_equal(&out[0], &want));
	assert_int_equal(pins_addrs(p, &a, &want, 0, out, 0), 0);
	assert_int_equal(pins_addrs(p, &a, NULL, 0, out, 2), 2);
}

/* Ten minutes of a connection on a TTL of five seconds */
static void held(void **state)
{
	struct pins *p = *state;
	struct hostname a = name_of("a.example"), b = name_of("b.example");
	struct ip_addr x = addr_of("192.0.2.1");
	const struct hostname *names[PIN_NAMES_MAX];
	uint64_t late = 600 * S;

	pins_add(p, &a, &x, 5, 0);
	pins_hold(p, &a, &x);
	assert_true(pins_has(p, &a, &x, late));
	assert_int_equal(pins_names(p, &x, late, names), 1);
	/* a second connection, and the first ends */
	pins_hold(p, &a, &x);
	pins_release(p, &a, &x);
	assert_true(pins_has(p, &a, &x, late));
	pins_release(p, &a, &x);
	assert_false(pins_has(p, &a, &x, late));
	/* released in its time, it lives on for the rest of it */
	pins_add(p, &a, &x, 5, late);
	pins_hold(p, &a, &x);
	pins_release(p, &a, &x);
	assert_true(pins_has(p, &a, &x, late + (5 + GRACE) * S - 1));
	assert_false(pins_has(p, &a, &x, late + (5 + GRACE) * S));
	/* told again while it is held */
	pins_add(p, &b, &x, 5, 0);
	pins_hold(p, &b, &x);
	pins_add(p, &b, &x, 5, late);
	pins_release(p, &b, &x);
	assert_true(pins_has(p, &b, &x, late + (5 + GRACE) * S - 1));
	assert_false(pins_has(p, &b, &x, late + (5 + GRACE) * S));
}

/* Holding or releasing what is not there changes nothing */
static void held_nothing(void **state)
{
	struct pins *p = *state;
	struct hostname a = name_of("a.example");
	struct ip_addr x = addr_of("192.0.2.1");

	pins_hold(p, &a, &x);
	pins_release(p, &a, &x);
	assert_false(pins_has(p, &a, &x, 0));
	pins_add(p, &a, &x, 5, 0);
	pins_release(p, &a, &x);
	assert_true(pins_has(p, &a, &x, 0));
	pins_hold(p, &a, &x);
	assert_true(pins_has(p, &a, &x, (5 + GRACE) * S));
	pins_release(p, &a, &x);
	assert_false(pins_has(p, &a, &x, (5 + GRACE) * S));
	pins_add(p, &a, &x, 5, 0);
	pins_hold(p, &a, &x);
	pins_release(p, &a, &x);
	pins_release(p, &a, &x);
	assert_false(pins_has(p, &a, &x, (5 + GRACE) * S));
}

static void add_no(struct pins *p, unsigned i, uint32_t ttl)
{
	struct hostname h = name_no(i);
	struct ip_addr a = addr_no(i);

	pins_add(p, &h, &a, ttl, 0);
}

static bool has_no(struct pins *p, unsigned i)
{
	struct hostname h = name_no(i);
	struct ip_addr a = addr_no(i);

	return pins_has(p, &h, &a, 0);
}

static void hold_no(struct pins *p, unsigned i, bool hold)
{
	struct hostname h = name_no(i);
	struct ip_addr a = addr_no(i);

	if (hold)
		pins_hold(p, &h, &a);
	else
		pins_release(p, &h, &a);
}

static void eviction(void **state)
{
	struct pins *p = *state;
	unsigned n = 0;

	/* added in an order that is not that of their ends */
	for (unsigned i = 0; i < PIN_MAX; i++)
		add_no(p, i, 1 + i * 4099 % PIN_MAX);
	for (unsigned i = 0; i < PIN_MAX; i++)
		n += has_no(p, i);
	assert_int_equal(n, PIN_MAX);
	/* the first to end is 0, and a flow holds it */
	hold_no(p, 0, true);
	add_no(p, PIN_MAX, 3600);
	assert_true(has_no(p, 0));
	assert_true(has_no(p, PIN_MAX));
	n = 0;
	for (unsigned i = 1; i < PIN_MAX; i++) {
		n += has_no(p, i);
		if (i * 4099 % PIN_MAX == 1)
			assert_false(has_no(p, i));
	}
	assert_int_equal(n, PIN_MAX - 2);
	/* one that is there needs no room */
	add_no(p, PIN_MAX, 7200);
	n = 0;
	for (unsigned i = 0; i <= PIN_MAX; i++)
		n += has_no(p, i);
	assert_int_equal(n, PIN_MAX);
	/* and released, the first to end is the first to go */
	hold_no(p, 0, false);
	add_no(p, PIN_MAX + 1, 3600);
	assert_false(has_no(p, 0));
	assert_true(has_no(p, PIN_MAX + 1));
}

/* Names and addresses make room as pins do */
static void churn(void **state)
{
	struct pins *p = *state;
	unsigned n = 0;

	for (unsigned i = 0; i < 4 * PIN_MAX; i++)
		add_no(p, i, 1 + i);
	for (unsigned i = 0; i < 4 * PIN_MAX; i++) {
		bool want = i >= 3 * PIN_MAX;

		assert_int_equal(has_no(p, i), want);
		n += want;
	}
	assert_int_equal(n, PIN_MAX);
}

static void all_held(void **state)
{
	struct pins *p = *state;

	for (unsigned i = 0; i < PIN_MAX; i++) {
		add_no(p, i, 60);
		hold_no(p, i, true);
	}
	add_no(p, PIN_MAX, 3600);
	assert_false(has_no(p, PIN_MAX));
	for (unsigned i = 0; i < PIN_MAX; i++)
		assert_true(has_no(p, i));
	hold_no(p, 4711, false);
	add_no(p, PIN_MAX, 3600);
	assert_true(has_no(p, PIN_MAX));
	assert_false(has_no(p, 4711));
}

/* Names that were told stay readable while nothing is added */
static void told_names_stay(void **state)
{
	struct pins *p = *state;
	const struct hostname *names[PIN_NAMES_MAX];
	struct hostname a = name_of("a.example"), b = name_of("b.example");
	struct ip_addr x = addr_of("192.0.2.1");

	pins_add(p, &a, &x, 5, 0);
	pins_add(p, &b, &x, 5, 0);
	assert_int_equal(pins_names(p, &x, 0, names), 2);
	assert_false(pins_has(p, &a, &x, UINT64_MAX));
	assert_string_equal(names[0]->text, "b.example");
	assert_string_equal(names[1]->text, "a.example");
}

enum { MODEL_NAMES = 200, MODEL_ADDRS = 100, MODEL_STEPS = 40000 };

struct model_pin {
	bool is_there;
	uint64_t expires;
	unsigned holds;
};

static struct model_pin model[MODEL_NAMES][MODEL_ADDRS];
static unsigned model_count;

static bool model_has(const struct model_pin *m, uint64_t now)
{
	return m->is_there && (m->holds || m->expires > now);
}

/* The plain way: look at all of them */
static struct model_pin *model_room(uint64_t now)
{
	struct model_pin *first = NULL, *all = &model[0][0];

	for (size_t i = 0; i < MODEL_NAMES * MODEL_ADDRS; i++) {
		struct model_pin *m = &all[i];

		if (m->is_there && !model_has(m, now)) {
			m->is_there = false;
			model_count--;
		}
		if (m->is_there && !m->holds &&
		    (!first || m->expires < first->expires))
			first = m;
	}
	return first;
}

static void model_add(struct model_pin *m, uint32_t ttl, uint64_t now)
{
	uint64_t expires = now + (ttl + GRACE) * S;
	struct model_pin *first;

	if (model_has(m, now)) {
		m->expires = expires > m->expires ? expires : m->expires;
		return;
	}
	if (!m->is_there && model_count == PIN_MAX) {
		first = model_room(now);
		if (model_count == PIN_MAX) {
			if (!first)
				return;
			first->is_there = false;
			model_count--;
		}
	}
	model_count += !m->is_there;
	*m = (struct model_pin){ true, expires, 0 };
}

static void compare_name(struct pins *p, unsigned n, uint64_t now)
{
	struct ip_addr out[MODEL_ADDRS];
	struct hostname h = name_no(n);
	size_t got = pins_addrs(p, &h, NULL, now, out, MODEL_ADDRS), want = 0;

	for (unsigned k = 0; k < MODEL_ADDRS; k++)
		want += model_has(&model[n][k], now);
	assert_int_equal(got, want);
	for (size_t k = 0; k < got; k++)
		assert_true(model_has(&model[n][out[k].b[3]], now));
}

/* Forty thousand random calls against a table that looks at every pin */
static void like_the_model(void **state)
{
	struct pins *p = *state;
	uint64_t now = 0;
	unsigned held_n = 0;

	srand(20);
	for (unsigned i = 0; i < MODEL_STEPS; i++) {
		unsigned n = (unsigned)rand() % MODEL_NAMES;
		unsigned k = (unsigned)rand() % MODEL_ADDRS;
		struct model_pin *m = &model[n][k];
		struct hostname h = name_no(n);
		struct ip_addr a = addr_no(k);
		uint32_t ttl = (uint32_t)rand() % 3600;

		/* no two expire at once: the part of a second is the step */
		now = now / S * S + i + (rand() % 8 == 0 ? S : 0);
		if (rand() % 4) {
			pins_add(p, &h, &a, ttl, now);
			model_add(m, ttl, now);
		} else if (model_has(m, now) && (!m->holds || rand() % 2)) {
			pins_hold(p, &h, &a);
			m->holds++;
			held_n++;
		} else if (m->is_there && m->holds) {
			pins_release(p, &h, &a);
			m->holds--;
		}
		assert_int_equal(pins_has(p, &h, &a, now), model_has(m, now));
		if (i % 16 == 0)
			compare_name(p, n, now);
	}
	assert_true(held_n > 1000);
	(void)model_room(now);
	assert_true(model_count > PIN_MAX / 2);
	for (unsigned n = 0; n < MODEL_NAMES; n++)
		compare_name(p, n, now);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make, end)
	const struct CMUnitTest tests[] = {
		TEST(pairs),
		TEST(lifetime),
		TEST(longer_of_both),
		TEST(clocks),
		TEST(newest_first),
		TEST(shared_address),
		TEST(held),
		TEST(held_nothing),
		TEST(eviction),
		TEST(churn),
		TEST(all_held),
		TEST(told_names_stay),
		TEST(first_of_addresses),
		TEST(like_the_model),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
