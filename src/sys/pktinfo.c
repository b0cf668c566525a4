/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "sys/pktinfo.h"

#include <string.h>

bool pktinfo_read(const struct msghdr *m, struct ip_addr *ret)
{
	/* there is one at most: nothing else is asked for */
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	struct in_pktinfo v4;
	struct in6_pktinfo v6;

	*ret = (struct ip_addr){ .family = 0 };
	if (!c)
		return false;
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		memcpy(&v4, CMSG_DATA(c), sizeof(v4));
		ret->family = 4;
		memcpy(ret->b, &v4.ipi_addr, 4);
	} else if (c->cmsg_level == IPPROTO_IPV6 &&
		   c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&v6, CMSG_DATA(c), sizeof(v6));
		ret->family = 6;
		memcpy(ret->b, &v6.ipi6_addr, 16);
	}
	return ret->family != 0;
}

static void put(struct msghdr *m, int level, int type, const void *p, size_t n)
{
	struct cmsghdr *c;

	m->msg_controllen = (socklen_t)CMSG_SPACE(n);
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = (socklen_t)CMSG_LEN(n);
	memcpy(CMSG_DATA(c), p, n);
}

void pktinfo_put(struct msghdr *m, struct pktinfo *c, const struct ip_addr *a)
{
	struct in_pktinfo v4 = { .ipi_ifindex = 0 };
	struct in6_pktinfo v6 = { .ipi6_ifindex = 0 };

	memset(c, 0, sizeof(*c));
	m->msg_control = c;
	m->msg_controllen = 0;
	if (a->family == 4) {
		memcpy(&v4.ipi_spec_dst, a->b, 4);
		put(m, IPPROTO_IP, IP_PKTINFO, &v4, sizeof(v4));
	} else if (a->family == 6) {
		memcpy(&v6.ipi6_addr, a->b, 16);
		put(m, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof(v6));
	}
}
