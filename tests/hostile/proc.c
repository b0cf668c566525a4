/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Attacks on processes and privileges: on pid 1, on capabilities and ids, and
 * a look at everything that could have been inherited.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/securebits.h>
#include <mqueue.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"

extern char **environ;

static void pause_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000,
			       .tv_nsec = ms % 1000 * 1000000 };

	(void)nanosleep(&ts, NULL);
}

/* Every signal at pid 1; afterwards it must be there and not be stopped. */
static const char *kill_pid1(const char *arg)
{
	const char *state;

	(void)arg;
	for (int sig = 1; sig < SIGRTMAX; sig++)
		(void)kill(1, sig);
	pause_ms(50);
	state = word_status("/proc/1/status", "State");
	return *state == 'S' || *state == 'R' ? "survived" : state;
}

static const char *kill_all(const char *arg)
{
	(void)arg;
	return word_of(kill(-1, SIGKILL));
}

static const char *pidfd_pid1(const char *arg)
{
	long fd = syscall(SYS_pidfd_open, 1, 0);

	(void)arg;
	if (fd < 0)
		return word_of(-1);
	return word_of(syscall(SYS_pidfd_getfd, fd, 0, 0));
}

static const char *vm_read_pid1(const char *arg)
{
	char c;
	struct iovec here = { &c, 1 }, there = { (void *)&environ, 1 };

	(void)arg;
	return word_of(process_vm_readv(1, &here, 1, &there, 1, 0));
}

static const char *vm_write_pid1(const char *arg)
{
	char c = 0;
	struct iovec here = { &c, 1 }, there = { (void *)&environ, 1 };

	(void)arg;
	return word_of(process_vm_writev(1, &here, 1, &there, 1, 0));
}

static const char *prlimit_pid1(const char *arg)
{
	struct rlimit r;

	(void)arg;
	return word_of(prlimit(1, RLIMIT_NOFILE, NULL, &r));
}

static const char *proc_link(const char *arg)
{
	char to[256];

	return word_of(readlink(arg, to, sizeof(to)));
}

static const char *proc_dir(const char *arg)
{
	DIR *d = opendir(arg);

	if (!d)
		return word_of(-1);
	(void)closedir(d);
	return "ok";
}

/* The workload's own children are its own to trace. */
static const char *ptrace_child(const char *arg)
{
	const char *w;
	pid_t pid = fork();

	(void)arg;
	if (pid == 0) {
		pause_ms(10000);
		_exit(0);
	}
	w = word_of(ptrace(PTRACE_SEIZE, pid, 0, 0));
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return w;
}

/* What every debugger does with a child, options of its own included. */
static const char *ptrace_cont(const char *arg)
{
	int status;
	pid_t pid = fork();

	(void)arg;
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
			_exit(1);
		(void)raise(SIGSTOP);
		_exit(42);
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
		return word_fmt("not stopped: %x", (unsigned)status);
	if (ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD) < 0 ||
	    ptrace(PTRACE_CONT, pid, 0, 0) < 0)
		return word_of(-1);
	if (waitpid(pid, &status, 0) < 0)
		return word_of(-1);
	return word_fmt("exit-%d",
			WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

/* As the kernel answers, and not as its /proc shows it: some show nothing. */
static const char *caps(const char *arg)
{
	struct __user_cap_header_struct h = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct d[2] = { 0 };
	unsigned long long all = 0;

	(void)arg;
	if (syscall(SYS_capget, &h, d) < 0)
		return word_of(-1);
	for (unsigned i = 0; i < 64; i++) {
		const struct __user_cap_data_struct *set = &d[i / 32];
		unsigned held =
			set->inheritable | set->permitted | set->effective;

		if ((held >> i % 32 & 1) ||
		    prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1 ||
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1)
			all |= 1ULL << i;
	}
	return word_fmt("%llx", all);
}

static const char *capset_all(const char *arg)
{
	struct __user_cap_header_struct h = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct d[2];

	(void)arg;
	memset(d, 0xff, sizeof(d));
	return word_of(syscall(SYS_capset, &h, d));
}

static const char *securebits(const char *arg)
{
	(void)arg;
	return word_of(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS, 0, 0, 0));
}

static const char *ambient(const char *arg)
{
	(void)arg;
	return word_of(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE,
			     CAP_SYS_ADMIN, 0, 0));
}

static const char *nnp_off(const char *arg)
{
	(void)arg;
	return word_of(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static const char *nnp(const char *arg)
{
	(void)arg;
	return word_fmt("%d", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static const char *dumpable_root(const char *arg)
{
	(void)arg;
	return word_of(prctl(PR_SET_DUMPABLE, 2, 0, 0, 0));
}

static const char *set_mm(const char *arg)
{
	(void)arg;
	return word_of(prctl(PR_SET_MM, PR_SET_MM_BRK, 0, 0, 0));
}

/* 4242 is mapped nowhere and is nobody's id here. */
static const char *setuid_other(const char *arg)
{
	(void)arg;
	return word_of(setresuid(4242, 4242, 4242));
}

static const char *setgroups_none(const char *arg)
{
	(void)arg;
	return word_of(setgroups(0, NULL));
}

static const char *uid_map(const char *arg)
{
	int fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);

	(void)arg;
	if (fd < 0)
		return word_of(-1);
	return word_of(write(fd, "0 0 1\n", 6));
}

static const char *oom_score(const char *arg)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	(void)arg;
	if (fd < 0)
		return word_of(-1);
	return word_of(write(fd, "-1000", 5));
}

static const char *core_limit(const char *arg)
{
	struct rlimit r;

	(void)arg;
	if (getrlimit(RLIMIT_CORE, &r) < 0)
		return word_of(-1);
	return word_fmt("%ld/%ld", (long)r.rlim_cur, (long)r.rlim_max);
}

/* Through each of the three doors; the limit itself is then the answer. */
static const char *set_core(rlim_t value)
{
	struct rlimit r = { value, value };

	if (syscall(SYS_setrlimit, RLIMIT_CORE, &r) < 0 ||
	    prlimit(0, RLIMIT_CORE, &r, NULL) < 0 ||
	    prlimit(getpid(), RLIMIT_CORE, &r, NULL) < 0)
		return word_of(-1);
	return core_limit("");
}

static const char *raise_core(const char *arg)
{
	(void)arg;
	return set_core(RLIM_INFINITY);
}

static const char *lower_core(const char *arg)
{
	(void)arg;
	return set_core(0);
}

static const char *nice_up(const char *arg)
{
	(void)arg;
	return word_of(setpriority(PRIO_PROCESS, 0, -10));
}

/* What the kernel tells a program about its own start: AT_SECURE is 1 where a
 * set-uid bit took effect, and then the loader shows nothing. */
static const char *suid_exec(const char *arg)
{
	static char *const envp[] = { (char *)"LD_SHOW_AUXV=1", NULL };
	char buf[4096] = "", *const argv[] = { (char *)arg, NULL };
	int out[2];
	ssize_t n;
	size_t len = 0;
	pid_t pid;

	if (pipe(out) < 0)
		return word_of(-1);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		(void)dup2(null, 0);
		(void)dup2(out[1], 1);
		(void)dup2(null, 2);
		(void)close(out[0]);
		(void)close(out[1]);
		(void)execve(arg, argv, envp);
		_exit(127);
	}
	(void)close(out[1]);
	while (len < sizeof(buf) - 1 &&
	       (n = read(out[0], buf + len, sizeof(buf) - 1 - len)) > 0)
		len += (size_t)n;
	(void)close(out[0]);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return strstr(buf, "AT_SECURE:            0") ? "unprivileged"
						      : "privileged";
}

static const char *environment(const char *arg)
{
	char all[2048] = "";
	size_t n = 0;

	(void)arg;
	while (environ[n])
		n++;
	for (size_t i = 0; i < n; i++) /* selection sort: a handful */
		for (size_t j = i + 1; j < n; j++)
			if (strcmp(environ[j], environ[i]) < 0) {
				char *t = environ[i];

				environ[i] = environ[j];
				environ[j] = t;
			}
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(all);

		(void)snprintf(all + len, sizeof(all) - len, "%s%s",
			       len ? "," : "", environ[i]);
	}
	return word_fmt("%s", all);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* A thread of the kernel has a number like a process. */
static int is_of_kernel(int pid)
{
	char path[64], text[512];
	const char *p;
	unsigned flags = 0;
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	(void)fclose(f);
	text[n] = '\0';
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
		return 0;
	return (flags & 0x200000) != 0; /* PF_KTHREAD */
}

/* Who started us, if it is not pid 1 but the suite, may be seen. */
static int is_expected(int pid)
{
	return (pid != 1 && pid == getppid()) || is_of_kernel(pid);
}

/* Numbers that a directory of /proc lists, without @skip; of processes without
 * those that are expected. */
static const char *numbers(const char *dir, int skip_fd, int skip)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n[256];
	size_t num = 0;
	char all[1024] = "";

	if (!d)
		return word_of(-1);
	if (skip_fd)
		skip = dirfd(d);
	while ((e = readdir(d)) && num < 256) {
		char *end;
		long v = strtol(e->d_name, &end, 10);

		if (*end == '\0' && v != skip &&
		    (skip_fd || !is_expected((int)v)))
			n[num++] = (int)v;
	}
	(void)closedir(d);
	qsort(n, num, sizeof(n[0]), by_number);
	for (size_t i = 0; i < num; i++) {
		size_t len = strlen(all);

		(void)snprintf(all + len, sizeof(all) - len, "%s%d",
			       len ? "," : "", n[i]);
	}
	return word_fmt("%s", all);
}

static const char *fds(const char *arg)
{
	(void)arg;
	return numbers("/proc/self/fd", 1, 0);
}

static const char *pids(const char *arg)
{
	(void)arg;
	return numbers("/proc", 0, getpid());
}

static const char *status(const char *arg)
{
	return word_status("/proc/self/status", arg);
}

static const char *cat(const char *arg)
{
	return word_read(arg);
}

static const char *host_shm(const char *arg)
{
	return word_of(shmget((key_t)strtol(arg, NULL, 0), 0, 0));
}

static const char *host_mq(const char *arg)
{
	return word_of(mq_open(arg, O_RDONLY));
}

static const char *hostname(const char *arg)
{
	char name[256] = "";

	(void)arg;
	if (gethostname(name, sizeof(name) - 1) < 0)
		return word_of(-1);
	return word_fmt("%s", name);
}

static const char *controlling_tty(const char *arg)
{
	(void)arg;
	return word_of(open("/dev/tty", O_RDWR | O_CLOEXEC));
}

/* The kernel stacks at most 16 Landlock layers: what is missing of them when
 * one adds one's own is what was there before. */
static const char *landlock_layers(const char *arg)
{
	struct landlock_ruleset_attr a = { .handled_access_fs =
						   LANDLOCK_ACCESS_FS_EXECUTE };
	long fd = syscall(SYS_landlock_create_ruleset, &a, sizeof(uint64_t), 0);
	int n = 0;

	(void)arg;
	if (fd < 0)
		return word_of(-1);
	while (n < 64 && syscall(SYS_landlock_restrict_self, fd, 0) == 0)
		n++;
	return word_fmt("%d", n);
}

static const char *signal_pid1(const char *arg)
{
	(void)arg;
	return word_of(kill(1, 0));
}

static const char *session(const char *arg)
{
	(void)arg;
	return getsid(0) > 0 ? "own" : "foreign";
}

const struct probe proc_probes[] = {
	{ "kill-pid1", kill_pid1 },
	{ "kill-all", kill_all },
	{ "pidfd-getfd-pid1", pidfd_pid1 },
	{ "vm-read-pid1", vm_read_pid1 },
	{ "vm-write-pid1", vm_write_pid1 },
	{ "prlimit-pid1", prlimit_pid1 },
	{ "proc-link", proc_link },
	{ "proc-dir", proc_dir },
	{ "ptrace-child", ptrace_child },
	{ "ptrace-cont", ptrace_cont },
	{ "caps", caps },
	{ "capset", capset_all },
	{ "securebits", securebits },
	{ "ambient", ambient },
	{ "nnp-off", nnp_off },
	{ "nnp", nnp },
	{ "dumpable-root", dumpable_root },
	{ "set-mm", set_mm },
	{ "setuid-other", setuid_other },
	{ "setgroups", setgroups_none },
	{ "uid-map", uid_map },
	{ "oom-score", oom_score },
	{ "core-limit", core_limit },
	{ "raise-core", raise_core },
	{ "lower-core", lower_core },
	{ "nice", nice_up },
	{ "suid-exec", suid_exec },
	{ "environment", environment },
	{ "fds", fds },
	{ "pids", pids },
	{ "status", status },
	{ "cat", cat },
	{ "host-shm", host_shm },
	{ "host-mq", host_mq },
	{ "hostname", hostname },
	{ "controlling-tty", controlling_tty },
	{ "session", session },
	{ "landlock-layers", landlock_layers },
	{ "signal-pid1", signal_pid1 },
};
const size_t proc_probes_num = sizeof(proc_probes) / sizeof(proc_probes[0]);
