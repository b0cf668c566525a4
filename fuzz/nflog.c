/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Datagrams of nflog and the packets in them: all within the input, ports only
 * of what has them, and never an end that does not come. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sys/nflog.h"
#include "wire/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_slice(struct slice whole, struct slice part)
{
	if (part.n && (part.p < whole.p || part.n > whole.n ||
		       (size_t)(part.p - whole.p) > whole.n - part.n))
		abort();
}

static void check_packet(struct slice s)
{
	struct packet p, again;
	int r = packet_parse(s, &p);

	if (r)
		return;
	if (p.src.family != p.dst.family ||
	    (p.src.family != 4 && p.src.family != 6))
		abort();
	if (!p.has_ports && (p.src_port || p.dst_port))
		abort();
	/* more bytes behind never take away what was seen */
	if (s.n && !packet_parse((struct slice){ s.p, s.n - 1 }, &again) &&
	    again.has_ports && memcmp(&p, &again, sizeof(p)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice whole = { (const char *)data, size }, c = whole;
	struct nflog_record rec;
	size_t before = c.n;

	while (nflog_next(&c, &rec)) {
		if (c.n >= before)
			abort();
		before = c.n;
		check_slice(whole, rec.prefix);
		check_slice(whole, rec.payload);
		check_packet(rec.payload);
	}
	check_packet(whole);
	return 0;
}
