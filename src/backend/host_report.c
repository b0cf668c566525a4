/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reading the cell back from the kernel before the command may start. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "backend/host.h"
#include "base/fd.h"
#include "base/names.h"
#include "image/image.h"
#include "wire/b64.h"

static const char *const ns_names[] = { "pid", "ipc",  "net",	"uts",
					"mnt", "user", "cgroup" };

/* One line of /proc/<pid>/status, without name and blanks. */
const char *host_status_line(const char *text, const char *name, char *buf,
			     size_t size)
{
	size_t n = strlen(name);
	const char *p = text;

	buf[0] = '\0';
	while (p && (strncmp(p, name, n) || p[n] != ':')) {
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	if (p) {
		p += n + 1;
		p += strspn(p, " \t");
		(void)snprintf(buf, size, "%.*s", (int)strcspn(p, "\n"), p);
	}
	return buf;
}

/* A value that must read exactly so; else the cell is not what was asked. */
void host_want(struct backend_cell *c, struct report_enforcement *r,
	       const char *name, const char *asked, const char *got, bool ok)
{
	char detail[256];

	report_item_add(r, name, asked, got, ok);
	if (ok || c->req->portable || !stage_is_checked(&c->stage))
		return;
	(void)snprintf(detail, sizeof(detail), "%s reads \"%s\", not \"%s\"",
		       name, got, asked);
	host_fault_set(c, PLAN_SELF_TEST, 0, detail);
}

static void report_caps(struct backend_cell *c, struct report_enforcement *r,
			const char *status)
{
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff",
					    "CapBnd", "CapAmb" };
	char got[64];

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		host_status_line(status, sets[i], got, sizeof(got));
		host_want(c, r, sets[i],
			  c->req->portable ? "" : "0000000000000000", got,
			  !strcmp(got, "0000000000000000"));
	}
}

static void report_status(struct backend_cell *c, struct report_enforcement *r)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(65536);
	bool full = c->plan->full;
	char path[64], got[96], ask[64];
	const char *status;

	(void)snprintf(path, sizeof(path), "/proc/%ld/status",
		       (long)c->child_pid);
	if (file_read(AT_FDCWD, path, 0, &b)) {
		host_fault_set(c, PLAN_SELF_TEST, ESRCH, path);
		return;
	}
	status = wbuf_cstr(&b);
	report_caps(c, r, status);
	host_status_line(status, "NoNewPrivs", got, sizeof(got));
	host_want(c, r, "no-new-privs", full ? "1" : "", got,
		  !strcmp(got, "1"));
	host_status_line(status, "Seccomp", got, sizeof(got));
	host_want(c, r, "seccomp", full ? "2" : "", got, !strcmp(got, "2"));
	(void)snprintf(ask, sizeof(ask), "%u\t%u\t%u\t%u", c->plan->out_uid,
		       c->plan->out_uid, c->plan->out_uid, c->plan->out_uid);
	host_status_line(status, "Uid", got, sizeof(got));
	host_want(c, r, "uid", full ? ask : "", got,
		  full && !strcmp(got, ask) && c->plan->out_uid != 0);
	(void)snprintf(ask, sizeof(ask), "%u\t%u\t%u\t%u", c->plan->out_gid,
		       c->plan->out_gid, c->plan->out_gid, c->plan->out_gid);
	host_status_line(status, "Gid", got, sizeof(got));
	host_want(c, r, "gid", full ? ask : "", got, full && !strcmp(got, ask));
}

void host_own_namespaces(struct backend_cell *c)
{
	char path[64];
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(ns_names); i++) {
		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s",
			       ns_names[i]);
		if (stat(path, &st) == 0)
			c->own_inode[i] = st.st_ino;
	}
}

static void report_namespaces(struct backend_cell *c,
			      struct report_enforcement *r)
{
	char name[32], got[64];

	for (size_t i = 0; i < ARRAY_SIZE(ns_names); i++) {
		bool asked = c->plan->full || (c->req->unshare & (1u << i));
		uint64_t in = c->ns_inode[i];

		(void)snprintf(name, sizeof(name), "namespace.%s", ns_names[i]);
		(void)snprintf(got, sizeof(got), "%" PRIu64, in);
		if (c->plan->full && !(c->plan->ns & (1u << i))) {
			report_item_add(r, name, "", "the host's", false);
			continue;
		}
		if (!c->plan->full) {
			report_item_add(r, name, asked ? "own" : "", "",
					(c->stage.ns & (1u << i)) != 0);
			continue;
		}
		host_want(c, r, name, "own", got,
			  in && c->own_inode[i] && c->own_inode[i] != in);
	}
}

/* Where a leaf is that CELLOS_CGROUP_PARENT does not give its controller to */
static void report_elsewhere(const struct backend_cell *c,
			     struct report_enforcement *r)
{
	static const char *const names[] = {
		[CGROUP_MEMORY] = "cgroup.memory",
		[CGROUP_CPU] = "cgroup.cpu",
		[CGROUP_PIDS] = "cgroup.pids",
	};
	const char *parent = c->req->cgroup_parent;
	char dir[CGROUP_PATH_MAX];

	for (int i = 0; parent && i < CGROUP_CONTROLLER_NUM; i++) {
		const char *leaf = strrchr(c->leaf.path[i], '/');

		if (!leaf)
			continue;
		(void)snprintf(dir, sizeof(dir), "%.*s",
			       (int)(leaf - c->leaf.path[i]), c->leaf.path[i]);
		if (strcmp(dir, parent) != 0)
			report_item_add(r, names[i], parent, dir, true);
	}
}

/* Instead of a control group: of who runs the command, and thus of the command,
 * or of what runs its sandbox */
static void report_nproc(struct backend_cell *c, struct report_enforcement *r)
{
	static const char row[] = "\nMax processes";
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(65536);
	char path[64], ask[32], is[32] = "", got[96];
	const char *p = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%ld/limits",
		       (long)c->child_pid);
	if (!file_read(AT_FDCWD, path, 0, &b))
		p = strstr(wbuf_cstr(&b), row);
	if (p)
		(void)sscanf(p + sizeof(row) - 1, "%31s", is);
	(void)snprintf(ask, sizeof(ask), "%" PRIu64, c->stage.nproc);
	(void)snprintf(got, sizeof(got),
		       "RLIMIT_NPROC %s: no pids control group", is);
	host_want(c, r, "pids.max", ask, got, !strcmp(ask, is));
}

static void report_limits(struct backend_cell *c, struct report_enforcement *r)
{
	const struct cgroup_limits *l = &c->limits;
	char ask[64], got[64];
	bool held = cgroup_leaf_holds(&c->leaf, c->child_pid);

	if (l->memory_max || l->cpu_quota || l->pids_max)
		host_want(c, r, "cgroup", "own leaf",
			  held ? "own leaf" : "another", held);
	report_elsewhere(c, r);
	if (l->memory_max) {
		(void)snprintf(ask, sizeof(ask), "%" PRIu64, l->memory_max);
		cgroup_leaf_read(&c->leaf, CGROUP_MEMORY, got, sizeof(got));
		host_want(c, r, "memory.max", ask, got, got[0] != '\0');
	}
	if (l->cpu_quota) {
		if (l->cpu_quota == UINT64_MAX)
			(void)snprintf(ask, sizeof(ask), "max %" PRIu64,
				       l->cpu_period);
		else
			(void)snprintf(ask, sizeof(ask), "%" PRIu64 " %" PRIu64,
				       l->cpu_quota, l->cpu_period);
		cgroup_leaf_read(&c->leaf, CGROUP_CPU, got, sizeof(got));
		host_want(c, r, "cpu.max", ask, got, !strcmp(ask, got));
	}
	if (l->pids_max) {
		(void)snprintf(ask, sizeof(ask), "%" PRIu64, l->pids_max);
		cgroup_leaf_read(&c->leaf, CGROUP_PIDS, got, sizeof(got));
		host_want(c, r, "pids.max", ask, got, !strcmp(ask, got));
	} else if (c->stage.nproc) {
		report_nproc(c, r);
	}
}

/* What the packet filter of the cell is, as the kernel shows it. */
static void report_door(struct backend_cell *c, struct report_enforcement *r)
{
	const struct spec_authority *a = &c->req->spec->authority;
	char got[96];

	/* portable, in the host's network: nothing of it is claimed */
	if (!c->req->door && !(c->stage.ns & CELL_NS_NET) &&
	    (a->egress_rules.n || a->dns)) {
		(void)snprintf(got, sizeof(got), "%zu rules",
			       a->egress_rules.n);
		report_item_add(r, "egress", got, "the host's network", false);
	}
	if (!c->req->door)
		return;
	(void)snprintf(got, sizeof(got),
		       "%u rules sha256:", c->made.door.rules);
	hex_text(got + strlen(got), c->made.door.digest,
		 sizeof(c->made.door.digest));
	host_want(c, r, "nftables", "default deny", got,
		  c->made.door.rules > 0);
	host_want(c, r, "gate", "ready",
		  c->req->gate->is_ready(c->req->gate->arg) ? "ready" : "no",
		  c->req->gate->is_ready(c->req->gate->arg));
}

static void report_probes(struct backend_cell *c, struct report_enforcement *r)
{
	char name[48];

	if (!c->plan->full ||
	    (plan_is_sandbox(c->plan) && !plan_is_vm(c->plan)) ||
	    !stage_is_checked(&c->stage) ||
	    (plan_is_vm(c->plan) && c->req->image->is_foreign))
		return;
	for (size_t i = 0; i < self_test_count; i++) {
		if (!self_test_applies(i, c->req->door, plan_is_vm(c->plan)))
			continue;
		/* of a machine's they are its own word */
		(void)snprintf(name, sizeof(name), "%s%s",
			       plan_is_vm(c->plan) ? "guest." : "",
			       self_tests[i].name);
		report_probe_add(r, name,
				 /* one of the answers that will do */
				 self_test_passed(i, c->ready.probe[i])
					 ? errno_word(c->ready.probe[i])
					 : self_tests[i].expected,
				 errno_word(c->ready.probe[i]));
	}
}

int host_report(struct backend_cell *c, struct report_enforcement *r)
{
	struct utsname u;
	char abi[16] = "";

	if (uname(&u) == 0)
		report_item_add(r, "kernel", "", u.release, true);
	report_namespaces(c, r);
	if (plan_is_vm(c->plan))
		vm_report(c, r);
	else if (plan_is_sandbox(c->plan))
		gvisor_report(c, r);
	else
		report_status(c, r);
	if (plan_is_sandbox(c->plan)) {
		/* it was told what there is instead */
	} else if (c->plan->full) {
		for (size_t i = 0; i < c->plan->n; i++)
			if (c->plan->steps[i].op == PLAN_LANDLOCK)
				(void)snprintf(abi, sizeof(abi), "abi %" PRIu64,
					       c->plan->steps[i].n);
		report_item_add(r, "landlock", "entered", abi, true);
	} else {
		report_item_add(r, "landlock", "", "", false);
		report_item_add(r, "root", "", "the host's", false);
	}
	report_limits(c, r);
	report_door(c, r);
	report_probes(c, r);
	return c->fault.set ? -1 : 0;
}
