/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The resolver of a cell by itself, on lo, for dns_proxy_test.py: a policy
 * from the arguments, orders from stdin, a line of JSON a record on stdout.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/fd.h"
#include "gate/gate.h"
#include "gate/record.h"

static struct gate gate;
static struct gate_policy policy;
static bool has_ended;

/* -- what the gate is told by -- */

/* Sockets inside are asked for by it: no test here does. */
void record_tell(struct gate *g, const struct gate_record *r)
{
	(void)g;
	(void)r;
	abort();
}

void record_query(struct gate *g, const struct gate_query *q)
{
	(void)g;
	printf("{\"reason\":\"%s\",\"rcode\":%u,\"asked\":%d,\"cached\":%d,"
	       "\"over_budget\":%d,\"type\":%u,\"resolver\":%u,"
	       "\"targets\":%" PRIu32 ",\"dropped\":%" PRIu32 ",\"ms\":%" PRIu32
	       ",\"name\":\"%s\"}\n",
	       gate_query_reason_word((enum gate_query_reason)q->reason),
	       q->rcode, q->asked_upstream, q->from_cache, q->over_budget,
	       q->type, q->resolver, q->targets, q->dropped, q->latency_ms,
	       q->name.text);
	(void)fflush(stdout);
}

void record_flow(struct gate *g, enum gate_record_type type,
		 const struct gate_flow *f)
{
	printf("{\"reason\":\"%s\",\"is_flow\":%d,\"id\":%" PRIu64
	       ",\"tcp\":%d,\"from\":%u,\"to\":%u,\"denied\":%" PRIu64 "}\n",
	       gate_reason_word((enum gate_reason)f->reason), type == GATE_FLOW,
	       f->id, f->l4 == IPPROTO_TCP, f->src_port, f->dst_port,
	       g->stats.flows_denied);
	(void)fflush(stdout);
}

static NORETURN void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage s;
	socklen_t n = sizeof(s);
	struct ip_addr a;
	uint16_t port;

	if (getsockname(fd, (struct sockaddr *)&s, &n) ||
	    ip_of_sockaddr(&s, &a, &port))
		fail("getsockname");
	return port;
}

/* -- sockets: wildcard ones as in a cell, but heard on lo only -- */

static int make_socket(int family, int type)
{
	struct sockaddr_storage to = { .ss_family = (sa_family_t)family };
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0 ||
	    (family == AF_INET &&
	     setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0) ||
	    (family == AF_INET6 &&
	     (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0 ||
	      setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) <
		      0)) ||
	    bind(fd, (struct sockaddr *)&to,
		 family == AF_INET ? sizeof(struct sockaddr_in)
				   : sizeof(struct sockaddr_in6)) < 0)
		fail("socket");
	return fd;
}

static void on_connection(struct loop_source *s, uint32_t events)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0)
		dns_proxy_tcp(&gate, fd);
}

/* -- orders -- */

static void show_pins(const char *name)
{
	struct hostname h;
	struct ip_addr a[64];
	char text[IP_TEXT_SIZE];
	size_t n = 0;

	if (hostname_parse(slice_of(name), &h) == 0)
		n = pins_addrs(gate.pins, &h, NULL, loop_now(gate.loop), a, 64);
	printf("{\"pins\":[");
	for (size_t i = 0; i < n; i++)
		printf("%s\"%s\"", i ? "," : "", ip_text(text, &a[i]));
	printf("]}\n");
}

static void show_stats(void)
{
	const struct gate_stats *s = &gate.stats;

	printf("{\"stats\":[%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
	       ",%" PRIu64 ",%" PRIu64 "],\"idle\":%d}\n",
	       s->queries, s->queries_allowed, s->queries_denied,
	       s->queries_malformed, s->upstream_failures, s->from_cache,
	       dns_proxy_is_idle(&gate));
}

static void on_order(struct loop_source *s, uint32_t events)
{
	char line[300];
	/* the test sends the next after the answer to this one */
	ssize_t n = read(s->fd, line, sizeof(line) - 1);

	(void)events;
	if (n <= 0) {
		has_ended = true;
		return;
	}
	line[n - 1] = '\0';
	if (strncmp(line, "pins ", 5) == 0)
		show_pins(line + 5);
	else if (strcmp(line, "stats") == 0)
		show_stats();
	else if (strcmp(line, "stop") == 0) {
		gate.stopping = true;
		printf("{\"stopping\":true}\n");
	}
	(void)fflush(stdout);
}

/* -- the policy: NAME... and key=value -- */

static void take_resolver(char *text)
{
	struct gate_resolver *r = &policy.resolvers[policy.n_resolvers++];
	const char *addr = strtok(text, "@"), *port = strtok(NULL, "@"),
		   *tcp = strtok(NULL, "@");

	if (!port || ip_parse(slice_of(addr), &r->addr))
		fail("resolver=ADDRESS@PORT[@tcp]");
	r->port = (uint16_t)atoi(port);
	r->is_tcp = tcp;
}

static void take_argument(char *arg)
{
	char *v = strchr(arg, '=');

	if (!v) {
		(void)snprintf(policy.names[policy.n_names++],
			       GATE_PATTERN_SIZE, "%s", arg);
		return;
	}
	*v++ = '\0';
	if (strcmp(arg, "resolver") == 0)
		take_resolver(v);
	else if (strcmp(arg, "type") == 0)
		policy.query_types[policy.n_query_types++] = (uint16_t)atoi(v);
	else if (strcmp(arg, "ms") == 0)
		policy.upstream_ms = (uint32_t)atoi(v);
	else if (strcmp(arg, "labels") == 0)
		policy.wildcard_labels = (uint32_t)atoi(v);
	else if (strcmp(arg, "ttl_min") == 0)
		policy.pin_ttl_min = (uint32_t)atoi(v);
	else if (strcmp(arg, "net") != 0 ||
		 ip_net_parse(slice_of(v), &policy.nets[policy.n_nets++].net))
		fail(arg);
}

int main(int argc, char **argv)
{
	struct loop_source orders = { .fd = 0, .fn = on_order },
			   tcp = { .fn = on_connection };
	int udp4 = make_socket(AF_INET, SOCK_DGRAM),
	    udp6 = make_socket(AF_INET6, SOCK_DGRAM);
	int send_buffer = 65536; /* so that a client can fill it */
	uint16_t ports[2] = { port_of(udp4), port_of(udp6) };

	policy = (struct gate_policy){ .upstream_ms = 2000,
				       .wildcard_labels = 1000,
				       .pin_ttl_min = 30,
				       .pin_ttl_max = 3600,
				       .pin_grace = 300,
				       .has_v6 = true };
	for (int i = 1; i < argc; i++)
		take_argument(argv[i]);
	gate = (struct gate){ .loop = loop_new(1024),
			      .policy = &policy,
			      .pins = pins_new(policy.pin_grace) };
	tcp.fd = make_socket(AF_INET, SOCK_STREAM);
	if (setsockopt(tcp.fd, SOL_SOCKET, SO_SNDBUF, &send_buffer,
		       sizeof(send_buffer)) ||
	    !gate.loop || !gate.pins || !dns_proxy_new(&gate) ||
	    listen(tcp.fd, 128) || dns_proxy_udp(&gate, udp4, 4) ||
	    dns_proxy_udp(&gate, udp6, 6) ||
	    loop_add(gate.loop, &tcp, EPOLLIN, true) ||
	    loop_add(gate.loop, &orders, EPOLLIN, false))
		fail("set up");
	printf("{\"udp\":%u,\"udp6\":%u,\"tcp\":%u}\n", ports[0], ports[1],
	       port_of(tcp.fd));
	(void)fflush(stdout);
	while (!has_ended)
		if (loop_turn(gate.loop))
			fail("loop");
	dns_proxy_free(&gate);
	pins_free(&gate.pins);
	loop_free(&gate.loop);
	fd_drop(&tcp.fd);
	return 0;
}
