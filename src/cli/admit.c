/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Admission: the operator's gates and what this build cannot honour. */
#include "cli/admit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/env.h"

#define TARGET "cellos.supervisor.config"

int admit_gates(const struct spec *s, struct err *e)
{
	const struct spec_authority *a = &s->authority;
	char want[256];
	struct slice has;

	if (env_present("CELLOS_REQUIRE_AUTHORITY_DERIVATION") &&
	    (a->egress_rules.n || a->secret_refs.n) && !a->derivation)
		return err_set(e, ERR_PLAIN, 0,
			       "CELLOS_REQUIRE_AUTHORITY_DERIVATION is set: "
			       "egressRules or secretRefs need "
			       "spec.authority.authorityDerivation");
	if (env_present("CELLOS_REQUIRE_TELEMETRY_DECLARED") && !s->telemetry)
		return err_set(e, ERR_PLAIN, 0,
			       "CELLOS_REQUIRE_TELEMETRY_DECLARED is set: "
			       "spec.telemetry is required");
	if (!env_nonblank("CELLOS_K8S_NAMESPACE", want, sizeof(want)) ||
	    !s->placement || !s->placement->kubernetes_namespace.p)
		return 0;
	has = s->placement->kubernetes_namespace;
	if (slice_is(has, want))
		return 0;
	return err_set(e, ERR_PLAIN, 0,
		       "spec.placement.kubernetesNamespace \"%s\" is not the "
		       "namespace of this runner (CELLOS_K8S_NAMESPACE is "
		       "\"%s\")",
		       has.p, want);
}

int admit_unknown(const struct spec *s, bool strict, struct err *e)
{
	char quoted[300];

	for (size_t i = 0; i < s->n_unknown; i++) {
		const struct spec_unknown *u = &s->unknown[i];
		const char *near = u->nearest ? u->nearest : "";

		if (strict)
			return err_set(e, ERR_SPEC, 0,
				       "%s is not a known member%s%s%s",
				       u->pointer,
				       u->nearest ? " (did you mean " : "",
				       near, u->nearest ? "?)" : "");
		log_line(LOG_WARN, TARGET, "unknown member %s is ignored%s%s",
			 log_quote(quoted, sizeof(quoted), u->pointer),
			 u->nearest ? "; nearest known name: " : "", near);
	}
	return 0;
}

static int unbuilt(struct err *e, const char *what, const char *why)
{
	return err_set(e, ERR_PLAIN, 0, "%s is not supported by this build: %s",
		       what, why);
}

static int admit_secret_refs(const struct spec *s, const char *broker,
			     struct err *e)
{
	if (!s->authority.secret_refs.n)
		return 0;
	if (!broker || strcmp(broker, "env") != 0)
		return unbuilt(e, "/spec/authority/secretRefs",
			       "secrets come from the env broker only; set "
			       "CELLOS_BROKER=env and CELLOS_SECRET_<KEY>, or "
			       "remove the member");
	/* without a command the delivery is env */
	if (!s->run || s->run->secret_delivery == SPEC_DELIVERY_ENV)
		return 0;
	if (s->run->secret_delivery == SPEC_DELIVERY_LEASED_BROKER)
		return unbuilt(e, "/spec/run/secretDelivery",
			       "runtime leased broker prepare: secret broker: "
			       "runtimeLeasedBroker is not supported by this "
			       "secret broker (it is the default); write "
			       "\"secretDelivery\":\"env\"");
	return unbuilt(e, "/spec/run/secretDelivery",
		       "runtimeBroker has no secret socket here; write "
		       "\"secretDelivery\":\"env\"");
}

static int admit_resolvers(const struct spec_dns_authority *d, struct err *e)
{
	char at[96];

	for (size_t i = 0; i < d->n_resolvers; i++) {
		const struct spec_resolver *r = &d->resolvers[i];
		bool plain = r->protocol == SPEC_DO53_UDP ||
			     r->protocol == SPEC_DO53_TCP;

		(void)snprintf(at, sizeof(at),
			       "/spec/authority/dnsAuthority/resolvers/%zu/%s",
			       i, plain ? "dnssec" : "protocol");
		if (!plain)
			return unbuilt(e, at,
				       "resolvers are asked by do53-udp or "
				       "do53-tcp; dot, doh and doq are not "
				       "there yet");
		if (r->dnssec && r->dnssec->validate)
			return unbuilt(e, at,
				       "answers are not validated; remove the "
				       "member or write \"validate\":false");
	}
	return 0;
}

int admit_members(const struct spec *s, const char *broker, struct err *e)
{
	const struct spec_authority *a = &s->authority;

	if (s->identity)
		return unbuilt(e, "/spec/identity",
			       "no identity can be obtained; remove the member "
			       "and pass a secret through secretRefs");
	if (admit_secret_refs(s, broker, e) < 0)
		return -1;
	if (a->derivation)
		return unbuilt(e, "/spec/authority/authorityDerivation",
			       "derivation tokens are not verified; remove the "
			       "member");
	if (a->dns && admit_resolvers(a->dns, e) < 0)
		return -1;
	if (a->cdn)
		return unbuilt(e, "/spec/authority/cdnAuthority",
			       "a name is connectable by an egress rule only; "
			       "remove the member and name the provider's "
			       "hosts in egressRules");
	if (s->export && (s->export->n_artifacts || s->export->n_targets))
		return unbuilt(e, "/spec/export",
			       "artifacts are not exported; remove the member "
			       "and declare a writable mount in "
			       "authority.filesystem");
	return 0;
}

/* A refused path counts even when empty: the original opened it and failed */
static int admit_refused(const struct env_info *v, struct err *e)
{
	bool on = v->cls == ENV_TRUTHY ? env_truthy(v->name)
				       : env_present(v->name);

	/* the original ignores it beside the no-op switch */
	if (!on || (strcmp(v->name, "CELL_OS_REQUIRE_JETSTREAM") == 0 &&
		    env_present("CELL_OS_USE_NOOP_SINK")))
		return 0;
	return err_set(e, ERR_PLAIN, 0,
		       "%s is not supported by this build: %s; unset it",
		       v->name, v->doc);
}

int admit_variables(struct err *e)
{
	char url[16];
	const char *v;

	for (size_t i = 0; i < env_count(); i++) {
		struct env_info info = env_info(i);

		if (info.status == ENV_REFUSED && admit_refused(&info, e) < 0)
			return -1;
		if (info.status == ENV_IGNORED && env_present(info.name))
			log_line(LOG_WARN, TARGET,
				 "%s has no effect in this build: %s",
				 info.name, info.doc);
	}
	v = env_text("CELLOS_EXPORT_HTTP_BASE_URL");
	if (!v)
		return 0;
	while (*v == ' ')
		v++;
	(void)strncpy(url, v, sizeof(url) - 1);
	url[sizeof(url) - 1] = '\0';
	if (*url && strncmp(url, "http://", 7) && strncmp(url, "https://", 8))
		return err_set(e, ERR_PLAIN, 0,
			       "CELLOS_EXPORT_HTTP_BASE_URL must use http or "
			       "https");
	return 0;
}

int admit_full(const struct spec *s, struct err *e)
{
	const struct spec_strings *refs = &s->authority.secret_refs;

	if (spec_grace_seconds(s, 0) > 120)
		return err_set(e, ERR_SPEC, 0,
			       "/spec/run/limits/gracefulShutdownSeconds must "
			       "be <= 120");
	for (size_t i = 0; i < refs->n; i++) {
		struct slice r = refs->p[i];

		if (slice_is(r, "PATH") ||
		    (r.n >= 3 && memcmp(r.p, "LD_", 3) == 0))
			return err_set(e, ERR_SPEC, 0,
				       "/spec/authority/secretRefs/%zu: a "
				       "secret must not be called %s, which "
				       "steers how programs are found and "
				       "loaded",
				       i, r.p);
	}
	return 0;
}
