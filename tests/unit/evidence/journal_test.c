/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The journal: healing, locking, budget, full disks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "evidence/journal.h"
#include "evidence/verify.h"

static char dir[] = "/tmp/journal-test-XXXXXX";
static char path[64];

static const struct event_run run = {
	.cell_id = "c1",
	.run_id = "r1",
	.run_uuid = "u1",
};

static struct signer *plain(void)
{
	struct signer *s = NULL;
	struct err e;

	assert_int_equal(signer_start(SIGNER_NONE, NULL, NULL, 0, &s, &e), 0);
	return s;
}

static struct journal *opened(struct signer *s, const char *file,
			      const struct event_run *r, uint64_t max)
{
	struct journal_config c = { .path = file,
				    .signer = s,
				    .max_bytes = max };
	struct journal *j = NULL;
	struct err e;

	if (journal_open(&c, r, &j, &e))
		fail_msg("%s", e.text);
	return j;
}

static int emit(struct journal *j, size_t fill, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(LIMIT_EVENT_LINE);
	size_t i;

	wbuf_str(&b, "{\"cellId\":\"c1\",\"fill\":\"");
	for (i = 0; i < fill; i++)
		wbuf_byte(&b, 'x');
	wbuf_str(&b, "\",\"runId\":\"r1\"}");
	if (journal_emit(j, EVENT_NETWORK_SCOPE, &b, NULL, e))
		return -1;
	return journal_flush(j, e);
}

static int boundary(struct journal *j, struct err *e)
{
	return journal_boundary_begin(j, e) || journal_boundary_end(j, e) ? -1
									  : 0;
}

static void slurp(const char *file, struct wbuf *b)
{
	wbuf_reset(b);
	assert_int_equal(file_read(AT_FDCWD, file, 0, b), 0);
}

static void spill(const char *file, const char *p, size_t n)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, p, n), 0);
	fd_drop(&fd);
}

/* "exit: word line/event ..." of the file */
static void judged(const char *file, char *buf, size_t size)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT((size_t)64 << 20);
	struct verify_keys *k = verify_keys_new();
	struct verify_result r;
	size_t i, n;
	struct err e;

	slurp(file, &b);
	assert_int_equal(verify_bytes(wbuf_as_slice(&b), k, 0, &r, &e), 0);
	n = (size_t)snprintf(buf, size, "%d:", verify_exit(&r));
	for (i = 0; i < r.n_findings && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, " %s",
				      verify_findings[r.findings[i].kind].word);
	verify_result_drop(&r);
	verify_keys_free(&k);
}

static void whole(const char *file, struct signer *s)
{
	struct journal *j = opened(s, file, &run, 1 << 20);
	struct err e;
	int i;

	for (i = 0; i < 3; i++)
		assert_int_equal(emit(j, 1, &e), 0);
	assert_int_equal(boundary(j, &e), 0);
	assert_int_equal(journal_close(j, &e), 0);
	assert_int_equal(emit(j, 1, &e), -1);
	journal_free(&j);
}

static void test_lines(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 20);
	struct signer *s = plain();
	struct stat st;
	char got[128];
	size_t i, n = 0;
	mode_t old = umask(027);

	(void)state;
	whole(path, s);
	(void)umask(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	slurp(path, &b);
	for (i = 0; i < b.len; i++)
		n += b.p[i] == '\n';
	assert_int_equal(n, 6); /* open, three, link, final */
	assert_int_equal(b.p[b.len - 1], '\n');
	judged(path, got, sizeof(got));
	assert_string_equal(got, "4: unsigned");
	assert_int_equal(unlink(path), 0);
	signer_stop(&s);
}

/* Whatever is left of a dead writer's last line, the next one starts clean. */
static void test_torn_everywhere(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 20);
	OWNED(wbuf_drop) struct wbuf now = WBUF_INIT(1 << 20);
	struct event_run second = run;
	struct signer *s = plain();
	struct journal *j;
	char got[128];
	size_t cut, kept;
	struct err e;

	(void)state;
	whole(path, s);
	slurp(path, &b);
	second.run_uuid = "u2";
	second.run_id = "r2";
	for (cut = 0; cut <= b.len; cut++) {
		spill(path, b.p, cut);
		j = opened(s, path, &second, 1 << 20);
		assert_int_equal(journal_close(j, &e), 0);
		journal_free(&j);
		for (kept = cut; kept && b.p[kept - 1] != '\n'; kept--)
			;
		slurp(path, &now);
		assert_true(now.len > kept);
		assert_memory_equal(now.p, b.p, kept);
		assert_memory_equal(now.p + kept, "{\"specversion\"", 14);
		judged(path, got, sizeof(got));
		if (cut == b.len)
			assert_string_equal(got, "4: unsigned unsigned");
		else if (kept)
			assert_string_equal(got, "3: unfinished unsigned");
		else
			assert_string_equal(got, "4: unsigned");
	}
	assert_int_equal(unlink(path), 0);
	signer_stop(&s);
}

/* A file of somebody else is not cut. */
static void test_not_ours(void **state)
{
	static const char text[] = "a line\nand a secret without end";
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 20);
	struct signer *s = plain();
	struct journal_config c = { .path = path,
				    .signer = s,
				    .max_bytes = 1 << 20 };
	struct journal *j = NULL;
	struct err e;

	(void)state;
	spill(path, text, sizeof(text) - 1);
	assert_int_equal(journal_open(&c, &run, &j, &e), -1);
	assert_non_null(strstr(e.text, "does not end in a line of events"));
	slurp(path, &b);
	assert_int_equal(b.len, sizeof(text) - 1);
	assert_memory_equal(b.p, text, b.len);
	assert_int_equal(unlink(path), 0);
	signer_stop(&s);
}

static void test_two_writers(void **state)
{
	enum { EVENTS = 2000 };
	char got[128];
	struct signer *s;
	struct journal *j;
	struct event_run mine = run;
	struct err e;
	pid_t pid[2];
	int i, k, st;

	(void)state;
	for (i = 0; i < 2; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (pid[i])
			continue;
		s = plain();
		mine.run_uuid = i ? "u1" : "u0";
		mine.run_id = i ? "r1" : "r0";
		j = opened(s, path, &mine, 64 << 20);
		for (k = 0; k < EVENTS; k++)
			if (emit(j, (size_t)k, &e))
				_exit(1);
		_exit(journal_close(j, &e) ? 1 : 0);
	}
	for (i = 0; i < 2; i++) {
		assert_int_equal(waitpid(pid[i], &st, 0), pid[i]);
		assert_int_equal(st, 0);
	}
	judged(path, got, sizeof(got));
	assert_string_equal(got, "4: unsigned unsigned");
	assert_int_equal(unlink(path), 0);
}

static void test_budget(void **state)
{
	enum { BUDGET = 1 << 20 };
	struct signer *s = plain();
	struct journal *j = opened(s, path, &run, BUDGET);
	struct stat st;
	char got[128];
	struct err e;
	int n = 0;

	(void)state;
	while (!emit(j, 1000, &e))
		assert_true(++n < 2000);
	assert_int_equal(e.cls, ERR_SINK);
	assert_int_equal(e.sys, EDQUOT);
	assert_non_null(strstr(e.text, "CELLOS_LIMIT_JOURNAL_BYTES"));
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= BUDGET - JOURNAL_RESERVE);
	assert_true(st.st_size > BUDGET - JOURNAL_RESERVE - 128 * 1024);
	/* teardown still fits, and so do the links, in the budget */
	for (n = 0; n < 8; n++)
		assert_int_equal(emit(j, 4000, &e), 0);
	while (!emit(j, 1000, &e))
		assert_true(++n < 2000);
	assert_int_equal(e.sys, EDQUOT);
	assert_int_equal(journal_close(j, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= BUDGET);
	journal_free(&j);
	judged(path, got, sizeof(got));
	assert_string_equal(got, "4: unsigned");
	assert_int_equal(unlink(path), 0);
	signer_stop(&s);
}

/* More events than one link may cover. */
static void test_links_by_themselves(void **state)
{
	struct signer *s = plain();
	struct journal *j = opened(s, path, &run, 64 << 20);
	char got[128];
	struct err e;
	int i;

	(void)state;
	for (i = 0; i < 3000; i++)
		assert_int_equal(emit(j, 1, &e), 0);
	assert_int_equal(journal_close(j, &e), 0);
	journal_free(&j);
	judged(path, got, sizeof(got));
	assert_string_equal(got, "4: unsigned");
	assert_int_equal(unlink(path), 0);
	signer_stop(&s);
}

static void test_dev_full(void **state)
{
	struct signer *s = plain();
	struct journal_config c = { .path = "/dev/full",
				    .signer = s,
				    .max_bytes = 1 << 20 };
	struct journal *j = NULL;
	struct err e;

	(void)state;
	assert_int_equal(journal_open(&c, &run, &j, &e), 0);
	assert_int_equal(boundary(j, &e), -1);
	assert_string_equal(e.text, "event sink: sink full: /dev/full "
				    "(No space left on device (os error 28))");
	assert_int_equal(e.sys, ENOSPC);
	journal_free(&j);
	signer_stop(&s);
}

/* Nothing is collected until it has to be; then all of it, in order. */
static void test_in_flight(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1024);
	struct signer *s = plain();
	struct journal *j = opened(s, path, &run, 64 << 20);
	struct stat st;
	char got[128];
	struct err e;

	(void)state;
	wbuf_str(&b, "{\"cellId\":\"c1\",\"runId\":\"r1\"}");
	for (int i = 0; i < 5; i++)
		assert_int_equal(
			journal_emit(j, EVENT_NETWORK_SCOPE, &b, NULL, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 0);
	/* the opening link and five events */
	assert_int_equal(signer_pending(s), 6);
	assert_int_equal(journal_flush(j, &e), 0);
	assert_int_equal(signer_pending(s), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 6 * 200);
	/* at the bound by itself: 1,000 events do not wait for a boundary */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(
			journal_emit(j, EVENT_NETWORK_SCOPE, &b, NULL, &e), 0);
	assert_true(signer_pending(s) < 100);
	assert_int_equal(journal_close(j, &e), 0);
	journal_free(&j);
	judged(path, got, sizeof(got));
	assert_string_equal(got, "4: unsigned");
	assert_int_equal(unlink(path), 0);
	signer_stop(&s);
}

/* A full disk: no torn line stays, and what was signed is written first once
 * there is room again. */
static void test_full_tmpfs(void **state)
{
	char file[96], ballast[96], got[128];
	struct signer *s = plain();
	struct journal *j;
	struct err e;
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 20);
	int n = 0;

	(void)state;
	if (geteuid() != 0 ||
	    syscall(SYS_mount, "tmpfs", dir, "tmpfs", 0ul, "size=128k") < 0) {
		/* cmocka says "not ok # SKIP", which fails the run */
		signer_stop(&s);
		return;
	}
	(void)snprintf(file, sizeof(file), "%s/j", dir);
	(void)snprintf(ballast, sizeof(ballast), "%s/b", dir);
	b.len = 0;
	while (b.len < 60000)
		wbuf_byte(&b, 'x');
	spill(ballast, b.p, b.len);
	j = opened(s, file, &run, 64 << 20);
	while (!emit(j, 1500, &e))
		assert_true(++n < 1000);
	assert_int_equal(e.sys, ENOSPC);
	assert_non_null(strstr(e.text, "sink full: /tmp/journal-test-"));
	slurp(file, &b);
	assert_int_equal(b.p[b.len - 1], '\n');
	assert_int_equal(emit(j, 1500, &e), -1);
	assert_int_equal(journal_close(j, &e), -1);
	assert_int_equal(unlink(ballast), 0);
	assert_int_equal(emit(j, 1, &e), 0);
	assert_int_equal(journal_close(j, &e), 0);
	journal_free(&j);
	judged(file, got, sizeof(got));
	assert_int_equal(syscall(SYS_umount2, dir, 0), 0);
	assert_string_equal(got, "4: unsigned");
	signer_stop(&s);
}

static void test_fifo(void **state)
{
	struct signer *s = plain();
	struct journal *j;
	char buf[4096];
	struct err e;
	int fd;
	ssize_t n;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	j = opened(s, path, &run, 1 << 20);
	assert_int_equal(emit(j, 1, &e), 0);
	assert_int_equal(boundary(j, &e), 0);
	assert_int_equal(journal_close(j, &e), 0);
	n = read(fd, buf, sizeof(buf));
	assert_true(n > 0 && buf[n - 1] == '\n');
	journal_free(&j);
	fd_drop(&fd);
	assert_int_equal(unlink(path), 0);
	signer_stop(&s);
}

static void drain(int fd, struct wbuf *b)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		wbuf_put(b, buf, (size_t)n);
	assert_true(n < 0 && errno == EAGAIN);
}

/* A reader that sleeps costs an event its place, and not the run its end. */
static void test_fifo_that_nobody_reads(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 20);
	struct signer *s = plain();
	struct journal *j;
	char want[128], got[128];
	struct err e;
	int fd, n = 0;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_SETPIPE_SZ, 4096) == 4096);
	j = opened(s, path, &run, 1 << 20);
	(void)alarm(30);
	while (!emit(j, 1500, &e))
		assert_true(++n < 10);
	assert_int_equal(e.sys, ETIMEDOUT);
	(void)snprintf(want, sizeof(want),
		       "event sink: sink stalled: %s did not take it in 3 s",
		       path);
	assert_string_equal(e.text, want);
	/* each waits no more: ten times the limit would end us */
	for (int i = 0; i < 30; i++)
		assert_int_equal(journal_flush(j, &e), -1);
	(void)alarm(0);
	do
		drain(fd, &b);
	while (journal_flush(j, &e));
	drain(fd, &b);
	assert_int_equal(fcntl(fd, F_SETPIPE_SZ, 65536), 65536);
	assert_int_equal(journal_close(j, &e), 0);
	drain(fd, &b);
	assert_int_equal(unlink(path), 0);
	spill(path, b.p, b.len);
	judged(path, got, sizeof(got));
	assert_string_equal(got, "4: unsigned");
	journal_free(&j);
	fd_drop(&fd);
	assert_int_equal(unlink(path), 0);
	signer_stop(&s);
}

static void test_no_file(void **state)
{
	struct signer *s = plain();
	struct journal *j = opened(s, NULL, &run, 1 << 20);
	struct err e;

	(void)state;
	assert_int_equal(emit(j, 1, &e), 0);
	assert_int_equal(boundary(j, &e), 0);
	assert_int_equal(journal_close(j, &e), 0);
	journal_free(&j);
	signer_stop(&s);
}

static void test_cannot_open(void **state)
{
	struct signer *s = plain();
	struct journal_config c = { .path = "/nowhere/j",
				    .signer = s,
				    .max_bytes = 1 << 20 };
	struct journal *j = NULL;
	struct err e;

	(void)state;
	assert_int_equal(journal_open(&c, &run, &j, &e), -1);
	assert_string_equal(e.text, "event sink: open /nowhere/j: No such file "
				    "or directory (os error 2)");
	c.path = "";
	assert_int_equal(journal_open(&c, &run, &j, &e), -1);
	signer_stop(&s);
}

static void test_redacts(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 20);
	struct signer *s = plain();
	struct journal_config c = { .path = path,
				    .signer = s,
				    .redact = "fill",
				    .max_bytes = 1 << 20 };
	struct journal *j = NULL;
	struct err e;

	(void)state;
	assert_int_equal(journal_open(&c, &run, &j, &e), 0);
	assert_int_equal(emit(j, 3, &e), 0);
	assert_int_equal(journal_close(j, &e), 0);
	journal_free(&j);
	slurp(path, &b);
	assert_non_null(strstr(wbuf_cstr(&b), "\"fill\":\"[redacted]\""));
	assert_null(strstr(wbuf_cstr(&b), "xxx"));
	assert_int_equal(unlink(path), 0);
	signer_stop(&s);
}

static void test_of_others(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1 << 20);
	OWNED(wbuf_drop) struct wbuf data = WBUF_INIT(LIMIT_EVENT_LINE);
	struct signer *s = plain();
	struct journal_config c = { .path = path,
				    .signer = s,
				    .max_bytes = 1 << 20 };
	struct journal *j = NULL;
	char got[128];
	struct err e;

	(void)state;
	wbuf_str(&data, "{\"cellId\":\"c1\"}");
	assert_int_equal(journal_open(&c, &run, &j, &e), 0);
	assert_int_equal(
		journal_emit_from(j, EVENT_QUERY_REFUSED, EVENT_SOURCE_DNS,
				  "2026-01-02T03:04:05.123Z", &data, NULL, &e),
		0);
	assert_int_equal(journal_close(j, &e), 0);
	journal_free(&j);
	slurp(path, &b);
	assert_non_null(strstr(
		wbuf_cstr(&b),
		"\"source\":\"cellos-dns-proxy\",\"type\":\"dev.cellos.events."
		"cell.dns.v1.query_refused\",\"datacontenttype\":"
		"\"application/json\",\"data\":{\"cellId\":\"c1\"},\"time\":"
		"\"2026-01-02T03:04:05.123Z\",\"traceparent\":null}\n"));
	judged(path, got, sizeof(got));
	assert_string_equal(got, "4: unsigned");
	assert_int_equal(unlink(path), 0);
	signer_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_torn_everywhere),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_two_writers),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_links_by_themselves),
		cmocka_unit_test(test_dev_full),
		cmocka_unit_test(test_in_flight),
		cmocka_unit_test(test_full_tmpfs),
		cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_fifo_that_nobody_reads),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_cannot_open),
		cmocka_unit_test(test_redacts),
		cmocka_unit_test(test_of_others),
	};
	int r;

	if (!mkdtemp(dir))
		return 1;
	(void)snprintf(path, sizeof(path), "%s/j", dir);
	r = cmocka_run_group_tests_name("evidence/journal", tests, NULL, NULL);
	(void)rmdir(dir);
	return r;
}
