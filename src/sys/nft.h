/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nf_tables: one `inet` table, made in one transaction, and read back. The
 * encoding is our own, as sys/netlink.h says.
 *
 * A rule is opened, then its expressions are put in the order they are worked
 * through; register 1 carries what the next one looks at. Numbers are those of
 * linux/netfilter/nf_tables.h. Linux 5.9 (reject and tproxy in inet).
 */
#ifndef CELLOS_SYS_NFT_H
#define CELLOS_SYS_NFT_H

#include <linux/netfilter/nf_tables.h>

#include "base/attr.h"
#include "base/wbuf.h"
#include "sys/netlink.h"

enum {
	NFT_ELEMENTS_MAX = 1024, /* of a set */
};

struct nft_batch {
	struct nl_buf b;   /* of the caller, as the buffer in it */
	const char *table; /* static */
	size_t rule;	   /* the expressions of the open rule, or 0 */
	uint32_t sets;
};

struct nft_hook {
	uint32_t num;	  /* NF_INET_* */
	int32_t priority; /* lower is earlier */
	bool drops;	  /* what no rule decides */
};

/** nft_begin() - start the transaction; the table must not exist */
void nft_begin(struct nft_batch *t, const char *table);
/** nft_chain() - @hook: NULL for a chain that is only jumped to */
void nft_chain(struct nft_batch *t, const char *name,
	       const struct nft_hook *hook);
/**
 * nft_set() - a constant set of integers
 * @key_len: 1 or 2 bytes, as on the wire
 * @v:	     ascending, each once; 1 to NFT_ELEMENTS_MAX
 */
void nft_set(struct nft_batch *t, const char *name, uint32_t key_len,
	     const uint16_t *v, size_t n);
/** nft_rule() - open a rule at the end of a chain. Chains are filled in the
 *  order they were made, or the read-back compares the wrong ones. */
void nft_rule(struct nft_batch *t, const char *chain);

void nft_meta(struct nft_batch *t, enum nft_meta_keys key);
void nft_payload(struct nft_batch *t, enum nft_payload_bases base,
		 uint32_t offset, uint32_t len);
/** nft_mask() - register 1 &= @mask; @n 1 to 16 bytes */
void nft_mask(struct nft_batch *t, const void *mask, uint32_t n);
/** nft_cmp() - end the rule unless register 1 compares so, bytewise */
void nft_cmp(struct nft_batch *t, enum nft_cmp_ops op, const void *v, size_t n);
/** nft_lookup() - end the rule unless register 1 is in the set, or with
 *  @is_not, is not */
void nft_lookup(struct nft_batch *t, const char *set, bool is_not);
void nft_counter(struct nft_batch *t);
/** nft_log() - @copy: bytes of a packet that are told to the group */
void nft_log(struct nft_batch *t, uint16_t group, uint32_t copy,
	     const char *prefix);
void nft_reject_reset(struct nft_batch *t);
/** nft_reject_icmp() - @code: NFT_REJECT_ICMPX_*, of either family */
void nft_reject_icmp(struct nft_batch *t, uint8_t code);
/**
 * nft_tproxy() - hand the packet to a listening socket; without one, end the
 * rule
 * @family: NFPROTO_IPV4 or NFPROTO_IPV6
 * @addr:   4 or 16 bytes, network order
 */
void nft_tproxy(struct nft_batch *t, uint8_t family, const void *addr,
		uint16_t port);
/** nft_verdict() - @verdict: NF_ACCEPT, NF_DROP, NFT_JUMP, NFT_GOTO;
 *  @chain: of the last two, else NULL */
void nft_verdict(struct nft_batch *t, int32_t verdict, const char *chain);

/**
 * nft_commit() - end the transaction and send it
 * @fd: a NETLINK_NETFILTER socket
 *
 * Return: 0 or -errno, and then nothing of it is in force
 */
int nft_commit(int fd, struct nft_batch *t) MUST_USE;
/**
 * nft_read_back() - compare what the kernel shows with what was sent
 * @t:	       as nft_commit() left it
 * @ret_form:  what the kernel shows of everything that was sent, in order and
 *             without values of counters: the same bytes for the same rules
 * @ret_rules: how many rules it shows
 *
 * Every chain, rule, expression and element that was sent must be shown
 * unchanged, in order, and no other may be.
 *
 * Return: 0; -EPROTO if they differ; or -errno
 */
int nft_read_back(int fd, const struct nft_batch *t, struct wbuf *ret_form,
		  uint32_t *ret_rules) MUST_USE;
/**
 * nft_counted() - packets in all counters of a chain
 * @chain: NULL: of every chain of the table
 *
 * Return: 0 or -errno, -ENOENT without such a table
 */
int nft_counted(int fd, const char *table, const char *chain,
		uint64_t *ret) MUST_USE;
/**
 * nft_same() - are attributes shown as they were sent?
 * @out: what is shown of them
 *
 * Each attribute of @sent is in @shown, the k-th of a type as the k-th of it,
 * and as many of each type; nested ones in the same way. What only @shown has
 * (handles, values the kernel keeps) says nothing about what was asked.
 */
bool nft_same(struct slice sent, struct slice shown, struct wbuf *out);

#endif
