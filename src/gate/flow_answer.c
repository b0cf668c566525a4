/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a client is told that may not pass, in the protocol it speaks. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gate/flow_int.h"

enum {
	LINGER_MS = 1000,
	LINGER_READS = 16, /* then what the client sends is its own loss */
	TEXT_SIZE = 512
};

/* fatal, access_denied: RFC 8446 6 */
static const char ALERT[] = { 0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x31 };
/* last stream 1, PROTOCOL_ERROR: RFC 9113 6.8 */
static const char GOAWAY[] = {
	0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1
};

/* What the client asked for, as text. */
static void subject(const struct flow *f, char *buf, size_t size)
{
	char ip[IP_TEXT_SIZE];

	if (f->rec.host.len)
		(void)snprintf(buf, size, "%s:%u", f->rec.host.text,
			       f->rec.dst_port);
	else
		(void)snprintf(buf, size,
			       f->rec.dst.family == 6 ? "[%s]:%u" : "%s:%u",
			       ip_text(ip, &f->rec.dst), f->rec.dst_port);
}

static size_t http_text(const struct flow *f, enum gate_reason why, char *buf)
{
	char what[HOSTNAME_MAX + 8], body[TEXT_SIZE];
	bool failed = why == GATE_REASON_UPSTREAM_FAILED;
	int n;

	subject(f, what, sizeof(what));
	n = snprintf(body, sizeof(body), "cellos: %s %s (%s)\n", what,
		     failed ? "cannot be reached" : "is not allowed",
		     gate_reason_word(why));
	n = snprintf(buf, (size_t)2 * TEXT_SIZE,
		     "HTTP/1.1 %s\r\n"
		     "Content-Type: text/plain\r\n"
		     "Content-Length: %d\r\n"
		     "Connection: close\r\n\r\n%s",
		     failed ? "502 Bad Gateway" : "403 Forbidden", n, body);
	return (size_t)n;
}

/* false: nothing to say, or nobody to hear it */
static bool answer(struct flow *f, enum gate_reason why)
{
	char text[2 * TEXT_SIZE];
	const char *p = text;
	size_t n = 0;

	switch (f->shape) {
	case FLOW_SHOWS_NOTHING:
		return false;
	case FLOW_SHOWS_TLS:
		/* an alert would blame the server's name for its absence */
		if (why == GATE_REASON_UPSTREAM_FAILED)
			return false;
		p = ALERT;
		n = sizeof(ALERT);
		break;
	case FLOW_SHOWS_HTTP:
		n = http_text(f, why, text);
		break;
	case FLOW_SHOWS_H2:
		p = GOAWAY;
		n = sizeof(GOAWAY);
		break;
	}
	return send(f->client.fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) ==
	       (ssize_t)n;
}

void flow_refuse(struct flow *f, enum gate_reason decision,
		 enum gate_reason why)
{
	bool is_silent = why == GATE_REASON_PEEK_TIMEOUT;
	bool is_answered = answer(f, why);

	if (f->may_tls || f->may_http)
		flow_decision(f, decision);
	f->rec.reason = (uint8_t)why;
	f->g->stats.flows_denied++;
	flow_tell(f);
	if (is_answered)
		flow_linger(f);
	else
		flow_end(f, !is_silent);
}

enum flow_judged flow_deny(struct flow *f, enum gate_reason why)
{
	f->g->stats.flows_denied++;
	flow_decision(f, why);
	f->rec.reason = (uint8_t)why;
	return FLOW_DENIED;
}

void flow_linger(struct flow *f)
{
	/* a second hello was denied: the client still reads plain records */
	if (f->state == FLOW_DRAINS && f->shape == FLOW_SHOWS_TLS &&
	    !f->down.in_pipe)
		(void)send(f->client.fd, ALERT, sizeof(ALERT),
			   MSG_NOSIGNAL | MSG_DONTWAIT);
	flow_will_reset(f->server.fd);
	loop_close(f->g->loop, &f->server);
	flow_dial_drop(&f->dial);
	flow_keep_none(f);
	f->state = FLOW_LINGERS;
	f->n_first = 0;
	if (shutdown(f->client.fd, SHUT_WR) < 0 ||
	    !flow_watch(f, &f->client, EPOLLIN) || !flow_timer(f, LINGER_MS))
		flow_end(f, true);
}

/* A close with unread bytes is a reset, which takes the answer back. */
void flow_linger_readable(struct flow *f)
{
	ssize_t n = recv(f->client.fd, f->g->flows->scratch, FLOW_SCRATCH, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || ++f->n_first == LINGER_READS)
		flow_end(f, false);
}
