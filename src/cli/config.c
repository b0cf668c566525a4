/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reading the environment of `cellos-supervisor` into one value. */
#include "cli/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cli/door_setup.h"
#include "cli/env.h"
#include "cli/lifecycle.h"

#define TARGET	"cellos.supervisor.config"
#define SECCOMP "CELLOS_SUBPROCESS_SECCOMP"
#define BPF	"CELLOS_SECCOMP_BPF_PATH"

static void record(struct config *c, const char *variable, const char *value,
		   const char *reason)
{
	struct config_record *r = &c->records[c->n_records];
	char q[300];

	log_line(LOG_WARN, TARGET,
		 "ignored or misconfigured var=%s value=%s "
		 "reason=\"%s\"",
		 variable, log_quote(q, sizeof(q), value), reason);
	if (c->n_records == CONFIG_RECORDS_MAX)
		return;
	c->n_records++;
	r->variable = variable;
	(void)snprintf(r->value, sizeof(r->value), "%s", value);
	(void)snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

static void record_enum(struct config *c, const char *variable,
			const char *const words[], const char *reason)
{
	const char *v = env_text(variable);

	if (!v || !*v)
		return;
	for (; *words; words++)
		if (strcmp(v, *words) == 0)
			return;
	record(c, variable, v, reason);
}

void config_url_hide(const char *url, char *buf, size_t size)
{
	size_t n = 0;

	/* each turn copies one byte or skips one userinfo */
	while (*url && n + 1 < size) {
		size_t info = 0;

		if (n >= 3 && memcmp(buf + n - 3, "://", 3) == 0)
			info = strcspn(url, "/?#, ");
		while (info > 0 && url[info] != '@')
			info--;
		if (info > 0 || (n >= 3 && *url == '@' &&
				 memcmp(buf + n - 3, "://", 3) == 0)) {
			url += info + 1;
			continue;
		}
		buf[n++] = *url++;
	}
	buf[n] = '\0';
}

static void record_nats(struct config *c)
{
	const char *url = env_text("NATS_URL");
	char shown[200];

	if (c->noop)
		return;
	config_url_hide(url ? url : "nats://127.0.0.1:4222", shown,
			sizeof(shown));
	record(c, "NATS_URL", shown,
	       "this build has no NATS client; no primary event sink (set "
	       "CELL_OS_USE_NOOP_SINK to say so)");
}

int config_load(bool portable, struct config *ret, struct err *e)
{
	static const char *const backends[] = { "stub", "firecracker", "gvisor",
						"host", "qemu",	       NULL };
	static const char *const brokers[] = { "env", "file", "github-oidc",
					       "vault-approle", NULL };
	const char *run_id = env_text("CELLOS_RUN_ID");

	*ret = (struct config){ .portable = portable,
				.bpf = WBUF_INIT(LIMIT_BPF_BYTES) };
	ret->strict = env_truthy("CELLOS_STRICT_CONFIG");
	ret->noop = env_present("CELL_OS_USE_NOOP_SINK");
	ret->run_id = run_id ? run_id : "run-local-001";
	if (env_limits(&ret->limits, &ret->pids_asked, e) < 0)
		return -1;
	record_nats(ret);
	record_enum(ret, "CELLOS_CELL_BACKEND", backends,
		    "value didn't match enum {firecracker, gvisor, stub}; "
		    "falling back to the host backend");
	record_enum(ret, "CELLOS_BROKER", brokers,
		    "value didn't match enum {env, file, github-oidc, "
		    "vault-approle}; falling back to the memory broker");
	return 0;
}

void config_drop(struct config *c)
{
	wbuf_drop(&c->bpf);
}

int config_strict(const struct config *c, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);

	if (!c->strict || !c->n_records)
		return 0;
	for (size_t i = 0; i < c->n_records; i++) {
		const struct config_record *r = &c->records[i];
		char q[256];

		wbuf_fmt(&b, "%s%s=%s (%s)", i ? "; " : "", r->variable,
			 env_quote(q, sizeof(q), r->value), r->reason);
	}
	return err_set(e, ERR_PLAIN, 0,
		       "CELLOS_STRICT_CONFIG is set: refusing to start with "
		       "%zu ignored/misconfigured env var(s): [%s]",
		       c->n_records, wbuf_cstr(&b));
}

unsigned config_unshare(const char *value)
{
	static const struct {
		const char *word;
		unsigned ns;
	} words[] = {
		{ "pid", CELL_NS_PID }, { "ipc", CELL_NS_IPC },
		{ "net", CELL_NS_NET }, { "uts", CELL_NS_UTS },
		{ "mnt", CELL_NS_MNT }, { "mount", CELL_NS_MNT },
		{ "ns", CELL_NS_MNT },
	};
	char list[512], word[64], q[128];
	char *part, *save = NULL;
	unsigned ns = 0;
	size_t i;

	if (!value || !text_trim(value, list, sizeof(list)) || !list[0])
		return 0;
	if (!strcmp(list, "1") || !strcasecmp(list, "default"))
		return CELL_NS_PID | CELL_NS_IPC | CELL_NS_MNT | CELL_NS_NET;
	for (part = strtok_r(list, ",", &save); part;
	     part = strtok_r(NULL, ",", &save)) {
		if (!text_trim(part, word, sizeof(word)) || !word[0])
			continue;
		for (i = 0; i < ARRAY_SIZE(words); i++)
			if (strcasecmp(word, words[i].word) == 0)
				break;
		if (i < ARRAY_SIZE(words))
			ns |= words[i].ns;
		else
			log_line(LOG_WARN, TARGET,
				 "CELLOS_SUBPROCESS_UNSHARE: unknown "
				 "namespace %s is ignored",
				 log_quote(q, sizeof(q), word));
	}
	if (!ns)
		log_line(LOG_WARN, TARGET,
			 "CELLOS_SUBPROCESS_UNSHARE names no namespace");
	return ns;
}

bool config_cpu_max(const char *value, uint64_t *ret_quota,
		    uint64_t *ret_period)
{
	char text[128], *quota, *period, *save = NULL;
	unsigned long long q, p = 100000;

	if (!text_trim(value, text, sizeof(text)))
		return false;
	quota = strtok_r(text, " \t", &save);
	period = strtok_r(NULL, " \t", &save);
	if (!quota || strtok_r(NULL, " \t", &save))
		return false;
	if (period && (!text_u64(period, &p) || p == 0))
		return false;
	if (strcmp(quota, "max") == 0)
		q = UINT64_MAX;
	else if (!text_u64(quota, &q) || q == 0)
		return false;
	*ret_quota = q;
	*ret_period = p;
	return true;
}

bool config_bytes(const char *value, uint64_t *ret)
{
	static const char units[] = "kmgt";
	char text[64];
	unsigned long long v;
	unsigned shift = 0;
	const char *unit;
	size_t n;

	if (!text_trim(value, text, sizeof(text)))
		return false;
	if (strcmp(text, "max") == 0) {
		*ret = 0;
		return true;
	}
	n = strlen(text);
	unit = n ? strchr(units, text[n - 1] | 0x20) : NULL;
	if (unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		text[n - 1] = '\0';
	}
	if (!text_u64(text, &v) || v == 0 || v > UINT64_MAX >> shift)
		return false;
	*ret = v << shift;
	return true;
}

/* Every text becomes a spawn error with "seccomp: " before it */
static int load_bpf(struct config *c, const char *path, struct err *e)
{
	char os[128];
	int r = file_read(AT_FDCWD, path, 0, &c->bpf);

	if (r == -EFBIG)
		return err_set(e, ERR_PLAIN, 0,
			       "seccomp BPF program too large (max %d bytes)",
			       (int)LIMIT_BPF_BYTES);
	if (r == -EINVAL)
		return err_set(e, ERR_PLAIN, 0, BPF " %s: not a regular file",
			       path);
	if (r < 0) {
		err_os_text(-r, os, sizeof(os));
		return err_set(e, ERR_PLAIN, 0, BPF " %s: %s", path, os);
	}
	if (c->bpf.len == 0)
		return err_set(e, ERR_PLAIN, 0, "seccomp BPF program is empty");
	if (c->bpf.len % 8)
		return err_set(e, ERR_PLAIN, 0,
			       "seccomp BPF length %zu is not a multiple of 8 "
			       "(sock_filter size)",
			       c->bpf.len);
	return 0;
}

static int seccomp(struct config *c, enum cell_seccomp *ret, struct err *e)
{
	static const struct {
		const char *word;
		enum cell_seccomp s;
	} words[] = {
		{ "1", CELL_SECCOMP_BASELINE },
		{ "default", CELL_SECCOMP_BASELINE },
		{ "baseline", CELL_SECCOMP_BASELINE },
		{ "bpf", CELL_SECCOMP_FILE },
		{ "path", CELL_SECCOMP_FILE },
		{ "file", CELL_SECCOMP_FILE },
		{ "", CELL_SECCOMP_OFF },
		{ "0", CELL_SECCOMP_OFF },
		{ "off", CELL_SECCOMP_OFF },
		{ "none", CELL_SECCOMP_OFF },
	};
	const char *raw = env_text(SECCOMP), *path = env_path(BPF);
	char word[32], q[256];
	size_t i;

	if (path && !*path)
		path = NULL;
	if (!raw)
		raw = "";
	if (!text_trim(raw, word, sizeof(word)))
		(void)strcpy(word, "?");
	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(word, words[i].word) == 0)
			break;
	if (i == ARRAY_SIZE(words))
		return err_set(e, ERR_PLAIN, 0,
			       SECCOMP " must be one of: 1, default, baseline, "
				       "bpf, 0, off, none (got %s)",
			       env_quote(q, sizeof(q), raw));
	*ret = words[i].s;
	if (*ret == CELL_SECCOMP_BASELINE && path)
		return err_set(e, ERR_PLAIN, 0,
			       SECCOMP "=baseline cannot be combined with " BPF
				       " (%s)",
			       path);
	if (*ret == CELL_SECCOMP_FILE && !path)
		return err_set(e, ERR_PLAIN, 0, SECCOMP "=bpf requires " BPF);
	if (!path)
		return 0;
	*ret = CELL_SECCOMP_FILE;
	return load_bpf(c, path, e);
}

/* A limit that is asked for and cannot be read refuses, but for portable's
 * cpu.max, which the original lets pass with a warning */
static int cgroup(const struct config *c, struct cell_request *req,
		  struct err *e)
{
	const char *mem = env_text("CELLOS_CGROUP_MEMORY_MAX");
	const char *cpu = env_text("CELLOS_CGROUP_CPU_MAX");
	char text[128], q[200];
	uint64_t v = 0;

	if (mem && text_trim(mem, text, sizeof(text)) && !text[0])
		mem = NULL;
	if (cpu && text_trim(cpu, text, sizeof(text)) && !text[0])
		cpu = NULL;
	if (mem && !config_bytes(mem, &v))
		return err_set(e, ERR_PLAIN, 0,
			       "CELLOS_CGROUP_MEMORY_MAX must be bytes, bytes "
			       "with K, M, G or T, or max (got %s)",
			       env_quote(q, sizeof(q), mem));
	if (v && (!req->memory_max || v < req->memory_max))
		req->memory_max = v;
	if (!cpu || req->cpu_quota)
		return 0;
	if (config_cpu_max(cpu, &req->cpu_quota, &req->cpu_period))
		return 0;
	(void)err_set(e, ERR_PLAIN, 0,
		      "CELLOS_CGROUP_CPU_MAX %s is malformed: expected `max`, "
		      "`<quota_micros>`, `max <period_micros>`, or "
		      "`<quota_micros> <period_micros>` (each integer >= 1)",
		      env_quote(q, sizeof(q), cpu));
	if (!c->portable)
		return -1;
	log_line(LOG_WARN, TARGET, "%s", e->text);
	return 0;
}

int config_request(struct config *c, struct cell_request *req, struct err *e)
{
	const struct spec_run *run = req->spec->run;
	const struct spec_limits *l = run ? run->limits : NULL;
	struct err se;

	req->portable = c->portable;
	req->limits = &c->limits;
	req->pids_max = c->limits.v[LIMIT_PIDS];
	req->pids_asked = c->pids_asked;
	/* a terminal would let the command push bytes into it */
	req->in = isatty(STDIN_FILENO) ? CELL_STDIN_NULL : CELL_STDIN_PASS;
	req->unshare = config_unshare(env_text("CELLOS_SUBPROCESS_UNSHARE"));
	if (seccomp(c, &req->seccomp, &se) < 0) {
		req->seccomp = CELL_SECCOMP_OFF;
		(void)snprintf(c->seccomp_error, sizeof(c->seccomp_error),
			       "seccomp: %.500s", se.text);
	} else if (req->seccomp == CELL_SECCOMP_FILE) {
		req->bpf = c->bpf.p;
		req->bpf_len = c->bpf.len;
	}
	if (env_nonblank("CELLOS_CGROUP_PARENT", c->cgroup_parent,
			 sizeof(c->cgroup_parent)))
		req->cgroup_parent = c->cgroup_parent;
	if (l && l->memory_max_bytes.present)
		req->memory_max = l->memory_max_bytes.v;
	if (l && l->cpu_max) {
		req->cpu_quota = l->cpu_max->quota_micros;
		req->cpu_period = l->cpu_max->period_micros.present
					  ? l->cpu_max->period_micros.v
					  : 100000;
	}
	return cgroup(c, req, e);
}

void config_lifecycle(const struct config *c, struct lifecycle_config *lc)
{
	lc->redact = env_text("CELLOS_REDACT_EVENT_FIELDS");
	lc->trust_plane_events = env_not_falsy("CELLOS_TRUST_PLANE_EVENTS");
	lc->resolve_egress = env_truthy("CELLOS_RESOLVE_EGRESS_DNS");
	lc->l7_observability = env_truthy("CELLOS_L7_GATE_OBSERVABILITY");
	lc->flow_rows = env_exact("CELLOS_PER_FLOW_ENFORCEMENT_EVENTS");
	lc->flows_realtime = door_setup_realtime();
	lc->keyset_id = env_text("CELLOS_TRUST_KEYSET_ID");
	lc->resolver_kid = env_text("CELLOS_TRUST_RESOLVER_KID");
	lc->l7_kid = env_text("CELLOS_TRUST_L7_KID");
	lc->argv0_prefixes = env_text("CELLOS_RUN_ARGV0_ALLOW_PREFIXES");
	lc->env_timeout = env_text("CELLOS_RUN_TIMEOUT_MS");
	lc->seccomp_error = c->seccomp_error[0] ? c->seccomp_error : NULL;
}
