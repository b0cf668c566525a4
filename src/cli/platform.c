/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One line of a file in the state directory. */
#include "cli/platform.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"

#define FILE_ "platform"

enum { LINE_SIZE = 256 };

/* What an answer is for: another boot may have another kernel, another file is
 * another runsc. */
static bool get_key(const struct cell_request *req, char *buf, size_t size)
{
	OWNED(wbuf_drop) struct wbuf id = WBUF_INIT(256);
	char path[PATH_MAX];
	struct stat st;

	if (file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 0, &id) ||
	    path_search(cell_runsc(req), path) || stat(path, &st) < 0)
		return false;
	(void)snprintf(buf, size, "%.36s %llx:%llx:%llx:%lld.%ld:%lld.%ld ",
		       wbuf_cstr(&id), (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino,
		       (unsigned long long)st.st_size,
		       (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
		       (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
	return true;
}

static int open_state(const struct state_dirs *d)
{
	return open(d->state, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

enum cell_platform platform_kept(const struct state_dirs *d,
				 const struct cell_request *req)
{
	static const enum cell_platform all[] = { CELL_PLATFORM_SYSTRAP,
						  CELL_PLATFORM_PTRACE };
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(512);
	OWNED(fd_drop) int state = open_state(d);
	char key[LINE_SIZE], line[LINE_SIZE + 16];

	if (!get_key(req, key, sizeof(key)) ||
	    file_read(state, FILE_, O_NOFOLLOW, &b))
		return CELL_PLATFORM_UNTRIED;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		(void)snprintf(line, sizeof(line), "%s%s\n", key,
			       cell_platform_word(all[i]));
		if (!strcmp(wbuf_cstr(&b), line))
			return all[i];
	}
	return CELL_PLATFORM_UNTRIED;
}

void platform_keep(const struct state_dirs *d, const struct cell_request *req,
		   const struct report_enforcement *r)
{
	OWNED(fd_drop) int state = -1;
	char key[LINE_SIZE], line[LINE_SIZE + REPORT_TEXT];

	if (req->wall != CELL_WALL_GVISOR ||
	    req->platform != CELL_PLATFORM_UNTRIED ||
	    !get_key(req, key, sizeof(key)))
		return;
	state = open_state(d);
	for (size_t i = 0; i < r->n_items; i++) {
		if (strcmp(r->items[i].name, REPORT_PLATFORM) != 0)
			continue;
		(void)snprintf(line, sizeof(line), "%s%s\n", key,
			       r->items[i].got);
		if (file_replace(state, FILE_, 0600, line, strlen(line))) {
			/* then it is tried the next time, too */
		}
	}
}

void platform_forget(const struct state_dirs *d)
{
	char path[4200];

	(void)snprintf(path, sizeof(path), "%s/" FILE_, d->state);
	(void)unlink(path);
}
