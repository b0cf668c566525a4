/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What of the host a command must not see. */
#include "cli/reach.h"

#include <limits.h>
#include <string.h>

#include "base/path.h"

bool path_covers(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (n == 1)
		return true;
	return strncmp(dir, path, n) == 0 && (!path[n] || path[n] == '/');
}

/* What cannot be placed cannot be told apart from what must not be seen. */
static int real_of(const char *path, char buf[PATH_MAX], struct err *e)
{
	int r = path_real(path, buf);

	return r ? err_set(e, ERR_PLAIN, -r, "%s", path) : 0;
}

static int reach_dir(const char *shown, const char *member, const char *ours,
		     struct err *e)
{
	char a[PATH_MAX], b[PATH_MAX];

	if (real_of(shown, a, e) || real_of(ours, b, e))
		return -1;
	if (!path_covers(a, b) && !path_covers(b, a))
		return 0;
	return err_set(e, ERR_PLAIN, 0,
		       "%s %s: the command would see %s, which holds keys and "
		       "locks of cellos; name a narrower directory, or set "
		       "CELLOS_STATE_DIR and CELLOS_RUN_DIR elsewhere",
		       member, shown, ours);
}

static int reach_journal(const char *shown, const char *journal, struct err *e)
{
	char a[PATH_MAX], b[PATH_MAX];

	if (real_of(shown, a, e) || real_of(journal, b, e))
		return -1;
	if (!path_covers(a, b))
		return 0;
	return err_set(e, ERR_PLAIN, 0,
		       "spec.authority.filesystem.mounts %s: the command would "
		       "see its own events in %s, and could lock or rewrite "
		       "them; put them elsewhere with --events",
		       shown, journal);
}

/* Of these a cell has its own: nothing of the host's is shown there. */
static bool is_own(const char *cwd)
{
	static const char *const own[] = { "/",	   "/tmp", "/dev",    "/proc",
					   "/run", "/etc", "/dev/shm" };

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (strcmp(cwd, own[i]) == 0)
			return true;
	return false;
}

int reach_check(const struct reach *r, struct err *e)
{
	static const char mounts[] = "spec.authority.filesystem.mounts";
	const struct spec *spec = r->spec;
	const char *cwd = spec->run ? spec->run->working_directory.p : NULL;

	for (size_t i = 0; i < spec->authority.n_mounts; i++) {
		const char *path = spec->authority.mounts[i].path.p;

		if (reach_dir(path, mounts, r->dirs->state, e) ||
		    reach_dir(path, mounts, r->dirs->run, e))
			return -1;
		/* even to read it is too much: a lock on it stops the run */
		if (r->journal && reach_journal(path, r->journal, e))
			return -1;
	}
	if (r->image_root &&
	    (reach_dir(r->image_root, "--root", r->dirs->state, e) ||
	     reach_dir(r->image_root, "--root", r->dirs->run, e)))
		return -1;
	if (!cwd || is_own(cwd))
		return 0;
	if (reach_dir(cwd, "spec.run.workingDirectory", r->dirs->state, e))
		return -1;
	return reach_dir(cwd, "spec.run.workingDirectory", r->dirs->run, e);
}
