/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Opening an image, and proving it. */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/fd.h"
#include "wire/b64.h"

enum { SETTLED_SECONDS = 2 };

_Static_assert((int)MANIFEST_KERNEL < IMAGE_FILES &&
		       (int)MANIFEST_INITRD < IMAGE_FILES &&
		       (int)MANIFEST_ROOTFS < IMAGE_FILES,
	       "what is booted comes before what is not");

int image_hash(int fd, char ret[MANIFEST_HEX])
{
	static unsigned char block[1 << 18];
	uint8_t hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state st;
	ssize_t n;

	(void)crypto_hash_sha256_init(&st);
	for (off_t at = 0;; at += n) {
		n = pread(fd, block, sizeof(block), at);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		if (n < 0)
			n = 0;
		(void)crypto_hash_sha256_update(&st, block,
						(unsigned long long)n);
	}
	(void)crypto_hash_sha256_final(&st, hash);
	hex_text(ret, hash, sizeof(hash));
	return 0;
}

/* -- digests that are known -- */

/* All that changes with the content, for everybody but root; "": the digest is
 * not kept. A change in the same tick of the clock as the last one
 * would not show, so the last one has to be a while ago. */
static void state_of(int fd, char *name, size_t name_size, char *text,
		     size_t size)
{
	struct timespec now;
	struct stat st;

	text[0] = '\0';
	if (fstat(fd, &st) < 0 || clock_gettime(CLOCK_REALTIME, &now) < 0 ||
	    now.tv_sec < st.st_ctim.tv_sec + SETTLED_SECONDS)
		return;
	(void)snprintf(name, name_size, "%llx-%llx",
		       (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino);
	(void)snprintf(text, size, "%lld %lld.%09ld %lld.%09ld ",
		       (long long)st.st_size, (long long)st.st_mtim.tv_sec,
		       st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec,
		       st.st_ctim.tv_nsec);
}

/* As image_hash(), by what is known of the file where that will do */
static int digest_of(int fd, int known, char ret[MANIFEST_HEX])
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(512);
	char name[48], text[256];
	size_t n;
	int r;

	state_of(fd, name, sizeof(name), text, sizeof(text));
	n = strlen(text);
	if (known < 0 || !n)
		return image_hash(fd, ret);
	if (!file_read(known, name, O_NOFOLLOW, &b) &&
	    b.len == n + MANIFEST_HEX - 1 && !memcmp(b.p, text, n)) {
		(void)snprintf(ret, MANIFEST_HEX, "%s", wbuf_cstr(&b) + n);
		return 0;
	}
	r = image_hash(fd, ret);
	if (r)
		return r;
	(void)snprintf(text + n, sizeof(text) - n, "%s", ret);
	if (file_replace(known, name, 0600, text, strlen(text))) {
		/* then it is read again the next time */
	}
	return 0;
}

void image_sign(struct slice manifest, const uint8_t seed[32], struct wbuf *out)
{
	uint8_t pk[crypto_sign_PUBLICKEYBYTES];
	uint8_t sk[crypto_sign_SECRETKEYBYTES];
	uint8_t sig[crypto_sign_BYTES];

	(void)crypto_sign_seed_keypair(pk, sk, seed);
	(void)crypto_sign_detached(sig, NULL, (const unsigned char *)manifest.p,
				   manifest.n, sk);
	sodium_memzero(sk, sizeof(sk));
	b64url_put(out, sig, sizeof(sig));
	wbuf_byte(out, '\n');
}

bool image_is_name(struct slice name)
{
	if (!name.n || name.n > 64 || name.p[0] == '.')
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && !memchr("._-", name.p[i], 3))
			return false;
	return true;
}

int image_open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	/* nobody else may change it after it was hashed */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 &&
	    !(st.st_mode & 022))
		return fd;
	(void)close(fd);
	return S_ISREG(st.st_mode) ? -EPERM : -EINVAL;
}

void image_blame(struct image *im, const char *role, const char *expected,
		 const char *actual)
{
	struct image_fault *f = &im->fault;

	f->set = true;
	f->role = role;
	(void)snprintf(f->expected, sizeof(f->expected), "%s", expected);
	(void)snprintf(f->actual, sizeof(f->actual), "%s", actual);
}

/* Of one that is not what it should be; NULL: nobody could read it */
static void blame_manifest(struct image *im, const struct wbuf *text)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	char got[MANIFEST_HEX] = "";

	if (text) {
		(void)crypto_hash_sha256(hash, (const unsigned char *)text->p,
					 text->len);
		hex_text(got, hash, sizeof(hash));
	}
	image_blame(im, IMAGE_MANIFEST, "", got);
}

static int check_signature(struct slice text, struct slice sig,
			   const uint8_t public_key[32])
{
	uint8_t raw[crypto_sign_BYTES];

	while (sig.n && sig.p[sig.n - 1] == '\n')
		sig.n--;
	if (b64url_get(raw, sizeof(raw), sig) != (ssize_t)sizeof(raw) ||
	    crypto_sign_verify_detached(raw, (const unsigned char *)text.p,
					text.n, public_key))
		return -EPROTO;
	return 0;
}

/* @from: the variable that names it, and a blank, or ""; @path: of the
 * manifest;
 * @text: lives as long as what is borrowed from it */
static int read_manifest(const char *from, const char *path, struct wbuf *text,
			 struct image *im)
{
	int r = file_read(AT_FDCWD, path, O_NOFOLLOW, text);

	if (r) {
		blame_manifest(im, NULL);
		return err_set(&im->err, ERR_PLAIN, r == -EINVAL ? 0 : -r,
			       "image: %s%s%s; make it with `cellos image "
			       "build`",
			       from, path,
			       r == -EINVAL ? " is not a regular file" : "");
	}
	r = manifest_parse(wbuf_as_slice(text), path, &im->manifest, &im->err);
	if (r)
		blame_manifest(im, text);
	return r;
}

static int read_signature(const char *path, const struct wbuf *text,
			  const uint8_t public_key[32], struct image *im)
{
	OWNED(wbuf_drop) struct wbuf sig = WBUF_INIT(256);
	char name[4200];
	int r;

	(void)snprintf(name, sizeof(name), "%s.sig", path);
	r = file_read(AT_FDCWD, name, O_NOFOLLOW, &sig);
	if (!r && !check_signature(wbuf_as_slice(text), wbuf_as_slice(&sig),
				   public_key))
		return 0;
	blame_manifest(im, text);
	return err_set(&im->err, ERR_PLAIN, r ? -r : 0,
		       "image: %s is no signature of it by this host's key; "
		       "make the image here with `cellos image build`",
		       name);
}

static int check(struct image *im, enum manifest_role role, int fd,
		 const char *path, int known)
{
	const char *word = manifest_role_word(role);
	const char *want = im->manifest.digest[role];
	char got[MANIFEST_HEX];
	int r = digest_of(fd, known, got);

	if (!r && !strcmp(got, want))
		return 0;
	image_blame(im, word, want, r ? "" : got);
	if (r)
		return err_set(&im->err, ERR_PLAIN, -r, "image: %s", path);
	return err_set(&im->err, ERR_PLAIN, 0,
		       "artifact digest mismatch for role `%s` at %s: "
		       "expected sha256:%s, got sha256:%s",
		       word, path, want, got);
}

/* A file that is booted */
static int take(struct image *im, enum manifest_role role, const char *from,
		const char *path, int known)
{
	const char *want = im->manifest.digest[role];
	int fd = im->fd[role] = image_open_file(path);

	if (fd < 0 && want[0])
		image_blame(im, manifest_role_word(role), want, "");
	if (fd < 0)
		return err_set(&im->err, ERR_PLAIN, -fd,
			       "image: %s%s, which has to be a file that only "
			       "root may write",
			       from, path);
	return want[0] ? check(im, role, fd, path, known) : 0;
}

int image_open(const char *dir, const uint8_t public_key[32], int known,
	       struct image *im)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(MANIFEST_MAX);
	const char *manifest = im->fault.manifest;
	char path[4200];
	int r;

	*im = IMAGE_INIT;
	(void)snprintf(im->fault.manifest, sizeof(im->fault.manifest),
		       "%s/" IMAGE_MANIFEST, dir);
	if (read_manifest("", manifest, &text, im) ||
	    read_signature(manifest, &text, public_key, im))
		return -1;
	if (!im->manifest.digest[MANIFEST_INITRD][0] ||
	    !im->manifest.digest[MANIFEST_INIT][0]) {
		blame_manifest(im, &text);
		return err_set(&im->err, ERR_PLAIN, 0,
			       "image: %s has no init of ours; make it with "
			       "`cellos image build`",
			       manifest);
	}
	for (int i = 0; i < IMAGE_FILES; i++) {
		const enum manifest_role role = (enum manifest_role)i;

		(void)snprintf(path, sizeof(path), "%s/%s", dir,
			       manifest_role_file(role));
		r = take(im, role, "", path, known);
		if (r)
			return r;
	}
	return 0;
}

/* Shown to the cell by this very descriptor */
static int check_vmm(const char *path, int known, struct image *im)
{
	const char *want = im->manifest.digest[MANIFEST_FIRECRACKER];

	if (!want[0])
		return 0;
	im->vmm = path ? image_open_file(path) : -1;
	if (im->vmm < 0)
		image_blame(im, manifest_role_word(MANIFEST_FIRECRACKER), want,
			    "");
	if (!path)
		return err_set(&im->err, ERR_PLAIN, 0,
			       "image: %s lists a firecracker; name it in "
			       "CELLOS_FIRECRACKER_BINARY",
			       im->fault.manifest);
	if (im->vmm < 0)
		return err_set(&im->err, ERR_PLAIN, -im->vmm,
			       "image: CELLOS_FIRECRACKER_BINARY %s, which has "
			       "to be a file that only root may write",
			       path);
	return check(im, MANIFEST_FIRECRACKER, im->vmm, path, known);
}

int image_open_files(const struct image_files *f, const uint8_t public_key[32],
		     int known, struct image *im)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(MANIFEST_MAX);
	const struct slice *initrd = &im->manifest.path[MANIFEST_INITRD];
	char path[4200];

	*im = IMAGE_INIT;
	im->is_foreign = true;
	if (f->manifest) {
		(void)snprintf(im->fault.manifest, sizeof(im->fault.manifest),
			       "%s", f->manifest);
		if (read_manifest("CELLOS_FIRECRACKER_MANIFEST ", f->manifest,
				  &text, im))
			return -1;
		im->is_foreign = !im->manifest.digest[MANIFEST_INIT][0] ||
				 !im->manifest.digest[MANIFEST_INITRD][0];
		if (!im->is_foreign &&
		    read_signature(f->manifest, &text, public_key, im))
			return -1;
	}
	if (take(im, MANIFEST_KERNEL, "CELLOS_FIRECRACKER_KERNEL_IMAGE ",
		 f->kernel, known) ||
	    take(im, MANIFEST_ROOTFS, "CELLOS_FIRECRACKER_ROOTFS_IMAGE ",
		 f->rootfs, known))
		return -1;
	if (im->is_foreign)
		return check_vmm(f->vmm, known, im);
	(void)snprintf(path, sizeof(path), "%.*s",
		       (int)(initrd->n < 4096 ? initrd->n : 0), initrd->p);
	return take(im, MANIFEST_INITRD, "", path, known)
		       ? -1
		       : check_vmm(f->vmm, known, im);
}
