/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reading, hashing, parsing and checking a document. */
#include "cli/document.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "cli/env.h"
#include "wire/b64.h"

int document_from_text(struct slice text, struct document *d, struct err *e)
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256(hash, (const unsigned char *)text.p, text.n);
	hex_text(d->raw_hash, hash, sizeof(hash));
	if (spec_parse(text, &d->spec, e) < 0)
		return err_wrap(e, "parse ExecutionCellDocument");
	return spec_check(&d->spec, e);
}

/* A descriptor of ours by name, as a shell's <(...) is: a link that nobody can
 * have planted */
static bool is_descriptor(const char *path)
{
	return !strncmp(path, "/dev/fd/", 8) ||
	       !strncmp(path, "/proc/self/fd/", 14) ||
	       !strcmp(path, "/dev/stdin");
}

int document_load(const char *path, struct document *d, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(LIMIT_SPEC_FILE);
	bool is_stdin = strcmp(path, "-") == 0;
	int r;

	r = is_stdin ? fd_read_all(STDIN_FILENO, &b)
		     : file_read_stream(
			       path, is_descriptor(path) ? 0 : O_NOFOLLOW, &b);
	if (r < 0) {
		char os[128];

		err_os_text(-r, os, sizeof(os));
		(void)err_set(e, ERR_PLAIN, 0, "%s", os);
		e->sys = -r;
		return is_stdin ? err_wrap(e, "read cell spec from stdin")
				: err_wrap(e, "read cell spec %s", path);
	}
	return document_from_text(wbuf_as_slice(&b), d, e);
}

void document_drop(struct document *d)
{
	spec_drop(&d->spec);
}
