/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Hellos whole, in pieces, and wrong in one field at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/tls_hello.h"

/* A message under construction; vectors are closed by writing their length. */
struct maker {
	uint8_t p[80000];
	size_t n;
};

static void put(struct maker *m, const void *p, size_t n)
{
	assert_true(m->n + n <= sizeof(m->p));
	memcpy(m->p + m->n, p, n);
	m->n += n;
}

static void put_uint(struct maker *m, size_t v, size_t bytes)
{
	while (bytes--)
		put(m, &(uint8_t){ (uint8_t)(v >> (8 * bytes)) }, 1);
}

static size_t open_vector(struct maker *m, size_t bytes)
{
	put_uint(m, 0, bytes);
	return m->n;
}

static void close_vector(struct maker *m, size_t at, size_t bytes)
{
	size_t len = m->n - at;

	for (size_t i = 0; i < bytes; i++)
		m->p[at - bytes + i] = (uint8_t)(len >> (8 * (bytes - 1 - i)));
}

static void put_entry(struct maker *m, uint8_t type, const void *p, size_t n)
{
	put_uint(m, type, 1);
	put_uint(m, n, 2);
	put(m, p, n);
}

static size_t open_extension(struct maker *m, uint16_t type)
{
	put_uint(m, type, 2);
	return open_vector(m, 2);
}

static void put_name(struct maker *m, const void *p, size_t n)
{
	size_t ext = open_extension(m, 0), list = open_vector(m, 2);

	put_entry(m, 0, p, n);
	close_vector(m, list, 2);
	close_vector(m, ext, 2);
}

static void put_empty(struct maker *m, uint16_t type)
{
	close_vector(m, open_extension(m, type), 2);
}

/* Up to and with the open vector of extensions; returns where it is. */
static size_t start(struct maker *m)
{
	static const uint8_t random[32] = { 0 };

	m->n = 0;
	put_uint(m, 1, 1);
	put_uint(m, 0, 3);
	put_uint(m, 0x0303, 2);
	put(m, random, sizeof(random));
	put_uint(m, 0, 1);
	put_uint(m, 2, 2);
	put_uint(m, 0x1301, 2);
	put_uint(m, 0x0100, 2);
	return open_vector(m, 2);
}

static void finish(struct maker *m, size_t extensions)
{
	close_vector(m, extensions, 2);
	close_vector(m, 4, 3);
}

static void hello(struct maker *m, const void *name, size_t n)
{
	size_t at = start(m);

	put_name(m, name, n);
	finish(m, at);
}

/* The message in records of at most @size bytes. */
static void wrap(struct maker *out, const struct maker *m, size_t size)
{
	out->n = 0;
	for (size_t at = 0; at < m->n; at += size) {
		size_t n = m->n - at < size ? m->n - at : size;

		put_uint(out, 22, 1);
		put_uint(out, 0x0301, 2);
		put_uint(out, n, 2);
		put(out, m->p + at, n);
	}
}

static struct slice slice(const struct maker *m, size_t n)
{
	return (struct slice){ (const char *)m->p, n };
}

static enum tls_hello_state judge(const struct maker *wire, struct tls_hello *h)
{
	OWNED(wbuf_drop) struct wbuf joined = WBUF_INIT(TLS_HELLO_MAX);
	struct tls_hello_reader r = { 0 };

	return tls_hello_read(&r, slice(wire, wire->n), &joined, h);
}

static void want_fault(const struct maker *m, enum tls_hello_fault f)
{
	static struct maker w;
	struct tls_hello h;

	wrap(&w, m, TLS_RECORD_MAX);
	assert_int_equal(judge(&w, &h), TLS_HELLO_BAD);
	assert_string_equal(tls_hello_fault_text(h.fault),
			    tls_hello_fault_text(f));
	assert_false(h.has_name);
}

static void want_name(const struct maker *wire, const char *name)
{
	struct tls_hello h;

	assert_int_equal(judge(wire, &h), TLS_HELLO_DONE);
	assert_int_equal(h.has_name, name != NULL);
	if (name)
		assert_string_equal(h.name.text, name);
}

static void names(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *name; /* NULL: no host name */
	} rows[] = {
#define ROW(text, name) { text, sizeof(text) - 1, name }
		ROW("api.example.com", "api.example.com"),
		ROW("API.Example.COM", "api.example.com"),
		ROW("api.example.com.", "api.example.com"),
		ROW("api.example.com..", NULL),
		ROW(".", NULL),
		ROW("192.0.2.1", NULL),
		ROW("[::1]", NULL),
		ROW("2130706433", NULL),
		ROW("0x7f.1", NULL),
		ROW("evil.com\0.cdn.example.com", NULL),
		ROW("\xff\xfe.cdn.example.com", NULL),
		ROW("evil.com/x.cdn.example.com", NULL),
		ROW("a b.cdn.example.com", NULL),
		ROW("evil%00.cdn.example.com", NULL),
		ROW("a@cdn.example.com", NULL),
#undef ROW
	};
	static struct maker m, w;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		hello(&m, rows[i].text, rows[i].n);
		if (rows[i].name) {
			wrap(&w, &m, TLS_RECORD_MAX);
			want_name(&w, rows[i].name);
		} else {
			want_fault(&m, TLS_HELLO_NAME);
		}
	}
}

/* The base record of the original's vectors, byte by byte. */
static void known_bytes(void **state)
{
	static const uint8_t head[] = { 0x16, 0x03, 0x01, 0x00, 0x47, 0x01,
					0x00, 0x00, 0x43, 0x03, 0x03 };
	static struct maker m, w;

	(void)state;
	hello(&m, "api.example.com", 15);
	wrap(&w, &m, TLS_RECORD_MAX);
	assert_int_equal(w.n, 76);
	assert_memory_equal(w.p, head, sizeof(head));
	want_name(&w, "api.example.com");
	w.p[9] = 0x03;
	w.p[10] = 0x04;
	want_name(&w, "api.example.com");
}

static void without_a_name(void **state)
{
	static struct maker m, w;
	size_t at;

	(void)state;
	at = start(&m);
	finish(&m, at);
	wrap(&w, &m, TLS_RECORD_MAX);
	want_name(&w, NULL);
	/* TLS 1.2 without the vector itself */
	m.n -= 2;
	close_vector(&m, 4, 3);
	wrap(&w, &m, TLS_RECORD_MAX);
	want_name(&w, NULL);
}

static void every_split(void **state)
{
	OWNED(wbuf_drop) struct wbuf joined = WBUF_INIT(TLS_HELLO_MAX);
	static struct maker m, w;
	struct tls_hello h;

	(void)state;
	hello(&m, "api.example.com", 15);
	/* records of every size, each of them arriving byte by byte */
	for (size_t size = 1; size <= m.n; size++) {
		struct tls_hello_reader r = { 0 };

		wrap(&w, &m, size);
		for (size_t n = 0; n < w.n; n++)
			assert_int_equal(
				tls_hello_read(&r, slice(&w, n), &joined, &h),
				TLS_HELLO_MORE);
		assert_int_equal(
			tls_hello_read(&r, slice(&w, w.n), &joined, &h),
			TLS_HELLO_DONE);
		assert_string_equal(h.name.text, "api.example.com");
	}
	/* what follows is not looked at */
	wrap(&w, &m, 7);
	put(&w, "\x17\x03\x03", 3);
	want_name(&w, "api.example.com");
}

static void large(void **state)
{
	static uint8_t key[TLS_HELLO_MAX];
	static struct maker m, w;
	size_t at, ext, room;

	(void)state;
	/* as large as may be: a record cannot hold it */
	at = start(&m);
	put_name(&m, "big.example.com", 15);
	room = TLS_HELLO_MAX - m.n - 4;
	ext = open_extension(&m, 51);
	put(&m, key, room);
	close_vector(&m, ext, 2);
	finish(&m, at);
	assert_int_equal(m.n, TLS_HELLO_MAX);
	wrap(&w, &m, TLS_RECORD_MAX);
	want_name(&w, "big.example.com");
	wrap(&w, &m, 1000);
	want_name(&w, "big.example.com");
	/* one byte more; its length alone says so */
	m.p[1] = 0;
	m.p[2] = 0xff;
	m.p[3] = 0xfd;
	want_fault(&m, TLS_HELLO_MESSAGE_LENGTH);
	m.p[1] = 1;
	want_fault(&m, TLS_HELLO_MESSAGE_LENGTH);
}

static void marks(void **state)
{
	static struct maker m, w;
	struct tls_hello h;
	size_t at;

	(void)state;
	at = start(&m);
	put_empty(&m, 0x0a0a); /* GREASE */
	put_name(&m, "api.example.com", 15);
	put_empty(&m, 0xfe0d);
	put_empty(&m, 42);
	put_empty(&m, 0xfafa);
	finish(&m, at);
	wrap(&w, &m, 100);
	assert_int_equal(judge(&w, &h), TLS_HELLO_DONE);
	assert_string_equal(h.name.text, "api.example.com");
	assert_true(h.has_ech && h.has_early_data);
	assert_int_equal(h.version, 0x0303);
	hello(&m, "api.example.com", 15);
	wrap(&w, &m, 100);
	assert_int_equal(judge(&w, &h), TLS_HELLO_DONE);
	assert_false(h.has_ech || h.has_early_data);
}

static void name_lists(void **state)
{
	static struct maker m;
	size_t at, ext, list;

	(void)state;
	/* two names; an empty one; none; another type; an empty body */
	for (int i = 0; i < 6; i++) {
		at = start(&m);
		ext = open_extension(&m, 0);
		if (i < 5) {
			list = open_vector(&m, 2);
			if (i == 0) {
				put_entry(&m, 0, "api.example.com", 15);
				put_entry(&m, 0, "evil.example.com", 16);
			} else if (i == 1) {
				put_entry(&m, 0, "", 0);
				put_entry(&m, 0, "api.example.com", 15);
			} else if (i == 3) {
				put_entry(&m, 1, "api.example.com", 15);
			} else if (i == 4) {
				put_entry(&m, 0, "api.example.com", 15);
				put_uint(&m, 0, 1);
			}
			close_vector(&m, list, 2);
			if (i == 4) /* the stray byte is behind the list */
				m.p[list - 1]--;
		}
		close_vector(&m, ext, 2);
		finish(&m, at);
		want_fault(&m, TLS_HELLO_NAME_LIST);
	}
}

static void twice(void **state)
{
	static struct maker m;
	size_t at;

	(void)state;
	at = start(&m);
	put_name(&m, "api.example.com", 15);
	put_name(&m, "evil.example.com", 16);
	finish(&m, at);
	want_fault(&m, TLS_HELLO_EXTENSION_TWICE);
	at = start(&m);
	for (uint16_t i = 0; i < TLS_EXTENSIONS_MAX; i++)
		put_empty(&m, (uint16_t)(1000 + i));
	put_empty(&m, 5000);
	finish(&m, at);
	want_fault(&m, TLS_HELLO_EXTENSION_COUNT);
	at = start(&m);
	put_name(&m, "api.example.com", 15);
	for (uint16_t i = 1; i < TLS_EXTENSIONS_MAX; i++)
		put_empty(&m, (uint16_t)(1000 + i));
	finish(&m, at);
	{
		static struct maker w;

		wrap(&w, &m, TLS_RECORD_MAX);
		want_name(&w, "api.example.com");
	}
}

/* One field of the base message at a time. */
static void fields(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum tls_hello_fault fault;
	} rows[] = {
		{ 0, 2, TLS_HELLO_MESSAGE_TYPE },
		{ 3, 0x42, TLS_HELLO_TRAILING },
		{ 38, 200, TLS_HELLO_CUT },
		{ 40, 3, TLS_HELLO_CIPHER_SUITES },
		{ 40, 0, TLS_HELLO_CIPHER_SUITES },
		{ 39, 0xff, TLS_HELLO_CUT },
		{ 43, 0, TLS_HELLO_COMPRESSION },
		{ 43, 200, TLS_HELLO_CUT },
		{ 46, 0x17, TLS_HELLO_CUT }, /* extensions, one too few */
		{ 46, 0x19, TLS_HELLO_CUT }, /* one too many */
		{ 50, 0x13, TLS_HELLO_NAME_LIST },
		{ 52, 0x11, TLS_HELLO_NAME_LIST },
		{ 55, 0x0e, TLS_HELLO_NAME_LIST },
		{ 55, 0x10, TLS_HELLO_NAME_LIST },
	};
	static struct maker m;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		hello(&m, "api.example.com", 15);
		m.p[rows[i].at] = rows[i].value;
		want_fault(&m, rows[i].fault);
	}
	hello(&m, "a-name-that-is-longer-than-that.example.com", 43);
	m.p[38] = 33;
	want_fault(&m, TLS_HELLO_SESSION_ID);
}

static void want_record_fault(const void *p, size_t n,
			      enum tls_hello_fault fault)
{
	static struct maker w;
	struct tls_hello h;

	w.n = 0;
	put(&w, p, n);
	assert_int_equal(judge(&w, &h), TLS_HELLO_BAD);
	assert_int_equal(h.fault, fault);
}

static void records(void **state)
{
	static struct maker m, w;
	struct tls_hello h;

	(void)state;
	/* judged with the first byte, not after a wait for more */
	want_record_fault("\x17", 1, TLS_HELLO_RECORD_TYPE);
	want_record_fault("SSH-2.0-x\r\n", 11, TLS_HELLO_RECORD_TYPE);
	want_record_fault("\x16\x03\x01\xff\xff\x01", 6,
			  TLS_HELLO_RECORD_LENGTH);
	want_record_fault("\x16\x03\x01\x00\x00\x01", 6,
			  TLS_HELLO_RECORD_EMPTY);
	/* an alert between two records of the hello */
	hello(&m, "api.example.com", 15);
	wrap(&w, &m, 40);
	memmove(w.p + 45 + 7, w.p + 45, w.n - 45);
	memcpy(w.p + 45, "\x15\x03\x01\x00\x02\x01\x00", 7);
	w.n += 7;
	assert_int_equal(judge(&w, &h), TLS_HELLO_BAD);
	assert_int_equal(h.fault, TLS_HELLO_RECORD_TYPE);
	/* a second message in the record */
	put(&m, "\x02\x00\x00\x00", 4);
	wrap(&w, &m, TLS_RECORD_MAX);
	assert_int_equal(judge(&w, &h), TLS_HELLO_BAD);
	assert_int_equal(h.fault, TLS_HELLO_TRAILING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),	  cmocka_unit_test(known_bytes),
		cmocka_unit_test(without_a_name), cmocka_unit_test(every_split),
		cmocka_unit_test(large),	  cmocka_unit_test(marks),
		cmocka_unit_test(name_lists),	  cmocka_unit_test(twice),
		cmocka_unit_test(fields),	  cmocka_unit_test(records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
