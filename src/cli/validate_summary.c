/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The summary `cellos-supervisor --validate` prints. */
#include <string.h>

#include "base/utf8.h"
#include "cli/config.h"
#include "cli/document.h"
#include "cli/env.h"
#include "wire/json_out.h"

static void put_key(struct wbuf *b, const char *indent, const char *key)
{
	wbuf_fmt(b, "%s\"%s\": ", indent, key);
}

static void put_str(struct wbuf *b, const char *indent, const char *key,
		    const char *value, const char *end)
{
	put_key(b, indent, key);
	json_text_string(b, slice_of(value));
	wbuf_str(b, end);
}

static void put_bool(struct wbuf *b, const char *indent, const char *key,
		     bool value)
{
	put_key(b, indent, key);
	wbuf_str(b, value ? "true,\n" : "false,\n");
}

/* Every `{spec_id}`, `{run_id}`, `{tenantId}` of a template */
static void fill(struct wbuf *out, const char *t, const struct spec *s,
		 const char *run_id)
{
	struct slice tenant = SLICE_LIT("_no_tenant_");

	if (s->correlation && s->correlation->tenant_id.p)
		tenant = s->correlation->tenant_id;
	while (*t) {
		if (strncmp(t, "{spec_id}", 9) == 0) {
			wbuf_slice(out, s->id);
			t += 9;
		} else if (strncmp(t, "{run_id}", 8) == 0) {
			wbuf_str(out, run_id);
			t += 8;
		} else if (strncmp(t, "{tenantId}", 10) == 0) {
			wbuf_slice(out, tenant);
			t += 10;
		} else {
			wbuf_byte(out, *t++);
		}
	}
}

/* The first of four; docs/compatibility.md "Command line and exit status" */
static void subject(struct wbuf *out, const struct spec *s, const char *run_id)
{
	const char *v = env_text("CELLOS_EVENTS_SUBJECT_TEMPLATE");
	char text[1024];

	if (v && text_trim(v, text, sizeof(text)) && text[0]) {
		fill(out, v, s, run_id);
		return;
	}
	if (env_nonblank("CELLOS_TENANT_ID", text, sizeof(text))) {
		wbuf_fmt(out, "cellos.events.%s.%s.%s", text, s->id.p, run_id);
		return;
	}
	v = env_text("CELL_OS_EVENTS_SUBJECT");
	wbuf_str(out, v ? v : "cellos.events.v1");
}

static const char *word_or(const char *name, const char *const known[],
			   const char *other)
{
	const char *v = env_text(name);

	for (; v && *known; known++)
		if (strcmp(v, *known) == 0)
			return *known;
	return other;
}

static void put_sink(struct wbuf *b, const struct spec *s, const char *run_id)
{
	OWNED(wbuf_drop) struct wbuf subj = WBUF_INIT(65536);

	subject(&subj, s, run_id);
	wbuf_str(b, "  \"eventSink\": {\n");
	put_bool(b, "    ", "jsonlMirrorEnabled",
		 env_present("CELL_OS_JSONL_EVENTS"));
	put_str(b, "    ", "primary",
		env_present("CELL_OS_USE_NOOP_SINK")
			? "noop"
			: "jetstream-or-noop-fallback",
		",\n");
	put_str(b, "    ", "subject", wbuf_cstr(&subj), "\n  },\n");
}

static void put_export(struct wbuf *b, const struct spec *s)
{
	size_t n = s->export ? s->export->n_targets : 0;
	char text[4096];

	wbuf_str(b, "  \"export\": {\n");
	put_str(b, "    ", "defaultSink",
		env_nonblank("CELLOS_EXPORT_HTTP_BASE_URL", text, sizeof(text))
			? "http"
		: env_present("CELLOS_EXPORT_DIR") ? "local"
						   : "noop",
		",\n");
	put_key(b, "    ", "namedTargets");
	if (!n)
		wbuf_str(b, "[]");
	for (size_t i = 0; i < n; i++) {
		const struct spec_target *t = &s->export->targets[i];

		wbuf_str(b, i ? ",\n      {\n" : "[\n      {\n");
		put_str(b, "        ", "kind",
			t->kind == SPEC_TARGET_S3 ? "s3" : "http", ",\n");
		put_str(b, "        ", "name", t->name.p, "\n      }");
		if (i + 1 == n)
			wbuf_str(b, "\n    ]");
	}
	wbuf_str(b, "\n  },\n");
}

/* The path as given, each byte that is no UTF-8 replaced by U+FFFD */
static void lossy(struct wbuf *out, const char *path)
{
	for (; *path; path++) {
		size_t n = 1;
		char one[5] = { 0 };

		/* the longest of 1..4 bytes that stands alone as a character */
		for (n = 4; n > 0; n--) {
			if (strnlen(path, n) < n)
				continue;
			memcpy(one, path, n);
			one[n] = '\0';
			if (utf8_is_text(one))
				break;
		}
		wbuf_str(out, n ? one : "\xef\xbf\xbd");
		path += n ? n - 1 : 0;
	}
}

void validate_summary(const struct document *d, const char *path,
		      struct wbuf *b)
{
	static const char *const backends[] = { "firecracker", "gvisor", "stub",
						NULL };
	static const char *const brokers[] = { "env", "file", "github-oidc",
					       "vault-approle", NULL };
	const char *profile = env_text("CELLOS_DEPLOYMENT_PROFILE");
	const char *run_id = env_text("CELLOS_RUN_ID");
	OWNED(wbuf_drop) struct wbuf shown = WBUF_INIT(65536);
	char text[4096];

	if (!run_id)
		run_id = "validate";
	lossy(&shown, path);
	wbuf_str(b, "{\n");
	put_bool(
		b, "  ", "authorityKeysConfigured",
		env_nonblank("CELLOS_AUTHORITY_KEYS_PATH", text, sizeof(text)));
	put_str(b, "  ", "deploymentProfile", profile ? profile : "hardened",
		",\n");
	put_sink(b, &d->spec, run_id);
	put_export(b, &d->spec);
	put_str(b, "  ", "hostBackend",
		word_or("CELLOS_CELL_BACKEND", backends, "proprietary"), ",\n");
	put_str(b, "  ", "mode", "validate", ",\n");
	put_bool(b, "  ", "policyPackConfigured",
		 env_nonblank("CELLOS_POLICY_PACK_PATH", text, sizeof(text)));
	put_str(b, "  ", "runId", run_id, ",\n");
	put_str(b, "  ", "secretBroker",
		word_or("CELLOS_BROKER", brokers, "memory"), ",\n");
	put_str(b, "  ", "specId", d->spec.id.p, ",\n");
	put_str(b, "  ", "specPath", wbuf_cstr(&shown), ",\n");
	put_str(b, "  ", "specSha256", d->raw_hash, "\n}\n");
}
