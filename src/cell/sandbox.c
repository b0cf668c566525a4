/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The driver of a sandbox: a process of the cell that has runsc boot a kernel
 * in user space with our own pid 1 in it, lets the command go, and ends as the
 * command did. All that it starts is its own to reap, and dies with the cell's
 * pid 1.
 *
 * runsc run --detach ─► READY of the guest ─► READY to the supervisor
 *           GO of the supervisor ─► go ─► RUNNING ─► ENDED
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cell/command.h"
#include "cell/door.h"
#include "cell/driver.h"
#include "cell/guest.h"
#include "cell/oci.h"
#include "cell/stage.h"
#include "sys/netns.h"
#include "sys/seccomp.h"

enum { CONFIG_MAX = 4 * 1024 * 1024, ARGS_MAX = 16, TRIAL_MS = 5000 };

struct driver {
	const struct stage *s;
	size_t step;	   /* of the plan */
	int report;	   /* what the guest says */
	int channel;	   /* the directory it is in, watched */
	int sigfd;	   /* SIGCHLD, of that one too, and SIGTERM */
	pid_t helper;	   /* a runsc that will end by itself; 0 */
	int helper_status; /* when it has */
	bool is_dead;	   /* one of the sandbox's own processes */
	bool is_asked_to_end;
	enum cell_platform platform;
};

static void fail(const struct driver *d, size_t step, int sys,
		 const char *what) NORETURN;
static void fail(const struct driver *d, size_t step, int sys, const char *what)
{
	stage_fail(d->s->child_sock, step, sys, what);
}

/* What runsc finds there it takes over for its own stack. */
static int enter_leg(const struct stage *s)
{
	if (!s->req->door)
		return 0;
	if (setns(s->leg_net, CLONE_NEWNET) < 0)
		return -errno;
	return door_far_end(s->req->door->has_v6);
}

/* -- processes -- */

static pid_t spawn_runsc(const struct driver *d, bool is_trial,
			 const char *const *words, size_t n)
{
	const bool has_door = d->s->req->door && !is_trial;
	char platform[32];
	static char path[] = "PATH=/";
	static char *const env[] = { path, NULL };
	const char *args[ARGS_MAX] = {
		OCI_RUNTIME,
		"--root=" OCI_STATE,
		"--log=" OCI_STATE "/log",
		"--log-format=text",
		platform,
		"--ignore-cgroups",
		"--file-access-mounts=shared",
		has_door ? "--network=sandbox" : "--network=none",
	};
	size_t k = 8;
	pid_t pid;

	(void)snprintf(platform, sizeof(platform), "--platform=%s",
		       cell_platform_word(d->platform));
	for (size_t i = 0; i < n && k < ARGS_MAX - 1; i++)
		args[k++] = words[i];
	pid = fork();
	if (pid)
		return pid < 0 ? -errno : pid;
	if (is_trial && driver_drop_stdio(d->s))
		_exit(127);
	command_reset_signals();
	(void)execve(args[0], (char **)(uintptr_t)args, env);
	_exit(127);
}

/* Everything that has died: a helper has done its work, any other is a part of
 * the sandbox. */
static void reap(struct driver *d)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(d->sigfd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGTERM)
			d->is_asked_to_end = true;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == d->helper) {
			d->helper = 0;
			d->helper_status = status;
		} else {
			d->is_dead = true;
		}
	}
}

static void wait_event_for(struct driver *d, int ms)
{
	struct pollfd p = { d->sigfd, POLLIN, 0 };

	if (poll(&p, 1, ms) < 0 && errno != EINTR)
		fail(d, d->step, errno, "poll");
	reap(d);
}

static void wait_event(struct driver *d)
{
	wait_event_for(d, -1);
}

/* The last line of its log says what it could not do. */
static void log_line_of(const struct driver *d, char *buf, size_t size)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(65536);
	const char *text, *line;

	const char *platform = cell_platform_word(d->platform);

	(void)snprintf(buf, size, "runsc --platform=%s failed", platform);
	if (file_read(AT_FDCWD, OCI_STATE "/log", 0, &b) || !b.len)
		return;
	if (b.p[b.len - 1] == '\n')
		b.p[--b.len] = '\0';
	text = wbuf_cstr(&b);
	line = strrchr(text, '\n');
	(void)snprintf(buf, size, "runsc --platform=%s: %s", platform,
		       line ? line + 1 : text);
}

/* One call of runsc, to its end */
static void run_runsc(struct driver *d, const char *const *words, size_t n)
{
	char why[200];

	d->helper = spawn_runsc(d, false, words, n);
	if (d->helper < 0)
		fail(d, d->step, -d->helper, OCI_RUNTIME);
	while (d->helper)
		wait_event(d);
	if (WIFEXITED(d->helper_status) && !WEXITSTATUS(d->helper_status))
		return;
	log_line_of(d, why, sizeof(why));
	fail(d, d->step, EPROTO, why);
}

/* -- the guest's words -- */

/* Return: false: there is none yet */
static bool next_record(const struct driver *d, struct guest_record *r)
{
	off_t at = lseek(d->report, 0, SEEK_CUR);

	if (pread(d->report, r, sizeof(*r), at) != (ssize_t)sizeof(*r))
		return false;
	(void)lseek(d->report, at + (off_t)sizeof(*r), SEEK_SET);
	return true;
}

/* Return: false: the sandbox is dead, and said nothing more */
static bool wait_record(struct driver *d, struct guest_record *r)
{
	while (!next_record(d, r)) {
		if (d->is_dead)
			return next_record(d, r);
		wait_event(d);
	}
	return true;
}

/* The next record has to be @word; a fault is told, and is the end. */
static void expect(struct driver *d, enum guest_word word)
{
	const struct plan *p = d->s->plan;
	struct guest_record r;
	size_t step;

	if (!wait_record(d, &r))
		fail(d, plan_find(p, PLAN_SANDBOX), ECHILD, "it ended");
	if (r.word == GUEST_FAULT) {
		step = plan_find(p, (enum plan_op)r.step);
		fail(d, step, r.value,
		     r.step == PLAN_EXEC ? d->s->req->spec->run->argv.p[0].p
					 : p->steps[step].dst);
	}
	if (r.word != (uint32_t)word)
		fail(d, d->step, EPROTO, "pid 1 of the sandbox");
}

/* -- steps -- */

static void write_environment(struct driver *d)
{
	OWNED(fd_drop)
	int fd = open(OCI_CHANNEL "/" GUEST_ENV, O_WRONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	for (char *const *v = d->s->req->envp; *v && !r; v++)
		r = fd_write_all(fd, *v, strlen(*v) + 1);
	if (r)
		fail(d, d->step, -r, GUEST_ENV);
}

static void write_config(struct driver *d, const char *path,
			 const struct wbuf *b)
{
	OWNED(fd_drop)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : b->failed ? -E2BIG : 0;

	if (!r)
		r = fd_write_all(fd, b->p, b->len);
	if (r)
		fail(d, d->step, -r, path);
}

static void write_bundle(struct driver *d)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(CONFIG_MAX);
	struct rlimit files = { 1024, 1024 };

	(void)getrlimit(RLIMIT_NOFILE, &files);
	oci_config(d->s->req, d->s->plan, files.rlim_cur, &b);
	write_config(d, OCI_BUNDLE "/config.json", &b);
}

/* A sandbox with nothing in it: does a program of it run to its end, in time.
 * Whatever of it is left is dead afterwards. */
static bool runs(struct driver *d)
{
	static const char *const words[] = { "run", "--bundle=" OCI_TRIAL,
					     "trial" };
	const uint64_t end = clock_mono_ns() + TRIAL_MS * 1000000ULL;
	uint64_t now = clock_mono_ns();
	bool ok;

	d->helper = spawn_runsc(d, true, words, ARRAY_SIZE(words));
	if (d->helper < 0)
		fail(d, d->step, -d->helper, OCI_RUNTIME);
	for (; d->helper && now < end; now = clock_mono_ns())
		wait_event_for(d, (int)((end - now) / 1000000) + 1);
	ok = !d->helper && WIFEXITED(d->helper_status) &&
	     WEXITSTATUS(d->helper_status) == OCI_TRIAL_EXIT;
	while (stage_signal_children(SIGKILL))
		(void)waitpid(-1, NULL, 0);
	d->helper = 0;
	d->is_dead = false;
	return ok;
}

/* The faster one first; the other has its trial in the boot that follows. */
static void choose_platform(struct driver *d)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(CONFIG_MAX);

	d->platform = d->s->req->platform;
	if (d->platform != CELL_PLATFORM_UNTRIED)
		return;
	if (mkdir(OCI_TRIAL, 0700) < 0)
		fail(d, d->step, errno, OCI_TRIAL);
	oci_trial_config(&b);
	write_config(d, OCI_TRIAL "/config.json", &b);
	d->platform = CELL_PLATFORM_SYSTRAP;
	if (!runs(d))
		d->platform = CELL_PLATFORM_PTRACE;
}

/* One call: each is a program of 24 MB that has to get going. */
static void run_bundle(struct driver *d, bool has_console)
{
	const char *words[5] = { "run", "--detach", ("--bundle=" OCI_BUNDLE) };
	size_t n = 3;

	if (has_console)
		words[n++] = "--console-socket=" OCI_CONSOLE;
	words[n++] = OCI_ID;
	run_runsc(d, words, n);
}

static void boot(struct driver *d)
{
	bool has_console = d->s->req->in == CELL_STDIN_PTY;
	OWNED(fd_drop) int console = -1;
	int r = enter_leg(d->s);

	if (r)
		fail(d, d->step, -r, "network of the sandbox");
	if (has_console)
		console = sandbox_console();
	else
		r = stage_set_stdio(d->s);
	if (r || (has_console && console < 0))
		fail(d, d->step, r ? -r : -console, "stdio");
	run_bundle(d, has_console);
	r = driver_drop_stdio(d->s);
	if (r)
		fail(d, d->step, -r, "/dev/null");
	r = has_console ? sandbox_console_give(console, d->s->child_sock) : 0;
	if (r)
		fail(d, d->step, -r, "terminal");
	expect(d, GUEST_READY);
	/* values that may be secrets: of the file whose inode somebody may
	 * still hold, too */
	if (truncate(OCI_CHANNEL "/" GUEST_ENV, 0) < 0 ||
	    unlink(OCI_CHANNEL "/" GUEST_ENV) < 0)
		fail(d, d->step, errno, GUEST_ENV);
}

/*
 * Told of what is written there by the signal of children, which is read
 * already and whose default is to be ignored: none may be pending that is not,
 * once we end by the command's. Not by inotify(7): its last close, our end,
 * waits for the kernel's readers, 15 ms here; dnotify's waits for nobody.
 */
static void open_channel(struct driver *d)
{
	static const char path[] = OCI_CHANNEL "/" GUEST_REPORT;

	d->report = open(path, O_RDONLY | O_CLOEXEC);
	if (d->report < 0)
		fail(d, d->step, errno, path);
	d->channel = open(OCI_CHANNEL, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->channel < 0 || fcntl(d->channel, F_SETSIG, SIGCHLD) < 0 ||
	    fcntl(d->channel, F_NOTIFY, DN_MODIFY | DN_MULTISHOT) < 0)
		fail(d, d->step, errno,
		     "dnotify of " OCI_CHANNEL " (fs.dir-notify-enable)");
}

static void let_go(struct driver *d)
{
	OWNED(fd_drop)
	int fd = open(OCI_CHANNEL "/" GUEST_GO, O_WRONLY | O_CLOEXEC);
	struct cell_message m;
	int unused;

	if (fd < 0)
		fail(d, d->step, errno, GUEST_GO);
	if (cell_recv(d->s->child_sock, &m, &unused, NULL) != 1 ||
	    m.type != CELL_MSG_GO)
		_exit(125);
	if (write(fd, "g", 1) != 1)
		fail(d, d->step, errno, GUEST_GO);
	expect(d, GUEST_RUNNING);
	/* as exec would */
	(void)close(d->s->child_sock);
}

/* -- the end -- */

/* Its pid 1 passes it on to everything in there. */
static void ask_to_end(struct driver *d)
{
	static const char *const term[] = { "kill", OCI_ID, "TERM" };

	d->is_asked_to_end = false;
	if (d->helper)
		return; /* the one before is still at it */
	d->helper = spawn_runsc(d, false, term, ARRAY_SIZE(term));
	if (d->helper < 0)
		d->helper = 0; /* the grace ends, and SIGKILL needs nobody */
}

static void serve(struct driver *d) NORETURN;
static void serve(struct driver *d)
{
	struct guest_record r;

	for (;;) {
		if (next_record(d, &r)) {
			if (r.word == GUEST_ENDED)
				driver_end(d->s, CELL_TOLD_ENDED, r.value);
			_exit(125);
		}
		if (d->is_dead)
			_exit(125);
		if (d->is_asked_to_end)
			ask_to_end(d);
		wait_event(d);
	}
}

static int prepare(struct driver *d)
{
	int r;

	d->sigfd = driver_begin(d->s);
	if (d->sigfd < 0)
		return d->sigfd;
	r = stage_limit_processes(d->s);
	if (r)
		return r;
	return d->s->drop & STAGE_DROP_SECCOMP ? 0 : seccomp_enter_runtime();
}

static void take_step(struct driver *d)
{
	if ((int)d->step == d->s->fail_step)
		fail(d, d->step, d->s->fail_errno, "made to fail");
	if (d->s->plan->steps[d->step].op == PLAN_BUNDLE) {
		open_channel(d);
		write_environment(d);
		write_bundle(d);
	} else if (d->s->plan->steps[d->step].op == PLAN_SANDBOX) {
		choose_platform(d);
		boot(d);
	}
	/* the others are done inside: cell/guest.h tells of them */
}

void sandbox_main(const struct stage *s, size_t first)
{
	struct cell_message ready = { .type = CELL_MSG_READY };
	struct driver d = { .s = s, .step = first };
	int r = prepare(&d);

	if (r)
		fail(&d, first, -r, "driver of the sandbox");
	for (; s->plan->steps[d.step].op != PLAN_EXEC; d.step++)
		take_step(&d);
	ready.sys = (int32_t)d.platform;
	r = cell_send(s->child_sock, &ready, -1);
	if (r)
		fail(&d, d.step, -r, "");
	let_go(&d);
	serve(&d);
}
