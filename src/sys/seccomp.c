/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Installing the generated filters; answering the watched calls. */
#include "sys/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "sys/seccomp_filters.h"

static int enter(const struct sock_filter *f, size_t n, unsigned flags)
{
	struct sock_fprog p = {
		.len = (unsigned short)n,
		/* the kernel's structure is not const, the call only reads */
		.filter = (struct sock_filter *)(uintptr_t)f,
	};
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);

	return r < 0 ? -errno : (int)r;
}

int seccomp_enter_allow(void)
{
	return enter(allow_filter, ARRAY_SIZE(allow_filter), 0);
}

int seccomp_enter_watch(void)
{
	return enter(watch_filter, ARRAY_SIZE(watch_filter),
		     SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

int seccomp_enter_refuse(void)
{
	return enter(refuse_filter, ARRAY_SIZE(refuse_filter), 0);
}

int seccomp_enter_runtime(void)
{
	return enter(runtime_filter, ARRAY_SIZE(runtime_filter), 0);
}

int seccomp_enter_baseline(void)
{
	return enter(baseline_filter, ARRAY_SIZE(baseline_filter), 0);
}

int seccomp_enter_gate(void)
{
	return enter(gate_filter, ARRAY_SIZE(gate_filter), 0);
}

int seccomp_enter_unpack(void)
{
	return enter(unpack_filter, ARRAY_SIZE(unpack_filter), 0);
}

int seccomp_enter_bpf(const void *prog, size_t len)
{
	return enter(prog, len / sizeof(struct sock_filter), 0);
}

void seccomp_listen(int listener)
{
	uint64_t sync_wake_up = 1;

	/* <linux/seccomp.h> of 6.6: SECCOMP_IOCTL_NOTIF_SET_FLAGS */
	(void)!fd_ioctl(listener, SECCOMP_IOW(4, __u64),
			(void *)(uintptr_t)sync_wake_up);
}

int seccomp_answer(int listener, pid_t *ret_pid)
{
	/* room for a kernel whose structures have grown */
	union {
		struct seccomp_notif n;
		char room[512];
	} req;
	union {
		struct seccomp_notif_resp r;
		char room[512];
	} resp;
	int r;

	memset(&req, 0, sizeof(req));
	memset(&resp, 0, sizeof(resp));
	r = fd_ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &req);
	if (r < 0)
		return r == -ENOENT ? -EAGAIN : r;
	resp.r.id = req.n.id;
	resp.r.error = -EPERM;
	/* ENOENT: the caller died meanwhile, which is an answer as well */
	r = fd_ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
	if (r < 0 && r != -ENOENT)
		return r;
	*ret_pid = (pid_t)req.n.pid;
	return req.n.data.nr;
}

const char *seccomp_name(int nr)
{
	for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
		if (watched[i].nr == nr)
			return watched[i].name;
	return "unknown";
}
