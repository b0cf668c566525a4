/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A directory through a channel, and what a guest could send instead of one. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

static const struct tree_rules foreign = { .max = 1 << 20,
					   .uid = (uid_t)-1,
					   .is_foreign = true };

static int receive(const struct wbuf *b, int dir)
{
	OWNED(fd_drop) int in = stream(b->p, b->len);

	return tree_receive(in, dir, &foreign, NULL, NULL);
}

static void test_there_and_back(void **state)
{
	OWNED(wbuf_drop) struct wbuf sent = WBUF_INIT(4096);
	OWNED(wbuf_drop) struct wbuf came = WBUF_INIT(4096);
	OWNED(fd_drop) int fd = stream("", 0);
	struct place a, b;
	unsigned left;

	(void)state;
	make(&a);
	make(&b);
	assert_int_equal(
		run("cd %s && mkdir -p d/e && echo x >d/e/f && "
		    "chmod 4751 d/e/f && ln -s e/f d/in && "
		    "ln -s ../.. d/out && mkfifo d/pipe && : >empty && "
		    "head -c 100001 /dev/zero >big",
		    a.path),
		0);
	/* what was there before is taken over, whatever it is */
	assert_int_equal(run("cd %s && mkdir -p big/full && : >big/full/x && "
			     "echo old >d",
			     b.path),
			 0);
	assert_int_equal(tree_send(fd, a.dir, NULL, &sent), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(tree_receive(fd, b.dir, &foreign, &came, &left), 0);
	assert_int_equal(left, 1);
	assert_int_equal(came.len, sent.len);
	assert_int_equal(
		run("cd %s && test \"$(find . -printf '%%P %%y %%m %%s "
		    "%%l\\n' | grep -v '^ ' | sed 's/ 4096 / - /' | sort | "
		    "tr '\\n' ,)\" = \"big f 644 100001 ,d d 755 - ,d/e d 755 "
		    "- ,d/e/f f 751 2 ,d/in l 777 3 e/f,empty f 644 0 ,\"",
		    b.path),
		0);
	drop(&a);
	drop(&b);
}

static void test_what_is_gone(void **state)
{
	OWNED(wbuf_drop) struct wbuf sent = WBUF_INIT(4096);
	OWNED(wbuf_drop) struct wbuf back = WBUF_INIT(4096);
	static const char was[] = "a\0d\0d/x\0k", is[] = "k\0n";
	struct place p;

	(void)state;
	make(&p);
	wbuf_put(&sent, was, sizeof(was));
	wbuf_put(&back, is, sizeof(is));
	/* "other" was never sent, as what cannot be read: it stays */
	assert_int_equal(run("cd %s && mkdir d && : >d/x && : >a && : >k && "
			     ": >other",
			     p.path),
			 0);
	assert_int_equal(tree_forget(p.dir, &sent, &back), 0);
	assert_int_equal(
		run("test \"$(ls %s | tr '\\n' ,)\" = k,other,", p.path), 0);
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
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_what_is_gone),
		cmocka_unit_test(test_ways_out),
		cmocka_unit_test(test_links_are_no_way),
		cmocka_unit_test(test_more_than_is_allowed),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
