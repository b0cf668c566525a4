/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* First bytes of packets. */
#include "wire/packet.h"

#include <errno.h>
#include <string.h>

#include "base/cursor.h"

enum {
	/* the first header, options, routing, fragment, options again: RFC
	 * 8200 4.1 has at most seven in front of the upper layer */
	EXTENSIONS_MAX = 8,
	PROTO_DCCP = 33,
	PROTO_UDPLITE = 136,
	PROTO_MOBILITY = 135,
	PROTO_HIP = 139,
	PROTO_SHIM6 = 140,
};

static struct ip_addr addr_of(uint8_t family, struct slice s)
{
	struct ip_addr a = { .family = family };

	memcpy(a.b, s.p, s.n);
	return a;
}

static void take_ports(struct packet *p, struct slice c)
{
	uint32_t src, dst;

	switch (p->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case PROTO_UDPLITE:
	case PROTO_DCCP:
		break;
	default:
		return;
	}
	if (!cursor_uint(&c, 2, &src) || !cursor_uint(&c, 2, &dst))
		return;
	p->has_ports = true;
	p->src_port = (uint16_t)src;
	p->dst_port = (uint16_t)dst;
}

static int parse4(struct slice c, struct packet *ret)
{
	struct slice whole = c, skip, src, dst;
	uint32_t first, frag, proto;
	size_t len;

	if (!cursor_uint(&c, 1, &first) || !cursor_take(&c, 5, &skip) ||
	    !cursor_uint(&c, 2, &frag) || !cursor_take(&c, 1, &skip) ||
	    !cursor_uint(&c, 1, &proto) || !cursor_take(&c, 2, &skip) ||
	    !cursor_take(&c, 4, &src) || !cursor_take(&c, 4, &dst))
		return -EBADMSG;
	len = (first & 15) * 4;
	if (len < 20)
		return -EBADMSG;
	*ret = (struct packet){ .src = addr_of(4, src),
				.dst = addr_of(4, dst),
				.protocol = (uint8_t)proto };
	/* more fragments, or an offset */
	if ((frag & 0x3fff) == 0 && cursor_take(&whole, len, &skip))
		take_ports(ret, whole);
	return 0;
}

/* Bytes of an extension header in all; 0 if it is none, or ends the walk */
static size_t extension_size(uint8_t type, struct slice c)
{
	size_t n = c.n > 1 ? (uint8_t)c.p[1] : 0;

	switch (type) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case PROTO_MOBILITY:
	case PROTO_HIP:
	case PROTO_SHIM6:
		return n * 8 + 8;
	case IPPROTO_AH: /* RFC 4302 2.2: words, less two */
		return n * 4 + 8;
	default:
		return 0;
	}
}

static int parse6(struct slice c, struct packet *ret)
{
	struct slice skip, src, dst;
	uint32_t next;
	size_t size;

	if (!cursor_take(&c, 6, &skip) || !cursor_uint(&c, 1, &next) ||
	    !cursor_take(&c, 1, &skip) || !cursor_take(&c, 16, &src) ||
	    !cursor_take(&c, 16, &dst))
		return -EBADMSG;
	*ret = (struct packet){ .src = addr_of(6, src),
				.dst = addr_of(6, dst),
				.protocol = (uint8_t)next };
	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		size = extension_size(ret->protocol, c);
		if (!size)
			break;
		if (!cursor_take(&c, size, &skip))
			return 0;
		ret->protocol = (uint8_t)skip.p[0];
	}
	/* a fragment header (44) has ended the walk, too */
	take_ports(ret, c);
	return 0;
}

int packet_parse(struct slice s, struct packet *ret)
{
	switch (s.n ? (uint8_t)s.p[0] >> 4 : 0) {
	case 4:
		return parse4(s, ret);
	case 6:
		return parse6(s, ret);
	default:
		return -EBADMSG;
	}
}
