/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "cli/door_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cli/env.h"
#include "sys/netns.h"

#define TARGET "cellos.supervisor.door"

/* -- pure -- */

bool door_setup_endpoint(const char *text, struct ip_addr *ret,
			 uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	struct slice host = { text, colon ? (size_t)(colon - text) : 0 };
	bool bracketed = host.n > 2 && text[0] == '[' && colon[-1] == ']';
	unsigned long long port;

	if (!colon || !text_u64(colon + 1, &port) || port < 1 || port > 65535)
		return false;
	if (bracketed)
		host = (struct slice){ text + 1, host.n - 2 };
	if (ip_parse(host, ret) || (ret->family == 6) != bracketed)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

uint32_t door_setup_nameservers(const char *text, struct gate_resolver *ret)
{
	static const char word[] = "nameserver";
	uint32_t n = 0;

	for (const char *p = text; *p && n < GATE_RESOLVERS_MAX;
	     p += strcspn(p, "\n"), p += *p == '\n') {
		struct gate_resolver r = { .port = 53 };
		size_t len = strlen(word);
		const char *at = p + len;
		char id[IP_TEXT_SIZE];

		if (strncmp(p, word, len) || (*at != ' ' && *at != '\t'))
			continue;
		at += strspn(at, " \t");
		/* an address with a zone is not to be had from the gate */
		if (ip_parse((struct slice){ at, strcspn(at, " \t\r\n#;") },
			     &r.addr))
			continue;
		(void)snprintf(r.id, sizeof(r.id), "system-%s",
			       ip_text(id, &r.addr));
		ret[n++] = r;
	}
	return n;
}

/* -- the host -- */

static int system_resolvers(struct gate_policy *p, struct err *e)
{
	static const char path[] = "/etc/resolv.conf";
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(65536);
	int r = file_read(AT_FDCWD, path, 0, &b);

	if (r)
		return err_set(e, ERR_HOST, -r,
			       "%s, for names of the document: name a resolver "
			       "in /spec/authority/dnsAuthority/resolvers",
			       path);
	p->n_resolvers = door_setup_nameservers(wbuf_cstr(&b), p->resolvers);
	if (p->n_resolvers)
		return 0;
	return err_set(e, ERR_HOST, 0,
		       "%s has no nameserver for the names of the document: "
		       "name one in /spec/authority/dnsAuthority/resolvers",
		       path);
}

/* What answers on them is the host's own: a name must not lead there. */
static int own_addresses(struct gate_policy *p, struct err *e)
{
	struct ifaddrs *list = NULL;
	uint16_t port;

	if (getifaddrs(&list) < 0)
		return err_set(e, ERR_HOST, errno,
			       "gate: addresses of this host");
	p->n_own = 0;
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		struct ip_addr a;

		if (!i->ifa_addr || ip_of_sockaddr(i->ifa_addr, &a, &port))
			continue;
		/* no name leads to these, be they ours or not */
		if (ip_class(&a) == IP_LOOPBACK ||
		    ip_class(&a) == IP_LINK_LOCAL)
			continue;
		if (p->n_own == ARRAY_SIZE(p->own)) {
			freeifaddrs(list);
			return err_set(e, ERR_HOST, 0,
				       "gate: more than %zu addresses on this "
				       "host; run it in a network namespace "
				       "with fewer",
				       ARRAY_SIZE(p->own));
		}
		p->own[p->n_own++] = a;
	}
	freeifaddrs(list);
	return 0;
}

/* -- the environment -- */

static void limits_of(struct gate_policy *p, const struct limits *l)
{
	p->upstream_ms = (uint32_t)l->v[LIMIT_UPSTREAM_MS];
	p->events_per_second = (uint32_t)l->v[LIMIT_EVENTS_PER_SECOND];
	p->idle_ms = (uint32_t)l->v[LIMIT_RELAY_IDLE_SECONDS] * 1000;
	p->pin_ttl_min = (uint32_t)l->v[LIMIT_PIN_TTL_MIN_SECONDS];
	p->pin_ttl_max = (uint32_t)l->v[LIMIT_PIN_TTL_MAX_SECONDS];
	if (p->pin_ttl_max < p->pin_ttl_min)
		p->pin_ttl_max = p->pin_ttl_min;
	p->pin_grace = (uint32_t)l->v[LIMIT_PIN_GRACE_SECONDS];
	p->wildcard_labels = (uint32_t)l->v[LIMIT_WILDCARD_NAMES];
	p->drain_ms = (uint32_t)l->v[LIMIT_DRAIN_MS];
}

static int ech_of(struct gate_policy *p, struct err *e)
{
	const char *v = env_text("CELLOS_ECH");

	if (!v || !*v || strcasecmp(v, "outer") == 0)
		return 0;
	if (strcasecmp(v, "deny") != 0)
		return err_set(e, ERR_PLAIN, 0,
			       "CELLOS_ECH: \"%.100s\" is neither outer (the "
			       "default: a hello with ECH is judged by its "
			       "outer name) nor deny",
			       v);
	p->ech_deny = true;
	return 0;
}

/* 1: TCP, 0: UDP, -1: another or none */
static int transport_word(const char *v)
{
	static const char *const words[2][3] = {
		{ "do53-udp", "do53udp", "udp" },
		{ "do53-tcp", "do53tcp", "tcp" },
	};

	for (int is_tcp = 0; is_tcp < 2; is_tcp++)
		for (size_t i = 0; i < 3; i++)
			if (strcasecmp(v, words[is_tcp][i]) == 0)
				return is_tcp;
	return -1;
}

static int transport(struct gate_policy *p, struct err *e)
{
	static const char *const names[] = { "CELLOS_DNS_UPSTREAM_PROTOCOL",
					     "CELLOS_DNS_UPSTREAM_TRANSPORT" };
	char v[64];
	int is_tcp;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!env_nonblank(names[i], v, sizeof(v)))
			continue;
		is_tcp = transport_word(v);
		if (is_tcp < 0)
			return err_set(e, ERR_PLAIN, 0,
				       "%s: \"%s\" is not supported by this "
				       "build: resolvers are asked by do53-udp "
				       "or do53-tcp",
				       names[i], v);
		for (uint32_t r = 0; r < p->n_resolvers; r++)
			p->resolvers[r].is_tcp = is_tcp;
		return 0;
	}
	return 0;
}

bool door_setup_realtime(void)
{
	return env_exact("CELLOS_PER_FLOW_REALTIME") ||
	       env_exact("CELLOS_FIRECRACKER_PER_FLOW_EBPF");
}

static void listen_at(struct door_setup *d, enum gate_listen use,
		      const struct ip_addr *a, uint16_t port)
{
	uint16_t n = d->door.n_listen++;

	d->listen[n] = use;
	d->door.listen[n].addr = *a;
	d->door.listen[n].port = port;
	d->door.listen[n].is_udp = use == GATE_LISTEN_DNS_UDP;
}

/* The original's proxies, for what dials them itself. */
static int sni_proxy(struct door_setup *d, struct err *e)
{
	const char *v = env_text("CELLOS_SNI_PROXY_BIND");
	struct ip_addr a;
	uint16_t port;

	if (!env_truthy("CELLOS_SNI_PROXY") || !d->policy.n_names)
		return 0;
	if (!v)
		v = "127.0.0.1:8443";
	if (!door_setup_endpoint(v, &a, &port))
		return err_set(e, ERR_PLAIN, 0,
			       "CELLOS_SNI_PROXY_BIND: \"%.100s\" is not an "
			       "address and port, as 127.0.0.1:8443",
			       v);
	listen_at(d, GATE_LISTEN_SNI, &a, port);
	return 0;
}

/* Dialled inside the cell, whatever stands at the door. */
static void dial_inside(struct door_setup *d, uint8_t family, bool is_udp)
{
	for (uint16_t i = 0; i < d->door.n_inside; i++)
		if (d->door.inside[i].family == family &&
		    d->door.inside[i].is_udp == is_udp)
			return;
	d->door.inside[d->door.n_inside].family = family;
	d->door.inside[d->door.n_inside++].is_udp = is_udp;
}

/* 1: there is one; 0: none; -1: it is none */
static int override_of(const char *name, struct ip_addr *ret,
		       uint16_t *ret_port, struct err *e)
{
	char v[128];

	if (!env_nonblank(name, v, sizeof(v)))
		return 0;
	if (door_setup_endpoint(v, ret, ret_port))
		return 1;
	return err_set(e, ERR_PLAIN, 0,
		       "%s: \"%s\" is not an address and port, as "
		       "127.0.0.1:53",
		       name, v);
}

static int overrides(struct door_setup *d, struct err *e)
{
	struct gate_policy *p = &d->policy;
	int dns = 0, sni = 0;

	if (env_truthy("CELLOS_DNS_PROXY"))
		dns = override_of("CELLOS_DNS_PROXY_UPSTREAM_OVERRIDE",
				  &p->dns_override, &p->dns_override_port, e);
	if (dns >= 0 && env_truthy("CELLOS_SNI_PROXY"))
		sni = override_of("CELLOS_SNI_PROXY_UPSTREAM_OVERRIDE",
				  &p->sni_override, &p->sni_override_port, e);
	if (dns < 0 || sni < 0)
		return -1;
	if (dns > 0) {
		dial_inside(d, p->dns_override.family, true);
		dial_inside(d, p->dns_override.family, false);
	}
	if (sni > 0)
		dial_inside(d, p->sni_override.family, false);
	return 0;
}

static void dns_proxy(struct door_setup *d)
{
	const struct gate_resolver *r = &d->policy.resolvers[0];

	/* at port 53 the door listens anyway, whatever the address */
	if (!env_truthy("CELLOS_DNS_PROXY") || !d->policy.n_resolvers ||
	    !d->policy.n_names || r->port == 53)
		return;
	listen_at(d, GATE_LISTEN_DNS_UDP, &r->addr, r->port);
	listen_at(d, GATE_LISTEN_DNS_TCP, &r->addr, r->port);
}

static int fill(struct door_setup *d, const struct limits *l, struct err *e)
{
	struct gate_policy *p = &d->policy;

	limits_of(p, l);
	p->flows_realtime = door_setup_realtime();
	p->has_v6 = netns_reaches_v6();
	if (ech_of(p, e) || own_addresses(p, e))
		return -1;
	if (p->n_names && !p->n_resolvers && system_resolvers(p, e))
		return -1;
	if (transport(p, e))
		return -1;
	d->door.has_v6 = p->has_v6;
	d->door.n_tcp = (uint16_t)policy_ports(p, false, d->door.tcp);
	d->door.n_udp = (uint16_t)policy_ports(p, true, d->door.udp);
	d->door.nflog_group = DOOR_NFLOG_GROUP;
	if (sni_proxy(d, e) || overrides(d, e))
		return -1;
	dns_proxy(d);
	return 0;
}

int door_setup_load(const struct spec *s, enum policy_face face,
		    const struct limits *l, struct door_setup **ret,
		    struct err *e)
{
	struct door_setup *d;

	*ret = NULL;
	if (!policy_needs_gate(s))
		return 0;
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_set(e, ERR_PLAIN, ENOMEM, "gate policy");
	*ret = d;
	if (policy_compile(s, face, &d->policy, e) || fill(d, l, e)) {
		door_setup_drop(ret);
		return -1;
	}
	log_line(LOG_DEBUG, TARGET, "gate: %u rules, %u names, %u resolvers",
		 d->policy.n_rules, d->policy.n_names, d->policy.n_resolvers);
	return 0;
}

void door_setup_drop(struct door_setup **d)
{
	free(*d);
	*d = NULL;
}
