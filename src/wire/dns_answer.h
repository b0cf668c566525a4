/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What an upstream server answered, judged and written anew for the client
 * (RFC 1035, RFC 2308, RFC 9460): only the chain of aliases from the question
 * to its records, only types a document may name, no address its judge
 * refuses, no ECH keys and no h3 in service bindings. Nothing else of what the
 * server wrote goes on.
 */
#ifndef CELLOS_WIRE_DNS_ANSWER_H
#define CELLOS_WIRE_DNS_ANSWER_H

#include "wire/dns.h"
#include "wire/ip.h"

enum {
	DNS_CHAIN_MAX = 16,	  /* aliases from the question to its records */
	DNS_RECORDS_MAX = 256,	  /* of each section; more is a fault */
	DNS_ANSWER_ADDRS_MAX = 64 /* different addresses that are kept */
};

/* Why an upstream's message is no answer. */
#define DNS_ANSWER_FAULTS(X)                                               \
	X(NONE, "none")                                                    \
	X(SHORT, "shorter than a header")                                  \
	X(NO_RESPONSE, "not a response to a query")                        \
	X(QUESTION, "another question than the one asked")                 \
	X(NAME, "a name that is cut, loops or is too long")                \
	X(RECORD, "a record that goes past the end or lies in its length") \
	X(CHAIN, "aliases that loop or are too many")                      \
	X(COUNT, "more records than are read or fit")

enum dns_answer_fault {
#define X(id, words) DNS_ANSWER_##id,
	DNS_ANSWER_FAULTS(X)
#undef X
		DNS_ANSWER_FAULT_NUM
};

const char *dns_answer_fault_text(enum dns_answer_fault f);

struct dns_answer_judge {
	/** address() - may this address be told to the client? */
	bool (*address)(void *arg, const struct ip_addr *a);
	void *arg;
	uint32_t ttl_min,
		ttl_max; /* seconds every record's TTL is moved into */
};

struct dns_answer {
	enum dns_answer_fault fault;
	uint8_t rcode;	   /* as the upstream says; SERVFAIL for one over 15 */
	bool is_truncated; /* TC: ask again by TCP; no record is read */
	bool is_authentic; /* AD */
	uint32_t ttl;	   /* of the shortest record kept, moved; if none of the
			    * asked type is kept not over that of the SOA
			    * (RFC 2308 5), without one ttl_min */
	/* addresses at the end of the chain that the judge passed */
	struct ip_addr addr[DNS_ANSWER_ADDRS_MAX];
	size_t n_addr;
	size_t n_target;  /* answer records of the asked type that were kept */
	size_t n_dropped; /* addresses the judge refused */
	struct ip_addr dropped; /* the first of them */
	/* the names from the question on, lower case: [0] is the question's.
	 * A name that is no host name ends the list (it is kept as record) */
	struct hostname chain[DNS_CHAIN_MAX + 1];
	size_t n_chain;
	bool changed_svcb; /* ech or h3 was taken out */
};

/**
 * dns_answer_read() - judge an upstream's message
 * @msg:  all of it
 * @id, @name, @type: as sent; the question must echo them (the case of letters
 *        aside)
 * @body: appended to: the records that were kept, as the answer section of a
 *        message whose question is @name, names uncompressed but for pointers
 *        to the question at offset 12; @ret_n their number
 *
 * Records of another code than NOERROR and NXDOMAIN are not kept.
 *
 * Return: 0, or -1 with ret->fault: the message is to be treated as not having
 * come (another may); @body is as it was, but may have failed
 */
int dns_answer_read(struct slice msg, uint16_t id, const struct hostname *name,
		    uint16_t type, const struct dns_answer_judge *judge,
		    struct wbuf *body, uint16_t *ret_n,
		    struct dns_answer *ret) MUST_USE;

/**
 * dns_answer_build() - the client's message from what dns_answer_read() kept
 * @q:    the client's query; its question is repeated as sent (its case too)
 * @body: records; their pointers to offset 12 fit every spelling of the name
 * @age:  seconds since the records were kept; taken off each TTL, not below 1
 * @max:  bytes the client takes; if it does not fit: TC and no record
 * @b:    appended to; OPT if the client sent one. Failed if @body is none
 */
void dns_answer_build(struct wbuf *b, const struct dns_query *q, uint8_t rcode,
		      struct slice body, uint16_t n_records, uint32_t age,
		      size_t max);

#endif
