/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every member of what the gate sends has bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>

#include "gate/message.h"

enum { RULES = 3, RESOLVERS = 2 };

static struct gate_policy policy;

static void fill_flow(struct gate_flow *f)
{
	*f = (struct gate_flow){
		.id = 1,
		.reason = GATE_REASON_SNI_MATCH,
		.protocol = GATE_TLS,
		.l4 = IPPROTO_TCP,
		.is_dialled = true,
		.rule = RULES - 1,
		.src_port = 40000,
		.dst_port = 443,
		.dial_port = 443,
		.src = { 4, { 100, 64, 0, 2 } },
		.dst = { 6, { 0x20, 1, 0xd, 0xb8 } },
		.opened_ms = 1800000000000,
	};
	assert_int_equal(
		hostname_parse_service(SLICE_LIT("_x.example"), &f->question),
		0);
	assert_int_equal(hostname_parse(SLICE_LIT("api.example"), &f->sni), 0);
}

static struct gate_record valid(uint32_t type, uint32_t of)
{
	uint32_t body = type == GATE_AGGREGATE ? of : type;
	struct gate_record r;

	/* also what lies between the members */
	memset(&r, 0, sizeof(r));
	r.type = type;
	r.of = of;
	r.count = 1;
	r.wall_ms = 1800000000000;
	if (body == GATE_QUERY) {
		r.query.resolver = RESOLVERS - 1;
		r.query.type = DNS_A;
		assert_int_equal(
			hostname_parse(SLICE_LIT("a.example"), &r.query.name),
			0);
	} else if (body == GATE_DECISION || body == GATE_FLOW ||
		   body == GATE_REFUSED) {
		fill_flow(&r.flow);
	} else if (body == GATE_FAULT) {
		r.fault.sys = 5;
		memcpy(r.fault.text, "poll", 5);
	} else if (body == GATE_READY) {
		r.ready.addr = (struct ip_addr){ 4, { 100, 64, 0, 2 } };
		r.ready.port = 40000;
	}
	return r;
}

static bool check(const struct gate_record *r)
{
	return gate_record_check(r, sizeof(*r), &policy);
}

static const struct {
	uint32_t type, of;
} kinds[] = {
	{ GATE_READY, 0 },
	{ GATE_QUERY, 0 },
	{ GATE_DECISION, 0 },
	{ GATE_FLOW, 0 },
	{ GATE_REFUSED, 0 },
	{ GATE_AGGREGATE, GATE_QUERY },
	{ GATE_AGGREGATE, GATE_FLOW },
	{ GATE_AGGREGATE, GATE_REFUSED },
	{ GATE_STATS, 0 },
	{ GATE_FAULT, 0 },
};

/* Where a byte of 0xff must be refused: @n bytes at @at of these bodies */
enum { ANY = 1, QUERY = 2, FLOW = 4, L4 = 8, READY = 16, FAULT = 32 };

#define PART(member, skip, n) offsetof(struct gate_record, member) + (skip), n
#define ALL(member)	      PART(member, 0, sizeof(((struct gate_record *)0)->member))

static const struct {
	unsigned in;
	size_t at, n;
} strict[] = {
	{ ANY, ALL(type) },
	{ ANY, ALL(of) },
	{ ANY, PART(wall_ms, 5, 3) }, /* little-endian */
	{ READY, ALL(ready.addr.family) },
	{ READY, PART(ready.addr.b, 4, 12) },
	{ QUERY, ALL(query.reason) },
	{ QUERY, ALL(query.asked_upstream) },
	{ QUERY, ALL(query.from_cache) },
	{ QUERY, ALL(query.over_budget) },
	{ QUERY, ALL(query.resolver) },
	{ QUERY, ALL(query.name) },
	{ FLOW, ALL(flow.reason) },
	{ FLOW, ALL(flow.protocol) },
	{ L4, ALL(flow.l4) },
	{ FLOW, ALL(flow.has_ech) },
	{ FLOW, ALL(flow.has_early_data) },
	{ FLOW, ALL(flow.is_dialled) },
	{ FLOW, ALL(flow.rule) },
	{ FLOW, ALL(flow.src.family) },
	{ FLOW, PART(flow.src.b, 4, 12) },
	{ FLOW, ALL(flow.dst.family) },
	{ FLOW, ALL(flow.dial) },
	{ FLOW, ALL(flow.question) },
	{ FLOW, ALL(flow.sni) },
	{ FLOW, ALL(flow.host) },
	{ FLOW, PART(flow.opened_ms, 5, 3) },
	{ FAULT, PART(fault.sys, 1, 3) },
	{ FAULT, PART(fault.text, 0, 5) },
};

static unsigned bodies(uint32_t type)
{
	switch (type) {
	case GATE_READY:
		return ANY | READY;
	case GATE_QUERY:
		return ANY | QUERY;
	case GATE_DECISION:
	case GATE_FLOW:
		return ANY | FLOW | L4;
	case GATE_REFUSED:
		return ANY | FLOW;
	case GATE_FAULT:
		return ANY | FAULT;
	default:
		return ANY;
	}
}

static bool is_strict(unsigned in, size_t at)
{
	for (size_t i = 0; i < ARRAY_SIZE(strict); i++)
		if (strict[i].in & in && at >= strict[i].at &&
		    at - strict[i].at < strict[i].n)
			return true;
	return false;
}

/* 0xff at each place of each kind: refused exactly where it has a meaning */
static void every_byte(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		uint32_t body = kinds[k].of ? kinds[k].of : kinds[k].type;
		unsigned in = bodies(body);

		for (size_t at = 0; at < sizeof(struct gate_record); at++) {
			struct gate_record r =
				valid(kinds[k].type, kinds[k].of);

			assert_true(check(&r));
			memset((char *)&r + at, 0xff, 1);
			if (check(&r) == is_strict(in, at))
				fail_msg("type %u of %u, byte %zu",
					 kinds[k].type, kinds[k].of, at);
		}
	}
}

/* Not one size but the right one, wherever it lies */
static void sizes(void **state)
{
	struct gate_record r = valid(GATE_FLOW, 0);
	char *p = malloc(sizeof(r) + 2);

	(void)state;
	assert_non_null(p);
	memcpy(p + 1, &r, sizeof(r));
	p[sizeof(r) + 1] = 0;
	assert_true(gate_record_check(p + 1, sizeof(r), &policy));
	assert_false(gate_record_check(p + 1, sizeof(r) + 1, &policy));
	assert_false(gate_record_check(p + 1, sizeof(r) - 1, &policy));
	assert_false(gate_record_check(p + 1, 0, &policy));
	free(p);
}

static void types(void **state)
{
	(void)state;
	for (uint32_t type = 0; type < 20; type++)
		for (uint32_t of = 0; of < 20; of++) {
			struct gate_record r = valid(type, of);
			bool want = type == GATE_AGGREGATE
					    ? of == GATE_QUERY ||
						      of == GATE_FLOW ||
						      of == GATE_REFUSED
					    : of == 0 && type >= GATE_READY &&
						      type <= GATE_FAULT;

			if (check(&r) != want)
				fail_msg("type %u of %u", type, of);
			r.count = 0;
			assert_int_equal(check(&r),
					 want && type != GATE_AGGREGATE);
		}
}

static void names(void **state)
{
	static const struct {
		uint8_t len;
		const char *text;
		bool is_service, is_name;
	} rows[] = {
		{ 0, "", true, true },
		{ 9, "a.example", true, true },
		{ 10, "_a.example", true, false },
		{ 9, "A.example", false, false },
		{ 10, "a.example.", false, false },
		{ 8, "a.example", false, false },  /* bytes behind its end */
		{ 10, "a.example", false, false }, /* its NUL inside */
		{ 0, "a", false, false },
		{ 9, "a..xample", false, false },
		{ 9, "a/example", false, false },
		{ 9, "a\nexample", false, false },
		{ 9, "192.0.2.1", false, false },
		{ 11, "*.a.example", false, false },
		{ 9, "a\xc3\xa4xampl", false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct gate_record q = valid(GATE_QUERY, 0);
		struct gate_record s = valid(GATE_FLOW, 0), h = s, f = s;
		struct hostname name = { .len = rows[i].len };

		memcpy(name.text, rows[i].text, strlen(rows[i].text));
		q.query.name = f.flow.question = name;
		s.flow.sni = h.flow.host = name;
		if (check(&q) != rows[i].is_service ||
		    check(&f) != rows[i].is_service ||
		    check(&s) != rows[i].is_name ||
		    check(&h) != rows[i].is_name)
			fail_msg("%s", rows[i].text);
	}
}

static void indexes(void **state)
{
	struct gate_record r = valid(GATE_FLOW, 0);
	struct gate_record q = valid(GATE_QUERY, 0);

	(void)state;
	r.flow.rule = -1;
	assert_true(check(&r));
	r.flow.rule = -2;
	assert_false(check(&r));
	r.flow.rule = INT32_MIN;
	assert_false(check(&r));
	r.flow.rule = RULES;
	assert_false(check(&r));
	q.query.resolver = RESOLVERS;
	assert_false(check(&q));
	/* where there are none, none is named */
	policy.n_rules = policy.n_resolvers = 0;
	q.query.resolver = 0;
	r.flow.rule = -1;
	assert_true(check(&q));
	assert_true(check(&r));
	q.query.resolver = 1;
	r.flow.rule = 0;
	assert_false(check(&q));
	assert_false(check(&r));
	policy.n_rules = RULES;
	policy.n_resolvers = RESOLVERS;
}

static void numbers(void **state)
{
	struct gate_record q = valid(GATE_QUERY, 0);
	struct gate_record f = valid(GATE_FLOW, 0);
	struct gate_record x = valid(GATE_FAULT, 0);

	(void)state;
	q.query.rcode = 15;
	assert_true(check(&q));
	q.query.rcode = 16;
	assert_false(check(&q));
	q.query.rcode = 254;
	assert_false(check(&q));
	q.query.rcode = 255;
	q.query.reason = GATE_QUERY_REASON_NUM;
	assert_false(check(&q));
	q.query.reason = GATE_QUERY_REASON_NUM - 1;
	assert_true(check(&q));
	f.flow.reason = GATE_REASON_NUM;
	assert_false(check(&f));
	f.flow.reason = GATE_REASON_NUM - 1;
	f.flow.protocol = GATE_HTTP + 1;
	assert_false(check(&f));
	f.flow.protocol = GATE_HTTP;
	f.flow.l4 = IPPROTO_UDP;
	assert_true(check(&f));
	f.flow.l4 = IPPROTO_ICMP;
	assert_false(check(&f));
	f.type = GATE_REFUSED;
	assert_true(check(&f));
	/* the last millisecond of the year 9999 */
	f.wall_ms = f.flow.opened_ms = UINT64_C(253402300799999);
	assert_true(check(&f));
	f.wall_ms++;
	assert_false(check(&f));
	f.wall_ms--;
	f.flow.opened_ms++;
	assert_false(check(&f));
	x.fault.sys = 4095;
	assert_true(check(&x));
	x.fault.sys = 4096;
	assert_false(check(&x));
	x.fault.sys = -1;
	assert_false(check(&x));
}

static void addresses(void **state)
{
	static const struct {
		struct ip_addr a;
		bool want;
	} rows[] = {
		{ { 0, { 0 } }, true },
		{ { 0, { 1 } }, false },
		{ { 4, { 1, 2, 3, 4 } }, true },
		{ { 4, { 1, 2, 3, 4, 5 } }, false },
		{ { 4, { [15] = 1 } }, false },
		{ { 6, { [15] = 1 } }, true },
		{ { 5, { 0 } }, false },
		{ { 2, { 0 } }, false },
		{ { 10, { 0 } }, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct gate_record s = valid(GATE_FLOW, 0), d = s, l = s;
		struct gate_record r = valid(GATE_READY, 0);

		s.flow.src = d.flow.dst = l.flow.dial = r.ready.addr =
			rows[i].a;
		assert_int_equal(check(&s), rows[i].want);
		assert_int_equal(check(&d), rows[i].want);
		assert_int_equal(check(&l), rows[i].want);
		assert_int_equal(check(&r), rows[i].want);
	}
}

static void fault_text(void **state)
{
	struct gate_record r = valid(GATE_FAULT, 0);

	(void)state;
	memset(r.fault.text, 'x', sizeof(r.fault.text));
	assert_false(check(&r));
	r.fault.text[sizeof(r.fault.text) - 1] = '\0';
	assert_true(check(&r));
	r.fault.text[3] = '\n';
	assert_false(check(&r));
	r.fault.text[3] = '\x1b';
	assert_false(check(&r));
	r.fault.text[3] = '\x7f';
	assert_false(check(&r));
	r.fault.text[3] = '\0';
	assert_true(check(&r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte), cmocka_unit_test(sizes),
		cmocka_unit_test(types),      cmocka_unit_test(names),
		cmocka_unit_test(indexes),    cmocka_unit_test(numbers),
		cmocka_unit_test(addresses),  cmocka_unit_test(fault_text),
	};

	policy.n_rules = RULES;
	policy.n_resolvers = RESOLVERS;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
