/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The document that the options of `cellos run -- CMD` stand for. */
#include "cli/run_spec.h"

#include <errno.h>

#include "base/utf8.h"
#include "cli/env.h"
#include "cli/units.h"
#include "wire/json_out.h"

static int check_text(const struct run_args *a, struct err *e)
{
	for (size_t i = 0; i < a->argc; i++)
		if (!utf8_is_text(a->argv[i]))
			return err_set(e, ERR_PLAIN, 0,
				       "word %zu of the command is not UTF-8 "
				       "and cannot stand in a document",
				       i);
	for (size_t i = 0; i < a->n_allow; i++)
		if (!utf8_is_text(a->allow[i].host.p))
			return err_set(e, ERR_PLAIN, 0,
				       "--allow rule %zu is not UTF-8", i + 1);
	for (size_t i = 0; i < a->n_dirs; i++)
		if (!utf8_is_text(a->dirs[i].path))
			return err_set(e, ERR_PLAIN, 0,
				       "directory %zu is not UTF-8 and cannot "
				       "stand in a document",
				       i + 1);
	return 0;
}

static void put_limits(struct json_out *j, const struct run_args *a)
{
	if (!a->memory && !a->cpu_quota)
		return;
	json_out_key(j, "limits");
	json_out_object(j);
	if (a->memory)
		json_out_ku64(j, "memoryMaxBytes", a->memory);
	if (a->cpu_quota) {
		json_out_key(j, "cpuMax");
		json_out_object(j);
		json_out_ku64(j, "quotaMicros", a->cpu_quota);
		json_out_ku64(j, "periodMicros", UNITS_CPU_PERIOD_US);
		json_out_end(j, '}');
	}
	json_out_end(j, '}');
}

static const char *first_rw(const struct run_args *a)
{
	for (size_t i = 0; i < a->n_dirs; i++)
		if (a->dirs[i].rw)
			return a->dirs[i].path;
	return "/tmp";
}

static void put_run(struct json_out *j, const struct run_args *a)
{
	json_out_key(j, "run");
	json_out_object(j);
	json_out_key(j, "argv");
	json_out_array(j);
	for (size_t i = 0; i < a->argc; i++)
		json_out_str(j, a->argv[i]);
	json_out_end(j, ']');
	json_out_kstr(j, "workingDirectory", first_rw(a));
	if (a->timeout_ms)
		json_out_ku64(j, "timeoutMs", a->timeout_ms);
	put_limits(j, a);
	json_out_kstr(j, "secretDelivery", "env");
	json_out_end(j, '}');
}

static void put_rules(struct json_out *j, const struct run_args *a)
{
	if (!a->n_allow)
		return;
	json_out_key(j, "egressRules");
	json_out_array(j);
	for (size_t i = 0; i < a->n_allow; i++) {
		const struct run_allow *r = &a->allow[i];

		json_out_object(j);
		json_out_key(j, "host");
		json_out_slice(j, r->host);
		json_out_ku64(j, "port", r->port);
		if (r->protocol)
			json_out_kstr(j, "protocol", r->protocol);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void put_authority(struct json_out *j, const struct run_args *a)
{
	json_out_key(j, "authority");
	json_out_object(j);
	put_rules(j, a);
	if (a->n_dirs) {
		json_out_key(j, "filesystem");
		json_out_object(j);
		json_out_key(j, "mounts");
		json_out_array(j);
		for (size_t i = 0; i < a->n_dirs; i++) {
			json_out_object(j);
			json_out_kstr(j, "path", a->dirs[i].path);
			json_out_kstr(j, "mode", a->dirs[i].rw ? "rw" : "ro");
			json_out_end(j, '}');
		}
		json_out_end(j, ']');
		json_out_end(j, '}');
	}
	json_out_end(j, '}');
}

/* A longer --timeout stretches the lifetime, which bounds it. */
static uint64_t ttl_seconds(const struct run_args *a)
{
	uint64_t need = a->timeout_ms / 1000 + (a->timeout_ms % 1000 != 0);

	return need > RUN_SPEC_TTL_SECONDS ? need : RUN_SPEC_TTL_SECONDS;
}

int run_spec_build(const struct run_args *a, const char *id, struct wbuf *b,
		   struct err *e)
{
	struct json_out j;

	if (check_text(a, e))
		return -1;
	json_out_init(&j, b, false);
	json_out_object(&j);
	json_out_kstr(&j, "apiVersion", "cellos.io/v1");
	json_out_kstr(&j, "kind", "ExecutionCell");
	json_out_key(&j, "spec");
	json_out_object(&j);
	json_out_kstr(&j, "id", id);
	put_run(&j, a);
	put_authority(&j, a);
	json_out_key(&j, "lifetime");
	json_out_object(&j);
	json_out_ku64(&j, "ttlSeconds", ttl_seconds(a));
	json_out_end(&j, '}');
	json_out_end(&j, '}');
	json_out_end(&j, '}');
	if (b->failed)
		return err_set(e, ERR_PLAIN, E2BIG, "make the document");
	return 0;
}

static void new_line(struct wbuf *b, unsigned depth)
{
	wbuf_byte(b, '\n');
	while (depth--)
		wbuf_str(b, "  ");
}

/* The byte after an opening bracket says whether the container is empty. */
void run_spec_pretty(struct slice s, struct wbuf *b)
{
	bool quoted = false;
	unsigned depth = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool empty =
			i + 1 < s.n && (s.p[i + 1] == '}' || s.p[i + 1] == ']');

		if (quoted) {
			wbuf_byte(b, c);
			if (c == '\\' && i + 1 < s.n)
				wbuf_byte(b, s.p[++i]);
			else if (c == '"')
				quoted = false;
		} else if (c == '"') {
			quoted = true;
			wbuf_byte(b, c);
		} else if ((c == '{' || c == '[') && empty) {
			wbuf_byte(b, c);
			wbuf_byte(b, s.p[++i]);
		} else if (c == '{' || c == '[') {
			wbuf_byte(b, c);
			new_line(b, ++depth);
		} else if (c == '}' || c == ']') {
			new_line(b, depth ? --depth : 0);
			wbuf_byte(b, c);
		} else if (c == ',') {
			wbuf_byte(b, c);
			new_line(b, depth);
		} else {
			wbuf_byte(b, c);
			if (c == ':')
				wbuf_byte(b, ' ');
		}
	}
	wbuf_byte(b, '\n');
}
