/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The signer process: order, lockdown, its death, and where the key is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "evidence/signer.h"

#define TIME "2026-01-02T03:04:05.000000006+00:00"
#define ID   "00000000-0000-4000-8000-000000000001"

static const struct event_run run = {
	.cell_id = "demo-1",
	.run_id = "run-1",
	.run_uuid = "7a1b5c1e-8f0e-4a0b-9b52-0a4c7d7a1c01",
};

/* An event whose signature is known, see below */
static const struct event started = {
	.id = ID,
	.source = "cellos-supervisor",
	.type = "dev.cellos.events.cell.lifecycle.v1.started",
	.time = TIME,
	.data = { "{\"cellId\":\"demo-1\",\"runId\":\"run-1\",\"specId\":"
		  "\"demo-1\",\"ttlSeconds\":60}",
		  69 },
};

/* One request, and its line */
static int ask_event(struct signer *s, uint64_t n, const struct event *ev,
		     struct wbuf *line, struct err *e)
{
	if (signer_event_send(s, n, ev, e))
		return -1;
	return signer_collect(s, line, e);
}

static int ask_link(struct signer *s, uint64_t n, const char *event_id,
		    const char *time, bool final, struct wbuf *line,
		    struct err *e)
{
	if (signer_link_send(s, n, event_id, time, final, e))
		return -1;
	return signer_collect(s, line, e);
}

static struct signer *begun(enum signer_algorithm alg, const void *key,
			    size_t n)
{
	OWNED(wbuf_drop) struct wbuf line = WBUF_INIT(LIMIT_EVENT_LINE);
	uint8_t copy[SIGNER_KEY_MAX];
	struct signer *s = NULL;
	struct err e;

	memcpy(copy, key, n);
	if (signer_start(alg, "k1", copy, n, &s, &e) ||
	    signer_run_begin(s, &run, &e) ||
	    ask_link(s, 0, "link-0", TIME, false, &line, &e))
		fail_msg("%s", e.text);
	return s;
}

static void test_ed25519_vector(void **state)
{
	OWNED(wbuf_drop) struct wbuf line = WBUF_INIT(LIMIT_EVENT_LINE);
	uint8_t seed[32];
	struct signer *s;
	struct err e;

	(void)state;
	memset(seed, 1, sizeof(seed));
	s = begun(SIGNER_ED25519, seed, sizeof(seed));
	assert_int_equal(ask_event(s, 1, &started, &line, &e), 0);
	assert_string_equal(
		wbuf_cstr(&line),
		"{\"specversion\":\"1.0\",\"id\":\"" ID "\",\"source\":"
		"\"/cellos-supervisor/event-signing\",\"type\":"
		"\"dev.cellos.events.signed_envelope.v1\",\"datacontenttype\":"
		"\"application/json\",\"data\":{\"algorithm\":\"ed25519\","
		"\"event\":{\"data\":{\"cellId\":\"demo-1\",\"runId\":"
		"\"run-1\",\"specId\":\"demo-1\",\"ttlSeconds\":60},"
		"\"datacontenttype\":\"application/json\",\"id\":\"" ID "\","
		"\"source\":\"cellos-supervisor\",\"specversion\":\"1.0\","
		"\"time\":\"" TIME "\",\"traceparent\":null,\"type\":"
		"\"dev.cellos.events.cell.lifecycle.v1.started\"},"
		"\"signature\":\"mox5U0mPrnx3Erly3j_kZAI-cXTWYOgcTiqWWhfs9uOaK"
		"ww8-W3RsPmoGZZyzm6Sy17oyh2LYcqjsuTNBuU0DQ\",\"signerKid\":"
		"\"k1\"},\"time\":\"" TIME "\",\"traceparent\":null}");
	signer_stop(&s);
	assert_null(s);
}

static void test_hmac_vector(void **state)
{
	OWNED(wbuf_drop) struct wbuf line = WBUF_INIT(LIMIT_EVENT_LINE);
	struct signer *s = begun(SIGNER_HMAC_SHA256, "secret", 6);
	struct err e;

	(void)state;
	assert_int_equal(ask_event(s, 1, &started, &line, &e), 0);
	assert_non_null(
		strstr(wbuf_cstr(&line), "\"algorithm\":\"hmac-sha256\""));
	assert_non_null(
		strstr(wbuf_cstr(&line),
		       "\"Ow8z6eSgzygIHS2kxMOs751xeicgX96U73VHANHOt90\""));
	signer_stop(&s);
}

/* The same chain with and without a process. */
static void test_order(void **state)
{
	static const enum signer_algorithm algs[] = { SIGNER_NONE,
						      SIGNER_ED25519 };
	OWNED(wbuf_drop) struct wbuf line = WBUF_INIT(LIMIT_EVENT_LINE);
	uint8_t seed[32] = { 1 };
	struct signer *s;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(algs); i++) {
		s = begun(algs[i], seed, sizeof(seed));
		assert_int_equal(ask_event(s, 2, &started, &line, &e), -1);
		assert_string_equal(e.text, "event sink: event link: event 2 "
					    "refused, 1 is next");
		assert_int_equal(e.cls, ERR_SINK);
		assert_int_equal(ask_event(s, 0, &started, &line, &e), -1);
		assert_int_equal(ask_event(s, 1, &started, &line, &e), 0);
		assert_int_equal(ask_event(s, 1, &started, &line, &e), -1);
		assert_int_equal(ask_link(s, 0, ID, TIME, false, &line, &e),
				 -1);
		assert_int_equal(ask_link(s, 2, ID, TIME, false, &line, &e),
				 -1);
		assert_int_equal(ask_link(s, 1, ID, TIME, true, &line, &e), 0);
		assert_non_null(strstr(wbuf_cstr(&line), "\"count\":1,"));
		assert_non_null(
			strstr(wbuf_cstr(&line), "\"final\":true,\"from\":1,"));
		assert_int_equal(ask_event(s, 2, &started, &line, &e), -1);
		assert_int_equal(ask_link(s, 1, ID, TIME, true, &line, &e), -1);
		/* another run starts from nothing */
		assert_int_equal(signer_run_begin(s, &run, &e), 0);
		assert_int_equal(ask_event(s, 1, &started, &line, &e), -1);
		assert_int_equal(ask_link(s, 0, ID, TIME, false, &line, &e), 0);
		assert_non_null(strstr(wbuf_cstr(&line), "\"previous\":null,"));
		signer_stop(&s);
	}
}

static void test_bad_keys(void **state)
{
	uint8_t key[32];
	struct signer *s = NULL;
	struct err e;
	char kid[SIGNER_KID_MAX + 1];

	(void)state;
	memset(key, 7, sizeof(key));
	assert_int_equal(signer_start(SIGNER_ED25519, "k", key, 31, &s, &e),
			 -1);
	assert_int_equal(key[0], 0);
	assert_int_equal(key[31], 7);
	key[0] = 7;
	assert_int_equal(signer_start(SIGNER_ED25519, "", key, 32, &s, &e), -1);
	assert_int_equal(key[0], 0);
	assert_int_equal(signer_start(SIGNER_HMAC_SHA256, "k", key, 0, &s, &e),
			 -1);
	memset(kid, 'k', sizeof(kid) - 1);
	kid[sizeof(kid) - 1] = '\0';
	assert_int_equal(signer_start(SIGNER_ED25519, kid, key, 32, &s, &e),
			 -1);
	assert_null(s);
	kid[SIGNER_KID_MAX - 1] = '\0';
	assert_int_equal(signer_start(SIGNER_ED25519, kid, key, 32, &s, &e), 0);
	signer_stop(&s);
}

static void test_too_long(void **state)
{
	OWNED(wbuf_drop) struct wbuf data = WBUF_INIT(2 * LIMIT_EVENT_LINE);
	OWNED(wbuf_drop) struct wbuf line = WBUF_INIT(LIMIT_EVENT_LINE);
	uint8_t seed[32] = { 1 };
	struct event ev = started;
	struct signer *s = begun(SIGNER_ED25519, seed, sizeof(seed));
	struct err e;
	size_t i;

	(void)state;
	wbuf_str(&data, "{\"a\":\"");
	for (i = 0; i < LIMIT_EVENT_LINE - 500; i++)
		wbuf_byte(&data, 'a');
	wbuf_str(&data, "\"}");
	ev.data = wbuf_as_slice(&data);
	assert_int_equal(ask_event(s, 1, &ev, &line, &e), -1);
	/* refused is not counted */
	assert_int_equal(ask_event(s, 1, &started, &line, &e), 0);
	signer_stop(&s);
}

static pid_t pid_of(const struct signer *s)
{
	char path[64], text[512];
	FILE *f;
	int pid = -1;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d",
		       signer_pidfd(s));
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(text, sizeof(text), f))
		(void)sscanf(text, "Pid: %d", &pid);
	(void)fclose(f);
	assert_true(pid > 1);
	return pid;
}

static void test_killed(void **state)
{
	OWNED(wbuf_drop) struct wbuf line = WBUF_INIT(LIMIT_EVENT_LINE);
	uint8_t seed[32] = { 1 };
	struct signer *s = begun(SIGNER_ED25519, seed, sizeof(seed));
	struct err e;
	uint64_t t = clock_mono_ns();

	(void)state;
	assert_int_equal(kill(pid_of(s), SIGKILL), 0);
	while (!ask_event(s, 1, &started, &line, &e))
		fail_msg("a dead signer signs");
	assert_string_equal(e.text, "event sink: event signer ended");
	assert_true(clock_mono_ns() - t < 1000000000u);
	assert_int_equal(ask_link(s, 0, ID, TIME, true, &line, &e), -1);
	assert_string_equal(e.text, "event sink: event signer ended");
	signer_stop(&s);
}

/* What the terminal or the service manager sends ends the run, and the run's
 * end must still be signed. */
static void test_outlives_signals(void **state)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
	OWNED(wbuf_drop) struct wbuf line = WBUF_INIT(LIMIT_EVENT_LINE);
	uint8_t seed[32] = { 1 };
	struct signer *s = begun(SIGNER_ED25519, seed, sizeof(seed));
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sigs); i++)
		assert_int_equal(kill(pid_of(s), sigs[i]), 0);
	assert_int_equal(ask_event(s, 1, &started, &line, &e), 0);
	signer_stop(&s);
}

static void test_lockdown(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(65536);
	uint8_t seed[32] = { 1 };
	struct signer *s = begun(SIGNER_ED25519, seed, sizeof(seed));
	char path[64];
	struct dirent *d;
	DIR *dir;
	int n = 0;

	(void)state;
	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid_of(s));
	assert_int_equal(file_read(AT_FDCWD, path, 0, &b), 0);
	assert_non_null(strstr(wbuf_cstr(&b), "NoNewPrivs:\t1\n"));
	assert_non_null(strstr(wbuf_cstr(&b), "Name:\tcellos-signer\n"));
	if (!SANITIZED)
		assert_non_null(strstr(wbuf_cstr(&b), "Seccomp:\t2\n"));
	/* one descriptor: the channel (only root may look) */
	(void)snprintf(path, sizeof(path), "/proc/%d/fd", pid_of(s));
	dir = opendir(path);
	if (dir) {
		while ((d = readdir(dir)))
			n += d->d_name[0] != '.';
		(void)closedir(dir);
		assert_int_equal(n, 1);
	} else {
		assert_int_equal(errno, EACCES);
	}
	signer_stop(&s);
}

/* Is a block whose bytes are @masked ^ 0x5a anywhere in our memory? */
static bool in_memory(const uint8_t masked[32])
{
	OWNED(fd_drop) int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	static uint8_t buf[1 << 20];
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long long lo, hi, at;
	char line[512], perms[8];
	bool found = false;
	ssize_t n, i;
	int k;

	assert_true(mem >= 0 && maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%llx-%llx %7s", &lo, &hi, perms) != 3 ||
		    perms[0] != 'r' || perms[1] != 'w')
			continue;
		for (at = lo; at < hi; at += sizeof(buf) - 64) {
			n = pread(mem, buf,
				  hi - at < sizeof(buf) ? (size_t)(hi - at)
							: sizeof(buf),
				  (off_t)at);
			for (i = 0; i + 32 <= n; i++) {
				for (k = 0; k < 32; k++)
					if ((buf[i + k] ^ 0x5a) != masked[k])
						break;
				found |= k == 32;
			}
			if (n <= 0)
				break;
		}
		/* what was read is no second copy */
		explicit_bzero(buf, sizeof(buf));
	}
	(void)fclose(maps);
	return found;
}

static void test_key_is_gone(void **state)
{
	uint8_t *key = malloc(32);
	uint8_t masked[32];
	struct signer *s = NULL;
	struct err e;
	int i;

	(void)state;
	assert_non_null(key);
	if (SANITIZED) { /* its shadow memory is terabytes to read */
		free(key);
		return;
	}
	assert_int_equal(getrandom(key, 32, 0), 32);
	for (i = 0; i < 32; i++)
		masked[i] = key[i] ^ 0x5a;
	assert_true(in_memory(masked));
	assert_int_equal(signer_start(SIGNER_ED25519, "k", key, 32, &s, &e), 0);
	assert_false(in_memory(masked));
	signer_stop(&s);
	assert_false(in_memory(masked));
	free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ed25519_vector),
		cmocka_unit_test(test_hmac_vector),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_bad_keys),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_outlives_signals),
		cmocka_unit_test(test_lockdown),
		cmocka_unit_test(test_key_is_gone),
	};

	return cmocka_run_group_tests_name("evidence/signer", tests, NULL,
					   NULL);
}
