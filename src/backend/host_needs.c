/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a full host cell needs, each tried on this very host, for `doctor`. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/host.h"
#include "base/fd.h"
#include "cell/door.h"
#include "sys/landlock.h"
#include "sys/mount.h"
#include "sys/netns.h"
#include "sys/pidfd.h"

static struct backend_need *add(struct backend_need *v, size_t *n,
				const char *name, bool required)
{
	struct backend_need *d = &v[(*n)++];

	*d = (struct backend_need){ .required = required };
	(void)snprintf(d->name, sizeof(d->name), "%s", name);
	return d;
}

static void say(struct backend_need *d, bool present, const char *detail,
		const char *remedy)
{
	d->present = present;
	(void)snprintf(d->detail, sizeof(d->detail), "%s", detail);
	(void)snprintf(d->remedy, sizeof(d->remedy), "%s",
		       present ? "" : remedy);
}

static void say_errno(struct backend_need *d, int sys, const char *ok,
		      const char *remedy)
{
	char os[128];

	err_os_text(sys, os, sizeof(os));
	say(d, sys == 0, sys ? os : ok, remedy);
}

/* Read a small /proc file; "" if it is not there. */
static void knob(const char *path, char *buf, size_t size)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);

	buf[0] = '\0';
	if (file_read(AT_FDCWD, path, 0, &b) == 0)
		(void)snprintf(buf, size, "%.*s",
			       (int)strcspn(wbuf_cstr(&b), "\n"), b.p);
}

static const char *userns_remedy(void)
{
	char v[32];

	knob("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", v,
	     sizeof(v));
	if (!strcmp(v, "1"))
		return "Ubuntu's AppArmor restricts user namespaces: install "
		       "packaging/apparmor/cellos as /etc/apparmor.d/cellos "
		       "and reload AppArmor, or set kernel."
		       "apparmor_restrict_unprivileged_userns=0";
	knob("/proc/sys/kernel/unprivileged_userns_clone", v, sizeof(v));
	if (!strcmp(v, "0"))
		return "sysctl -w kernel.unprivileged_userns_clone=1";
	knob("/proc/sys/user/max_user_namespaces", v, sizeof(v));
	if (!strcmp(v, "0"))
		return "sysctl -w user.max_user_namespaces=65536";
	return "run as root, or allow user namespaces to this user; inside a "
	       "container, start it with a seccomp profile that permits "
	       "clone3, mount and pivot_root (Docker's default does not)";
}

/* One id, our own: what every process may map for itself. Without a map no
 * file can be made in the new namespace. */
static int map_self(uid_t uid, gid_t gid)
{
	char text[64];
	int r;

	r = file_write(AT_FDCWD, "/proc/self/setgroups", "deny", 4);
	(void)snprintf(text, sizeof(text), "0 %u 1", uid);
	if (!r)
		r = file_write(AT_FDCWD, "/proc/self/uid_map", text,
			       strlen(text));
	(void)snprintf(text, sizeof(text), "0 %u 1", gid);
	return r ? r
		 : file_write(AT_FDCWD, "/proc/self/gid_map", text,
			      strlen(text));
}

/* Clone with @flags and try @what in the child: 0 or an errno. */
static int try_in(uint64_t flags, int (*what)(void))
{
	int pidfd = -1, status = 0, r;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	pid_t pid = pidfd_clone(flags, -1, &pidfd);

	if (pid == 0) {
		r = map_self(uid, gid);
		_exit(r || !what ? -r : -what());
	}
	if (pid < 0)
		return -pid;
	(void)close(pidfd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

static int try_tmpfs(void)
{
	int r = mount_private();

	return r ? r : mount_fs("tmpfs", "/tmp", 0, "size=65536");
}

static int try_proc(void)
{
	int r = try_tmpfs();

	return r ? r : mount_fs("proc", "/tmp", 0, NULL);
}

static int try_overlay(void)
{
	int r = try_tmpfs();

	if (r)
		return r;
	if (chdir("/tmp") < 0 || mkdir("u", 0755) < 0 || mkdir("w", 0755) < 0 ||
	    mkdir("l", 0755) < 0 || mkdir("m", 0755) < 0)
		return -errno;
	return mount_fs("overlay", "m", 0,
			"lowerdir=l,upperdir=u,workdir=w,userxattr");
}

static int try_tree(void)
{
	OWNED(fd_drop) int fd = -1;
	int r = mount_private();

	if (r)
		return r;
	fd = mount_tree_open(AT_FDCWD, "/usr", true);
	if (fd < 0)
		return fd;
	return mount_tree_attr(fd, MOUNT_RO | MOUNT_RECURSIVE);
}

/* Return: false: everything below stands on it */
static bool need_namespaces(struct backend_need *v, size_t *n)
{
	const uint64_t all = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID |
			     CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
	int sys = try_in(CLONE_NEWUSER, NULL);

	say_errno(add(v, n, "user-namespaces", true), sys,
		  "a user namespace can be made", userns_remedy());
	if (sys)
		return false;
	say_errno(add(v, n, "namespaces", true), try_in(all, NULL),
		  "mnt pid ipc uts net in one clone3",
		  "a kernel with CONFIG_NAMESPACES and all of its kinds; see "
		  "also user.max_*_namespaces");
	say_errno(add(v, n, "mount-tree", true), try_in(all, try_tree),
		  "open_tree, mount_setattr",
		  "Linux 5.12 or newer; in a container, a seccomp profile "
		  "that permits open_tree, move_mount and mount_setattr");
	say_errno(add(v, n, "tmpfs", true), try_in(all, try_tmpfs),
		  "tmpfs in a user namespace",
		  "let an LSM or container profile permit mount(2)");
	say_errno(add(v, n, "procfs", true), try_in(all, try_proc),
		  "a /proc of the cell's own",
		  "this /proc is masked (a container): start the container "
		  "with --security-opt systempaths=unconfined");
	say_errno(add(v, n, "overlayfs", false), try_in(all, try_overlay),
		  "a private layer over workingDirectory",
		  "modprobe overlay; without it a workingDirectory outside "
		  "the declared mounts is read-only");
	return true;
}

/* -- a way out -- */

/* What a trial says, in memory that it shares with us */
static const char **door_at;
static bool outside_has_v6;

static int try_door(void)
{
	static const struct door d = { .tcp = { 443 },
				       .n_tcp = 1,
				       .nflog_group = DOOR_NFLOG_GROUP };
	static struct door_made made;
	struct door v = d;
	int r = netns_lo_up();

	v.has_v6 = outside_has_v6;
	*door_at = DOOR_AT_NETWORK;
	return r ? r : door_make(&v, &made, door_at);
}

/* In door_make()'s order */
static const struct {
	const char *name, *last, *ok, *modules;
} door_parts[] = {
	{ "door-network", DOOR_AT_NETWORK,
	  "addresses and a local default route",
	  "a kernel with CONFIG_INET and rtnetlink, Linux 5.7 or newer" },
	{ "door-sockets", DOOR_AT_SOCKETS, "transparent sockets, marked",
	  "a kernel with transparent sockets for the owner of a network "
	  "namespace, Linux 5.7 or newer" },
	{ "door-log", DOOR_AT_NFLOG, "refused packets are told",
	  "modprobe nfnetlink_log (CONFIG_NETFILTER_NETLINK_LOG)" },
	{ "door-filter", DOOR_AT_READ, "nf_tables with tproxy, log and reject",
	  "modprobe -a nf_tables nft_tproxy nft_reject_inet nft_log "
	  "(CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET, CONFIG_NFT_TPROXY, "
	  "CONFIG_NFT_REJECT, CONFIG_NFT_LOG), and keep "
	  "them loaded: in a container nobody else loads them" },
};

static const char *door_remedy(int sys, const char *modules)
{
	if (sys == EPERM || sys == EACCES)
		return "let an LSM or the profile of this container permit "
		       "netlink and raw sockets in a network namespace of the "
		       "cell's own";
	if (sys == EPROTO)
		return "this kernel shows other rules than it was given: cells "
		       "with a way out do not start on it; use another one";
	return modules;
}

/* Which part of the list a word of DOOR_AT_* belongs to */
static size_t door_part(const char *at)
{
	if (!strcmp(at, DOOR_AT_FILTER))
		at = DOOR_AT_READ;
	for (size_t i = 0; i < ARRAY_SIZE(door_parts); i++)
		if (!strcmp(at, door_parts[i].last))
			return i;
	return 0;
}

static void need_door(struct backend_need *v, size_t *n)
{
	const uint64_t flags = CLONE_NEWUSER | CLONE_NEWNET;
	size_t bad = ARRAY_SIZE(door_parts);
	char os[128], text[200];
	int sys;

	door_at = mmap(NULL, sizeof(*door_at), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (door_at == MAP_FAILED)
		return;
	*door_at = DOOR_AT_NETWORK;
	outside_has_v6 = netns_reaches_v6();
	sys = try_in(flags, try_door);
	if (sys)
		bad = door_part(*door_at); /* a constant of ours: same there */
	for (size_t i = 0; i < ARRAY_SIZE(door_parts) && i <= bad; i++) {
		err_os_text(sys, os, sizeof(os));
		(void)snprintf(text, sizeof(text), "%s: %s", *door_at, os);
		say(add(v, n, door_parts[i].name, true), i < bad,
		    i < bad ? door_parts[i].ok : text,
		    door_remedy(sys, door_parts[i].modules));
	}
	(void)munmap(door_at, sizeof(*door_at));
	say(add(v, n, "ipv6-outside", false), outside_has_v6,
	    outside_has_v6 ? "there is a way to IPv6 addresses"
			   : "no way to IPv6 addresses",
	    "give this host an IPv6 address and a route; until then a cell "
	    "reaches IPv4 only");
}

static void need_filters(struct backend_need *v, size_t *n)
{
	struct seccomp_notif_sizes sizes;
	char text[64];
	int abi = landlock_abi();
	long r = syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes);

	say_errno(add(v, n, "seccomp", true), r < 0 ? errno : 0,
		  "filters with user notification",
		  "a kernel with CONFIG_SECCOMP_FILTER, Linux 5.0 or newer");
	(void)snprintf(text, sizeof(text), abi ? "ABI %d" : "not enabled", abi);
	say(add(v, n, "landlock", true), abi > 0, text,
	    "boot with landlock in the lsm= list (CONFIG_SECURITY_LANDLOCK, "
	    "Linux 5.13)");
}

static void need_cgroups(const char *parent, struct backend_need *v, size_t *n)
{
	static const char *const names[] = { "cgroup-memory", "cgroup-cpu",
					     "cgroup-pids" };
	static const char *const remedy =
		"delegate a group: systemd-run --user --scope -p Delegate=yes "
		"cellos ..., or name one you may write in "
		"CELLOS_CGROUP_PARENT; without it a run that asks for this "
		"limit is refused";
	struct cgroup_host h = { 0 };
	char text[200], os[128];
	int r = cgroup_host_find(parent, &h);

	err_os_text(-r, os, sizeof(os));
	for (int c = 0; c < CGROUP_CONTROLLER_NUM; c++) {
		bool found = h.parent[c][0] != '\0';

		if (found)
			(void)snprintf(text, sizeof(text), "%s %.150s",
				       h.is_v2[c] ? "v2" : "v1", h.parent[c]);
		else if (r)
			(void)snprintf(text, sizeof(text),
				       "CELLOS_CGROUP_PARENT %.100s: %.60s",
				       parent, os);
		else
			(void)snprintf(text, sizeof(text), "no writable group");
		say(add(v, n, names[c], false), found, text,
		    r ? CGROUP_REMEDY : remedy);
	}
}

static void need_ids(struct backend_need *v, size_t *n)
{
	static const struct spec none;
	struct cell_request q = { .spec = &none,
				  .run_uuid = "00000000",
				  .portable = true };
	struct host_caps h;
	struct err e;

	if (geteuid() != 0 || host_caps_probe(&q, &h, &e))
		return;
	say(add(v, n, "spare-ids", false), h.is_root,
	    h.is_root ? "the workload gets a uid of its own"
		      : "root here has no second uid or lacks CAP_SETUID",
	    "run on the host, or give this container a range of ids; until "
	    "then cells run as under an unprivileged user");
}

size_t host_needs(const struct cell_request *req,
		  struct backend_need needs[BACKEND_NEEDS_MAX])
{
	size_t n = 0;

	if (need_namespaces(needs, &n))
		need_door(needs, &n);
	need_filters(needs, &n);
	need_cgroups(req->cgroup_parent, needs, &n);
	need_ids(needs, &n);
	return n;
}
