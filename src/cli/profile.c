/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Deployment profile: its preconditions, the isolation gate, the banner. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "backend/backend.h"
#include "base/fd.h"
#include "base/log.h"
#include "cli/config.h"
#include "cli/env.h"
#include "sys/landlock.h"

#define TARGET	"cellos.supervisor.profile"
#define FORCE	"CELLOS_TEST_FORCE_MISSING_ISOLATION_PRIMITIVES"
#define PROFILE "CELLOS_DEPLOYMENT_PROFILE"

/* Set @name to 1; errors only without memory, where nothing is promised */
static int force_on(const char *name, struct err *e)
{
	if (setenv(name, "1", 1) < 0)
		return err_set(e, ERR_PLAIN, 0, "%s: cannot be set", name);
	log_line(LOG_INFO, TARGET, "profile hardened sets %s=1", name);
	return 0;
}

/* Only a profile that is named outright has preconditions */
static int enter_hardened(struct err *e)
{
	static const char *const if_absent[] = {
		"CELL_OS_REQUIRE_JETSTREAM",
		"CELLOS_REQUIRE_AUTHORITY_DERIVATION",
		"CELLOS_REQUIRE_TELEMETRY_DECLARED",
		"CELLOS_STRICT_CONFIG",
	};
	static const char scoped[] = "CELLOS_REQUIRE_SCOPED_DERIVATION_TOKENS";

	if (!env_present("CELLOS_AUTHORITY_KEYS_PATH"))
		return err_set(e, ERR_PLAIN, 0,
			       PROFILE "=hardened requires "
				       "CELLOS_AUTHORITY_KEYS_PATH to be set");
	if (!env_not_falsy(scoped))
		log_line(LOG_WARN, TARGET,
			 "profile hardened overrides a falsy %s", scoped);
	if ((!env_present(scoped) || !env_not_falsy(scoped)) &&
	    force_on(scoped, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(if_absent); i++)
		if (!env_present(if_absent[i]) && force_on(if_absent[i], e) < 0)
			return -1;
	return 0;
}

enum { NAME_UNSHARE, NAME_SECCOMP, NAME_CGROUP, NAME_NUM };
static const char *const names[] = { "unshare", "seccomp", "cgroup-v2" };

static void list_put(char *buf, size_t size, const char *name)
{
	size_t n = strlen(buf);

	if (n)
		buf[--n] = '\0'; /* the closing bracket */
	(void)snprintf(buf + n, size - n, "%s\"%s\"]", n ? ", " : "[", name);
}

static bool names_it(const char *word, size_t i)
{
	return !strcasecmp(word, "all") || !strcmp(word, "*") ||
	       !strcasecmp(word, names[i]) ||
	       (i == NAME_CGROUP && (!strcasecmp(word, "cgroup_v2") ||
				     !strcasecmp(word, "cgroupv2")));
}

void profile_missing(const char *value, char *buf, size_t size)
{
	bool has[NAME_NUM] = { false };
	char word[32], part[64];
	size_t n;

	for (buf[0] = '\0'; *value; value += n + (value[n] == ',')) {
		n = strcspn(value, ",");
		if (n >= sizeof(part))
			continue;
		memcpy(part, value, n);
		part[n] = '\0';
		if (!text_trim(part, word, sizeof(word)))
			continue;
		for (size_t i = 0; i < NAME_NUM; i++) {
			if (has[i] || !names_it(word, i))
				continue;
			has[i] = true;
			list_put(buf, size, names[i]);
		}
	}
}

static bool status_has_seccomp(void)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(65536);

	return file_read(AT_FDCWD, "/proc/self/status", 0, &b) == 0 &&
	       strstr(wbuf_cstr(&b), "\nSeccomp:") != NULL;
}

/* What the original looked at: files, and nothing that costs a process */
static void probe_files(char *buf, size_t size)
{
	struct stat st;

	buf[0] = '\0';
	if (stat("/proc/self/ns/user", &st) < 0)
		list_put(buf, size, "unshare");
	if (stat("/sys/fs/cgroup/cgroup.controllers", &st) < 0 &&
	    stat("/sys/fs/cgroup/pids", &st) < 0 &&
	    stat("/sys/fs/cgroup/memory", &st) < 0)
		list_put(buf, size, "cgroup-v2");
	if (!status_has_seccomp())
		list_put(buf, size, "seccomp");
}

/* What a full cell cannot do without on this host, with the remedies */
static void explain_needs(void)
{
	static const struct cell_request none = { 0 };
	struct backend_need needs[BACKEND_NEEDS_MAX];
	size_t n = backend_of(CELL_WALL_HOST)->needs(&none, needs);

	for (size_t i = 0; i < n && i < BACKEND_NEEDS_MAX; i++)
		if (needs[i].required && !needs[i].present)
			log_line(LOG_ERROR, TARGET, "%s: %s; %s", needs[i].name,
				 needs[i].detail, needs[i].remedy);
}

static int gate(bool portable, struct err *e)
{
	char missing[512], quoted[256];
	const char *forced = env_text(FORCE);
	char probe[1024];

	if (forced && text_trim(forced, probe, sizeof(probe)) && !probe[0])
		forced = NULL;
	if (forced) {
		profile_missing(forced, missing, sizeof(missing));
		/* a misspelt word must not open the gate */
		if (!missing[0] && !portable)
			return err_set(
				e, ERR_PLAIN, 0,
				FORCE " names no known primitive: %s",
				env_quote(quoted, sizeof(quoted), forced));
	} else if (portable) {
		probe_files(missing, sizeof(missing));
	} else {
		/* cheap: the cell itself is the proof, and refuses by stage.
		 * Trying everything beforehand took 7 ms of every start. */
		probe_files(missing, sizeof(missing));
		if (landlock_abi() < 1)
			list_put(missing, sizeof(missing), "landlock");
		if (missing[0])
			explain_needs();
	}
	if (!missing[0]) {
		if (portable)
			log_line(LOG_INFO, TARGET,
				 "isolation primitives are present; what "
				 "portable does not ask for stays off");
		return 0;
	}
	if (portable) {
		log_line(LOG_WARN, TARGET,
			 "isolation primitives missing: %s; portable runs "
			 "without",
			 missing);
		return 0;
	}
	log_line(LOG_ERROR, TARGET,
		 "isolation primitives missing event=\"host_capability_check_"
		 "failed\" missing=%s",
		 missing);
	return err_set(e, ERR_PLAIN, 0,
		       "host is missing isolation primitives: %s (`cellos "
		       "doctor` says what to do; " PROFILE "=portable runs "
		       "without them)",
		       missing);
}

int profile_enter(bool *ret_portable, struct err *e)
{
	const char *raw = env_text(PROFILE);
	char mode[32], quoted[128];
	bool portable;

	if (raw && strcasecmp(raw, "hardened") == 0 && enter_hardened(e) < 0)
		return -1;
	if (!raw || !text_trim(raw, mode, sizeof(mode)))
		(void)snprintf(mode, sizeof(mode), "%s", raw ? "?" : "");
	portable = strcasecmp(mode, "portable") == 0;
	if (!portable && mode[0] && strcasecmp(mode, "hardened") != 0)
		return err_set(e, ERR_PLAIN, 0,
			       PROFILE ": unknown profile %s - expected "
				       "'hardened' or 'portable'",
			       env_quote(quoted, sizeof(quoted), raw));
	if (gate(portable, e) < 0)
		return -1;
	log_line(LOG_INFO, TARGET,
		 "[cellos-supervisor] startup-profile: %s (%s) "
		 "event=\"startup_banner\" profile=\"%s\"",
		 portable ? "Portable" : "Hardened",
		 portable ? "only what is asked for is enforced"
			  : "every cell is a full cell",
		 portable ? "Portable" : "Hardened");
	*ret_portable = portable;
	return 0;
}
