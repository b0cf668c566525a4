/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Build-time generator: the tables of sys/seccomp_rules.h to classic BPF, as
 * C arrays on stdout. Uses libseccomp; runs on the build machine only.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/seccomp_rules.h"

#define LOW32 0xffffffffu

static void need(int r, const char *what)
{
	if (r == 0)
		return;
	(void)fprintf(stderr, "seccomp-gen: %s: %s\n", what, strerror(-r));
	exit(1);
}

/* A name this libseccomp does not know stays unlisted: ENOSYS, not open. */
static bool known(const char *name, int *nr)
{
	*nr = seccomp_syscall_resolve_name(name);
	return *nr != __NR_SCMP_ERROR && *nr >= 0;
}

static void rule(scmp_filter_ctx c, uint32_t action, const char *name)
{
	int nr;

	if (known(name, &nr))
		need(seccomp_rule_add(c, action, nr, 0), name);
}

static void rule1(scmp_filter_ctx c, uint32_t action, const char *name,
		  struct scmp_arg_cmp a)
{
	int nr;

	if (known(name, &nr))
		need(seccomp_rule_add(c, action, nr, 1, a), name);
}

static scmp_filter_ctx filter(uint32_t dflt, uint32_t bad_arch)
{
	scmp_filter_ctx c = seccomp_init(dflt);

	if (!c)
		exit(1);
	need(seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, bad_arch), "arch");
	need(seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimize");
	return c;
}

static void print(const char *name, const struct sock_filter *f, size_t n)
{
	(void)printf("static const struct sock_filter %s[] = {\n", name);
	for (size_t i = 0; i < n; i++)
		(void)printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", f[i].code,
			     f[i].jt, f[i].jf, f[i].k);
	(void)printf("};\n/* %zu instructions */\n\n", n);
}

static void emit(scmp_filter_ctx c, const char *name)
{
	static struct sock_filter f[BPF_MAXINSNS];
	int fd = memfd_create("bpf", 0);
	ssize_t n;

	need(seccomp_export_bpf(c, fd), "export");
	n = pread(fd, f, sizeof(f), 0);
	need(n < 0 ? -errno : 0, "read");
	print(name, f, (size_t)n / sizeof(f[0]));
	(void)close(fd);
	seccomp_release(c);
}

/*
 * The allowlist is our own program: numbers in runs, found by bisection. Of
 * libseccomp it would be one comparison a number, four times as long, and the
 * kernel compiles it at every start.
 */
enum { NR_END = 1024, RUNS_MAX = 128 };

struct runs {
	bool allowed[NR_END];
	unsigned from[RUNS_MAX]; /* where the answer changes; from[0] is 0 */
	unsigned n;
	struct sock_filter code[2 * RUNS_MAX + 8];
	unsigned len;
};

static void put(struct runs *r, struct sock_filter f)
{
	r->code[r->len++] = f;
}

static uint32_t answer(const struct runs *r, unsigned nr)
{
	return nr < NR_END && r->allowed[nr]
		       ? SECCOMP_RET_ALLOW
		       : (uint32_t)SECCOMP_RET_ERRNO | ENOSYS;
}

static void bisect(struct runs *r, unsigned lo, unsigned hi)
{
	unsigned mid = (lo + hi) / 2;

	if (hi - lo == 1) {
		put(r, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						    answer(r, r->from[lo])));
		return;
	}
	/* the lower half of n runs takes 2n - 1 instructions */
	put(r, (struct sock_filter)BPF_JUMP(
		       BPF_JMP | BPF_JGE | BPF_K, r->from[mid],
		       (unsigned char)(2 * (mid - lo) - 1), 0));
	bisect(r, lo, mid);
	bisect(r, mid, hi);
}

/* What the program says of a call: it is checked before it is used. */
static uint32_t run(const struct runs *r, uint32_t arch, uint32_t nr)
{
	uint32_t a = 0;

	for (unsigned i = 0; i < r->len; i++) {
		const struct sock_filter *f = &r->code[i];

		if (f->code == (BPF_LD | BPF_W | BPF_ABS))
			a = f->k == offsetof(struct seccomp_data, arch) ? arch
									: nr;
		else if (f->code == (BPF_JMP | BPF_JEQ | BPF_K))
			i += a == f->k ? f->jt : f->jf;
		else if (f->code == (BPF_JMP | BPF_JGE | BPF_K))
			i += a >= f->k ? f->jt : f->jf;
		else
			return f->k;
	}
	return ~0u;
}

static void allow_filter(void)
{
	static struct runs r;
	const uint32_t none = (uint32_t)SECCOMP_RET_ERRNO | ENOSYS;
	bool good;
	int nr;

#define X(name)                                         \
	if (known(#name, &nr) && (unsigned)nr < NR_END) \
		r.allowed[nr] = true;
	SECCOMP_ALLOWED(X)
	SECCOMP_WATCHED(X)
#undef X
	for (unsigned i = 0; i < NR_END; i++) {
		if (i && r.allowed[i] == r.allowed[i - 1])
			continue;
		need(r.n < RUNS_MAX ? 0 : -E2BIG, "allowlist");
		r.from[r.n++] = i;
	}
	put(&r,
	    (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					 offsetof(struct seccomp_data, arch)));
	put(&r, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
					     AUDIT_ARCH_X86_64, 1, 0));
	put(&r, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, none));
	put(&r,
	    (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					 offsetof(struct seccomp_data, nr)));
	bisect(&r, 0, r.n);
	/* other ABIs and x32 (0x40000000 and up) are no number of ours */
	good = run(&r, AUDIT_ARCH_I386, 20) == none;
	for (unsigned i = 0; i < NR_END; i++)
		good &= run(&r, AUDIT_ARCH_X86_64, i) == answer(&r, i) &&
			run(&r, AUDIT_ARCH_X86_64, 0x40000000u | i) == none;
	need(good ? 0 : -EPROTO, "allowlist");
	print("allow_filter", r.code, r.len);
}

/*
 * Open: AF_UNIX 1, AF_INET 2, AF_INET6 10, AF_NETLINK 16 (libc lists addresses
 * with it). The kernel takes the low 32 bits; a value with upper bits set is
 * refused as a family nobody knows, which is as good.
 */
static void sockets(scmp_filter_ctx c)
{
	static const char *const calls[] = { "socket", "socketpair" };
	static const unsigned loaded[] = { IPPROTO_DCCP, IPPROTO_SCTP,
					   115 /* L2TP */,
					   256 /* SMC, Linux 6.11 */ };
	int nr;

	for (size_t i = 0; i < 2; i++) {
		for (unsigned d = 0; d <= AF_PACKET; d++) {
			if (d == AF_UNIX || d == AF_INET || d == AF_INET6 ||
			    d == AF_NETLINK)
				continue;
			rule1(c,
			      d == AF_PACKET ? SCMP_ACT_ERRNO(EPERM)
					     : SCMP_ACT_ERRNO(EAFNOSUPPORT),
			      calls[i], SCMP_A0(SCMP_CMP_MASKED_EQ, LOW32, d));
		}
		rule1(c, SCMP_ACT_ERRNO(EAFNOSUPPORT), calls[i],
		      SCMP_A0(SCMP_CMP_GT, AF_PACKET, 0));
	}
	/* only NETLINK_ROUTE */
	if (known("socket", &nr))
		need(seccomp_rule_add(c, SCMP_ACT_ERRNO(EPROTONOSUPPORT), nr, 2,
				      SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0),
				      SCMP_A2(SCMP_CMP_NE, NETLINK_ROUTE, 0)),
		     "netlink");
	/*
	 * None of those the kernel loads a module for, whoever asks: what comes
	 * of them passes no door, and waits for an answer.
	 */
	for (size_t i = 0; i < sizeof(loaded) / sizeof(*loaded); i++)
		rule1(c, SCMP_ACT_ERRNO(EPROTONOSUPPORT), "socket",
		      SCMP_A2(SCMP_CMP_MASKED_EQ, LOW32, loaded[i]));
}

static void set_id_bits(scmp_filter_ctx c)
{
	static const struct {
		const char *name;
		unsigned arg;
		bool create; /* mode counts only with O_CREAT, always there */
	} modes[] = {
		{ "chmod", 1, false },	  { "fchmod", 1, false },
		{ "fchmodat", 2, false }, { "creat", 1, false },
		{ "open", 2, false },	  { "openat", 3, false },
		{ "mknod", 1, false },	  { "mknodat", 2, false },
		{ "mkdir", 1, false },	  { "mkdirat", 2, false },
	};
	const unsigned bits[] = { S_ISUID, S_ISGID };
	const unsigned creat[] = { O_CREAT, __O_TMPFILE };
	int nr;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		bool is_open = !strncmp(modes[i].name, "open", 4);
		unsigned flags_arg = modes[i].arg - 1;

		if (!known(modes[i].name, &nr))
			continue;
		for (size_t b = 0; b < 2; b++) {
			struct scmp_arg_cmp m =
				SCMP_CMP(modes[i].arg, SCMP_CMP_MASKED_EQ,
					 bits[b], bits[b]);

			if (!is_open) {
				need(seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM),
						      nr, 1, m),
				     modes[i].name);
				continue;
			}
			/* without O_CREAT the mode argument is garbage */
			for (size_t k = 0; k < 2; k++)
				need(seccomp_rule_add(
					     c, SCMP_ACT_ERRNO(EPERM), nr, 2, m,
					     SCMP_CMP(flags_arg,
						      SCMP_CMP_MASKED_EQ,
						      creat[k], creat[k])),
				     modes[i].name);
		}
	}
}

/* Whatever the upper bits of the request say: the kernel takes 32. */
static void ioctls(scmp_filter_ctx c, uint32_t watched)
{
	static const unsigned requests[] = {
		0x5412, /* TIOCSTI: type into a terminal */
		0x541c, /* TIOCLINUX: the same on a console */
		0x5423, /* TIOCSETD: load a line discipline of the host */
	};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		rule1(c, watched, "ioctl",
		      SCMP_A1(SCMP_CMP_MASKED_EQ, LOW32, requests[i]));
}

/*
 * RLIMIT_CORE is 1, at which the kernel starts no core_pattern helper, and it
 * stays: programs that set it to 0 are told that it worked. Pid 1 has the
 * workload's uid where there is only one: its limits are not to be touched.
 */
static void limits(scmp_filter_ctx c)
{
	int nr;

	rule1(c, SCMP_ACT_ERRNO(0), "setrlimit",
	      SCMP_A0(SCMP_CMP_MASKED_EQ, LOW32, RLIMIT_CORE));
	if (known("prlimit64", &nr)) {
		need(seccomp_rule_add(
			     c, SCMP_ACT_ERRNO(0), nr, 2,
			     SCMP_A1(SCMP_CMP_MASKED_EQ, LOW32, RLIMIT_CORE),
			     SCMP_A2(SCMP_CMP_NE, 0, 0)),
		     "prlimit64");
		need(seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), nr, 1,
				      SCMP_A0(SCMP_CMP_MASKED_EQ, LOW32, 1)),
		     "prlimit64");
	}
}

/*
 * Two processes that trace each other with PTRACE_O_TRACEEXIT (0x40) stop in
 * each other's exit, where no signal reaches them: a cell that cannot end.
 */
static void tracing(scmp_filter_ctx c)
{
	static const unsigned requests[] = {
		21,	/* PTRACE_OLDSETOPTIONS */
		0x4200, /* PTRACE_SETOPTIONS */
		0x4206, /* PTRACE_SEIZE */
	};
	int nr;

	if (!known("ptrace", &nr))
		return;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		need(seccomp_rule_add(
			     c, SCMP_ACT_ERRNO(EPERM), nr, 2,
			     SCMP_A0(SCMP_CMP_MASKED_EQ, LOW32, requests[i]),
			     SCMP_A3(SCMP_CMP_MASKED_EQ, 0x40, 0x40)),
		     "ptrace");
}

/*
 * Signals to pid 1: it ignores them, but where it has the workload's uid and
 * Landlock has no scope for signals (before ABI 6) they would be let through.
 */
static void signals(scmp_filter_ctx c)
{
	static const char *const calls[] = {
		"kill",
		"tkill",
		"tgkill",
		"rt_sigqueueinfo",
		"rt_tgsigqueueinfo",
		"pidfd_open",
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		rule1(c, SCMP_ACT_ERRNO(EPERM), calls[i],
		      SCMP_A0(SCMP_CMP_MASKED_EQ, LOW32, 1));
}

/* @watched: what becomes of a call that is worth an event */
static void watch_filter(uint32_t watched, const char *array)
{
	static const unsigned ns[] = { CLONE_NEWNS,	CLONE_NEWUTS,
				       CLONE_NEWIPC,	CLONE_NEWUSER,
				       CLONE_NEWPID,	CLONE_NEWNET,
				       CLONE_NEWCGROUP, 0x00000080 };
	scmp_filter_ctx c = filter(SCMP_ACT_ALLOW, SCMP_ACT_ALLOW);

#define X(name) rule(c, watched, #name);
	SECCOMP_WATCHED(X)
#undef X
	/* 0x80 is CLONE_NEWTIME, part of the exit signal for clone(2) */
	for (size_t i = 0; i + 1 < sizeof(ns) / sizeof(ns[0]); i++)
		rule1(c, watched, "clone",
		      SCMP_A0(SCMP_CMP_MASKED_EQ, ns[i], ns[i]));
	sockets(c);
	set_id_bits(c);
	ioctls(c, watched);
	limits(c);
	tracing(c);
	signals(c);
	emit(c, array);
}

/*
 * Of the processes of a runtime only this: whatever a sandbox has them do,
 * they make no file that runs as its owner. The newer calls take the mode
 * where a filter cannot see it, or have no name in this libseccomp.
 */
static void runtime_filter(void)
{
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	const int openat2_nr = 437, fchmodat2_nr = 452;
	scmp_filter_ctx c = filter(SCMP_ACT_ALLOW, no);

	set_id_bits(c);
	need(seccomp_rule_add(c, no, openat2_nr, 0), "openat2");
	need(seccomp_rule_add(c, no, fchmodat2_nr, 0), "fchmodat2");
	emit(c, "runtime_filter");
}

static void baseline_filter(void)
{
	/* another ABI would slip past the numbers: kill, as the original */
	scmp_filter_ctx c = filter(SCMP_ACT_ALLOW, SCMP_ACT_KILL_PROCESS);

#define X(name) rule(c, SCMP_ACT_ERRNO(EPERM), #name);
	SECCOMP_BASELINE(X)
#undef X
	emit(c, "baseline_filter");
}

/* Nothing but what is named, and memory that is not executed */
static scmp_filter_ctx closed_filter(void)
{
	static const char *const memory[] = { "mmap", "mprotect" };
	scmp_filter_ctx c =
		filter(SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_PROCESS);

	for (size_t i = 0; i < 2; i++)
		rule1(c, SCMP_ACT_ALLOW, memory[i],
		      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return c;
}

static void unpack_filter(void)
{
	scmp_filter_ctx c = closed_filter();

#define X(name) rule(c, SCMP_ACT_ALLOW, #name);
	SECCOMP_UNPACK(X)
#undef X
	emit(c, "unpack_filter");
}

static void gate_filter(void)
{
	scmp_filter_ctx c = closed_filter();

#define X(name) rule(c, SCMP_ACT_ALLOW, #name);
	SECCOMP_GATE(X)
#undef X
	rule1(c, SCMP_ACT_ALLOW, "socket", SCMP_A0(SCMP_CMP_EQ, AF_INET, 0));
	rule1(c, SCMP_ACT_ALLOW, "socket", SCMP_A0(SCMP_CMP_EQ, AF_INET6, 0));
	emit(c, "gate_filter");
}

static void names(void)
{
	(void)printf("static const struct { int nr; const char *name; } "
		     "watched[] = {\n");
#define X(name)                                                         \
	{                                                               \
		int nr;                                                 \
		if (known(#name, &nr))                                  \
			(void)printf("\t{ %d, \"%s\" },\n", nr, #name); \
	}
	/* clang-format off */
	SECCOMP_WATCHED(X)
	X(clone) X(ioctl)
#undef X
	(void)printf("};\n");
	/* clang-format on */
}

int main(void)
{
	(void)printf("/* Generated by tools/seccomp-gen.c. */\n");
	allow_filter();
	watch_filter(SCMP_ACT_NOTIFY, "watch_filter");
	watch_filter(SCMP_ACT_ERRNO(EPERM), "refuse_filter");
	runtime_filter();
	baseline_filter();
	gate_filter();
	unpack_filter();
	names();
	return 0;
}
