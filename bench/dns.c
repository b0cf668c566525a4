/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Answers of the cell's resolver from its cache: a process that is nothing but
 * the resolver, one that asks, on lo. A line of JSON: answers a second, and
 * answers a second of processor time of the resolver.
 *
 * usage: dns [SECONDS]
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/fd.h"
#include "gate/gate.h"
#include "gate/record.h"

enum { NAMES = 256, BATCH = 64, MESSAGE = 512 };

static struct gate gate;
static struct gate_policy policy;
static volatile sig_atomic_t has_ended;

void record_query(struct gate *g, const struct gate_query *q)
{
	(void)g;
	(void)q;
}

/* Sockets inside are asked for by it: there is no override here. */
void record_flow(struct gate *g, enum gate_record_type type,
		 const struct gate_flow *f)
{
	(void)g;
	(void)type;
	(void)f;
}

void record_tell(struct gate *g, const struct gate_record *r)
{
	(void)g;
	(void)r;
}

static NORETURN void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int bound_socket(struct sockaddr_in *ret)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
	socklen_t n = sizeof(*ret);

	*ret = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr =
					     htonl(INADDR_LOOPBACK) };
	if (fd < 0 || bind(fd, (struct sockaddr *)ret, n) < 0 ||
	    getsockname(fd, (struct sockaddr *)ret, &n) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0)
		fail("socket");
	return fd;
}

static void on_term(int sig)
{
	(void)sig;
	has_ended = 1;
}

static void serve(int fd, const struct sockaddr_in *upstream)
{
	struct gate_resolver *r = &policy.resolvers[0];

	(void)signal(SIGTERM, on_term);
	policy = (struct gate_policy){ .n_names = 1,
				       .n_resolvers = 1,
				       .query_types = { DNS_A },
				       .n_query_types = 1,
				       .upstream_ms = 2000,
				       .wildcard_labels = NAMES,
				       .pin_ttl_min = 30,
				       .pin_ttl_max = 3600 };
	(void)snprintf(policy.names[0], GATE_PATTERN_SIZE, "*.example.net");
	if (ip_of_sockaddr(upstream, &r->addr, &r->port))
		fail("upstream");
	gate = (struct gate){ .loop = loop_new(1024),
			      .policy = &policy,
			      .pins = pins_new(300) };
	if (!gate.loop || !gate.pins || !dns_proxy_new(&gate) ||
	    dns_proxy_udp(&gate, fd, 4))
		fail("resolver");
	while (!has_ended)
		if (loop_turn(gate.loop))
			fail("loop");
	dns_proxy_free(&gate);
}

static void query(struct wbuf *b, unsigned n)
{
	struct hostname name = { 0 };
	char text[64];

	(void)snprintf(text, sizeof(text), "host-%u.example.net", n);
	if (hostname_parse(slice_of(text), &name))
		fail(text);
	wbuf_reset(b);
	dns_query_build(b, (uint16_t)n, &name, DNS_A, false);
}

/* The only question that goes out: answered with one address. */
static void answer_upstream(int fd)
{
	static const char record[] = "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\1";
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char m[MESSAGE];
	ssize_t n =
		recvfrom(fd, m, sizeof(m), 0, (struct sockaddr *)&from, &len);

	/* the record goes in the place of OPT, 11 bytes at the end */
	if (n < 11)
		fail("upstream");
	n -= 11;
	memcpy(m + n, record, sizeof(record) - 1);
	n += (ssize_t)sizeof(record) - 1;
	m[2] = (char)0x81;
	m[3] = (char)0x80;
	m[7] = 1;
	m[11] = 0;
	if (sendto(fd, m, (size_t)n, 0, (struct sockaddr *)&from, len) != n)
		fail("upstream");
}

static void fill_cache(int client, int upstream, struct wbuf queries[NAMES])
{
	char m[MESSAGE];

	for (unsigned i = 0; i < NAMES; i++) {
		queries[i] = WBUF_INIT(MESSAGE);
		query(&queries[i], i);
		if (send(client, queries[i].p, queries[i].len, 0) < 0)
			fail("send");
		answer_upstream(upstream);
		if (recv(client, m, sizeof(m), 0) < 0 || m[7] != 1)
			fail("answer");
	}
}

static uint64_t ask_for(int client, struct wbuf queries[NAMES], uint64_t ns)
{
	static char in[BATCH][MESSAGE];
	struct mmsghdr out_msg[BATCH] = { 0 }, in_msg[BATCH] = { 0 };
	struct iovec out_vec[BATCH], in_vec[BATCH];
	uint64_t end = clock_mono_ns() + ns, n = 0;

	while (clock_mono_ns() < end) {
		for (unsigned i = 0; i < BATCH; i++) {
			const struct wbuf *q = &queries[(n + i) % NAMES];

			out_vec[i] = (struct iovec){ q->p, q->len };
			in_vec[i] = (struct iovec){ in[i], MESSAGE };
			out_msg[i].msg_hdr =
				(struct msghdr){ .msg_iov = &out_vec[i],
						 .msg_iovlen = 1 };
			in_msg[i].msg_hdr =
				(struct msghdr){ .msg_iov = &in_vec[i],
						 .msg_iovlen = 1 };
		}
		if (sendmmsg(client, out_msg, BATCH, 0) != BATCH)
			fail("sendmmsg");
		for (int got = 0, r; got < BATCH; got += r) {
			r = recvmmsg(client, in_msg, (unsigned)(BATCH - got), 0,
				     NULL);
			if (r < 0)
				fail("recvmmsg");
			for (int i = 0; i < r; i++)
				if (in[i][3] & 15 || in[i][7] != 1)
					fail("answer");
		}
		n += BATCH;
	}
	return n;
}

int main(int argc, char **argv)
{
	static struct wbuf queries[NAMES];
	struct sockaddr_in resolver, upstream, own;
	int fd = bound_socket(&resolver), up = bound_socket(&upstream),
	    client = bound_socket(&own), status;
	uint64_t ns = (uint64_t)(argc > 1 ? atoi(argv[1]) : 3) * 1000000000;
	uint64_t n, start, wall;
	struct rusage used;
	pid_t pid = fork();
	double cpu;

	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		serve(fd, &upstream);
		return 0;
	}
	fd_drop(&fd);
	if (connect(client, (struct sockaddr *)&resolver, sizeof(resolver)))
		fail("connect");
	fill_cache(client, up, queries);
	start = clock_mono_ns();
	n = ask_for(client, queries, ns);
	wall = clock_mono_ns() - start;
	if (kill(pid, SIGTERM) || wait4(pid, &status, 0, &used) != pid ||
	    status)
		fail("resolver");
	cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	      (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
	printf("{\"answers\":%" PRIu64 ",\"per_second\":%.0f,"
	       "\"per_cpu_second\":%.0f}\n",
	       n, (double)n / ((double)wall / 1e9), (double)n / cpu);
	return 0;
}
