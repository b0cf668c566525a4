/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * HTTP/1 requests as a judge reads them (RFC 9112, RFC 9110): the strict form
 * only. A server may be more lenient, and each leniency is a request that two
 * readers see differently, so what is not strict has no host and no end:
 * bare CR or LF, NUL and other controls, folded lines, white space before a
 * colon, two Hosts, a target that names another host than Host, two lengths,
 * a length beside Transfer-Encoding, any coding but chunked.
 */
#ifndef CELLOS_WIRE_HTTP1_H
#define CELLOS_WIRE_HTTP1_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"
#include "wire/hostname.h"

enum {
	HTTP1_HEAD_MAX = 8192,	  /* request line to the empty line, with it */
	HTTP1_TRAILER_MAX = 8192, /* all of them, with the empty line */
	HTTP1_CHUNK_LINE_MAX = 256
};

/* Why a request is none; the words are for events. */
#define HTTP1_FAULTS(X)                                                     \
	X(NONE, "none")                                                     \
	X(HEAD_LENGTH, "a request head longer than 8192 bytes")             \
	X(BYTE, "a control character, or a CR or LF on its own")            \
	X(REQUEST_LINE, "a request line that is not METHOD TARGET VERSION") \
	X(VERSION, "a version other than HTTP/1.0 and HTTP/1.1")            \
	X(TARGET, "a request target of no known form")                      \
	X(FIELD, "a line that is no header field")                          \
	X(FOLDED, "a folded header field")                                  \
	X(HOST_TWICE, "two Host fields")                                    \
	X(HOST, "a Host that is no host and port")                          \
	X(TARGET_HOST, "a target that names another host than Host")        \
	X(LENGTH, "a Content-Length that is no number, or two")             \
	X(CODING, "a Transfer-Encoding other than chunked")                 \
	X(LENGTH_AND_CODING, "Content-Length beside Transfer-Encoding")     \
	X(CHUNK, "a chunk that is none")                                    \
	X(TRAILER, "trailers that are none, or too long")

enum http1_fault {
#define X(id, words) HTTP1_##id,
	HTTP1_FAULTS(X)
#undef X
		HTTP1_FAULT_NUM
};

enum http1_framing { HTTP1_NO_BODY, HTTP1_SIZED, HTTP1_CHUNKED };

struct http1_head {
	size_t len; /* of the head, with its empty line */
	enum http1_fault fault;
	bool is_connect; /* RFC 9110 9.3.6: the host is then the target's */
	bool has_upgrade, has_h2c; /* Upgrade, and a token "h2c" in it */
	bool has_host;
	bool host_is_name; /* @host is valid; else an address */
	struct hostname host;
	struct slice host_text; /* as sent, without the port; in the input */
	uint16_t port;		/* 0: none was said */
	enum http1_framing framing;
	uint64_t length; /* HTTP1_SIZED */
};

enum http1_state { HTTP1_MORE, HTTP1_DONE, HTTP1_BAD };

/** http1_fault_text() - a static string */
const char *http1_fault_text(enum http1_fault f);

/**
 * http1_read_head() - the head of a request at the start of some bytes
 * @in:  what has arrived; nothing behind the head is looked at
 * @ret: valid with HTTP1_DONE; with HTTP1_BAD only @fault. Slices point into
 *       @in
 *
 * Return: HTTP1_MORE if the head is not whole and can still become one: what
 * is wrong already is HTTP1_BAD without waiting for the rest
 */
enum http1_state http1_read_head(struct slice in,
				 struct http1_head *ret) MUST_USE;

/* Where in a body; set up by http1_body_begin(). */
struct http1_body {
	enum {
		HTTP1_IN_DATA,
		HTTP1_IN_CHUNK_LINE,
		HTTP1_IN_CHUNK_DATA,
		HTTP1_IN_CHUNK_END,
		HTTP1_IN_TRAILER,
		HTTP1_AT_END
	} at;
	uint64_t left;	 /* of the data, or of the chunk */
	uint32_t line;	 /* bytes of the line, or of the trailers, so far */
	uint32_t column; /* HTTP1_IN_TRAILER: of the line in it */
	uint8_t digits;	 /* of the chunk's size */
	bool in_extension, after_cr, has_colon;
	enum http1_fault fault;
};

/** http1_body_begin() - behind the head @h */
void http1_body_begin(struct http1_body *b, const struct http1_head *h);
/**
 * http1_body_skip() - the part of the body at the start of some bytes
 * @ret_n: how many of them belong to it
 *
 * Return: HTTP1_DONE when the next byte starts another request
 */
enum http1_state http1_body_skip(struct http1_body *b, struct slice in,
				 size_t *ret_n) MUST_USE;

#endif
