/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The signer process. Lockdown in this order: no other descriptor, no signal
 * of the terminal, dies with its parent, no dump, no limit left to grow, key
 * locked in memory, no new privileges, seccomp. After that only messages.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "evidence/signer_wire.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "the signer's filter knows x86_64 and aarch64"
#endif

#define LOAD(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RET(what) BPF_STMT(BPF_RET | BPF_K, what)
#define ALLOW(nr) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), RET(SECCOMP_RET_ALLOW)

static int filter_load(void)
{
	struct sock_filter code[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		RET(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		ALLOW(__NR_read),
		ALLOW(__NR_write),
		ALLOW(__NR_recvfrom),
		ALLOW(__NR_sendto),
		ALLOW(__NR_recvmsg),
		ALLOW(__NR_sendmsg),
		ALLOW(__NR_exit),
		ALLOW(__NR_exit_group),
		ALLOW(__NR_rt_sigreturn),
		ALLOW(__NR_munmap),
		ALLOW(__NR_brk),
		ALLOW(__NR_madvise),
		/* memory yes, code no; little-endian: prot is the low word */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 0, 3),
		LOAD(args[2]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0),
		RET(SECCOMP_RET_ALLOW),
		RET(SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog prog = {
		.len = (unsigned short)ARRAY_SIZE(code),
		.filter = code,
	};

	if (SANITIZED)
		return 0;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0);
}

static int close_others(int fd)
{
	if (fd > 0 && fd_close_range(0, (unsigned)fd - 1) < 0)
		return -1;
	return fd_close_range((unsigned)fd + 1, ~0u);
}

static void limits_drop(void)
{
	const struct rlimit none = { 0, 0 };

	/* A limit that cannot be lowered is no hole: seccomp follows. */
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)setrlimit(RLIMIT_FSIZE, &none);
	(void)setrlimit(RLIMIT_NPROC, &none);
	(void)setrlimit(RLIMIT_NOFILE, &none);
	(void)setrlimit(RLIMIT_MSGQUEUE, &none);
}

static void signals_ignore(void)
{
	static const int all[] = { SIGINT,  SIGTERM, SIGHUP,  SIGQUIT,
				   SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE,
				   SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD };
	sigset_t none;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		(void)signal(all[i], SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The end of the run must still be signed after a Ctrl-C of the terminal. */
static int lockdown(int fd, pid_t parent, struct seal *s)
{
	const struct sched_param batch = { 0 };

	if (close_others(fd) < 0)
		return -1;
	signals_ignore();
	(void)setsid();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return -1;
	(void)prctl(PR_SET_NAME, "cellos-signer");
	/* woken by an event, it does not push the runner aside */
	(void)!syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &batch);
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return -1;
	(void)mlock(s->key, sizeof(s->key));
	limits_drop();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return filter_load();
}

static bool do_begin(struct seal *s, struct slice c, struct err *e)
{
	const char *cell, *spec, *run, *uuid;

	if (!signer_get_str(&c, &cell) || !signer_get_str(&c, &spec) ||
	    !signer_get_str(&c, &run) || !signer_get_str(&c, &uuid) || c.n)
		return false;
	e->text[0] = '\0';
	(void)!link_begin(&s->keeper, cell, spec, run, uuid, e);
	return true;
}

static bool do_event(struct seal *s, struct slice c, struct wbuf *line,
		     struct err *e)
{
	struct event ev = { 0 };
	uint64_t n;

	if (!signer_get_u64(&c, &n) || !signer_get_str(&c, &ev.id) ||
	    !signer_get_str(&c, &ev.source) || !signer_get_str(&c, &ev.type) ||
	    !signer_get_str(&c, &ev.time) || !signer_get_slice(&c, &ev.data) ||
	    c.n || !ev.id || !ev.source || !ev.type)
		return false;
	(void)!seal_event(s, n, &ev, line, e);
	return true;
}

static bool do_link(struct seal *s, struct slice c, struct wbuf *line,
		    struct err *e)
{
	const char *id, *time;
	uint8_t final;
	uint64_t n;

	if (!signer_get_u64(&c, &n) || !signer_get_u8(&c, &final) ||
	    !signer_get_str(&c, &id) || !signer_get_str(&c, &time) || c.n ||
	    !id || final > 1)
		return false;
	(void)!seal_link(s, n, id, time, final, line, e);
	return true;
}

/* Return: false if the peer broke the form */
static bool answer(struct seal *s, struct slice msg, struct wbuf *line,
		   struct wbuf *out)
{
	struct err e = { 0 };
	uint8_t kind = 0;
	bool ok;

	wbuf_reset(line);
	if (!signer_get_u8(&msg, &kind))
		return false;
	switch (kind) {
	case SIGNER_REQ_BEGIN:
		ok = do_begin(s, msg, &e);
		break;
	case SIGNER_REQ_EVENT:
		ok = do_event(s, msg, line, &e);
		break;
	case SIGNER_REQ_LINK:
		ok = do_link(s, msg, line, &e);
		break;
	default:
		return false;
	}
	signer_put_begin(out, e.text[0] ? SIGNER_REFUSED : SIGNER_OK);
	if (e.text[0])
		wbuf_str(out, e.text);
	else
		wbuf_slice(out, wbuf_as_slice(line));
	signer_put_end(out);
	return ok && !out->failed;
}

void signer_main(int fd, pid_t parent, struct seal *s)
{
	struct wbuf line = WBUF_INIT(LIMIT_EVENT_LINE);
	struct wbuf out = WBUF_INIT(SIGNER_MESSAGE_MAX);
	struct signer_inbox in = { .buf = malloc(SIGNER_INBOX) };
	struct slice msg;

	if (!in.buf || lockdown(fd, parent, s) < 0)
		_exit(1);
	signer_put_begin(&out, SIGNER_OK);
	signer_put_end(&out);
	while (!signer_send(fd, wbuf_as_slice(&out)) &&
	       !signer_recv(fd, &in, &msg) && answer(s, msg, &line, &out))
		;
	seal_drop(s);
	_exit(0);
}
