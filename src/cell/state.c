/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The run directory: one locked file a run. */
#include "cell/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cell/state_file.h"
#include "sys/pidfd.h"

struct state_run {
	int fd, dirfd;
	char name[37];
};

static int set_dir(char *dst, size_t size, struct err *e, const char *var,
		   const char *a, const char *b)
{
	int n = snprintf(dst, size, "%s%s", a, b);

	if (n > 0 && (size_t)n < size && dst[0] == '/')
		return 0;
	return err_set(e, ERR_PLAIN, 0, "%s: not a usable directory: \"%s%s\"",
		       var, a, b);
}

int state_dirs_find(struct state_dirs *d, struct err *e)
{
	const char *run = getenv("CELLOS_RUN_DIR");
	const char *state = getenv("CELLOS_STATE_DIR");
	const char *xdg_run = getenv("XDG_RUNTIME_DIR");
	const char *xdg_state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	bool root = geteuid() == 0;
	struct state_dirs r = { 0 };
	int bad;

	if (state && *state)
		bad = set_dir(r.state, sizeof(r.state), e, "CELLOS_STATE_DIR",
			      state, "");
	else if (root)
		bad = set_dir(r.state, sizeof(r.state), e, "state directory",
			      "/var/lib/cellos", "");
	else if (xdg_state && *xdg_state)
		bad = set_dir(r.state, sizeof(r.state), e, "XDG_STATE_HOME",
			      xdg_state, "/cellos");
	else if (!home || home[0] != '/')
		bad = err_set(
			e, ERR_PLAIN, 0,
			"HOME is %s, and the state directory is below it: "
			"set it to an absolute path, or set "
			"CELLOS_STATE_DIR",
			home && *home ? "relative" : "not set");
	else
		bad = set_dir(r.state, sizeof(r.state), e, "HOME", home,
			      "/.local/state/cellos");
	if (bad)
		return -1;
	if (run && *run)
		bad = set_dir(r.run, sizeof(r.run), e, "CELLOS_RUN_DIR", run,
			      "");
	else if (root)
		bad = set_dir(r.run, sizeof(r.run), e, "run directory",
			      "/run/cellos", "");
	else if (xdg_run && *xdg_run)
		bad = set_dir(r.run, sizeof(r.run), e, "XDG_RUNTIME_DIR",
			      xdg_run, "/cellos");
	else
		bad = set_dir(r.run, sizeof(r.run), e, "run directory", r.state,
			      "/run");
	if (!bad)
		*d = r;
	return bad;
}

/* One of the two, or a directory below it */
struct own_dir {
	const char *name, *variable;
};

static const struct own_dir run_dir = { "run", "CELLOS_RUN_DIR" };
static const struct own_dir state_dir = { "state", "CELLOS_STATE_DIR" };

static int check_own(const struct own_dir *d, const char *path, int fd,
		     struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && !(st.st_mode & 022) &&
	    (st.st_uid == geteuid() || st.st_uid == 0))
		return 0;
	return err_set(e, ERR_PLAIN, 0,
		       "%s directory %s: must belong to uid %u or root and be "
		       "writable by nobody else; chown it, chmod it to 0700, "
		       "or name another in %s",
		       d->name, path, geteuid(), d->variable);
}

static int open_own(const struct own_dir *d, const char *path, struct err *e)
{
	OWNED(fd_drop) int fd = dir_make(path, 0700);

	if (fd < 0)
		return err_set(e, ERR_PLAIN, -fd,
			       "%s directory %s: cannot be opened or made; "
			       "name another in %s",
			       d->name, path, d->variable);
	return check_own(d, path, fd, e) ? -1 : fd_take(&fd);
}

int state_dir_open(const char *path, struct err *e)
{
	return open_own(&state_dir, path, e);
}

int state_dir_check(const char *path, struct err *e)
{
	OWNED(fd_drop) int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? 0 : check_own(&state_dir, path, fd, e);
}

/* Record locks belong to the process: children do not inherit them. */
int state_lock(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_SETLK, &l) < 0 ? -errno : 0;
}

int state_run_note(struct state_run *s, struct err *e, const char *fmt, ...)
{
	char line[CGROUP_NOTE_MAX];
	va_list ap;
	int n, r;

	if (!s)
		return 0;
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line) - 1)
		return err_set(e, ERR_PLAIN, ENAMETOOLONG, "state: %s",
			       s->name);
	/* one note is one line, whatever an id may hold */
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20)
			line[i] = '?';
	line[n++] = '\n';
	r = fd_write_all(s->fd, line, (size_t)n);
	return r ? err_set(e, ERR_PLAIN, -r, "state: run file %s", s->name) : 0;
}

/* Locked before it has a name, so that gc never sees it otherwise, and without
 * a name as long as it is not: nothing is left by a kill in between. */
static int make_locked(struct state_run *s, const char *run_uuid)
{
	char self[40];
	int r;

	s->fd = openat(s->dirfd, ".", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC,
		       0600);
	if (s->fd < 0)
		return -errno;
	r = state_lock(s->fd);
	if (r)
		return r;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", s->fd);
	if (linkat(AT_FDCWD, self, s->dirfd, run_uuid, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	(void)snprintf(s->name, sizeof(s->name), "%s", run_uuid);
	return 0;
}

int state_run_open(const struct state_dirs *d, const char *run_uuid,
		   const char *cell_id, const char *run_id,
		   struct state_run **ret, struct err *e)
{
	struct state_run *s;
	int r;

	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(e, ERR_PLAIN, ENOMEM, "state");
	s->fd = -1;
	s->dirfd = open_own(&run_dir, d->run, e);
	if (s->dirfd < 0) {
		free(s);
		return -1;
	}
	r = make_locked(s, run_uuid);
	if (r) {
		err_set(e, ERR_PLAIN, -r, "state: run file %s/%s", d->run,
			run_uuid);
		state_run_close(&s);
		return -1;
	}
	if (state_run_note(s, e, "cell %s", cell_id) ||
	    state_run_note(s, e, "run %s", run_id) ||
	    state_run_note(s, e, "runner %ld %llu", (long)getpid(),
			   pidfd_start_time(getpid())) ||
	    state_run_note(s, e, "started %llu",
			   (unsigned long long)clock_wall_ms())) {
		state_run_close(&s);
		return -1;
	}
	*ret = s;
	return 0;
}

void state_run_close(struct state_run **s)
{
	if (!*s)
		return;
	if ((*s)->name[0])
		(void)unlinkat((*s)->dirfd, (*s)->name, 0);
	fd_drop(&(*s)->fd);
	fd_drop(&(*s)->dirfd);
	free(*s);
	*s = NULL;
}

void state_run_leave(struct state_run **s)
{
	if (*s)
		(*s)->name[0] = '\0';
	state_run_close(s);
}

/* -- reading -- */

static void parse_line(struct state_file *f, char *line)
{
	char *value = strchr(line, ' ');
	unsigned long long t = 0;
	long pid = 0;

	if (!value)
		return;
	*value++ = '\0';
	if (!strcmp(line, "cell")) {
		(void)snprintf(f->info.cell_id, sizeof(f->info.cell_id), "%s",
			       value);
	} else if (!strcmp(line, "run")) {
		(void)snprintf(f->info.run_id, sizeof(f->info.run_id), "%s",
			       value);
	} else if (!strcmp(line, "started")) {
		f->info.started_ms = strtoull(value, NULL, 10);
	} else if (!strcmp(line, "runner")) {
		if (sscanf(value, "%ld %llu", &pid, &t) == 2) {
			f->info.runner = (pid_t)pid;
			f->runner_start = t;
		}
	} else if (!strcmp(line, "pid")) {
		if (sscanf(value, "%ld %llu", &pid, &t) == 2) {
			f->info.init = (pid_t)pid;
			f->init_start = t;
		}
	} else if (!strcmp(line, "cgroup") && f->n_cgroups < STATE_CGROUPS) {
		(void)snprintf(f->cgroups[f->n_cgroups], sizeof(f->cgroups[0]),
			       "%s", value);
		f->n_cgroups++;
	}
}

int state_file_read(int dirfd, const char *name, struct state_file *ret)
{
	struct wbuf b = WBUF_INIT(65536);
	char *p, *nl;
	int r;

	*ret = (struct state_file){ .fd = -1 };
	ret->fd = openat(dirfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (ret->fd < 0)
		return -errno;
	r = fd_read_all(ret->fd, &b);
	(void)snprintf(ret->info.run_uuid, sizeof(ret->info.run_uuid), "%s",
		       name);
	(void)wbuf_cstr(&b);
	for (p = b.p; !r && p && *p; p = nl + 1) {
		nl = strchr(p, '\n');
		if (!nl)
			break; /* torn: that resource was not made yet */
		*nl = '\0';
		parse_line(ret, p);
	}
	wbuf_drop(&b);
	if (r)
		fd_drop(&ret->fd);
	return r;
}

static int is_run(const struct dirent *de)
{
	return de->d_name[0] != '.' && strlen(de->d_name) == 36;
}

int state_each(const char *dir,
	       int (*fn)(void *arg, int dirfd, const char *name), void *arg,
	       struct err *e)
{
	struct dirent *de;
	DIR *d = opendir(dir);
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0
				       : err_set(e, ERR_PLAIN, errno,
						 "run directory %s", dir);
	errno = 0;
	while (!r && (de = readdir(d))) {
		if (is_run(de))
			r = fn(arg, dirfd(d), de->d_name);
		errno = 0;
	}
	if (!r && errno)
		r = err_set(e, ERR_PLAIN, errno, "run directory %s", dir);
	(void)closedir(d);
	return r < 0 ? -1 : 0;
}

struct lister {
	struct state_info *v;
	size_t n, cap;
};

static int list_one(void *arg, int dirfd, const char *name)
{
	struct lister *l = arg;
	struct state_file f;
	struct state_info *v;

	if (state_file_read(dirfd, name, &f))
		return 0; /* ended meanwhile */
	/* the runner holds the lock for as long as it lives */
	if (state_lock(f.fd) == 0)
		f.info.runner = 0;
	fd_drop(&f.fd);
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;

		v = reallocarray(l->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = f.info;
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct state_info *x = a, *y = b;

	return x->started_ms < y->started_ms ? -1
					     : x->started_ms > y->started_ms;
}

int state_list(const struct state_dirs *d,
	       int (*fn)(void *arg, const struct state_info *info), void *arg,
	       struct err *e)
{
	struct lister l = { 0 };
	int r = state_each(d->run, list_one, &l, e);

	if (!r && l.n)
		qsort(l.v, l.n, sizeof(*l.v), by_start);
	for (size_t i = 0; !r && i < l.n; i++)
		if (fn(arg, &l.v[i]))
			break;
	free(l.v);
	return r;
}
