/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* From a kernel, our init and a directory to an image. */
#include "guest/image_build.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/drop.h"
#include "base/fd.h"
#include "cell/door.h"
#include "cell/stage.h"

/* -- helpers of this host -- */

/* Return: the wait status */
static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* What they tell goes to our stderr: stdout is the answer's. */
static void become(const char *const *argv, int in, int out) NORETURN;
static void become(const char *const *argv, int in, int out)
{
	const struct rlimit most = { IMAGE_FILE_MAX, IMAGE_FILE_MAX };

	if ((in >= 0 && dup2(in, 0) < 0) || dup2(out >= 0 ? out : 2, 1) < 0 ||
	    (out >= 0 && setrlimit(RLIMIT_FSIZE, &most) < 0))
		_exit(126);
	(void)execvp(argv[0], (char **)(uintptr_t)argv);
	_exit(127);
}

int image_run(const char *const *argv, int in, int out, struct err *e)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		become(argv, in, out);
	if (pid < 0)
		return err_set(e, ERR_PLAIN, errno, "fork");
	status = wait_for(pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(e, ERR_PLAIN, 0, "%s failed%s", argv[0],
		       WIFEXITED(status) && WEXITSTATUS(status) == 127
			       ? ": it is not installed (apt-get install "
				 "erofs-utils dpkg lz4)"
			       : "");
}

/* What cannot be removed stays, to be seen */
static void drop(const char *path)
{
	if (drop_tree(AT_FDCWD, path, NULL, NULL)) {
		/* nothing depends on it */
	}
}

/* -- the root -- */

/* In a mount namespace of its own: the root a cell would get, then packed. */
static void pack(const struct image_build *b, const char *file) NORETURN;
static void pack(const struct image_build *b, const char *file)
{
	static struct plan plan;
	static const struct door door;
	static const struct spec spec;
	const struct cell_request req = { .spec = &spec,
					  .run_uuid = "0",
					  .door = &door,
					  .image_root = b->root };
	NO_INIT struct host_caps h;
	struct stage s = { .plan = &plan, .req = &req, .fail_step = -1 };
	int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	char out[64];
	const char *const argv[] = {
		"mkfs.erofs", "--quiet",
		/* the same tree, the same bytes */
		"-T0", "-U", "00000000-0000-0000-0000-000000000000",
		/* who owns a file of this host says nothing; an image has users
		 * of its own, and no extended attributes */
		b->oci ? "-x-1" : "--all-root", out, ".", NULL
	};
	struct err e = { 0 };
	int r = fd < 0 ? -errno : 0;

	for (size_t i = 0; i < STAGE_SOURCES; i++)
		s.source[i] = -1;
	(void)snprintf(out, sizeof(out), "/proc/self/fd/%d", fd);
	if (!r && unshare(CLONE_NEWNS) < 0)
		r = -errno;
	if (!r)
		r = host_caps_probe(&req, &h, &e);
	h.is_root = false; /* nothing is opened beforehand */
	if (!r)
		r = plan_tree(&req, &h, &plan, &e);
	for (size_t i = 0; i < plan.n && !r; i++) {
		r = apply_step(&s, &plan.steps[i]);
		if (r)
			(void)err_set(&e, ERR_PLAIN, -r, "root: %s",
				      plan.steps[i].dst);
	}
	if (r && !e.text[0])
		(void)err_set(&e, ERR_PLAIN, -r, "%s", file);
	if (!r)
		r = image_run(argv, -1, -1, &e);
	if (!r && (fchmod(fd, 0444) < 0 || fsync(fd) < 0))
		r = err_set(&e, ERR_PLAIN, errno, "%s", file);
	if (r)
		err_print(stderr, &e);
	_exit(r ? 1 : 0);
}

static int make_root(const struct image_build *b, const char *dir,
		     struct err *e)
{
	char file[PATH_MAX];
	pid_t pid;

	(void)snprintf(file, sizeof(file), "%s/%s", dir,
		       manifest_role_file(MANIFEST_ROOTFS));
	pid = fork();
	if (pid == 0)
		pack(b, file);
	if (pid < 0 || wait_for(pid))
		return err_set(e, ERR_PLAIN, pid < 0 ? errno : 0,
			       "root of the image could not be made");
	return 0;
}

static int make_oci_root(const struct image_build *b, const char *dir,
			 struct wbuf *report, struct err *e)
{
	struct image_build of_tree = *b;
	char made[PATH_MAX], tree[PATH_MAX];
	int r;

	(void)snprintf(made, sizeof(made), "%s/unpacked", dir);
	if (mkdir(made, 0700) < 0 || !realpath(made, tree))
		return err_set(e, ERR_PLAIN, errno, "%s", made);
	r = image_unpack(b->oci, tree, report, e);
	of_tree.root = tree;
	if (!r)
		r = make_root(&of_tree, dir, e);
	drop(tree);
	return r;
}

/* -- the kernel -- */

static int make_kernel(const struct image_build *b, const char *dir, int out,
		       struct err *e)
{
	OWNED(fd_drop) int tree = -1;
	char unpacked[PATH_MAX];
	const char *const argv[] = { "dpkg-deb", "-x", b->kernel, unpacked,
				     NULL };
	struct stat st;
	int r;

	(void)snprintf(unpacked, sizeof(unpacked), "%s/package", dir);
	if (stat(b->kernel, &st) < 0)
		return err_set(e, ERR_PLAIN, errno, "--kernel %s", b->kernel);
	if (!S_ISDIR(st.st_mode) && image_run(argv, -1, -1, e))
		return -1;
	tree = open(S_ISDIR(st.st_mode) ? b->kernel : unpacked,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree < 0)
		return err_set(e, ERR_PLAIN, errno, "--kernel %s", b->kernel);
	r = image_kernel(tree, b->kernel, b->init, out, e);
	drop(unpacked);
	return r;
}

/* -- the whole -- */

/* Signed with the rest, and nothing to who reads it but people */
static void put_comments(struct slice lines, struct wbuf *text)
{
	while (lines.n) {
		const char *end = memchr(lines.p, '\n', lines.n);
		size_t n = end ? (size_t)(end - lines.p) + 1 : lines.n;

		wbuf_str(text, "# oci ");
		wbuf_put(text, lines.p, n);
		lines.p += n;
		lines.n -= n;
	}
}

static int make_manifest(const struct image_build *b, int dir, struct slice oci,
			 struct manifest *m, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(MANIFEST_MAX);
	OWNED(wbuf_drop) struct wbuf sig = WBUF_INIT(256);
	int r = 0;

	*m = (struct manifest){ 0 };
	for (int i = 0; i <= MANIFEST_INIT && !r; i++) {
		OWNED(fd_drop)
		int fd = openat(dir, manifest_role_file((enum manifest_role)i),
				O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

		r = fd < 0 ? -errno : image_hash(fd, m->digest[i]);
	}
	if (r)
		return err_set(e, ERR_PLAIN, -r, "image");
	put_comments(oci, &text);
	manifest_write(m, b->out, &text);
	image_sign(wbuf_as_slice(&text), b->seed, &sig);
	r = text.failed || sig.failed
		    ? -ENOMEM
		    : image_put(dir, IMAGE_MANIFEST, text.p, text.len);
	if (!r)
		r = image_put(dir, IMAGE_SIGNATURE, sig.p, sig.len);
	return r ? err_set(e, ERR_PLAIN, -r, IMAGE_MANIFEST) : 0;
}

/* What was there before changes places with it, and then goes: at every moment
 * there is one. */
static int put_in_place(const char *dir, const char *out, struct err *e)
{
	if (syscall(SYS_renameat2, AT_FDCWD, dir, AT_FDCWD, out,
		    RENAME_EXCHANGE) == 0) {
		drop(dir);
		return 0;
	}
	if (errno == ENOENT && rename(dir, out) == 0)
		return 0;
	return err_set(e, ERR_PLAIN, errno, "%s%s", out,
		       errno == EINVAL ? ": there is one, and this file system "
					 "cannot exchange it; remove it first"
				       : "");
}

/* Return: the builder whose work @name is, if it is one beside @base; 0 */
static pid_t builder_of(const char *name, const char *base)
{
	const size_t n = strlen(base);
	char *end;
	long pid;

	if (strncmp(name, base, n) != 0 || name[n] != '.')
		return 0;
	pid = strtol(name + n + 1, &end, 10);
	return *end || pid <= 0 || pid > INT32_MAX ? 0 : (pid_t)pid;
}

/* What builders that were killed have left beside @out: gigabytes, perhaps */
static void drop_dead(const char *out)
{
	const char *slash = strrchr(out, '/');
	char parent[PATH_MAX];
	struct dirent *de;
	DIR *d;

	(void)snprintf(parent, sizeof(parent), "%.*s",
		       slash > out ? (int)(slash - out) : 1, out);
	d = opendir(parent);
	while (d && (de = readdir(d))) {
		const pid_t pid = builder_of(de->d_name, slash + 1);

		if (pid && kill(pid, 0) < 0 && errno == ESRCH &&
		    drop_tree(dirfd(d), de->d_name, NULL, NULL)) {
			/* somebody else's then */
		}
	}
	if (d)
		(void)closedir(d);
}

int image_build(const struct image_build *b, struct manifest *ret,
		struct wbuf *ret_oci, struct err *e)
{
	OWNED(fd_drop) int fd = -1;
	char dir[PATH_MAX];
	int r;

	if (geteuid() != 0)
		return err_set(e, ERR_PLAIN, 0,
			       "image build: needs root, to read what a cell "
			       "shows and to mount it");
	if (snprintf(dir, sizeof(dir), "%s.%ld", b->out, (long)getpid()) >
	    PATH_MAX - 32)
		return err_set(e, ERR_PLAIN, ENAMETOOLONG, "%s", b->out);
	drop_dead(b->out);
	drop(dir);
	if (mkdir(dir, 0700) < 0)
		return err_set(e, ERR_PLAIN, errno, "%s", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b->say("kernel and init");
	r = make_kernel(b, dir, fd, e);
	if (!r)
		b->say("root");
	if (!r)
		r = b->oci ? make_oci_root(b, dir, ret_oci, e)
			   : make_root(b, dir, e);
	if (!r)
		b->say("manifest");
	if (!r)
		r = make_manifest(b, fd, wbuf_as_slice(ret_oci), ret, e);
	if (!r)
		r = put_in_place(dir, b->out, e);
	if (r)
		drop(dir);
	return r;
}
