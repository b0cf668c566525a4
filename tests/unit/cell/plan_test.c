/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The plan as a pure function: exact steps for given documents and hosts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cell/door.h"
#include "cell/plan.h"
#include "image/image.h"

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

/* -- a sandbox -- */

static void load_sandbox(struct fixture *f, const char *doc)
{
	load(f, doc);
	f->host.runsc = "/usr/bin/runsc";
	f->host.guest = "/usr/libexec/cellos-init";
	f->req.wall = CELL_WALL_GVISOR;
}

/* From where it stops being the plan of the host's wall */
static const char sandbox_end[] =
	" 15  dir              /proc\n"
	" 16  dir              /sys\n"
	" 17  dir              /dev\n"
	" 18  dir              /.cellos\n"
	" 19  dir              /.cellos/channel\n"
	" 20  bind             /.cellos/init <- /usr/libexec/cellos-init ro  # "
	"pid 1 of the sandbox\n"
	" 21  dir              /tmp\n"
	" 22  sentry-tmpfs     /tmp size=1073741824  # private, of the "
	"sandbox's kernel\n"
	" 23  dir              /run\n"
	" 24  sentry-tmpfs     /run size=16777216  # private, of the sandbox's "
	"kernel\n"
	" 25  dir              /dev/shm\n"
	" 26  sentry-tmpfs     /dev/shm size=268435456  # private, of the "
	"sandbox's kernel\n"
	" 27  dir              /w\n"
	" 28  bind             /w rw idmapped  # declared, writable\n"
	" 29  runtime-root     /runsc <- /usr/bin/runsc  # the cell's root, "
	"the runtime, nothing else\n"
	" 30  pivot-root       /  # the host is gone\n"
	" 31  read-only        /cell\n"
	" 32  bundle           /bundle\n"
	" 33  sandbox          runsc  # by ptrace; booted, waits; read back\n"
	" 34  user             uid=1000 gid=1000 (1879048193:1879048193 on the "
	"host)  # the workload's own uid and gid\n"
	" 35  capabilities      # none, bounding set empty\n"
	" 36  no-new-privs    \n"
	" 37  rlimit           RLIMIT_CORE  # no core, no core helper\n"
	" 38  chdir            /w\n"
	" 39  seccomp          allowlist  # to the sandbox's kernel; watched "
	"calls EPERM\n"
	" 40  exec             true\n";

static void lines_of_a_sandbox(void **state)
{
	static const struct door door = { .nflog_group = 100 };
	struct fixture f = { 0 };
	const char *end;

	(void)state;
	load_sandbox(&f, DOC("\"authority\":{\"filesystem\":{\"mounts\":["
			     "{\"path\":\"/w\",\"mode\":\"rw\"}]}},"
			     "\"run\":{\"argv\":[\"true\"],"
			     "\"workingDirectory\":\"/w\"}"));
	/* a root of its own: no files of /etc are made */
	f.req.image_root = "/image";
	f.req.door = &door;
	f.req.platform = CELL_PLATFORM_PTRACE;
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	plan_print(&f.plan, &f.text);
	assert_non_null(strstr(wbuf_cstr(&f.text),
			       "  8  leg              cell0  # the sandbox's "
			       "network stack is behind it\n"
			       "  9  door             gate  # named ports to "
			       "the gate, the rest refused\n"));
	end = strstr(wbuf_cstr(&f.text), " 15  dir");
	assert_non_null(end);
	assert_string_equal(end, sandbox_end);
	assert_true(plan_is_sandbox(&f.plan) && f.plan.full);
	assert_int_equal(f.plan.ns, CELL_NS_ALL);
	/* four ids that nobody else has: pid 1's, the command's, the gate's,
	 * the sandbox's kernel's */
	assert_int_equal(f.plan.init_uid, 1879048192);
	assert_int_equal(f.plan.out_uid, 1879048193);
	assert_int_equal(f.plan.gate_uid, 1879048194);
	assert_int_equal(f.plan.sentry_uid, 1879048195);
	/* nothing of the host's wall that would claim something */
	assert_int_equal(count(&f.plan, PLAN_LANDLOCK), 0);
	assert_int_equal(count(&f.plan, PLAN_SELF_TEST), 0);
	assert_int_equal(count(&f.plan, PLAN_MASK), 0);
	drop(&f);
}

static void assert_sandbox_refused(struct fixture *f, const char *text)
{
	assert_int_equal(plan_build(&f->req, &f->host, &f->plan, &f->e), -1);
	assert_string_equal(f->e.text, text);
}

static void a_sandbox_has_no_mount_in_another(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	load_sandbox(&f, DOC("\"authority\":{\"filesystem\":{\"mounts\":["
			     "{\"path\":\"/w\",\"mode\":\"rw\"},"
			     "{\"path\":\"/ww\",\"mode\":\"rw\"}]}},"
			     "\"run\":{\"argv\":[\"x\"]}"));
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	drop(&f);
	load_sandbox(&f, DOC("\"authority\":{\"filesystem\":{\"mounts\":["
			     "{\"path\":\"/w/r\",\"mode\":\"ro\"},"
			     "{\"path\":\"/w\",\"mode\":\"rw\"}]}},"
			     "\"run\":{\"argv\":[\"x\"]}"));
	assert_sandbox_refused(
		&f, "host backend: gvisor: /w/r lies below /w; behind this "
		    "wall no mount stands in another: name the upper one "
		    "only, or use --backend host");
	drop(&f);
}

static void a_sandbox_names_what_it_cannot_carry(void **state)
{
	struct door proxy = {
		.listen = { { .addr = { .family = 4, .b = { 127, 0, 0, 53 } },
			      .port = 53 } },
		.n_listen = 1
	};
	struct fixture f = { 0 };

	(void)state;
	load_sandbox(&f, DOC("\"authority\":{},\"run\":{\"argv\":[\"x\"]}"));
	f.req.in = CELL_STDIN_PTY;
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	assert_int_equal(count(&f.plan, PLAN_DEVPTS), 1);
	plan_drop(&f.plan);
	f.req.in = CELL_STDIN_NULL;
	f.req.pids_asked = true;
	assert_sandbox_refused(
		&f, "host backend: gvisor: a limit of processes cannot be "
		    "applied inside the sandbox; leave it out (the default "
		    "limit is applied around it), or use --backend host");
	f.req.pids_asked = false;
	f.req.seccomp = CELL_SECCOMP_BASELINE;
	assert_sandbox_refused(
		&f, "host backend: gvisor: CELLOS_SUBPROCESS_SECCOMP and "
		    "CELLOS_SECCOMP_BPF_PATH filter calls to this host's "
		    "kernel, which the command does not make; unset them, or "
		    "use --backend host");
	f.req.seccomp = CELL_SECCOMP_OFF;
	f.req.door = &proxy;
	assert_sandbox_refused(
		&f, "host backend: gvisor: an explicit proxy or upstream of "
		    "CELLOS_DNS_PROXY* or CELLOS_SNI_PROXY* is on a loopback, "
		    "and the sandbox has one of its own; unset them (the door "
		    "needs no proxy), or use --backend host");
	/* any other address is behind the leg, as all are */
	proxy.listen[0].addr.b[0] = 10;
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	plan_drop(&f.plan);
	proxy.n_inside = 1;
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), -1);
	f.req.door = NULL;
	f.host.is_root = false;
	assert_sandbox_refused(
		&f, "host backend: gvisor: needs root, for the ids of the "
		    "sandbox and of the command; run as root, or use "
		    "--backend host");
	drop(&f);
}

static struct image image;

static void load_machine(struct fixture *f, const char *doc)
{
	image = (struct image){ .fd = { 3, 4, 5 } };
	load_sandbox(f, doc);
	f->req.image = &image;
	f->req.wall = CELL_WALL_QEMU;
	f->host.vmm = "/usr/bin/qemu";
}

/* The host's part ends with the VMM, the guest's with the command. */
static void lines_of_a_machine(void **state)
{
	struct fixture f = { 0 };
	const struct plan *p = &f.plan;
	size_t vmm, host = 0, guest = 0;

	(void)state;
	load_machine(&f, DOC("\"authority\":{\"filesystem\":{\"mounts\":["
			     "{\"path\":\"/w\",\"mode\":\"rw\"},"
			     "{\"path\":\"/ww\",\"mode\":\"ro\"}]}},"
			     "\"run\":{\"argv\":[\"x\"]}"));
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	assert_true(plan_is_sandbox(p) && plan_is_vm(p));
	vmm = plan_find(p, PLAN_VMM);
	assert_string_equal(p->steps[vmm].src, "/usr/bin/qemu");
	assert_int_equal(count(p, PLAN_IMAGE), 1);
	assert_int_equal(count(p, PLAN_PIVOT), 2);
	assert_true(plan_find(p, PLAN_LANDLOCK) > vmm);
	assert_int_equal(p->steps[p->n - 1].op, PLAN_EXEC);
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_step *s = &p->steps[i];

		if (!plan_is_declared(s))
			continue;
		if (i < vmm) {
			/* beside the driver, idmapped as on the host's wall */
			assert_string_equal(s->dst,
					    host ? "/mounts/1" : "/mounts/0");
			assert_int_equal(s->flags & PLAN_F_FROM_FD,
					 PLAN_F_FROM_FD);
			assert_string_equal(s->why,
					    "the driver's, which carries it");
			host++;
			continue;
		}
		assert_string_equal(s->src, guest ? "/files/1" : "/files/0");
		assert_string_equal(s->dst, guest ? "/ww" : "/w");
		assert_int_equal(s->flags, guest ? PLAN_F_RO : 0);
		assert_string_equal(
			s->why,
			guest ? "declared, read-only: a copy of at most "
				"1073741824 bytes"
			      : "declared, writable: a copy of at most "
				"1073741824 bytes, which comes back at the "
				"end");
		guest++;
	}
	assert_int_equal(host, 2);
	assert_int_equal(guest, 2);
	/* a leg only where there is a door */
	assert_int_equal(count(p, PLAN_LEG), 0);
	drop(&f);
}

static const struct plan_step *shown_at(const struct plan *p, const char *dst)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->steps[i].dst && !strcmp(p->steps[i].dst, dst))
			return &p->steps[i];
	fail_msg("nothing at %s", dst);
	return NULL;
}

/* Its files have names in the VMM's root, and its devices are its own. */
static void lines_of_a_firecracker(void **state)
{
	struct fixture f = { 0 };
	const struct plan *p = &f.plan;
	const struct plan_step *dev;

	(void)state;
	load_machine(&f, DOC("\"authority\":{},\"run\":{\"argv\":[\"x\"]}"));
	f.req.wall = CELL_WALL_FIRECRACKER;
	f.host.vmm = "/opt/firecracker";
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	assert_int_equal(p->ns, CELL_NS_ALL);
	assert_string_equal(shown_at(p, "/firecracker")->src,
			    "/opt/firecracker");
	dev = shown_at(p, "/dev") + 1;
	assert_int_equal(dev->n, PLAN_SOURCE_DEVICES);
	assert_int_equal(dev->flags, PLAN_F_FROM_FD | PLAN_F_RO |
					     PLAN_F_NOEXEC | PLAN_F_DEV);
	assert_int_equal(shown_at(p, "/image.initrd")->n,
			 PLAN_SOURCE_IMAGE + 1);
	assert_string_equal(p->steps[plan_find(p, PLAN_VMM)].dst,
			    "firecracker");
	plan_drop(&f.plan);

	/* all of it beneath the jail, and no user namespace */
	f.req.firecracker.jailer = f.host.jailer = "/opt/jailer";
	f.req.firecracker.jail_uid = 10002;
	f.req.run_uuid = "u-1";
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	assert_int_equal(p->ns, CELL_NS_ALL & ~CELL_NS_USER);
	assert_int_equal(p->sentry_uid, 10002);
	assert_string_equal(p->steps[plan_find(p, PLAN_CLONE)].src,
			    "mnt pid ipc uts net");
	assert_string_equal(shown_at(p, "/jailer")->src, "/opt/jailer");
	assert_int_equal(
		shown_at(p, "/jail/firecracker/u-1/root/image.kernel")->n,
		PLAN_SOURCE_IMAGE);
	(void)shown_at(p, "/jail/firecracker/u-1/root/run");
	drop(&f);
}

/* Whose init is not ours is told a line, and what is not on it is refused. */
static void a_foreign_guest(void **state)
{
	struct fixture f = { 0 };
	const struct plan *p = &f.plan;
	char argv[1500], doc[2000];

	(void)state;
	load_machine(&f, DOC("\"authority\":{},\"run\":{\"argv\":[\"x\"]}"));
	f.req.wall = CELL_WALL_FIRECRACKER;
	f.host.vmm = "/opt/firecracker";
	image.is_foreign = true;
	image.fd[MANIFEST_INITRD] = -1;
	assert_int_equal(plan_build(&f.req, &f.host, &f.plan, &f.e), 0);
	assert_int_equal(plan_find(p, PLAN_VMM), p->n - 2);
	assert_int_equal(count(p, PLAN_IMAGE) + count(p, PLAN_LANDLOCK), 0);
	drop(&f);
	memset(argv, 'x', sizeof(argv) - 1);
	argv[sizeof(argv) - 1] = '\0';
	(void)snprintf(doc, sizeof(doc),
		       DOC("\"authority\":{},\"run\":{\"argv\":[\"%s\"]}"),
		       argv);
	load_machine(&f, doc);
	f.req.wall = CELL_WALL_FIRECRACKER;
	image.is_foreign = true;
	assert_sandbox_refused(
		&f, "host backend: firecracker: /spec/run/argv and /spec/id do "
		    "not fit into the kernel's command line of 2048 bytes; "
		    "shorten them, or use an image of `cellos image build`");
	drop(&f);
}

static void a_machine_names_what_it_cannot_carry(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	load_machine(&f, DOC("\"authority\":{},\"run\":{\"argv\":[\"x\"]}"));
	f.req.in = CELL_STDIN_PTY;
	assert_sandbox_refused(
		&f, "host backend: qemu: -t: a machine's command has no "
		    "terminal; leave it out, or use --backend host");
	f.req.in = CELL_STDIN_NULL;
	f.req.image_root = "/i";
	assert_sandbox_refused(
		&f, "host backend: qemu: --root /i: a machine boots an image; "
		    "make one of it (cellos image build --root /i)");
	f.req.image_root = NULL;
	f.req.memory_max = UINT64_MAX;
	assert_sandbox_refused(
		&f, "host backend: qemu: a limit of 18446744073709551615 bytes "
		    "of memory: no machine has as much; the most is 1048576 "
		    "MiB");
	f.req.memory_max = 0;
	f.req.seccomp = CELL_SECCOMP_FILE;
	assert_sandbox_refused(
		&f, "host backend: qemu: CELLOS_SUBPROCESS_SECCOMP and "
		    "CELLOS_SECCOMP_BPF_PATH filter calls to this host's "
		    "kernel, which the command does not make; unset them, or "
		    "use --backend host");
	f.req.seccomp = CELL_SECCOMP_OFF;
	f.host.is_root = false;
	assert_sandbox_refused(
		&f, "host backend: qemu: needs root, for the ids of the "
		    "machine and of the command; run as root, or use "
		    "--backend host");
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
		cmocka_unit_test(lines_of_a_sandbox),
		cmocka_unit_test(a_sandbox_names_what_it_cannot_carry),
		cmocka_unit_test(a_sandbox_has_no_mount_in_another),
		cmocka_unit_test(lines_of_a_machine),
		cmocka_unit_test(lines_of_a_firecracker),
		cmocka_unit_test(a_foreign_guest),
		cmocka_unit_test(a_machine_names_what_it_cannot_carry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
