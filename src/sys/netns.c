/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Links, addresses and routes of a fresh network namespace, over rtnetlink. */
#include "sys/netns.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

int netns_lo_up(void)
{
	OWNED(fd_drop) int fd = -1;
	struct ifreq r = { .ifr_name = "lo" };

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCGIFFLAGS, &r) < 0)
		return -errno;
	r.ifr_flags = (short)(r.ifr_flags | IFF_UP);
	if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		return -errno;
	return 0;
}

static uint8_t family_of(const struct ip_addr *a)
{
	return a->family == 4 ? AF_INET : AF_INET6;
}

static uint16_t size_of(const struct ip_addr *a)
{
	return a->family == 4 ? 4 : 16;
}

void netns_put_addr(struct nl_buf *b, uint32_t ifindex, const struct ip_addr *a)
{
	struct ifaddrmsg m = {
		.ifa_family = family_of(a),
		.ifa_prefixlen = (uint8_t)(size_of(a) * 8),
		.ifa_flags = IFA_F_NODAD,
		.ifa_scope = RT_SCOPE_UNIVERSE,
		.ifa_index = ifindex,
	};

	nl_open(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &m, sizeof(m));
	nl_put(b, IFA_LOCAL, a->b, size_of(a));
}

static void put_route(struct nl_buf *b, struct rtmsg m, uint32_t ifindex,
		      const struct ip_addr *src)
{
	m.rtm_family = family_of(src);
	m.rtm_table = RT_TABLE_LOCAL;
	m.rtm_protocol = RTPROT_STATIC;
	nl_open(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &m, sizeof(m));
	nl_put_u32(b, RTA_OIF, ifindex);
	nl_put(b, RTA_PREFSRC, src->b, size_of(src));
}

void netns_put_default(struct nl_buf *b, const struct ip_addr *src)
{
	put_route(b,
		  (struct rtmsg){ .rtm_type = RTN_LOCAL,
				  .rtm_scope = RT_SCOPE_HOST },
		  NETNS_LO, src);
}

void netns_put_neighbour(struct nl_buf *b, uint32_t ifindex,
			 const struct ip_addr *a, const struct ip_addr *src)
{
	put_route(b,
		  (struct rtmsg){ .rtm_type = RTN_UNICAST,
				  .rtm_scope = RT_SCOPE_LINK,
				  .rtm_dst_len = (uint8_t)(size_of(a) * 8) },
		  ifindex, src);
	nl_put(b, RTA_DST, a->b, size_of(a));
}

void netns_put_up(struct nl_buf *b, uint32_t ifindex)
{
	struct ifinfomsg m = { .ifi_index = (int)ifindex,
			       .ifi_flags = IFF_UP,
			       .ifi_change = IFF_UP };

	nl_open(b, RTM_SETLINK, 0, &m, sizeof(m));
}

void netns_put_leg_up(struct nl_buf *b, uint32_t ifindex, bool has_v6)
{
	size_t all, inet, conf;

	netns_put_up(b, ifindex);
	all = nl_nest(b, IFLA_AF_SPEC);
	inet = nl_nest(b, AF_INET);
	conf = nl_nest(b, IFLA_INET_CONF);
	nl_put_u32(b, IPV4_DEVCONF_ARP_ANNOUNCE, 2);
	nl_nest_end(b, conf);
	nl_nest_end(b, inet);
	if (has_v6) {
		inet = nl_nest(b, AF_INET6);
		nl_put(b, IFLA_INET6_ADDR_GEN_MODE,
		       &(uint8_t){ IN6_ADDR_GEN_MODE_NONE }, 1);
		nl_nest_end(b, inet);
	}
	nl_nest_end(b, all);
}

void netns_put_veth(struct nl_buf *b, const char *name, const char *peer_name,
		    int peer_net)
{
	struct ifinfomsg m = { 0 };
	size_t info, data, peer;

	nl_open(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &m, sizeof(m));
	nl_put_str(b, IFLA_IFNAME, name);
	info = nl_nest(b, IFLA_LINKINFO);
	nl_put_str(b, IFLA_INFO_KIND, "veth");
	data = nl_nest(b, IFLA_INFO_DATA);
	/* an ifinfomsg, then attributes */
	peer = nl_nest_with(b, VETH_INFO_PEER, &m, sizeof(m));
	nl_put_str(b, IFLA_IFNAME, peer_name);
	nl_put_u32(b, IFLA_NET_NS_FD, (uint32_t)peer_net);
	nl_nest_end(b, peer);
	nl_nest_end(b, data);
	nl_nest_end(b, info);
}

void netns_put_gateway(struct nl_buf *b, uint32_t ifindex,
		       const struct ip_addr *via)
{
	struct rtmsg m = {
		.rtm_family = family_of(via),
		.rtm_dst_len = (uint8_t)(size_of(via) * 8),
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST,
	};

	nl_open(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &m, sizeof(m));
	nl_put(b, RTA_DST, via->b, size_of(via));
	nl_put_u32(b, RTA_OIF, ifindex);
	m.rtm_dst_len = 0;
	m.rtm_scope = RT_SCOPE_UNIVERSE;
	nl_open(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &m, sizeof(m));
	nl_put(b, RTA_GATEWAY, via->b, size_of(via));
	nl_put_u32(b, RTA_OIF, ifindex);
}

bool netns_reaches_v6(void)
{
	OWNED(fd_drop) int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 a = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(53),
		.sin6_addr = { { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } } }
	};

	return fd >= 0 &&
	       connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0;
}
