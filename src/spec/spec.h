/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The document as a value: what everybody reads and nobody changes after
 * admission. Made by spec_parse(), judged by spec_check().
 *
 * Strings are slices whose bytes are also NUL-terminated; absent or null is
 * p == NULL. Objects that may be absent are pointers (NULL) or carry `present`.
 * Arrays are pointer and count; an absent array has p == NULL, an empty one
 * p != NULL and n == 0 (the canonical text tells them apart). Everything lives
 * in the arena of struct spec.
 */
#ifndef CELLOS_SPEC_SPEC_H
#define CELLOS_SPEC_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/wbuf.h"
#include "wire/json_in.h"

struct spec_opt_u64 {
	bool present;
	uint64_t v;
};

struct spec_strings {
	struct slice *p;
	size_t n;
};

struct spec_label {
	struct slice name, value;
};

struct spec_correlation {
	struct slice platform, external_run_id, external_job_id, tenant_id;
	bool has_labels;
	struct spec_label *labels; /* sorted by name, the last of a name wins */
	size_t n_labels;
	struct slice correlation_id;
};

struct spec_git {
	struct slice url, ref, secret_ref;
};

struct spec_oci_image {
	struct slice reference, digest, secret_ref;
};

struct spec_ingress {
	struct spec_git *git;
	struct spec_oci_image *oci_image;
};

struct spec_environment {
	struct slice image_reference, image_digest, template_id;
};

struct spec_placement {
	struct slice pool_id, kubernetes_namespace, queue_name;
};

struct spec_policy {
	struct slice pack_id, pack_version, bundle_digest;
};

struct spec_identity { /* kind is always federatedOidc */
	struct slice provider, audience, subject;
	struct spec_opt_u64 ttl_seconds;
	struct slice secret_ref;
};

enum spec_delivery {
	SPEC_DELIVERY_ENV,
	SPEC_DELIVERY_BROKER,	    /* runtimeBroker */
	SPEC_DELIVERY_LEASED_BROKER /* runtimeLeasedBroker, the default */
};

struct spec_cpu_max {
	uint64_t quota_micros;
	struct spec_opt_u64 period_micros;
};

struct spec_limits {
	struct spec_opt_u64 memory_max_bytes;
	struct spec_cpu_max *cpu_max;
	struct spec_opt_u64 graceful_shutdown_seconds;
};

struct spec_run {
	struct spec_strings argv;
	struct slice working_directory;
	struct spec_opt_u64 timeout_ms;
	struct spec_limits *limits;
	enum spec_delivery secret_delivery;
};

struct spec_egress_rule {
	struct slice host;
	uint16_t port;
	struct slice protocol, dns_egress_justification;
	struct spec_opt_u64 max_bytes_up, max_bytes_down; /* ours */
};

struct spec_egress_rules {
	struct spec_egress_rule *p;
	size_t n;
};

struct spec_capability {
	struct spec_egress_rules egress_rules; /* never absent */
	struct spec_strings secret_refs;       /* never absent */
};

struct spec_derivation_step {
	struct spec_capability from, to;
};

struct spec_derivation {
	struct slice role_root, parent_run_id;
	struct spec_derivation_step *steps;
	size_t n_steps;
	struct spec_capability leaf;
	struct slice signature_algorithm, signature_bytes;
};

enum spec_transport {
	SPEC_DO53_UDP,
	SPEC_DO53_TCP,
	SPEC_DOT,
	SPEC_DOH,
	SPEC_DOQ
};

struct spec_dnssec {
	bool validate, fail_closed;
	struct slice trust_anchors_path;
};

struct spec_resolver {
	struct slice resolver_id, endpoint;
	enum spec_transport protocol;
	struct slice trust_kid;
	struct spec_dnssec *dnssec;
};

/* The schema's words, in its order. */
enum spec_qtype {
	SPEC_Q_A,
	SPEC_Q_AAAA,
	SPEC_Q_CNAME,
	SPEC_Q_TXT,
	SPEC_Q_MX,
	SPEC_Q_SRV,
	SPEC_Q_NS,
	SPEC_Q_PTR,
	SPEC_Q_HTTPS,
	SPEC_Q_SVCB,
	SPEC_Q_NUM
};

enum spec_refresh_strategy {
	SPEC_REFRESH_UNSET,
	SPEC_REFRESH_TTL_HONOR,
	SPEC_REFRESH_FIXED_INTERVAL,
	SPEC_REFRESH_MANUAL
};

struct spec_refresh_policy {
	struct spec_opt_u64 min_ttl_seconds, max_stale_seconds; /* u32 */
	enum spec_refresh_strategy strategy;
};

struct spec_rebinding_policy {
	struct spec_strings response_ip_allowlist;
	uint32_t max_novel_ips_per_hostname;
	bool reject_on_rebind;
};

struct spec_dns_authority {
	struct spec_resolver *resolvers;
	size_t n_resolvers;
	enum spec_qtype *query_types;
	size_t n_query_types;
	struct spec_strings hostname_allowlist;
	struct spec_refresh_policy *refresh_policy;
	struct spec_rebinding_policy *rebinding_policy;
	bool block_direct_workload_dns, block_udp_doq, block_udp_http3;
};

struct spec_cdn_provider {
	struct slice provider_id, hostname_pattern;
	bool accept_fronting;
};

struct spec_cdn_authority {
	struct spec_cdn_provider *providers;
	size_t n_providers;
};

enum spec_mount_mode { SPEC_MOUNT_RO, SPEC_MOUNT_RW };

struct spec_mount {
	struct slice path; /* absolute, normalised, not "/" */
	enum spec_mount_mode mode;
};

struct spec_authority {
	const struct json *filesystem, *network; /* opaque; NULL = absent */
	/* ours: authority.filesystem of the shape {"mounts":[{path,mode}]} */
	struct spec_mount *mounts;
	size_t n_mounts;
	struct spec_egress_rules egress_rules;
	struct spec_strings secret_refs;
	struct spec_derivation *derivation;
	struct spec_dns_authority *dns;
	struct spec_cdn_authority *cdn;
};

struct spec_artifact {
	struct slice name, path, target, content_type;
};

enum spec_target_kind { SPEC_TARGET_HTTP, SPEC_TARGET_S3 };

struct spec_target {
	enum spec_target_kind kind;
	struct slice name;
	struct slice base_url;			 /* http */
	struct slice bucket, key_prefix, region; /* s3 */
	struct slice secret_ref;
};

struct spec_export {
	bool has_artifacts, has_targets;
	struct spec_artifact *artifacts;
	size_t n_artifacts;
	struct spec_target *targets;
	size_t n_targets;
};

struct spec_rate_limits {
	struct spec_opt_u64 events_per_second, bytes_per_second; /* u32 */
};

struct spec_telemetry { /* channel is always vsock-cbor */
	struct spec_strings events;
	struct spec_rate_limits *rate_limits;
	bool has_fields;
	struct spec_strings host_fields, guest_fields;
	struct slice agent_version;
};

/* A member the schema does not know: where it is, what was likely meant. */
struct spec_unknown {
	const char *pointer; /* RFC 6901, of the unknown member */
	const char *nearest; /* closest known name there, or NULL */
};

struct spec {
	struct slice api_version, kind;
	struct slice id;
	struct spec_correlation *correlation;
	struct spec_ingress *ingress;
	struct spec_environment *environment;
	struct spec_placement *placement;
	struct spec_policy *policy;
	struct spec_identity *identity;
	struct spec_run *run;
	struct spec_authority authority;
	uint64_t ttl_seconds; /* lifetime.ttlSeconds */
	struct spec_export *export;
	struct spec_telemetry *telemetry;

	struct spec_unknown *unknown; /* in the order of the text */
	size_t n_unknown;
	struct arena arena;
};

/**
 * spec_parse() - a document's text to a value
 * @text: at most LIMIT_SPEC_FILE bytes
 * @s:    filled on success; release with spec_drop()
 * @e:    ERR_PLAIN; names JSON pointer, value and rule (syntax: line, column).
 *        The caller wraps it with "parse ExecutionCellDocument".
 *
 * Structure, types, ranges, enums, known members twice, as in
 * docs/compatibility.md "Documents".
 * Unknown members are collected, not judged.
 *
 * Return: 0 or -1
 */
int spec_parse(struct slice text, struct spec *s, struct err *e) MUST_USE;
void spec_drop(struct spec *s);

/**
 * spec_check() - the rules of docs/compatibility.md "Checks and their order";
 * the first failure wins
 * @e: ERR_SPEC with the original's text fragments, plus pointer and value
 *
 * Return: 0 or -1
 */
int spec_check(const struct spec *s, struct err *e) MUST_USE;

/** spec_canonical() - the text that is hashed, docs/compatibility.md
 *  "Canonical text and hashes" */
void spec_canonical(const struct spec *s, struct wbuf *b);

/** spec_delivery_word() - "env", "runtimeBroker", "runtimeLeasedBroker" */
const char *spec_delivery_word(enum spec_delivery d);

/**
 * spec_grace_seconds() - gracefulShutdownSeconds, or @dflt if unset
 */
uint64_t spec_grace_seconds(const struct spec *s, uint64_t dflt);

/** spec_leaf_segment() - the id as part of a control group's name: characters
 *  outside [A-Za-z0-9_-] as _, the first 64; @buf of 257 bytes */
void spec_leaf_segment(struct slice id, char *buf);

#endif
