/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client's first bytes: one verdict, however they are cut, and a name only
 * in its canonical form. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/tls_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum tls_hello_state in_steps(struct slice wire, size_t step,
				     struct wbuf *joined, struct tls_hello *h)
{
	struct tls_hello_reader r = { 0 };
	enum tls_hello_state s = TLS_HELLO_MORE;

	for (size_t n = 0; n < wire.n && s == TLS_HELLO_MORE;) {
		n += wire.n - n < step ? wire.n - n : step;
		s = tls_hello_read(&r, (struct slice){ wire.p, n }, joined, h);
	}
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED(wbuf_drop) struct wbuf joined = WBUF_INIT(TLS_HELLO_MAX);
	struct slice wire = { (const char *)data, size };
	struct tls_hello a = { 0 }, b = { 0 };
	enum tls_hello_state whole = in_steps(wire, size, &joined, &a);
	enum tls_hello_state cut = in_steps(wire, 1 + size / 64, &joined, &b);
	struct hostname again;

	if (whole != cut || a.has_name != b.has_name || a.fault != b.fault ||
	    a.has_ech != b.has_ech || strcmp(a.name.text, b.name.text) != 0)
		abort();
	if ((whole == TLS_HELLO_BAD) != (a.fault != TLS_HELLO_NONE))
		abort();
	if (a.has_name && (hostname_parse(hostname_slice(&a.name), &again) ||
			   memcmp(&again, &a.name, sizeof(again)) != 0))
		abort();
	return 0;
}
