/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Messages between the supervisor and its signer: a stream of
 *   u32 length of what follows, u8 kind, body
 * in host order (both are the same program). A peer that breaks the form is
 * not answered any more.
 */
#ifndef CELLOS_EVIDENCE_SIGNER_WIRE_H
#define CELLOS_EVIDENCE_SIGNER_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/slice.h"
#include "base/wbuf.h"
#include "evidence/seal.h"

enum {
	SIGNER_REQ_BEGIN = 1, /* cell, spec, run, uuid */
	SIGNER_REQ_EVENT,     /* n, id, source, type, time, data */
	SIGNER_REQ_LINK,      /* n, final, id, time */
	SIGNER_OK,	      /* a line, or nothing */
	SIGNER_REFUSED	      /* text of the error */
};

/* a whole event line and its ids */
enum { SIGNER_MESSAGE_MAX = LIMIT_EVENT_LINE + 4 * (LINK_ID_MAX + 16) };

/** signer_put_begin() - start a message in @b; signer_put_end() closes it */
void signer_put_begin(struct wbuf *b, uint8_t kind);
void signer_put_u64(struct wbuf *b, uint64_t v);
/** signer_put_str() - NULL stays NULL */
void signer_put_str(struct wbuf *b, const char *s);
void signer_put_slice(struct wbuf *b, struct slice s);
void signer_put_end(struct wbuf *b);

/* Each takes from the front of @c; false if it is not there. */
bool signer_get_u8(struct slice *c, uint8_t *ret);
bool signer_get_u64(struct slice *c, uint64_t *ret);
bool signer_get_slice(struct slice *c, struct slice *ret);
/** signer_get_str() - borrowed from the message, NUL-terminated, or NULL */
bool signer_get_str(struct slice *c, const char **ret);

/** signer_send() - all of it; 0 or -errno (-EPIPE: the peer ended) */
int signer_send(int fd, struct slice msg) MUST_USE;
/* What has been received and not yet taken: one recv(2) may bring several. */
struct signer_inbox {
	char *buf; /* SIGNER_INBOX bytes */
	size_t at, len;
};

enum { SIGNER_INBOX = SIGNER_MESSAGE_MAX + 65536 };

/**
 * signer_recv() - the next message, waiting for it if need be
 * @ret: the message without its length, borrowed until the next call
 *
 * Return: 0; -EPIPE the peer ended; -EBADMSG a length out of bounds; -errno
 */
int signer_recv(int fd, struct signer_inbox *in, struct slice *ret) MUST_USE;

/**
 * signer_main() - the signer process, from fork to exit
 * @fd: its end of the channel
 * @s:  filled, owned
 */
NORETURN void signer_main(int fd, pid_t parent, struct seal *s);

#endif
