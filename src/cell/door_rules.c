/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Rules of a door. What leaves the workload is judged once, in `output`; with
 * a leg, what comes from it in `guard` (before fragments are put together) and
 * `input`. Everything the rules do not name ends in `refuse`.
 */
#include "cell/door_rules.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <net/if.h>
#include <string.h>

enum {
	TO_SRC = 0,
	TO_DST = 1,
	/* before reassembly, which TPROXY switches on at -400 */
	GUARD_PRIORITY = -450,
	DIVERT_PRIORITY = -150, /* "mangle" */
	ICMP4_UNREACHABLE = 3,
	ICMP6_UNREACHABLE = 1,
	/* listeners (RFC 2710, 3810), routers and neighbours (RFC 4861) */
	ICMP6_LISTENER_ASKED = 130,
	ICMP6_NEIGHBOUR_ASKED = 135,
	ICMP6_NEIGHBOUR = 136,
	ICMP6_REDIRECT = 137,
	ICMP6_LISTENER2 = 143,
	ICMP6 = 58,
};

static const char tcp_ports[] = "tcp", udp_ports[] = "udp", upper6[] = "upper6";

void door_ports(const struct door *d, bool udp, struct door_ports *ret)
{
	const uint16_t *v = udp ? d->udp : d->tcp;
	size_t n = udp ? d->n_udp : d->n_tcp;
	bool has_dns = false;

	ret->n = 0;
	for (size_t i = 0; i <= n && i <= DOOR_PORTS_MAX; i++) {
		if (!has_dns && (i == n || v[i] > DOOR_DNS_PORT)) {
			ret->v[ret->n++] = DOOR_DNS_PORT;
			has_dns = true;
		}
		/* DNS over TLS and QUIC; HTTP/3 */
		if (i < n && v[i] != 853 && !(udp && v[i] == 443))
			ret->v[ret->n++] = v[i];
	}
}

static void is(struct nft_batch *t, enum nft_meta_keys key, uint32_t v)
{
	nft_meta(t, key);
	nft_cmp(t, NFT_CMP_EQ, &v, sizeof(v));
}

static void is_byte(struct nft_batch *t, enum nft_meta_keys key, uint8_t v)
{
	nft_meta(t, key);
	nft_cmp(t, NFT_CMP_EQ, &v, sizeof(v));
}

static void leg(struct nft_batch *t, enum nft_meta_keys key,
		enum nft_cmp_ops op)
{
	char name[IFNAMSIZ] = DOOR_LEG;

	nft_meta(t, key);
	nft_cmp(t, op, name, sizeof(name));
}

static void family(struct nft_batch *t, uint8_t v)
{
	is_byte(t, NFT_META_NFPROTO,
		v == 4 ? (uint8_t)NFPROTO_IPV4 : (uint8_t)NFPROTO_IPV6);
}

static void proto(struct nft_batch *t, uint8_t v)
{
	is_byte(t, NFT_META_L4PROTO, v);
}

static void addr(struct nft_batch *t, int which, enum nft_cmp_ops op,
		 const struct ip_addr *a)
{
	uint32_t n = a->family == 4 ? 4 : 16;
	uint32_t at = a->family == 4 ? 12 : 8;

	family(t, a->family);
	nft_payload(t, NFT_PAYLOAD_NETWORK_HEADER, at + n * (uint32_t)which, n);
	nft_cmp(t, op, a->b, n);
}

static struct ip_addr text_addr(uint8_t fam, const char *text)
{
	struct ip_addr a = { .family = fam };

	(void)inet_pton(fam == 4 ? AF_INET : AF_INET6, text, a.b);
	return a;
}

static struct ip_addr own(uint8_t fam)
{
	return text_addr(fam, fam == 4 ? DOOR_ADDR4 : DOOR_ADDR6);
}

static struct ip_addr peer(uint8_t fam)
{
	return text_addr(fam, fam == 4 ? DOOR_LEG_PEER4 : DOOR_LEG_PEER6);
}

static void load_port(struct nft_batch *t)
{
	nft_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
}

static void port(struct nft_batch *t, uint8_t protocol, uint16_t v)
{
	uint16_t wire = htons(v);

	proto(t, protocol);
	load_port(t);
	nft_cmp(t, NFT_CMP_EQ, &wire, sizeof(wire));
}

static void port_in(struct nft_batch *t, uint8_t protocol, const char *set)
{
	proto(t, protocol);
	load_port(t);
	nft_lookup(t, set, false);
}

/* ICMP types from @low to @high */
static void icmp(struct nft_batch *t, uint8_t fam, uint8_t low, uint8_t high)
{
	family(t, fam);
	proto(t, fam == 4 ? (uint8_t)IPPROTO_ICMP : (uint8_t)ICMP6);
	nft_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
	nft_cmp(t, NFT_CMP_GTE, &low, 1);
	nft_cmp(t, NFT_CMP_LTE, &high, 1);
}

/* Families a door lets out: 4, and 6 if the outside has it */
static uint8_t last_family(const struct door *d)
{
	return d->has_v6 ? 6 : 4;
}

static bool is_any(const struct ip_addr *a)
{
	return memcmp(a->b, (uint8_t[16]){ 0 }, 16) == 0;
}

/* Explicit listeners; those of the unspecified address if @any. */
static void listeners(struct nft_batch *t, const struct door *d,
		      const char *chain, bool any, bool tcp_only)
{
	for (size_t i = 0; i < d->n_listen && i < DOOR_LISTEN_MAX; i++) {
		const struct ip_addr *a = &d->listen[i].addr;
		bool udp = d->listen[i].is_udp;

		if (is_any(a) != any || (tcp_only && udp))
			continue;
		nft_rule(t, chain);
		if (any)
			family(t, a->family);
		else
			addr(t, TO_DST, NFT_CMP_EQ, a);
		port(t, udp ? IPPROTO_UDP : IPPROTO_TCP, d->listen[i].port);
		nft_verdict(t, NF_ACCEPT, NULL);
	}
}

/* What is addressed to the cell itself */
static void to_own(struct nft_batch *t, const struct door *d, const char *chain,
		   int32_t verdict, const char *target)
{
	static const uint8_t loopback = 127;
	struct ip_addr a = own(4);

	nft_rule(t, chain);
	family(t, 4);
	nft_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 16, 1);
	nft_cmp(t, NFT_CMP_EQ, &loopback, 1);
	nft_verdict(t, verdict, target);
	nft_rule(t, chain);
	addr(t, TO_DST, NFT_CMP_EQ, &a);
	nft_verdict(t, verdict, target);
	a = text_addr(6, "::1");
	nft_rule(t, chain);
	addr(t, TO_DST, NFT_CMP_EQ, &a);
	nft_verdict(t, verdict, target);
	if (!d->has_v6)
		return;
	a = own(6);
	nft_rule(t, chain);
	addr(t, TO_DST, NFT_CMP_EQ, &a);
	nft_verdict(t, verdict, target);
}

/* Neither multicast nor what is reserved above it is a destination. */
static void no_multicast(struct nft_batch *t, const char *chain)
{
	static const uint8_t class_d = 224, multicast6 = 0xff;

	nft_rule(t, chain);
	family(t, 4);
	nft_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 16, 1);
	nft_cmp(t, NFT_CMP_GTE, &class_d, 1);
	nft_verdict(t, NFT_GOTO, DOOR_REFUSE);
	nft_rule(t, chain);
	family(t, 6);
	nft_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 24, 1);
	nft_cmp(t, NFT_CMP_EQ, &multicast6, 1);
	nft_verdict(t, NFT_GOTO, DOOR_REFUSE);
}

/* No options, no extension headers: source routes are among them. */
static void plain_headers(struct nft_batch *t, const char *chain,
			  const char *target)
{
	static const uint8_t mask = 15, words = 5;

	nft_rule(t, chain);
	family(t, 4);
	nft_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 0, 1);
	nft_mask(t, &mask, 1);
	nft_cmp(t, NFT_CMP_NEQ, &words, 1);
	nft_verdict(t, NFT_GOTO, target);
	nft_rule(t, chain);
	family(t, 6);
	nft_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 6, 1);
	nft_lookup(t, upper6, true);
	nft_verdict(t, NFT_GOTO, target);
}

/* Neighbour discovery, which does not leave the link (RFC 4861 7.1: hop
 * limit 255). */
static void neighbours(struct nft_batch *t, const char *chain,
		       enum nft_meta_keys device)
{
	static const uint8_t hops = 255;

	nft_rule(t, chain);
	leg(t, device, NFT_CMP_EQ);
	icmp(t, 6, ICMP6_NEIGHBOUR_ASKED, ICMP6_NEIGHBOUR);
	nft_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 7, 1);
	nft_cmp(t, NFT_CMP_EQ, &hops, 1);
	nft_verdict(t, NF_ACCEPT, NULL);
}

/* What a network stack says of itself, unasked by any program: dropped, but
 * not told as if a program had tried to get out. */
static void chatter(struct nft_batch *t)
{
	nft_rule(t, "chatter");
	icmp(t, 4, ICMP4_UNREACHABLE, ICMP4_UNREACHABLE);
	nft_verdict(t, NF_DROP, NULL);
	nft_rule(t, "chatter");
	icmp(t, 6, ICMP6_UNREACHABLE, ICMP6_UNREACHABLE);
	nft_verdict(t, NF_DROP, NULL);
	nft_rule(t, "chatter");
	icmp(t, 6, ICMP6_LISTENER_ASKED, ICMP6_REDIRECT);
	nft_verdict(t, NF_DROP, NULL);
	nft_rule(t, "chatter");
	icmp(t, 6, ICMP6_LISTENER2, ICMP6_LISTENER2);
	nft_verdict(t, NF_DROP, NULL);
}

static void tell(struct nft_batch *t, const struct door *d, const char *chain)
{
	nft_rule(t, chain);
	nft_counter(t);
	nft_rule(t, chain);
	nft_log(t, d->nflog_group, DOOR_NFLOG_COPY, chain);
}

static void refuse(struct nft_batch *t, const struct door *d)
{
	tell(t, d, DOOR_REFUSE);
	nft_rule(t, DOOR_REFUSE);
	proto(t, IPPROTO_TCP);
	nft_reject_reset(t);
	nft_rule(t, DOOR_REFUSE);
	nft_reject_icmp(t, NFT_REJECT_ICMPX_PORT_UNREACH);
}

static void discard(struct nft_batch *t, const struct door *d)
{
	tell(t, d, DOOR_DISCARD);
	nft_rule(t, DOOR_DISCARD);
	nft_verdict(t, NF_DROP, NULL);
}

/* Destinations the gate judges */
static void named(struct nft_batch *t)
{
	nft_rule(t, "named");
	port_in(t, IPPROTO_TCP, tcp_ports);
	nft_verdict(t, NF_ACCEPT, NULL);
	nft_rule(t, "named");
	port_in(t, IPPROTO_UDP, udp_ports);
	nft_verdict(t, NF_ACCEPT, NULL);
}

/* The gate's sockets are no services of the cell's loopback. */
static void own_ports(struct nft_batch *t, const struct door *d,
		      uint16_t gate_port)
{
	listeners(t, d, "own", true, false);
	nft_rule(t, "own");
	port(t, IPPROTO_TCP, gate_port);
	nft_verdict(t, NFT_GOTO, DOOR_REFUSE);
	nft_rule(t, "own");
	port_in(t, IPPROTO_UDP, udp_ports);
	nft_verdict(t, NFT_GOTO, DOOR_REFUSE);
	nft_rule(t, "own");
	nft_verdict(t, NF_ACCEPT, NULL);
}

static void divert(struct nft_batch *t, const struct door *d,
		   uint16_t gate_port)
{
	struct ip_addr gate;

	to_own(t, d, "divert", NF_ACCEPT, NULL);
	listeners(t, d, "divert", false, true);
	for (uint8_t f = 4; f <= last_family(d); f += 2) {
		gate = text_addr(f, f == 4 ? "127.0.0.1" : "::1");
		nft_rule(t, "divert");
		family(t, f);
		port_in(t, IPPROTO_TCP, tcp_ports);
		nft_tproxy(t, f == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6, gate.b,
			   gate_port);
	}
}

static void output_leg(struct nft_batch *t, const struct door *d)
{
	for (uint8_t f = 4; f <= last_family(d); f += 2) {
		struct ip_addr a = peer(f);

		nft_rule(t, "output");
		leg(t, NFT_META_OIFNAME, NFT_CMP_EQ);
		addr(t, TO_DST, NFT_CMP_EQ, &a);
		nft_verdict(t, NF_ACCEPT, NULL);
	}
	if (d->has_v6)
		neighbours(t, "output", NFT_META_OIFNAME);
	nft_rule(t, "output");
	leg(t, NFT_META_OIFNAME, NFT_CMP_EQ);
	nft_verdict(t, NFT_JUMP, "chatter");
}

/* The resets of `refuse` go where a refused connection said it came from: in
 * here all addresses are local, and who bound one of them must be told. */
static void output_resets(struct nft_batch *t)
{
	static const uint8_t reset = 4, none;
	static const char lo[IFNAMSIZ] = "lo";

	nft_rule(t, "output");
	nft_meta(t, NFT_META_OIFNAME);
	nft_cmp(t, NFT_CMP_EQ, lo, sizeof(lo));
	proto(t, IPPROTO_TCP);
	nft_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1);
	nft_mask(t, &reset, 1);
	nft_cmp(t, NFT_CMP_NEQ, &none, 1);
	nft_verdict(t, NF_ACCEPT, NULL);
}

static void output(struct nft_batch *t, const struct door *d)
{
	nft_rule(t, "output");
	is(t, NFT_META_MARK, DOOR_MARK);
	nft_verdict(t, NF_ACCEPT, NULL);
	if (d->has_leg)
		output_leg(t, d);
	plain_headers(t, "output", DOOR_REFUSE);
	output_resets(t);
	listeners(t, d, "output", false, false);
	to_own(t, d, "output", NFT_GOTO, "own");
	nft_rule(t, "output");
	nft_verdict(t, NFT_JUMP, "chatter");
	no_multicast(t, "output");
	for (uint8_t f = 4; f <= last_family(d); f += 2) {
		struct ip_addr a = own(f);

		nft_rule(t, "output");
		addr(t, TO_SRC, NFT_CMP_EQ, &a);
		nft_verdict(t, NFT_JUMP, "named");
	}
	nft_rule(t, "output");
	nft_verdict(t, NFT_GOTO, DOOR_REFUSE);
}

/* Of the leg only plain packets with the cell's own source get any further. */
static void guard(struct nft_batch *t, const struct door *d)
{
	static const uint8_t fragment[2] = { 0x3f, 0xff }, none[2];
	struct ip_addr a;

	nft_rule(t, "guard");
	leg(t, NFT_META_IIFNAME, NFT_CMP_NEQ);
	nft_verdict(t, NF_ACCEPT, NULL);
	if (d->has_v6)
		neighbours(t, "guard", NFT_META_IIFNAME);
	nft_rule(t, "guard");
	nft_verdict(t, NFT_JUMP, "chatter");
	for (uint8_t f = 4; f <= last_family(d); f += 2) {
		a = peer(f);
		nft_rule(t, "guard");
		addr(t, TO_SRC, NFT_CMP_NEQ, &a);
		nft_verdict(t, NFT_GOTO, DOOR_DISCARD);
	}
	if (!d->has_v6) {
		nft_rule(t, "guard");
		family(t, 6);
		nft_verdict(t, NFT_GOTO, DOOR_DISCARD);
	}
	plain_headers(t, "guard", DOOR_DISCARD);
	nft_rule(t, "guard");
	family(t, 4);
	nft_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 6, 2);
	nft_mask(t, fragment, 2);
	nft_cmp(t, NFT_CMP_NEQ, none, 2);
	nft_verdict(t, NFT_GOTO, DOOR_DISCARD);
}

static void input(struct nft_batch *t, const struct door *d)
{
	nft_rule(t, "input");
	leg(t, NFT_META_IIFNAME, NFT_CMP_NEQ);
	nft_verdict(t, NF_ACCEPT, NULL);
	if (d->has_v6)
		neighbours(t, "input", NFT_META_IIFNAME);
	listeners(t, d, "input", false, false);
	listeners(t, d, "input", true, false);
	to_own(t, d, "input", NFT_GOTO, DOOR_REFUSE);
	no_multicast(t, "input");
	nft_rule(t, "input");
	nft_verdict(t, NFT_JUMP, "named");
	nft_rule(t, "input");
	nft_verdict(t, NFT_GOTO, DOOR_REFUSE);
}

static void chains(struct nft_batch *t, const struct door *d)
{
	nft_chain(t, DOOR_REFUSE, NULL);
	if (d->has_leg)
		nft_chain(t, DOOR_DISCARD, NULL);
	nft_chain(t, "named", NULL);
	nft_chain(t, "own", NULL);
	nft_chain(t, "chatter", NULL);
	nft_chain(t, "divert",
		  &(struct nft_hook){ NF_INET_PRE_ROUTING, DIVERT_PRIORITY,
				      false });
	nft_chain(t, "output",
		  &(struct nft_hook){ NF_INET_LOCAL_OUT, 0, true });
	if (!d->has_leg)
		return;
	nft_chain(t, "guard",
		  &(struct nft_hook){ NF_INET_PRE_ROUTING, GUARD_PRIORITY,
				      false });
	nft_chain(t, "input", &(struct nft_hook){ NF_INET_LOCAL_IN, 0, true });
}

void door_rules(struct nft_batch *t, const struct door *d, uint16_t gate_port)
{
	static const uint16_t upper[] = { IPPROTO_TCP, IPPROTO_UDP, ICMP6 };
	NO_INIT struct door_ports tcp, udp;

	door_ports(d, false, &tcp);
	door_ports(d, true, &udp);
	nft_begin(t, DOOR_TABLE);
	chains(t, d);
	nft_set(t, tcp_ports, 2, tcp.v, tcp.n);
	nft_set(t, udp_ports, 2, udp.v, udp.n);
	nft_set(t, upper6, 1, upper, ARRAY_SIZE(upper));
	refuse(t, d);
	if (d->has_leg)
		discard(t, d);
	named(t);
	own_ports(t, d, gate_port);
	chatter(t);
	divert(t, d, gate_port);
	output(t, d);
	if (!d->has_leg)
		return;
	guard(t, d);
	input(t, d);
}
