/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The signer: a process of its own that holds the private key and nothing
 * else (no files, no network, a seccomp filter of read, write, exit). It gets
 * whole events in order, refuses one that is not last + 1, keeps the run's
 * links itself, and answers with finished lines.
 *
 * Without signing the same link keeper runs inside the caller, and lines are
 * plain events.
 */
#ifndef CELLOS_EVIDENCE_SIGNER_H
#define CELLOS_EVIDENCE_SIGNER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/wbuf.h"
#include "evidence/event.h"

enum signer_algorithm { SIGNER_NONE, SIGNER_ED25519, SIGNER_HMAC_SHA256 };

enum { SIGNER_KID_MAX = 256, SIGNER_KEY_MAX = 4096 };

struct signer;

/**
 * signer_start() - fork the signer, hand it the key
 * @key: Ed25519: the 32-byte seed; HMAC: 1..SIGNER_KEY_MAX bytes. Wiped in
 *       this process before the function returns, on every path.
 * @kid: 1..SIGNER_KID_MAX - 1 bytes
 *
 * Must be called while the process is single-threaded and before it opens
 * what the signer must not hold (it closes every descriptor but its channel).
 * With SIGNER_NONE no process is made.
 *
 * Return: 0 or -1 with @e
 */
int signer_start(enum signer_algorithm alg, const char *kid, uint8_t *key,
		 size_t key_len, struct signer **ret, struct err *e) MUST_USE;

/**
 * signer_run_begin() - name the run whose events follow; resets the count
 * The strings are copied.
 */
int signer_run_begin(struct signer *s, const struct event_run *run,
		     struct err *e) MUST_USE;

/*
 * Requests are sent, the signer works while the caller does something else,
 * lines are collected in the order of the requests. A caller must collect
 * before SIGNER_IN_FLIGHT bytes of event data are under way, or both ends may
 * wait for each other's full sockets.
 */
enum { SIGNER_IN_FLIGHT = 48 * 1024 };

/** signer_event_send() - event number @n (1, 2, ...) as a line */
int signer_event_send(struct signer *s, uint64_t n, const struct event *ev,
		      struct err *e) MUST_USE;
/**
 * signer_link_send() - close over what has been written since the last link
 * @n:     the last event number given to signer_event_send(), or the request
 *         is refused
 * @final: also say how many events the run has; nothing may follow
 */
int signer_link_send(struct signer *s, uint64_t n, const char *event_id,
		     const char *time, bool final, struct err *e) MUST_USE;
/** signer_pending() - lines that can be collected */
size_t signer_pending(const struct signer *s);
/**
 * signer_collect() - wait for the oldest line
 * @line: reset, then receives the finished line without LF
 *
 * Return: 0; -1 also if the signer refused that request
 */
int signer_collect(struct signer *s, struct wbuf *line, struct err *e) MUST_USE;

/** signer_pidfd() - readable when the signer died; -1 without a process */
int signer_pidfd(const struct signer *s);
/** signer_finish() - nothing more will be asked; do not wait for its end */
void signer_finish(struct signer *s);
/** signer_stop() - end the process and free; usable with OWNED via pointer */
void signer_stop(struct signer **s);

#endif
