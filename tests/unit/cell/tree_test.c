/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A directory through a channel, and what a guest could send instead of one. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "cell/tree.h"
#include "wire/cpio.h"

struct place {
	char path[64];
	int dir;
};

static int run(const char *fmt, const char *a)
{
	char text[512];

	(void)snprintf(text, sizeof(text), fmt, a, a, a, a, a, a);
	return system(text);
}

static void make(struct place *p)
{
	(void)snprintf(p->path, sizeof(p->path), "/tmp/cellos-tree-XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->dir >= 0);
}

static void drop(struct place *p)
{
	(void)close(p->dir);
	assert_int_equal(run("rm -rf %s", p->path), 0);
}

/* In memory: nobody has to read while it is written. */
static int stream(const void *p, size_t n)
{
	int fd = memfd_create("tree", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, p, n), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static const struct wbuf nothing; /* no name at all */
static const struct tree_rules foreign = { .max = 1 << 20,
					   .uid = (uid_t)-1,
					   .sent = &nothing };

static int receive(const struct wbuf *b, int dir)
{
	OWNED(fd_drop) int in = stream(b->p, b->len);
	const struct tree_io io = { .fd = in };

	return tree_receive(&io, dir, &foreign, NULL);
}

static void name(struct wbuf *b, const char *s)
{
	const struct tree_name n = { 0 };

	wbuf_put(b, &n, sizeof(n));
	wbuf_put(b, s, strlen(s) + 1);
}

/* From one directory to another, by the rules for what a guest sends */
static int carry(const struct place *from, const struct place *to,
		 const struct wbuf *sent, const struct tree_since *since,
		 struct wbuf *came)
{
	OWNED(fd_drop) int fd = stream("", 0);
	const struct tree_io io = { .fd = fd };
	const struct tree_rules rules = { .max = 1 << 20,
					  .uid = (uid_t)-1,
					  .sent = sent };

	assert_int_equal(tree_send(&io, from->dir, since, NULL), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return tree_receive(&io, to->dir, &rules, came);
}

static void test_there_and_back(void **state)
{
	OWNED(wbuf_drop) struct wbuf was = WBUF_INIT(4096);
	struct place a, b;

	(void)state;
	make(&a);
	make(&b);
	assert_int_equal(run("cd %s && mkdir -p d/e t && echo x >d/e/f && "
			     /* in a cell nobody may set that bit */
			     "{ chmod 4751 d/e/f || chmod 751 d/e/f; } && "
			     "ln -s e/f d/in && "
			     "ln -s ../.. d/out && ln -s e/../../.. d/o && "
			     "mkfifo d/pipe && : >empty && chmod 555 t && "
			     "head -c 100001 /dev/zero >big",
			     a.path),
			 0);
	/* what was sent makes room, whatever it is */
	assert_int_equal(run("cd %s && mkdir -p big/full && : >big/full/x && "
			     "echo old >d && mkdir t && chmod 1777 t",
			     b.path),
			 0);
	name(&was, "big");
	name(&was, "big/full");
	name(&was, "big/full/x");
	name(&was, "d");
	assert_int_equal(carry(&a, &b, &was, NULL, NULL), 0);
	assert_int_equal(
		run("cd %s && test \"$(find . -type d -printf '%%P %%y %%m - "
		    "\n' -o -printf '%%P %%y %%m %%s %%l\n' | grep -v '^ ' | "
		    "sort | tr '\n' ,)\" = \"big f 644 100001 ,d d 755 - ,d/e "
		    "d 755 "
		    "- ,d/e/f f 751 2 ,d/in l 777 3 e/f,empty f 644 0 ,"
		    "t d 1555 - ,\"",
		    b.path),
		0);
	drop(&a);
	drop(&b);
}

/* The name of the end of an archive is one like any other. */
static void test_a_file_named_as_the_end(void **state)
{
	static const char some[] = "cd %s && : >a && : >b && mkdir d && : >d/f";
	static const char *const make_it[] = { ": >'%s/" CPIO_LAST "'",
					       "echo x >'%s/" CPIO_LAST "'",
					       "mkdir '%s/" CPIO_LAST "'" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(make_it); i++) {
		OWNED(wbuf_drop) struct wbuf sent = WBUF_INIT(4096);
		OWNED(wbuf_drop) struct wbuf back = WBUF_INIT(4096);
		OWNED(fd_drop) int fd = stream("", 0);
		const struct tree_io io = { .fd = fd };
		struct place a, b;

		make(&a);
		make(&b);
		assert_int_equal(run(some, a.path), 0);
		assert_int_equal(run(make_it[i], a.path), 0);
		assert_int_equal(run(some, b.path), 0);
		assert_int_equal(tree_send(&io, a.dir, NULL, &sent), 0);
		assert_int_equal(carry(&a, &b, &sent, NULL, &back), 0);
		assert_int_equal(back.len, sent.len);
		assert_int_equal(tree_forget(b.dir, &sent, &back), 0);
		assert_int_equal(
			run("cd %s && test \"$(find . | LC_ALL=C sort | "
			    "tr '\n' ,)\" = '.,./" CPIO_LAST
			    ",./a,./b,./d,./d/f,'",
			    b.path),
			0);
		drop(&a);
		drop(&b);
	}
}

/* A directory that is full of what was not sent is no room. */
static void test_what_makes_no_room(void **state)
{
	OWNED(wbuf_drop) struct wbuf was = WBUF_INIT(4096);
	struct place a, b;

	(void)state;
	make(&a);
	make(&b);
	name(&was, "d");
	name(&was, "d/x");
	assert_int_equal(run("echo file >%s/d", a.path), 0);
	assert_int_equal(
		run("cd %s && mkdir d && : >d/x && : >d/other", b.path), 0);
	assert_true(carry(&a, &b, &was, NULL, NULL) < 0);
	assert_int_equal(run("cd %s && test \"$(find . | sort | tr '\n' ,)\" "
			     "= .,./d,./d/other,",
			     b.path),
			 0);
	drop(&a);
	drop(&b);
}

/* What is only named has to be the file it was, under that name. */
static void test_what_is_as_it_was(void **state)
{
	OWNED(wbuf_drop) struct wbuf sent = WBUF_INIT(4096);
	OWNED(wbuf_drop) struct wbuf there = WBUF_INIT(4096);
	OWNED(wbuf_drop) struct wbuf back = WBUF_INIT(4096);
	OWNED(fd_drop) int fd = stream("", 0);
	const struct tree_io io = { .fd = fd };
	const struct tree_rules own = { .max = 1 << 20, .uid = (uid_t)-1 };
	struct tree_since since = { .names = &there };
	struct place host, guest;

	(void)state;
	make(&host);
	make(&guest);
	assert_int_equal(run("cd %s && mkdir a b d && echo in-a >a/f && "
			     "echo in-b >b/f && echo in-d >d/f && echo k >k",
			     host.path),
			 0);
	assert_int_equal(tree_send(&io, host.dir, NULL, &sent), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(tree_receive(&io, guest.dir, &own, &there), 0);
	(void)clock_gettime(CLOCK_REALTIME, &since.time);
	/* no file is written: directories are renamed, two of them swapped */
	assert_int_equal(run("cd %s && mv a t && mv b a && mv t b && mv d e",
			     guest.path),
			 0);
	/* of "k" nothing is sent: what it has here would not survive it */
	assert_int_equal(run("echo mine >%s/k", host.path), 0);
	assert_int_equal(carry(&guest, &host, &sent, &since, &back), 0);
	assert_int_equal(tree_forget(host.dir, &sent, &back), 0);
	assert_int_equal(run("cd %s && test \"$(cat a/f b/f e/f k | tr '\n' "
			     ",)\" = in-b,in-a,in-d,mine, && ! test -e d",
			     host.path),
			 0);
	drop(&host);
	drop(&guest);
}

static void test_what_is_gone(void **state)
{
	OWNED(wbuf_drop) struct wbuf sent = WBUF_INIT(4096);
	OWNED(wbuf_drop) struct wbuf back = WBUF_INIT(4096);
	static const char *const was[] = { "a", "d", "d/x", "k", "p", "p/y" };
	static const char *const is[] = { "k", "n" };
	struct place p;

	(void)state;
	make(&p);
	for (size_t i = 0; i < ARRAY_SIZE(was); i++)
		name(&sent, was[i]);
	for (size_t i = 0; i < ARRAY_SIZE(is); i++)
		name(&back, is[i]);
	/* what was never sent, as what cannot be read, stays, and so does the
	 * directory it is in */
	assert_int_equal(run("cd %s && mkdir d p && : >d/x && : >p/y && "
			     "mkfifo p/other && : >a && : >k && : >other",
			     p.path),
			 0);
	assert_int_equal(tree_forget(p.dir, &sent, &back), 0);
	assert_int_equal(run("cd %s && test \"$(find . | sort | tr '\n' ,)\" "
			     "= .,./k,./other,./p,./p/other,",
			     p.path),
			 0);
	drop(&p);
}

static void put(struct wbuf *b, const char *name, uint32_t mode,
		const char *content)
{
	cpio_put(b, name, mode, content, strlen(content));
}

static void test_ways_out(void **state)
{
	static const struct {
		const char *name, *content;
		uint32_t mode;
	} rows[] = {
		{ "../x", "x", S_IFREG | 0644 },
		{ "/tmp/cellos-tree-out", "x", S_IFREG | 0644 },
		{ "a/../../x", "x", S_IFREG | 0644 },
		{ "a//x", "x", S_IFREG | 0644 },
		{ "./x", "x", S_IFREG | 0644 },
		{ "x/", "", S_IFDIR | 0755 },
		{ "..", "", S_IFDIR | 0755 },
		{ "dev", "", S_IFCHR | 0666 },
		{ "fifo", "", S_IFIFO | 0666 },
		{ "d", "x", S_IFDIR | 0755 },
	};
	struct place p;

	(void)state;
	make(&p);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);

		put(&b, rows[i].name, rows[i].mode, rows[i].content);
		cpio_end(&b);
		assert_int_equal(receive(&b, p.dir), -EPROTO);
	}
	assert_int_equal(run("test -z \"$(ls -A %s)\"", p.path), 0);
	drop(&p);
}

/* Through a link that is there already, or that the same archive has made */
static void test_links_are_no_way(void **state)
{
	OWNED(wbuf_drop) struct wbuf a = WBUF_INIT(4096);
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);
	struct place p, other;

	(void)state;
	make(&p);
	make(&other);
	assert_int_equal(symlinkat(other.path, p.dir, "there"), 0);
	put(&a, "there/x", S_IFREG | 0644, "x");
	cpio_end(&a);
	assert_int_equal(receive(&a, p.dir), -ENOTDIR);
	/* an own one leads nowhere else: and is no directory either */
	put(&b, "d", S_IFDIR | 0755, "");
	put(&b, "l", S_IFLNK | 0777, "d");
	put(&b, "l/x", S_IFREG | 0644, "x");
	cpio_end(&b);
	assert_int_equal(receive(&b, p.dir), -ENOTDIR);
	assert_int_equal(run("test -z \"$(ls -A %s)\"", other.path), 0);
	drop(&p);
	drop(&other);
}

/* What was never sent cannot be as it was. */
static void test_kept_out_of_nothing(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);
	const struct cpio_entry e = { .mode = S_IFREG | 0644,
				      .check = TREE_KEPT };
	struct place p;

	(void)state;
	make(&p);
	assert_int_equal(run(": >%s/x", p.path), 0);
	cpio_head(&b, &e, "x");
	cpio_end(&b);
	assert_int_equal(receive(&b, p.dir), -EPROTO);
	drop(&p);
}

static void test_more_than_is_allowed(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);
	const struct cpio_entry e = { .mode = S_IFREG | 0644,
				      .size = (uint32_t)foreign.max + 1 };
	struct place p;

	(void)state;
	make(&p);
	cpio_head(&b, &e, "big");
	assert_int_equal(receive(&b, p.dir), -EFBIG);
	drop(&p);
}

/* Cut anywhere it is no archive; what came whole before that may stay. */
static void test_cut(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);
	struct place p;

	(void)state;
	make(&p);
	put(&b, "d", S_IFDIR | 0755, "");
	put(&b, "d/f", S_IFREG | 0644, "content");
	put(&b, "l", S_IFLNK | 0777, "d/f");
	cpio_end(&b);
	for (size_t n = 0; n < b.len; n++) {
		struct wbuf cut = { .p = b.p, .len = n, .max = n };

		assert_true(receive(&cut, p.dir) < 0);
	}
	assert_int_equal(receive(&b, p.dir), 0);
	assert_int_equal(run("test \"$(cat %s/l)\" = content", p.path), 0);
	drop(&p);
}

static int die(void *arg, short events)
{
	(void)arg;
	(void)events;
	_exit(7);
}

/* Ended in the middle of a file, it leaves nothing of it. */
static void test_ended_in_a_file(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);
	OWNED(fd_drop) int nameless = -1;
	int p[2], status = 0;
	struct place d;
	pid_t pid;

	(void)state;
	make(&d);
	put(&b, "old", S_IFREG | 0644, "new");
	put(&b, "link", S_IFLNK | 0777, "old");
	put(&b, "next", S_IFREG | 0644, "and its content");
	assert_int_equal(run("echo old >%s/old; ln -s x %s/link", d.path), 0);
	nameless = openat(d.dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(fd_write_all(p[1], b.p, b.len - 4), 0);
	pid = fork();
	if (pid == 0) {
		const struct tree_io io = { .fd = p[0], .wait = die };

		_exit(tree_receive(&io, d.dir, &foreign, NULL) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
	(void)close(p[0]);
	(void)close(p[1]);
	if (nameless >= 0)
		assert_int_equal(run("cd %s && test \"$(ls -A | sort | tr '\n' "
				     ",)\" = link,old, && test \"$(cat link)\" "
				     "= new",
				     d.path),
				 0);
	drop(&d);
}

static void test_a_file(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);
	OWNED(wbuf_drop) struct wbuf other = WBUF_INIT(4096);
	char got[16] = "";
	OWNED(fd_drop) int fd = stream("longer than that", 16);

	(void)state;
	put(&b, TREE_FILE, S_IFREG | 0644, "new");
	cpio_end(&b);
	assert_int_equal(receive(&b, fd), 0);
	assert_int_equal(pread(fd, got, sizeof(got), 0), 3);
	assert_string_equal(got, "new");
	put(&other, "another", S_IFREG | 0644, "x");
	cpio_end(&other);
	assert_int_equal(receive(&other, fd), -EPROTO);
	/* cut in its content: it stays as it is */
	b.len -= CPIO_HEADER + 20;
	assert_int_equal(receive(&b, fd), -EPIPE);
	assert_int_equal(pread(fd, got, sizeof(got), 0), 3);
}

/* One that cannot grow, as on a disk that is full */
static int into_a_full_one(void)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);
	OWNED(wbuf_drop) struct wbuf small = WBUF_INIT(4096);
	char got[16] = "";
	OWNED(fd_drop) int fd = memfd_create("full", MFD_ALLOW_SEALING);

	put(&b, TREE_FILE, S_IFREG | 0644, "no room for this");
	cpio_end(&b);
	put(&small, TREE_FILE, S_IFREG | 0644, "this");
	cpio_end(&small);
	if (fd_write_all(fd, "before", 6) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0 ||
	    receive(&b, fd) != -EPERM || pread(fd, got, sizeof(got), 0) != 6 ||
	    memcmp(got, "before", 6))
		return 1;
	return receive(&small, fd) || pread(fd, got, sizeof(got), 0) != 4 ||
	       memcmp(got, "this", 4) != 0;
}

static void test_a_file_there_is_no_room_for(void **state)
{
	(void)state;
	assert_int_equal(into_a_full_one(), 0);
}

/* From here on as if by an older file system */
static bool age(void)
{
#define LOAD(at) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, at))
	struct sock_filter f[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fallocate, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
		LOAD(args[2]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY,
			 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
#undef LOAD
	const struct sock_fprog p = { ARRAY_SIZE(f), f };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) == 0 &&
	       open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600) < 0 &&
	       errno == EOPNOTSUPP;
}

/* Without files that have no name, and no way to ask for room */
static void test_of_an_older_file_system(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);
	struct place d;
	int status = 0;
	pid_t pid;

	(void)state;
	make(&d);
	put(&b, "old", S_IFREG | 0644, "changed");
	put(&b, "new", S_IFREG | 0644, "made");
	cpio_end(&b);
	assert_int_equal(run("echo old >%s/old", d.path), 0);
	pid = fork();
	if (pid == 0)
		_exit(!age() ? 2 : receive(&b, d.dir) ? 3 : into_a_full_one());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(run("cd %s && test \"$(ls -A | tr '\n' ,)\" = "
			     "new,old, && test \"$(cat old new)\" = "
			     "changedmade",
			     d.path),
			 0);
	drop(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_a_file_named_as_the_end),
		cmocka_unit_test(test_what_makes_no_room),
		cmocka_unit_test(test_what_is_as_it_was),
		cmocka_unit_test(test_what_is_gone),
		cmocka_unit_test(test_ways_out),
		cmocka_unit_test(test_links_are_no_way),
		cmocka_unit_test(test_kept_out_of_nothing),
		cmocka_unit_test(test_more_than_is_allowed),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_ended_in_a_file),
		cmocka_unit_test(test_a_file),
		cmocka_unit_test(test_a_file_there_is_no_room_for),
		cmocka_unit_test(test_of_an_older_file_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
