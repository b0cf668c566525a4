/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a guest sends as the files of its command: all that appears lies beneath
 * the directory it is for. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cell/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[] = "/tmp/cellos-fuzz-XXXXXX";
static int outer = -1, inner = -1;

static void forget(void)
{
	OWNED(wbuf_drop) struct wbuf all = WBUF_INIT(64);
	const struct wbuf none = WBUF_INIT(0);

	wbuf_put(&all, "d", 2);
	if (tree_forget(outer, &all, &none) || rmdir(top))
		return;
}

static void begin(void)
{
	if (!mkdtemp(top))
		abort();
	outer = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (outer < 0 || atexit(forget))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tree_rules rules = { .max = 1 << 16,
					  .uid = (uid_t)-1,
					  .is_foreign = true };
	OWNED(wbuf_drop) struct wbuf sent = WBUF_INIT(64);
	OWNED(wbuf_drop) struct wbuf came = WBUF_INIT(1 << 16);
	const struct wbuf none = WBUF_INIT(0);
	OWNED(fd_drop) int in = memfd_create("tree", MFD_CLOEXEC);
	struct stat st;

	if (outer < 0)
		begin();
	if (in < 0 || fd_write_all(in, data, size) ||
	    lseek(in, 0, SEEK_SET) != 0 || mkdirat(outer, "d", 0700))
		abort();
	inner = openat(outer, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (inner < 0)
		abort();
	if (tree_receive(in, inner, &rules, &came, NULL) == 0 &&
	    tree_forget(inner, &came, &none))
		abort();
	(void)close(inner);
	wbuf_put(&sent, "d", 2);
	if (tree_forget(outer, &sent, &none))
		abort();
	/* "." and "..": nothing beside it */
	if (fstat(outer, &st) < 0 || st.st_nlink != 2)
		abort();
	return 0;
}
