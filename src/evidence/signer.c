/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The supervisor's side of the signer, and the keeper without one. */
#include "evidence/signer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "evidence/signer_wire.h"

enum {
	/* one line takes under a millisecond; a stopped signer must not hang
	 * the cell's end */
	ANSWER_SECONDS = 10,
	STOP_MS = 1000
};

struct signer {
	int fd, pidfd; /* -1 without a process */
	pid_t pid;
	bool broken;	    /* the stream is out of step or ended */
	struct seal *local; /* SIGNER_NONE */
	struct wbuf msg;
	struct signer_inbox in;
	unsigned acks;	  /* answers without a line, before the lines */
	size_t lines;	  /* answers with one */
	struct wbuf done; /* SIGNER_NONE: finished lines, as messages */
	size_t done_at;
};

static int key_check(enum signer_algorithm alg, const char *kid,
		     const uint8_t *key, size_t key_len, struct err *e)
{
	size_t n = kid ? strlen(kid) : 0;

	if (alg == SIGNER_NONE)
		return 0;
	if (n == 0 || n >= SIGNER_KID_MAX)
		return err_set(e, ERR_SINK, 0,
			       "event signer: a key id has 1 to %d bytes",
			       SIGNER_KID_MAX - 1);
	if (!key || key_len == 0 || key_len > SIGNER_KEY_MAX)
		return err_set(e, ERR_SINK, 0,
			       "event signer: a key has 1 to %d bytes",
			       SIGNER_KEY_MAX);
	if (alg == SIGNER_ED25519 && key_len != crypto_sign_SEEDBYTES)
		return err_set(e, ERR_SINK, 0,
			       "event signer: an ed25519 seed has %d bytes",
			       (int)crypto_sign_SEEDBYTES);
	return 0;
}

static struct signer *signer_new(void)
{
	struct signer *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->fd = s->pidfd = -1;
	s->msg = WBUF_INIT(SIGNER_MESSAGE_MAX);
	s->done = WBUF_INIT((size_t)4 * SIGNER_MESSAGE_MAX);
	return s;
}

/* In the child. The key moves from the caller's buffer, now a private copy. */
static NORETURN void child(int fd, pid_t parent, enum signer_algorithm alg,
			   const char *kid, uint8_t *key, size_t key_len)
{
	struct seal *s = calloc(1, sizeof(*s));

	/* here and not in the caller: it asks the processor what it can do,
	 * which a virtual machine answers slowly */
	if (!s || sodium_init() < 0)
		_exit(1);
	seal_init(s);
	seal_key_set(s, alg, kid, key, key_len);
	signer_main(fd, parent, s);
}

static int lost(struct signer *s, int r, struct err *e)
{
	s->broken = true;
	if (r == -EAGAIN || r == -EWOULDBLOCK)
		return err_set(e, ERR_SINK, 0,
			       "event signer does not answer within %d s",
			       ANSWER_SECONDS);
	if (r == -EPIPE || !r)
		return err_set(e, ERR_SINK, 0, "event signer ended");
	return err_set(e, ERR_SINK, -r, "event signer");
}

static int tell(struct signer *s, struct err *e)
{
	int r;

	if (s->broken)
		return lost(s, 0, e);
	if (s->msg.failed)
		return err_set(e, ERR_SINK, EMSGSIZE, "event signer");
	r = signer_send(s->fd, wbuf_as_slice(&s->msg));
	return r ? lost(s, r, e) : 0;
}

/* One answer; its line goes to @line (NULL: it must have none). */
static int hear(struct signer *s, struct wbuf *line, struct err *e)
{
	struct slice msg;
	uint8_t kind;
	int r;

	if (s->broken)
		return lost(s, 0, e);
	r = signer_recv(s->fd, &s->in, &msg);
	if (r)
		return lost(s, r, e);
	if (!signer_get_u8(&msg, &kind) ||
	    (kind != SIGNER_OK && kind != SIGNER_REFUSED))
		return lost(s, -EBADMSG, e);
	if (kind == SIGNER_REFUSED) {
		(void)err_set(e, ERR_PLAIN, 0, "%.*s", (int)msg.n, msg.p);
		if (e)
			e->cls = ERR_SINK;
		return -1;
	}
	if ((msg.n == 0) != (line == NULL))
		return lost(s, -EBADMSG, e);
	if (!line)
		return 0;
	wbuf_slice(line, msg);
	return line->failed ? lost(s, -EMSGSIZE, e) : 0;
}

/* Start and BEGIN are acknowledged; nobody has to wait for it at once. */
static int hear_acks(struct signer *s, struct err *e)
{
	for (; s->acks; s->acks--)
		if (hear(s, NULL, e))
			return -1;
	return 0;
}

static int spawn(struct signer *s, enum signer_algorithm alg, const char *kid,
		 uint8_t *key, size_t key_len, struct err *e)
{
	const struct timeval tv = { .tv_sec = ANSWER_SECONDS };
	OWNED(fd_drop) int theirs = -1;
	pid_t parent = getpid();
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return err_set(e, ERR_SINK, errno, "event signer: socketpair");
	s->fd = sv[0];
	theirs = sv[1];
	if (setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0 ||
	    setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
		return err_set(e, ERR_SINK, errno, "event signer: timeout");
	s->pid = fork();
	if (s->pid < 0)
		return err_set(e, ERR_SINK, errno, "event signer: fork");
	if (s->pid == 0)
		child(theirs, parent, alg, kid, key, key_len);
	explicit_bzero(key, key_len);
	fd_drop(&theirs);
	s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	if (s->pidfd < 0)
		return err_set(e, ERR_SINK, errno, "event signer: pidfd_open");
	s->acks = 1;
	return 0;
}

int signer_start(enum signer_algorithm alg, const char *kid, uint8_t *key,
		 size_t key_len, struct signer **ret, struct err *e)
{
	OWNED(signer_stop) struct signer *s = NULL;
	int r = -1;

	if (!key_check(alg, kid, key, key_len, e)) {
		s = signer_new();
		if (s && alg == SIGNER_NONE)
			s->local = calloc(1, sizeof(*s->local));
		else if (s)
			s->in.buf = malloc(SIGNER_INBOX);
		if (!s || (!s->local && !s->in.buf))
			(void)err_set(e, ERR_SINK, ENOMEM, "event signer");
		else
			r = s->local ? 0 : spawn(s, alg, kid, key, key_len, e);
		if (s && s->local)
			seal_init(s->local);
	}
	if (key)
		explicit_bzero(key, key_len);
	if (r)
		return -1;
	*ret = s;
	s = NULL;
	return 0;
}

int signer_run_begin(struct signer *s, const struct event_run *run,
		     struct err *e)
{
	const char *spec_id =
		run->spec && run->spec->id.p ? run->spec->id.p : run->cell_id;

	if (s->lines)
		return err_set(e, ERR_SINK, EBUSY, "event signer");
	if (s->local)
		return link_begin(&s->local->keeper, run->cell_id, spec_id,
				  run->run_id, run->run_uuid, e);
	signer_put_begin(&s->msg, SIGNER_REQ_BEGIN);
	signer_put_str(&s->msg, run->cell_id);
	signer_put_str(&s->msg, spec_id);
	signer_put_str(&s->msg, run->run_id);
	signer_put_str(&s->msg, run->run_uuid);
	signer_put_end(&s->msg);
	if (tell(s, e))
		return -1;
	s->acks++;
	return 0;
}

/* Without a process: finished at once, kept until it is collected. */
static int keep_done(struct signer *s, const struct wbuf *line, struct err *e)
{
	uint32_t n = (uint32_t)line->len;

	wbuf_put(&s->done, &n, sizeof(n));
	wbuf_slice(&s->done, wbuf_as_slice(line));
	if (s->done.failed)
		return err_set(e, ERR_SINK, EMSGSIZE, "event signer");
	s->lines++;
	return 0;
}

int signer_event_send(struct signer *s, uint64_t n, const struct event *ev,
		      struct err *e)
{
	if (s->local)
		return seal_event(s->local, n, ev, &s->msg, e)
			       ? -1
			       : keep_done(s, &s->msg, e);
	signer_put_begin(&s->msg, SIGNER_REQ_EVENT);
	signer_put_u64(&s->msg, n);
	signer_put_str(&s->msg, ev->id);
	signer_put_str(&s->msg, ev->source);
	signer_put_str(&s->msg, ev->type);
	signer_put_str(&s->msg, ev->time);
	signer_put_slice(&s->msg, ev->data);
	signer_put_end(&s->msg);
	if (tell(s, e))
		return -1;
	s->lines++;
	return 0;
}

int signer_link_send(struct signer *s, uint64_t n, const char *event_id,
		     const char *time, bool final, struct err *e)
{
	uint8_t f = final;

	if (s->local)
		return seal_link(s->local, n, event_id, time, final, &s->msg, e)
			       ? -1
			       : keep_done(s, &s->msg, e);
	signer_put_begin(&s->msg, SIGNER_REQ_LINK);
	signer_put_u64(&s->msg, n);
	wbuf_put(&s->msg, &f, 1);
	signer_put_str(&s->msg, event_id);
	signer_put_str(&s->msg, time);
	signer_put_end(&s->msg);
	if (tell(s, e))
		return -1;
	s->lines++;
	return 0;
}

size_t signer_pending(const struct signer *s)
{
	return s->lines;
}

static int take_done(struct signer *s, struct wbuf *line, struct err *e)
{
	uint32_t n;

	memcpy(&n, s->done.p + s->done_at, sizeof(n));
	wbuf_put(line, s->done.p + s->done_at + sizeof(n), n);
	s->done_at += sizeof(n) + n;
	if (s->done_at == s->done.len) {
		wbuf_reset(&s->done);
		s->done_at = 0;
	}
	return line->failed ? err_set(e, ERR_SINK, EMSGSIZE, "event signer")
			    : 0;
}

int signer_collect(struct signer *s, struct wbuf *line, struct err *e)
{
	wbuf_reset(line);
	if (!s->lines)
		return err_set(e, ERR_SINK, ENODATA, "event signer");
	if (hear_acks(s, e))
		return -1;
	s->lines--;
	return s->local ? take_done(s, line, e) : hear(s, line, e);
}

int signer_pidfd(const struct signer *s)
{
	return s->pidfd;
}

void signer_finish(struct signer *s)
{
	if (s->local)
		return;
	s->broken = true;
	fd_drop(&s->fd); /* it ends at the end of its stream */
}

void signer_stop(struct signer **sp)
{
	struct signer *s = *sp;
	struct pollfd p;

	if (!s)
		return;
	*sp = NULL;
	fd_drop(&s->fd); /* it ends at the end of its stream */
	if (s->pid > 0) {
		p = (struct pollfd){ .fd = s->pidfd, .events = POLLIN };
		if (s->pidfd < 0 || poll(&p, 1, STOP_MS) != 1)
			(void)kill(s->pid, SIGKILL);
		while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	fd_drop(&s->pidfd);
	if (s->local) {
		seal_drop(s->local);
		free(s->local);
	}
	wbuf_drop(&s->msg);
	wbuf_drop(&s->done);
	free(s->in.buf);
	free(s);
}
