/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The read-back of the filter: anything missing, added or changed is seen. */
#include "door_env.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "cell/door_rules.h"

enum { GATE_PORT = 61000 };

static _Alignas(4) char sent_bytes[DOOR_RULES_BYTES];
static _Alignas(4) char other_bytes[DOOR_RULES_BYTES];

static struct nft_batch batch_in(char *bytes)
{
	return (struct nft_batch){ .b = { .p = bytes,
					  .max = DOOR_RULES_BYTES } };
}

static int setup(void **state)
{
	(void)state;
	door = (struct door){ .has_v6 = true,
			      .tcp = { 80, 443 },
			      .n_tcp = 2,
			      .udp = { 123 },
			      .n_udp = 1,
			      .nflog_group = DOOR_NFLOG_GROUP };
	enter_net();
	return 0;
}

static int commit(int fd, struct nft_batch *t)
{
	*t = batch_in(sent_bytes);
	door_rules(t, &door, GATE_PORT);
	assert_int_equal(nft_commit(fd, t), 0);
	return 0;
}

static int read_back(int fd, const struct nft_batch *t)
{
	OWNED(wbuf_drop) struct wbuf form = WBUF_INIT(2 * DOOR_RULES_BYTES);
	uint32_t rules;

	return nft_read_back(fd, t, &form, &rules);
}

/* What the kernel has, beside what another door would have sent */
static int compared_to(int fd, const struct door *d, uint16_t gate_port)
{
	struct nft_batch t = batch_in(other_bytes);

	door_rules(&t, d, gate_port);
	assert_false(t.b.failed);
	/* closes the last rule; that the table exists is not the point */
	assert_int_equal(nft_commit(fd, &t), -EEXIST);
	return read_back(fd, &t);
}

static void what_was_sent_is_shown(void **state)
{
	OWNED(fd_drop) int fd = nl_socket(NETLINK_NETFILTER);
	struct nft_batch t;

	(void)state;
	(void)commit(fd, &t);
	assert_int_equal(read_back(fd, &t), 0);
	assert_int_equal(compared_to(fd, &door, GATE_PORT), 0);
}

static void another_door_is_not_shown(void **state)
{
	OWNED(fd_drop) int fd = nl_socket(NETLINK_NETFILTER);
	struct nft_batch t;
	struct door d = door;

	(void)state;
	(void)commit(fd, &t);
	assert_int_equal(compared_to(fd, &door, GATE_PORT + 1), -EPROTO);
	d.has_v6 = false; /* fewer rules */
	assert_int_equal(compared_to(fd, &d, GATE_PORT), -EPROTO);
	d = door;
	d.has_leg = true; /* more chains and rules */
	assert_int_equal(compared_to(fd, &d, GATE_PORT), -EPROTO);
	d = door;
	d.tcp[1] = 444; /* another element */
	assert_int_equal(compared_to(fd, &d, GATE_PORT), -EPROTO);
	d = door;
	d.n_udp = 0; /* one element too many is shown */
	assert_int_equal(compared_to(fd, &d, GATE_PORT), -EPROTO);
	d = door;
	d.nflog_group++;
	assert_int_equal(compared_to(fd, &d, GATE_PORT), -EPROTO);
	/* and none of these attempts has changed anything */
	assert_int_equal(read_back(fd, &t), 0);
}

static void a_rule_less_or_more_is_seen(void **state)
{
	OWNED(fd_drop) int fd = nl_socket(NETLINK_NETFILTER);
	struct nft_batch t;
	struct nl_msg m;
	struct slice c, last = { 0 };
	char was[20];

	(void)state;
	(void)commit(fd, &t);
	/* one rule less was sent: the last becomes another kind of message */
	c = (struct slice){ t.b.p, t.b.n };
	while (nl_next_msg(&c, &m))
		if ((m.type & 0xff) == NFT_MSG_NEWRULE)
			last = m.body;
	assert_non_null(last.p);
	memcpy(was, last.p - 12, 2);
	memset(sent_bytes + (last.p - 12 - sent_bytes), 0, 2);
	assert_int_equal(read_back(fd, &t), -EPROTO);
	memcpy(sent_bytes + (last.p - 12 - sent_bytes), was, 2);
	assert_int_equal(read_back(fd, &t), 0);
	/* one more was sent than is there */
	nft_rule(&t, DOOR_REFUSE);
	nft_counter(&t);
	assert_int_equal(nft_commit(fd, &t), -EEXIST);
	assert_int_equal(read_back(fd, &t), -EPROTO);
}

/* Whichever bit of a value that was sent is turned over, the kernel's is seen
 * to be another; of the policy of a chain and of a hook as of any other. */
static void every_bit_counts(void **state)
{
	OWNED(fd_drop) int fd = nl_socket(NETLINK_NETFILTER);
	OWNED(wbuf_drop) struct wbuf form = WBUF_INIT(1 << 20);
	struct nft_batch t;
	struct nl_msg m;
	struct slice c, attrs;
	size_t seen = 0;

	(void)state;
	(void)commit(fd, &t);
	memcpy(other_bytes, sent_bytes, t.b.n);
	c = (struct slice){ other_bytes, t.b.n };
	while (nl_next_msg(&c, &m)) {
		if ((m.type & 0xff) != NFT_MSG_NEWRULE &&
		    (m.type & 0xff) != NFT_MSG_NEWCHAIN)
			continue;
		attrs = (struct slice){ m.body.p + 4, m.body.n - 4 };
		wbuf_reset(&form);
		assert_true(nft_same(attrs, attrs, &form));
		for (size_t i = 0; i < attrs.n; i++) {
			char *p = sent_bytes + (attrs.p - other_bytes) + i;
			struct slice changed = {
				sent_bytes + (attrs.p - other_bytes), attrs.n
			};
			bool same;

			*p = (char)(*p ^ 1);
			same = nft_same(attrs, changed, &form);
			*p = (char)(*p ^ 1);
			wbuf_reset(&form);
			/* what is between attributes says nothing */
			if (same)
				assert_int_equal(*p, 0);
			else
				seen++;
		}
	}
	assert_false(form.failed);
	assert_true(seen > 3000);
	assert_int_equal(read_back(fd, &t), 0);
}

static struct slice only_rule(struct nft_batch *t, bool logs)
{
	struct slice c, attrs = { 0 };
	struct nl_msg m;

	nft_begin(t, "t");
	nft_rule(t, "c");
	nft_counter(t);
	if (logs)
		nft_log(t, 1, 64, "");
	assert_int_equal(nft_commit(-1, t), -EBADF); /* closes the rule */
	c = (struct slice){ t->b.p, t->b.n };
	while (nl_next_msg(&c, &m))
		if ((m.type & 0xff) == NFT_MSG_NEWRULE && m.body.n > 4)
			attrs = (struct slice){ m.body.p + 4, m.body.n - 4 };
	assert_true(attrs.n > 0);
	return attrs;
}

static void an_expression_less_or_more_is_seen(void **state)
{
	OWNED(wbuf_drop) struct wbuf form = WBUF_INIT(1 << 16);
	struct nft_batch t = batch_in(sent_bytes), u = batch_in(other_bytes);
	struct slice one = only_rule(&t, false), two = only_rule(&u, true);

	(void)state;
	assert_true(nft_same(one, one, &form));
	assert_true(nft_same(two, two, &form));
	assert_false(nft_same(one, two, &form));
	assert_false(nft_same(two, one, &form));
}

/* A hook, a priority or a policy that differs in the kernel */
static void chains_count(void **state)
{
	static const struct nft_hook hooks[] = {
		{ 3, 0, true }, { 3, 0, false }, { 3, 1, true }, { 1, 0, true }
	};
	OWNED(fd_drop) int fd = nl_socket(NETLINK_NETFILTER);
	struct nft_batch t = batch_in(sent_bytes), u;

	(void)state;
	nft_begin(&t, "t");
	nft_chain(&t, "c", &hooks[0]);
	assert_int_equal(nft_commit(fd, &t), 0);
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		u = batch_in(other_bytes);
		nft_begin(&u, "t");
		nft_chain(&u, "c", &hooks[i]);
		assert_int_equal(nft_commit(fd, &u), -EEXIST);
		assert_int_equal(read_back(fd, &u), i ? -EPROTO : 0);
	}
}

static void the_same_door_has_the_same_digest(void **state)
{
	uint8_t first[32];
	uint32_t rules;

	(void)state;
	make_door();
	memcpy(first, made.digest, sizeof(first));
	rules = made.rules;
	assert_true(rules > 20);
	(void)door_teardown(NULL);
	enter_net();
	make_door();
	assert_memory_equal(first, made.digest, sizeof(first));
	assert_int_equal(rules, made.rules);
	(void)door_teardown(NULL);
	enter_net();
	door.tcp[0] = 81;
	make_door();
	assert_memory_not_equal(first, made.digest, sizeof(first));
	assert_int_equal(rules, made.rules);
}

/* Nothing of a transaction is in force that has one fault. */
static void a_transaction_is_whole(void **state)
{
	OWNED(fd_drop) int fd = nl_socket(NETLINK_NETFILTER);
	struct nft_batch t = batch_in(sent_bytes);
	uint64_t n;

	(void)state;
	nft_begin(&t, "t");
	nft_chain(&t, "c", NULL);
	nft_rule(&t, "c");
	nft_lookup(&t, "no such set", false);
	assert_int_equal(nft_commit(fd, &t), -ENOENT);
	assert_int_equal(nft_counted(fd, "t", "c", &n), 0);
	t = batch_in(sent_bytes);
	nft_begin(&t, "t"); /* it would exist */
	nft_chain(&t, "c", NULL);
	assert_int_equal(nft_commit(fd, &t), 0);
}

static void what_does_not_fit_is_not_sent(void **state)
{
	OWNED(fd_drop) int fd = nl_socket(NETLINK_NETFILTER);
	struct nft_batch t = batch_in(sent_bytes);

	(void)state;
	t.b.max = 4000;
	door_rules(&t, &door, GATE_PORT);
	assert_true(t.b.failed);
	assert_int_equal(nft_commit(fd, &t), -ENOBUFS);
	(void)commit(fd, &t);
}

static void the_largest_door_fits(void **state)
{
	struct nft_batch t = batch_in(sent_bytes);

	(void)state;
	door.has_leg = true;
	door.n_tcp = door.n_udp = DOOR_PORTS_MAX;
	door.n_listen = DOOR_LISTEN_MAX;
	for (uint16_t i = 0; i < DOOR_PORTS_MAX; i++)
		door.tcp[i] = door.udp[i] = (uint16_t)(1000 + i);
	for (size_t i = 0; i < DOOR_LISTEN_MAX; i++)
		door.listen[i].addr = ip("::1");
	door_rules(&t, &door, GATE_PORT);
	assert_false(t.b.failed);
	assert_true(t.b.n < DOOR_RULES_BYTES * 3 / 4);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, door_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_was_sent_is_shown),
		TEST(another_door_is_not_shown),
		TEST(a_rule_less_or_more_is_seen),
		TEST(every_bit_counts),
		TEST(an_expression_less_or_more_is_seen),
		TEST(chains_count),
		TEST(the_same_door_has_the_same_digest),
		TEST(a_transaction_is_whole),
		TEST(what_does_not_fit_is_not_sent),
		TEST(the_largest_door_fits),
	};

	enter_user();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
