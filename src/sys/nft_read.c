/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nf_tables: what the kernel shows, beside what was sent. */
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "sys/nft.h"

#define NFT_TYPE(m) ((uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | (m)))

/* Messages of one type, of the batch and of a dump, side by side. */
struct pair {
	struct slice rest; /* of the batch */
	uint16_t type;
	struct wbuf *form;
	uint32_t n;
};

/* Elements of a set: a dump shows them in any order and in several pieces. */
struct elements {
	uint16_t v[NFT_ELEMENTS_MAX];
	size_t n;
};

/* Attributes of a message of nf_tables */
static bool attrs_of(const struct nl_msg *m, struct slice *ret)
{
	size_t n = sizeof(struct nfgenmsg);

	if (m->body.n < n)
		return false;
	*ret = (struct slice){ m->body.p + n, m->body.n - n };
	return true;
}

/* The @k-th attribute of a type; with @k past them, how many there are */
static size_t find(struct slice attrs, uint16_t type, size_t k,
		   struct nl_attr *ret)
{
	struct nl_attr a;
	size_t n = 0;

	while (nl_next_attr(&attrs, &a)) {
		if (a.type != type)
			continue;
		if (n++ == k)
			*ret = a;
	}
	return n;
}

static void put_head(struct wbuf *out, uint16_t type, size_t n)
{
	wbuf_byte(out, (char)(type >> 8));
	wbuf_byte(out, (char)type);
	wbuf_byte(out, (char)(n >> 8));
	wbuf_byte(out, (char)n);
}

/* Recursion goes as deep as what was sent, not as what is shown. */
bool nft_same(struct slice sent, struct slice shown, struct wbuf *out)
{
	struct slice c = sent, before;
	struct nl_attr a, b = { 0 };
	size_t n, k;

	while (nl_next_attr(&c, &a)) {
		before = (struct slice){
			sent.p,
			(size_t)(a.body.p - sizeof(struct nlattr) - sent.p)
		};
		k = find(before, a.type, SIZE_MAX, &b);
		n = find(sent, a.type, SIZE_MAX, &b);
		if (find(shown, a.type, k, &b) != n)
			return false;
		put_head(out, a.type, a.body.n);
		if (a.is_nested ? !nft_same(a.body, b.body, out)
				: !slice_eq(a.body, b.body))
			return false;
		if (!a.is_nested)
			wbuf_slice(out, b.body);
	}
	return true;
}

static bool next_sent(struct slice *rest, uint16_t type, struct slice *ret)
{
	struct nl_msg m;

	while (nl_next_msg(rest, &m))
		if (m.type == type)
			return attrs_of(&m, ret);
	return false;
}

/* A set's number is only of the transaction; it is sent last. */
static struct slice without_id(struct slice attrs)
{
	struct nl_attr a;
	struct slice c = attrs;

	while (nl_next_attr(&c, &a))
		if (a.type == NFTA_SET_ID)
			return (struct slice){ attrs.p,
					       (size_t)(a.body.p -
							sizeof(struct nlattr) -
							attrs.p) };
	return attrs;
}

static int compare(void *arg, const struct nl_msg *m)
{
	struct pair *p = arg;
	struct slice sent, shown;

	if (m->type != p->type || !attrs_of(m, &shown) ||
	    !next_sent(&p->rest, p->type, &sent))
		return -EPROTO;
	if (p->type == NFT_TYPE(NFT_MSG_NEWSET))
		sent = without_id(sent);
	put_head(p->form, p->type, 0);
	p->n++;
	return nft_same(sent, shown, p->form) ? 0 : -EPROTO;
}

/* Start a request for what a table has */
static void ask(struct nl_buf *b, uint16_t msg, uint16_t attr,
		const char *table)
{
	struct nfgenmsg g = { .nfgen_family = NFPROTO_INET,
			      .version = NFNETLINK_V0 };

	nl_open(b, NFT_TYPE(msg), NLM_F_DUMP, &g, sizeof(g));
	nl_put_str(b, attr, table);
}

/* Rules, chains and sets name their table in the same attribute. */
_Static_assert((int)NFTA_RULE_TABLE == (int)NFTA_CHAIN_TABLE &&
		       (int)NFTA_RULE_TABLE == (int)NFTA_SET_TABLE &&
		       (int)NFTA_RULE_TABLE == (int)NFTA_SET_ELEM_LIST_TABLE,
	       "tables are named alike");

static int compare_all(int fd, const struct nft_batch *t, uint16_t get,
		       uint16_t kind, struct wbuf *form, uint32_t *ret_n)
{
	NO_INIT char text[512];
	struct nl_buf b = { .p = text, .max = sizeof(text) };
	struct pair p = { .rest = { t->b.p, t->b.n },
			  .type = NFT_TYPE(kind),
			  .form = form };
	struct slice more;
	int r;

	ask(&b, get, NFTA_RULE_TABLE, t->table);
	r = nl_dump(fd, &b, compare, &p);
	if (!r && next_sent(&p.rest, p.type, &more))
		r = -EPROTO;
	*ret_n = p.n;
	return r;
}

static int collect(void *arg, const struct nl_msg *m)
{
	struct elements *e = arg;
	struct nl_attr list, elem, key, v;
	struct slice c;

	if (!attrs_of(m, &c) || !find(c, NFTA_SET_ELEM_LIST_ELEMENTS, 0, &list))
		return -EPROTO;
	while (nl_next_attr(&list.body, &elem)) {
		if (e->n == NFT_ELEMENTS_MAX ||
		    find(elem.body, NFTA_SET_ELEM_KEY, 0, &key) != 1 ||
		    find(key.body, NFTA_DATA_VALUE, 0, &v) != 1 ||
		    v.body.n < 1 || v.body.n > 2)
			return -EPROTO;
		e->v[e->n] = (uint8_t)v.body.p[0];
		if (v.body.n == 2)
			e->v[e->n] = (uint16_t)(e->v[e->n] << 8 |
						(uint8_t)v.body.p[1]);
		e->n++;
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static int compare_set(int fd, const struct nft_batch *t, struct slice sent,
		       struct wbuf *form)
{
	NO_INIT char text[1024];
	NO_INIT struct elements want, have;
	struct nl_buf b = { .p = text, .max = sizeof(text) };
	struct nl_msg whole = { .body = { sent.p - sizeof(struct nfgenmsg),
					  sent.n + sizeof(struct nfgenmsg) } };
	struct nl_attr name;
	int r;

	want.n = have.n = 0;
	if (find(sent, NFTA_SET_ELEM_LIST_SET, 0, &name) != 1)
		return -EPROTO;
	ask(&b, NFT_MSG_GETSETELEM, NFTA_SET_ELEM_LIST_TABLE, t->table);
	nl_put(&b, NFTA_SET_ELEM_LIST_SET, name.body.p, name.body.n);
	r = collect(&want, &whole);
	if (!r)
		r = nl_dump(fd, &b, collect, &have);
	if (r)
		return r;
	qsort(have.v, have.n, sizeof(*have.v), by_value);
	if (want.n != have.n || memcmp(want.v, have.v, want.n * 2) != 0)
		return -EPROTO;
	wbuf_slice(form, name.body);
	for (size_t i = 0; i < have.n; i++)
		put_head(form, have.v[i], 0);
	return 0;
}

int nft_read_back(int fd, const struct nft_batch *t, struct wbuf *ret_form,
		  uint32_t *ret_rules)
{
	struct slice rest = { t->b.p, t->b.n }, sent;
	uint32_t n;
	int r;

	r = compare_all(fd, t, NFT_MSG_GETCHAIN, NFT_MSG_NEWCHAIN, ret_form,
			&n);
	if (!r)
		r = compare_all(fd, t, NFT_MSG_GETSET, NFT_MSG_NEWSET, ret_form,
				&n);
	while (!r && next_sent(&rest, NFT_TYPE(NFT_MSG_NEWSETELEM), &sent))
		r = compare_set(fd, t, sent, ret_form);
	if (!r)
		r = compare_all(fd, t, NFT_MSG_GETRULE, NFT_MSG_NEWRULE,
				ret_form, ret_rules);
	if (!r && ret_form->failed)
		r = -ENOMEM;
	return r;
}

/* Packets of the counters in one rule */
static int add_counters(void *arg, const struct nl_msg *m)
{
	uint64_t *sum = arg;
	struct slice c;
	struct nl_attr list, e, data, v;

	if (!attrs_of(m, &c) || !find(c, NFTA_RULE_EXPRESSIONS, 0, &list))
		return -EPROTO;
	while (nl_next_attr(&list.body, &e)) {
		uint64_t packets = 0;

		if (!find(e.body, NFTA_EXPR_NAME, 0, &v) ||
		    !slice_eq(v.body, (struct slice){ "counter", 8 }))
			continue;
		if (!find(e.body, NFTA_EXPR_DATA, 0, &data) ||
		    !find(data.body, NFTA_COUNTER_PACKETS, 0, &v) ||
		    v.body.n != sizeof(packets))
			return -EPROTO;
		for (size_t i = 0; i < v.body.n; i++)
			packets = packets << 8 | (uint8_t)v.body.p[i];
		*sum += packets;
	}
	return 0;
}

int nft_counted(int fd, const char *table, const char *chain, uint64_t *ret)
{
	NO_INIT char text[1024];
	struct nl_buf b = { .p = text, .max = sizeof(text) };

	ask(&b, NFT_MSG_GETRULE, NFTA_RULE_TABLE, table);
	if (chain)
		nl_put_str(&b, NFTA_RULE_CHAIN, chain);
	*ret = 0;
	return nl_dump(fd, &b, add_counters, ret);
}
