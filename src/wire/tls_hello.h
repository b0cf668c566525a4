/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The ClientHello that opens a TLS connection (RFC 8446 4.1.2, RFC
 * 5246 7.4.1.2) as a judge reads it: whole, whatever records and segments it
 * came in, exact in every length, and with one server name or none. What is not
 * exactly that has no name: a parser that is more lenient than the server's
 * would judge another name than the server serves.
 */
#ifndef CELLOS_WIRE_TLS_HELLO_H
#define CELLOS_WIRE_TLS_HELLO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"
#include "base/wbuf.h"
#include "wire/hostname.h"

enum {
	/* the message with its header: post-quantum key shares take some KiB */
	TLS_HELLO_MAX = 65536,
	/* on the wire, with record headers: as far as a byte a record goes */
	TLS_HELLO_WIRE_MAX = 2 * TLS_HELLO_MAX,
	TLS_RECORD_MAX = 16384, /* RFC 8446 5.1 */
	TLS_EXTENSIONS_MAX = 256
};

/* Why a hello is none; the words are for events. */
#define TLS_HELLO_FAULTS(X)                                                 \
	X(NONE, "none")                                                     \
	X(RECORD_TYPE, "a record that is no handshake")                     \
	X(RECORD_EMPTY, "an empty record")                                  \
	X(RECORD_LENGTH, "a record longer than 16384 bytes")                \
	X(MESSAGE_TYPE, "a handshake message that is no ClientHello")       \
	X(MESSAGE_LENGTH, "a ClientHello longer than 65536 bytes")          \
	X(TRAILING, "bytes behind the ClientHello in its record")           \
	X(CUT, "a field that goes past its end")                            \
	X(SESSION_ID, "a session id longer than 32 bytes")                  \
	X(CIPHER_SUITES, "cipher suites of an odd length, or none")         \
	X(COMPRESSION, "no compression method")                             \
	X(EXTENSION_COUNT, "more than 256 extensions")                      \
	X(EXTENSION_TWICE, "an extension that is there twice")              \
	X(NAME_LIST, "a server_name that is not one list of one host name") \
	X(NAME, "a server name that is no host name")

enum tls_hello_fault {
#define X(id, words) TLS_HELLO_##id,
	TLS_HELLO_FAULTS(X)
#undef X
		TLS_HELLO_FAULT_NUM
};

struct tls_hello {
	bool has_name; /* else no server_name extension */
	struct hostname name;
	bool has_ech;	     /* 0xfe0d, be it GREASE or not; or draft ESNI */
	bool has_early_data; /* 0-RTT follows without waiting */
	uint16_t version;    /* legacy_version */
	enum tls_hello_fault fault;
};

/* How far the records have been read; starts as zeros. */
struct tls_hello_reader {
	size_t at;	/* the next record header, from the first byte */
	size_t message; /* bytes of the message in the records before it */
	size_t want;	/* of it, header included; 0: not known yet */
	size_t records;
	uint8_t header[4];
};

enum tls_hello_state { TLS_HELLO_MORE, TLS_HELLO_DONE, TLS_HELLO_BAD };

/** tls_hello_fault_text() - a static string */
const char *tls_hello_fault_text(enum tls_hello_fault f);

/**
 * tls_hello_read() - look at what has arrived so far
 * @r:     kept between the calls of one connection
 * @wire:  every byte since the first one; grows from call to call
 * @joined: holds a message of several records, else is not touched; its max is
 *          TLS_HELLO_MAX or more
 * @ret:   filled with TLS_HELLO_DONE; with TLS_HELLO_BAD only @fault
 *
 * A call costs what is new. Bytes behind the record that ends the message are
 * not looked at.
 *
 * Return: TLS_HELLO_MORE if the message is not whole yet
 */
enum tls_hello_state tls_hello_read(struct tls_hello_reader *r,
				    struct slice wire, struct wbuf *joined,
				    struct tls_hello *ret) MUST_USE;

#endif
