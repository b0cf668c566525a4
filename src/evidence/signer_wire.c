/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Messages between the supervisor and its signer. */
#include "evidence/signer_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void put_u32(struct wbuf *b, size_t v)
{
	uint32_t n = (uint32_t)v;

	if (v > UINT32_MAX)
		b->failed = true;
	wbuf_put(b, &n, sizeof(n));
}

void signer_put_begin(struct wbuf *b, uint8_t kind)
{
	wbuf_reset(b);
	put_u32(b, 0);
	wbuf_put(b, &kind, 1);
}

void signer_put_u64(struct wbuf *b, uint64_t v)
{
	wbuf_put(b, &v, sizeof(v));
}

void signer_put_slice(struct wbuf *b, struct slice s)
{
	put_u32(b, s.n);
	wbuf_slice(b, s);
}

void signer_put_str(struct wbuf *b, const char *s)
{
	/* with its NUL, so that the length 0 can stand for NULL */
	signer_put_slice(b, (struct slice){ s, s ? strlen(s) + 1 : 0 });
}

void signer_put_end(struct wbuf *b)
{
	uint32_t n = (uint32_t)(b->len - sizeof(n));

	if (!b->failed)
		memcpy(b->p, &n, sizeof(n));
}

static bool get(struct slice *c, void *ret, size_t n)
{
	if (c->n < n)
		return false;
	memcpy(ret, c->p, n);
	c->p += n;
	c->n -= n;
	return true;
}

bool signer_get_u8(struct slice *c, uint8_t *ret)
{
	return get(c, ret, 1);
}

bool signer_get_u64(struct slice *c, uint64_t *ret)
{
	return get(c, ret, sizeof(*ret));
}

bool signer_get_slice(struct slice *c, struct slice *ret)
{
	uint32_t n;

	if (!get(c, &n, sizeof(n)) || c->n < n)
		return false;
	*ret = (struct slice){ c->p, n };
	c->p += n;
	c->n -= n;
	return true;
}

bool signer_get_str(struct slice *c, const char **ret)
{
	struct slice s;

	if (!signer_get_slice(c, &s))
		return false;
	if (s.n && memchr(s.p, '\0', s.n) != s.p + s.n - 1)
		return false;
	*ret = s.n ? s.p : NULL;
	return true;
}

int signer_send(int fd, struct slice msg)
{
	ssize_t n;

	while (msg.n) {
		n = send(fd, msg.p, msg.n, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == ECONNRESET ? -EPIPE : -errno;
		msg.p += n;
		msg.n -= (size_t)n;
	}
	return 0;
}

/* At least @n bytes from in->at on */
static int fill(int fd, struct signer_inbox *in, size_t n)
{
	ssize_t r;

	if (in->at && in->at + n > SIGNER_INBOX) {
		memmove(in->buf, in->buf + in->at, in->len - in->at);
		in->len -= in->at;
		in->at = 0;
	}
	while (in->len - in->at < n) {
		r = recv(fd, in->buf + in->len, SIGNER_INBOX - in->len, 0);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return errno == ECONNRESET ? -EPIPE : -errno;
		if (r == 0)
			return -EPIPE;
		in->len += (size_t)r;
	}
	return 0;
}

int signer_recv(int fd, struct signer_inbox *in, struct slice *ret)
{
	uint32_t n;
	int r;

	if (in->at == in->len)
		in->at = in->len = 0;
	r = fill(fd, in, sizeof(n));
	if (r)
		return r;
	memcpy(&n, in->buf + in->at, sizeof(n));
	if (n < 1 || n > SIGNER_MESSAGE_MAX)
		return -EBADMSG;
	r = fill(fd, in, sizeof(n) + n);
	if (r)
		return r;
	*ret = (struct slice){ in->buf + in->at + sizeof(n), n };
	in->at += sizeof(n) + n;
	return 0;
}
