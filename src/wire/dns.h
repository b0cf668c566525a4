/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * DNS messages of the door (RFC 1035, RFC 6891): a client's query down to the
 * one question that may be asked, the query that is sent in its place, and an
 * answer of our own. Nothing else of what the client wrote goes on: no
 * spelling, no flag, no option, no further record.
 */
#ifndef CELLOS_WIRE_DNS_H
#define CELLOS_WIRE_DNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"
#include "base/wbuf.h"
#include "wire/hostname.h"

enum {
	DNS_HEADER = 12,
	DNS_NAME_MAX = 255,  /* on the wire, RFC 1035 2.3.4 */
	DNS_UDP_PLAIN = 512, /* what a client without EDNS takes */
	DNS_UDP_OURS = 1232, /* what we say we take: no fragments */
	DNS_MESSAGE_MAX = 65535,
	DNS_TYPE_COUNT_MAX = 16 /* of DNS_TYPES */
};

enum dns_rcode {
	DNS_NOERROR,
	DNS_FORMERR,
	DNS_SERVFAIL,
	DNS_NXDOMAIN,
	DNS_NOTIMP,
	DNS_REFUSED
};

/* What a query may ask for; a document names them by these words. */
/* clang-format off */
#define DNS_TYPES(X) \
	X(A, 1) \
	X(NS, 2) \
	X(CNAME, 5) \
	X(PTR, 12) \
	X(MX, 15) \
	X(TXT, 16) \
	X(AAAA, 28) \
	X(SRV, 33) \
	X(SVCB, 64) \
	X(HTTPS, 65)
/* clang-format on */

enum dns_type {
#define X(word, number) DNS_##word = number,
	DNS_TYPES(X)
#undef X
		DNS_OPT = 41
};

/** dns_type_word() - "A" and so on, NULL for a type that is not in the list */
const char *dns_type_word(unsigned type);

/* Why a query is none. */
#define DNS_FAULTS(X)                                                 \
	X(NONE, "none")                                               \
	X(SHORT, "shorter than a header")                             \
	X(RESPONSE, "a response")                                     \
	X(OPCODE, "an opcode other than QUERY")                       \
	X(COUNTS, "not one question, or records beside it")           \
	X(CUT, "a field that goes past its end")                      \
	X(COMPRESSED, "a compressed name in a question")              \
	X(LABEL, "a label that is no part of a host or service name") \
	X(NAME_LENGTH, "a name longer than 255 bytes")                \
	X(CLASS, "a class other than IN")                             \
	X(ADDITIONAL, "an additional record other than one OPT")      \
	X(TRAILING, "bytes behind the message")

enum dns_fault {
#define X(id, words) DNS_FAULT_##id,
	DNS_FAULTS(X)
#undef X
		DNS_FAULT_NUM
};

/** dns_fault_text() - a static string */
const char *dns_fault_text(enum dns_fault f);

struct dns_query {
	uint16_t id;
	bool is_recursive;    /* RD */
	bool is_checking_off; /* CD */
	bool has_edns;
	bool wants_dnssec; /* DO */
	uint16_t udp_size; /* what the client takes, 512 or more */
	uint16_t type;
	bool is_root;	       /* the name is "." */
	struct hostname name;  /* lower case, "_" labels allowed; if not root */
	struct slice question; /* in the input, as sent: name, type, class */
	enum dns_fault fault;
};

/**
 * dns_query_parse() - a client's message
 * @msg: all of it, without the length of TCP
 * @ret: @id and @fault are valid in any case with two bytes or more; @question
 *       is set if the fault lies behind it
 *
 * Return: DNS_NOERROR, or the code to answer with; -1: no answer at all (not a
 * query, or no id to answer to)
 */
int dns_query_parse(struct slice msg, struct dns_query *ret) MUST_USE;

/**
 * dns_query_build() - the query that goes out in a client's place
 * @id: fresh and random
 * @dnssec: asks for signatures (DO)
 * @b: appended to; EDNS with DNS_UDP_OURS, RD, nothing else
 */
void dns_query_build(struct wbuf *b, uint16_t id, const struct hostname *name,
		     uint16_t type, bool dnssec);

/**
 * dns_reply_build() - an answer of our own, without records
 * @q: as parsed; a question that could not be read is left out
 * @b: appended to; OPT if the client sent one, as RFC 6891 7 asks for
 */
void dns_reply_build(struct wbuf *b, const struct dns_query *q,
		     enum dns_rcode rcode);

#endif
