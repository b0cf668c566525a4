/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Base64 (RFC 4648 4 and 5) and hex, strict: canonical trailing bits only. */
#ifndef CELLOS_WIRE_B64_H
#define CELLOS_WIRE_B64_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/wbuf.h"

/** b64_std_len() - length of padded standard base64 of @n bytes */
size_t b64_std_len(size_t n);
/** b64_put() - standard base64, padded */
void b64_put(struct wbuf *b, const uint8_t *p, size_t n);
/** b64url_put() - base64url without padding */
void b64url_put(struct wbuf *b, const uint8_t *p, size_t n);
/**
 * b64url_get() - decode base64url; any number of trailing '=' is dropped first
 * @dst: receives up to @cap bytes
 *
 * Return: length, or -1 on a bad character, bad length, non-zero trailing
 * bits, or when it does not fit
 */
ssize_t b64url_get(uint8_t *dst, size_t cap, struct slice s) MUST_USE;
/** hex_text() - lower case into @buf of 2 * n + 1 bytes */
void hex_text(char *buf, const uint8_t *p, size_t n);

#endif
