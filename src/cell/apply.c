/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Pid 1's part of the plan: the root of the cell, mount by mount. From the
 * ROOT step on the current directory is the new root; destinations are used
 * relative to it, and no path of a workload's tree is followed out of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cell/door.h"
#include "cell/oci.h"
#include "cell/stage.h"
#include "sys/mount.h"
#include "sys/netns.h"

int umount2(const char *target, int flags);

/* "/usr/bin" -> "usr/bin" */
static const char *rel(const char *dst)
{
	return dst[1] ? dst + 1 : ".";
}

/* Without privilege the paths of the document are opened here, before the new
 * root covers one of them. */
static int open_declared(struct stage *s)
{
	for (size_t i = 0; i < s->plan->n; i++) {
		const struct plan_step *p = &s->plan->steps[i];

		if (p->op == PLAN_VMM)
			break; /* what follows is of the guest */
		if ((p->op != PLAN_BIND && p->op != PLAN_OVERLAY) ||
		    (p->flags & (PLAN_F_OWN | PLAN_F_FROM_FD)) ||
		    p->n >= STAGE_SOURCES)
			continue;
		s->source[p->n] = mount_source_tree(
			p->src, !(p->flags & PLAN_F_FILE), NULL);
		if (s->source[p->n] < 0)
			return s->source[p->n];
	}
	return 0;
}

/* Around it a second one is made, PLAN_RUNTIME_ROOT. */
static int nested_root(const char *at, const char *data)
{
	int r;

	if (chdir(at) < 0 || mkdir(rel(OCI_ROOTFS), 0755) < 0 ||
	    mkdir(rel(OCI_MOUNTS), 0700) < 0)
		return -errno;
	r = mount_fs("tmpfs", rel(OCI_ROOTFS), 0, data);
	return r ? r : last_errno(chdir(rel(OCI_ROOTFS)));
}

/* Any directory will do to stand on; it is covered, then left behind. */
static int root_step(struct stage *s, const struct plan_step *p)
{
	static const char *const at[] = { "/tmp", "/mnt", "/var", "/usr" };
	char data[64];
	int r = -ENOENT;

	r = mount_private();
	if (!r)
		r = open_declared(s);
	if (r)
		return r;
	(void)snprintf(data, sizeof(data), "mode=755,size=%" PRIu64, p->n);
	for (size_t i = 0; i < ARRAY_SIZE(at) - 1; i++) {
		r = mount_fs("tmpfs", at[i], 0, data);
		if (!r && plan_is_sandbox(s->plan) && !plan_is_vm(s->plan))
			return nested_root(at[i], data);
		if (!r)
			return last_errno(chdir(at[i]));
	}
	return r;
}

/*
 * Component by component and never through a symbolic link: an image may have
 * one where we want a directory, and the host is still reachable by it. The
 * mode is given only to what is new.
 */
static int make_dirs(const char *path, mode_t mode)
{
	OWNED(fd_drop) int at = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char part[NAME_MAX + 1];
	size_t n;

	for (; *path; path += n + (path[n] == '/')) {
		bool last;
		int fd;

		n = strcspn(path, "/");
		last = path[n] == '\0';
		if (n == 0)
			continue;
		if (at < 0 || n > NAME_MAX)
			return at < 0 ? -errno : -ENAMETOOLONG;
		memcpy(part, path, n);
		part[n] = '\0';
		if (mkdirat(at, part, 0700) == 0) {
			/* the umask is the caller's: say it again */
			if (fchmodat(at, part, last ? mode : 0755, 0) < 0)
				return -errno;
		} else if (errno != EEXIST) {
			return -errno;
		}
		fd = openat(at, part,
			    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		fd_drop(&at);
		at = fd;
	}
	return at < 0 ? -errno : 0;
}

static int make_file(const char *path, mode_t mode, const char *text)
{
	OWNED(fd_drop) int fd = -1;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		  0600);
	if (fd < 0)
		return -errno;
	if (text) {
		int r = fd_write_all(fd, text, strlen(text));

		if (r)
			return r;
	}
	return last_errno(fchmod(fd, mode));
}

/* mkdir -p of the parents of a file to be bound over. */
static int make_parents(const char *path)
{
	char dir[PATH_MAX];
	char *slash;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash)
		return 0;
	*slash = '\0';
	return make_dirs(dir, 0755);
}

static unsigned attr_of(const struct stage *s, const struct plan_step *p)
{
	unsigned f = MOUNT_RECURSIVE;

	if ((p->flags & PLAN_F_RO) && !(s->drop & STAGE_DROP_READONLY))
		f |= MOUNT_RO;
	if (p->flags & PLAN_F_NOEXEC)
		f |= MOUNT_NOEXEC;
	if (p->flags & PLAN_F_DEV)
		f |= MOUNT_DEV;
	return f;
}

/* The tree to show; a copy, since it is closed by whoever attaches it. */
static int source_tree(const struct stage *s, const struct plan_step *p)
{
	int fd;

	if (!stage_has_source(s, p))
		return -EBADF;
	fd = fcntl(s->source[p->n], F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

/* Onto a path of our own skeleton: nobody else can have put a symlink there,
 * and one call does what four would. */
static int bind_own(const struct stage *s, const struct plan_step *p)
{
	/* /proc/sys and the like: of the cell, not of the host */
	bool inner = !strncmp(p->src, "/proc/", 6);
	int r;

	if (p->flags & PLAN_F_FILE) {
		r = make_parents(rel(p->dst));
		if (!r)
			r = make_file(rel(p->dst), 0644, NULL);
	} else {
		r = inner ? 0 : make_dirs(rel(p->dst), 0755);
	}
	if (!r)
		r = mount_bind(inner ? rel(p->src) : p->src, rel(p->dst), true);
	return r ? r : mount_path_attr(rel(p->dst), attr_of(s, p));
}

/* Where a declared tree goes. A runtime looks it up by name once more, so there
 * it is one that nobody else can have to do with, beside the cell's root. */
static int declared_place(const struct stage *s, const struct plan_step *p,
			  char place[PATH_MAX])
{
	if (!plan_is_sandbox(s->plan) || plan_is_vm(s->plan) ||
	    !plan_is_declared(p)) {
		(void)snprintf(place, PATH_MAX, "%s", rel(p->dst));
		return 0;
	}
	(void)snprintf(place, PATH_MAX, ".." OCI_MOUNTS "/%" PRIu64, p->n);
	return p->flags & PLAN_F_FILE ? make_file(place, 0600, NULL)
				      : last_errno(mkdir(place, 0700));
}

/* Onto a path a document names: it may lie in a tree a workload has written. */
static int bind_declared(const struct stage *s, const struct plan_step *p)
{
	OWNED(fd_drop) int tree = source_tree(s, p);
	char place[PATH_MAX];
	int r;

	if (tree < 0)
		return tree;
	r = declared_place(s, p, place);
	if (!r)
		r = mount_tree_attr(tree, attr_of(s, p));
	if (r)
		return r;
	if (place[0] == '.') { /* not in the cell's root, which has its name */
		if (p->flags & PLAN_F_FILE)
			r = make_parents(rel(p->dst));
		if (!r && (p->flags & PLAN_F_FILE))
			r = make_file(rel(p->dst), 0644, NULL);
		return r ? r : mount_tree_move(tree, place);
	}
	r = mount_tree_attach(tree, AT_FDCWD, place);
	if (r != -ENOENT || !(p->flags & PLAN_F_FILE))
		return r;
	/* a single file has no mount point yet */
	r = make_parents(place);
	if (!r)
		r = make_file(place, 0644, NULL);
	return r ? r : mount_tree_attach(tree, AT_FDCWD, place);
}

static int bind_step(const struct stage *s, const struct plan_step *p)
{
	struct stat st;

	if ((p->flags & PLAN_F_OPTIONAL) && stat(p->src, &st) < 0)
		return 0;
	return p->flags & PLAN_F_OWN ? bind_own(s, p) : bind_declared(s, p);
}

int stage_device(const char *path)
{
	int r = make_file(rel(path), 0666, NULL);

	if (!r)
		r = mount_bind(path, rel(path), false);
	return r ? r : mount_path_attr(rel(path), MOUNT_DEV | MOUNT_NOEXEC);
}

/*
 * Lower: the host directory, read-only (idmapped, as root). Upper: a tmpfs of
 * the cell. Both are mounted for a moment under names of our own, so that no
 * user's path gets into the option string, and leave only the merged view.
 */
static int overlay_step(const struct stage *s, const struct plan_step *p)
{
	OWNED(fd_drop) int tree = source_tree(s, p);
	char size[96], place[PATH_MAX];
	struct stat st;
	int r;

	if (tree < 0)
		return tree;
	r = declared_place(s, p, place);
	if (r)
		return r;
	if (mkdir(".lower", 0755) < 0 || mkdir(".layer", 0755) < 0)
		return -errno;
	r = mount_tree_attr(tree, MOUNT_RO | MOUNT_RECURSIVE);
	if (!r)
		r = mount_tree_attach(tree, AT_FDCWD, ".lower");
	if (r)
		return r;
	if (stat(".lower", &st) < 0)
		return -errno;
	(void)snprintf(size, sizeof(size),
		       "mode=755,size=%" PRIu64 ",nr_inodes=%" PRIu64, p->n2,
		       p->n2 / 1024 + 64);
	r = mount_fs("tmpfs", ".layer", 0, size);
	if (r)
		return r;
	if (mkdir(".layer/up", 0755) < 0 || mkdir(".layer/work", 0755) < 0 ||
	    chmod(".layer/up", st.st_mode & 01777) < 0 ||
	    (s->is_root &&
	     chown(".layer/up", s->plan->in_uid, s->plan->in_gid) < 0))
		return -errno;
	r = mount_fs("overlay", place, 0,
		     "lowerdir=.lower,upperdir=.layer/up,workdir=.layer/work,"
		     "userxattr");
	if (r)
		return r;
	if (umount2(".lower", 2) < 0 || umount2(".layer", 2) < 0 ||
	    rmdir(".lower") < 0 || rmdir(".layer") < 0)
		return -errno;
	return 0;
}

/*
 * A file reads as empty, a directory as without entries. The empty directory
 * is one of ours, shown wherever one is hidden, and loses its own name before
 * the end: unmounting something instead would wait for a grace period.
 */
static int mask_step(const struct stage *s, const struct plan_step *p)
{
	const char *dst = rel(p->dst);
	struct stat st;
	int r;

	if ((s->drop & STAGE_DROP_MASK) ||
	    fstatat(AT_FDCWD, dst, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (!S_ISDIR(st.st_mode))
		return mount_bind("dev/null", dst, false);
	if (mkdir(".empty", 0555) < 0 && errno != EEXIST)
		return -errno;
	r = mount_bind(".empty", dst, false);
	return r ? r : mount_path_attr(dst, MOUNT_RO | MOUNT_NOEXEC);
}

static int tmpfs_step(const struct plan_step *p, bool in_new_root)
{
	char data[96];

	/* nr_inodes bounds what a cell can make of empty files */
	(void)snprintf(data, sizeof(data),
		       "mode=%" PRIo64 ",size=%" PRIu64 ",nr_inodes=%" PRIu64,
		       p->n2, p->n, p->n / 1024 + 64);
	return mount_fs("tmpfs", in_new_root ? rel(p->dst) : p->dst,
			(p->flags & PLAN_F_NOEXEC ? MOUNT_NOEXEC : 0) |
				(p->flags & PLAN_F_DEV ? MOUNT_DEV : 0),
			data);
}

static int readonly_step(const struct stage *s, const struct plan_step *p)
{
	if (s->drop & STAGE_DROP_READONLY)
		return 0;
	if (!p->dst[1])
		return mount_path_attr("/", MOUNT_RO);
	return mount_path_attr(rel(p->dst), MOUNT_RO | MOUNT_NOEXEC);
}

static int pivot_step(const struct stage *s)
{
	if (rmdir(".empty") < 0 && errno != ENOENT)
		return -errno;
	return s->drop & STAGE_DROP_PIVOT ? 0 : mount_pivot();
}

static int proc_step(const struct stage *s, const struct plan_step *p)
{
	int r;

	if (s->plan->full)
		return mount_fs("proc", rel(p->dst), MOUNT_NOEXEC, NULL);
	if ((s->ns & (CELL_NS_PID | CELL_NS_MNT)) !=
	    (CELL_NS_PID | CELL_NS_MNT))
		return 0;
	r = mount_private();
	return r ? r : mount_fs("proc", p->dst, MOUNT_NOEXEC, NULL);
}

static int tell_socket(const struct stage *s, struct door_socket *d)
{
	struct cell_message m = { .type = CELL_MSG_DOOR_SOCKET,
				  .door = { .kind = d->kind,
					    .family = d->family,
					    .port = d->port } };
	int r = cell_send(s->init_sock, &m, d->fd);

	fd_drop(&d->fd);
	return r;
}

/* Last of what needs the capabilities over the network namespace. */
static int door_step(const struct stage *s, const struct plan_step *p)
{
	static struct door_made made; /* large; pid 1 makes one */
	struct cell_message m = { .type = CELL_MSG_DOOR };
	const char *what = "";
	struct door d = *s->req->door;
	int r;

	d.is_open = s->drop & STAGE_DROP_NFT;
	d.has_leg = plan_is_sandbox(s->plan);
	r = door_make(&d, &made, &what);
	if (r)
		stage_fail(s->init_sock, (size_t)(p - s->plan->steps), -r,
			   what);
	for (size_t i = 0; i < made.n && !r; i++)
		r = tell_socket(s, &made.sockets[i]);
	m.door.rules = made.rules;
	memcpy(m.door.digest, made.digest, sizeof(m.door.digest));
	return r ? r : cell_send(s->init_sock, &m, -1);
}

/* @n2: whose it is, if not ours */
static int dir_step(const struct plan_step *p)
{
	int r = make_dirs(rel(p->dst), (mode_t)p->n);

	return r || !p->n2 ? r
			   : last_errno(chown(rel(p->dst), (uid_t)p->n2,
					      (gid_t)p->n2));
}

int apply_step(struct stage *s, const struct plan_step *p)
{
	switch (p->op) {
	case PLAN_LOOPBACK:
		return netns_lo_up();
	case PLAN_LEG:
		return plan_is_vm(s->plan) ? vm_tap(s)
					   : sandbox_leg(&s->leg_net);
	case PLAN_DOOR:
		return door_step(s, p);
	case PLAN_HOSTNAME:
		return last_errno(sethostname(p->src, strlen(p->src)));
	case PLAN_CGROUP_NS:
		return last_errno(unshare(CLONE_NEWCGROUP));
	case PLAN_ROOT:
		return root_step(s, p);
	case PLAN_TMPFS:
		return tmpfs_step(p, s->plan->full);
	case PLAN_DIR:
		return dir_step(p);
	case PLAN_SYMLINK:
		return last_errno(symlink(p->src, rel(p->dst)));
	case PLAN_FILE:
		return make_file(rel(p->dst), (mode_t)p->n, p->src);
	case PLAN_BIND:
		return bind_step(s, p);
	case PLAN_DEVICE:
		return stage_device(p->dst);
	case PLAN_OVERLAY:
		return overlay_step(s, p);
	case PLAN_PROC:
		return proc_step(s, p);
	case PLAN_MASK:
		return mask_step(s, p);
	case PLAN_READONLY:
		return readonly_step(s, p);
	case PLAN_DEVPTS:
		return mount_fs("devpts", rel(p->dst), MOUNT_DEV | MOUNT_NOEXEC,
				"newinstance,ptmxmode=0666,mode=600,max=256");
	case PLAN_RUNTIME_ROOT:
		return sandbox_root(s, p);
	case PLAN_PIVOT:
		return pivot_step(s);
	case PLAN_STATE:
	case PLAN_CGROUP:
	case PLAN_SOURCE:
	case PLAN_CLONE:
	case PLAN_IDMAP:
		return 0; /* the supervisor's part, done before GO */
	case PLAN_SENTRY_TMPFS:
	case PLAN_IMAGE:
		return 0; /* the sandbox's part, and the guest's */
	case PLAN_USER:
	case PLAN_CAPS:
	case PLAN_NO_NEW_PRIVS:
	case PLAN_RLIMIT:
	case PLAN_LANDLOCK:
	case PLAN_SECCOMP:
	case PLAN_SELF_TEST:
	case PLAN_BUNDLE:
	case PLAN_SANDBOX:
	case PLAN_VMM:
	case PLAN_CHDIR:
	case PLAN_EXEC:
	case PLAN_OP_NUM:
		break;
	}
	return -EINVAL;
}
