/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "unpack/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/fd.h"

#define AT    "blobs/sha256/%s"
#define AGAIN "; the layout is damaged: copy it here again"

void blob_hex(crypto_hash_sha256_state *hash, char ret[OCI_HEX])
{
	uint8_t raw[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256_final(hash, raw);
	for (size_t i = 0; i < sizeof(raw); i++) {
		ret[2 * i] = ascii_hex_digit(raw[i] >> 4);
		ret[2 * i + 1] = ascii_hex_digit(raw[i]);
	}
	ret[OCI_HEX - 1] = '\0';
}

int blob_open(int blobs, const struct oci_desc *d, struct blob *ret,
	      struct err *e)
{
	struct stat st;

	*ret = (struct blob){ .desc = d, .left = d->size };
	(void)crypto_hash_sha256_init(&ret->hash);
	ret->fd = openat(blobs, d->digest,
			 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (ret->fd < 0 || fstat(ret->fd, &st) < 0)
		return err_set(e, ERR_PLAIN, errno, AT, d->digest);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_PLAIN, 0, AT ": is no regular file",
			       d->digest);
	if ((uint64_t)st.st_size != d->size)
		return err_set(e, ERR_PLAIN, 0,
			       AT ": has %" PRIu64
				  " bytes, its descriptor says %" PRIu64 AGAIN,
			       d->digest, (uint64_t)st.st_size, d->size);
	return 0;
}

ssize_t blob_read(struct blob *b, void *p, size_t n)
{
	ssize_t got;

	if (n > b->left)
		n = (size_t)b->left;
	do
		got = n ? read(b->fd, p, n) : 0;
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		b->sys = errno;
		return -1;
	}
	b->left -= (uint64_t)got;
	(void)crypto_hash_sha256_update(&b->hash, p, (unsigned long long)got);
	return got;
}

int blob_end(struct blob *b, struct err *e)
{
	static unsigned char rest[1 << 16];
	char got[OCI_HEX];
	ssize_t n;

	do
		n = blob_read(b, rest, sizeof(rest));
	while (n > 0);
	if (n < 0)
		return err_set(e, ERR_PLAIN, b->sys, AT, b->desc->digest);
	blob_hex(&b->hash, got);
	if (b->left || strcmp(got, b->desc->digest) != 0)
		return err_set(e, ERR_PLAIN, 0,
			       AT ": its content has sha256:%s" AGAIN,
			       b->desc->digest, got);
	return 0;
}

void blob_drop(struct blob *b)
{
	fd_drop(&b->fd);
}

int blob_text(int blobs, const struct oci_desc *d, struct wbuf *text,
	      struct err *e)
{
	OWNED(blob_drop) struct blob b = BLOB_INIT;
	ssize_t n;
	char *p;

	if (d->size > OCI_DOC_MAX)
		return err_set(e, ERR_PLAIN, 0,
			       AT ": a document of %" PRIu64
				  " bytes, of which there may be %d",
			       d->digest, d->size, (int)OCI_DOC_MAX);
	if (blob_open(blobs, d, &b, e))
		return -1;
	p = wbuf_extend(text, (size_t)d->size);
	if (!p)
		return err_set(e, ERR_PLAIN, ENOMEM, AT, d->digest);
	memset(p, 0, (size_t)d->size);
	for (size_t at = 0; at < d->size; at += (size_t)n) {
		n = blob_read(&b, p + at, (size_t)d->size - at);
		if (n <= 0)
			break;
	}
	return blob_end(&b, e);
}
