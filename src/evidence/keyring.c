/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Keys of our own. */
#include "evidence/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/uuid.h"
#include "wire/b64.h"

_Static_assert(KEYRING_SEED == crypto_sign_SEEDBYTES, "seed");
_Static_assert(KEYRING_PUBLIC == crypto_sign_PUBLICKEYBYTES, "public key");

enum { FILE_MAX = 4096 };

void keyring_pair_drop(struct keyring_pair *p)
{
	explicit_bzero(p, sizeof(*p));
}

void keyring_kid(const uint8_t public_key[KEYRING_PUBLIC],
		 char ret_kid[KEYRING_KID_SIZE])
{
	unsigned char h[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256(h, public_key, KEYRING_PUBLIC);
	memcpy(ret_kid, "cellos-", 7);
	hex_text(ret_kid + 7, h, 8);
}

void keyring_from_seed(struct keyring_pair *p)
{
	unsigned char sk[crypto_sign_SECRETKEYBYTES];

	(void)crypto_sign_seed_keypair(p->public_key, sk, p->seed);
	explicit_bzero(sk, sizeof(sk));
	keyring_kid(p->public_key, p->kid);
}

int keyring_generate(struct keyring_pair *ret, struct err *e)
{
	if (getrandom(ret->seed, sizeof(ret->seed), 0) !=
	    (ssize_t)sizeof(ret->seed))
		return err_set(e, ERR_PLAIN, errno, "random bytes for a key");
	keyring_from_seed(ret);
	return 0;
}

void keyring_seed_text(const struct keyring_pair *p, struct wbuf *b)
{
	b64url_put(b, p->seed, sizeof(p->seed));
	wbuf_byte(b, '\n');
}

void keyring_public_text(const struct keyring_pair *p, struct wbuf *b)
{
	wbuf_fmt(b, "{\"%s\":\"", p->kid);
	b64url_put(b, p->public_key, sizeof(p->public_key));
	wbuf_str(b, "\"}\n");
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int keyring_seed_parse(struct slice text, struct keyring_pair *ret,
		       struct err *e)
{
	OWNED(keyring_pair_drop) struct keyring_pair p = { 0 };

	while (text.n && is_space(text.p[0])) {
		text.p++;
		text.n--;
	}
	while (text.n && is_space(text.p[text.n - 1]))
		text.n--;
	if (b64url_get(p.seed, sizeof(p.seed), text) != KEYRING_SEED)
		return err_set(e, ERR_PLAIN, 0,
			       "not a seed: base64url of %d bytes on one line",
			       KEYRING_SEED);
	keyring_from_seed(&p);
	*ret = p;
	return 0;
}

/* A new file with all of @b, or none. Return: 0 or -errno */
static int file_make(int dirfd, const char *name, mode_t mode,
		     const struct wbuf *b)
{
	OWNED(fd_drop) int fd = -1;
	int r;

	fd = openat(dirfd, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, b->p, b->len);
	if (!r && fsync(fd) < 0)
		r = -errno;
	if (r)
		(void)unlinkat(dirfd, name, 0);
	return r;
}

int keyring_write(const struct keyring_pair *p, const char *seed_path,
		  const char *public_path, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf seed = WBUF_INIT(FILE_MAX);
	OWNED(wbuf_drop) struct wbuf pub = WBUF_INIT(FILE_MAX);
	int r;

	keyring_seed_text(p, &seed);
	keyring_public_text(p, &pub);
	if (seed.failed || pub.failed)
		return err_set(e, ERR_PLAIN, ENOMEM, "key file");
	r = file_make(AT_FDCWD, seed_path, 0600, &seed);
	if (r)
		return err_set(e, ERR_PLAIN, -r, "create %s", seed_path);
	r = file_make(AT_FDCWD, public_path, 0644, &pub);
	if (r) {
		(void)unlink(seed_path);
		return err_set(e, ERR_PLAIN, -r, "create %s", public_path);
	}
	return 0;
}

/* Return: 0, -ENOENT, or another -errno; *ret_open tells a readable secret */
static int seed_read(int dirfd, struct wbuf *b, bool *ret_open)
{
	OWNED(fd_drop) int fd = -1;
	struct stat st;

	fd = openat(dirfd, KEYRING_SEED_NAME,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret_open = (st.st_mode & 077) || st.st_uid != geteuid();
	return fd_read_all(fd, b);
}

/* Make the seed file unless there is one: whole under another name, then
 * linked, which fails if somebody was first. */
static int seed_make(int dirfd, struct err *e)
{
	OWNED(keyring_pair_drop) struct keyring_pair p = { 0 };
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(FILE_MAX);
	char uuid[UUID_TEXT_SIZE], tmp[64];
	int r;

	if (keyring_generate(&p, e))
		return -1;
	keyring_seed_text(&p, &b);
	r = uuid_v4(uuid);
	(void)snprintf(tmp, sizeof(tmp), ".signing.%s", r ? "" : uuid);
	if (!r)
		r = b.failed ? -ENOMEM : file_make(dirfd, tmp, 0600, &b);
	if (r)
		return err_set(e, ERR_PLAIN, -r, "create %s",
			       KEYRING_SEED_NAME);
	if (linkat(dirfd, tmp, dirfd, KEYRING_SEED_NAME, 0) < 0 &&
	    errno != EEXIST)
		r = -errno;
	(void)unlinkat(dirfd, tmp, 0);
	if (!r && fsync(dirfd) < 0)
		r = -errno;
	return r ? err_set(e, ERR_PLAIN, -r, "create %s", KEYRING_SEED_NAME)
		 : 0;
}

/* The public file says nothing the seed does not: written when it differs. */
static int public_refresh(int dirfd, const struct keyring_pair *p,
			  struct err *e)
{
	OWNED(wbuf_drop) struct wbuf want = WBUF_INIT(FILE_MAX);
	OWNED(wbuf_drop) struct wbuf have = WBUF_INIT(FILE_MAX);
	int r;

	keyring_public_text(p, &want);
	r = file_read(dirfd, KEYRING_PUBLIC_NAME, O_NOFOLLOW, &have);
	if (!r && slice_eq(wbuf_as_slice(&want), wbuf_as_slice(&have)))
		return 0;
	r = file_replace(dirfd, KEYRING_PUBLIC_NAME, 0644, want.p, want.len);
	return r ? err_set(e, ERR_PLAIN, -r, "write %s", KEYRING_PUBLIC_NAME)
		 : 0;
}

int keyring_default(int dirfd, struct keyring_pair *ret, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(FILE_MAX);
	bool is_open = false;
	int r = seed_read(dirfd, &b, &is_open);

	if (r == -ENOENT) {
		if (seed_make(dirfd, e))
			return -1;
		wbuf_reset(&b);
		r = seed_read(dirfd, &b, &is_open);
	}
	if (r)
		return err_set(e, ERR_PLAIN, -r, "read %s", KEYRING_SEED_NAME);
	if (is_open)
		return err_set(e, ERR_PLAIN, 0,
			       "%s must be yours and readable by nobody else "
			       "(chmod 600)",
			       KEYRING_SEED_NAME);
	if (keyring_seed_parse(wbuf_as_slice(&b), ret, e))
		return err_wrap(e, "read %s", KEYRING_SEED_NAME);
	return public_refresh(dirfd, ret, e);
}
