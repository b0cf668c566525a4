/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Attacks on the kernel's own doors: system calls that make namespaces,
 * mounts, modules or new ways into the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

enum { NR_FCHMODAT2 = 452, NR_UNKNOWN = 1000, X32_BIT = 0x40000000 };

#define BAD (-1L)

/* A row that names the same number twice differs in the argument a filter may
 * look at. */
const struct raw_probe raw_probes[] = {
	{ "io-uring-setup", SYS_io_uring_setup, { 8, BAD } },
	{ "io-uring-enter", SYS_io_uring_enter, { BAD, 0, 0, 0, 0, 0 } },
	{ "io-uring-register", SYS_io_uring_register, { BAD, 0, 0, 0 } },
	{ "userfaultfd", SYS_userfaultfd, { 1 } },
	{ "bpf", SYS_bpf, { 5, BAD, 48 } },
	{ "perf-event-open", SYS_perf_event_open, { BAD, 0, -1, -1, 0 } },
	{ "keyctl", SYS_keyctl, { 0, -3, 0 } },
	{ "add-key", SYS_add_key, { BAD, BAD, 0, 0, -3 } },
	{ "request-key", SYS_request_key, { BAD, BAD, 0, -3 } },
	{ "unshare-user", SYS_unshare, { CLONE_NEWUSER } },
	{ "unshare-mnt", SYS_unshare, { CLONE_NEWNS } },
	{ "unshare-pid", SYS_unshare, { CLONE_NEWPID } },
	{ "unshare-net", SYS_unshare, { CLONE_NEWNET } },
	{ "unshare-ipc", SYS_unshare, { CLONE_NEWIPC } },
	{ "unshare-uts", SYS_unshare, { CLONE_NEWUTS } },
	{ "unshare-cgroup", SYS_unshare, { CLONE_NEWCGROUP } },
	{ "unshare-time", SYS_unshare, { 0x80 } },
	{ "setns-bad-fd", SYS_setns, { -1, 0 } },
	{ "clone3", SYS_clone3, { BAD, 88 } },
	{ "mount", SYS_mount, { BAD, BAD, BAD, 0, 0 } },
	{ "mount-remount", SYS_mount, { 0, BAD, 0, MS_REMOUNT | MS_BIND, 0 } },
	{ "umount2", SYS_umount2, { BAD, MNT_DETACH } },
	{ "pivot-root", SYS_pivot_root, { BAD, BAD } },
	{ "chroot", SYS_chroot, { BAD } },
	{ "open-tree", SYS_open_tree, { AT_FDCWD, BAD, 1 } },
	{ "move-mount", SYS_move_mount, { -1, BAD, -1, BAD, 4 } },
	{ "fsopen", SYS_fsopen, { BAD, 0 } },
	{ "fsconfig", SYS_fsconfig, { -1, 0, 0, 0, 0 } },
	{ "fsmount", SYS_fsmount, { -1, 0, 0 } },
	{ "fspick", SYS_fspick, { AT_FDCWD, BAD, 0 } },
	{ "mount-setattr", SYS_mount_setattr, { AT_FDCWD, BAD, 0, BAD, 32 } },
	{ "name-to-handle-at",
	  SYS_name_to_handle_at,
	  { AT_FDCWD, BAD, BAD, BAD, 0 } },
	{ "open-by-handle-at", SYS_open_by_handle_at, { AT_FDCWD, BAD, 0 } },
	{ "kexec-load", SYS_kexec_load, { 0, 0, 0, 0 } },
	{ "kexec-file-load", SYS_kexec_file_load, { -1, -1, 0, 0, 0 } },
	{ "init-module", SYS_init_module, { BAD, 0, BAD } },
	{ "finit-module", SYS_finit_module, { -1, BAD, 0 } },
	{ "delete-module", SYS_delete_module, { BAD, 0 } },
	{ "reboot", SYS_reboot, { 0, 0, 0, 0 } },
	{ "swapon", SYS_swapon, { BAD, 0 } },
	{ "swapoff", SYS_swapoff, { BAD } },
	{ "iopl", SYS_iopl, { 3 } },
	{ "ioperm", SYS_ioperm, { 0x80, 1, 1 } },
	{ "settimeofday", SYS_settimeofday, { BAD, 0 } },
	{ "clock-settime", SYS_clock_settime, { 0, BAD } },
	{ "quotactl", SYS_quotactl, { 0, BAD, 0, BAD } },
	{ "quotactl-fd", SYS_quotactl_fd, { -1, 0, 0, BAD } },
	{ "acct", SYS_acct, { BAD } },
	{ "syslog", SYS_syslog, { 10, 0, 0 } },
	{ "vhangup", SYS_vhangup, { 0 } },
	{ "sethostname", SYS_sethostname, { BAD, 3 } },
	{ "setdomainname", SYS_setdomainname, { BAD, 3 } },
	{ "fanotify-init", SYS_fanotify_init, { 0, 0 } },
	{ "ptrace-pid1", SYS_ptrace, { 16, 1, 0, 0 } },
	{ "ptrace-seize-pid1", SYS_ptrace, { 0x4206, 1, 0, 0 } },
	/* PTRACE_O_TRACEEXIT, of nobody: two that trace each other so would
	 * never end. 21 is the old number of PTRACE_SETOPTIONS. */
	{ "ptrace-traceexit", SYS_ptrace, { 0x4200, 0, 0, 0x40 } },
	{ "ptrace-traceexit-old", SYS_ptrace, { 21, 0, 0, 0x40 } },
	{ "ptrace-traceexit-more", SYS_ptrace, { 0x4200, 0, 0, 0x51 } },
	{ "ptrace-seize-traceexit", SYS_ptrace, { 0x4206, 0, 0, 0x40 } },
	{ "tiocsti", SYS_ioctl, { 0, 0x5412, BAD } },
	{ "tiocsti-high-bits", SYS_ioctl, { 0, 0x100005412L, BAD } },
	{ "tioclinux", SYS_ioctl, { 0, 0x541C, BAD } },
	{ "tiocsetd-high-bits", SYS_ioctl, { 0, 0x100005423L, BAD } },
	{ "x32-getpid", X32_BIT | SYS_getpid, { 0 } },
	{ "x32-ptrace", X32_BIT | 521, { 16, 1, 0, 0 } },
	{ "unknown-number", NR_UNKNOWN, { 0 } },
	{ "fchmodat2-suid", NR_FCHMODAT2, { AT_FDCWD, BAD, 04755, 0 } },
	{ "lookup-dcookie", SYS_lookup_dcookie, { 0, BAD, 0 } },
	{ "kcmp-pid1", SYS_kcmp, { 1, 1, 0, 0, 0 } },
	{ "adjtimex", SYS_adjtimex, { BAD } },
};
const size_t raw_probes_num = sizeof(raw_probes) / sizeof(raw_probes[0]);

/* clone(2), not clone3: what a filter sees of it is the flag word. */
static const char *clone_with(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		(void)waitpid((pid_t)pid, NULL, __WALL);
	return word_of(pid);
}

#define CLONE_PROBE(name, flag)                  \
	static const char *name(const char *arg) \
	{                                        \
		(void)arg;                       \
		return clone_with(flag);         \
	}

CLONE_PROBE(clone_user, CLONE_NEWUSER)
CLONE_PROBE(clone_mnt, CLONE_NEWNS)
CLONE_PROBE(clone_pid, CLONE_NEWPID)
CLONE_PROBE(clone_net, CLONE_NEWNET)
CLONE_PROBE(clone_ipc, CLONE_NEWIPC)
CLONE_PROBE(clone_uts, CLONE_NEWUTS)
CLONE_PROBE(clone_cgroup, CLONE_NEWCGROUP)
CLONE_PROBE(clone_plain, 0)
/* Refused nowhere, gains nothing: nobody traces us. */
CLONE_PROBE(clone_ptrace, CLONE_PTRACE)

/* Namespace flags hidden above bit 31 must be as dead as the plain ones. */
CLONE_PROBE(clone_user_high, CLONE_NEWUSER | 0x100000000UL)

static const char *setns_own(const char *arg)
{
	int fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);

	(void)arg;
	return fd < 0 ? word_fmt("no-fd") : word_of(setns(fd, 0));
}

/* The 32-bit door into a 64-bit kernel has numbers of its own: 20 is getpid.
 * A kernel without the door raises SIGSEGV. */
static const char *int80(long nr)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return word_of(-1);
	if (pid == 0) {
#if defined(__x86_64__)
		long r;

		__asm__ volatile("int $0x80"
				 : "=a"(r)
				 : "a"(nr), "b"(0L), "c"(0L), "d"(0L)
				 : "r8", "r9", "r10", "r11", "memory");
		_exit(r < 0 && r > -126 ? (int)-r : 0);
#else
		(void)nr;
		_exit(ENOSYS);
#endif
	}
	if (waitpid(pid, &status, 0) < 0)
		return word_of(-1);
	if (WIFSIGNALED(status))
		return word_fmt("SIG%s", sigabbrev_np(WTERMSIG(status)));
	errno = WEXITSTATUS(status);
	return word_of(errno ? -1 : 0);
}

static const char *int80_getpid(const char *arg)
{
	(void)arg;
	return int80(20);
}

static const char *int80_unshare(const char *arg)
{
	(void)arg;
	return int80(310);
}

static const char *seccomp_off(const char *arg)
{
	(void)arg;
	return word_of(prctl(PR_SET_SECCOMP, SECCOMP_MODE_DISABLED, 0, 0, 0));
}

/* A filter of the workload's own that allows everything takes nothing away. */
static const char *seccomp_allow_all(const char *arg)
{
	struct sock_filter allow[] = {
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = 1, .filter = allow };

	(void)arg;
	(void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0);
	return word_of(unshare(CLONE_NEWUSER));
}

static const char *mount_proc_real(const char *arg)
{
	(void)arg;
	return word_of(mount("proc", "/tmp", "proc", 0, NULL));
}

static const char *remount_usr(const char *arg)
{
	(void)arg;
	return word_of(mount(NULL, "/usr", NULL, MS_REMOUNT | MS_BIND, NULL));
}

static const char *umount_usr(const char *arg)
{
	(void)arg;
	return word_of(umount2("/usr", MNT_DETACH));
}

const struct probe kernel_probes[] = {
	{ "clone-newuser", clone_user },
	{ "clone-newns", clone_mnt },
	{ "clone-newpid", clone_pid },
	{ "clone-newnet", clone_net },
	{ "clone-newipc", clone_ipc },
	{ "clone-newuts", clone_uts },
	{ "clone-newcgroup", clone_cgroup },
	{ "clone-newuser-high-bits", clone_user_high },
	{ "clone-plain", clone_plain },
	{ "clone-ptrace", clone_ptrace },
	{ "setns-own", setns_own },
	{ "int80-getpid", int80_getpid },
	{ "int80-unshare", int80_unshare },
	{ "seccomp-off", seccomp_off },
	{ "seccomp-allow-all", seccomp_allow_all },
	{ "mount-proc", mount_proc_real },
	{ "remount-usr-rw", remount_usr },
	{ "umount-usr", umount_usr },
};
const size_t kernel_probes_num =
	sizeof(kernel_probes) / sizeof(kernel_probes[0]);
