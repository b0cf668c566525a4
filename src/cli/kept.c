/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Answers that hold for one boot of this host. */
#include "cli/kept.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

enum { KEY_SIZE = 40 + KEPT_FOR_SIZE };

static bool get_key(const char *what, char buf[KEY_SIZE])
{
	OWNED(wbuf_drop) struct wbuf id = WBUF_INIT(256);

	if (file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 0, &id))
		return false;
	(void)snprintf(buf, KEY_SIZE, "%.36s %s ", wbuf_cstr(&id), what);
	return true;
}

static int open_state(const struct state_dirs *d)
{
	return open(d->state, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

bool kept_get(const struct state_dirs *d, const char *name, const char *what,
	      char ret[KEPT_WORD_SIZE])
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(512);
	OWNED(fd_drop) int state = open_state(d);
	char key[KEY_SIZE];
	size_t n;

	if (!get_key(what, key) || file_read(state, name, O_NOFOLLOW, &b))
		return false;
	n = strlen(key);
	if (b.len <= n || memcmp(b.p, key, n) != 0 || b.p[b.len - 1] != '\n' ||
	    b.len - n > KEPT_WORD_SIZE)
		return false;
	(void)snprintf(ret, KEPT_WORD_SIZE, "%.*s", (int)(b.len - n - 1),
		       b.p + n);
	return true;
}

void kept_put(const struct state_dirs *d, const char *name, const char *what,
	      const char *word)
{
	OWNED(fd_drop) int state = open_state(d);
	char key[KEY_SIZE], line[KEY_SIZE + KEPT_WORD_SIZE];

	if (!get_key(what, key))
		return;
	(void)snprintf(line, sizeof(line), "%s%s\n", key, word);
	if (file_replace(state, name, 0600, line, strlen(line))) {
		/* then it is tried the next time, too */
	}
}

void kept_forget(const struct state_dirs *d, const char *name)
{
	OWNED(fd_drop) int state = open_state(d);

	(void)unlinkat(state, name, 0);
}
