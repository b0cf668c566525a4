/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The later rules: names and resolvers, exports, telemetry. */
#include "spec/check_rules.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "spec/names.h"
#include "spec/text.h"
#include "wire/hostname.h"
#include "wire/url.h"

static int fail_duplicate(struct err *e, const char *field, struct slice v,
			  const char *where, size_t i)
{
	char q[TEXT_QUOTED];

	return err_set(e, ERR_SPEC, 0, "%s duplicates value %s (at %s/%zu)",
		       field, text_quote(q, v), where, i);
}

/* Rule 25 */
static int check_resolvers(const struct spec_dns_authority *d, struct err *e)
{
	static const char at[] = "/spec/authority/dnsAuthority/resolvers";
	OWNED(names_drop) struct names ids = { 0 };

	if (d->n_resolvers &&
	    names_build(&ids, &d->resolvers->resolver_id, d->n_resolvers,
			sizeof(*d->resolvers), e))
		return -1;
	for (size_t i = 0; i < d->n_resolvers; i++) {
		const struct spec_resolver *r = &d->resolvers[i];

		if (rule_portable(r->resolver_id,
				  "authority.dnsAuthority.resolvers[]."
				  "resolverId",
				  "/spec/authority/dnsAuthority/resolvers/%zu/"
				  "resolverId",
				  i, e))
			return -1;
		if (names_find(&ids, r->resolver_id) < i)
			return fail_duplicate(
				e,
				"authority.dnsAuthority.resolvers[]."
				"resolverId",
				r->resolver_id, at, i);
		if (r->endpoint.n == 0)
			return err_set(e, ERR_SPEC, 0,
				       "authority.dnsAuthority.resolvers[]."
				       "endpoint must be non-empty "
				       "(at %s/%zu/endpoint)",
				       at, i);
		if (r->trust_kid.p &&
		    rule_portable(r->trust_kid,
				  "authority.dnsAuthority.resolvers[].trustKid",
				  "/spec/authority/dnsAuthority/resolvers/%zu/"
				  "trustKid",
				  i, e))
			return -1;
	}
	return 0;
}

/* Rule 28 */
static int check_cdn(const struct spec_cdn_authority *c, struct err *e)
{
	static const char at[] = "/spec/authority/cdnAuthority/providers";
	OWNED(names_drop) struct names ids = { 0 };
	char q[TEXT_QUOTED];

	if (c->n_providers &&
	    names_build(&ids, &c->providers->provider_id, c->n_providers,
			sizeof(*c->providers), e))
		return -1;
	for (size_t i = 0; i < c->n_providers; i++) {
		const struct spec_cdn_provider *p = &c->providers[i];

		if (rule_portable(p->provider_id,
				  "authority.cdnAuthority.providers[]."
				  "providerId",
				  "/spec/authority/cdnAuthority/providers/%zu/"
				  "providerId",
				  i, e))
			return -1;
		if (names_find(&ids, p->provider_id) < i)
			return fail_duplicate(
				e,
				"authority.cdnAuthority.providers[]."
				"providerId",
				p->provider_id, at, i);
		if (!hostname_is_pattern(p->hostname_pattern))
			return err_set(e, ERR_SPEC, 0,
				       "authority.cdnAuthority.providers[]."
				       "hostnamePattern %s is not a host name "
				       "or \"*.\" and a host name "
				       "(at %s/%zu/hostnamePattern)",
				       text_quote(q, p->hostname_pattern), at,
				       i);
	}
	return 0;
}

int check_dns(const struct spec *s, struct err *e)
{
	const struct spec_dns_authority *d = s->authority.dns;
	const struct spec_refresh_policy *r = d ? d->refresh_policy : NULL;
	char q[TEXT_QUOTED];

	if (d && check_resolvers(d, e))
		return -1;
	for (size_t i = 0; d && i < d->hostname_allowlist.n; i++)
		if (!hostname_is_pattern(d->hostname_allowlist.p[i]))
			return err_set(
				e, ERR_SPEC, 0,
				"authority.dnsAuthority.hostnameAllowlist "
				"entry %s is not a host name or \"*.\" and a "
				"host name (at /spec/authority/dnsAuthority/"
				"hostnameAllowlist/%zu)",
				text_quote(q, d->hostname_allowlist.p[i]), i);
	if (r && r->min_ttl_seconds.present && r->max_stale_seconds.present &&
	    r->min_ttl_seconds.v > r->max_stale_seconds.v)
		return err_set(e, ERR_SPEC, 0,
			       "authority.dnsAuthority.refreshPolicy "
			       "minTtlSeconds (%llu) must be <= "
			       "maxStaleSeconds (%llu) "
			       "(at /spec/authority/dnsAuthority/"
			       "refreshPolicy)",
			       (unsigned long long)r->min_ttl_seconds.v,
			       (unsigned long long)r->max_stale_seconds.v);
	return s->authority.cdn ? check_cdn(s->authority.cdn, e) : 0;
}

/* What the rules of an export look things up in */
struct export_index {
	struct names targets, refs;
	struct egress_index rules;
};

static void export_index_drop(struct export_index *x)
{
	names_drop(&x->targets);
	names_drop(&x->refs);
	egress_drop(&x->rules);
}

static int export_index_build(struct export_index *x, const struct spec *s,
			      struct err *e)
{
	const struct spec_strings *refs = &s->authority.secret_refs;

	if (s->export->n_targets &&
	    names_build(&x->targets, &s->export->targets->name,
			s->export->n_targets, sizeof(*s->export->targets), e))
		return -1;
	if (names_build(&x->refs, refs->p, refs->n, sizeof(*refs->p), e))
		return -1;
	return egress_build(&x->rules, &s->authority.egress_rules, e);
}

/* Rules 30d and 30e */
static int check_http(const struct export_index *x, const struct spec_target *t,
		      size_t i, struct err *e)
{
	char q[TEXT_QUOTED], name[TEXT_QUOTED];
	struct url u;
	int r = url_parse(t->base_url, &u);

	if (r == 0 && !u.is_http)
		return err_set(e, ERR_SPEC, 0,
			       "spec.export.targets[].baseUrl must use http or "
			       "https, not %s "
			       "(at /spec/export/targets/%zu/baseUrl)",
			       text_quote(q, t->base_url), i);
	if (r || u.has_query || u.has_fragment)
		return err_set(e, ERR_SPEC, 0,
			       "spec.export.targets[].baseUrl must be an "
			       "absolute http(s) base URL without query and "
			       "fragment, not %s "
			       "(at /spec/export/targets/%zu/baseUrl)",
			       text_quote(q, t->base_url), i);
	if (x->rules.n == 0 ||
	    egress_has_host(&x->rules, slice_of(u.host), u.port))
		return 0;
	return err_set(e, ERR_SPEC, 0,
		       "http export target %s host %s:%u must appear in "
		       "authority.egressRules (at /spec/export/targets/%zu)",
		       text_quote(name, t->name), u.host, u.port, i);
}

static int check_target(const struct spec *s, const struct export_index *x,
			size_t i, struct err *e)
{
	const struct spec_target *t = &s->export->targets[i];
	char q[TEXT_QUOTED], name[TEXT_QUOTED];

	if (rule_portable(t->name, "spec.export.targets[].name",
			  "/spec/export/targets/%zu/name", i, e))
		return -1;
	if (names_find(&x->targets, t->name) < i)
		return err_set(e, ERR_SPEC, 0,
			       "duplicate export target name %s "
			       "(at /spec/export/targets/%zu/name)",
			       text_quote(q, t->name), i);
	if (t->secret_ref.p &&
	    names_find(&x->refs, t->secret_ref) == NAMES_NONE)
		return err_set(e, ERR_SPEC, 0,
			       "export target %s secretRef %s must appear in "
			       "authority.secretRefs "
			       "(at /spec/export/targets/%zu/secretRef)",
			       text_quote(name, t->name),
			       text_quote(q, t->secret_ref), i);
	return t->kind == SPEC_TARGET_HTTP ? check_http(x, t, i, e) : 0;
}

/* Rule 31 */
static int check_artifact(const struct spec_export *x,
			  const struct names *targets, size_t i, struct err *e)
{
	const struct spec_artifact *a = &x->artifacts[i];
	char q[TEXT_QUOTED], name[TEXT_QUOTED];

	if (rule_portable(a->name, "spec.export.artifacts[].name",
			  "/spec/export/artifacts/%zu/name", i, e))
		return -1;
	if (!a->target.p) {
		if (x->n_targets <= 1)
			return 0;
		return err_set(e, ERR_SPEC, 0,
			       "export artifact %s must set target: there are "
			       "%zu (at /spec/export/artifacts/%zu)",
			       text_quote(name, a->name), x->n_targets, i);
	}
	if (rule_portable(a->target, "spec.export.artifacts[].target",
			  "/spec/export/artifacts/%zu/target", i, e))
		return -1;
	if (names_find(targets, a->target) == NAMES_NONE)
		return err_set(e, ERR_SPEC, 0,
			       "export artifact %s references unknown target "
			       "%s (at /spec/export/artifacts/%zu/target)",
			       text_quote(name, a->name),
			       text_quote(q, a->target), i);
	return 0;
}

int check_export(const struct spec *s, struct err *e)
{
	OWNED(export_index_drop) struct export_index index = { 0 };
	const struct spec_export *x = s->export;

	if (!x)
		return 0;
	if (export_index_build(&index, s, e))
		return -1;
	for (size_t i = 0; i < x->n_targets; i++)
		if (check_target(s, &index, i, e))
			return -1;
	for (size_t i = 0; i < x->n_artifacts; i++)
		if (check_artifact(x, &index.targets, i, e))
			return -1;
	return 0;
}

/* N.N.N of any length without leading zeros, then perhaps "-" and a tag */
static bool is_agent_version(struct slice s)
{
	const char *dash = s.n ? memchr(s.p, '-', s.n) : NULL;
	size_t core = dash ? (size_t)(dash - s.p) : s.n;
	size_t numbers = 1, from = 0;

	for (size_t i = 0; i <= core; i++) {
		if (i < core && ascii_is_digit(s.p[i]))
			continue;
		if (i < core && s.p[i] != '.')
			return false;
		if (i == from || (s.p[from] == '0' && i - from > 1))
			return false;
		from = i + 1;
		numbers += i < core;
	}
	for (size_t i = core + 1; i < s.n; i++) {
		char c = s.p[i];

		if (!ascii_is_alnum(c) && c != '.' && c != '-')
			return false;
	}
	return numbers == 3 && (!dash || s.n > core + 1);
}

static struct slice trim(struct slice s)
{
	struct slice left = s, ret = { s.p, 0 };
	bool started = false;

	while (left.n) {
		const char *at = left.p;

		if (text_is_space(text_next(&left)))
			continue;
		if (!started)
			ret.p = at;
		started = true;
		ret.n = (size_t)(left.p - ret.p);
	}
	return ret;
}

int check_telemetry(const struct spec *s, struct err *e)
{
	const struct spec_telemetry *t = s->telemetry;
	char q[TEXT_QUOTED];

	if (!t)
		return 0;
	if (t->events.n == 0)
		return err_set(e, ERR_SPEC, 0,
			       "spec.telemetry.events must name at least one "
			       "event (at /spec/telemetry/events)");
	if (!is_agent_version(t->agent_version))
		return err_set(e, ERR_SPEC, 0,
			       "spec.telemetry.agentVersion must be N.N.N or "
			       "N.N.N-tag, not %s "
			       "(at /spec/telemetry/agentVersion)",
			       text_quote(q, t->agent_version));
	for (size_t i = 0; i < t->events.n; i++) {
		struct slice event = trim(t->events.p[i]);

		if (event.n == 0)
			return err_set(e, ERR_SPEC, 0,
				       "spec.telemetry.events[] must not be "
				       "blank (at /spec/telemetry/events/%zu)",
				       i);
		if (event.n < 4 || s->authority.egress_rules.n ||
		    !rule_same_host((struct slice){ event.p, 4 },
				    SLICE_LIT("net.")))
			continue;
		return err_set(e, ERR_SPEC, 0,
			       "telemetry_without_egress: %s is declared but "
			       "authority.egressRules is empty "
			       "(at /spec/telemetry/events/%zu)",
			       text_quote(q, event), i);
	}
	return 0;
}
