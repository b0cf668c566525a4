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
	int fd, pidfd;		/* -1 without a process */
	pid_t pid;
	bool broken;		/* the stream is out of step or ended */
	struct seal *local;	/* SIGNER_NONE */
	struct wbuf msg;
	char *buf;		/* SIGNER_MESSAGE_MAX */
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
	return s;
}

/* In the child. The key moves from the caller's buffer, now a private copy. */
static NORETURN void child(int fd, pid_t parent, enum signer_algorithm alg,
			   const char *kid, uint8_t *key, size_t key_len)
{
	struct seal *s = calloc(1, sizeof(*s));

	if (!s)
		_exit(1);
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

/* Send s->msg unless @only_recv, take the answer into @line (may be NULL) */
static int talk(struct signer *s, bool only_recv, struct wbuf *line,
		struct err *e)
{
	struct slice msg;
	uint8_t kind;
	int r = 0;

	if (line)
		wbuf_reset(line);
	if (s->broken)
		return lost(s, 0, e);
	if (s->msg.failed)
		return err_set(e, ERR_SINK, EMSGSIZE, "event signer");
	if (!only_recv)
		r = signer_send(s->fd, wbuf_as_slice(&s->msg));
	if (!r)
		r = signer_recv(s->fd, s->buf, &msg);
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
	if (!line)
		return 0;
	wbuf_slice(line, msg);
	if (line->failed || msg.n == 0)
		return lost(s, -EMSGSIZE, e);
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
	return talk(s, true, NULL, e);
}

int signer_start(enum signer_algorithm alg, const char *kid, uint8_t *key,
		 size_t key_len, struct signer **ret, struct err *e)
{
	OWNED(signer_stop) struct signer *s = NULL;
	int r = -1;

	if (sodium_init() < 0) {
		(void)err_set(e, ERR_SINK, 0, "event signer: libsodium");
	} else if (!key_check(alg, kid, key, key_len, e)) {
		s = signer_new();
		if (s && alg == SIGNER_NONE)
			s->local = calloc(1, sizeof(*s->local));
		else if (s)
			s->buf = malloc(SIGNER_MESSAGE_MAX);
		if (!s || (!s->local && !s->buf))
			(void)err_set(e, ERR_SINK, ENOMEM, "event signer");
		else
			r = s->local ? 0 : spawn(s, alg, kid, key, key_len, e);
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
	const char *spec_id = run->spec && run->spec->id.p ? run->spec->id.p :
							     run->cell_id;

	if (s->local)
		return link_begin(&s->local->keeper, run->cell_id, spec_id,
				  run->run_id, run->run_uuid, e);
	signer_put_begin(&s->msg, SIGNER_REQ_BEGIN);
	signer_put_str(&s->msg, run->cell_id);
	signer_put_str(&s->msg, spec_id);
	signer_put_str(&s->msg, run->run_id);
	signer_put_str(&s->msg, run->run_uuid);
	signer_put_end(&s->msg);
	return talk(s, false, NULL, e);
}

int signer_event(struct signer *s, uint64_t n, const struct event *ev,
		 struct wbuf *line, struct err *e)
{
	if (s->local)
		return seal_event(s->local, n, ev, line, e);
	signer_put_begin(&s->msg, SIGNER_REQ_EVENT);
	signer_put_u64(&s->msg, n);
	signer_put_str(&s->msg, ev->id);
	signer_put_str(&s->msg, ev->source);
	signer_put_str(&s->msg, ev->type);
	signer_put_str(&s->msg, ev->time);
	signer_put_slice(&s->msg, ev->data);
	signer_put_end(&s->msg);
	return talk(s, false, line, e);
}

int signer_link(struct signer *s, uint64_t n, const char *event_id,
		const char *time, bool final, struct wbuf *line, struct err *e)
{
	uint8_t f = final;

	if (s->local)
		return seal_link(s->local, n, event_id, time, final, line, e);
	signer_put_begin(&s->msg, SIGNER_REQ_LINK);
	signer_put_u64(&s->msg, n);
	wbuf_put(&s->msg, &f, 1);
	signer_put_str(&s->msg, event_id);
	signer_put_str(&s->msg, time);
	signer_put_end(&s->msg);
	return talk(s, false, line, e);
}

int signer_pidfd(const struct signer *s)
{
	return s->pidfd;
}

void signer_stop(struct signer **sp)
{
	struct signer *s = *sp;
	struct pollfd p;

	if (!s)
		return;
	*sp = NULL;
	fd_drop(&s->fd);	/* it ends at the end of its stream */
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
	free(s->buf);
	free(s);
}
