/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The pure rules of a run: its deadline and the gate over argv[0]. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/env.h"
#include "cli/lifecycle.h"

/* 0: none given; -1 with the whole spawnError */
static int env_limit(const char *raw, unsigned long long *ret, struct err *e)
{
	char word[256], quoted[300];

	*ret = 0;
	if (!raw)
		return 0;
	if (!text_trim(raw, word, sizeof(word)))
		word[0] = '?', word[1] = '\0';
	if (!word[0])
		return 0;
	if (!text_u64(word, ret))
		return err_set(e, ERR_PLAIN, 0,
			       "invalid CELLOS_RUN_TIMEOUT_MS: %s",
			       env_quote(quoted, sizeof(quoted), raw));
	if (*ret == 0)
		return err_set(e, ERR_PLAIN, 0,
			       "CELLOS_RUN_TIMEOUT_MS must be > 0");
	return 0;
}

int lifecycle_deadline(const struct spec *s, const char *env,
		       struct lifecycle_deadline *ret, struct err *e)
{
	struct lifecycle_deadline d = { 0 };
	unsigned long long of_env;
	const char *who = NULL;
	uint64_t cap = UINT64_MAX;
	uint64_t ttl_ms = s->ttl_seconds > UINT64_MAX / 1000
				  ? UINT64_MAX
				  : s->ttl_seconds * 1000;

	if (env_limit(env, &of_env, e) < 0)
		return -1;
	if (of_env) {
		cap = of_env;
		who = "CELLOS_RUN_TIMEOUT_MS";
	}
	/* on a tie the document is named before the variable, both before
	 * the lifetime */
	if (s->run && s->run->timeout_ms.present &&
	    s->run->timeout_ms.v <= cap) {
		cap = s->run->timeout_ms.v;
		who = "spec.run.timeoutMs";
	}
	d.ms = who && cap <= ttl_ms ? cap : ttl_ms;
	if (who && cap <= ttl_ms)
		(void)snprintf(d.text, sizeof(d.text),
			       "command timed out after %" PRIu64 " ms (%s)",
			       d.ms, who);
	else
		(void)snprintf(d.text, sizeof(d.text),
			       "cell killed by TTL watchdog after %" PRIu64
			       " ms (ttl_seconds=%" PRIu64 ")",
			       d.ms, s->ttl_seconds);
	*ret = d;
	return 0;
}

/* A name of ".." would leave the prefix the text shows */
static bool has_dotdot(const char *path)
{
	const char *p;

	for (p = path; (p = strstr(p, "..")); p += 2)
		if ((p == path || p[-1] == '/') && (!p[2] || p[2] == '/'))
			return true;
	return false;
}

static void slashes(char *s)
{
	for (; *s; s++)
		if (*s == '\\')
			*s = '/';
}

static bool is_under(const char *path, const char *prefix, size_t n)
{
	return strncmp(path, prefix, n) == 0 &&
	       (path[n] == '\0' || path[n] == '/');
}

int lifecycle_argv0_check(const char *prefixes, struct slice argv0,
			  struct err *e)
{
	static const char name[] = "CELLOS_RUN_ARGV0_ALLOW_PREFIXES";
	char path[4096], list[4096], word[4096], quoted[512];
	char *part, *save = NULL;
	bool any = false;
	size_t n;

	if (!prefixes)
		return 0;
	if (argv0.n >= sizeof(path) || strlen(prefixes) >= sizeof(list))
		return err_set(e, ERR_PLAIN, 0, "%s: too long", name);
	(void)strcpy(list, prefixes);
	memcpy(path, argv0.p, argv0.n);
	path[argv0.n] = '\0';
	(void)env_quote(quoted, sizeof(quoted), path);
	slashes(list);
	slashes(path);
	for (part = strtok_r(list, ",", &save); part;
	     part = strtok_r(NULL, ",", &save)) {
		if (!text_trim(part, word, sizeof(word)) || !word[0])
			continue;
		any = true;
		for (n = strlen(word); n > 0 && word[n - 1] == '/'; n--)
			;
		if (path[0] == '/' && !has_dotdot(path) &&
		    is_under(path, word, n))
			return 0;
	}
	if (!any)
		return 0;
	return err_set(e, ERR_PLAIN, 0,
		       path[0] == '/'
			       ? "%s: spec.run.argv[0] %s is not under an "
				 "allowed prefix"
			       : "%s: spec.run.argv[0] %s is not an absolute "
				 "path",
		       name, quoted);
}
