/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bytes of netlink, built and taken apart; those of nflog among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#include "sys/netlink.h"
#include "sys/nflog.h"

enum { PACKET = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET };

static _Alignas(4) char room[512];

static struct nl_buf empty(void)
{
	return (struct nl_buf){ .p = room, .max = sizeof(room) };
}

static void messages_are_built_as_linux_reads_them(void **state)
{
	static const uint8_t want[] = {
		/* length, type, flags: request, acknowledge; number 1 */
		40, 0, 0, 0, 0x12, 0, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0,
		/* the fixed part, padded */
		1, 2, 3, 0,
		/* nested: one of text, one of a number */
		20, 0, 7, 0x80, 6, 0, 1, 0, 'a', 0, 0, 0, 8, 0, 2, 0, 0, 0, 1,
		2,
		/* the next, without attributes; number 2 */
		16, 0, 0, 0, 0x13, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0
	};
	struct nl_buf b = empty();
	size_t nest;

	(void)state;
	nl_open(&b, 0x12, 0, "\1\2\3", 3);
	nest = nl_nest(&b, 7);
	nl_put_str(&b, 1, "a");
	nl_put_be32(&b, 2, 0x102);
	nl_nest_end(&b, nest);
	nl_ask_ack(&b);
	nl_open(&b, 0x13, 0, NULL, 0);
	assert_false(b.failed);
	assert_int_equal(b.n, sizeof(want));
	assert_memory_equal(b.p, want, sizeof(want));
	assert_int_equal(b.acked, 1);
}

static void what_does_not_fit_fails(void **state)
{
	struct nl_buf b = empty();
	static char big[70000];

	(void)state;
	b.max = 20;
	nl_open(&b, 1, 0, NULL, 0);
	nl_put(&b, 1, NULL, 0);
	assert_false(b.failed);
	nl_put(&b, 1, NULL, 0);
	assert_true(b.failed);
	assert_int_equal(b.n, 20);
	assert_int_equal(nl_request(-1, &b), -105 /* ENOBUFS */);
	b = empty();
	nl_open(&b, 1, 0, NULL, 0);
	nl_put(&b, 1, big, 65532);
	assert_true(b.failed);
}

static void cut_messages_end_the_datagram(void **state)
{
	struct nl_buf b = empty();
	struct nl_msg m;
	struct slice c;

	(void)state;
	nl_open(&b, 1, 0, "abcd", 4);
	nl_open(&b, 2, 0, "efgh", 4);
	for (size_t n = 0; n <= b.n; n++) {
		c = (struct slice){ room, n };
		assert_int_equal(nl_next_msg(&c, &m), n >= 20);
		assert_int_equal(nl_next_msg(&c, &m), n >= 40);
	}
	assert_int_equal(m.type, 2);
	assert_int_equal(m.seq, 2);
	assert_true(slice_is(m.body, "efgh"));
	/* a length below that of the header, and beyond the end */
	for (int v = 0; v < 16; v++) {
		room[0] = (char)v;
		c = (struct slice){ room, b.n };
		assert_false(nl_next_msg(&c, &m));
	}
	room[0] = 41;
	c = (struct slice){ room, b.n };
	assert_false(nl_next_msg(&c, &m));
}

static void attributes_end_where_they_are_cut(void **state)
{
	static const char bytes[] = { 5, 0, 3, (char)0x80, 'x', 0, 0, 0,
				      8, 0, 4, 0x40,	   1,	2, 3, 4 };
	struct nl_attr a;
	struct slice c;

	(void)state;
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		c = (struct slice){ bytes, n };
		assert_int_equal(nl_next_attr(&c, &a), n >= 5);
		assert_int_equal(nl_next_attr(&c, &a), n >= 16);
	}
	assert_int_equal(a.type, 4);
	assert_false(a.is_nested);
	assert_int_equal(a.body.n, 4);
	assert_ptr_equal(a.body.p, bytes + 12);
	c = (struct slice){ bytes, sizeof(bytes) };
	assert_true(nl_next_attr(&c, &a));
	assert_true(a.is_nested);
	assert_int_equal(a.type, 3);
	c = (struct slice){ "\3\0\1\0", 4 };
	assert_false(nl_next_attr(&c, &a));
}

static void put_packet(struct nl_buf *b, uint16_t type, const char *prefix,
		       const char *payload)
{
	struct nfgenmsg g = { .version = NFNETLINK_V0 };
	struct nfulnl_msg_packet_hdr h = { 0 };

	nl_open(b, type, 0, &g, sizeof(g));
	nl_put(b, NFULA_PACKET_HDR, &h, sizeof(h));
	if (prefix)
		nl_put_str(b, NFULA_PREFIX, prefix);
	if (payload)
		nl_put(b, NFULA_PAYLOAD, payload, strlen(payload));
}

static void nflog_records_are_found(void **state)
{
	struct nl_buf b = empty();
	struct nflog_record r;
	struct slice c;

	(void)state;
	put_packet(&b, PACKET, "refuse", "first");
	put_packet(&b, PACKET, NULL, "second");
	put_packet(&b, PACKET, "none", NULL);	    /* no payload */
	put_packet(&b, NLMSG_DONE, "done", "done"); /* another kind */
	put_packet(&b, PACKET, "last", "third");
	assert_false(b.failed);
	c = (struct slice){ b.p, b.n };
	assert_true(nflog_next(&c, &r));
	assert_true(slice_is(r.prefix, "refuse"));
	assert_true(slice_is(r.payload, "first"));
	assert_true(nflog_next(&c, &r));
	assert_int_equal(r.prefix.n, 0);
	assert_true(slice_is(r.payload, "second"));
	assert_true(nflog_next(&c, &r));
	assert_true(slice_is(r.prefix, "last"));
	assert_true(slice_is(r.payload, "third"));
	assert_false(nflog_next(&c, &r));
	for (size_t n = 0; n < 16; n++) {
		c = (struct slice){ b.p, n };
		assert_false(nflog_next(&c, &r));
	}
	/* a message that is too short for what all of them start with */
	b = empty();
	nl_open(&b, PACKET, 0, NULL, 0);
	put_packet(&b, PACKET, "a", "b");
	c = (struct slice){ b.p, b.n };
	assert_true(nflog_next(&c, &r));
	assert_true(slice_is(r.payload, "b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_built_as_linux_reads_them),
		cmocka_unit_test(what_does_not_fit_fails),
		cmocka_unit_test(cut_messages_end_the_datagram),
		cmocka_unit_test(attributes_end_where_they_are_cut),
		cmocka_unit_test(nflog_records_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
