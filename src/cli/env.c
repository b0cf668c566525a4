/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The table of environment variables and the accessors of its classes. */
#include "cli/env.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"

static const struct env_info table[] = {
#define X(name, cls, dflt, status, doc) \
	{ name, ENV_##cls, ENV_##status, dflt, doc },
	ENV_TABLE(X)
#undef X
};

size_t env_count(void)
{
	return ARRAY_SIZE(table) + LIMIT_NUM;
}

struct env_info env_info(size_t i)
{
	const struct limit_info *l;

	if (i < ARRAY_SIZE(table))
		return table[i];
	l = &limit_table[i - ARRAY_SIZE(table)];
	return (struct env_info){ l->variable, ENV_INTEGER, ENV_ACTIVE, NULL,
				  l->what };
}

const char *env_status_word(enum env_status s)
{
	switch (s) {
	case ENV_ACTIVE:
		return "active";
	case ENV_REFUSED:
		return "refused";
	case ENV_IGNORED:
		break;
	}
	return "ignored";
}

const char *env_text(const char *name)
{
	const char *v = getenv(name);

	return v && utf8_is_text(v) ? v : NULL;
}

const char *env_path(const char *name)
{
	return getenv(name);
}

/* Bytes of the Unicode White_Space character at @s, 0 if it is another */
static size_t space_len(const char *s)
{
	static const char *const wide[] = {
		"\xc2\x85",	"\xc2\xa0",	"\xe1\x9a\x80", "\xe2\x80\xa8",
		"\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
	};

	if (*s == ' ' || (*s >= '\t' && *s <= '\r'))
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(wide); i++)
		if (strncmp(s, wide[i], strlen(wide[i])) == 0)
			return strlen(wide[i]);
	/* U+2000..U+200A */
	if (strncmp(s, "\xe2\x80", 2) == 0 && (unsigned char)s[2] >= 0x80 &&
	    (unsigned char)s[2] <= 0x8a)
		return 3;
	return 0;
}

bool text_trim(const char *s, char *buf, size_t size)
{
	const char *p, *end;
	size_t n;

	for (; *s && (n = space_len(s)) > 0; s += n)
		;
	/* characters are whole: @end only follows one that is no space */
	for (p = s, end = s; *p;) {
		n = space_len(p);
		p += n ? n : 1;
		if (!n)
			end = p;
	}
	n = (size_t)(end - s);
	if (n >= size)
		return false;
	memcpy(buf, s, n);
	buf[n] = '\0';
	return true;
}

const char *env_nonblank(const char *name, char *buf, size_t size)
{
	const char *v = env_text(name);

	return v && text_trim(v, buf, size) && buf[0] ? buf : NULL;
}

bool env_present(const char *name)
{
	return getenv(name) != NULL;
}

static bool is_one_of(const char *v, const char *const words[])
{
	char word[8];

	if (!v || !text_trim(v, word, sizeof(word)))
		return false;
	for (; *words; words++)
		if (strcasecmp(word, *words) == 0)
			return true;
	return false;
}

bool env_truthy(const char *name)
{
	static const char *const words[] = { "1", "true", "yes", "on", NULL };

	return is_one_of(env_text(name), words);
}

bool env_exact(const char *name)
{
	const char *v = env_text(name);

	return v && strcmp(v, "1") == 0;
}

bool env_not_falsy(const char *name)
{
	static const char *const words[] = { "0", "false", "no", "off", NULL };

	return !is_one_of(env_text(name), words);
}

void env_wipe(const char *name)
{
	char *v = getenv(name);

	/* /proc/<pid>/environ shows these very bytes */
	if (v)
		explicit_bzero(v, strlen(v));
	(void)unsetenv(name);
}

bool text_u64(const char *s, unsigned long long *ret)
{
	char *end;
	unsigned long long v;

	if (!isdigit((unsigned char)s[0]))
		return false;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || *end)
		return false;
	*ret = v;
	return true;
}

int env_limits(struct limits *ret, bool *ret_pids_asked, struct err *e)
{
	char word[64], quoted[128];
	struct limits l;

	limits_default(&l);
	for (int i = 0; i < LIMIT_NUM; i++) {
		const struct limit_info *info = &limit_table[i];
		const char *raw = getenv(info->variable);
		unsigned long long v;

		if (!raw)
			continue;
		if (!text_trim(raw, word, sizeof(word)) ||
		    !text_u64(word, &v) || v < info->min || v > info->max)
			return err_set(e, ERR_PLAIN, 0,
				       "%s must be an integer from %" PRIu64
				       " to %" PRIu64 " (got %s)",
				       info->variable, info->min, info->max,
				       env_quote(quoted, sizeof(quoted), raw));
		l.v[i] = v;
	}
	*ret_pids_asked = getenv(limit_table[LIMIT_PIDS].variable) != NULL;
	*ret = l;
	return 0;
}

const char *env_quote(char *buf, size_t size, const char *s)
{
	size_t left = strlen(s), n = 0, len;

	buf[n++] = '"';
	for (; left && n + 12 < size; s += len, left -= len) {
		char shown[UTF8_SHOWN];

		len = utf8_show(s, left, shown);
		n += (size_t)snprintf(buf + n, size - n, "%s%s",
				      *s == '"' || *s == '\\' ? "\\" : "",
				      shown);
	}
	buf[n++] = '"';
	buf[n] = '\0';
	return buf;
}
