/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a client shows before it may go anywhere. It decides by content alone:
 * however the bytes are cut into segments and records, the verdict is the same.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "gate/flow_int.h"

enum {
	/* To the whole of it. A client may have much to do between connect and
	 * the first byte: a JVM in a sandbox on a busy host takes a second. */
	HELLO_MS = 10000,
	HANDSHAKE = 22
};

/* RFC 9113 3.4: from here on it is no HTTP/1 request */
static const char PREFACE[] = "PRI * HTTP/2.0\r\n";

static void deny(struct flow *f, enum gate_reason why)
{
	flow_refuse(f, why, why);
}

void flow_peek(struct flow *f)
{
	f->state = FLOW_PEEKS;
	if (!flow_watch(f, &f->client, EPOLLIN) || !flow_timer(f, HELLO_MS))
		deny(f, GATE_REASON_TABLE_FULL);
}

void flow_peek_late(struct flow *f)
{
	f->g->stats.peek_timeouts++;
	deny(f,
	     f->in.len ? GATE_REASON_HELLO_TIMEOUT : GATE_REASON_PEEK_TIMEOUT);
}

/* -- verdicts -- */

static const struct gate_rule *rule_of(const struct gate_policy *p,
				       const struct hostname *name,
				       enum gate_protocol protocol)
{
	for (uint32_t i = 0; i < p->n_rules; i++) {
		const struct gate_rule *r = &p->rules[i];

		if (!r->is_net && r->protocol == protocol &&
		    hostname_matches(name, slice_of(r->pattern)))
			return r;
	}
	return NULL;
}

bool flow_override(const struct flow *f, const struct hostname *name,
		   enum gate_protocol protocol, struct flow_names *ret)
{
	/* TEST-NET-1 (RFC 5737) */
	static const struct ip_addr nobody = { .family = 4,
					       .b = { 192, 0, 2, 1 } };
	const struct gate_rule *r =
		name && flow_is_overridden(f)
			? rule_of(f->g->policy, name, protocol)
			: NULL;

	if (!r)
		return false;
	ret->names[0] = name;
	ret->target = (struct verdict_target){ .addr = nobody,
					       .port = r->port,
					       .names = ret->names,
					       .n_names = 1 };
	return true;
}

/* Of an explicit proxy: the port of the first rule that takes this name, and
 * the first address it leads to. */
static bool find_target(struct flow *f, const struct hostname *name,
			enum gate_protocol protocol, enum gate_reason *ret_why,
			struct flow_names *ret)
{
	const struct gate_rule *r;
	bool tls = protocol == GATE_TLS;
	struct ip_addr a;

	if (!name) {
		*ret_why = tls ? GATE_REASON_SNI_MISSING
			       : GATE_REASON_HOST_MISSING;
		return false;
	}
	if (flow_override(f, name, protocol, ret))
		return true;
	r = rule_of(f->g->policy, name, protocol);
	if (!r) {
		*ret_why = tls ? GATE_REASON_SNI_MISS : GATE_REASON_HOST_MISS;
		return false;
	}
	if (!pins_addrs(f->g->pins, name, NULL, loop_now(f->g->loop), &a, 1)) {
		*ret_why = tls ? GATE_REASON_SNI_NOT_PINNED
			       : GATE_REASON_HOST_NOT_PINNED;
		return false;
	}
	flow_names(f->g, &a, r->port, false, ret);
	return true;
}

static bool target(struct flow *f, const struct hostname *name,
		   enum gate_protocol protocol, struct flow_names *ret)
{
	enum gate_reason why;

	f->rec.protocol = (uint8_t)protocol;
	if (!f->is_explicit) {
		flow_names(f->g, &f->rec.dst, f->rec.dst_port, false, ret);
		flow_names_shown(f->g, ret, name);
		return true;
	}
	if (find_target(f, name, protocol, &why, ret))
		return true;
	deny(f, why);
	return false;
}

/* @shown: the name that was judged */
static void follow(struct flow *f, const struct verdict *v,
		   const struct flow_names *n, const struct hostname *shown)
{
	const struct hostname *name = NULL;

	if (v->action != VERDICT_ALLOW) {
		deny(f, v->action == VERDICT_DENY
				? v->reason
				: GATE_REASON_UNKNOWN_PROTOCOL);
		return;
	}
	f->rec.reason = (uint8_t)v->reason;
	f->rec.rule = v->rule;
	if (v->name >= 0)
		name = n->names[v->name];
	else if (f->is_explicit)
		name = shown;
	flow_dial(f, name, n->target.port);
}

static void judge_hello(struct flow *f, const struct tls_hello *h)
{
	const struct hostname *name = h->has_name ? &h->name : NULL;
	struct flow_names n;
	struct verdict v;

	f->rec.has_ech = h->has_ech;
	f->rec.has_early_data = h->has_early_data;
	f->rec.sni = h->name;
	if (!target(f, name, GATE_TLS, &n))
		return;
	v = verdict_tls(f->g->policy, &n.target, name, h->has_ech);
	if (v.action == VERDICT_ALLOW) {
		/* what is behind it waits for the server's word */
		f->ready = f->hello.at;
		if (name)
			flow_retry_watch(f);
	}
	follow(f, &v, &n, name);
}

static void judge_head(struct flow *f, const struct http1_head *h)
{
	const struct hostname *name = h->host_is_name ? &h->host : NULL;
	struct flow_names n;
	struct verdict v;

	f->rec.requests = 1;
	if (name)
		f->rec.host = *name;
	if (!target(f, name, GATE_HTTP, &n))
		return;
	v = flow_http_verdict(f, h, &n.target);
	if (v.action == VERDICT_ALLOW)
		flow_http_first(f, h);
	follow(f, &v, &n, name);
}

/* -- bytes -- */

static void look_at_hello(struct flow *f)
{
	struct wbuf *joined = &f->g->flows->joined;
	struct tls_hello h;

	if (!f->may_tls) {
		deny(f, GATE_REASON_UNKNOWN_PROTOCOL);
		return;
	}
	switch (tls_hello_read(&f->hello, wbuf_as_slice(&f->in), joined, &h)) {
	case TLS_HELLO_MORE:
		if (f->in.len >= TLS_HELLO_WIRE_MAX)
			deny(f, GATE_REASON_HELLO_TOO_LONG);
		break;
	case TLS_HELLO_BAD:
		deny(f, h.fault == TLS_HELLO_MESSAGE_LENGTH
				? GATE_REASON_HELLO_TOO_LONG
				: GATE_REASON_UNKNOWN_PROTOCOL);
		break;
	case TLS_HELLO_DONE:
		judge_hello(f, &h);
		break;
	}
}

static void look_at_head(struct flow *f)
{
	size_t n = f->in.len < sizeof(PREFACE) - 1 ? f->in.len
						   : sizeof(PREFACE) - 1;
	struct http1_head h;

	if (!memcmp(f->in.p, PREFACE, n)) {
		if (n < sizeof(PREFACE) - 1)
			return;
		f->shape = FLOW_SHOWS_H2;
		deny(f, GATE_REASON_H2C);
		return;
	}
	if (!f->may_http) {
		deny(f, GATE_REASON_UNKNOWN_PROTOCOL);
		return;
	}
	switch (http1_read_head(wbuf_as_slice(&f->in), &h)) {
	case HTTP1_MORE:
		break;
	case HTTP1_BAD:
		deny(f, flow_http_fault(h.fault));
		break;
	case HTTP1_DONE:
		judge_head(f, &h);
		break;
	}
}

/* A method and a space, or what can still become that: an answer in HTTP is
 * for who speaks it. */
static bool may_be_http(struct slice in)
{
	enum { METHOD_MAX = 16 };

	for (size_t i = 0; i < in.n && i <= METHOD_MAX; i++) {
		if (in.p[i] == ' ')
			return i > 0;
		if (in.p[i] < 'A' || in.p[i] > 'Z')
			return false;
	}
	return in.n <= METHOD_MAX;
}

static void look(struct flow *f)
{
	if ((uint8_t)f->in.p[0] == HANDSHAKE) {
		f->shape = FLOW_SHOWS_TLS;
		look_at_hello(f);
	} else if (may_be_http(wbuf_as_slice(&f->in))) {
		f->shape = FLOW_SHOWS_HTTP;
		look_at_head(f);
	} else {
		deny(f, GATE_REASON_UNKNOWN_PROTOCOL);
	}
}

void flow_peek_readable(struct flow *f)
{
	char *scratch = f->g->flows->scratch;
	ssize_t n = recv(f->client.fd, scratch, FLOW_SCRATCH, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		deny(f, GATE_REASON_UNKNOWN_PROTOCOL);
	else if (!flow_keep(f, scratch, (size_t)n))
		deny(f, GATE_REASON_TABLE_FULL);
	else
		look(f);
}

void flow_sniff(struct flow *f)
{
	struct flows *all = f->g->flows;
	ssize_t n = recv(f->client.fd, all->scratch, FLOW_SCRATCH, MSG_PEEK);
	struct tls_hello_reader r = { 0 };
	struct tls_hello hello;
	struct http1_head head;
	struct slice s;

	if (n <= 0)
		return;
	f->sniffs = false;
	s = (struct slice){ all->scratch, (size_t)n };
	if (f->rec.protocol == GATE_TLS &&
	    tls_hello_read(&r, s, &all->joined, &hello) == TLS_HELLO_DONE) {
		f->rec.sni = hello.name;
		f->rec.has_ech = hello.has_ech;
		f->rec.has_early_data = hello.has_early_data;
	}
	if (f->rec.protocol == GATE_HTTP &&
	    http1_read_head(s, &head) == HTTP1_DONE && head.host_is_name)
		f->rec.host = head.host;
}
