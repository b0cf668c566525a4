/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Firecracker as a VMM: it starts with a socket for its API and nothing else,
 * and is told by requests what to boot. Its guest's streams are connections of
 * AF_VSOCK; the VMM connects each to a socket of ours, which is there before it
 * starts.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cell/command.h"
#include "cell/door.h"
#include "cell/driver.h"
#include "cell/vm_start.h"
#include "image/image.h"
#include "sys/caps.h"
#include "wire/json_out.h"

enum {
	GUEST_CID = 3,	   /* of AF_VSOCK; the host is 2 */
	BOOT_SECONDS = 30, /* until the guest has connected */
	ARGS_MAX = 24
};

/* -- the process -- */

/* What a jailer cannot do without; all of it goes with its change of ids. */
#define JAILER_CAPS                                                          \
	(1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FOWNER | \
	 1ULL << CAP_MKNOD | 1ULL << CAP_SETGID | 1ULL << CAP_SETUID |       \
	 1ULL << CAP_SYS_ADMIN | 1ULL << CAP_SYS_CHROOT |                    \
	 1ULL << CAP_SYS_RESOURCE)

struct args {
	const char *v[ARGS_MAX];
	size_t n;
	char uid[16], gid[16];
};

static void add(struct args *a, const char *word)
{
	if (a->n < ARGS_MAX - 1)
		a->v[a->n++] = word;
}

static void put_jailer(struct args *a, const struct stage *s)
{
	const struct cell_firecracker *f = &s->req->firecracker;

	(void)snprintf(a->uid, sizeof(a->uid), "%u", f->jail_uid);
	(void)snprintf(a->gid, sizeof(a->gid), "%u", f->jail_gid);
	add(a, f->jailer);
	add(a, "--id");
	add(a, s->req->run_uuid);
	add(a, "--exec-file");
	add(a, VM_BINARY);
	add(a, "--uid");
	add(a, a->uid);
	add(a, "--gid");
	add(a, a->gid);
	add(a, "--chroot-base-dir");
	add(a, VM_JAIL);
	add(a, "--");
}

static void put_args(struct args *a, const struct stage *s, const char *name)
{
	if (s->req->firecracker.jailer)
		put_jailer(a, s);
	else
		add(a, name);
	add(a, "--api-sock");
	add(a, VM_API);
	add(a, "--level");
	add(a, "Error");
	if (s->req->firecracker.no_seccomp)
		add(a, "--no-seccomp");
}

/* Filters and Landlock of ours would be in the jailer's way: it makes mounts
 * and devices. What it starts has its own. */
static int lock_jailer(void)
{
	int r = caps_keep_bounding(JAILER_CAPS);

	return r ? r : last_errno(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void become_vmm(const struct stage *s, int log) NORETURN;
static void become_vmm(const struct stage *s, int log)
{
	static char *const env[] = { NULL };
	const bool jailed = s->req->firecracker.jailer != NULL;
	const char *name = s->plan->steps[plan_find(s->plan, PLAN_VMM)].src;
	struct args a = { .n = 0 };
	int r = driver_drop_stdio(s);

	put_args(&a, s, name);
	if (!r && (dup2(log, 1) < 0 || dup2(log, 2) < 0))
		r = -errno;
	/* the driver, another user, is to reach the sockets it makes */
	(void)umask(0);
	if (!r)
		r = jailed ? lock_jailer()
			   : stage_lock_helper(s, STAGE_SENTRY_ID, false);
	command_reset_signals();
	if (!r) {
		(void)execve(jailed ? VM_JAILER : VM_BINARY,
			     (char **)(uintptr_t)a.v, env);
		r = -errno;
	}
	stage_fail(s->child_sock, plan_find(s->plan, PLAN_VMM), -r, name);
}

static int vmm_socket(const struct stage *s, const char *name,
		      struct sockaddr_un *ret)
{
	ret->sun_family = AF_UNIX;
	return vm_vmm_path(s->req, name, ret->sun_path, sizeof(ret->sun_path))
		       ? 0
		       : -ENAMETOOLONG;
}

/* Where the VMM connects to for what its guest connects to */
static int listen_at(const struct stage *s, int port)
{
	char name[sizeof(VM_CHANNEL) + 16];
	OWNED(fd_drop)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t mask = umask(0);
	struct sockaddr_un at;
	int r;

	(void)snprintf(name, sizeof(name), VM_CHANNEL "_%d", port);
	r = vmm_socket(s, name, &at);
	if (!r &&
	    (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	     listen(fd, 4) < 0))
		r = -errno;
	(void)umask(mask);
	return r ? r : fd_take(&fd);
}

pid_t firecracker_start(struct stage *s, int *ret_log,
			int listener[VM_PORTS_ALL])
{
	int log[2];
	pid_t pid;

	const bool foreign = s->req->image->is_foreign;

	for (int i = VM_CONTROL; i < (foreign ? VM_STDIN : VM_PORTS); i++) {
		listener[i] = listen_at(s, foreign ? VM_SOCK_EXIT
						   : VM_SOCK_FIRST + i);
		if (listener[i] < 0)
			return listener[i];
	}
	if (s->req->telemetry.probes) {
		listener[VM_TELEMETRY] = listen_at(s, VM_SOCK_TELEMETRY);
		if (listener[VM_TELEMETRY] < 0)
			return listener[VM_TELEMETRY];
	}
	if (pipe2(log, O_CLOEXEC) < 0)
		return -errno;
	*ret_log = log[0];
	if (fcntl(*ret_log, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		become_vmm(s, log[1]);
	(void)close(log[1]);
	return pid < 0 ? -errno : pid;
}

int firecracker_connect(const struct stage *s, const struct vm_wait *w,
			char why[VM_WHY_SIZE])
{
	struct sockaddr_un at;
	int r = vmm_socket(s, VM_API, &at);

	return r ? r : vm_api_connect(w, &at, why);
}

/* -- what it is told -- */

struct call {
	const struct vm_wait *w;
	char *why;
	struct wbuf b;
	struct json_out j;
};

static void begin(struct call *c)
{
	wbuf_reset(&c->b);
	json_out_init(&c->j, &c->b, false);
	json_out_object(&c->j);
}

static int put(struct call *c, const char *path)
{
	json_out_end(&c->j, '}');
	return c->b.failed
		       ? -ENOMEM
		       : vm_api_put(c->w, path, wbuf_as_slice(&c->b), c->why);
}

static int put_machine(struct call *c, const struct stage *s,
		       const struct vm_boot *b)
{
	begin(c);
	json_out_ku64(&c->j, "vcpu_count", vm_cpus(s->req));
	json_out_ku64(&c->j, "mem_size_mib", b->memory_mib);
	json_out_kbool(&c->j, "track_dirty_pages", false);
	return put(c, "/machine-config");
}

static int put_boot(struct call *c, const struct vm_boot *b)
{
	begin(c);
	json_out_kstr(&c->j, "kernel_image_path", VM_KERNEL);
	json_out_kstr(&c->j, "boot_args", b->args);
	json_out_kstr_opt(&c->j, "initrd_path", b->initrd);
	return put(c, "/boot-source");
}

static int put_root(struct call *c)
{
	begin(c);
	json_out_kstr(&c->j, "drive_id", "rootfs");
	json_out_kstr(&c->j, "path_on_host", VM_ROOT);
	json_out_kbool(&c->j, "is_root_device", true);
	json_out_kbool(&c->j, "is_read_only", true);
	return put(c, "/drives/rootfs");
}

static int put_network(struct call *c)
{
	begin(c);
	json_out_kstr(&c->j, "iface_id", "eth0");
	json_out_kstr(&c->j, "guest_mac", VM_MAC);
	json_out_kstr(&c->j, "host_dev_name", DOOR_LEG);
	return put(c, "/network-interfaces/eth0");
}

static int put_vsock(struct call *c)
{
	begin(c);
	json_out_ku64(&c->j, "guest_cid", GUEST_CID);
	json_out_kstr(&c->j, "uds_path", VM_CHANNEL);
	return put(c, "/vsock");
}

/* Each is taken once: who comes later finds nobody. */
static int accept_at(const struct vm_wait *w, int *listener, int *ret,
		     uint64_t end)
{
	int r = w->until(w->arg, *listener, POLLIN, end);

	if (r)
		return r;
	*ret = accept4(*listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	fd_drop(listener);
	return *ret < 0 ? -errno : 0;
}

int firecracker_take(const struct stage *s, const struct vm_wait *w,
		     int listener[VM_PORTS_ALL], int port[VM_PORTS_ALL],
		     char why[VM_WHY_SIZE])
{
	const uint64_t ttl = s->req->spec->ttl_seconds;
	const uint64_t most = ttl && ttl < BOOT_SECONDS ? ttl : BOOT_SECONDS;
	const uint64_t end = clock_mono_ns() + most * 1000000000;
	int r = 0;

	for (int i = VM_CONTROL; i < VM_PORTS && !r; i++)
		r = accept_at(w, &listener[i], &port[i], end);
	if (r == -ETIMEDOUT)
		(void)snprintf(why, VM_WHY_SIZE,
			       "boot_failed: no word of pid 1 of the guest in "
			       "%" PRIu64 " s; does KVM work here?",
			       most);
	else if (r)
		(void)snprintf(why, VM_WHY_SIZE, "connection of the guest");
	return r;
}

int firecracker_tell(const struct stage *s, const struct vm_boot *b,
		     const struct vm_wait *w, char why[VM_WHY_SIZE])
{
	/* it may hold a key */
	struct call c = { .w = w, .why = why, .b = WBUF_INIT(8192) };
	int r = put_machine(&c, s, b);

	if (!r)
		r = put_boot(&c, b);
	if (!r)
		r = put_root(&c);
	if (!r && s->req->door)
		r = put_network(&c);
	if (!r)
		r = put_vsock(&c);
	wbuf_drop(&c.b);
	return r;
}

static int act(const struct vm_wait *w, const char *action, char *why)
{
	struct call c = { .w = w, .why = why, .b = WBUF_INIT(256) };
	int r;

	begin(&c);
	json_out_kstr(&c.j, "action_type", action);
	r = put(&c, "/actions");
	wbuf_drop(&c.b);
	return r;
}

int firecracker_go(const struct vm_wait *w, char why[VM_WHY_SIZE])
{
	return act(w, "InstanceStart", why);
}

int firecracker_ctrl_alt_del(const struct vm_wait *w, char why[VM_WHY_SIZE])
{
	return act(w, "SendCtrlAltDel", why);
}
