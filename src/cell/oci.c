/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* From a plan to config.json of an OCI bundle. Pure. */
#include "cell/oci.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cell/guest.h"
#include "wire/json_out.h"

static void strings(struct json_out *j, const char *name, const char *const *v,
		    size_t n)
{
	json_out_key(j, name);
	json_out_array(j);
	for (size_t i = 0; i < n; i++)
		json_out_str(j, v[i]);
	json_out_end(j, ']');
}

static void args(struct json_out *j, const struct cell_request *req,
		 const struct plan *p)
{
	const struct spec_strings *a = &req->spec->run->argv;
	char uid[16], gid[16];

	(void)snprintf(uid, sizeof(uid), "%u", p->in_uid);
	(void)snprintf(gid, sizeof(gid), "%u", p->in_gid);
	json_out_key(j, "args");
	json_out_array(j);
	json_out_str(j, GUEST_INIT);
	json_out_str(j, uid);
	json_out_str(j, gid);
	json_out_str(j, p->cwd);
	for (size_t i = 0; i < a->n; i++)
		json_out_slice(j, a->p[i]);
	json_out_end(j, ']');
}

static void capabilities(struct json_out *j)
{
#define X(cap) #cap,
	static const char *const own[] = { GUEST_CAPS(X) };
#undef X
	static const char *const sets[] = { "bounding", "effective",
					    "permitted" };

	json_out_key(j, "capabilities");
	json_out_object(j);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		strings(j, sets[i], own, ARRAY_SIZE(own));
	json_out_end(j, '}');
}

static void user(struct json_out *j)
{
	json_out_key(j, "user");
	json_out_object(j);
	json_out_ku64(j, "gid", 0);
	json_out_ku64(j, "uid", 0);
	json_out_end(j, '}');
}

static void process(struct json_out *j, const struct cell_request *req,
		    const struct plan *p, uint64_t files)
{
	json_out_key(j, "process");
	json_out_object(j);
	args(j, req, p);
	capabilities(j);
	json_out_kstr(j, "cwd", "/");
	/* that of the command comes another way, cell/guest.h */
	strings(j, "env", NULL, 0);
	json_out_kbool(j, "noNewPrivileges", true);
	json_out_key(j, "rlimits");
	json_out_array(j);
	json_out_object(j);
	json_out_ku64(j, "hard", files);
	json_out_ku64(j, "soft", files);
	json_out_kstr(j, "type", "RLIMIT_NOFILE");
	json_out_end(j, '}');
	json_out_end(j, ']');
	json_out_kbool(j, "terminal", req->in == CELL_STDIN_PTY);
	user(j);
	json_out_end(j, '}');
}

static void root(struct json_out *j)
{
	json_out_key(j, "root");
	json_out_object(j);
	json_out_kstr(j, "path", OCI_ROOTFS);
	json_out_kbool(j, "readonly", true);
	json_out_end(j, '}');
}

static void mount(struct json_out *j, const char *type, const char *src,
		  const char *dst, const char *const *options, size_t n)
{
	json_out_object(j);
	json_out_kstr(j, "destination", dst);
	strings(j, "options", options, n);
	json_out_kstr(j, "source", src);
	json_out_kstr(j, "type", type);
	json_out_end(j, '}');
}

static void mount_private(struct json_out *j, const struct plan_step *s)
{
	char size[40], mode[24];
	const char *options[4] = { "nosuid", "nodev", size, mode };

	(void)snprintf(size, sizeof(size), "size=%" PRIu64, s->n);
	(void)snprintf(mode, sizeof(mode), "mode=%" PRIo64, s->n2);
	mount(j, "tmpfs", "tmpfs", s->dst, options, ARRAY_SIZE(options));
}

/* The root is one file system to the sandbox, and read-only: what may be
 * written has to be a mount of its own. */
static void mount_declared(struct json_out *j, const struct plan_step *s)
{
	bool ro = s->op == PLAN_BIND && (s->flags & PLAN_F_RO);
	const char *options[3] = { "rbind", "nosuid", ro ? "ro" : "rw" };
	char src[40];

	(void)snprintf(src, sizeof(src), OCI_MOUNTS "/%" PRIu64, s->n);
	mount(j, "bind", src, s->dst, options, ARRAY_SIZE(options));
}

static void mounts(struct json_out *j, const struct plan *p)
{
	static const char *const channel[] = { "bind", "nosuid", "nodev",
					       "noexec", "rw" };

	json_out_key(j, "mounts");
	json_out_array(j);
	mount(j, "proc", "proc", "/proc", NULL, 0);
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_step *s = &p->steps[i];

		if (s->op == PLAN_SENTRY_TMPFS)
			mount_private(j, s);
		else if (plan_is_declared(s))
			mount_declared(j, s);
	}
	mount(j, "bind", OCI_CHANNEL, GUEST_CHANNEL, channel,
	      ARRAY_SIZE(channel));
	json_out_end(j, ']');
}

void oci_config(const struct cell_request *req, const struct plan *p,
		uint64_t files, struct wbuf *out)
{
	static const char *const namespaces[] = { "pid", "ipc", "uts",
						  "mount" };
	struct json_out j;

	json_out_init(&j, out, true);
	json_out_object(&j);
	json_out_kstr(&j, "hostname", "cell");
	json_out_key(&j, "linux");
	json_out_object(&j);
	json_out_key(&j, "namespaces");
	json_out_array(&j);
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
		json_out_object(&j);
		json_out_kstr(&j, "type", namespaces[i]);
		json_out_end(&j, '}');
	}
	if (req->door) {
		/* that of who calls the runtime: the leg's far end is there */
		json_out_object(&j);
		json_out_kstr(&j, "path", "/proc/self/ns/net");
		json_out_kstr(&j, "type", "network");
		json_out_end(&j, '}');
	}
	json_out_end(&j, ']');
	json_out_end(&j, '}');
	mounts(&j, p);
	json_out_kstr(&j, "ociVersion", "1.0.2");
	process(&j, req, p, files);
	root(&j);
	json_out_end(&j, '}');
}

void oci_trial_config(struct wbuf *out)
{
	static const char *const args[] = { GUEST_INIT };
	struct json_out j;

	json_out_init(&j, out, true);
	json_out_object(&j);
	json_out_kstr(&j, "ociVersion", "1.0.2");
	json_out_key(&j, "process");
	json_out_object(&j);
	strings(&j, "args", args, ARRAY_SIZE(args));
	json_out_kstr(&j, "cwd", "/");
	user(&j);
	json_out_end(&j, '}');
	root(&j);
	json_out_end(&j, '}');
}
