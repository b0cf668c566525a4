/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The one way out for events: redact, number, sign, link, append. */
#include "evidence/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/uuid.h"
#include "evidence/link.h"
#include "evidence/redact.h"

/* What every line starts with: a tail that starts otherwise is not ours. */
#define LINE_START "{\"specversion\":\"1.0\",\"id\":\""

enum {
	/* envelope, wrapper and signature around data; ids are counted apart */
	LINE_ROOM = 1024,
	SCAN = 65536
};

/* Somebody who holds the lock for longer, or does not read a pipe, must not
 * hang the run: its deadline would wait as well. */
enum { WAIT_S = 3 };
#define WAIT_NS (WAIT_S * 1000000000ull)

struct journal {
	struct journal_config c;
	int fd; /* -1: nothing is written */
	bool is_regular, is_redacting, is_over, is_closed;
	bool is_stalled;    /* its reader did not take the last lines */
	bool is_ending;	    /* the signer made the final link */
	uint64_t n;	    /* events given to the signer */
	size_t pending;	    /* of them, not yet in a link */
	uint64_t written;   /* bytes of this run */
	size_t room_ids;    /* of the run, in a link */
	off_t end;	    /* size after our last append */
	uint64_t in_flight; /* bytes the signer's answers may have */
	struct wbuf line;   /* one answer */
	struct wbuf owed;   /* finished lines with LF, not yet written */
};

static int write_fail(const struct journal *j, int sys, struct err *e)
{
	char os[128];

	if (sys == ETIMEDOUT) {
		(void)err_set(e, ERR_SINK, 0,
			      "sink stalled: %s did not take it in %d s",
			      j->c.path, WAIT_S);
		if (e)
			e->sys = sys;
		return -1;
	}
	if (sys != ENOSPC && sys != EDQUOT && sys != EFBIG)
		return err_set(e, ERR_SINK, sys, "write %s", j->c.path);
	err_os_text(sys, os, sizeof(os));
	(void)err_set(e, ERR_SINK, 0, "sink full: %s (%s)", j->c.path, os);
	if (e)
		e->sys = ENOSPC;
	return -1;
}

/* A torn line starts as every line does, as far as it goes; after a power loss
 * blocks may read as zeros. Anything else was not written by a runner. */
static bool is_torn_line(int fd, off_t at, off_t size)
{
	const char *want = LINE_START;
	char have[sizeof(LINE_START) - 1];
	size_t i, n = sizeof(have);

	if (size - at < (off_t)n)
		n = (size_t)(size - at);
	if (size - at > LIMIT_EVENT_LINE ||
	    pread(fd, have, n, at) != (ssize_t)n)
		return false;
	for (i = 0; i < n; i++)
		if (have[i] != want[i] && have[i] != '\0')
			return false;
	return true;
}

/* Offset behind the last LF of the file, at most LIMIT_EVENT_LINE back */
static int last_line(int fd, off_t size, off_t *ret_at)
{
	NO_INIT char buf[SCAN];
	off_t at = size;
	size_t n;
	char *lf;

	while (at > 0 && size - at <= LIMIT_EVENT_LINE) {
		n = at > SCAN ? SCAN : (size_t)at;
		if (pread(fd, buf, n, at - (off_t)n) != (ssize_t)n)
			return -EIO;
		lf = memrchr(buf, '\n', n);
		if (lf) {
			*ret_at = at - (off_t)n + (lf - buf) + 1;
			return 0;
		}
		at -= (off_t)n;
	}
	*ret_at = at;
	return 0;
}

/* Under the lock: cut what a writer that died left of its last line. */
static int heal(struct journal *j, struct err *e)
{
	struct stat st;
	off_t at;
	int r;

	if (fstat(j->fd, &st) < 0)
		return err_set(e, ERR_SINK, errno, "stat %s", j->c.path);
	if (st.st_size == j->end)
		return 0;
	r = last_line(j->fd, st.st_size, &at);
	if (r)
		return err_set(e, ERR_SINK, -r, "read %s", j->c.path);
	if (at != st.st_size) {
		if (!is_torn_line(j->fd, at, st.st_size))
			return err_set(e, ERR_SINK, 0,
				       "%s does not end in a line of events",
				       j->c.path);
		if (ftruncate(j->fd, at) < 0)
			return err_set(e, ERR_SINK, errno, "truncate %s",
				       j->c.path);
	}
	j->end = at;
	return 0;
}

/* Until a pipe takes more; one that did not in time is not waited for again.
 * Return: 0 or errno */
static int wait_writable(struct journal *j, uint64_t end)
{
	struct pollfd p = { .fd = j->fd, .events = POLLOUT };
	uint64_t now = clock_mono_ns();
	int ms = now < end ? (int)((end - now) / 1000000) : 0;

	if (poll(&p, 1, j->is_stalled ? 0 : ms) < 0 && errno != EINTR)
		return errno;
	j->is_stalled = !ms || (j->is_stalled && !p.revents);
	return j->is_stalled ? ETIMEDOUT : 0;
}

/* All owed lines or, of a regular file, none; of a pipe what it took is owed no
 * more. Return: 0 or errno */
static int write_owed(struct journal *j)
{
	uint64_t end = j->is_regular ? 0 : clock_mono_ns() + WAIT_NS;
	size_t at = 0;
	ssize_t w;
	int sys = 0;

	while (at < j->owed.len) {
		w = write(j->fd, j->owed.p + at, j->owed.len - at);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && errno == EAGAIN) {
			sys = wait_writable(j, end);
			if (sys)
				break;
			continue;
		}
		if (w <= 0) {
			sys = w < 0 ? errno : ENOSPC;
			break;
		}
		at += (size_t)w; /* cut short: the next call says why */
	}
	/* if even this fails, the next append heals the tail */
	if (sys && at && j->is_regular && ftruncate(j->fd, j->end) < 0)
		sys = errno;
	if (sys && at && !j->is_regular) {
		j->owed.len -= at;
		memmove(j->owed.p, j->owed.p + at, j->owed.len);
	}
	return sys;
}

static int write_plain(struct journal *j, struct err *e)
{
	int sys = write_owed(j);

	return sys ? write_fail(j, sys, e) : 0;
}

static int write_healed(struct journal *j, struct err *e)
{
	if (heal(j, e) || write_plain(j, e))
		return -1;
	j->end += (off_t)j->owed.len;
	return 0;
}

/* Others hold it for one write. */
static int lock_bounded(int fd)
{
	struct timespec pause = { 0, 500000 };
	uint64_t end = clock_mono_ns() + WAIT_NS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (clock_mono_ns() > end)
			return -ETIMEDOUT;
		(void)nanosleep(&pause, NULL);
		if (pause.tv_nsec < 20000000)
			pause.tv_nsec *= 2;
	}
	return 0;
}

/* Runs may share the file: one at a time. */
static int locked(struct journal *j,
		  int (*what)(struct journal *j, struct err *e), struct err *e)
{
	int r;

	r = lock_bounded(j->fd);
	if (r)
		return err_set(e, ERR_SINK, -r, "lock %s", j->c.path);
	r = what(j, e);
	(void)flock(j->fd, LOCK_UN);
	return r;
}

/* On failure the lines stay owed: the signer counts them, so they must stand
 * in the file before anything else does. */
static int append(struct journal *j, struct err *e)
{
	if (j->owed.len == 0)
		return 0;
	if (j->fd >= 0 &&
	    (j->is_regular ? locked(j, write_healed, e) : write_plain(j, e)))
		return -1;
	j->written += j->owed.len;
	wbuf_reset(&j->owed);
	return 0;
}

/* Collect until @left lines are still at the signer, and write them. */
static int flush_to(struct journal *j, size_t left, struct err *e)
{
	while (signer_pending(j->c.signer) > left) {
		if (signer_collect(j->c.signer, &j->line, e))
			return -1;
		if (j->line.len + 1 > LIMIT_EVENT_LINE)
			return err_set(e, ERR_SINK, EMSGSIZE, "event line");
		wbuf_slice(&j->owed, wbuf_as_slice(&j->line));
		wbuf_byte(&j->owed, '\n');
		if (j->owed.failed)
			return err_set(e, ERR_SINK, ENOMEM, "journal");
	}
	if (!left)
		j->in_flight = 0;
	return append(j, e);
}

int journal_flush(struct journal *j, struct err *e)
{
	return flush_to(j, 0, e);
}

static int stamp(char id[UUID_TEXT_SIZE], char time[CLOCK_TEXT_SIZE],
		 struct err *e)
{
	int r = uuid_v4(id);

	if (r)
		return err_set(e, ERR_SINK, -r, "event id");
	clock_text(time, clock_wall(), CLOCK_FORM_A);
	return 0;
}

static int link_now(struct journal *j, bool final, struct err *e)
{
	char id[UUID_TEXT_SIZE], time[CLOCK_TEXT_SIZE];

	/* lines that could not be written come first */
	if (append(j, e) || stamp(id, time, e) ||
	    signer_link_send(j->c.signer, j->n, id, time, final, e))
		return -1;
	j->in_flight += LINK_ROOM + j->room_ids + j->pending * LINK_ROOM_LINE;
	j->pending = 0;
	j->is_ending = final;
	return 0;
}

static int sync_now(const struct journal *j, struct err *e)
{
	if (j->fd >= 0 && j->is_regular && fdatasync(j->fd) < 0)
		return write_fail(j, errno, e);
	return 0;
}

/* Reading too, for the torn tail. A FIFO so opened would never say that its
 * reader is gone, so that one is opened again. */
static int open_file(struct journal *j, struct err *e)
{
	OWNED(fd_drop) int fd = -1;
	int flags = O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	char self[64];
	struct stat st;

	/* /dev/stderr and its like are links, and nobody's to plant */
	if (j->c.no_follow && strncmp(j->c.path, "/dev/", 5) != 0)
		flags |= O_NOFOLLOW;
	fd = open(j->c.path, flags | O_RDWR | O_CREAT, 0666);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		fd = open(j->c.path, flags | O_WRONLY);
	if (fd < 0)
		return err_set(e, ERR_SINK, errno, "open %s", j->c.path);
	if (fstat(fd, &st) < 0)
		return err_set(e, ERR_SINK, errno, "stat %s", j->c.path);
	j->is_regular = S_ISREG(st.st_mode);
	if (S_ISFIFO(st.st_mode)) {
		(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		j->fd = open(self, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	}
	if (j->fd < 0)
		j->fd = fd_take(&fd);
	return j->is_regular ? locked(j, heal, e) : 0;
}

int journal_open(const struct journal_config *c, const struct event_run *run,
		 struct journal **ret, struct err *e)
{
	OWNED(journal_free) struct journal *j = calloc(1, sizeof(*j));
	const struct spec *s = run->spec;

	if (!j)
		return err_set(e, ERR_SINK, ENOMEM, "journal");
	j->c = *c;
	j->fd = -1;
	j->line = WBUF_INIT(LIMIT_EVENT_LINE);
	/* what may be in flight, and one event more */
	j->owed = WBUF_INIT((size_t)4 * LIMIT_EVENT_LINE);
	j->is_redacting = redact_is_on(c->redact);
	/* escaped, a byte takes up to six */
	j->room_ids = 6 * (strlen(run->cell_id) + strlen(run->run_id) +
			   strlen(run->run_uuid) +
			   (s && s->id.p ? s->id.n : strlen(run->cell_id)));
	if ((c->path && open_file(j, e)) ||
	    signer_run_begin(c->signer, run, e) || link_now(j, false, e))
		return -1;
	*ret = j;
	j = NULL;
	return 0;
}

/* Before the event is signed: afterwards it has to be written. The links that
 * will cover it have their room, whatever happens. */
static int budget_check(struct journal *j, size_t data_len, struct err *e)
{
	uint64_t spent = j->written + j->owed.len + j->in_flight;
	uint64_t max = j->c.max_bytes, reserve = JOURNAL_RESERVE;
	uint64_t want = data_len + LINE_ROOM + SIGNER_KID_MAX + LINK_ROOM +
			j->room_ids + (j->pending + 1) * LINK_ROOM_LINE;

	if (max < 2 * reserve)
		reserve = max / 2;
	if (j->is_over)
		reserve = 0;
	if (spent <= max && want <= max - spent &&
	    reserve <= max - spent - want)
		return 0;
	j->is_over = true;
	(void)err_set(e, ERR_SINK, 0,
		      "journal budget: this run wrote %" PRIu64 " of %" PRIu64
		      " bytes (%s)",
		      j->written, max,
		      limit_table[LIMIT_JOURNAL_BYTES].variable);
	if (e)
		e->sys = EDQUOT;
	return -1;
}

int journal_emit(struct journal *j, enum event_type t, const struct wbuf *data,
		 char *ret_id, struct err *e)
{
	return journal_emit_from(j, t, NULL, NULL, data, ret_id, e);
}

int journal_emit_from(struct journal *j, enum event_type t, const char *source,
		      const char *time, const struct wbuf *data, char *ret_id,
		      struct err *e)
{
	OWNED(wbuf_drop) struct wbuf redacted = WBUF_INIT(LIMIT_EVENT_LINE);
	char id[UUID_TEXT_SIZE], now[CLOCK_TEXT_SIZE];
	struct event ev = {
		.id = id,
		.source = source ? source : EVENT_SOURCE,
		.type = event_type_text(t),
		.time = !time	? now
			: *time ? time
				: NULL,
		.data = wbuf_as_slice(data),
	};

	if (j->is_ending)
		return err_set(e, ERR_SINK, 0, "the journal is closed");
	if (data->failed || data->len == 0)
		return err_set(e, ERR_SINK, EMSGSIZE, "event %s", ev.type);
	if (j->is_redacting) {
		if (redact_data(j->c.redact, t, ev.data, &redacted, e))
			return -1;
		ev.data = wbuf_as_slice(&redacted);
	}
	if (budget_check(j, ev.data.n, e))
		return -1;
	/* never more under way than both sockets hold */
	if (j->in_flight + ev.data.n > SIGNER_IN_FLIGHT && journal_flush(j, e))
		return -1;
	if (j->pending == LINK_LINES_MAX && link_now(j, false, e))
		return -1;
	if (stamp(id, now, e) ||
	    signer_event_send(j->c.signer, j->n + 1, &ev, e))
		return -1;
	j->n++;
	j->pending++;
	j->in_flight += ev.data.n + LINE_ROOM + SIGNER_KID_MAX;
	if (ret_id)
		memcpy(ret_id, id, sizeof(id));
	return 0;
}

int journal_boundary_begin(struct journal *j, struct err *e)
{
	if (j->is_ending)
		return err_set(e, ERR_SINK, 0, "the journal is closed");
	if (!j->pending)
		return flush_to(j, 0, e);
	return link_now(j, false, e) ? -1 : flush_to(j, 1, e);
}

int journal_boundary_end(struct journal *j, struct err *e)
{
	return flush_to(j, 0, e) ? -1 : sync_now(j, e);
}

int journal_close(struct journal *j, struct err *e)
{
	if (j->is_closed)
		return err_set(e, ERR_SINK, 0, "the journal is closed");
	if ((!j->is_ending && link_now(j, true, e)) || journal_flush(j, e))
		return -1;
	j->is_closed = true;
	/* it is on its way out while the disk works */
	if (j->c.last_run)
		signer_finish(j->c.signer);
	return sync_now(j, e);
}

void journal_free(struct journal **jp)
{
	struct journal *j = *jp;

	if (!j)
		return;
	*jp = NULL;
	fd_drop(&j->fd);
	wbuf_drop(&j->line);
	wbuf_drop(&j->owed);
	free(j);
}
