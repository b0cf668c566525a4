/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is kept of a trial of runsc's, and for which file of it. */
#include "cli/platform.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/attr.h"
#include "base/path.h"
#include "cli/kept.h"

#define FILE_ "platform"

/* Another file is another runsc. */
static bool identify(const struct cell_request *req, char buf[KEPT_FOR_SIZE])
{
	char path[PATH_MAX];
	struct stat st;

	if (path_search(cell_runsc(req), path) || stat(path, &st) < 0)
		return false;
	(void)snprintf(buf, KEPT_FOR_SIZE, "%llx:%llx:%llx:%lld.%ld:%lld.%ld",
		       (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino,
		       (unsigned long long)st.st_size,
		       (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
		       (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
	return true;
}

enum cell_platform platform_kept(const struct state_dirs *d,
				 const struct cell_request *req)
{
	static const enum cell_platform all[] = { CELL_PLATFORM_SYSTRAP,
						  CELL_PLATFORM_PTRACE };
	char id[KEPT_FOR_SIZE], word[KEPT_WORD_SIZE];

	if (!identify(req, id) || !kept_get(d, FILE_, id, word))
		return CELL_PLATFORM_UNTRIED;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (!strcmp(word, cell_platform_word(all[i])))
			return all[i];
	return CELL_PLATFORM_UNTRIED;
}

void platform_keep(const struct state_dirs *d, const struct cell_request *req,
		   const struct report_enforcement *r)
{
	char id[KEPT_FOR_SIZE];

	if (req->wall != CELL_WALL_GVISOR ||
	    req->platform != CELL_PLATFORM_UNTRIED || !identify(req, id))
		return;
	for (size_t i = 0; i < r->n_items; i++)
		if (!strcmp(r->items[i].name, REPORT_PLATFORM))
			kept_put(d, FILE_, id, r->items[i].got);
}

void platform_forget(const struct state_dirs *d)
{
	kept_forget(d, FILE_);
}
