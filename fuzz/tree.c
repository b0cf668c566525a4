/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a guest sends as the files of its command: all that appears lies beneath
 * the directory it is for. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cell/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[] = "/tmp/cellos-fuzz-XXXXXX";
static int outer = -1, inner = -1;

/* What a run has made goes by the names it came by. */
static void drop(int dir, const char *name)
{
	OWNED(wbuf_drop) struct wbuf all = WBUF_INIT(64);
	const struct wbuf none = WBUF_INIT(0);
	const struct tree_name n = { 0 };

	wbuf_put(&all, &n, sizeof(n));
	wbuf_put(&all, name, strlen(name) + 1);
	if (tree_forget(dir, &all, &none))
		abort();
}

static void forget(void)
{
	(void)rmdir(top);
}

static void empty(int dir)
{
	DIR *d =
		fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *de;
	struct stat st;

	while (d && (de = readdir(d))) {
		int sub;

		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		if (fstatat(dir, de->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    (S_ISDIR(st.st_mode) && fchmodat(dir, de->d_name, 0700, 0)))
			abort();
		sub = openat(dir, de->d_name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0) {
			empty(sub);
			(void)close(sub);
		}
		if (unlinkat(dir, de->d_name, sub >= 0 ? AT_REMOVEDIR : 0))
			abort();
	}
	if (d)
		(void)closedir(d);
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
	const struct wbuf none = WBUF_INIT(0);
	const struct tree_rules rules = { .max = 1 << 16,
					  .uid = (uid_t)-1,
					  .sent = &none };
	OWNED(wbuf_drop) struct wbuf came = WBUF_INIT(1 << 16);
	OWNED(fd_drop) int in = memfd_create("tree", MFD_CLOEXEC);
	const struct tree_io io = { .fd = in };
	struct stat st;

	if (outer < 0)
		begin();
	if (in < 0 || fd_write_all(in, data, size) ||
	    lseek(in, 0, SEEK_SET) != 0 || mkdirat(outer, "d", 0700))
		abort();
	inner = openat(outer, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (inner < 0)
		abort();
	/* cut anywhere, what came before stays: one more to take it away */
	if (tree_receive(&io, inner, &rules, &came) == 0 &&
	    tree_forget(inner, &came, &none))
		abort();
	empty(inner);
	(void)close(inner);
	drop(outer, "d");
	/* "." and "..": nothing beside it */
	if (fstat(outer, &st) < 0 || st.st_nlink != 2)
		abort();
	return 0;
}
