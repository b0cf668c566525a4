/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Attacks by socket: families that ignore namespaces, raw packets, and every
 * way to something outside the cell.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hostile.h"

static const char *make(int family, int type, int protocol)
{
	return word_of(socket(family, type, protocol));
}

#define SOCKET_PROBE(name, family, type, protocol)   \
	static const char *name(const char *arg)     \
	{                                            \
		(void)arg;                           \
		return make(family, type, protocol); \
	}

SOCKET_PROBE(packet_raw, AF_PACKET, SOCK_RAW, 0)
SOCKET_PROBE(packet_dgram, AF_PACKET, SOCK_DGRAM, 0)
SOCKET_PROBE(vsock, AF_VSOCK, SOCK_STREAM, 0)
SOCKET_PROBE(vsock_dgram, AF_VSOCK, SOCK_DGRAM, 0)
SOCKET_PROBE(alg, AF_ALG, SOCK_SEQPACKET, 0)
SOCKET_PROBE(raw_icmp, AF_INET, SOCK_RAW, IPPROTO_ICMP)
SOCKET_PROBE(raw_tcp, AF_INET, SOCK_RAW, IPPROTO_RAW)
SOCKET_PROBE(raw_icmp6, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)
SOCKET_PROBE(dccp, AF_INET, SOCK_DCCP, IPPROTO_DCCP)
SOCKET_PROBE(sctp, AF_INET6, SOCK_STREAM, IPPROTO_SCTP)
/* EPERM where only capabilities stand in the way */
SOCKET_PROBE(raw_sctp, AF_INET, SOCK_RAW, IPPROTO_SCTP)
SOCKET_PROBE(raw_l2tp, AF_INET6, SOCK_RAW, 115)
SOCKET_PROBE(smc, AF_INET, SOCK_STREAM, 256)
SOCKET_PROBE(nl_route, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)
SOCKET_PROBE(nl_audit, AF_NETLINK, SOCK_RAW, NETLINK_AUDIT)
SOCKET_PROBE(nl_netfilter, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)
SOCKET_PROBE(nl_uevent, AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT)
SOCKET_PROBE(nl_diag, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG)
SOCKET_PROBE(nl_generic, AF_NETLINK, SOCK_RAW, NETLINK_GENERIC)
SOCKET_PROBE(nl_xfrm, AF_NETLINK, SOCK_RAW, NETLINK_XFRM)
SOCKET_PROBE(xdp, AF_XDP, SOCK_RAW, 0)
SOCKET_PROBE(key, AF_KEY, SOCK_RAW, 2)
SOCKET_PROBE(bluetooth, AF_BLUETOOTH, SOCK_RAW, 1)
SOCKET_PROBE(tipc, AF_TIPC, SOCK_SEQPACKET, 0)
SOCKET_PROBE(rds, AF_RDS, SOCK_SEQPACKET, 0)
SOCKET_PROBE(inet_stream, AF_INET, SOCK_STREAM, 0)

static const char *pair_vsock(const char *arg)
{
	int sv[2];

	(void)arg;
	return word_of(socketpair(AF_VSOCK, SOCK_STREAM, 0, sv));
}

/* What connects without a packet sends one. */
static const char *connected(int fd, int type, int r)
{
	if (r == 0 && type == SOCK_DGRAM)
		r = send(fd, "x", 1, 0) < 0 ? -1 : 0;
	return word_of(r);
}

static const char *connect4(const char *ip, int port, int type)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return word_fmt("no-socket");
	if (inet_pton(AF_INET, ip, &sa.sin_addr) != 1)
		return "bad-address";
	/* Bounds the probe when a wall is missing and packets just vanish. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO,
			 &(struct timeval){ .tv_sec = 2 },
			 sizeof(struct timeval));
	return connected(fd, type,
			 connect(fd, (const struct sockaddr *)&sa, sizeof(sa)));
}

static const char *outside4(const char *arg)
{
	(void)arg;
	return connect4("192.0.2.1", 80, SOCK_STREAM);
}

static const char *outside4_udp(const char *arg)
{
	(void)arg;
	return connect4("192.0.2.1", 9, SOCK_DGRAM);
}

static const char *metadata(const char *arg)
{
	(void)arg;
	return connect4("169.254.169.254", 80, SOCK_STREAM);
}

static const char *host_loopback(const char *arg)
{
	return connect4("127.0.0.1", atoi(arg), SOCK_STREAM);
}

static const char *connect6(const char *ip, int port, int type)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6,
				   .sin6_port = htons((uint16_t)port) };
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return word_fmt("no-socket");
	if (inet_pton(AF_INET6, ip, &sa.sin6_addr) != 1)
		return "bad-address";
	return connected(fd, type,
			 connect(fd, (const struct sockaddr *)&sa, sizeof(sa)));
}

static const char *outside6(const char *arg)
{
	(void)arg;
	return connect6("2001:db8::1", 80, SOCK_STREAM);
}

static const char *outside6_udp(const char *arg)
{
	(void)arg;
	return connect6("2001:db8::1", 9, SOCK_DGRAM);
}

/* TCP Fast Open connects without connect(2). */
static const char *fast_open(const char *arg)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(80) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)arg;
	sa.sin_addr.s_addr = htonl(0xc0000201);
	return word_of(sendto(fd, "x", 1, MSG_FASTOPEN,
			      (const struct sockaddr *)&sa, sizeof(sa)));
}

static const char *abstract(const char *arg)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = strlen(arg);

	if (fd < 0)
		return word_fmt("no-socket");
	if (n > sizeof(sa.sun_path) - 1)
		return "bad-name";
	memcpy(sa.sun_path + 1, arg, n);
	return word_of(connect(
		fd, (const struct sockaddr *)&sa,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)));
}

static const char *unix_path(const char *arg)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return word_fmt("no-socket");
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", arg);
	return word_of(connect(fd, (const struct sockaddr *)&sa, sizeof(sa)));
}

static const char *interfaces(const char *arg)
{
	struct if_nameindex *list = if_nameindex();
	char all[512] = "";

	(void)arg;
	if (!list)
		return word_of(-1);
	for (struct if_nameindex *i = list; i->if_name; i++) {
		size_t n = strlen(all);

		(void)snprintf(all + n, sizeof(all) - n, "%s%s", n ? "," : "",
			       i->if_name);
	}
	if_freenameindex(list);
	return word_fmt("%s", all);
}

static const char *routes(const char *arg)
{
	FILE *f = fopen("/proc/net/route", "re");
	char line[256];
	int n = -1; /* the heading */

	(void)arg;
	if (!f)
		return word_of(-1);
	while (fgets(line, sizeof(line), f))
		n++;
	(void)fclose(f);
	return word_fmt("%d", n < 0 ? 0 : n);
}

static const char *bind_low(const char *arg)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(80) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)arg;
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return word_of(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)));
}

static const char *bind_high(const char *arg)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)arg;
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return word_of(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)));
}

static const char *lo_down(const char *arg)
{
	struct ifreq r = { .ifr_flags = 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)arg;
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "lo");
	return word_of(ioctl(fd, SIOCSIFFLAGS, &r));
}

static const char *so_mark(const char *arg)
{
	int mark = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)arg;
	return word_of(
		setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)));
}

static const char *transparent(const char *arg)
{
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)arg;
	return word_of(
		setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)));
}

static const char *transparent6(const char *arg)
{
	int on = 1, fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)arg;
	return word_of(setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on,
				  sizeof(on)));
}

/* Where the filter leads what it lets through; nobody may go there himself. */
static const char *gate_port(const char *arg)
{
	(void)arg;
	return connect4("127.0.0.1", 61000, SOCK_STREAM);
}

static const char *gate_port6(const char *arg)
{
	(void)arg;
	return connect6("::1", 61000, SOCK_STREAM);
}

/* One request that changes the network; the kernel's answer to it. */
static const char *change_network(uint16_t type)
{
	struct {
		struct nlmsghdr h;
		struct rtmsg m;
	} q = { .h = { .nlmsg_len = sizeof(q),
		       .nlmsg_type = type,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.m = { .rtm_family = AF_INET,
		       .rtm_table = RT_TABLE_LOCAL,
		       .rtm_type = RTN_LOCAL } };
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char rest[256];
	} a;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || send(fd, &q, sizeof(q), 0) < 0 ||
	    recv(fd, &a, sizeof(a), 0) < (ssize_t)offsetof(__typeof__(a), rest))
		return word_of(-1);
	errno = -a.e.error;
	return word_of(errno ? -1 : 0);
}

static const char *route_del(const char *arg)
{
	(void)arg;
	return change_network(RTM_DELROUTE);
}

static const char *route_add(const char *arg)
{
	(void)arg;
	return change_network(RTM_NEWROUTE);
}

static const char *link_add(const char *arg)
{
	(void)arg;
	return change_network(RTM_NEWLINK);
}

const struct probe net_probes[] = {
	{ "packet-raw", packet_raw },
	{ "packet-dgram", packet_dgram },
	{ "dccp", dccp },
	{ "sctp", sctp },
	{ "raw-sctp", raw_sctp },
	{ "raw-l2tp", raw_l2tp },
	{ "smc", smc },
	{ "vsock", vsock },
	{ "vsock-dgram", vsock_dgram },
	{ "vsock-pair", pair_vsock },
	{ "alg", alg },
	{ "raw-icmp", raw_icmp },
	{ "raw-ip", raw_tcp },
	{ "raw-icmp6", raw_icmp6 },
	{ "netlink-route", nl_route },
	{ "netlink-audit", nl_audit },
	{ "netlink-netfilter", nl_netfilter },
	{ "netlink-uevent", nl_uevent },
	{ "netlink-diag", nl_diag },
	{ "netlink-generic", nl_generic },
	{ "netlink-xfrm", nl_xfrm },
	{ "xdp", xdp },
	{ "key-socket", key },
	{ "bluetooth", bluetooth },
	{ "tipc", tipc },
	{ "rds", rds },
	{ "inet-stream", inet_stream },
	{ "outside-v4", outside4 },
	{ "outside-v4-udp", outside4_udp },
	{ "outside-v6", outside6 },
	{ "outside-v6-udp", outside6_udp },
	{ "outside-fast-open", fast_open },
	{ "metadata", metadata },
	{ "host-loopback", host_loopback },
	{ "host-abstract", abstract },
	{ "unix-path", unix_path },
	{ "interfaces", interfaces },
	{ "routes", routes },
	{ "bind-low-port", bind_low },
	{ "bind-high-port", bind_high },
	{ "lo-down", lo_down },
	{ "so-mark", so_mark },
	{ "transparent", transparent },
	{ "transparent6", transparent6 },
	{ "gate-port", gate_port },
	{ "gate-port6", gate_port6 },
	{ "route-del", route_del },
	{ "route-add", route_add },
	{ "link-add", link_add },
};
const size_t net_probes_num = sizeof(net_probes) / sizeof(net_probes[0]);
