/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The plan as a pure function: exact steps for given documents and hosts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cell/plan.h"

struct fixture {
	struct spec spec;
	struct limits limits;
	struct cell_request req;
	struct host_caps host;
	struct plan plan;
	struct wbuf text;
	struct err e;
};

#define DOC(spec)                               \
	"{\"apiVersion\":\"cellos.io/v1\","     \
	"\"kind\":\"ExecutionCell\",\"spec\":{" \
	"\"id\":\"p\",\"lifetime\":{\"ttlSeconds\":60}," spec "}}"

static void load(struct fixture *f, const char *doc)
{
	const struct host_caps root = {
		.is_root = true,
		.spare_uid = 1879048192,
		.landlock_abi = 7,
		.overlay = true,
		.n_top = 2,
		.top = { { .name = "usr", .is_dir = true },
			 { .name = "bin", .link = "usr/bin" } },
	};

	assert_int_equal(spec_parse(slice_of(doc), &f->spec, &f->e), 0);
	assert_int_equal(spec_check(&f->spec, &f->e), 0);
	limits_default(&f->limits);
	f->host = root;
	f->text = WBUF_INIT(65536);
	f->req = (struct cell_request){ .spec = &f->spec,
					.run_uuid = "u",
					.pids_max = 1024,
					.limits = &f->limits };
	for (size_t i = 0; i < f->spec.authority.n_mounts; i++)
		f->host.paths[f->host.n_paths++] = (struct host_path){
			.path = f->spec.authority.mounts[i].path.p,
			.is_dir = true,
			.idmap = true,
		};
}

static void drop(struct fixture *f)
{
	plan_drop(&f->plan);
	spec_drop(&f->spec);
	wbuf_drop(&f->text);
}

static size_t count(const struct plan *p, enum plan_op op)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += p->steps[i].op == op;
	return n;
}

static const struct plan_step *find(const struct plan *p, enum plan_op op,
				    const char *dst)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->steps[i].op == op && p->steps[i].dst &&
		    !strcmp(p->steps[i].dst, dst))
			return &p->steps[i];
	return NULL;
}

/* The lock-down, as it is printed. */
static const char *const in_order[] = {
	"pivot-root",
	"read-only        /",
	"user ",
	"uid=1000 gid=1000 (1879048193:1879048193 on the host)",
	"capabilities",
	"no-new-privs",
	"rlimit",
	"landlock",
	"abi=7",
	"seccomp",
	"self-test",
	"chdir            /",
	"exec             true",
};

static void lines_of_a_small_plan(void **state)
{
	struct fixture f = { 0 };
	const char *want_start =
		"  1  state            u  # resource list, locked\n"
		"  2  cgroup            # limits, read back\n"
		"  3  source            # host paths the cell will show\n"
		"  4  clone            user mnt pid ipc uts net\n"
		"  5  id-map            # the workload is nobody on the host\n"
		"  6  cgroup-namespace\n"
		"  7  loopback         lo  # no other link, no route out\n"
		"  8  hostname         cell\n"
		"  9  root             / size=1048576  # empty\n"
		" 10  bind             /usr ro  # the host's programs, "
		"read-only\n"
		" 11  symlink          /bin <- usr/bin\n";
	const char *end;

	(void)state;
	load(&f, DOC("\"authority\":{},\"run\":{\"argv\":[\"true\"]}"));
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	plan_print(&f.plan, &f.text);
	assert_memory_equal(wbuf_cstr(&f.text), want_start, strlen(want_start));
	end = strstr(wbuf_cstr(&f.text), "pivot-root");
	assert_non_null(end);
	for (size_t i = 0; i < ARRAY_SIZE(in_order); i++) {
		end = strstr(end, in_order[i]);
		if (!end)
			fail_msg("\"%s\" is not where it belongs", in_order[i]);
	}
	assert_int_equal(f.plan.ns, CELL_NS_ALL);
	drop(&f);
}

static void writable_mounts_are_idmapped(void **state)
{
	struct fixture f = { 0 };
	const struct plan_step *s;

	(void)state;
	load(&f, DOC("\"authority\":{\"filesystem\":{\"mounts\":["
		     "{\"path\":\"/w/sub\",\"mode\":\"ro\"},"
		     "{\"path\":\"/w\",\"mode\":\"rw\"}]}},"
		     "\"run\":{\"argv\":[\"x\"],\"workingDirectory\":"
		     "\"/w/sub/deep\"}"));
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	s = find(&f.plan, PLAN_BIND, "/w");
	assert_non_null(s);
	assert_int_equal(s->flags, PLAN_F_FROM_FD | PLAN_F_IDMAP);
	assert_int_equal(s->n, 1);
	s = find(&f.plan, PLAN_BIND, "/w/sub");
	assert_int_equal(s->flags, PLAN_F_FROM_FD | PLAN_F_RO);
	/* the outer one first, or it would cover the inner one */
	assert_true(find(&f.plan, PLAN_BIND, "/w") < s);
	/* the directory is covered: no layer of its own, no mount point that
	 * would be made in somebody's tree */
	assert_int_equal(count(&f.plan, PLAN_OVERLAY), 0);
	assert_null(find(&f.plan, PLAN_DIR, "/w/sub"));
	assert_non_null(find(&f.plan, PLAN_CHDIR, "/w/sub/deep"));
	drop(&f);
}

static void working_directory_gets_a_layer(void **state)
{
	struct fixture f = { 0 };
	const char *doc = DOC("\"authority\":{},\"run\":{\"argv\":[\"x\"],"
			      "\"workingDirectory\":\"/srv/w\"}");
	const struct plan_step *s;

	(void)state;
	load(&f, doc);
	f.host.paths[f.host.n_paths++] = (struct host_path){ .path = "/srv/w",
							     .is_dir = true,
							     .idmap = true };
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	s = find(&f.plan, PLAN_OVERLAY, "/srv/w");
	assert_non_null(s);
	assert_int_equal(s->flags, PLAN_F_FROM_FD | PLAN_F_IDMAP);
	assert_int_equal(s->n2, 1073741824);
	plan_drop(&f.plan);
	/* without overlayfs: read-only, never writable by accident */
	f.host.overlay = false;
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	s = find(&f.plan, PLAN_BIND, "/srv/w");
	assert_int_equal(s->flags, PLAN_F_FROM_FD | PLAN_F_RO);
	drop(&f);
}

static void refusals_name_stage_and_remedy(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	load(&f, DOC("\"authority\":{\"filesystem\":{\"mounts\":["
		     "{\"path\":\"/w\",\"mode\":\"rw\"}]}},"
		     "\"run\":{\"argv\":[\"x\"]}"));
	f.host.landlock_abi = 0;
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), -1);
	assert_string_equal(
		f.e.text,
		"host backend: landlock: this kernel has no Landlock; boot it "
		"with lsm=landlock,... (CONFIG_SECURITY_LANDLOCK)");
	f.host.landlock_abi = 7;
	f.host.paths[0].sys = ENOENT;
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), -1);
	assert_string_equal(f.e.text, "host backend: source: mount /w: No such "
				      "file or directory (os error 2)");
	f.host.paths[0].sys = 0;
	f.host.paths[0].idmap = false;
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), -1);
	assert_non_null(strstr(f.e.text, "id-map: /w lies on a file system "
					 "that cannot be idmapped"));
	/* a directory of an ordinary user: the workload becomes that user */
	f.host.paths[0].uid = 1500;
	f.host.paths[0].gid = 1501;
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	assert_int_equal(f.plan.out_uid, 1500);
	assert_int_equal(f.plan.out_gid, 1501);
	drop(&f);
}

static void unprivileged_has_one_id(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	load(&f, DOC("\"authority\":{\"filesystem\":{\"mounts\":["
		     "{\"path\":\"/w\",\"mode\":\"rw\"}]}},"
		     "\"run\":{\"argv\":[\"x\"]}"));
	f.host.is_root = false;
	f.host.uid = 1234;
	f.host.gid = 1235;
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	assert_int_equal(f.plan.init_uid, 0);
	assert_int_equal(f.plan.out_uid, 1234);
	assert_int_equal(f.plan.out_gid, 1235);
	/* opened inside, by the one who runs it */
	assert_int_equal(find(&f.plan, PLAN_BIND, "/w")->flags, 0);
	drop(&f);
}

static void portable_adds_only_what_it_says(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	load(&f, DOC("\"authority\":{},\"run\":{\"argv\":[\"x\"],"
		     "\"workingDirectory\":\"/srv/w\"}"));
	f.req.portable = true;
	f.req.unshare = CELL_NS_MNT | CELL_NS_NET;
	f.req.seccomp = CELL_SECCOMP_BASELINE;
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	plan_print(&f.plan, &f.text);
	assert_string_equal(
		wbuf_cstr(&f.text),
		"  1  state            u  # resource list, locked\n"
		"  2  clone             # what was asked for, and our init\n"
		"  3  loopback         lo\n"
		"  4  proc             /proc  # of the cell's own processes\n"
		"  5  tmpfs            /srv/w size=1073741824  # private "
		"workspace\n"
		"  6  no-new-privs    \n"
		"  7  seccomp          baseline\n"
		"  8  chdir            /srv/w\n"
		"  9  exec             x\n");
	assert_int_equal(f.plan.ns, CELL_NS_MNT | CELL_NS_NET | CELL_NS_PID);
	drop(&f);
}

static void no_command_no_steps(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	load(&f, DOC("\"authority\":{}"));
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	assert_int_equal(f.plan.n, 0);
	drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_a_small_plan),
		cmocka_unit_test(writable_mounts_are_idmapped),
		cmocka_unit_test(working_directory_gets_a_layer),
		cmocka_unit_test(refusals_name_stage_and_remedy),
		cmocka_unit_test(unprivileged_has_one_id),
		cmocka_unit_test(portable_adds_only_what_it_says),
		cmocka_unit_test(no_command_no_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
