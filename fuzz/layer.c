/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Any bytes as two layers, the first byte says how they are packed: all that
 * appears lies in the directory it is for, and can be removed. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/drop.h"
#include "base/fd.h"
#include "unpack/layer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEX "0000000000000000000000000000000000000000000000000000000000000000"

static char top[] = "/tmp/cellos-fuzz-XXXXXX";
static int outer = -1;

static void forget(void)
{
	if (drop_tree(AT_FDCWD, top, NULL, NULL))
		abort();
}

static void begin(void)
{
	if (!mkdtemp(top))
		abort();
	outer = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (outer < 0 || atexit(forget) || mkdirat(outer, "blobs", 0700) ||
	    mkdirat(outer, "victim", 0500))
		abort();
}

static void apply(int inner, struct slice bytes, enum oci_kind kind)
{
	OWNED(fd_drop)
	int blobs = openat(outer, "blobs", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct oci_desc d = { .kind = kind, .digest = HEX, .size = bytes.n };
	struct layer_account acc = { .max = 1 << 20,
				     .stream_left = 1 << 20,
				     .file_left = 1 << 20,
				     .entries_left = 1000 };
	OWNED(fd_drop)
	int blob = openat(blobs, HEX, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			  0600);
	struct place p;
	struct err e;

	if (blob < 0 || fd_write_all(blob, bytes.p, bytes.n) ||
	    place_init(&p, inner))
		abort();
	/* no bytes have this digest, and all of them were applied by then */
	for (size_t i = 0; i < 2; i++)
		if (!layer_unpack(blobs, &d, HEX, i, &p, &acc, &e))
			abort();
	seen_drop(&p.seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stat st, victim;
	int inner;

	if (!size)
		return 0;
	if (outer < 0)
		begin();
	if (mkdirat(outer, "d", 0700) < 0)
		abort();
	inner = openat(outer, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (inner < 0)
		abort();
	apply(inner, (struct slice){ (const char *)data + 1, size - 1 },
	      (enum oci_kind)(OCI_LAYER_TAR + data[0] % 3));
	(void)fchmod(inner, 0700);
	(void)close(inner);
	if (drop_tree(outer, "d", NULL, NULL) || fstat(outer, &st) < 0 ||
	    fstatat(outer, "victim", &victim, 0) < 0)
		abort();
	/* ".", "..", blobs, victim; nothing in it, nothing of it changed */
	if (st.st_nlink != 4 || victim.st_nlink != 2 ||
	    (victim.st_mode & 07777) != 0500)
		abort();
	return 0;
}
