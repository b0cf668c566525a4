/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "cli/advice.h"

#include <string.h>

#include "base/utf8.h"
#include "wire/hostname.h"

enum kind { DOH, SHARED, KIND_NUM };

static const char *const advice[KIND_NUM] = {
	[DOH] = "lets the command ask a resolver of others by HTTPS, past the "
		"list of names and the events of this one; leave it out: what "
		"may be reached is resolved for it",
	[SHARED] = "holds names that anybody can have, and with them anybody's "
		   "servers; write the names that are needed",
};

/* Of SHARED those below it are meant; any "*." before a single label is one. */
static const struct {
	const char *name;
	enum kind kind;
} known[] = {
	{ "dns.google", DOH },
	{ "cloudflare-dns.com", DOH },
	{ "mozilla.cloudflare-dns.com", DOH },
	{ "chrome.cloudflare-dns.com", DOH },
	{ "one.one.one.one", DOH },
	{ "dns.quad9.net", DOH },
	{ "doh.opendns.com", DOH },
	{ "dns.adguard.com", DOH },
	{ "doh.cleanbrowsing.org", DOH },
	{ "dns.nextdns.io", DOH },
	{ "co.uk", SHARED },
	{ "github.io", SHARED },
	{ "amazonaws.com", SHARED },
	{ "cloudfront.net", SHARED },
	{ "azurewebsites.net", SHARED },
	{ "herokuapp.com", SHARED },
	{ "workers.dev", SHARED },
	{ "pages.dev", SHARED },
	{ "vercel.app", SHARED },
	{ "netlify.app", SHARED },
};

static bool concerns(const struct hostname *h, bool is_wildcard,
		     struct slice pattern, size_t i)
{
	struct hostname name;

	if (hostname_parse(slice_of(known[i].name), &name))
		return false;
	if (known[i].kind == DOH && is_wildcard)
		return hostname_matches(&name, pattern);
	return is_wildcard == (known[i].kind == SHARED) &&
	       hostname_eq(h, &name);
}

/* KIND_NUM: nothing is to be said */
static enum kind kind_of(struct slice host)
{
	bool is_wildcard = host.n > 2 && memcmp(host.p, "*.", 2) == 0;
	char pattern[2 + sizeof(((struct hostname *)0)->text)];
	struct hostname h;
	size_t i = 0;

	if (is_wildcard)
		host = (struct slice){ host.p + 2, host.n - 2 };
	if (hostname_parse(host, &h))
		return KIND_NUM;
	if (is_wildcard && !memchr(h.text, '.', h.len))
		return SHARED;
	(void)snprintf(pattern, sizeof(pattern), "*.%s", h.text);
	while (i < ARRAY_SIZE(known) &&
	       !concerns(&h, is_wildcard, slice_of(pattern), i))
		i++;
	return i < ARRAY_SIZE(known) ? known[i].kind : KIND_NUM;
}

static void look(FILE *f, const char *path, struct slice host, const char *at,
		 size_t i, const char *member)
{
	enum kind k = kind_of(host);

	if (k == KIND_NUM)
		return;
	utf8_print(f, path);
	(void)fprintf(f, ": warning: \"%.*s\" %s (at %s/%zu%s)\n", (int)host.n,
		      host.p, advice[k], at, i, member);
}

void advice_print(FILE *f, const char *path, const struct spec *s)
{
	const struct spec_egress_rules *r = &s->authority.egress_rules;
	const struct spec_dns_authority *d = s->authority.dns;

	for (size_t i = 0; i < r->n; i++)
		look(f, path, r->p[i].host, "/spec/authority/egressRules", i,
		     "/host");
	for (size_t i = 0; d && i < d->hostname_allowlist.n; i++)
		look(f, path, d->hostname_allowlist.p[i],
		     "/spec/authority/dnsAuthority/hostnameAllowlist", i, "");
}
