/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nf_tables: encoding. */
#include "sys/nft.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#define NFT_TYPE(m) ((uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | (m)))

struct expr {
	size_t elem, data;
};

static void bound(struct nft_batch *t, uint16_t type)
{
	struct nfgenmsg g = { .nfgen_family = AF_UNSPEC,
			      .version = NFNETLINK_V0,
			      .res_id = htons(NFNL_SUBSYS_NFTABLES) };

	nl_open(&t->b, type, 0, &g, sizeof(g));
}

static void end_rule(struct nft_batch *t)
{
	if (t->rule)
		nl_nest_end(&t->b, t->rule);
	t->rule = 0;
}

static void open_msg(struct nft_batch *t, uint16_t msg, uint16_t flags)
{
	struct nfgenmsg g = { .nfgen_family = NFPROTO_INET,
			      .version = NFNETLINK_V0 };

	end_rule(t);
	nl_open(&t->b, NFT_TYPE(msg), flags, &g, sizeof(g));
}

void nft_begin(struct nft_batch *t, const char *table)
{
	t->table = table;
	bound(t, NFNL_MSG_BATCH_BEGIN);
	open_msg(t, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
	nl_put_str(&t->b, NFTA_TABLE_NAME, table);
}

void nft_chain(struct nft_batch *t, const char *name,
	       const struct nft_hook *hook)
{
	size_t nest;

	open_msg(t, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
	nl_put_str(&t->b, NFTA_CHAIN_TABLE, t->table);
	nl_put_str(&t->b, NFTA_CHAIN_NAME, name);
	if (!hook)
		return;
	nest = nl_nest(&t->b, NFTA_CHAIN_HOOK);
	nl_put_be32(&t->b, NFTA_HOOK_HOOKNUM, hook->num);
	nl_put_be32(&t->b, NFTA_HOOK_PRIORITY, (uint32_t)hook->priority);
	nl_nest_end(&t->b, nest);
	nl_put_be32(&t->b, NFTA_CHAIN_POLICY,
		    hook->drops ? NF_DROP : NF_ACCEPT);
	nl_put_str(&t->b, NFTA_CHAIN_TYPE, "filter");
}

/* An attribute that holds NFTA_DATA_VALUE */
static void put_data(struct nft_batch *t, uint16_t type, const void *p,
		     size_t n)
{
	size_t nest = nl_nest(&t->b, type);

	nl_put(&t->b, NFTA_DATA_VALUE, p, n);
	nl_nest_end(&t->b, nest);
}

void nft_set(struct nft_batch *t, const char *name, uint32_t key_len,
	     const uint16_t *v, size_t n)
{
	size_t list, elem;

	if (n == 0 || n > NFT_ELEMENTS_MAX || key_len < 1 || key_len > 2)
		t->b.failed = true;
	open_msg(t, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL);
	nl_put_str(&t->b, NFTA_SET_TABLE, t->table);
	nl_put_str(&t->b, NFTA_SET_NAME, name);
	nl_put_be32(&t->b, NFTA_SET_FLAGS, NFT_SET_CONSTANT);
	nl_put_be32(&t->b, NFTA_SET_KEY_TYPE, 0);
	nl_put_be32(&t->b, NFTA_SET_KEY_LEN, key_len);
	nl_put_be32(&t->b, NFTA_SET_ID, ++t->sets);
	open_msg(t, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL);
	nl_put_str(&t->b, NFTA_SET_ELEM_LIST_TABLE, t->table);
	nl_put_str(&t->b, NFTA_SET_ELEM_LIST_SET, name);
	list = nl_nest(&t->b, NFTA_SET_ELEM_LIST_ELEMENTS);
	for (size_t i = 0; i < n; i++) {
		uint8_t wire[2] = { (uint8_t)(v[i] >> 8), (uint8_t)v[i] };

		elem = nl_nest(&t->b, NFTA_LIST_ELEM);
		put_data(t, NFTA_SET_ELEM_KEY, wire + 2 - key_len, key_len);
		nl_nest_end(&t->b, elem);
	}
	nl_nest_end(&t->b, list);
}

void nft_rule(struct nft_batch *t, const char *chain)
{
	open_msg(t, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	nl_put_str(&t->b, NFTA_RULE_TABLE, t->table);
	nl_put_str(&t->b, NFTA_RULE_CHAIN, chain);
	t->rule = nl_nest(&t->b, NFTA_RULE_EXPRESSIONS);
}

static struct expr expr_open(struct nft_batch *t, const char *name)
{
	struct expr e;

	e.elem = nl_nest(&t->b, NFTA_LIST_ELEM);
	nl_put_str(&t->b, NFTA_EXPR_NAME, name);
	e.data = nl_nest(&t->b, NFTA_EXPR_DATA);
	return e;
}

static void expr_end(struct nft_batch *t, struct expr e)
{
	nl_nest_end(&t->b, e.data);
	nl_nest_end(&t->b, e.elem);
}

void nft_meta(struct nft_batch *t, enum nft_meta_keys key)
{
	struct expr e = expr_open(t, "meta");

	nl_put_be32(&t->b, NFTA_META_KEY, key);
	nl_put_be32(&t->b, NFTA_META_DREG, NFT_REG_1);
	expr_end(t, e);
}

void nft_payload(struct nft_batch *t, enum nft_payload_bases base,
		 uint32_t offset, uint32_t len)
{
	struct expr e = expr_open(t, "payload");

	nl_put_be32(&t->b, NFTA_PAYLOAD_DREG, NFT_REG_1);
	nl_put_be32(&t->b, NFTA_PAYLOAD_BASE, base);
	nl_put_be32(&t->b, NFTA_PAYLOAD_OFFSET, offset);
	nl_put_be32(&t->b, NFTA_PAYLOAD_LEN, len);
	expr_end(t, e);
}

void nft_mask(struct nft_batch *t, const void *mask, uint32_t n)
{
	static const uint8_t zeros[16];
	struct expr e = expr_open(t, "bitwise");

	nl_put_be32(&t->b, NFTA_BITWISE_SREG, NFT_REG_1);
	nl_put_be32(&t->b, NFTA_BITWISE_DREG, NFT_REG_1);
	nl_put_be32(&t->b, NFTA_BITWISE_LEN, n);
	put_data(t, NFTA_BITWISE_MASK, mask, n);
	put_data(t, NFTA_BITWISE_XOR, zeros, n);
	expr_end(t, e);
}

void nft_cmp(struct nft_batch *t, enum nft_cmp_ops op, const void *v, size_t n)
{
	struct expr e = expr_open(t, "cmp");

	nl_put_be32(&t->b, NFTA_CMP_SREG, NFT_REG_1);
	nl_put_be32(&t->b, NFTA_CMP_OP, op);
	put_data(t, NFTA_CMP_DATA, v, n);
	expr_end(t, e);
}

void nft_lookup(struct nft_batch *t, const char *set, bool is_not)
{
	struct expr e = expr_open(t, "lookup");

	nl_put_str(&t->b, NFTA_LOOKUP_SET, set);
	nl_put_be32(&t->b, NFTA_LOOKUP_SREG, NFT_REG_1);
	nl_put_be32(&t->b, NFTA_LOOKUP_FLAGS, is_not ? NFT_LOOKUP_F_INV : 0);
	expr_end(t, e);
}

void nft_counter(struct nft_batch *t)
{
	size_t elem = nl_nest(&t->b, NFTA_LIST_ELEM);

	/* no data: it starts at zero, and its values are not compared */
	nl_put_str(&t->b, NFTA_EXPR_NAME, "counter");
	nl_nest_end(&t->b, elem);
}

void nft_log(struct nft_batch *t, uint16_t group, uint32_t copy,
	     const char *prefix)
{
	struct expr e = expr_open(t, "log");
	uint16_t wire = htons(group);

	nl_put(&t->b, NFTA_LOG_GROUP, &wire, sizeof(wire));
	nl_put_str(&t->b, NFTA_LOG_PREFIX, prefix);
	nl_put_be32(&t->b, NFTA_LOG_SNAPLEN, copy);
	expr_end(t, e);
}

void nft_reject_reset(struct nft_batch *t)
{
	struct expr e = expr_open(t, "reject");

	nl_put_be32(&t->b, NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
	expr_end(t, e);
}

void nft_reject_icmp(struct nft_batch *t, uint8_t code)
{
	struct expr e = expr_open(t, "reject");

	nl_put_be32(&t->b, NFTA_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
	nl_put(&t->b, NFTA_REJECT_ICMP_CODE, &code, sizeof(code));
	expr_end(t, e);
}

static void put_register(struct nft_batch *t, enum nft_registers reg,
			 const void *p, size_t n)
{
	struct expr e = expr_open(t, "immediate");

	nl_put_be32(&t->b, NFTA_IMMEDIATE_DREG, reg);
	put_data(t, NFTA_IMMEDIATE_DATA, p, n);
	expr_end(t, e);
}

void nft_tproxy(struct nft_batch *t, uint8_t family, const void *addr,
		uint16_t port)
{
	uint16_t wire = htons(port);
	struct expr e;

	put_register(t, NFT_REG_1, addr, family == NFPROTO_IPV4 ? 4 : 16);
	put_register(t, NFT_REG_2, &wire, sizeof(wire));
	e = expr_open(t, "tproxy");
	nl_put_be32(&t->b, NFTA_TPROXY_FAMILY, family);
	nl_put_be32(&t->b, NFTA_TPROXY_REG_ADDR, NFT_REG_1);
	nl_put_be32(&t->b, NFTA_TPROXY_REG_PORT, NFT_REG_2);
	expr_end(t, e);
}

void nft_verdict(struct nft_batch *t, int32_t verdict, const char *chain)
{
	struct expr e = expr_open(t, "immediate");
	size_t data, nest;

	nl_put_be32(&t->b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = nl_nest(&t->b, NFTA_IMMEDIATE_DATA);
	nest = nl_nest(&t->b, NFTA_DATA_VERDICT);
	nl_put_be32(&t->b, NFTA_VERDICT_CODE, (uint32_t)verdict);
	if (chain)
		nl_put_str(&t->b, NFTA_VERDICT_CHAIN, chain);
	nl_nest_end(&t->b, nest);
	nl_nest_end(&t->b, data);
	expr_end(t, e);
}

int nft_commit(int fd, struct nft_batch *t)
{
	end_rule(t);
	/* Of the end itself older kernels acknowledge nothing; an answer to
	 * the last of what it ends comes after the commit. */
	nl_ask_ack(&t->b);
	bound(t, NFNL_MSG_BATCH_END);
	return nl_request(fd, &t->b);
}
