/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* From a request and the host's facts to the ordered steps. Pure. */
#include "cell/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cell/door.h"
#include "cell/plan_int.h"
#include "spec/text.h"

enum { PLAN_ARENA = 256 * 1024, CELL_ID_INSIDE = 1000 };

const char *plan_keep(struct plan_builder *b, const char *s)
{
	char *d = s ? arena_dup(&b->p->arena, s, strlen(s)) : NULL;

	if (s && !d)
		b->failed = true;
	return d;
}

struct plan_step *plan_add(struct plan_builder *b, enum plan_op op,
			   const char *src, const char *dst, const char *why)
{
	struct plan_step *s;

	if (b->p->n == PLAN_STEPS_MAX) {
		b->failed = true;
		return &b->spill;
	}
	s = &b->p->steps[b->p->n++];
	*s = (struct plan_step){ .op = op,
				 .src = plan_keep(b, src),
				 .dst = plan_keep(b, dst),
				 .why = why };
	return s;
}

bool plan_insert(struct plan_builder *b, size_t at, const struct plan_step *s)
{
	struct plan *p = b->p;

	if (p->n == PLAN_STEPS_MAX) {
		b->failed = true;
		return true;
	}
	memmove(p->steps + at + 1, p->steps + at,
		(p->n - at) * sizeof(p->steps[0]));
	p->steps[at] = *s;
	p->n++;
	return false;
}

void plan_add_n(struct plan_builder *b, enum plan_op op, const char *dst,
		uint64_t n, const char *why)
{
	plan_add(b, op, NULL, dst, why)->n = n;
}

void plan_add_bind(struct plan_builder *b, const char *src, const char *dst,
		   unsigned flags, const char *why)
{
	plan_add(b, PLAN_BIND, src, dst, why)->flags = flags;
}

bool plan_beneath(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) &&
	       (path[n] == '\0' || path[n] == '/' || !strcmp(dir, "/"));
}

static const struct host_path *covering(const struct plan_builder *b,
					const char *path, bool strict)
{
	const struct host_path *best = NULL;

	for (size_t i = 0; i < b->req->spec->authority.n_mounts; i++) {
		const struct host_path *p = &b->h->paths[i];

		if (plan_beneath(path, p->path) &&
		    !(strict && !strcmp(path, p->path)) &&
		    (!best || strlen(p->path) > strlen(best->path)))
			best = p;
	}
	return best;
}

/* -- ids -- */

int plan_ids(struct plan_builder *b, struct err *e)
{
	struct plan *p = b->p;
	const struct host_caps *h = b->h;
	const struct spec_authority *a = &b->req->spec->authority;

	p->in_uid = CELL_ID_INSIDE;
	p->in_gid = CELL_ID_INSIDE;
	p->out_uid = h->uid;
	p->out_gid = h->gid;
	if (!h->is_root)
		return 0;
	p->init_uid = h->spare_uid;
	p->gate_uid = h->spare_uid + 2;
	p->sentry_uid = h->spare_uid + 3;
	p->out_uid = h->spare_uid + 1;
	p->out_gid = h->spare_uid + 1;
	for (size_t i = 0; i < a->n_mounts; i++) {
		const struct host_path *m = &h->paths[i];

		if (a->mounts[i].mode != SPEC_MOUNT_RW || m->idmap || m->sys)
			continue;
		if (m->uid == 0 ||
		    (p->out_uid != h->spare_uid + 1 && p->out_uid != m->uid))
			return err_set(
				e, ERR_HOST, 0,
				"id-map: %s lies on a file system that cannot "
				"be idmapped and belongs to uid %u; put it on "
				"ext4, xfs, btrfs or tmpfs, or give all "
				"writable directories to one owner that is "
				"not root",
				m->path, m->uid);
		p->out_uid = m->uid;
		p->out_gid = m->gid;
	}
	return 0;
}

/* -- the root -- */

static void plan_etc(struct plan_builder *b)
{
	static const char passwd[] =
		"root:x:0:0:root:/:/bin/sh\n"
		"cell:x:1000:1000:cell:/tmp:/bin/sh\n"
		"nobody:x:65534:65534:nobody:/:/bin/false\n";
	static const char group[] = "root:x:0:\ncell:x:1000:\n"
				    "nogroup:x:65534:\n";
	static const char nsswitch[] = "passwd: files\ngroup: files\n"
				       "shadow: files\nhosts: files dns\n"
				       "networks: files\nprotocols: files\n"
				       "services: files\nethers: files\n"
				       "rpc: files\n";
	const struct {
		const char *path, *text;
	} files[] = {
		{ "/etc/passwd", passwd },
		{ "/etc/group", group },
		{ "/etc/nsswitch.conf", nsswitch },
		{ "/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n" },
		{ "/etc/hostname", "cell\n" },
		{ "/etc/resolv.conf",
		  b->req->door ? "nameserver " DOOR_RESOLVER4 "\n"
			       : "# no network\n" },
	};
	static const struct {
		const char *path;
		unsigned flags;
	} host[] = {
		{ "/etc/ld.so.cache", PLAN_F_FILE },
		{ "/etc/alternatives", 0 },
		{ "/etc/ssl/certs", 0 },
		{ "/etc/ssl/openssl.cnf", PLAN_F_FILE },
		{ "/etc/pki", 0 },
		{ "/etc/protocols", PLAN_F_FILE },
		{ "/etc/services", PLAN_F_FILE },
		{ "/etc/localtime", PLAN_F_FILE },
	};

	plan_add_n(b, PLAN_DIR, "/etc", 0755, "minimal, generated");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		plan_add_n(b, PLAN_FILE, files[i].path, 0644, NULL),
			b->p->steps[b->p->n - 1].src = files[i].text;
	for (size_t i = 0; i < ARRAY_SIZE(host); i++)
		plan_add_bind(b, host[i].path, host[i].path,
			      host[i].flags | PLAN_F_OWN | PLAN_F_RO |
				      PLAN_F_OPTIONAL | PLAN_F_NOEXEC,
			      NULL);
}

void plan_top(struct plan_builder *b)
{
	char src[512], dst[80];
	const struct host_caps *h = b->h;
	const char *image = b->req->image_root;
	/* an image may lie where only its owner can look: opened beforehand */
	unsigned from = !image ? PLAN_F_OWN : h->is_root ? PLAN_F_FROM_FD : 0;

	for (size_t i = 0; i < h->n_top; i++) {
		const struct host_entry *t = &h->top[i];

		(void)snprintf(dst, sizeof(dst), "/%s", t->name);
		(void)snprintf(src, sizeof(src), "%s/%s", image ? image : "",
			       t->name);
		if (t->link[0]) {
			plan_add(b, PLAN_SYMLINK, t->link, dst, NULL);
			continue;
		}
		if (t->is_dir && image)
			plan_add_n(b, PLAN_DIR, dst, 0755, NULL);
		plan_add_bind(b, src, dst,
			      PLAN_F_RO | from | (t->is_dir ? 0 : PLAN_F_FILE),
			      image ? "the image, read-only"
				    : "the host's programs, read-only");
		b->p->steps[b->p->n - 1].n = PLAN_SOURCE_TOP + i;
	}
}

void plan_dev(struct plan_builder *b)
{
	static const char *const nodes[] = { "/dev/null",    "/dev/zero",
					     "/dev/full",    "/dev/random",
					     "/dev/urandom", "/dev/tty" };
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
		{ "pts/ptmx", "/dev/ptmx" },
	};
	struct plan_step *s;

	plan_add_n(b, PLAN_DIR, "/dev", 0755, NULL);
	s = plan_add(b, PLAN_TMPFS, NULL, "/dev", "a few nodes, nothing else");
	s->flags = PLAN_F_NOEXEC;
	s->n = 65536;
	s->n2 = 0755;
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		plan_add(b, PLAN_DEVICE, nodes[i], nodes[i], NULL);
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		plan_add(b, PLAN_SYMLINK, links[i][0], links[i][1], NULL);
	plan_add_n(b, PLAN_DIR, "/dev/pts", 0755, NULL);
	plan_add(b, PLAN_DEVPTS, NULL, "/dev/pts", "terminals of its own");
	plan_add_n(b, PLAN_DIR, "/dev/shm", 01777, NULL);
	s = plan_add(b, PLAN_TMPFS, NULL, "/dev/shm", "private");
	s->flags = PLAN_F_NOEXEC;
	s->n = b->req->limits->v[LIMIT_SHM_BYTES];
	s->n2 = 01777;
	plan_add(b, PLAN_READONLY, NULL, "/dev", "its list of nodes is final");
}

void plan_proc(struct plan_builder *b)
{
	static const char *const masks[] = {
		"/proc/acpi",
		"/proc/asound",
		"/proc/bus",
		"/proc/config.gz",
		"/proc/fs",
		"/proc/interrupts",
		"/proc/iomem",
		"/proc/ioports",
		"/proc/irq",
		"/proc/kallsyms",
		"/proc/kcore",
		"/proc/key-users",
		"/proc/keys",
		"/proc/kmsg",
		"/proc/kpagecount",
		"/proc/kpageflags",
		"/proc/kpagecgroup",
		"/proc/latency_stats",
		"/proc/modules",
		"/proc/sched_debug",
		"/proc/scsi",
		"/proc/slabinfo",
		"/proc/sysrq-trigger",
		"/proc/timer_list",
		"/proc/timer_stats",
		"/proc/vmallocinfo",
	};

	plan_add_n(b, PLAN_DIR, "/proc", 0755, NULL);
	plan_add(b, PLAN_PROC, NULL, "/proc", "of the cell's own processes");
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++)
		plan_add(b, PLAN_MASK, NULL, masks[i], NULL);
	plan_add_bind(b, "/proc/sys", "/proc/sys", PLAN_F_OWN | PLAN_F_RO,
		      "settings can be read");
}

void plan_private(struct plan_builder *b, const char *path, uint64_t size,
		  uint64_t mode)
{
	struct plan_step *s;

	plan_add_n(b, PLAN_DIR, path, mode, NULL);
	s = plan_add(b, PLAN_TMPFS, NULL, path, "private");
	s->n = size;
	s->n2 = mode;
}

/* -- what the document shows -- */

static void mount_point(struct plan_builder *b, const char *path, bool is_dir)
{
	if (covering(b, path, true))
		return; /* exists there, as it does on the host */
	if (is_dir)
		plan_add_n(b, PLAN_DIR, path, 0755, NULL);
}

static int bad_source(const char *what, const struct host_path *p,
		      struct err *e)
{
	if (p->sys == ELOOP)
		return err_set(e, ERR_HOST, 0,
			       "source: %s %s is, or lies behind, a symbolic "
			       "link; name the real path, which no command "
			       "can have redirected",
			       what, p->path);
	return err_set(e, ERR_HOST, p->sys ? p->sys : ENOTDIR, "source: %s %s",
		       what, p->path);
}

int plan_mounts(struct plan_builder *b, struct err *e)
{
	const struct spec_authority *a = &b->req->spec->authority;
	size_t order[LIMIT_MOUNTS];

	/* a parent before what lies below it: shorter paths first */
	for (size_t i = 0; i < a->n_mounts; i++) {
		size_t k = i;

		for (; k > 0 && strlen(b->h->paths[order[k - 1]].path) >
					strlen(b->h->paths[i].path);
		     k--)
			order[k] = order[k - 1];
		order[k] = i;
	}
	for (size_t k = 0; k < a->n_mounts; k++) {
		size_t i = order[k];
		const struct host_path *m = &b->h->paths[i];
		bool rw = a->mounts[i].mode == SPEC_MOUNT_RW;
		unsigned flags = 0;

		if (m->sys)
			return bad_source("mount", m, e);
		if (!rw)
			flags |= PLAN_F_RO;
		if (!m->is_dir)
			flags |= PLAN_F_FILE;
		if (b->h->is_root)
			flags |= PLAN_F_FROM_FD;
		if (b->h->is_root && rw && m->idmap)
			flags |= PLAN_F_IDMAP;
		mount_point(b, m->path, m->is_dir);
		plan_add_bind(b, m->path, m->path, flags,
			      rw ? "declared, writable"
				 : "declared, read-only");
		b->p->steps[b->p->n - 1].n = i;
	}
	return 0;
}

/* A path that is part of every cell: only chdir'd to. */
static bool in_root(const struct plan_builder *b, const char *cwd)
{
	static const char *const own[] = { "/",	   "/tmp", "/dev",    "/proc",
					   "/run", "/etc", "/dev/shm" };
	char top[80];

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (!strcmp(cwd, own[i]))
			return true;
	if (plan_beneath(cwd, "/proc") || plan_beneath(cwd, "/dev"))
		return true;
	for (size_t i = 0; i < b->h->n_top; i++) {
		(void)snprintf(top, sizeof(top), "/%s", b->h->top[i].name);
		if (plan_beneath(cwd, top))
			return true;
	}
	return false;
}

int plan_cwd(struct plan_builder *b, struct err *e)
{
	const struct spec_run *run = b->req->spec->run;
	const char *cwd = run && run->working_directory.p
				  ? run->working_directory.p
				  : "/";
	/* the last one, if it is there at all: looked at only then */
	const struct host_path *w =
		&b->h->paths[b->h->n_paths ? b->h->n_paths - 1 : 0];
	char q[TEXT_QUOTED];
	struct plan_step *s;

	if (cwd[0] != '/')
		return err_set(e, ERR_HOST, 0,
			       "chdir: /spec/run/workingDirectory %s is not an "
			       "absolute path",
			       text_quote(q, run->working_directory));
	b->p->cwd = plan_keep(b, cwd);
	if (covering(b, cwd, false) || in_root(b, cwd))
		return 0;
	if (b->h->n_paths == b->req->spec->authority.n_mounts || w->sys ||
	    !w->is_dir)
		return bad_source("workingDirectory", w, e);
	mount_point(b, cwd, true);
	s = plan_add(b, PLAN_BIND, cwd, cwd, NULL);
	s->flags = b->h->is_root ? PLAN_F_FROM_FD : 0;
	s->n = b->h->n_paths - 1;
	if (b->h->overlay && (w->idmap || !b->h->is_root)) {
		s->op = PLAN_OVERLAY;
		if (b->h->is_root)
			s->flags |= PLAN_F_IDMAP;
		s->n2 = b->req->limits->v[LIMIT_TMP_BYTES];
		s->why = "workingDirectory: writes stay in the cell";
	} else {
		s->flags |= PLAN_F_RO;
		s->why = "workingDirectory: read-only, no overlayfs here";
	}
	return 0;
}

/* -- the whole -- */

void plan_lockdown(struct plan_builder *b)
{
	plan_add(b, PLAN_USER, NULL, NULL, "the workload's own uid and gid");
	b->p->steps[b->p->n - 1].n = b->p->in_uid;
	plan_add(b, PLAN_CAPS, NULL, NULL, "none, bounding set empty");
	plan_add(b, PLAN_NO_NEW_PRIVS, NULL, NULL, NULL);
	plan_add_n(b, PLAN_RLIMIT, "RLIMIT_CORE", 1, "no core, no core helper");
	plan_add_n(b, PLAN_LANDLOCK, NULL, (uint64_t)b->h->landlock_abi,
		   "the same paths once more");
	plan_add(b, PLAN_SECCOMP, NULL, "allowlist",
		 "unknown calls ENOSYS, watched calls reported");
	if (b->req->seccomp == CELL_SECCOMP_BASELINE)
		plan_add(b, PLAN_SECCOMP, NULL, "baseline", "stacked on ours");
	if (b->req->seccomp == CELL_SECCOMP_FILE)
		plan_add(b, PLAN_SECCOMP, NULL, "file", "stacked on ours");
	plan_add(b, PLAN_SELF_TEST, NULL, NULL, "attack these walls");
	plan_add(b, PLAN_CHDIR, NULL, b->p->cwd, NULL);
	plan_add(b, PLAN_EXEC, b->req->spec->run->argv.p[0].p, NULL, NULL);
}

static void plan_programs(struct plan_builder *b)
{
	plan_add_n(b, PLAN_ROOT, "/", 1048576, "empty");
	plan_top(b);
	if (!b->req->image_root)
		plan_etc(b);
}

/* Of every whole cell: up to a root with the host's or an image's programs */
void plan_begin(struct plan_builder *b)
{
	/* a jailer makes devices, which nobody may in a user namespace */
	const bool jailed = b->req->firecracker.jailer != NULL;

	b->p->full = true;
	b->p->ns = CELL_NS_ALL & ~(jailed ? (unsigned)CELL_NS_USER : 0);
	plan_add(b, PLAN_STATE, NULL, b->req->run_uuid,
		 "resource list, locked");
	plan_add(b, PLAN_CGROUP, NULL, NULL, "limits, read back");
	plan_add(b, PLAN_SOURCE, NULL, NULL, "host paths the cell will show");
	plan_add(b, PLAN_CLONE,
		 jailed ? "mnt pid ipc uts net" : "user mnt pid ipc uts net",
		 NULL, NULL);
	plan_add(b, PLAN_IDMAP, NULL, NULL,
		 jailed ? "none: the jailer makes devices"
			: "the workload is nobody on the host");
	plan_add(b, PLAN_CGROUP_NS, NULL, NULL, NULL);
	plan_add(b, PLAN_LOOPBACK, NULL, "lo", "no other link, no route out");
	if (b->req->door && plan_is_sandbox(b->p))
		plan_add(b, PLAN_LEG, NULL, DOOR_LEG,
			 "the sandbox's network stack is behind it");
	if (b->req->door)
		plan_add(b, PLAN_DOOR, NULL, "gate",
			 "named ports to the gate, the rest refused");
	plan_add(b, PLAN_HOSTNAME, "cell", NULL, NULL);
	plan_programs(b);
}

static int plan_full(struct plan_builder *b, struct err *e)
{
	const struct limits *l = b->req->limits;

	if (b->h->landlock_abi < 1)
		return err_set(
			e, ERR_HOST, 0,
			"landlock: this kernel has no Landlock; boot it with "
			"lsm=landlock,... (CONFIG_SECURITY_LANDLOCK)");
	if (plan_ids(b, e))
		return -1;
	plan_begin(b);
	plan_private(b, "/tmp", l->v[LIMIT_TMP_BYTES], 01777);
	plan_private(b, "/run", 16 * 1048576, 01777);
	plan_dev(b);
	plan_proc(b);
	if (plan_mounts(b, e) || plan_cwd(b, e))
		return -1;
	plan_add(b, PLAN_PIVOT, NULL, "/", "the host is gone");
	plan_add(b, PLAN_READONLY, NULL, "/", NULL);
	plan_lockdown(b);
	return 0;
}

/* What the original's switches ask for, and our init, where they can be had. */
static int plan_portable(struct plan_builder *b, struct err *e)
{
	const struct cell_request *r = b->req;
	const struct spec_run *run = r->spec->run;
	bool can = b->h->is_root;

	(void)e;
	b->p->ns = r->unshare | CELL_NS_PID | CELL_NS_MNT;
	/* without privilege the others come only with a user namespace */
	if (!can)
		b->p->ns |= CELL_NS_USER;
	b->p->in_uid = b->p->out_uid = b->h->uid;
	b->p->in_gid = b->p->out_gid = b->h->gid;
	b->p->cwd = plan_keep(b, run->working_directory.p);
	plan_add(b, PLAN_STATE, NULL, r->run_uuid, "resource list, locked");
	if (r->cgroup_parent || r->memory_max || r->cpu_quota)
		plan_add(b, PLAN_CGROUP, NULL, NULL, "limits, read back");
	plan_add(b, PLAN_CLONE, NULL, NULL, "what was asked for, and our init");
	if (b->p->ns & CELL_NS_NET)
		plan_add(b, PLAN_LOOPBACK, NULL, "lo", NULL);
	if ((b->p->ns & CELL_NS_NET) && r->door)
		plan_add(b, PLAN_DOOR, NULL, "gate",
			 "named ports to the gate, the rest refused");
	if ((b->p->ns & (CELL_NS_PID | CELL_NS_MNT)) ==
	    (CELL_NS_PID | CELL_NS_MNT))
		plan_add(b, PLAN_PROC, NULL, "/proc",
			 "of the cell's own processes");
	if ((r->unshare & CELL_NS_MNT) && b->p->cwd) {
		struct plan_step *s = plan_add(b, PLAN_TMPFS, NULL, b->p->cwd,
					       "private workspace");

		s->n = r->limits->v[LIMIT_TMP_BYTES];
		s->n2 = 01777;
	}
	if (r->seccomp != CELL_SECCOMP_OFF)
		plan_add(b, PLAN_NO_NEW_PRIVS, NULL, NULL, NULL);
	if (r->seccomp == CELL_SECCOMP_BASELINE)
		plan_add(b, PLAN_SECCOMP, NULL, "baseline", NULL);
	if (r->seccomp == CELL_SECCOMP_FILE)
		plan_add(b, PLAN_SECCOMP, NULL, "file", NULL);
	if (b->p->cwd)
		plan_add(b, PLAN_CHDIR, NULL, b->p->cwd, NULL);
	plan_add(b, PLAN_EXEC, run->argv.p[0].p, NULL, NULL);
	return 0;
}

int plan_build(const struct cell_request *req, const struct host_caps *h,
	       struct plan *ret, struct err *e)
{
	struct plan_builder b = { .p = ret, .req = req, .h = h };
	int r;

	*ret = (struct plan){ .arena = ARENA_INIT(PLAN_ARENA) };
	if (!req->spec->run)
		return 0;
	ret->wall = req->wall;
	if (plan_is_vm(ret))
		r = plan_vm(&b, e);
	else if (plan_is_sandbox(ret))
		r = plan_gvisor(&b, e);
	else
		r = req->portable ? plan_portable(&b, e) : plan_full(&b, e);
	if (!r && b.failed)
		r = err_set(e, ERR_HOST, 0,
			    "plan: more than %d steps: declare fewer mounts",
			    PLAN_STEPS_MAX);
	if (r)
		plan_drop(ret);
	return r;
}

int plan_tree(const struct cell_request *req, const struct host_caps *h,
	      struct plan *ret, struct err *e)
{
	struct plan_builder b = { .p = ret, .req = req, .h = h };

	*ret = (struct plan){ .arena = ARENA_INIT(PLAN_ARENA), .full = true };
	plan_programs(&b);
	return b.failed ? err_set(e, ERR_HOST, 0, "plan: too many entries") : 0;
}

int plan_kernel_can(const struct plan_builder *b, const char *wall,
		    const char *what, struct err *e)
{
	const struct cell_request *r = b->req;

	if (!b->h->is_root)
		return err_set(e, ERR_HOST, 0,
			       "%s: needs root, for the ids of the %s and of "
			       "the command; run as root, or use --backend "
			       "host",
			       wall, what);
	if (r->seccomp != CELL_SECCOMP_OFF)
		return err_set(e, ERR_HOST, 0,
			       "%s: CELLOS_SUBPROCESS_SECCOMP and "
			       "CELLOS_SECCOMP_BPF_PATH filter calls to this "
			       "host's kernel, which the command does not "
			       "make; unset them, or use --backend host",
			       wall);
	if (door_wants_loopback(r->door))
		return err_set(e, ERR_HOST, 0,
			       "%s: an explicit proxy or upstream of "
			       "CELLOS_DNS_PROXY* or CELLOS_SNI_PROXY* is on a "
			       "loopback, and the %s has one of its own; unset "
			       "them (the door needs no proxy), or use "
			       "--backend host",
			       wall, what);
	return 0;
}
