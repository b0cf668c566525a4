/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * `cellos doctor`: what a full cell needs, what is there, what to do about
 * the rest; and then one real cell, because only that proves it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "cell/vm.h"
#include "cli/env.h"
#include "cli/kvm.h"
#include "cli/lifecycle.h"
#include "cli/platform.h"
#include "cli/run_setup.h"
#include "cli/verb.h"
#include "cli/wall.h"
#include "wire/json_out.h"

enum { HINTS_MAX = 4, TRIAL_MS = 10000 };

struct doctor {
	bool json, works;
	const char *asked; /* --backend, or NULL */
	const struct backend *wall;
	const char *accel, *slow; /* of a machine: by what; what is to be said
				   * of it; NULL */
	struct backend_need needs[BACKEND_NEEDS_MAX];
	size_t n_needs;
	bool tried;   /* the needs allowed a real cell */
	struct err e; /* why the cell failed; text "" if it worked */
	const char *hints[HINTS_MAX];
	size_t n_hints;
};

/* First number of a small file, -1 if there is none. */
static long file_number(const char *path)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);
	char *end;
	long v;

	if (file_read(AT_FDCWD, path, 0, &b))
		return -1;
	v = strtol(wbuf_cstr(&b), &end, 10);
	return end == wbuf_cstr(&b) ? -1 : v;
}

static bool file_holds(const char *path, const char *text)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(65536);

	return file_read(AT_FDCWD, path, 0, &b) == 0 &&
	       strstr(wbuf_cstr(&b), text);
}

static void hint(struct doctor *d, bool applies, const char *text)
{
	if (applies && d->n_hints < HINTS_MAX)
		d->hints[d->n_hints++] = text;
}

/* What stands in the way without being a need of its own: the needs have
 * their remedies beside them. */
static void find_hints(struct doctor *d)
{
	hint(d,
	     d->tried && geteuid() != 0 &&
		     file_number("/proc/sys/kernel/apparmor_restrict_"
				 "unprivileged_userns") == 1,
	     "AppArmor takes away what a user namespace gives (Ubuntu 23.10 "
	     "and later): install the shipped profile, \"sudo install -m "
	     "644 packaging/apparmor/cellos /etc/apparmor.d/cellos && sudo "
	     "apparmor_parser -r /etc/apparmor.d/cellos\"; it is for "
	     "/usr/bin and /usr/local/bin");
	hint(d, file_holds("/proc/self/status", "Seccomp:\t2"),
	     "a seccomp filter is already on this process, as in a container: "
	     "Docker's default filter forbids user namespaces and mounts; run "
	     "the container with \"--security-opt seccomp=unconfined "
	     "--security-opt apparmor=unconfined --security-opt "
	     "systempaths=unconfined\", or with a profile that allows clone3, "
	     "unshare, mount, pivot_root and setns");
}

static void on_settled(void *arg, const struct cell_request *req)
{
	struct doctor *d = arg;

	if (req->wall == CELL_WALL_QEMU || req->wall == CELL_WALL_FIRECRACKER)
		d->accel = vm_accel(req);
	d->slow = wall_warning(req);
}

static int trial(struct doctor *d)
{
	static char word[] = "true";
	static char *words[] = { word, NULL };
	OWNED(run_setup_drop) struct run_setup s = { 0 };
	OWNED(signer_stop) struct signer *signer = NULL;
	struct run_args a = { .verb = "doctor",
			      .backend = d->asked,
			      .argv = words,
			      .argc = 1,
			      .timeout_ms = TRIAL_MS,
			      /* of RFC 5737: nothing is sent there */
			      .allow = { { .host = SLICE_LIT("192.0.2.1"),
					   .port = 443 } },
			      .n_allow = 1 };
	uint8_t no_key[1] = { 0 };
	OWNED(lifecycle_drop) struct lifecycle_result r = { 0 };
	struct lifecycle_config c;

	if (run_setup(&a, &s, &d->e) ||
	    signer_start(SIGNER_NONE, "none", no_key, 0, &signer, &d->e))
		return -1;
	c = (struct lifecycle_config){
		.backend = s.backend,
		.request = s.req,
		.run_uuid = s.uuid,
		.raw_hash = s.doc.raw_hash,
		.run_id = "doctor",
		.signer = signer,
		.dirs = &s.dirs,
		.door = s.door,
		.tap = { .settled = on_settled, .arg = d },
	};
	return lifecycle_run(&c, &r, &d->e);
}

static void need_gate(struct doctor *d)
{
	struct backend_need *n = &d->needs[d->n_needs];
	char path[PATH_MAX], os[128];
	OWNED(fd_drop) int fd = path_program("cellos-gate", path);
	bool runs = fd >= 0 && access(path, X_OK) == 0;

	if (d->n_needs == BACKEND_NEEDS_MAX)
		return;
	d->n_needs++;
	*n = (struct backend_need){ .name = "gate",
				    .required = true,
				    .present = runs };
	err_os_text(fd < 0 ? -fd : EACCES, os, sizeof(os));
	(void)snprintf(n->detail, sizeof(n->detail), "%.120s%s%s", path,
		       runs ? "" : ": ", runs ? "" : os);
	if (!runs)
		(void)snprintf(n->remedy, sizeof(n->remedy),
			       "install cellos-gate of the same build beside "
			       "cellos, or in ../libexec");
}

/* What ran the sandbox that was tried */
static void tell_platform(struct doctor *d, const struct cell_request *req)
{
	struct backend_need *n = &d->needs[d->n_needs];
	struct state_dirs dirs;

	if (d->n_needs == BACKEND_NEEDS_MAX || state_dirs_find(&dirs, &d->e))
		return;
	d->n_needs++;
	*n = (struct backend_need){ .name = REPORT_PLATFORM, .present = true };
	(void)snprintf(n->detail, sizeof(n->detail), "%s",
		       cell_platform_word(platform_kept(&dirs, req)));
}

static void examine(struct doctor *d)
{
	const struct backend *b = d->wall;
	struct cell_request req = { 0 };
	struct state_dirs dirs;
	char parent[PATH_MAX];
	bool met = true;

	wall_programs(b, d->asked, &req);
	req.cgroup_parent =
		env_nonblank("CELLOS_CGROUP_PARENT", parent, sizeof(parent));
	d->n_needs = b->needs(&req, d->needs);
	need_gate(d);
	for (size_t i = 0; i < d->n_needs; i++)
		met = met && (d->needs[i].present || !d->needs[i].required);
	d->tried = met;
	if (met && b->wall == CELL_WALL_GVISOR &&
	    !state_dirs_find(&dirs, &d->e))
		platform_forget(&dirs);
	/* what was found once may be another by now */
	if (met && b->wall == CELL_WALL_QEMU && !state_dirs_find(&dirs, &d->e))
		kvm_forget(&dirs);
	d->works = met && trial(d) == 0;
	if (!d->works)
		find_hints(d);
	else if (b->wall == CELL_WALL_GVISOR)
		tell_platform(d, &req);
}

static void print_table(const struct doctor *d)
{
	for (size_t i = 0; i < d->n_needs; i++) {
		const struct backend_need *n = &d->needs[i];

		printf("%-9s %-22s %s\n",
		       n->present    ? "ok"
		       : n->required ? "MISSING"
				     : "(missing)",
		       n->name, n->detail);
		if (!n->present && n->remedy[0])
			printf("%-9s %-22s -> %s\n", "", "", n->remedy);
	}
	printf("%-9s %-22s %s\n",
	       d->works	  ? "ok"
	       : d->tried ? "FAILED"
			  : "-",
	       "a real cell",
	       d->works	  ? "ran \"true\" behind every wall"
	       : d->tried ? d->e.text
			  : "not tried: something it needs is missing");
	if (d->e.cause[0])
		printf("%-9s %-22s %s\n", "", "", d->e.cause);
	if (d->accel)
		printf("%-9s %-22s %s\n", d->slow ? "(slow)" : "ok",
		       "accelerator", d->accel);
	if (d->slow)
		printf("%-9s %-22s -> %s\n", "", "", d->slow);
	for (size_t i = 0; i < d->n_hints; i++)
		printf("%s%s\n", i ? "  - " : "\nWhat may help:\n  - ",
		       d->hints[i]);
	printf("\nA full cell %s here%s%s.\n",
	       d->works ? "works" : "does not work",
	       d->wall->wall == CELL_WALL_HOST ? "" : ", behind ",
	       d->wall->wall == CELL_WALL_HOST ? "" : backend_name(d->wall));
}

static void put_needs(struct json_out *j, const struct doctor *d)
{
	json_out_key(j, "needs");
	json_out_array(j);
	for (size_t i = 0; i < d->n_needs; i++) {
		const struct backend_need *n = &d->needs[i];

		json_out_object(j);
		json_out_kstr(j, "detail", n->detail);
		json_out_kstr(j, "name", n->name);
		json_out_kbool(j, "present", n->present);
		json_out_kstr(j, "remedy", n->remedy);
		json_out_kbool(j, "required", n->required);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void print_json(const struct doctor *d)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(1024 * 1024);
	struct json_out j;

	json_out_init(&j, &b, true);
	json_out_object(&j);
	json_out_key(&j, "cell");
	json_out_object(&j);
	json_out_kstr(&j, "accel", d->accel ? d->accel : "");
	json_out_kstr(&j, "cause", d->e.cause);
	json_out_kstr(&j, "error", d->e.text);
	json_out_kbool(&j, "tried", d->tried);
	json_out_end(&j, '}');
	json_out_key(&j, "hints");
	json_out_array(&j);
	for (size_t i = 0; i < d->n_hints; i++)
		json_out_str(&j, d->hints[i]);
	json_out_end(&j, ']');
	put_needs(&j, d);
	json_out_kstr(&j, "wall", backend_name(d->wall));
	json_out_kbool(&j, "works", d->works);
	json_out_end(&j, '}');
	puts(wbuf_cstr(&b));
}

static int take(void *ctx, const struct verb_opt *opt, const char *value,
		struct err *e)
{
	struct doctor *d = ctx;

	if (!opt)
		return verb_no_options(ctx, opt, value, e);
	if (opt->id == OPT_JSON) {
		d->json = true;
		return 0;
	}
	d->asked = value;
	return wall_find(value, false, e) ? 0 : -1;
}

int verb_doctor(int argc, char **argv)
{
	struct doctor d = { 0 };
	struct err e = { 0 };
	enum verb_parsed p = verb_parse("doctor", argc, argv, take, &d, NULL);

	if (p != VERB_GO)
		return p == VERB_HELP ? EXIT_FINE : EXIT_USAGE;
	d.wall = wall_find(d.asked, false, &e);
	if (!d.wall)
		return verb_fail(&e, EXIT_FAILED);
	examine(&d);
	if (d.json)
		print_json(&d);
	else
		print_table(&d);
	return d.works ? EXIT_FINE : EXIT_FAILED;
}
