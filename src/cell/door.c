/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The door of a cell: addresses, routes, sockets, filter, read-back. */
#include "cell/door.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sodium.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/fd.h"
#include "cell/door_rules.h"
#include "sys/netns.h"
#include "sys/nflog.h"

enum {
	/* above the ephemeral ports of a new namespace (32768 to 60999) */
	GATE_PORT_FIRST = 61000,
	BACKLOG = 65535, /* the kernel cuts it to its own net.core.somaxconn */
	FORM_MAX = 2 * DOOR_RULES_BYTES,
};

/* One socket to be made */
struct wanted {
	uint8_t kind, family;
	bool is_udp;
	uint16_t index;		    /* as struct door_socket's port */
	const struct ip_addr *addr; /* NULL: wildcard */
	uint16_t port;
};

struct ip_addr door_addr(const char *text)
{
	struct ip_addr a = { 0 };

	if (ip_parse(slice_of(text), &a)) {
		/* none; ours are all well-formed */
	}
	return a;
}

bool door_wants_loopback(const struct door *d)
{
	for (size_t i = 0; d && i < d->n_listen; i++)
		if (ip_class(&d->listen[i].addr) == IP_LOOPBACK)
			return true;
	return d && d->n_inside;
}

static int make_network(const struct door *d)
{
	OWNED(fd_drop) int fd = -1;
	char text[1024];
	struct nl_buf b = { .p = text, .max = sizeof(text) };
	struct ip_addr a4 = door_addr(DOOR_ADDR4);
	struct ip_addr a6 = door_addr(DOOR_ADDR6);
	struct ip_addr peer4 = door_addr(DOOR_LEG_PEER4);
	struct ip_addr peer6 = door_addr(DOOR_LEG_PEER6);
	uint32_t leg = 0;

	if (d->has_leg) {
		leg = if_nametoindex(DOOR_LEG);
		if (!leg)
			return -errno;
	}
	fd = nl_socket(NETLINK_ROUTE);
	if (fd < 0)
		return fd;
	netns_put_addr(&b, NETNS_LO, &a4);
	if (d->has_v6)
		netns_put_addr(&b, NETNS_LO, &a6);
	if (leg)
		netns_put_leg_up(&b, leg, d->has_v6);
	if (leg && d->has_v6)
		/* neighbours are answered only by addresses of the link */
		netns_put_addr(&b, leg, &a6);
	netns_put_default(&b, &a4);
	if (d->has_v6)
		netns_put_default(&b, &a6);
	if (leg)
		netns_put_neighbour(&b, leg, &peer4, &a4);
	if (leg && d->has_v6)
		netns_put_neighbour(&b, leg, &peer6, &a6);
	nl_ask_ack(&b);
	return nl_request(fd, &b);
}

int door_far_end(bool has_v6)
{
	OWNED(fd_drop) int fd = -1;
	char text[1024];
	struct nl_buf b = { .p = text, .max = sizeof(text) };
	struct ip_addr a4 = door_addr(DOOR_LEG_PEER4);
	struct ip_addr a6 = door_addr(DOOR_LEG_PEER6);
	struct ip_addr via4 = door_addr(DOOR_ADDR4);
	struct ip_addr via6 = door_addr(DOOR_ADDR6);
	uint32_t dev = if_nametoindex(DOOR_FAR_LINK);

	if (!dev)
		return -errno;
	fd = nl_socket(NETLINK_ROUTE);
	if (fd < 0)
		return fd;
	netns_put_up(&b, dev);
	netns_put_addr(&b, dev, &a4);
	netns_put_gateway(&b, dev, &via4);
	if (has_v6) {
		netns_put_addr(&b, dev, &a6);
		netns_put_gateway(&b, dev, &via6);
	}
	nl_ask_ack(&b);
	return nl_request(fd, &b);
}

static int set(int fd, int level, int name, int v)
{
	return last_errno(setsockopt(fd, level, name, &v, sizeof(v)));
}

static int set_options(int fd, const struct wanted *w)
{
	bool v4 = w->family == 4;
	int level = v4 ? IPPROTO_IP : IPPROTO_IPV6, r;

	r = set(fd, SOL_SOCKET, SO_MARK, DOOR_MARK);
	if (!r)
		r = set(fd, level, v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, 1);
	if (!r && !v4)
		r = set(fd, level, IPV6_V6ONLY, 1);
	if (!r && w->is_udp)
		r = set(fd, level, v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, 1);
	return r;
}

static socklen_t sockaddr_of(const struct wanted *w,
			     struct sockaddr_storage *ret)
{
	struct sockaddr_in s4 = { .sin_family = AF_INET,
				  .sin_port = htons(w->port) };
	struct sockaddr_in6 s6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(w->port) };

	if (w->family == 4) {
		if (w->addr)
			memcpy(&s4.sin_addr, w->addr->b, sizeof(s4.sin_addr));
		memcpy(ret, &s4, sizeof(s4));
		return sizeof(s4);
	}
	if (w->addr)
		memcpy(&s6.sin6_addr, w->addr->b, sizeof(s6.sin6_addr));
	memcpy(ret, &s6, sizeof(s6));
	return sizeof(s6);
}

static int make_socket(struct door_made *m, const struct wanted *w)
{
	OWNED(fd_drop) int fd = -1;
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_of(w, &sa);
	int r;

	fd = socket(w->family == 4 ? AF_INET : AF_INET6,
		    (w->is_udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK |
			    SOCK_CLOEXEC,
		    0);
	if (fd < 0)
		return -errno;
	r = set_options(fd, w);
	if (r)
		return r;
	if (bind(fd, (const void *)&sa, len) < 0)
		return -errno;
	if (!w->is_udp && listen(fd, BACKLOG) < 0)
		return -errno;
	m->sockets[m->n++] = (struct door_socket){
		.kind = w->kind,
		.family = w->family,
		.port = w->index,
		.fd = fd_take(&fd),
	};
	return 0;
}

static bool has_port(const struct door_ports *p, uint16_t port)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i] == port)
			return true;
	return false;
}

/* Not a named port, nor an explicit listener's: there are more than those. */
static uint16_t choose_gate_port(const struct door *d,
				 const struct door_ports *tcp)
{
	for (uint16_t port = GATE_PORT_FIRST;; port++) {
		bool taken = has_port(tcp, port);

		for (size_t i = 0; i < d->n_listen; i++)
			taken |= d->listen[i].port == port;
		if (!taken)
			return port;
	}
}

static int make_named(const struct door *d, const struct door_ports *udp,
		      struct door_made *m)
{
	int r = 0;

	for (uint8_t f = 4; !r && f <= (d->has_v6 ? 6 : 4); f += 2) {
		struct ip_addr lo = door_addr(f == 4 ? "127.0.0.1" : "::1");

		r = make_socket(m, &(struct wanted){ .kind = DOOR_TCP,
						     .family = f,
						     .addr = &lo,
						     .port = m->gate_port });
		for (size_t i = 0; !r && i < udp->n; i++)
			r = make_socket(m,
					&(struct wanted){ .kind = DOOR_UDP,
							  .family = f,
							  .is_udp = true,
							  .index = udp->v[i],
							  .port = udp->v[i] });
	}
	return r;
}

static int make_listeners(const struct door *d, const struct door_ports *udp,
			  struct door_made *m)
{
	int r = 0;

	for (uint16_t i = 0; !r && i < d->n_listen; i++) {
		const struct ip_addr *a = &d->listen[i].addr;
		uint16_t port = d->listen[i].port;

		/* the wildcard socket of this port has it already */
		if (d->listen[i].is_udp && has_port(udp, port) &&
		    (a->family == 4 || d->has_v6))
			continue;
		r = make_socket(m,
				&(struct wanted){ .kind = DOOR_LISTEN,
						  .family = a->family,
						  .is_udp = d->listen[i].is_udp,
						  .index = i,
						  .addr = a,
						  .port = port });
	}
	return r;
}

int door_dial_socket(uint8_t family, bool is_udp)
{
	int fd = socket(family == 4 ? AF_INET : AF_INET6,
			(is_udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK |
				SOCK_CLOEXEC,
			0);

	return fd < 0 ? -errno : fd;
}

static int make_inside(const struct door *d, struct door_made *m)
{
	for (size_t i = 0; i < (size_t)d->n_inside * DOOR_INSIDE; i++) {
		uint8_t family = d->inside[i / DOOR_INSIDE].family;
		bool is_udp = d->inside[i / DOOR_INSIDE].is_udp;
		int fd = door_dial_socket(family, is_udp);

		if (fd < 0)
			return fd;
		m->sockets[m->n++] = (struct door_socket){ .kind = DOOR_DIAL,
							   .family = family,
							   .port = is_udp,
							   .fd = fd };
	}
	return 0;
}

static int make_sockets(const struct door *d, struct door_made *m,
			const char **ret_what)
{
	NO_INIT struct door_ports tcp, udp;
	int r;

	*ret_what = DOOR_AT_SOCKETS;
	door_ports(d, false, &tcp);
	door_ports(d, true, &udp);
	m->gate_port = choose_gate_port(d, &tcp);
	r = make_named(d, &udp, m);
	if (!r)
		r = make_listeners(d, &udp, m);
	if (!r)
		r = make_inside(d, m);
	if (r)
		return r;
	*ret_what = DOOR_AT_NFLOG;
	r = nflog_open(d->nflog_group, DOOR_NFLOG_COPY);
	if (r < 0)
		return r;
	m->sockets[m->n++] =
		(struct door_socket){ .kind = DOOR_NFLOG, .fd = r };
	return 0;
}

static int make_filter(const struct door *d, struct door_made *m,
		       const char **ret_what)
{
	NO_INIT _Alignas(4) char text[DOOR_RULES_BYTES];
	OWNED(fd_drop) int fd = nl_socket(NETLINK_NETFILTER);
	OWNED(wbuf_drop) struct wbuf form = WBUF_INIT(FORM_MAX);
	struct nft_batch t = { .b = { .p = text, .max = sizeof(text) } };
	int r;

	*ret_what = DOOR_AT_FILTER;
	if (fd < 0)
		return fd;
	door_rules(&t, d, m->gate_port);
	r = nft_commit(fd, &t);
	if (r)
		return r;
	*ret_what = DOOR_AT_READ;
	r = nft_read_back(fd, &t, &form, &m->rules);
	if (r)
		return r;
	(void)crypto_hash_sha256(m->digest, (const unsigned char *)form.p,
				 form.len);
	return 0;
}

/*
 * A socket for each port of UDP and family, before any is given away: more
 * than the 1024 descriptors a process usually may have. What the command may
 * have stays what it was. Without it the sockets say what they lack.
 */
static struct rlimit more_files(void)
{
	struct rlimit was = { 0, 0 }, most;

	if (getrlimit(RLIMIT_NOFILE, &was) < 0)
		return was;
	most = (struct rlimit){ was.rlim_max, was.rlim_max };
	(void)setrlimit(RLIMIT_NOFILE, &most);
	return was;
}

static void files_as_before(const struct rlimit *was)
{
	if (was->rlim_max)
		(void)setrlimit(RLIMIT_NOFILE, was);
}

static int make(const struct door *d, struct door_made *m,
		const char **ret_what)
{
	int r;

	*ret_what = DOOR_AT_NETWORK;
	r = make_network(d);
	if (!r)
		r = make_sockets(d, m, ret_what);
	if (!r && !d->is_open)
		r = make_filter(d, m, ret_what);
	if (!r)
		return 0;
	for (size_t i = 0; i < m->n; i++)
		fd_drop(&m->sockets[i].fd);
	m->n = 0;
	return r;
}

int door_make(const struct door *d, struct door_made *ret,
	      const char **ret_what)
{
	struct rlimit was;
	int r;

	ret->n = 0;
	ret->rules = 0;
	*ret_what = DOOR_AT_PORTS;
	if (d->n_tcp > DOOR_PORTS_MAX || d->n_udp > DOOR_PORTS_MAX ||
	    d->n_listen > DOOR_LISTEN_MAX || d->n_inside > DOOR_INSIDE_MAX)
		return -EINVAL;
	was = more_files();
	r = make(d, ret, ret_what);
	files_as_before(&was);
	return r;
}

int door_refused_total(uint64_t *ret)
{
	OWNED(fd_drop) int fd = nl_socket(NETLINK_NETFILTER);

	return fd < 0 ? fd : nft_counted(fd, DOOR_TABLE, NULL, ret);
}
