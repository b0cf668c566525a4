/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The data of one record, checked and written anew. For dns_answer.c only. */
#ifndef CELLOS_WIRE_DNS_RDATA_H
#define CELLOS_WIRE_DNS_RDATA_H

#include "wire/dns_answer.h"

struct dns_record {
	size_t owner; /* where its name starts in the message */
	uint16_t type;
	uint32_t ttl;
	size_t at, end; /* of its data, in the message */
};

/**
 * dns_rdata_put() - what a client is told of a record's data
 * @b:     appended to: the data without its length
 * @judge, @a: for addresses: those that pass are put into @a, others counted
 * @ret_keep: false: the record is not to be told, @b holds nothing of use
 *
 * Return: why it is no such data; @b and @a are of no use then
 */
enum dns_answer_fault dns_rdata_put(struct wbuf *b, struct slice msg,
				    const struct dns_record *r,
				    const struct dns_answer_judge *judge,
				    struct dns_answer *a,
				    bool *ret_keep) MUST_USE;

#endif
