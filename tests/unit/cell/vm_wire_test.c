/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a driver and a guest tell each other. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cell/vm.h"
#include "wire/b64.h"

static const char id[] = "demo-cell";

/* The frames of isolation, 5.7: code and tag */
static void test_tags(void **state)
{
	static const struct {
		bool counted; /* key 00 01 02 ..., else 42 42 42 ... */
		int32_t code;
		const char *id, *tag;
	} rows[] = {
		{ false, 0, "fc18-legit-cell",
		  "0f39bbfdc4b4b86a3de7d7857c168ab6d32582ea6273f724c0903d77da"
		  "78180e" },
		{ false, 42, id,
		  "5542d4c6ceb6b1b7455a459cb74fa0c0c583414c30f0f7b23af4d902cf"
		  "b0ab16" },
		{ true, -1, id,
		  "10b345a1e332ec9a9d27bd579de984c261c88217aceb81d783b900ba1f"
		  "a54777" },
		{ true, 137, id,
		  "80eb5c8431cddf4ecac08e64ec6f0d350b0342c035a998cfd5cedfbc7b"
		  "6bb97b" },
	};
	uint8_t key[VM_KEY_LEN], tag[32], code[4];
	char text[65];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t k = 0; k < sizeof(key); k++)
			key[k] = rows[i].counted ? (uint8_t)k : 0x42;
		for (size_t k = 0; k < sizeof(code); k++)
			code[k] = (uint8_t)((uint32_t)rows[i].code >> 8 * k);
		vm_tag(key, code, sizeof(code), rows[i].id, tag);
		hex_text(text, tag, sizeof(tag));
		assert_string_equal(text, rows[i].tag);
	}
}

/* The line of isolation, 5.5, with its example of a command */
static void test_the_line_of_a_foreign_guest(void **state)
{
	struct slice argv[] = { SLICE_LIT("/bin/sh"), SLICE_LIT("-c"),
				SLICE_LIT("exit 42") };
	struct spec_run run = { .argv = { .p = argv, .n = 3 } };
	struct spec spec = { .id = SLICE_LIT("demo-cell"), .run = &run };
	struct cell_request req = { .spec = &spec };
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(VM_ARGS_MAX);
	uint8_t key[VM_KEY_LEN];

	(void)state;
	memset(key, 0xfb, sizeof(key));
	assert_int_equal(vm_foreign_args(&req, key, &b), 0);
	assert_string_equal(
		wbuf_cstr(&b),
		"console=ttyS0 reboot=k panic=1 pci=off ipv6.disable=1 "
		"root=/dev/vda rw cellos.cell_id=demo-cell "
		"cellos.vsock_port=9000 "
		"cellos.argv=WyIvYmluL3NoIiwiLWMiLCJleGl0IDQyIl0= "
		"cellos.exit_hmac_key="
		"+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=");
	assert_int_equal(vm_foreign_memory_mib(&req), 128);
	req.memory_max = 1;
	assert_int_equal(vm_foreign_memory_mib(&req), 64);
	req.memory_max = 300 << 20;
	assert_int_equal(vm_foreign_memory_mib(&req), 300);
}

static struct vm_record ended(const uint8_t key[VM_KEY_LEN], int32_t status,
			      int32_t code)
{
	struct vm_record r = { .word = VM_ENDED,
			       .status = status,
			       .code = code };

	vm_seal(&r, key, id);
	return r;
}

static void test_genuine(void **state)
{
	const uint8_t key[VM_KEY_LEN] = { 1, 2, 3 }, other[VM_KEY_LEN] = { 1 };
	struct vm_record r = ended(key, 42 << 8, 42);

	(void)state;
	assert_true(vm_is_genuine(&r, key, id));
	assert_false(vm_is_genuine(&r, other, id));
	assert_false(vm_is_genuine(&r, key, "demo-cel"));
	for (size_t i = 0; i < sizeof(r.tag) * 8; i++) {
		r.tag[i / 8] ^= (uint8_t)(1u << (i % 8));
		assert_false(vm_is_genuine(&r, key, id));
		r.tag[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
	memset(r.tag, 0, sizeof(r.tag));
	assert_false(vm_is_genuine(&r, key, id));
	/* 9: by SIGKILL, as 128 + 9; not as an exit with 9 */
	r = ended(key, 9, 137);
	assert_true(vm_is_genuine(&r, key, id));
	r = ended(key, 9, 9);
	assert_false(vm_is_genuine(&r, key, id));
	r = ended(key, 137 << 8, 137);
	assert_true(vm_is_genuine(&r, key, id));
	/* all of it counts */
	r.oom = 1;
	assert_false(vm_is_genuine(&r, key, id));
	r.oom = 0;
	r.sent[1]++;
	assert_false(vm_is_genuine(&r, key, id));
	/* of these nothing dies */
	r = ended(key, 19, 128 + 19);
	assert_false(vm_is_genuine(&r, key, id));
	r = ended(key, 17, 128 + 17);
	assert_false(vm_is_genuine(&r, key, id));
	/* stopped: no end at all */
	r = ended(key, 0x137f, -1);
	assert_false(vm_is_genuine(&r, key, id));
	r = ended(key, 0, 0);
	r.word = VM_RUNNING;
	assert_false(vm_is_genuine(&r, key, id));
}

static struct vm_record ready(void)
{
	struct vm_record r = { .word = VM_READY,
			       .limits = { 64 << 20, UINT64_MAX } };

	for (size_t i = 0; i < CELL_PROBES; i++)
		r.probe[i] = (uint8_t)(200 + i);
	return r;
}

static void test_ready(void **state)
{
	const struct vm_record r = ready();
	const struct cell_message none = { 0 };
	struct cell_message m;

	(void)state;
	assert_int_equal(vm_get_ready(&r, &m), 0);
	assert_int_equal(m.type, CELL_MSG_READY);
	assert_int_equal(m.limits.memory_max, 64 << 20);
	assert_true(m.limits.pids_max == UINT64_MAX);
	assert_memory_equal(m.probe, r.probe, sizeof(r.probe));
	/* and nothing else */
	m.type = 0;
	memset(&m.limits, 0, sizeof(m.limits));
	memset(m.probe, 0, sizeof(m.probe));
	assert_memory_equal(&m, &none, sizeof(m));
}

/* Each bit of what is READY's is passed on; of any other it is none. */
static void test_other_readies(void **state)
{
	const size_t own = offsetof(struct vm_record, limits);
	const size_t end = offsetof(struct vm_record, text);
	size_t taken = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(struct vm_record) * 8; i++) {
		const struct cell_message untouched = { .type = 99 };
		struct cell_message m = untouched;
		struct vm_record r = ready();
		uint8_t *at = (uint8_t *)&r + i / 8;

		*at ^= (uint8_t)(1u << (i % 8));
		if (i / 8 < own || i / 8 >= end) {
			assert_int_equal(vm_get_ready(&r, &m), -EPROTO);
			assert_memory_equal(&m, &untouched, sizeof(m));
			continue;
		}
		assert_int_equal(vm_get_ready(&r, &m), 0);
		assert_memory_equal(&m.limits, &r.limits, sizeof(m.limits));
		assert_memory_equal(m.probe, r.probe, sizeof(m.probe));
		taken++;
	}
	assert_int_equal(taken, (16 + CELL_PROBES) * 8);
}

static void test_memory_is_shown_in_pages(void **state)
{
	(void)state;
	assert_int_equal(vm_memory_shown(0), 0);
	assert_int_equal(vm_memory_shown(4095), 0);
	assert_int_equal(vm_memory_shown(64 << 20), 64 << 20);
	assert_int_equal(vm_memory_shown((64 << 20) + 4095), 64 << 20);
	assert_true(vm_memory_shown(UINT64_MAX) == UINT64_MAX - 4095);
}

/* A plan with a guest's part, a command and an environment, as bytes */
static void put(struct wbuf *b)
{
	struct slice argv[] = { slice_of("sh"), slice_of("-c"), slice_of("") };
	struct spec_run run = { .argv = { .p = argv, .n = 3 } };
	const struct spec spec = { .id = slice_of("demo-cell"), .run = &run };
	static char one[] = "A=1", empty[] = "B=";
	static char *env[] = { one, empty, NULL };
	const struct cell_request req = { .spec = &spec, .envp = env };
	static struct plan p = {
		.n = 5,
		.steps = { { .op = PLAN_STATE },
			   { .op = PLAN_VMM, .src = "/q" },
			   { .op = PLAN_TMPFS, .dst = "/tmp", .n = 7, .n2 = 8 },
			   { .op = PLAN_SYMLINK,
			     .flags = PLAN_F_RO,
			     .src = "a",
			     .dst = "" },
			   { .op = PLAN_CAPS } },
	};
	struct vm_setup h = { .uid = 1000, .gid = 1001, .closed_port = 9 };

	vm_put_setup(b, &h, &p, &req);
	assert_false(b->failed);
}

static void drop(struct vm_told *t)
{
	if (t->argv)
		free(t->argv - 1);
	free(t->env);
	arena_drop(&t->plan.arena);
}

static void test_setup_comes_back(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(65536);
	static struct vm_told t;
	const struct plan_step *s = t.plan.steps;

	(void)state;
	put(&b);
	memset(&t, 0, sizeof(t));
	assert_int_equal(vm_get_setup(b.p, b.len, &t), 0);
	assert_int_equal(t.h.size, b.len);
	assert_int_equal(t.h.first, 2);
	assert_int_equal(t.h.closed_port, 9);
	assert_int_equal(t.plan.in_uid, 1000);
	assert_int_equal(t.plan.in_gid, 1001);
	assert_int_equal(t.plan.n, 3);
	assert_int_equal(s[0].op, PLAN_TMPFS);
	assert_null(s[0].src);
	assert_string_equal(s[0].dst, "/tmp");
	assert_int_equal(s[0].n, 7);
	assert_int_equal(s[0].n2, 8);
	assert_int_equal(s[1].flags, PLAN_F_RO);
	assert_string_equal(s[1].src, "a");
	assert_string_equal(s[1].dst, "");
	assert_int_equal(s[2].op, PLAN_CAPS);
	assert_string_equal(t.argv[0], "sh");
	assert_string_equal(t.argv[1], "-c");
	assert_string_equal(t.argv[2], "");
	assert_null(t.argv[3]);
	assert_string_equal(t.env[0], "A=1");
	assert_string_equal(t.env[1], "B=");
	assert_null(t.env[2]);
	assert_string_equal(t.id, "demo-cell");
	drop(&t);
}

/* Of another build, or cut anywhere: refused, and nothing is read beyond */
static void test_other_setups(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(65536);
	static struct vm_told t;
	struct vm_setup h;

	(void)state;
	put(&b);
	for (size_t n = 0; n < b.len; n++) {
		char *copy = malloc(n ? n : 1);

		memcpy(copy, b.p, n);
		memcpy(&h, b.p, sizeof(h));
		h.size = (uint32_t)n;
		if (n >= sizeof(h))
			memcpy(copy, &h, sizeof(h));
		memset(&t, 0, sizeof(t));
		assert_int_equal(vm_get_setup(copy, n, &t), -EPROTO);
		drop(&t);
		free(copy);
	}
	memcpy(&h, b.p, sizeof(h));
	h.version++;
	memcpy(b.p, &h, sizeof(h));
	memset(&t, 0, sizeof(t));
	assert_int_equal(vm_get_setup(b.p, b.len, &t), -EPROTO);
	h.version--;
	h.n_ops++;
	memcpy(b.p, &h, sizeof(h));
	assert_int_equal(vm_get_setup(b.p, b.len, &t), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_the_line_of_a_foreign_guest),
		cmocka_unit_test(test_genuine),
		cmocka_unit_test(test_ready),
		cmocka_unit_test(test_other_readies),
		cmocka_unit_test(test_memory_is_shown_in_pages),
		cmocka_unit_test(test_setup_comes_back),
		cmocka_unit_test(test_other_setups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
