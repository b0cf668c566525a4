/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reading the kernel once more after a cell is gone. */
#include "cell/residue.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

/* The newest pid given out: pids of the cell lie above its init's, unless the
 * counter has wrapped since. */
static long last_pid(void)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(256);
	const char *p;

	if (file_read(AT_FDCWD, "/proc/loadavg", 0, &b))
		return 0;
	p = strrchr(wbuf_cstr(&b), ' ');
	return p ? strtol(p + 1, NULL, 10) : 0;
}

/* Is this process in a namespace of the cell? Others' may not be readable:
 * then it is not one we started. */
static bool in_cell(const struct residue_facts *f, const char *pid)
{
	static const char *const names[] = { "pid_for_children", "net" };
	struct stat ours, its;
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "/proc/%.20s/ns/%s", pid,
			       names[i]);
		if (f->ns_fd[i] >= 0 && fstat(f->ns_fd[i], &ours) == 0 &&
		    stat(path, &its) == 0 && its.st_ino == ours.st_ino &&
		    its.st_dev == ours.st_dev)
			return true;
	}
	return false;
}

static void look_processes(const struct residue_facts *f,
			   struct report_residue *r)
{
	unsigned seen = 0, left = 0;
	bool wrapped = last_pid() < f->init;
	DIR *d = opendir("/proc");
	struct dirent *de;

	while (d && (de = readdir(d))) {
		if (!isdigit((unsigned char)de->d_name[0]))
			continue;
		if (!wrapped && strtol(de->d_name, NULL, 10) < f->init)
			continue;
		seen++;
		if (in_cell(f, de->d_name)) {
			left++;
			report_residue_left(r,
					    "process %s in the cell's "
					    "namespaces",
					    de->d_name);
		}
	}
	if (d)
		(void)closedir(d);
	report_residue_checked(r, "pids", seen, left);
	report_residue_checked(r, "namespaces", 7, left ? 1 : 0);
}

static void look_cgroups(const struct residue_facts *f,
			 struct report_residue *r)
{
	unsigned seen = 0, left = 0;

	for (int c = 0; c < CGROUP_CONTROLLER_NUM; c++) {
		seen++;
		if (!f->leaf->path[c][0] || access(f->leaf->path[c], F_OK) < 0)
			continue;
		left++;
		report_residue_left(r, "cgroup %s", f->leaf->path[c]);
	}
	report_residue_checked(r, "cgroup", seen, left);
}

void residue_look_mounts(const struct residue_facts *f,
			 struct report_residue *r)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4 * 1024 * 1024);
	unsigned seen = 0, left = 0;
	const char *p;

	if (file_read(AT_FDCWD, "/proc/self/mountinfo", 0, &b))
		return;
	for (p = wbuf_cstr(&b); (p = strchr(p, '\n')); p++)
		seen++;
	if (strstr(wbuf_cstr(&b), f->run_uuid)) {
		left = 1;
		report_residue_left(r, "a mount that names run %s",
				    f->run_uuid);
	}
	report_residue_checked(r, "mounts", seen, left);
}

/*
 * Every process of the cell was in the leaf and could not leave it; the kernel
 * removes a leaf only when no process is in it. Without a leaf all of /proc is
 * searched, which costs a host with many processes milliseconds.
 */
void residue_look(const struct residue_facts *f, struct report_residue *r)
{
	if (f->init && f->had_leaf) {
		report_residue_checked(r, "pids", 1, 0);
		report_residue_checked(r, "namespaces", 7, 0);
	} else if (f->init) {
		look_processes(f, r);
	}
	look_cgroups(f, r);
}
