/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every member of the document. */
#include "spec/schema.h"

#include "spec/spec.h"

#define AT(type, member)    .at = offsetof(struct type, member)
#define COUNT(type, member) .also = offsetof(struct type, member)
#define OBJECT(type, rows)                                        \
	{                                                         \
		sizeof(struct type), rows, ARRAY_SIZE(rows), 0, 0 \
	}
#define DEFAULTED(type, rows, fn)                                  \
	{                                                          \
		sizeof(struct type), rows, ARRAY_SIZE(rows), fn, 0 \
	}

/* The words are stored by memcpy of an int. */
_Static_assert(sizeof(enum spec_delivery) == sizeof(int), "enum is an int");
_Static_assert(sizeof(enum spec_qtype) == sizeof(int), "enum is an int");

static const char *const identity_kinds[] = { "federatedOidc", NULL };
static const char *const channels[] = { "vsock-cbor", NULL };
static const char *const target_kinds[] = { "http", "s3", NULL };
static const char *const transports[] = { "do53-udp", "do53-tcp", "dot",
					  "doh",      "doq",	  NULL };
static const char *const strategies[] = { "", "ttl-honor", "fixed-interval",
					  "manual", NULL };
static const char *const query_types[] = { "A",	    "AAAA", "CNAME", "TXT",
					   "MX",    "SRV",  "NS",    "PTR",
					   "HTTPS", "SVCB", NULL };
const char *const schema_delivery_words[] = { "env", "runtimeBroker",
					      "runtimeLeasedBroker", NULL };
_Static_assert(ARRAY_SIZE(query_types) == SPEC_Q_NUM + 1, "a word per type");
_Static_assert(ARRAY_SIZE(transports) == SPEC_DOQ + 2, "a word per transport");
_Static_assert(ARRAY_SIZE(strategies) == SPEC_REFRESH_MANUAL + 2,
	       "a word per strategy");

static const struct field correlation_rows[] = {
	{ "platform", FIELD_STR, NUL, AT(spec_correlation, platform) },
	{ "externalRunId", FIELD_STR, NUL,
	  AT(spec_correlation, external_run_id) },
	{ "externalJobId", FIELD_STR, NUL,
	  AT(spec_correlation, external_job_id) },
	{ "tenantId", FIELD_STR, NUL | OMIT, AT(spec_correlation, tenant_id) },
	{ "labels", FIELD_LABELS, NUL, AT(spec_correlation, labels),
	  COUNT(spec_correlation, n_labels) },
	{ "correlationId", FIELD_STR, NUL | OMIT,
	  AT(spec_correlation, correlation_id) },
};
static const struct object correlation =
	OBJECT(spec_correlation, correlation_rows);

static const struct field git_rows[] = {
	{ "url", FIELD_STR, NUL, AT(spec_git, url) },
	{ "ref", FIELD_STR, NUL, AT(spec_git, ref) },
	{ "secretRef", FIELD_STR, NUL, AT(spec_git, secret_ref) },
};
static const struct object git = OBJECT(spec_git, git_rows);

static const struct field oci_image_rows[] = {
	{ "reference", FIELD_STR, REQ, AT(spec_oci_image, reference) },
	{ "digest", FIELD_STR, NUL, AT(spec_oci_image, digest) },
	{ "secretRef", FIELD_STR, NUL, AT(spec_oci_image, secret_ref) },
};
static const struct object oci_image = OBJECT(spec_oci_image, oci_image_rows);

static const struct field ingress_rows[] = {
	{ "git", FIELD_OBJECT, NUL, AT(spec_ingress, git), .object = &git },
	{ "ociImage", FIELD_OBJECT, NUL, AT(spec_ingress, oci_image),
	  .object = &oci_image },
};
static const struct object ingress = OBJECT(spec_ingress, ingress_rows);

static const struct field environment_rows[] = {
	{ "imageReference", FIELD_STR, REQ,
	  AT(spec_environment, image_reference) },
	{ "imageDigest", FIELD_STR, NUL, AT(spec_environment, image_digest) },
	{ "templateId", FIELD_STR, NUL, AT(spec_environment, template_id) },
};
static const struct object environment =
	OBJECT(spec_environment, environment_rows);

static const struct field placement_rows[] = {
	{ "poolId", FIELD_STR, NUL | OMIT, AT(spec_placement, pool_id) },
	{ "kubernetesNamespace", FIELD_STR, NUL | OMIT,
	  AT(spec_placement, kubernetes_namespace) },
	{ "queueName", FIELD_STR, NUL | OMIT, AT(spec_placement, queue_name) },
};
static const struct object placement = OBJECT(spec_placement, placement_rows);

static const struct field policy_rows[] = {
	{ "packId", FIELD_STR, NUL, AT(spec_policy, pack_id) },
	{ "packVersion", FIELD_STR, NUL, AT(spec_policy, pack_version) },
	{ "bundleDigest", FIELD_STR, NUL, AT(spec_policy, bundle_digest) },
};
static const struct object policy = OBJECT(spec_policy, policy_rows);

static const struct field identity_rows[] = {
	{ "kind", FIELD_CONST, REQ, .words = identity_kinds },
	{ "provider", FIELD_STR, REQ, AT(spec_identity, provider) },
	{ "audience", FIELD_STR, REQ, AT(spec_identity, audience) },
	{ "subject", FIELD_STR, NUL, AT(spec_identity, subject) },
	{ "ttlSeconds", FIELD_OPT_U64, NUL, AT(spec_identity, ttl_seconds) },
	{ "secretRef", FIELD_STR, REQ, AT(spec_identity, secret_ref) },
};
static const struct object identity = OBJECT(spec_identity, identity_rows);

static const struct field cpu_max_rows[] = {
	{ "quotaMicros", FIELD_U64, REQ, AT(spec_cpu_max, quota_micros) },
	{ "periodMicros", FIELD_OPT_U64, NUL, AT(spec_cpu_max, period_micros) },
};
static const struct object cpu_max = OBJECT(spec_cpu_max, cpu_max_rows);

static const struct field limits_rows[] = {
	{ "memoryMaxBytes", FIELD_OPT_U64, NUL,
	  AT(spec_limits, memory_max_bytes) },
	{ "cpuMax", FIELD_OBJECT, NUL, AT(spec_limits, cpu_max),
	  .object = &cpu_max },
	{ "gracefulShutdownSeconds", FIELD_OPT_U64, NUL | OMIT,
	  AT(spec_limits, graceful_shutdown_seconds) },
};
static const struct object limits = OBJECT(spec_limits, limits_rows);

static const struct field run_rows[] = {
	{ "argv", FIELD_STRS, REQ, AT(spec_run, argv) },
	{ "workingDirectory", FIELD_STR, NUL, AT(spec_run, working_directory) },
	{ "timeoutMs", FIELD_OPT_U64, NUL, AT(spec_run, timeout_ms) },
	{ "limits", FIELD_OBJECT, NUL, AT(spec_run, limits),
	  .object = &limits },
	{ "secretDelivery", FIELD_WORD, 0, AT(spec_run, secret_delivery),
	  .words = schema_delivery_words },
};

static void run_defaults(void *o)
{
	struct spec_run *run = o;

	run->secret_delivery = SPEC_DELIVERY_LEASED_BROKER;
}

static const struct object run = DEFAULTED(spec_run, run_rows, run_defaults);

static const struct field egress_rows[] = {
	{ "host", FIELD_STR, REQ, AT(spec_egress_rule, host) },
	{ "port", FIELD_U16, REQ, AT(spec_egress_rule, port) },
	{ "protocol", FIELD_STR, NUL, AT(spec_egress_rule, protocol) },
	{ "dnsEgressJustification", FIELD_STR, NUL | OMIT,
	  AT(spec_egress_rule, dns_egress_justification) },
	{ "maxBytesUp", FIELD_OPT_U64, NUL | OMIT,
	  AT(spec_egress_rule, max_bytes_up) },
	{ "maxBytesDown", FIELD_OPT_U64, NUL | OMIT,
	  AT(spec_egress_rule, max_bytes_down) },
};
static const struct object egress = OBJECT(spec_egress_rule, egress_rows);

static const struct field capability_rows[] = {
	{ "egressRules", FIELD_LIST, EMPTY, AT(spec_capability, egress_rules.p),
	  COUNT(spec_capability, egress_rules.n), .object = &egress },
	{ "secretRefs", FIELD_STRS, EMPTY, AT(spec_capability, secret_refs) },
};
static const struct object capability =
	OBJECT(spec_capability, capability_rows);

static const struct field step_rows[] = {
	{ "fromCapability", FIELD_INLINE, REQ, AT(spec_derivation_step, from),
	  .object = &capability },
	{ "toCapability", FIELD_INLINE, REQ, AT(spec_derivation_step, to),
	  .object = &capability },
};
static const struct object step = OBJECT(spec_derivation_step, step_rows);

/* its members lie in struct spec_derivation itself */
static const struct field signature_rows[] = {
	{ "algorithm", FIELD_STR, REQ,
	  AT(spec_derivation, signature_algorithm) },
	{ "bytes", FIELD_STR, REQ, AT(spec_derivation, signature_bytes) },
};
static const struct object signature = OBJECT(spec_derivation, signature_rows);

static const struct field derivation_rows[] = {
	{ "roleRoot", FIELD_STR, REQ, AT(spec_derivation, role_root) },
	{ "parentRunId", FIELD_STR, NUL, AT(spec_derivation, parent_run_id) },
	{ "derivationSteps", FIELD_LIST, EMPTY, AT(spec_derivation, steps),
	  COUNT(spec_derivation, n_steps), .object = &step },
	{ "leafCapability", FIELD_INLINE, REQ, AT(spec_derivation, leaf),
	  .object = &capability },
	{ "grantorSignature", FIELD_INLINE, REQ, .at = 0,
	  .object = &signature },
};
static const struct object derivation =
	OBJECT(spec_derivation, derivation_rows);

static const struct field dnssec_rows[] = {
	{ "validate", FIELD_BOOL, 0, AT(spec_dnssec, validate) },
	{ "failClosed", FIELD_BOOL, 0, AT(spec_dnssec, fail_closed) },
	{ "trustAnchorsPath", FIELD_STR, NUL | OMIT,
	  AT(spec_dnssec, trust_anchors_path) },
};

static void dnssec_defaults(void *o)
{
	struct spec_dnssec *d = o;

	d->validate = true;
}

static const struct object dnssec =
	DEFAULTED(spec_dnssec, dnssec_rows, dnssec_defaults);

static const struct field resolver_rows[] = {
	{ "resolverId", FIELD_STR, REQ, AT(spec_resolver, resolver_id) },
	{ "endpoint", FIELD_STR, REQ, AT(spec_resolver, endpoint) },
	{ "protocol", FIELD_WORD, REQ, AT(spec_resolver, protocol),
	  .words = transports },
	{ "trustKid", FIELD_STR, NUL | OMIT, AT(spec_resolver, trust_kid) },
	{ "dnssec", FIELD_OBJECT, NUL | OMIT, AT(spec_resolver, dnssec),
	  .object = &dnssec },
};
static const struct object resolver = OBJECT(spec_resolver, resolver_rows);

static const struct field refresh_rows[] = {
	{ "minTtlSeconds", FIELD_OPT_U32, NUL | OMIT,
	  AT(spec_refresh_policy, min_ttl_seconds) },
	{ "maxStaleSeconds", FIELD_OPT_U32, NUL | OMIT,
	  AT(spec_refresh_policy, max_stale_seconds) },
	{ "strategy", FIELD_WORD, NUL | OMIT, AT(spec_refresh_policy, strategy),
	  .words = strategies },
};
static const struct object refresh = OBJECT(spec_refresh_policy, refresh_rows);

static const struct field rebinding_rows[] = {
	{ "responseIpAllowlist", FIELD_STRS, OMIT,
	  AT(spec_rebinding_policy, response_ip_allowlist) },
	{ "maxNovelIpsPerHostname", FIELD_U32, 0,
	  AT(spec_rebinding_policy, max_novel_ips_per_hostname) },
	{ "rejectOnRebind", FIELD_BOOL, 0,
	  AT(spec_rebinding_policy, reject_on_rebind) },
};

static void rebinding_defaults(void *o)
{
	struct spec_rebinding_policy *r = o;

	r->max_novel_ips_per_hostname = 4;
}

static const struct object rebinding =
	DEFAULTED(spec_rebinding_policy, rebinding_rows, rebinding_defaults);

static const struct field dns_rows[] = {
	{ "resolvers", FIELD_LIST, OMIT, AT(spec_dns_authority, resolvers),
	  COUNT(spec_dns_authority, n_resolvers), .object = &resolver },
	{ "allowedQueryTypes", FIELD_WORDS, OMIT,
	  AT(spec_dns_authority, query_types),
	  COUNT(spec_dns_authority, n_query_types), .words = query_types },
	{ "hostnameAllowlist", FIELD_STRS, OMIT,
	  AT(spec_dns_authority, hostname_allowlist) },
	{ "refreshPolicy", FIELD_OBJECT, NUL | OMIT,
	  AT(spec_dns_authority, refresh_policy), .object = &refresh },
	{ "rebindingPolicy", FIELD_OBJECT, NUL | OMIT,
	  AT(spec_dns_authority, rebinding_policy), .object = &rebinding },
	{ "blockDirectWorkloadDns", FIELD_BOOL, OMIT,
	  AT(spec_dns_authority, block_direct_workload_dns) },
	{ "blockUdpDoq", FIELD_BOOL, OMIT,
	  AT(spec_dns_authority, block_udp_doq) },
	{ "blockUdpHttp3", FIELD_BOOL, OMIT,
	  AT(spec_dns_authority, block_udp_http3) },
};
static const struct object dns = OBJECT(spec_dns_authority, dns_rows);

static const struct field provider_rows[] = {
	{ "providerId", FIELD_STR, REQ, AT(spec_cdn_provider, provider_id) },
	{ "hostnamePattern", FIELD_STR, REQ,
	  AT(spec_cdn_provider, hostname_pattern) },
	{ "acceptFronting", FIELD_BOOL, 0,
	  AT(spec_cdn_provider, accept_fronting) },
};
static const struct object provider = OBJECT(spec_cdn_provider, provider_rows);

static const struct field cdn_rows[] = {
	{ "providers", FIELD_LIST, OMIT, AT(spec_cdn_authority, providers),
	  COUNT(spec_cdn_authority, n_providers), .object = &provider },
};
static const struct object cdn = OBJECT(spec_cdn_authority, cdn_rows);

static const struct field authority_rows[] = {
	{ "filesystem", FIELD_ANY, NUL, AT(spec_authority, filesystem) },
	{ "network", FIELD_ANY, NUL, AT(spec_authority, network) },
	{ "egressRules", FIELD_LIST, NUL, AT(spec_authority, egress_rules.p),
	  COUNT(spec_authority, egress_rules.n), .object = &egress },
	{ "secretRefs", FIELD_STRS, NUL, AT(spec_authority, secret_refs) },
	{ "authorityDerivation", FIELD_OBJECT, NUL,
	  AT(spec_authority, derivation), .object = &derivation },
	{ "dnsAuthority", FIELD_OBJECT, NUL | OMIT, AT(spec_authority, dns),
	  .object = &dns },
	{ "cdnAuthority", FIELD_OBJECT, NUL | OMIT, AT(spec_authority, cdn),
	  .object = &cdn },
};
static const struct object authority = OBJECT(spec_authority, authority_rows);

/* lies in struct spec itself */
static const struct field lifetime_rows[] = {
	{ "ttlSeconds", FIELD_U64, REQ, AT(spec, ttl_seconds) },
};
static const struct object lifetime = OBJECT(spec, lifetime_rows);

static const struct field artifact_rows[] = {
	{ "name", FIELD_STR, REQ, AT(spec_artifact, name) },
	{ "path", FIELD_STR, REQ, AT(spec_artifact, path) },
	{ "target", FIELD_STR, NUL, AT(spec_artifact, target) },
	{ "contentType", FIELD_STR, NUL, AT(spec_artifact, content_type) },
};
static const struct object artifact = OBJECT(spec_artifact, artifact_rows);

static const struct field http_rows[] = {
	{ "kind", FIELD_WORD, REQ, AT(spec_target, kind),
	  .words = target_kinds },
	{ "name", FIELD_STR, REQ, AT(spec_target, name) },
	{ "baseUrl", FIELD_STR, REQ, AT(spec_target, base_url) },
	{ "secretRef", FIELD_STR, NUL, AT(spec_target, secret_ref) },
};
static const struct object http = OBJECT(spec_target, http_rows);

static const struct field s3_rows[] = {
	{ "kind", FIELD_WORD, REQ, AT(spec_target, kind),
	  .words = target_kinds },
	{ "name", FIELD_STR, REQ, AT(spec_target, name) },
	{ "bucket", FIELD_STR, REQ, AT(spec_target, bucket) },
	{ "keyPrefix", FIELD_STR, NUL, AT(spec_target, key_prefix) },
	{ "region", FIELD_STR, NUL, AT(spec_target, region) },
	{ "secretRef", FIELD_STR, NUL, AT(spec_target, secret_ref) },
};
static const struct object s3 = OBJECT(spec_target, s3_rows);

static const struct object *const target_variants[] = {
	[SPEC_TARGET_HTTP] = &http,
	[SPEC_TARGET_S3] = &s3,
};
static const struct object target = { .size = sizeof(struct spec_target),
				      .variants = target_variants };

static const struct field export_rows[] = {
	{ "artifacts", FIELD_LIST, NUL, AT(spec_export, artifacts),
	  COUNT(spec_export, n_artifacts), .object = &artifact },
	{ "targets", FIELD_LIST, NUL, AT(spec_export, targets),
	  COUNT(spec_export, n_targets), .object = &target },
};
static const struct object export = OBJECT(spec_export, export_rows);

static const struct field rate_limits_rows[] = {
	{ "eventsPerSecond", FIELD_OPT_U32, NUL | OMIT,
	  AT(spec_rate_limits, events_per_second) },
	{ "bytesPerSecond", FIELD_OPT_U32, NUL | OMIT,
	  AT(spec_rate_limits, bytes_per_second) },
};
static const struct object rate_limits =
	OBJECT(spec_rate_limits, rate_limits_rows);

/* lies in struct spec_telemetry itself */
static const struct field split_rows[] = {
	{ "hostFields", FIELD_STRS, OMIT, AT(spec_telemetry, host_fields) },
	{ "guestFields", FIELD_STRS, OMIT, AT(spec_telemetry, guest_fields) },
};
static const struct object split = OBJECT(spec_telemetry, split_rows);

static const struct field telemetry_rows[] = {
	{ "channel", FIELD_CONST, REQ, .words = channels },
	{ "events", FIELD_STRS, REQ, AT(spec_telemetry, events) },
	{ "rateLimits", FIELD_OBJECT, NUL | OMIT,
	  AT(spec_telemetry, rate_limits), .object = &rate_limits },
	{ "hostVsGuestFields", FIELD_INLINE, NUL | OMIT, .at = 0,
	  .also = offsetof(struct spec_telemetry, has_fields),
	  .object = &split },
	{ "agentVersion", FIELD_STR, REQ, AT(spec_telemetry, agent_version) },
};
static const struct object telemetry = OBJECT(spec_telemetry, telemetry_rows);

static const struct field spec_rows[] = {
	{ "id", FIELD_STR, REQ, AT(spec, id) },
	{ "correlation", FIELD_OBJECT, NUL, AT(spec, correlation),
	  .object = &correlation },
	{ "ingress", FIELD_OBJECT, NUL, AT(spec, ingress), .object = &ingress },
	{ "environment", FIELD_OBJECT, NUL, AT(spec, environment),
	  .object = &environment },
	{ "placement", FIELD_OBJECT, NUL | OMIT, AT(spec, placement),
	  .object = &placement },
	{ "policy", FIELD_OBJECT, NUL, AT(spec, policy), .object = &policy },
	{ "identity", FIELD_OBJECT, NUL, AT(spec, identity),
	  .object = &identity },
	{ "run", FIELD_OBJECT, NUL, AT(spec, run), .object = &run },
	{ "authority", FIELD_INLINE, REQ, AT(spec, authority),
	  .object = &authority },
	{ "lifetime", FIELD_INLINE, REQ, .at = 0, .object = &lifetime },
	{ "export", FIELD_OBJECT, NUL, AT(spec, export), .object = &export },
	{ "telemetry", FIELD_OBJECT, NUL | OMIT, AT(spec, telemetry),
	  .object = &telemetry },
};
const struct object schema_spec = OBJECT(spec, spec_rows);

static const struct field document_rows[] = {
	{ "apiVersion", FIELD_STR, REQ, AT(spec, api_version) },
	{ "kind", FIELD_STR, REQ, AT(spec, kind) },
	{ "spec", FIELD_INLINE, REQ, .at = 0, .object = &schema_spec },
};
const struct object schema_document = OBJECT(spec, document_rows);
