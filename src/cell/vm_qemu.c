/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * QEMU as a VMM (qemu(1), machine "microvm"): no firmware but a stub, no PCI,
 * no clock chip, no interrupt controller of old; virtio devices that the guest
 * finds by ACPI. All its files are open before it starts.
 */
#include "cell/vm_start.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cell/command.h"
#include "cell/driver.h"

enum {
	ARGS_MAX = 80,
	FD_FIRST = 10, /* of the ports, in the VMM */
	FD_TAP = FD_FIRST + VM_PORTS_ALL,
	FD_QMP,
	FD_END,
	TSC_SAMPLE_NS = 5000000
};

#ifdef __x86_64__
static uint64_t tsc(void)
{
	return __builtin_ia32_rdtsc();
}
#endif

#ifdef __x86_64__
static struct vm_moment began;
#endif

void qemu_clock_begin(void)
{
#ifdef __x86_64__
	began = vm_moment(tsc, clock_mono_ns);
#endif
}

/* Emulated, the guest counts this processor's ticks, and has nothing else to
 * tell how many of them are a second. */
static uint64_t tsc_khz(void)
{
#ifdef __x86_64__
	struct vm_moment to = vm_moment(tsc, clock_mono_ns);
	struct timespec rest = { 0 };

	if (to.ns - began.ns < TSC_SAMPLE_NS) {
		rest.tv_nsec = (long)(TSC_SAMPLE_NS - (to.ns - began.ns));
		(void)nanosleep(&rest, NULL);
		to = vm_moment(tsc, clock_mono_ns);
	}
	return to.ns > began.ns
		       ? (to.ticks - began.ticks) * 1000000 / (to.ns - began.ns)
		       : 0;
#else
	return 0;
#endif
}

struct args {
	const char *v[ARGS_MAX];
	size_t n;
	char text[4096];
	size_t len;
};

static void add(struct args *a, const char *word)
{
	if (a->n < ARGS_MAX - 1)
		a->v[a->n++] = word;
}

static void add_fmt(struct args *a, const char *option, const char *fmt, ...)
	PRINTF(3, 4);
static void add_fmt(struct args *a, const char *option, const char *fmt, ...)
{
	char *at = a->text + a->len;
	size_t left = sizeof(a->text) - a->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(at, left, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= left)
		return;
	a->len += (size_t)n + 1;
	add(a, option);
	add(a, at);
}

/* Each costs an emulated guest a hundred exits, for the buffers it offers. */
static bool has_port(const struct stage *s, int i)
{
	if (i == VM_TREES)
		return vm_has_trees(s->plan);
	return i != VM_TELEMETRY || s->req->telemetry.probes;
}

#define ARGS                                         \
	"console=ttyS0 quiet panic=-1 rdinit=/init " \
	"cryptomgr.notests"

static void put_command_line(struct args *a, const struct stage *s)
{
	if (s->req->kvm == CELL_KVM_WORKS)
		add_fmt(a, "-append", ARGS);
	else
		add_fmt(a, "-append", ARGS " tsc_early_khz=%" PRIu64,
			tsc_khz());
}

static void put_args(struct args *a, const struct stage *s)
{
	static const char *const names[VM_PORTS_ALL] = {
		"log", "control", "in", "out", "err", "trees", "telemetry"
	};
	const bool by_kvm = s->req->kvm == CELL_KVM_WORKS;
	const struct plan *p = s->plan;

	add(a, p->steps[plan_find(p, PLAN_VMM)].src);
	add_fmt(a, "-M",
		"microvm,acpi=on,rtc=on,pit=off,pic=off,isa-serial=on,"
		"auto-kernel-cmdline=off");
	add_fmt(a, "-accel", by_kvm ? "kvm" : "tcg,tb-size=64");
	add_fmt(a, "-cpu", by_kvm ? "host" : "max");
	add_fmt(a, "-smp", "%" PRIu64, vm_cpus(s->req));
	add_fmt(a, "-m", "%" PRIu64 "M", vm_memory_mib(s->req));
	add(a, "-nodefaults");
	add(a, "-no-user-config");
	add(a, "-no-reboot");
	add_fmt(a, "-display", "none");
	add_fmt(a, "-sandbox",
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
		"resourcecontrol=deny");
	add_fmt(a, "-kernel", VM_KERNEL);
	add_fmt(a, "-initrd", VM_INITRD);
	put_command_line(a, s);
	add_fmt(a, "-blockdev",
		"driver=file,node-name=file,filename=" VM_ROOT
		",read-only=on,locking=off");
	add_fmt(a, "-blockdev",
		"driver=raw,node-name=root,file=file,read-only=on");
	add_fmt(a, "-device", "virtio-blk-device,drive=root");
	for (int i = 0; i < VM_PORTS_ALL; i++)
		if (has_port(s, i))
			add_fmt(a, "-chardev", "socket,id=%s,fd=%d", names[i],
				FD_FIRST + i);
	add_fmt(a, "-chardev", "socket,id=qmp,fd=%d", FD_QMP);
	add_fmt(a, "-mon", "chardev=qmp,mode=control");
	add_fmt(a, "-serial", "chardev:%s", names[0]);
	add_fmt(a, "-device", "virtio-serial-device,max_ports=%d",
		VM_PORTS_ALL);
	for (int i = 1; i < VM_PORTS_ALL; i++)
		if (has_port(s, i))
			add_fmt(a, "-device",
				"virtserialport,chardev=%s,nr=%d,"
				"name=cellos.%s",
				names[i], i, names[i]);
	if (!s->req->door)
		return;
	add_fmt(a, "-netdev", "tap,id=net,fd=%d,vhost=off", FD_TAP);
	add_fmt(a, "-device", "virtio-net-device,netdev=net,mac=" VM_MAC);
}

static void become_vmm(const struct stage *s, const int theirs[VM_PORTS_ALL],
		       int qmp) NORETURN;
static void become_vmm(const struct stage *s, const int theirs[VM_PORTS_ALL],
		       int qmp)
{
	static char path[] = "PATH=/usr/bin:/bin";
	static char *const env[] = { path, NULL };
	static struct args a; /* large */
	int r;

	put_args(&a, s);
	r = driver_drop_stdio(s);
	for (int i = 0; i < VM_PORTS_ALL && !r; i++)
		if (has_port(s, i))
			r = last_errno(dup2(theirs[i], FD_FIRST + i));
	if (!r)
		r = last_errno(dup2(qmp, FD_QMP));
	if (!r && s->req->door)
		r = last_errno(dup2(s->leg_net, FD_TAP));
	if (!r)
		r = stage_lock_helper(s, STAGE_SENTRY_ID, false);
	command_reset_signals();
	if (!r) {
		(void)execve(a.v[0], (char **)(uintptr_t)a.v, env);
		r = -errno;
	}
	stage_fail(s->child_sock, plan_find(s->plan, PLAN_VMM), -r, a.v[0]);
}

/* So that the numbers they get in the VMM are free */
static int high(int *fd)
{
	int r = *fd < 0 ? 0 : fcntl(*fd, F_DUPFD_CLOEXEC, FD_END);

	if (r <= 0)
		return last_errno(r);
	(void)close(*fd);
	*fd = r;
	return 0;
}

static int high_pair(int *ours, int *theirs)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		       pair) < 0)
		return -errno;
	*ours = pair[0];
	*theirs = pair[1];
	r = high(ours);
	return r ? r : high(theirs);
}

pid_t qemu_start(struct stage *s, int port[VM_PORTS_ALL], int *ret_qmp)
{
	int theirs[VM_PORTS_ALL], qmp = -1;
	pid_t pid;
	int r = high(&s->child_sock);

	if (!r)
		r = high(&s->leg_net);
	if (!r)
		r = high(&s->telemetry);
	for (int i = 0; i < VM_PORTS_ALL && !r; i++)
		if (has_port(s, i))
			r = high_pair(&port[i], &theirs[i]);
	if (!r)
		r = high_pair(ret_qmp, &qmp);
	if (r)
		return r;
	pid = fork();
	if (pid == 0)
		become_vmm(s, theirs, qmp);
	r = pid < 0 ? -errno : pid;
	fd_drop(&s->leg_net); /* the VMM's alone */
	for (int i = 0; i < VM_PORTS_ALL; i++)
		if (has_port(s, i))
			(void)close(theirs[i]);
	(void)close(qmp);
	return r;
}
