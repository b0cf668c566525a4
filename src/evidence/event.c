/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Envelopes and the data of the original's event types. */
#include "evidence/event.h"

#include <string.h>

#include "evidence/body.h"
#include "wire/telemetry.h"

#define SIGNING_SOURCE "/cellos-supervisor/event-signing"
#define CONTENT_TYPE   "application/json"

static const char *const types[] = {
#define X(name, type, ours, when) [EVENT_##name] = EVENT_PREFIX type,
	EVENT_TYPES(X)
#undef X
};

static const bool are_ours[] = {
#define X(name, type, ours, when) [EVENT_##name] = ours,
	EVENT_TYPES(X)
#undef X
};

const char *event_type_text(enum event_type t)
{
	return (unsigned)t < EVENT_TYPE_NUM ? types[t] : "";
}

bool event_type_is_ours(enum event_type t)
{
	return (unsigned)t < EVENT_TYPE_NUM && are_ours[t];
}

/* -- envelopes -- */

void event_signed_bytes(struct wbuf *b, const struct event *ev)
{
	struct json_out j;

	json_out_init(&j, b, false);
	json_out_object(&j);
	json_out_kstr(&j, "specversion", "1.0");
	json_out_kstr(&j, "id", ev->id);
	json_out_kstr(&j, "source", ev->source);
	json_out_kstr(&j, "type", ev->type);
	json_out_kstr(&j, "datacontenttype", CONTENT_TYPE);
	json_out_key(&j, "data");
	json_out_raw(&j, ev->data);
	json_out_kstr_or_null(&j, "time", ev->time);
	json_out_knull(&j, "traceparent");
	json_out_end(&j, '}');
}

/* Inside another value the members of an event are sorted. */
static void nested_event(struct json_out *j, const struct event *ev)
{
	json_out_object(j);
	json_out_key(j, "data");
	json_out_raw(j, ev->data);
	json_out_kstr(j, "datacontenttype", CONTENT_TYPE);
	json_out_kstr(j, "id", ev->id);
	json_out_kstr(j, "source", ev->source);
	json_out_kstr(j, "specversion", "1.0");
	json_out_kstr_or_null(j, "time", ev->time);
	json_out_knull(j, "traceparent");
	json_out_kstr(j, "type", ev->type);
	json_out_end(j, '}');
}

void event_wrapper_line(struct wbuf *b, const struct event *ev,
			const char *algorithm, const char *kid,
			const char *signature)
{
	struct json_out j;

	json_out_init(&j, b, false);
	json_out_object(&j);
	json_out_kstr(&j, "specversion", "1.0");
	json_out_kstr(&j, "id", ev->id);
	json_out_kstr(&j, "source", SIGNING_SOURCE);
	json_out_kstr(&j, "type", types[EVENT_SIGNED]);
	json_out_kstr(&j, "datacontenttype", CONTENT_TYPE);
	json_out_key(&j, "data");
	json_out_object(&j);
	json_out_kstr(&j, "algorithm", algorithm);
	json_out_key(&j, "event");
	nested_event(&j, ev);
	json_out_kstr(&j, "signature", signature);
	json_out_kstr(&j, "signerKid", kid);
	json_out_end(&j, '}');
	json_out_kstr_or_null(&j, "time", ev->time);
	json_out_knull(&j, "traceparent");
	json_out_end(&j, '}');
}

/* -- members -- */

/* The teardown view leaves out a correlation that says nothing. */
static void put_correlation_if_any(struct json_out *j,
				   const struct event_run *r)
{
	const struct spec_correlation *c = r->spec->correlation;

	if (c && (c->correlation_id.p || c->external_job_id.p ||
		  c->external_run_id.p || c->has_labels || c->platform.p ||
		  c->tenant_id.p))
		body_correlation(j, r);
}

static void put_placement(struct json_out *j, const struct event_run *r)
{
	const struct spec_placement *p = r->spec->placement;

	if (!p ||
	    (!p->kubernetes_namespace.p && !p->pool_id.p && !p->queue_name.p))
		return;
	json_out_key(j, "placement");
	json_out_object(j);
	body_kslice_opt(j, "kubernetesNamespace", p->kubernetes_namespace);
	body_kslice_opt(j, "poolId", p->pool_id);
	body_kslice_opt(j, "queueName", p->queue_name);
	json_out_end(j, '}');
}

static void put_tenant(struct json_out *j, const struct event_run *r)
{
	if (r->spec->correlation)
		body_kslice_opt(j, "tenantId", r->spec->correlation->tenant_id);
}

static void put_egress_rules(struct json_out *j,
			     const struct spec_egress_rules *rules)
{
	size_t i;

	json_out_array(j);
	for (i = 0; i < rules->n; i++) {
		const struct spec_egress_rule *e = &rules->p[i];

		json_out_object(j);
		body_kslice_opt(j, "dnsEgressJustification",
				e->dns_egress_justification);
		body_kslice_or_null(j, "host", e->host);
		json_out_ku64(j, "port", e->port);
		body_kslice_or_null(j, "protocol", e->protocol);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

/* -- data -- */

static void begin(struct json_out *j, struct wbuf *b)
{
	json_out_init(j, b, true);
	json_out_object(j);
}

static void put_ids(struct json_out *j, const struct event_run *r)
{
	body_ktext(j, "runId", r->run_id);
	body_spec_id(j, r);
}

void event_network_scope(struct wbuf *b, const struct event_run *r)
{
	const struct json *net = r->spec->authority.network;
	struct json_out j;

	begin(&j, b);
	body_ktext(&j, "cellId", r->cell_id);
	body_correlation(&j, r);
	json_out_ku64(&j, "egressRuleCount", r->spec->authority.egress_rules.n);
	json_out_kbool(&j, "hasOpaqueNetworkAuthority",
		       net && net->type != JSON_NULL);
	put_ids(&j, r);
	json_out_end(&j, '}');
}

void event_dns_target_set(struct wbuf *b, const struct event_run *r,
			  const char *updated_at)
{
	struct json_out j;

	begin(&j, b);
	body_ktext(&j, "cellId", r->cell_id);
	body_correlation(&j, r);
	json_out_kstr(&j, "currentDigest", r->spec_hash);
	json_out_kstr(&j, "fqdn", "declared-egress.trust.cellos.internal");
	body_ktext(&j, "issuerKid", r->resolver_kid);
	body_ktext(&j, "keysetId", r->keyset_id);
	json_out_kstr(&j, "previousDigest", "empty");
	json_out_kstr(&j, "reason", "refresh");
	put_ids(&j, r);
	json_out_kstr(&j, "updatedAt", updated_at);
	json_out_end(&j, '}');
}

void event_started(struct wbuf *b, const struct event_run *r)
{
	const struct spec_derivation *d = r->spec->authority.derivation;
	struct json_out j;

	begin(&j, b);
	body_ktext(&j, "cellId", r->cell_id);
	body_correlation(&j, r);
	/* a document whose token fails is not admitted */
	if (d)
		json_out_kbool(&j, "derivationVerified", true);
	body_ktext(&j, "firecrackerDigestSha256", r->vmm_digest);
	body_ktext(&j, "kernelDigestSha256", r->kernel_digest);
	if (d)
		body_kslice_opt(&j, "parentRunId", d->parent_run_id);
	put_placement(&j, r);
	if (d)
		body_kslice_opt(&j, "roleRoot", d->role_root);
	body_ktext(&j, "rootfsDigestSha256", r->rootfs_digest);
	body_ktext(&j, "runId", r->run_id);
	json_out_kstr_opt(&j, "specHash", r->raw_hash);
	body_spec_id(&j, r);
	put_tenant(&j, r);
	json_out_ku64(&j, "ttlSeconds", r->spec->ttl_seconds);
	json_out_end(&j, '}');
}

void event_manifest_failed(struct wbuf *b, const char *role,
			   const char *expected, const char *actual,
			   const char *manifest)
{
	struct json_out j;

	begin(&j, b);
	json_out_kstr_or_null(&j, "actualSha256", actual[0] ? actual : NULL);
	json_out_kstr_or_null(&j, "expectedSha256",
			      expected[0] ? expected : NULL);
	body_ktext(&j, "manifestPath", manifest);
	body_ktext(&j, "role", role);
	json_out_end(&j, '}');
}

void event_declared(struct wbuf *b, const struct event_run *r,
		    const struct telemetry_frame *f, const char *received)
{
	struct json_out j;

	begin(&j, b);
	json_out_key(&j, "guest");
	json_out_object(&j);
	json_out_kstr(&j, "guestComm", f->comm);
	json_out_ku64(&j, "guestMonotonicNs", f->monotonic_ns);
	json_out_ku64(&j, "guestPid", f->pid);
	json_out_kstr(&j, "probeSource", telemetry_word(f->probe));
	json_out_end(&j, '}');
	json_out_key(&j, "host");
	json_out_object(&j);
	body_ktext(&j, "cellId", r->cell_id);
	json_out_kstr(&j, "hostReceivedAt", received);
	body_ktext(&j, "runId", r->run_id);
	body_ktext(&j, "specSignatureHash", r->spec_hash);
	json_out_end(&j, '}');
	json_out_kstr(&j, "provenance", "declared");
	json_out_end(&j, '}');
}

void event_agent_silenced(struct wbuf *b, const struct event_run *r,
			  uint64_t window_ms, uint64_t elapsed_ms)
{
	struct json_out j;

	begin(&j, b);
	body_ktext(&j, "cellId", r->cell_id);
	json_out_ku64(&j, "elapsedMs", elapsed_ms);
	json_out_kstr(&j, "epistemicStatus", "DECLARED");
	json_out_ku64(&j, "keepaliveWindowMs", window_ms);
	json_out_kstr(&j, "ruleClass", "GUEST_AGENT_DECLARATION");
	body_ktext(&j, "runId", r->run_id);
	json_out_end(&j, '}');
}

/* "CapEff:\t<16 lower-case hex>\n" of /proc/<pid>/status */
static bool status_cap(const char *status, const char *name, char ret[17])
{
	const char *p = strstr(status, name);

	if (!p)
		return false;
	p += strlen(name);
	p += strspn(p, " \t");
	if (strspn(p, "0123456789abcdef") != 16)
		return false;
	memcpy(ret, p, 16);
	ret[16] = '\0';
	return true;
}

void event_container_security(struct wbuf *b, const struct event_run *r,
			      const char *status)
{
	/* in the order of the members */
	static const char *const names[][2] = {
		{ "capAmb", "CapAmb:" }, { "capBnd", "CapBnd:" },
		{ "capEff", "CapEff:" }, { "capInh", "CapInh:" },
		{ "capPrm", "CapPrm:" },
	};
	char caps[ARRAY_SIZE(names)][17];
	struct json_out j;
	bool all = status != NULL;
	size_t i;

	for (i = 0; all && i < ARRAY_SIZE(names); i++)
		all = status_cap(status, names[i][1], caps[i]);
	begin(&j, b);
	for (i = 0; all && i < ARRAY_SIZE(names); i++)
		json_out_kstr(&j, names[i][0], caps[i]);
	body_ktext(&j, "cellId", r->cell_id);
	/* the original knows 37 capabilities, and readers compare with it */
	json_out_kbool(&j, "privileged",
		       all && !strcmp(caps[2], "0000001fffffffff"));
	body_ktext(&j, "runId", r->run_id);
	json_out_end(&j, '}');
}

void event_network_policy(struct wbuf *b, const struct event_run *r)
{
	const struct spec_egress_rules *rules =
		&r->spec->authority.egress_rules;
	struct json_out j;

	begin(&j, b);
	body_ktext(&j, "cellId", r->cell_id);
	body_correlation(&j, r);
	json_out_key(&j, "declaredEgress");
	put_egress_rules(&j, rules);
	json_out_ku64(&j, "declaredEgressCount", rules->n);
	json_out_kstr(&j, "isolationMode", "clone_newnet");
	put_ids(&j, r);
	json_out_end(&j, '}');
}

void event_process_spawned(struct wbuf *b, const struct event_run *r)
{
	const struct spec_run *run = r->spec->run;
	size_t argc = run ? run->argv.n : 0;
	struct json_out j;

	begin(&j, b);
	json_out_ku64(&j, "argc", argc);
	body_ktext(&j, "cellId", r->cell_id);
	body_correlation(&j, r);
	json_out_key(&j, "program");
	json_out_slice(&j, argc ? run->argv.p[0] : SLICE_LIT(""));
	put_ids(&j, r);
	json_out_end(&j, '}');
}

void event_network_enforcement(struct wbuf *b, const struct event_run *r,
			       const int *exit_code, bool nft_applied,
			       const char *spawn_error)
{
	size_t n = r->spec->authority.egress_rules.n;
	struct json_out j;

	begin(&j, b);
	body_ktext(&j, "cellId", r->cell_id);
	if (exit_code)
		json_out_ki64(&j, "commandExitCode", *exit_code);
	body_correlation(&j, r);
	json_out_ku64(&j, "declaredEgressRuleCount", n);
	json_out_kstr(&j, "isolationMode", "clone_newnet");
	json_out_kbool(&j, "nftRulesApplied", nft_applied);
	body_ktext(&j, "runId", r->run_id);
	body_ktext(&j, "spawnError", spawn_error);
	body_spec_id(&j, r);
	json_out_kbool(&j, "supplementaryEgressFilterActive",
		       nft_applied && n > 0);
	json_out_end(&j, '}');
}

void event_completed(struct wbuf *b, const struct event_run *r,
		     uint64_t duration_ms, int exit_code,
		     const char *spawn_error)
{
	const struct spec_run *run = r->spec->run;
	struct json_out j;
	size_t i;

	begin(&j, b);
	json_out_key(&j, "argv");
	json_out_array(&j);
	for (i = 0; run && i < run->argv.n; i++)
		json_out_slice(&j, run->argv.p[i]);
	json_out_end(&j, ']');
	body_ktext(&j, "cellId", r->cell_id);
	body_correlation(&j, r);
	json_out_ku64(&j, "durationMs", duration_ms);
	json_out_ki64(&j, "exitCode", exit_code);
	body_ktext(&j, "runId", r->run_id);
	body_ktext(&j, "spawnError", spawn_error);
	body_spec_id(&j, r);
	json_out_end(&j, '}');
}

void event_summary(struct wbuf *b, const struct event_run *r,
		   const int *exit_code)
{
	const struct spec *s = r->spec;
	struct json_out j;

	begin(&j, b);
	body_ktext(&j, "cellId", r->cell_id);
	if (exit_code)
		json_out_ki64(&j, "commandExitCode", *exit_code);
	put_correlation_if_any(&j, r);
	json_out_ku64(&j, "egressRuleCount", s->authority.egress_rules.n);
	json_out_ku64(&j, "exportTargetCount",
		      s->export ? s->export->n_targets : 0);
	json_out_ku64(&j, "lifetimeTtlSeconds", s->ttl_seconds);
	put_placement(&j, r);
	if (s->policy) {
		body_kslice_opt(&j, "policyBundleDigest",
				s->policy->bundle_digest);
		body_kslice_opt(&j, "policyPackId", s->policy->pack_id);
		body_kslice_opt(&j, "policyPackVersion",
				s->policy->pack_version);
	}
	json_out_kbool(&j, "resourceLimitsPresent", s->run && s->run->limits);
	body_ktext(&j, "runId", r->run_id);
	json_out_kstr(&j, "secretDeliveryMode",
		      spec_delivery_word(s->run ? s->run->secret_delivery
						: SPEC_DELIVERY_ENV));
	body_spec_id(&j, r);
	json_out_end(&j, '}');
}

/* A count that is not known is taken as all that was declared. */
static double efficiency(uint64_t declared, const uint64_t *exercised)
{
	if (!exercised || declared == 0 || *exercised >= declared)
		return 1.0;
	return (double)*exercised / (double)declared;
}

void event_homeostasis(struct wbuf *b, const struct event_run *r,
		       const uint64_t *exercised)
{
	const struct spec_authority *a = &r->spec->authority;
	struct json_out j;

	begin(&j, b);
	json_out_ku64(&j, "accessedMountPaths", 0);
	json_out_key(&j, "authorityEfficiency");
	json_out_double(&j, efficiency(a->egress_rules.n, exercised));
	body_ktext(&j, "cellId", r->cell_id);
	body_correlation(&j, r);
	json_out_ku64(&j, "declaredEgressRules", a->egress_rules.n);
	json_out_ku64(&j, "declaredMountPaths", 0);
	json_out_ku64(&j, "declaredSecretCount", a->secret_refs.n);
	if (exercised) {
		json_out_ku64(&j, "exercisedEgressConnections",
			      *exercised < UINT32_MAX ? *exercised
						      : UINT32_MAX);
	} else {
		json_out_knull(&j, "exercisedEgressConnections");
		json_out_kstr(&j, "exercisedEgressReason",
			      "telemetry_pending_L2-04");
	}
	json_out_key(&j, "recommendedRemovals");
	json_out_array(&j);
	json_out_end(&j, ']');
	body_ktext(&j, "runId", r->run_id);
	json_out_kstr(&j, "specHash", r->spec_hash);
	body_spec_id(&j, r);
	json_out_end(&j, '}');
}

bool event_homeostasis_violation(struct wbuf *b, const struct event_run *r,
				 uint64_t exercised)
{
	uint64_t declared = r->spec->authority.egress_rules.n;
	struct json_out j;

	if (exercised <= declared)
		return false;
	begin(&j, b);
	body_ktext(&j, "cellId", r->cell_id);
	json_out_ku64(&j, "declaredEgressRuleCount", declared);
	json_out_ku64(&j, "exercisedEgressConnections", exercised);
	json_out_ku64(&j, "overage", exercised - declared);
	json_out_kstr(&j, "severity", "critical");
	json_out_kstr(&j, "specHash", r->spec_hash);
	json_out_end(&j, '}');
	return true;
}

void event_destroyed(struct wbuf *b, const struct event_run *r,
		     const char *reason, const char *residue_class,
		     const char *evidence_ref, const char *terminal_state)
{
	struct json_out j;

	begin(&j, b);
	body_ktext(&j, "cellId", r->cell_id);
	body_correlation(&j, r);
	body_ktext(&j, "evidenceBundleRef", evidence_ref);
	json_out_kstr(&j, "outcome", reason ? "failed" : "succeeded");
	body_ktext(&j, "reason", reason);
	json_out_kstr_opt(&j, "residueClass", residue_class);
	put_ids(&j, r);
	put_tenant(&j, r);
	json_out_kstr_opt(&j, "terminalState", terminal_state);
	json_out_ku64(&j, "ttlSeconds", r->spec->ttl_seconds);
	json_out_end(&j, '}');
}
