/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where on this host control groups of cells may be made. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "sys/cgroup_int.h"

static bool list_has(const char *list, const char *word, char sep)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == sep) &&
		    (p[n] == '\0' || p[n] == sep || p[n] == '\n'))
			return true;
	return false;
}

/* The @i-th word of @line, which is cut behind it; "" if there is none. Every
 * start of a cell reads such lines: scanf() would be the dearest part of it. */
static char *word(char *line, unsigned i)
{
	char *p = line + strspn(line, " ");

	for (; i; i--) {
		p += strcspn(p, " ");
		p += strspn(p, " ");
	}
	p[strcspn(p, " ")] = '\0';
	return p;
}

void cgroup_find_mount(struct cgroup_finder *f, char *line)
{
	char *dash = strstr(line, " - "), *root, *at, *type, *super;

	if (!dash || strncmp(dash + 3, "cgroup", 6) != 0)
		return;
	/* from the last: each is cut off */
	*dash = '\0';
	super = word(dash + 3, 2);
	type = word(dash + 3, 0);
	at = word(line, 4);
	root = word(line, 3);
	if (!*super || !*at || strlen(at) >= CGROUP_PATH_MAX ||
	    strlen(root) >= CGROUP_PATH_MAX)
		return;
	if (!strcmp(type, "cgroup2") && !f->v2_mount[0])
		(void)snprintf(f->v2_mount, sizeof(f->v2_mount), "%s", at);
	if (strcmp(type, "cgroup"))
		return;
	for (int c = 0; c < CGROUP_CONTROLLER_NUM; c++) {
		if (f->v1_mount[c][0] || !list_has(super, cgroup_names[c], ','))
			continue;
		(void)snprintf(f->v1_mount[c], sizeof(f->v1_mount[c]), "%s",
			       at);
		(void)snprintf(f->v1_root[c], sizeof(f->v1_root[c]), "%s",
			       root);
	}
}

void cgroup_find_own(struct cgroup_finder *f, char *line)
{
	char *list = strchr(line, ':'), *path;

	if (!list)
		return;
	path = strchr(++list, ':');
	if (!path)
		return;
	*path++ = '\0';
	if (!*list)
		(void)snprintf(f->v2_own, sizeof(f->v2_own), "%s", path);
	for (int c = 0; c < CGROUP_CONTROLLER_NUM; c++)
		if (list_has(list, cgroup_names[c], ','))
			(void)snprintf(f->v1_own[c], sizeof(f->v1_own[c]), "%s",
				       path);
}

static int each_line(const char *path, struct cgroup_finder *f,
		     void (*fn)(struct cgroup_finder *f, char *line))
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4 * 1024 * 1024);
	char *p, *nl;
	int r = file_read(AT_FDCWD, path, 0, &b);

	if (r)
		return r;
	(void)wbuf_cstr(&b);
	for (p = b.p; p && *p; p = nl + 1) {
		nl = strchr(p, '\n');
		if (!nl)
			break;
		*nl = '\0';
		fn(f, p);
	}
	return 0;
}

void cgroup_find_join(char *dst, const char *at, const char *root,
		      const char *own)
{
	size_t n = strcmp(root, "/") ? strlen(root) : 0;
	int len;

	dst[0] = '\0';
	if (n && (strncmp(own, root, n) || (own[n] && own[n] != '/')))
		return;
	/* outside of our cgroup namespace; up from a mount is another place */
	if (strstr(own, "/.."))
		return;
	own += n;
	len = snprintf(dst, CGROUP_PATH_MAX, "%s%s", at,
		       strcmp(own, "/") ? own : "");
	if (len < 0 || len >= CGROUP_PATH_MAX)
		dst[0] = '\0';
}

static bool usable_dir(const char *dir)
{
	return dir[0] && access(dir, W_OK | X_OK) == 0;
}

/* Enable what we need for the children of @dir; true if all words are on. */
static bool v2_enable(const char *dir, const char *word)
{
	char path[CGROUP_PATH_MAX + 32], have[256], text[32];

	(void)cgroup_read_line(dir, "cgroup.controllers", have, sizeof(have));
	if (!list_has(have, word, ' '))
		return false;
	(void)cgroup_read_line(dir, "cgroup.subtree_control", have,
			       sizeof(have));
	if (list_has(have, word, ' '))
		return true;
	(void)snprintf(path, sizeof(path), "%s/cgroup.subtree_control", dir);
	(void)snprintf(text, sizeof(text), "+%s", word);
	return file_write(AT_FDCWD, path, text, strlen(text)) == 0;
}

/* All we may need of what @dir has to give; true if nothing is missing. */
static bool v2_enable_all(const char *dir)
{
	char have[256];
	bool all = true;

	(void)cgroup_read_line(dir, "cgroup.controllers", have, sizeof(have));
	for (int c = 0; c < CGROUP_CONTROLLER_NUM; c++)
		if (list_has(have, cgroup_names[c], ' '))
			all &= v2_enable(dir, cgroup_names[c]);
	return all;
}

/* Ours: this process, or a child of it (the signer). */
static bool is_ours(long pid)
{
	char path[40], line[512], *p;
	long parent = 0;

	if (pid == (long)getpid())
		return true;
	(void)snprintf(path, sizeof(path), "/proc/%ld", pid);
	(void)cgroup_read_line(path, "stat", line, sizeof(line));
	p = strrchr(line, ')');
	return p && sscanf(p, ") %*c %ld", &parent) == 1 &&
	       parent == (long)getpid();
}

/*
 * Under v2 a group with processes cannot give controllers to its children (or
 * only some, and then its children are of no use). So we leave our group for a
 * leaf of it; if somebody else is in it, it cannot be used.
 */
static bool v2_leave(const char *own)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(65536);
	char path[CGROUP_PATH_MAX + 32], pid[24];
	char *p, *end;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", own);
	if (file_read(AT_FDCWD, path, 0, &b))
		return false;
	(void)snprintf(path, sizeof(path), "%s/cellos.runner", own);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return false;
	(void)strncat(path, "/cgroup.procs", sizeof(path) - strlen(path) - 1);
	(void)wbuf_cstr(&b);
	for (p = b.p;; p = end) {
		long n = p ? strtol(p, &end, 10) : 0;

		if (n <= 0)
			return true;
		(void)snprintf(pid, sizeof(pid), "%ld", n);
		if (!is_ours(n) || file_write(AT_FDCWD, path, pid, strlen(pid)))
			return false;
	}
}

/*
 * As root: /cellos at the top, whose parent may hold processes and still give
 * controllers - unless the top is only that of a container. Then, and without
 * root, beneath our own group.
 */
static void v2_parent(const struct cgroup_finder *f, char *dst)
{
	char own[CGROUP_PATH_MAX], line[256];

	dst[0] = '\0';
	if (geteuid() == 0 && v2_enable_all(f->v2_mount)) {
		if (snprintf(dst, CGROUP_PATH_MAX, "%s/cellos", f->v2_mount) >=
			    CGROUP_PATH_MAX ||
		    (mkdir(dst, 0755) < 0 && errno != EEXIST))
			dst[0] = '\0';
		return;
	}
	cgroup_find_join(own, f->v2_mount, "/", f->v2_own);
	if (!usable_dir(own))
		return;
	/* started by a runner before us: already prepared */
	if (cgroup_read_line(own, "cgroup.procs", line, sizeof(line)) &&
	    !v2_leave(own))
		return;
	if (v2_enable_all(own))
		(void)snprintf(dst, CGROUP_PATH_MAX, "%s", own);
}

static int wanted_parent(const char *want, struct cgroup_host *ret)
{
	struct stat st;
	char line[256];
	bool any = false;

	if (stat(want, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (access(want, W_OK | X_OK) < 0)
		return -errno;
	if (strlen(want) >= CGROUP_PATH_MAX)
		return -ENAMETOOLONG;
	for (int c = 0; c < CGROUP_CONTROLLER_NUM; c++) {
		bool v2 = cgroup_read_line(want, "cgroup.controllers", line,
					   sizeof(line)) > 0;

		if (v2 && v2_enable(want, cgroup_names[c])) {
			ret->is_v2[c] = true;
			(void)snprintf(ret->parent[c], CGROUP_PATH_MAX, "%s",
				       want);
		}
	}
	/* a v1 controller's directory serves that controller */
	static const char *const mark[] = {
		[CGROUP_MEMORY] = "memory.limit_in_bytes",
		[CGROUP_CPU] = "cpu.cfs_quota_us",
		[CGROUP_PIDS] = "pids.current",
	};
	for (int c = 0; c < CGROUP_CONTROLLER_NUM; c++) {
		char path[CGROUP_PATH_MAX + 64];

		(void)snprintf(path, sizeof(path), "%s/%s", want, mark[c]);
		if (!ret->is_v2[c] && access(path, F_OK) == 0)
			(void)snprintf(ret->parent[c], CGROUP_PATH_MAX, "%s",
				       want);
		any |= ret->parent[c][0] != '\0';
	}
	/* limits elsewhere only would not be what was asked for */
	return any ? 0 : -ENOTSUP;
}

int cgroup_host_find(const char *want, struct cgroup_host *ret)
{
	struct cgroup_host h = { 0 };
	struct cgroup_finder f = { 0 };
	char v2[CGROUP_PATH_MAX] = "", have[256];
	int r;

	if (want) {
		r = wanted_parent(want, &h);
		if (r)
			return r;
	}
	if (each_line("/proc/self/mountinfo", &f, cgroup_find_mount) ||
	    each_line("/proc/self/cgroup", &f, cgroup_find_own)) {
		*ret = h;
		return 0;
	}
	if (f.v2_mount[0] && !want &&
	    cgroup_read_line(f.v2_mount, "cgroup.controllers", have,
			     sizeof(have)))
		for (int c = 0; c < CGROUP_CONTROLLER_NUM; c++)
			if (!v2[0] && list_has(have, cgroup_names[c], ' '))
				v2_parent(&f, v2);
	for (int c = 0; c < CGROUP_CONTROLLER_NUM; c++) {
		if (h.parent[c][0])
			continue;
		if (v2[0] && v2_enable(v2, cgroup_names[c])) {
			h.is_v2[c] = true;
			(void)snprintf(h.parent[c], CGROUP_PATH_MAX, "%s", v2);
		} else if (f.v1_mount[c][0]) {
			cgroup_find_join(h.parent[c], f.v1_mount[c],
					 f.v1_root[c], f.v1_own[c]);
			if (!usable_dir(h.parent[c]))
				h.parent[c][0] = '\0';
		}
	}
	*ret = h;
	return 0;
}
