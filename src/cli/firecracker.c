/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the variables say of a Firecracker VMM, in the order of the original's
 * checks. */
#include "cli/firecracker.h"

#include <limits.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "cli/env.h"
#include "gate/policy.h"

#define PREFIX "CELLOS_FIRECRACKER_"
#define TARGET "cellos.host.firecracker"

enum { JAIL_ID = 10002 };

/* A trimmed value that lives on; NULL: unset or blank */
static const char *value_of(const char *name)
{
	char buf[PATH_MAX];

	return env_nonblank(name, buf, sizeof(buf)) ? strdup(buf) : NULL;
}

static int check_path(const char *name, const char *what, bool required,
		      const char *path, struct err *e)
{
	if (!path && required)
		return err_set(e, ERR_PLAIN, 0,
			       "%s must be set to an absolute path to the %s "
			       "when CELLOS_CELL_BACKEND=firecracker",
			       name, what);
	if (path && path[0] != '/')
		return err_set(e, ERR_PLAIN, 0,
			       "%s must be an absolute path to the %s when "
			       "CELLOS_CELL_BACKEND=firecracker",
			       name, what);
	return 0;
}

static int get_paths(bool by_variable, struct firecracker_config *c,
		     struct err *e)
{
	const struct {
		const char *name, *what;
		bool required;
		const char **to;
	} paths[] = {
		{ PREFIX "BINARY", "firecracker VMM binary", by_variable,
		  &c->vmm.binary },
		{ PREFIX "KERNEL_IMAGE", "Firecracker kernel image",
		  by_variable, &c->kernel },
		{ PREFIX "ROOTFS_IMAGE", "Firecracker rootfs image",
		  by_variable, &c->rootfs },
		{ PREFIX "JAILER_BINARY", "Firecracker jailer binary", false,
		  &c->vmm.jailer },
		{ PREFIX "MANIFEST", "Firecracker artifact manifest file",
		  false, &c->manifest },
	};
	/* nothing lies there: a cell has these in its own memory */
	static const struct {
		const char *name, *what;
	} unused[] = {
		{ PREFIX "CHROOT_BASE", "Firecracker chroot base directory" },
		{ PREFIX "SOCKET_DIR", "Firecracker socket directory" },
		{ PREFIX "SCRATCH_DIR", "Firecracker scratch image directory" },
	};

	/* all of them before the first is judged: doctor asks what is named */
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		*paths[i].to = value_of(paths[i].name);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (check_path(paths[i].name, paths[i].what, paths[i].required,
			       *paths[i].to, e))
			return -1;
	for (size_t i = 0; i < ARRAY_SIZE(unused); i++)
		if (check_path(unused[i].name, unused[i].what, false,
			       value_of(unused[i].name), e))
			return -1;
	if (!c->kernel != !c->rootfs)
		return err_set(e, ERR_PLAIN, 0,
			       PREFIX "KERNEL_IMAGE and " PREFIX
				      "ROOTFS_IMAGE: set both, or neither for "
				      "an image of `cellos image build`");
	return 0;
}

static bool is_one(const char *name)
{
	char buf[16];

	return env_nonblank(name, buf, sizeof(buf)) && !strcmp(buf, "1");
}

static int get_ids(struct firecracker_config *c, struct err *e)
{
	const struct {
		const char *name, *field;
		unsigned *to;
	} ids[] = {
		{ PREFIX "JAILER_UID", "jailer_uid", &c->vmm.jail_uid },
		{ PREFIX "JAILER_GID", "jailer_gid", &c->vmm.jail_gid },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		const char *text = env_text(ids[i].name);
		unsigned long long n;

		*ids[i].to = JAIL_ID;
		if (text && text_u64(text, &n) && n < UINT32_MAX)
			*ids[i].to = (unsigned)n;
		if (*ids[i].to == 0)
			return err_set(e, ERR_PLAIN, 0,
				       "FirecrackerConfig: %s must be "
				       "non-zero: %s is 0 [FC-41]",
				       ids[i].field, ids[i].name);
	}
	return 0;
}

static int get_manifest(const struct firecracker_config *c, struct err *e)
{
	/* both of the two, or neither: get_two_flags() */
	const bool opted_out = is_one(PREFIX "ALLOW_NO_MANIFEST");

	if (c->manifest && opted_out)
		return err_set(e, ERR_PLAIN, 0,
			       "firecracker init: " PREFIX "MANIFEST and "
			       "its opt-out, " PREFIX
			       "ALLOW_NO_MANIFEST[_REALLY], are mutually "
			       "exclusive");
	if (c->kernel && !c->manifest && !opted_out)
		return err_set(e, ERR_PLAIN, 0,
			       "firecracker init: " PREFIX
			       "MANIFEST is not set");
	if (opted_out)
		log_line(LOG_WARN, TARGET,
			 "MANIFEST VERIFICATION DISABLED: the kernel and the "
			 "root of the guest are what they happen to be");
	return 0;
}

/* Two words for one wish, so that it is meant */
static int get_two_flags(struct err *e)
{
	if (is_one(PREFIX "ALLOW_NO_MANIFEST") ==
	    is_one(PREFIX "ALLOW_NO_MANIFEST_REALLY"))
		return 0;
	return err_set(e, ERR_PLAIN, 0,
		       "firecracker init: " PREFIX
		       "ALLOW_NO_MANIFEST and " PREFIX
		       "ALLOW_NO_MANIFEST_REALLY are a two-flag opt-out: set "
		       "both to 1, or neither");
}

static bool needs_jailer(bool by_variable)
{
	static const char *const no[] = { "0", "false", "FALSE", "no", "NO" };
	const char *text = env_text(PREFIX "REQUIRE_JAILER");

	if (is_one(PREFIX "ALLOW_NO_JAILER"))
		return false;
	/* ours has walls around it already */
	if (!text)
		return by_variable;
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (!strcmp(text, no[i]))
			return false;
	return true;
}

static bool wants_network(void)
{
	static const char *const no[] = { "0", "false", "no", "off" };
	const char *text = env_text(PREFIX "ENABLE_NETWORK");
	char buf[16];

	if (!text || !text_trim(text, buf, sizeof(buf)))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (!strcasecmp(buf, no[i]))
			return false;
	return buf[0] != '\0';
}

static unsigned exit_wait(void)
{
	const char *text = env_text(PREFIX "NO_VSOCK_TIMEOUT_SECS");
	unsigned long long n;

	if (!is_one(PREFIX "ALLOW_NO_VSOCK"))
		return 0;
	return text && text_u64(text, &n) && n > 0 && n < 86400 ? (unsigned)n
								: 5;
}

static int get_all(bool by_variable, struct firecracker_config *c,
		   struct err *e)
{
	char path[PATH_MAX];

	c->vmm.wants_jailer = needs_jailer(by_variable);
	if (get_paths(by_variable, c, e) || get_two_flags(e) || get_ids(c, e) ||
	    get_manifest(c, e))
		return -1;
	c->has_network = wants_network();
	c->vmm.has_scratch =
		env_nonblank(PREFIX "SCRATCH_DIR", path, sizeof(path));
	c->vmm.no_seccomp = is_one(PREFIX "NO_SECCOMP");
	c->vmm.exit_wait_seconds = exit_wait();
	if (!c->vmm.jailer && c->vmm.wants_jailer)
		return err_set(
			e, ERR_PLAIN, 0,
			"jailer is required for production use (set " PREFIX
			"JAILER_BINARY or " PREFIX
			"ALLOW_NO_JAILER=1 to opt out)");
	if (c->vmm.jailer && c->vmm.no_seccomp)
		return err_set(e, ERR_PLAIN, 0,
			       PREFIX "NO_SECCOMP with a jailer leaves the VMM "
				      "without any filter; unset one of them");
	return 0;
}

int firecracker_config(bool by_variable, bool portable,
		       struct firecracker_config *ret, struct err *e)
{
	*ret = (struct firecracker_config){ .is_portable = portable };
	return get_all(by_variable, ret, e)
		       ? err_prefix(e, "firecracker backend init: ")
		       : 0;
}

int firecracker_check(const struct firecracker_config *c,
		      const struct spec *spec, struct err *e)
{
	if (c->has_network || !policy_needs_gate(spec))
		return 0;
	return err_set(e, ERR_PLAIN, 0,
		       "spec declares %s but network enforcement is disabled "
		       "(set " PREFIX "ENABLE_NETWORK=1)",
		       spec->authority.egress_rules.n
			       ? "egress_rules"
			       : "dnsAuthority.hostnameAllowlist");
}
