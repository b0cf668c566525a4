/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a document must mean to be admitted, in the fixed order in which the
 * first failure is reported. Several texts are matched by programs: change no
 * word of them.
 */
#include "spec/spec.h"

#include <stdint.h>
#include <string.h>

#include "base/ascii.h"
#include "base/limits.h"
#include "spec/check_rules.h"
#include "spec/mounts.h"
#include "spec/names.h"
#include "spec/text.h"
#include "wire/b64.h"
#include "wire/json_out.h"

bool rule_is_portable(struct slice s)
{
	if (s.n == 0 || s.n > 128 || !ascii_is_alnum(s.p[0]))
		return false;
	for (size_t i = 1; i < s.n; i++) {
		char c = s.p[i];

		if (!ascii_is_alnum(c) && c != '.' && c != '_' && c != '-')
			return false;
		if (c == '.' && s.p[i - 1] == '.')
			return false;
	}
	return true;
}

int rule_portable(struct slice s, const char *field, const char *at,
		  size_t index, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf pointer = WBUF_INIT(256);
	char q[TEXT_QUOTED];

	if (rule_is_portable(s))
		return 0;
	wbuf_fmt(&pointer, at, index);
	return err_set(e, ERR_SPEC, 0,
		       "%s must match [A-Za-z0-9][A-Za-z0-9._-]{0,127} "
		       "without \"..\", not %s (at %s)",
		       field, text_quote(q, s), wbuf_cstr(&pointer));
}

static bool is_listed(const struct spec *s, struct slice ref)
{
	for (size_t i = 0; i < s->authority.secret_refs.n; i++)
		if (slice_eq(s->authority.secret_refs.p[i], ref))
			return true;
	return false;
}

bool rule_same_host(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

/* Rules 1 to 3 */
static int check_head(const struct spec *s, struct err *e)
{
	char q[TEXT_QUOTED];

	if (!slice_is(s->api_version, "cellos.io/v1"))
		return err_set(e, ERR_SPEC, 0,
			       "unsupported apiVersion: %s (at /apiVersion; "
			       "the only one is cellos.io/v1)",
			       text_bare(q, s->api_version));
	if (!slice_is(s->kind, "ExecutionCell"))
		return err_set(e, ERR_SPEC, 0,
			       "unsupported kind: %s (at /kind; the only one "
			       "is ExecutionCell)",
			       text_bare(q, s->kind));
	return rule_portable(s->id, "spec.id", "/spec/id", 0, e);
}

/* Rules 4 and 5: it becomes a token of a NATS subject */
static int check_tenant(const struct spec *s, struct err *e)
{
	struct slice left;
	char q[TEXT_QUOTED], one[16];

	if (!s->correlation || !s->correlation->tenant_id.p)
		return 0;
	left = s->correlation->tenant_id;
	if (left.n == 0)
		return err_set(
			e, ERR_SPEC, 0,
			"spec.correlation.tenantId must be non-empty "
			"when it is set (at /spec/correlation/tenantId)");
	while (left.n) {
		uint32_t c = text_next(&left);

		if (c != '.' && c != '*' && c != '>' && !text_is_space(c))
			continue;
		return err_set(e, ERR_SPEC, 0,
			       "spec.correlation.tenantId contains "
			       "NATS-reserved char: %s (in %s) "
			       "(at /spec/correlation/tenantId)",
			       text_char(one, c),
			       text_quote(q, s->correlation->tenant_id));
	}
	return 0;
}

/* Rules 6 to 9 */
static int check_refs(const struct spec *s, struct err *e)
{
	const struct spec_strings *refs = &s->authority.secret_refs;
	const struct spec_identity *id = s->identity;
	char q[TEXT_QUOTED];

	for (size_t i = 0; i < refs->n; i++)
		if (rule_portable(refs->p[i], "authority.secretRefs[]",
				  "/spec/authority/secretRefs/%zu", i, e))
			return -1;
	if (!id)
		return 0;
	if (rule_portable(id->secret_ref, "spec.identity.secretRef",
			  "/spec/identity/secretRef", 0, e))
		return -1;
	if (id->ttl_seconds.present && id->ttl_seconds.v > s->ttl_seconds)
		return err_set(e, ERR_SPEC, 0,
			       "spec.identity.ttlSeconds must be <= "
			       "spec.lifetime.ttlSeconds, but %llu > %llu "
			       "(at /spec/identity/ttlSeconds)",
			       (unsigned long long)id->ttl_seconds.v,
			       (unsigned long long)s->ttl_seconds);
	if (!is_listed(s, id->secret_ref))
		return err_set(e, ERR_SPEC, 0,
			       "spec.identity.secretRef %s must also appear in "
			       "authority.secretRefs "
			       "(at /spec/identity/secretRef)",
			       text_quote(q, id->secret_ref));
	return 0;
}

static bool is_digest(struct slice s)
{
	static const struct slice prefix = { "sha256:", 7 };

	if (s.n != prefix.n + 64 || memcmp(s.p, prefix.p, prefix.n) != 0)
		return false;
	for (size_t i = prefix.n; i < s.n; i++)
		if (!ascii_is_digit(s.p[i]) &&
		    !(s.p[i] >= 'a' && s.p[i] <= 'f'))
			return false;
	return true;
}

/* Rules 10 to 12 */
static int check_environment(const struct spec *s, struct err *e)
{
	const struct spec_environment *env = s->environment;
	char q[TEXT_QUOTED];

	if (!env)
		return 0;
	if (env->image_reference.n == 0)
		return err_set(e, ERR_SPEC, 0,
			       "spec.environment.imageReference must be "
			       "non-empty (at /spec/environment/"
			       "imageReference)");
	if (env->image_digest.p && !is_digest(env->image_digest))
		return err_set(e, ERR_SPEC, 0,
			       "spec.environment.imageDigest must be sha256: "
			       "and 64 lower-case hex digits, not %s "
			       "(at /spec/environment/imageDigest)",
			       text_quote(q, env->image_digest));
	if (env->template_id.p)
		return rule_portable(env->template_id,
				     "spec.environment.templateId",
				     "/spec/environment/templateId", 0, e);
	return 0;
}

static bool is_namespace(struct slice s)
{
	if (s.n == 0 || s.n > 63 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '-' &&
		    (!ascii_is_alnum(s.p[i]) || ascii_lower(s.p[i]) != s.p[i]))
			return false;
	return true;
}

/* Rules 13 to 16 */
static int check_placement(const struct spec *s, struct err *e)
{
	const struct spec_placement *p = s->placement;
	char q[TEXT_QUOTED];

	if (!p)
		return 0;
	if (!p->pool_id.p && !p->kubernetes_namespace.p && !p->queue_name.p)
		return err_set(e, ERR_SPEC, 0,
			       "spec.placement must set at least one placement "
			       "hint: poolId, kubernetesNamespace or queueName "
			       "(at /spec/placement)");
	if (p->pool_id.p && rule_portable(p->pool_id, "spec.placement.poolId",
					  "/spec/placement/poolId", 0, e))
		return -1;
	if (p->kubernetes_namespace.p && !is_namespace(p->kubernetes_namespace))
		return err_set(e, ERR_SPEC, 0,
			       "spec.placement.kubernetesNamespace must be 1 "
			       "to 63 of [a-z0-9-], not beginning or ending "
			       "with '-', not %s "
			       "(at /spec/placement/kubernetesNamespace)",
			       text_quote(q, p->kubernetes_namespace));
	if (p->queue_name.p)
		return rule_portable(p->queue_name, "spec.placement.queueName",
				     "/spec/placement/queueName", 0, e);
	return 0;
}

/* Rule 17 */
static int check_ingress(const struct spec *s, struct err *e)
{
	const struct spec_ingress *in = s->ingress;

	if (in && in->git && in->git->secret_ref.p &&
	    rule_portable(in->git->secret_ref, "spec.ingress.git.secretRef",
			  "/spec/ingress/git/secretRef", 0, e))
		return -1;
	if (in && in->oci_image && in->oci_image->secret_ref.p)
		return rule_portable(in->oci_image->secret_ref,
				     "spec.ingress.ociImage.secretRef",
				     "/spec/ingress/ociImage/secretRef", 0, e);
	return 0;
}

/* Rules 18 to 20 */
static int check_argv(const struct spec_strings *argv, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(8 * LIMIT_SPEC_FILE);
	struct json_out j;
	size_t n;

	if (argv->n == 0)
		return err_set(e, ERR_SPEC, 0,
			       "spec.run.argv must hold at least one argument "
			       "(at /spec/run/argv)");
	for (size_t i = 0; i < argv->n; i++)
		if (argv->p[i].n == 0)
			return err_set(e, ERR_SPEC, 0,
				       "spec.run.argv[%zu] must not be empty "
				       "(at /spec/run/argv/%zu)",
				       i, i);
	for (size_t i = 0; i < argv->n; i++)
		if (memchr(argv->p[i].p, '\0', argv->p[i].n))
			return err_set(e, ERR_SPEC, 0,
				       "spec.run.argv[%zu] contains NUL byte "
				       "(at /spec/run/argv/%zu)",
				       i, i);
	json_out_init(&j, &b, false);
	json_out_array(&j);
	for (size_t i = 0; i < argv->n; i++)
		json_out_slice(&j, argv->p[i]);
	json_out_end(&j, ']');
	n = b64_std_len(b.len);
	if (n > LIMIT_ARGV_BASE64 || b.failed)
		return err_set(e, ERR_PLAIN, 0,
			       "spec.run.argv encoded as base64 is %zu bytes; "
			       "exceeds %d-byte kernel cmdline limit",
			       n, LIMIT_ARGV_BASE64);
	return 0;
}

static int check_limits(const struct spec_limits *l, struct err *e)
{
	if (!l)
		return 0;
	if (l->memory_max_bytes.present && l->memory_max_bytes.v == 0)
		return err_set(e, ERR_SPEC, 0,
			       "spec.run.limits.memoryMaxBytes must be > 0 "
			       "(at /spec/run/limits/memoryMaxBytes)");
	if (!l->cpu_max)
		return 0;
	if (l->cpu_max->quota_micros == 0)
		return err_set(e, ERR_SPEC, 0,
			       "spec.run.limits.cpuMax.quotaMicros must be > 0 "
			       "(at /spec/run/limits/cpuMax/quotaMicros)");
	if (l->cpu_max->period_micros.present &&
	    l->cpu_max->period_micros.v == 0)
		return err_set(e, ERR_SPEC, 0,
			       "spec.run.limits.cpuMax.periodMicros must be > "
			       "0 (at /spec/run/limits/cpuMax/periodMicros)");
	return 0;
}

/* Rules 18 to 23 */
static int check_run(const struct spec *s, struct err *e)
{
	const struct spec_run *run = s->run;
	uint64_t max = s->ttl_seconds > UINT64_MAX / 1000
			       ? UINT64_MAX
			       : s->ttl_seconds * 1000;

	if (!run)
		return 0;
	if (check_argv(&run->argv, e))
		return -1;
	if (run->timeout_ms.present && run->timeout_ms.v > max)
		return err_set(e, ERR_SPEC, 0,
			       "spec.run.timeoutMs must be <= "
			       "spec.lifetime.ttlSeconds * 1000, but %llu > "
			       "%llu (at /spec/run/timeoutMs)",
			       (unsigned long long)run->timeout_ms.v,
			       (unsigned long long)max);
	return check_limits(run->limits, e);
}

static int check_budget(const struct spec_opt_u64 *bytes, const char *member,
			size_t i, struct err *e)
{
	if (!bytes->present || bytes->v)
		return 0;
	return err_set(e, ERR_SPEC, 0,
		       "authority.egressRules[].%s must be >= 1: leave it out "
		       "for no budget (at /spec/authority/egressRules/%zu/%s)",
		       member, i, member);
}

/* Rule 24 */
static int check_egress(const struct spec *s, struct err *e)
{
	for (size_t i = 0; i < s->authority.egress_rules.n; i++) {
		const struct spec_egress_rule *r =
			&s->authority.egress_rules.p[i];

		if (r->host.n == 0)
			return err_set(e, ERR_SPEC, 0,
				       "authority.egressRules[].host must be "
				       "non-empty (at /spec/authority/"
				       "egressRules/%zu/host)",
				       i);
		if (check_budget(&r->max_bytes_up, "maxBytesUp", i, e) ||
		    check_budget(&r->max_bytes_down, "maxBytesDown", i, e))
			return -1;
	}
	return 0;
}

/* Rule 29: a token cannot lend more than the document claims */
static int check_leaf(const struct spec *s, struct err *e)
{
	const struct spec_derivation *d = s->authority.derivation;
	OWNED(names_drop) struct names refs = { 0 };
	OWNED(egress_drop) struct egress_index rules = { 0 };
	char q[TEXT_QUOTED];

	if (!d)
		return 0;
	if (names_build(&refs, s->authority.secret_refs.p,
			s->authority.secret_refs.n, sizeof(struct slice), e) ||
	    egress_build(&rules, &s->authority.egress_rules, e))
		return -1;
	for (size_t i = 0; i < d->leaf.egress_rules.n; i++)
		if (!egress_has_rule(&rules, &d->leaf.egress_rules.p[i]))
			return err_set(
				e, ERR_SPEC, 0,
				"spec.authorityDerivation.leafCapability "
				"exceeds spec.authority: egress rule for %s "
				"(at /spec/authority/authorityDerivation/"
				"leafCapability/egressRules/%zu)",
				text_quote(q, d->leaf.egress_rules.p[i].host),
				i);
	for (size_t i = 0; i < d->leaf.secret_refs.n; i++)
		if (names_find(&refs, d->leaf.secret_refs.p[i]) == NAMES_NONE)
			return err_set(
				e, ERR_SPEC, 0,
				"spec.authorityDerivation.leafCapability "
				"exceeds spec.authority: secret reference %s "
				"(at /spec/authority/authorityDerivation/"
				"leafCapability/secretRefs/%zu)",
				text_quote(q, d->leaf.secret_refs.p[i]), i);
	return 0;
}

int spec_check(const struct spec *s, struct err *e)
{
	static int (*const rules[])(const struct spec *, struct err *) = {
		check_head,	 check_tenant,	check_refs,   check_environment,
		check_placement, check_ingress, check_run,    check_egress,
		check_dns,	 check_leaf,	check_export, check_telemetry,
		mounts_check,
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i](s, e))
			return -1;
	return 0;
}

uint64_t spec_grace_seconds(const struct spec *s, uint64_t dflt)
{
	const struct spec_limits *l = s->run ? s->run->limits : NULL;

	return l && l->graceful_shutdown_seconds.present
		       ? l->graceful_shutdown_seconds.v
		       : dflt;
}

void spec_leaf_segment(struct slice id, char *buf)
{
	size_t n = 0;

	while (id.n && n < 64) {
		uint32_t c = text_next(&id);
		bool keep = c < 0x80 &&
			    (ascii_is_alnum((char)c) || c == '_' || c == '-');

		buf[n++] = keep ? (char)c : '_';
	}
	buf[n] = '\0';
	if (n == 0)
		memcpy(buf, "cell", sizeof("cell"));
}
