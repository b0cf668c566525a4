/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The root of an image out of an OCI image layout: cellos-unpack does it, and
 * what it says is taken as that of a stranger. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/fd.h"
#include "guest/image_build.h"

static void exec_unpack(const struct image_oci *o, const char *into,
			int out) NORETURN;
static void exec_unpack(const struct image_oci *o, const char *into, int out)
{
	static char *const none[] = { NULL };
	char max[24];
	const char *const argv[] = { "cellos-unpack", o->layout, into, max,
				     o->ref,	      NULL };
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)snprintf(max, sizeof(max), "%" PRIu64, o->max);
	if (in >= 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1 &&
	    dup2(out, 2) == 2)
		(void)syscall(SYS_execveat, o->program, "", argv, none,
			      AT_EMPTY_PATH);
	_exit(127);
}

/* Printable lines; the first with the digest */
static bool is_report(struct slice s)
{
	static const char prefix[] = "sha256:";
	const size_t skip = sizeof(prefix) - 1, n = skip + MANIFEST_HEX - 1;

	if (s.n <= n || memcmp(s.p, prefix, skip) != 0 || s.p[n] != '\n' ||
	    s.p[s.n - 1] != '\n')
		return false;
	for (size_t i = skip; i < n; i++)
		if (ascii_hex(s.p[i]) < 0)
			return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\n' && (s.p[i] < 0x20 || s.p[i] > 0x7e))
			return false;
	return true;
}

static int refused(const struct image_oci *o, int status, struct slice said,
		   struct err *e)
{
	size_t n = 0;

	while (n < said.n && n < 700 && said.p[n] >= 0x20 && said.p[n] < 0x7f)
		n++;
	if (WIFSIGNALED(status))
		return err_set(e, ERR_PLAIN, 0,
			       "--oci %s: cellos-unpack was ended by signal %d",
			       o->layout, WTERMSIG(status));
	if (!n || status == 0)
		return err_set(e, ERR_PLAIN, 0,
			       "--oci %s: cellos-unpack gave no answer "
			       "(status %d)",
			       o->layout, WEXITSTATUS(status));
	return err_set(e, ERR_PLAIN, 0, "--oci %s: %.*s", o->layout, (int)n,
		       said.p);
}

int image_unpack(const struct image_oci *o, const char *into,
		 struct wbuf *report, struct err *e)
{
	int ends[2], status = 0, r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(e, ERR_PLAIN, errno, "pipe");
	pid = fork();
	if (pid == 0)
		exec_unpack(o, into, ends[1]);
	r = pid < 0 ? -errno : 0;
	(void)close(ends[1]);
	if (!r) {
		r = fd_read_all(ends[0], report);
		if (r)
			(void)kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	(void)close(ends[0]);
	if (r)
		return err_set(e, ERR_PLAIN, -r, "--oci %s: cellos-unpack",
			       o->layout);
	if (status || !is_report(wbuf_as_slice(report)))
		return refused(o, status, wbuf_as_slice(report), e);
	return 0;
}
