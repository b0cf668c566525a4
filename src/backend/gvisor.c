/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The gVisor wall: what it needs of this host, and what of a sandbox can be
 * read back. The sandbox itself is driven inside of the cell, cell/sandbox.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/host.h"
#include "base/fd.h"
#include "base/path.h"

/* -- the plan -- */

int gvisor_plan(const struct cell_request *req, struct plan *ret, struct err *e)
{
	NO_INIT struct host_caps h;
	char found[PATH_MAX], runsc[PATH_MAX], guest[PATH_MAX];
	OWNED(fd_drop) int fd = path_program("cellos-init", found);
	int r = fd < 0 ? 0 : path_real(found, guest);

	if (fd < 0)
		return err_set(e, ERR_HOST, -fd,
			       "gvisor: %s; install cellos-init of the same "
			       "build beside cellos, or in ../libexec",
			       found);
	if (r)
		return err_set(e, ERR_HOST, -r, "gvisor: %s", found);
	if (host_program("gvisor:", cell_runsc(req),
			 "install it (apt-get install runsc), or name it in "
			 "CELLOS_GVISOR_RUNSC_BIN",
			 runsc, e))
		return -1;
	if (host_caps_probe(req, &h, e))
		return -1;
	h.runsc = runsc;
	h.guest = guest;
	return plan_build(req, &h, ret, e);
}

/* -- the read-back -- */

/* A process of the cell that runs as this user; -1: there is none */
static pid_t find_user(const struct backend_cell *c, uid_t uid,
		       struct wbuf *status)
{
	char path[64], line[96], want[32];
	OWNED(wbuf_drop) struct wbuf list = WBUF_INIT(65536);
	char *p, *end;

	(void)snprintf(want, sizeof(want), "%u\t", uid);
	(void)snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children",
		       (long)c->child_pid, (long)c->child_pid);
	if (file_read(AT_FDCWD, path, 0, &list))
		return -1;
	for (p = (char *)(uintptr_t)wbuf_cstr(&list);; p = end) {
		long pid = strtol(p, &end, 10);

		if (end == p)
			return -1;
		(void)snprintf(path, sizeof(path), "/proc/%ld/status", pid);
		wbuf_reset(status);
		if (file_read(AT_FDCWD, path, 0, status))
			continue;
		host_status_line(wbuf_cstr(status), "Uid", line, sizeof(line));
		if (!strncmp(line, want, strlen(want)))
			return (pid_t)pid;
	}
}

static void report_status(struct backend_cell *c, struct report_enforcement *r,
			  const char *name, const char *text)
{
	char got[32], item[48];

	(void)snprintf(item, sizeof(item), "%s.seccomp", name);
	host_status_line(text, "Seccomp", got, sizeof(got));
	host_want(c, r, item, "2", got, !strcmp(got, "2"));
	(void)snprintf(item, sizeof(item), "%s.no-new-privs", name);
	host_status_line(text, "NoNewPrivs", got, sizeof(got));
	host_want(c, r, item, "1", got, !strcmp(got, "1"));
}

void host_report_user(struct backend_cell *c, struct report_enforcement *r,
		      const char *name, uid_t uid)
{
	OWNED(wbuf_drop) struct wbuf status = WBUF_INIT(65536);

	report_status(c, r, name,
		      find_user(c, uid, &status) < 0 ? "" : wbuf_cstr(&status));
}

void host_report_driver(struct backend_cell *c, struct report_enforcement *r)
{
	OWNED(wbuf_drop) struct wbuf status = WBUF_INIT(65536);
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%ld/status",
		       (long)c->child_pid);
	report_status(c, r, "driver",
		      file_read(AT_FDCWD, path, 0, &status)
			      ? ""
			      : wbuf_cstr(&status));
}

/* The two that stand between the command and this host: the kernel in user
 * space, and the server of its files. */
void gvisor_report(struct backend_cell *c, struct report_enforcement *r)
{
	/* which one was shown to the cell; what it does is read below */
	report_item_add(
		r, "runsc", "",
		c->plan->steps[plan_find(c->plan, PLAN_RUNTIME_ROOT)].src,
		true);
	report_item_add(r, REPORT_PLATFORM, "",
			cell_platform_word((enum cell_platform)c->ready.sys),
			true);
	host_report_user(c, r, "sentry", c->plan->sentry_uid);
	host_report_user(c, r, "gofer", c->plan->init_uid);
}

/* -- what it needs -- */

int host_program(const char *what, const char *name, const char *remedy,
		 char ret[PATH_MAX], struct err *e)
{
	char found[PATH_MAX];
	int r = path_search(name, found);

	if (!r)
		r = path_real(found, ret);
	return r ? err_set(e, ERR_HOST, -r, "%s %s; %s", what, name, remedy)
		 : 0;
}

size_t host_need_program(struct backend_need needs[BACKEND_NEEDS_MAX], size_t n,
			 const char *name, const char *remedy)
{
	char path[PATH_MAX], os[128];
	struct backend_need *d;
	int r = path_search(name, path);

	if (n == BACKEND_NEEDS_MAX)
		return n;
	d = &needs[n++];
	*d = (struct backend_need){ .required = true, .present = r == 0 };
	(void)snprintf(d->name, sizeof(d->name), "%.31s", name);
	err_os_text(-r, os, sizeof(os));
	(void)snprintf(d->detail, sizeof(d->detail), "%.180s", r ? os : path);
	if (r)
		(void)snprintf(d->remedy, sizeof(d->remedy), "%s", remedy);
	return n;
}

size_t gvisor_needs(const struct cell_request *req,
		    struct backend_need needs[BACKEND_NEEDS_MAX])
{
	size_t n = host_needs(req, needs);

	return host_need_program(needs, n, cell_runsc(req),
				 "apt-get install runsc, or name it in "
				 "CELLOS_GVISOR_RUNSC_BIN");
}
